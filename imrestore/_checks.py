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
NAN_POLICIES = ("propagate", "omit", "raise")


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


def window_size(value: object, axes: int, name: str = "size") -> tuple[int, ...]:
    """Whole numbers from 1 to MAX_SIDE, one per filtered axis."""
    allowed = f"a whole number from 1 to {MAX_SIDE}"
    sides = tuple(_integer(name, item, allowed) for item in _per_axis(name, value, axes, allowed))
    for side in sides:
        if not 1 <= side <= MAX_SIDE:
            raise ValueError(f"{name} is {_shown(value)}; it must be {allowed}, or one for each filtered axis")
    if math.prod(sides) > MAX_SAMPLES:
        raise ValueError(f"{name} is {_shown(value)}; the window may hold at most {MAX_SAMPLES} samples")
    return sides


def gaussian_radii(
    sigma: object, truncate: object, radius: object, axes: int
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Standard deviations and radii per filtered axis."""
    allowed = "a finite number >= 0 in pixels"
    sigmas = tuple(_real("sigma", item, allowed) for item in _per_axis("sigma", sigma, axes, allowed))
    if not all(math.isfinite(s) and s >= 0 for s in sigmas):
        raise ValueError(f"sigma is {_shown(sigma)}; it must be {allowed}, or one for each filtered axis")
    reach = _real("truncate", truncate, "a finite number > 0, in standard deviations")
    if not (math.isfinite(reach) and reach > 0):
        raise ValueError(f"truncate is {_shown(truncate)}; it must be a finite number > 0, in standard deviations")
    limit = MAX_SIDE // 2
    if radius is not None:
        allowed = f"None or a whole number from 0 to {limit}"
        radii = tuple(_integer("radius", item, allowed) for item in _per_axis("radius", radius, axes, allowed))
        if not all(0 <= r <= limit for r in radii):
            raise ValueError(f"radius is {_shown(radius)}; it must be {allowed}, or one for each filtered axis")
        return sigmas, radii
    if max(sigmas) * reach + 0.5 >= limit + 1:
        raise ValueError(
            f"sigma is {_shown(sigma)} and truncate {_shown(truncate)}: "
            f"int(truncate * sigma + 0.5) may be at most {limit}"
        )
    return sigmas, tuple(int(reach * s + 0.5) for s in sigmas)


def border_mode(value: object) -> int:
    """Number of a border mode."""
    allowed = ", ".join(repr(name) for name in MODES)
    if not isinstance(value, str):
        raise TypeError(f"mode is {_shown(value)} of type {type(value).__name__}; it must be one of {allowed}")
    if value not in MODES:
        raise ValueError(f"mode is {_shown(value)}; it must be one of {allowed}")
    return MODES[value]


def constant_value(value: object, mode: int, dtype: np.dtype[Any]) -> float | int:
    """Value outside the image in constant mode: a real number the image's dtype can hold."""
    if isinstance(value, bool | np.bool_) and dtype.kind == "b":
        return int(value)
    number = _real("cval", value, "a real number")
    if mode != CONSTANT:
        return 0
    if dtype.kind == "f":
        if math.isfinite(number) and abs(number) > float(np.finfo(dtype).max):
            raise ValueError(f"cval is {_shown(value)}; it must fit the image's dtype {dtype}")
        return float(dtype.type(number))
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if not math.isfinite(number) or number != math.floor(number) or not low <= int(value) <= high:  # type: ignore[call-overload]
        raise ValueError(f"cval is {_shown(value)}; it must be a whole number from {low} to {high} for dtype {dtype}")
    return int(value)  # type: ignore[call-overload, no-any-return]


def nan_policy(value: object) -> str:
    """One of NAN_POLICIES."""
    allowed = "'propagate', 'omit' or 'raise'"
    if not isinstance(value, str):
        raise TypeError(f"nan_policy is {_shown(value)} of type {type(value).__name__}; it must be {allowed}")
    if value not in NAN_POLICIES:
        raise ValueError(f"nan_policy is {_shown(value)}; it must be {allowed}")
    return value


def filtered_axes(axes: object, channel_axis: object, ndim: int) -> tuple[int, ...]:
    """Axes the window extends over, in the order the caller gave them."""
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
    if not 1 <= len(chosen) <= 4:
        name = "image" if axes is None else "axes"
        raise ValueError(
            f"{name} has {len(chosen)} axes to filter; there must be 1 to 4 (use axes= to choose them)"
        )
    return chosen


def image_dtype(dtype: np.dtype[Any], kinds: str) -> np.dtype[Any]:
    """The image's dtype in native byte order, if the filter can work on it."""
    if (dtype.kind in kinds and dtype.kind != "f") or (dtype.kind == "f" and dtype.itemsize in (2, 4, 8)):
        return dtype.newbyteorder("=")
    names = ("bool, " if "b" in kinds else "") + "int8 to int64, uint8 to uint64, float16, float32 or float64"
    advice = "; convert it first, for example with image.astype(numpy.float32)"
    if dtype.kind == "c":
        advice = "; filter image.real and image.imag apart"
    elif dtype.kind == "b":
        advice = "; convert it first, for example with image.astype(numpy.uint8)"
    raise TypeError(f"image has dtype {dtype}; it must be {names}{advice}")


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
