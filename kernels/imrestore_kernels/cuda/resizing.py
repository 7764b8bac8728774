"""Resampling on CUDA: the sums of the weights, then one launch for each axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from imrestore_kernels.cuda._job_tiles import job_macros
from imrestore_kernels.cuda._launch import empty, grid, launch
from imrestore_kernels.samples import Size

THREADS = 256

#: Most results along the axis in a tile, and weights of each that are in shared memory at a time.
OUTS, CHUNK = 32, 32


def resample(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """As `cpu.resizing.resample`."""
    _passes("resample", src, dst, jobs, numbers, size)


def resample_adjoint(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """As `cpu.resizing.resample_adjoint`."""
    _passes("resample_adjoint", src, dst, jobs, numbers, size)


def _passes(function: str, src: Any, dst: Any, jobs: Any, numbers: Any, size: Size) -> None:
    macros = {**job_macros(src.dtype), "OUTS": OUTS, "CHUNK": CHUNK}
    shared_bytes = OUTS * (12 + CHUNK * src.dtype.itemsize)
    slot = max(size.out_height, size.out_width)
    totals = empty((2 * size.jobs * slot,), np.float64)
    count = np.int64(size.jobs)
    blocks = grid(-(-slot // THREADS), 2 * size.jobs)
    launch("resizing", "resample_totals", blocks, (THREADS, 1, 1), [jobs, numbers, count, totals, np.int64(slot)], macros)
    between_slot = size.channels * max(size.out_height * size.width, size.height * size.out_width)
    between = empty((size.jobs * between_slot,), src.dtype)
    height, width = max(size.height, size.out_height), max(size.width, size.out_width)
    blocks = grid(max(-(-height // 8) * -(-width // 128), -(-height // 32) * -(-width // 32)) * size.channels, size.jobs)
    for second in (0, 1):
        args = [src, dst, between, totals, jobs, numbers, count, np.int64(slot), np.int64(between_slot), np.int32(second)]
        launch("resizing", function, blocks, (THREADS, 1, 1), args, macros, shared_bytes)
