"""Samples mixed with others, or covered, on the CPU."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types

from imrestore_kernels.cpu._jit import inline
from imrestore_kernels.cpu._job_rows import CHANNELS, DST, HEIGHT, SRC, WIDTH, A, Array, B, C, compile_job_rows
from imrestore_kernels.cpu._plane_sums import LANES, plane_sum
from imrestore_kernels.cpu._pool import run_rows
from imrestore_kernels.cpu._vector import allocator, smaller
from imrestore_kernels.samples import Size

#: Values of one "row" of the pool, and of a row copied aside: where source and result are one place LLVM would not use vectors.
BLOCK, CHUNK = 8192, 512
_NANOSECONDS = 0.3


def blend(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """lambda x + (1 - lambda) partner (mixup, Zhang et al. 2018): lambda is ``numbers[0]``, the partner begins at src[A]; in place.

    No partner may be a result of the same call.
    """
    _run_flat((src, dst, jobs, numbers, table), 0)


def blend_adjoint(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """Lambda times the gradient: the sample's own part; in place."""
    _run_flat((src, dst, jobs, numbers, table), 1)


def paste(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """A rectangle of the partner at src[A] (CutMix, Yun et al. 2019); in place.

    It goes from row ``numbers[0]`` to ``[1]`` and from column ``[2]`` to ``[3]``, the ends not covered. No partner may be a result
    of the same call.
    """
    _run_planes(paste_kernel(src.dtype), (src, dst, jobs, numbers, table), 0)


def paste_adjoint(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """The gradient, and 0 in the rectangle: the sample's own part; in place."""
    _run_planes(paste_kernel(src.dtype), (src, dst, jobs, numbers, table), 1)


def erase(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """Rectangles become ``numbers[0]``, or with C = 1 the mean of the sample's channel (cutout, DeVries and Taylor 2017); in place.

    There are B of them, each four numbers from table[A] on: from row, to row, from column, to column, the ends not covered.
    """
    _run_planes(erase_kernel(src.dtype), (src, dst, jobs, numbers, table))


def erase_adjoint(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """The gradient, and 0 in the rectangles; with C = 1 every pixel also has its share in the mean. In place."""
    _run_planes(erase_adjoint_kernel(src.dtype), (src, dst, jobs, numbers, table))


_Arrays = tuple[Array, Array, Array, Array, Array]


def _run_flat(arrays: _Arrays, adjoint: int) -> None:
    kernel = blend_kernel(arrays[0].dtype)
    for number, job in enumerate(arrays[2].tolist()):
        values = job[CHANNELS] * job[HEIGHT] * job[WIDTH]
        run_rows(kernel, (*arrays, number, adjoint), -(-values // BLOCK), _NANOSECONDS * values)


def _run_planes(kernel: Any, arrays: _Arrays, *extra: int) -> None:
    for number, job in enumerate(arrays[2].tolist()):
        run_rows(kernel, (*arrays, number, *extra), job[CHANNELS], _NANOSECONDS * job[CHANNELS] * job[HEIGHT] * job[WIDTH])


@cache
def blend_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over blocks of values."""
    real, new_row = dtype.type, allocator(dtype)

    def rows(
        src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, number: int, adjoint: int, row_start: int, row_stop: int
    ) -> None:
        job, own, rest = jobs[number], real(numbers[number, 0]), real(1.0 - numbers[number, 0])
        come, go = (job[DST], job[SRC]) if adjoint != 0 else (job[SRC], job[DST])
        row = new_row(CHUNK)
        stop = smaller(row_stop * BLOCK, job[CHANNELS] * job[HEIGHT] * job[WIDTH])
        for start in range(row_start * BLOCK, stop, CHUNK):
            count = smaller(CHUNK, stop - start)
            given, result = src[come + start : come + start + count], dst[go + start : go + start + count]
            if adjoint != 0:
                for i in range(count):
                    row[i] = own * given[i]
            else:
                partner = src[job[A] + start : job[A] + start + count]
                for i in range(count):
                    row[i] = own * given[i] + rest * partner[i]
            for i in range(count):
                result[i] = row[i]

    return compile_job_rows(rows, "blend", dtype, types.intp)


@inline
def cut(value: float, length: int) -> int:
    """A row or column, kept within 0 .. length."""
    value = value if value > 0.0 else 0.0
    return int(value) if value < length else length


@cache
def paste_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over channels."""

    def rows(
        src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, number: int, adjoint: int, row_start: int, row_stop: int
    ) -> None:
        job, box, height, width = jobs[number], numbers[number], jobs[number, HEIGHT], jobs[number, WIDTH]
        come, go = (job[DST], job[SRC]) if adjoint != 0 else (job[SRC], job[DST])
        top, bottom, left, right = cut(box[0], height), cut(box[1], height), cut(box[2], width), cut(box[3], width)
        for row in range(row_start * height, row_stop * height):
            given, result = src[come + row * width : come + (row + 1) * width], dst[go + row * width : go + (row + 1) * width]
            for x in range(width):
                result[x] = given[x]
            if top <= row % height < bottom:
                partner = src[job[A] + row * width : job[A] + (row + 1) * width]
                for x in range(left, right):
                    result[x] = 0 if adjoint != 0 else partner[x]

    return compile_job_rows(rows, "paste", dtype, types.intp)


@inline
def cover(flags: Any, y: int, height: int, width: int, table: Any, at: int, count: int) -> bool:
    """Which columns of row ``y`` are in a rectangle; whether any is."""
    some = False
    for x in range(width):
        flags[x] = 0
    for k in range(count):
        box = table[at + 4 * k : at + 4 * k + 4]
        left, right = cut(float(box[2]), width), cut(float(box[3]), width)
        if cut(float(box[0]), height) <= y < cut(float(box[1]), height) and left < right:
            some = True
            for x in range(left, right):
                flags[x] = 1
    return some


@cache
def erase_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over channels."""
    real, new_flags, new_numbers = dtype.type, allocator(np.uint8), allocator(np.float64)

    def rows(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, number: int, row_start: int, row_stop: int) -> None:
        job, fill = jobs[number], real(numbers[number, 0])
        height, width = job[HEIGHT], job[WIDTH]
        flags, lanes, blocks = new_flags(width), new_numbers(LANES), new_numbers(LANES)
        for i in range(LANES):
            lanes[i], blocks[i] = 0.0, 0.0
        for c in range(row_start, row_stop):
            at, to = job[SRC] + c * height * width, job[DST] + c * height * width
            if job[C] == 1:
                fill = real(plane_sum(src, at, height * width, lanes, blocks) / float(height * width))
            for y in range(height):
                some = cover(flags, y, height, width, table, job[A], job[B])
                given, result = src[at + y * width : at + (y + 1) * width], dst[to + y * width : to + (y + 1) * width]
                for x in range(width):
                    result[x] = given[x]
                if some:
                    for x in range(width):
                        result[x] = fill if flags[x] != 0 else result[x]

    return compile_job_rows(rows, "erase", dtype)


@cache
def erase_adjoint_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over channels."""
    real, new_values, new_flags, new_numbers = dtype.type, allocator(dtype), allocator(np.uint8), allocator(np.float64)
    nought = real(0)

    def rows(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, number: int, row_start: int, row_stop: int) -> None:
        job = jobs[number]
        height, width = job[HEIGHT], job[WIDTH]
        plane = height * width
        flags, lanes, blocks = new_flags(width), new_numbers(LANES), new_numbers(LANES)
        inside = new_values(plane if job[C] == 1 else 1)
        for i in range(LANES):
            lanes[i], blocks[i] = 0.0, 0.0
        for c in range(row_start, row_stop):
            come, go, share = job[DST] + c * plane, job[SRC] + c * plane, nought
            if job[C] == 1:
                for y in range(height):
                    cover(flags, y, height, width, table, job[A], job[B])
                    given, kept = src[come + y * width : come + (y + 1) * width], inside[y * width : (y + 1) * width]
                    for x in range(width):
                        kept[x] = given[x] if flags[x] != 0 else nought
                share = real(plane_sum(inside, 0, plane, lanes, blocks) / float(plane))
            for y in range(height):
                cover(flags, y, height, width, table, job[A], job[B])
                given, result = src[come + y * width : come + (y + 1) * width], dst[go + y * width : go + (y + 1) * width]
                for x in range(width):
                    result[x] = (nought if flags[x] != 0 else given[x]) + share

    return compile_job_rows(rows, "erase_adjoint", dtype)
