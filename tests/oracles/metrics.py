"""PSNR and structural similarity as they are defined: whole windows in long doubles, errors in fractions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def mse(image: np.ndarray, reference: np.ndarray) -> float:
    """Exact but for the last rounding; for finite floats as well."""
    exact = Fraction if image.dtype.kind == "f" else int
    pairs = zip(image.ravel().tolist(), reference.ravel().tolist(), strict=True)
    return float(Fraction(sum((exact(a) - exact(b)) ** 2 for a, b in pairs)) / image.size)


def psnr(image: np.ndarray, reference: np.ndarray, data_range: float) -> float:
    error = mse(image, reference)
    return math.inf if error == 0 else float(10 * np.log10(np.longdouble(data_range) ** 2 / error))


def similarity(
    image: np.ndarray,
    reference: np.ndarray,
    data_range: float,
    sigma: float = 1.5,
    size: int = 11,
    k1: float = 0.01,
    k2: float = 0.03,
    luminance: bool = True,
) -> np.ndarray:
    """Of every window that lies wholly inside; all axes are pixels. Variances are means of squared deviations."""
    x = np.arange(size) - size // 2
    taps = np.exp(-(np.longdouble(1) * x**2) / (2 * np.longdouble(sigma) ** 2))
    weights = np.ones((), np.longdouble)
    for _ in range(image.ndim):
        weights = np.multiply.outer(weights, taps / taps.sum())
    over = tuple(range(image.ndim, 2 * image.ndim))
    a, b = (sliding_window_view(array.astype(np.longdouble), (size,) * image.ndim) for array in (image, reference))
    mean_a, mean_b = ((weights * w).sum(axis=over, keepdims=True) for w in (a, b))
    variances = (weights * ((a - mean_a) ** 2 + (b - mean_b) ** 2)).sum(axis=over)
    covariance = (weights * (a - mean_a) * (b - mean_b)).sum(axis=over)
    c1, c2 = (np.longdouble(k * data_range) ** 2 for k in (k1, k2))
    contrast = (2 * covariance + c2) / (variances + c2)
    if not luminance:
        return contrast
    mean_a, mean_b = mean_a.reshape(contrast.shape), mean_b.reshape(contrast.shape)
    return contrast * (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)


def ms_ssim(
    image: np.ndarray, reference: np.ndarray, data_range: float, weights: Sequence[float] = WEIGHTS, **window: float
) -> float:
    """Of an image without channels."""
    product = 1.0
    for scale, exponent in enumerate(weights, start=1):
        coarsest = scale == len(weights)
        mean = similarity(image, reference, data_range, **window, luminance=coarsest).mean()
        product *= max(float(mean), 0.0) ** exponent
        image, reference = halved(image), halved(reference)
    return product


def halved(image: np.ndarray) -> np.ndarray:
    """Means of blocks of two pixels a side; blocks at an odd end are what is left of them."""
    result = image.astype(np.longdouble)
    for axis, n in enumerate(image.shape):
        starts = np.arange(0, n, 2)
        of = [1] * image.ndim
        of[axis] = len(starts)
        result = np.add.reduceat(result, starts, axis) / np.diff(starts, append=n).reshape(of)
    return result
