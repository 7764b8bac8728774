"""Checks of the metrics: of two images that are compared, of the protocol, and of the windows of the structural similarity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from imrestore._checks.images import image_shape
from imrestore._checks.values import integer, is_sequence, one_of, positive, real, shown

#: Windows of the structural similarity: a block of a GPU keeps the sums of so many rows.
MAX_SSIM_SIDE = 101
PROTOCOLS = ("gray", "rgb", "y-sr")


def not_lazy(is_dask: bool) -> None:
    """Metrics are numbers now."""
    if is_dask:
        raise TypeError("image is a dask array and a metric is a number now; it must be an array in memory, as image.compute()")


def pair_shape(image: tuple[int, ...], reference: tuple[int, ...]) -> None:
    """Two images that can be compared."""
    image_shape(image)
    if reference != image:
        raise ValueError(f"reference has the shape {reference}; it must have image's, {image}")


def protocol(value: object, channels: int | None) -> str | None:
    """One of PROTOCOLS, or None, that suits an image with this number of channels (None: no axis of channels)."""
    if value is None:
        return None
    convention = one_of("protocol", value, PROTOCOLS, optional=True)
    if convention == "gray" and channels is not None:
        raise ValueError("protocol is 'gray' and channel_axis is given; it must be 'rgb' or 'y-sr' for colours")
    if convention == "rgb" and channels is None:
        raise ValueError("protocol is 'rgb' and channel_axis is None; it must name the axis of the colours")
    if channels not in (None, 3):
        raise ValueError(f"protocol is {shown(value)} and the image has {channels} channels; they must be 3, red, green and blue")
    return convention


def border_crop(value: object, lengths: Sequence[int], convention: str | None) -> int:
    """Pixels left out at every border of axes of these lengths."""
    allowed = "a whole number >= 0"
    border = integer("crop", value, allowed)
    if border < 0:
        raise ValueError(f"crop is {shown(value)}; it must be {allowed}")
    if convention in ("gray", "rgb") and border:
        raise ValueError(f"crop is {shown(value)}; it must be 0 for protocol {convention!r}")
    if convention == "y-sr" and not border:
        raise ValueError("crop is 0; it must be the scale of the super-resolution for protocol 'y-sr'")
    if lengths and 2 * border >= min(lengths):
        raise ValueError(f"crop is {shown(value)}; twice that must be less than the shortest axis, {min(lengths)} pixels")
    return border


def data_range(value: object, dtypes: Sequence[np.dtype[Any]]) -> float:
    """Distance of the smallest and the largest value of two images of these dtypes."""
    allowed = "a finite number > 0 in the images' units"
    dtype = dtypes[0]
    if value is not None:
        return positive("data_range", value, allowed)
    if dtypes[1] == dtype and dtype.kind in "iu" and dtype.itemsize <= 2:
        return float(2 ** (8 * dtype.itemsize) - 1)
    which = str(dtype) if dtypes[1] == dtype else f"{dtype} and {dtypes[1]}"
    raise ValueError(f"data_range is None; for images of dtype {which} it must be {allowed}, for example 1.0 or 255")


def levels(value: object, dtypes: Sequence[np.dtype[Any]]) -> list[float | None]:
    """What each image of these dtypes writes level 255 as; None for uint8, which holds levels."""
    allowed = "a finite number > 0, the value that stands for level 255"
    number = None if value is None else positive("data_range", value, allowed)
    scaled = [dtype for dtype in dtypes if dtype != np.uint8]
    if not scaled and number not in (None, 255.0):
        raise ValueError(f"data_range is {shown(value)}; for images of dtype uint8 it must be None or 255 under a protocol")
    if number is None and any(dtype != np.uint16 for dtype in scaled):
        raise ValueError(f"data_range is None; for an image of dtype {scaled[0]} it must be {allowed}, for example 1.0 or 255")
    return [None if dtype == np.uint8 else 65535.0 if number is None else number for dtype in dtypes]


def ssim_window(size: object, sigma: object) -> tuple[int, float]:
    """Side and standard deviation of the window."""
    allowed = f"an odd whole number from 1 to {MAX_SSIM_SIDE}"
    side = integer("size", size, allowed)
    if not (1 <= side <= MAX_SSIM_SIDE and side % 2):
        raise ValueError(f"size is {shown(size)}; it must be {allowed}")
    return side, positive("sigma", sigma, "a finite number > 0 in pixels")


def ssim_constants(k1: object, k2: object) -> tuple[float, float]:
    """Squares of the constants."""
    first, second = (positive(name, value, "a finite number > 0") for name, value in (("k1", k1), ("k2", k2)))
    return first * first, second * second


def ssim_weights(value: object) -> tuple[float, ...]:
    """Exponents of the scales."""
    allowed = "a sequence of 1 to 16 finite numbers >= 0, one of them > 0"
    if not is_sequence(value):
        raise TypeError(f"weights is {shown(value)} of type {type(value).__name__}; it must be {allowed}")
    numbers = tuple(real("weights", item, allowed) for item in value)  # type: ignore[attr-defined]
    if not (1 <= len(numbers) <= 16 and all(math.isfinite(n) and n >= 0 for n in numbers) and any(numbers)):
        raise ValueError(f"weights is {shown(value)}; it must be {allowed}")
    return numbers


def ssim_shape(lengths: Sequence[int], size: int, scales: int) -> None:
    """Axes that hold a window at every scale."""
    if len(lengths) not in (2, 3):
        raise ValueError(f"image has {len(lengths)} axes beside channel_axis; there must be 2 or 3")
    least = (size - 1) * 2 ** (scales - 1) + 1
    if min(lengths) < least:
        what = f"a window of {size} pixels" + (f" at {scales} scales" if scales > 1 else "")
        raise ValueError(
            f"image has {' x '.join(map(str, lengths))} pixels to compare; for {what} each axis must have at least {least}"
        )
