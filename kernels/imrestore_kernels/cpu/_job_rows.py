"""Kernels over the rows of one sample after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from imrestore_kernels.cpu._jit import compile_rows
from imrestore_kernels.cpu._pool import run_rows
from imrestore_kernels.samples import Job

Array = np.ndarray[Any, Any]

#: Columns of the jobs, as plain numbers for kernels, and for NumPy, which takes three times as long to index with a member.
SRC, DST, CHANNELS, HEIGHT, WIDTH, OUT_HEIGHT, OUT_WIDTH, SEED, INDEX, STREAM, A, B, C, D, E, F = map(int, Job)


def compile_job_rows(function: Any, name: str, dtype: np.dtype[Any], *extra: Any) -> Any:
    """Compile ``function(src, dst, jobs, numbers, table, job, *extra, row_start, row_stop)`` for samples of a dtype."""
    value = from_dtype(dtype)
    kinds = [types.Array(kind, n, "C", readonly=True) for kind, n in ((types.int64, 2), (types.float64, 2), (value, 1))]
    src = types.Array(value, 1, "C", readonly=True)
    return compile_rows(
        function, f"{name}_{dtype.name}", src, value[::1], *kinds, types.intp, *extra, types.intp, types.intp
    )


def run_jobs(kernel: Any, arrays: tuple[Array, Array, Array, Array, Array], nanoseconds: float, *extra: Any) -> None:
    """Do all rows of every job; ``nanoseconds`` is about what a value takes, and ``arrays`` are those of an operation."""
    for number, job in enumerate(arrays[2].tolist()):
        values = job[CHANNELS] * job[HEIGHT] * job[WIDTH]
        run_rows(kernel, (*arrays, number, *extra), job[HEIGHT], nanoseconds * values)
