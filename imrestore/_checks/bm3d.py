"""Checks of BM3D: its profiles, the noise it is told of, and who wants to hear of its progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from imrestore_kernels.bm3d_profiles import MOST_WINDOW, PROFILES, SIDE, TRANSFORMS, HardThreshold, Profile, Wiener

from imrestore._checks.values import integer, is_masked_array, is_sequence, not_negative, one_of, positive, shown, whole_numbers

GROUPS = (8, 16, 32)
_SIGMA = "None or a finite number >= 0 in the image's units"
_SIGMAS = f"{_SIGMA}, one for each channel, or an array of the image's shape"


def profile(value: object) -> Profile:
    """One of PROFILES by name, or a Profile with parameters in their range."""
    if isinstance(value, Profile):
        _hard(value.hard)
        _wiener("profile.wiener", value.wiener)
        if value.refine is not None:
            _wiener("profile.refine", value.refine)
        return value
    if not isinstance(value, str):
        names = ", ".join(map(repr, PROFILES))
        raise TypeError(f"profile is {shown(value)} of type {type(value).__name__}; it must be {names} or a BM3DProfile")
    return PROFILES[one_of("profile", value, tuple(PROFILES))]


def _hard(stage: object) -> None:
    if not isinstance(stage, HardThreshold):
        raise TypeError(f"profile.hard is of type {type(stage).__name__}; it must be a HardThreshold")
    _common("profile.hard", stage)
    not_negative("profile.hard.threshold", stage.threshold, "a finite number >= 0, in standard deviations of the noise")


def _wiener(name: str, stage: object) -> None:
    if not isinstance(stage, Wiener):
        raise TypeError(f"{name} is of type {type(stage).__name__}; it must be {'None or ' * (name != 'profile.wiener')}a Wiener")
    _common(name, stage)
    positive(f"{name}.noise", stage.noise, "a finite number > 0, a factor of the noise's variance")
    positive(f"{name}.adaptive", stage.adaptive, "a finite number > 0, a factor of the noise's variance")
    not_negative(f"{name}.excess", stage.excess, "a finite number >= 0, a factor of the noise's energy")
    if not_negative(f"{name}.share", stage.share, "a number from 0 to 1") > 1:
        raise ValueError(f"{name}.share is {shown(stage.share)}; it must be a number from 0 to 1")


def _common(name: str, stage: HardThreshold | Wiener) -> None:
    one_of(f"{name}.transform", stage.transform, TRANSFORMS)
    whole_numbers(f"{name}.step", stage.step, 1, 1, SIDE)
    (window,) = whole_numbers(f"{name}.window", stage.window, 1, 1, MOST_WINDOW)
    if window % 2 == 0:
        raise ValueError(f"{name}.window is {window}; it must be odd")
    (group,) = whole_numbers(f"{name}.group", stage.group, 1, GROUPS[0], GROUPS[-1])
    if group not in GROUPS:
        raise ValueError(f"{name}.group is {group}; it must be 8, 16 or 32")
    not_negative(f"{name}.match", stage.match, "a finite number >= 0, in variances of the noise")
    positive(f"{name}.colour", stage.colour, "a finite number > 0, a factor of the noise's variance")
    number = not_negative(f"{name}.beta", stage.beta, "a finite number from 0 to 20")
    if number > 20:
        raise ValueError(f"{name}.beta is {shown(number)}; it must be a finite number from 0 to 20")


def stages(value: object) -> int:
    """1 or 2."""
    number = integer("stages", value, "1 or 2")
    if number not in (1, 2):
        raise ValueError(f"stages is {shown(value)}; it must be 1 or 2")
    return number


def channel_sigmas(value: object, channels: int, channel_axis: object) -> tuple[float, ...]:
    """One standard deviation for each channel, from as many or one for all."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if not is_sequence(value):
        return (not_negative("sigma", value, _SIGMAS),) * channels
    items: tuple[object, ...] = tuple(value)  # type: ignore[arg-type]
    if channel_axis is None:
        raise ValueError(f"sigma is {shown(value)}; it must be one number where channel_axis is None")
    if len(items) != channels:
        raise ValueError(f"sigma has {len(items)} values, {shown(value)}; it must have one for each of the {channels} channels")
    return tuple(not_negative("sigma", item, _SIGMAS) for item in items)


def sigma_map_shape(shape: tuple[int, ...], image: tuple[int, ...], channel: int | None) -> bool:
    """Whether a map of standard deviations has channels; it has the image's shape, or all of it but the channels."""
    if shape == image:
        return channel is not None
    if channel is not None and shape == image[:channel] + image[channel + 1 :]:
        return False
    besides = "" if channel is None else ", or that without channel_axis"
    raise ValueError(f"sigma has the shape {shape}; as a map it must have image's, {image}{besides}")


def sigma_map_values(lowest: float, highest: float) -> None:
    """A map of standard deviations, from its least and its largest value."""
    if not (lowest >= 0 and highest < np.inf):
        raise ValueError(f"sigma has values from {lowest} to {highest}; all must be finite and >= 0")


def spectrum(name: str, value: object) -> tuple[np.ndarray[Any, np.dtype[np.float64]], float]:
    """A kernel or a power spectral density in parts of its largest value, and that: two axes, finite, not all zero."""
    optional = "" if name == "psf" else "None or "
    if is_masked_array(value):
        raise TypeError(f"{name} is a numpy.ma.MaskedArray; it must be {optional}a plain array of two axes")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):
        raise TypeError(f"{name} is {shown(value)}; it must be {optional}an array of two axes") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {array.dtype}; it must be {optional}an array of real numbers")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name} has the shape {array.shape}; it must have two axes")
    numbers = array.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} contains NaN or infinity; all its values must be finite")
    if not numbers.any():
        white = ", and be None for white noise" if optional else ""
        raise ValueError(f"{name} is zero everywhere; it must have other values{white}")
    if name == "psd" and numbers.min() < 0:
        raise ValueError(f"psd has a value of {numbers.min()}; all must be >= 0")
    largest = float(abs(numbers).max())
    with np.errstate(under="ignore"):
        return numbers / largest, largest


def point_spread(value: object) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The image of a point, which is not dark."""
    parts, largest = spectrum("psf", value)
    whole = parts * largest
    total = float(parts.sum())
    if abs(total) < 1e-9 * float(abs(parts).sum()) or not np.isfinite(total * largest):
        raise ValueError(f"psf adds up to {total * largest}; it must add up to a finite number that is not 0, most often 1")
    return whole


def deconvolution_method(value: object) -> str:
    """The only one so far."""
    if not isinstance(value, str):
        raise TypeError(f"method is {shown(value)} of type {type(value).__name__}; it must be 'bm3d'")
    if value != "bm3d":
        raise ValueError(f"method is {shown(value)}; it must be 'bm3d'")
    return value


def deconvolution_mode(value: object) -> str:
    """What the blur found beyond the image."""
    return one_of("mode", value, ("reflect", "wrap"))


def two_axes(count: int, axes: object) -> None:
    """A picture has two axes."""
    if count != 2:
        name = "image" if axes is None else "axes"
        raise ValueError(f"{name} has {count} axis to filter; there must be two (use axes= to choose them)")


def noise_level(name: str, level: float) -> float:
    """The standard deviation that a kernel or a power spectral density gives."""
    if not 0 < level < np.inf:
        raise ValueError(f"{name} gives noise of a standard deviation of {level}; it must be finite and > 0")
    return level


def one_spectrum(psd: object, kernel: object) -> None:
    """Not both of the two ways to describe correlated noise."""
    if psd is not None and kernel is not None:
        raise ValueError("psd and kernel are both given; one of the two must be None")


def callback(value: Any) -> Callable[[float], object] | None:
    """Something that can be called with a number, or None."""
    if value is not None and not callable(value):
        raise TypeError(f"callback is {shown(value)} of type {type(value).__name__}; it must be None or a function of one number")
    heard: Callable[[float], object] | None = value
    return heard
