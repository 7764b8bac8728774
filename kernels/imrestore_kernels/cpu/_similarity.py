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

from collections.abc import Sequence
from functools import cache
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import types

from imrestore_kernels.cpu._jit import intrinsic_of, machine_code
from imrestore_kernels.cpu._vector_text import VectorText, lanes, row_loop
from imrestore_kernels.cpu._window_sums import Sums, Window


def _difference(text: VectorText, offset: str, squares: bool) -> tuple[str, str]:
    """The newest value of a row, the squared difference of two samples, and its root; or one summed before and no root."""
    if squares:
        return text.load("%a", offset), ""
    d = text.op("fsub", text.load("%a", offset), text.load("%b", offset))
    return text.op("fmul", d, d), d


def distances(text: VectorText, down: Sums, along: Sums, squares: bool, prime: bool) -> None:
    """``distances(a, b, ring, pitch, y, out, n)``: patch distances of one row of samples from a new row of differences.

    ``ring`` keeps sums of earlier rows, ``pitch`` bytes each, ``y`` counts rows. ``prime`` is the same for rows of which no patch
    ends yet.
    """
    parameters = ("ptr %a", "ptr %b", "ptr %ring", "i64 %pitch", "i64 %y", "ptr %out", "i64 %n")
    text.function("prime" if prime else "distances", parameters)
    text.add(f"  %bytes = mul i64 %n, {text.bytes}")
    vertical, horizontal = Window(down, spare=False), Window(along, spare=True)
    # Slot y % slots of everything kept holds the oldest row, and gets the newest.
    places: dict[tuple[int, int, int], str] = {}
    first = 0
    for (box, level), slots in vertical.kept.items():
        for lag in range(1, slots + 1):
            row = text.value(f"add i64 %y, {slots * (1 + lag // slots) - lag}")
            slot = text.value(f"urem i64 {row}, {slots}")
            where = text.value(f"add i64 {slot}, {first}")
            places[box, level, lag] = text.at("%ring", text.value(f"mul i64 {where}, %pitch"))
        first += slots
    # Earlier values along the row stay in registers.
    registers = [(*key, lag) for key, slots in horizontal.kept.items() for lag in range(1, slots + 1)]
    held: dict[tuple[int, int, int], str] = dict.fromkeys(registers, "zeroinitializer")

    def across(offset: str) -> str:
        """Horizontal sum that ends with the column at an offset."""
        newest, root = _difference(text, offset, squares)
        total, levels = horizontal.total(text, newest, lambda *key: held[key], root)
        for (box, level), value in levels.items():
            for lag in range(horizontal.kept[box, level], 1, -1):
                held[box, level, lag] = held[box, level, lag - 1]
            held[box, level, 1] = value
        return total

    for i in range(along.size - 1):
        across(str(i * text.bytes))
    ahead = (along.size - 1) * text.bytes

    def step(offset: str) -> None:
        newest = across(text.value(f"add i64 {offset}, {ahead}") if ahead else offset)
        loaded: dict[tuple[int, int, int], str] = {}

        def earlier(*key: int) -> str:
            if key not in loaded:
                loaded[key] = text.load(places[key], offset)  # type: ignore[index]
            return loaded[key]  # type: ignore[index]

        total, rows = vertical.total(text, newest, earlier)
        for (box, level), value in rows.items():
            text.store(value, places[box, level, vertical.kept[box, level]], offset)
        if not prime:
            text.store(total, "%out", offset)

    def body(offsets: Sequence[str], values: list[str]) -> list[str]:
        held.update(zip(registers, values, strict=True))
        for offset in offsets:
            step(offset)
        return [held[key] for key in registers]

    row_loop(text, [held[key] for key in registers], body)
    text.add("  ret void\n}")


def squares(text: VectorText, name: str, planes: int, weighted: bool, onto: bool) -> None:
    """``squares(a, b, stride, weights, out, n)``: sum over planes of squared differences, each times its weight if ``weighted``; a
    plane is ``stride`` bytes behind the one before. ``onto`` what the result already holds."""
    text.function(name, ("ptr %a", "ptr %b", "i64 %stride", "ptr %weights", "ptr %out", "i64 %n"))
    text.add(f"  %bytes = mul i64 %n, {text.bytes}")
    pairs = [("%a", "%b")]
    for _ in range(planes - 1):
        pairs.append((text.at(pairs[-1][0], "%stride"), text.at(pairs[-1][1], "%stride")))

    def body(offsets: Sequence[str], _: Sequence[str]) -> list[str]:
        for offset in offsets:
            total = text.load("%out", offset) if onto else ""
            for plane, (a, b) in enumerate(pairs):
                d = text.op("fsub", text.load(a, offset), text.load(b, offset))
                scaled = text.op("fmul", d, text.splat("%weights", plane)) if weighted else d
                total = text.fma(scaled, d, total) if total else text.op("fmul", scaled, d)
            text.store(total, "%out", offset)
        return []

    row_loop(text, [], body)
    text.add("  ret void\n}")


def weigh(text: VectorText, name: str, channels: int, fused: bool, shifts: int, both: bool) -> None:
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

    row_loop(text, ["zeroinitializer"] * (waiting * (channels + 1)), body)
    text.add("  ret void\n}")


def settle(text: VectorText) -> None:
    """``settle(part, total, n)``: add one row to another and clear it."""
    text.function("settle", ("ptr %part", "ptr %total", "i64 %n"))
    text.add(f"  %bytes = mul i64 %n, {text.bytes}")

    def body(offsets: Sequence[str], _: Sequence[str]) -> list[str]:
        for offset in offsets:
            text.store(text.op("fadd", text.load("%total", offset), text.load("%part", offset)), "%total", offset)
            text.store("zeroinitializer", "%part", offset)
        return []

    row_loop(text, [], body)
    text.add("  ret void\n}")


def finish(text: VectorText, channels: int) -> None:
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

    row_loop(text, [], body)
    text.add("  ret void\n}")


def _powers_text(compute: np.dtype[Any]) -> str:
    """``powers(row, n)``: 2 to every number of a row, which are at most 0."""
    text = VectorText(compute)
    text.function("powers", ("ptr %row", "i64 %n"))
    text.add(f"  %bytes = mul i64 %n, {compute.itemsize}")

    def body(offsets: Sequence[str], _: Sequence[str]) -> list[str]:
        for offset, power in zip(offsets, text.exp2([text.load("%row", offset) for offset in offsets]), strict=True):
            text.store(power, "%row", offset)
        return []

    row_loop(text, [], body)
    text.add("  ret void\n}")
    return text.whole()


@cache
def powers(compute: np.dtype[Any]) -> int:
    """Address of that function. A row is read and written in multiples of `UNROLL` vectors."""
    (address,) = machine_code(f"powers_{compute}_{lanes(compute)}", lambda: _powers_text(compute), "powers")
    return address


def caller(count: int) -> Any:
    """Intrinsic ``f(address, ...)``: call a function of ``count`` whole numbers or pointers at an address."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        number = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [number] * count)
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])
        return ir.Constant(number, 0)

    names = [f"a{i}" for i in range(count + 1)]
    return intrinsic_of(names, lambda *_: types.intp(*[types.intp] * (count + 1)), generate)


call_powers = caller(2)
