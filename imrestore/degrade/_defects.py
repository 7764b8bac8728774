"""What sensors and files do to single values and lines: impulses, dead pixels, stripes, few levels, clipping."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from imrestore._checks.values import finite, flag, shown
from imrestore.degrade._distributions import Choice
from imrestore.degrade._launches import Operation
from imrestore.degrade._plan import Draw
from imrestore.degrade._step import Step, check_fields, check_option
from imrestore.degrade._values import Value

_IMPULSE = Operation("noising", "impulse", backward="adjoint")
_LINES = Operation("noising", "lines")
_QUANTIZE = Operation("noising", "quantize")
_CLIP = Operation("noising", "clip", backward="gradient")

_AXES = ("rows", "columns")


@dataclass(frozen=True)
class SaltAndPepper(Step):
    """Replace some pixels by white or black.

    Parameters
    ----------
    amount : number, range or distribution, default: 0.05
        Share of the pixels, 0 to 1.
    salt : number, range or distribution, default: 0.5
        Share of white among them, 0 to 1.
    low, high : float, optional
        Black and white, in the image's units; by default 0 and the image's white.
    per_channel : bool, default: False
        Whether each channel of a pixel is hit on its own, or all of them together.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import SaltAndPepper
    >>> image = numpy.full((64, 64), 100, numpy.uint8)
    >>> numpy.unique(SaltAndPepper(0.1)(image, rng=0)).tolist()
    [0, 100, 255]
    """

    amount: Value = 0.05
    salt: Value = field(default=0.5, kw_only=True)
    low: float | None = field(default=None, kw_only=True)
    high: float | None = field(default=None, kw_only=True)
    per_channel: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, 1, "amount", "salt")
        _check_levels(self.low, self.high)
        flag("per_channel", self.per_channel)

    def plan(self, draw: Draw) -> None:
        amount, salt = draw.value(self.amount), draw.value(self.salt)
        low, high = _levels(draw, self.low, self.high)
        draw.launch(_IMPULSE, [amount, salt, low, high], A=0, B=int(not self.per_channel))
        draw.record("SaltAndPepper", amount=amount, salt=salt, low=low / draw.unit, high=high / draw.unit)


@dataclass(frozen=True)
class RandomImpulse(Step):
    """Replace some pixels by uniform random values.

    Parameters
    ----------
    amount : number, range or distribution, default: 0.05
        Share of the pixels, 0 to 1.
    low, high : float, optional
        Range of the values, in the image's units; by default 0 to the image's white.
    per_channel : bool, default: False
        Whether each channel of a pixel is hit on its own, or all of them together. The values are the channel's own anyway.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import RandomImpulse
    >>> image = numpy.full((64, 64), 100, numpy.uint8)
    >>> bool(0.08 < (RandomImpulse(0.1)(image, rng=0) != 100).mean() < 0.12)
    True
    """

    amount: Value = 0.05
    low: float | None = field(default=None, kw_only=True)
    high: float | None = field(default=None, kw_only=True)
    per_channel: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, 1, "amount")
        _check_levels(self.low, self.high)
        flag("per_channel", self.per_channel)

    def plan(self, draw: Draw) -> None:
        amount = draw.value(self.amount)
        low, high = _levels(draw, self.low, self.high)
        draw.launch(_IMPULSE, [amount, 0.0, low, high], A=1, B=int(not self.per_channel))
        draw.record("RandomImpulse", amount=amount, low=low / draw.unit, high=high / draw.unit)


@dataclass(frozen=True)
class DeadPixels(Step):
    """Pixels of a sensor that are always black or always white.

    Parameters
    ----------
    amount : number, range or distribution, default: 0.001
        Share of the pixels, 0 to 1.
    hot : number, range or distribution, default: 0.5
        Share of white ones among them, 0 to 1.
    fixed : bool, default: True
        Whether all samples of a seed have the same dead pixels, as pictures of one camera do.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import DeadPixels
    >>> image = numpy.full((64, 64), 100, numpy.uint8)
    >>> first, second = (DeadPixels(0.01)(image, rng=7, index=i) for i in (0, 1))
    >>> bool((first == second).all()), bool((first != image).any())
    (True, True)
    """

    amount: Value = 0.001
    hot: Value = field(default=0.5, kw_only=True)
    fixed: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, 1, "amount", "hot")
        flag("fixed", self.fixed)

    def plan(self, draw: Draw) -> None:
        amount, hot = draw.value(self.amount), draw.value(self.hot)
        draw.launch(_IMPULSE, [amount, hot, 0.0, draw.white], A=0, B=1, seed_index=0 if self.fixed else None)
        draw.record("DeadPixels", amount=amount, hot=hot)


@dataclass(frozen=True)
class RowNoise(Step):
    """Add one random number to each row, or to each column: the noise of amplifiers that read a line at a time.

    Parameters
    ----------
    sigma : number, range or distribution, default: 5.0
        Standard deviation, >= 0, in the image's units.
    axis : {'rows', 'columns'} or Choice, default: 'rows'
        Whether rows or columns are lifted.
    per_channel : bool, default: False
        Whether each channel has noise of its own.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import RowNoise
    >>> noisy = RowNoise(5)(numpy.zeros((64, 64), numpy.float32), rng=0)
    >>> bool((noisy == noisy[:, :1]).all())
    True
    """

    sigma: Value = 5.0
    axis: str | Choice = field(default="rows", kw_only=True)
    per_channel: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, np.inf, "sigma")
        check_option("axis", self.axis, _AXES)
        flag("per_channel", self.per_channel)

    def plan(self, draw: Draw) -> None:
        sigma, axes = draw.value(self.sigma), draw.option(self.axis)
        along = np.array([_AXES.index(axis) for axis in axes])
        draw.launch(_LINES, [sigma * draw.unit, 0.0, 1.0, 0.0], A=along, B=int(not self.per_channel))
        draw.record("RowNoise", sigma=sigma, axis=axes)


@dataclass(frozen=True)
class Banding(Step):
    """Add stripes that come and go as a sine does: a lamp that flickers while a sensor is read line by line.

    Parameters
    ----------
    amplitude : number, range or distribution, default: 5.0
        Of the sine, >= 0, in the image's units.
    period : number, range or distribution, default: (8, 64)
        Rows, or columns, from one stripe to the next, at least 0.001. The phase is random.
    axis : {'rows', 'columns'} or Choice, default: 'rows'
        Whether rows or columns are lifted.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import Banding
    >>> striped = Banding(5, period=8)(numpy.zeros((64, 64), numpy.float32), rng=0)
    >>> bool(abs(striped.std() - 5 / 2**0.5) < 1e-4)
    True
    """

    amplitude: Value = 5.0
    period: Value = field(default=(8.0, 64.0), kw_only=True)
    axis: str | Choice = field(default="rows", kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, np.inf, "amplitude")
        check_fields(self, 0.001, np.inf, "period")
        check_option("axis", self.axis, _AXES)

    def plan(self, draw: Draw) -> None:
        amplitude, period, axes = draw.value(self.amplitude), draw.value(self.period), draw.option(self.axis)
        phase = draw.uniforms()[:, 0]
        along = np.array([_AXES.index(axis) for axis in axes])
        draw.launch(_LINES, [0.0, amplitude * draw.unit, period, phase], A=along, B=1)
        draw.record("Banding", amplitude=amplitude, period=period, phase=phase, axis=axes)


@dataclass(frozen=True)
class Quantize(Step):
    """Round to a few levels between black and white.

    Parameters
    ----------
    levels : number, range or distribution, default: 256
        How many there are, black and white among them, >= 2: Integers or a Choice for several.

    Raises
    ------
    TypeError
        If `levels` is of a type that cannot be meant.
    ValueError
        If it is out of range.

    Notes
    -----
    Values are not clipped. The gradient is handed on as it is.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import Quantize
    >>> Quantize(3)(numpy.array([[0, 0.2, 0.3, 0.8, 1]]), rng=0)
    array([[0. , 0. , 0.5, 1. , 1. ]])
    """

    levels: Value = 256

    def __post_init__(self) -> None:
        check_fields(self, 2, 2**53, "levels", whole=True)

    def plan(self, draw: Draw) -> None:
        levels = draw.value(self.levels)
        draw.launch(_QUANTIZE, [draw.white / (levels - 1), 0.0])
        draw.record("Quantize", levels=levels)


@dataclass(frozen=True)
class Clip(Step):
    """Cut off values below black and above white, as sensors and files do.

    Parameters
    ----------
    low, high : float, optional
        Black and white, in the image's units; by default 0 and the image's white.

    Raises
    ------
    TypeError
        If a parameter is no number.
    ValueError
        If one is not finite, or `low` is above `high`.

    Notes
    -----
    The gradient is 0 where a value is cut off.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import Clip
    >>> Clip()(numpy.array([[-0.5, 0.5, 1.5]]))
    array([[0. , 0.5, 1. ]])
    """

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        _check_levels(self.low, self.high)

    def plan(self, draw: Draw) -> None:
        low, high = _levels(draw, self.low, self.high)
        draw.launch(_CLIP, [low, high])
        draw.record("Clip", low=low / draw.unit, high=high / draw.unit)


def _check_levels(low: object, high: object) -> None:
    for name, value in (("low", low), ("high", high)):
        if value is not None:
            finite(name, value, "None or a finite number in the image's units")
    if low is not None and high is not None and low > high:  # type: ignore[operator]
        raise ValueError(f"low is {shown(low)} and high is {shown(high)}; low must not be above high")


def _levels(draw: Draw, low: float | None, high: float | None) -> tuple[float, float]:
    """Black and white in the image's units."""
    return 0.0 if low is None else low * draw.unit, draw.white if high is None else high * draw.unit
