"""Median and other ranks, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from imrestore_kernels.cpu._plan import RowPlan
from imrestore_kernels.cpu._rank_select import rank_select

Array = np.ndarray[Any, Any]


def median(
    src: Array,
    dst: Array,
    size: tuple[int, ...],
    footprint: Array | None,
    rank: int,
    percentile: float,
    mode: int,
    cval: float | int,
    where: Array | None = None,
    pad_counts: bool = True,
) -> None:
    """Element of a given rank of every window; the contract is in ``kernels/README.md``."""
    cells = np.ones(size, bool) if footprint is None else footprint
    rank_select(src, dst, cells, rank, percentile, mode, cval, where, pad_counts)


def plan(shape: tuple[int, ...], dtype: np.dtype[Any], size: tuple[int, ...], rank: int, mode: int, cval: float | int) -> RowPlan | None:
    """The fused kernel for two filtered axes, or None where there is none."""
    return None
