"""Gaussian (or any separable, normalised) weighting, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from imrestore_kernels.cpu._plan import RowPlan
from imrestore_kernels.cpu._rounding import round_to
from imrestore_kernels.cpu._separable import masked_sums

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
    _gaussian_any(src, dst, weights, mode, cval, where, pad_counts)


def _gaussian_any(
    src: Array, dst: Array, weights: tuple[Array, ...], mode: int, cval: float | int, where: Array | None, pad: bool
) -> None:
    total, valid = masked_sums(src, weights, mode, cval, where, pad)
    if valid is not None:
        with np.errstate(invalid="ignore", divide="ignore"):
            total = np.where(valid > 0, total / valid, np.nan)
    round_to(total, dst)


def plan(shape: tuple[int, ...], dtype: np.dtype[Any], weights: tuple[Array, ...], mode: int, cval: float | int) -> RowPlan | None:
    """The fused kernel for two filtered axes, or None where there is none."""
    return None
