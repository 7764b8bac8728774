"""Resampling as a product with two matrices, from the formulas: MATLAB's imresize, and areas that pixels cover."""

from __future__ import annotations

import numpy as np

METHODS = {"nearest": 0, "bilinear": 1, "bicubic": 2, "lanczos3": 3, "area": 4, "lanczos2": 5}
_PAD = {0: "symmetric", 1: "reflect", 2: "edge", 3: "wrap"}


def _kernel(method: int, slope: float, t: np.ndarray) -> np.ndarray:
    t = np.abs(t)
    if method == 1:
        return np.maximum(1 - t, 0)
    if method == 2:
        near = (slope + 2) * t**3 - (slope + 3) * t**2 + 1
        far = slope * (t**3 - 5 * t**2 + 8 * t - 4)
        return np.where(t <= 1, near, np.where(t < 2, far, 0.0))
    lobes = 3 if method == 3 else 2
    return np.where(t < lobes, np.sinc(t) * np.sinc(t / lobes), 0.0)


def _dense(n: int, out: int, scale: float, method: int, slope: float, smooth: bool, pad: int) -> np.ndarray:
    """Weights (out, pad + n + pad) of samples that go on outside."""
    samples = np.arange(-pad, n + pad)[None, :]
    x = np.arange(out)[:, None]
    if method == 0:
        return (samples == np.floor(x / scale + 1e-9)).astype(np.float64)
    if method == 4:
        covered = np.minimum(samples + 1, (x + 1) / scale) - np.maximum(samples, x / scale)
        weights = np.maximum(covered, 0)
    else:
        stretch = 1 / scale if smooth and scale < 1 else 1.0
        weights = _kernel(method, slope, (samples - ((x + 0.5) / scale - 0.5)) / stretch)
    return weights / weights.sum(axis=1, keepdims=True)


def matrix(n: int, out: int, scale: float, method: int, slope: float, smooth: bool, mode: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (out, n) of the samples, and of the constant (out,)."""
    pad = int(6 / min(scale, 1)) + abs(int(out / scale) - n) + 8
    weights = _dense(n, out, scale, method, slope, smooth, pad)
    if mode == 4:
        return weights[:, pad : pad + n], weights.sum(axis=1) - weights[:, pad : pad + n].sum(axis=1)
    folded = np.zeros((out, n))
    # numpy.pad reflects no single sample
    source = np.zeros(1 + 2 * pad, np.int64) if n == 1 else np.pad(np.arange(n), pad, _PAD[mode])
    for column, i in enumerate(source):
        folded[:, i] += weights[:, column]
    return folded, np.zeros(out)


def resample(
    image: np.ndarray, out: tuple[int, int], scales: tuple[float, float], kind: tuple[int, float, bool, int], cval: float
) -> np.ndarray:
    """An image (channels, height, width) at another size, in float64; ``kind`` is what `matrix` takes from ``method`` on."""
    rows, outside_y = matrix(image.shape[1], out[0], scales[0], *kind)
    columns, outside_x = matrix(image.shape[2], out[1], scales[1], *kind)
    wide = image.astype(np.float64)
    down = np.einsum("yi,cix->cyx", rows, wide) + outside_y[None, :, None] * cval
    return np.einsum("xj,cyj->cyx", columns, down) + outside_x[None, None, :] * cval
