"""Adjoint of warped images: every sample of the gradient is shared out to the neighbours that it was made from.

Which pixels of the result look at a pixel of the image no formula says, so values are added where they belong, in 64-bit whole
numbers: their sum does not depend on the order, and threads of a GPU add at will. The unit is a power of two, at most 2**-58 n
times the largest absolute value of a channel's gradient, where n is the number of the result's pixels (2**-42 for 256 x 256).
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from imrestore_kernels.cpu._jit import inline
from imrestore_kernels.cpu._job_rows import DST, HEIGHT, OUT_HEIGHT, OUT_WIDTH, SRC, WIDTH, A, B, C, D, E, compile_job_rows
from imrestore_kernels.cpu._planes import inside_index
from imrestore_kernels.cpu._sampling import BLOCK, rounded
from imrestore_kernels.cpu._splines import spline_pieces
from imrestore_kernels.cpu._vector import allocator, data_address, smaller
from imrestore_kernels.cpu._warp_block import BEFORE, BICUBIC, BILINEAR, NEAREST, TAPS, locate_block
from imrestore_kernels.cpu._warp_rows import REALS, WHOLES, describe_job, project_row

#: Bits for a sum of absolute values, of which no more than twice the largest one comes from each pixel of the result.
BITS = 60
#: Powers of two stay normal numbers, and so does their inverse.
LARGEST_EXPONENT = 1000


@inline
def unit_exponent(largest: float, pixels: int) -> int:
    """The power of two that values are multiplied by before they are rounded."""
    exponent = BITS - (math.frexp(largest)[1] if largest >= 2.0**-1022 else -1022)
    while pixels > 0:
        pixels >>= 1
        exponent -= 1
    return exponent if exponent < LARGEST_EXPONENT else LARGEST_EXPONENT


@cache
def warp_adjoint_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over the channels of the image."""
    item, real = dtype.itemsize, dtype.type
    prepare, displace_row = spline_pieces(dtype)
    new_numbers, new_values, new_places = map(allocator, (np.float64, dtype, np.int64))
    nearest, bilinear, bicubic = (locate_block(dtype, interpolation) for interpolation in (NEAREST, BILINEAR, BICUBIC))

    @inline
    def weigh(weights: Any, first: int, taps: int, shares: Any) -> None:
        """Shares of the neighbours of a block of pixels, in float64."""
        for k in range(taps):
            own, result = weights[first + k], shares[k]
            for i in range(BLOCK):
                result[i] = float(own[i]) if taps > 1 else 1.0
        if taps == 2:
            left, right = shares[0], shares[1]
            own = weights[first]
            for i in range(BLOCK):
                left[i], right[i] = 1.0 - float(own[i]), float(own[i])

    @inline
    def share_out(
        values: Any, job: Any, columns: Any, rows: Any, along: Any, down: Any, found: Any, sums: Any, scale: float
    ) -> None:
        """Some values, each to its neighbours. One call for a block: a call hands over some dozens of numbers."""
        taps, before, width, height, mode = TAPS[job[D]], BEFORE[job[D]], job[WIDTH], job[HEIGHT], job[E]
        for i in range(values.size):
            value = float(values[i]) * scale
            column, row = columns[i] - before, rows[i] - before
            if 0 <= column <= width - taps and 0 <= row <= height - taps:
                for n in range(taps):
                    start = (row + n) * width + column
                    for k in range(taps):
                        at = np.uint64(start + k)  # an index that may be negative takes longer
                        sums[at] += np.int64(rounded(down[n, i] * along[k, i] * value))
                continue
            for k in range(taps):
                found[k] = inside_index(column + k, width, mode)
            for n in range(taps):
                line = inside_index(row + n, height, mode)
                for k in range(taps):
                    if line >= 0 and found[k] >= 0:
                        sums[line * width + found[k]] += np.int64(rounded(down[n, i] * along[k, i] * value))

    @inline
    def largest_of(src: Any, start: int, count: int) -> float:
        """The largest absolute value; infinite if there is a NaN."""
        largest, good = real(0), True
        own = src[start : start + count]
        for i in range(count):
            value = abs(own[i])
            largest = value if value > largest else largest
            good = good and value == value
        return float(largest) if good else np.inf

    def rows(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, number: int, row_start: int, row_stop: int) -> None:
        job, splined = jobs[number], jobs[number, A] >= 0
        width, height, plane = job[OUT_WIDTH], job[OUT_HEIGHT], job[HEIGHT] * job[WIDTH]
        reals, wholes = new_numbers(REALS), new_places(WHOLES)
        count = width + BLOCK if splined else 1
        firsts, bases = new_places(count), new_values(4 * count).reshape(4, count)
        knots, shifts = new_values(2 * job[C] if splined else 1), new_values(2 * count).reshape(2, count)
        weights, columns, lines = new_values(8 * BLOCK).reshape(8, BLOCK), new_places(BLOCK), new_places(BLOCK)
        found, sums = new_places(4), new_places(plane)
        along, down = new_numbers(4 * BLOCK).reshape(4, BLOCK), new_numbers(4 * BLOCK).reshape(4, BLOCK)
        describe_job(job, numbers[number], item, count, reals, wholes)
        for i in range(count):
            shifts[0, i], shifts[1, i] = 0.0, 0.0
        if splined:
            prepare(firsts, bases, width, job[C])
        for c in range(row_start, row_stop):
            begin, to = job[DST] + c * width * height, job[SRC] + c * plane
            largest = largest_of(src, begin, width * height)
            if not largest < np.inf:
                dst[to : to + plane] = np.nan
                continue
            exponent = unit_exponent(largest, width * height)
            scale, unit = math.ldexp(1.0, exponent), math.ldexp(1.0, -exponent)
            for i in range(plane):
                sums[i] = 0
            result = dst[to : to + plane]
            for y in range(height):
                project_row(y, numbers[number], reals)
                if splined:
                    displace_row(y, height, width, job[B], job[C], table, job[A], firsts, bases, knots, shifts)
                for x in range(0, width, BLOCK):
                    shifts_at = data_address(shifts) + item * x if splined else 0
                    numbers_at, wholes_at, weights_at = data_address(reals), data_address(wholes), data_address(weights)
                    if job[D] == NEAREST:
                        nearest(x, numbers_at, wholes_at, shifts_at, data_address(columns), data_address(lines), weights_at)
                    elif job[D] == BILINEAR:
                        bilinear(x, numbers_at, wholes_at, shifts_at, data_address(columns), data_address(lines), weights_at)
                    else:
                        bicubic(x, numbers_at, wholes_at, shifts_at, data_address(columns), data_address(lines), weights_at)
                    weigh(weights, 0, TAPS[job[D]], along)
                    weigh(weights, 4, TAPS[job[D]], down)
                    start = begin + y * width + x
                    share_out(
                        src[start : start + smaller(BLOCK, width - x)], job, columns, lines, along, down, found, sums, scale
                    )  # fmt: skip
            for i in range(plane):
                result[i] = real(float(sums[i]) * unit)
        reals[0], wholes[0], shifts[0, 0] = 0.0, 0, 0.0  # freed after their last use
        weights[0, 0], columns[0], lines[0] = 0.0, 0, 0

    return compile_job_rows(rows, "warp_adjoint", dtype)
