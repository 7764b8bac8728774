"""An image and its reference, ready to be compared: checked, brought to one dtype, by the protocol to 8 bits, and cropped."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from imrestore import _checks, _dispatch
from imrestore._checks import metrics as metric_checks

#: BT.601 luma of the studio range, 16 to 235, in thousandths of R, G and B as whole numbers: 65.481, 128.553 and 24.966 for
#: R, G and B from 0 to 1 (MATLAB's rgb2ycbcr).
_LUMA = (65481, 128553, 24966)


class Pair(NamedTuple):
    """Two arrays of NumPy's or CuPy's of one shape and dtype."""

    given: Any
    kind: str
    device: str
    image: Any
    reference: Any
    channel: int | None
    where: Any  # True where samples count, in the images' shape, or None for everywhere
    data_range: float

    @property
    def xp(self) -> Any:
        """Namespace the arrays belong to, NumPy or CuPy."""
        return _dispatch.namespace(self.device != "cpu")

    @property
    def lengths(self) -> list[int]:
        """Pixels along each axis that is not the channels'."""
        return [n for axis, n in enumerate(self.image.shape) if axis != self.channel]

    def planes(self, array: Any) -> Any:
        """``array`` as (channels, depth, height, width) for two or three axes beside the channels, C-contiguous."""
        moved = array[None] if self.channel is None else self.xp.moveaxis(array, self.channel, 0)
        return self.xp.ascontiguousarray(moved[:, None] if moved.ndim == 3 else moved)

    def restored(self, planes: Any) -> Any:
        """An array in the order of `planes` with the images' own axes, as an array of the caller's kind."""
        array = planes[:, 0] if len(self.lengths) == 2 else planes
        array = array[0] if self.channel is None else self.xp.moveaxis(array, 0, self.channel)
        result, target = _dispatch.new_array(self.given, self.kind, self.device, array.shape, array.dtype)
        target[...] = array
        return result


@contextlib.contextmanager
def opened(
    image: Any,
    reference: Any,
    *,
    data_range: object,
    protocol: object,
    crop: object,
    channel_axis: object,
    where: Any = None,
    nan_policy: object = "propagate",
    ranged: bool = True,
) -> Iterator[Pair]:
    """The pair, with its device and stream current for as long as it is used.

    Without ``ranged`` nothing depends on the range and none is asked for.
    """
    kind = _dispatch.library(image)
    metric_checks.not_lazy(kind == _dispatch.DASK)
    device = _dispatch.device_of(image, kind)
    arrays = [_dispatch.as_array(image, kind, device, "image")]
    for name, other in (("reference", reference), ("where", where)):
        _dispatch.check_same_kind(name, other, image, kind, device)
    arrays.append(_dispatch.as_array(reference, _dispatch.library(reference), device, "reference"))
    dtypes = [_checks.image_dtype(np.dtype(a.dtype), "iuf", name) for a, name in zip(arrays, ("image", "reference"), strict=True)]
    shape = tuple(arrays[0].shape)
    metric_checks.pair_shape(shape, tuple(arrays[1].shape))
    channel = _checks.axis_of_channels(channel_axis, len(shape))
    convention = metric_checks.protocol(protocol, None if channel is None else shape[channel])
    border = metric_checks.border_crop(crop, [n for axis, n in enumerate(shape) if axis != channel], convention)
    policy = _checks.nan_policy(nan_policy)
    scales: list[float | None] = [None, None]
    peak = 255.0
    if convention is not None:
        scales = metric_checks.levels(data_range, dtypes)
    elif ranged:
        peak = metric_checks.data_range(data_range, dtypes)
    with _dispatch.on_device(image, kind, device):
        xp = _dispatch.namespace(device != "cpu")
        inner = tuple(slice(None) if axis == channel else slice(border, n - border) for axis, n in enumerate(shape))
        mask = None if where is None else _dispatch.broadcast_where(where, arrays[0], kind, device)[inner]
        arrays = [array[inner] for array in arrays]
        mask = _without_nan(xp, arrays, mask, policy)
        if convention is not None:
            arrays = [_levels(xp, array, scale) for array, scale in zip(arrays, scales, strict=True)]
        if convention == "y-sr" and channel is not None:
            arrays = [_luma(xp, xp.moveaxis(array, channel, 0)) for array in arrays]
            mask, channel = None if mask is None else mask.all(axis=channel), None
        dtype = np.result_type(*(array.dtype for array in arrays)).newbyteorder("=")
        first, second = (_aligned(array.astype(dtype, copy=False)) for array in arrays)
        yield Pair(image, kind, device, first, second, channel, mask, peak)


def _aligned(array: Any) -> Any:
    return array if _dispatch.is_aligned(array) else array.copy()


def _without_nan(xp: Any, arrays: list[Any], mask: Any, policy: str) -> Any:
    """The mask of what counts under ``nan_policy``."""
    if policy == "propagate":
        return mask
    for name, array in zip(("image", "reference"), arrays, strict=True):
        if array.dtype.kind != "f":
            continue
        nan = xp.isnan(array)
        if policy == "raise":
            _checks.no_nan(name, bool((nan if mask is None else nan & mask).any()))
        else:
            mask = ~nan if mask is None else mask & ~nan
    return mask


def _levels(xp: Any, array: Any, scale: float | None) -> Any:
    """The 8-bit levels of an image in which 255 is written as ``scale``: clipped and rounded half to even.

    uint8, or float64 where there are NaNs, which stay.
    """
    if scale is None:
        return array
    with np.errstate(all="ignore"):
        scaled = array.astype(np.float64) * (255.0 / scale)
        levels = xp.clip(xp.rint(scaled), 0.0, 255.0)
    return levels if array.dtype.kind == "f" and bool(xp.isnan(levels).any()) else levels.astype(np.uint8)


def _luma(xp: Any, rgb: Any) -> Any:
    """Luma of 8-bit levels, rounded to whole levels as rgb2ycbcr does with uint8; exact, on every device alike."""
    kind = np.dtype(np.float64 if rgb.dtype.kind == "f" else np.int32)
    thousandths = sum(factor * plane.astype(kind) for factor, plane in zip(_LUMA, rgb, strict=True))
    luma = (thousandths + 127500) // 255000 + 16
    return luma if kind.kind == "f" else luma.astype(np.uint8)
