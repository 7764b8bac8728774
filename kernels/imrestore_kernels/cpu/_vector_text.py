"""Vector code as LLVM text: straight lines, loops and the few functions they need, for one type of number.

The text is what the processor should do: it goes to `_jit.machine_code`, which turns it into instructions without optimising, in
some hundredths of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from imrestore_kernels.cpu._jit import register_bytes

#: Vectors handled by one turn of a loop: rows are read and written in multiples of this.
UNROLL = 2

#: 2**f for f in -0.5 .. 0.5 is 1 + f (c1 + f (c2 + ...)): minimax with a relative error of 9.2e-8, fitted here by reweighted least
#: squares; 1 at 0 without error.
_EXP2 = (0.6931470036506653, 0.24022242426872253, 0.05550733581185341, 0.009671512991189957, 0.0013264728477224708)


def lanes(compute: np.dtype[Any]) -> int:
    """Values in one register of this machine: wider vectors would be split into several, of which AVX2 has too few."""
    return register_bytes() // compute.itemsize


class Number:
    """A whole number in LLVM text, with the arithmetic of Python."""

    def __init__(self, text: VectorText, name: str) -> None:
        self._text, self._name = text, name

    def __str__(self) -> str:
        return self._name

    def __add__(self, other: Number | int) -> Number:
        return self._text.number(f"add i64 {self}, {other}")

    def __sub__(self, other: Number | int) -> Number:
        return self._text.number(f"sub i64 {self}, {other}")

    def __mul__(self, other: Number | int) -> Number:
        return self._text.number(f"mul i64 {self}, {other}")

    def __neg__(self) -> Number:
        return self._text.number(f"sub i64 0, {self}")

    def __lt__(self, other: Number | int) -> str:
        return self._text.value(f"icmp slt i64 {self}, {other}")

    def __floordiv__(self, other: Number | int) -> Number:
        """Of numbers that are not negative."""
        return self._text.number(f"udiv i64 {self}, {other}")

    def __mod__(self, other: Number | int) -> Number:
        """Of numbers that are not negative."""
        return self._text.number(f"urem i64 {self}, {other}")

    def equals(self, other: Number | int) -> str:
        return self._text.value(f"icmp eq i64 {self}, {other}")


class VectorText:
    """Lines of LLVM text and names for values; vectors of ``count`` numbers, or as many as a register holds."""

    def __init__(self, compute: np.dtype[Any], count: int = 0) -> None:
        self.double = compute == np.float64
        self.lanes = count or lanes(compute)
        self.bytes = self.lanes * compute.itemsize
        self.scalar = "double" if self.double else "float"
        self.vector = f"<{self.lanes} x {self.scalar}>"
        self.integer = f"<{self.lanes} x i{8 * compute.itemsize}>"
        self.flags = f"<{self.lanes} x i1>"
        self.lines: list[str] = []
        self.block = "entry"
        self._count = 0

    def label(self, name: str) -> None:
        self.add(f"{name}:")
        self.block = name

    def number(self, expression: str) -> Number:
        """A whole number of 64 bits."""
        return Number(self, self.value(expression))

    def choose(self, condition: str, a: Number | int, b: Number | int) -> Number:
        return self.number(f"select i1 {condition}, i64 {a}, i64 {b}")

    def where(self, pointer: str, offset: Number) -> str:
        return self.at(pointer, str(offset))

    @contextmanager
    def loop(self, start: Number | int, stop: Number | int) -> Iterator[Number]:
        """``for x in range(start, stop)`` around what is added inside."""
        with self.folded(start, stop, ()) as (x, _, _):
            yield x

    @contextmanager
    def folded(
        self, start: Number | int, stop: Number | int, values: Sequence[str]
    ) -> Iterator[tuple[Number, list[str], list[str]]]:
        """`loop` that hands vectors from turn to turn: the index, their names, and a list for those that the next turn gets.

        Behind the loop, too, the names stand for what the last turn gave.
        """
        test, body, done = (self.name()[1:] for _ in range(3))
        before = self.block
        self.add(f"  br label %{test}")
        self.label(test)
        head = len(self.lines)
        x = Number(self, self.name())
        names = [self.name() for _ in values]
        self.add(f"  br i1 {x < stop}, label %{body}, label %{done}")
        self.label(body)
        results: list[str] = []
        yield x, names, results
        phis = [f"  {x} = phi i64 [ {start}, %{before} ], [ {x + 1}, %{self.block} ]"]
        for name, value, result in zip(names, values, results, strict=True):
            phis.append(f"  {name} = phi {self.vector} [ {value}, %{before} ], [ {result}, %{self.block} ]")
        self.lines[head:head] = phis
        self.add(f"  br label %{test}")
        self.label(done)

    @contextmanager
    def only_if(self, condition: str) -> Iterator[None]:
        """``if condition`` around what is added inside."""
        body, done = (self.name()[1:] for _ in range(2))
        self.add(f"  br i1 {condition}, label %{body}, label %{done}")
        self.label(body)
        yield
        self.add(f"  br label %{done}")
        self.label(done)

    def call(self, function: str, *arguments: object) -> None:
        """Call a function of pointers (names that begin with ``ptr``) and whole numbers."""
        given = ", ".join(a if isinstance(a, str) else f"i64 {a}" for a in arguments)
        self.add(f"  call void @{function}({given})")

    def name(self) -> str:
        self._count += 1
        return f"%t{self._count}"

    def add(self, line: str) -> None:
        self.lines.append(line)

    def value(self, expression: str) -> str:
        name = self.name()
        self.lines.append(f"  {name} = {expression}")
        return name

    def op(self, operation: str, a: str, b: str) -> str:
        return self.value(f"{operation} {self.vector} {a}, {b}")

    def fma(self, a: str, b: str, c: str) -> str:
        kind = f"v{self.lanes}f{64 if self.double else 32}"
        v = self.vector
        return self.value(f"call {v} @llvm.fma.{kind}({v} {a}, {v} {b}, {v} {c})")

    def negative(self, a: str) -> str:
        return self.value(f"fneg {self.vector} {a}")

    def at(self, pointer: str, offset: str | int) -> str:
        return self.value(f"getelementptr i8, ptr {pointer}, i64 {offset}")

    def load(self, pointer: str, offset: str | int = 0, anywhere: bool = False) -> str:
        """A vector, whose place is a multiple of its size or ``anywhere``."""
        align = self.bytes // self.lanes if anywhere else self.bytes
        return self.value(f"load {self.vector}, ptr {self.at(pointer, offset)}, align {align}")

    def store(self, value: str, pointer: str, offset: str | int = 0, anywhere: bool = False) -> None:
        align = self.bytes // self.lanes if anywhere else self.bytes
        self.add(f"  store {self.vector} {value}, ptr {self.at(pointer, offset)}, align {align}")

    def one(self, number: float) -> str:
        """A number as LLVM writes it: the bits of a double."""
        exact = float(number) if self.double else float(np.float32(number))
        return f"0x{np.float64(exact).view(np.uint64):016X}"

    def constant(self, number: float) -> str:
        """A number that is known in all lanes."""
        return f"splat ({self.scalar} {self.one(number)})"

    def splat(self, pointer: str, index: int) -> str:
        """A number of an array in all lanes."""
        place = self.value(f"getelementptr {self.scalar}, ptr {pointer}, i64 {index}")
        return self.everywhere(self.value(f"load {self.scalar}, ptr {place}"))

    def total(self, vector: str) -> str:
        """The sum of a vector's 8 numbers, in pairs."""
        return self.value(f"call reassoc float @llvm.vector.reduce.fadd.v8f32(float 0.0, {self.vector} {vector})")

    def everywhere(self, one: str) -> str:
        """A number that is not in memory in all lanes."""
        first = self.value(f"insertelement {self.vector} poison, {self.scalar} {one}, i64 0")
        return self.value(f"shufflevector {self.vector} {first}, {self.vector} poison, <{self.lanes} x i32> zeroinitializer")

    def smaller(self, a: str, b: str) -> str:
        less = self.value(f"fcmp olt {self.vector} {a}, {b}")
        return self.value(f"select {self.flags} {less}, {self.vector} {a}, {self.vector} {b}")

    def larger(self, a: str, b: str) -> str:
        more = self.value(f"fcmp ogt {self.vector} {a}, {b}")
        return self.value(f"select {self.flags} {more}, {self.vector} {a}, {self.vector} {b}")

    def exp2(self, exponents: Sequence[str]) -> list[str]:
        """2**x for several x <= 0, within 2e-7 of itself; 0 where it is below the smallest normal number, or half of that.

        One step of all after the other: the steps of one wait for each other.
        """
        mantissa, lowest = (52, -1023) if self.double else (23, -127)  # there the exponent's bits are 0, and 2**0 has no others
        magic = self.constant(1.5 * 2.0**mantissa)
        xs = [self.larger(x, self.constant(lowest)) for x in exponents]
        shifted = [self.op("fadd", x, magic) for x in xs]  # the low bits are now those of x rounded to a whole number
        whole = [self.op("fsub", x, magic) for x in shifted]
        rest = [self.op("fsub", x, n) for x, n in zip(xs, whole, strict=True)]
        results = [self.constant(_EXP2[-1])] * len(xs)
        for c in (*_EXP2[-2::-1], 1.0):
            results = [self.fma(r, f, self.constant(c)) for r, f in zip(results, rest, strict=True)]
        bits = [self.value(f"bitcast {self.vector} {x} to {self.integer}") for x in shifted]
        kind = self.integer.split(" x ")[1].rstrip(">")
        raised = [self.value(f"shl {self.integer} {n}, splat ({kind} {mantissa})") for n in bits]
        bits = [self.value(f"bitcast {self.vector} {r} to {self.integer}") for r in results]
        raised = [self.value(f"add {self.integer} {a}, {b}") for a, b in zip(raised, bits, strict=True)]
        return [self.value(f"bitcast {self.integer} {n} to {self.vector}") for n in raised]

    def whole(self) -> str:
        """All lines, with the declarations they need."""
        kind = f"v{self.lanes}f{64 if self.double else 32}"
        return "\n".join([*self.lines, f"declare {self.vector} @llvm.fma.{kind}({self.vector}, {self.vector}, {self.vector})"])

    def function(self, name: str, parameters: Sequence[str]) -> None:
        self.add(f"define void @{name}({', '.join(parameters)}) nounwind {{")
        self.label("entry")


def row_loop(text: VectorText, carried: Sequence[str], body: Callable[[Sequence[str], list[str]], list[str]]) -> None:
    """``body(offsets, values)`` for every `UNROLL` vectors of a row of ``%bytes``; it hands on values, at first ``carried``."""
    before, begin, done = text.block, "row.loop", "row.done"
    text.add(f"  br label %{begin}")
    text.label(begin)
    head = len(text.lines)
    x = text.name()
    names = [text.name() for _ in carried]
    offsets = [x, *(text.value(f"add i64 {x}, {i * text.bytes}") for i in range(1, UNROLL))]
    values = body(offsets, list(names))
    after = text.value(f"add i64 {x}, {UNROLL * text.bytes}")
    more = text.value(f"icmp slt i64 {after}, %bytes")
    text.add(f"  br i1 {more}, label %{begin}, label %{done}")
    text.label(done)
    phis = [f"  {x} = phi i64 [ 0, %{before} ], [ {after}, %{begin} ]"]
    phis += [
        f"  {n} = phi {text.vector} [ {c}, %{before} ], [ {v}, %{begin} ]"
        for n, c, v in zip(names, carried, values, strict=True)
    ]
    text.lines[head:head] = phis
