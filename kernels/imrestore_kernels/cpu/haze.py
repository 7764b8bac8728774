"""Haze by the depth of the scene, on the CPU."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types

from imrestore_kernels.cpu._elementary import exp
from imrestore_kernels.cpu._jit import inline
from imrestore_kernels.cpu._job_rows import (
    CHANNELS,
    DST,
    HEIGHT,
    INDEX,
    SEED,
    SRC,
    STREAM,
    WIDTH,
    A,
    Array,
    B,
    C,
    compile_job_rows,
    run_jobs,
)
from imrestore_kernels.cpu._philox import fill_uniforms
from imrestore_kernels.cpu._vector import allocator, data_address, new_numbers, smaller
from imrestore_kernels.philox import GROUP
from imrestore_kernels.samples import Size

#: About what a value takes, in nanoseconds.
_NANOSECONDS = 1.0


def haze(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """t x + (1 - t) airlight with t = exp(-beta depth) (Koschmieder 1924; He, Sun and Tang 2009, equation 1); in place.

    ``numbers`` are beta and the airlight of channels 0 to 3 (more channels have that of the first). Depths are table[A ..], one for
    each pixel; with A = -1 they are, where they are not below 0, numbers[5] + numbers[6] y / height + numbers[7] x / width +
    numbers[8] times smooth noise: a cubic B-spline through B x C knots over the sample, each at least 4 and C at most 512, with
    the field of uniform numbers in (-1, 1) as coefficients. Where numbers[8] is 0 there need be no knots.
    """
    run_jobs(haze_kernel(src.dtype), (src, dst, jobs, numbers, table), _NANOSECONDS, 0)


def haze_adjoint(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """t times the gradient; in place."""
    run_jobs(haze_kernel(src.dtype), (src, dst, jobs, numbers, table), _NANOSECONDS, 1)


def _spline(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Pieces that place pixels among the knots of a cubic B-spline, and that add its values along a row."""
    real = dtype.type
    one, half, sixth, two_thirds = map(real, (1, 0.5, 1 / 6, 2 / 3))

    @inline
    def place_knots(i: int, length: int, count: int, weights: Any, at: int, stride: int, firsts: Any, place: int) -> None:
        """The first of the four knots around pixel ``i`` of ``length``, and their weights."""
        v = (real(i) + half) / real(length) * real(count - 3)
        before = smaller(int(v), count - 4)
        f = v - real(before)
        g = one - f
        firsts[place] = before
        weights[at] = g * g * g * sixth
        weights[at + stride] = two_thirds - f * f * (one - half * f)
        weights[at + 2 * stride] = two_thirds - g * g * (one - half * g)
        weights[at + 3 * stride] = f * f * f * sixth

    @inline
    def add_noise(knots: Any, across: int, weights: Any, firsts: Any, width: int, rough: Any, line: Any, depth: Any) -> None:
        """The spline of one row: first down the four rows of knots, then along."""
        a, b, c, d = weights[4 * width], weights[4 * width + 1], weights[4 * width + 2], weights[4 * width + 3]
        k = firsts[width] * across
        for j in range(across):
            both = a * knots[k + j] + b * knots[k + across + j]
            line[j] = both + c * knots[k + 2 * across + j] + d * knots[k + 3 * across + j]
        x = 0
        # All pixels between two knots at a time. Numba lets indices be negative: only a slice from 0 on becomes a loop of vectors.
        for j in range(across - 3):
            stop = x
            while stop < width and firsts[stop] == j:
                stop += 1
            first, second, third, fourth = (
                weights[x:stop],
                weights[width + x : width + stop],
                weights[2 * width + x : 2 * width + stop],
                weights[3 * width + x : 3 * width + stop],
            )
            a, b, c, d, part = line[j], line[j + 1], line[j + 2], line[j + 3], depth[x:stop]
            for i in range(stop - x):
                part[i] += rough * (first[i] * a + second[i] * b + third[i] * c + fourth[i] * d)
            x = stop

    return place_knots, add_noise


@cache
def haze_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over rows: the transmission of a row, then all its channels."""
    real = dtype.type
    zero, one, two = map(real, (0, 1, 2))
    place_knots, add_noise = _spline(dtype)
    new_row = allocator(dtype)

    def rows(
        src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, number: int, adjoint: int, row_start: int, row_stop: int
    ) -> None:
        job = jobs[number]
        channels, height, width, down, across = job[CHANNELS], job[HEIGHT], job[WIDTH], job[B], job[C]
        come, go = (job[DST], job[SRC]) if adjoint else (job[SRC], job[DST])
        same = data_address(src) == data_address(dst) and come == go
        density, rough = -real(numbers[number, 0]), real(numbers[number, 8])
        base, fall, slope = real(numbers[number, 5]), real(numbers[number, 6]), real(numbers[number, 7])
        noisy = job[A] < 0 and rough != zero
        groups = (down * across + GROUP - 1) // GROUP if noisy else 0
        knots, line = new_row(groups * GROUP), new_row(across if noisy else 0)
        weights, firsts = new_row(4 * width + 4), new_numbers(width + 1)  # those down the rows come last
        depth, ramp = new_row(width), new_row(width)
        for x in range(width):
            ramp[x] = slope * (real(x) / real(width))
        if noisy:
            fill_uniforms(knots, job[SEED], job[INDEX], job[STREAM], 0, groups)
            for k in range(down * across):
                knots[k] = two * knots[k] - one
            for x in range(width):
                place_knots(x, width, across, weights, x, width, firsts, x)
        for y in range(row_start, row_stop):
            if job[A] >= 0:
                at = job[A] + y * width
                for x in range(width):
                    depth[x] = table[at + x]
            else:
                start = base + fall * (real(y) / real(height))
                for x in range(width):
                    depth[x] = start + ramp[x]
                if noisy:
                    place_knots(y, height, down, weights, 4 * width, 1, firsts, width)
                    add_noise(knots, across, weights, firsts, width, rough, line, depth)
                for x in range(width):
                    depth[x] = zero if depth[x] < zero else depth[x]
            for x in range(width):
                depth[x] = exp(density * depth[x])
            for c in range(channels):
                at = (c * height + y) * width
                to = dst[go + at : go + at + width]
                if not same:
                    pixels = src[come + at : come + at + width]
                    for x in range(width):
                        to[x] = pixels[x]
                air = real(numbers[number, 1 + (c if c < 4 else 0)])
                if adjoint:
                    for x in range(width):
                        to[x] = depth[x] * to[x]
                else:
                    for x in range(width):
                        to[x] = depth[x] * to[x] + (one - depth[x]) * air

    return compile_job_rows(rows, "haze", dtype, types.intp)
