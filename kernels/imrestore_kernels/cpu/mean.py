"""Mean over a box, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from imrestore_kernels.cpu._plan import RowPlan
from imrestore_kernels.cpu._rounding import divide_half_even, divide_wide_half_even, round_to
from imrestore_kernels.cpu._separable import masked_sums

Array = np.ndarray[Any, Any]


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


def plan(shape: tuple[int, ...], dtype: np.dtype[Any], size: tuple[int, ...], mode: int, cval: float | int) -> RowPlan | None:
    """The fused kernel for two filtered axes, or None where there is none."""
    return None
