"""Pairs of images that metrics are tested with."""

from __future__ import annotations

from typing import Any

import numpy as np

# Sums of a few thousand float64 roundings of values that the constants keep away from 0.
CLOSE = 1e-12


def pair(shape: tuple[int, ...], dtype: Any = "uint8", seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A picture with edges, and the same with noise; from 0 to 100."""
    rng = np.random.default_rng(seed)
    clean = np.full(shape, 30.0)
    clean[..., shape[-1] // 3 :] += 40
    clean[shape[0] // 2 :] *= 0.7
    noisy = np.clip(clean + rng.normal(0, 12, shape), 0, 100)
    return noisy.astype(dtype), clean.astype(dtype)
