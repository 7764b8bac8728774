"""Single steps of damage and augmentation, each with what one would call for it in NumPy or OpenCV.

Noise is held to the PSNR that its variance says; filters and transforms to what somebody else makes of the same parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from benches import expected
from benches.peers import NUMPY, OPENCV

Array: TypeAlias = Any  # NumPy's; what OpenCV returns has no type

SEED = 20261122
SIDE = 256
SIGMA, PEAK, SPECKLE, IMPULSES = 25 / 255, 100.0, 0.1, 0.05
QUALITY, TAPS, BLUR, LENGTH, ANGLE, SMALL = 50, 21, (3.0, 1.5, 30.0), 15, 15.0, SIDE // 4
KNOTS, BEND = 8, 4.0


class Case(NamedTuple):
    """A step: ours, everybody else's, and between which values the PSNR of ours to ``reference`` has to lie."""

    filter: str
    parameters: str
    ours: Callable[[Array], Array]
    peers: Mapping[str, Callable[[Array], Array]]
    reference: Callable[[Array], Array]
    decibels: Callable[[Array], tuple[float, float]]

    def check(self, image: Array) -> tuple[bool, float]:
        """Whether the result is right, and its PSNR."""
        result, reference = self.ours(image), self.reference(image)
        if (result.shape, result.dtype) != (reference.shape, image.dtype):
            return False, math.nan
        found = expected.psnr(result, reference, 1.0)
        low, high = self.decibels(image)
        return low <= found <= high, found


@cache
def colours(side: int = SIDE) -> Array:
    """A photograph in colours, float32 from 0 to 1, for everyone to share."""
    from skimage import data

    start = (512 - side) // 2
    image = np.ascontiguousarray(data.astronaut()[start : start + side, start : start + side] / 255, np.float32)
    image.setflags(write=False)
    return image


def cases() -> Iterator[Case]:
    yield from noises()
    yield from filters()
    yield from motions()


def ours(step: Any) -> Callable[[Array], Array]:
    return partial(step, rng=SEED, channel_axis=-1)


def unchanged(image: Array) -> Array:
    return image


def about(variance: Callable[[Array], float]) -> Callable[[Array], tuple[float, float]]:
    """The PSNR of noise, within a tenth of a decibel: five standard deviations for 200 000 values."""

    def limits(image: Array) -> tuple[float, float]:
        found = -10 * math.log10(variance(image))
        return found - 0.1, found + 0.1

    return limits


def at_least(decibels: float) -> Callable[[Array], tuple[float, float]]:
    return lambda image: (decibels, math.inf)


def noises() -> Iterator[Case]:
    import cv2

    from imrestore import degrade

    rng = np.random.default_rng(SEED)

    def gaussian_of_opencv(image: Array) -> Array:
        # In one plane: of several channels a single standard deviation is that of the first, and the others get none.
        noise = cv2.randn(np.empty((len(image), image[0].size), np.float32), 0, SIGMA)
        return cv2.add(image, noise.reshape(image.shape))

    def gaussian_of_numpy(image: Array) -> Array:
        return image + np.float32(SIGMA) * rng.standard_normal(image.shape, np.float32)

    def poisson_of_numpy(image: Array) -> Array:
        return (rng.poisson(image * PEAK) / PEAK).astype(np.float32)

    def speckle_of_numpy(image: Array) -> Array:
        return image + image * (np.float32(SPECKLE) * rng.standard_normal(image.shape, np.float32))

    def impulses_of_numpy(image: Array) -> Array:
        u = rng.random(image.shape[:2], np.float32)[..., None]
        return np.where(u < IMPULSES, np.float32(0) + (u < IMPULSES / 2), image)

    noise = about(lambda image: SIGMA**2)
    both = {OPENCV: gaussian_of_opencv, NUMPY: gaussian_of_numpy}
    yield Case("GaussianNoise", "sigma 25", ours(degrade.GaussianNoise(SIGMA)), both, unchanged, noise)
    shot = about(lambda image: float(image.mean()) / PEAK)
    yield Case("PoissonNoise", "peak 100", ours(degrade.PoissonNoise(PEAK)), {NUMPY: poisson_of_numpy}, unchanged, shot)
    grain = about(lambda image: float(np.square(image).mean()) * SPECKLE**2)
    yield Case("SpeckleNoise", "sigma 0.1", ours(degrade.SpeckleNoise(SPECKLE)), {NUMPY: speckle_of_numpy}, unchanged, grain)
    # Whole pixels are hit, so the number of hits has a standard deviation of 2 % and with it the PSNR one of 0.08 dB.
    hit = IMPULSES / 2

    def limits(image: Array) -> tuple[float, float]:
        found = -10 * math.log10(hit * float((np.square(image) + np.square(1 - image)).mean()))
        return found - 0.4, found + 0.4

    step = ours(degrade.SaltAndPepper(IMPULSES))
    yield Case("SaltAndPepper", "5 %", step, {NUMPY: impulses_of_numpy}, unchanged, limits)


def filters() -> Iterator[Case]:
    import cv2

    from imrestore import degrade

    def blurred(image: Array) -> Array:
        return cv2.filter2D(image, -1, gaussian_taps(), borderType=cv2.BORDER_REFLECT)

    def isotropic(image: Array) -> Array:
        return cv2.GaussianBlur(image, (TAPS, TAPS), BLUR[0], borderType=cv2.BORDER_REFLECT)

    def jpeg_of_opencv(image: Array) -> Array:
        levels = np.uint8(np.rint(image[..., ::-1] * 255))
        _, file = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        decoded: Array = cv2.imdecode(file, cv2.IMREAD_COLOR)
        return decoded[..., ::-1] * np.float32(1 / 255)

    sigma, sigma2, angle = BLUR
    step = ours(degrade.GaussianBlur(sigma, sigma2=sigma2, angle=angle, size=TAPS))
    yield Case("GaussianBlur", "21x21, turned", step, {OPENCV: blurred}, blurred, at_least(100))
    step = ours(degrade.GaussianBlur(sigma, size=TAPS))
    yield Case("GaussianBlur", "21x21", step, {OPENCV: isotropic}, isotropic, at_least(100))
    step = ours(degrade.JPEG(QUALITY))
    yield Case("JPEG", "quality 50", step, {OPENCV: jpeg_of_opencv}, jpeg_of_opencv, at_least(45))
    step = ours(degrade.Resize(size=SMALL))
    # What lies beyond the border is mirrored by us and left out by torch.
    yield Case("Resize", "256 to 64, antialiased", step, {"torch": shrunk_with_torch}, shrunk_with_torch, at_least(50))
    step = ours(degrade.Resize(size=SMALL, method="area"))
    area = partial(cv2.resize, dsize=(SMALL, SMALL), interpolation=cv2.INTER_AREA)
    yield Case("Resize", "256 to 64, area", step, {OPENCV: area}, area, at_least(100))


def motions() -> Iterator[Case]:
    import cv2

    from imrestore import augment

    rng = np.random.default_rng(SEED)

    def turned(image: Array) -> Array:
        matrix = cv2.getRotationMatrix2D(((SIDE - 1) / 2, (SIDE - 1) / 2), ANGLE, 1)
        return cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR)

    def bent(image: Array) -> Array:
        x = np.arange(SIDE, dtype=np.float32)
        drawn = rng.uniform(-BEND, BEND, (2, KNOTS, KNOTS)).astype(np.float32)
        moved = [cv2.resize(knots, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for knots in drawn]
        return cv2.remap(image, moved[0] + x, moved[1] + x[:, None], cv2.INTER_LINEAR)

    yield Case("Rotate", "15 degrees", ours(augment.Rotate(ANGLE, mode="constant")), {OPENCV: turned}, turned, at_least(60))
    # Nobody bends alike: the photograph is moved, but not far.
    step = ours(augment.Elastic(BEND, spacing=SIDE / KNOTS))
    yield Case("Elastic", "4 pixels", step, {OPENCV: bent}, unchanged, lambda image: (15, 35))


@cache
def gaussian_taps() -> Array:
    sigma, sigma2, angle = BLUR
    x = np.arange(TAPS) - TAPS // 2
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    along, across = c * x - s * x[:, None], c * x[:, None] + s * x  # counterclockwise, and rows go down
    taps = np.exp(-0.5 * ((along / sigma) ** 2 + (across / sigma2) ** 2))
    return taps / taps.sum()


def shrunk_with_torch(image: Array) -> Array:
    """Bicubic with a = -0.5 and antialiased, as MATLAB's."""
    import torch
    from torch.nn.functional import interpolate

    planes = torch.from_numpy(image.copy()).permute(2, 0, 1)[None]
    small = interpolate(planes, size=(SMALL, SMALL), mode="bicubic", antialias=True)
    return small[0].permute(1, 2, 0).contiguous().numpy()
