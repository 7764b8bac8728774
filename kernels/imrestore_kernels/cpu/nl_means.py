"""Non-local means, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from imrestore_kernels.cpu._masked_similarity import Weights, masked_means
from imrestore_kernels.cpu._similarity import Patch, Sums
from imrestore_kernels.cpu._similarity_rows import LOG2_E, as_volumes, means

Array = np.ndarray[Any, Any]


def nl_means(
    src: Array,
    dst: Array,
    sigma: float,
    h: float,
    patches: tuple[Array, ...],
    distances: tuple[int, ...],
    mode: int,
    cval: float | int,
    where: Array | None = None,
    pad_counts: bool = True,
) -> None:
    """Mean of the samples whose patches look alike; the contract is in ``kernels/README.md``."""
    shape, reach = as_volumes(src.shape, distances)
    patch_z, patch_y, patch_x = (np.ones(1),) * (3 - len(patches)) + patches
    slack = 2 * LOG2_E * (sigma / h) * (sigma / h)
    if where is not None:
        weights = Weights((patch_z, patch_y, patch_x), reach, LOG2_E, h, slack, True, np.zeros(sum(2 * r + 1 for r in reach)))
        masked_means(src, dst, shape, weights, mode, cval, where, pad_counts)
        return
    down, down_scale = _sums(patch_y)
    along, along_scale = _sums(patch_x)
    channels = shape[-1]
    patch = Patch(patch_z.size, down, along, channels)
    norm = LOG2_E / (channels * down_scale * along_scale)
    spatial = np.full(sum(2 * r + 1 for r in reach), slack / 3)
    means(src, dst, shape, patch, np.repeat(patch_z, channels), reach, h, norm, spatial, mode, cval)


def _sums(weights: Array) -> tuple[Sums, float]:
    """How a patch is summed along one axis, and what the result is too large by."""
    if np.ptp(weights) == 0:
        return Sums(weights.size), float(weights.size)
    return Sums(weights.size, tuple(weights.tolist())), 1.0
