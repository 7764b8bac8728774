"""Bilateral filter, on the CPU: the similarity program with patches of one pixel and weights that also fall off with distance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from imrestore_kernels.cpu._masked_similarity import Weights, masked_means
from imrestore_kernels.cpu._similarity_rows import LOG2_E, as_volumes, compute_type, means
from imrestore_kernels.cpu._similarity_tile import Patch
from imrestore_kernels.cpu._window_sums import Sums

#: Of sigma_space: the squares of distances in units of it are finite.
_LEAST_SIGMA = 1e-140


def bilateral(
    src: Any,
    dst: Any,
    sigma_color: float,
    sigma_space: Sequence[float],
    radii: Sequence[int],
    mode: int,
    cval: Any,
    where: Any = None,
    pad_counts: bool = True,
) -> None:
    """Mean of the samples that are near and of like value; the contract is in ``kernels/README.md``."""
    shape, reach = as_volumes(src.shape, radii)
    sigmas = (1.0,) * (3 - len(sigma_space)) + tuple(sigma_space)
    # Next to the least sigma here nothing but the nearest samples counts, and squares are still finite.
    with np.errstate(under="ignore"):
        falls = [
            -0.5 * LOG2_E * (np.arange(-r, r + 1) / max(s, _LEAST_SIGMA)) ** 2 for s, r in zip(sigmas, reach, strict=True)
        ]
    spatial = np.concatenate(falls)
    one = np.ones(1)
    if where is not None:
        weights = Weights((one, one, one), reach, 0.5 * LOG2_E, sigma_color, 0.0, False, spatial)
        masked_means(src, dst, shape, weights, mode, cval, where, pad_counts)
        return
    channels = shape[-1]
    patch = Patch(1, Sums((1,)), Sums((1,)), channels)
    compute = compute_type(src.dtype)
    means(src, dst, shape, patch, np.ones(channels), reach, sigma_color, 0.5 * LOG2_E, spatial, mode, cval, compute)
