"""Importing imrestore costs next to nothing and loads nothing it does not need."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterable

import pytest

HEAVY = ("numba", "llvmlite", "scipy", "skimage", "cupy", "torch", "dask", "PIL", "tifffile", "rich", "cv2")


def modules_after(program: str) -> set[str]:
    code = f"import json, sys\n{program}\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def heavy(modules: Iterable[str]) -> list[str]:
    return [name for name in HEAVY if name in modules]


def test_import_loads_nothing_heavy() -> None:
    modules = modules_after("import imrestore")
    assert heavy(modules) == []
    kernels = {name for name in modules if name.startswith("imrestore_kernels")}
    assert kernels <= {"imrestore_kernels", "imrestore_kernels.forks", "imrestore_kernels.bm3d_profiles"}


def test_numpy_images_load_numba_and_nothing_else() -> None:
    loaded = modules_after(
        "import imrestore, numpy\n"
        "for f in (imrestore.mean, imrestore.median, imrestore.gaussian): f(numpy.ones((9, 9), numpy.float32))\n"
        "imrestore.nl_means(numpy.ones((9, 9)), 1.0), imrestore.bilateral(numpy.ones((9, 9)), 1.0, 1.0)\n"
        "imrestore.bm3d(numpy.eye(9), 1.0, profile='fast'), imrestore.bm3d(numpy.eye(9), kernel=[[1, 1]], profile='fast')\n"
        "pair = numpy.ones((2, 11, 11))\n"
        "imrestore.metrics.psnr(*pair, data_range=1), imrestore.metrics.ssim(*pair, data_range=1)\n"
        "imrestore.noise.inverse_anscombe(imrestore.noise.anscombe(pair), 1, 2)"
    )
    assert heavy(loaded) == ["numba", "llvmlite", "scipy"]  # numba/__init__.py looks for scipy's version


def test_estimates_need_numpy_only() -> None:
    program = "import imrestore.noise as noise, numpy\nx = numpy.arange(900.0).reshape(30, 30) % 7\n"
    assert heavy(modules_after(program + "noise.estimate_sigma(x), noise.estimate_poisson_gaussian(x)")) == []


def test_thread_settings_load_no_compiler() -> None:
    assert heavy(modules_after("import imrestore\nimrestore.set_num_threads(2)\nimrestore.get_num_threads()")) == []


@pytest.mark.parametrize(
    "private",
    [
        *("_checks", "_checks.bm3d", "_checks.joint", "_checks.metrics", "_dispatch", "denoise._bm3d", "filters"),
        *("filters._median", "metrics._ssim", "noise._patches"),
    ],
)
def test_every_module_can_be_imported_first(private: str) -> None:
    assert heavy(modules_after(f"import imrestore.{private}")) == []


def test_import_takes_less_than_50_ms_beyond_numpy() -> None:
    code = "import numpy, time; t = time.perf_counter(); import imrestore; print(time.perf_counter() - t)"
    seconds = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(7)
    ]
    assert statistics.median(seconds) < 0.05
