"""Non-local means and the bilateral filter as they are defined: every shift of the image, in long doubles.

Independent of the package: the borders come from ``np.pad`` and the weights are normalised by their largest, so that none
of them underflows. The accuracy of the kernel contract is the range of an `Expected`:

- A weight is exp(-e), with e a difference of sums. It may be off by ``WEIGHT`` of itself and, where e is large, by the
  rounding of e: ``EXPONENT`` of the numbers e was subtracted from. Both move the result by at most that part of the
  weighted mean distance |u(q) - u(p)|; where p itself takes no part, of |u(q) - result|.
- ``RESULT`` is the rounding of the result itself. Integers are that float rounded half to even, so next to a tie either
  neighbour is right.
- Samples may be scaled by a power of two near h (sigma_color), so that no square overflows: what is 1e-38 of it (1e-308 in
  float64) loses bits.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.oracles.windows import PAD_MODES, Expected, filtered_axes, per_axis, saturate, valid_samples

WIDE = ("float64", "int32", "uint32", "int64", "uint64")
#: Relative error of a weight: the two accuracies of the kernel contract, for 24-bit and for 53-bit arithmetic.
WEIGHT = {False: 2e-6, True: 1e-6}
#: Four roundings: the errors of the squares, of their sum by doubling and of the scaling do not all point one way.
EXPONENT = {False: 2.0**-22, True: 2.0**-51}
#: An h below this share of sigma is compared in 53 bits.
SHARP = 1 / 16
#: One unit in the last place of a float32; a hundred roundings of a float64.
RESULT = {False: 2.0**-23, True: 1e-14}


@dataclass(frozen=True)
class Extended:
    """An image with its borders: batch axes, then the filtered ones, then the channels."""

    samples: np.ndarray  # long doubles, 0 where they take no part or are not finite
    valid: np.ndarray
    broken: np.ndarray  # pixels with a sample that takes part and is not finite
    shape: tuple[int, ...]  # of the filtered axes, without borders
    before: tuple[int, ...]  # how far they reach
    first: int  # number of batch axes

    def at(self, array: np.ndarray, shift: Sequence[int], margin: Sequence[tuple[int, int]] | None = None) -> np.ndarray:
        """The part of ``array`` that lies over the image moved by ``shift``, and a margin around it."""
        cut: list[slice] = [slice(None)] * self.first
        for axis, (n, b, s) in enumerate(zip(self.shape, self.before, shift, strict=True)):
            low, high = (0, 0) if margin is None else margin[axis]
            cut.append(slice(b + s - low, b + s + n + high))
        return array[tuple(cut)]

    def near_broken(self, reach: Sequence[tuple[int, int]]) -> np.ndarray:
        """Pixels that look at a broken one, within ``reach`` samples before and after."""
        near = np.zeros(self.at(self.broken, (0,) * len(self.shape)).shape, bool)
        for shift in itertools.product(*(range(-low, high + 1) for low, high in reach)):
            near |= self.at(self.broken, shift)
        return near


def nl_means(
    image: np.ndarray,
    sigma: float,
    *,
    h: float,
    patch_size: int | Sequence[int] = 7,
    patch_distance: int | Sequence[int] = 10,
    patch_weights: str = "tapered",
    mode: str = "reflect",
    cval: float = 0.0,
    axes: int | Sequence[int] | None = None,
    channel_axis: int | None = None,
    where: np.ndarray | None = None,
    nan_policy: str = "propagate",
) -> Expected:
    filtered = filtered_axes(image.ndim, axes, channel_axis)
    sizes, distances = (per_axis(value, len(filtered)) for value in (patch_size, patch_distance))
    patch = [(k // 2, k - 1 - k // 2) for k in sizes]
    reach = [(d + low, d + high) for d, (low, high) in zip(distances, patch, strict=True)]
    ext = extended(image, filtered, channel_axis, reach, mode, cval, where, nan_policy)
    g = [patch_taps(patch_weights, k) for k in sizes]
    sigma, h = np.longdouble(sigma), np.longdouble(h)
    centre = (0,) * len(filtered)
    u, v = ext.at(ext.samples, centre, patch), ext.at(ext.valid, centre, patch)
    exponents, errors, usable = [], [], []
    for shift in shifts(distances):
        both = v & ext.at(ext.valid, shift, patch)
        squares = np.where(both, (u - ext.at(ext.samples, shift, patch)) ** 2, 0).sum(-1)
        total, pairs = (over_patch(x, g, ext.first) for x in (squares, both.sum(-1).astype(np.longdouble)))
        compared = pairs > 0
        distance = total / np.where(compared, pairs, 1)
        exponents.append(np.maximum(distance - 2 * sigma**2, 0) / h**2)
        certain = distance < 2 * sigma**2 * (1 - 1e-5)  # the weight is 1, and for the pixel itself
        errors.append(np.where(certain | (not any(shift)), 0, distance + 2 * sigma**2) / h**2)
        usable.append(compared)
    rounding = EXPONENT[image.dtype.name in WIDE or h < SHARP * sigma]
    return weighted_mean(image, ext, h, rounding, shifts(distances), exponents, errors, usable, reach, filtered, channel_axis)


def bilateral(
    image: np.ndarray,
    sigma_color: float,
    sigma_space: float | Sequence[float],
    *,
    truncate: float = 2.0,
    radius: int | Sequence[int] | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
    axes: int | Sequence[int] | None = None,
    channel_axis: int | None = None,
    where: np.ndarray | None = None,
    nan_policy: str = "propagate",
) -> Expected:
    filtered = filtered_axes(image.ndim, axes, channel_axis)
    sigmas = per_axis(sigma_space, len(filtered))
    radii = [int(truncate * s + 0.5) for s in sigmas] if radius is None else per_axis(radius, len(filtered))
    radii = [r if s > 0 else 0 for r, s in zip(radii, sigmas, strict=True)]  # no width: only the middle counts
    reach = [(r, r) for r in radii]
    ext = extended(image, filtered, channel_axis, reach, mode, cval, where, nan_policy)
    centre = (0,) * len(filtered)
    u, v = ext.at(ext.samples, centre), ext.at(ext.valid, centre)
    exponents = []
    for shift in shifts(radii):
        far = sum(np.longdouble(x) ** 2 / (2 * np.longdouble(s) ** 2) for x, s in zip(shift, sigmas, strict=True) if x)
        both = v & ext.at(ext.valid, shift)
        squares = np.where(both, (u - ext.at(ext.samples, shift)) ** 2, 0).sum(-1)
        exponents.append(far + squares / (2 * np.longdouble(sigma_color) ** 2))
    usable = [np.ones(u.shape[:-1], bool)] * len(exponents)
    color, rounding = np.longdouble(sigma_color), EXPONENT[image.dtype.name in WIDE]
    return weighted_mean(image, ext, color, rounding, shifts(radii), exponents, exponents, usable, reach, filtered, channel_axis)


def weighted_mean(
    image: np.ndarray,
    ext: Extended,
    strength: np.longdouble,
    rounding: float,
    moves: Iterator[tuple[int, ...]],
    exponents: list[np.ndarray],
    errors: list[np.ndarray],
    usable: list[np.ndarray],
    reach: Sequence[tuple[int, int]],
    filtered: Sequence[int],
    channel_axis: int | None,
) -> Expected:
    """Mean over the shifts with the weights exp(-exponent), in the image's own axes."""
    wide = image.dtype.name in WIDE
    moves = list(moves)
    centre = (0,) * len(ext.shape)
    own, own_valid = ext.at(ext.samples, centre), ext.at(ext.valid, centre)
    u = np.stack([ext.at(ext.samples, shift) for shift in moves])
    counts = np.stack([ext.at(ext.valid, s) & use[..., None] for s, use in zip(moves, usable, strict=True)])
    e, rounded = (np.stack(values)[..., None] + np.zeros(u.shape[-1]) for values in (exponents, errors))
    smallest = np.where(counts, e, np.inf).min(0)
    none = np.isinf(smallest)
    doubt = rounding * (rounded + np.where(own_valid, 0, np.where(counts, rounded, np.inf).min(0)))
    doubt = np.where(counts, np.maximum(doubt, WEIGHT[wide]), 0)
    with np.errstate(under="ignore", over="ignore", invalid="ignore", divide="ignore"):
        weights = np.where(counts, np.exp(np.where(none, 0, smallest) - e), 0)
        value = (weights * u).sum(0) / weights.sum(0)
        distance = np.where(counts, abs(u - np.where(own_valid, own, value)), 0)
        slack = (weights * np.expm1(np.minimum(doubt, 10000)) * distance).sum(0) / weights.sum(0)
    slack = np.minimum(slack, distance.max(0)) + RESULT[wide] * abs(value)
    value = np.where(none, np.nan, value)
    value = np.where(ext.near_broken(reach)[..., None], np.nan, value)
    low, high = (in_own_axes(bound, image.ndim, filtered, channel_axis) for bound in (value - slack, value + slack))
    if image.dtype.kind != "f":
        low, high = (saturate(np.rint(np.where(np.isnan(bound), 0, bound)), image.dtype) for bound in (low, high))
        return Expected(low, high, image.dtype)
    step = np.finfo(np.float64 if wide else np.float32).smallest_subnormal * np.maximum(4 * strength, 1)
    low, high = low - step, high + step
    if image.dtype == np.float16:  # computed in float32, and rounded to float16 as the bounds are
        low, high = (bound.astype(np.float16).astype(np.longdouble) for bound in (low, high))
    return Expected(low, high, image.dtype)


def shifts(distances: Sequence[int]) -> Iterator[tuple[int, ...]]:
    return itertools.product(*(range(-d, d + 1) for d in distances))


def patch_taps(weights: str, size: int) -> np.ndarray:
    """Weights that add up to 1: a box convolved with one about half as long, a Gaussian around sample size//2, or all alike."""
    taps = np.ones(size, np.longdouble)
    if weights == "gaussian" and size > 1:
        x = np.arange(size) - np.longdouble(size // 2)
        taps = np.exp(-8 * (x / (size - 1)) ** 2)
    if weights == "tapered":  # sample i lies in as many placings of the short box inside the long one's reach
        short = max(1, (size - 1) // 2)
        taps = np.array([min(i + 1, size - i, short) for i in range(size)], np.longdouble)
    return taps / taps.sum()


def over_patch(values: np.ndarray, taps: Sequence[np.ndarray], first: int) -> np.ndarray:
    """Weighted sum over the window of each pixel; the margin around the image is used up by it."""
    for axis, g in enumerate(taps, start=first):
        n = values.shape[axis] - len(g) + 1
        parts = [w * values.take(range(k, k + n), axis) for k, w in enumerate(g)]
        values = np.sum(parts, axis=0)
    return values


def extended(
    image: np.ndarray,
    filtered: Sequence[int],
    channel_axis: int | None,
    reach: Sequence[tuple[int, int]],
    mode: str,
    cval: float,
    where: np.ndarray | None,
    nan_policy: str,
) -> Extended:
    valid = valid_samples(image, where, nan_policy)
    width = [(0, 0)] * image.ndim
    for axis, pair in zip(filtered, reach, strict=True):
        width[axis] = pair
    if PAD_MODES[mode] == "constant":
        outside_counts = not (nan_policy == "omit" and np.isnan(cval))
        samples = np.pad(image, width, "constant", constant_values=np.asarray(cval).astype(image.dtype))
        valid = np.pad(valid, width, "constant", constant_values=outside_counts)
    else:
        samples, valid = (np.pad(array, width, PAD_MODES[mode]) for array in (image, valid))
    order, batch = kernel_order(image.ndim, filtered, channel_axis)
    samples, valid = (array.transpose(order) for array in (samples.astype(np.longdouble), valid))
    if channel_axis is None:
        samples, valid = samples[..., None], valid[..., None]
    broken = (valid & ~np.isfinite(samples)).any(-1)
    samples = np.where(valid & np.isfinite(samples), samples, 0)
    shape = tuple(image.shape[a] for a in filtered)
    return Extended(samples, valid, broken, shape, tuple(low for low, _ in reach), batch)


def in_own_axes(array: np.ndarray, ndim: int, filtered: Sequence[int], channel_axis: int | None) -> Any:
    order, _ = kernel_order(ndim, filtered, channel_axis)
    return (array[..., 0] if channel_axis is None else array).transpose(np.argsort(order))


def kernel_order(ndim: int, filtered: Sequence[int], channel_axis: int | None) -> tuple[list[int], int]:
    """Batch axes, filtered ones, channels; and how many are a batch."""
    last = [] if channel_axis is None else [channel_axis % ndim]
    batch = [a for a in range(ndim) if a not in (*filtered, *last)]
    return [*batch, *filtered, *last], len(batch)
