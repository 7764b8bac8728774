"""Our own exp, log, sine, cosine and power as LLVM instructions without a branch, as in `imrestore_kernels.elementary`.

An `Emitter` makes them for one number or for a vector. The functions below are pieces of Numba kernels, of one number: LLVM makes
vectors of a loop around them, since there is no call in them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import types
from numba.core import cgutils

from imrestore_kernels.cpu._jit import intrinsic_of
from imrestore_kernels.elementary import LOG2_E, LOG2_E_REST, real_of


class Emitter:
    """Arithmetic on numbers of one float type; vectors of ``lanes``, or single numbers if that is 1."""

    def __init__(self, builder: ir.IRBuilder, dtype: np.dtype[Any], lanes: int = 1) -> None:
        self.builder = builder
        self.lanes = lanes
        self.real = real_of(dtype)
        self.digits = 8 * dtype.itemsize
        self.tiny = float(np.finfo(dtype).tiny)
        self.type = self._shaped(ir.FloatType() if dtype.itemsize == 4 else ir.DoubleType())
        self.integer = self._shaped(ir.IntType(self.digits))
        self._suffix = f"f{self.digits}" if lanes == 1 else f"v{lanes}f{self.digits}"

    def _shaped(self, kind: ir.Type) -> ir.Type:
        return kind if self.lanes == 1 else ir.VectorType(kind, self.lanes)

    def constant(self, number: float) -> ir.Constant:
        return ir.Constant(self.type, number if self.lanes == 1 else [number] * self.lanes)

    def whole(self, number: int) -> ir.Constant:
        return ir.Constant(self.integer, number if self.lanes == 1 else [number] * self.lanes)

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.fadd(a, b)

    def sub(self, a: Any, b: Any) -> Any:
        return self.builder.fsub(a, b)

    def mul(self, a: Any, b: Any) -> Any:
        return self.builder.fmul(a, b)

    def times(self, a: Any, number: float) -> Any:
        return self.builder.fmul(a, self.constant(number))

    def choose(self, comparison: str, a: Any, b: Any, then: Any, other: Any) -> Any:
        return self.builder.select(self.builder.fcmp_ordered(comparison, a, b), then, other)

    def function(self, name: str, a: Any) -> Any:
        """One of LLVM's that is a single instruction, as rint and sqrt are."""
        kind = ir.FunctionType(self.type, [self.type])
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}.{self._suffix}"), [a])

    def horner(self, coefficients: Sequence[float], x: Any) -> Any:
        result: Any = self.constant(coefficients[-1])
        for c in coefficients[-2::-1]:
            result = self.add(self.constant(c), self.mul(x, result))
        return result

    def exp2(self, x: Any) -> Any:
        _, _, rest, whole = self._whole_and_rest(x)
        return self._power_of_rest(rest, whole)

    def exp(self, x: Any) -> Any:
        real = self.real
        y = self._clamped(x, real.exp_range)
        shifted = self.add(self.times(y, LOG2_E), self.constant(real.magic))
        n = self.sub(shifted, self.constant(real.magic))
        rest = self.sub(self.sub(y, self.times(n, real.ln2_high)), self.times(n, real.ln2_low))
        square = self.mul(rest, rest)
        value = self.add(self.constant(1), self.add(rest, self.mul(square, self.horner(real.exp, rest))))
        return self._scaled(value, self._low_bits(shifted))

    def log(self, x: Any) -> Any:
        return self._special_logs(x, self._joined_log(*self._log_parts(x)))

    def log_of_uniform(self, u: Any) -> Any:
        """`log` of a normal number between 0 and 1, which is no special case."""
        return self._joined_log(*self._log_parts(u, normal=True))

    def log2(self, x: Any) -> Any:
        exponent, f, c = self._log_parts(x)
        return self._special_logs(x, self.add(exponent, self._log2_of_mantissa(f, c)))

    def sincos(self, turns: Any, reduced: bool = False) -> tuple[Any, Any]:
        """Sine and cosine of 2 pi turns; ``reduced`` turns are at most a few, for which the first step changes no bit."""
        b, real = self.builder, self.real
        part = turns if reduced else self.sub(turns, self.function("rint", turns))
        shifted = self.add(self.times(part, 4.0), self.constant(real.magic))
        rest = self.sub(part, self.times(self.sub(shifted, self.constant(real.magic)), 0.25))
        square = self.mul(rest, rest)
        sine = self.mul(rest, self.horner(real.sine, square))
        cosine = self.add(self.constant(1), self.mul(square, self.horner(real.cosine, square)))
        quarter = b.bitcast(shifted, self.integer)
        odd = b.icmp_unsigned("!=", b.and_(quarter, self.whole(1)), self.whole(0))
        results = []
        for q, value in (
            (quarter, b.select(odd, cosine, sine)),
            (b.add(quarter, self.whole(1)), b.select(odd, sine, cosine)),
        ):
            sign = b.shl(b.and_(b.lshr(q, self.whole(1)), self.whole(1)), self.whole(self.digits - 1))
            results.append(b.bitcast(b.xor(b.bitcast(value, self.integer), sign), self.type))
        return results[0], results[1]

    def power(self, x: Any, p: Any) -> Any:
        b, real = self.builder, self.real
        exponent, f, c = self._log_parts(x)
        part = self._log2_of_mantissa(f, c)
        high = b.bitcast(b.and_(b.bitcast(p, self.integer), self.whole(real.split)), self.type)
        first = self.mul(high, exponent)
        second = self.add(self.mul(self.sub(p, high), exponent), self.mul(p, part))
        zero, infinity = self.constant(0), self.constant(np.inf)
        large = 4 * real.exp2_range[1]
        up, down = self.constant(large), self.constant(-large)
        end = self.choose(">", p, zero, up, down)
        opposite = self.choose(">", p, zero, down, up)
        first = self.choose("==", x, zero, opposite, self.choose("==", x, infinity, end, first))
        second = self.choose("==", x, zero, zero, self.choose("==", x, infinity, zero, second))
        total = self.add(first, second)
        y, n, rest, whole = self._whole_and_rest(total)
        rest = self.choose("==", y, total, self.add(self.sub(first, n), second), rest)
        value = self.choose(">=", x, zero, self._power_of_rest(rest, whole), self.constant(np.nan))
        return self.choose("==", p, zero, self.constant(1), value)

    def _clamped(self, x: Any, limits: tuple[float, float]) -> Any:
        low, high = (self.constant(limit) for limit in limits)
        x = self.choose("<", x, low, low, x)
        return self.choose(">", x, high, high, x)

    def _low_bits(self, shifted: Any) -> Any:
        b = self.builder
        return b.sub(b.bitcast(shifted, self.integer), b.bitcast(self.constant(self.real.magic), self.integer))

    def _whole_and_rest(self, x: Any) -> tuple[Any, Any, Any, Any]:
        y = self._clamped(x, self.real.exp2_range)
        shifted = self.add(y, self.constant(self.real.magic))
        n = self.sub(shifted, self.constant(self.real.magic))
        return y, n, self.sub(y, n), self._low_bits(shifted)

    def _power_of_rest(self, rest: Any, whole: Any) -> Any:
        value = self.add(self.constant(1), self.mul(rest, self.horner(self.real.exp2, rest)))
        return self._scaled(value, whole)

    def _scaled(self, value: Any, exponent: Any) -> Any:
        b = self.builder
        half = b.ashr(exponent, self.whole(1))
        for e in (half, b.sub(exponent, half)):
            bits = b.shl(b.add(e, self.whole(self.real.bias)), self.whole(self.real.mantissa))
            value = self.mul(value, b.bitcast(bits, self.type))
        return value

    def _log_parts(self, x: Any, normal: bool = False) -> tuple[Any, Any, Any]:
        b, real = self.builder, self.real
        tiny, lifted = None, x
        if not normal:
            tiny = b.fcmp_ordered("<", x, self.constant(self.tiny))
            lifted = b.select(tiny, self.times(x, 2.0**real.lift), x)
        root = self.whole(real.sqrt_half)
        above = b.sub(b.bitcast(lifted, self.integer), root)
        exponent = b.ashr(above, self.whole(real.mantissa))
        if tiny is not None:
            exponent = b.sub(exponent, b.select(tiny, self.whole(real.lift), self.whole(0)))
        mantissa = b.add(b.and_(above, self.whole((1 << real.mantissa) - 1)), root)
        f = self.sub(b.bitcast(mantissa, self.type), self.constant(1))
        s = b.fdiv(f, self.add(self.constant(2), f))
        z = self.mul(s, s)
        half_square = self.mul(self.times(f, 0.5), f)
        c = self.sub(half_square, self.mul(s, self.add(half_square, self.mul(z, self.horner(real.log, z)))))
        return b.sitofp(exponent, self.type), f, c

    def _joined_log(self, exponent: Any, f: Any, c: Any) -> Any:
        less = self.sub(self.sub(c, self.times(exponent, self.real.ln2_low)), f)
        return self.sub(self.times(exponent, self.real.ln2_high), less)

    def _log2_of_mantissa(self, f: Any, c: Any) -> Any:
        return self.add(f, self.sub(self.times(f, LOG2_E_REST), self.times(c, LOG2_E)))

    def _special_logs(self, x: Any, value: Any) -> Any:
        zero = self.constant(0)
        value = self.choose("<", x, self.constant(np.inf), value, x)
        value = self.choose("==", x, zero, self.constant(-np.inf), value)
        return self.choose("<", x, zero, self.constant(np.nan), value)


_DTYPES: dict[Any, np.dtype[Any]] = {types.float32: np.dtype(np.float32), types.float64: np.dtype(np.float64)}


def _piece(names: Sequence[str], emit: Callable[..., Any], results: int = 1) -> Any:
    """Intrinsic of numbers of one float type, which is the type of its results."""

    def typing(*given: Any) -> Any:
        kind = given[0]
        return (kind if results == 1 else types.UniTuple(kind, results))(*[kind] * len(names))

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        value = emit(Emitter(builder, _DTYPES[signature.args[0]]), *args)
        return value if results == 1 else context.make_tuple(builder, signature.return_type, value)

    return intrinsic_of(names, typing, generate)


exp2 = _piece(["x"], Emitter.exp2)
exp = _piece(["x"], Emitter.exp)
log = _piece(["x"], Emitter.log)
log2 = _piece(["x"], Emitter.log2)
sincos = _piece(["turns"], Emitter.sincos, results=2)
#: x**p; both of one type.
power = _piece(["x", "p"], Emitter.power)
sqrt = _piece(["x"], lambda e, x: e.function("sqrt", x))
rint = _piece(["x"], lambda e, x: e.function("rint", x))
floor = _piece(["x"], lambda e, x: e.function("floor", x))
