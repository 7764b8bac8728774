"""Convolution with a window of each sample's own, and its transpose.

Where a window is an outer product its sums are made along one axis and then along the other: first down the columns, then along
the rows, and the transpose the other way round.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from imrestore_kernels.borders import CONSTANT
from imrestore_kernels.cpu._border_text import BORDER, border
from imrestore_kernels.cpu._convolution_text import LONE_VECTORS, Convolution
from imrestore_kernels.cpu._jit import compile_rows, register_bytes
from imrestore_kernels.cpu._planes import inside_index
from imrestore_kernels.cpu._pool import run_rows
from imrestore_kernels.cpu._text_kernel import (
    ALLOCATE,
    LINE,
    RELEASE,
    TextKernel,
    begin_rows,
    end_rows,
    function_at,
    memory_of,
    whole_numbers,
)
from imrestore_kernels.cpu._vector_text import Number, lanes
from imrestore_kernels.samples import Job, Size

Array = np.ndarray[Any, Any]

#: Bytes of samples, their border included, that are copied at a time: half of a core's own cache.
BAND_BYTES = 1 << 18

#: Strips are multiples of this high: blocks of 6, 4 and 3 rows fit.
LEAST_STRIP = 12

#: The one argument of the kernel has its numbers: looking up the address of an array takes as long as a small sample.
ARGUMENTS = (1,)


class Field(IntEnum):
    """Numbers that the kernel takes; heights and widths are those of a plane, sizes and places in its memory in bytes."""

    SRC = 0  # addresses
    DST = 1
    WEIGHTS = 2
    CONSTANT = 3  # its bits
    HEIGHT = 4
    WIDTH = 5
    OUT_HEIGHT = 6
    OUT_WIDTH = 7
    TOP = 8  # rows above the image that the first result looks at
    LEFT = 9
    MODE = 10
    FIRST_HEIGHT = 11  # of the window
    FIRST_WIDTH = 12
    SECOND_HEIGHT = 13  # of the window that follows, or 0
    SECOND_WIDTH = 14
    BAND = 15  # rows of results made at a time
    PITCH = 16  # of the samples with their border
    COLUMNS = 17  # place of the border's columns
    BETWEEN = 18  # place of what the first window made
    BYTES = 19
    ALLOCATE = 20
    RELEASE = 21


def convolve(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """out(y, x) = sum over i, j of w(i, j) in(y + i - kh // 2, x + j - kw // 2), the input extended by its border rule.

    A is the place of the weights in ``table``, B and C are kh and kw (odd, up to 127), D the border rule with
    ``numbers[0]`` as its constant. With E the table has kh weights of the rows and kw of the columns. Every sum is a chain of
    fused multiply-adds in the order of the taps, from 0.
    """
    kernel, step = convolution(src.dtype), src.itemsize
    source, to, weights = _address(src), _address(dst), _address(table)
    constants = numbers[:, 0].astype(src.dtype).view(f"i{step}").tolist()
    for job, constant in zip(jobs.tolist(), constants, strict=True):
        h, w, kh, kw = job[Job.HEIGHT], job[Job.WIDTH], job[Job.B], job[Job.C]
        windows = (kh, 1, 1, kw) if job[Job.E] else (kh, kw, 0, 0)
        places = (source + step * job[Job.SRC], to + step * job[Job.DST], weights + step * job[Job.A], constant)
        shape = (h, w, h, w, kh // 2, kw // 2, job[Job.D])
        _run(kernel, (*places, *shape, *windows), step, job[Job.CHANNELS], (src, dst, table))


def convolve_adjoint(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """The transpose: the gradient of every sample beyond the border is added to the one that the sample is taken from."""
    kernel, folded, step = convolution(src.dtype), fold(src.dtype), src.itemsize
    source = _address(src)
    for job in jobs.tolist():
        channels, h, w, at, kh, kw = (job[column] for column in (Job.CHANNELS, Job.HEIGHT, Job.WIDTH, Job.A, Job.B, Job.C))
        weights = np.ascontiguousarray(table[at : at + (kh + kw if job[Job.E] else kh * kw)][::-1])
        windows = (1, kw, kh, 1) if job[Job.E] else (kh, kw, 0, 0)
        height, width = h + kh - 1, w + kw - 1
        extended = np.empty(channels * height * width, src.dtype)
        places = (source + step * job[Job.DST], _address(extended), _address(weights), 0)
        shape = (h, w, height, width, kh - 1, kw - 1, CONSTANT)
        _run(kernel, (*places, *shape, *windows), step, channels, (src, extended, weights))
        args = (extended, dst, job[Job.SRC], h, w, kh, kw, job[Job.D])
        run_rows(folded, args, channels * h, float(extended.size))


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def _run(kernel: TextKernel, fields: tuple[int, ...], step: int, channels: int, keep: tuple[Array, ...]) -> None:
    """The kernel over all planes of one sample; ``fields`` are those before `Field.BAND`."""
    height, width = fields[Field.OUT_HEIGHT], fields[Field.OUT_WIDTH]
    kh, kw, second_height, second_width = fields[Field.FIRST_HEIGHT : Field.BAND]
    more = max(second_height - 1, 0)  # rows of what the first window makes beside those of the result
    beyond = width + max(second_width - 1, 0) + kw - 1
    pitch = _pitch((beyond + LONE_VECTORS[-1] * (register_bytes() // step)) * step)
    band = max(BAND_BYTES // pitch - kh - more, kh + more, 2 * LEAST_STRIP)
    band = min(band - band % LEAST_STRIP, height)
    columns = (band + more + kh - 1) * pitch
    between = columns + _pitch(8 * beyond)
    work = channels * height * width * (0.3 + (kh * kw + second_height * second_width) * 0.006 * step)
    memory = (band, pitch, columns, between, between + (band + more) * pitch)
    slots = np.array((*fields, *memory, ALLOCATE, RELEASE), np.int64)
    run_rows(kernel, (slots,), channels * height, work, LEAST_STRIP, keep, more + kh - 1)


def _pitch(size: int) -> int:
    """Bytes of whole cache lines, an odd number of them: rows a power of two apart would share a few places of the cache."""
    lines = -(-size // LINE)
    return (lines + 1 - lines % 2) * LINE


@cache
def convolution(dtype: np.dtype[Any]) -> TextKernel:
    """Row kernel over the planes of one sample."""
    return TextKernel(f"convolve_{dtype}_{lanes(dtype)}", lambda: _text(dtype), ARGUMENTS)


def _text(dtype: np.dtype[Any]) -> str:
    convolution = Convolution(dtype)
    t, rows = convolution.text, convolution.rows
    (numbers,) = begin_rows(t, ARGUMENTS)
    f = whole_numbers(t, numbers, len(Field))
    src, dst, weights = (function_at(t, f[field]) for field in (Field.SRC, Field.DST, Field.WEIGHTS))
    start, stop = Number(t, "%start"), Number(t, "%stop")
    memory = memory_of(t, f[Field.ALLOCATE], f[Field.BYTES])
    value = rows.one(t.at(numbers, 8 * Field.CONSTANT), 0)
    height, width, pitch, size = f[Field.OUT_HEIGHT], f[Field.OUT_WIDTH], f[Field.PITCH], rows.size
    more_rows = f[Field.SECOND_HEIGHT] - t.choose(f[Field.SECOND_HEIGHT].equals(0), 0, 1)
    more_columns = f[Field.SECOND_WIDTH] - t.choose(f[Field.SECOND_WIDTH].equals(0), 0, 1)
    columns = t.where(memory, f[Field.COLUMNS])
    beyond = width + more_columns + f[Field.FIRST_WIDTH] - 1
    right = f[Field.LEFT] + f[Field.WIDTH]  # column where the border begins again
    for first, last in ((Number(t, "0"), f[Field.LEFT]), (right, beyond)):
        with t.loop(first, last) as x:
            column = border(t, x - f[Field.LEFT], f[Field.WIDTH], f[Field.MODE])
            t.add(f"  store i64 {column}, ptr {t.where(columns, x * 8)}, align 8")

    def samples(source: str, first: Number, count: Number) -> None:
        """Rows of a plane with their border, from one that may be above the image."""
        with t.loop(0, count) as i:
            to = t.where(memory, i * pitch)
            y = border(t, first + i, f[Field.HEIGHT], f[Field.MODE])
            outside = y < 0
            with t.only_if(outside):
                rows.fill(to, value, beyond)
            with t.only_if(t.value(f"xor i1 {outside}, true")):
                row = rows.element(source, y * f[Field.WIDTH])
                rows.copy(rows.element(to, f[Field.LEFT]), row, f[Field.WIDTH])
                for begin, end in ((Number(t, "0"), f[Field.LEFT]), (right, beyond)):
                    with t.loop(begin, end) as x:
                        column = t.number(f"load i64, ptr {t.where(columns, x * 8)}, align 8")
                        none = column < 0
                        sample = rows.one(row, t.choose(none, 0, column))
                        rows.put(t.value(f"select i1 {none}, {t.scalar} {value}, {t.scalar} {sample}"), to, x)

    def windows(to: str, count: Number) -> None:
        kh, kw = f[Field.FIRST_HEIGHT], f[Field.FIRST_WIDTH]
        alone = f[Field.SECOND_HEIGHT].equals(0)
        out_pitch = width * size
        with t.only_if(alone):
            t.call("convolve", f"ptr {memory}", pitch, f"ptr {weights}", kh, kw, f"ptr {to}", out_pitch, count, width)
        with t.only_if(t.value(f"xor i1 {alone}, true")):
            between = t.where(memory, f[Field.BETWEEN])
            made = (f"ptr {between}", pitch, count + more_rows, width + more_columns)
            t.call("convolve", f"ptr {memory}", pitch, f"ptr {weights}", kh, kw, *made)
            taken = (f"ptr {rows.element(weights, kh * kw)}", f[Field.SECOND_HEIGHT], f[Field.SECOND_WIDTH])
            t.call("convolve", f"ptr {between}", pitch, *taken, f"ptr {to}", out_pitch, count, width)

    with t.loop(start // height, (stop - 1) // height + 1) as plane:
        top = plane * height
        first, last = t.choose(start < top, 0, start - top), t.choose(top + height < stop, height, stop - top)
        source = rows.element(src, plane * f[Field.HEIGHT] * f[Field.WIDTH])
        result = rows.element(dst, plane * height * width)
        with t.loop(0, (last - first + f[Field.BAND] - 1) // f[Field.BAND]) as turn:
            y = first + turn * f[Field.BAND]
            count = t.choose(last - y < f[Field.BAND], last - y, f[Field.BAND])
            samples(source, y - f[Field.TOP], count + more_rows + f[Field.FIRST_HEIGHT] - 1)
            windows(rows.element(result, y * width), count)
    end_rows(t, f[Field.RELEASE])
    return t.whole() + rows.declarations() + BORDER


@cache
def fold(dtype: np.dtype[Any]) -> Any:
    """Kernel over the rows of an image's planes: adds to every sample those beyond the border that are taken from it.

    Along the rows first, then down the columns: first what lies inside, then the others from left to right and top to bottom.
    """

    def rows(
        src: Any, dst: Any, at: int, height: int, width: int, kh: int, kw: int, mode: int, row_start: int, row_stop: int
    ) -> None:
        top, left = kh // 2, kw // 2
        pitch = width + kw - 1
        for row in range(row_start, row_stop):
            plane, y = row // height * (height + kh - 1), row % height
            to = dst[at + row * width : at + (row + 1) * width]
            for i in range(kh):
                n = top + y if i == 0 else i - 1 if i - 1 < top else i - 1 + height
                if i > 0 and inside_index(n - top, height, mode) != y:
                    continue
                line = src[(plane + n) * pitch : (plane + n + 1) * pitch]
                middle = line[left : left + width]
                for j in range(kw - 1):
                    place = j if j < left else j + width
                    x = inside_index(place - left, width, mode)
                    if x >= 0:
                        middle[x] += line[place]
                for x in range(width):
                    to[x] = middle[x] if i == 0 else to[x] + middle[x]

    number = from_dtype(dtype)
    return compile_rows(rows, f"convolve_fold_{dtype}", number[::1], number[::1], *[types.intp] * 8)
