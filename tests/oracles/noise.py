"""Slow definitions of the noise estimators: patch by patch, in float64, with SciPy's transforms."""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy import fft, special, stats


def patches(image: np.ndarray, side: int) -> list[np.ndarray]:
    """Every patch that is not of one value."""
    starts = itertools.product(*(range(n - side + 1) for n in image.shape))
    found = (image[tuple(slice(s, s + side) for s in start)] for start in starts)
    return [patch.astype(np.float64) for patch in found if patch.min() < patch.max()]


def sigma_by_patches(image: np.ndarray, side: int, share: int = 20, each: int = 20) -> float:
    """Chen, Zhu and Heng's eigenvalues over the fine frequencies of the patches with the least coarse energy."""
    order = np.indices((side,) * image.ndim).sum(axis=0)
    fine = 2 * order > image.ndim * (side - 1)
    spectra = [fft.dctn(patch, norm="ortho") for patch in patches(image, side)]
    spectra.sort(key=lambda spectrum: (spectrum[~fine & (order > 0)] ** 2).sum())
    count = min(len(spectra), max(each * fine.sum(), len(spectra) // share))
    covariance = sum(np.outer(s[fine], s[fine]) for s in spectra[:count]) / count
    kept = sorted(np.linalg.svd(covariance, compute_uv=False))
    while np.mean(kept) > (1 + fine.sum() / count) * np.median(kept):
        kept.pop()
    return math.sqrt(np.mean(kept))


def sigma_by_wavelet(image: np.ndarray) -> float:
    """Donoho and Johnstone's median of the diagonal details that lie wholly inside the image."""
    low = np.array([1 + math.sqrt(3), 3 + math.sqrt(3), 3 - math.sqrt(3), 1 - math.sqrt(3)]) / (4 * math.sqrt(2))
    high = low[::-1] * [1, -1, 1, -1]
    detail = image.astype(np.float64)
    for axis in range(image.ndim):
        lines = np.apply_along_axis(np.correlate, axis, detail, high, "valid")
        detail = lines.take(range(0, lines.shape[axis], 2), axis)
    return float(np.median(np.abs(detail)) / stats.norm.ppf(0.75))


def mean_of_transform(signal: float, read_noise: float) -> float:
    """Mean of Anscombe's transform of a Poisson signal with Gaussian noise, by summing over all probabilities."""
    reach = 12 * math.sqrt(signal + 1)
    counts = np.arange(max(0, int(signal - reach)), int(signal + reach) + 30)
    centre = counts + 3 / 8 + read_noise**2
    if read_noise == 0:
        roots = np.sqrt(centre)
    else:
        # E sqrt(max(X, 0)) for X normal, in closed form: a parabolic cylinder function.
        t = centre / read_noise
        near = t < 30
        bounded = np.where(near, t, 0.0)
        cylinder = np.exp(-(bounded**2) / 4) * special.pbdv(-1.5, -bounded)[0]
        exact = math.sqrt(read_noise) * math.gamma(1.5) / math.sqrt(2 * math.pi) * cylinder
        series = np.sqrt(centre) * (1 - 1 / (8 * t**2) - 15 / (128 * t**4) - 315 / (1024 * t**6))
        roots = np.where(near, exact, series)
    return float(2 * (stats.poisson.pmf(counts, signal) * roots).sum())
