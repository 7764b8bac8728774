"""Rotations, shifts, scalings and shears: pixels from between pixels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from imrestore import _checks
from imrestore._checks.values import finite, one_of
from imrestore.augment import _geometry
from imrestore.degrade._distributions import Choice
from imrestore.degrade._numbers import Floats
from imrestore.degrade._plan import Draw, Numbers
from imrestore.degrade._step import Step, check_fields, check_option
from imrestore.degrade._values import Value

#: As near to a whole number of pixels as rounding comes.
_SLACK = 1e-9

_IDENTITY = np.eye(3)


@dataclass(frozen=True)
class Warp(Step):
    """What all of them let one choose."""

    interpolation: str | Choice = field(default="bilinear", kw_only=True)
    mode: str = field(default="reflect", kw_only=True)
    cval: float = field(default=0.0, kw_only=True)

    def check(self) -> None:
        """Check these three."""
        check_option("interpolation", self.interpolation, tuple(_geometry.INTERPOLATIONS))
        _checks.border_mode(self.mode)
        finite("cval", self.cval, "a finite number in the image's units")

    def interpolations(self, draw: Draw) -> Numbers:
        """The kernels' numbers for what samples draw."""
        return np.array([_geometry.INTERPOLATIONS[name] for name in draw.option(self.interpolation)], np.int64)

    def warp(self, draw: Draw, matrices: Floats, out: tuple[Numbers, Numbers] | None = None) -> None:
        """Result (x, y) about its centre is the image at ``matrices`` times that, about its own."""
        height, width = draw.heights, draw.widths
        size = (height, width) if out is None else out
        centres = _shifts((size[1] - 1) / -2, (size[0] - 1) / -2)
        whole = _shifts((width - 1) / 2, (height - 1) / 2) @ matrices @ centres
        _geometry.warp(draw, whole, size, self.interpolations(draw), _checks.border_mode(self.mode), self.cval * draw.unit)


def identities(count: int) -> Floats:
    """Homographies that change nothing."""
    matrices = np.empty((count, 3, 3))
    matrices[:] = _IDENTITY
    return matrices


def _shifts(right: Floats, down: Floats) -> Floats:
    matrices = identities(len(right))
    matrices[:, 0, 2], matrices[:, 1, 2] = right, down
    return matrices


def _rotations(angles: Floats) -> Floats:
    """From a result to its image, which is turned counterclockwise by so many degrees; rows go down."""
    matrices, turns = identities(len(angles)), np.deg2rad(angles)
    matrices[:, 0, 0] = matrices[:, 1, 1] = np.cos(turns)
    matrices[:, 1, 0] = np.sin(turns)
    matrices[:, 0, 1] = -matrices[:, 1, 0]
    right = angles % 90 == 0  # without the rounding of pi
    matrices[right, :2, :2] = np.rint(matrices[right, :2, :2])
    return matrices


def _scalings(factors: Floats) -> Floats:
    matrices = identities(len(factors))
    matrices[:, 0, 0] = matrices[:, 1, 1] = 1 / factors
    return matrices


@dataclass(frozen=True)
class Rotate(Warp):
    """Turn the image about its centre.

    Parameters
    ----------
    angle : number, range or distribution, default: (-10, 10)
        Degrees, counterclockwise.
    interpolation : {'bilinear', 'bicubic', 'nearest'} or Choice, default: 'bilinear'
        How values between pixels are made; 'bicubic' is Keys' with a = -1/2. Of masks it is always the nearest pixel.
    mode : str, default: 'reflect'
        What lies outside the image: 'reflect', 'mirror', 'nearest', 'wrap' or 'constant'.
    cval : float, default: 0.0
        Value outside in 'constant' mode, in the image's units; also of targets and masks.
    fit : {'keep', 'zoom', 'crop'}, default: 'keep'
        What becomes of corners that come from outside of the image. 'keep' fills them by `mode`; 'zoom' enlarges the image until
        there are none; 'crop' cuts the largest rectangle without any, of the image's proportions, so that its size depends on the
        angle.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Notes
    -----
    Steps that warp one after the other are one warp, interpolated once: what the first has moved out of the image the second can
    bring back. The same goes for all steps of this module that name an `interpolation`, but for `Elastic`.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.augment import Rotate
    >>> Rotate(90)(numpy.array([[1, 2], [3, 4]]))
    array([[2, 4],
           [1, 3]])
    """

    angle: Value = (-10, 10)
    fit: str = field(default="keep", kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, -np.inf, np.inf, "angle")
        one_of("fit", self.fit, ("keep", "zoom", "crop"))
        self.check()

    def plan(self, draw: Draw) -> None:
        angle = draw.value(self.angle)
        turns, out = _rotations(angle), None
        across, down = draw.widths - 1, draw.heights - 1
        cos, sin = np.abs(turns[:, 0, 0]), np.abs(turns[:, 1, 0])
        # A rectangle of a times the image's sides, turned, has to lie in the image.
        reach_x, reach_y = across * cos + down * sin, across * sin + down * cos
        share = np.minimum(across / np.maximum(reach_x, 1e-9), down / np.maximum(reach_y, 1e-9))
        share = np.where((across == 0) | (down == 0), np.where(sin == 0, 1.0, 0.0), share)
        if self.fit == "zoom":
            turns = turns @ _scalings(1 / np.maximum(share, _SLACK))
        elif self.fit == "crop":
            height, width = (np.floor(share * n + _SLACK).astype(np.int64) + 1 for n in (down, across))
            out = height, width
        self.warp(draw, turns, out)
        draw.record("Rotate", angle=angle)


@dataclass(frozen=True)
class Translate(Warp):
    """Shift the image.

    Parameters
    ----------
    right, down : number, range or distribution, default: (-0.1, 0.1)
        By how much, as shares of width and height or in pixels.
    interpolation : {'bilinear', 'bicubic', 'nearest'} or Choice, default: 'bilinear'
        As in `Rotate`; 'nearest' shifts by whole pixels.
    mode : str, default: 'reflect'
        What lies outside the image, as in `Rotate`.
    cval : float, default: 0.0
        Value outside in 'constant' mode.
    unit : {'share', 'pixels'}, default: 'share'
        What the shifts count.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.augment import Translate
    >>> Translate(1, 0, unit="pixels", mode="constant")(numpy.array([[1, 2, 3]]))
    array([[0, 1, 2]])
    """

    right: Value = (-0.1, 0.1)
    down: Value = (-0.1, 0.1)
    unit: str = field(default="share", kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, -1e6, 1e6, "right", "down")
        one_of("unit", self.unit, ("share", "pixels"))
        self.check()

    def plan(self, draw: Draw) -> None:
        right, down = draw.value(self.right), draw.value(self.down)
        pixels = (draw.widths, draw.heights) if self.unit == "share" else (1, 1)
        self.warp(draw, _shifts(-right * pixels[0], -down * pixels[1]))
        draw.record("Translate", right=right, down=down)


@dataclass(frozen=True)
class Scale(Warp):
    """Make the image larger or smaller about its centre, and keep its size in pixels.

    Parameters
    ----------
    factor : number, range or distribution, default: (0.8, 1.25)
        Above 1 what is seen gets larger; 0.001 to 1000. To change the size in pixels there is `imrestore.degrade.Resize`, which
        also filters what would be too fine for fewer pixels; here factors much below 1 alias.
    interpolation : {'bilinear', 'bicubic', 'nearest'} or Choice, default: 'bilinear'
        As in `Rotate`.
    mode : str, default: 'reflect'
        What lies outside the image, as in `Rotate`.
    cval : float, default: 0.0
        Value outside in 'constant' mode.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.augment import Scale
    >>> Scale(2)(numpy.array([[0.0, 4.0, 8.0]]))
    array([[2., 4., 6.]])
    """

    factor: Value = (0.8, 1.25)

    def __post_init__(self) -> None:
        check_fields(self, 1e-3, 1000, "factor")
        self.check()

    def plan(self, draw: Draw) -> None:
        factor = draw.value(self.factor)
        self.warp(draw, _scalings(factor))
        draw.record("Scale", factor=factor)


@dataclass(frozen=True)
class Affine(Warp):
    """Scale, shear, turn and shift the image about its centre, in this order and in one step.

    Parameters
    ----------
    angle : number, range or distribution, default: 0.0
        Degrees, counterclockwise.
    interpolation : {'bilinear', 'bicubic', 'nearest'} or Choice, default: 'bilinear'
        As in `Rotate`.
    mode : str, default: 'reflect'
        What lies outside the image, as in `Rotate`.
    cval : float, default: 0.0
        Value outside in 'constant' mode.
    right, down : number, range or distribution, default: 0.0
        Shifts, as shares of width and height.
    scale : number, range or distribution, default: 1.0
        As in `Scale`, 0.001 to 1000.
    shear : number, range or distribution, default: 0.0
        Angle in degrees, -89 to 89, by which vertical lines lean to the left at the top.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.augment import Affine
    >>> Affine((-10, 10), scale=(0.9, 1.1), shear=(-5, 5))(numpy.zeros((8, 9)), rng=0).shape
    (8, 9)
    """

    angle: Value = 0.0
    right: Value = field(default=0.0, kw_only=True)
    down: Value = field(default=0.0, kw_only=True)
    scale: Value = field(default=1.0, kw_only=True)
    shear: Value = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, -np.inf, np.inf, "angle")
        check_fields(self, -100, 100, "right", "down")
        check_fields(self, 1e-3, 1000, "scale")
        check_fields(self, -89, 89, "shear")
        self.check()

    def plan(self, draw: Draw) -> None:
        angle, right, down = draw.value(self.angle), draw.value(self.right), draw.value(self.down)
        scale, shear = draw.value(self.scale), draw.value(self.shear)
        lean = identities(len(draw))
        lean[:, 0, 1] = -np.tan(np.deg2rad(shear))
        matrices = _scalings(scale) @ lean @ _rotations(angle) @ _shifts(-right * draw.widths, -down * draw.heights)
        self.warp(draw, matrices)
        draw.record("Affine", angle=angle, right=right, down=down, scale=scale, shear=shear)
