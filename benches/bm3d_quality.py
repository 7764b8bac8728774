"""``python -m benches.bm3d_quality``: what BM3D makes of the pictures that tables are published for.

Noise is neither clipped nor rounded and comes from ``default_rng(0)`` for every picture; estimates are clipped and rounded to
bytes before PSNR; of a set the mean of its pictures' PSNR counts. The published numbers are of other noise and of the authors'
MATLAB code: pictures differ by up to 0.1 dB at 15 and 25 and 0.3 dB at 50 for that alone, means by 0.01. Colours are taken
from CBSD432's val32, which no parameter was chosen on (and nobody published): there ``--peer`` gives something to compare with.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benches import bm3d_search, datasets, machine, peers
from benches.report import write_result

SET12 = ("C.man", "House", "Peppers", "Starfish", "Monarch", "Airplane", "Parrot", "Lena", "Barbara", "Boat", "Man", "Couple")
#: Of BM3D: for Set12 the pictures as in the tables that repeat those of DnCNN (IEEE TIP 2017), and means of theirs.
PUBLISHED_SET12 = {
    15: (31.91, 34.93, 32.69, 31.14, 31.85, 31.07, 31.37, 34.26, 33.10, 32.13, 31.92, 32.10),
    25: (29.45, 32.85, 30.16, 28.56, 29.25, 28.42, 28.93, 32.07, 30.71, 29.90, 29.61, 29.71),
    50: (26.13, 29.69, 26.68, 25.04, 25.82, 25.10, 25.90, 29.05, 27.22, 26.78, 26.81, 26.46),
}  # fmt: skip
PUBLISHED_MEAN = {("Set12", 15): 32.37, ("Set12", 25): 29.97, ("Set12", 50): 26.72, ("BSD68", 25): 28.57}


class Task(NamedTuple):
    """A set, the files it has, and how noisy they are made."""

    name: str
    pattern: str
    sigma: int


TASKS = (
    *(Task("Set12", "Set12/*.png", sigma) for sigma in (15, 25, 50)),
    Task("BSD68", "BSD68/*.png", 25),
    *(Task("CBSD432 val32, colour", "CBSD432/val32/*.jpg", sigma) for sigma in (15, 25, 50)),
)


class Result(NamedTuple):
    picture: str
    ours: float | None
    published: float | None
    peer: float | None


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    found = []
    for task in TASKS:
        if options.set and task.name.split()[0] not in options.set:
            continue
        results = measure(task, options.profile, options.pictures, options.peer)
        found.append({"set": task.name, "sigma": task.sigma, **as_json(task, results, options.pictures)})
        print(table(task, results, options.pictures), flush=True)
    write_result({"profile": options.profile, "sets": found}, "-bm3d-quality", options.json)
    return 0


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m benches.bm3d_quality", description=__doc__.partition("\n")[0])
    names = sorted({task.name.split()[0] for task in TASKS})
    p.add_argument("--set", action="append", choices=names, help="this set only (may be repeated)")
    p.add_argument("--profile", default="normal", help="of imrestore.bm3d (normal)")
    p.add_argument("--pictures", type=int, metavar="N", help="the first N of each set only: a look, not a result")
    p.add_argument("--peer", action="store_true", help="the same noise for the package bm3d, which takes 20 times as long")
    p.add_argument("--json", type=Path, metavar="PATH", help="where to write (default: benches/results/)")
    return p


def measure(task: Task, profile: str, count: int | None, with_peer: bool) -> list[Result]:
    import imrestore

    paths = [path for path in datasets.files(task.pattern) if path not in bm3d_search.files_of("CBSD432")][:count]
    other: dict[str, peers.Filter] = {}
    if with_peer and not (other := peers.bm3d(lambda _: float(task.sigma), "normal", 2, machine.available_cores())):
        raise SystemExit("--peer: the package bm3d is not installed")
    results = []
    for i, (name, values) in enumerate(datasets.load(paths)):
        image = datasets.noisy(values, task.sigma)
        restored = imrestore.bm3d(image, task.sigma, profile=profile, channel_axis=-1 if image.ndim == 3 else None)
        theirs = [datasets.published_psnr(run(image, None), values) for run in other.values()]
        known = task.name == "Set12"
        results.append(
            Result(
                SET12[i] if known else name,
                datasets.published_psnr(restored, values),
                PUBLISHED_SET12[task.sigma][i] if known else None,
                theirs[0] if theirs else None,
            )
        )
    return results


def mean(task: Task, results: Sequence[Result], count: int | None) -> Result:
    """Of all columns. What was published of a whole set is taken as it was printed, of fewer pictures from theirs."""
    columns = zip(*(result[1:] for result in results), strict=True)
    ours, published, peer = (None if None in column else statistics.fmean(column) for column in columns)
    if count is None:
        published = PUBLISHED_MEAN.get((task.name, task.sigma))
    return Result(f"mean of {len(results)}", ours, published, peer)


def as_json(task: Task, results: Sequence[Result], count: int | None) -> dict[str, Any]:
    return {"mean": mean(task, results, count)._asdict(), "pictures": [result._asdict() for result in results]}


def table(task: Task, results: Sequence[Result], count: int | None) -> str:
    """Markdown. Pictures that there is nothing to compare with are told by their mean."""
    shown = [result for result in results if result.published is not None or result.peer is not None]
    title = f"**{task.name}**, sigma {task.sigma}"
    heading = [title, "", "| picture | imrestore | published | package bm3d |", "|---|---|---|---|"]
    lines = (
        f"| {result.picture} | {' | '.join('' if value is None else f'{value:.2f}' for value in result[1:])} |"
        for result in (*shown, mean(task, results, count))
    )
    return "\n".join([*heading, *lines, ""])


if __name__ == "__main__":
    sys.exit(main())
