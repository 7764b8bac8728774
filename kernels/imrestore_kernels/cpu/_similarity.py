"""Weighted means whose weights are powers of the differences between samples, as explicit vector code.

Non-local means and the bilateral filter are one program here: for a shift s every sample p is compared with q = p + s, the
difference becomes a weight ``w = 2 ** min(T - k D, 0)``, and q's value is added to p's mean with it. Weights are symmetric, so that
p's value is added to q's mean with the same weight: half of the shifts are enough.

A row is a row of vectors, and neighbours in a row are whole vectors apart: a vector holds one column of several bands of the
image (`_bands`). Every load is aligned and no value is ever moved between lanes. The patch distance D is summed anew for each
sample, by doubling (7 = 1 + 2 + 4), and never carried along: its relative error is a few roundings wherever a sample lies, and the
result is the same bits however the image is cut into tiles.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import llvmlite.ir as ir
import numpy as np
from numba import types
from numba.core.registry import cpu_target

from imrestore_kernels.cpu._jit import intrinsic_of, machine_code

#: Vectors handled by one turn of a loop: rows are read and written in multiples of this.
UNROLL = 2

#: 2**f for f in -0.5 .. 0.5 is 1 + f (c1 + f (c2 + ...)): minimax with a relative error of 9.2e-8, fitted here by reweighted least
#: squares; 1 at 0 without error.
_EXP2 = (0.6931470036506653, 0.24022242426872253, 0.05550733581185341, 0.009671512991189957, 0.0013264728477224708)


def lanes(compute: np.dtype[Any]) -> int:
    """Values in one vector of this machine: more would be split into several registers, of which AVX2 has too few."""
    features = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
    return (64 if "+avx512f" in features else 32) // compute.itemsize


class Sums(NamedTuple):
    """A sum over a window of ``size`` values that end at the newest, with these weights (None: all are 1)."""

    size: int
    weights: tuple[float, ...] | None = None

    @property
    def slots(self) -> tuple[int, ...]:
        """How many earlier values are kept: of each level of doubling, or of the values themselves."""
        if self.weights is not None:
            return (self.size - 1,)
        top = self.size.bit_length() - 1
        kept = []
        for level in range(top + 1):
            final = self._lag(level) if self.size >> level & 1 else 0
            kept.append(max(1 << level if level < top else 0, final))
        return tuple(kept)

    def _lag(self, level: int) -> int:
        """Values newer than the block of 2**level, which is one of those that make up the window."""
        return self.size & (1 << level) - 1


class _Number:
    """A whole number in LLVM text, with the arithmetic of Python."""

    def __init__(self, text: _Text, name: str) -> None:
        self._text, self._name = text, name

    def __str__(self) -> str:
        return self._name

    def __add__(self, other: _Number | int) -> _Number:
        return self._text.number(f"add i64 {self}, {other}")

    def __sub__(self, other: _Number | int) -> _Number:
        return self._text.number(f"sub i64 {self}, {other}")

    def __mul__(self, other: _Number | int) -> _Number:
        return self._text.number(f"mul i64 {self}, {other}")

    def __neg__(self) -> _Number:
        return self._text.number(f"sub i64 0, {self}")

    def __lt__(self, other: _Number | int) -> str:
        return self._text.value(f"icmp slt i64 {self}, {other}")

    def __ge__(self, other: _Number | int) -> str:
        return self._text.value(f"icmp sge i64 {self}, {other}")

    def equals(self, other: _Number | int) -> str:
        return self._text.value(f"icmp eq i64 {self}, {other}")


class _Text:
    """Lines of LLVM text and names for values."""

    def __init__(self, compute: np.dtype[Any]) -> None:
        self.double = compute == np.float64
        self.lanes = lanes(compute)
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

    def number(self, expression: str) -> _Number:
        """A whole number of 64 bits."""
        return _Number(self, self.value(expression))

    def choose(self, condition: str, a: _Number | int, b: _Number | int) -> _Number:
        return self.number(f"select i1 {condition}, i64 {a}, i64 {b}")

    def where(self, pointer: str, offset: _Number) -> str:
        return self.at(pointer, str(offset))

    @contextmanager
    def loop(self, start: _Number | int, stop: _Number | int) -> Iterator[_Number]:
        """``for x in range(start, stop)`` around what is added inside."""
        test, body, done = (self.name()[1:] for _ in range(3))
        before = self.block
        self.add(f"  br label %{test}")
        self.label(test)
        head = len(self.lines)
        x = _Number(self, self.name())
        self.add(f"  br i1 {x < stop}, label %{body}, label %{done}")
        self.label(body)
        yield x
        following = x + 1
        self.lines.insert(head, f"  {x} = phi i64 [ {start}, %{before} ], [ {following}, %{self.block} ]")
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

    def at(self, pointer: str, offset: str | int) -> str:
        return self.value(f"getelementptr i8, ptr {pointer}, i64 {offset}")

    def load(self, pointer: str, offset: str | int = 0) -> str:
        return self.value(f"load {self.vector}, ptr {self.at(pointer, offset)}, align {self.bytes}")

    def store(self, value: str, pointer: str, offset: str | int = 0) -> None:
        self.add(f"  store {self.vector} {value}, ptr {self.at(pointer, offset)}, align {self.bytes}")

    def constant(self, number: float) -> str:
        """A number in all lanes, as LLVM writes it: the bits of a double."""
        exact = float(number) if self.double else float(np.float32(number))
        return f"splat ({self.scalar} 0x{np.float64(exact).view(np.uint64):016X})"

    def splat(self, pointer: str, index: int) -> str:
        """A number of an array in all lanes."""
        place = self.value(f"getelementptr {self.scalar}, ptr {pointer}, i64 {index}")
        one = self.value(f"load {self.scalar}, ptr {place}")
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


def _row_loop(text: _Text, carried: Sequence[str], body: Any) -> None:
    """``body(offsets, values)`` for every `UNROLL` vectors of a row of ``%bytes``; it hands on values, at first ``carried``."""
    begin, end, done = "row.loop", "row.more", "row.done"
    text.add(f"  br label %{begin}.start")
    text.add(f"{begin}.start:")
    text.add(f"  br label %{begin}")
    text.add(f"{begin}:")
    head = len(text.lines)
    x = text.name()
    names = [text.name() for _ in carried]
    offsets = [x, *(text.value(f"add i64 {x}, {i * text.bytes}") for i in range(1, UNROLL))]
    values = body(offsets, list(names))
    after = text.value(f"add i64 {x}, {UNROLL * text.bytes}")
    more = text.value(f"icmp slt i64 {after}, %bytes")
    text.add(f"  br i1 {more}, label %{end}, label %{done}")
    text.add(f"{end}:")
    text.add(f"  br label %{begin}")
    text.add(f"{done}:")
    phis = [f"  {x} = phi i64 [ 0, %{begin}.start ], [ {after}, %{end} ]"]
    phis += [
        f"  {n} = phi {text.vector} [ {c}, %{begin}.start ], [ {v}, %{end} ]"
        for n, c, v in zip(names, carried, values, strict=True)
    ]
    text.lines[head:head] = phis


def _windowed(text: _Text, sums: Sums, newest: str, earlier: Any, root: str = "") -> tuple[str, list[str]]:
    """Sum of a window and the newest value of every level; ``earlier(level, lag)`` is a value that was kept.

    ``root``, where known, is the square root of the newest: adding its square takes one instruction, and not of the kind that
    a row has most of.
    """
    if sums.weights is not None:
        total = text.op("fmul", newest, text.constant(sums.weights[-1]))
        for lag in range(1, sums.size):
            total = text.fma(earlier(0, lag), text.constant(sums.weights[-1 - lag]), total)
        return total, [newest]

    def plus_newest(other: str) -> str:
        return text.fma(root, root, other) if root else text.op("fadd", newest, other)

    levels = [newest]
    for level in range(sums.size.bit_length() - 1):
        before = earlier(level, 1 << level)
        levels.append(text.op("fadd", levels[-1], before) if level else plus_newest(before))
    parts = []
    for level, value in enumerate(levels):
        if sums.size >> level & 1:
            lag = sums._lag(level)
            parts.append(earlier(level, lag) if lag else value)
    total = parts[0]
    for part in parts[1:]:
        total = plus_newest(part) if total == newest else text.op("fadd", total, part)
    return total, levels


def _difference(text: _Text, offset: str, squares: bool) -> tuple[str, str]:
    """The newest value of a row, the squared difference of two samples, and its root; or one summed before and no root."""
    if squares:
        return text.load("%a", offset), ""
    d = text.op("fsub", text.load("%a", offset), text.load("%b", offset))
    return text.op("fmul", d, d), d


def _distances(text: _Text, down: Sums, along: Sums, squares: bool, prime: bool) -> None:
    """``distances(a, b, ring, pitch, y, out, n)``: patch distances of one row of samples from a new row of differences.

    ``ring`` keeps sums of earlier rows, ``pitch`` bytes each, ``y`` counts rows. ``prime`` is the same for rows of which no patch
    ends yet.
    """
    parameters = ("ptr %a", "ptr %b", "ptr %ring", "i64 %pitch", "i64 %y", "ptr %out", "i64 %n")
    text.function("prime" if prime else "distances", parameters)
    text.add(f"  %bytes = mul i64 %n, {text.bytes}")
    # Rows of every level of the vertical sum: slot y % slots holds the oldest, and gets the newest.
    kept: dict[tuple[int, int], str] = {}
    first = 0
    for level, slots in enumerate(down.slots):
        for lag in range(1, slots + 1):
            row = text.value(f"add i64 %y, {slots * (1 + lag // slots) - lag}")
            slot = text.value(f"urem i64 {row}, {slots}")
            where = text.value(f"add i64 {slot}, {first}")
            kept[level, lag] = text.at("%ring", text.value(f"mul i64 {where}, %pitch"))
        first += slots
    # Earlier values of every level of the horizontal sum stay in registers.
    registers = [(level, lag) for level, slots in enumerate(along.slots) for lag in range(1, slots + 1)]
    held: dict[tuple[int, int], str] = dict.fromkeys(registers, "zeroinitializer")

    def push(levels: Sequence[str]) -> None:
        for level, slots in enumerate(along.slots):
            for lag in range(slots, 1, -1):
                held[level, lag] = held[level, lag - 1]
            if slots:
                held[level, 1] = levels[level]

    for i in range(along.size - 1):
        newest, root = _difference(text, str(i * text.bytes), squares)
        push(_windowed(text, along, newest, lambda level, lag: held[level, lag], root)[1])
    ahead = (along.size - 1) * text.bytes

    def step(offset: str) -> None:
        newest, root = _difference(text, text.value(f"add i64 {offset}, {ahead}") if ahead else offset, squares)
        across, levels = _windowed(text, along, newest, lambda level, lag: held[level, lag], root)
        push(levels)
        loaded: dict[tuple[int, int], str] = {}

        def earlier(level: int, lag: int) -> str:
            if (level, lag) not in loaded:
                loaded[level, lag] = text.load(kept[level, lag], offset)
            return loaded[level, lag]

        total, rows = _windowed(text, down, across, earlier)
        for level, slots in enumerate(down.slots):
            if slots:
                text.store(rows[level], kept[level, slots], offset)
        if not prime:
            text.store(total, "%out", offset)

    def body(offsets: Sequence[str], values: list[str]) -> list[str]:
        held.update(zip(registers, values, strict=True))
        for offset in offsets:
            step(offset)
        return [held[key] for key in registers]

    _row_loop(text, [held[key] for key in registers], body)
    text.add("  ret void\n}")


def _squares(text: _Text) -> None:
    """``squares(a, b, stride, weights, planes, out, n)``: weighted sum over planes of squared differences; a plane is ``stride``
    bytes behind the one before."""
    parameters = ("ptr %a", "ptr %b", "i64 %stride", "ptr %weights", "i64 %planes", "ptr %out", "i64 %n")
    text.function("squares", parameters)
    text.add(f"  %bytes = mul i64 %n, {text.bytes}")
    text.add("  br label %column")
    text.add("column:")
    text.add("  %x = phi i64 [ 0, %entry ], [ %x.next, %column.end ]")
    text.add("  br label %plane")
    text.add("plane:")
    head = len(text.lines)
    d = text.op("fsub", text.load("%a", "%at"), text.load("%b", "%at"))
    weight = text.splat(text.value(f"getelementptr {text.scalar}, ptr %weights, i64 %p"), 0)
    total = text.fma(text.op("fmul", d, weight), d, "%sum")
    text.lines[head:head] = [
        "  %p = phi i64 [ 0, %column ], [ %p.next, %plane ]",
        "  %at = phi i64 [ %x, %column ], [ %at.next, %plane ]",
        f"  %sum = phi {text.vector} [ zeroinitializer, %column ], [ {total}, %plane ]",
    ]
    text.add("  %p.next = add i64 %p, 1")
    text.add("  %at.next = add i64 %at, %stride")
    text.add("  %again = icmp slt i64 %p.next, %planes")
    text.add("  br i1 %again, label %plane, label %column.end")
    text.add("column.end:")
    text.store(total, "%out", "%x")
    text.add(f"  %x.next = add i64 %x, {text.bytes}")
    text.add("  %more = icmp slt i64 %x.next, %bytes")
    text.add("  br i1 %more, label %column, label %done")
    text.add("done:\n  ret void\n}")


def _weigh(text: _Text, name: str, channels: int, fused: bool, shifts: int, both: bool) -> None:
    """``weigh(distances, line, p, q, mean_p, mean_q, stride, numbers, n)``: one row of samples p and q to their means.

    ``numbers`` holds k and a T for each of ``shifts`` shifts, neighbours in a row: sample i of p meets i, i + 1 .. of q. Their
    distances are rows ``line`` bytes apart. Means are, side by side for each sample, the weighted sums of differences from
    the sample itself, channel by channel, and the sum of weights; channels of samples are ``stride`` bytes apart.
    ``both``: q's means as well as p's. ``fused``: the distance is the difference of the two samples (of one channel).
    """
    parameters = ("ptr %d", "i64 %line", "ptr %p", "ptr %q", "ptr %mp", "ptr %mq", "i64 %stride", "ptr %numbers", "i64 %n")
    text.function(name, parameters)
    text.add(f"  %bytes = mul i64 %n, {text.bytes}")
    minus_k = text.value(f"fneg {text.vector} {text.splat('%numbers', 0)}")
    limits = [text.splat("%numbers", 1 + j) for j in range(shifts)]
    ps, qs, ds = ["%p"], ["%q"], ["%d"]
    for _ in range(channels - 1):
        ps.append(text.at(ps[-1], "%stride"))
        qs.append(text.at(qs[-1], "%stride"))
    for _ in range(shifts - 1):
        ds.append(text.at(ds[-1], "%line"))
    # What later shifts add to the next samples of q waits for them: one addition to memory for all shifts.
    waiting = shifts - 1 if both else 0

    def ahead(offset: str, j: int) -> str:
        return text.value(f"add i64 {offset}, {j * text.bytes}") if j else offset

    def body(offsets: Sequence[str], values: Sequence[str]) -> list[str]:
        keys = [(offset, j) for offset in offsets for j in range(shifts)]
        exponents = []
        for offset, j in keys:
            if fused:
                delta = text.op("fsub", text.load("%q", ahead(offset, j)), text.load("%p", offset))
                squared = text.op("fmul", delta, delta)
            else:
                squared = text.load(ds[j], offset)
            exponents.append(text.fma(squared, minus_k, limits[j]))
        exponents = [text.smaller(x, text.constant(0.0)) for x in exponents]
        weights = dict(zip(keys, text.exp2(exponents), strict=True))
        pending = [list(values[j * (channels + 1) : (j + 1) * (channels + 1)]) for j in range(waiting)]
        # From here one sample after the other: q of one may be p of the next.
        for offset in offsets:
            own = [text.load(p, offset) for p in ps]
            added = []
            for j in range(shifts):
                weight = weights[offset, j]
                deltas = [text.op("fsub", text.load(q, ahead(offset, j)), u) for q, u in zip(qs, own, strict=True)]
                added.append([*(text.op("fmul", weight, delta) for delta in deltas), weight])
            place = text.value(f"mul i64 {offset}, {channels + 1}")
            for c in range(channels + 1):
                total = added[0][c]
                for j in range(1, shifts):
                    total = text.op("fadd", total, added[j][c])
                at = ahead(place, c)
                text.store(text.op("fadd", text.load("%mp", at), total), "%mp", at)
            if not both:
                continue
            for c in range(channels + 1):
                total = text.op("fadd", pending[0][c], added[0][c]) if waiting else added[0][c]
                at = ahead(place, c)
                operation = "fsub" if c < channels else "fadd"
                text.store(text.op(operation, text.load("%mq", at), total), "%mq", at)
            pending = [
                [text.op("fadd", pending[j][c], added[j][c]) for c in range(channels + 1)] for j in range(1, waiting)
            ] + [added[-1]] * (waiting > 0)
        return [value for row in pending for value in row]

    _row_loop(text, ["zeroinitializer"] * (waiting * (channels + 1)), body)
    text.add("  ret void\n}")


def _settle(text: _Text) -> None:
    """``settle(part, total, n)``: add one row to another and clear it."""
    text.function("settle", ("ptr %part", "ptr %total", "i64 %n"))
    text.add(f"  %bytes = mul i64 %n, {text.bytes}")

    def body(offsets: Sequence[str], _: Sequence[str]) -> list[str]:
        for offset in offsets:
            text.store(text.op("fadd", text.load("%total", offset), text.load("%part", offset)), "%total", offset)
            text.store("zeroinitializer", "%part", offset)
        return []

    _row_loop(text, [], body)
    text.add("  ret void\n}")


def _finish(text: _Text, channels: int) -> None:
    """``finish(p, mean, stride, out, numbers, n)``: means of one row, channel after channel, times a number."""
    text.function("finish", ("ptr %p", "ptr %mean", "i64 %stride", "ptr %out", "ptr %numbers", "i64 %n"))
    text.add(f"  %bytes = mul i64 %n, {text.bytes}")
    unscale = text.splat("%numbers", 0)
    ps, outs = ["%p"], ["%out"]
    for _ in range(channels - 1):
        ps.append(text.at(ps[-1], "%stride"))
        outs.append(text.at(outs[-1], "%bytes"))

    def body(offsets: Sequence[str], _: Sequence[str]) -> list[str]:
        for offset in offsets:
            place = text.value(f"mul i64 {offset}, {channels + 1}")
            weight = text.load("%mean", text.value(f"add i64 {place}, {channels * text.bytes}"))
            for c in range(channels):
                total = text.load("%mean", text.value(f"add i64 {place}, {c * text.bytes}"))
                mean = text.op("fadd", text.load(ps[c], offset), text.op("fdiv", total, weight))
                text.store(text.op("fmul", mean, unscale), outs[c], offset)
        return []

    _row_loop(text, [], body)
    text.add("  ret void\n}")


def _powers_text(compute: np.dtype[Any]) -> str:
    """``powers(row, n)``: 2 to every number of a row, which are at most 0."""
    text = _Text(compute)
    text.function("powers", ("ptr %row", "i64 %n"))
    text.add(f"  %bytes = mul i64 %n, {compute.itemsize}")

    def body(offsets: Sequence[str], _: Sequence[str]) -> list[str]:
        for offset, power in zip(offsets, text.exp2([text.load("%row", offset) for offset in offsets]), strict=True):
            text.store(power, "%row", offset)
        return []

    _row_loop(text, [], body)
    text.add("  ret void\n}")
    return text.whole()


@cache
def powers(compute: np.dtype[Any]) -> int:
    """Address of that function. A row is read and written in multiples of `UNROLL` vectors."""
    (address,) = machine_code(f"powers_{compute}_{lanes(compute)}", lambda: _powers_text(compute), "powers")
    return address


class Patch(NamedTuple):
    """What the program depends on: how squared differences are summed to distances."""

    depth: int  # planes of a patch
    down: Sums
    along: Sums
    channels: int

    @property
    def planes(self) -> bool:
        """Whether distances come from several planes, channels included."""
        return self.depth * self.channels > 1

    @property
    def fused(self) -> bool:
        """Whether distances are plain differences of samples."""
        return self.down.size == self.along.size == 1 and not self.planes


class Tile(NamedTuple):
    """Numbers that `means` reads of a tile, in this order. Pitches and planes are in bytes."""

    reach_z: int  # largest shift
    reach_y: int
    reach_x: int
    band: int  # columns of a band
    pitch: int  # from one row of a tile to the next
    plane: int
    mean_pitch: int


def _means(text: _Text, patch: Patch) -> None:
    """``means(numbers, rows, tile, part, total, scratch, weights, spatial, constants)``: all shifts of a tile of ``rows`` rows.

    ``numbers`` is a `Tile`. ``tile`` holds samples with all that shifts and patches reach, plane after plane, channels within planes.
    ``total`` gets, row by row, the weighted sums of differences and the sums of weights as in `_weigh`, with a row more than the
    tile has. ``part`` is as large, ``scratch`` room for the rings of two shifts and three rows; ``weights`` are those of the
    planes of a patch; ``spatial`` has float64 numbers for each step along each axis that add up to T. ``constants`` holds k.
    """
    names = ("numbers", "tile", "part", "total", "scratch", "weights", "spatial", "constants")
    pointers = [f"ptr %{name}" for name in names]
    text.function("means", [pointers[0], "i64 %rows", *pointers[1:]])
    places = (text.at("%numbers", 8 * i) for i in range(len(Tile._fields)))
    reach_z, reach_y, reach_x, band, pitch, plane, mean_pitch = (text.number(f"load i64, ptr {place}") for place in places)
    rows = _Number(text, "%rows")
    vector, channels = text.bytes, patch.channels
    ring = pitch * sum(patch.down.slots)
    line = text.where("%scratch", ring * 2)
    summed = text.where(line, pitch * 2)
    samples = text.number(f"udiv i64 {mean_pitch}, {(channels + 1) * vector}") * (rows + 1)
    one = text.constant(1.0)
    with text.loop(0, samples) as i:  # every sample is in its own mean
        for c in range(channels + 1):
            place = str((i * (channels + 1) + c) * vector)
            text.store("zeroinitializer", "%part", place)
            text.store(one if c == channels else "zeroinitializer", "%total", place)

    def spatial(at: _Number) -> str:
        return text.value(f"load double, ptr {text.where('%spatial', at * 8)}")

    def compare(dz: _Number, dy: _Number, dx: _Number, shifts: int, within: bool) -> None:
        """All samples with those one shift, or two neighbouring shifts, away.

        Shifts ``within`` the plane come in pairs of opposite ones, of which one is done for both: samples p then start as far
        outside the tile as q has to reach back in. What falls outside is added to a row that nobody reads.
        """
        falls = text.value(f"fadd double {spatial(reach_z + dz)}, {spatial(reach_z * 2 + 1 + reach_y + dy)}")
        for j in range(shifts):
            here = spatial((reach_z + reach_y + 1) * 2 + reach_x + dx + j)
            limit = text.value(f"fadd double {falls}, {here}")
            if not text.double:
                limit = text.value(f"fptrunc double {limit} to float")
            text.add(f"  store {text.scalar} {limit}, ptr {text.at('%constants', (1 + j) * text.bytes // text.lanes)}")
        zero = _Number(text, "0")
        top, left, n = zero, zero, band
        if within:
            first, last = -dx, -dx - (shifts - 1)
            top = -dy
            left = text.choose(last < 0, last, 0)
            n = band + text.choose(first < 0, 0, first) - left
        step = dz * channels * plane + dy * pitch + dx * vector
        start = reach_z * channels * plane + (top + reach_y) * pitch + (left + reach_x) * vector
        centre = start + plane * (patch.depth // 2 * channels) + pitch * (patch.down.size // 2) + patch.along.size // 2 * vector
        column = (left + reach_x) * ((channels + 1) * vector)
        ahead = column + dx * ((channels + 1) * vector)

        def distances(function: str, i: _Number) -> None:
            a = text.where("%tile", start + i * pitch)
            for j in range(shifts):
                b = text.where(a, step + j * vector)
                now = a
                if patch.planes:
                    columns = n + (patch.along.size - 1)
                    text.call("squares", f"ptr {a}", f"ptr {b}", plane, "ptr %weights", patch.depth * channels, f"ptr {summed}", columns)
                    now = summed
                own_ring, own_line = text.where("%scratch", ring * j), text.where(line, pitch * j)
                text.call(function, f"ptr {now}", f"ptr {b}", f"ptr {own_ring}", pitch, i, f"ptr {own_line}", n)

        if not patch.fused:
            with text.loop(0, patch.down.size - 1) as i:
                distances("prime", i)
        with text.loop(0, rows - top) as i:
            if not patch.fused:
                distances("distances", i + (patch.down.size - 1))
            y = top + i
            other = y + dy
            inside = text.value(f"icmp ult i64 {other}, {rows}")
            to_p = text.where("%part", text.choose(y < 0, rows, y) * mean_pitch + column)
            to_q = text.where("%part", text.choose(inside, other, rows) * mean_pitch + ahead)
            p = text.where("%tile", centre + i * pitch)
            ends = (f"ptr {p}", f"ptr {text.where(p, step)}", f"ptr {to_p}", f"ptr {to_q}")
            text.call(f"weigh_{shifts}_{'both' if within else 'one'}", f"ptr {line}", pitch, *ends, plane, "ptr %constants", n)

    def row_of_shifts(dz: _Number, dy: _Number, first: _Number, within: bool) -> None:
        count = reach_x + 1 - first
        with text.loop(0, text.number(f"ashr i64 {count}, 1")) as pair:
            compare(dz, dy, first + pair * 2, 2, within)
        with text.only_if(text.number(f"and i64 {count}, 1").equals(1)):
            compare(dz, dy, reach_x + 0, 1, within)
        # Sums of sums: each then rounds a few dozen times, and not once a shift, always up in a flat picture.
        text.call("settle", "ptr %part", "ptr %total", samples * (channels + 1))

    with text.loop(-reach_z, reach_z + 1) as dz:
        in_plane = dz.equals(0)
        with text.only_if(in_plane), text.loop(0, reach_y + 1) as dy:
            row_of_shifts(dz, dy, text.choose(dy.equals(0), 1, -reach_x), True)
        with text.only_if(text.value(f"xor i1 {in_plane}, true")), text.loop(-reach_y, reach_y + 1) as dy:
            row_of_shifts(dz, dy, -reach_x, False)
    text.add("  ret void\n}")


class Program(NamedTuple):
    """Addresses of the functions called from outside."""

    means: int
    finish: int


def program_text(patch: Patch, compute: np.dtype[Any]) -> str:
    """LLVM text of the functions a patch needs."""
    text = _Text(compute)
    if not patch.fused:
        for prime in (True, False):
            _distances(text, patch.down, patch.along, patch.planes, prime)
    if patch.planes:
        _squares(text)
    for shifts in (1, 2):
        for both in (True, False):
            _weigh(text, f"weigh_{shifts}_{'both' if both else 'one'}", patch.channels, patch.fused, shifts, both)
    _settle(text)
    _means(text, patch)
    _finish(text, patch.channels)
    return text.whole()


@cache
def program(patch: Patch, compute: np.dtype[Any]) -> Program:
    """Machine code for a patch, from the cache if it is there."""
    digest = hashlib.sha256(repr(patch).encode()).hexdigest()[:16]
    name = f"similarity_{compute}_{lanes(compute)}_{digest}"
    return Program(*machine_code(name, lambda: program_text(patch, compute), *Program._fields))


def _caller(count: int) -> Any:
    """Intrinsic ``f(address, ...)``: call a function of ``count`` whole numbers or pointers at an address."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        number = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [number] * count)
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])
        return ir.Constant(number, 0)

    names = [f"a{i}" for i in range(count + 1)]
    return intrinsic_of(names, lambda *_: types.intp(*[types.intp] * (count + 1)), generate)


call_means = _caller(9)
call_finish = _caller(6)
call_powers = _caller(2)
