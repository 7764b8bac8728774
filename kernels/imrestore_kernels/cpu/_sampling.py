"""Samples between pixels: blocks of pixels of one row, as explicit vector instructions, and single operations for loops.

A gather instruction of AMD's Zen takes as long as its loads one by one, and of a loop over four neighbours LLVM makes four of them.
Here the two (four) neighbours in a row are one load.
"""

from __future__ import annotations

from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba.core import cgutils
from numba.extending import intrinsic

from imrestore_kernels.cpu._vector import element, splat

_INT = ir.IntType(64)
_I32 = ir.IntType(32)
_DOUBLE = ir.DoubleType()

#: Pixels of a block.
BLOCK = 16


def _call(b: ir.IRBuilder, name: str, *values: Any) -> Any:
    kind = values[0].type
    one = kind.element if isinstance(kind, ir.VectorType) else kind
    suffix = f"v{kind.count}" if isinstance(kind, ir.VectorType) else ""
    suffix += "f64" if one == _DOUBLE else "f32"
    declared = ir.FunctionType(kind, [kind] * len(values))
    return b.call(cgutils.get_or_insert_function(b.module, declared, f"llvm.{name}.{suffix}"), values)


@intrinsic
def fused(_typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a b + c, rounded once."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        return _call(builder, "fma", *args)

    return a(a, a, a), generate


@intrinsic
def rounded_down(_typing: Any, a: Any) -> Any:
    """The largest whole number that is not above."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        return _call(builder, "floor", *args)

    return a(a), generate


@intrinsic
def rounded(_typing: Any, a: Any) -> Any:
    """The nearest whole number, half to even."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        return _call(builder, "rint", *args)

    return a(a), generate


def places(*numbers: int) -> Any:
    return ir.Constant(ir.VectorType(_I32, len(numbers)), list(numbers))


class Block:
    """Vectors of `BLOCK` values of one type, and what is done to them."""

    def __init__(self, builder: ir.IRBuilder, dtype: np.dtype[Any]) -> None:
        self.builder, self.one, self.size = builder, element(dtype), dtype.itemsize
        self.kind = ir.VectorType(self.one, BLOCK)
        self.flags = ir.VectorType(ir.IntType(1), BLOCK)

    def constant(self, number: float) -> Any:
        return ir.Constant(self.kind, [number] * BLOCK)

    def everywhere(self, value: Any) -> Any:
        return splat(self.builder, value, BLOCK)

    def call(self, name: str, *values: Any) -> Any:
        return _call(self.builder, name, *values)

    def fma(self, a: Any, c: Any, d: Any) -> Any:
        return self.call("fma", a, c, d)

    def plus(self, address: Any, count: Any) -> Any:
        """An address so many values further on."""
        b = self.builder
        return b.add(address, b.mul(count if hasattr(count, "type") else ir.Constant(_INT, count), ir.Constant(_INT, self.size)))

    def load(self, address: Any, count: int = BLOCK, kind: Any = None) -> Any:
        kind = kind or (self.one if count == 1 else ir.VectorType(self.one, count))
        value = self.builder.load(self.builder.inttoptr(address, kind.as_pointer()))
        value.align = self.size
        return value

    def store(self, value: Any, address: Any) -> None:
        self.builder.store(value, self.builder.inttoptr(address, value.type.as_pointer())).align = self.size

    def chosen(self, vector: Any, *numbers: int) -> Any:
        return self.builder.shuffle_vector(vector, vector, places(*numbers))

    def joined(self, vectors: list[Any]) -> Any:
        """One vector of several."""
        while len(vectors) > 1:
            both = places(*range(2 * vectors[0].type.count))
            vectors = [self.builder.shuffle_vector(a, c, both) for a, c in zip(vectors[::2], vectors[1::2], strict=True)]
        return vectors[0]

    def gathered(self, addresses: list[Any]) -> Any:
        """One value at each address."""
        vector = ir.Constant(self.kind, ir.Undefined)
        for i, address in enumerate(addresses):
            vector = self.builder.insert_element(vector, self.load(address, 1), ir.Constant(_I32, i))
        return vector

    def pairs(self, addresses: list[Any]) -> Any:
        """Two neighbours at each address. Of float32 they are moved as one float64: from half vectors LLVM makes single moves."""
        if self.size == 8:
            return self.joined([self.load(a, 2) for a in addresses])
        both = ir.Constant(ir.VectorType(_DOUBLE, len(addresses)), ir.Undefined)
        for i, address in enumerate(addresses):
            both = self.builder.insert_element(both, self.load(address, kind=_DOUBLE), ir.Constant(_I32, i))
        return self.builder.bitcast(both, ir.VectorType(self.one, 2 * len(addresses)))

    def between(self, weights: list[Any], values: list[Any]) -> Any:
        """A value from 1, 2 or 4 neighbours: the second weight of two, a + w (b - a); the products of four one after the other."""
        b = self.builder
        if len(values) == 1:
            return values[0]
        if len(values) == 2:
            return self.fma(weights[0], b.fsub(values[1], values[0]), values[0])
        total = b.fmul(weights[0], values[0])
        for weight, value in zip(weights[1:], values[1:], strict=True):
            total = self.fma(weight, value, total)
        return total
