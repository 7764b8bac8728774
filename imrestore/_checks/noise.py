"""Checks of noise estimation and of variance stabilisation."""

from __future__ import annotations

from imrestore._checks.images import axis_of_channels
from imrestore._checks.values import finite, not_negative, one_of, positive, shown


def method(value: object, methods: tuple[str, ...]) -> str:
    """The name of a method."""
    return one_of("method", value, methods)


def measured_axes(channel_axis: object, ndim: int) -> int | None:
    """The axis of the channels, or None, of an image with one to three axes beside it."""
    channel = axis_of_channels(channel_axis, ndim)
    if not 1 <= ndim - (channel is not None) <= 3:
        raise ValueError(f"image has {ndim} axes with channel_axis={shown(channel_axis)}; it must have 1 to 3 beside the channels")
    return channel


def parameters(gain: object, read_noise: object, offset: object) -> tuple[float, float, float]:
    """Gain > 0, read noise >= 0 and offset, all finite."""
    factor = positive("gain", gain, "a finite number > 0, in image units for each count")
    spread = not_negative("read_noise", read_noise, "a finite number >= 0, in image units")
    if spread > 1e6 * factor:
        raise ValueError(f"read_noise is {shown(read_noise)}; it may be at most 1e6 times gain, {shown(gain)}")
    return factor, spread, image_offset(offset)


def image_offset(value: object) -> float:
    """The image's value where there is no light."""
    return finite("offset", value, "a finite number, in image units")
