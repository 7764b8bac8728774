"""Non-local means, on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from imrestore_kernels.cpu._masked_similarity import Weights, masked_means
from imrestore_kernels.cpu._similarity_rows import LOG2_E, as_volumes, means
from imrestore_kernels.cpu._similarity_tile import Patch
from imrestore_kernels.cpu._window_sums import Sums
from imrestore_kernels.similarity import strength


def nl_means(
    src: Any,
    dst: Any,
    sigma: float,
    h: float,
    patches: Sequence[np.ndarray[Any, Any]],
    distances: Sequence[int],
    mode: int,
    cval: Any,
    where: Any = None,
    pad_counts: bool = True,
) -> None:
    """Mean of the samples whose patches look alike; the contract is in ``kernels/README.md``."""
    shape, reach = as_volumes(src.shape, distances)
    patch_z, patch_y, patch_x = (np.ones(1),) * (3 - len(patches)) + tuple(patches)
    single, h = strength(src.dtype, sigma, h)
    slack = 2 * LOG2_E * (sigma / h) * (sigma / h)
    if where is not None:
        weights = Weights((patch_z, patch_y, patch_x), reach, LOG2_E, h, slack, True, np.zeros(sum(2 * r + 1 for r in reach)))
        masked_means(src, dst, shape, weights, mode, cval, where, pad_counts)
        return
    down, down_factor = Sums.of(patch_y)
    along, along_factor = Sums.of(patch_x)
    channels = shape[-1]
    patch = Patch(patch_z.size, down, along, channels)
    norm = LOG2_E * down_factor * along_factor / channels
    spatial = np.full(sum(2 * r + 1 for r in reach), slack / 3)
    compute = np.dtype(np.float32 if single else np.float64)
    means(src, dst, shape, patch, np.repeat(patch_z, channels), reach, h, norm, spatial, mode, cval, compute)
