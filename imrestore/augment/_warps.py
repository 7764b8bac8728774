"""Rotations, shifts, scalings and shears: pixels from between pixels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from imrestore_kernels.borders import MODES

from imrestore import _checks
from imrestore._checks.values import finite, one_of
from imrestore.augment import _geometry
from imrestore.augment._geometry import Sides
from imrestore.augment._homographies import Homography, about_centres, rotation, scaling, shear, shift, times
from imrestore.degrade._distributions import Choice
from imrestore.degrade._plan import Draw
from imrestore.degrade._step import Step, check_fields, check_option
from imrestore.degrade._values import Value

#: As near to a whole number of pixels as rounding comes.
_SLACK = 1e-9


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

    def interpolations(self, draw: Draw) -> list[int]:
        """The kernels' numbers for what samples draw."""
        return [_geometry.INTERPOLATIONS[name] for name in draw.option(self.interpolation)]

    def warp(self, draw: Draw, homographies: list[Homography], sizes: list[Sides]) -> None:
        """Result (x, y) about its centre is the image, of a height and width in ``sizes``, at a homography times that."""
        self.warp_to(draw, homographies, sizes, sizes, self.interpolations(draw))

    def warp_to(
        self, draw: Draw, homographies: list[Homography], sizes: list[Sides], out: list[Sides], interpolations: list[int]
    ) -> None:
        """The same for results of other sizes, and by interpolations that were drawn before."""
        whole = [about_centres(*own) for own in zip(homographies, sizes, out, strict=True)]
        _geometry.warp(draw, whole, out, interpolations, MODES[self.mode], self.cval * draw.unit)


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
        angle, interpolations, sizes = draw.plain_value(self.angle), self.interpolations(draw), draw.plain_sizes
        turns, out = [rotation(degrees) for degrees in angle], list(sizes)
        for k, (height, width) in enumerate(sizes if self.fit != "keep" else ()):
            rim = int(interpolations[k] == _geometry.INTERPOLATIONS["bicubic"])  # its neighbours reach a pixel further
            share = _inside(turns[k], height - 1, width - 1, rim)
            if self.fit == "zoom":
                factor = max(share, _SLACK)
                turns[k] = times(turns[k], scaling(factor, factor))
            else:
                out[k] = (int(share * (height - 1) + _SLACK) + 1, int(share * (width - 1) + _SLACK) + 1)
        self.warp_to(draw, turns, sizes, out, interpolations)
        draw.record("Rotate", angle=angle)


def _inside(turn: Homography, down: int, across: int, rim: int) -> float:
    """The largest share of its sides, from first to last pixel, at which an image, turned, lies in it without its rim."""
    cos, sin = abs(turn[0]), abs(turn[3])
    if sin == 0:
        return 1.0
    room_across, room_down = across - 2 * rim, down - 2 * rim
    if room_across <= 0 or room_down <= 0:
        return 0.0
    return min(room_across / (across * cos + down * sin), room_down / (across * sin + down * cos))


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
        right, down, sizes = draw.plain_value(self.right), draw.plain_value(self.down), draw.plain_sizes
        pixels = sizes if self.unit == "share" else [(1, 1)] * len(draw)
        self.warp(draw, [shift(-x * width, -y * height) for x, y, (height, width) in zip(right, down, pixels, strict=True)], sizes)
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
        factor = draw.plain_value(self.factor)
        self.warp(draw, [scaling(1 / own, 1 / own) for own in factor], draw.plain_sizes)
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
        angle, right, down = draw.plain_value(self.angle), draw.plain_value(self.right), draw.plain_value(self.down)
        scale, lean, sizes = draw.plain_value(self.scale), draw.plain_value(self.shear), draw.plain_sizes
        self.warp(draw, [_affine(*own) for own in zip(angle, right, down, scale, lean, sizes, strict=True)], sizes)
        draw.record("Affine", angle=angle, right=right, down=down, scale=scale, shear=lean)


def _affine(angle: float, right: float, down: float, scale: float, lean: float, size: Sides) -> Homography:
    moved = times(rotation(angle), shift(-right * size[1], -down * size[0]))
    if lean != 0:
        moved = times(shear(lean), moved)
    return times(scaling(1 / scale, 1 / scale), moved)
