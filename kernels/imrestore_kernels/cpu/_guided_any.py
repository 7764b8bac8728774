"""Guided filter over any axes, with or without a mask, in blocks of rows: the general way.

The same joins of moment sets as in `_moments`, on whole arrays and with a number of samples of its own for every window. The
fused kernel in ``_guided_planes.py`` is the fast way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from imrestore_kernels.borders import border_index
from imrestore_kernels.cpu._moments import KNOWN, Moments
from imrestore_kernels.cpu._pool import run_rows
from imrestore_kernels.cpu._rounding import round_to

Array = np.ndarray[Any, Any]

#: Pixels of a block, halo included: a dozen arrays of them stay about within the last-level cache.
BLOCK = 1 << 18


def guided_any(
    src: Array,
    dst: Array,
    guide: Array | None,
    radii: tuple[int, ...],
    eps: float,
    mode: int,
    cval: float,
    guide_cval: float,
    where: Array | None,
    pad_counts: bool,
) -> None:
    """Guided filter of one image and its guide, or None for itself, in blocks along the first filtered axis."""
    outer, length = src.shape[:2]
    beyond = int(np.prod([n + 4 * r for n, r in zip(src.shape[2:-1], radii[1:], strict=True)]))
    block = max(1, BLOCK // beyond - 4 * radii[0], 4 * radii[0])
    jobs = -(-length // block)
    channels = src.shape[-1] if guide is None else guide.shape[-1]
    moments = Moments(channels, int(guide is not None))

    def run(start: int, stop: int) -> None:
        for job in range(start, stop):
            image, first = job // jobs, job % jobs * block
            last = min(length, first + block)
            for channel in range(src.shape[-1]):
                valid = None if where is None else where[image, ..., channel] != 0
                own = src[image, ..., channel] if moments.images else None
                planes = [(guide if guide is not None else src)[image, ..., c] for c in range(channels)]
                filter_ = _Block(moments, radii, mode, (first, last))
                values = filter_.run(planes, own, channel, valid, eps, cval, guide_cval, pad_counts)
                round_to(values, dst[image, first:last, ..., channel])

    run_rows(run, (), outer * jobs, float(src.size) * 200)


class _Block:
    """Rows ``span`` of one image; arrays are (quantity, s_1 .. s_n)."""

    def __init__(self, moments: Moments, radii: tuple[int, ...], mode: int, span: tuple[int, int]) -> None:
        self.moments = moments
        self.radii = radii
        self.mode = mode
        self.span = span

    def run(
        self,
        guide: list[Array],
        own: Array | None,
        channel: int,
        valid: Array | None,
        eps: float,
        cval: float,
        guide_cval: float,
        pad_counts: bool,
    ) -> Array:
        """The result in float64, NaN where no window has a valid sample."""
        rows = slice(*self.span)
        with np.errstate(all="ignore"):
            sets = self._windows(guide, own, valid, cval, guide_cval, pad_counts)
            total = self._fitted(sets, channel, eps)
            for axis, r in enumerate(self.radii, start=1):
                total = _reduced(total, axis, 2 * r + 1, np.add)
            pixels = np.stack([_finite(plane[rows]) for plane in guide])
            factors, offset, mean, count = total[: len(guide)], total[-3], total[-2], total[-1]
            result = (factors * pixels).sum(axis=0) + offset
            if valid is not None:  # a pixel that takes no part has no sample of its own, unless a guide beside the image has one
                unknown = ~valid[rows]
                if own is not None:
                    unknown &= ~np.isfinite(pixels).all(axis=0)
                result = np.where(unknown, mean, result)
            values: Array = np.where(count > 0, result / count, np.nan)
            return values

    def _windows(
        self, guide: list[Array], own: Array | None, valid: Array | None, cval: float, guide_cval: float, pad_counts: bool
    ) -> Array:
        """Moment sets, with their number of samples in front, of all windows that a pixel of the block lies in."""
        moments = self.moments
        first, last = self.span
        indices = [border_index(i, len(guide[0]), self.mode) for i in range(first - 2 * self.radii[0], last + 2 * self.radii[0])]
        planes = [*guide, *([] if own is None else [own])]
        sets = np.zeros((1 + moments.rows, len(indices), *guide[0].shape[1:]))
        sets[0] = 1.0 if valid is None else valid[indices]
        for c, plane in enumerate(planes, start=1):
            sets[c] = np.where(sets[0] > 0, _finite(plane[indices]), 0.0)
        outside = np.zeros(1 + moments.rows)
        outside[0] = pad_counts or valid is None
        border = [guide_cval] * moments.channels + [cval] if moments.images else [cval] * moments.channels
        outside[1 : 1 + moments.sums] = outside[0] * _finite(np.array(border)) if outside[0] else 0.0
        for axis, r in enumerate(self.radii, start=1):
            if axis > 1:
                n = sets.shape[axis]
                indices = [border_index(i, n, self.mode) for i in range(-2 * r, n + 2 * r)]
                sets = np.take(sets, indices, axis)
            beyond = np.array(indices) < 0
            if beyond.any():
                np.moveaxis(sets, axis, -1)[..., beyond] = outside.reshape(-1, *[1] * (sets.ndim - 1))
            sets = _reduced(sets, axis, 2 * r + 1, self._join)
            outside *= 2 * r + 1
        return sets

    def _join(self, a: Array, b: Array) -> Array:
        """The sets of a and b joined, as in `_moments`, where any may be empty."""
        sums = self.moments.sums
        joined: Array = a + b
        product = a[0] * b[0] * joined[0]
        share = np.where(product > 0, 1.0 / np.where(product > 0, product, 1.0), 0.0)
        apart = b[0] * a[1 : 1 + sums] - a[0] * b[1 : 1 + sums]
        for row, (i, j) in enumerate(self.moments.pairs, start=1 + sums):
            joined[row] += apart[i] * apart[j] * share
        return joined

    def _fitted(self, sets: Array, channel: int, eps: float) -> Array:
        """Factors, offset and mean of every window, 0 where it is empty, and whether it has a sample."""
        moments = self.moments
        image = moments.channels if moments.images else channel
        count = np.maximum(sets[0], 1.0)
        place = {pair: row for row, pair in enumerate(moments.pairs, start=1 + moments.sums)}
        right = [sets[place[min(i, image), max(i, image)]] for i in range(moments.channels)]
        factors = _solved({pair: sets[row] for pair, row in place.items()}, right, count * eps)
        mean = sets[1 + image]
        offset = mean - sum(a * sets[1 + i] for i, a in enumerate(factors))
        mean = mean + 0.0 * offset  # NaN as well where only the guide is
        return np.stack([*factors, offset / count, mean / count, (sets[0] > 0).astype(float)])


def _solved(values: dict[tuple[int, int], Array], right: list[Array], ridge: Array) -> list[Array]:
    """(M + ridge) a = m by L D L^T; no pivot is below ``ridge`` (see `_moments.solved`)."""
    n = len(right)
    lower: dict[tuple[int, int], Array] = {}
    pivots: list[Array] = []
    for j in range(n):
        whole = values[j, j] + ridge
        pivot = whole - sum(lower[j, k] ** 2 * pivots[k] for k in range(j))
        pivots.append(np.fmax(pivot, np.fmax(whole * (KNOWN["f8"] if j else 0.0), ridge)))
        for i in range(j + 1, n):
            rest = values[j, i] - sum(lower[i, k] * lower[j, k] * pivots[k] for k in range(j))
            lower[i, j] = rest / pivots[j]
    y: list[Array] = []
    for i in range(n):
        y.append(right[i] - sum(lower[i, k] * y[k] for k in range(i)))
    factors = [y[i] / pivots[i] for i in range(n)]
    for i in reversed(range(n)):
        for k in range(i + 1, n):
            factors[i] = factors[i] - lower[k, i] * factors[k]
    return factors


def _finite(values: Array) -> Array:
    """As float64, with NaN for infinities."""
    wide = values.astype(np.float64)
    return wide * 0.0 + wide


def _reduced(values: Array, axis: int, size: int, join: Callable[[Array, Array], Array]) -> Array:
    """All windows of ``size`` along an axis, from those of 1, 2, 4 .. samples; the largest power of two comes first."""

    def part(array: Array, start: int, length: int) -> Array:
        return array[(slice(None),) * axis + (slice(start, start + length),)]

    n = values.shape[axis] - size + 1
    powers = {1: values}
    power = 1
    while 2 * power <= size:
        length = powers[power].shape[axis] - power
        powers[2 * power] = join(part(powers[power], 0, length), part(powers[power], power, length))
        power *= 2
    result, done = part(powers[power], 0, n), power
    while power > 1:
        power //= 2
        if size & power:
            result = join(result, part(powers[power], done, n))
            done += power
    return result
