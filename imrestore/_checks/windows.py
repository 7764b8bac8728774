"""Checks of the windows of mean, Gaussian and median filters, and of the rank the median takes from them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from imrestore._checks.values import integer, is_masked_array, per_axis, positive, real, shown, whole_numbers

#: A window's side and its number of samples: sums of 32-bit integers then fit 63 bits.
MAX_SIDE = 32767
MAX_SAMPLES = 2**31 - 1


def window_size(value: object, axes: int, name: str = "size") -> tuple[int, ...]:
    """Whole numbers from 1 to MAX_SIDE, one per filtered axis."""
    sides = whole_numbers(name, value, axes, 1, MAX_SIDE)
    if math.prod(sides) > MAX_SAMPLES:
        raise ValueError(f"{name} is {shown(value)}; the window may hold at most {MAX_SAMPLES} samples")
    return sides


def window_footprint(footprint: object, axes: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Boolean window with at least one true cell."""
    if is_masked_array(footprint):
        raise TypeError("footprint is a numpy.ma.MaskedArray; it must be an array of booleans, as footprint.filled(False)")
    try:
        cells = np.asarray(footprint)
    except (ValueError, TypeError):
        raise TypeError(f"footprint is {shown(footprint)}; it must be an array of booleans") from None
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


def gaussian_radii(
    sigma: object, truncate: object, radius: object, axes: int, name: str = "sigma", limit: int = MAX_SIDE // 2
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Standard deviations, which the caller's argument ``name`` gives, and radii up to ``limit`` per filtered axis."""
    allowed = "a finite number >= 0 in pixels"
    sigmas = tuple(real(name, item, allowed) for item in per_axis(name, sigma, axes, allowed))
    if not all(math.isfinite(s) and s >= 0 for s in sigmas):
        raise ValueError(f"{name} is {shown(sigma)}; it must be {allowed}, or one for each filtered axis")
    reach = positive("truncate", truncate, "a finite number > 0, in standard deviations")
    if radius is not None:
        return sigmas, whole_numbers("radius", radius, axes, 0, limit, optional=True)
    if max(sigmas) * reach + 0.5 >= limit + 1:
        raise ValueError(
            f"{name} is {shown(sigma)} and truncate {shown(truncate)}: int(truncate * {name} + 0.5) may be at most {limit}"
        )
    return sigmas, tuple(int(reach * s + 0.5) for s in sigmas)


def rank_and_percentile(rank: object, percentile: object, samples: int, masked: bool) -> tuple[int, float]:
    """Rank among all samples and the percentile that stands for it where samples are missing."""
    if rank is not None and percentile is not None:
        raise ValueError(f"rank is {shown(rank)} and percentile {shown(percentile)}; only one of the two may be given")
    if rank is not None:
        allowed = f"a whole number from {-samples} to {samples - 1} for a window of {samples} samples"
        number = integer("rank", rank, allowed)
        if not -samples <= number < samples:
            raise ValueError(f"rank is {shown(rank)}; it must be {allowed}")
        if masked:
            raise ValueError(
                f"rank is {shown(rank)}; with where= or nan_policy='omit' windows hold different numbers of samples: "
                "it must be None, use percentile="
            )
        return number % samples, 50.0
    if percentile is None:
        return samples // 2, 50.0
    allowed = "a number from -100 to 100 (a negative one counts from the top)"
    percent = real("percentile", percentile, allowed)
    if not -100 <= percent <= 100:
        raise ValueError(f"percentile is {shown(percentile)}; it must be {allowed}")
    percent = percent + 100.0 if percent < 0 else percent
    return min(int(samples * percent / 100.0), samples - 1), percent
