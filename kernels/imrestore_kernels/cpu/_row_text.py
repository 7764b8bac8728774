"""Rows of an image as vectors of numbers, and back, as LLVM text: every pixel type, any border, interleaved channels.

One function for each direction, of one pixel type: programs for all pixel types call them by their addresses.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from imrestore_kernels.borders import border_index
from imrestore_kernels.cpu._jit import machine_code
from imrestore_kernels.cpu._vector_text import Number, VectorText, lanes


class Rows(NamedTuple):
    """Addresses of functions that read and write rows.

    ``load(row, step, columns, first, last, n, to, numbers)``: samples ``columns[0 .. n]`` of a row, of which those from ``first``
    to before ``last`` are neighbours; -1, and every sample where ``row`` is null, is the first of ``numbers``. Pixels are ``step``
    bytes apart. ``spread`` samples are multiplied by the second number; of others those that are not finite become NaN.

    ``store(values, n, to, step)``: ``n`` values to pixels; whole numbers are rounded half to even and saturated, NaN is 0.
    """

    load: int
    store: int


@cache
def row_functions(dtype: np.dtype[Any], compute: np.dtype[Any], spread: bool = False) -> Rows:
    """Machine code for pixels of ``dtype`` and numbers in ``compute``.

    ``spread`` numbers are as far apart as a vector is wide, and scaled; others are neighbours.
    """
    name = f"rows_{dtype}_{compute}_{lanes(compute)}{'_spread' * spread}"
    return Rows(*machine_code(name, lambda: _text(dtype, compute, spread), *Rows._fields))


@cache
def load_together(dtype: np.dtype[Any], compute: np.dtype[Any], channels: int) -> int:
    """Address of ``load(row, pitch, columns, first, last, n, to, numbers)``: all channels of a row, to rows ``pitch`` bytes apart.

    As `Rows.load` otherwise. Neighbours are read as they lie in memory and sorted by channel in registers: 512x512 float32 with a
    colour guide took 1.1 times as long with a pass over the row for each channel.
    """

    def text() -> str:
        pixels = _Pixels(VectorText(compute), dtype, spread=False)
        pixels.load_together(channels)
        return pixels.text.whole() + pixels.declarations()

    return machine_code(f"rows_of_{channels}_{dtype}_{compute}_{lanes(compute)}", text, "load")[0]


@lru_cache(maxsize=64)
def border_table(length: int, before: int, after: int, mode: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Sample that each of ``-before .. length + after`` takes its value from; -1 is the constant."""
    table = np.arange(-before, length + after)
    for i in (*range(before), *range(before + length, before + length + after)):
        table[i] = border_index(i - before, length, mode)
    table.flags.writeable = False
    return table


def _text(dtype: np.dtype[Any], compute: np.dtype[Any], spread: bool) -> str:
    pixels = _Pixels(VectorText(compute), dtype, spread)
    pixels.load()
    pixels.store()
    return pixels.text.whole() + pixels.declarations()


class _Pixels:
    def __init__(self, text: VectorText, dtype: np.dtype[Any], spread: bool) -> None:
        self.text, self.dtype, self.spread = text, dtype, spread
        self.size = dtype.itemsize
        self.real_size = text.bytes // text.lanes
        self.pixel = {"f": {4: "float", 8: "double"}.get(self.size, "")}.get(dtype.kind, f"i{8 * self.size}")
        self.step = text.bytes if spread else self.real_size

    def declarations(self) -> str:
        t, kind = self.text, f"f{8 * self.real_size}"
        names = [(f"llvm.rint.{kind}", t.scalar), (f"llvm.rint.v{t.lanes}{kind}", t.vector)]
        return "\n" + "\n".join(f"declare {type_} @{name}({type_})" for name, type_ in names)

    # A number is `wide` if it is a vector of them.

    def _kind(self, wide: bool, scalar: str) -> str:
        return f"<{self.text.lanes} x {scalar}>" if wide else scalar

    def _constant(self, wide: bool, number: float) -> str:
        return self.text.constant(number) if wide else self.text.one(number)

    def _whole(self, wide: bool, number: int) -> str:
        return f"splat ({self.pixel} {number})" if wide else str(number)

    def _to_real(self, wide: bool, value: str, scale: str) -> str:
        """A pixel as a number."""
        t = self.text
        real, pixel = self._kind(wide, t.scalar), self._kind(wide, self.pixel)
        if self.pixel != t.scalar:
            operation = {"f": "fpext", "u": "uitofp", "i": "sitofp"}[self.dtype.kind]
            value = t.value(f"{operation} {pixel} {value} to {real}")
        if scale:
            return t.value(f"fmul {real} {value}, {scale}")
        if self.dtype.kind == "f":
            nought = t.value(f"fmul {real} {value}, {self._constant(wide, 0.0)}")
            value = t.value(f"fadd {real} {nought}, {value}")
        return value

    def _to_pixel(self, wide: bool, value: str) -> str:
        """A number as a pixel."""
        t = self.text
        real, pixel = self._kind(wide, t.scalar), self._kind(wide, self.pixel)
        if self.dtype.kind == "f":
            return value if self.pixel == t.scalar else t.value(f"fptrunc {real} {value} to {pixel}")
        flag = self._kind(wide, "i1")
        least, most = int(np.iinfo(self.dtype).min), int(np.iinfo(self.dtype).max)
        low, high = self._constant(wide, least), self._constant(wide, float(most))  # of 64 bits the next power of two
        kind = f"f{8 * self.real_size}"
        value = t.value(f"call {real} @llvm.rint.{f'v{t.lanes}' if wide else ''}{kind}({real} {value})")
        known = t.value(f"fcmp ord {real} {value}, {value}")
        value = t.value(f"select {flag} {known}, {real} {value}, {real} {self._constant(wide, 0.0)}")
        under = t.value(f"fcmp ole {real} {value}, {low}")
        over = t.value(f"fcmp oge {real} {value}, {high}")
        # What is out of range has no conversion: it is 0 until the limits take its place.
        beyond = t.value(f"or {flag} {under}, {over}")
        value = t.value(f"select {flag} {beyond}, {real} {self._constant(wide, 0.0)}, {real} {value}")
        wider = self._kind(wide, f"i{max(32, 8 * self.size)}")  # which processors convert to
        signed = "fptosi" if self.dtype.kind == "i" or self.size < 4 else "fptoui"
        whole = t.value(f"{signed} {real} {value} to {wider}")
        if wider != pixel:
            whole = t.value(f"trunc {wider} {whole} to {pixel}")
        whole = t.value(f"select {flag} {under}, {pixel} {self._whole(wide, least)}, {pixel} {whole}")
        return t.value(f"select {flag} {over}, {pixel} {self._whole(wide, most)}, {pixel} {whole}")

    def _number(self, index: int) -> str:
        place = self.text.at("%numbers", index * self.real_size)
        return self.text.value(f"load {self.text.scalar}, ptr {place}")

    def _vectors(self, start: Number, stop: Number, one: Any, many: Any) -> None:
        """``many(i)`` for whole vectors of start .. stop, ``one(i)`` for what is left."""
        t = self.text
        whole = t.number(f"sdiv i64 {stop - start}, {t.lanes}")
        with t.loop(0, whole) as i:
            many(start + i * t.lanes)
        with t.loop(start + whole * t.lanes, stop) as i:
            one(i)

    def load(self) -> None:
        t = self.text
        t.function(
            "load",
            ("ptr %row", "i64 %step", "ptr %columns", "i64 %first", "i64 %last", "i64 %n", "ptr %to", "ptr %numbers"),
        )
        first, last, n, step = (Number(t, name) for name in ("%first", "%last", "%n", "%step"))
        outside, scale = self._number(0), self._number(1) if self.spread else ""

        def put(value: str, i: Number) -> None:
            t.add(f"  store {t.scalar} {value}, ptr {t.where('%to', i * self.step)}, align {self.real_size}")

        def pixel(place: str) -> str:
            return t.value(f"load {self.pixel}, ptr {place}, align {self.size}")

        def anywhere(i: Number) -> None:
            column = t.number(f"load i64, ptr {t.where('%columns', i * 8)}")
            out = column < 0
            value = self._to_real(False, pixel(t.where("%row", t.choose(out, 0, column) * step)), scale)
            put(t.value(f"select i1 {out}, {t.scalar} {outside}, {t.scalar} {value}"), i)

        def neighbour(i: Number) -> None:
            put(self._to_real(False, pixel(t.where(source, (i - first) * step)), scale), i)

        def neighbours(i: Number) -> None:
            place = t.where(source, (i - first) * self.size)
            kind = self._kind(True, self.pixel)
            values = self._to_real(True, t.value(f"load {kind}, ptr {place}, align {self.size}"), "")
            t.add(f"  store {t.vector} {values}, ptr {t.where('%to', i * self.step)}, align {self.real_size}")

        given = t.value("icmp ne ptr %row, null")
        with t.only_if(t.value(f"xor i1 {given}, true")), t.loop(0, n) as i:
            put(outside, i)
        with t.only_if(given):
            with t.loop(0, first) as i:
                anywhere(i)
            inside = first < last
            with t.only_if(inside):
                column = t.number(f"load i64, ptr {t.where('%columns', first * 8)}")
                source = t.where("%row", column * step)
                if self.spread:
                    with t.loop(first, last) as i:
                        neighbour(i)
                else:
                    dense = step.equals(self.size)
                    with t.only_if(dense):
                        self._vectors(first, last, neighbour, neighbours)
                    with t.only_if(t.value(f"xor i1 {dense}, true")), t.loop(first, last) as i:
                        neighbour(i)
            with t.loop(t.choose(inside, last, first), n) as i:
                anywhere(i)
        t.add("  ret void\n}")

    def load_together(self, channels: int) -> None:
        t, step = self.text, self.size * channels
        names = ("first", "last", "n")
        pointers = ("ptr %row", "i64 %pitch", "ptr %columns")
        t.function("load", (*pointers, *(f"i64 %{name}" for name in names), "ptr %to", "ptr %numbers"))
        first, last, n = (Number(t, f"%{name}") for name in names)
        outside, pitch = self._number(0), Number(t, "%pitch")
        to = [t.where("%to", pitch * c) for c in range(channels)]

        def put(kind: str, value: str, i: Number, c: int) -> None:
            t.add(f"  store {kind} {value}, ptr {t.where(to[c], i * self.step)}, align {self.real_size}")

        def pixel(place: str, i: Number, out: str = "") -> None:
            for c in range(channels):
                value = t.value(f"load {self.pixel}, ptr {t.at(place, c * self.size)}, align {self.size}")
                value = self._to_real(False, value, "")
                put(t.scalar, t.value(f"select i1 {out}, {t.scalar} {outside}, {t.scalar} {value}") if out else value, i, c)

        def anywhere(i: Number) -> None:
            column = t.number(f"load i64, ptr {t.where('%columns', i * 8)}")
            out = column < 0
            pixel(t.where("%row", t.choose(out, 0, column) * step), i, out)

        def neighbours(i: Number) -> None:
            many = f"<{t.lanes * channels} x {self.pixel}>"
            values = t.value(f"load {many}, ptr {t.where(source, (i - first) * step)}, align {self.size}")
            for c in range(channels):
                mask = ", ".join(f"i32 {c + channels * lane}" for lane in range(t.lanes))
                chosen = t.value(f"shufflevector {many} {values}, {many} poison, <{t.lanes} x i32> <{mask}>")
                put(t.vector, self._to_real(True, chosen, ""), i, c)

        given = t.value("icmp ne ptr %row, null")
        with t.only_if(t.value(f"xor i1 {given}, true")), t.loop(0, n) as i:
            for c in range(channels):
                put(t.scalar, outside, i, c)
        with t.only_if(given):
            with t.loop(0, first) as i:
                anywhere(i)
            inside = first < last
            with t.only_if(inside):
                column = t.number(f"load i64, ptr {t.where('%columns', first * 8)}")
                source = t.where("%row", column * step)
                self._vectors(first, last, lambda i: pixel(t.where(source, (i - first) * step), i), neighbours)
            with t.loop(t.choose(inside, last, first), n) as i:
                anywhere(i)
        t.add("  ret void\n}")

    def store(self) -> None:
        t = self.text
        t.function("store", ("ptr %values", "i64 %n", "ptr %to", "i64 %step"))
        n, step = Number(t, "%n"), Number(t, "%step")

        def one(i: Number) -> None:
            value = t.value(f"load {t.scalar}, ptr {t.where('%values', i * self.step)}, align {self.real_size}")
            pixel = self._to_pixel(False, value)
            t.add(f"  store {self.pixel} {pixel}, ptr {t.where('%to', i * step)}, align {self.size}")

        def many(i: Number) -> None:
            values = t.value(f"load {t.vector}, ptr {t.where('%values', i * self.step)}, align {self.real_size}")
            kind = self._kind(True, self.pixel)
            t.add(f"  store {kind} {self._to_pixel(True, values)}, ptr {t.where('%to', i * self.size)}, align {self.size}")

        if self.spread:
            with t.loop(0, n) as i:
                one(i)
        else:
            dense = step.equals(self.size)
            with t.only_if(dense):
                self._vectors(Number(t, "0"), n, one, many)
            with t.only_if(t.value(f"xor i1 {dense}, true")), t.loop(0, n) as i:
                one(i)
        t.add("  ret void\n}")
