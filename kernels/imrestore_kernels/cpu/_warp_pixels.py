"""Bilinear affine warps of a picture whose channels lie side by side, from its own type, and back to it if nothing follows.

Two neighbours of a row are one load with all of their channels, where planes take one for each channel; taking channels apart and
putting them together again costs nothing. 256x256x3 bytes, turned and scaled, medians of one run: 0.19 ms to planes instead of 0.25
and 0.03 for taking apart; where 0.06 ms for putting together are saved as well, 0.20. Values come from the instructions of
`_warp_block`, so that the bits are the same.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import types
from numba.core import cgutils

from imrestore_kernels.cpu._jit import compile_rows, intrinsic_of
from imrestore_kernels.cpu._job_rows import OUT_HEIGHT, OUT_WIDTH
from imrestore_kernels.cpu._sampling import BLOCK, places
from imrestore_kernels.cpu._vector import allocator, copy_bytes, data_address, element, larger, smaller
from imrestore_kernels.cpu._warp_block import BILINEAR, BlockCode, Real, Whole
from imrestore_kernels.cpu._warp_rows import REALS, WHOLES, describe_job, project_row

#: Types and numbers of channels that there are kernels for; a pixel and its neighbour have to fit into eight values.
DTYPES, COUNTS = frozenset(map(np.dtype, ("uint8", "uint16", "float32"))), (3, 4)
#: Types that are also written.
WRITTEN = frozenset(map(np.dtype, ("uint8", "float32")))
_FLOAT32 = np.dtype(np.float32)
_INT, _I32, _DOUBLE = ir.IntType(64), ir.IntType(32), ir.DoubleType()
_PAIR, _PITCH = 8, int(Real.WIDTH)


class _PixelCode(BlockCode):
    """Instructions for one block."""

    def __init__(self, b: ir.IRBuilder, source: np.dtype[Any], channels: int, reals: Any, wholes: Any) -> None:
        super().__init__(b, _FLOAT32, BILINEAR, reals, wholes)
        self.source, self.channels = source, channels
        self.room = (_PAIR - 2 * channels + channels - 1) // channels

    def locate(self, x: Any, shifts: Any) -> None:
        _, self.points = self.line(x)

    def all_inside(self) -> Any:
        """Whether both ends are: then all of a line is, and looking at each pixel takes a tenth of all instructions."""
        b = self.b
        flag = b.icmp_unsigned("!=", self.whole(Whole.ROOMY), ir.Constant(_INT, 0))
        for point, length, room in zip(self.points, (Whole.WIDTH, Whole.HEIGHT), (self.room, 0), strict=True):
            end = b.sitofp(b.sub(self.whole(length), ir.Constant(_INT, 1 + room)), _DOUBLE)
            for lane in (0, BLOCK - 1):
                value = b.extract_element(point, ir.Constant(_I32, lane))
                flag = b.and_(flag, b.fcmp_ordered(">=", value, ir.Constant(_DOUBLE, 0.0)))
                flag = b.and_(flag, b.fcmp_ordered("<", value, end))
        return flag

    def inner_pixels(self, image: Any, result: Any) -> None:
        halves = [self._turned(vectors) for vectors in self._inner(image)]
        for c in range(self.channels):
            to = self.b.add(result, self.b.mul(self.whole(Whole.OUT_PLANE), ir.Constant(_INT, c)))
            self.block.store(self.block.joined([half[c] for half in halves]), to)

    def _inner(self, image: Any) -> list[list[Any]]:
        """Pixels in fours of registers: register k holds pixel k of eight and the fourth after it.

        Nothing then crosses the middle of a register but the exchange that makes these pairs.
        """
        b, block = self.b, self.block
        offsets = self._kept(self.integers(self.wide.fma(self.below[1], self.real(_PITCH), self._along_row(self.below[0]))))
        lanes, pitch = self._lanes(offsets), self.whole(Whole.PITCH)
        found = []
        for first in range(0, BLOCK, _PAIR):
            vectors = []
            for k in range(first, first + 4):
                mixed = []
                for i in (k, k + 4):
                    place = b.add(image, lanes[i])
                    rows = [self._pair(place), self._pair(b.add(place, pitch))]
                    mixed.append(block.between([block.chosen(self.weights[1][0], *[i] * _PAIR)], rows))
                near, far = (self._taken(mixed, [n + half + 8 * p for p in range(2) for n in range(4)]) for half in (0, 4))
                right = far if self.channels == 4 else self._taken([near, far], [3, 8, 9, 10, 7, 12, 13, 14])
                vectors.append(block.between([block.chosen(self.weights[0][0], *[k] * 4, *[k + 4] * 4)], [near, right]))
            found.append(vectors)
        return found

    def _pair(self, address: Any) -> Any:
        """A pixel and its right neighbour, and what is behind them."""
        loaded = self.block.load(address, kind=ir.VectorType(element(self.source), _PAIR))
        loaded.align = self.source.itemsize
        return self._as_floats(loaded)

    def _as_floats(self, value: Any) -> Any:
        if self.source == _FLOAT32:
            return value
        count = value.type.count
        return self.b.sitofp(self.b.zext(value, ir.VectorType(_I32, count)), ir.VectorType(ir.FloatType(), count))

    def _taken(self, pair: list[Any], numbers: list[int]) -> Any:
        return self.b.shuffle_vector(*pair, places(*numbers))

    # Rows and columns are counted in bytes.

    def _along_row(self, columns: Any) -> Any:
        return self.b.fmul(columns, self.wide.constant(float(self.source.itemsize * self.channels)))

    def _channel(self) -> Any:
        return ir.Constant(_INT, self.source.itemsize)

    def _beyond(self, address: Any, distance: Any) -> Any:
        return self.b.add(address, distance)

    def _gathered(self, addresses: list[Any]) -> Any:
        kind = element(self.source)
        vector = ir.Constant(ir.VectorType(kind, BLOCK), ir.Undefined)
        for i, address in enumerate(addresses):
            value = self.block.load(address, kind=kind)
            value.align = self.source.itemsize
            vector = self.b.insert_element(vector, value, ir.Constant(_I32, i))
        return self._as_floats(vector)


class _WrittenCode(_PixelCode):
    """Instructions for one block whose result is of the picture's type, with its channels side by side.

    What comes from beyond the border is made in planes in the scratch memory at ``planes``.
    """

    planes: Any = None

    def inner_pixels(self, image: Any, result: Any) -> None:
        for half, vectors in enumerate(self._inner(image)):
            to = self._further(result, half * _PAIR)
            if self.source == _FLOAT32:
                for k, vector in enumerate(vectors):
                    for side in range(2):
                        pixel = self._taken([vector, vector], list(range(4 * side, 4 * side + self.channels)))
                        self._put(pixel, self._further(to, k + 4 * side))
            else:
                self._put_bytes(self._turned(vectors)[: self.channels], to)

    def border_pixels(self, image: Any, result: Any) -> None:
        super().border_pixels(image, self.planes)
        rows = [self.block.plus(self.planes, c * BLOCK) for c in range(self.channels)]
        if self.source == _FLOAT32:
            with cgutils.for_range(self.b, ir.Constant(_INT, BLOCK), intp=_INT) as loop:
                for c, row in enumerate(rows):
                    value = self.block.load(self.block.plus(row, loop.index), 1)
                    to = self.b.add(result, self.b.mul(loop.index, ir.Constant(_INT, 4 * self.channels)))
                    self.block.store(value, self.block.plus(to, c))
        else:
            for first in range(0, BLOCK, _PAIR):
                self._put_bytes([self.block.load(self.block.plus(row, first), _PAIR) for row in rows], self._further(result, first))

    def _further(self, address: Any, pixels: int) -> Any:
        return self.b.add(address, ir.Constant(_INT, pixels * self.channels * self.source.itemsize))

    def _put(self, value: Any, address: Any) -> None:
        self.b.store(value, self.b.inttoptr(address, value.type.as_pointer())).align = self.source.itemsize

    def _put_bytes(self, channels: list[Any], address: Any) -> None:
        """Eight pixels: rounded half to even, saturated, 0 for NaN, as `_interleave.store` does it."""
        b = self.b
        words = None
        for c, values in enumerate(channels):
            for comparison, bound in ((">", 0.0), ("<", 255.0)):
                limit = ir.Constant(values.type, [bound] * _PAIR)
                values = b.select(b.fcmp_ordered(comparison, values, limit), values, limit)
            whole = b.fptosi(self.block.call("rint", values), ir.VectorType(_I32, _PAIR))
            own = b.shl(whole, ir.Constant(whole.type, [8 * c] * _PAIR)) if c else whole
            words = own if words is None else b.or_(words, own)
        if self.channels == 4:
            self._put(words, address)
            return
        kept = [4 * pixel + c for pixel in range(4) for c in range(3)] + [0] * 4  # within each half: no byte crosses the middle
        packed = self.block.chosen(b.bitcast(words, ir.VectorType(ir.IntType(8), 32)), *kept, *(16 + k for k in kept))
        packed = b.bitcast(packed, ir.VectorType(_I32, _PAIR))
        for half in range(2):
            self._put(self.block.chosen(packed, *range(4 * half, 4 * half + 3)), self._further(address, 4 * half))


def _block(code: type[_PixelCode], source: np.dtype[Any], channels: int) -> Any:
    """``f(x, reals, wholes, image, result, planes)``: the pixels x .. x + `BLOCK` of a row, in all channels."""

    def generate(_context: Any, b: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        x, reals, wholes, image, result, planes = args
        own = code(b, source, channels, reals, wholes)
        if isinstance(own, _WrittenCode):
            own.planes = planes
        own.warp(x, ir.Constant(_INT, 0), image, result)
        return ir.Constant(_INT, 0)

    return intrinsic_of([f"a{i}" for i in range(6)], lambda *_: types.intp(*[types.intp] * 6), generate)


@cache
def warp_pixels_kernel(source: np.dtype[Any], channels: int, written: bool) -> Any:
    """Kernel over rows of the result, from a picture at an address with so many bytes a row.

    The result is at another, in planes of float32, or if ``written`` as the picture with so many bytes a row; then it has to be
    at least `BLOCK` pixels wide.
    """
    block, item = _block(_WrittenCode if written else _PixelCode, source, channels), _FLOAT32.itemsize
    new_numbers, new_values, new_places = map(allocator, (np.float64, _FLOAT32, np.int64))
    at_pitch, at_out_plane = int(Whole.PITCH), int(Whole.OUT_PLANE)
    step = channels * source.itemsize if written else item

    def rows(
        image: int, pitch: int, result: int, out_pitch: int, jobs: Any, numbers: Any, row_start: int, row_stop: int
    ) -> None:
        job = jobs[0]
        width, out_plane = job[OUT_WIDTH], item * job[OUT_HEIGHT] * job[OUT_WIDTH]
        reals, wholes, planes = new_numbers(REALS), new_places(WHOLES), new_values(channels * BLOCK)
        describe_job(job, numbers[0], item, 1, reals, wholes)
        reals[_PITCH], wholes[at_pitch] = float(pitch), pitch
        if written or width < BLOCK:
            wholes[at_out_plane] = item * BLOCK
        for y in range(row_start, row_stop):
            project_row(y, numbers[0], reals)
            for start in range(0, width, BLOCK):
                x = larger(smaller(start, width - BLOCK), 0)
                there = result + y * out_pitch + x * step if width >= BLOCK else data_address(planes)
                block(x, data_address(reals), data_address(wholes), image, there, data_address(planes))
            if width < BLOCK:
                for c in range(channels):
                    copy_bytes(result + c * out_plane + y * out_pitch, data_address(planes) + c * item * BLOCK, width * item)
        reals[0], wholes[0], planes[0] = 0.0, 0, 0.0  # freed after their last use

    kinds = [types.Array(kind, 2, "C", readonly=True) for kind in (types.int64, types.float64)]
    name = f"warp_pixels_{source}_{channels}{'_written' * written}"
    return compile_rows(rows, name, *[types.intp] * 4, *kinds, *[types.intp] * 2)
