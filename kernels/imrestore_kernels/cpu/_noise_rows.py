"""Kernels of `noising`: noise of chunks of pixels of one sample.

The random numbers of a chunk go to a row that stays in the first-level cache, what they make of the image to another, and from
there to the result: operations may work in place, and LLVM makes vectors only of loops that cannot write to what they read.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype

from imrestore_kernels.cpu._elementary import rint, sincos
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
    B,
    compile_job_rows,
)
from imrestore_kernels.cpu._philox import fill_normals, fill_uniforms, fill_words
from imrestore_kernels.cpu._poisson import poisson_counts
from imrestore_kernels.cpu._vector import allocator, smaller
from imrestore_kernels.philox import GROUP

#: Values of a chunk, whole groups of a field: a row of them and one of random numbers fit the first-level cache.
CHUNK = 2048

OWN, SHARED = -1, -2  # in column A: each channel has its own random numbers, or all have the same
#: BT.601, for images of three channels or more; the grey of others is the mean.
GREY = (0.299, 0.587, 0.114)

@intrinsic
def copy_row(_typing: Any, row: Any, count: Any, target: Any, at: Any) -> Any:
    """The first values of a row to a place in an array of the same type."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, to = (context.make_array(signature.args[i])(context, builder, args[i]).data for i in (0, 2))
        cgutils.raw_memcpy(builder, builder.gep(to, [args[3]]), source, args[1], signature.args[0].dtype.bitwidth // 8)
        return context.get_constant(types.intp, 0)

    return types.intp(row, types.intp, target, types.intp), generate


new_float = allocator(np.float32)
new_words = allocator(np.uint32)
new_flags = allocator(np.uint8)


@cache
def normal_kernel(dtype: np.dtype[Any]) -> Any:
    """x + s n, or x (1 + s n) if it is a ``factor``; from the places in one column of the jobs to those in another."""
    value, new_row = dtype.type, allocator(dtype)
    one = value(1)

    def rows(
        src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, job: int, plane: int, planes: int, factor: int,
        origin: int, target: int, row_start: int, row_stop: int,
    ) -> None:  # fmt: skip
        normals, work = new_float(CHUNK), new_row(CHUNK)
        scale = value(numbers[job, 0])
        for chunk in range(row_start, row_stop):
            start = chunk * CHUNK
            count = smaller(CHUNK, plane - start)
            groups = (count + GROUP - 1) // GROUP
            fill_normals(normals, jobs[job, SEED], jobs[job, INDEX], jobs[job, STREAM], start // GROUP, groups)
            for c in range(planes):
                at = jobs[job, origin] + c * plane + start
                values = src[at : at + count]
                if factor:
                    for i in range(count):
                        work[i] = values[i] * (one + scale * value(normals[i]))
                else:
                    for i in range(count):
                        work[i] = values[i] + scale * value(normals[i])
                copy_row(work, count, dst, jobs[job, target] + c * plane + start)

    return compile_job_rows(rows, "normal_noise", dtype, *[types.intp] * 5)


@cache
def correlated_kernel(dtype: np.dtype[Any]) -> Any:
    """x + L n for the channels of a pixel."""
    value, new_row = dtype.type, allocator(dtype)

    def rows(
        src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, job: int, plane: int, planes: int, row_start: int, row_stop: int
    ) -> None:
        normals = new_float(CHUNK + GROUP)
        sums = new_row(planes * CHUNK)
        for chunk in range(row_start, row_stop):
            start = chunk * CHUNK
            count = smaller(CHUNK, plane - start)
            for k in range(planes):
                first = (k * plane + start) // GROUP
                skipped = k * plane + start - first * GROUP
                groups = (skipped + count + GROUP - 1) // GROUP
                fill_normals(normals, jobs[job, SEED], jobs[job, INDEX], jobs[job, STREAM], first, groups)
                own = normals[skipped : skipped + count]
                for c in range(planes):
                    weight = table[jobs[job, A] + c * planes + k]
                    total = sums[c * CHUNK : c * CHUNK + count]
                    if k == 0:
                        for i in range(count):
                            total[i] = weight * value(own[i])
                    else:
                        for i in range(count):
                            total[i] += weight * value(own[i])
            for c in range(planes):
                at = jobs[job, SRC] + c * plane + start
                total, values = sums[c * CHUNK : c * CHUNK + count], src[at : at + count]
                for i in range(count):
                    total[i] = values[i] + total[i]
                copy_row(total, count, dst, jobs[job, DST] + c * plane + start)

    return compile_job_rows(rows, "correlated_noise", dtype, types.intp, types.intp)


@cache
def poisson_kernel(dtype: np.dtype[Any]) -> Any:
    """Photons and read noise of every value, or of the grey of every pixel."""
    value, new_row = dtype.type, allocator(dtype)
    zero, red, green, blue = value(0), *(value(weight) for weight in GREY)

    @inline
    def grey_row(src: Any, at: int, plane: int, channels: int, count: int, row: Any) -> None:
        first = src[at : at + count]
        if channels >= 3:
            second, third = src[at + plane : at + plane + count], src[at + 2 * plane : at + 2 * plane + count]
            for i in range(count):
                row[i] = (red * first[i] + green * second[i]) + blue * third[i]
            return
        for i in range(count):
            row[i] = first[i]
        if channels == 2:
            second, two = src[at + plane : at + plane + count], value(2)
            for i in range(count):
                row[i] = (row[i] + second[i]) / two

    @inline
    def noisy(row: Any, count: int, jobs: Any, numbers: Any, job: int, start: int, drawn: Any, normals: Any) -> None:
        """What becomes of a row, in place."""
        seed, index, stream = jobs[job, SEED], jobs[job, INDEX], jobs[job, STREAM]
        gain, read, offset = value(numbers[job, 0]), value(numbers[job, 1]), value(numbers[job, 2])
        groups = (count + GROUP - 1) // GROUP
        if gain != zero:
            part = value(1) / gain
            for i in range(count):
                above = row[i] - offset
                row[i] = (zero if above < zero else above) * part
            for i in range(count, groups * GROUP):
                row[i] = zero
            fill_words(drawn, seed, index, stream, start // GROUP, groups)
            poisson_counts(row, drawn, row, groups * GROUP)
            for i in range(count):
                row[i] = gain * row[i] + offset
        if read != zero:
            fill_normals(normals, seed, index, stream + 1, start // GROUP, groups)
            for i in range(count):
                row[i] += read * value(normals[i])

    def rows(
        src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, job: int, plane: int, planes: int, row_start: int, row_stop: int
    ) -> None:
        drawn, normals, row, work = new_words(CHUNK), new_float(CHUNK), new_row(CHUNK), new_row(CHUNK)
        shared = jobs[job, A] == SHARED
        factor = value(1) + value(numbers[job, 3])
        for chunk in range(row_start, row_stop):
            start = chunk * CHUNK
            count = smaller(CHUNK, plane - start)
            at, to = jobs[job, SRC] + start, jobs[job, DST] + start
            grey_row(src, at, plane, planes, count, row)
            for i in range(count):
                work[i] = row[i]
            noisy(work, count, jobs, numbers, job, start, drawn, normals)
            if factor != value(1):
                for i in range(count):
                    work[i] = row[i] + factor * (work[i] - row[i])
            if not shared:
                copy_row(work, count, dst, to)
                continue
            for i in range(count):
                row[i] = work[i] - row[i]
            for c in range(planes):
                values = src[at + c * plane : at + c * plane + count]
                for i in range(count):
                    work[i] = values[i] + row[i]
                copy_row(work, count, dst, to + c * plane)

    return compile_job_rows(rows, "poisson_noise", dtype, types.intp, types.intp)


SALT_AND_PEPPER, RANDOM, NOTHING = 0, 1, 2  # what values are replaced by; nothing is 0


@cache
def impulse_kernel(dtype: np.dtype[Any]) -> Any:
    """Replaced values, where the word of a value or pixel is below a limit; columns as in `normal_kernel`."""
    value, new_row = dtype.type, allocator(dtype)
    zero = value(0)

    def rows(
        src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, job: int, plane: int, planes: int, kind: int, limit: int,
        salt: int, origin: int, target: int, row_start: int, row_stop: int,
    ) -> None:  # fmt: skip
        drawn, hits = new_words(2 * CHUNK), new_flags(CHUNK)
        uniform, work = new_row(CHUNK + GROUP), new_row(CHUNK)
        seed, index, stream = jobs[job, SEED], jobs[job, INDEX], jobs[job, STREAM]
        low, high = value(numbers[job, 2]), value(numbers[job, 3])
        span = high - low
        for chunk in range(row_start, row_stop):
            start = chunk * CHUNK
            count = smaller(CHUNK, plane - start)
            groups = (count + GROUP - 1) // GROUP
            for second in range(2 if kind == SALT_AND_PEPPER else 1):
                fill_words(drawn[second * CHUNK :], seed, index, stream + second, start // GROUP, groups)
            for i in range(count):
                hits[i] = np.uint8(drawn[i] < limit)
            for c in range(planes):
                at = c * plane + start
                first = jobs[job, origin] + at
                values = src[first : first + count]
                if kind == SALT_AND_PEPPER:
                    for i in range(count):
                        work[i] = (high if drawn[CHUNK + i] < salt else low) if hits[i] else values[i]
                elif kind == RANDOM:
                    skipped = at % GROUP
                    fill_uniforms(uniform, seed, index, stream + 1, at // GROUP, (skipped + count + GROUP - 1) // GROUP)
                    between = uniform[skipped : skipped + count]
                    for i in range(count):
                        work[i] = low + span * between[i] if hits[i] else values[i]
                else:
                    for i in range(count):
                        work[i] = zero if hits[i] else values[i]
                copy_row(work, count, dst, jobs[job, target] + at)

    return compile_job_rows(rows, "impulse_noise", dtype, *[types.intp] * 7)


@cache
def lines_kernel(dtype: np.dtype[Any]) -> Any:
    """Rows of all channels, one after the other."""
    value, new_row = dtype.type, allocator(dtype)

    @inline
    def offsets_of(jobs: Any, numbers: Any, job: int, count: int, normals: Any, offsets: Any) -> None:
        """What is added to every line. The phase is made in float64: a line's number times 2^-24 is a part of a wave."""
        upright = jobs[job, A] == 1
        length = jobs[job, WIDTH] if upright else jobs[job, HEIGHT]
        fill_normals(
            normals, jobs[job, SEED], jobs[job, INDEX], jobs[job, STREAM], 0, (count + GROUP - 1) // GROUP
        )  # fmt: skip
        scale, height = value(numbers[job, 0]), value(numbers[job, 1])
        for i in range(count):
            offsets[i] = scale * value(normals[i])
        if numbers[job, 1] != 0.0:
            for i in range(count):
                phase = float(i % length) / numbers[job, 2] + numbers[job, 3]
                sine, _ = sincos(value(phase - rint(phase)))
                offsets[i] += height * sine

    def rows(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, job: int, row_start: int, row_stop: int) -> None:
        height, width, upright = jobs[job, HEIGHT], jobs[job, WIDTH], jobs[job, A] == 1
        length = width if upright else height
        count = length if jobs[job, B] == 1 else length * jobs[job, CHANNELS]
        normals, offsets = new_float(count + GROUP), new_row(count + GROUP)
        work = new_row(width)
        offsets_of(jobs, numbers, job, count, normals, offsets)
        for row in range(row_start, row_stop):
            c = 0 if jobs[job, B] == 1 else row // height
            at = jobs[job, SRC] + row * width
            values = src[at : at + width]
            if upright:
                own = offsets[c * width : (c + 1) * width]
                for x in range(width):
                    work[x] = values[x] + own[x]
            else:
                offset = offsets[c * height + row % height]
                for x in range(width):
                    work[x] = values[x] + offset
            copy_row(work, width, dst, jobs[job, DST] + row * width)

    return compile_job_rows(rows, "line_noise", dtype)


QUANTIZE, CLIP, CLIP_GRADIENT = 0, 1, 2


@cache
def values_kernel(dtype: np.dtype[Any]) -> Any:
    """Values rounded to levels, or within limits, or the gradient of those of ``image`` that are; columns as in `normal_kernel`."""
    value, new_row = dtype.type, allocator(dtype)
    zero = value(0)

    def rows(
        src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, job: int, plane: int, planes: int, kind: int, image: Any,
        origin: int, target: int, row_start: int, row_stop: int,
    ) -> None:  # fmt: skip
        work = new_row(CHUNK)
        first, second = value(numbers[job, 0]), value(numbers[job, 1])
        for chunk in range(row_start, row_stop):
            start = chunk * CHUNK
            count = smaller(CHUNK, plane - start)
            at, to = jobs[job, origin] + start, jobs[job, target] + start
            values, before = src[at : at + count], image[to : to + count]
            if kind == QUANTIZE:
                for i in range(count):
                    work[i] = rint((values[i] - second) / first) * first + second
            elif kind == CLIP:
                for i in range(count):
                    raised = first if values[i] < first else values[i]
                    work[i] = second if raised > second else raised
            else:
                for i in range(count):
                    work[i] = values[i] if before[i] >= first and before[i] <= second else zero
            copy_row(work, count, dst, to)

    image = types.Array(from_dtype(dtype), 1, "C", readonly=True)
    return compile_job_rows(rows, "noise_of_values", dtype, *[types.intp] * 3, image, types.intp, types.intp)
