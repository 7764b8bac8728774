"""What the metrics do along rows, as explicit vector instructions: sums of squares, products of two images, similarity.

Written as loops they stay scalar: a sum of floats may not be reordered, and a loop that writes four rows from two is more than
LLVM checks for overlap. Here every sum has its fixed order, the same on every processor.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import types
from numba.core import cgutils

from imrestore_kernels.cpu._jit import intrinsic_of
from imrestore_kernels.cpu._vector import element, splat

_INT = ir.IntType(64)
_DOUBLE = ir.DoubleType()
_FLOAT64 = np.dtype(np.float64)
#: float64 values in one vector.
LANES = 8
#: Vectors of differences whose squares are summed side by side: their chains of additions hide each other's latency.
_VECTORS = 4
#: The four weighted sums an SSIM needs, in the order of their buffers: a, b, a a + b b and a b.
PRODUCTS = 4


def _number(value: int) -> Any:
    return ir.Constant(_INT, value)


def _shape(kind: ir.Type, lanes: int) -> ir.Type:
    return kind if lanes == 1 else ir.VectorType(kind, lanes)


def _place(b: ir.IRBuilder, row: Any, at: Any, kind: ir.Type, size: int) -> Any:
    return b.inttoptr(b.add(row, b.mul(at, _number(size))), kind.as_pointer())


def _load(b: ir.IRBuilder, row: Any, at: Any, dtype: np.dtype[Any], lanes: int) -> Any:
    kind = _shape(element(dtype), lanes)
    value = b.load(_place(b, row, at, kind, dtype.itemsize))
    value.align = 1
    return value


def _to_double(b: ir.IRBuilder, value: Any, dtype: np.dtype[Any], lanes: int) -> Any:
    kind = _shape(_DOUBLE, lanes)
    if dtype.kind == "f":
        return value if dtype.itemsize == 8 else b.fpext(value, kind)
    if dtype.itemsize < 4:  # fits a signed 32-bit integer, which every processor converts in one instruction
        wide = _shape(ir.IntType(32), lanes)
        return b.sitofp(b.sext(value, wide) if dtype.kind == "i" else b.zext(value, wide), kind)
    return b.sitofp(value, kind) if dtype.kind == "i" else b.uitofp(value, kind)


def _call(b: ir.IRBuilder, name: str, suffix: str, *values: Any) -> Any:
    kind = ir.FunctionType(values[0].type, [value.type for value in values])
    return b.call(cgutils.get_or_insert_function(b.module, kind, f"llvm.{name}.{suffix}"), values)


def _fma(b: ir.IRBuilder, x: Any, y: Any, z: Any, lanes: int) -> Any:
    return _call(b, "fma", "f64" if lanes == 1 else f"v{lanes}f64", x, y, z)


def _unknown_one(b: ir.IRBuilder) -> Any:
    """1.0, which the optimiser takes for any number: of an empty piece of assembly it only knows that the bits come out."""
    opaque = ir.InlineAsm(ir.FunctionType(_INT, [_INT]), "", "=r,0")
    return b.bitcast(b.call(opaque, [_number(0x3FF0000000000000)]), _DOUBLE)


def _lanes_added(b: ir.IRBuilder, vector: Any, lanes: int) -> Any:
    """The sum of a vector's lanes, halves first."""
    while lanes > 1:
        lanes //= 2
        halves = [
            b.shuffle_vector(vector, vector, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [first + i for i in range(lanes)]))
            for first in (0, lanes)
        ]
        vector = (b.fadd if vector.type.element == _DOUBLE else b.add)(*halves)
    return b.extract_element(vector, ir.Constant(ir.IntType(32), 0))


def _intrinsic(signature: Any, generate: Any) -> Any:
    return intrinsic_of([f"a{i}" for i in range(len(signature.args))], lambda *_: signature, generate)


@cache
def squared_differences(dtype: np.dtype[Any]) -> Any:
    """``f(a, b, n)``: sum of the squared differences of ``n`` values at two addresses.

    A float64 for floats, and an int64, exact, for integers of 16 bits and n <= 2**16. Bytes have a module of their own.

    Floats are subtracted as x 1 - y by a fused multiplication, which rounds once as well: on AMD's Zen conversions and additions
    share two units, and fused multiplications have two others (512x512 float32, one core: 28 us instead of 36).
    """
    floats = dtype.kind == "f"
    lanes = LANES if floats else 2 * LANES
    total_type = _DOUBLE if floats else _INT

    def squared(b: ir.IRBuilder, rows: tuple[Any, Any], one: Any, at: Any, total: Any, lanes: int) -> Any:
        x, y = (_load(b, row, at, dtype, lanes) for row in rows)
        if floats:
            x, y = (_to_double(b, value, dtype, lanes) for value in (x, y))
            difference = _fma(b, x, one if lanes == 1 else splat(b, one, lanes), b.fneg(y), lanes)
            return _fma(b, difference, difference, total, lanes)
        wide = _shape(ir.IntType(32), lanes)
        extend = b.sext if dtype.kind == "i" else b.zext
        difference = b.sub(extend(x, wide), extend(y, wide))
        square = b.mul(difference, difference)  # below 2**32, read as unsigned
        return b.add(total, b.zext(square, _shape(total_type, lanes)))

    def generate(_context: Any, b: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        *pair, n = args
        rows, one = (pair[0], pair[1]), _unknown_one(b)
        sums = [cgutils.alloca_once_value(b, ir.Constant(_shape(total_type, lanes), None)) for _ in range(_VECTORS)]
        rest = cgutils.alloca_once_value(b, ir.Constant(total_type, 0))
        block = _number(lanes * _VECTORS)
        for place in sums:
            b.store(ir.Constant(_shape(total_type, lanes), None), place)
        b.store(ir.Constant(total_type, 0), rest)
        whole = b.sub(n, b.srem(n, block))
        with cgutils.for_range_slice(b, _number(0), whole, block, _INT) as (x, _):
            for v, place in enumerate(sums):
                b.store(squared(b, rows, one, b.add(x, _number(v * lanes)), b.load(place), lanes), place)
        with cgutils.for_range_slice(b, whole, n, _number(1), _INT) as (x, _):
            b.store(squared(b, rows, one, x, b.load(rest), 1), rest)
        add = b.fadd if floats else b.add
        first, second, third, fourth = (b.load(place) for place in sums)
        return add(_lanes_added(b, add(add(first, second), add(third, fourth)), lanes), b.load(rest))

    return _intrinsic((types.float64 if floats else types.int64)(types.intp, types.intp, types.intp), generate)


@cache
def weighted_products(dtype: np.dtype[Any]) -> Any:
    """``f(n, out, stride, a, b, step, taps, weights, shift, scale)``: four rows of float64 sums down the planes of a volume.

    With x = (a - shift) scale and y likewise they are the sums of x, y, x x + y y and x y over ``taps`` rows ``step`` bytes apart,
    weighted by the float64 at address ``weights``; ``stride`` bytes lie between the four. n >= `LANES`: the last vector is shifted
    back to end with the row, and nothing outside is touched.
    """

    def generate(_context: Any, b: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        n, out, stride, a, other, step, taps, weights, shift, scale = args
        vector = _shape(_DOUBLE, LANES)
        shifts, scales = splat(b, shift, LANES), splat(b, scale, LANES)
        zero = ir.Constant(vector, None)
        sums = [cgutils.alloca_once(b, vector) for _ in range(PRODUCTS)]
        last = b.sub(n, _number(LANES))
        with cgutils.for_range_slice(b, _number(0), n, _number(LANES), _INT) as (x, _):
            at = b.select(b.icmp_signed("<", x, last), x, last)
            for place in sums:
                b.store(zero, place)
            with cgutils.for_range_slice(b, _number(0), taps, _number(1), _INT) as (t, _):
                offset = b.mul(t, step)
                values = []
                for row in (a, other):
                    value = _to_double(b, _load(b, b.add(row, offset), at, dtype, LANES), dtype, LANES)
                    values.append(b.fmul(b.fsub(value, shifts), scales))
                first, second = values
                # Not fused: of two equal images the third is exactly twice the fourth, and their similarity exactly one.
                products = (first, second, b.fadd(b.fmul(first, first), b.fmul(second, second)), b.fmul(first, second))
                weight = splat(b, b.load(_place(b, weights, t, _DOUBLE, 8)), LANES)
                for place, value in zip(sums, products, strict=True):
                    b.store(_fma(b, weight, value, b.load(place), LANES), place)
            for q, place in enumerate(sums):
                row = b.add(out, b.mul(stride, _number(q)))
                b.store(b.load(place), _place(b, row, at, vector, 8)).align = 1
        return _number(0)

    return _intrinsic(types.intp(*[types.intp] * 8, types.float64, types.float64), generate)


def _similarity(b: ir.IRBuilder, sums: list[Any], offset: Any, c1: Any, c2: Any, luminance: Any) -> Any:
    """Equation 13 of Wang et al. (2004), or without ``luminance`` only the product of contrast and structure.

    The sums are of values shifted by ``offset``, which the variances do not notice.
    """
    mean_a, mean_b, squares, product = sums
    both = b.fadd(b.fmul(mean_a, mean_a), b.fmul(mean_b, mean_b))
    covariance = b.fsub(product, b.fmul(mean_a, mean_b))
    above = b.fadd(b.fadd(covariance, covariance), c2)
    below = b.fadd(b.fsub(squares, both), c2)
    mean_a, mean_b = b.fadd(mean_a, offset), b.fadd(mean_b, offset)
    across = b.fmul(mean_a, mean_b)
    both = b.fadd(b.fmul(mean_a, mean_a), b.fmul(mean_b, mean_b))
    full_above = b.fmul(above, b.fadd(b.fadd(across, across), c1))
    full_below = b.fmul(below, b.fadd(both, c1))
    return b.fdiv(b.select(luminance, full_above, above), b.select(luminance, full_below, below))


@cache
def similarity_row() -> Any:
    """``f(n, out, rows, stride, taps, weights, offset, c1, c2, luminance)``: similarity of ``n`` windows; returns their sum.

    The four rows of sums down the columns (see `PRODUCTS`) lie ``stride`` bytes apart from address ``rows`` on; window x weighs
    the values from x to x + taps - 1 by the float64 at address ``weights``. Whole vectors are read, and written to ``out``; lanes
    beyond ``n`` are not summed.
    """

    def generate(_context: Any, b: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        n, out, rows, stride, taps, weights, *numbers, luminance = args
        vector = _shape(_DOUBLE, LANES)
        zero = ir.Constant(vector, None)
        offset, c1, c2 = (splat(b, number, LANES) for number in numbers)
        places = ir.Constant(ir.VectorType(_INT, LANES), list(range(LANES)))
        starts = [b.add(rows, b.mul(stride, _number(q))) for q in range(PRODUCTS)]
        sums = [cgutils.alloca_once(b, vector) for _ in range(PRODUCTS)]
        total = cgutils.alloca_once(b, vector)
        b.store(zero, total)
        with cgutils.for_range_slice(b, _number(0), n, _number(LANES), _INT) as (x, _):
            for place in sums:
                b.store(zero, place)
            with cgutils.for_range_slice(b, _number(0), taps, _number(1), _INT) as (t, _):
                weight = splat(b, b.load(_place(b, weights, t, _DOUBLE, 8)), LANES)
                at = b.add(x, t)
                for start, place in zip(starts, sums, strict=True):
                    b.store(_fma(b, weight, _load(b, start, at, _FLOAT64, LANES), b.load(place), LANES), place)
            value = _similarity(b, [b.load(place) for place in sums], offset, c1, c2, luminance)
            b.store(value, _place(b, out, x, vector, 8)).align = 1
            inside = b.icmp_signed("<", b.add(splat(b, x, LANES), places), splat(b, n, LANES))
            b.store(b.fadd(b.load(total), b.select(inside, value, zero)), total)
        return _lanes_added(b, b.load(total), LANES)

    return _intrinsic(types.float64(*[types.intp] * 6, *[types.float64] * 3, types.boolean), generate)
