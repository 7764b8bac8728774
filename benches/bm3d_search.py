"""``python -m benches.bm3d_search``: the search that chose BM3D's parameters, `PROFILES` in bm3d_profiles.py.

Each parameter of a profile is changed by itself, on pictures that no figure is quoted for: 16 of CBSD432 made grey and 24
of Train400, with noise of 15, 25 and 50 in 255 from ``default_rng(k)`` for picture k. PSNR of the estimates as they are, neither
clipped nor rounded; printed are the means of the profile and what each change adds to them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from imrestore_kernels.bm3d_noise import Noise
from imrestore_kernels.bm3d_profiles import PROFILES, Profile, Stage, used_stages
from numpy.typing import NDArray

from benches import datasets
from benches.report import write_result

SIGMAS = (15, 25, 50)
SETS = {"CBSD432": ("CBSD432/*/*.jpg", 7, 27), "Train400": ("Train400/*.png", 5, 17)}
#: What is tried beside the profile's own value; of a stage that the profile does not have, nothing.
TRIED: dict[str, tuple[float, ...]] = {
    "hard.threshold": (2.5, 2.6, 2.8, 2.9),
    "hard.match": (5.0, 30.0),
    "hard.group": (16,),
    "hard.beta": (0.0, 2.0, 4.0),
    "hard.window": (29, 45),
    "hard.step": (2, 4),
    "wiener.share": (0.0, 0.5),
    "wiener.noise": (0.6, 0.7, 0.9, 1.0, 1.2),
    "wiener.adaptive": (0.5, 0.6, 0.85, 1.0),
    "wiener.excess": (0.8, 1.0, 1.1, 1000.0),
    "wiener.match": (10.0, 30.0),
    "wiener.group": (16,),
    "wiener.beta": (0.0, 3.0),
    "wiener.window": (19, 39),
    "wiener.step": (4, 8),
    "refine.share": (0.0, 0.5),
    "refine.adaptive": (0.7, 0.9, 1.5),
    "refine.excess": (0.9, 1.0, 1000.0),
    "refine.match": (10.0, 30.0),
    "refine.group": (16,),
    "refine.beta": (2.0, 3.0),
    "refine.window": (29, 45),
    "refine.step": (3, 6),
}
#: Those of the transform's gains make no difference where the adaptive estimate is all.
_OF_GAINS = "noise"

Planes = NDArray[np.float32]


class Change(NamedTuple):
    """A profile and how it differs from the one that is searched around; the first stage may be the same."""

    name: str
    profile: Profile


class Pair(NamedTuple):
    """A picture and the same with noise, in units of it."""

    values: NDArray[np.float64]
    noisy: Planes
    sigma: int

    def psnr(self, result: Planes) -> float:
        return datasets.psnr(result[0].astype(np.float64) * self.sigma, self.values)


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    base = PROFILES[options.profile]
    names = options.parameter or list(TRIED)
    found = []
    for name in SETS:
        for sigma in options.sigma or SIGMAS:
            pairs = list(pairs_of(name, sigma, options.pictures))
            rows = search(pairs, base, list(changes(base, names)))
            found.append({"set": name, "sigma": sigma, "pictures": len(pairs), "decibels": rows})
            print(table(name, sigma, rows), flush=True)
    write_result({"profile": options.profile, "results": found}, "-bm3d-search", options.json)
    return 0


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m benches.bm3d_search", description=__doc__.partition("\n")[0])
    p.add_argument("--profile", choices=PROFILES, default="normal", help="the one to search around (normal)")
    p.add_argument("--parameter", action="append", choices=TRIED, help="change this one only (may be repeated)")
    p.add_argument("--sigma", action="append", type=int, metavar="S", help="this noise only (may be repeated)")
    p.add_argument("--pictures", type=int, metavar="N", help="the first N of each set only: a look, not a result")
    p.add_argument("--json", type=Path, metavar="PATH", help="where to write (default: benches/results/)")
    return p


def files_of(name: str) -> list[Path]:
    """Those of a set that parameters were chosen on, spread over all of them."""
    pattern, first, step = SETS[name]
    return datasets.files(pattern)[first::step]


def pairs_of(name: str, sigma: int, count: int | None) -> Iterator[Pair]:
    for k, (_, values) in enumerate(datasets.load(files_of(name)[:count], grey=True)):
        yield Pair(values, (datasets.noisy(values, sigma, k) / sigma).astype(np.float32)[None], sigma)


def changes(base: Profile, names: Sequence[str]) -> Iterator[Change]:
    for name in names:
        place, parameter = name.split(".")
        for value in TRIED[name]:
            stage: Any = getattr(base, place)
            if stage is None or getattr(stage, parameter) == value or (parameter == _OF_GAINS and stage.share == 1):
                continue
            changed: dict[str, Any] = {place: stage._replace(**{parameter: value})}
            yield Change(f"{name} = {value:g}", base._replace(**changed))


def search(pairs: Sequence[Pair], base: Profile, tried: Sequence[Change]) -> dict[str, tuple[float, float]]:
    """Mean PSNR after the first stage and after all, of the profile (named '') and of every change."""
    scores: dict[str, list[tuple[float, float]]] = {"": [], **{change.name: [] for change in tried}}
    for pair in pairs:
        known: dict[tuple[Stage, ...], Planes] = {}
        for name, profile in (("", base), *tried):
            stages = used_stages(profile, 2, correlated=False)
            for i in range(len(stages)):
                if stages[: i + 1] not in known:
                    known[stages[: i + 1]] = run(stages[i], pair, known[stages[:i]] if i else None)
            scores[name].append((pair.psnr(known[stages[:1]]), pair.psnr(known[stages])))
    means = {name: np.mean(values, axis=0) for name, values in scores.items()}
    return {name: (float(hard), float(final)) for name, (hard, final) in means.items()}


def run(stage: Stage, pair: Pair, guide: Planes | None) -> Planes:
    from imrestore_kernels.cpu.bm3d import run_stage

    result: Planes = run_stage(stage, pair.noisy, guide, Noise((1.0,)))
    return result


def table(name: str, sigma: int, rows: dict[str, tuple[float, float]]) -> str:
    """The profile in decibels, changes as what they add to it."""
    hard, final = rows[""]
    lines = [f"{name}, sigma {sigma}", f"{'':24}{'first stage':>12}{'all':>9}", f"{'the profile':24}{hard:12.3f}{final:9.3f}"]
    lines += [f"{key:24}{one - hard:+12.3f}{two - final:+9.3f}" for key, (one, two) in rows.items() if key]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.exit(main())
