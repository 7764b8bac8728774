"""JPEG of one sample, from pixels to pixels in one pass over its rows, as LLVM text.

A row of the kernel is a row of coding units: 8 rows of pixels, 16 where chroma is halved along y as well. Chroma between two units
needs the decoded chroma of both, so their levels are kept in rings of rows, a few tens of kilobytes, and pixels follow one unit
behind. Where a thread's rows begin or end the chroma of one unit more is coded.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from enum import IntEnum
from typing import Any

import numpy as np

from imrestore_kernels.cpu._jpeg_blocks import STEP_BYTES, Blocks
from imrestore_kernels.cpu._jpeg_text import LEVEL, REST, SCALE, VALUE, Stages
from imrestore_kernels.cpu._text_kernel import begin_rows, end_rows, memory_of, whole_numbers
from imrestore_kernels.cpu._vector_text import Number, VectorText, lanes


class Field(IntEnum):
    """What a kernel is told of a sample: its one argument is an array of these. Arrays one by one would take 8 us a sample."""

    SRC = 0  # addresses
    DST = 1
    STEPS = 2
    ALLOCATE = 3
    RELEASE = 4
    HEIGHT = 5
    WIDTH = 6
    SUBSAMPLING = 7
    WHITE = 8  # the bits of a double


#: Axes of the kernel's argument.
ARGUMENTS = (1,)

_LUMA, _CHROMA = 32, 24  # rows of the rings: two units of 16, three of 8
_SPARE = 128  # bytes before and after a row's levels: neighbours of the first and last sample, and the last vector
_TAIL = 32 * 8  # bytes of a vector's pixels, at most


class Rows:
    """The function ``rows``."""

    def __init__(self, dtype: np.dtype[Any], x86: bool) -> None:
        real = np.dtype(np.float32)
        self.text = VectorText(real, 2 * lanes(real))
        self.blocks = Blocks(x86)
        self.stages = Stages(self.text, dtype)
        self.size = dtype.itemsize

    def whole(self, channels: int) -> str:
        """For pictures of 3 channels, or for any number of grey ones."""
        stages = self.stages
        if channels == 3:
            stages.levels()
            stages.halves()
            stages.doubles()
            stages.colours()
            self.colour()
        else:
            stages.grey_levels()
            stages.greys()
            self.grey()
        return self.blocks.whole() + self.text.whole() + stages.declarations()

    def unless(self, condition: str) -> AbstractContextManager[None]:
        return self.text.only_if(self.text.value(f"xor i1 {condition}, true"))

    def begin(self, rows: int) -> None:
        """Arguments, memory for so many rows of levels, and the sample's numbers."""
        t = self.text
        (fields,) = begin_rows(t, ARGUMENTS)
        self.src, self.dst, self.steps = (t.value(f"load ptr, ptr {t.at(fields, 8 * field)}") for field in list(Field)[:3])
        known = whole_numbers(t, fields, Field.WHITE)
        allocate, self.release, self.height, self.width, self.subsampling = known[Field.ALLOCATE :]
        self.row_bytes = self.width * self.size
        self.plane_bytes = self.row_bytes * self.height
        self.start, self.stop = Number(t, "%start"), Number(t, "%stop")
        self.pitch = (self.width + 31) // 32 * (32 * LEVEL) + 2 * _SPARE
        memory = memory_of(t, allocate, self.pitch * rows + 7 * _TAIL)
        self.tails = [t.at(memory, i * _TAIL) for i in range(6)]
        self.numbers = t.at(memory, 6 * _TAIL)
        self.levels = t.at(memory, 7 * _TAIL + _SPARE)
        self.store_numbers(t.value(f"load double, ptr {t.at(fields, 8 * Field.WHITE)}"))

    def store_numbers(self, white: str) -> None:
        """What levels are made and unmade with: 255 / white; white / 255 in the sample's dtype, and what is left of it."""
        t = self.text
        share = f"0x{np.float64(1 / 255).view(np.uint64):016X}"
        scale, value = t.value(f"fdiv double 255.0, {white}"), t.value(f"fmul double {white}, {share}")
        if self.size == 4:
            scale, short = (t.value(f"fptrunc double {x} to float") for x in (scale, value))
            left = t.value(f"fsub double {value}, {t.value(f'fpext float {short} to double')}")
            value, rest = short, t.value(f"fptrunc double {left} to float")
        else:
            left = t.value(f"call double @llvm.fma.f64(double {value}, double -255.0, double {white})")
            rest = t.value(f"fmul double {left}, {share}")
        for index, number in ((SCALE, scale), (VALUE, value), (REST, rest)):
            t.add(f"  store {self.stages.scalar} {number}, ptr {t.at(self.numbers, index * self.size)}")

    def end(self) -> None:
        end_rows(self.text, self.release)

    def row(self, number: Number | int) -> str:
        """Address of a row of levels."""
        return self.text.where(self.levels, self.pitch * number if isinstance(number, int) else number * self.pitch)

    def vectors(self, samples: Number, lanes: int = 0) -> Number:
        lanes = lanes or self.text.lanes
        return (samples + (lanes - 1)) // lanes

    def least(self, a: Number, b: Number) -> Number:
        return self.text.choose(a < b, a, b)

    def copy_pixels(self, source: str, target: str, count: Number) -> None:
        t, kind = self.text, self.stages.scalar
        with t.loop(0, count) as i:
            value = t.value(f"load {kind}, ptr {t.where(source, i * self.size)}, align {self.size}")
            t.add(f"  store {kind} {value}, ptr {t.where(target, i * self.size)}, align {self.size}")

    def in_vectors(self, function: str, pixels: Sequence[str], levels: Sequence[str], back: bool) -> None:
        """Whole vectors of rows, and the rest by way of the tails; ``back`` from levels to pixels."""
        t, n = self.text, self.stages.n
        whole = self.width // n
        done = whole * n
        rest = self.width - done

        def call(pixels: Sequence[str], levels: Sequence[str], count: Number | int) -> None:
            rows = (*levels, *pixels) if back else (*pixels, *levels)
            t.call(function, *(f"ptr {row}" for row in rows), count, f"ptr {self.numbers}")

        call(pixels, levels, whole)
        with t.only_if(t.value(f"icmp ne i64 {rest}, 0")):
            tails = self.tails[: len(pixels)]
            beyond = [t.where(row, done * self.size) for row in pixels]
            if not back:
                for row, tail in zip(beyond, tails, strict=True):
                    self.copy_pixels(row, tail, rest)
            call(tails, [t.where(row, done * LEVEL) for row in levels], 1)
            if back:
                for row, tail in zip(beyond, tails, strict=True):
                    self.copy_pixels(tail, row, rest)

    def repeat_last(self, row: str, count: Number, stop: Number) -> None:
        """Fill a row of levels up to ``stop`` with its last one."""
        t = self.text
        last = t.value(f"load i16, ptr {t.where(row, (count - 1) * LEVEL)}")
        with t.loop(count, stop) as x:
            t.add(f"  store i16 {last}, ptr {t.where(row, x * LEVEL)}")

    def code(self, first_row: Number, samples: Number, table: int) -> None:
        steps = self.text.at(self.steps, table * STEP_BYTES)
        rows = self.row(first_row)
        self.text.call("code", f"ptr {rows}", self.pitch, self.vectors(samples, self.blocks.lanes), f"ptr {steps}")

    # One channel after the other.

    def grey(self) -> None:
        t = self.text
        self.begin(8)
        units = (self.height + 7) // 8
        padded = (self.width + 7) // 8 * 8
        zero = Number(t, "0")
        with t.loop(self.start, self.stop) as unit:
            plane, first = unit // units * self.plane_bytes, unit % units * 8
            with t.loop(0, 8) as r:
                y = self.least(first + r, self.height - 1)
                row = self.row(r)
                self.in_vectors("grey_levels", [t.where(self.src, plane + y * self.row_bytes)], [row], back=False)
                self.repeat_last(row, self.width, padded)
            self.code(zero, self.width, 0)
            with t.loop(0, self.least(self.height - first, Number(t, "8"))) as r:
                place = t.where(self.dst, plane + (first + r) * self.row_bytes)
                self.in_vectors("greys", [place], [self.row(r)], back=True)
        self.end()

    # Three channels together.

    def colour(self) -> None:
        t = self.text
        counts = (_LUMA, _CHROMA, _CHROMA, 2, 2, 1, 1, 1)
        self.begin(sum(counts))
        starts = np.cumsum([0, *counts]).tolist()
        self.rings = starts[1:3]
        self.apart = starts[3:5]  # chroma before it is halved
        self.sums, *self.between = starts[5:8]
        self.half_x, self.half_y = self.subsampling_is(1, 2), self.subsampling_is(2)
        self.lag = t.choose(self.half_y, 1, 0)
        self.chroma_width = t.choose(self.half_x, (self.width + 1) // 2, self.width)
        self.chroma_height = t.choose(self.half_y, (self.height + 1) // 2, self.height)
        units = (self.chroma_height + 7) // 8
        first = t.choose(self.start.equals(0), 0, self.start - self.lag)
        with t.loop(first, self.stop + self.lag) as unit:
            with t.only_if(unit < units):
                self.encode(unit)
            behind = unit - self.lag
            with self.unless(behind < self.start):
                rows = (self.lag + 1) * 8
                begin = behind * rows
                with t.loop(begin, self.least(begin + rows, self.height)) as y:
                    self.decode(y)
        self.end()

    def subsampling_is(self, *numbers: int) -> str:
        flags = [self.subsampling.equals(number) for number in numbers]
        return flags[0] if len(flags) == 1 else self.text.value(f"or i1 {flags[0]}, {flags[1]}")

    def chroma(self, channel: int, number: Number) -> str:
        return self.row(number % _CHROMA + self.rings[channel])

    def encode(self, unit: Number) -> None:
        """Levels of a unit, and both transforms."""
        t = self.text
        padded = t.choose(self.half_x, (self.width + 15) // 16 * 16, (self.width + 7) // 8 * 8)
        with t.loop(unit * 8, unit * 8 + 8) as number:
            with t.loop(0, self.lag + 1) as j:
                y = number * (self.lag + 1) + j
                place = t.where(self.src, self.least(y, self.height - 1) * self.row_bytes)
                pixels = [place, t.where(place, self.plane_bytes), t.where(place, self.plane_bytes * 2)]
                rows = [self.row(y % _LUMA)]
                for channel in range(2):
                    apart = self.row(j + self.apart[channel])
                    rows.append(t.value(f"select i1 {self.half_x}, ptr {apart}, ptr {self.chroma(channel, number)}"))
                self.in_vectors("levels", pixels, rows, back=False)
                for row in rows:
                    self.repeat_last(row, self.width, padded)
            for channel in range(2):
                self.halve(channel, number)
        zero = t.choose(unit < self.start, 0, t.choose(unit < self.stop, self.lag + 1, 0))  # luma of other units is not wanted
        with t.loop(0, zero) as k:
            self.code((unit * (self.lag + 1) + k) % (_LUMA // 8) * 8, self.width, 0)
        for channel in range(2):
            self.code(unit % (_CHROMA // 8) * 8 + self.rings[channel], self.chroma_width, 1)

    def halve(self, channel: int, number: Number) -> None:
        t = self.text
        rows = [f"ptr {self.row(self.apart[channel] + j)}" for j in range(2)]
        to = f"ptr {self.chroma(channel, number)}"
        count = self.vectors(self.chroma_width)  # and so the whole of the last block
        with t.only_if(self.half_y):
            beyond = t.value(f"xor i1 {number < self.chroma_height}, true")
            with t.only_if(beyond):  # the last means are repeated, not those of repeated rows
                t.call("copy", f"ptr {self.chroma(channel, number - 1)}", to, count)
            with self.unless(beyond):
                t.call("halve_xy", *rows, to, count)
        with t.only_if(self.subsampling_is(1)):
            t.call("halve_x", rows[0], to, count)

    def decode(self, y: Number) -> None:
        """A row of pixels."""
        t = self.text
        rows = [self.row(y % _LUMA)]
        for channel in range(2):
            between = self.row(self.between[channel])
            number = t.choose(self.half_y, y // 2, y)
            near = self.chroma(channel, number)
            with t.only_if(self.half_x):
                self.double(channel, y, number, between)
            rows.append(t.value(f"select i1 {self.half_x}, ptr {between}, ptr {near}"))
        place = t.where(self.dst, y * self.row_bytes)
        pixels = [place, t.where(place, self.plane_bytes), t.where(place, self.plane_bytes * 2)]
        self.in_vectors("colours", pixels, rows, back=True)

    def double(self, channel: int, y: Number, number: Number, to: str) -> None:
        """A row of chroma at its full width; of no more than 2 samples each is repeated."""
        t = self.text
        near = self.chroma(channel, number)
        few = self.chroma_width < 3
        with t.only_if(few), t.loop(0, self.width) as x:
            value = t.value(f"load i16, ptr {t.where(near, x // 2 * LEVEL)}")
            t.add(f"  store i16 {value}, ptr {t.where(to, x * LEVEL)}")
        with self.unless(few):
            above = t.choose(number.equals(0), 0, number - 1)
            below = self.least(number + 1, self.chroma_height - 1)
            other = t.choose((y % 2).equals(0), above, below)
            far = self.chroma(channel, t.choose(self.half_y, other, number))
            sums = self.row(self.sums)
            count = self.vectors(self.chroma_width)
            t.call("lean", f"ptr {near}", f"ptr {far}", f"ptr {sums}", count)
            for source, target in ((Number(t, "0"), Number(t, "-1")), (self.chroma_width - 1, self.chroma_width)):
                value = t.value(f"load i16, ptr {t.where(sums, source * LEVEL)}")
                t.add(f"  store i16 {value}, ptr {t.where(sums, target * LEVEL)}")
            with t.only_if(self.half_y):
                t.call("double_xy", f"ptr {sums}", f"ptr {to}", count)
            with self.unless(self.half_y):
                t.call("double_x", f"ptr {sums}", f"ptr {to}", count)
