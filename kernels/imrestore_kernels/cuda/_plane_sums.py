"""Sums over the planes of samples, for kernels that include ``plane_sums.cuh``."""

from __future__ import annotations

from typing import Any

import numpy as np

from imrestore_kernels.cuda._job_tiles import THREADS, launch_rows
from imrestore_kernels.cuda._launch import empty
from imrestore_kernels.samples import Size

_BLOCK = THREADS * 64  # values that are summed together, as in plane_sums.cuh

_Arrays = tuple[Any, Any, Any, Any, Any]


def add_planes(stem: str, function: str, arrays: _Arrays, size: Size, **defines: Any) -> tuple[tuple[Any, ...], int]:
    """Launch ``function``, which makes the sums of all blocks of values.

    Returns the arguments by which kernels find them, and the bytes of shared memory to add them up.
    """
    room = -(-size.height * size.width // _BLOCK)
    sums = empty((size.jobs * size.channels * room,), np.float64)
    extra, shared_bytes = (sums, np.int64(size.channels), np.int64(room)), 8 * THREADS
    parts = size._replace(height=size.channels * room)  # a block for each
    launch_rows(stem, function, arrays, parts, *extra, shared_bytes=shared_bytes, **defines)
    return extra, shared_bytes
