"""The guided filter by its definition: every window, its mean and deviations, its fit; then the mean of the fits.

Borders come from ``np.pad``, windows from ``sliding_window_view``, sums and equations are in long doubles. Deviations are
taken from the mean of their window, as the textbook has it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tests.oracles.windows import PAD_MODES, Expected, filtered_axes, per_axis, saturate

#: Roundings that a result may be off by, relative to the magnitudes that it is made of (``scale`` in `fit`).
ROUNDINGS = 64


def guided(
    image: np.ndarray,
    guide: np.ndarray | None = None,
    radius: int | Sequence[int] = 4,
    *,
    eps: float,
    mode: str = "reflect",
    cval: float = 0.0,
    axes: int | Sequence[int] | None = None,
    channel_axis: int | None = None,
    where: np.ndarray | None = None,
    nan_policy: str = "propagate",
) -> Expected:
    image_channel = None if guide is not None and guide.ndim == image.ndim + 1 else channel_axis
    filtered = filtered_axes(image.ndim, axes, image_channel)
    radii = per_axis(radius, len(filtered))
    valid = np.ones(image.shape, bool) if where is None else np.broadcast_to(where, image.shape)
    pixels, valid = channels_last(image, image_channel), channels_last(valid, image_channel)
    beside = guide is not None
    guides = channels_last(guide, channel_axis if guide.ndim >= image.ndim else None) if beside else pixels
    if nan_policy == "omit":
        valid = valid & ~np.isnan(pixels) & ~np.isnan(guides).any(axis=-1, keepdims=True)
    if guide is None:
        valid = np.broadcast_to(valid.all(axis=-1, keepdims=True), pixels.shape)
    filtered = [a - (image_channel is not None and a > image_channel % image.ndim) for a in filtered]
    reach = [(0, 0)] * (pixels.ndim - 1)
    for axis, r in zip(filtered, radii, strict=True):
        reach[axis] = (2 * r, 2 * r)
    pad_counts = not (nan_policy == "omit" and np.isnan(cval))
    shape, where_axes = tuple(2 * r + 1 for r in radii), tuple(filtered)

    def extended(plane: np.ndarray, outside: float) -> np.ndarray:
        constant = {"constant_values": np.asarray(outside).astype(plane.dtype)} if PAD_MODES[mode] == "constant" else {}
        return np.pad(plane, reach, PAD_MODES[mode], **constant)

    def windows(plane: np.ndarray) -> np.ndarray:
        view = sliding_window_view(plane, shape, where_axes)
        return view.reshape(*view.shape[: plane.ndim], -1)

    low, high = [], []
    for c in range(pixels.shape[-1]):
        takes_part = windows(extended(valid[..., c], pad_counts))
        image_windows = windows(as_long_double(extended(pixels[..., c], cval)))
        guide_windows = [windows(as_long_double(extended(guides[..., g], cval))) for g in range(guides.shape[-1])]
        centre = [as_long_double(guides[..., g]) for g in range(guides.shape[-1])]
        known = valid[..., c] | (np.isfinite(np.stack(centre)).all(axis=0) if guide is not None else False)
        with np.errstate(all="ignore"):
            fits = fit(image_windows, guide_windows, takes_part, np.longdouble(eps))
            value, slack = averaged([windows(part) for part in fits], centre, known)
            slack = slack * ROUNDINGS * unit_roundoff(image, guides)
        bounds = bounds_of(value, slack, image.dtype)
        low.append(bounds[0])
        high.append(bounds[1])
    back = [np.stack(bound, axis=-1 if image_channel is None else image_channel) for bound in (low, high)]
    if image_channel is None:
        back = [bound[..., 0] for bound in back]
    return Expected(back[0], back[1], image.dtype)


def channels_last(array: np.ndarray, channel_axis: int | None) -> np.ndarray:
    return array[..., None] if channel_axis is None else np.moveaxis(array, channel_axis, -1)


def as_long_double(values: np.ndarray) -> np.ndarray:
    """NaN for what is not finite: such a sample spoils all it touches."""
    wide = values.astype(np.longdouble)
    return np.where(np.isfinite(wide), wide, np.nan)


def fit(
    image: np.ndarray, guide: list[np.ndarray], valid: np.ndarray, eps: np.longdouble
) -> list[np.ndarray]:
    """For every window: whether it has a sample, the mean of the image, the offset, the scale of errors, and the factors."""
    count = valid.sum(axis=-1)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.where(valid, values, 0).sum(axis=-1) / np.maximum(count, 1)

    means = [mean(g) for g in guide]
    middle = mean(image)
    apart = [g - m[..., None] for g, m in zip(guide, means, strict=True)]
    covariance = [[mean(a * b) for b in apart] for a in apart]
    right = [mean(a * (image - middle[..., None])) for a in apart]
    matrix = [[value + (eps if i == j else 0) for j, value in enumerate(row)] for i, row in enumerate(covariance)]
    factors = gauss([list(row) for row in matrix], right)
    offset = middle - sum(a * m for a, m in zip(factors, means, strict=True))
    # What the roundings are relative to: the samples themselves, and the guide's times how far a factor may be off.
    largest = [np.where(valid, abs(g), 0).max(axis=-1) for g in [*guide, image]]
    deviation = np.sqrt(mean((image - middle[..., None]) ** 2))
    scale = largest[-1]
    for c, a in enumerate(factors):
        spread = np.sqrt(covariance[c][c] + eps)
        scale = scale + (abs(a) + 8 * deviation / spread) * (largest[c] + spread)
    if len(guide) > 1:
        square = np.moveaxis(np.array(matrix, np.float64), (0, 1), (-2, -1))
        finite = np.isfinite(square).all(axis=(-1, -2))
        condition = np.ones(count.shape)
        condition[finite] = np.linalg.cond(square[finite])
        scale = scale * condition
    middle = np.where(np.isnan(offset), np.nan, middle)  # a NaN in the guide spoils its windows for all their pixels
    empty = count == 0
    parts = [middle, offset, scale, *factors]
    return [(~empty).astype(np.longdouble), *(np.where(empty, 0, part) for part in parts)]


def gauss(matrix: list[list[np.ndarray]], right: list[np.ndarray]) -> list[np.ndarray]:
    """Elimination without exchanges, which a positive definite matrix does not need."""
    n = len(right)
    right = list(right)
    for k in range(n):
        for i in range(k + 1, n):
            share = matrix[i][k] / matrix[k][k]
            matrix[i] = [matrix[i][j] - share * matrix[k][j] for j in range(n)]
            right[i] = right[i] - share * right[k]
    solution: list[np.ndarray] = [right[0]] * n
    for i in reversed(range(n)):
        rest = right[i] - sum(matrix[i][j] * solution[j] for j in range(i + 1, n))
        solution[i] = rest / matrix[i][i]
    return solution


def averaged(
    fits: list[np.ndarray], centre: list[np.ndarray], known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the windows of a pixel, and the scale of its errors."""
    used, middle, offset, scale, *factors = (part.sum(axis=-1) for part in fits)
    value = offset + sum(a * c for a, c in zip(factors, centre, strict=True))
    value = np.where(known, value, middle) / used
    return np.where(used > 0, value, np.nan), scale / used


def unit_roundoff(image: np.ndarray, guides: np.ndarray) -> float:
    """Of float32 where both have 24 bits at most, else of float64."""
    short = all(dtype.itemsize <= 2 or dtype == np.float32 for dtype in (image.dtype, guides.dtype))
    return 2.0**-24 if short else 2.0**-53


def bounds_of(value: np.ndarray, slack: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest value that may stand for ``value``: integers may fall to either side of a tie only."""
    slack = np.where(np.isfinite(value), slack, 0)
    if dtype.kind != "f":
        value = np.where(np.isnan(value), 0, value)
        slack = np.maximum(slack, 1e-9)
        return saturate(np.rint(value - slack), dtype), saturate(np.rint(value + slack), dtype)
    info = np.finfo(dtype)
    if dtype == np.float16:
        # Computed as float32, then rounded again.
        slack = slack + abs(value) * 2.0**-24 + np.longdouble(2.0**-149)
        low, high = ((value + s).astype(np.float16).astype(np.longdouble) for s in (-slack, slack))
        return low, high
    slack = slack + abs(value) * info.eps / 2 * 1.0001 + info.smallest_subnormal.astype(np.longdouble)
    return value - slack, value + slack
