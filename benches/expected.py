"""Fast definitions of filters and metrics, to check whole pictures against, and the noise that is in a picture.

``tests/oracles`` are the slow and obvious definitions; ``tests/test_benches.py`` holds these functions against it on
small pictures. Integers come out exact, floats as a range.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

#: Of the (weighted) mean of |x| in the window: the promise of kernels/README.md for float32.
FLOAT32_RELATIVE = 1e-6
#: So close to a tie either neighbour is right.
TIE = 1e-9
#: Of the mean distance |u(q) - u(p)| under the weights, for non-local means and the bilateral filter; then a rounding.
SIMILARITY_RELATIVE = 2e-6
#: Pixels of a picture at which these are checked.
SIMILARITY_PIXELS = 1000
#: Pixels of a picture at which a median is checked; a full check of the larger windows takes minutes.
MEDIAN_PIXELS = 20_000
#: Pixels of a picture at which the inverse of Anscombe's transform is found by bisection.
INVERSE_PIXELS = 300
#: What the inverse promises beyond float32: a part of the noise's standard deviation and one of a count.
INVERSE_DEVIATIONS, INVERSE_COUNTS = 2e-5, 1e-5
#: Of the windows of structural similarity: standard deviation and side in pixels, and the constants of the paper.
SSIM_SIGMA, SSIM_SIDE, K1, K2 = 1.5, 11, 0.01, 0.03
SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
#: Groups of pixels of like intensity in which noise that grows with the signal is measured.
INTENSITIES = 8

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


def nl_means(
    image: NDArray[Any], sigma: float, h: float, weights: NDArray[np.float64], distance: int, pixels: int = SIMILARITY_PIXELS
) -> Expected:
    """Exact, at random pixels: every patch of the window compared in float64. ``weights`` are those of a patch along an axis."""
    patch = weights.size
    both = np.outer(weights, weights)
    around_p = patch // 2

    def weigh(window: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        patches = sliding_window_view(window, (patch, patch))
        own = patches[distance, distance]
        differences = ((patches - own) ** 2 * both).sum(axis=(2, 3))
        found = np.exp(-np.maximum(differences - 2 * sigma**2, 0) / h**2)
        return found, patches[:, :, around_p, around_p]

    return _similarity(image, distance + patch - 1 - around_p, distance + around_p, weigh, pixels)


def bilateral(
    image: NDArray[Any], sigma_color: float, sigma_space: float, radius: int, pixels: int = SIMILARITY_PIXELS
) -> Expected:
    """Exact, at random pixels."""
    step = np.arange(-radius, radius + 1.0)
    falls = (step[:, None] ** 2 + step**2) / (2 * sigma_space**2)

    def weigh(window: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.exp(-falls - (window - window[radius, radius]) ** 2 / (2 * sigma_color**2)), window

    return _similarity(image, radius, radius, weigh, pixels)


def _similarity(
    image: NDArray[Any],
    after: int,
    before: int,
    weigh: Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]],
    pixels: int,
) -> Expected:
    """Weighted means at random pixels and as many on the first rows and columns; ``weigh`` gives weights and values."""
    rng = np.random.default_rng(7)
    y, x = rng.integers(0, image.shape[0], pixels), rng.integers(0, image.shape[1], pixels)
    y[: pixels // 4] %= 4
    x[pixels // 4 : pixels // 2] %= 4
    padded = np.pad(image.astype(np.float64), (before, after), mode="symmetric")
    value, spread = np.empty(pixels), np.empty(pixels)
    for i, (row, column) in enumerate(zip(y, x, strict=True)):
        weights, values = weigh(padded[row : row + before + after + 1, column : column + before + after + 1])
        own = float(image[row, column])
        value[i] = own + (weights * (values - own)).sum() / weights.sum()
        spread[i] = (weights * abs(values - own)).sum() / weights.sum()
    slack = SIMILARITY_RELATIVE * spread
    if image.dtype.kind == "f":
        slack += np.finfo(image.dtype).eps * abs(value)
        return Expected(value - slack, value + slack, (y, x))
    return Expected(np.rint(value - slack - TIE), np.rint(value + slack + TIE), (y, x))


def guided(image: NDArray[Any], guide: NDArray[Any], radius: int, eps: float) -> Expected:
    """He, Sun and Tang 2013, with a grey guide or a colour guide of three channels last, from box means in float64."""
    size = 2 * radius + 1
    p = image.astype(np.float64)
    channels = np.moveaxis(np.atleast_3d(guide.astype(np.float64)), -1, 0)
    channels = channels - channels.mean(axis=(1, 2), keepdims=True)  # variances keep their digits
    shift = p.mean()

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return box_mean(values, size, "reflect")

    means = [mean(channel) for channel in channels]
    mean_p = mean(p - shift)
    n = len(channels)
    covariance = np.empty((*p.shape, n, n))
    cross = np.empty((*p.shape, n))
    for i in range(n):
        cross[..., i] = mean(channels[i] * (p - shift)) - means[i] * mean_p
        for j in range(n):
            covariance[..., i, j] = mean(channels[i] * channels[j]) - means[i] * means[j]
    slopes = np.linalg.solve(covariance + eps * np.eye(n), cross[..., None])[..., 0]
    level = mean_p - sum(slopes[..., i] * means[i] for i in range(n))
    value = shift + mean(level) + sum(mean(np.ascontiguousarray(slopes[..., i])) * channels[i] for i in range(n))
    slack = FLOAT32_RELATIVE * box_mean(abs(p), 2 * size, "reflect")
    if image.dtype.kind == "f":
        return Expected(value - slack, value + slack)
    return Expected(np.rint(value - TIE - slack), np.rint(value + TIE + slack))


def psnr(image: NDArray[Any], reference: NDArray[Any], white: float) -> float:
    error = np.mean((image.astype(np.float64) - reference) ** 2)
    return float(10 * np.log10(white**2 / error))


def ssim(image: NDArray[Any], reference: NDArray[Any], white: float) -> float:
    """Wang, Bovik, Sheikh and Simoncelli 2004, over the windows inside the picture; of channels, a third axis, the mean."""
    if image.ndim == 3:
        return float(np.mean([ssim(image[..., i], reference[..., i], white) for i in range(image.shape[-1])]))
    return mean_similarity(image.astype(np.float64), reference.astype(np.float64), white, luminance=True)


def ms_ssim(image: NDArray[Any], reference: NDArray[Any], white: float, weights: Sequence[float] = SSIM_WEIGHTS) -> float:
    """Wang, Simoncelli and Bovik 2003: contrast and structure at every scale, luminance at the last."""
    x, y = image.astype(np.float64), reference.astype(np.float64)
    product = 1.0
    for scale, weight in enumerate(weights, start=1):
        product *= mean_similarity(x, y, white, luminance=scale == len(weights)) ** weight
        x, y = halved(x), halved(y)
    return product


def mean_similarity(x: NDArray[np.float64], y: NDArray[np.float64], white: float, *, luminance: bool) -> float:
    from scipy import ndimage

    half = SSIM_SIDE // 2
    weights = np.exp(-(np.arange(-half, half + 1.0) ** 2) / (2 * SSIM_SIGMA**2))
    weights /= weights.sum()

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        for axis in (0, 1):
            values = ndimage.correlate1d(values, weights, axis)
        return values[half:-half, half:-half]

    mean_x, mean_y = mean(x), mean(y)
    variances = mean(x * x) - mean_x**2 + mean(y * y) - mean_y**2
    covariance = mean(x * y) - mean_x * mean_y
    c1, c2 = (K1 * white) ** 2, (K2 * white) ** 2
    similarity = (2 * covariance + c2) / (variances + c2)
    if luminance:
        similarity *= (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return float(similarity.mean())


def halved(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of blocks of two by two pixels; an odd last row or column stands beside itself."""
    image = np.pad(image, [(0, n % 2) for n in image.shape], mode="edge")
    mean: NDArray[np.float64] = (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4
    return mean


def sigma(image: NDArray[Any], mean: NDArray[np.float64], inside: NDArray[np.bool_]) -> float:
    """Standard deviation of the noise that was put in, where ``inside`` says that none of it was clipped."""
    return float(np.std(image[inside] - mean[inside]))


def sigmas_by_intensity(image: NDArray[Any], mean: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Intensity and standard deviation of the noise around ``mean``, in groups of pixels from dark to bright."""
    groups = np.array_split(np.argsort(mean, axis=None, kind="stable"), INTENSITIES)
    noise = (image - mean).ravel()
    return [(float(mean.ravel()[group].mean()), float(np.sqrt(np.mean(noise[group] ** 2)))) for group in groups]


def anscombe(image: NDArray[Any], gain: float, read_noise: float, offset: float) -> Expected:
    """Each result is the root of a sum of terms of either sign: float32 rounds the terms."""
    counts = (image.astype(np.float64) - offset) / gain
    shift = 3 / 8 + (read_noise / gain) ** 2
    slack = FLOAT32_RELATIVE * (abs(counts) + shift)
    low, high = (2 * np.sqrt(np.maximum(counts + shift + error, 0)) for error in (-slack, slack))
    return Expected(low, high)


def inverse_anscombe(
    values: NDArray[Any], gain: float, read_noise: float, offset: float, pixels: int = INVERSE_PIXELS
) -> Expected:
    """At random pixels and the darkest: the signal whose transform has this mean."""
    from scipy import optimize

    rng = np.random.default_rng(7)
    flat = np.concatenate([rng.integers(0, values.size, pixels), [values.argmin()]])
    y, x = np.unravel_index(flat, values.shape)
    wanted = values[y, x].astype(np.float64)
    variance = (read_noise / gain) ** 2
    most = float(wanted.max()) ** 2 / 4 + 10
    mean = mean_of_anscombe(most, read_noise / gain)
    lowest = mean(0.0)
    signals = np.array([optimize.brentq(lambda s, v=v: mean(s) - v, 0, most, xtol=1e-9) if v > lowest else 0.0 for v in wanted])
    slack = INVERSE_DEVIATIONS * np.sqrt(signals + variance) + INVERSE_COUNTS + FLOAT32_RELATIVE * (signals + variance)
    return Expected(offset + gain * (signals - slack), offset + gain * (signals + slack), (y, x))


def mean_of_anscombe(most: float, read_noise: float) -> Callable[[float], float]:
    """From a signal in counts, up to ``most``, to the mean of its transform: summed over all counts and over the read noise."""
    from scipy import stats

    counts = np.arange(int(most + 12 * np.sqrt(most)) + 30.0)
    centres = counts + 3 / 8 + read_noise**2
    roots = 2 * np.sqrt(centres)
    if read_noise > 0:
        # The mean of 2 sqrt(x) over normal x >= 0; with x = u^2 nothing has a kink, and the steps are a third of a deviation of u.
        last = float(centres[-1]) + 10 * read_noise
        u = np.linspace(0, np.sqrt(last), int(6 * last / read_noise) + 2)
        density = (np.exp(-(((u**2 - centre) / read_noise) ** 2) / 2) for centre in centres)
        roots = np.array([(4 * u**2 * d).sum() for d in density]) * u[1] / (np.sqrt(2 * np.pi) * read_noise)

    def mean(signal: float) -> float:
        return float((stats.poisson.pmf(counts, signal) * roots).sum())

    return mean
