"""Pictures for the tests of BM3D, and the quickest way to filter them."""

from __future__ import annotations

from typing import Any

import numpy as np

import imrestore

SHAPE = (30, 37)


def noisy(shape: tuple[int, ...] = SHAPE, dtype: str = "float64", seed: int = 0, sigma: float = 10.0) -> np.ndarray:
    """A step and a wave in each channel, and noise: 0 to 127."""
    rng = np.random.default_rng([seed, *shape])
    y, x = np.indices(shape[:2])
    clean = 50 + 15 * np.sin(x / 3) + np.where(2 * y > x, 20, 0)
    clean = clean.reshape(*shape[:2], *[1] * (len(shape) - 2))
    image = np.clip(clean + rng.normal(0, sigma, shape), 0, 127)
    return image.astype(dtype)


def fast(image: Any, *sigma: Any, **keywords: Any) -> Any:
    """The quickest profile: what is tested holds for all of them."""
    return imrestore.bm3d(image, *sigma, **{"profile": "fast"} | keywords)


def whole_numbers(rng: np.random.Generator, shape: tuple[int, ...], most: int, period: int = 0) -> np.ndarray:
    """0 to ``most``; repeated after ``period`` rows and columns, if that is given."""
    drawn = rng.integers(0, most + 1, (period or shape[0], period or shape[1], *shape[2:])).astype(np.float64)
    return drawn[np.arange(shape[0]) % len(drawn)][:, np.arange(shape[1]) % drawn.shape[1]]
