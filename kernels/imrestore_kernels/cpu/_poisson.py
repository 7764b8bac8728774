"""Poisson numbers for CPU kernels: the operations of `imrestore_kernels.poisson` on vectors."""

from __future__ import annotations

from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import types
from numba.core import cgutils

from imrestore_kernels.cpu._elementary import Emitter
from imrestore_kernels.cpu._jit import intrinsic_of, register_bytes
from imrestore_kernels.cpu._vector import splat
from imrestore_kernels.poisson import DENOMINATOR, LOW, NUMERATOR, TERMS

_INT = ir.IntType(64)


class _Counts:
    """Code for one vector of means and words."""

    def __init__(self, builder: ir.IRBuilder, dtype: np.dtype[Any], lanes: int) -> None:
        self.builder, self.lanes = builder, lanes
        self.own = Emitter(builder, dtype, lanes)
        self.single = Emitter(builder, np.dtype(np.float32), lanes)
        self.double = Emitter(builder, np.dtype(np.float64), lanes)

    def _some(self, flags: Any) -> Any:
        kind = ir.IntType(self.lanes)
        return self.builder.icmp_unsigned("!=", self.builder.bitcast(flags, kind), ir.Constant(kind, 0))

    def make(self, means: Any, drawn: Any) -> Any:
        """The numbers; what no lane needs is not computed."""
        b, own = self.builder, self.own
        low = b.fcmp_ordered("<", means, own.constant(LOW))
        result = cgutils.alloca_once(b, own.type)
        with b.if_then(self._some(b.not_(low))):
            b.store(self._expanded(means, drawn), result)
        with b.if_then(self._some(low)):
            b.store(b.select(low, self._searched(means, drawn, low), b.load(result)), result)
        return b.load(result)

    def _searched(self, means: Any, drawn: Any, low: Any) -> Any:
        b, e = self.builder, self.double
        mean = means if means.type == e.type else b.fpext(means, e.type)
        uniform = e.add(e.times(b.uitofp(drawn, e.type), 2.0**-32), e.constant(2.0**-33))
        uniform = b.select(low, uniform, e.constant(-1))
        first = e.exp(e.mul(mean, e.constant(-1)))
        part, total, count = (cgutils.alloca_once(b, e.type) for _ in range(3))
        k = cgutils.alloca_once(b, ir.DoubleType())
        for place, value in ((part, first), (total, first), (count, e.constant(0)), (k, ir.Constant(ir.DoubleType(), 0))):
            b.store(value, place)
        test, body, done = (b.append_basic_block(name) for name in ("search", "search.step", "search.done"))
        b.branch(test)
        b.position_at_end(test)
        more = b.fcmp_ordered(">", uniform, b.load(total))
        b.cbranch(self._some(more), body, done)
        b.position_at_end(body)
        b.store(e.add(b.load(count), b.select(more, e.constant(1), e.constant(0))), count)
        one = ir.Constant(ir.DoubleType(), 1)
        b.store(b.fadd(b.load(k), one), k)
        factor = splat(b, b.fdiv(one, b.load(k)), self.lanes)
        b.store(e.mul(e.mul(b.load(part), mean), factor), part)
        b.store(e.add(b.load(total), b.load(part)), total)
        b.branch(test)
        b.position_at_end(done)
        found = b.load(count)
        return found if means.type == e.type else b.fptrunc(found, means.type)

    def _normal_quantile(self, drawn: Any) -> Any:
        b, e = self.builder, self.single
        below = b.icmp_signed(">=", drawn, e.whole(0))
        beyond = b.uitofp(b.select(below, drawn, b.not_(drawn)), e.type)
        beyond = e.add(e.times(beyond, 2.0**-32), e.constant(2.0**-33))
        r = e.function("sqrt", e.times(e.log_of_uniform(beyond), -2.0))
        z = e.sub(r, b.fdiv(e.horner(NUMERATOR, r), e.horner(DENOMINATOR, r)))
        return b.select(below, b.fneg(z), z)

    def _expanded(self, means: Any, drawn: Any) -> Any:
        b, e = self.builder, self.own
        z = self._normal_quantile(drawn)
        z = z if z.type == e.type else b.fpext(z, e.type)
        root = e.function("sqrt", means)
        small, square = b.fdiv(e.constant(1), root), e.mul(z, z)
        first, second, third, fourth = (e.horner(c, square) for c in TERMS)
        rest = e.add(third, e.mul(small, e.mul(z, fourth)))
        rest = e.add(first, e.mul(small, e.add(e.mul(z, second), e.mul(small, rest))))
        value = e.function("floor", e.add(means, e.add(e.mul(root, z), rest)))
        return e.choose("<", value, e.constant(0), e.constant(0), value)


def _generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
    b = builder
    kind = signature.args[0].dtype
    dtype = np.dtype(np.float64 if kind == types.float64 else np.float32)
    lanes = register_bytes() // 4  # of the quantile, which is float32 for both
    counts = _Counts(b, dtype, lanes)
    means, drawn, out = (context.make_array(t)(context, b, a).data for t, a in zip(signature.args[:3], args[:3], strict=True))
    with cgutils.for_range_slice(b, ir.Constant(_INT, 0), args[3], ir.Constant(_INT, lanes), _INT) as (x, _):
        mean, word = (
            b.load(b.bitcast(b.gep(place, [x]), type_.as_pointer()))
            for place, type_ in ((means, counts.own.type), (drawn, counts.single.integer))
        )
        mean.align, word.align = dtype.itemsize, 4
        b.store(counts.make(mean, word), b.bitcast(b.gep(out, [x]), counts.own.type.as_pointer())).align = dtype.itemsize
    return ir.Constant(_INT, 0)


#: ``f(means, words, out, n)``: Poisson numbers of ``n`` means, whole groups of a field; ``out`` may be ``means``.
poisson_counts = intrinsic_of(
    ("means", "drawn", "out", "n"), lambda means, drawn, out, _: types.intp(means, drawn, out, types.intp), _generate
)
