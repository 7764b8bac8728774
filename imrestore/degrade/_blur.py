"""Blur by windows of every sample's own: Gaussians and what resembles them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from imrestore._checks.values import finite, shown
from imrestore.degrade import _psf
from imrestore.degrade._numbers import Floats
from imrestore.degrade._plan import Draw
from imrestore.degrade._step import Step, check_fields
from imrestore.degrade._values import Value
from imrestore.degrade._windows import MOST, check_window, convolve, window_sizes

#: Reach of a Gaussian's window in standard deviations, as `imrestore.gaussian` has it.
TRUNCATE = 4.0

#: Largest standard deviation whose window still reaches so far.
MOST_SIGMA = MOST // 2 / TRUNCATE + 0.05

_SHIFTS = "a number from -16 to 16"


@dataclass(frozen=True)
class GaussianBlur(Step):
    """Blur by a Gaussian, round or long.

    Parameters
    ----------
    sigma : number, range or distribution, default: 1.0
        Standard deviation in pixels, 0 to 15.8, or to 1000 with `size`: along `angle` if there is a second one.
    sigma2 : number, range or distribution, optional
        Standard deviation across `angle`; by default the same.
    angle : number, range or distribution, default: 0.0
        Direction of `sigma` in degrees, counterclockwise from the rows.
    size : number, Integers or Choice, optional
        Width of the window in pixels, 1 to 127; an even number counts as the odd one above it. By default it reaches 4 standard
        deviations.
    shift : float, default: 0.0
        How far down and to the right of each pixel the middle of its window is, in pixels, -16 to 16: ``(n - 1) / 2`` for those who
        keep every n-th pixel afterwards, beginning with the first.
    mode : str, default: 'reflect'
        What lies outside the image: 'reflect', 'mirror', 'nearest', 'wrap' or 'constant', as for `imrestore.gaussian`.
    cval : float, default: 0.0
        Value outside the image in 'constant' mode, -1e30 to 1e30, in the image's units.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Notes
    -----
    The window is sampled and normalised in float64. What float32 would not notice of it is left out, so a `size` that is larger
    than it need be costs nothing. A Gaussian without a second `sigma` is done axis by axis. The gradient is exact, border and all.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import GaussianBlur
    >>> image = numpy.zeros((5, 5), numpy.uint8)
    >>> image[2, 2] = 255
    >>> GaussianBlur(1.0)(image)[2]
    array([ 6, 25, 41, 25,  6], dtype=uint8)
    """

    sigma: Value = 1.0
    sigma2: Value | None = None
    angle: Value = field(default=0.0, kw_only=True)
    size: Value | None = field(default=None, kw_only=True)
    shift: float = field(default=0.0, kw_only=True)
    mode: str = field(default="reflect", kw_only=True)
    cval: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        names = ["sigma"] if self.sigma2 is None else ["sigma", "sigma2"]
        check_fields(self, 0, MOST_SIGMA if self.size is None else 1000, *names)
        check_fields(self, -np.inf, np.inf, "angle")
        if abs(finite("shift", self.shift, _SHIFTS)) > 16:
            raise ValueError(f"shift is {shown(self.shift)}; it must be {_SHIFTS}")
        check_window(self)

    def plan(self, draw: Draw) -> None:
        sigma = draw.value(self.sigma)
        second = sigma if self.sigma2 is None else draw.value(self.sigma2)
        angle = draw.value(self.angle)
        size = window_sizes(draw, self.size, np.floor(np.maximum(sigma, second) * TRUNCATE + 0.5) + abs(self.shift))
        if self.sigma2 is None:
            convolve(draw, self, size, lambda n, of: _psf.gaussian_lines(n, sigma[of], -self.shift))
            draw.record("GaussianBlur", sigma=sigma, size=size)
            return
        convolve(draw, self, size, lambda n, of: _psf.gaussian(n, sigma[of], second[of], angle[of], -self.shift))
        draw.record("GaussianBlur", sigma=sigma, sigma2=second, angle=angle, size=size)


@dataclass(frozen=True)
class GeneralizedGaussianBlur(Step):
    """Blur by exp(-d**beta / 2), with d the squared distance in standard deviations: a Gaussian with other tails.

    Parameters
    ----------
    sigma : number, range or distribution, default: 1.0
        Standard deviation in pixels, 0 to 1000, of the Gaussian that it is for ``beta=1``: along `angle` if there is a second one.
    sigma2 : number, range or distribution, optional
        The same across `angle`; by default no other.
    beta : number, range or distribution, default: 1.0
        Shape, > 0: below 1 the tails are heavy, far above it is a disc.
    angle : number, range or distribution, default: 0.0
        Direction of `sigma` in degrees, counterclockwise from the rows.
    size : number, Integers or Choice, default: 21
        Width of the window in pixels, 1 to 127; an even number counts as the odd one above it.
    mode : str, default: 'reflect'
        What lies outside the image: 'reflect', 'mirror', 'nearest', 'wrap' or 'constant', as for `imrestore.gaussian`.
    cval : float, default: 0.0
        Value outside the image in 'constant' mode, -1e30 to 1e30, in the image's units.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Notes
    -----
    Of Liu, Li and Ji 2020, "Estimating generalized Gaussian blur kernels for out-of-focus image deblurring", in the form of
    Real-ESRGAN (Wang, Xie, Dong and Shan 2021), which draws beta from 0.5 to 4.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import GeneralizedGaussianBlur
    >>> image = numpy.random.default_rng(0).random((32, 32))
    >>> bool(GeneralizedGaussianBlur(2.0, beta=0.5)(image).std() < image.std())
    True
    """

    sigma: Value = 1.0
    sigma2: Value | None = None
    beta: Value = field(default=1.0, kw_only=True)
    angle: Value = field(default=0.0, kw_only=True)
    size: Value = field(default=21, kw_only=True)
    mode: str = field(default="reflect", kw_only=True)
    cval: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        _check_shaped(self)

    def plan(self, draw: Draw) -> None:
        _plan_shaped(draw, self, _psf.generalized_gaussian)


@dataclass(frozen=True)
class PlateauBlur(Step):
    """Blur by 1 / (1 + d**beta), with d the squared distance in standard deviations: flat in the middle, with long tails.

    Parameters
    ----------
    sigma : number, range or distribution, default: 1.0
        Distance in pixels, 0 to 1000, at which it has fallen to a half: along `angle` if there is a second one.
    sigma2 : number, range or distribution, optional
        The same across `angle`; by default no other.
    beta : number, range or distribution, default: 1.0
        Steepness, > 0.
    angle : number, range or distribution, default: 0.0
        Direction of `sigma` in degrees, counterclockwise from the rows.
    size : number, Integers or Choice, default: 21
        Width of the window in pixels, 1 to 127; an even number counts as the odd one above it.
    mode : str, default: 'reflect'
        What lies outside the image: 'reflect', 'mirror', 'nearest', 'wrap' or 'constant', as for `imrestore.gaussian`.
    cval : float, default: 0.0
        Value outside the image in 'constant' mode, -1e30 to 1e30, in the image's units.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Notes
    -----
    Of Real-ESRGAN (Wang, Xie, Dong and Shan 2021), which draws beta from 1 to 2.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import PlateauBlur
    >>> image = numpy.random.default_rng(0).random((32, 32))
    >>> bool(PlateauBlur(2.0, beta=(1, 2))(image, rng=0).std() < image.std())
    True
    """

    sigma: Value = 1.0
    sigma2: Value | None = None
    beta: Value = field(default=1.0, kw_only=True)
    angle: Value = field(default=0.0, kw_only=True)
    size: Value = field(default=21, kw_only=True)
    mode: str = field(default="reflect", kw_only=True)
    cval: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        _check_shaped(self)

    def plan(self, draw: Draw) -> None:
        _plan_shaped(draw, self, _psf.plateau)


@dataclass(frozen=True)
class SincBlur(Step):
    """Cut off high frequencies sharply, which leaves rings around edges.

    Parameters
    ----------
    cutoff : number, range or distribution, default: (1.0, 3.0)
        Frequency in radians per pixel, 0.001 to pi.
    size : number, Integers or Choice, default: 21
        Width of the window in pixels, 1 to 127; an even number counts as the odd one above it.
    mode : str, default: 'reflect'
        What lies outside the image: 'reflect', 'mirror', 'nearest', 'wrap' or 'constant', as for `imrestore.gaussian`.
    cval : float, default: 0.0
        Value outside the image in 'constant' mode, -1e30 to 1e30, in the image's units.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Notes
    -----
    The filter of Real-ESRGAN (Wang, Xie, Dong and Shan 2021), section 3.3: cutoff J1(cutoff r) / (2 pi r) at the distance r.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import SincBlur
    >>> edge = numpy.repeat([[0.0] * 16 + [1.0] * 16], 32, axis=0)
    >>> ringing = SincBlur(1.0)(edge)
    >>> bool(ringing.min() < -0.02), bool(ringing.max() > 1.02)
    (True, True)
    """

    cutoff: Value = (1.0, 3.0)
    size: Value = 21
    mode: str = field(default="reflect", kw_only=True)
    cval: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0.001, np.pi, "cutoff")
        check_window(self)

    def plan(self, draw: Draw) -> None:
        cutoff = draw.value(self.cutoff)
        size = window_sizes(draw, self.size, np.zeros(len(draw)))
        convolve(draw, self, size, lambda n, of: _psf.sinc(n, cutoff[of]))
        draw.record("SincBlur", cutoff=cutoff, size=size)


def _check_shaped(step: GeneralizedGaussianBlur | PlateauBlur) -> None:
    check_fields(step, 0, 1000, *(["sigma"] if step.sigma2 is None else ["sigma", "sigma2"]))
    check_fields(step, 0, np.inf, "beta", above=True)
    check_fields(step, -np.inf, np.inf, "angle")
    check_window(step)


def _plan_shaped(draw: Draw, step: GeneralizedGaussianBlur | PlateauBlur, make: Callable[..., Floats]) -> None:
    sigma = draw.value(step.sigma)
    second = sigma if step.sigma2 is None else draw.value(step.sigma2)
    beta, angle = draw.value(step.beta), draw.value(step.angle)
    sizes = window_sizes(draw, step.size, sigma)
    convolve(draw, step, sizes, lambda n, of: make(n, sigma[of], second[of], angle[of], beta[of]))
    more = {} if step.sigma2 is None else {"sigma2": second, "angle": angle}
    draw.record(type(step).__name__, sigma=sigma, beta=beta, size=sizes, **more)
