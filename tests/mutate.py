"""Break the code one line at a time, in a copy, and report what no test notices.

    python tests/mutate.py --limit 100 --seed 0          # a hundred random mutants
    python tests/mutate.py --only cpu/mean.py --limit 0  # every mutant of one file
    python tests/mutate.py --list                        # how many there are of each file

Python files are mutated on their syntax tree (comparisons, arithmetic, whole numbers, min and max, conditions, raises),
CUDA files on their text. Each mutant runs the tests that are about its file, those first that are quickest to notice.
It is killed if a test fails, the interpreter dies or time runs out, and survives otherwise. The score is the share of
killed mutants among those that are not known to be equivalent to the original.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mutations import cuda_mutants, python_mutants

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("imrestore", "kernels", "tests", "pyproject.toml", "README.md", "benches")
TIMEOUT_S = 300  # for a mutant; what hangs is killed as well
UNBROKEN_TIMEOUT_S = 1800
TIMED_OUT = -1000
CONTENT = (0, 5)  # pytest's exit statuses for: all passed, no test of that name


class Mutant(NamedTuple):
    """Replace characters ``start .. stop`` of ``file`` by ``text``."""

    file: str
    line: int
    start: int
    stop: int
    text: str
    shown: str

    def applied(self, source: str) -> str:
        return source[: self.start] + self.text + source[self.stop :]


# Tests that are about a file, in the order in which they are run: an item is what pytest is called with.
def about(name: str) -> list[list[str]]:
    return [
        ["tests/test_filters.py", "-k", f"numpy-{name}"],
        ["tests/test_properties.py", "-k", name],
        ["tests/test_threads.py", "-k", f"split and {name}"],
        ["tests/test_out.py", "tests/test_layouts.py", "-k", name],
    ]


FILTERS = [
    ["tests/test_filters.py", "-k", "numpy and (size3 or dtype or sigma1 or ties or where or nan)"],
    ["tests/test_filters.py", "-k", "numpy"],
    ["tests/test_properties.py"],
    ["tests/test_threads.py", "-k", "split"],
]
DISPATCH = [
    ["tests/test_out.py", "tests/test_layouts.py"],
    ["tests/test_torch.py", "tests/test_filters.py", "-k", "not cupy"],
    ["tests/test_bad_input.py", "tests/test_dask.py"],
]
CHECKS = [["tests/test_limits.py"], ["tests/test_bad_input.py", "tests/test_num_threads.py"], *FILTERS[:2]]
NOISE_CHECKS = [["tests/test_limits.py"], ["tests/test_anscombe.py", "tests/test_noise.py", "tests/test_noise_poisson_gaussian.py"]]
METRIC_CHECKS = [["tests/test_limits.py"], ["tests/test_metrics_bad_input.py"], ["tests/test_metrics_protocols.py"]]
METRICS = [
    ["tests/test_metrics.py", "tests/test_metrics_repeated.py"],
    ["tests/test_metrics_protocols.py", "tests/test_metrics_arrays.py"],
]
NOISE = {
    "anscombe": "anscombe",
    "estimate_sigma": "noise",
    "estimate_poisson_gaussian": "noise_poisson_gaussian",
    "patches": "noise",
}
BM3D_STAGES = ["tests/test_bm3d_pieces.py", "tests/test_bm3d_kernel.py"]
BM3D_IMAGES = ["tests/test_bm3d.py", "tests/test_bm3d_noise.py", "tests/test_bm3d_images.py", "tests/test_bm3d_dask.py"]
BM3D_SHARED = [f"tests/test_{name}.py" for name in ("properties", "threads", "text_kernel")] + ["-k", "bm3d"]
DEGRADE = [["tests/test_degrade_plan.py"], ["tests/test_degrade_run.py"], ["tests/test_degrade_chains.py"]]
#: Files of `cpu` that are about a kind of damage, by the test that is.
DAMAGE = {
    "noising": ("noising", "_noise_rows", "_poisson"),
    "blurring": ("blurring", "_convolution_text", "_border_text"),
    "resizing": ("resizing", "_resampling_text", "_resampling_weights"),
    "jpeg": ("jpeg", "_jpeg_rows", "_jpeg_blocks", "_jpeg_text"),
    "missing": ("missing",),
    "haze": ("haze", "_splines"),
    "camera": ("camera", "_curves"),
    "warping": ("warping", "_warp_block", "_warp_rows", "_warp_adjoint", "_place_rows", "_sampling"),
    "mixing": ("mixing",),
    "colours": ("colours", "_plane_sums"),
}
SUITES: dict[str, list[list[str]]] = {
    **{
        f"imrestore/degrade/_{name}.py": DEGRADE
        for name in ("distributions", "numbers", "values", "seed", "plan", "step", "steps", "run", "gradient", "chains",
                     "noise", "defects")
    },
    **{
        f"imrestore/augment/_{name}.py": [["tests/test_augment.py"]]
        for name in ("geometry", "homographies", "moves", "warps", "distortions", "colors", "mixing")
    },
    "imrestore/degrade/_launches.py": [["tests/test_augment.py"]],
    **{
        f"imrestore/degrade/_{name}.py": [["tests/test_degrade_blur.py"], *DEGRADE[2:]]
        for name in ("psf", "windows", "blur", "blur_optics", "resize")
    },
    "imrestore/degrade/_jpeg.py": [["tests/test_damage_jpeg.py"]],
    "imrestore/degrade/_missing.py": [["tests/test_degrade_missing.py"]],
    **{f"imrestore/degrade/_{name}.py": [["tests/test_degrade_camera.py"]] for name in ("haze", "camera")},
    **{
        f"kernels/imrestore_kernels/cpu/{name}.py": [[f"tests/test_damage_{test}.py", "-k", "not compiles"]]
        for test, names in DAMAGE.items() for name in names
    },
    **{
        f"kernels/imrestore_kernels/cuda/{test}.{kind}": [[f"tests/test_damage_{test}.py", "-k", "not compiles"]]
        for test in DAMAGE for kind in ("cu", "py")
    },
    "kernels/imrestore_kernels/cpu/batches.py": [["tests/test_direct.py"], *DEGRADE[1:]],
    "kernels/imrestore_kernels/cpu/_direct.py": [["tests/test_direct.py"]],
    "kernels/imrestore_kernels/cpu/_mirrored_rows.py": [["tests/test_direct_kernels.py"]],
    "kernels/imrestore_kernels/cpu/_warp_pixels.py": [["tests/test_direct_kernels.py"]],
    "kernels/imrestore_kernels/cpu/_colour_pass.py": [["tests/test_colour_pass.py"]],
    "kernels/imrestore_kernels/cuda/batches.py": [["tests/test_cuda_batches.py"], *DEGRADE[1:]],
    "kernels/imrestore_kernels/cpu/_interleave.py": [["tests/test_interleave.py"]],
    "kernels/imrestore_kernels/philox.py": [["tests/test_philox.py"]],
    "kernels/imrestore_kernels/elementary.py": [["tests/test_elementary.py"]],
    "kernels/imrestore_kernels/poisson.py": [["tests/test_poisson_numbers.py"]],
    "kernels/imrestore_kernels/cpu/_philox.py": [["tests/test_philox.py"]],
    "kernels/imrestore_kernels/cpu/_elementary.py": [["tests/test_elementary.py"]],
    **{f"imrestore/_checks/{name}.py": CHECKS for name in ("values", "images", "windows")},
    "imrestore/_checks/joint.py": [*CHECKS, ["tests/test_guided.py"]],
    "imrestore/_checks/noise.py": NOISE_CHECKS,
    "imrestore/_checks/metrics.py": METRIC_CHECKS,
    "imrestore/_dispatch.py": DISPATCH,
    "imrestore/_blocks.py": [["tests/test_dask.py"]],
    "imrestore/_samples.py": [["tests/test_anscombe_kernel.py"], ["tests/test_anscombe.py", "tests/test_noise.py"]],
    "imrestore/_threads.py": [["tests/test_num_threads.py"]],
    **{
        f"imrestore/filters/_{name}.py": [*about(name), ["tests/test_dask.py", "tests/test_bad_input.py", "-k", name]]
        for name in ("mean", "median", "gaussian", "bilateral", "guided")
    },
    "imrestore/denoise/_nl_means.py": [["tests/test_similarity.py"], *about("nl_means")],
    **{f"imrestore/noise/_{name}.py": [[f"tests/test_{test}.py"]] for name, test in NOISE.items()},
    **{f"imrestore/metrics/_{name}.py": METRICS for name in ("pair", "psnr", "ssim")},
    **{
        f"kernels/imrestore_kernels/cpu/{name}.py": [["tests/test_similarity_kernels.py"], *about("nl_means"), *about("bilateral")]
        for name in ("nl_means", "bilateral", "_bands", "_similarity", "_similarity_rows", "_similarity_tile", "_masked_similarity",
                     "_vector_text", "_window_sums")
    },
    **{
        f"kernels/imrestore_kernels/cpu/{name}.py": [["tests/test_guided.py"], *about("guided")]
        for name in ("guided", "_guided_any", "_guided_planes", "_guided_windows", "_moments")
    },
    **{
        f"kernels/imrestore_kernels/cpu/{name}.py": [*about("guided"), *about("nl_means")]
        for name in ("_row_text", "_text_kernel")
    },
    **{
        f"kernels/imrestore_kernels/cuda/{name}": [["tests/test_bm3d_cuda.py", "-k", "not compiles"]]
        for name in (
            "bm3d.cu", "bm3d.py", "bm3d_adaptive.cuh", "bm3d_group.cuh", "bm3d_match.cuh", "bm3d_positions.cuh",
            "patch_transforms.cuh",
        )
    },
    "imrestore/_checks/bm3d.py": [["tests/test_bm3d.py", "-k", "bad"], ["tests/test_bad_input.py", "-k", "bm3d"]],
    "imrestore/denoise/_bm3d.py": [BM3D_IMAGES, BM3D_SHARED, ["tests/test_bad_input.py", "tests/test_docs.py", "-k", "bm3d"]],
    "kernels/imrestore_kernels/bm3d_driver.py": [BM3D_IMAGES, BM3D_SHARED],
    **{f"kernels/imrestore_kernels/{name}.py": [BM3D_STAGES, BM3D_IMAGES, BM3D_SHARED] for name in ("bm3d_noise", "bm3d_profiles")},
    "kernels/imrestore_kernels/patch_transforms.py": [BM3D_STAGES],
    **{
        f"kernels/imrestore_kernels/cpu/{name}.py": [BM3D_STAGES, BM3D_SHARED]
        for name in ("bm3d", "_block_match", "_block_groups", "_group_adaptive", "_group_filter", "_group_variances", "_haar",
                     "_patch_steps", "_sorted_lists")
    },
    "kernels/imrestore_kernels/cpu/metrics.py": [["tests/test_metrics_repeated.py"], ["tests/test_metrics.py"]],
    "kernels/imrestore_kernels/cpu/_metric_ops.py": [["tests/test_metrics.py"]],
    "kernels/imrestore_kernels/cpu/_byte_squares.py": [["tests/test_metrics_repeated.py", "-k", "bytes or chunk"]],
    "kernels/imrestore_kernels/cpu/anscombe.py": [["tests/test_anscombe_kernel.py"]],
    "kernels/imrestore_kernels/borders.py": FILTERS,
    "kernels/imrestore_kernels/networks.py": [["tests/test_networks.py"], *about("median")],
    "kernels/imrestore_kernels/rank_program.py": [["tests/test_networks.py"], *about("median")],
    "kernels/imrestore_kernels/cpu/mean.py": about("mean"),
    "kernels/imrestore_kernels/cpu/median.py": about("median"),
    "kernels/imrestore_kernels/cpu/gaussian.py": about("gaussian"),
    "kernels/imrestore_kernels/cpu/_jit.py": [["tests/test_cache.py"]],
    "kernels/imrestore_kernels/forks.py": [["tests/test_processes.py", "-k", "fork"]],
    "kernels/imrestore_kernels/similarity.py": [
        ["tests/test_similarity_extremes.py"],
        ["tests/test_similarity_cuda.py", "-k", "boxes"],
    ],
    "kernels/imrestore_kernels/cpu/_thread_count.py": [["tests/test_num_threads.py"]],
    "kernels/imrestore_kernels/cpu/_crew.py": [["tests/test_crew.py"], ["tests/test_num_threads.py"]],
    "kernels/imrestore_kernels/cpu/_pool.py": [
        ["tests/test_crew.py"],
        ["tests/test_num_threads.py"],
        ["tests/test_threads.py", "-k", "split or pool"],
        ["tests/test_processes.py", "-k", "fork"],
    ],
}  # fmt: skip

# Mutants that change nothing anyone could see, with the reason: (file name, mutated line as it is shown) -> reason.
EQUIVALENT: dict[tuple[str, str], str] = {
    ("windows.py", "if math.prod(sides) > MAX_SAMPLES:   [> -> >=]"): "2**31 - 1 is a prime: no window has as many samples",
}


def suite(file: str, first: int | None = None) -> list[list[str]]:
    """The first so many runs for a file."""
    return all_runs(file)[:first]


def all_runs(file: str) -> list[list[str]]:
    """What to run for a file: its own entry, or what its name and place suggest."""
    if file in SUITES:
        return SUITES[file]
    name = Path(file).name
    if "/cuda/" in file:
        stem = next((f for f in ("nl_means", "mean", "median", "gaussian", "bilateral", "guided", "metrics") if f in name), "")
        return [[*cuda_tests(), *(["-k", stem] if stem else [])]]
    if "rank" in name or "vector" in name or "histogram" in name:
        return about("median")
    return FILTERS


def cuda_tests() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests").glob("test_*cuda*.py"))


def targets() -> list[str]:
    """Files worth breaking."""
    families = ("filters", "denoise", "noise", "metrics", "degrade", "augment")
    patterns = ("imrestore/_*.py", *(f"imrestore/{family}/_*.py" for family in families), "imrestore/_checks/*.py",
                "kernels/imrestore_kernels/*.py", "kernels/imrestore_kernels/cpu/*.py")  # fmt: skip
    patterns += ("kernels/imrestore_kernels/cuda/*.cu", "kernels/imrestore_kernels/cuda/*.cuh") if cuda_tests() else ()
    found = sorted(str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern))
    return [f for f in found if Path(f).name not in ("__init__.py", "_version.py", "_warmup.py")]


def mutants_of(file: str) -> Iterator[Mutant]:
    source = (ROOT / file).read_text()
    lines = source.splitlines()
    found = python_mutants(source) if file.endswith(".py") else cuda_mutants(source)
    for line, start, stop, text in sorted(set(found)):
        old = " ".join(source[start:stop].split())
        shown = f"{lines[line - 1].strip()}   [{shorten(old)} -> {shorten(text)}]"
        yield Mutant(file, line, start, stop, text, shown)


def shorten(text: str) -> str:
    return text if len(text) < 50 else text[:47] + "..."


def environment(scratch: Path) -> dict[str, str]:
    env = dict(os.environ)
    env |= {"PYTHONDONTWRITEBYTECODE": "1", "IMRESTORE_CACHE_DIR": str(scratch / "cache")}
    env["PYTHONPATH"] = os.pathsep.join([str(scratch / "tree"), str(scratch / "tree" / "kernels")])
    return env


def copy_tree(scratch: Path) -> None:
    for name in COPIED:
        source, target = ROOT / name, scratch / "tree" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "results"))
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def copy_cache(scratch: Path) -> None:
    """Begin with what is compiled already: mutants outside the kernels then compile nothing."""
    sys.path[:0] = [str(ROOT), str(ROOT / "kernels")]
    from imrestore_kernels.cpu._jit import cache_directory

    compiled = cache_directory()
    if compiled is not None:
        shutil.copytree(compiled, scratch / "cache" / compiled.name)


def run_tests(scratch: Path, *arguments: str, timeout: float = TIMEOUT_S) -> tuple[int, list[str]]:
    """Exit status (or TIMED_OUT) and failed tests."""
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=no", "-p", "no:cacheprovider", *arguments]
    process = subprocess.Popen(
        command, cwd=scratch / "tree", env=environment(scratch), start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        output = process.communicate(timeout=timeout)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()
        return TIMED_OUT, []
    lines = [line for line in output.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return process.returncode, [line.split(" - ")[0].split(" ", 1)[1] for line in lines]


def verdict(scratch: Path, mutant: Mutant, failing: list[str], first: int | None) -> str:
    """Empty if the mutant survives, else what noticed it."""
    target = scratch / "tree" / mutant.file
    original = target.read_text()
    target.write_text(mutant.applied(original))
    try:
        for arguments in suite(mutant.file, first):
            status, failed = run_tests(scratch, "-x", *arguments, *(f"--deselect={test}" for test in failing))
            if status not in CONTENT:
                return failed[0] if failed else "time ran out" if status == TIMED_OUT else f"exit status {status}"
        return ""
    finally:
        target.write_text(original)


def failing_already(scratch: Path, files: list[str], first: int | None) -> list[str]:
    """Tests that fail on the unbroken code: they cannot tell anything and are left out, loudly."""
    runs: list[list[str]] = []
    for arguments in [a for file in files for a in suite(file, first)]:
        if arguments not in runs:
            runs.append(arguments)
    failing: list[str] = []
    for arguments in runs:
        status, failed = run_tests(scratch, *arguments, timeout=UNBROKEN_TIMEOUT_S)
        if status not in CONTENT and not failed:
            sys.exit(f"the tests do not run on unbroken code: {' '.join(arguments)}: exit status {status}")
        failing += failed
    for test in failing:
        print(f"fails without any mutant, left out: {test}", flush=True)
    return failing


def chosen(only: list[str], limit: int, seed: int) -> list[Mutant]:
    files = [f for f in targets() if not only or any(part in f for part in only)]
    everything = [m for file in files for m in mutants_of(file)]
    random.Random(seed).shuffle(everything)
    return sorted(everything[: limit or None])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=60, help="mutants to try, 0 for all (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="which ones (default: 0)")
    parser.add_argument("--only", action="append", default=[], metavar="PART", help="only paths that contain PART")
    parser.add_argument("--first", type=int, help="only so many of the runs for a file: quicker, a lower bound")
    parser.add_argument("--list", action="store_true", help="count the mutants of each file and stop")
    parser.add_argument("--json", type=Path, help="write the results there too")
    options = parser.parse_args()
    if options.list:
        for file in targets():
            print(f"{len(list(mutants_of(file))):5}  {file}")
        return
    mutants = chosen(options.only, options.limit, options.seed)
    with tempfile.TemporaryDirectory(prefix="imrestore-mutants-") as name:
        scratch = Path(name)
        copy_tree(scratch)
        copy_cache(scratch)
        report(mutants, scratch, options.first, options.json)


def report(mutants: list[Mutant], scratch: Path, first: int | None, path: Path | None) -> None:
    failing = failing_already(scratch, sorted({m.file for m in mutants}), first)
    rows = []
    for count, mutant in enumerate(mutants, 1):
        reason = EQUIVALENT.get((Path(mutant.file).name, mutant.shown))
        begun = time.monotonic()
        why = "" if reason else verdict(scratch, mutant, failing, first)
        state = "equivalent" if reason else "killed" if why else "SURVIVED"
        rows.append({**mutant._asdict(), "state": state, "by": why, "seconds": round(time.monotonic() - begun, 1)})
        what = f"{mutant.file}:{mutant.line}  {mutant.shown}  {why or reason or ''}"
        print(f"{count:4}/{len(mutants)} {state:10} {what}", flush=True)
    survivors = [row for row in rows if row["state"] == "SURVIVED"]
    counted = [row for row in rows if row["state"] != "equivalent"]
    if path:
        path.write_text(json.dumps(rows, indent=1))
    print(f"\n{len(survivors)} survivors")
    for row in survivors:
        print(f"  {row['file']}:{row['line']}  {row['shown']}")
    share = 1 - len(survivors) / len(counted) if counted else 1.0
    equivalent = len(rows) - len(counted)
    print(f"\nscore {share:.1%}: {len(counted) - len(survivors)} of {len(counted)} killed, {equivalent} equivalent")


if __name__ == "__main__":
    main()
