"""Slow, obvious definitions of the filters, sharing no code with the package.

Borders come from ``np.pad``, windows from ``sliding_window_view``, sums from long doubles and Python integers. Every
function takes the parameters of the public function of its name and returns an `Expected`: the lowest and the highest
value that may stand in each pixel. Where the contract leaves no choice the two are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

PAD_MODES = {
    "reflect": "symmetric",  # scipy's reflect repeats the edge sample, numpy's does not
    "mirror": "reflect",
    "nearest": "edge",
    "wrap": "wrap",
    "constant": "constant",
    "grid-mirror": "symmetric",
    "grid-wrap": "wrap",
    "grid-constant": "constant",
}

# Relative to the (weighted) mean of |x| in the window, the scale of the rounding errors of a sum of x.
RELATIVE = {
    "float16": 1e-6,  # computed in float32 or better; the one rounding to float16 is done to both bounds
    "float32": 1e-6,  # the promise of the kernel contract
    "float64": 1e-14,  # about a hundred float64 roundings
}


@dataclass(frozen=True)
class Expected:
    """The closed range of values each pixel of a right answer may have; NaN where it has to be NaN."""

    low: np.ndarray
    high: np.ndarray
    dtype: np.dtype

    def assert_matches(self, actual: np.ndarray) -> None:
        assert actual.dtype == self.dtype, f"dtype {actual.dtype}, expected {self.dtype}"
        assert actual.shape == self.low.shape, f"shape {actual.shape}, expected {self.low.shape}"
        value = actual if self.low.dtype == actual.dtype else actual.astype(self.low.dtype)
        right = (self.low <= value) & (value <= self.high)
        if self.low.dtype.kind == "f":
            right |= np.isnan(self.low) & np.isnan(value)
        if not right.all():
            first = tuple(int(i) for i in np.argwhere(~right)[0])
            raise AssertionError(
                f"{np.count_nonzero(~right)} of {right.size} pixels are wrong; first at {first}: "
                f"got {actual[first]!r}, expected {self.low[first]!r} to {self.high[first]!r}"
            )


def exactly(value: np.ndarray, dtype: np.dtype) -> Expected:
    return Expected(value, value, dtype)


def mean(
    image: np.ndarray,
    size: int | Sequence[int] = 3,
    *,
    mode: str = "reflect",
    cval: float = 0.0,
    axes: int | Sequence[int] | None = None,
    channel_axis: int | None = None,
    where: np.ndarray | None = None,
    nan_policy: str = "propagate",
) -> Expected:
    filtered = filtered_axes(image.ndim, axes, channel_axis)
    sizes = per_axis(size, len(filtered))
    valid = valid_samples(image, where, nan_policy)
    samples, takes_part = windows(image, valid, filtered, sizes, mode, cval, nan_policy)
    over_window = tuple(range(image.ndim, samples.ndim))
    count = takes_part.sum(axis=over_window)
    if image.dtype.kind in "iu":
        exact = samples.astype(object if image.dtype.itemsize == 8 else np.int64)
        total = np.where(takes_part, exact, 0).sum(axis=over_window)
        return exactly(divide_half_to_even(total, count).astype(image.dtype), image.dtype)
    samples = samples.astype(np.longdouble)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(takes_part, samples, 0).sum(axis=over_window) / count
        scale = np.where(takes_part, abs(samples), 0).sum(axis=over_window) / count
    return float_range(value, scale, image.dtype)


def gaussian(
    image: np.ndarray,
    sigma: float | Sequence[float] = 1.0,
    *,
    truncate: float = 4.0,
    radius: int | Sequence[int] | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
    axes: int | Sequence[int] | None = None,
    channel_axis: int | None = None,
    where: np.ndarray | None = None,
    nan_policy: str = "propagate",
) -> Expected:
    filtered = filtered_axes(image.ndim, axes, channel_axis)
    sigmas = per_axis(sigma, len(filtered))
    radii = [int(truncate * s + 0.5) for s in sigmas] if radius is None else per_axis(radius, len(filtered))
    taps = [gaussian_weights(s, r) for s, r in zip(sigmas, radii, strict=True)]
    valid = valid_samples(image, where, nan_policy)
    sizes = [len(w) for w in taps]
    samples, takes_part = windows(image, valid, filtered, sizes, mode, cval, nan_policy)
    over_window = tuple(range(image.ndim, samples.ndim))
    weights = np.ones((), np.longdouble)
    for w in taps:
        weights = np.multiply.outer(weights, w)
    samples = samples.astype(np.longdouble)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        value = np.where(takes_part, weights * samples, 0).sum(axis=over_window)
        scale = np.where(takes_part, weights * abs(samples), 0).sum(axis=over_window)
        if not takes_part.all():
            total_weight = np.where(takes_part, weights, 0).sum(axis=over_window)
            value, scale = value / total_weight, scale / total_weight
    if image.dtype.kind == "f":
        return float_range(value, scale, image.dtype, roundings=sum(sizes))
    # The promise is the float64 value rounded half to even: next to a tie its own rounding error decides.
    slack = np.maximum(1e-9, scale * 2.0**-53 * (sum(sizes) + 2))
    value = np.where(np.isnan(value), 0, value)  # a window without a valid sample
    slack = np.where(np.isnan(slack), 0, slack)
    low, high = (saturate(np.rint(bound), image.dtype) for bound in (value - slack, value + slack))
    return Expected(low, high, image.dtype)


def median(
    image: np.ndarray,
    size: int | Sequence[int] = 3,
    *,
    footprint: np.ndarray | None = None,
    rank: int | None = None,
    percentile: float | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
    axes: int | Sequence[int] | None = None,
    channel_axis: int | None = None,
    where: np.ndarray | None = None,
    nan_policy: str = "propagate",
) -> Expected:
    filtered = filtered_axes(image.ndim, axes, channel_axis)
    box = np.ones(per_axis(size, len(filtered)), bool) if footprint is None else np.asarray(footprint, bool)
    valid = valid_samples(image, where, nan_policy)
    samples, takes_part = windows(image, valid, filtered, box.shape, mode, cval, nan_policy)
    samples, takes_part = samples[..., box], takes_part[..., box]  # the window is now one flat last axis
    n = np.count_nonzero(box)
    if rank is None and percentile is None:
        rank, share = n // 2, 50.0
    elif rank is None:
        percentile = percentile + 100.0 if percentile < 0 else percentile
        rank, share = min(int(n * percentile / 100.0), n - 1), percentile
    else:
        rank, share = rank % n, None  # a rank of its own makes sense only where no sample is missing
    if takes_part.all():
        value = np.sort(samples, axis=-1)[..., rank]
        if image.dtype.kind == "f":
            value = np.where(np.isnan(samples).any(axis=-1), np.nan, value)
        return exactly(value.astype(image.dtype), image.dtype)
    value = np.zeros(image.shape, image.dtype)
    for at in np.ndindex(image.shape):
        value[at] = percentile_of(samples[at][takes_part[at]], share)
    return exactly(value, image.dtype)


def percentile_of(samples: np.ndarray, share: float | None) -> Any:
    """The element of rank ``share`` percent of the samples that take part."""
    m = len(samples)
    if m == 0:
        return np.nan if samples.dtype.kind == "f" else 0
    if samples.dtype.kind == "f" and np.isnan(samples).any():
        return np.nan
    return np.sort(samples)[min(int(m * share / 100.0), m - 1)]


def filtered_axes(ndim: int, axes: int | Sequence[int] | None, channel_axis: int | None) -> list[int]:
    if axes is not None:
        return [a % ndim for a in ([axes] if np.isscalar(axes) else axes)]
    return [a for a in range(ndim) if channel_axis is None or a != channel_axis % ndim]


def per_axis(value: Any, n: int) -> list[Any]:
    return [value] * n if np.ndim(value) == 0 else list(value)


def valid_samples(image: np.ndarray, where: np.ndarray | None, nan_policy: str) -> np.ndarray:
    valid = np.ones(image.shape, bool) if where is None else np.broadcast_to(where, image.shape)
    if image.dtype.kind == "f" and nan_policy == "omit":
        valid = valid & ~np.isnan(image)
    return valid


def windows(
    image: np.ndarray,
    valid: np.ndarray,
    axes: Sequence[int],
    sizes: Sequence[int],
    mode: str,
    cval: float,
    nan_policy: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Samples and validity with one window axis a filtered axis appended, in the order of ``axes``.

    A window of k samples reaches from i - k//2 to i - k//2 + k - 1.
    """
    width = [(0, 0)] * image.ndim
    for axis, size in zip(axes, sizes, strict=True):
        width[axis] = (size // 2, size - 1 - size // 2)
    if PAD_MODES[mode] == "constant":
        outside_counts = not (nan_policy == "omit" and np.isnan(cval))
        image = np.pad(image, width, "constant", constant_values=np.asarray(cval).astype(image.dtype))
        valid = np.pad(valid, width, "constant", constant_values=outside_counts)
    else:
        image, valid = (np.pad(array, width, PAD_MODES[mode]) for array in (image, valid))
    shape, axes = tuple(sizes), tuple(axes)
    return sliding_window_view(image, shape, axes), sliding_window_view(valid, shape, axes)


def gaussian_weights(sigma: float, radius: int) -> np.ndarray:
    x = np.arange(-radius, radius + 1).astype(np.float64)
    with np.errstate(over="ignore", under="ignore"):  # a sigma so small that all is in the middle tap
        w = np.exp(-0.5 * (x / sigma) ** 2) if sigma > 0 else (x == 0).astype(np.float64)
    return w / w.sum()


def divide_half_to_even(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Python integers divided and rounded half to even; 0 where the count is 0."""
    quotients = np.zeros(total.shape, object)
    for at in np.ndindex(total.shape):
        n = int(count[at])
        if n:
            quotient, rest = divmod(int(total[at]), n)
            up = 2 * rest > n or (2 * rest == n and quotient % 2 == 1)
            quotients[at] = quotient + up
    return quotients


def saturate(value: np.ndarray, dtype: np.dtype) -> np.ndarray:
    limits = np.iinfo(dtype)
    return np.clip(value, np.longdouble(limits.min), np.longdouble(limits.max)).astype(dtype)


def float_range(value: np.ndarray, scale: np.ndarray, dtype: np.dtype, roundings: int = 1) -> Expected:
    """Relative to ``scale``; where that underflows, half a subnormal for each of the ``roundings`` on the way."""
    finite = np.isfinite(value)
    step = np.finfo(dtype).smallest_subnormal.astype(np.longdouble) * max(roundings / 2, 1)
    slack = np.where(finite, scale * RELATIVE[dtype.name] + step, 0)
    low, high = value - slack, value + slack
    if dtype == np.float16:
        low, high = (bound.astype(np.float16).astype(np.longdouble) for bound in (low, high))
    return Expected(low, high, dtype)
