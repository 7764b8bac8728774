"""Tone curves, value by value, on the CPU."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from imrestore_kernels.cpu._elementary import power, sqrt
from imrestore_kernels.cpu._jit import inline
from imrestore_kernels.cpu._job_rows import CHANNELS, DST, HEIGHT, SRC, WIDTH, A, Array, compile_job_rows
from imrestore_kernels.cpu._pool import run_rows
from imrestore_kernels.cpu._vector import allocator, smaller
from imrestore_kernels.curves import DECODED_STEP, ENCODED_STEP, LEAST_SLOPE, LEAST_VALUE, START, STEPS, Curve
from imrestore_kernels.samples import Size

#: Values that are worked on together, in a row of their own: source and result may be the same, which LLVM makes no vectors of.
CHUNK = 1024
#: About what a value takes, in nanoseconds.
_NANOSECONDS = 4.0


def curve(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """Curve A (`curves.Curve`) of values on a scale from 0 to numbers[0]; in place.

    The power numbers[1] and the curves of sRGB go on below 0 as odd functions and above white as they are. The tones are cut off at
    0 and at white.
    """
    _run(curve_kernel(src.dtype), (src, dst, jobs, numbers, table))


def curve_gradient(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size, image: Array) -> None:
    """The gradient times the slope of the curve at ``image``, which lies like the source; in place.

    Slopes that are infinite at 0 or white are those close to it: see `curves`.
    """
    _run(slope_kernel(src.dtype), (src, dst, jobs, numbers, table), image)


def _run(kernel: Any, arrays: tuple[Array, Array, Array, Array, Array], *more: Array) -> None:
    for number, job in enumerate(arrays[2].tolist()):
        values = job[CHANNELS] * job[HEIGHT] * job[WIDTH]
        run_rows(kernel, (*arrays, number, *more), -(-values // CHUNK), _NANOSECONDS * values)


def _inverse_tone(dtype: np.dtype[Any]) -> Any:
    """Piece that inverts 3 v^2 - 2 v^3 from 0 to 1.

    Up to 1/2 it is v = r q with r = sqrt(tone), where q^2 (3 - 2 r q) = 1 has no singularity: a polynomial, then Newton's method,
    which squares its error. Above, the curve is turned about its middle.
    """
    real = dtype.type
    one, two, three, six, half = map(real, (1, 2, 3, 6, 0.5))
    c0, c1, c2, c3, c4, c5 = map(real, START)
    steps = STEPS[dtype.itemsize]

    @inline
    def inverse_tone(tone: Any) -> Any:
        low = tone if tone <= half else one - tone
        r = sqrt(low)
        q = c0 + r * (c1 + r * (c2 + r * (c3 + r * (c4 + r * c5))))
        for _ in range(steps):
            v = r * q
            q = q - (q * q * (three - two * v) - one) / (six * q * (one - v))
        v = r * q
        return v if tone <= half else one - v

    return inverse_tone


@cache
def curve_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over chunks of values."""
    real = dtype.type
    zero, one, two, three = map(real, (0, 1, 2, 3))
    foot, toe = real(ENCODED_STEP), real(DECODED_STEP)
    steep, flat, scale, shrink, shift = map(real, (12.92, 1 / 12.92, 1.055, 1 / 1.055, 0.055))
    decoded, encoded = real(2.4), real(1 / 2.4)
    inverse_tone = _inverse_tone(dtype)
    new_row = allocator(dtype)

    @inline
    def signed(size: Any, value: Any) -> Any:
        return -size if value < zero else size

    @inline
    def clipped(value: Any) -> Any:
        value = zero if value < zero else value
        return one if value > one else value

    def rows(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, number: int, row_start: int, row_stop: int) -> None:
        job = jobs[number]
        values, kind = job[CHANNELS] * job[HEIGHT] * job[WIDTH], job[A]
        white, exponent = real(numbers[number, 0]), real(numbers[number, 1])
        work = new_row(CHUNK)
        for chunk in range(row_start, row_stop):
            at = chunk * CHUNK
            count = smaller(CHUNK, values - at)
            come, go = src[job[SRC] + at : job[SRC] + at + count], dst[job[DST] + at : job[DST] + at + count]
            for i in range(count):
                work[i] = come[i] / white
            if kind == Curve.POWER:
                for i in range(count):
                    work[i] = signed(power(abs(work[i]), exponent), work[i])
            elif kind == Curve.ENCODE:
                for i in range(count):
                    x = abs(work[i])
                    bent = scale * power(x, encoded) - shift
                    work[i] = signed(steep * x if x <= foot else bent, work[i])
            elif kind == Curve.DECODE:
                for i in range(count):
                    x = abs(work[i])
                    bent = power((x + shift) * shrink, decoded)
                    work[i] = signed(flat * x if x <= toe else bent, work[i])
            elif kind == Curve.TONE:
                for i in range(count):
                    x = clipped(work[i])
                    work[i] = x * x * (three - two * x)
            else:
                for i in range(count):
                    work[i] = inverse_tone(clipped(work[i]))
            for i in range(count):
                go[i] = work[i] * white

    return compile_job_rows(rows, "curve", dtype)


@cache
def slope_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over chunks of values: the gradient times the slope."""
    real = dtype.type
    zero, one, six, least, flattest = map(real, (0, 1, 6, LEAST_VALUE, LEAST_SLOPE))
    foot, toe = real(ENCODED_STEP), real(DECODED_STEP)
    steep, flat, shrink, shift = map(real, (12.92, 1 / 12.92, 1 / 1.055, 0.055))
    encoded, decoded, encoded_by, decoded_by = map(real, (1 / 2.4 - 1, 1.4, 1.055 / 2.4, 2.4 / 1.055))
    inverse_tone = _inverse_tone(dtype)
    new_row = allocator(dtype)

    @inline
    def inside(slope: Any, value: Any) -> Any:
        """0 where the curve is cut off."""
        slope = zero if value < zero else slope
        return zero if value > one else slope

    def rows(
        src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, number: int, image: Any, row_start: int, row_stop: int
    ) -> None:
        job = jobs[number]
        values, kind = job[CHANNELS] * job[HEIGHT] * job[WIDTH], job[A]
        white, exponent = real(numbers[number, 0]), real(numbers[number, 1])
        work = new_row(CHUNK)
        for chunk in range(row_start, row_stop):
            at = chunk * CHUNK
            count = smaller(CHUNK, values - at)
            come, go = src[job[DST] + at : job[DST] + at + count], dst[job[SRC] + at : job[SRC] + at + count]
            before = image[job[SRC] + at : job[SRC] + at + count]
            for i in range(count):
                work[i] = before[i] / white
            if kind == Curve.POWER:
                for i in range(count):
                    x = abs(work[i])
                    work[i] = exponent * power(least if x < least else x, exponent - one)
            elif kind == Curve.ENCODE:
                for i in range(count):
                    x = abs(work[i])
                    bent = encoded_by * power(x, encoded)
                    work[i] = steep if x <= foot else bent
            elif kind == Curve.DECODE:
                for i in range(count):
                    x = abs(work[i])
                    bent = decoded_by * power((x + shift) * shrink, decoded)
                    work[i] = flat if x <= toe else bent
            elif kind == Curve.TONE:
                for i in range(count):
                    work[i] = inside(six * work[i] * (one - work[i]), work[i])
            else:
                for i in range(count):
                    v = inverse_tone(inside(work[i], work[i]))
                    below = six * v * (one - v)
                    work[i] = inside(one / (flattest if below < flattest else below), work[i])
            for i in range(count):
                work[i] = work[i] * come[i]
            for i in range(count):
                go[i] = work[i]

    return compile_job_rows(rows, "curve_slope", dtype, types.Array(from_dtype(dtype), 1, "C", readonly=True))
