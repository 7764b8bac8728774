"""Kernels of warped images: row by row, in blocks of pixels."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from imrestore_kernels.borders import CONSTANT, MIRROR, REFLECT, WRAP
from imrestore_kernels.cpu._jit import inline
from imrestore_kernels.cpu._job_rows import (
    CHANNELS,
    DST,
    HEIGHT,
    OUT_HEIGHT,
    OUT_WIDTH,
    SRC,
    WIDTH,
    A,
    B,
    C,
    D,
    E,
    compile_job_rows,
)
from imrestore_kernels.cpu._sampling import BLOCK, fused
from imrestore_kernels.cpu._splines import spline_pieces
from imrestore_kernels.cpu._vector import allocator, data_address, larger, smaller
from imrestore_kernels.cpu._warp_block import BICUBIC, BILINEAR, NEAREST, Real, Whole, warp_block

_COLUMNS, _ROWS, _WIDTH, _OUTSIDE = map(int, (Real.COLUMNS, Real.ROWS, Real.WIDTH, Real.OUTSIDE))
_OUT_PLANE, _PROJECTIVE, _ROOMY = map(int, (Whole.OUT_PLANE, Whole.PROJECTIVE, Whole.ROOMY))
REALS, WHOLES = max(Real) + 1, max(Whole) + 1
_FAR = 2.0**40  # beyond all coordinates; multiples of it are exact


@inline
def border_rule(length: int, mode: int, numbers: Any, at: int) -> None:
    """The four numbers of `_warp_block.Real` that make its formula this border rule."""
    n = float(length)
    periodic = mode in (WRAP, REFLECT, MIRROR)
    numbers[at] = -_FAR if periodic else 0.0
    numbers[at + 1] = _FAR if periodic else n - 1.0
    if mode == WRAP:
        numbers[at + 2], numbers[at + 3] = n, _FAR
    elif mode == REFLECT:
        numbers[at + 2], numbers[at + 3] = 2.0 * n, 2.0 * n - 1.0
    elif mode == MIRROR and length > 1:
        numbers[at + 2], numbers[at + 3] = 2.0 * n - 2.0, 2.0 * n - 2.0
    else:
        numbers[at + 2], numbers[at + 3] = 1.0 if mode == MIRROR else _FAR, _FAR


@inline
def describe_job(job: Any, numbers: Any, size: int, shifted: int, reals: Any, wholes: Any) -> None:
    """What `_warp_block` wants to know of a job; samples have ``size`` bytes."""
    wholes[0], wholes[1], wholes[2] = job[CHANNELS], job[WIDTH], job[HEIGHT]
    wholes[3], wholes[4] = size * job[WIDTH], size * job[WIDTH] * job[HEIGHT]
    wholes[5], wholes[7] = size * job[OUT_WIDTH] * job[OUT_HEIGHT], job[E] == CONSTANT
    wholes[6] = numbers[6] != 0.0 or numbers[7] != 0.0 or numbers[8] != 1.0
    wholes[8], wholes[9] = size * shifted, job[OUT_WIDTH] >= BLOCK
    border_rule(job[WIDTH], job[E], reals, _COLUMNS)
    border_rule(job[HEIGHT], job[E], reals, _ROWS)
    reals[_WIDTH], reals[_OUTSIDE] = float(job[WIDTH]), numbers[9]


@inline
def project_row(y: int, numbers: Any, reals: Any) -> None:
    """The six factors of row ``y``, from the homography in the first nine numbers."""
    for k in range(3):
        reals[2 * k] = numbers[3 * k]
        reals[2 * k + 1] = fused(numbers[3 * k + 1], float(y), numbers[3 * k + 2])


@cache
def warp_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over the rows of the result; one for all interpolations, since most of its compile time is what they share."""
    item = dtype.itemsize
    prepare, displace_row = spline_pieces(dtype)
    new_numbers, new_values, new_places = map(allocator, (np.float64, dtype, np.int64))
    nearest, bilinear, bicubic = (warp_block(dtype, interpolation) for interpolation in (NEAREST, BILINEAR, BICUBIC))

    def rows(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, number: int, row_start: int, row_stop: int) -> None:
        job, splined = jobs[number], jobs[number, A] >= 0
        width, channels, out_plane = job[OUT_WIDTH], job[CHANNELS], job[OUT_HEIGHT] * job[OUT_WIDTH]
        reals, wholes = new_numbers(REALS), new_places(WHOLES)
        count = larger(width, BLOCK) if splined else 1
        firsts, bases = new_places(count), new_values(4 * count).reshape(4, count)
        sums, shifts = new_values(2 * job[C] if splined else 1), new_values(2 * count).reshape(2, count)
        describe_job(job, numbers[number], item, count, reals, wholes)
        narrow = new_values(channels * BLOCK if width < BLOCK else 1)
        if splined:
            prepare(firsts, bases, width, job[C])
            for i in range(count):  # lanes behind the last column
                shifts[0, i], shifts[1, i] = 0.0, 0.0
        if width < BLOCK:
            wholes[_OUT_PLANE] = item * BLOCK
        for y in range(row_start, row_stop):
            project_row(y, numbers[number], reals)
            if splined:
                displace_row(y, job[OUT_HEIGHT], width, job[B], job[C], table, job[A], firsts, bases, sums, shifts)
            to = job[DST] + y * width
            for start in range(0, width, BLOCK):
                x = larger(smaller(start, width - BLOCK), 0)
                shifts_at = data_address(shifts) + item * x if splined else 0
                there = data_address(narrow) if width < BLOCK else data_address(dst) + item * (to + x)
                here, numbers_at, wholes_at = data_address(src) + item * job[SRC], data_address(reals), data_address(wholes)
                if job[D] == NEAREST:
                    nearest(x, numbers_at, wholes_at, shifts_at, here, there)
                elif job[D] == BILINEAR:
                    bilinear(x, numbers_at, wholes_at, shifts_at, here, there)
                else:
                    bicubic(x, numbers_at, wholes_at, shifts_at, here, there)
            if width < BLOCK:
                for c in range(channels):
                    for i in range(width):
                        dst[to + c * out_plane + i] = narrow[c * BLOCK + i]
        reals[0], wholes[0], shifts[0, 0], narrow[0] = 0.0, 0, 0.0, 0.0  # freed after their last use

    return compile_job_rows(rows, "warp", dtype)
