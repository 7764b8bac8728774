"""Every check of a parameter and every error message, in one place.

A message starts with the argument's name, says what it was and what it may be. Types that cannot be meant raise
``TypeError``, values out of range ``ValueError``.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from imrestore_kernels.borders import CONSTANT, MODES

#: A window's side and its number of samples: sums of 32-bit integers then fit 63 bits.
MAX_SIDE = 32767
MAX_SAMPLES = 2**31 - 1
#: Non-local means: a patch's side and how far a pixel looks; the time grows with the square of the latter. The bilateral
#: filter looks as far at most.
MAX_PATCH = 64
MAX_REACH = 1024
#: Guided filter: a block is filtered with its whole halo, and every window solves equations for the channels of the guide.
MAX_GUIDED_RADIUS = 1023
MAX_GUIDED_SAMPLES = 2**24
MAX_GUIDE_CHANNELS = 4
#: Windows of the structural similarity: a block of a GPU keeps the sums of so many rows.
MAX_SSIM_SIDE = 101
NAN_POLICIES = ("propagate", "omit", "raise")
PATCH_WEIGHTS = ("tapered", "uniform", "gaussian")
PROTOCOLS = ("gray", "rgb", "y-sr")


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # whole numbers of thousands of digits
        text = f"a {type(value).__name__} too long to print"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_sequence(value: object) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 1
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _integer(name: str, value: object, allowed: str) -> int:
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {_shown(value)}; it must be {allowed}")
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(
            f"{name} is {_shown(value)} of type {type(value).__name__}; it must be {allowed}"
        ) from None


def _real(name: str, value: object, allowed: str) -> float:
    plain = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not plain:
        raise TypeError(f"{name} is {_shown(value)} of type {type(value).__name__}; it must be {allowed}")
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        raise ValueError(f"{name} is {_shown(value)}; it must be {allowed}") from None


def _per_axis(name: str, value: object, axes: int, allowed: str) -> tuple[object, ...]:
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if not _is_sequence(value):
        return (value,) * axes
    items: tuple[object, ...] = tuple(value)  # type: ignore[arg-type]
    if len(items) != axes:
        raise ValueError(
            f"{name} has {len(items)} values, {_shown(value)}; "
            f"it must be {allowed}, or one for each of the {axes} filtered axes"
        )
    return items


def whole_numbers(name: str, value: object, axes: int, low: int, high: int) -> tuple[int, ...]:
    """Whole numbers from ``low`` to ``high``, one per filtered axis."""
    allowed = f"a whole number from {low} to {high}"
    numbers = tuple(_integer(name, item, allowed) for item in _per_axis(name, value, axes, allowed))
    if not all(low <= number <= high for number in numbers):
        raise ValueError(f"{name} is {_shown(value)}; it must be {allowed}, or one for each filtered axis")
    return numbers


def window_size(value: object, axes: int, name: str = "size") -> tuple[int, ...]:
    """Whole numbers from 1 to MAX_SIDE, one per filtered axis."""
    sides = whole_numbers(name, value, axes, 1, MAX_SIDE)
    if math.prod(sides) > MAX_SAMPLES:
        raise ValueError(f"{name} is {_shown(value)}; the window may hold at most {MAX_SAMPLES} samples")
    return sides


def gaussian_radii(
    sigma: object, truncate: object, radius: object, axes: int, name: str = "sigma", limit: int = MAX_SIDE // 2
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Standard deviations, which the caller's argument ``name`` gives, and radii up to ``limit`` per filtered axis."""
    allowed = "a finite number >= 0 in pixels"
    sigmas = tuple(_real(name, item, allowed) for item in _per_axis(name, sigma, axes, allowed))
    if not all(math.isfinite(s) and s >= 0 for s in sigmas):
        raise ValueError(f"{name} is {_shown(sigma)}; it must be {allowed}, or one for each filtered axis")
    reach = _real("truncate", truncate, "a finite number > 0, in standard deviations")
    if not (math.isfinite(reach) and reach > 0):
        raise ValueError(f"truncate is {_shown(truncate)}; it must be a finite number > 0, in standard deviations")
    if radius is not None:
        allowed = f"None or a whole number from 0 to {limit}"
        radii = tuple(_integer("radius", item, allowed) for item in _per_axis("radius", radius, axes, allowed))
        if not all(0 <= r <= limit for r in radii):
            raise ValueError(f"radius is {_shown(radius)}; it must be {allowed}, or one for each filtered axis")
        return sigmas, radii
    if max(sigmas) * reach + 0.5 >= limit + 1:
        raise ValueError(
            f"{name} is {_shown(sigma)} and truncate {_shown(truncate)}: "
            f"int(truncate * {name} + 0.5) may be at most {limit}"
        )
    return sigmas, tuple(int(reach * s + 0.5) for s in sigmas)


def bilateral_radii(
    sigma_space: object, truncate: object, radius: object, axes: int
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Spatial standard deviations and radii per filtered axis: no radius where there is no deviation."""
    sigmas, radii = gaussian_radii(sigma_space, truncate, radius, axes, "sigma_space", MAX_REACH)
    return sigmas, tuple(r if s > 0 else 0 for s, r in zip(sigmas, radii, strict=True))


def strength(name: str, value: object, *, optional: bool = False) -> float:
    """A finite number above zero in the image's units; ``optional`` is said where the argument may be None."""
    allowed = ("None or " if optional else "") + "a finite number > 0 in the image's units"
    number = _real(name, value, allowed)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{name} is {_shown(value)}; it must be {allowed}")
    return number


def noise_sigma(value: object) -> float:
    """Standard deviation of noise in the image's units."""
    allowed = "None or a finite number >= 0 in the image's units"
    number = _real("sigma", value, allowed)
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"sigma is {_shown(value)}; it must be {allowed}")
    return number


def patch_sizes(value: object, axes: int) -> tuple[int, ...]:
    """Sides of a patch per filtered axis."""
    return whole_numbers("patch_size", value, axes, 1, MAX_PATCH)


def patch_distances(value: object, axes: int) -> tuple[int, ...]:
    """How far a pixel looks for patches like its own, per filtered axis."""
    return whole_numbers("patch_distance", value, axes, 0, MAX_REACH)


def patch_weights(value: object) -> str:
    """One of PATCH_WEIGHTS."""
    allowed = "'tapered', 'uniform' or 'gaussian'"
    if not isinstance(value, str):
        raise TypeError(f"patch_weights is {_shown(value)} of type {type(value).__name__}; it must be {allowed}")
    if value not in PATCH_WEIGHTS:
        raise ValueError(f"patch_weights is {_shown(value)}; it must be {allowed}")
    return value


def guided_radii(radius: object, axes: int) -> tuple[int, ...]:
    """Radii of the guided filter per filtered axis."""
    radii = whole_numbers("radius", radius, axes, 0, MAX_GUIDED_RADIUS)
    if math.prod(2 * r + 1 for r in radii) > MAX_GUIDED_SAMPLES:
        raise ValueError(f"radius is {_shown(radius)}; the window may hold at most {MAX_GUIDED_SAMPLES} samples")
    return radii


def guided_eps(value: object) -> float:
    """The variance below which the guided filter smooths."""
    allowed = "a finite number > 0, in squared units of the guide"
    eps = _real("eps", value, allowed)
    if not (math.isfinite(eps) and eps > 0):
        raise ValueError(f"eps is {_shown(value)}; it must be {allowed}")
    return eps


def guide_channel(
    guide: tuple[int, ...], image: tuple[int, ...], image_channel: int | None, channel_axis: object
) -> int | None:
    """Axis of the guide's channels, from the shapes of both; None for a grey guide."""
    more = len(guide) - len(image)
    if abs(more) > 1:
        raise ValueError(f"guide has {len(guide)} axes and image {len(image)}; they may differ by an axis of channels only")
    if more and channel_axis is None:
        raise ValueError(
            f"guide has {len(guide)} axes and image {len(image)}; channel_axis must name the axis that one of them has more"
        )
    channel = image_channel if more == 0 else None
    if more == 1:
        allowed = f"a whole number from {-len(guide)} to {len(guide) - 1}"
        channel = _integer("channel_axis", channel_axis, allowed)
        if not -len(guide) <= channel < len(guide):
            raise ValueError(f"channel_axis is {_shown(channel_axis)}; for a guide with {len(guide)} axes it must be {allowed}")
        channel %= len(guide)
    if without_axis(guide, channel) != without_axis(image, image_channel):
        besides = "" if channel is None and image_channel is None else " but for channels"
        raise ValueError(f"guide has the shape {guide}; it must have image's{besides}, {image}")
    return channel


def without_axis(shape: tuple[int, ...], axis: int | None) -> tuple[int, ...]:
    """A shape without its channels."""
    return shape if axis is None else (*shape[:axis], *shape[axis + 1 :])


def guide_channels(name: str, channels: int) -> None:
    """The guide, or the image that guides itself, has few enough channels."""
    if not 1 <= channels <= MAX_GUIDE_CHANNELS:
        raise ValueError(f"{name} has {channels} channels; as a guide it may have 1 to {MAX_GUIDE_CHANNELS}")


def border_mode(value: object) -> int:
    """Number of a border mode."""
    allowed = ", ".join(repr(name) for name in MODES)
    if not isinstance(value, str):
        raise TypeError(f"mode is {_shown(value)} of type {type(value).__name__}; it must be one of {allowed}")
    if value not in MODES:
        raise ValueError(f"mode is {_shown(value)}; it must be one of {allowed}")
    return MODES[value]


def constant_value(value: object, mode: int, dtype: np.dtype[Any], whose: str = "image") -> float | int:
    """Value outside the image in constant mode: a real number the dtype of the image, or of its guide, can hold."""
    if isinstance(value, bool | np.bool_) and dtype.kind == "b":
        return int(value)
    number = _real("cval", value, "a real number")
    if mode != CONSTANT:
        return 0
    if dtype.kind == "f":
        if math.isfinite(number) and abs(number) > float(np.finfo(dtype).max):
            raise ValueError(f"cval is {_shown(value)}; it must fit the {whose}'s dtype {dtype}")
        return float(dtype.type(number))
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if not math.isfinite(number) or number != math.floor(number) or not low <= int(value) <= high:  # type: ignore[call-overload]
        raise ValueError(f"cval is {_shown(value)}; it must be a whole number from {low} to {high} for the {whose}'s dtype {dtype}")
    return int(value)  # type: ignore[call-overload, no-any-return]


def nan_policy(value: object) -> str:
    """One of NAN_POLICIES."""
    allowed = "'propagate', 'omit' or 'raise'"
    if not isinstance(value, str):
        raise TypeError(f"nan_policy is {_shown(value)} of type {type(value).__name__}; it must be {allowed}")
    if value not in NAN_POLICIES:
        raise ValueError(f"nan_policy is {_shown(value)}; it must be {allowed}")
    return value


def filtered_axes(axes: object, channel_axis: object, ndim: int, most: int = 4) -> tuple[int, ...]:
    """Axes the window extends over, ``most`` at most, in the order the caller gave them."""
    allowed = f"a whole number from {-ndim} to {ndim - 1}"

    def one(name: str, value: object) -> int:
        axis = _integer(name, value, allowed)
        if not -ndim <= axis < ndim:
            raise ValueError(f"{name} is {_shown(value)}; for an image with {ndim} axes it must be {allowed}")
        return axis % ndim

    channel = None if channel_axis is None else one("channel_axis", channel_axis)
    if axes is None:
        chosen = tuple(a for a in range(ndim) if a != channel)
    elif _is_sequence(axes):
        chosen = tuple(one("axes", a) for a in axes)  # type: ignore[attr-defined]
    else:
        chosen = (one("axes", axes),)
    if len(set(chosen)) != len(chosen):
        raise ValueError(f"axes is {_shown(axes)}; every axis may be named once")
    if channel is not None and channel in chosen:
        raise ValueError(f"axes is {_shown(axes)}; it must not contain channel_axis, {_shown(channel_axis)}")
    if not 1 <= len(chosen) <= most:
        name = "image" if axes is None else "axes"
        raise ValueError(
            f"{name} has {len(chosen)} axes to filter; there must be 1 to {most} (use axes= to choose them)"
        )
    return chosen


def image_shape(shape: tuple[int, ...], name: str = "image") -> None:
    """At least one axis, and at least one pixel along every axis."""
    if not shape:
        raise ValueError(f"{name} has no axes; it must have at least one")
    if 0 in shape:
        raise ValueError(f"{name} has the shape {tuple(shape)}; every axis must have at least one pixel")


def image_dtype(dtype: np.dtype[Any], kinds: str, name: str = "image") -> np.dtype[Any]:
    """The image's dtype in native byte order, if the filter can work on it."""
    if (dtype.kind in kinds and dtype.kind != "f") or (dtype.kind == "f" and dtype.itemsize in (2, 4, 8)):
        return dtype.newbyteorder("=")
    names = ("bool, " if "b" in kinds else "") + "int8 to int64, uint8 to uint64, float16, float32 or float64"
    advice = f"; convert it first, for example with {name}.astype(numpy.float32)"
    if dtype.kind == "c":
        advice = f"; filter {name}.real and {name}.imag apart"
    elif dtype.kind == "b":
        advice = f"; convert it first, for example with {name}.astype(numpy.uint8)"
    raise TypeError(f"{name} has dtype {dtype}; it must be {names}{advice}")


def rank_and_percentile(rank: object, percentile: object, samples: int, masked: bool) -> tuple[int, float]:
    """Rank among all samples and the percentile that stands for it where samples are missing."""
    if rank is not None and percentile is not None:
        raise ValueError(
            f"rank is {_shown(rank)} and percentile {_shown(percentile)}; only one of the two may be given"
        )
    if rank is not None:
        allowed = f"a whole number from {-samples} to {samples - 1} for a window of {samples} samples"
        number = _integer("rank", rank, allowed)
        if not -samples <= number < samples:
            raise ValueError(f"rank is {_shown(rank)}; it must be {allowed}")
        if masked:
            raise ValueError(
                f"rank is {_shown(rank)}; with where= or nan_policy='omit' windows hold different numbers of samples: "
                "it must be None, use percentile="
            )
        return number % samples, 50.0
    if percentile is None:
        return samples // 2, 50.0
    allowed = "a number from -100 to 100 (a negative one counts from the top)"
    percent = _real("percentile", percentile, allowed)
    if not -100 <= percent <= 100:
        raise ValueError(f"percentile is {_shown(percentile)}; it must be {allowed}")
    percent = percent + 100.0 if percent < 0 else percent
    return min(int(samples * percent / 100.0), samples - 1), percent


def window_footprint(footprint: object, axes: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Boolean window with at least one true cell."""
    if isinstance(footprint, np.ma.MaskedArray):
        raise TypeError(
            "footprint is a numpy.ma.MaskedArray; it must be an array of booleans, as footprint.filled(False)"
        )
    try:
        cells = np.asarray(footprint)
    except (ValueError, TypeError):
        raise TypeError(f"footprint is {_shown(footprint)}; it must be an array of booleans") from None
    if cells.dtype.kind not in "biuf":
        raise TypeError(f"footprint has dtype {cells.dtype}; it must be an array of booleans")
    if cells.ndim != axes:
        raise ValueError(f"footprint has {cells.ndim} axes; it must have one for each of the {axes} filtered axes")
    if cells.dtype.kind == "f" and not np.isfinite(cells).all():
        raise ValueError("footprint contains NaN or infinity; it must be an array of booleans")
    if max(cells.shape) > MAX_SIDE:
        raise ValueError(f"footprint has the shape {cells.shape}; no side may be longer than {MAX_SIDE}")
    cells = cells.astype(bool)
    if not cells.any():
        raise ValueError(f"footprint has the shape {cells.shape} and no true cell; it must have at least one")
    return cells


def thread_count(value: object, name: str = "n") -> int:
    """A number of threads."""
    allowed = "a whole number from 1 to 1024"
    number = _integer(name, value, allowed)
    if not 1 <= number <= 1024:
        raise ValueError(f"{name} is {_shown(value)}; it must be {allowed}")
    return number


def noise_method(value: object, methods: tuple[str, ...]) -> str:
    """The name of a method."""
    allowed = ", ".join(repr(name) for name in methods[:-1]) + f" or {methods[-1]!r}"
    if not isinstance(value, str):
        raise TypeError(f"method is {_shown(value)} of type {type(value).__name__}; it must be {allowed}")
    if value not in methods:
        raise ValueError(f"method is {_shown(value)}; it must be {allowed}")
    return value


def measured_axes(channel_axis: object, ndim: int) -> int | None:
    """The axis of the channels, or None, of an image with one to three axes beside it."""
    allowed = f"None or a whole number from {-ndim} to {ndim - 1}"
    axis = None if channel_axis is None else _integer("channel_axis", channel_axis, allowed)
    if axis is not None and not -ndim <= axis < ndim:
        raise ValueError(f"channel_axis is {_shown(channel_axis)}; for an image with {ndim} axes it must be {allowed}")
    if not 1 <= ndim - (axis is not None) <= 3:
        raise ValueError(
            f"image has {ndim} axes with channel_axis={_shown(channel_axis)}; it must have 1 to 3 beside the channels"
        )
    return None if axis is None else axis % ndim


def noise_parameters(gain: object, read_noise: object, offset: object) -> tuple[float, float, float]:
    """Gain > 0, read noise >= 0 and offset, all finite."""
    allowed = "a finite number > 0, in image units for each count"
    factor = _real("gain", gain, allowed)
    if not (math.isfinite(factor) and factor > 0):
        raise ValueError(f"gain is {_shown(gain)}; it must be {allowed}")
    allowed = "a finite number >= 0, in image units"
    spread = _real("read_noise", read_noise, allowed)
    if not (math.isfinite(spread) and spread >= 0):
        raise ValueError(f"read_noise is {_shown(read_noise)}; it must be {allowed}")
    if spread > 1e6 * factor:
        raise ValueError(f"read_noise is {_shown(read_noise)}; it may be at most 1e6 times gain, {_shown(gain)}")
    return factor, spread, image_offset(offset)


def image_offset(value: object) -> float:
    """The image's value where there is no light."""
    allowed = "a finite number, in image units"
    number = _real("offset", value, allowed)
    if not math.isfinite(number):
        raise ValueError(f"offset is {_shown(value)}; it must be {allowed}")
    return number


def metric_kind(is_dask: bool) -> None:
    """Metrics are numbers now."""
    if is_dask:
        raise TypeError("image is a dask array and a metric is a number now; it must be an array in memory, as image.compute()")


def pair_shape(image: tuple[int, ...], reference: tuple[int, ...]) -> None:
    """Two images that can be compared."""
    image_shape(image)
    if reference != image:
        raise ValueError(f"reference has the shape {reference}; it must have image's, {image}")


def metric_channel(channel_axis: object, ndim: int) -> int | None:
    """The axis of the channels, or None."""
    allowed = f"None or a whole number from {-ndim} to {ndim - 1}"
    axis = None if channel_axis is None else _integer("channel_axis", channel_axis, allowed)
    if axis is not None and not -ndim <= axis < ndim:
        raise ValueError(f"channel_axis is {_shown(channel_axis)}; for an image with {ndim} axes it must be {allowed}")
    return None if axis is None else axis % ndim


def protocol(value: object, channels: int | None) -> str | None:
    """One of PROTOCOLS, or None, that suits an image with this number of channels (None: no axis of channels)."""
    if value is None:
        return None
    allowed = "None, " + ", ".join(repr(name) for name in PROTOCOLS[:-1]) + f" or {PROTOCOLS[-1]!r}"
    if not isinstance(value, str):
        raise TypeError(f"protocol is {_shown(value)} of type {type(value).__name__}; it must be {allowed}")
    if value not in PROTOCOLS:
        raise ValueError(f"protocol is {_shown(value)}; it must be {allowed}")
    if value == "gray" and channels is not None:
        raise ValueError("protocol is 'gray' and channel_axis is given; it must be 'rgb' or 'y-sr' for colours")
    if value == "rgb" and channels is None:
        raise ValueError("protocol is 'rgb' and channel_axis is None; it must name the axis of the colours")
    if channels not in (None, 3):
        raise ValueError(f"protocol is {_shown(value)} and the image has {channels} channels; they must be 3, red, green and blue")
    return value


def metric_crop(value: object, lengths: Sequence[int], convention: str | None) -> int:
    """Pixels left out at every border of axes of these lengths."""
    allowed = "a whole number >= 0"
    border = _integer("crop", value, allowed)
    if border < 0:
        raise ValueError(f"crop is {_shown(value)}; it must be {allowed}")
    if convention in ("gray", "rgb") and border:
        raise ValueError(f"crop is {_shown(value)}; it must be 0 for protocol {convention!r}")
    if convention == "y-sr" and not border:
        raise ValueError("crop is 0; it must be the scale of the super-resolution for protocol 'y-sr'")
    if lengths and 2 * border >= min(lengths):
        raise ValueError(f"crop is {_shown(value)}; twice that must be less than the shortest axis, {min(lengths)} pixels")
    return border


def data_range(value: object, dtypes: Sequence[np.dtype[Any]]) -> float:
    """Distance of the smallest and the largest value of two images of these dtypes."""
    allowed = "a finite number > 0 in the images' units"
    dtype = dtypes[0]
    if value is None:
        if dtypes[1] == dtype and dtype.kind in "iu" and dtype.itemsize <= 2:
            return float(2 ** (8 * dtype.itemsize) - 1)
        which = str(dtype) if dtypes[1] == dtype else f"{dtype} and {dtypes[1]}"
        raise ValueError(f"data_range is None; for images of dtype {which} it must be {allowed}, for example 1.0 or 255")
    number = _real("data_range", value, allowed)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"data_range is {_shown(value)}; it must be {allowed}")
    return number


def levels(value: object, dtypes: Sequence[np.dtype[Any]]) -> list[float | None]:
    """What each image of these dtypes writes level 255 as; None for uint8, which holds levels."""
    allowed = "a finite number > 0, the value that stands for level 255"
    number = None if value is None else _real("data_range", value, allowed)
    if number is not None and not (math.isfinite(number) and number > 0):
        raise ValueError(f"data_range is {_shown(value)}; it must be {allowed}")
    scaled = [dtype for dtype in dtypes if dtype != np.uint8]
    if not scaled and number not in (None, 255.0):
        raise ValueError(f"data_range is {_shown(value)}; for images of dtype uint8 it must be None or 255 under a protocol")
    if number is None and any(dtype != np.uint16 for dtype in scaled):
        raise ValueError(f"data_range is None; for an image of dtype {scaled[0]} it must be {allowed}, for example 1.0 or 255")
    return [None if dtype == np.uint8 else 65535.0 if number is None else number for dtype in dtypes]


def no_nan(name: str, found: bool) -> None:
    """An image without NaN."""
    if found:
        raise ValueError(f"{name} contains NaN and nan_policy is 'raise'; it must be 'propagate' or 'omit' to go on")


def ssim_window(size: object, sigma: object) -> tuple[int, float]:
    """Side and standard deviation of the window."""
    allowed = f"an odd whole number from 1 to {MAX_SSIM_SIDE}"
    side = _integer("size", size, allowed)
    if not (1 <= side <= MAX_SSIM_SIDE and side % 2):
        raise ValueError(f"size is {_shown(size)}; it must be {allowed}")
    allowed = "a finite number > 0 in pixels"
    number = _real("sigma", sigma, allowed)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"sigma is {_shown(sigma)}; it must be {allowed}")
    return side, number


def ssim_constants(k1: object, k2: object) -> tuple[float, float]:
    """Squares of the constants."""
    allowed = "a finite number > 0"
    squares = []
    for name, value in (("k1", k1), ("k2", k2)):
        number = _real(name, value, allowed)
        if not (math.isfinite(number) and number > 0):
            raise ValueError(f"{name} is {_shown(value)}; it must be {allowed}")
        squares.append(number * number)
    return squares[0], squares[1]


def ssim_weights(value: object) -> tuple[float, ...]:
    """Exponents of the scales."""
    allowed = "a sequence of 1 to 16 finite numbers >= 0"
    if not _is_sequence(value):
        raise TypeError(f"weights is {_shown(value)} of type {type(value).__name__}; it must be {allowed}")
    numbers = tuple(_real("weights", item, allowed) for item in value)  # type: ignore[attr-defined]
    if not (1 <= len(numbers) <= 16 and all(math.isfinite(n) and n >= 0 for n in numbers)):
        raise ValueError(f"weights is {_shown(value)}; it must be {allowed}")
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


def flag(name: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {_shown(value)} of type {type(value).__name__}; it must be True or False")
    return bool(value)
