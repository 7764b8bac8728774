"""Kernels of whole-pixel moves: flips, turns, transpositions, crops and shifts."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from imrestore_kernels.borders import CONSTANT, MIRROR, NEAREST, REFLECT
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
    F,
    compile_job_rows,
)
from imrestore_kernels.cpu._planes import inside_index
from imrestore_kernels.cpu._vector import allocator, larger, smaller

#: Rows of a turned image made together: what they read of a source row is one cache line.
TILE = 16
_NEVER = 1 << 62
_NONE, _MANY = -_NEVER, 1 - _NEVER


@cache
def place_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over the rows of the result, of all channels."""
    real = dtype.type
    new_places = allocator(np.int64)

    @inline
    def put(
        src: Any, dst: Any, base: int, row: int, width: int, columns: Any, first: int, last: int, to: int, count: int, cval: Any
    ) -> None:
        """One row of the result from the source row that begins at ``base``; -1 is a row outside."""
        result = dst[to : to + count]
        if row < 0:
            for x in range(count):
                result[x] = cval
            return
        source = src[base + row * width : base + (row + 1) * width]
        for x in range(first):
            result[x] = source[columns[x]] if columns[x] >= 0 else cval
        inside = last - first
        if inside > 0:  # columns inside go up or down one by one
            begin, end = columns[first], columns[last - 1]
            some = result[first:last]
            if end >= begin:
                own = source[begin : end + 1]
                for x in range(inside):
                    some[x] = own[x]
            else:
                own = source[end : begin + 1]
                for x in range(inside):
                    some[x] = own[np.uint64(inside - 1 - x)]  # an index that may be negative is not made into vectors
        for x in range(last, count):
            result[x] = source[columns[x]] if columns[x] >= 0 else cval

    @inline
    def put_turned(src: Any, dst: Any, base: int, y: int, stop: int, places: Any, job: Any, to: int, cval: Any) -> None:
        """Some rows of the result, column by column; ``places`` are the beginnings of source rows."""
        count, width, mode = job[OUT_WIDTH], job[WIDTH], int(cval[0])
        for row in range(y, stop):
            column = inside_index(job[D] + job[E] * row, width, mode)
            if column < 0:
                for x in range(count):
                    dst[to + row * count + x] = real(cval[1])
        first = inside_index(job[D] + job[E] * y, width, mode)
        last = inside_index(job[D] + job[E] * (stop - 1), width, mode)
        if first >= 0 and last >= 0 and abs(last - first) == stop - 1 - y:
            least, many = smaller(first, last), stop - y
            block = dst[to + y * count : to + stop * count].reshape(many, count)
            for x in range(count):
                if places[x] < 0:
                    for row in range(many):
                        block[row, x] = cval[1]
                    continue
                own = src[base + places[x] + least : base + places[x] + least + many]
                if last >= first:
                    for row in range(many):
                        block[row, x] = own[row]
                else:
                    for row in range(many):
                        block[row, x] = own[np.uint64(many - 1 - row)]
        else:
            for row in range(y, stop):
                column = inside_index(job[D] + job[E] * row, width, mode)
                if column >= 0:
                    for x in range(count):
                        dst[to + row * count + x] = src[base + places[x] + column] if places[x] >= 0 else real(cval[1])

    def rows(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, number: int, row_start: int, row_stop: int) -> None:
        job, mode, cval = jobs[number], int(numbers[number, 0]), real(numbers[number, 1])
        height, width, count = job[HEIGHT], job[WIDTH], job[OUT_WIDTH]
        plane, out_plane = height * width, job[OUT_HEIGHT] * count
        turned = job[C] != 0
        places = new_places(count)
        first, last = count, 0
        for x in range(count):
            if turned:
                row = inside_index(job[A] + job[C] * x, height, mode)
                places[x] = row * width if row >= 0 else -1
            else:
                column = job[D] + job[F] * x
                places[x] = inside_index(column, width, mode)
                if 0 <= column < width:
                    first, last = smaller(first, x), x + 1
        first = smaller(first, last)
        for c in range(job[CHANNELS]):
            base, to = job[SRC] + c * plane, job[DST] + c * out_plane
            if turned:
                for y in range(row_start, row_stop, TILE):
                    put_turned(src, dst, base, y, smaller(y + TILE, row_stop), places, job, to, numbers[number])
            else:
                for y in range(row_start, row_stop):
                    row = inside_index(job[A] + job[B] * y, height, mode)
                    put(src, dst, base, row, width, places, first, last, to + y * count, count, cval)

    return compile_job_rows(rows, "place", dtype)


@inline
def sources(r: int, length: int, mode: int, least: int, most: int, found: Any, at: int) -> None:
    """The positions from ``least`` to ``most`` that the border rule takes to ``r``.

    Left behind are two progressions by their first members, which may lie beyond the last, and the last and the step of both.
    """
    first, second, step, last = _NEVER, _NEVER, _NEVER, most
    if mode == CONSTANT or (mode == NEAREST and 0 < r < length - 1):
        first = r if r >= least else _NEVER
    elif mode == NEAREST:
        first = least if r == 0 else larger(r, least)
        last = most if r == length - 1 else smaller(0, most)
        step = 1
    elif mode == REFLECT or (mode == MIRROR and length > 1):
        step = 2 * length if mode == REFLECT else 2 * length - 2
        other = step - 1 - r if mode == REFLECT else step - r
        first = least + (r - least) % step
        if mode == REFLECT or 0 < r < length - 1:
            second = least + (other - least) % step
    else:
        step = length
        first = least + (r - least) % step
    found[at], found[at + 1], found[at + 2], found[at + 3] = first, second, last, step


@inline
def single(found: Any, at: int) -> int:
    """The only position, if there is one: nearly every pixel went to one place."""
    first, second, last, step = found[at], found[at + 1], found[at + 2], found[at + 3]
    here, there = first <= last, second <= last
    if here and (there or first + step <= last):  # of two steps of the second the first one lies between
        return _MANY
    return first if here else second if there else _NONE


@cache
def place_adjoint_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over the rows of the image: each pixel adds up what came from it, first row to last, first column to last."""
    real = dtype.type
    new_places = allocator(np.int64)

    @inline
    def total(src: Any, begin: int, up: Any, row_step: int, across: Any, at: int, column_step: int) -> Any:
        result = real(0)
        for i in range(2):
            t = up[i]
            while t <= up[2]:
                for k in range(2):
                    s = across[at + k]
                    while s <= across[at + 2]:
                        result += src[begin + t * row_step + s * column_step]
                        s += across[at + 3]
                t += up[3]
        return result

    def rows(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, number: int, row_start: int, row_stop: int) -> None:
        job, mode = jobs[number], int(numbers[number, 0])
        height, width, out_height, out_width = job[HEIGHT], job[WIDTH], job[OUT_HEIGHT], job[OUT_WIDTH]
        turned = job[C] != 0
        row_sign, column_sign = (job[C], job[E]) if turned else (job[B], job[F])
        row_count, column_count = (out_width, out_height) if turned else (out_height, out_width)
        row_pitch, column_pitch = (1, out_width) if turned else (out_width, 1)
        up, across, lone = new_places(4), new_places(4 * width), new_places(width)
        row_end, column_end = job[A] + row_sign * (row_count - 1), job[D] + column_sign * (column_count - 1)
        for x in range(width):
            sources(x, width, mode, smaller(job[D], column_end), larger(job[D], column_end), across, 4 * x)
            lone[x] = single(across, 4 * x)
        row_step, column_step = row_sign * row_pitch, column_sign * column_pitch
        for y in range(row_start, row_stop):
            sources(y, height, mode, smaller(job[A], row_end), larger(job[A], row_end), up, 0)
            row = single(up, 0)
            for c in range(job[CHANNELS]):
                begin = job[DST] + c * out_height * out_width - job[A] * row_step - job[D] * column_step
                result = dst[job[SRC] + (c * height + y) * width : job[SRC] + (c * height + y + 1) * width]
                for x in range(width):
                    column = lone[x]
                    if row == _NONE or column == _NONE:
                        result[x] = 0
                    elif row == _MANY or column == _MANY:
                        result[x] = total(src, begin, up, row_step, across, 4 * x, column_step)
                    else:
                        result[x] = real(0) + src[begin + row * row_step + column * column_step]

    return compile_job_rows(rows, "place_adjoint", dtype)
