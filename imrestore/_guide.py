"""The guide of a joint filter: a second image beside the first, checked against it and brought into the same order."""

from __future__ import annotations

from typing import Any

import numpy as np

from imrestore import _checks
from imrestore._dispatch import KernelOrder, Opened, as_array, check_same_kind, namespace, on_device


def image_channel_axis(image: Any, guide: Any, channel_axis: object) -> object:
    """Axis of the image's channels: none where ``channel_axis`` speaks of a guide that has one axis more."""
    return None if guide is not None and _ndim(guide) == _ndim(image) + 1 else channel_axis


def open_guide(opened: Opened, guide: Any, channel_axis: object, nan_policy: object) -> Opened:
    """The image with its guide, and with the samples that take part in both; None stands for the image itself."""
    xp = namespace(opened.on_cuda)
    if guide is None:
        channels = 1 if opened.channel is None else opened.array.shape[opened.channel]
        _checks.guide_channels("image", channels)
        if opened.channel is None or opened.where is None:
            return opened
        with on_device(opened.given, opened.kind, opened.device):
            whole = opened.where.min(axis=opened.channel, keepdims=True)
            return opened._replace(where=xp.ascontiguousarray(xp.broadcast_to(whole, opened.array.shape)))
    check_same_kind("guide", guide, opened.given, opened.kind, opened.device)
    array = as_array(guide, opened.kind, opened.device, "guide")
    dtype = _checks.image_dtype(np.dtype(array.dtype), "iuf", "guide")
    shape = tuple(array.shape)
    channel = _checks.guide_channel(shape, tuple(opened.array.shape), opened.channel, channel_axis)
    _checks.guide_channels("guide", 1 if channel is None else shape[channel])
    axes = tuple(_of_guide(axis, opened.channel, channel) for axis in opened.axes)
    with on_device(opened.given, opened.kind, opened.device):
        where = opened.where
        if dtype.kind == "f" and nan_policy != "propagate":
            where = _without_nan(xp, array, opened, channel, nan_policy)
        order = KernelOrder.of_channels(shape, axes, channel)
        return opened._replace(guide=order.arrange(xp, array, dtype), where=where)


def _ndim(value: Any) -> int:
    """Number of axes of anything an array can be made of; -1 where that fails, which is said later and better."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        return len(shape)
    try:
        return np.ndim(value)
    except (ValueError, TypeError):
        return -1


def _of_guide(axis: int, image_channel: int | None, guide_channel: int | None) -> int:
    """The guide's axis that goes with an axis of the image."""
    if image_channel is not None and axis > image_channel:
        axis -= 1
    return axis + 1 if guide_channel is not None and axis >= guide_channel else axis


def _without_nan(xp: Any, guide: Any, opened: Opened, channel: int | None, nan_policy: object) -> Any:
    """The mask without pixels whose guide is NaN in any channel."""
    nan = xp.isnan(guide)
    nan = nan if channel is None else nan.any(axis=channel)
    if opened.channel is not None:
        nan = xp.expand_dims(nan, opened.channel)
    nan = xp.broadcast_to(nan, opened.array.shape)
    if nan_policy == "raise":
        _checks.no_nan("guide", bool((nan if opened.where is None else nan & (opened.where != 0)).any()))
        return opened.where
    valid = (~nan).astype(np.uint8)
    return valid if opened.where is None else valid & opened.where
