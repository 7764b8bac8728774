"""Kernels from the cache and kernels compiled now, in one process: neither may end up in the other's code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
import numpy as np, scipy.ndimage
import imrestore
rng = np.random.default_rng(0)
for call in sys.argv[1:]:
    name, dtype, size = call.split(",")
    size = int(size)
    if np.dtype(dtype).kind == "f":
        image = rng.normal(size=(70, 90)).astype(dtype)
    else:
        info = np.iinfo(dtype)
        image = rng.integers(info.min, info.max, (70, 90), endpoint=True).astype(dtype)
    result = getattr(imrestore, name)(image, size)
    if name == "median":
        np.testing.assert_array_equal(result, scipy.ndimage.median_filter(image, size))
    else:
        exact = {"mean": scipy.ndimage.uniform_filter, "gaussian": scipy.ndimage.gaussian_filter}[name]
        np.testing.assert_allclose(result, exact(image.astype(float), size), atol=0.500001 if image.dtype.kind in "iu" else 1e-5)
"""

KINDS = {
    "mean": ["mean,int16,33", "mean,uint16,33", "mean,uint16,31", "mean,uint8,33"],
    "gaussian": ["gaussian,uint8,2", "gaussian,int8,2", "gaussian,float32,2"],
    "median": ["median,int16,9", "median,uint16,9", "median,float32,9"],
}


def run(cache: Path, *calls: str) -> None:
    environment = {**os.environ, "IMRESTORE_CACHE_DIR": str(cache)}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, *calls], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]


@pytest.mark.parametrize("name", list(KINDS))
def test_a_kernel_from_the_cache_and_its_likes_compiled_after_it(tmp_path: Path, name: str) -> None:
    """Numba numbers the functions of a process; the number is all that tells two closures of one name and signature apart.

    A kernel loaded from the cache keeps the numbers of the process that compiled it.
    """
    first, *others = KINDS[name]
    run(tmp_path, first)
    run(tmp_path, first, *others)
    run(tmp_path, *reversed(others), first)  # all from the cache, and each behind the ones it might be taken for
