"""Elementwise operations on whole rows, as explicit vector instructions.

Numba's integers are 64 bits wide as soon as they are added, which leaves an eighth of a vector for 8-bit pixels; here sums of
bytes stay 16 bits wide. A row is given by its address; whoever calls keeps the array alive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import types
from numba.core import cgutils

from imrestore_kernels.cpu._jit import intrinsic_of
from imrestore_kernels.cpu._vector import element, fetch_line, splat

_INT = ir.IntType(64)

#: Values that `sum_rows` handles at once: four chains of additions hide their latency.
SUMMED = 32
#: Rows of sums that `column_sums` makes together.
STACKED = 8
#: Bytes of a row that `column_sums` works on at once, and bytes from one copied row to the next: an odd number of lines.
STACK_BYTES, STACK_PITCH = 256, 320

#: Builds the result from one vector of every source and from the scalars, each repeated in all lanes.
Emit = Callable[["Vectors", list[Any], list[Any]], Any]


class Vectors:
    """Vector arithmetic on ``lanes`` values."""

    def __init__(self, builder: ir.IRBuilder, lanes: int) -> None:
        self.builder = builder
        self.lanes = lanes

    def kind(self, dtype: str) -> ir.VectorType:
        return ir.VectorType(element(np.dtype(dtype)), self.lanes)

    def splat(self, value: Any) -> Any:
        return splat(self.builder, value, self.lanes)

    def constant(self, dtype: str, value: float) -> Any:
        return ir.Constant(self.kind(dtype), [value] * self.lanes)

    def widen(self, value: Any, dtype: str) -> Any:
        """Zero-extend, or convert a float to float64."""
        to = self.kind(dtype)
        if value.type == to:
            return value
        return self.builder.fpext(value, to) if dtype[0] == "f" else self.builder.zext(value, to)

    def narrow(self, value: Any, dtype: str) -> Any:
        to = self.kind(dtype)
        if value.type == to:
            return value
        return self.builder.fptrunc(value, to) if dtype[0] == "f" else self.builder.trunc(value, to)

    def rint(self, value: Any) -> Any:
        bits = 32 if isinstance(value.type.element, ir.FloatType) else 64
        kind = ir.FunctionType(value.type, [value.type])
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.rint.v{self.lanes}f{bits}")
        return self.builder.call(function, [value])


def row_op(
    sources: Sequence[str], target: str, lanes: int, emit: Emit, scalars: Sequence[Any] = (), taps: int = 0,
    fetch: Sequence[int] = (), unroll: int = 1,
) -> Any:  # fmt: skip
    """Intrinsic ``f(n, exact, out, row_0, row_1, .., scalar_0, ..)`` that applies ``emit`` along rows.

    With ``taps`` there is one source and it is ``f(n, exact, out, row, step, scalar_0, ..)``: ``emit`` gets that row at
    ``taps`` addresses ``step`` bytes apart. With ``fetch`` there is one more argument at the end, ``ahead``: these sources
    are fetched into the cache that many bytes further on, which is where the next row will be.

    With ``exact`` nothing outside ``0 .. n`` is touched: the last block is shifted back to end with the row, so there must be
    at least a block of ``lanes * unroll`` values and ``out`` must not be a source. Without, the last block goes on past the end.
    """
    inputs = [np.dtype(s) for s in sources] * max(taps, 1)
    addresses = 2 if taps else len(inputs)
    output = np.dtype(target)

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        code = Vectors(builder, lanes)
        n, exact, out = args[:3]
        rows, values = args[3 : 3 + addresses], args[3 + addresses : 3 + addresses + len(scalars)]
        if taps:
            rows = [builder.add(rows[0], builder.mul(rows[1], ir.Constant(_INT, t))) for t in range(taps)]
        repeated = [code.splat(value) for value in values]
        block = ir.Constant(_INT, lanes * unroll)
        end = builder.select(exact, builder.sub(n, block), ir.Constant(_INT, 1 << 62))

        def place(row: Any, at: Any, dtype: np.dtype[Any]) -> Any:
            address = builder.add(row, builder.mul(at, ir.Constant(_INT, dtype.itemsize)))
            return builder.inttoptr(address, ir.VectorType(element(dtype), lanes).as_pointer())

        def one(at: Any) -> None:
            for source in fetch:
                address = builder.add(rows[source], builder.mul(at, ir.Constant(_INT, inputs[source].itemsize)))
                fetch_line(builder, builder.add(address, args[-1]))
            loaded = []
            for row, dtype in zip(rows, inputs, strict=True):
                value = builder.load(place(row, at, dtype))
                value.align = 1
                loaded.append(value)
            builder.store(emit(code, loaded, repeated), place(out, at, output)).align = 1

        with cgutils.for_range_slice(builder, ir.Constant(_INT, 0), n, block, _INT) as (x, _):
            at = builder.select(builder.icmp_signed("<", x, end), x, end)
            for v in range(unroll):
                one(builder.add(at, ir.Constant(_INT, v * lanes)))
        return ir.Constant(_INT, 0)

    signature = types.intp(types.intp, types.boolean, types.intp, *[types.intp] * addresses, *scalars, *[types.intp] * bool(fetch))
    return _intrinsic_of(signature, generate)


def sum_rows(source: str, target: str, scale: str = "") -> Any:
    """Intrinsic ``f(n, exact, out, table, count, factor, ahead)``: float64 sums of ``count`` rows, first to last.

    ``table`` is the address of the rows' addresses. With ``scale`` "mul" or "div" the sum is multiplied or divided by ``factor``;
    it is then converted to ``target``. The last row of the table and ``out`` are fetched ``ahead`` bytes further on if that is
    not 0. Blocks are of `SUMMED` values; ``exact`` as in `row_op`.
    """
    read, write = np.dtype(source), np.dtype(target)
    lanes, vectors = 8, SUMMED // 8

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        code = Vectors(builder, lanes)
        n, exact, out, table, count, factor, ahead = args
        b = builder
        end = b.select(exact, b.sub(n, ir.Constant(_INT, SUMMED)), ir.Constant(_INT, 1 << 62))
        pointers = b.inttoptr(table, _INT.as_pointer())
        splat = code.splat(factor)

        def vector(row: Any, at: Any, v: int, dtype: np.dtype[Any]) -> Any:
            address = b.add(row, b.mul(b.add(at, ir.Constant(_INT, v * lanes)), ir.Constant(_INT, dtype.itemsize)))
            return b.inttoptr(address, ir.VectorType(element(dtype), lanes).as_pointer())

        with cgutils.for_range_slice(b, ir.Constant(_INT, 0), n, ir.Constant(_INT, SUMMED), _INT) as (x, _):
            at = b.select(b.icmp_signed("<", x, end), x, end)

            def loaded(t: Any, v: int, at: Any = at) -> Any:
                value = b.load(vector(b.load(b.gep(pointers, [t])), at, v, read))
                value.align = 1
                return code.widen(value, "f8")

            sums = [cgutils.alloca_once(b, code.kind("f8")) for _ in range(vectors)]
            for v, place in enumerate(sums):
                b.store(loaded(ir.Constant(_INT, 0), v), place)
            with cgutils.for_range_slice(b, ir.Constant(_INT, 1), count, ir.Constant(_INT, 1), _INT) as (t, _):
                for v, place in enumerate(sums):
                    b.store(b.fadd(b.load(place), loaded(t, v)), place)
            with b.if_then(b.icmp_unsigned("!=", ahead, ir.Constant(_INT, 0))):
                last = b.load(b.gep(pointers, [b.sub(count, ir.Constant(_INT, 1))]))
                for row, dtype, writes in ((last, read, False), (out, write, True)):
                    for offset in range(0, SUMMED * dtype.itemsize, 64):
                        place = b.add(row, b.add(b.mul(at, ir.Constant(_INT, dtype.itemsize)), ir.Constant(_INT, offset)))
                        fetch_line(b, b.add(place, ahead), writes)
            for v, place in enumerate(sums):
                total = b.load(place)
                if scale:
                    total = (b.fmul if scale == "mul" else b.fdiv)(total, splat)
                b.store(code.narrow(total, target), vector(out, at, v, write)).align = 1
        return ir.Constant(_INT, 0)

    row = types.intp
    return _intrinsic_of(types.intp(row, types.boolean, row, row, row, types.float64, row), generate)


def column_sums(source: str) -> Any:
    """Intrinsic ``f(n, out, stride, table, eights, rest, scratch, ahead)``: `STACKED` rows of sums, each one row further down.

    Each is the float64 sum of ``8 * eights + rest`` rows (rest < 8): first those of 8 rows, then of 4, 2 and 1, so that the sums
    of 2, 4 and 8 rows are made once for all. ``table`` is the address of the addresses of all rows, ``out`` that of the first row
    of sums, ``stride`` the bytes to the next. Blocks are of `STACK_BYTES` of a row, the last one shifted back to end with it. They
    are copied to ``scratch`` first, `STACK_PITCH` bytes a row: rows a power of two apart all compete for the same few lines of
    the first-level cache (31x31, float32, 2048 columns, one core: 8.9 ms in place, 5.8 so). The rows after the last one,
    ``ahead`` bytes apart, are fetched into the cache meanwhile.
    """
    read = np.dtype(source)
    lanes = 8
    width = STACK_BYTES // read.itemsize
    line = ir.VectorType(ir.IntType(8), 64)

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        code = Vectors(builder, lanes)
        b = builder
        n, out, stride, table, eights, rest, scratch, ahead = args
        pointers = b.inttoptr(table, _INT.as_pointer())
        vector = ir.VectorType(element(read), lanes)
        places = [cgutils.alloca_once(b, code.kind("f8")) for _ in range(STACKED + 7)]
        sums, (one, *carried) = places[:STACKED], places[STACKED:]
        twos, fours = carried[:2], carried[2:]

        def number(value: int) -> Any:
            return ir.Constant(_INT, value)

        def added(values: list[Any], distance: int) -> list[Any]:
            return [b.fadd(x, y) for x, y in zip(values, values[distance:], strict=False)]

        end = b.sub(n, number(width))
        count = b.add(b.add(b.mul(eights, number(8)), rest), number(STACKED - 1))
        with cgutils.for_range_slice(b, number(0), n, number(width), _INT) as (x, _):
            at = b.select(b.icmp_signed("<", x, end), x, end)
            offset = b.mul(at, number(read.itemsize))
            with cgutils.for_range_slice(b, number(0), count, number(1), _INT) as (t, _):
                source_address = b.add(b.load(b.gep(pointers, [t])), offset)
                to = b.add(scratch, b.mul(t, number(STACK_PITCH)))
                for byte in range(0, STACK_BYTES, 64):
                    value = b.load(b.inttoptr(b.add(source_address, number(byte)), line.as_pointer()))
                    value.align = 1
                    b.store(value, b.inttoptr(b.add(to, number(byte)), line.as_pointer())).align = 64
            address = b.add(b.load(b.gep(pointers, [b.sub(count, number(1))])), offset)
            for _ in range(STACKED):
                address = b.add(address, ahead)
                for byte in range(0, STACK_BYTES, 64):
                    fetch_line(b, b.add(address, number(byte)))

            with cgutils.for_range_slice(b, number(0), number(width), number(lanes), _INT) as (x, _):
                start = b.add(scratch, b.mul(x, number(read.itemsize)))

                def rows(base: Any, first: int, many: int) -> list[Any]:
                    values = []
                    for t in range(first, first + many):
                        value = b.load(b.inttoptr(b.add(base, number(t * STACK_PITCH)), vector.as_pointer()))
                        value.align = 32
                        values.append(code.widen(value, "f8"))
                    return values

                def add_to_sums(values: list[Any]) -> None:
                    for place, value in zip(sums, values, strict=True):
                        b.store(b.fadd(b.load(place), value), place)

                for place in sums:
                    b.store(code.constant("f8", -0.0), place)
                # Of the rows up to here: the last one, the last two sums of two, the last four sums of four.
                first = rows(start, 0, 7)
                pairs = added(first, 1)
                for place, value in zip((one, *twos, *fours), (first[6], *pairs[4:], *added(pairs, 2)), strict=True):
                    b.store(value, place)
                with cgutils.for_range_slice(b, number(0), eights, number(1), _INT) as (group, _):
                    ones = [b.load(one), *rows(b.add(start, b.mul(group, number(8 * STACK_PITCH))), 7, 8)]
                    pairs = [*map(b.load, twos), *added(ones, 1)]
                    quads = [*map(b.load, fours), *added(pairs, 2)]
                    add_to_sums(added(quads, 4))
                    for place, value in zip((one, *twos, *fours), (ones[-1], *pairs[-2:], *quads[-4:]), strict=True):
                        b.store(value, place)
                base = b.add(start, b.mul(eights, number(8 * STACK_PITCH)))
                for power in (4, 2, 1):
                    given = b.and_(rest, number(power))
                    with b.if_then(b.icmp_unsigned("!=", given, number(0))):
                        values = rows(base, 0, STACKED + power - 1)
                        for distance in (1, 2)[: power.bit_length() - 1]:
                            values = added(values, distance)
                        add_to_sums(values)
                    base = b.add(base, b.mul(given, number(STACK_PITCH)))
                for j, place in enumerate(sums):
                    to = b.add(out, b.add(b.mul(stride, number(j)), b.mul(b.add(at, x), number(8))))
                    b.store(b.load(place), b.inttoptr(to, code.kind("f8").as_pointer())).align = 8
        return number(0)

    return _intrinsic_of(types.intp(*[types.intp] * 8), generate)


def neighbour_sums() -> Any:
    """Intrinsic ``f(n, row, sums, stride)``: float64 sums of 2, 4 and 8 neighbours of a row, in one pass.

    Those that start at value x of the row go to value x of three buffers, ``stride`` bytes apart, from address ``sums`` on. ``row``
    and ``sums`` are multiples of 64; up to 16 values in front of a buffer and 24 beyond ``n`` are overwritten, and 24 of the row
    beyond ``n`` read.
    """
    lanes = 8
    widths = (1, 2, 4)

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        code = Vectors(builder, lanes)
        b = builder
        n, row, sums, stride = args
        vector = code.kind("f8")

        def place(address: Any, at: Any) -> Any:
            return b.inttoptr(b.add(address, b.mul(at, ir.Constant(_INT, 8))), vector.as_pointer())

        # The newest vector of values, of sums of 2 and of sums of 4: each lags a vector behind the one it is made of.
        newest = [cgutils.alloca_once_value(b, code.constant("f8", 0.0)) for _ in widths]
        b.store(b.load(place(row, ir.Constant(_INT, 0))), newest[0])
        end = b.add(n, ir.Constant(_INT, 2 * lanes))
        with cgutils.for_range_slice(b, ir.Constant(_INT, 0), end, ir.Constant(_INT, lanes), _INT) as (x, _):
            value = b.load(place(row, b.add(x, ir.Constant(_INT, lanes))))
            value.align = 64
            for level, width in enumerate(widths):
                older = b.load(newest[level])
                b.store(value, newest[level])
                ahead = ir.Constant(ir.VectorType(ir.IntType(32), lanes), list(range(width, width + lanes)))
                value = b.fadd(older, b.shuffle_vector(older, value, ahead))
                to = b.add(sums, b.mul(stride, ir.Constant(_INT, level)))
                b.store(value, place(to, b.sub(x, ir.Constant(_INT, level * lanes)))).align = 64
        return ir.Constant(_INT, 0)

    return _intrinsic_of(types.intp(*[types.intp] * 4), generate)


def _intrinsic_of(signature: Any, generate: Any) -> Any:
    return intrinsic_of([f"a{i}" for i in range(len(signature.args))], lambda *_: signature, generate)
