"""Gaussian (or any separable, normalised) weighting, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from imrestore_kernels.cpu._gauss_planes import planes_kernel
from imrestore_kernels.cpu._plan import RowPlan, as_planes
from imrestore_kernels.cpu._rounding import round_to
from imrestore_kernels.cpu._separable import masked_sums
from imrestore_kernels.cpu._taps import ROWS, compute_type

Array = np.ndarray[Any, Any]


def gaussian(
    src: Array,
    dst: Array,
    weights: tuple[Array, ...],
    mode: int,
    cval: float | int,
    where: Array | None = None,
    pad_counts: bool = True,
) -> None:
    """Separable weighted mean of the valid samples; the contract is in ``kernels/README.md``."""
    if where is None and len(weights) <= 2:
        if src.dtype == np.float16:
            wide = np.empty(src.shape, np.float32)
            gaussian(src.astype(np.float32), wide, weights, mode, cval)
            with np.errstate(all="ignore"):
                dst[...] = wide
            return
        planned = plan(src.shape, src.dtype, weights, mode, cval)
        if planned is not None:
            planned.run(src, dst)
            return
    _gaussian_any(src, dst, weights, mode, cval, where, pad_counts)


def _gaussian_any(
    src: Array, dst: Array, weights: tuple[Array, ...], mode: int, cval: float | int, where: Array | None, pad: bool
) -> None:
    total, valid = masked_sums(src, weights, mode, cval, where, pad)
    if valid is not None:
        with np.errstate(all="ignore"):
            total = np.where(valid > 0, total / valid, np.nan)
    round_to(total, dst)


def plan(
    shape: tuple[int, ...], dtype: np.dtype[Any], weights: tuple[Array, ...], mode: int, cval: float | int
) -> RowPlan | None:
    """The fused kernel for one or two filtered axes, or None where there is none (64-bit integers, float16)."""
    if len(weights) > 2 or dtype == np.float16 or (dtype.kind != "f" and dtype.itemsize == 8):
        return None
    (outer, height, width, inner), _ = as_planes(shape, tuple(w.size for w in weights))
    if len(weights) == 2:
        down64, along64 = weights
    else:
        down64, along64 = (np.ones(1), weights[0]) if shape[-1] == 1 else (weights[0], np.ones(1))
    compute = compute_type(dtype)
    # Floats are summed at half their size, so that no sum of finite pixels overflows; the last step doubles.
    half = 0.5 if dtype.kind == "f" else 1.0
    with np.errstate(all="ignore"):  # weights far out may underflow to 0
        down, along = (half * down64).astype(compute), along64.astype(compute)
        outside = compute.type(half * down64.sum() * cval)
    rows = outer * height
    cost = (down.size / 2 + along.size) * 0.3 + 4.0
    work = rows * (width * inner * compute.itemsize / 64 + 4) * cost
    near = 0.5 - _rounding_bound(down64, along64, dtype)
    extra = (height, inner, down, along, down64, along64, mode, dtype.type(cval), outside, near)
    return RowPlan(planes_kernel(dtype), extra, rows, width * inner, work, 4 * ROWS)


def _rounding_bound(down: Array, along: Array, dtype: np.dtype[Any]) -> float:
    """How far a float32 sum of an 8-bit image can be from the exact one.

    Each multiply-add rounds a partial sum by at most 2**-24 of it, each weight is rounded by 2**-24 of it, and no partial
    sum is larger than the largest value times the weights so far (Higham 2002, section 3.1).
    """
    if dtype.kind == "f" or dtype.itemsize > 1:
        return 0.0
    largest = 255.0 if dtype.kind == "u" else 128.0
    partial = 0.0
    for weights in (down, along):
        half = weights.size // 2
        ends = np.cumsum(weights[:half]).sum() + np.cumsum(weights[: half : -1]).sum()
        partial += float(ends) + 2.0 + float(weights.sum())  # both chains; their sum and the middle tap; rounded weights
    return 1.01 * largest * 2.0**-24 * partial
