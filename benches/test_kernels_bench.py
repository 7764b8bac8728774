"""Single CPU kernels under pytest-benchmark, below the public functions and in one thread.

Collected only when named: ``make bench-kernels``, with

    BENCH='--benchmark-autosave'                                       to keep a run
    BENCH='--benchmark-compare --benchmark-compare-fail=median:10%'    to hold the next one against it
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from imrestore_kernels import borders
from imrestore_kernels.cpu import _thread_count
from imrestore_kernels.cpu.gaussian import gaussian
from imrestore_kernels.cpu.mean import mean
from imrestore_kernels.cpu.median import median
from numpy.typing import NDArray

from benches import expected
from benches.pictures import picture

SIDE = 1024
DTYPES = ("uint8", "uint16", "float32")
Kernel = Callable[[NDArray[Any], NDArray[Any]], None]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with _thread_count.override(1):
        yield


def run(benchmark: Any, dtype: str, kernel: Kernel, definition: Callable[[NDArray[Any]], expected.Expected]) -> None:
    """Check the kernel on the whole picture, then time it."""
    image = picture(dtype, SIDE)
    src = np.array(image).reshape(1, SIDE, SIDE, 1)
    dst = np.empty_like(src)
    kernel(src, dst)
    assert definition(image).matches(dst[0, :, :, 0])
    benchmark(kernel, src, dst)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [3, 9, 31])
def test_mean(benchmark: Any, size: int, dtype: str) -> None:
    def kernel(src: NDArray[Any], dst: NDArray[Any]) -> None:
        mean(src, dst, (size, size), borders.REFLECT, 0)

    run(benchmark, dtype, kernel, lambda image: expected.mean(image, size, "reflect"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sigma", [1, 2, 5])
def test_gaussian(benchmark: Any, sigma: float, dtype: str) -> None:
    radius = int(4 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights /= weights.sum()

    def kernel(src: NDArray[Any], dst: NDArray[Any]) -> None:
        gaussian(src, dst, (weights, weights), borders.REFLECT, 0)

    run(benchmark, dtype, kernel, lambda image: expected.gaussian(image, sigma, 4.0, "reflect"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [3, 5, 7, 11, 31])
def test_median(benchmark: Any, size: int, dtype: str) -> None:
    def kernel(src: NDArray[Any], dst: NDArray[Any]) -> None:
        median(src, dst, (size, size), None, size * size // 2, 50.0, borders.NEAREST, 0)

    run(benchmark, dtype, kernel, lambda image: expected.median(image, size, "nearest"))
