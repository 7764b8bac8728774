"""Contrast, a matrix over the channels, limits and the way to the caller's pixels in one pass over an image of three channels.

Each on its own reads and writes all planes again, which do not fit in the nearest caches. Brightness, contrast, saturation, hue and
limits of 256x256x3 take 0.19 ms in one pass and 0.22 one after the other for bytes, 0.26 and 0.34 for float32 (medians of one run).
Every value goes through the same operations in the same order, so that the bits are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from imrestore_kernels.cpu._interleave import rows_of, saturated
from imrestore_kernels.cpu._jit import compile_rows
from imrestore_kernels.cpu._job_rows import SRC, A, Array
from imrestore_kernels.cpu._pool import run_rows
from imrestore_kernels.cpu._vector import allocator, smaller
from imrestore_kernels.cpu.colours import mean_grey, mix_three
from imrestore_kernels.samples import Size, Work

CHANNELS = 3
#: Pixels that are worked on at once: they and what becomes of them stay in the nearest cache.
CHUNK = 512
#: Types of pixels that are written in the same pass.
WRITTEN = frozenset(map(np.dtype, ("uint8", "float32")))
_COST = 0.5


class Told(IntEnum):
    """What the kernel is told, float64."""

    CONTRAST = 0  # 1 if there is one, else 0; so for the two others
    FACTOR = 1
    PIVOT = 2
    MATRIX = 3
    WEIGHTS = 4  # 12 of them
    LIMITS = 16
    LOW = 17
    HIGH = 18


_CONTRAST, _FACTOR, _PIVOT, _MATRIX, _WEIGHTS, _LIMITS, _LOW, _HIGH = map(int, Told)
_NAMES = (("colours", "contrast"), ("colours", "matrix"), ("noising", "clip"))


def joined(parts: Sequence[Any], start: int) -> int:
    """How many of the operations from ``start`` on are one pass: at most one of each kind, in this order."""
    at = 0
    for count, part in enumerate(parts[start : start + len(_NAMES)]):
        name = (part.work.stem, part.work.name)
        if name not in _NAMES[at:] or part.size.channels != CHANNELS:
            return count
        at = _NAMES.index(name) + 1
    return len(parts[start : start + len(_NAMES)])


def run(parts: Sequence[Any], memory: Array, start: int, table: Array, result: Array | None) -> bool:
    """Do these operations to planes of float32 at a place in memory, or write what becomes of them to a picture.

    False if the picture is not of a kind that is written.
    """
    rows = None if result is None else rows_of(result)
    if result is not None and (rows is None or result.dtype not in WRITTEN):
        return False
    size: Size = parts[0].size
    told = np.zeros(max(Told) + 1)
    planes = memory[start : start + CHANNELS * size.height * size.width]
    for part in parts:
        work: Work = part.work
        if work.name == "contrast":
            told[_CONTRAST], told[_FACTOR] = 1, part.numbers[0, 0]
            part.jobs[0, SRC] = start
            told[_PIVOT] = mean_grey((memory, memory, part.jobs, part.numbers, table), 0)
        elif work.name == "matrix":
            at = int(part.jobs[0, A])
            told[_MATRIX], told[_WEIGHTS:_LIMITS] = 1, table[at : at + 12]
        else:
            told[_LIMITS], told[_LOW : _HIGH + 1] = 1, part.numbers[0, :2]
    planes = planes.reshape(CHANNELS, size.height, size.width)
    kernel = colour_kernel(None if result is None else result.dtype)
    run_rows(kernel, (planes, planes if rows is None else rows, told), size.height, _COST * planes.size)
    return True


@cache
def colour_kernel(dtype: np.dtype[Any] | None) -> Any:
    """Kernel over rows of planes, in place, or to rows of pixels of a type."""
    real = np.float32
    new_row = allocator(np.float32)
    written, whole = dtype is not None, dtype is not None and dtype.kind != "f"
    to = np.float32 if dtype is None else dtype.type
    limits = np.iinfo(dtype) if whole else np.iinfo(np.uint8)
    least, most = real(limits.min), real(limits.max)

    def rows(src: Any, dst: Any, told: Any, row_start: int, row_stop: int) -> None:
        width = src.shape[2]
        values = new_row(2 * CHANNELS * CHUNK).reshape(2, CHANNELS, CHUNK)
        factor, pivot, low, high = real(told[_FACTOR]), real(told[_PIVOT]), real(told[_LOW]), real(told[_HIGH])
        for y in range(row_start, row_stop):
            for start in range(0, width, CHUNK):
                count, side = smaller(CHUNK, width - start), 0
                for c in range(CHANNELS):
                    row, own = values[0, c], src[c, y, start : start + count]
                    if told[_CONTRAST] != 0.0:
                        for i in range(count):
                            row[i] = pivot + factor * (own[i] - pivot)
                    else:
                        for i in range(count):
                            row[i] = own[i]
                if told[_MATRIX] != 0.0:
                    side = 1
                    for c in range(CHANNELS):
                        at = _WEIGHTS + 4 * c
                        m0, m1, m2, last = real(told[at]), real(told[at + 1]), real(told[at + 2]), real(told[at + 3])
                        mix_three(values[1, c], values[0, 0], values[0, 1], values[0, 2], m0, m1, m2, last, count)
                if told[_LIMITS] != 0.0:
                    for c in range(CHANNELS):
                        row = values[side, c]
                        for i in range(count):
                            raised = low if row[i] < low else row[i]
                            row[i] = high if raised > high else raised
                if not written:
                    for c in range(CHANNELS):
                        row, own = values[side, c], dst[c, y, start : start + count]
                        for i in range(count):
                            own[i] = row[i]
                    continue
                one = values[side]
                picture = dst[y, CHANNELS * start : CHANNELS * (start + count)]
                for i in range(count):
                    for c in range(CHANNELS):
                        if whole:
                            picture[CHANNELS * i + c] = to(np.int32(saturated(one[c, i], least, most)))
                        else:
                            picture[CHANNELS * i + c] = one[c, i]
        values[0, 0, 0] = 0.0  # freed after its last use

    planes = from_dtype(np.dtype(real))[:, :, ::1]
    target = planes if dtype is None else types.Array(from_dtype(dtype), 2, "C")
    told = types.Array(types.float64, 1, "C", readonly=True)
    return compile_rows(rows, f"colours_{dtype or 'planes'}", planes, target, told, *[types.intp] * 2)
