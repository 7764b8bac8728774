"""Blur of optics and of motion, and by any window."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imrestore._checks.values import shown
from imrestore.degrade import _psf
from imrestore.degrade._numbers import pick
from imrestore.degrade._plan import Draw
from imrestore.degrade._step import Step, check_fields
from imrestore.degrade._values import Value, numbers_of
from imrestore.degrade._windows import MOST, check_window, convolve, launch, window_sizes


@dataclass(frozen=True)
class DefocusBlur(Step):
    """Blur by a disc: a lens that is out of focus.

    Parameters
    ----------
    radius : number, range or distribution, default: 3.0
        Of the disc in pixels, 0 to 62. Its edge is smooth: a pixel that it cuts weighs less.
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

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import DefocusBlur
    >>> image = numpy.zeros((5, 5))
    >>> image[2, 2] = 1
    >>> DefocusBlur(1.5)(image)[2].round(3)
    array([0.   , 0.136, 0.136, 0.136, 0.   ])
    """

    radius: Value = 3.0
    mode: str = field(default="reflect", kw_only=True)
    cval: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, 62, "radius")
        check_window(self)

    def plan(self, draw: Draw) -> None:
        radius = draw.value(self.radius)
        convolve(draw, self, window_sizes(draw, None, radius + 0.5), lambda n, of: _psf.disc(n, radius[of]))
        draw.record("DefocusBlur", radius=radius)


@dataclass(frozen=True)
class MotionBlur(Step):
    """Blur by a line or an arc: a camera that moves while it exposes.

    Parameters
    ----------
    length : number, range or distribution, default: 9.0
        Of the path in pixels, 0 to 124.
    angle : number, range or distribution, default: (0.0, 180.0)
        Its direction in the middle, in degrees, counterclockwise from the rows.
    bend : number, range or distribution, default: 0.0
        By how many degrees it turns from end to end, -360 to 360; 0 for a line.
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

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import MotionBlur
    >>> image = numpy.zeros((3, 7))
    >>> image[1, 3] = 4
    >>> MotionBlur(4, angle=0)(image)[1].round(2)
    array([0. , 0.5, 1. , 1. , 1. , 0.5, 0. ])
    """

    length: Value = 9.0
    angle: Value = (0.0, 180.0)
    bend: Value = field(default=0.0, kw_only=True)
    mode: str = field(default="reflect", kw_only=True)
    cval: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, 124, "length")
        check_fields(self, -np.inf, np.inf, "angle")
        check_fields(self, -360, 360, "bend")
        check_window(self)

    def plan(self, draw: Draw) -> None:
        length, angle, bend = draw.value(self.length), draw.value(self.angle), draw.value(self.bend)
        size = window_sizes(draw, None, length / 2 + 1)
        convolve(draw, self, size, lambda n, of: _psf.motion(n, length[of], angle[of], bend[of]))
        draw.record("MotionBlur", length=length, angle=angle, bend=bend)


@dataclass(frozen=True)
class PSFBlur(Step):
    """Blur by a given point spread function.

    Parameters
    ----------
    psf : array
        Image of a point, (height, width) with 1 to 127 pixels each; the point is at ``height // 2, width // 2``. With three axes
        there are several, of which every sample draws one. It is taken as it is: to leave flat areas alone it must add up to 1.
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

    See Also
    --------
    imrestore.deconvolve : undoes it.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import PSFBlur
    >>> image = numpy.zeros((3, 5))
    >>> image[1, 2] = 1
    >>> PSFBlur([[0.5, 0.25, 0.25]])(image)[1]
    array([0.  , 0.5 , 0.25, 0.25, 0.  ])
    """

    psf: Any
    mode: str = field(default="reflect", kw_only=True)
    cval: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        check_window(self)
        object.__setattr__(self, "psf", _windows(self.psf))

    def plan(self, draw: Draw) -> None:
        windows = np.array(self.psf)
        which = np.zeros(len(draw), np.int64) if len(windows) == 1 else pick(draw.uniforms()[:, 0], len(windows), None)
        # The kernels correlate, and want a middle: an even window gets a row or column of zeros.
        odd = np.pad(windows, [(0, 0), *((0, 1 - n % 2) for n in windows.shape[1:])])[:, ::-1, ::-1]
        height, width = (np.full(len(draw), n) for n in odd.shape[1:])
        launch(draw, self, draw.store(odd)[which], height, width)
        draw.record("PSFBlur", psf=which)


def _windows(value: Any) -> tuple[tuple[tuple[float, ...], ...], ...]:
    """Point spread functions as numbers that cannot change."""
    allowed = f"an array of finite numbers with 2 axes, or 3 for several, of 1 to {MOST} pixels"
    array = numbers_of("psf", value, allowed)
    several = array if array.ndim == 3 else array[None]
    sides = several.shape[1:]
    if several.ndim != 3 or len(several) == 0 or not all(1 <= n <= MOST for n in sides) or not np.isfinite(several).all():
        raise ValueError(f"psf is {shown(value)}; it must be {allowed}")
    return tuple(tuple(map(tuple, one)) for one in several.tolist())
