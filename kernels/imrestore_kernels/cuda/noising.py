"""Noise and other damage of single pixels on CUDA: one launch for all samples, whatever their sizes and parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from imrestore_kernels.cuda._launch import empty, grid, launch
from imrestore_kernels.cuda.separable import C_TYPES, THREADS
from imrestore_kernels.samples import Job, Size

#: Values that a thread makes of one block of words.
_PER_BLOCK = 4


def _run(function: str, arrays: tuple[Any, ...], values: int, size: Size, *last: Any) -> None:
    """``arrays`` begin with an array of the samples' type; ``values`` are those of the largest sample, one for a thread."""
    blocks = grid(-(-values // THREADS), size.jobs)
    launch("noising", function, blocks, (THREADS, 1, 1), [*arrays, *last], {"T": C_TYPES[arrays[0].dtype.name]})


def _field(function: str, arrays: tuple[Any, ...], size: Size, *last: Any) -> None:
    """A launch with a thread for each block of the largest field, in whole groups."""
    values = size.channels * size.height * size.width
    _run(function, arrays, -(-values // 64) * 64 // _PER_BLOCK, size, *last)


def gaussian(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """x + noise of one standard deviation, or correlated between channels by a matrix in ``table``."""
    _normal((src, dst, jobs, numbers, table), size, False, (Job.SRC, Job.DST))


def speckle(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """x (1 + s n)."""
    _normal((src, dst, jobs, numbers, table), size, True, (Job.SRC, Job.DST))


def speckle_adjoint(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """The same factors, from the places of results to those of images."""
    _normal((src, dst, jobs, numbers, table), size, True, (Job.DST, Job.SRC))


def _normal(arrays: tuple[Any, ...], size: Size, factor: bool, columns: tuple[int, int]) -> None:
    last = (np.int64(size.jobs), np.int32(factor), *(np.int32(column) for column in columns))
    _field("normal_noise", arrays, size, *last)


def poisson(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """Shot noise of a gain, and read noise; of the pixels' grey if column A says so."""
    _field("poisson_noise", (src, dst, jobs, numbers), size, np.int64(size.jobs))


def impulse(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """Salt and pepper, or random values, in place of some values or of whole pixels (column B)."""
    _field("impulse_noise", (src, dst, jobs, numbers), size, np.int64(size.jobs))


def impulse_adjoint(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """0 where a value was replaced."""
    _field("impulse_adjoint", (src, dst, jobs, numbers), size, np.int64(size.jobs))


def lines(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """x + a normal number and a wave for each row, or column if A is 1; the same ones in all channels if B is 1."""
    room = size.channels * max(size.height, size.width)
    offsets = empty((size.jobs * room,), src.dtype)
    last = (np.int64(size.jobs), np.int64(room))
    _run("line_offsets", (offsets, jobs, numbers), room, size, *last)
    _run("add_lines", (src, dst, offsets, jobs, numbers), size.height * size.width, size, *last)


def _values(function: str, arrays: tuple[Any, ...], size: Size) -> None:
    _run(function, arrays, size.channels * size.height * size.width, size, np.int64(size.jobs))


def quantize(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """The nearest level low + k step."""
    _values("quantize", (src, dst, jobs, numbers), size)


def clip(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """Within two limits; NaN stays."""
    _values("clip", (src, dst, jobs, numbers), size)


def clip_gradient(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size, image: Any) -> None:
    """The gradient where the image, which lies like the result, was within the limits; else 0."""
    _values("clip_gradient", (src, dst, jobs, numbers, image), size)
