"""The CUDA kernels through NVIDIA's own compilers, without a driver: they compile and nothing spills."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda.bilateral import bilateral
from imrestore_kernels.cuda.gaussian import gaussian
from imrestore_kernels.cuda.mean import mean
from imrestore_kernels.cuda.median import median
from imrestore_kernels.cuda.nl_means import nl_means

from tests.cuda_on_cpu.toolchain import compile_ptx, nvrtc_path, ptxas_path, usage

pytestmark = [
    pytest.mark.skipif(nvrtc_path() is None, reason="NVRTC is not installed (nvidia-cuda-nvrtc-cu12)"),
    pytest.mark.skipif(ptxas_path() is None, reason="ptxas is not installed (nvidia-cuda-nvcc-cu12)"),
]

ARCHITECTURES = (75, 80, 90)


class Recorder:
    """A backend that runs nothing and keeps what it would have run."""

    def __init__(self) -> None:
        self.launches: dict[str, tuple[str, int, _launch.Dim3, _launch.Dim3]] = {}

    def launch(
        self,
        stem: str,
        function: str,
        grid: _launch.Dim3,
        block: _launch.Dim3,
        args: Sequence[Any],
        text: str,
        shared_bytes: int,
    ) -> None:
        self.launches[function] = (text, shared_bytes, grid, block)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        return np.empty(0, dtype)

    def upload(self, table: np.ndarray) -> np.ndarray:
        return table


def record(call: Callable[..., None], shape: tuple[int, ...], dtype: str, masked: bool, *args: Any) -> Recorder:
    image = np.empty(shape, dtype)
    recorder = Recorder()
    with _launch.use(recorder):
        call(image, image, *args, 0, 0, np.empty(shape, np.uint8) if masked else None)
    return recorder


def taps(radius: int) -> np.ndarray:
    return np.full(2 * radius + 1, 1 / (2 * radius + 1))


def bell(size: int) -> np.ndarray:
    weights = np.exp(-8 * ((np.arange(size) - size // 2) / (size - 1)) ** 2)
    return weights / weights.sum()


GREY, COLOUR, VOLUME = (1, 512, 512, 1), (1, 512, 512, 3), (1, 64, 64, 64, 1)

#: name -> (launcher, shape, masked, arguments before the mode)
CALLS: dict[str, tuple[Callable[..., None], tuple[int, ...], bool, tuple[Any, ...]]] = {
    "mean-3": (mean, GREY, False, ((3, 3),)),
    "mean-31": (mean, GREY, False, ((31, 31),)),
    "mean-9-where": (mean, GREY, True, ((9, 9),)),
    "mean-5-colour": (mean, COLOUR, False, ((5, 5),)),
    "mean-volume-where": (mean, VOLUME, True, ((3, 3, 3),)),
    "gaussian-r4": (gaussian, GREY, False, ([taps(4)] * 2,)),
    "gaussian-r8": (gaussian, GREY, False, ([taps(8)] * 2,)),
    "gaussian-r16-where": (gaussian, GREY, True, ([taps(16)] * 2,)),
    "gaussian-r32": (gaussian, GREY, False, ([taps(32)] * 2,)),
    "gaussian-r4-colour": (gaussian, COLOUR, False, ([taps(4)] * 2,)),
    "gaussian-volume": (gaussian, VOLUME, False, ([taps(4)] * 3,)),
    "gaussian-volume-where": (gaussian, VOLUME, True, ([taps(4)] * 3,)),
    "median-3": (median, GREY, False, ((3, 3), None, 4, 50.0)),
    "median-5": (median, GREY, False, ((5, 5), None, 12, 50.0)),
    "median-7": (median, GREY, False, ((7, 7), None, 24, 50.0)),
    "median-7-colour": (median, COLOUR, False, ((7, 7), None, 24, 50.0)),
    "median-15": (median, GREY, False, ((15, 15), None, 112, 50.0)),
    "median-101": (median, GREY, False, ((101, 101), None, 5100, 50.0)),
    "median-5-where": (median, GREY, True, ((5, 5), None, 12, 50.0)),
    "median-3x3x3": (median, VOLUME, False, ((3, 3, 3), None, 13, 50.0)),
    "median-32": (median, VOLUME, False, ((4, 4, 2), None, 16, 50.0)),
    "median-volume-where": (median, VOLUME, True, ((3, 3, 5), None, 22, 50.0)),
    "nl_means-7": (nl_means, GREY, False, (9.0, 5.0, [taps(3)] * 2, [10, 10])),
    "nl_means-7-tapered": (nl_means, GREY, False, (9.0, 5.0, [np.convolve(taps(1), taps(2))] * 2, [10, 10])),
    "nl_means-7-weights": (nl_means, GREY, False, (9.0, 5.0, [bell(7)] * 2, [10, 10])),
    "nl_means-7-sharp": (nl_means, GREY, False, (9.0, 0.1, [taps(3)] * 2, [10, 10])),
    "nl_means-7-colour": (nl_means, COLOUR, False, (9.0, 5.0, [taps(3)] * 2, [10, 10])),
    "nl_means-1": (nl_means, GREY, False, (9.0, 5.0, [np.ones(1)] * 2, [3, 3])),
    "nl_means-15-weights": (nl_means, GREY, False, (9.0, 5.0, [bell(15)] * 2, [7, 7])),
    "nl_means-volume-where": (nl_means, VOLUME, True, (9.0, 5.0, [taps(1)] * 3, [3, 3, 3])),
    "bilateral-r4": (bilateral, GREY, False, (30.0, (2.0, 2.0), (4, 4))),
    "bilateral-r4-colour": (bilateral, COLOUR, False, (30.0, (2.0, 2.0), (4, 4))),
    "bilateral-volume-where": (bilateral, VOLUME, True, (30.0, (2.0, 2.0, 2.0), (4, 4, 4))),
}

#: One call per kernel.
KERNELS = (
    "mean-3",
    "mean-volume-where",
    "gaussian-r8",
    "gaussian-volume-where",
    "median-7",
    "median-3x3x3",
    "median-15",
    "median-volume-where",
    "nl_means-7",
    "nl_means-volume-where",
    "bilateral-r4",
    "bilateral-volume-where",
)

# Every call for one dtype and architecture; every kernel for the other architectures and for the other kinds of dtypes.
TARGETS = [(name, "float32", 90) for name in CALLS]
TARGETS += [(name, "float32", 75) for name in KERNELS]  # 80 has all other dtypes
TARGETS += [(name, dtype, 80) for name in KERNELS for dtype in ("uint8", "int64", "float64", "float16")]


@pytest.mark.parametrize(("name", "dtype", "architecture"), TARGETS)
def test_compiles_without_spills(name: str, dtype: str, architecture: int) -> None:
    call, shape, masked, args = CALLS[name]
    for function, (text, shared_bytes, _, block) in record(call, shape, dtype, masked, *args).launches.items():
        needs = usage(text, architecture)[function]
        assert needs.spill_bytes == 0, f"{function}: {needs}"
        assert needs.registers * block[0] <= 65536, f"{function}: a block does not fit a multiprocessor"
        assert shared_bytes <= _launch.SHARED_WITHOUT_OPT_IN


@pytest.mark.parametrize("name", CALLS)
def test_grids_respect_the_hardware_limits(name: str) -> None:
    call, shape, masked, args = CALLS[name]
    long = np.broadcast_to(np.zeros((), np.uint8), (70_000, 40_000_000, *shape[2:]))  # no memory behind it
    recorder = Recorder()
    with _launch.use(recorder):
        call(long, long, *args, 0, 0, long if masked else None)
    for _, _, grid, block in recorder.launches.values():
        assert 1 <= grid[0] < 2**31
        assert 1 <= grid[1] <= 65535
        assert 1 <= grid[2] <= 65535
        assert block[0] <= 1024


def test_messages_name_our_files_and_lines() -> None:
    text = _launch.source("mean", {"T": "float"})  # ACC is missing
    with pytest.raises(AssertionError, match=r"separable\.cuh\(\d+\): error: identifier \"ACC\" is undefined"):
        compile_ptx(text, 80)
    marked = _launch.inline('#include "borders.cuh"\nthis is no C\n', "mine.cu")
    with pytest.raises(AssertionError, match=r"mine\.cu\(2\): error"):
        compile_ptx(marked, 80)
