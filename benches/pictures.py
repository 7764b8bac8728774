"""The picture all suites filter: a photograph with noise, since some filters (OpenCV's median among them) are faster on
flat areas than on real ones."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: The largest value of a pixel in each dtype that is timed.
WHITE = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}
NOISE = 0.04  # standard deviation, of white: ISO 1600 or so

#: The sensor of raw pictures: image units a count, standard deviation of its read noise, value without light, counts of white.
GAIN, READ_NOISE, OFFSET, LIGHT = 2.0, 10.0, 100.0, 1000.0


def clean(height: int, width: int) -> NDArray[np.float64]:
    """scikit-image's cameraman, mirrored into every direction until it fills the frame; white is 1."""
    from skimage import data

    camera = data.camera() / 255.0
    missing = [(0, max(0, n - m)) for n, m in zip((height, width), camera.shape, strict=True)]
    whole: NDArray[np.float64] = np.pad(camera, missing, mode="symmetric")[:height, :width]
    return whole


@cache
def picture(dtype: str, height: int, width: int | None = None) -> NDArray[Any]:
    """The clean picture with Gaussian noise."""
    whole = clean(height, height if width is None else width)
    noisy = whole + np.random.default_rng(20261121).normal(0, NOISE, whole.shape)
    return stored(np.clip(noisy, 0, 1) * WHITE[dtype], dtype)


@cache
def reference(dtype: str, side: int) -> NDArray[Any]:
    """The clean picture as it is stored: what the noisy one is compared with."""
    return stored(clean(side, side) * WHITE[dtype], dtype)


def raw_mean(side: int) -> NDArray[np.float64]:
    """What the sensor reads on average where the clean picture is its light."""
    return OFFSET + GAIN * LIGHT * clean(side, side)


@cache
def raw(dtype: str, side: int) -> NDArray[Any]:
    """What the sensor reads once: counted light and read noise, nothing clipped."""
    rng = np.random.default_rng(20261121)
    return stored(OFFSET + GAIN * rng.poisson(LIGHT * clean(side, side)) + rng.normal(0, READ_NOISE, (side, side)), dtype)


def stored(values: NDArray[np.float64], dtype: str) -> NDArray[Any]:
    """Rounded to whole numbers where the dtype has no others, and read-only, since all suites share it."""
    image = np.rint(values).astype(dtype) if np.dtype(dtype).kind == "u" else values.astype(dtype)
    image.setflags(write=False)
    return image
