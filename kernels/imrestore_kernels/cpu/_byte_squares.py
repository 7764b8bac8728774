"""Sums of squared differences of bytes, as explicit vector instructions.

As 32-bit numbers 512x512 bytes took 18 us on one core of an EPYC; as below 7. OpenCV takes 9, and reading them 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import llvmlite.ir as ir
from numba import types
from numba.core import cgutils

from imrestore_kernels.cpu._jit import intrinsic_of
from imrestore_kernels.cpu._vector import splat

_INT = ir.IntType(64)
_I8, _I16, _I32 = map(ir.IntType, (8, 16, 32))
#: Bytes compared at once; a multiple of the 16 that instructions work on side by side.
_BLOCK = 64


@cache
def squared_byte_differences(signed: bool, multiplies: bool | None = None) -> Any:
    """``f(a, b, n)``: the exact sum, an int64, of the squared differences of ``n`` <= 2**16 bytes at two addresses.

    Blocks begin at multiples of 64 of ``a``: NumPy's large arrays begin 16 bytes behind a page, and half of all loads would
    straddle two cache lines (9.3 us instead of 7.6). With ``multiplies`` see `_ByteSquares`; None asks the processor.
    """

    def generate(context: Any, b: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        features = context.codegen().magic_tuple()[2].split(",")
        has = "+avx2" in features and "+avx512f" not in features
        return _ByteSquares(b, signed, has if multiplies is None else multiplies).total(*args)

    return intrinsic_of(["a", "b", "n"], lambda *_: types.int64(types.intp, types.intp, types.intp), generate)


def _number(value: int) -> Any:
    return ir.Constant(_INT, value)


class _ByteSquares:
    """The code of the sum.

    Differences have 16 bits, and squares of neighbours are added to each other: LLVM makes x86's pmaddwd of them, or vpdpwssd with
    the sum in it. Where the processor ``multiplies`` bytes and adds neighbours (pmaddubsw of AVX2), x 1 + y (-1) of bytes side by
    side is the difference: 6.8 us instead of 7.6. Elsewhere it is the larger byte minus the smaller one.
    """

    def __init__(self, b: ir.IRBuilder, signed: bool, multiplies: bool) -> None:
        self.b = b
        self.signed = signed
        self.multiplies = multiplies
        self.width = 32 if multiplies else _BLOCK  # bytes of a vector
        self.zeros = ir.Constant(ir.VectorType(_I8, _BLOCK), None)
        self.sums = [cgutils.alloca_once(b, ir.VectorType(_I32, self.width // 4)) for _ in range(2 * _BLOCK // self.width)]

    def total(self, first: Any, second: Any, n: Any) -> Any:
        b, block = self.b, _number(_BLOCK)
        rest = cgutils.alloca_once(b, _I32)
        for place in (*self.sums, rest):
            b.store(ir.Constant(place.type.pointee, None), place)
        with b.if_else(b.icmp_signed(">=", n, block)) as (long, short):
            with long:
                head = b.and_(b.neg(first), _number(_BLOCK - 1))
                stop = b.sub(n, b.and_(b.sub(n, head), _number(_BLOCK - 1)))
                with cgutils.for_range_slice(b, head, stop, block, _INT) as (at, _):
                    self._add(self._load(first, at), self._load(second, at))
                # Bytes before the first block, and behind the last one: of blocks that overlap it.
                last = b.sub(n, block)
                places = ir.Constant(self.zeros.type, list(range(_BLOCK)))
                for at, limit, order in ((_number(0), head, "<"), (last, b.sub(stop, last), ">=")):
                    kept = b.icmp_unsigned(order, places, splat(b, b.trunc(limit, _I8), _BLOCK))
                    self._add(*(b.select(kept, self._load(row, at), self.zeros) for row in (first, second)))
            with short, cgutils.for_range_slice(b, _number(0), n, _number(1), _INT) as (at, _):
                extend = b.sext if self.signed else b.zext
                difference = b.sub(*(extend(b.load(self._place(row, at, _I8)), _I32) for row in (first, second)))
                b.store(b.add(b.load(rest), b.mul(difference, difference)), rest)
        # Of 2**16 bytes a lane sees little more than 2**11, and all of them add up to less than 2**32.
        lanes = [b.extract_element(b.load(place), ir.Constant(_I32, i)) for place in self.sums for i in range(self.width // 4)]
        result = b.load(rest)
        for lane in lanes:
            result = b.add(result, lane)
        return b.zext(result, _INT)

    def _place(self, row: Any, at: Any, kind: ir.Type) -> Any:
        return self.b.inttoptr(self.b.add(row, at), kind.as_pointer())

    def _load(self, row: Any, at: Any) -> Any:
        value = self.b.load(self._place(row, at, self.zeros.type))
        value.align = 1
        return value

    def _chosen(self, x: Any, y: Any, numbers: Iterable[int]) -> Any:
        places = list(numbers)
        return self.b.shuffle_vector(x, y, ir.Constant(ir.VectorType(_I32, len(places)), places))

    def _side_by_side(self, x: Any, y: Any) -> list[Any]:
        """Their bytes in turn, from 16 bytes at a time as the instruction works: to a sum the order does not matter."""
        halves = [[at + i + j for at in range(0, _BLOCK, 16) for i in range(h, h + 8) for j in (0, _BLOCK)] for h in (0, 8)]
        return [self._chosen(x, y, half[at : at + self.width]) for half in halves for at in range(0, _BLOCK, self.width)]

    def _differences(self, x: Any, y: Any) -> Sequence[Any]:
        """Of 16 bits, in some order."""
        b, kind = self.b, ir.VectorType(_I16, self.width // 2)
        if self.multiplies:
            if self.signed:  # it takes bytes without a sign
                x, y = (b.xor(value, ir.Constant(value.type, [128] * _BLOCK)) for value in (x, y))
            pairs = self._side_by_side(x, y)
            signature = ir.FunctionType(kind, [pairs[0].type, pairs[0].type])
            multiply = cgutils.get_or_insert_function(b.module, signature, "llvm.x86.avx2.pmadd.ub.sw")
            return [b.call(multiply, [pair, ir.Constant(pair.type, [1, -1] * (self.width // 2))]) for pair in pairs]
        signature = ir.FunctionType(x.type, [x.type, x.type])
        names = (f"llvm.{'s' if self.signed else 'u'}{which}.v{_BLOCK}i8" for which in ("max", "min"))
        extremes = (b.call(cgutils.get_or_insert_function(b.module, signature, name), [x, y]) for name in names)
        return [b.bitcast(pairs, kind) for pairs in self._side_by_side(b.sub(*extremes), self.zeros)]

    def _add(self, x: Any, y: Any) -> None:
        b = self.b
        for difference, place in zip(self._differences(x, y), self.sums, strict=True):
            number = b.sext(difference, ir.VectorType(_I32, self.width // 2))
            square = b.mul(number, number)
            even, odd = (self._chosen(square, square, range(first, self.width // 2, 2)) for first in (0, 1))
            b.store(b.add(b.load(place), b.add(even, odd)), place)
