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
    scaled = np.clip(noisy, 0, 1) * WHITE[dtype]
    image = np.rint(scaled).astype(dtype) if np.dtype(dtype).kind == "u" else scaled.astype(dtype)
    image.setflags(write=False)
    return image
