"""The degradation of BSRGAN (Zhang, Liang, Van Gool and Timofte 2021) for x4 in NumPy, SciPy and OpenCV, without its camera model.

Steps, chances and ranges are those of the published code (KAIR, MIT licence), in two ways: as it is published, and with the
fastest call of OpenCV or NumPy in place of every slow one. Two things are no longer in SciPy: `interp2d`, for which the linear
`RectBivariateSpline` stands, and `scipy.finfo`, which is NumPy's.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Array: TypeAlias = Any  # NumPy's; what OpenCV returns has no type

SCALE = 4
#: Pixels of the low-resolution patch, and of the image that it comes from.
PATCH, SIDE = 72, 72 * SCALE
HALF_FIRST, JPEG_CHANCE, RESIZED = 0.25, 0.9, 0.75
QUALITY = (30, 95)
NOISE = (2, 25)  # in 255
#: Chances of noise of one value for all channels, and of noise that is correlated between them.
GREY, CORRELATED = 0.4, 0.2
#: MATLAB's bicubic kernel (a = -0.5) for half the size: eight taps at 0.5, 1.5 .. pixels, the same for every pixel.
HALVING = np.array([-3, -9, 29, 111, 111, 29, -9, -3], np.float32) / 256


class Dice(NamedTuple):
    """The two generators that the published code draws from."""

    python: random.Random
    numpy: np.random.RandomState

    @classmethod
    def of(cls, seed: int) -> Dice:
        return cls(random.Random(seed), np.random.RandomState(seed))


class Way(NamedTuple):
    """What is done in more than one way."""

    isotropic: Callable[[Array, int, float], Array]
    anisotropic: Callable[[Array, int, Array], Array]
    #: Correlates with mirrored borders.
    convolve: Callable[[Array, Array], Array]
    halve: Callable[[Array], Array]
    #: Normal noise of a standard deviation, for a shape.
    white: Callable[[Dice, float, tuple[int, ...]], Array]
    #: Normal noise of a covariance of channels, for a height and a width.
    correlated: Callable[[Dice, Array, tuple[int, int]], Array]


def degrade(image: Array, seed: int, way: Way) -> Array:
    """The low-resolution patch of one image (height, width, 3) of float32 from 0 to 1."""
    import cv2

    dice, scale = Dice.of(seed), SCALE
    if dice.python.random() < HALF_FIRST:
        image = resized(image, 0.5, dice) if dice.numpy.rand() < 0.5 else way.halve(image)
        image, scale = np.clip(image, 0, 1), 2
    height, width = (n // scale for n in image.shape[:2])
    for step in order(dice):
        if step in ("blur", "blur again"):
            image = blurred(image, scale, dice, way)
        elif step == "shrink":
            image = np.clip(shrunk(image, scale, dice, way), 0, 1)
        elif step == "resize":
            image = np.clip(cv2.resize(image, (width, height), interpolation=interpolation(dice)), 0, 1)
        elif step == "noise":
            image = noisy(image, dice, way)
        elif dice.python.random() < JPEG_CHANCE:
            image = compressed(image, dice)
    return compressed(image, dice)


def order(dice: Dice) -> list[str]:
    """All orders are as likely in which the final resize comes after the first one."""
    steps = ["blur", "blur again", "shrink", "resize", "noise", "jpeg"]
    dice.python.shuffle(steps)
    first, second = sorted(steps.index(name) for name in ("shrink", "resize"))
    steps[first], steps[second] = "shrink", "resize"
    return steps


def interpolation(dice: Dice) -> int:
    import cv2

    return dice.python.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA])


def resized(image: Array, factor: float, dice: Dice) -> Array:
    import cv2

    size = (int(factor * image.shape[1]), int(factor * image.shape[0]))
    return cv2.resize(image, size, interpolation=interpolation(dice))


def blurred(image: Array, scale: int, dice: Dice, way: Way) -> Array:
    """A Gaussian of 7 to 25 pixels: half of them isotropic."""
    python = dice.python
    if python.random() < 0.5:
        first, second = ((4.0 + scale) * python.random() for _ in range(2))
        size, angle = 2 * python.randint(2, 11) + 3, python.random() * np.pi
        axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        return way.anisotropic(image, size, axes.T @ np.diag([first, second]) @ axes)
    return way.isotropic(image, 2 * python.randint(2, 11) + 3, (2.0 + 0.2 * scale) * python.random())


def shrunk(image: Array, scale: int, dice: Dice, way: Way) -> Array:
    """Resized by some factor, or blurred by a shifted Gaussian and every so manyth pixel of that."""
    if dice.python.random() < RESIZED:
        return resized(image, 1 / dice.python.uniform(1, 2 * scale), dice)
    taps = shifted(gaussian(25, dice.python.uniform(0.1, 0.6 * scale)), scale)
    return way.convolve(image, taps[::-1, ::-1])[::scale, ::scale]


def gaussian(size: int, sigma: float) -> Array:
    """MATLAB's ``fspecial('gaussian')``."""
    x = np.arange(size) - (size - 1) / 2
    taps = np.exp(-(x[:, None] ** 2 + x**2) / (2 * sigma * sigma))
    taps[taps < np.finfo(float).eps * taps.max()] = 0
    return taps / taps.sum()


def shifted(taps: Array, scale: int) -> Array:
    """Moved so that the pixels that are kept stay in place."""
    from scipy.interpolate import RectBivariateSpline

    x = np.arange(len(taps), dtype=float)
    at = np.clip(x + (scale - 1) / 2, 0, len(taps) - 1)
    moved = RectBivariateSpline(x, x, taps, kx=1, ky=1)(at, at)
    return moved / moved.sum()


def noisy(image: Array, dice: Dice, way: Way) -> Array:
    from scipy.linalg import orth

    sigma = dice.python.randint(*NOISE) / 255
    kind = dice.numpy.rand()
    if kind > GREY + CORRELATED:
        noise = way.white(dice, sigma, image.shape)
    elif kind < GREY:
        noise = way.white(dice, sigma, (*image.shape[:2], 1))
    else:
        directions = orth(dice.numpy.rand(3, 3))
        covariance = directions.T @ np.diag(dice.numpy.rand(3)) @ directions
        noise = way.correlated(dice, np.abs((NOISE[1] / 255) ** 2 * covariance), (image.shape[0], image.shape[1]))
    return np.clip(image + noise, 0, 1)


def compressed(image: Array, dice: Dice) -> Array:
    """Through OpenCV's JPEG encoder and back."""
    import cv2

    quality = [cv2.IMWRITE_JPEG_QUALITY, dice.python.randint(*QUALITY)]
    levels = np.uint8((np.clip(image, 0, 1) * 255).round())
    _, file = cv2.imencode(".jpg", cv2.cvtColor(levels, cv2.COLOR_RGB2BGR), quality)
    decoded: Array = cv2.imdecode(file, cv2.IMREAD_COLOR)
    return cv2.cvtColor(np.float32(decoded / 255.0), cv2.COLOR_BGR2RGB)


# As published


def convolve_with_scipy(image: Array, taps: Array) -> Array:
    from scipy import ndimage

    return ndimage.convolve(image, taps[::-1, ::-1, None], mode="mirror")


def anisotropic_tap_by_tap(image: Array, size: int, covariance: Array) -> Array:
    """One call of SciPy for every tap."""
    from scipy.stats import multivariate_normal

    taps = np.zeros((size, size))
    middle = size / 2 + 0.5
    for y in range(size):
        for x in range(size):
            taps[y, x] = multivariate_normal.pdf([x - middle + 1, y - middle + 1], mean=[0, 0], cov=covariance)
    return convolve_with_scipy(image, taps / taps.sum())


def halve_row_by_row(image: Array) -> Array:
    """MATLAB's ``imresize(image, 1/2)``: a product of a matrix and a vector for every row and channel, then for every column."""
    import torch

    taps = torch.from_numpy(HALVING)
    height, width, channels = image.shape
    padded = torch.from_numpy(np.pad(image, ((3, 3), (0, 0), (0, 0)), mode="symmetric"))
    rows = torch.empty(height // 2, width, channels)
    for i in range(height // 2):
        for c in range(channels):
            rows[i, :, c] = padded[2 * i : 2 * i + 8, :, c].T.mv(taps)
    padded = torch.from_numpy(np.pad(rows.numpy(), ((0, 0), (3, 3), (0, 0)), mode="symmetric"))
    result = torch.empty(height // 2, width // 2, channels)
    for i in range(width // 2):
        for c in range(channels):
            result[:, i, c] = padded[:, 2 * i : 2 * i + 8, c].mv(taps)
    return result.numpy()


def white_of_numpy(dice: Dice, sigma: float, shape: tuple[int, ...]) -> Array:
    return dice.numpy.normal(0, sigma, shape).astype(np.float32)


def correlated_of_numpy(dice: Dice, covariance: Array, shape: tuple[int, int]) -> Array:
    return dice.numpy.multivariate_normal([0, 0, 0], covariance, shape, check_valid="ignore").astype(np.float32)


AS_PUBLISHED = Way(
    isotropic=lambda image, size, sigma: convolve_with_scipy(image, gaussian(size, sigma)),
    anisotropic=anisotropic_tap_by_tap,
    convolve=convolve_with_scipy,
    halve=halve_row_by_row,
    white=white_of_numpy,
    correlated=correlated_of_numpy,
)

# With OpenCV everywhere


def convolve_with_opencv(image: Array, taps: Array) -> Array:
    import cv2

    return cv2.filter2D(image, -1, taps, borderType=cv2.BORDER_REFLECT_101)


def separable_with_opencv(image: Array, size: int, sigma: float) -> Array:
    import cv2

    return cv2.GaussianBlur(image, (size, size), sigma, borderType=cv2.BORDER_REFLECT_101)


def anisotropic_at_once(image: Array, size: int, covariance: Array) -> Array:
    x = np.arange(size) - (size - 1) / 2
    (a, b), (_, d) = np.linalg.inv(covariance)
    taps = np.exp(-0.5 * (d * x[:, None] ** 2 + 2 * b * x[:, None] * x + a * x**2))
    return convolve_with_opencv(image, taps / taps.sum())


def halve_with_opencv(image: Array) -> Array:
    import cv2

    return cv2.sepFilter2D(image, -1, HALVING, HALVING, anchor=(3, 3), borderType=cv2.BORDER_REFLECT)[::2, ::2]


def white_of_opencv(_: Dice, sigma: float, shape: tuple[int, ...]) -> Array:
    import cv2

    # In one plane: of several channels a single standard deviation is that of the first, and the others get none.
    return cv2.randn(np.empty((shape[0], math.prod(shape[1:])), np.float32), 0, sigma).reshape(shape)


def correlated_of_opencv(dice: Dice, covariance: Array, shape: tuple[int, int]) -> Array:
    import cv2

    values, vectors = np.linalg.eigh(covariance)
    return cv2.transform(white_of_opencv(dice, 1, (*shape, 3)), vectors * np.sqrt(np.maximum(values, 0)))


WITH_OPENCV = Way(
    isotropic=separable_with_opencv,
    anisotropic=anisotropic_at_once,
    convolve=convolve_with_opencv,
    halve=halve_with_opencv,
    white=white_of_opencv,
    correlated=correlated_of_opencv,
)

#: The two as peers, by name.
WAYS: dict[str, Callable[[Array, int], Array]] = {
    "BSRGAN as published": partial(degrade, way=AS_PUBLISHED),
    "BSRGAN with OpenCV": partial(degrade, way=WITH_OPENCV),
}
