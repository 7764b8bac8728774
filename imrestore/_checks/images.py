"""Checks of an image: its shape, dtype and axes, what lies beyond its borders, and NaN."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from imrestore_kernels import forks

from imrestore._checks.values import integer, is_sequence, one_of, real, shown

NAN_POLICIES = ("propagate", "omit", "raise")


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


def axis_number(name: str, value: object, ndim: int, *, optional: bool = False, of: str = "an image") -> int:
    """An axis, counted from the first; ``optional`` is said where the argument may be None."""
    allowed = ("None or " if optional else "") + f"a whole number from {-ndim} to {ndim - 1}"
    axis = integer(name, value, allowed)
    if not -ndim <= axis < ndim:
        raise ValueError(f"{name} is {shown(value)}; for {of} with {ndim} axes it must be {allowed}")
    return axis % ndim


def axis_of_channels(channel_axis: object, ndim: int) -> int | None:
    """The axis of the channels, or None."""
    return None if channel_axis is None else axis_number("channel_axis", channel_axis, ndim, optional=True)


def filtered_axes(axes: object, channel_axis: object, ndim: int, most: int = 4) -> tuple[int, ...]:
    """Axes the window extends over, ``most`` at most, in the order the caller gave them."""
    channel = axis_of_channels(channel_axis, ndim)
    if axes is None:
        chosen = tuple(a for a in range(ndim) if a != channel)
    elif is_sequence(axes):
        chosen = tuple(axis_number("axes", a, ndim) for a in axes)  # type: ignore[attr-defined]
    else:
        chosen = (axis_number("axes", axes, ndim),)
    if len(set(chosen)) != len(chosen):
        raise ValueError(f"axes is {shown(axes)}; every axis may be named once")
    if channel is not None and channel in chosen:
        raise ValueError(f"axes is {shown(axes)}; it must not contain channel_axis, {shown(channel_axis)}")
    if not 1 <= len(chosen) <= most:
        name = "image" if axes is None else "axes"
        raise ValueError(f"{name} has {len(chosen)} axes to filter; there must be 1 to {most} (use axes= to choose them)")
    return chosen


def border_mode(value: object) -> int:
    """Number of a border mode."""
    with forks.importing:
        from imrestore_kernels.borders import MODES  # loaded with the first image, not with imrestore: saves 0.3 ms of 4

    return MODES[one_of("mode", value, tuple(MODES))]


def constant_value(value: object, mode: int, dtype: np.dtype[Any], whose: str = "image") -> float | int:
    """Value outside the image in constant mode: a real number the dtype of the image, or of its guide, can hold."""
    with forks.importing:
        from imrestore_kernels.borders import CONSTANT

    if isinstance(value, bool | np.bool_) and dtype.kind == "b":
        return int(value)
    number = real("cval", value, "a real number")
    if mode != CONSTANT:
        return 0
    if dtype.kind == "f":
        if math.isfinite(number) and abs(number) > float(np.finfo(dtype).max):
            raise ValueError(f"cval is {shown(value)}; it must fit the {whose}'s dtype {dtype}")
        return float(dtype.type(number))
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if not math.isfinite(number) or number != math.floor(number) or not low <= int(value) <= high:  # type: ignore[call-overload]
        raise ValueError(f"cval is {shown(value)}; it must be a whole number from {low} to {high} for the {whose}'s dtype {dtype}")
    return int(value)  # type: ignore[call-overload, no-any-return]


def nan_policy(value: object) -> str:
    """One of NAN_POLICIES."""
    return one_of("nan_policy", value, NAN_POLICIES)


def no_nan(name: str, found: bool) -> None:
    """An image without NaN."""
    if found:
        raise ValueError(f"{name} contains NaN and nan_policy is 'raise'; it must be 'propagate' or 'omit' to go on")
