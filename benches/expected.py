"""Fast definitions of the three filters, to check whole pictures against.

``tests/oracles.py`` is the slow and obvious definition; ``tests/test_benches.py`` holds these functions against it on
small pictures. Integers come out exact, floats as a range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

#: Of the (weighted) mean of |x| in the window: the promise of kernels/README.md for float32.
FLOAT32_RELATIVE = 1e-6
#: So close to a tie either neighbour is right.
TIE = 1e-9
#: Pixels of a picture at which a median is checked; a full check of the larger windows takes minutes.
MEDIAN_PIXELS = 20_000

NUMPY_PAD = {"reflect": "symmetric", "nearest": "edge"}


@dataclass(frozen=True)
class Expected:
    """The closed range in which each value has to lie; ``pixels`` restricts the check to some of the picture."""

    low: NDArray[Any]
    high: NDArray[Any]
    pixels: tuple[NDArray[np.intp], NDArray[np.intp]] | None = None

    def matches(self, actual: NDArray[Any]) -> bool:
        value = actual if self.pixels is None else actual[self.pixels]
        return bool(np.all((self.low <= value) & (value <= self.high)))


def mean(image: NDArray[Any], size: int, mode: str) -> Expected:
    if image.dtype.kind == "f":
        wide = image.astype(np.float64)
        return around(box_mean(wide, size, mode), box_mean(abs(wide), size, mode))
    before, after = size // 2, size - 1 - size // 2
    padded = np.pad(image.astype(np.int64), (before, after), mode=NUMPY_PAD[mode])  # type: ignore[call-overload]
    table = np.pad(padded.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    total = table[size:, size:] - table[:-size, size:] - table[size:, :-size] + table[:-size, :-size]
    quotient, rest = np.divmod(total, size * size)
    twice = 2 * rest
    exact = quotient + ((twice > size * size) | ((twice == size * size) & (quotient % 2 == 1)))
    return Expected(exact, exact)


def box_mean(image: NDArray[np.float64], size: int, mode: str) -> NDArray[np.float64]:
    """Every window summed anew: scipy's running sum leaves 1e-17 where a window holds nothing but zeros."""
    from scipy import ndimage

    weights = np.full(size, 1 / size)
    for axis in (0, 1):
        image = ndimage.correlate1d(image, weights, axis, mode=mode)
    return image


def gaussian(image: NDArray[Any], sigma: float, truncate: float, mode: str) -> Expected:
    from scipy import ndimage

    wide = image.astype(np.float64)
    value = ndimage.gaussian_filter(wide, sigma, truncate=truncate, mode=mode)
    if image.dtype.kind == "f":
        return around(value, ndimage.gaussian_filter(abs(wide), sigma, truncate=truncate, mode=mode))
    return Expected(np.rint(value - TIE), np.rint(value + TIE))


def median(image: NDArray[Any], size: int, mode: str, pixels: int = MEDIAN_PIXELS) -> Expected:
    """Exact, at random pixels and at as many of the border's."""
    height, width = image.shape
    rng = np.random.default_rng(7)
    y, x = rng.integers(0, height, pixels), rng.integers(0, width, pixels)
    edge = min(size, height, width)
    y[: pixels // 4] %= edge
    x[pixels // 4 : pixels // 2] = width - 1 - x[pixels // 4 : pixels // 2] % edge
    padded = np.pad(image, (size // 2, size - 1 - size // 2), mode=NUMPY_PAD[mode])  # type: ignore[call-overload]
    windows = sliding_window_view(padded, (size, size))
    exact = np.empty(pixels, image.dtype)
    rank = size * size // 2
    for start in range(0, pixels, 2000):
        part = slice(start, start + 2000)
        samples = windows[y[part], x[part]].reshape(-1, size * size)
        exact[part] = np.partition(samples, rank, axis=1)[:, rank]
    return Expected(exact, exact, (y, x))


def around(value: NDArray[np.float64], scale: NDArray[np.float64]) -> Expected:
    slack = FLOAT32_RELATIVE * scale
    return Expected(value - slack, value + slack)
