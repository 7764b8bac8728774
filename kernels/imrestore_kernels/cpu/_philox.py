"""Philox 4x32-10 for CPU kernels: fields of words, uniform and normal numbers as explicit vectors, and single words.

Same bits as `imrestore_kernels.philox`. Words are kept in lanes of 64 bits, whose upper halves are not looked at: the product of
two such is one instruction, and the words it gives are in place.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import types
from numba.core import cgutils

from imrestore_kernels.cpu._elementary import Emitter
from imrestore_kernels.cpu._jit import compile_rows, intrinsic_of, register_bytes
from imrestore_kernels.cpu._vector import splat
from imrestore_kernels.philox import FACTORS, GROUP_BLOCKS, ROUNDS, STEPS

Array = np.ndarray[Any, Any]

_INT = ir.IntType(64)
_WORD = ir.IntType(32)
_ONE = ir.Constant(_INT, 1)


class _Philox:
    """Blocks of one key, stream and index; all numbers are 64 bits wide."""

    def __init__(self, builder: ir.IRBuilder, lanes: int, seed: Any, index: Any, stream: Any) -> None:
        self.builder, self.lanes = builder, lanes
        b = builder
        low, half = self._number(0xFFFFFFFF, 1), self._number(32, 1)
        self._keys = []
        for turn in range(ROUNDS):  # outside of any loop: they are the same for all blocks
            parts = (b.and_(seed, low), b.lshr(seed, half))
            grown = (b.add(k, self._number(turn * s & 0xFFFFFFFF, 1)) for k, s in zip(parts, STEPS, strict=True))
            self._keys.append([self._everywhere(b.and_(k, low)) for k in grown])
        self._rest = [self._everywhere(b.and_(v, low)) for v in (stream, index, b.lshr(index, half))]

    def _number(self, value: int, lanes: int) -> ir.Constant:
        return ir.Constant(_INT, value) if lanes == 1 else ir.Constant(ir.VectorType(_INT, lanes), [value] * lanes)

    def _everywhere(self, value: Any) -> Any:
        return value if self.lanes == 1 else splat(self.builder, value, self.lanes)

    def words(self, block: Any) -> list[Any]:
        """The four words of a block, or of a vector of blocks, of 32 bits."""
        b = self.builder
        low, half = (self._number(value, self.lanes) for value in (0xFFFFFFFF, 32))
        x = [block, *self._rest]
        for keys in self._keys:
            first, second = (
                b.mul(b.and_(v, low), self._number(m, self.lanes)) for v, m in zip((x[0], x[2]), FACTORS, strict=True)
            )
            upper, lower = b.lshr(first, half), b.lshr(second, half)
            x = [b.xor(b.xor(lower, keys[0]), x[1]), second, b.xor(b.xor(upper, keys[1]), x[3]), first]
        kind = _WORD if self.lanes == 1 else ir.VectorType(_WORD, self.lanes)
        return [b.trunc(v, kind) for v in x]


def _uniforms(emitter: Emitter, drawn: Any) -> Any:
    value = emitter.builder.uitofp(drawn, emitter.type)
    return emitter.add(emitter.times(value, 2.0**-32), emitter.constant(2.0**-33))


def _normals(emitter: Emitter, drawn: list[Any]) -> list[Any]:
    """Box and Muller (1958), both pairs."""
    uniform = [_uniforms(emitter, w) for w in drawn]
    results = []
    for first, second in ((uniform[0], uniform[1]), (uniform[2], uniform[3])):
        radius = emitter.function("sqrt", emitter.times(emitter.log_of_uniform(first), -2.0))
        sine, cosine = emitter.sincos(second, reduced=True)
        results += [emitter.mul(radius, cosine), emitter.mul(radius, sine)]
    return results


def _filler(values: str) -> Any:
    """Intrinsic ``f(out, seed, index, stream, first, groups)``: whole groups of a field from group ``first`` on, into an array."""
    names = ("out", "seed", "index", "stream", "first", "groups")

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        b, lanes = builder, register_bytes() // 4
        made = context.make_array(signature.args[0])(context, builder, args[0]).data
        seed, index, stream, first, groups = args[1:]
        philox = _Philox(b, lanes, seed, index, stream)
        real = signature.args[0].dtype
        dtype = np.dtype(np.float64 if real == types.float64 else np.float32)
        emitter = Emitter(b, dtype, lanes)
        own = ir.Constant(ir.VectorType(_INT, lanes), list(range(lanes)))
        parts = GROUP_BLOCKS // lanes
        start = b.mul(first, ir.Constant(_INT, GROUP_BLOCKS))
        with cgutils.for_range_slice(b, ir.Constant(_INT, 0), b.mul(groups, ir.Constant(_INT, parts)), _ONE, _INT) as (h, _):
            passed = b.mul(h, ir.Constant(_INT, lanes))
            drawn = philox.words(b.add(splat(b, b.add(start, passed), lanes), own))
            if values == "normals":
                drawn = _normals(emitter, drawn)
            elif values == "uniforms":
                drawn = [_uniforms(emitter, w) for w in drawn]
            # Of a group's 16 blocks each makes 4 values, 16 apart.
            inside = b.and_(passed, ir.Constant(_INT, GROUP_BLOCKS - 1))
            at = b.add(b.mul(b.sub(passed, inside), ir.Constant(_INT, 4)), inside)
            for j, value in enumerate(drawn):
                place = b.gep(made, [b.add(at, ir.Constant(_INT, GROUP_BLOCKS * j))])
                b.store(value, b.bitcast(place, value.type.as_pointer())).align = 4
        return ir.Constant(_INT, 0)

    return intrinsic_of(names, lambda out, *_: types.intp(out, *[types.intp] * 5), generate)


#: Words of a field as they are, into uint32.
fill_words = _filler("words")
#: Uniform numbers of a field, into float32 or float64.
fill_uniforms = _filler("uniforms")
#: Normal numbers of a field, into float32.
fill_normals = _filler("normals")


def _generate_word(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
    seed, index, stream, block, place = args
    drawn = _Philox(builder, 1, seed, index, stream).words(block)
    value: Any = drawn[-1]
    for i, word in enumerate(drawn[:-1]):
        value = builder.select(builder.icmp_unsigned("==", place, ir.Constant(_INT, i)), word, value)
    return builder.uitofp(value, ir.DoubleType())


#: ``f(seed, index, stream, block, place)``: one word of one block as a float64.
word = intrinsic_of(
    ("seed", "index", "stream", "block", "place"), lambda *_: types.float64(*[types.intp] * 5), _generate_word
)


@cache
def draws_kernel() -> Any:
    """Kernel of `draws`, over the samples."""

    def rows(seed: int, indices: Any, streams: Any, out: Any, row_start: int, row_stop: int) -> None:
        for i in range(row_start, row_stop):
            for s in range(out.shape[1]):
                for j in range(out.shape[2]):
                    out[i, s, j] = word(seed, indices[i], streams[s], j // 4, j % 4) * 2.0**-32 + 2.0**-33

    numbers = types.Array(types.int64, 1, "C", readonly=True)
    return compile_rows(rows, "philox_draws", types.int64, numbers, numbers, types.float64[:, :, ::1], types.intp, types.intp)


def draws(seed: int, indices: Array, streams: Array, count: int) -> Array:
    """`imrestore_kernels.philox.parameters` of int64 or uint64 arrays, in microseconds."""
    out = np.empty((len(indices), len(streams), count))
    signed = (seed & 0xFFFFFFFFFFFFFFFF ^ 1 << 63) - (1 << 63)
    draws_kernel()(signed, indices.view(np.int64), streams.view(np.int64), out, 0, len(indices))
    return out
