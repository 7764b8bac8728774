"""Brightness, contrast, saturation and hue: matrices over the channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from imrestore._checks.values import finite, one_of
from imrestore.degrade._launches import Operation
from imrestore.degrade._plan import Draw
from imrestore.degrade._step import Step, check_fields
from imrestore.degrade._values import Value

_MATRIX = Operation("colours", "matrix", backward="adjoint")
_CONTRAST = Operation("colours", "contrast", backward="adjoint")

#: Grey (ITU-R BT.601), and the two axes of colour of NTSC: red to cyan about, green to magenta about.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
_RGB = np.linalg.inv(_YIQ)
# Nine plain numbers each, row by row: grey in all channels, and what cosine and sine of a turn of the colours are multiplied by.
_GREY: list[float] = [*_YIQ[0].tolist()] * 3
_COS: list[float] = (np.outer(_RGB[:, 1], _YIQ[1]) + np.outer(_RGB[:, 2], _YIQ[2])).ravel().tolist()
_SIN: list[float] = (np.outer(_RGB[:, 1], _YIQ[2]) - np.outer(_RGB[:, 2], _YIQ[1])).ravel().tolist()
_EYE: list[float] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]

#: C x (C + 1) numbers, row by row: the weights of all channels in one, and a constant.
Matrix = Sequence[float]


def _apply(draw: Draw, matrices: Sequence[Matrix | None]) -> None:
    """Matrices over the channels; behind another matrix they become one with it, and samples without one stay as they are.

    That is decided for each sample by what was done to it alone, so that it is the same in any batch.
    """
    fresh: dict[int, dict[int, Matrix]] = {}
    for k, (sample, own) in enumerate(zip(draw.plain_ids, matrices, strict=True)):
        if own is None:
            continue
        launch, row = draw.batch.last(sample)
        if launch is not None and launch.operation is _MATRIX and launch.stored is not None:
            before = launch.stored[row]
            if len(before) == len(own):
                before[:] = _one_after_the_other(before.tolist(), own)
                continue
        fresh.setdefault(len(own), {})[k] = own
    for some in fresh.values():  # one table for all samples with as many channels
        draw.launch_plain(_MATRIX, list(some), stored=list(some.values()))


def _one_after_the_other(first: Matrix, second: Matrix) -> Matrix:
    if len(first) == 12:
        a, b, c, u, d, e, f, v, g, h, i, w = first
        joined: list[float] = []
        for k in (0, 4, 8):
            x, y, z, t = second[k : k + 4]
            joined += (x * a + y * d + z * g, x * b + y * e + z * h, x * c + y * f + z * i, x * u + y * v + z * w + t)
        return joined
    channels = math.isqrt(len(first))
    last = np.array(second).reshape(channels, channels + 1)
    both = last[:, :channels] @ np.array(first).reshape(channels, channels + 1)
    both[:, channels] += last[:, channels]
    return both.ravel().tolist()  # type: ignore[no-any-return]


def _stretch(factor: float, shift: float, channels: int) -> Matrix:
    """factor x + shift in all channels."""
    matrix = [0.0] * (channels * (channels + 1))
    for c in range(channels):
        matrix[c * (channels + 2)] = factor
        matrix[c * (channels + 1) + channels] = shift
    return matrix


def _colors(saturation: float, degrees: float, brightness: float, channels: int) -> Matrix | None:
    """Grey, and what differs from it turned and stretched; images of one channel are grey."""
    if channels == 1:
        return None if brightness == 1 else (brightness, 0.0)
    if degrees == 0:
        own = [saturation * one + (1 - saturation) * grey for one, grey in zip(_EYE, _GREY, strict=True)]
    else:
        turn = math.radians(degrees)
        cos, sin = saturation * math.cos(turn), saturation * math.sin(turn)
        own = [grey + (cos * p + sin * q) for grey, p, q in zip(_GREY, _COS, _SIN, strict=True)]
    a, b, c, d, e, f, g, h, i = own if brightness == 1 else [brightness * number for number in own]
    return (a, b, c, 0.0, d, e, f, 0.0, g, h, i, 0.0)


def _color(draw: Draw, saturation: list[float], degrees: list[float], brightness: list[float]) -> None:
    """All three together."""
    channels = [shape[0] for shape in draw.plain_shapes]
    draw.same_channels((1, 3), "colours")
    _apply(draw, [_colors(*own) for own in zip(saturation, degrees, brightness, channels, strict=True)])


@dataclass(frozen=True)
class Brightness(Step):
    """Multiply all values, or add to them.

    Parameters
    ----------
    factor : number, range or distribution, default: (0.8, 1.2)
        What values are multiplied by, >= 0.
    shift : number, range or distribution, default: 0.0
        What is added, as a share of white.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Notes
    -----
    Floats are not clipped; `Clip` does that. Brightness, saturation, hue and contrast about a fixed value that come one after the
    other are one matrix over the channels.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.augment import Brightness
    >>> Brightness(2)(numpy.array([[1, 100, 200]], numpy.uint8))
    array([[  2, 200, 255]], dtype=uint8)
    """

    factor: Value = (0.8, 1.2)
    shift: Value = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, 1e6, "factor")
        check_fields(self, -1e6, 1e6, "shift")

    def plan(self, draw: Draw) -> None:
        factor, shift = draw.plain_value(self.factor), draw.plain_value(self.shift)
        shapes, white = draw.plain_shapes, draw.white
        _apply(draw, [_stretch(f, s * white, shape[0]) for f, s, shape in zip(factor, shift, shapes, strict=True)])
        draw.record("Brightness", factor=factor, shift=shift)


@dataclass(frozen=True)
class Contrast(Step):
    """Move values away from a middle one, or towards it.

    Parameters
    ----------
    factor : number, range or distribution, default: (0.8, 1.2)
        By how much differences grow, >= 0.
    pivot : 'mean' or float, default: 'mean'
        The value that stays: the mean of the sample's grey (0.299, 0.587 and 0.114 of red, green and blue; the mean of all channels
        if there are not three), or a share of white.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Notes
    -----
    The gradient knows that the mean depends on all pixels.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.augment import Contrast
    >>> Contrast(2)(numpy.array([[1.0, 2.0, 3.0]]))
    array([[0., 2., 4.]])
    """

    factor: Value = (0.8, 1.2)
    pivot: str | float = field(default="mean", kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, 1e6, "factor")
        if isinstance(self.pivot, str):
            one_of("pivot", self.pivot, ("mean",))
        else:
            finite("pivot", self.pivot, "'mean' or a finite number, a share of white")

    def plan(self, draw: Draw) -> None:
        factor = draw.plain_value(self.factor)
        if isinstance(self.pivot, str):
            draw.launch_plain(_CONTRAST, range(len(draw)), [(f,) for f in factor])
        else:
            pivot, shapes = self.pivot * draw.white, draw.plain_shapes
            _apply(draw, [_stretch(f, (1 - f) * pivot, shape[0]) for f, shape in zip(factor, shapes, strict=True)])
        draw.record("Contrast", factor=factor)


@dataclass(frozen=True)
class Saturation(Step):
    """Move colours away from grey, or towards it.

    Parameters
    ----------
    factor : number, range or distribution, default: (0.8, 1.2)
        By how much the difference from grey grows: 0 makes the image grey, 1 changes nothing; >= 0.

    Raises
    ------
    TypeError
        If `factor` is of a type that cannot be meant.
    ValueError
        If it is out of range, or the image has neither one channel nor three.

    Notes
    -----
    Images with one channel stay as they are.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.augment import Saturation
    >>> Saturation(0)(numpy.array([[[200, 100, 0]]], numpy.uint8), channel_axis=-1)
    array([[[118, 118, 118]]], dtype=uint8)
    """

    factor: Value = (0.8, 1.2)

    def __post_init__(self) -> None:
        check_fields(self, 0, 1e6, "factor")

    def plan(self, draw: Draw) -> None:
        factor = draw.plain_value(self.factor)
        _color(draw, factor, [0.0] * len(draw), [1.0] * len(draw))
        draw.record("Saturation", factor=factor)


@dataclass(frozen=True)
class Hue(Step):
    """Turn colours about the grey axis.

    Parameters
    ----------
    angle : number, range or distribution, default: (-18, 18)
        Degrees; 360 are a full turn.

    Raises
    ------
    TypeError
        If `angle` is of a type that cannot be meant.
    ValueError
        If it is not finite, or the image has neither one channel nor three.

    Notes
    -----
    A rotation of the plane of colours in YIQ, which keeps grey values and is linear, so that it has a gradient everywhere; the hue
    of HSV turns by about as much. Images with one channel stay as they are.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.augment import Hue
    >>> image = numpy.random.default_rng(0).random((4, 4, 3))
    >>> bool(numpy.allclose(Hue(360)(image, channel_axis=-1), image))
    True
    """

    angle: Value = (-18, 18)

    def __post_init__(self) -> None:
        check_fields(self, -np.inf, np.inf, "angle")

    def plan(self, draw: Draw) -> None:
        angle = draw.plain_value(self.angle)
        _color(draw, [1.0] * len(draw), angle, [1.0] * len(draw))
        draw.record("Hue", angle=angle)


@dataclass(frozen=True)
class ColorJitter(Step):
    """Change brightness, contrast, saturation and hue, in this order.

    Parameters
    ----------
    brightness, contrast, saturation : number, range or distribution, default: (0.8, 1.2)
        Factors, as in `Brightness`, `Contrast` (about the mean) and `Saturation`.
    hue : number, range or distribution, default: (-18, 18)
        Degrees, as in `Hue`.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range, or the image has neither one channel nor three.

    Notes
    -----
    `imrestore.augment.Shuffled` does the four steps in an order that each sample draws.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.augment import ColorJitter
    >>> image = numpy.full((4, 4, 3), 100, numpy.uint8)
    >>> ColorJitter(1, 1, (0, 2), (0, 360))(image, rng=0, channel_axis=-1)[0, 0]
    array([100, 100, 100], dtype=uint8)
    """

    brightness: Value = (0.8, 1.2)
    contrast: Value = (0.8, 1.2)
    saturation: Value = (0.8, 1.2)
    hue: Value = (-18, 18)

    def __post_init__(self) -> None:
        check_fields(self, 0, 1e6, "brightness", "contrast", "saturation")
        check_fields(self, -np.inf, np.inf, "hue")

    def plan(self, draw: Draw) -> None:
        parameters = (self.brightness, self.contrast, self.saturation, self.hue)
        brightness, contrast, saturation, hue = map(draw.plain_value, parameters)
        # Contrast about the mean may come before brightness: both scale the mean alike, and the matrices that follow are then one.
        draw.launch_plain(_CONTRAST, range(len(draw)), [(f,) for f in contrast])
        _color(draw, saturation, hue, brightness)
        draw.record("ColorJitter", brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)
