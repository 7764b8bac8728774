"""Pixels covered by strokes, boxes and letters, on the CPU."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types

from imrestore_kernels import glyphs
from imrestore_kernels.cpu._elementary import floor, sqrt
from imrestore_kernels.cpu._jit import inline
from imrestore_kernels.cpu._job_rows import CHANNELS, DST, HEIGHT, SRC, WIDTH, A, Array, B, C, D, compile_job_rows, run_jobs
from imrestore_kernels.cpu._vector import allocator, data_address, larger, new_numbers, smaller
from imrestore_kernels.samples import Size

#: Numbers of one shape in the table: its kind and up to seven more.
SHAPE = 8
STROKE, BOX, GLYPH = range(3)
#: What is written where a pixel is covered.
FILL, NOTHING, MASK = range(3)
#: About what a value takes, in nanoseconds: most of it is looking at shapes.
_NANOSECONDS = 0.5
#: Rows that are covered together: every shape is looked at once for all of them.
BAND = 64


def shapes(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """Pixels covered by any shape become ``numbers[0]``, or with C = 1 a constant for each channel, table[D ..]; in place.

    Shapes are eight numbers each, B of them from table[A] on: the kind, then of a stroke (0) y0, x0, y1, x1 and the radius, within
    which of that segment pixels are covered; of a box (1) y0, y1, x0, x1, which covers y0 <= y < y1, x0 <= x < x1; of a glyph (2) y
    and x of its top left corner, the side of a dot, and its number in ``glyphs.CHARACTERS``. Pixels lie at whole numbers.
    """
    run_jobs(shapes_kernel(src.dtype), (src, dst, jobs, numbers, table), _NANOSECONDS, FILL)


def shapes_adjoint(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """The gradient, and 0 where a pixel is covered; in place."""
    run_jobs(shapes_kernel(src.dtype), (src, dst, jobs, numbers, table), _NANOSECONDS, NOTHING)


def mask(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """1 where `shapes` covers a pixel, and 0 elsewhere; in place."""
    run_jobs(shapes_kernel(src.dtype), (src, dst, jobs, numbers, table), _NANOSECONDS, MASK)


def _pieces(dtype: np.dtype[Any]) -> tuple[Any, Any, Any]:
    """Pieces that flag what a stroke, a box, a glyph covers of some rows, and widen the spans of columns where they do."""
    real = dtype.type
    zero, one, thousandth = real(0), real(1), real(1e-3)
    rows_of_dots, columns_of_dots = real(glyphs.ROWS), real(glyphs.COLUMNS)
    dots_across = glyphs.COLUMNS

    @inline
    def index_at(place: float, count: int) -> int:
        """The first whole number that is not below ``place``, kept within 0 .. count."""
        inside = int(-floor(-place)) if 0.0 < place < count else 0
        return count if place >= count else inside

    @inline
    def widen(spans: Any, row: int, first: int, last: int) -> None:
        if first < last:
            spans[2 * row], spans[2 * row + 1] = smaller(spans[2 * row], first), larger(spans[2 * row + 1], last)

    @inline
    def cover_stroke(table: Any, at: int, top: int, rows: int, width: int, flags: Any, spans: Any) -> None:
        """The pixels looked at are those of the segment's box, and of the band around its line where that is steep.

        Both are taken a pixel too wide, so that rounding decides nothing.
        """
        y0, x0, y1, x1, radius = table[at + 1], table[at + 2], table[at + 3], table[at + 4], table[at + 5]
        low, high = (y0, y1) if y0 < y1 else (y1, y0)
        left, right = (x0, x1) if x0 < x1 else (x1, x0)
        down, across, limit = y1 - y0, x1 - x0, radius * radius
        square = down * down + across * across
        share = one / square if square > zero else zero
        steep = abs(down) > thousandth * abs(across)
        slope = np.float64(across) / np.float64(down) if steep else 0.0
        reach = radius * sqrt(slope * slope + 1.0) + 1.0
        for row in range(index_at(low - radius - one - top, rows), index_at(high + radius + one - top, rows)):
            first, last = np.float64(left - radius) - 1.0, np.float64(right + radius) + 1.0
            if steep:
                middle = x0 + (top + row - np.float64(y0)) * slope
                first = middle - reach if middle - reach > first else first
                last = middle + reach if middle + reach < last else last
            start, stop = index_at(first, width), index_at(last, width)
            widen(spans, row, start, stop)
            dy = real(top + row) - y0
            along = dy * down
            line = flags[row * width + start : row * width + stop]  # from 0 on: Numba lets other indices be negative
            for x in range(stop - start):
                dx = real(start + x) - x0
                t = (dx * across + along) * share
                t = t if t > zero else zero
                t = t if t < one else one
                py, px = dy - t * down, dx - t * across
                line[x] |= py * py + px * px <= limit

    @inline
    def cover_box(table: Any, at: int, top: int, rows: int, width: int, flags: Any, spans: Any) -> None:
        start, stop = index_at(np.float64(table[at + 3]), width), index_at(np.float64(table[at + 4]), width)
        for row in range(index_at(np.float64(table[at + 1]) - top, rows), index_at(np.float64(table[at + 2]) - top, rows)):
            widen(spans, row, start, stop)
            line = flags[row * width + start : row * width + stop]
            for x in range(stop - start):
                line[x] = 1

    @inline
    def cover_glyph(table: Any, at: int, dots: Any, top: int, rows: int, width: int, flags: Any, spans: Any) -> None:
        """Rows and columns are looked at from one before the glyph to one behind it: which dot they see is a matter of rounding."""
        y, x, side = table[at + 1], table[at + 2], table[at + 3]
        start = index_at(np.float64(x) - 1.0, width)
        stop = index_at(x + columns_of_dots * np.float64(side) + 1.0, width)
        first = index_at(np.float64(y) - 1.0 - top, rows)
        for row in range(first, index_at(y + rows_of_dots * np.float64(side) + 1.0 - top, rows)):
            down = (real(top + row) - y) / side
            if not (down >= zero and down < rows_of_dots):
                continue
            bits = dots[int(table[at + 4])] >> (dots_across * int(down))
            widen(spans, row, start, stop)
            for column in range(start, stop):
                across = (real(column) - x) / side
                if across >= zero and across < columns_of_dots and (bits >> int(across)) & 1:
                    flags[row * width + column] = 1

    return cover_stroke, cover_box, cover_glyph


@cache
def shapes_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over rows of all channels: flags of a band of rows, shape by shape, then the pixels."""
    real = dtype.type
    zero, one = real(0), real(1)
    cover_stroke, cover_box, cover_glyph = _pieces(dtype)
    dots = np.array(glyphs.BITS, np.int64)
    new_flags = allocator(np.uint8)

    def rows(
        src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, number: int, what: int, row_start: int, row_stop: int
    ) -> None:
        job = jobs[number]
        channels, height, width = job[CHANNELS], job[HEIGHT], job[WIDTH]
        # Of an adjoint the result's gradient, at DST, is what comes in.
        come, go = (job[DST], job[SRC]) if what == NOTHING else (job[SRC], job[DST])
        same = data_address(src) == data_address(dst) and come == go
        flags, spans = new_flags(BAND * width), new_numbers(2 * BAND)
        for top in range(row_start, row_stop, BAND):
            count = smaller(BAND, row_stop - top)
            for x in range(count * width):
                flags[x] = 0
            for row in range(count):
                spans[2 * row], spans[2 * row + 1] = width, 0
            for at in range(job[A], job[A] + job[B] * SHAPE, SHAPE):
                if table[at] == STROKE:
                    cover_stroke(table, at, top, count, width, flags, spans)
                elif table[at] == BOX:
                    cover_box(table, at, top, count, width, flags, spans)
                else:
                    cover_glyph(table, at, dots, top, count, width, flags, spans)
            for c in range(channels):
                value = zero if what == NOTHING else real(numbers[number, 0]) if job[C] == 0 else table[job[D] + c]
                value = one if what == MASK else value
                for row in range(count):
                    at = (c * height + top + row) * width
                    to = dst[go + at : go + at + width]
                    if what == MASK:
                        for x in range(width):
                            to[x] = zero
                    elif not same:
                        pixels = src[come + at : come + at + width]
                        for x in range(width):
                            to[x] = pixels[x]
                    start, stop = spans[2 * row], spans[2 * row + 1]
                    if start < stop:
                        some, line = to[start:stop], flags[row * width + start : row * width + stop]
                        for x in range(stop - start):
                            old = some[x]
                            some[x] = value if line[x] else old

    return compile_job_rows(rows, "missing_shapes", dtype, types.intp)
