"""Colours of samples on the CPU: matrices over the channels, and contrast about the mean."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types

from imrestore_kernels.cpu._jit import inline
from imrestore_kernels.cpu._job_rows import CHANNELS, DST, HEIGHT, SRC, WIDTH, A, Array, compile_job_rows
from imrestore_kernels.cpu._plane_sums import LANES, plane_sum
from imrestore_kernels.cpu._pool import run_rows
from imrestore_kernels.cpu._sampling import fused
from imrestore_kernels.cpu._vector import allocator, smaller
from imrestore_kernels.samples import Size

#: Pixels of one "row" of the pool, and of those worked on at once: all channels are read before one is written.
BLOCK, CHUNK = 4096, 256
#: Weights of red, green and blue in grey (ITU-R BT.601).
GREY = (0.299, 0.587, 0.114)
_SUM, _MATRIX, _CONTRAST = 0.4, 1.0, 0.3

_Arrays = tuple[Array, Array, Array, Array, Array]


def matrix(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """Channel c becomes the sum of M[c, k] x_k and M[c, C], with the C x (C + 1) matrix M at table[A ..]; in place.

    The constant first, then the channels in order, each product and sum rounded together. A channel with a weight of 0 is left out,
    whatever is in it.
    """
    _run_matrix((src, dst, jobs, numbers, table), 0)


def matrix_adjoint(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """Channel k of the gradient is the sum of M[c, k] g_c; in place."""
    _run_matrix((src, dst, jobs, numbers, table), 1)


def contrast(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """m + f (x - m) with f = ``numbers[0]`` and m the mean grey: of three channels by `GREY`, of others their mean; in place."""
    _run_contrast((src, dst, jobs, numbers, table), 0)


def contrast_adjoint(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """f g and the channel's share in (1 - f) times the sum of all g; in place."""
    _run_contrast((src, dst, jobs, numbers, table), 1)


def _run_matrix(arrays: _Arrays, adjoint: int) -> None:
    kernel = matrix_kernel(arrays[0].dtype)
    for number, job in enumerate(arrays[2].tolist()):
        pixels = job[HEIGHT] * job[WIDTH]
        run_rows(kernel, (*arrays, number, adjoint), -(-pixels // BLOCK), _MATRIX * pixels * job[CHANNELS])


def _run_contrast(arrays: _Arrays, adjoint: int) -> None:
    kernel = contrast_kernel(arrays[0].dtype)
    for number, job in enumerate(arrays[2].tolist()):
        channels, pixels = job[CHANNELS], job[HEIGHT] * job[WIDTH]
        if adjoint:
            spread = _total(_sums(arrays, number, adjoint)) * (1.0 - float(arrays[3][number, 0]))
            pivots = np.array([spread * _share(c, channels, pixels) for c in range(channels)])
        else:
            pivots = np.full(channels, mean_grey(arrays, number))
        run_rows(kernel, (*arrays, number, adjoint, pivots), channels, _CONTRAST * channels * pixels)


def mean_grey(arrays: _Arrays, number: int) -> float:
    """Of a sample, as `contrast` takes it."""
    channels, pixels = int(arrays[2][number, CHANNELS]), int(arrays[2][number, HEIGHT] * arrays[2][number, WIDTH])
    return _total([value * _share(c, channels, pixels) for c, value in enumerate(_sums(arrays, number, 0))])


def _total(values: list[float]) -> float:
    """One after the other, as on CUDA; Python's own sum keeps what rounding loses, from 3.12 on."""
    total = 0.0
    for value in values:
        total += value
    return total


def _sums(arrays: _Arrays, number: int, adjoint: int) -> list[float]:
    """Of the values of each channel, or of its gradient's."""
    channels, pixels = int(arrays[2][number, CHANNELS]), int(arrays[2][number, HEIGHT] * arrays[2][number, WIDTH])
    sums = np.empty(channels)
    run_rows(sum_kernel(arrays[0].dtype), (*arrays, number, adjoint, sums), channels, _SUM * channels * pixels)
    return sums.tolist()


def _share(c: int, channels: int, pixels: int) -> float:
    """What a value counts for in the mean grey."""
    weight = GREY[c] if channels == 3 else 1.0 / float(channels)
    return weight / float(pixels)


@inline
def mix_three(row: Any, first: Any, second: Any, third: Any, m0: Any, m1: Any, m2: Any, last: Any, count: int) -> None:
    """A channel made of three: the constant first, then those with a weight in order, each product and sum rounded together."""
    if m0 != 0 and m1 != 0 and m2 != 0:
        for i in range(count):
            row[i] = fused(m2, third[i], fused(m1, second[i], fused(m0, first[i], last)))
        return
    for i in range(count):
        row[i] = last
    if m0 != 0:
        for i in range(count):
            row[i] = fused(m0, first[i], row[i])
    if m1 != 0:
        for i in range(count):
            row[i] = fused(m1, second[i], row[i])
    if m2 != 0:
        for i in range(count):
            row[i] = fused(m2, third[i], row[i])


@cache
def matrix_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over blocks of pixels."""
    real, new_row = dtype.type, allocator(dtype)

    @inline
    def weight(table: Any, at: int, channels: int, c: int, k: int, adjoint: int) -> Any:
        """What channel ``k``, or with k = channels the number 1, counts for in channel ``c``."""
        if adjoint == 0:
            return table[at + c * (channels + 1) + k]
        return table[at + k * (channels + 1) + c] if k < channels else real(0)

    def rows(
        src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, number: int, adjoint: int, row_start: int, row_stop: int
    ) -> None:
        job, channels, plane = jobs[number], jobs[number, CHANNELS], jobs[number, HEIGHT] * jobs[number, WIDTH]
        come, go = (job[DST], job[SRC]) if adjoint != 0 else (job[SRC], job[DST])
        given, result = new_row(CHUNK * channels).reshape(channels, CHUNK), new_row(CHUNK)
        stop = smaller(row_stop * BLOCK, plane)
        for start in range(row_start * BLOCK, stop, CHUNK):
            count = smaller(CHUNK, stop - start)
            for c in range(channels):
                row, own = given[c], src[come + c * plane + start : come + c * plane + start + count]
                for i in range(count):
                    row[i] = own[i]
            for c in range(channels):
                last = weight(table, job[A], channels, c, channels, adjoint)
                target = dst[go + c * plane + start : go + c * plane + start + count]
                if channels == 3:
                    m0 = weight(table, job[A], 3, c, 0, adjoint)
                    m1 = weight(table, job[A], 3, c, 1, adjoint)
                    m2 = weight(table, job[A], 3, c, 2, adjoint)
                    mix_three(target, given[0], given[1], given[2], m0, m1, m2, last, count)
                    continue
                for i in range(count):
                    result[i] = last
                for k in range(channels):
                    row, m = given[k], weight(table, job[A], channels, c, k, adjoint)
                    if m != 0:
                        for i in range(count):
                            result[i] = fused(m, row[i], result[i])
                for i in range(count):
                    target[i] = result[i]

    return compile_job_rows(rows, "matrix", dtype, types.intp)


@cache
def sum_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over channels: their sums, of the image or of the gradient."""
    new_numbers = allocator(np.float64)

    def rows(
        src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, number: int, adjoint: int, sums: Any, row_start: int, row_stop: int
    ) -> None:
        job, plane = jobs[number], jobs[number, HEIGHT] * jobs[number, WIDTH]
        lanes, blocks = new_numbers(LANES), new_numbers(LANES)
        for i in range(LANES):
            lanes[i], blocks[i] = 0.0, 0.0
        for c in range(row_start, row_stop):
            sums[c] = plane_sum(src, (job[DST] if adjoint != 0 else job[SRC]) + c * plane, plane, lanes, blocks)

    return compile_job_rows(rows, "plane_sums", dtype, types.intp, types.float64[::1])


@cache
def contrast_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over channels."""
    real, new_row = dtype.type, allocator(dtype)

    def rows(
        src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, number: int, adjoint: int, pivots: Any,
        row_start: int, row_stop: int,
    ) -> None:  # fmt: skip
        job, plane = jobs[number], jobs[number, HEIGHT] * jobs[number, WIDTH]
        come, go = (job[DST], job[SRC]) if adjoint != 0 else (job[SRC], job[DST])
        f, row = real(numbers[number, 0]), new_row(CHUNK)
        for c in range(row_start, row_stop):
            pivot = real(pivots[c])
            for start in range(0, plane, CHUNK):
                count = smaller(CHUNK, plane - start)
                at, to = come + c * plane + start, go + c * plane + start
                given, result = src[at : at + count], dst[to : to + count]
                if adjoint != 0:
                    for i in range(count):
                        row[i] = f * given[i] + pivot
                else:
                    for i in range(count):
                        row[i] = pivot + f * (given[i] - pivot)
                for i in range(count):
                    result[i] = row[i]

    return compile_job_rows(rows, "contrast", dtype, types.intp, types.float64[::1])
