"""Means, variances and covariances of windows as vector instructions over rows: what the guided filter adds up.

A moment set says of some samples their sum S, and for pairs of channels the sum M of products of deviations from their means.
Two sets are joined without a subtraction of large numbers (Chan, Golub and LeVeque 1983): with n and m samples

    S = S_a + S_b,    M = M_a + M_b + m / (n (n + m)) d d',    d = n / m S_b - S_a,

so a variance keeps its digits on a pedestal, where the mean square minus the squared mean loses them. M of equal samples is 0 to the
bit and never negative. Where b is a power of two samples n / m is exact.

A set is kept as rows of float64, `Moments.count` of them, ``pitch`` bytes apart; a leaf has one sample and no rows of M to read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import llvmlite.ir as ir
from numba import types
from numba.core import cgutils

from imrestore_kernels.cpu._jit import intrinsic_of
from imrestore_kernels.cpu._row_ops import Vectors

_INT = ir.IntType(64)
_DOUBLE = ir.DoubleType()

#: float64 values in one vector; rows are worked on and padded by whole vectors.
LANES = 8


class Moments(NamedTuple):
    """What is in a moment set: sums of ``channels`` of the guide, and of one of the image if that is not the guide itself."""

    channels: int
    separate: bool

    @property
    def sums(self) -> int:
        return self.channels + self.separate

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Channels of every M; the image comes after the guide's channels."""
        guide = range(self.channels)
        inner = tuple((i, j) for i in guide for j in guide if i <= j)
        return inner + (tuple((i, self.channels) for i in guide) if self.separate else ())

    @property
    def count(self) -> int:
        return self.sums + len(self.pairs)

    @property
    def outputs(self) -> int:
        """Channels of the result made at once: one, or all of a guide that filters itself."""
        return 1 if self.separate else self.channels

    @property
    def coefficients(self) -> int:
        """Rows of coefficients: for every output a factor for each channel of the guide, and after all those one offset."""
        return self.outputs * (self.channels + 1)


class _Rows:
    """Vectors of rows that are ``pitch`` bytes apart."""

    def __init__(self, builder: ir.IRBuilder, pitch: Any) -> None:
        self.code = Vectors(builder, LANES)
        self._builder = builder
        self._pitch = pitch

    def _place(self, base: Any, row: int, at: Any) -> Any:
        b = self._builder
        address = b.add(b.add(base, b.mul(self._pitch, ir.Constant(_INT, row))), b.mul(at, ir.Constant(_INT, 8)))
        return b.inttoptr(address, self.code.kind("f8").as_pointer())

    def load(self, base: Any, row: int, at: Any) -> Any:
        value = self._builder.load(self._place(base, row, at))
        value.align = 8
        return value

    def store(self, value: Any, base: Any, row: int, at: Any) -> None:
        self._builder.store(value, self._place(base, row, at)).align = 8

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        kind = ir.FunctionType(a.type, [a.type] * 3)
        function = cgutils.get_or_insert_function(self._builder.module, kind, f"llvm.fma.v{LANES}f64")
        return self._builder.call(function, [a, b, c])


def _along_rows(addresses: int, scalars: int, emit: Any) -> Any:
    """Intrinsic ``f(n, pitch, address_0, .., scalar_0, ..)``: ``emit(rows, addresses, scalars, at)`` for every vector."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        n, pitch = args[:2]
        rows = _Rows(builder, pitch)
        repeated = [rows.code.splat(value) for value in args[2 + addresses :]]
        zero, step = ir.Constant(_INT, 0), ir.Constant(_INT, LANES)
        with cgutils.for_range_slice(builder, zero, n, step, _INT) as (at, _):
            emit(rows, args[2 : 2 + addresses], repeated, at)
        return ir.Constant(_INT, 0)

    signature = types.intp(*[types.intp] * (2 + addresses), *[types.float64] * scalars)
    return intrinsic_of([f"a{i}" for i in range(len(signature.args))], lambda *_: signature, generate)


def join_sets(moments: Moments, leaf_a: bool = False, leaf_b: bool = False) -> Any:
    """Intrinsic ``f(n, pitch, out, a, b, alpha, beta)``: the sets of a and b joined; ``out`` may be a, or b further left.

    ``alpha`` is n / m and ``beta`` m / (n (n + m)) for the n and m samples of a set of a and of b.
    """

    def emit(rows: _Rows, addresses: list[Any], scalars: list[Any], at: Any) -> None:
        builder = rows.code.builder
        out, a, b = addresses
        alpha, beta = scalars
        first = [rows.load(a, i, at) for i in range(moments.sums)]
        second = [rows.load(b, i, at) for i in range(moments.sums)]
        apart = [rows.fma(y, alpha, builder.fneg(x)) for x, y in zip(first, second, strict=True)]
        scaled = [builder.fmul(d, beta) for d in apart[: moments.channels]]
        known = []
        for row in range(moments.sums, moments.count):
            parts = [rows.load(base, row, at) for base, leaf in ((a, leaf_a), (b, leaf_b)) if not leaf]
            known.append(builder.fadd(*parts) if len(parts) == 2 else parts[0] if parts else None)
        for i, (x, y) in enumerate(zip(first, second, strict=True)):
            rows.store(builder.fadd(x, y), out, i, at)
        for row, ((i, j), m) in enumerate(zip(moments.pairs, known, strict=True), start=moments.sums):
            rows.store(builder.fmul(scaled[i], apart[j]) if m is None else rows.fma(scaled[i], apart[j], m), out, row, at)

    return _along_rows(3, 2, emit)


def add_rows(count: int) -> Any:
    """Intrinsic ``f(n, pitch, out, a, b)``: ``count`` rows of a and of b added up; ``out`` may be a, or b further left."""

    def emit(rows: _Rows, addresses: list[Any], _scalars: list[Any], at: Any) -> None:
        out, a, b = addresses
        sums = [rows.code.builder.fadd(rows.load(a, row, at), rows.load(b, row, at)) for row in range(count)]
        for row, value in enumerate(sums):
            rows.store(value, out, row, at)

    return _along_rows(3, 0, emit)


def solve_rows(moments: Moments) -> Any:
    """Intrinsic ``f(n, pitch, out, set, share, ridge)``: the coefficients of every window, eq. 5, 6, 19 and 20 of He et al.

    ``share`` is 1 / N for the N samples of a window and ``ridge`` N eps. (M + ridge) a = m is solved by L D L^T; no pivot of a
    matrix that adds ``ridge`` to one without negative eigenvalues is below ``ridge``, which bounds the error of grey guides that
    come as colours.
    """
    channels = range(moments.channels)
    place = {pair: row for row, pair in enumerate(moments.pairs, start=moments.sums)}

    def emit(rows: _Rows, addresses: list[Any], scalars: list[Any], at: Any) -> None:
        b = rows.code.builder
        out, moment_set = addresses
        share, ridge = scalars

        def minus(value: Any, terms: list[tuple[Any, Any]]) -> Any:
            for x, y in terms:
                value = rows.fma(b.fneg(x), y, value)
            return value

        sums = [rows.load(moment_set, i, at) for i in range(moments.sums)]
        values = {pair: rows.load(moment_set, row, at) for pair, row in place.items()}
        lower: dict[tuple[int, int], Any] = {}
        weighted: dict[tuple[int, int], Any] = {}  # L times D
        inverse = []
        one = rows.code.constant("f8", 1.0)
        for j in channels:
            pivot = minus(b.fadd(values[j, j], ridge), [(lower[j, k], weighted[j, k]) for k in range(j)])
            if j:
                pivot = b.select(b.fcmp_ordered("<", pivot, ridge), ridge, pivot)
            inverse.append(b.fdiv(one, pivot))
            for i in range(j + 1, moments.channels):
                weighted[i, j] = minus(values[j, i], [(weighted[i, k], lower[j, k]) for k in range(j)])
                lower[i, j] = b.fmul(weighted[i, j], inverse[j])
        for o in range(moments.outputs):
            image = moments.channels if moments.separate else o
            y: list[Any] = []
            for i in channels:
                right = values[(i, image) if i <= image else (image, i)]
                y.append(minus(right, [(lower[i, k], y[k]) for k in range(i)]))
            factors: dict[int, Any] = {}
            for i in reversed(channels):
                above = [(lower[k, i], factors[k]) for k in range(i + 1, moments.channels)]
                factors[i] = minus(b.fmul(y[i], inverse[i]), above)
            offset = minus(sums[image], [(factors[i], sums[i]) for i in channels])
            for i in channels:
                rows.store(factors[i], out, o * moments.channels + i, at)
            rows.store(b.fmul(offset, share), out, moments.outputs * moments.channels + o, at)

    return _along_rows(2, 2, emit)


def apply_rows(moments: Moments, whole: bool) -> Any:
    """Intrinsic ``f(n, pitch, out, sums, guide, share)``: the result from sums of coefficients, eq. 8, in float64.

    ``guide`` has a row for each of its channels; ``share`` is 1 / N; with ``whole`` the result is rounded half to even.
    """

    def emit(rows: _Rows, addresses: list[Any], scalars: list[Any], at: Any) -> None:
        b = rows.code.builder
        out, sums, guide = addresses
        pixels = [rows.load(guide, i, at) for i in range(moments.channels)]
        for o in range(moments.outputs):
            value = rows.load(sums, moments.outputs * moments.channels + o, at)
            for i in range(moments.channels):
                value = rows.fma(rows.load(sums, o * moments.channels + i, at), pixels[i], value)
            value = b.fmul(value, scalars[0])
            rows.store(rows.code.rint(value) if whole else value, out, o, at)

    return _along_rows(3, 1, emit)
