"""Brightness, contrast, saturation and hue: matrices over the channels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from imrestore_kernels.samples import Job

from imrestore._checks.values import finite, one_of
from imrestore.augment._last import last_launches
from imrestore.degrade._numbers import Floats
from imrestore.degrade._plan import Draw, Numbers, Operation
from imrestore.degrade._step import Step, check_fields
from imrestore.degrade._values import Value

_MATRIX = Operation("colours", "matrix", backward="adjoint")
_CONTRAST = Operation("colours", "contrast", backward="adjoint")

#: Grey (ITU-R BT.601), and the two axes of colour of NTSC: red to cyan about, green to magenta about.
_YIQ = np.array([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
_RGB = np.linalg.inv(_YIQ)
_EYE = np.eye(3)


def _apply(draw: Draw, matrices: Floats) -> None:
    """Matrices (samples, C, C + 1) over the channels; behind another matrix they become one with it.

    That is decided for each sample by what was done to it alone, so that it is the same in any batch.
    """
    fresh, channels = draw.channels == matrices.shape[1], matrices.shape[1]
    for launch, rows, mine in last_launches(draw, _MATRIX):
        fits = fresh[mine]
        rows, mine = rows[fits], mine[fits]
        before = _stored(draw, launch.jobs[rows, Job.A], channels * (channels + 1)).reshape(-1, channels, channels + 1)
        both = matrices[mine, :, :channels] @ before
        both[:, :, channels] += matrices[mine, :, channels]
        launch.jobs[rows, Job.A] = draw.store(both)
        fresh[mine] = False
    if fresh.any():
        draw.launch(_MATRIX, only=fresh, A=draw.store(matrices))


def _stored(draw: Draw, starts: Numbers, length: int) -> Floats:
    """Rows of numbers that were stored before."""
    rows = np.empty((len(starts), length))
    first = 0
    for table in draw.batch.tables:
        for k in np.flatnonzero((starts >= first) & (starts < first + len(table))):
            rows[k] = table[starts[k] - first : starts[k] - first + length]
        first += len(table)
    return rows


def _stretch(draw: Draw, factor: Floats, shift: Floats) -> None:
    """factor x + shift in all channels."""
    for channels in sorted(set(draw.channels.tolist())):
        matrices = np.zeros((len(draw), channels, channels + 1))
        matrices[:, :, :channels] = factor[:, None, None] * np.eye(channels)
        matrices[:, :, channels] = shift[:, None]
        own = draw.channels == channels
        _apply(draw if own.all() else draw.at(draw.step, draw.ids[own]), matrices[own])


def _mix(draw: Draw, matrices: Floats) -> None:
    """Matrices (samples, 3, 3) over red, green and blue; grey images have none of that."""
    draw.same_channels((1, 3), "colours")
    colored = draw.channels == 3
    if colored.any():
        full = np.zeros((len(draw), 3, 4))
        full[:, :, :3] = matrices
        _apply(draw if colored.all() else draw.at(draw.step, draw.ids[colored]), full[colored])


def _saturations(factor: Floats) -> Floats:
    grey = np.broadcast_to(_YIQ[0], (3, 3))
    matrices: Floats = factor[:, None, None] * _EYE + (1 - factor)[:, None, None] * grey
    return matrices


def _hues(angle: Floats) -> Floats:
    turn = np.zeros((len(angle), 3, 3))
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = np.cos(np.deg2rad(angle))
    turn[:, 1, 2] = np.sin(np.deg2rad(angle))
    turn[:, 2, 1] = -turn[:, 1, 2]
    matrices: Floats = _RGB @ turn @ _YIQ
    return matrices


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
        factor, shift = draw.value(self.factor), draw.value(self.shift)
        _stretch(draw, factor, shift * draw.white)
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
        factor = draw.value(self.factor)
        if isinstance(self.pivot, str):
            draw.launch(_CONTRAST, [factor])
        else:
            _stretch(draw, factor, (1 - factor) * self.pivot * draw.white)
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
        factor = draw.value(self.factor)
        _mix(draw, _saturations(factor))
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
        angle = draw.value(self.angle)
        _mix(draw, _hues(angle))
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
        brightness, contrast, saturation, hue = map(draw.value, (self.brightness, self.contrast, self.saturation, self.hue))
        # Contrast about the mean may come before brightness: both scale the mean alike, and the matrices that follow are then one.
        draw.launch(_CONTRAST, [contrast])
        grey = draw.channels == 1
        if grey.any():
            _stretch(draw.at(draw.step, draw.ids[grey]), brightness[grey], np.zeros(int(grey.sum())))
        _mix(draw, brightness[:, None, None] * (_hues(hue) @ _saturations(saturation)))
        draw.record("ColorJitter", brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)
