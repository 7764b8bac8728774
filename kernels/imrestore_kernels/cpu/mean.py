"""Mean over a box, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from imrestore_kernels.cpu._box_floats import float_kernel
from imrestore_kernels.cpu._box_integers import DIRECT, division, integer_kernel
from imrestore_kernels.cpu._plan import RowPlan, as_planes
from imrestore_kernels.cpu._rounding import divide_half_even, divide_wide_half_even, round_to
from imrestore_kernels.cpu._separable import masked_sums

Array = np.ndarray[Any, Any]

#: Types of the factor and of the count for each way of dividing.
_NUMBERS: tuple[tuple[Any, Any], ...] = ((np.uint16, np.uint16), (np.float32, np.uint32), (np.float64, np.uint32))


def mean(
    src: Array,
    dst: Array,
    size: tuple[int, ...],
    mode: int,
    cval: float | int,
    where: Array | None = None,
    pad_counts: bool = True,
) -> None:
    """Mean of the valid samples of every window; the contract is in ``kernels/README.md``."""
    if where is None and len(size) <= 2:
        if src.dtype == np.float16:
            wide = np.empty(src.shape, np.float32)
            mean(src.astype(np.float32), wide, size, mode, cval)
            with np.errstate(all="ignore"):
                dst[...] = wide
            return
        planned = plan(src.shape, src.dtype, size, mode, cval)
        if planned is not None:
            planned.run(src, dst)
            return
    _mean_any(src, dst, size, mode, cval, where, pad_counts)


def _mean_any(
    src: Array, dst: Array, size: tuple[int, ...], mode: int, cval: float | int, where: Array | None, pad_counts: bool
) -> None:
    ones: tuple[Array, ...]
    count = int(np.prod(size))
    if src.dtype.kind == "f":
        ones = tuple(np.ones(k) for k in size)
        total, valid = masked_sums(src, ones, mode, cval, where, pad_counts)
        with np.errstate(all="ignore"):
            round_to(total / (count if valid is None else valid), dst)
        return
    ones = tuple(np.ones(k, np.int64) for k in size)
    if src.dtype.itemsize < 8:
        total, valid = masked_sums(src, ones, mode, cval, where, pad_counts)
        dst[...] = divide_half_even(total, count if valid is None else valid)
        return
    # 64-bit samples: high and low halves are summed apart, both exactly.
    mask = np.uint64(0xFFFFFFFF) if src.dtype == np.uint64 else np.int64(0xFFFFFFFF)
    shift = src.dtype.type(32)
    high, valid = masked_sums((src >> shift).astype(np.int64), ones, mode, int(cval) >> 32, where, pad_counts)
    low, _ = masked_sums((src & mask).astype(np.int64), ones, mode, int(cval) & 0xFFFFFFFF, where, pad_counts)
    dst[...] = divide_wide_half_even(high, low, count if valid is None else valid).astype(src.dtype)


def plan(
    shape: tuple[int, ...], dtype: np.dtype[Any], size: tuple[int, ...], mode: int, cval: float | int
) -> RowPlan | None:
    """The fused kernel for one or two filtered axes, or None where there is none (32- and 64-bit integers, float16)."""
    if len(size) > 2 or dtype == np.float16 or (dtype.kind != "f" and dtype.itemsize > 2):
        return None
    (outer, height, width, inner), (rows, columns) = as_planes(shape, size)
    total, values = outer * height, width * inner
    passes = 4 + rows.bit_length() + columns.bit_length()
    work = total * (values * dtype.itemsize / 64 + 4) * passes * (1.5 if dtype.kind == "f" else 0.5)
    least = max(16, 2 * rows)
    if dtype.kind == "f":
        extra: tuple[Any, ...] = (height, inner, rows, columns, mode, dtype.type(cval))
        return RowPlan(float_kernel(dtype), extra, total, values, work, least)
    count = rows * columns
    largest = 255 if dtype.itemsize == 1 else 65535
    if largest * count >= 1 << 32:
        return None
    by = division(count, dtype.itemsize)
    sums = np.dtype(np.uint16 if largest * rows < 1 << 16 else np.uint32)
    kernel = integer_kernel(dtype, sums.str[1:], by._replace(factor=0.0), columns if columns <= DIRECT else 0)
    offset = 1 << 8 * dtype.itemsize - 1 if dtype.kind == "i" else 0
    factor, number = _NUMBERS[by.way]
    outside = sums.type(rows * (int(cval) + offset))
    extra = (height, inner, rows, columns, mode, dtype.type(cval), outside, factor(by.factor), number(count))
    return RowPlan(kernel, extra, total, values, work, least)
