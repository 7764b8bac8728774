"""Stages of JPEG around its transforms, as LLVM text: levels of colours, means of chroma, chroma between its samples, pixels.

Levels are int16 in rows. Colours are mixed in float32, which holds their products and sums in 16-bit fixed point without rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from imrestore_kernels import jpeg_tables as tables
from imrestore_kernels.cpu._vector_text import Number, VectorText

#: Bytes of a level in a row.
LEVEL = 2
#: Numbers that a sample's levels are made and unmade with, in its dtype: levels of 1, the value of a level, and what rounding that
#: left of it.
SCALE, VALUE, REST = range(3)

_MIDDLE = 128
_UNIT = 2.0**-tables.COLOUR_BITS


class Stages:
    """Functions over rows of so many vectors. A vector is two registers of float32: two are packed to int16 as fast as one."""

    def __init__(self, text: VectorText, dtype: np.dtype[Any]) -> None:
        self.text, self.dtype = text, dtype
        self.n = text.lanes
        self.scalar = "float" if dtype == np.float32 else "double"
        self.pixels = f"<{self.n} x {self.scalar}>"
        self.ints = text.integer
        self.shorts = f"<{self.n} x i16>"
        self.pairs = f"<{2 * self.n} x i16>"

    def declarations(self) -> str:
        t, n = self.text, self.n
        wanted = [(f"llvm.rint.v{n}f{8 * self.dtype.itemsize}", self.pixels, 1), (f"llvm.floor.v{n}f32", t.vector, 1)]
        wanted += [(f"llvm.{name}.v{n}f32", t.vector, 2) for name in ("maxnum", "minnum")]
        if self.dtype == np.float64:
            wanted += [(f"llvm.fma.v{n}f64", self.pixels, 3), ("llvm.fma.f64", "double", 3)]
        lines = [f"declare {kind} @{name}({', '.join([kind] * count)})" for name, kind, count in wanted]
        return "\n" + "\n".join(lines)

    # Vectors of int32, and rows of int16.

    def i(self, operation: str, a: str, b: str | int) -> str:
        other = b if isinstance(b, str) else f"splat (i32 {b})"
        return self.text.value(f"{operation} {self.ints} {a}, {other}")

    def load_levels(self, row: str, at: Number, beside: int = 0) -> str:
        place = self.text.where(row, at * (self.n * LEVEL) + beside * LEVEL)
        short = self.text.value(f"load {self.shorts}, ptr {place}, align {LEVEL}")
        return self.text.value(f"sext {self.shorts} {short} to {self.ints}")

    def store_levels(self, values: str, row: str, at: Number) -> None:
        short = self.text.value(f"trunc {self.ints} {values} to {self.shorts}")
        self.text.add(f"  store {self.shorts} {short}, ptr {self.text.where(row, at * (self.n * LEVEL))}, align {LEVEL}")

    def to_float(self, ints: str) -> str:
        return self.text.value(f"sitofp {self.ints} {ints} to {self.text.vector}")

    def to_int(self, floats: str) -> str:
        return self.text.value(f"fptosi {self.text.vector} {floats} to {self.ints}")

    def call(self, name: str, *floats: str, flags: str = "") -> str:
        v = self.text.vector
        return self.text.value(f"call {flags}{v} @llvm.{name}.v{self.n}f32({', '.join(f'{v} {f}' for f in floats)})")

    def over(self, name: str, parameters: Sequence[str], body: Callable[[Number], None], numbers: bool = False) -> None:
        """A function over vectors 0 .. ``%vectors``."""
        t = self.text
        t.function(name, [*(f"ptr %{p}" for p in parameters), "i64 %vectors", *(["ptr %numbers"] if numbers else [])])
        with t.loop(0, Number(t, "%vectors")) as at:
            body(at)
        t.add("  ret void\n}")

    # From pixels to levels.

    def number(self, index: int) -> str:
        """One of the sample's numbers in all lanes."""
        one = self.text.value(f"load {self.scalar}, ptr {self.text.at('%numbers', index * self.dtype.itemsize)}")
        first = self.text.value(f"insertelement {self.pixels} poison, {self.scalar} {one}, i64 0")
        return self.text.value(f"shufflevector {self.pixels} {first}, {self.pixels} poison, <{self.n} x i32> zeroinitializer")

    def constant(self, number: float) -> str:
        return f"splat ({self.scalar} 0x{np.float64(number).view(np.uint64):016X})"

    def level(self, row: str, at: Number) -> str:
        """Pixels as levels in float32; NaN is 0.

        That 0 is -0, for which LLVM takes one instruction and not two.
        """
        t, p = self.text, self.pixels
        place = t.where(row, at * (self.n * self.dtype.itemsize))
        value = t.value(f"load {p}, ptr {place}, align {self.dtype.itemsize}")
        value = t.value(f"fmul {p} {value}, {self.number(SCALE)}")
        for comparison, limit in (("ogt", -0.0), ("olt", 255.0)):
            flag = t.value(f"fcmp {comparison} {p} {value}, {self.constant(limit)}")
            value = t.value(f"select {t.flags} {flag}, {p} {value}, {p} {self.constant(limit)}")
        value = t.value(f"call {p} @llvm.rint.v{self.n}f{8 * self.dtype.itemsize}({p} {value})")
        return value if p == t.vector else t.value(f"fptrunc {p} {value} to {t.vector}")

    def mixed(self, values: Sequence[str], factors: Sequence[int], offset: int) -> str:
        """Sum of products over 2**16, in exact steps: 24 bits hold all of them."""
        t = self.text
        total = t.constant(offset * _UNIT)
        for value, factor in zip(values, factors, strict=True):
            total = t.fma(value, t.constant(factor * _UNIT), total)
        return total

    def levels(self) -> None:
        """``levels``: three rows of pixels to Y, Cb and Cr."""

        def body(at: Number) -> None:
            colours = [self.level(f"%{c}", at) for c in "rgb"]
            shifted = (_MIDDLE << tables.COLOUR_BITS) + tables.COLOUR_HALF - 1
            rows = ((tables.TO_Y, tables.COLOUR_HALF, "%y"), (tables.TO_CB, shifted, "%cb"), (tables.TO_CR, shifted, "%cr"))
            for factors, offset, row in rows:
                self.store_levels(self.to_int(self.mixed(colours, factors, offset)), row, at)

        self.over("levels", ("r", "g", "b", "y", "cb", "cr"), body, numbers=True)

    def grey_levels(self) -> None:
        """``grey_levels``: one row."""

        def body(at: Number) -> None:
            self.store_levels(self.to_int(self.level("%from", at)), "%to", at)

        self.over("grey_levels", ("from", "to"), body, numbers=True)

    # From levels to pixels.

    def pixel(self, level: str, row: str, at: Number) -> None:
        """A level in float32, times the value of a level in two parts: of white 1 the pixel is level / 255 to the last bit."""
        t, p = self.text, self.pixels
        kind = f"v{self.n}f{8 * self.dtype.itemsize}"
        if p != t.vector:
            level = t.value(f"fpext {t.vector} {level} to {p}")
        rest = t.value(f"fmul {p} {level}, {self.number(REST)}")
        value = t.value(f"call {p} @llvm.fma.{kind}({p} {level}, {p} {self.number(VALUE)}, {p} {rest})")
        t.add(f"  store {p} {value}, ptr {t.where(row, at * (self.n * self.dtype.itemsize))}, align {self.dtype.itemsize}")

    def colours(self) -> None:
        """``colours``: Y, Cb and Cr to three rows of pixels."""
        t = self.text

        def body(at: Number) -> None:
            y, cb, cr = (self.to_float(self.load_levels(f"%{c}", at)) for c in ("y", "cb", "cr"))
            parts = (
                ("%r", [cr], [tables.RED_OF_CR]),
                ("%g", [cr, cb], [tables.GREEN_OF_CR, tables.GREEN_OF_CB]),
                ("%b", [cb], [tables.BLUE_OF_CB]),
            )
            for row, chroma, factors in parts:
                total = self.mixed(chroma, factors, tables.COLOUR_HALF - _MIDDLE * sum(factors))
                value = t.op("fadd", y, self.call("floor", total))
                for name, limit in (("maxnum", 0), ("minnum", 255)):
                    value = self.call(name, value, t.constant(limit), flags="nnan ")
                self.pixel(value, row, at)

        self.over("colours", ("y", "cb", "cr", "r", "g", "b"), body, numbers=True)

    def greys(self) -> None:
        """``greys``: one row."""

        def body(at: Number) -> None:
            self.pixel(self.to_float(self.load_levels("%from", at)), "%to", at)

        self.over("greys", ("from", "to"), body, numbers=True)

    # Half as many chroma samples, and as many again.

    def short(self, operation: str, a: str, b: str | int) -> str:
        other = b if isinstance(b, str) else f"splat (i16 {b})"
        return self.text.value(f"{operation} {self.shorts} {a}, {other}")

    def load_short(self, row: str, at: Number, beside: int = 0) -> str:
        place = self.text.where(row, at * (self.n * LEVEL) + beside * LEVEL)
        return self.text.value(f"load {self.shorts}, ptr {place}, align {LEVEL}")

    def store_short(self, values: str, row: str, at: Number) -> None:
        self.text.add(f"  store {self.shorts} {values}, ptr {self.text.where(row, at * (self.n * LEVEL))}, align {LEVEL}")

    def halves(self) -> None:
        """``halve_x``: means of neighbours; ``halve_xy``: of squares in two rows. Halves go down and up by turns."""
        t = self.text
        for name, rows, bias, bits in (("halve_x", ("a",), 0, 1), ("halve_xy", ("a", "b"), 1, 2)):

            def body(at: Number, rows: tuple[str, ...] = rows, bias: int = bias, bits: int = bits) -> None:
                places = [t.where(f"%{row}", at * (2 * self.n * LEVEL)) for row in rows]
                values = [t.value(f"load {self.pairs}, ptr {place}, align {LEVEL}") for place in places]
                total = values[0] if len(rows) == 1 else t.value(f"add {self.pairs} {values[0]}, {values[1]}")
                pairs = t.value(f"bitcast {self.pairs} {total} to {self.ints}")
                total = self.i("add", self.i("and", pairs, 0xFFFF), self.i("lshr", pairs, 16))
                turns = ", ".join(f"i32 {bias + i % 2}" for i in range(self.n))
                self.store_levels(self.i("lshr", self.i("add", total, f"<{turns}>"), bits), "%to", at)

            self.over(name, (*rows, "to"), body)

    def doubles(self) -> None:
        """``lean``: three times a row and once the next; ``double_..``: the same along a row of those; ``copy``: a row as it is."""
        t = self.text

        def lean(at: Number) -> None:
            near, far = (self.load_short(f"%{row}", at) for row in ("near", "far"))
            self.store_short(self.short("add", self.short("mul", near, 3), far), "%to", at)

        def copy(at: Number) -> None:
            self.store_short(self.load_short("%from", at), "%to", at)

        self.over("lean", ("near", "far", "to"), lean)
        self.over("copy", ("from", "to"), copy)
        turns = ", ".join(f"i32 {i // 2 + i % 2 * self.n}" for i in range(2 * self.n))
        for name, halves in (("double_x", (4, 8)), ("double_xy", (8, 7))):

            def body(at: Number, halves: tuple[int, int] = halves) -> None:
                thrice = self.short("mul", self.load_short("%from", at), 3)
                low, high = (
                    self.short("lshr", self.short("add", self.short("add", thrice, self.load_short("%from", at, beside)), half), 4)
                    for beside, half in zip((-1, 1), halves, strict=True)
                )
                both = t.value(f"shufflevector {self.shorts} {low}, {self.shorts} {high}, <{2 * self.n} x i32> <{turns}>")
                t.add(f"  store {self.pairs} {both}, ptr {t.where('%to', at * (2 * self.n * LEVEL))}, align {LEVEL}")

            self.over(name, ("from", "to"), body)
