"""Means, variances and covariances of windows as vector instructions over rows: what the guided filter adds up.

A moment set says of some samples their sum S, and for pairs of channels the sum M of products of deviations from their means.
Two sets are joined without a subtraction of large numbers (Chan, Golub and LeVeque 1983): with n and m samples

    S = S_a + S_b,    M = M_a + M_b + m / (n (n + m)) d d',    d = n / m S_b - S_a,

so a variance keeps its digits on a pedestal, where the mean square minus the squared mean loses them. M of equal samples is 0 to
the bit and never negative. Where b is a power of two samples n / m is exact.

A set is kept as `Moments.rows` rows of `Moments.real`, ``pitch`` bytes apart; a leaf has one sample and no rows of M to read. Three
sets are joined at once where a window is put together, and the fit follows while the window's moments are in registers: what
limits these loops is reading and writing rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import llvmlite.ir as ir
from numba import types
from numba.core import cgutils

from imrestore_kernels.cpu._jit import intrinsic_of
from imrestore_kernels.cpu._row_ops import Vectors

_INT = ir.IntType(64)

#: Values in one vector; rows are worked on and padded by whole vectors.
LANES = 8


class Moments(NamedTuple):
    """What is in a moment set: sums of ``channels`` of the guide, and of one of the image if that is not the guide itself."""

    channels: int
    separate: bool
    #: What is computed in: "f8", or "f4" for 8-bit samples of one channel, whose sums it holds exactly.
    real: str = "f8"

    @property
    def size(self) -> int:
        return int(self.real[1])

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
    def rows(self) -> int:
        """Rows of a set: the sums, then one for each of the pairs."""
        return self.sums + len(self.pairs)

    @property
    def outputs(self) -> int:
        """Channels of the result made at once: one, or all of a guide that filters itself."""
        return 1 if self.separate else self.channels

    @property
    def coefficients(self) -> int:
        """Rows of coefficients: for every output a factor for each channel of the guide, and after all those one offset."""
        return self.outputs * (self.channels + 1)


class _Set(NamedTuple):
    """A moment set in registers, of one vector of windows; a leaf has no products."""

    sums: list[Any]
    products: list[Any]


class _Rows:
    """Vectors of rows that are ``pitch`` bytes apart."""

    def __init__(self, builder: ir.IRBuilder, moments: Moments, pitch: Any) -> None:
        self.code = Vectors(builder, LANES)
        self.moments = moments
        self._builder = builder
        self._pitch = pitch

    def _place(self, base: Any, row: int, at: Any) -> Any:
        b = self._builder
        offset = b.add(b.mul(self._pitch, ir.Constant(_INT, row)), b.mul(at, ir.Constant(_INT, self.moments.size)))
        return b.inttoptr(b.add(base, offset), self.code.kind(self.moments.real).as_pointer())

    def load(self, base: Any, row: int, at: Any) -> Any:
        value = self._builder.load(self._place(base, row, at))
        value.align = self.moments.size
        return value

    def store(self, value: Any, base: Any, row: int, at: Any) -> None:
        self._builder.store(value, self._place(base, row, at)).align = self.moments.size

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        kind = ir.FunctionType(a.type, [a.type] * 3)
        name = f"llvm.fma.v{LANES}f{8 * self.moments.size}"
        return self._builder.call(cgutils.get_or_insert_function(self._builder.module, kind, name), [a, b, c])

    def load_set(self, base: Any, at: Any, leaf: bool) -> _Set:
        moments = self.moments
        products = [] if leaf else [self.load(base, row, at) for row in range(moments.sums, moments.rows)]
        return _Set([self.load(base, row, at) for row in range(moments.sums)], products)

    def store_set(self, moment_set: _Set, base: Any, at: Any) -> None:
        for row, value in enumerate([*moment_set.sums, *moment_set.products]):
            self.store(value, base, row, at)

    def joined(self, a: _Set, b: _Set, alpha: Any, beta: Any) -> _Set:
        """``alpha`` is n / m and ``beta`` m / (n (n + m)) for the n and m samples of a set of a and of b."""
        builder = self._builder
        apart = [self.fma(y, alpha, builder.fneg(x)) for x, y in zip(a.sums, b.sums, strict=True)]
        scaled = [builder.fmul(d, beta) for d in apart[: self.moments.channels]]
        products = []
        for k, (i, j) in enumerate(self.moments.pairs):
            known = [part.products[k] for part in (a, b) if part.products]
            if known:
                products.append(self.fma(scaled[i], apart[j], builder.fadd(*known) if len(known) == 2 else known[0]))
            else:
                products.append(builder.fmul(scaled[i], apart[j]))
        return _Set([builder.fadd(x, y) for x, y in zip(a.sums, b.sums, strict=True)], products)

    def minus(self, value: Any, terms: list[tuple[Any, Any]]) -> Any:
        """A value minus some products."""
        for x, y in terms:
            value = self.fma(self._builder.fneg(x), y, value)
        return value


def _along_rows(moments: Moments, addresses: int, scalars: int, emit: Any) -> Any:
    """Intrinsic ``f(n, pitch, address_0, .., scalar_0, ..)``: ``emit(rows, addresses, scalars, at)`` for every vector."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        n, pitch = args[:2]
        rows = _Rows(builder, moments, pitch)
        numbers = args[2 + addresses :]
        if moments.real == "f4":
            numbers = [builder.fptrunc(value, ir.FloatType()) for value in numbers]
        repeated = [rows.code.splat(value) for value in numbers]
        zero, step = ir.Constant(_INT, 0), ir.Constant(_INT, LANES)
        with cgutils.for_range_slice(builder, zero, n, step, _INT) as (at, _):
            emit(rows, args[2 : 2 + addresses], repeated, at)
        return ir.Constant(_INT, 0)

    signature = types.intp(*[types.intp] * (2 + addresses), *[types.float64] * scalars)
    return intrinsic_of([f"a{i}" for i in range(len(signature.args))], lambda *_: signature, generate)


def join_two(moments: Moments, leaves: bool = False) -> Any:
    """Intrinsic ``f(n, pitch, out, a, b, alpha, beta)``: the sets of a and b joined; ``out`` may be a, or b further left."""

    def emit(rows: _Rows, addresses: list[Any], scalars: list[Any], at: Any) -> None:
        out, a, b = addresses
        rows.store_set(rows.joined(rows.load_set(a, at, leaves), rows.load_set(b, at, leaves), *scalars), out, at)

    return _along_rows(moments, 3, 2, emit)


def _joined_three(rows: _Rows, addresses: list[Any], scalars: list[Any], at: Any, leaves: tuple[bool, bool, bool]) -> _Set:
    a, b, c = (rows.load_set(base, at, leaf) for base, leaf in zip(addresses, leaves, strict=True))
    return rows.joined(rows.joined(a, b, *scalars[:2]), c, *scalars[2:])


def join_three(moments: Moments, leaves: tuple[bool, bool, bool]) -> Any:
    """Intrinsic ``f(n, pitch, out, a, b, c, alpha, beta, alpha, beta)``: a joined with b, and that with c."""

    def emit(rows: _Rows, addresses: list[Any], scalars: list[Any], at: Any) -> None:
        rows.store_set(_joined_three(rows, addresses[1:], scalars, at, leaves), addresses[0], at)

    return _along_rows(moments, 4, 4, emit)


def add_rows(moments: Moments, parts: int) -> Any:
    """Intrinsic ``f(n, pitch, out, a, b ..)``: rows of coefficients added up; ``out`` may be a, or one further left."""

    def emit(rows: _Rows, addresses: list[Any], _scalars: list[Any], at: Any) -> None:
        out, *given = addresses
        for row in range(moments.coefficients):
            rows.store(_sum_of(rows, given, row, at), out, row, at)

    return _along_rows(moments, 1 + parts, 0, emit)


def _sum_of(rows: _Rows, given: list[Any], row: int, at: Any) -> Any:
    total = rows.load(given[0], row, at)
    for base in given[1:]:
        total = rows.code.builder.fadd(total, rows.load(base, row, at))
    return total


def solve_rows(moments: Moments, parts: int) -> Any:
    """Intrinsic ``f(n, pitch, out, set .., alpha, beta .., share, ridge)``: the coefficients of windows of one or three sets.

    Eq. 5, 6, 19 and 20 of He et al.: ``share`` is 1 / N for the N samples of a window and ``ridge`` N eps. (M + ridge) a = m is
    solved by L D L^T; no pivot of a matrix that adds ``ridge`` to one without negative eigenvalues is below ``ridge``, which bounds
    the error of grey guides that come as colours.
    """

    def emit(rows: _Rows, addresses: list[Any], scalars: list[Any], at: Any) -> None:
        out, *sets = addresses
        *numbers, share, ridge = scalars
        window = rows.load_set(sets[0], at, False) if parts == 1 else _joined_three(rows, sets, numbers, at, (False,) * 3)
        for row, value in enumerate(_solved(rows, window, share, ridge)):
            rows.store(value, out, row, at)

    return _along_rows(moments, 1 + parts, 2 * (parts - 1) + 2, emit)


def _solved(rows: _Rows, window: _Set, share: Any, ridge: Any) -> list[Any]:
    """Factors and offsets of one vector of windows."""
    b, moments = rows.code.builder, rows.moments
    channels = range(moments.channels)
    values = dict(zip(moments.pairs, window.products, strict=True))
    lower: dict[tuple[int, int], Any] = {}
    weighted: dict[tuple[int, int], Any] = {}  # L times D
    inverse = []
    one = rows.code.constant(moments.real, 1.0)
    for j in channels:
        pivot = rows.minus(b.fadd(values[j, j], ridge), [(lower[j, k], weighted[j, k]) for k in range(j)])
        if j:
            pivot = b.select(b.fcmp_ordered("<", pivot, ridge), ridge, pivot)
        inverse.append(b.fdiv(one, pivot))
        for i in range(j + 1, moments.channels):
            weighted[i, j] = rows.minus(values[j, i], [(weighted[i, k], lower[j, k]) for k in range(j)])
            lower[i, j] = b.fmul(weighted[i, j], inverse[j])
    factors, offsets = [], []
    for output in range(moments.outputs):
        image = moments.channels if moments.separate else output
        y: list[Any] = []
        for i in channels:
            right = values[(i, image) if i <= image else (image, i)]
            y.append(rows.minus(right, [(lower[i, k], y[k]) for k in range(i)]))
        solution: dict[int, Any] = {}
        for i in reversed(channels):
            above = [(lower[k, i], solution[k]) for k in range(i + 1, moments.channels)]
            solution[i] = rows.minus(b.fmul(y[i], inverse[i]), above)
        factors += [solution[i] for i in channels]
        offset = rows.minus(window.sums[image], [(solution[i], window.sums[i]) for i in channels])
        offsets.append(b.fmul(offset, share))
    return [*factors, *offsets]


def apply_rows(moments: Moments, whole: bool, parts: int) -> Any:
    """Intrinsic ``f(n, pitch, out, guide, a .., share)``: the result from sums of coefficients, eq. 8.

    ``guide`` has a row for each of its channels; ``share`` is 1 / N; with ``whole`` the result is rounded half to even.
    """

    def emit(rows: _Rows, addresses: list[Any], scalars: list[Any], at: Any) -> None:
        b = rows.code.builder
        out, guide, *given = addresses
        pixels = [rows.load(guide, i, at) for i in range(moments.channels)]
        for output in range(moments.outputs):
            value = _sum_of(rows, given, moments.outputs * moments.channels + output, at)
            for i in range(moments.channels):
                value = rows.fma(_sum_of(rows, given, output * moments.channels + i, at), pixels[i], value)
            value = b.fmul(value, scalars[0])
            rows.store(rows.code.rint(value) if whole else value, out, output, at)

    return _along_rows(moments, 2 + parts, 1, emit)
