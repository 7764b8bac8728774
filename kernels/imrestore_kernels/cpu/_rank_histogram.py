"""Rank filters of 8-bit images over large boxes: one histogram per column, in two tiers.

Every column of the window keeps a histogram of 256 counts and one of the 16 upper halves of its values. A row further down,
each column loses one pixel and gains one; a pixel to the right, the window's coarse histogram loses one column and gains
one. The coarse histogram names the segment of 16 values the rank lies in, and only that segment's fine counts are brought up
to date. A pixel costs the same for every size of the window.

References
----------
S. Perreault and P. Hebert, "Median filtering in constant time", IEEE Trans. Image Processing 16(9), 2007.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype

from imrestore_kernels.cpu._jit import compile_rows, inline
from imrestore_kernels.cpu._planes import inside_index
from imrestore_kernels.cpu._vector import data_address

#: Counts are 16 bits wide.
MAX_SAMPLES = 65535
#: Outputs of a row worked on at once: the histograms of their columns (544 bytes each) stay in the second-level cache.
TILE = 512

_INT = ir.IntType(64)
_COUNTS = ir.VectorType(ir.IntType(16), 16)


def _counts(builder: ir.IRBuilder, address: Any) -> Any:
    loaded = builder.load(builder.inttoptr(address, _COUNTS.as_pointer()))
    loaded.align = 2
    return loaded


@intrinsic
def _exchange_counts(_typing: Any, total: Any, entering: Any, leaving: Any) -> Any:
    """16 counts at an address: plus those at another, minus those at a third."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        counts = builder.add(_counts(builder, args[0]), _counts(builder, args[1]))
        counts = builder.sub(counts, _counts(builder, args[2]))
        builder.store(counts, builder.inttoptr(args[0], _COUNTS.as_pointer())).align = 2
        return ir.Constant(_INT, 0)

    return types.intp(types.intp, types.intp, types.intp), generate


@intrinsic
def _sum_counts(_typing: Any, total: Any, first: Any, number: Any) -> Any:
    """16 counts at an address: the sum of ``number`` times 16 counts that lie one after the other."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        counts = cgutils.alloca_once_value(builder, ir.Constant(_COUNTS, None))
        builder.store(ir.Constant(_COUNTS, None), counts)
        with cgutils.for_range(builder, args[2]) as loop:
            address = builder.add(args[1], builder.mul(loop.index, ir.Constant(_INT, 32)))
            builder.store(builder.add(builder.load(counts), _counts(builder, address)), counts)
        builder.store(builder.load(counts), builder.inttoptr(args[0], _COUNTS.as_pointer())).align = 2
        return ir.Constant(_INT, 0)

    return types.intp(types.intp, types.intp, types.intp), generate


@intrinsic
def _find(_typing: Any, address: Any, rank: Any) -> Any:
    """Which of 16 counts holds the element of a rank, and how many elements lie before it, as ``before * 16 + which``."""

    def generate(_context: Any, builder: ir.IRBuilder, _signature: Any, args: Any) -> Any:
        zero = ir.Constant(_COUNTS, None)
        counts = _counts(builder, args[0])
        sums = counts
        for step in (1, 2, 4, 8):  # prefix sums; lanes 0 .. 15 of the mask are zeros, the others the sums
            mask = ir.Constant(ir.VectorType(ir.IntType(32), 16), [16 + i - step if i >= step else 0 for i in range(16)])
            sums = builder.add(sums, builder.shuffle_vector(zero, sums, mask))
        short = builder.trunc(args[1], ir.IntType(16))
        one = builder.insert_element(zero, short, ir.Constant(ir.IntType(32), 0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), 16), [0] * 16)
        beyond = builder.icmp_unsigned(">", sums, builder.shuffle_vector(one, zero, lanes))
        bits = builder.zext(builder.bitcast(beyond, ir.IntType(16)), _INT)
        which = builder.cttz(bits, ir.Constant(ir.IntType(1), 0))
        before = builder.extract_element(builder.sub(sums, counts), builder.trunc(which, ir.IntType(32)))
        return builder.or_(builder.shl(builder.zext(before, _INT), ir.Constant(_INT, 4)), which)

    return types.intp(types.intp, types.intp), generate


@lru_cache(maxsize=2)
def histogram_kernel(dtype: np.dtype[Any]) -> Any:
    """Row kernel for uint8 or int8."""
    flip = 0x80 if dtype.kind == "i" else 0

    @inline
    def _count_row(src: Any, row: int, columns: Any, cval: Any, coarse: Any, fine: Any, change: Any) -> None:
        """Add or take away one row of pixels from the histograms of a tile's columns."""
        for k in range(columns.size):
            value = cval if row < 0 or columns[k] < 0 else src[row, columns[k]]
            value = (np.int64(value) & 255) ^ flip
            coarse[k, value >> 4] += change
            fine[value >> 4, k, value & 15] += change

    def rank_rows(
        src: Any, dst: Any, height: int, inner: int, size_y: int, size_x: int, rank: int, mode: int, cval: Any, start: int,
        stop: int,
    ) -> None:  # fmt: skip
        n = src.shape[1] // inner
        tile = min(TILE, n)
        coarse = np.empty((tile + size_x, 16), np.uint16)
        fine = np.empty((16, tile + size_x, 16), np.uint16)
        window = np.empty(16, np.uint16)
        segments = np.empty((16, 16), np.uint16)
        upto = np.empty(16, np.int64)  # output a segment's counts were last right for
        columns = np.empty(tile + size_x - 1, np.int64)
        coarse_at, fine_at = data_address(coarse), data_address(fine)
        window_at, segments_at = data_address(window), data_address(segments)
        segment_bytes = (tile + size_x) * 32
        for job in range((n + tile - 1) // tile * inner):
            x0 = job // inner * tile
            wide = min(tile, n - x0)
            used = columns[: wide + size_x - 1]
            for k in range(used.size):
                j = inside_index(x0 + k - size_x // 2, n, mode)
                used[k] = -1 if j < 0 else j * inner + job % inner
            y = start
            while y < stop:
                image = y // height * height
                coarse[:] = 0
                fine[:] = 0
                for s in range(size_y - 1):
                    j = inside_index(y - image - size_y // 2 + s, height, mode)
                    _count_row(src, -1 if j < 0 else image + j, used, cval, coarse, fine, np.uint16(1))
                first = y
                while y < min(stop, image + height):
                    j = inside_index(y - image - size_y // 2 + size_y - 1, height, mode)
                    _count_row(src, -1 if j < 0 else image + j, used, cval, coarse, fine, np.uint16(1))
                    if y > first:
                        j = inside_index(y - image - size_y // 2 - 1, height, mode)
                        _count_row(src, -1 if j < 0 else image + j, used, cval, coarse, fine, np.uint16(65535))
                    _sum_counts(window_at, coarse_at, size_x)
                    upto[:] = -size_x
                    for x in range(wide):
                        if x > 0:
                            _exchange_counts(window_at, coarse_at + (x + size_x - 1) * 32, coarse_at + (x - 1) * 32)
                        found = _find(window_at, rank)
                        which = found & 15
                        segment = segments_at + which * 32
                        counts = fine_at + which * segment_bytes
                        if 2 * (x - upto[which]) > size_x:
                            _sum_counts(segment, counts + x * 32, size_x)
                        else:
                            for k in range(upto[which] + 1, x + 1):
                                _exchange_counts(segment, counts + (k + size_x - 1) * 32, counts + (k - 1) * 32)
                        upto[which] = x
                        low = _find(segment, rank - (found >> 4)) & 15
                        dst[y, (x0 + x) * inner + job % inner] = (which * 16 + low) ^ flip
                    y += 1
        # Addresses of these arrays were used above; naming them here keeps them alive until now.
        upto[0] = coarse.size + fine.size + window.size + segments.size

    value = from_dtype(dtype)
    return compile_rows(
        rank_rows, f"rank_histogram_{dtype}", types.Array(value, 2, "C", readonly=True), value[:, ::1],
        *[types.intp] * 6, value, types.intp, types.intp,
    )  # fmt: skip
