"""Kernels over tiles of the samples of a batch: grid, macros and launch."""

from __future__ import annotations

from typing import Any

import numpy as np

from imrestore_kernels.cuda._launch import grid, launch
from imrestore_kernels.cuda.separable import C_TYPES
from imrestore_kernels.samples import COLUMNS, Job, Size

#: Pixels along the side of a tile, and rows of threads: a thread has four pixels, one below the other.
TILE = 32
ROWS = 8

_COLUMNS = {f"JOB_{column.name}": int(column) for column in Job}

#: Threads of a block that takes whole rows.
THREADS = 128
#: Values of a thread, where their place does not matter.
VALUES = 4

_Arrays = tuple[Any, Any, Any, Any, Any]


def launch_tiles(stem: str, function: str, arrays: _Arrays, size: Size, *extra: Any, shared_bytes: int = 0, **defines: Any) -> None:
    """Run ``function`` of ``stem.cu`` on the tiles of every job; ``arrays`` are an operation's, ``extra`` goes behind them."""
    tiles = -(-size.height // TILE) * -(-size.width // TILE)
    macros = {**job_macros(arrays[0].dtype), "TILE": TILE, "ROWS": ROWS, **defines}
    args = [*arrays, np.int64(size.jobs), *extra]
    launch(stem, function, grid(tiles, size.jobs), (TILE, ROWS, 1), args, macros, shared_bytes)


def launch_rows(stem: str, function: str, arrays: _Arrays, size: Size, *extra: Any, shared_bytes: int = 0, **defines: Any) -> None:
    """Run ``function`` of ``stem.cu`` on the rows of every job."""
    macros = {**job_macros(arrays[0].dtype), "THREADS": THREADS, **defines}
    args = [*arrays, np.int64(size.jobs), *extra]
    launch(stem, function, grid(size.height, size.jobs), (THREADS, 1, 1), args, macros, shared_bytes)


def launch_chunks(stem: str, function: str, arrays: _Arrays, size: Size, *extra: Any, **defines: Any) -> None:
    """Run ``function`` of ``stem.cu`` on the values of every job, whatever their place."""
    chunks = -(-size.channels * size.height * size.width // (THREADS * VALUES))
    macros = {**job_macros(arrays[0].dtype), "THREADS": THREADS, **defines}
    args = [*arrays, np.int64(size.jobs), *extra]
    launch(stem, function, grid(chunks, size.jobs), (THREADS, 1, 1), args, macros)


def job_macros(dtype: np.dtype[Any]) -> dict[str, Any]:
    """What every kernel over jobs is told: the type of samples, and which column of a job is what."""
    return {"T": C_TYPES[dtype.name], "JOB_COLUMNS": COLUMNS, **_COLUMNS}
