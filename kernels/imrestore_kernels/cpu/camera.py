"""Mosaics of a camera's colour filters and the way back, on the CPU."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types

from imrestore_kernels.borders import MIRROR, border_index
from imrestore_kernels.cpu._curves import curve, curve_gradient
from imrestore_kernels.cpu._jit import inline
from imrestore_kernels.cpu._job_rows import DST, HEIGHT, SRC, WIDTH, A, Array, B, compile_job_rows, run_jobs
from imrestore_kernels.cpu._vector import allocator, data_address
from imrestore_kernels.samples import Size

__all__ = ["curve", "curve_gradient", "demosaic", "demosaic_adjoint", "mosaic", "mosaic_adjoint"]

#: About what a value takes, in nanoseconds.
_MOSAIC_NANOSECONDS, _DEMOSAIC_NANOSECONDS, _ADJOINT_NANOSECONDS = 0.3, 2.0, 6.0
#: How far a filter of Malvar, He and Cutler reaches.
REACH = 2

border = inline(border_index)


@inline
def is_red_row(pattern: int, y: int) -> bool:
    """Has row ``y`` of the pattern (RGGB, BGGR, GRBG, GBRG: 0 to 3) red pixels? If not it has blue ones."""
    return (y ^ pattern) & 1 == 0


@inline
def phase_of(pattern: int, y: int) -> int:
    """Whether the red or blue pixels of row ``y`` are in its even (0) or odd (1) columns; the others are green."""
    return (pattern >> 1 ^ y) & 1


def mosaic(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """Of three channels what the colour filters of pattern A let through (RGGB, BGGR, GRBG, GBRG: 0 to 3).

    With B = 0 the result has three channels and is 0 where a filter is closed; in place. With B = 1 it is one plane.
    """
    run_jobs(mosaic_kernel(src.dtype), (src, dst, jobs, numbers, table), _MOSAIC_NANOSECONDS, 0)


def mosaic_adjoint(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """The gradient where a filter is open, and 0 elsewhere; in place for B = 0."""
    run_jobs(mosaic_kernel(src.dtype), (src, dst, jobs, numbers, table), _MOSAIC_NANOSECONDS, 1)


def demosaic(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """Three channels from one plane of pattern A: bilinear (B = 0) or by 5 x 5 filters (B = 1).

    The filters are those of Malvar, He and Cutler, "High-quality linear interpolation for demosaicing of Bayer-patterned color
    images", ICASSP 2004, figure 2. Beyond the border the plane is mirrored about its outermost pixels, which keeps the pattern;
    where it has but one row or column the pattern cannot be kept, and its only one is repeated.
    """
    run_jobs(demosaic_kernel(src.dtype), (src, dst, jobs, numbers, table), _DEMOSAIC_NANOSECONDS)


def demosaic_adjoint(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """The gradient of the plane: every pixel gathers from the three channels that were made of it, row by row."""
    run_jobs(demosaic_adjoint_kernel(src.dtype), (src, dst, jobs, numbers, table), _ADJOINT_NANOSECONDS)


@cache
def mosaic_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over rows of all channels."""
    zero = dtype.type(0)

    def rows(
        src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, number: int, adjoint: int, row_start: int, row_stop: int
    ) -> None:
        job = jobs[number]
        height, width = job[HEIGHT], job[WIDTH]
        come, go = (job[DST], job[SRC]) if adjoint else (job[SRC], job[DST])
        same = data_address(src) == data_address(dst) and come == go
        plane = height * width
        for y in range(row_start, row_stop):
            colour, phase, row = 0 if is_red_row(job[A], y) else 2, phase_of(job[A], y), y * width
            if job[B] and not adjoint:
                to = dst[go + row : go + row + width]
                first = src[come + colour * plane + row : come + colour * plane + row + width]
                second = src[come + plane + row : come + plane + row + width]
                for x in range(width):
                    a, b = first[x], second[x]
                    to[x] = a if x & 1 == phase else b
                continue
            for c in range(3):
                to = dst[go + c * plane + row : go + c * plane + row + width]
                if c == 2 - colour:
                    for x in range(width):
                        to[x] = zero
                    continue
                if not same:
                    at = come + row if job[B] else come + c * plane + row
                    pixels = src[at : at + width]
                    for x in range(width):
                        to[x] = pixels[x]
                kept = 1 - phase if c == 1 else phase
                for x in range(1 - kept, width, 2):
                    to[x] = zero

    return compile_job_rows(rows, "mosaic", dtype, types.intp)


def _interpolations(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Pieces that make a row of the three channels from the rows of the ring at the places ``nn`` to ``ss``.

    The channels are loops of their own: one that wrote to all of them would have too many addresses to compare for LLVM. Indices
    are unsigned, since Numba lets others be negative.
    """
    real = dtype.type
    half, quarter, eighth, three_quarters, five_eighths = map(real, (0.5, 0.25, 0.125, 0.75, 0.625))
    three_sixteenths, sixteenth = real(0.1875), real(0.0625)
    short, bit = np.int32, np.int32(1)  # parities as wide as a pixel
    index = np.uint64
    one, two, three, four = map(np.uint64, (1, 2, 3, 4))

    @inline
    def bilinear(ring: Any, n: Any, c: Any, s: Any, phase: Any, width: int, own: Any, green: Any, other: Any) -> None:
        n, c, s, phase = index(n), index(c), index(s), short(phase)
        for x in range(width):
            i = index(x)
            between = half * (ring[c + i + one] + ring[c + i + three])
            here = ring[c + i + two]
            own[x] = here if short(x) & bit == phase else between
        for x in range(width):
            i = index(x)
            cross = (ring[n + i + two] + ring[s + i + two]) + (ring[c + i + one] + ring[c + i + three])
            here = ring[c + i + two]
            green[x] = quarter * cross if short(x) & bit == phase else here
        for x in range(width):
            i = index(x)
            corners = (ring[n + i + one] + ring[n + i + three]) + (ring[s + i + one] + ring[s + i + three])
            between = half * (ring[n + i + two] + ring[s + i + two])
            other[x] = quarter * corners if short(x) & bit == phase else between

    @inline
    def malvar(
        ring: Any, nn: Any, n: Any, c: Any, s: Any, ss: Any, phase: Any, width: int, own: Any, green: Any, other: Any
    ) -> None:
        nn, n, c, s, ss = index(nn), index(n), index(c), index(s), index(ss)
        phase = short(phase)
        for x in range(width):
            i = index(x)
            here, beside = ring[c + i + two], ring[c + i + one] + ring[c + i + three]
            corners = (ring[n + i + one] + ring[n + i + three]) + (ring[s + i + one] + ring[s + i + three])
            aside, above = ring[c + i] + ring[c + i + four], ring[nn + i + two] + ring[ss + i + two]
            value = five_eighths * here + half * beside - eighth * (corners + aside) + sixteenth * above
            own[x] = here if short(x) & bit == phase else value
        for x in range(width):
            i = index(x)
            here, beside = ring[c + i + two], ring[c + i + one] + ring[c + i + three]
            far = (ring[nn + i + two] + ring[ss + i + two]) + (ring[c + i] + ring[c + i + four])
            value = half * here + quarter * ((ring[n + i + two] + ring[s + i + two]) + beside) - eighth * far
            green[x] = value if short(x) & bit == phase else here
        for x in range(width):
            i = index(x)
            here, over = ring[c + i + two], ring[n + i + two] + ring[s + i + two]
            corners = (ring[n + i + one] + ring[n + i + three]) + (ring[s + i + one] + ring[s + i + three])
            aside, above = ring[c + i] + ring[c + i + four], ring[nn + i + two] + ring[ss + i + two]
            there = three_quarters * here + quarter * corners - three_sixteenths * (above + aside)
            value = five_eighths * here + half * over - eighth * (corners + above) + sixteenth * aside
            other[x] = there if short(x) & bit == phase else value

    return bilinear, malvar


@cache
def demosaic_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over rows, with the five rows around each in a ring of mirrored rows."""
    bilinear, malvar = _interpolations(dtype)
    new_row = allocator(dtype)

    @inline
    def fill(src: Any, plane: int, height: int, width: int, y: int, ring: Any) -> None:
        """Row ``y`` of the plane, which may lie beyond the border, into its place in the ring."""
        row = plane + border(y, height, MIRROR) * width
        at = (y + REACH) % 5 * (width + 2 * REACH)
        to, pixels = ring[at + REACH : at + REACH + width], src[row : row + width]
        for x in range(width):
            to[x] = pixels[x]
        for k in range(1, REACH + 1):
            ring[at + REACH - k] = src[row + border(-k, width, MIRROR)]
            ring[at + REACH + width - 1 + k] = src[row + border(width - 1 + k, width, MIRROR)]

    def rows(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, number: int, row_start: int, row_stop: int) -> None:
        job = jobs[number]
        height, width = job[HEIGHT], job[WIDTH]
        stride = width + 2 * REACH
        ring = new_row(5 * stride)
        for below in range(row_start - REACH, row_stop + REACH):
            fill(src, job[SRC], height, width, below, ring)
            y = below - REACH
            if y < row_start:
                continue
            colour, phase = 0 if is_red_row(job[A], y) else 2, phase_of(job[A], y)
            at = job[DST] + y * width
            own = dst[at + colour * height * width : at + colour * height * width + width]
            green = dst[at + height * width : at + height * width + width]
            other = dst[at + (2 - colour) * height * width : at + (2 - colour) * height * width + width]
            nn, n, c, s, ss = y % 5, (y + 1) % 5, (y + 2) % 5, (y + 3) % 5, (y + 4) % 5
            nn, n, c, s, ss = nn * stride, n * stride, c * stride, s * stride, ss * stride
            if job[B] == 0:
                bilinear(ring, n, c, s, phase, width, own, green, other)
            else:
                malvar(ring, nn, n, c, s, ss, phase, width, own, green, other)

    return compile_job_rows(rows, "demosaic", dtype)


def _gatherings(dtype: np.dtype[Any]) -> tuple[Any, Any, Any]:
    """Pieces that add to a row what the channel of its own colour, the green and the other channel were made of."""
    real = dtype.type
    zero, half, quarter, eighth, three_quarters, five_eighths = map(real, (0, 0.5, 0.25, 0.125, 0.75, 0.625))
    three_sixteenths, sixteenth = real(0.1875), real(0.0625)
    index, short, bit = np.uint64, np.int32, np.int32(1)
    one, two, three, four = map(np.uint64, (1, 2, 3, 4))

    @inline
    def add_own(near: Any, stride: int, phase: Any, malvar: int, out: Any) -> None:
        """What the channel of the row's own colour was made of."""
        nn, n, c, s, ss, phase = index(0), index(stride), index(2 * stride), index(3 * stride), index(4 * stride), short(phase)
        for x in range(stride - 2 * REACH):
            i = index(x)
            cross = (near[n + i + two] + near[s + i + two]) + (near[c + i + one] + near[c + i + three])
            corners = (near[n + i + one] + near[n + i + three]) + (near[s + i + one] + near[s + i + three])
            value = near[c + i + two] + half * cross + quarter * corners
            out[x] = value if short(x) & bit == phase else zero
        if malvar:
            for x in range(stride - 2 * REACH):
                i = index(x)
                corners = (near[n + i + one] + near[n + i + three]) + (near[s + i + one] + near[s + i + three])
                aside, above = near[c + i] + near[c + i + four], near[nn + i + two] + near[ss + i + two]
                value = five_eighths * near[c + i + two] - eighth * (corners + aside) + sixteenth * above
                old = out[x]
                out[x] = old if short(x) & bit == phase else value

    @inline
    def add_green(near: Any, stride: int, phase: Any, malvar: int, out: Any) -> None:
        nn, n, c, s, ss, phase = index(0), index(stride), index(2 * stride), index(3 * stride), index(4 * stride), short(phase)
        for x in range(stride - 2 * REACH):
            i = index(x)
            cross = (near[n + i + two] + near[s + i + two]) + (near[c + i + one] + near[c + i + three])
            value, old = near[c + i + two] + quarter * cross, out[x]
            out[x] = old if short(x) & bit == phase else old + value
        if malvar:
            for x in range(stride - 2 * REACH):
                i = index(x)
                far = (near[nn + i + two] + near[ss + i + two]) + (near[c + i] + near[c + i + four])
                value, old = half * near[c + i + two] - eighth * far, out[x]
                out[x] = old + value if short(x) & bit == phase else old

    @inline
    def add_other(near: Any, stride: int, phase: Any, out: Any) -> None:
        nn, n, c, s, ss, phase = index(0), index(stride), index(2 * stride), index(3 * stride), index(4 * stride), short(phase)
        for x in range(stride - 2 * REACH):
            i = index(x)
            here, aside, above = near[c + i + two], near[c + i] + near[c + i + four], near[nn + i + two] + near[ss + i + two]
            corners = (near[n + i + one] + near[n + i + three]) + (near[s + i + one] + near[s + i + three])
            there = three_quarters * here - three_sixteenths * (above + aside)
            value, old = five_eighths * here - eighth * (corners + above) + sixteenth * aside, out[x]
            out[x] = old + there if short(x) & bit == phase else old + value

    return add_own, add_green, add_other


@cache
def demosaic_adjoint_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over rows of the plane.

    Beyond the border there are pixels of the mirrored plane, two on each side: what they gather goes to those that they mirror,
    rows first, from the top and from the left. A channel at a time is gathered from, as above.
    """
    zero = dtype.type(0)
    add_own, add_green, add_other = _gatherings(dtype)
    new_row = allocator(dtype)

    @inline
    def fill(src: Any, plane: int, height: int, width: int, y: int, near: Any) -> None:
        """The rows around ``y`` of one channel, with zeros wherever they are beyond the border."""
        stride = width + 4 * REACH
        for d in range(2 * REACH + 1):
            to, row = near[d * stride : d * stride + stride], y + d - REACH
            if row < 0 or row >= height:
                for x in range(stride):
                    to[x] = zero
                continue
            inside, pixels = to[2 * REACH : 2 * REACH + width], src[plane + row * width : plane + row * width + width]
            for x in range(width):
                inside[x] = pixels[x]
            for k in range(2 * REACH):
                to[k] = to[stride - 1 - k] = zero

    @inline
    def gather(
        src: Any, gradient: int, pattern: int, malvar: int, height: int, width: int, y: int, near: Any, out: Any
    ) -> None:
        """One row of the mirrored plane, from two pixels before its first."""
        plane, stride = height * width, width + 4 * REACH
        colour, phase = 0 if is_red_row(pattern, y) else 2, phase_of(pattern, y)
        for turn in range(3 if malvar else 2):
            channel = colour if turn == 0 else 1 if turn == 1 else 2 - colour
            fill(src, gradient + channel * plane, height, width, y, near)
            if turn == 0:
                add_own(near, stride, phase, malvar, out)
            elif turn == 1:
                add_green(near, stride, phase, malvar, out)
            else:
                add_other(near, stride, phase, out)

    def rows(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, number: int, row_start: int, row_stop: int) -> None:
        job = jobs[number]
        height, width = job[HEIGHT], job[WIDTH]
        near, some, total = new_row(5 * (width + 4 * REACH)), new_row(width + 2 * REACH), new_row(width + 2 * REACH)
        for y in range(row_start, row_stop):
            for x in range(width + 2 * REACH):
                total[x] = zero
            for k in range(2 * REACH + 1):
                row = k - REACH if k < REACH else y if k == REACH else height + k - REACH - 1
                if border(row, height, MIRROR) == y:
                    gather(src, job[DST], job[A], job[B], height, width, row, near, some)
                    for x in range(width + 2 * REACH):
                        total[x] += some[x]
            to = dst[job[SRC] + y * width : job[SRC] + y * width + width]
            inside = total[REACH : REACH + width]
            for x in range(width):
                to[x] = inside[x]
            for x in range(width):
                if x > REACH and x < width - 1 - REACH:
                    continue
                value = zero
                for k in range(2 * REACH + 1):
                    column = k - REACH if k < REACH else x if k == REACH else width + k - REACH - 1
                    if border(column, width, MIRROR) == x:
                        value += total[column + REACH]
                to[x] = value

    return compile_job_rows(rows, "demosaic_adjoint", dtype)
