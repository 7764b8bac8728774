"""Point spread functions, many at a time: arrays (n, size, size) in float64 whose every member adds up to one.

Angles are in degrees, counterclockwise as seen, from the direction of the columns. Lengths are in pixels. ``size`` is odd.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from imrestore.degrade._numbers import Floats

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]

#: What the outer rings of a window may add up to and still be left out: half a rounding of float32, beside a sum of one.
NEGLIGIBLE = 2.0**-24

#: Points of a path for every pixel that it is long.
_PATH_POINTS = 16


def offsets(size: int) -> tuple[Floats, Floats]:
    """Distances of the pixels from the middle, down (size, 1) and to the right (1, size)."""
    line = np.arange(size, dtype=np.float64) - size // 2
    return line[:, None], line[None, :]


def gaussian_lines(size: int, sigma: Floats, shift: float = 0.0) -> Floats:
    """Gaussians along one axis, (n, size), their middle ``shift`` pixels beside that of the window."""
    distance = (np.arange(size) - size // 2 - shift) / np.maximum(sigma, _LEAST)[:, None]
    return _gaussians(distance * distance)


def gaussian(size: int, sigma: Floats, sigma2: Floats, angle: Floats, shift: float = 0.0) -> Floats:
    """Gaussians with standard deviations ``sigma`` along ``angle`` and ``sigma2`` across it, ``shift`` pixels off on both axes."""
    return _gaussians(_squares(size, sigma, sigma2, angle, shift))


def generalized_gaussian(size: int, sigma: Floats, sigma2: Floats, angle: Floats, beta: Floats) -> Floats:
    """exp(-d**beta / 2) of the squared Mahalanobis distance d (Liu, Li and Ji 2020; as used by Wang, Xie, Dong and Shan 2021)."""
    squares = _squares(size, sigma, sigma2, angle)
    with np.errstate(over="ignore"):  # far outside, where the weight is 0
        weights = np.exp(-0.5 * squares ** beta[:, None, None])
    return _normalised(weights)


def plateau(size: int, sigma: Floats, sigma2: Floats, angle: Floats, beta: Floats) -> Floats:
    """1 / (1 + d**beta) of the squared Mahalanobis distance d (Wang, Xie, Dong and Shan 2021)."""
    squares = _squares(size, sigma, sigma2, angle)
    with np.errstate(over="ignore"):  # far outside, where the weight is 0
        weights = 1 / (1 + squares ** beta[:, None, None])
    return _normalised(weights)


def disc(size: int, radius: Floats) -> Floats:
    """Discs; a pixel at the edge weighs as much as the disc's edge, taken for straight and as seen end on, covers of it."""
    down, right = offsets(size)
    distance = np.sqrt(down * down + right * right)
    return _normalised(np.clip(radius[:, None, None] + 0.5 - distance, 0, 1))


def motion(size: int, length: Floats, angle: Floats, bend: Floats) -> Floats:
    """Paths of a steady motion: arcs that turn by ``bend`` degrees from end to end, with their middle in the middle.

    Every point of the path is shared by the four pixels around it, as in bilinear interpolation.
    """
    count = max(_PATH_POINTS, _PATH_POINTS * int(np.ceil(length.max())))
    along = (np.arange(count) + 0.5) / count - 0.5
    direction = np.deg2rad(angle[:, None] + bend[:, None] * along)
    steps = length[:, None] / count * np.stack([-np.sin(direction), np.cos(direction)])
    path = np.cumsum(steps, axis=-1) - steps / 2
    path -= path.mean(axis=-1, keepdims=True)
    place = path + size // 2
    first = np.floor(place).astype(np.int64)
    rest = place - first
    weights = np.zeros((len(length), size, size))
    member = np.arange(len(length))[:, None]
    for dy in (0, 1):
        for dx in (0, 1):
            share = (rest[0] if dy else 1 - rest[0]) * (rest[1] if dx else 1 - rest[1])
            np.add.at(weights, (member, np.clip(first[0] + dy, 0, size - 1), np.clip(first[1] + dx, 0, size - 1)), share)
    return _normalised(weights)


def sinc(size: int, cutoff: Floats) -> Floats:
    """Ideal low-pass filters in two dimensions: cutoff J1(cutoff r) / (2 pi r), with the cutoff frequency in radians per pixel."""
    from scipy.special import j1

    down, right = offsets(size)
    distance = np.sqrt(down * down + right * right)
    limit = cutoff[:, None, None]
    with np.errstate(invalid="ignore"):
        values = limit * j1(limit * distance) / (2 * np.pi * distance)
    values[:, size // 2, size // 2] = cutoff**2 / (4 * np.pi)
    return _normalised(values)


@lru_cache(maxsize=256)
def _rings(size: int, axes: int) -> tuple[Numbers, Numbers]:
    """Places of the weights ring by ring, the outermost first, and where each ring begins among them."""
    reach = np.abs(np.arange(size) - size // 2)
    ring = (reach if axes == 2 else np.maximum(reach[:, None], reach[None, :])).ravel()
    order = np.argsort(-ring, kind="stable")
    return order, np.flatnonzero(np.diff(ring[order], prepend=-1))


def trimmed_sizes(weights: Floats) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The smallest odd size of each, (n, size) or (n, size, size), outside of which there is nothing that float32 would notice."""
    order, starts = _rings(weights.shape[-1], weights.ndim)
    outside_in = np.abs(weights).reshape(len(weights), -1)[:, order]
    per_ring = np.add.reduceat(outside_in, starts, axis=1)  # no matrix product: its order of sums depends on how many there are
    beyond = np.cumsum(per_ring, axis=1)  # of a ring and all outside of it
    kept: np.ndarray[tuple[int], np.dtype[np.int64]] = 2 * np.maximum((beyond > NEGLIGIBLE).sum(axis=1), 1) - 1
    return kept


def cropped(weights: Floats, size: int) -> Floats:
    """The middle of windows, adding up to one again."""
    cut = (weights.shape[-1] - size) // 2
    middle = slice(cut, cut + size)
    return _normalised(weights[:, middle] if weights.ndim == 2 else weights[:, middle, middle])


#: A standard deviation of 0 is no blur: with this one all pixels but the middle are 0.
_LEAST = 1e-3


def _squares(size: int, sigma: Floats, sigma2: Floats, angle: Floats, shift: float = 0.0) -> Floats:
    """Squared Mahalanobis distances from the middle, (n, size, size)."""
    down, right = (line - shift for line in offsets(size))
    turn = np.deg2rad(angle)[:, None, None]
    along = np.cos(turn) * right - np.sin(turn) * down
    across = np.sin(turn) * right + np.cos(turn) * down
    first, second = (np.maximum(s, _LEAST)[:, None, None] for s in (sigma, sigma2))
    squares: Floats = (along / first) ** 2 + (across / second) ** 2
    return squares


def _gaussians(squares: Floats) -> Floats:
    """Of squared distances: one that is small and off the middle would have nothing but zeros, but for the least of them."""
    least = squares.min(axis=tuple(range(1, squares.ndim)), keepdims=True)
    return _normalised(np.exp(-0.5 * (squares - least)))


def _normalised(weights: Floats) -> Floats:
    axes = tuple(range(1, weights.ndim))
    total: Floats = weights / weights.sum(axis=axes, keepdims=True)
    return total
