"""A block of pixels of a warped row: where they come from, and what is there."""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import types
from numba.core import cgutils

from imrestore_kernels.cpu._jit import intrinsic_of
from imrestore_kernels.cpu._sampling import BLOCK, Block, places
from imrestore_kernels.cpu._vector import splat

_INT, _DOUBLE, _BIT = ir.IntType(64), ir.DoubleType(), ir.IntType(1)
_FLOAT64 = np.dtype(np.float64)
#: Coordinates are held within this: beyond it every border rule still knows what is there.
FARTHEST = 2.0**30

#: Interpolations, the neighbours that each has along an axis, and how many of these lie before the whole number below.
NEAREST, BILINEAR, BICUBIC = range(3)
TAPS, BEFORE = (1, 2, 4), (0, 0, 1)


class Real(IntEnum):
    """Numbers of a row, float64."""

    U = 0  # source columns are U x + U0, rows V x + V0, and if projective both divided by W x + W0
    U0 = 1
    V = 2
    V0 = 3
    W = 4
    W0 = 5
    COLUMNS = 6  # the border rule of columns: least, most, period, sum of mirror images
    ROWS = 10
    WIDTH = 14
    OUTSIDE = 15


class Whole(IntEnum):
    """Numbers of a job, int64; in bytes where not of pixels."""

    CHANNELS = 0
    WIDTH = 1
    HEIGHT = 2
    PITCH = 3
    PLANE = 4
    OUT_PLANE = 5
    PROJECTIVE = 6
    CONSTANT = 7
    APART = 8  # from the displacements of columns to those of rows
    ROOMY = 9  # a whole block may be written


@cache
def locate_block(dtype: np.dtype[Any], interpolation: int) -> Any:
    """``f(x, reals, wholes, shifts, columns, rows, weights)``: where a block comes from, for who has something else to do there.

    Left behind, at these addresses, are the whole numbers below the coordinates, int64, and `BLOCK` weights for each of four
    columns and then four rows, or the parts behind the whole numbers alone.
    """

    def generate(_context: Any, b: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        x, reals, wholes, shifts, columns, rows, weights = args
        code = BlockCode(b, dtype, interpolation, reals, wholes)
        code.locate(x, shifts)
        code.split(near=False)
        for k, place in enumerate((columns, rows)):
            code.block.store(code.integers(code.below[k]), place)
            for row, weight in enumerate(code.weights[k]):
                code.block.store(weight, code.block.plus(weights, (4 * k + row) * BLOCK))
        return ir.Constant(_INT, 0)

    return intrinsic_of([f"a{i}" for i in range(7)], lambda *_: types.intp(*[types.intp] * 7), generate)


@cache
def warp_block(dtype: np.dtype[Any], interpolation: int) -> Any:
    """``f(x, reals, wholes, shifts, image, result)``: the pixels x .. x + `BLOCK` of a row, in all channels.

    ``reals`` and ``wholes`` are the addresses of the numbers of `Real` and `Whole`, ``shifts`` that of displacements or 0.
    """

    def generate(_context: Any, b: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        x, reals, wholes, shifts, image, result = args
        BlockCode(b, dtype, interpolation, reals, wholes).warp(x, shifts, image, result)
        return ir.Constant(_INT, 0)

    return intrinsic_of([f"a{i}" for i in range(6)], lambda *_: types.intp(*[types.intp] * 6), generate)


class BlockCode:
    """Instructions for one block."""

    #: Columns behind the neighbours that have to be there for a pixel inside.
    room = 0

    def __init__(self, b: ir.IRBuilder, dtype: np.dtype[Any], interpolation: int, reals: Any, wholes: Any) -> None:
        self.b, self.block, self.wide = b, Block(b, dtype), Block(b, _FLOAT64)
        self.interpolation = interpolation
        self.taps, self.before = TAPS[interpolation], BEFORE[interpolation]
        self._reals, self._wholes = (b.inttoptr(a, kind.as_pointer()) for a, kind in ((reals, _DOUBLE), (wholes, _INT)))
        self.points: list[Any] = []
        self.below: list[Any] = []
        self.weights: list[list[Any]] = []

    def warp(self, x: Any, shifts: Any, image: Any, result: Any) -> None:
        """All of it."""
        self.locate(x, shifts)
        with self.b.if_else(self.all_inside(), likely=True) as (inside, outside):
            with inside:
                self.split(near=True)
                self.inner_pixels(image, result)
            with outside:
                self.split(near=False)
                self.border_pixels(image, result)

    def real(self, number: int) -> Any:
        """One of the row's numbers in all lanes."""
        return self.wide.everywhere(self.b.load(self.b.gep(self._reals, [ir.Constant(_INT, number)])))

    def whole(self, number: int) -> Any:
        return self.b.load(self.b.gep(self._wholes, [ir.Constant(_INT, number)]))

    def locate(self, x: Any, shifts: Any) -> None:
        """The source columns and rows."""
        b, wide = self.b, self.wide
        at, line = self.line(x)
        points = [cgutils.alloca_once(b, wide.kind) for _ in line]
        for point, value in zip(points, line, strict=True):
            b.store(value, point)
        with b.if_then(b.icmp_unsigned("!=", self.whole(Whole.PROJECTIVE), ir.Constant(_INT, 0)), likely=False):
            last = wide.fma(self.real(Real.W), at, self.real(Real.W0))
            inverse = b.fdiv(wide.constant(1.0), last)
            ahead = b.fcmp_ordered(">", last, wide.constant(0.0))
            for point in points:
                b.store(b.select(ahead, b.fmul(b.load(point), inverse), wide.constant(-FARTHEST)), point)
        with b.if_then(b.icmp_unsigned("!=", shifts, ir.Constant(_INT, 0)), likely=False):
            for k, point in enumerate(points):
                shift = self.block.load(b.add(shifts, b.mul(self.whole(Whole.APART), ir.Constant(_INT, k))))
                shift = shift if shift.type == wide.kind else b.fpext(shift, wide.kind)
                b.store(b.fadd(b.load(point), shift), point)
        self.points = [b.load(point) for point in points]
        if self.interpolation == NEAREST:
            self.points = [b.fadd(point, wide.constant(0.5)) for point in self.points]

    def line(self, x: Any) -> tuple[Any, list[Any]]:
        """The columns of the result, and where an affine warp takes them: source columns and rows."""
        b, wide = self.b, self.wide
        ramp = ir.Constant(wide.kind, [float(i) for i in range(BLOCK)])
        at = b.fadd(wide.everywhere(b.sitofp(x, _DOUBLE)), ramp)
        return at, [wide.fma(self.real(factor), at, self.real(factor + 1)) for factor in (Real.U, Real.V)]

    def split(self, near: bool) -> None:
        """The whole numbers below the coordinates, and the weights of the neighbours; ``near`` points are numbers and small."""
        b, wide = self.b, self.wide
        self.below, self.weights = [], []
        for point in self.points:
            for comparison, bound in () if near else ((">", -FARTHEST), ("<", FARTHEST)):
                limit = wide.constant(bound)
                point = b.select(b.fcmp_ordered(comparison, point, limit), point, limit)
            below = wide.call("floor", point)
            part = b.fsub(point, below)
            part = part if part.type == self.block.kind else b.fptrunc(part, self.block.kind)
            self.below.append(below)
            self.weights.append(self._keys(part) if self.interpolation == BICUBIC else [part])

    def _keys(self, part: Any) -> list[Any]:
        """Weights of four neighbours by cubic convolution (Keys 1981, equation 15)."""
        b, fma, c = self.b, self.block.fma, self.block.constant
        square = b.fmul(part, part)
        first = b.fmul(part, fma(part, fma(part, c(-0.5), c(1.0)), c(-0.5)))
        third = b.fmul(part, fma(part, fma(part, c(-1.5), c(2.0)), c(0.5)))
        second = fma(square, fma(part, c(1.5), c(-2.5)), c(1.0))
        return [first, second, third, b.fmul(square, fma(part, c(0.5), c(-0.5)))]

    def integers(self, value: Any) -> Any:
        """Whole numbers below 2**51 in 64 bits: AVX2 has no instruction for that."""
        b, magic = self.b, self.wide.constant(1.5 * 2.0**52)
        kind = ir.VectorType(_INT, BLOCK)
        return b.sub(b.bitcast(b.fadd(value, magic), kind), b.bitcast(magic, kind))

    def _folded(self, vector: Any, comparison: str) -> Any:
        """A quarter of the lanes, the smallest, largest or sum of four each: flags of 16 float64 are packed at some expense."""
        b = self.b
        while vector.type.count > BLOCK // 4:
            half = vector.type.count // 2
            parts = [self.block.chosen(vector, *range(start, start + half)) for start in (0, half)]
            vector = b.fadd(*parts) if comparison == "+" else b.select(b.fcmp_ordered(comparison, *parts), *parts)
        return vector

    def _compare_all(self, comparison: str, vector: Any, number: Any) -> Any:
        """Whether all lanes are so; a NaN is not."""
        flags = self.b.fcmp_ordered(comparison, vector, splat(self.b, number, vector.type.count))
        bits = ir.IntType(vector.type.count)
        return self.b.icmp_unsigned("==", self.b.bitcast(flags, bits), ir.Constant(bits, (1 << vector.type.count) - 1))

    def all_inside(self) -> Any:
        """Whether all neighbours of all pixels are inside, and a whole block may be written."""
        b = self.b
        flag = b.icmp_unsigned("!=", self.whole(Whole.ROOMY), ir.Constant(_INT, 0))
        sums = self._folded(b.fadd(*self.points), "+")  # the smaller of two may be the one that is no NaN
        flag = b.and_(flag, self._compare_all("<", sums, ir.Constant(_DOUBLE, 2 * FARTHEST * BLOCK)))
        for point, length, room in zip(self.points, (Whole.WIDTH, Whole.HEIGHT), (self.room, 0), strict=True):
            end = b.sub(self.whole(length), ir.Constant(_INT, self.taps - self.before - 1 + room))
            flag = b.and_(flag, self._compare_all("<", self._folded(point, ">"), b.sitofp(end, _DOUBLE)))
            flag = b.and_(flag, self._compare_all(">=", self._folded(point, "<"), ir.Constant(_DOUBLE, self.before)))
        return flag

    def all_outside(self) -> Any:
        """Whether all neighbours of all pixels are the constant: all pixels are on one side."""
        b, flag = self.b, ir.Constant(_BIT, 0)
        for below, length in zip(self.below, (Whole.WIDTH, Whole.HEIGHT), strict=True):
            most = b.sitofp(b.add(self.whole(length), ir.Constant(_INT, self.before)), _DOUBLE)
            least = ir.Constant(_DOUBLE, float(self.before - self.taps))
            flag = b.or_(flag, self._compare_all(">=", self._folded(below, "<"), most))
            flag = b.or_(flag, self._compare_all("<=", self._folded(below, ">"), least))
        return b.and_(flag, b.icmp_unsigned("!=", self.whole(Whole.CONSTANT), ir.Constant(_INT, 0)))

    def _kept(self, vector: Any) -> Any:
        """A pointer to the vector's lanes: they come from memory one by one, which is cheaper than out of a register."""
        place = cgutils.alloca_once(self.b, vector.type)
        self.b.store(vector, place)
        return self.b.bitcast(place, vector.type.element.as_pointer())

    def _lanes(self, kept: Any) -> list[Any]:
        return [self.b.load(self.b.gep(kept, [ir.Constant(_INT, i)])) for i in range(BLOCK)]

    def inner_pixels(self, image: Any, result: Any) -> None:
        """From neighbours that are all inside."""
        b, block = self.b, self.block
        offsets = self._kept(self.integers(self.wide.fma(self.below[1], self.real(Real.WIDTH), self.below[0])))
        pitch = self.whole(Whole.PITCH)
        corner = b.sub(image, b.mul(b.add(pitch, ir.Constant(_INT, block.size)), ir.Constant(_INT, self.before)))
        with cgutils.for_range(b, self.whole(Whole.CHANNELS), intp=_INT) as loop:
            base = b.add(corner, b.mul(loop.index, self.whole(Whole.PLANE)))
            to = b.add(result, b.mul(loop.index, self.whole(Whole.OUT_PLANE)))
            rows = [b.add(base, b.mul(pitch, ir.Constant(_INT, k))) for k in range(self.taps)]
            lanes = [[block.plus(row, offset) for offset in self._lanes(offsets)] for row in rows]
            if self.taps == 1:
                value = block.gathered(lanes[0])
            else:
                along = self._two_columns(lanes) if self.taps == 2 else self._four_columns(lanes)
                value = block.between(self.weights[0], along)
            block.store(value, to)

    def _two_columns(self, lanes: list[list[Any]]) -> list[Any]:
        """The left and the right neighbours of all pixels, between their rows."""
        block, pieces = self.block, []
        for first in range(0, BLOCK, 8):
            spread = [first + i // 2 for i in range(16)]
            values = [block.pairs(row[first : first + 8]) for row in lanes]
            pieces.append(block.between([block.chosen(w, *spread) for w in self.weights[1]], values))
        columns = block.joined(pieces)
        return [block.chosen(columns, *range(k, 2 * BLOCK, 2)) for k in range(2)]

    def _four_columns(self, lanes: list[list[Any]]) -> list[Any]:
        """The four columns of neighbours, each between its rows.

        Vectors of 32 bytes hold the columns of one or two pixels, the second four pixels away: then four of them are turned on
        their side without anything crossing their middle, which takes AVX2 longer (256x256x3 float32: half the time of one shuffle
        of all columns).
        """
        block, group = self.block, 32 // self.block.size
        pieces = []
        for first in range(0, BLOCK, group):
            vectors = []
            for j in range(4):
                pixels = list(range(first + j, first + group, 4))
                values = [block.joined([block.load(row[i], 4) for i in pixels]) for row in lanes]
                spread = [i for i in pixels for _ in range(4)]
                vectors.append(block.between([block.chosen(w, *spread) for w in self.weights[1]], values))
            pieces.append(self._turned(vectors))
        return [block.joined([piece[k] for piece in pieces]) for k in range(4)]

    def _turned(self, vectors: list[Any]) -> list[Any]:
        """Element k of every four of four vectors, for k from 0 to 3."""
        shuffle, size = self.b.shuffle_vector, vectors[0].type.count

        def taken(a: Any, c: Any, *numbers: int) -> Any:
            return shuffle(a, c, places(*(base + n % 4 + n // 4 * size for base in range(0, size, 4) for n in numbers)))

        a, c, d, e = vectors
        halves = [(taken(a, c, *n), taken(d, e, *n)) for n in ((0, 4, 1, 5), (2, 6, 3, 7))]
        return [taken(*pair, *n) for pair in halves for n in ((0, 1, 4, 5), (2, 3, 6, 7))]

    def border_pixels(self, image: Any, result: Any) -> None:
        """From neighbours of which some are beyond the border."""
        b, block = self.b, self.block
        outside = self.real(Real.OUTSIDE)
        outside = outside if outside.type == block.kind else b.fptrunc(outside, block.kind)
        with b.if_else(self.all_outside()) as (nothing, something):
            with nothing, cgutils.for_range(b, self.whole(Whole.CHANNELS), intp=_INT) as loop:
                block.store(outside, b.add(result, b.mul(loop.index, self.whole(Whole.OUT_PLANE))))
            with something:
                self._mixed_pixels(image, result, outside)

    def _mixed_pixels(self, image: Any, result: Any, outside: Any) -> None:
        b, block = self.b, self.block
        constant = b.icmp_unsigned("!=", self.whole(Whole.CONSTANT), ir.Constant(_INT, 0))
        columns, columns_there = self._neighbours(self.below[0], Real.COLUMNS, constant)
        rows, rows_there = self._neighbours(self.below[1], Real.ROWS, constant)
        column_places = [self._kept(self.integers(self._along_row(c))) for c in columns]
        row_places = [self._kept(self.integers(b.fmul(r, self.real(Real.WIDTH)))) for r in rows]
        with cgutils.for_range(b, self.whole(Whole.CHANNELS), intp=_INT) as loop:
            base = b.add(image, b.mul(loop.index, self._channel()))
            along = []
            for column, column_there in zip(column_places, columns_there, strict=True):
                lanes = [self._beyond(base, offset) for offset in self._lanes(column)]
                down = []
                for row, row_there in zip(row_places, rows_there, strict=True):
                    steps = self._lanes(row)
                    value = self._gathered([self._beyond(a, step) for a, step in zip(lanes, steps, strict=True)])
                    down.append(b.select(b.and_(column_there, row_there), value, outside))
                along.append(block.between(self.weights[1], down))
            block.store(block.between(self.weights[0], along), b.add(result, b.mul(loop.index, self.whole(Whole.OUT_PLANE))))

    # How the image lies in memory: here in planes of samples, which columns and rows are counted in.

    def _along_row(self, columns: Any) -> Any:
        """How far columns are from the beginning of their row."""
        return columns

    def _channel(self) -> Any:
        """Bytes from one channel to the next."""
        return self.whole(Whole.PLANE)

    def _beyond(self, address: Any, distance: Any) -> Any:
        return self.block.plus(address, distance)

    def _gathered(self, addresses: list[Any]) -> Any:
        return self.block.gathered(addresses)

    def _neighbours(self, below: Any, rule: int, constant: Any) -> tuple[list[Any], list[Any]]:
        """Where each neighbour is by the border rule, and whether it is there at all.

        Whole numbers in float64, for which one formula is all rules: held between ``least`` and ``most``, less whole periods, and
        of this and its mirror image the smaller one.
        """
        b, wide = self.b, self.wide
        least, most, period, mirror = (self.real(rule + i) for i in range(4))
        found, there = [], []
        for k in range(self.taps):
            place = b.fadd(below, wide.constant(float(k - self.before)))
            kept = b.select(b.fcmp_ordered("<", place, least), least, place)
            kept = b.select(b.fcmp_ordered(">", kept, most), most, kept)
            same = b.fcmp_ordered("==", kept, place)
            there.append(b.select(constant, same, ir.Constant(self.block.flags, [1] * BLOCK)))
            rest = b.fsub(kept, b.fmul(period, wide.call("floor", b.fdiv(kept, period))))
            other = b.fsub(mirror, rest)
            found.append(b.select(b.fcmp_ordered("<", rest, other), rest, other))
        return found, there
