"""Convolution on CUDA: one launch, and two for the transpose."""

from __future__ import annotations

from typing import Any

import numpy as np

from imrestore_kernels.cuda._job_tiles import job_macros
from imrestore_kernels.cuda._launch import Dim3, empty, grid, launch
from imrestore_kernels.samples import Size

#: Bytes of shared memory, which a window of 127 columns just fits.
SHARED_BYTES = 32 * 1024

#: The largest window.
MOST = 127

#: Threads of a block, a square, and columns of results that each of them has.
SIDE, GROUP = 8, 8

_FOLD_THREADS = 256


def convolve(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """As `cpu.blurring.convolve`."""
    blocks = _blocks(src.dtype, size.jobs, size.channels, size.height, size.width)
    args = [src, dst, jobs, numbers, table, np.int64(size.jobs)]
    launch("blurring", "convolve", blocks, (SIDE, SIDE, 1), args, _macros(src), SHARED_BYTES)


def convolve_adjoint(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """As `cpu.blurring.convolve_adjoint`: the gradients of the extended samples, then those of the samples."""
    height, width = size.height + MOST - 1, size.width + MOST - 1
    slot = size.channels * height * width
    extended = empty((size.jobs * slot,), src.dtype)
    blocks = _blocks(src.dtype, size.jobs, size.channels, height, width)
    count = np.int64(size.jobs)
    args = [src, extended, jobs, numbers, table, count, np.int64(slot)]
    launch("blurring", "convolve_extended", blocks, (SIDE, SIDE, 1), args, _macros(src), SHARED_BYTES)
    pixels = size.channels * size.height * size.width
    args = [extended, dst, jobs, count, np.int64(slot)]
    launch("blurring", "convolve_fold", grid(-(-pixels // _FOLD_THREADS), size.jobs), (_FOLD_THREADS, 1, 1), args, _macros(src))


def _lines(dtype: np.dtype[Any]) -> int:
    """Rows of results of a thread: numbers of twice the size are half as many."""
    return 16 // dtype.itemsize


def _macros(src: Any) -> dict[str, object]:
    return {**job_macros(src.dtype), "LINES": _lines(src.dtype), "SHARED_VALUES": SHARED_BYTES // src.dtype.itemsize}


def _blocks(dtype: np.dtype[Any], jobs: int, channels: int, height: int, width: int) -> Dim3:
    return grid(-(-height // (SIDE * _lines(dtype))) * -(-width // (SIDE * GROUP)) * channels, jobs)
