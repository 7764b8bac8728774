"""Weighted sums of rows, down the columns and along the rows, as LLVM text.

Along a row the samples of a sum are neighbours, and where they begin differs from result to result. So a block of as many rows as
a vector has lanes is turned on its side first, and a sum is then one of whole vectors, as it is down the columns.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np

from imrestore_kernels.cpu._border_text import Rows
from imrestore_kernels.cpu._text_kernel import begin_rows, end_rows, function_at, memory_of, whole_numbers
from imrestore_kernels.cpu._vector_text import Number, VectorText

#: Vectors of a row that are summed together.
TOGETHER = 8
#: Vectors of rows that are turned on their side together, and results along a row that are made together where they have as many
#: taps: 8 sums, which hides that an addition takes 4 cycles.
SIDE, GROUP = 2, 4


class Field(IntEnum):
    """Numbers that a kernel takes; all tables but the weights are of 64-bit numbers."""

    SRC = 0  # addresses
    DST = 1
    STARTS = 2  # segment where those of every result begin
    SEGMENTS = 3  # sample that each of them begins with, its length, the place of its first weight
    WEIGHTS = 4
    INDEX = 5  # where samples from `LOW` on come from, -1 for the constant
    GROUPS = 6  # taps of the results of every group, where each has one segment and all as many taps, else -1
    CONSTANT = 7  # its bits
    LENGTH = 8  # of the axis
    OUT_LENGTH = 9
    ACROSS = 10  # length of the other axis
    LOW = 11
    HIGH = 12
    MOST = 13  # taps of the longest segment
    BYTES = 14
    ALLOCATE = 15
    RELEASE = 16


class _Pass:
    """What both passes share: the text, its fields, the memory."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.text = VectorText(dtype)
        self.rows = Rows(self.text)

    def begin(self) -> str:
        """The kernel up to its memory."""
        t = self.text
        (numbers,) = begin_rows(t, (1,))
        self.field = whole_numbers(t, numbers, len(Field))
        self.pointer = {f: function_at(t, self.field[f]) for f in list(Field)[: Field.CONSTANT]}
        self.start, self.stop = Number(t, "%start"), Number(t, "%stop")
        memory = memory_of(t, self.field[Field.ALLOCATE], self.field[Field.BYTES])
        self.constant = self.rows.one(t.at(numbers, 8 * Field.CONSTANT), 0)
        return memory

    def number(self, table: Field, index: Number) -> Number:
        return self.text.number(f"load i64, ptr {self.text.where(self.pointer[table], index * 8)}, align 8")

    def segment(self, s: Number) -> tuple[Number, Number, str]:
        """First sample and taps of a segment, and the address of its weights."""
        first, taps, place = (self.number(Field.SEGMENTS, s * 3 + i) for i in range(3))
        return first, taps, self.rows.element(self.pointer[Field.WEIGHTS], place)

    def end(self) -> str:
        end_rows(self.text, self.field[Field.RELEASE])
        return self.text.whole() + self.rows.declarations()


class Down(_Pass):
    """Rows of results, each a sum of rows of samples.

    The memory has the addresses of the rows of one segment, then the constant's row.
    """

    def whole(self) -> str:
        t = self.text
        for count in (TOGETHER, 1):
            self._sum(count)
        memory = self.begin()
        f = self.field
        width, height = f[Field.ACROSS], f[Field.OUT_LENGTH]
        constant = t.where(memory, f[Field.MOST] * 8)
        self.rows.fill(constant, self.constant, width)
        with t.loop(self.start, self.stop) as row:
            plane = row // height
            y = row - plane * height
            source = self.rows.element(self.pointer[Field.SRC], plane * f[Field.LENGTH] * width)
            to = self.rows.element(self.pointer[Field.DST], row * width)
            first = self.number(Field.STARTS, y)
            with t.loop(first, self.number(Field.STARTS, y + 1)) as s:
                begin, taps, weights = self.segment(s)
                with t.loop(0, taps) as k:
                    index = self.number(Field.INDEX, begin + k - f[Field.LOW])
                    inside = self.rows.element(source, t.choose(index < 0, 0, index) * width)
                    address = t.value(f"select i1 {index < 0}, ptr {constant}, ptr {inside}")
                    t.add(f"  store ptr {address}, ptr {t.where(memory, k * 8)}, align 8")
                self._row(memory, weights, taps, to, t.choose(s.equals(first), 0, 1))
        return self.end()

    def _row(self, table: str, weights: str, taps: Number, to: str, more: Number) -> None:
        t, width = self.text, self.field[Field.ACROSS]
        whole = width // (TOGETHER * t.lanes)
        arguments = (f"ptr {table}", f"ptr {weights}", taps, f"ptr {to}", more)
        with t.loop(0, whole) as i:
            t.call(f"sum{TOGETHER}", *arguments, i * TOGETHER * t.bytes, TOGETHER * t.lanes)
        done = whole * TOGETHER * t.lanes
        with t.loop(0, (width - done + (t.lanes - 1)) // t.lanes) as i:
            at = done + i * t.lanes
            t.call("sum1", *arguments, at * self.rows.size, width - at)

    def _sum(self, count: int) -> None:
        """``count`` vectors of a row, ``at`` bytes from its beginning; of one vector ``left`` numbers."""
        t = self.text
        numbers = ("i64 %taps", "ptr %to", "i64 %more", "i64 %at", "i64 %left")
        t.function(f"sum{count}", ("ptr %rows", "ptr %weights", *numbers))
        at, zero = Number(t, "%at"), ["zeroinitializer"] * count
        mask = self.rows.mask(Number(t, "%left")) if count == 1 else ""
        with t.folded(0, Number(t, "%taps"), zero) as (k, sums, results):
            row = t.where(t.value(f"load ptr, ptr {t.where('%rows', k * 8)}, align 8"), at)
            weight = t.everywhere(self.rows.one("%weights", k))
            for v, total in enumerate(sums):
                value = self.rows.masked_load(row, mask) if mask else t.load(row, v * t.bytes, anywhere=True)
                results.append(t.fma(weight, value, total))
        to = t.where("%to", at)
        first = Number(t, "%more").equals(0)
        for v, total in enumerate(sums):
            place = t.at(to, v * t.bytes)
            before = self.rows.masked_load(place, mask) if mask else t.load(place, anywhere=True)
            both = t.op("fadd", before, total)
            value = t.value(f"select i1 {first}, {t.vector} {total}, {t.vector} {both}")
            if mask:
                self.rows.masked_store(value, place, mask)
            else:
                t.store(value, place, anywhere=True)
        t.add("  ret void\n}")


class Along(_Pass):
    """Sums along rows; a block of rows on its side is `SIDE` vectors for every sample.

    The memory has the samples with their border, a block of results, the addresses of the rows, and a row that nobody reads.
    """

    def whole(self) -> str:
        t = self.text
        memory = self.begin()
        f = self.field
        self.rows_together = SIDE * t.lanes
        self.step = SIDE * t.bytes  # from one sample to the next
        low = t.choose(f[Field.LOW] < 0, f[Field.LOW], 0)
        high = t.choose(f[Field.HIGH] < f[Field.LENGTH], f[Field.LENGTH], f[Field.HIGH])
        room = t.lanes * self.step  # of a block
        samples = t.where(memory, -low * self.step)  # sample 0
        results = t.where(samples, high * self.step + room)
        table = t.at(results, room)
        spare = t.at(table, 16 * self.rows_together)
        with t.loop(0, (self.stop - self.start + (self.rows_together - 1)) // self.rows_together) as block:
            first = self.start + block * self.rows_together
            with t.loop(0, self.rows_together) as n:
                row = first + n
                over = self.stop - 1 < row
                source = self.rows.element(self.pointer[Field.SRC], t.choose(over, self.stop - 1, row) * f[Field.LENGTH])
                inside = self.rows.element(self.pointer[Field.DST], row * f[Field.OUT_LENGTH])
                to = t.value(f"select i1 {over}, ptr {spare}, ptr {inside}")
                t.add(f"  store ptr {source}, ptr {t.where(table, n * 8)}, align 8")
                t.add(f"  store ptr {to}, ptr {t.where(table, n * 8 + 8 * self.rows_together)}, align 8")
            self._turn(table, samples)
            self._border(samples)
            self._results(samples, results, t.at(table, 8 * self.rows_together))
        return self.end()

    def _address(self, table: str, row: int, at: Number) -> str:
        t = self.text
        return t.where(t.value(f"load ptr, ptr {t.at(table, 8 * row)}, align 8"), at * self.rows.size)

    def _blocks(self, length: Number, block: Any) -> None:
        """``block(first column, columns)`` for as many columns as a vector has lanes, and for what is left of them."""
        t = self.text
        whole = length // t.lanes
        with t.loop(0, whole) as i:
            block(i * t.lanes, None)
        left = length - whole * t.lanes
        with t.only_if(Number(t, "0") < left):
            block(whole * t.lanes, left)

    def _turn(self, table: str, samples: str) -> None:
        """All samples of the rows; those beyond the last are written, too."""
        t = self.text

        def block(x: Number, left: Number | None) -> None:
            mask = "" if left is None else self.rows.mask(left)
            for side in range(SIDE):
                values = []
                for lane in range(t.lanes):
                    place = self._address(table, side * t.lanes + lane, x)
                    values.append(self.rows.masked_load(place, mask) if mask else t.load(place, anywhere=True))
                for lane, value in enumerate(self._transposed(values)):
                    t.store(value, t.where(samples, x * self.step), lane * self.step + side * t.bytes)

        self._blocks(self.field[Field.LENGTH], block)

    def _border(self, samples: str) -> None:
        t, f = self.text, self.field
        outside = t.everywhere(self.constant)
        before = t.choose(f[Field.HIGH] < 0, f[Field.HIGH], 0)
        after = t.choose(f[Field.LENGTH] < f[Field.LOW], f[Field.LOW], f[Field.LENGTH])
        for begin, end in ((f[Field.LOW], before), (after, f[Field.HIGH])):
            with t.loop(begin, end) as x:
                index = self.number(Field.INDEX, x - f[Field.LOW])
                source = t.where(samples, t.choose(index < 0, 0, index) * self.step)
                for side in range(SIDE):
                    sample = t.load(source, side * t.bytes)
                    value = t.value(f"select i1 {index < 0}, {t.vector} {outside}, {t.vector} {sample}")
                    t.store(value, t.where(samples, x * self.step), side * t.bytes)

    def _results(self, samples: str, results: str, table: str) -> None:
        """All results of the rows, a block of them at a time."""
        t = self.text

        def block(x: Number, left: Number | None) -> None:
            if left is None:
                for first in range(0, t.lanes, GROUP):
                    self._group(samples, x + first, t.at(results, first * self.step))
            else:
                with t.loop(0, left) as single:
                    self._alone(samples, x + single, t.where(results, single * self.step))
            mask = "" if left is None else self.rows.mask(left)
            for side in range(SIDE):
                values = [t.load(results, n * self.step + side * t.bytes) for n in range(t.lanes)]
                for lane, value in enumerate(self._transposed(values)):
                    place = self._address(table, side * t.lanes + lane, x)
                    if mask:
                        self.rows.masked_store(value, place, mask)
                    else:
                        t.store(value, place, anywhere=True)

        self._blocks(self.field[Field.OUT_LENGTH], block)

    def _group(self, samples: str, x: Number, to: str) -> None:
        """`GROUP` results from number ``x`` on, together if they have as many taps."""
        t = self.text
        taps = self.number(Field.GROUPS, x // GROUP)
        odd = taps < 0
        with t.only_if(odd), t.loop(0, GROUP) as n:
            self._alone(samples, x + n, t.where(to, n * self.step))
        with t.only_if(t.value(f"xor i1 {odd}, true")):
            first = self.number(Field.STARTS, x)
            self._sums(samples, [first + n for n in range(GROUP)], taps, to, None)

    def _alone(self, samples: str, x: Number, to: str) -> None:
        """One result of any number of segments."""
        t = self.text
        first = self.number(Field.STARTS, x)
        with t.loop(first, self.number(Field.STARTS, x + 1)) as s:
            self._sums(samples, [s], self.segment(s)[1], to, s.equals(first))

    def _sums(self, samples: str, segments: list[Number], taps: Number, to: str, first: str | None) -> None:
        """The sums of some segments of as many taps; one that is not the ``first`` is added to what is there."""
        t = self.text
        places, weights = [], []
        for s in segments:
            begin, _, at = self.segment(s)
            places.append(t.where(samples, begin * self.step))
            weights.append(at)
        with t.folded(0, taps, ["zeroinitializer"] * (SIDE * len(segments))) as (k, sums, totals):
            for n, place in enumerate(places):
                weight = t.everywhere(self.rows.one(weights[n], k))
                sample = t.where(place, k * self.step)
                totals += [t.fma(weight, t.load(sample, v * t.bytes), sums[n * SIDE + v]) for v in range(SIDE)]
        for n, total in enumerate(sums):
            if first is not None:
                both = t.op("fadd", t.load(to, n * t.bytes), total)
                total = t.value(f"select i1 {first}, {t.vector} {total}, {t.vector} {both}")
            t.store(total, to, n * t.bytes)

    def _transposed(self, values: list[str]) -> list[str]:
        """Rows of a square as its columns: squares of two halves change places off the diagonal, then those within."""
        t, count = self.text, self.text.lanes
        values = list(values)
        distance = count // 2
        while distance:
            for i in range(count):
                if i & distance:
                    continue
                a, b = values[i], values[i + distance]
                low = [j if not j & distance else count + j - distance for j in range(count)]
                high = [j + distance if not j & distance else count + j for j in range(count)]
                for to, order in ((i, low), (i + distance, high)):
                    lanes = ", ".join(f"i32 {j}" for j in order)
                    values[to] = t.value(f"shufflevector {t.vector} {a}, {t.vector} {b}, <{count} x i32> <{lanes}>")
            distance //= 2
        return values
