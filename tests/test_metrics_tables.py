"""The named protocols on the images of the published tables; skipped where those images are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imrestore.metrics import psnr, ssim
from tests.photographs import FOLDER


def folder(name: str) -> Path:
    if not (FOLDER / name).is_dir():
        pytest.skip(f"no images in {FOLDER / name}")
    return FOLDER / name


@pytest.mark.parametrize(("sigma", "decibels"), [(15, 24.61), (25, 20.17), (50, 14.15)])
def test_noise_on_set12(sigma: int, decibels: float) -> None:
    """The noise is float, neither clipped nor rounded, and so it is compared."""
    rng = np.random.default_rng(0)
    values = []
    for path in sorted(folder("Set12").glob("*.png")):
        clean = np.asarray(Image.open(path))
        noisy = clean + rng.normal(0, sigma, clean.shape)
        values.append(psnr(noisy, clean, data_range=255))
        assert psnr(noisy / 255, clean / 255, data_range=1) == pytest.approx(values[-1], rel=1e-12)
        assert psnr(noisy, clean, data_range=255, protocol="gray") > values[-1]  # clipping takes away noise
    assert len(values) == 12
    assert round(float(np.mean(values)), 2) == decibels


def enlarged(image: np.ndarray, scale: int) -> np.ndarray:
    """Bicubic with a = -0.5, mirrored at the border, rounded once: MATLAB's imresize but for its rounding between the axes."""
    values = image.astype(float)
    for axis in (0, 1):
        n = image.shape[axis]
        at = (np.arange(n * scale) + 0.5) / scale - 0.5
        total = 0.0
        for tap in range(-1, 3):
            index = np.floor(at).astype(int) + tap
            x = abs(at - index)
            weight = np.where(x <= 1, 1.5 * x**3 - 2.5 * x**2 + 1, np.where(x < 2, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2, 0))
            index = np.where(index < 0, -1 - index, index)
            index = np.where(index >= n, 2 * n - 1 - index, index)
            total = total + values.take(index, axis) * np.expand_dims(weight, tuple(range(1, image.ndim - axis)))
        values = total
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def pictures(name: str, scale: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Enlarged and original pictures, the latter cut to a multiple of the scale."""
    for path in sorted(folder(name).glob("*.bmp")):
        small = folder(name) / "LR_bicubic" / f"X{scale}" / f"{path.stem.removesuffix('_GT')}x{scale}.png"
        original, low = Image.open(path), Image.open(small)
        mode = "L" if original.mode == "L" else "RGB"
        image = enlarged(np.asarray(low.convert(mode)), scale)
        yield image, np.asarray(original.convert(mode))[: image.shape[0], : image.shape[1]]


@pytest.mark.parametrize(
    ("name", "scale", "decibels", "similarity"),
    [
        ("Set5", 2, 33.64, 0.9293),
        ("Set5", 3, 30.39, 0.8678),
        ("Set5", 4, 28.42, 0.8102),
        ("Set14", 2, 30.22, 0.8684),
        ("Set14", 3, 27.53, 0.7738),
        ("Set14", 4, 25.99, 0.7024),
    ],
)
def test_bicubic_super_resolution(name: str, scale: int, decibels: float, similarity: float) -> None:
    """One picture of Set14 is grey: it is compared as it is."""
    scores = []
    for image, original in pictures(name, scale):
        options = {"protocol": "y-sr", "crop": scale, "channel_axis": -1 if image.ndim == 3 else None}
        scores.append((psnr(image, original, **options), ssim(image, original, **options)))
    assert len(scores) == int(name[3:])
    means = np.mean(scores, axis=0)
    assert (round(float(means[0]), 2), round(float(means[1]), 4)) == (decibels, similarity)
