"""Weighted sums of rows and along a row, as explicit vector instructions with fused multiply-add.

Every output is summed in the same order with one rounding per tap, whatever its place in the image, the strip or the vector:
results are the same bits for every split of the work, and ``llvm.fma`` gives them on every processor. The order is from both
ends towards the middle, where a Gaussian's weights are largest: partial sums stay small for as long as they can, and so do
their rounding errors (for sigma 10 their bound is a quarter of that of first to last).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from imrestore_kernels.cpu._vector import element, fetch_line, splat

_INT = ir.IntType(64)
#: Vectors of one row that are summed together: four chains of multiply-adds hide their latency of four cycles.
VECTORS = 4
#: Output rows summed together from each row that is loaded; a load and its conversion then serve four multiply-adds. Eight rows
#: of two vectors instead took a fifth longer for sigma 1 and as long for sigma 10.
ROWS = 4
#: Of the taps up to this far from the middle one those after it are shuffled together from neighbouring vectors, those before it
#: loaded: nearly every load straddles two cache lines and takes two turns, and a core can shuffle meanwhile (2048x2048 uint8, one
#: core: sigma 1 1.86 ms with loads alone, 1.57 with shuffles alone, 1.5 with both; sigma 2 2.73, 2.6, 2.35).
SHUFFLED = 8


def compute_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """float32 where its 24 bits are enough for the promised accuracy, else float64."""
    return np.dtype(np.float32 if dtype.itemsize == 1 or dtype == np.float32 else np.float64)


def block(compute: np.dtype[Any]) -> int:
    """Values handled at once."""
    return VECTORS * 64 // compute.itemsize


class _Code:
    """Pieces of vector code for one compute type."""

    def __init__(self, builder: ir.IRBuilder, compute: np.dtype[Any]) -> None:
        self.builder = builder
        self.compute = compute
        self.scalar = element(compute)
        self.lanes = 64 // compute.itemsize
        self.vector = ir.VectorType(self.scalar, self.lanes)

    def constant(self, value: int) -> Any:
        return ir.Constant(_INT, value)

    def pointer(self, address: Any, kind: ir.Type) -> Any:
        return self.builder.inttoptr(address, kind.as_pointer())

    def load(self, address: Any, dtype: np.dtype[Any]) -> Any:
        """One vector of values of an image's dtype, converted."""
        b = self.builder
        if dtype.kind == "f":
            loaded = b.load(self.pointer(address, ir.VectorType(element(dtype), self.lanes)))
            loaded.align = 1
            return loaded if dtype == self.compute else b.fpext(loaded, self.vector)
        loaded = b.load(self.pointer(address, ir.VectorType(ir.IntType(8 * dtype.itemsize), self.lanes)))
        loaded.align = 1
        wide = ir.VectorType(ir.IntType(32), self.lanes)
        if dtype.kind == "i":
            return b.sitofp(b.sext(loaded, wide) if dtype.itemsize < 4 else loaded, self.vector)
        if dtype.itemsize < 4:  # fits a signed 32-bit integer, which every processor converts in one instruction
            return b.sitofp(b.zext(loaded, wide), self.vector)
        return b.uitofp(loaded, self.vector)

    def store(self, value: Any, address: Any) -> None:
        self.builder.store(value, self.pointer(address, value.type)).align = 1

    def zeros(self) -> list[Any]:
        """A chain of sums: VECTORS places that LLVM keeps in registers, set to zero here."""
        zero = ir.Constant(self.vector, None)
        places = [cgutils.alloca_once_value(self.builder, zero) for _ in range(VECTORS)]
        for place in places:
            self.builder.store(zero, place)
        return places

    def splat(self, value: Any) -> Any:
        return splat(self.builder, value, self.lanes)

    def weight(self, address: Any) -> Any:
        """A weight in every lane."""
        return self.splat(self.builder.load(self.pointer(address, self.scalar)))

    def shifted(self, first: Any, second: Any, by: int) -> Any:
        """Of two neighbouring vectors of a row the one that starts ``by`` values after the first."""
        if by == self.lanes:
            return second
        places = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [by + i for i in range(self.lanes)])
        return self.builder.shuffle_vector(first, second, places)

    def call(self, name: str, *values: Any) -> Any:
        """One of LLVM's own functions on vectors of the compute type."""
        kind = ir.FunctionType(self.vector, [self.vector] * len(values))
        suffix = f"v{self.lanes}f{8 * self.compute.itemsize}"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}.{suffix}"), values)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        return self.call("fma", a, b, c)

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.add(a, b)

    def mul(self, a: Any, factor: int) -> Any:
        return self.builder.mul(a, self.constant(factor))


@cache
def weighted_rows(dtype: np.dtype[Any], compute: np.dtype[Any]) -> Any:
    """``f(rows, taps, weights, out, out_stride, n, together, ahead)``: sums of ``taps`` rows in the compute type.

    ``rows`` is an int64 table of row addresses, ``weights`` the address of the taps, ``out`` that of the first result row.
    With ``together`` there are `ROWS` results, each one row further down, from ``taps + ROWS - 1`` rows; else one. At least
    one `block` of values is read and written. The rows that come after the last one of the table, ``ahead`` bytes apart, are
    fetched into the cache meanwhile: processors do not foresee the step from row to row (31x31 mean, float32, one core: 8.8 ms
    without, 7.7 with).
    """
    size = compute.itemsize

    def body(code: _Code, args: list[Any], rows: int) -> None:
        table, taps, weights, out, stride, n, ahead = args
        b = code.builder
        zero = code.constant(0)
        half = b.udiv(taps, code.constant(2))
        under = b.sub(b.sub(taps, code.constant(1)), half)
        width = block(compute)
        last = b.sub(n, code.constant(width))
        with cgutils.for_range_slice(b, zero, n, code.constant(width), _INT) as (x, _):
            at = b.select(b.icmp_signed("<", x, last), x, last)
            offset = code.mul(at, dtype.itemsize)
            after = code.add(b.load(b.gep(table, [code.add(taps, code.constant(rows - 2))])), offset)
            for _ in range(rows):
                after = code.add(after, ahead)
                for line in range(0, width * dtype.itemsize, 64):
                    fetch_line(b, code.add(after, code.constant(line)))

            def chain() -> list[list[Any]]:
                return [code.zeros() for _ in range(rows)]

            def tap(sums: list[list[Any]], t: Any, outputs: range) -> None:
                """Row ``t`` of the table adds to some outputs: to output j with weight t - j."""
                address = code.add(b.load(b.gep(table, [t])), offset)
                steps = [code.constant(v * code.lanes * dtype.itemsize) for v in range(VECTORS)]
                values = [code.load(code.add(address, step), dtype) for step in steps]
                for j in outputs:
                    weight = code.weight(code.add(weights, code.mul(b.sub(t, code.constant(j)), size)))
                    for v in range(VECTORS):
                        b.store(code.fma(weight, values[v], b.load(sums[j][v])), sums[j][v])

            # Taps 0 .. half - 1 of every output, downwards; with several outputs the first and last rows serve only some.
            above = chain()
            for t in range(rows - 1):
                tap(above, code.constant(t), range(t + 1))
            with cgutils.for_range_slice(b, code.constant(rows - 1), half, code.constant(1), _INT) as (t, _):
                tap(above, t, range(rows))
            for t in range(rows - 1):
                tap(above, code.add(half, code.constant(t)), range(t + 1, rows))
            # Taps taps - 1 .. half + 1, upwards; then the middle one.
            below = chain()
            end = b.sub(taps, code.constant(1))
            for t in range(rows - 1):
                tap(below, code.add(end, code.constant(rows - 1 - t)), range(rows - 1 - t, rows))
            with cgutils.for_range_slice(b, code.constant(rows - 1), under, code.constant(1), _INT) as (t, _):
                tap(below, b.sub(code.add(end, code.constant(rows - 1)), t), range(rows))
            for t in range(rows - 1):
                tap(below, b.sub(code.add(end, code.constant(rows - 1 - t)), under), range(rows - 1 - t))
            for j in range(rows):
                for v in range(VECTORS):
                    b.store(b.fadd(b.load(above[j][v]), b.load(below[j][v])), above[j][v])
                tap(above, code.add(half, code.constant(j)), range(j, j + 1))
            sums = above
            for j in range(rows):
                base = code.add(code.add(out, code.mul(at, size)), b.mul(stride, code.constant(j * size)))
                for v in range(VECTORS):
                    code.store(b.load(sums[j][v]), code.add(base, code.constant(v * 64)))

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        code = _Code(builder, compute)
        table = context.make_array(signature.args[0])(context, builder, args[0]).data
        with builder.if_else(args[6]) as (several, one):
            with several:
                body(code, [table, *args[1:6], args[7]], ROWS)
            with one:
                body(code, [table, *args[1:6], args[7]], 1)
        return context.get_dummy_value()

    @intrinsic
    def sums(
        _typing: Any, _rows: Any, _taps: Any, _weights: Any, _out: Any, _stride: Any, _n: Any, _together: Any, _ahead: Any
    ) -> Any:
        table = types.Array(types.int64, 1, "C")
        return types.void(table, *[types.intp] * 5, types.boolean, types.intp), generate

    return sums


def _to_image(code: _Code, value: Any, dtype: np.dtype[Any], low: float, high: float) -> Any:
    """From a sum (of floats: half of it) to the image's dtype: rounded half to even, saturated, narrowed."""
    b = code.builder
    if dtype.kind == "f":
        # Half sums of finite pixels are finite. Where rounded weights add up to a little more than one the whole may not be:
        # it then is the largest number, and only an infinite half sum stays infinite.
        largest = code.splat(ir.Constant(code.scalar, float(np.finfo(dtype).max) / 2))
        size = code.call("fabs", value)
        infinite = code.splat(ir.Constant(code.scalar, float("inf")))
        over = b.and_(b.fcmp_ordered(">", size, largest), b.fcmp_ordered("<", size, infinite))
        value = b.select(over, code.call("copysign", largest, value), value)
        return b.fadd(value, value)
    value = code.call("rint", value)
    if dtype.itemsize > 1:  # weights are not negative and add up to one within rounding: a byte cannot overflow
        value = code.call("minnum", value, code.splat(ir.Constant(code.scalar, high)))
        value = code.call("maxnum", value, code.splat(ir.Constant(code.scalar, low)))
    kind = ir.VectorType(ir.IntType(8 * dtype.itemsize), code.lanes)
    if dtype.itemsize == 4:
        return b.fptoui(value, kind) if dtype.kind == "u" else b.fptosi(value, kind)
    return b.trunc(b.fptosi(value, ir.VectorType(ir.IntType(32), code.lanes)), kind)


@cache
def weighted_shifts(dtype: np.dtype[Any]) -> Any:
    """``f(row, taps, weights, inner, out, n, near, masks)``: sums along a row of compute-type values, rounded to the dtype.

    Output x is the sum of ``weights[t] * row[x + t * inner]``, and twice that for floats: their rows hold half sums, which
    cannot overflow. At least one `block` is read and written. For 8-bit integers
    the result is whether some value lies further than ``near`` from a whole number, so close to a tie that float32 cannot
    decide it; ``masks`` then holds 16 bits for every vector, those of a block at ``min(x, n - block)`` together.
    """
    compute = compute_type(dtype)
    checked = dtype.kind != "f" and compute.itemsize == 4
    limits = (0.0, 0.0) if dtype.kind == "f" else (float(np.iinfo(dtype).min), float(np.iinfo(dtype).max))

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        code = _Code(builder, compute)
        b = builder
        row, taps, weights, inner, out, n, near, masks = args
        zero = code.constant(0)
        width = block(compute)
        last = b.sub(n, code.constant(width))
        step = code.mul(inner, compute.itemsize)
        half = b.udiv(taps, code.constant(2))
        near_by = b.icmp_signed("<=", half, code.constant(SHUFFLED))
        shuffled = b.and_(near_by, b.icmp_signed("==", inner, code.constant(1)))
        flags = ir.VectorType(ir.IntType(1), code.lanes)
        risky = cgutils.alloca_once_value(b, ir.Constant(flags, None))
        if checked:
            threshold = code.splat(b.fptrunc(near, code.scalar))
        with cgutils.for_range_slice(b, zero, n, code.constant(width), _INT) as (x, _):
            at = b.select(b.icmp_signed("<", x, last), x, last)
            first = code.add(row, code.mul(at, compute.itemsize))
            def tap(sums: list[Any], t: Any) -> None:
                weight = code.weight(code.add(weights, code.mul(t, compute.itemsize)))
                shifted = code.add(first, b.mul(t, step))
                for v, place in enumerate(sums):
                    value = code.load(code.add(shifted, code.constant(64 * v)), compute)
                    b.store(code.fma(weight, value, b.load(place)), place)

            chains = [code.zeros(), code.zeros()]  # from the first and from the last tap towards the middle one
            with b.if_else(shuffled) as (in_registers, from_memory):
                with in_registers:
                    middle = code.add(first, code.mul(half, compute.itemsize))
                    after = [code.load(code.add(middle, code.constant(64 * v)), compute) for v in range(VECTORS + 1)]
                    for d in range(SHUFFLED, 0, -1):
                        with b.if_then(b.icmp_signed(">=", half, code.constant(d))):
                            for sums, side in zip(chains, (-d, d), strict=True):
                                t = code.add(half, code.constant(side))
                                weight = code.weight(code.add(weights, code.mul(t, compute.itemsize)))
                                for v, place in enumerate(sums):
                                    if side < 0:
                                        there = code.constant(64 * v + side * compute.itemsize)
                                        value = code.load(code.add(middle, there), compute)
                                    else:
                                        value = code.shifted(after[v], after[v + 1], side)
                                    b.store(code.fma(weight, value, b.load(place)), place)
                with from_memory:
                    for way, sums in zip((1, -1), chains, strict=True):
                        with cgutils.for_range_slice(b, zero, half, code.constant(1), _INT) as (t, _):
                            tap(sums, t if way == 1 else b.sub(b.sub(taps, code.constant(1)), t))
            for left, right in zip(*chains, strict=True):
                b.store(b.fadd(b.load(left), b.load(right)), left)
            sums = chains[0]
            tap(sums, half)
            for v, place in enumerate(sums):
                value = b.load(place)
                if checked:
                    away = code.call("fabs", b.fsub(value, code.call("rint", value)))
                    close = b.fcmp_ordered(">", away, threshold)
                    b.store(b.or_(b.load(risky), close), risky)
                    word = code.add(masks, code.add(b.udiv(x, code.constant(code.lanes // 2)), code.constant(2 * v)))
                    b.store(b.bitcast(close, ir.IntType(code.lanes)), code.pointer(word, ir.IntType(code.lanes)))
                target = code.add(out, code.mul(code.add(at, code.constant(v * code.lanes)), dtype.itemsize))
                code.store(_to_image(code, value, dtype, *limits), target)
        bits = ir.IntType(code.lanes)
        return b.icmp_unsigned("!=", b.bitcast(b.load(risky), bits), ir.Constant(bits, 0))

    @intrinsic
    def sums(
        _typing: Any, _row: Any, _taps: Any, _weights: Any, _inner: Any, _out: Any, _n: Any, _near: Any, _masks: Any
    ) -> Any:
        return types.boolean(*[types.intp] * 6, types.float64, types.intp), generate

    return sums
