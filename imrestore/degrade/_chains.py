"""Chains with the constants of published papers, drawn anew for every sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from imrestore._checks.values import flag, integer, one_of, shown
from imrestore.degrade._blur import MOST_SIGMA, GaussianBlur, GeneralizedGaussianBlur, PlateauBlur, SincBlur
from imrestore.degrade._camera import Camera
from imrestore.degrade._defects import Clip, Quantize
from imrestore.degrade._distributions import Choice, Integers, InverseUniform, LogUniform, SquareUniform
from imrestore.degrade._jpeg import JPEG
from imrestore.degrade._noise import ColorNoise, GaussianNoise, PoissonNoise
from imrestore.degrade._resize import Resize
from imrestore.degrade._step import Step
from imrestore.degrade._steps import Chain, Maybe, OneOf, Shuffled
from imrestore.degrade._values import Mixture, Value, check_value, distribution

#: Largest sigma of photons: a white of some billionths of a photon.
_MOST_SIGMA = 1e6
#: Slope of the cubic of OpenCV and torch, which the published pipelines resize with.
_CUBIC = -0.75


def _scale(value: object) -> int:
    allowed = "a whole number from 1 to 16"
    scale = integer("scale", value, allowed)
    if not 1 <= scale <= 16:
        raise ValueError(f"scale is {shown(value)}; it must be {allowed}")
    return scale


def classical(scale: int = 4, *, sigma: Value = 0.0, blur: Value | None = None, noise: str = "gaussian") -> Chain:
    """The degradation that super-resolution began with: blur, MATLAB's bicubic downsampling, noise.

    Parameters
    ----------
    scale : int, default: 4
        By how much the image becomes smaller, 1 to 16.
    sigma : number, range or distribution, default: 0.0
        Standard deviation of the noise on a scale where white is 255; for 'poisson' that of white: a number up to 1e6, or a range
        of those above 0.
    blur : number, range or distribution, optional
        Standard deviation of a Gaussian blur in pixels, 0 to 15.8; by default none.
    noise : {'gaussian', 'poisson'}, default: 'gaussian'
        Kind of noise.

    Returns
    -------
    Chain
        A chain that begins with an image of high resolution.

    Raises
    ------
    TypeError
        If an argument is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Examples
    --------
    >>> import numpy, imrestore
    >>> image = numpy.zeros((64, 48), numpy.uint8)
    >>> imrestore.degrade.classical(4)(image).shape
    (16, 12)
    """
    one_of("noise", noise, ("gaussian", "poisson"))
    photons = noise == "poisson"
    check_value("sigma", sigma, 0, _MOST_SIGMA if photons else math.inf, above=photons and not _is_zero(sigma))
    if blur is not None:
        check_value("blur", blur, 0, MOST_SIGMA)
    steps: list[Step] = [] if blur is None else [GaussianBlur(blur)]
    if _scale(scale) > 1:
        steps.append(Resize(1 / scale))
    if not _is_zero(sigma):
        steps.append(PoissonNoise(_peak(sigma)) if photons else GaussianNoise(sigma))
    return Chain(steps, white=255)


def _peak(sigma: Value) -> Value:
    """Photons of white whose noise has a standard deviation, on a scale where white is 255."""
    if isinstance(sigma, tuple):
        return LogUniform(*((255 / float(end)) ** 2 for end in reversed(sigma)))
    if distribution(sigma) is not None:
        raise TypeError(f"sigma is {shown(sigma)}; for noise='poisson' it must be a finite number > 0 or a range (low, high)")
    return (255 / float(sigma)) ** 2  # type: ignore[arg-type]


def _is_zero(sigma: Value) -> bool:
    return distribution(sigma) is None and sigma == 0


def bsrgan(scale: int = 4, *, camera: bool = False) -> Chain:
    """The degradation of BSRGAN: two blurs, two downsamplings, noise, JPEG, in a random order, and JPEG again.

    Parameters
    ----------
    scale : int, default: 4
        By how much the image becomes smaller, 1 to 16. Height and width should be multiples of it.
    camera : bool, default: False
        Whether a quarter of the samples also pass a camera's sensor and processing (`Camera`). The paper does so with a pipeline of
        its own; its published code leaves it out. Images must then have three channels.

    Returns
    -------
    Chain
        A chain that begins with an image of high resolution, with values on any scale: amplitudes follow its white.

    Raises
    ------
    TypeError
        If an argument is of a type that cannot be meant.
    ValueError
        If `scale` is out of range.

    Notes
    -----
    K. Zhang, J. Liang, L. Van Gool and R. Timofte, "Designing a practical degradation model for deep blind image super-resolution",
    ICCV 2021, with the constants of the published code. The
    noise that is correlated between channels is, on images of one, plain noise of random strength.

    Examples
    --------
    >>> import numpy, imrestore
    >>> image = numpy.zeros((64, 48, 3), numpy.float32)
    >>> imrestore.degrade.bsrgan(4)(image, rng=7, channel_axis=-1).shape
    (16, 12, 3)
    """
    flag("camera", camera)
    own = _shuffled(_scale(scale), 1 / scale, camera)
    last = JPEG(Integers(30, 95))
    if scale != 4:
        return Chain([own, last], white=255, start=True)
    half = OneOf([_resize(1 / 2), Resize(1 / 2)])
    halved = Chain([half, Clip(), _shuffled(2, 1 / scale, camera)])
    return Chain([OneOf([own, halved], p=[0.75, 0.25]), last], white=255, start=True)


def _resize(scale: Value, of: str = "image") -> Resize:
    """With one of OpenCV's interpolations that BSRGAN chooses from."""
    return Resize(scale, method=Choice(["bilinear", "bicubic", "area"]), antialias=False, slope=_CUBIC, mode="nearest", of=of)


def _shuffled(scale: int, final: float, camera: bool) -> Step:
    """The shuffled part of `bsrgan`: by ``scale`` images have to become smaller here, to ``final`` of their size at the start."""
    sizes = Choice(range(7, 26, 2))
    most = SquareUniform(0, math.sqrt(4 + scale))
    long = GaussianBlur(most, most, angle=(0, 180), size=sizes, mode="mirror")
    blur = OneOf([long, GaussianBlur((0, 2 + 0.2 * scale), size=sizes, mode="mirror")])
    # The published code shifts the window by (scale - 1) / 2 pixels and takes every scale-th pixel from the first on.
    thinned = [
        GaussianBlur((0.1, 0.6 * scale), size=25, mode="mirror", shift=(scale - 1) / 2),
        Resize(1 / scale, method="nearest"),
    ]
    down = Chain([OneOf([_resize(InverseUniform(1, 2 * scale)), Chain(thinned)], p=[0.75, 0.25]), Clip()])
    noise = Chain(
        [
            OneOf([GaussianNoise(Integers(2, 25)), GaussianNoise(Integers(2, 25), grey=1), ColorNoise(25)], p=[0.4, 0.4, 0.2]),
            Clip(),
        ]
    )
    steps: list[Step] = [blur, blur, down, Chain([_resize(final, "start"), Clip()]), noise, Maybe(JPEG(Integers(30, 95)), 0.9)]
    if camera:
        steps.append(Maybe(Camera(), 0.25))
    return Shuffled(steps, keep=(2, 3))


def real_esrgan(scale: int = 4) -> Chain:
    """The degradation of Real-ESRGAN: blur, resizing, noise and JPEG, twice, and a sinc filter that rings.

    Parameters
    ----------
    scale : int, default: 4
        By how much the image becomes smaller, 1 to 16.

    Returns
    -------
    Chain
        A chain that begins with an image of high resolution, with values on any scale: amplitudes follow its white.

    Raises
    ------
    TypeError
        If `scale` is no whole number.
    ValueError
        If it is out of range.

    Notes
    -----
    X. Wang, L. Xie, C. Dong and Y. Shan, "Real-ESRGAN: training real-world blind super-resolution with pure synthetic data", ICCVW
    2021, with the constants of the published configuration. There scale, interpolation and kind of noise are one for a whole batch;
    here every sample draws its own. Sharpening the image before is left to the caller.

    Examples
    --------
    >>> import numpy, imrestore
    >>> image = numpy.zeros((64, 48, 3), numpy.float32)
    >>> imrestore.degrade.real_esrgan(4)(image, rng=7, channel_axis=-1).shape
    (16, 12, 3)
    """
    final = 1 / _scale(scale)
    back = [_interpolate(final, "start"), Maybe(SincBlur((math.pi / 3, math.pi), size=_SIZES, mode="mirror"), 0.8)]
    jpeg = [Clip(), JPEG((30, 95))]
    first = [_blur((0.2, 3.0)), _interpolate(_around(0.15, 1.5, (0.7, 0.2, 0.1))), _noise((1, 30), (0.05, 3.0)), *jpeg]
    second = [
        Maybe(_blur((0.2, 1.5)), 0.8),
        _interpolate(_around(0.3, 1.2, (0.4, 0.3, 0.3), final), "start"),
        _noise((1, 25), (0.05, 2.5)),
        OneOf([Chain([*back, *jpeg]), Chain([*jpeg, *back])]),
    ]
    return Chain([*first, *second, Clip(), Quantize(256)], white=255, start=True)


#: Windows of the blurs, and the chances of their kinds: Gaussian, generalised and plateau, each round and long.
_SIZES = Choice(range(7, 22, 2))
_KINDS = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)


def _blur(sigma: tuple[float, float]) -> Step:
    """A blur of `real_esrgan`: in a tenth of the samples a filter that rings."""
    where: dict[str, Any] = {"size": _SIZES, "mode": "mirror"}
    turned: dict[str, Any] = {**where, "angle": (-180, 180)}
    general, plateau = Mixture([(0.5, 1), (1, 4)]), Mixture([(1, 1), (1, 2)])
    kinds = [
        GaussianBlur(sigma, **where),
        GaussianBlur(sigma, sigma, **turned),
        GeneralizedGaussianBlur(sigma, beta=general, **where),
        GeneralizedGaussianBlur(sigma, sigma, beta=general, **turned),
        PlateauBlur(sigma, beta=plateau, **where),
        PlateauBlur(sigma, sigma, beta=plateau, **turned),
    ]
    small, large = Choice((7, 9, 11)), Choice((13, 15, 17, 19, 21))
    ringing = OneOf(
        [SincBlur((math.pi / 3, math.pi), size=small, mode="mirror"), SincBlur((math.pi / 5, math.pi), size=large, mode="mirror")],
        p=[3 / 8, 5 / 8],
    )
    return OneOf([OneOf(kinds, p=_KINDS), ringing], p=[0.9, 0.1])


def _around(low: float, high: float, p: Sequence[float], scale: float = 1.0) -> Value:
    """A factor below 1, above 1 or 1, with these chances, times ``scale``."""
    return Mixture([(low * scale, scale), (scale, high * scale), scale], p=p)


def _interpolate(scale: Value, of: str = "image") -> Resize:
    """With one of torch's interpolations that Real-ESRGAN chooses from."""
    return Resize(scale, method=Choice(["area", "bilinear", "bicubic"]), antialias=False, slope=_CUBIC, mode="nearest", of=of)


def _noise(sigma: tuple[float, float], scale: tuple[float, float]) -> Step:
    """Noise of `real_esrgan`, four tenths of it grey. A photon is a level of 8 bits there, and the noise is then multiplied."""
    photons = PoissonNoise(256, scale=scale, grey=0.4)
    return Chain([OneOf([GaussianNoise(sigma, grey=0.4), photons]), Clip()])
