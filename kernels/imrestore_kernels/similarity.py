"""What the CPU and CUDA kernels of the similarity filters have to decide alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def is_single(dtype: np.dtype[Any]) -> bool:
    """Whether float32 holds every value: such images are compared in it, all others in float64."""
    return dtype.itemsize <= 2 or dtype == np.float32


#: An h below this share of sigma is compared in float64: a weight exp((2 sigma^2 - D) / h^2) is off by the rounding of D.
SHARP = 1 / 16
#: With this share of sigma no rounding of a float64 distance is below h^2: weights are 1 up to 2 sigma^2, and all but 0 beyond.
_SHARPEST = 2.0**-24


def strength(dtype: np.dtype[Any], sigma: float, h: float) -> tuple[bool, float]:
    """Of non-local means: whether to compare in float32, and h, but no smaller than makes a difference: squares are finite."""
    return is_single(dtype) and h >= SHARP * sigma, max(h, _SHARPEST * sigma)


def smaller_box(weights: Sequence[float] | np.ndarray[Any, Any]) -> int:
    """The smaller one of two boxes whose convolution the weights are, up to a factor; 0 if they are none.

    Boxes take two or three additions where weights take five or seven multiplications.
    """
    size = len(weights)
    for first in range(1, (size + 1) // 2 + 1):
        shape = np.convolve(np.ones(first), np.ones(size + 1 - first))
        if np.allclose(np.asarray(weights) * shape.sum(), shape, rtol=1e-12, atol=0):
            return first
    return 0
