"""What a number was measured on, and how fast that machine copies."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benches.timing import Contender, compare

PACKAGES = (
    "imrestore",
    "numpy",
    "numba",
    "llvmlite",
    "scipy",
    "scikit-image",
    "pywavelets",
    "opencv-contrib-python-headless",
    "bm3d",
    "albumentations",
    "kornia",
    "torch",
)
CUDA_PACKAGES = ("cupy-cuda12x", "cupy-cuda13x", "cucim-cu12", "cucim-cu13")


def available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def metadata(threads: int) -> dict[str, Any]:
    versions = {name: found for name in (*PACKAGES, *CUDA_PACKAGES) if (found := installed(name)) is not None}
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": git("rev-parse", "--short=10", "HEAD"),
        "uncommitted_changes": bool(git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cores": available_cores(),
        "threads": threads,
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "versions": versions,
        "picture": "scikit-image's cameraman mirrored to size, Gaussian noise of 4 % of white",
    }


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def git(*arguments: str) -> str | None:
    root = Path(__file__).parent
    try:
        found = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in info.read_text().splitlines() if ":" in line)
    clean = {key.strip(): value.strip() for key, value in fields.items()}
    name = clean.get("model name", platform.machine())
    family, model = clean.get("cpu family"), clean.get("model")
    flags = clean.get("flags", "").split()
    simd = "AVX-512" if "avx512bw" in flags else "AVX2" if "avx2" in flags else ""
    return ", ".join(filter(None, [name, f"family {family} model {model}" if family and model else "", simd]))


def copier(src: NDArray[Any], dst: NDArray[Any], threads: int) -> Callable[[], object]:
    """The fastest plain copy at hand, in one thread or in strips over our pool: the limit that memory sets."""

    def in_one_thread() -> None:
        np.copyto(dst, src)

    if threads == 1:
        return in_one_thread
    from imrestore_kernels.cpu._pool import run_rows

    def copy_rows(start: int, stop: int) -> None:
        np.copyto(dst[start:stop], src[start:stop])

    def in_strips() -> None:
        run_rows(copy_rows, (), len(src), work=src.nbytes)

    result = compare([Contender("one", in_one_thread), Contender("strips", in_strips)], seconds=0.2, rounds=(5, 30))
    return in_strips if result.ratio("one", "strips") > 1 else in_one_thread


def copy_gigabytes_per_second(threads: int) -> float:
    """Bytes read and written a second, on arrays far larger than any cache."""
    src = np.ones((4096, 4096), np.float64)
    dst = np.empty_like(src)
    run = copier(src, dst, threads)
    seconds = compare([Contender("copy", run)], seconds=1.0, rounds=(5, 20)).timings["copy"].median
    return 2 * src.nbytes / seconds / 1e9
