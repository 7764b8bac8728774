"""The 8x8 cosine transform of JPEG, its quantisation and the way back, in registers, as LLVM text.

A vector is a row of several blocks side by side, 16 bits a sample; it becomes a column when 8 of them are transposed, block by
block. The transform is that of Loeffler, Ligtenberg and Moschytz (1989) in whole numbers, with libjpeg's constants and roundings
("islow"): rows before columns on the way there, columns before rows on the way back. A rotation of two samples is one instruction
of x86 for each half of a vector, two products and their sum in 32 bits: with vectors of 32 bits it took 1.5 times as long.

Nothing overflows: levels less 128 have a norm of at most 1024 in a block, coefficients of 2048 after quantisation, and a sum of two
samples between the passes back is at most sqrt(2) sqrt(8) 4 times that.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numba.core.registry import cpu_target

from imrestore_kernels import forks
from imrestore_kernels import jpeg_tables as tables
from imrestore_kernels.cpu._jit import register_bytes
from imrestore_kernels.cpu._jpeg_text import LEVEL
from imrestore_kernels.cpu._vector_text import Number, VectorText

#: Vectors of a row of steps: what is added to a coefficient, two factors, and the step; of 32 numbers of 16 bits each.
STEP_VECTORS, STEP_LANES = 4, 32
STEP_BYTES = 8 * STEP_VECTORS * STEP_LANES * 2

_SIDE = 8
_MIDDLE = 128

#: Both halves of a vector in 32 bits: the first and last four samples of every block.
Wide = tuple[str, str]


def quantisation(quality: int) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """Steps of luminance and chrominance as `STEP_VECTORS`.

    A coefficient of size c, 8 times as large as T.81 has it, becomes (c + d / 2) / d without its rest, with d = 8 step. With
    2**b < d <= 2**(b + 1) and the factor f = floor(2**(16 + b) / d) + 1, that is n f / 2**(16 + b) without its rest for all
    n < 2**15 (Granlund and Montgomery 1994, theorem 4.2): the high half of a product, and of another by 2**(16 - b).
    """
    vectors = np.empty((2, 8, STEP_VECTORS, STEP_LANES), np.uint16)
    for kind, base in enumerate((tables.LUMINANCE, tables.CHROMINANCE)):
        for i, step in enumerate(tables.steps(base, quality)):
            divisor = 8 * step
            bits = (divisor - 1).bit_length() - 1
            numbers = (divisor // 2, (1 << (16 + bits)) // divisor + 1, 1 << (16 - bits), step)
            vectors[kind, i // 8, :, i % 8 :: 8] = np.array(numbers)[:, None]
    return vectors


@cache
def has_rotations() -> bool:
    """Whether this machine has x86's instructions for rotations, in vectors as wide as its registers."""
    with forks.compiling:  # asking LLVM takes llvmlite's lock, which a fork must not copy
        features: str = cpu_target.target_context.codegen().magic_tuple()[2]
    return ("+avx512bw" if register_bytes() == 64 else "+avx2") in features.split(",")


class Blocks:
    """The function ``code(rows, pitch, vectors, steps)``: 8 rows of levels, ``pitch`` bytes apart, in place."""

    def __init__(self, x86: bool) -> None:
        self.text = VectorText(np.dtype(np.float32))
        self.x86 = x86
        self.lanes = register_bytes() // LEVEL
        self.shorts = f"<{self.lanes} x i16>"
        self.doubled = f"<{self.lanes} x i32>"
        self.ints = f"<{self.lanes // 2} x i32>"
        names = ("pmaddw.d.512", "packssdw.512", "pmulhu.w.512") if register_bytes() == 64 else ("pmadd.wd", "packssdw", "pmulhu.w")
        kind = "avx512" if register_bytes() == 64 else "avx2"
        self.rotate, self.join, self.high = (f"llvm.x86.{kind}.{name}" for name in names)

    def whole(self) -> str:
        """Its text, with the declarations it needs."""
        self.code()
        s, i = self.shorts, self.ints
        lines = [*self.text.lines, f"declare {s} @llvm.abs.v{self.lanes}i16({s}, i1)"]
        if self.x86:
            lines += [f"declare {i} @{self.rotate}({s}, {s})", f"declare {s} @{self.join}({i}, {i})"]
            lines.append(f"declare {s} @{self.high}({s}, {s})")
        return "\n".join(lines) + "\n"

    def code(self) -> None:
        t, s = self.text, self.shorts
        t.function("code", ("ptr %rows", "i64 %pitch", "i64 %vectors", "ptr %steps"))
        pitch = Number(t, "%pitch")
        with t.loop(0, Number(t, "%vectors")) as at:
            rows = [t.where("%rows", pitch * y + at * (self.lanes * LEVEL)) for y in range(_SIDE)]
            v = [t.value(f"load {s}, ptr {row}, align {LEVEL}") for row in rows]
            v = self.forward(self.transposed(v), first=True)
            v = self.forward(self.transposed(v), first=False)
            v = [self.quantised(c, row) for row, c in enumerate(v)]
            v = self.inverse(v, tables.CONSTANT_BITS - tables.PASS_BITS, 0)
            v = self.inverse(self.transposed(v), tables.CONSTANT_BITS + tables.PASS_BITS + 3, _MIDDLE)
            for row, level in zip(rows, self.transposed(v), strict=True):
                t.add(f"  store {s} {self.limited(level)}, ptr {row}, align {LEVEL}")
        t.add("  ret void\n}")

    # Vectors of 16 and of 32 bits.

    def s(self, operation: str, a: str, b: str | int) -> str:
        other = b if isinstance(b, str) else f"splat (i16 {b})"
        return self.text.value(f"{operation} {self.shorts} {a}, {other}")

    def w(self, operation: str, a: Wide, b: Wide | int) -> Wide:
        pair = b if isinstance(b, tuple) else (f"splat (i32 {b})",) * 2
        low, high = (self.text.value(f"{operation} {self.ints} {x}, {y}") for x, y in zip(a, pair, strict=True))
        return low, high

    def shuffled(self, a: str, b: str, places: Sequence[int]) -> str:
        mask = ", ".join(f"i32 {p}" for p in places)
        return self.text.value(f"shufflevector {self.shorts} {a}, {self.shorts} {b}, <{len(places)} x i32> <{mask}>")

    def woven(self, a: str, b: str, run: int, high: bool) -> str:
        """Runs of so many samples of a and b by turns, from the first or last four of every block."""
        places = []
        for lane in range(self.lanes):
            block, place = lane // 8 * 8, lane % 8
            turn = place // run
            places.append(block + turn // 2 * run + place % run + 4 * high + turn % 2 * self.lanes)
        return self.shuffled(a, b, places)

    def rotated(self, a: str, b: str, *factors: tuple[int, int]) -> list[Wide]:
        """For each pair of factors, the sum of a and b times them."""
        t = self.text
        if self.x86:
            pairs = [self.woven(a, b, 1, high) for high in (False, True)]
            made = []
            for one, other in factors:
                both = f"<{', '.join(f'i16 {(one, other)[k % 2]}' for k in range(self.lanes))}>"
                made += [t.value(f"call {self.ints} @{self.rotate}({self.shorts} {pair}, {self.shorts} {both})") for pair in pairs]
        else:
            halves = [[self.half(x, high) for x in (a, b)] for high in (False, True)]
            made = []
            for one, other in factors:
                for x, y in halves:
                    x, y = (t.value(f"mul {self.ints} {v}, splat (i32 {f})") for v, f in ((x, one), (y, other)))
                    made.append(t.value(f"add {self.ints} {x}, {y}"))
        return list(zip(made[::2], made[1::2], strict=True))

    def half(self, a: str, high: bool) -> str:
        """The first or last four samples of every block in 32 bits."""
        count = self.lanes // 2
        short = self.shuffled(a, a, [k // 4 * 8 + k % 4 + 4 * high for k in range(count)])
        return self.text.value(f"sext <{count} x i16> {short} to {self.ints}")

    def joined(self, wide: Wide) -> str:
        """32 bits to 16, which hold them."""
        t, (low, high) = self.text, wide
        if self.x86:
            return t.value(f"call {self.shorts} @{self.join}({self.ints} {low}, {self.ints} {high})")
        count = self.lanes // 2
        places = ", ".join(f"i32 {k // 8 * 4 + k % 4 + k % 8 // 4 * count}" for k in range(self.lanes))
        both = t.value(f"shufflevector {self.ints} {low}, {self.ints} {high}, <{self.lanes} x i32> <{places}>")
        return t.value(f"trunc {self.doubled} {both} to {self.shorts}")

    def high_product(self, a: str, b: str) -> str:
        """The upper 16 bits of the products of numbers without a sign."""
        t = self.text
        if self.x86:
            return t.value(f"call {self.shorts} @{self.high}({self.shorts} {a}, {self.shorts} {b})")
        a, b = (t.value(f"zext {self.shorts} {x} to {self.doubled}") for x in (a, b))
        product = t.value(f"mul {self.doubled} {a}, {b}")
        return t.value(f"trunc {self.doubled} {t.value(f'lshr {self.doubled} {product}, splat (i32 16)')} to {self.shorts}")

    def limited(self, level: str) -> str:
        for comparison, limit in (("sgt", 0), ("slt", 255)):
            flag = self.text.value(f"icmp {comparison} {self.shorts} {level}, splat (i16 {limit})")
            flags = f"<{self.lanes} x i1>"
            level = self.text.value(f"select {flags} {flag}, {self.shorts} {level}, {self.shorts} splat (i16 {limit})")
        return level

    # The steps.

    def transposed(self, v: Sequence[str]) -> list[str]:
        """Every 8x8 block of 8 vectors: single samples, pairs, and fours by turns."""
        for run, order in ((1, (0, 1, 2, 3, 4, 5, 6, 7)), (2, (0, 2, 1, 3, 4, 6, 5, 7)), (4, (0, 4, 1, 5, 2, 6, 3, 7))):
            couples = zip(order[::2], order[1::2], strict=True)
            v = [self.woven(v[a], v[b], run, high) for a, b in couples for high in (False, True)]
        return list(v)

    def odd(self, half: int, a: str, b: str, c: str, d: str) -> list[Wide]:
        """The rotations of the odd half: of sums of pairs, and of pairs; ``half`` is added to all four."""
        ad, bc, ac, bd = tables.ODD_PAIRS
        every = tables.ODD_ALL
        first, second = self.rotated(self.s("add", a, c), self.s("add", b, d), (every - ac, every), (every, every - bd))
        if half:
            first, second = self.w("add", first, half), self.w("add", second, half)
        own_a, own_b, own_c, own_d = tables.ODD_SINGLES
        one, four = self.rotated(a, d, (own_a - ad, -ad), (-ad, own_d - ad))
        two, three = self.rotated(b, c, (own_b - bc, -bc), (-bc, own_c - bc))
        shares = ((one, first), (two, second), (three, first), (four, second))
        return [self.w("add", own, share) for own, share in shares]

    def even(self, g: str, h: str) -> tuple[Wide, Wide]:
        """The rotation of the even half: g and h turned, less and more."""
        both, plus, minus = tables.EVEN_BOTH, tables.EVEN_PLUS, tables.EVEN_MINUS
        less, more = self.rotated(g, h, (both - minus, both), (both, both + plus))
        return less, more

    def forward(self, v: Sequence[str], first: bool) -> list[str]:
        """One pass: `PASS_BITS` more after the first, none after the second; all is 8 times too large then.

        Of the levels less 128 that T.81 transforms only the sum is other than that of the levels.
        """
        s = self.s
        sums = [s("add", v[k], v[7 - k]) for k in range(4)]
        rest = [s("sub", v[k], v[7 - k]) for k in range(4)]
        e, h = s("add", sums[0], sums[3]), s("sub", sums[0], sums[3])
        f, g = s("add", sums[1], sums[2]), s("sub", sums[1], sums[2])
        bits = tables.CONSTANT_BITS + (-tables.PASS_BITS if first else tables.PASS_BITS)
        half = 1 << (bits - 1)
        if first:
            zero = s("shl", s("sub", s("add", e, f), _SIDE * _MIDDLE), tables.PASS_BITS)
            four = s("shl", s("sub", e, f), tables.PASS_BITS)
        else:
            e = s("add", e, 1 << (tables.PASS_BITS - 1))
            zero, four = (s("ashr", s(operation, e, f), tables.PASS_BITS) for operation in ("add", "sub"))
        turned = [self.w("add", wide, half) for wide in self.even(g, h)] + self.odd(half, *rest[::-1])
        six, two, seven, five, three, one = (self.joined(self.w("ashr", wide, bits)) for wide in turned)
        return [zero, one, two, three, four, five, six, seven]

    def inverse(self, v: Sequence[str], bits: int, middle: int) -> list[str]:
        """One pass back, over 2**bits, and ``middle`` more."""
        w = self.w
        less, more = self.even(v[6], v[2])
        unit = 1 << tables.CONSTANT_BITS
        half = (1 << (bits - 1)) + (middle << bits)
        e, f = (w("add", wide, half) for wide in self.rotated(v[0], v[4], (unit, unit), (unit, -unit)))
        evens = [w("add", e, more), w("add", f, less), w("sub", f, less), w("sub", e, more)]
        odds = self.odd(0, v[7], v[5], v[3], v[1])[::-1]
        left = [w("add", a, b) for a, b in zip(evens, odds, strict=True)]
        right = [w("sub", a, b) for a, b in zip(evens, odds, strict=True)]
        return [self.joined(w("ashr", x, bits)) for x in (*left, *right[::-1])]

    def quantised(self, coefficient: str, row: int) -> str:
        """The nearest multiple of the step, halves away from zero, see `quantisation`; an eighth as large as what came in."""
        t = self.text
        places = [t.at("%steps", (row * STEP_VECTORS + k) * STEP_LANES * 2) for k in range(STEP_VECTORS)]
        half, factor, power, step = (t.value(f"load {self.shorts}, ptr {place}, align 2") for place in places)
        sign = self.s("ashr", coefficient, 15)
        size = t.value(f"call {self.shorts} @llvm.abs.v{self.lanes}i16({self.shorts} {coefficient}, i1 false)")
        whole = self.high_product(self.high_product(self.s("add", size, half), factor), power)
        return self.s("mul", self.s("sub", self.s("xor", whole, sign), sign), step)
