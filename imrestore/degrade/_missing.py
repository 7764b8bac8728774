"""Pixels that are missing, one by one or under strokes, boxes and text: damage for networks that fill holes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imrestore.degrade._distributions import Choice, Integers
from imrestore.degrade._launches import Numbers, Operation
from imrestore.degrade._numbers import Floats
from imrestore.degrade._plan import Draw
from imrestore.degrade._step import Step, check_fields
from imrestore.degrade._values import Value, distribution

_IMPULSE = Operation("noising", "impulse", backward="adjoint")
_SHAPES = Operation("missing", "shapes", backward="adjoint")
_MASK = Operation("missing", "mask")

#: Kinds of shapes, and how many numbers one has in the table.
_STROKE, _BOX, _GLYPH = range(3)
_SHAPE = 8
#: Straight pieces of a stroke.
_PIECES = 8
#: Dots of a glyph down, and from one to the next along.
_DOTS, _ADVANCE = 7, 6
_GLYPHS = 62


class _Missing(Step):
    """Steps that say which pixels they take."""

    fill: Value

    def mask(
        self, image: Any, *, rng: Any = None, index: Any = 0, channel_axis: int | None = None, batch_axis: int | None = None
    ) -> Any:
        """Which pixels are missing in what a call with the same arguments returns.

        Parameters
        ----------
        image : array
            As in the call; its values do not matter.
        rng, index, channel_axis, batch_axis : optional
            As in the call.

        Returns
        -------
        array
            Like `image`: 1 where a pixel is missing, 0 elsewhere.

        Notes
        -----
        It is of the step alone: the same step in a chain takes other pixels.
        """
        return _Mask(self)(image, rng=rng, index=index, channel_axis=channel_axis, batch_axis=batch_axis)

    def cover(self, draw: Draw, flags: bool) -> None:
        """Take the pixels away, or put 1 in their place and 0 in all others."""
        raise NotImplementedError

    def plan(self, draw: Draw) -> None:
        self.cover(draw, flags=False)


@dataclass(frozen=True)
class _Mask(Step):
    """The mask of a step, in its place."""

    step: _Missing

    def plan(self, draw: Draw) -> None:
        self.step.cover(draw, flags=True)


@dataclass(frozen=True)
class MissingPixels(_Missing):
    """Take away single pixels, all their channels.

    Parameters
    ----------
    amount : number, range or distribution, default: 0.5
        Share of the pixels, 0 to 1.
    fill : number, range or distribution, default: 0.0
        What is put in their place, in the image's units.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import MissingPixels
    >>> image = numpy.full((64, 64), 100, numpy.uint8)
    >>> step = MissingPixels(0.25)
    >>> bool(0.2 < (step(image, rng=0) == 0).mean() < 0.3)
    True
    >>> bool(((step(image, rng=0) == 0) == step.mask(image, rng=0)).all())
    True
    """

    amount: Value = 0.5
    fill: Value = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, 1, "amount")
        check_fields(self, -np.inf, np.inf, "fill")

    def cover(self, draw: Draw, flags: bool) -> None:
        amount, fill = draw.value(self.amount), draw.value(self.fill)
        if flags:
            draw.launch(_MASK)  # of no shape: all zeros
        draw.launch(_IMPULSE, [amount, 1.0, 0.0, 1.0 if flags else fill * draw.unit], A=0, B=1)
        draw.record("MissingPixels", amount=amount, fill=fill)


@dataclass(frozen=True)
class MissingStrokes(_Missing):
    """Take away what is under strokes of a brush that wander over the image.

    Free-form masks as in Yu et al., "Free-form image inpainting with gated convolution", ICCV 2019, section 3.4: every stroke
    begins anywhere, goes straight for an eighth of its length, turns, and so on. It has round ends.

    Parameters
    ----------
    count : number or distribution of whole numbers, default: Integers(1, 8)
        Strokes of a sample, 0 to 1000.
    length : number, range or distribution, default: (20, 150)
        Of every stroke, in pixels, >= 0.
    width : number, range or distribution, default: (3, 12)
        Of every stroke, in pixels, >= 0.
    turn : number, range or distribution, default: (-60, 60)
        By which a stroke turns after each piece, in degrees.
    fill : number, range or distribution, default: 0.0
        What is put in the place of missing pixels, in the image's units.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import MissingStrokes
    >>> image = numpy.full((64, 64), 100, numpy.uint8)
    >>> step = MissingStrokes(2, length=40, width=5)
    >>> int(step.mask(image, rng=0).sum()) == int((step(image, rng=0) == 0).sum()) > 100
    True
    """

    count: Value = field(default=Integers(1, 8))
    length: Value = (20.0, 150.0)
    width: Value = (3.0, 12.0)
    turn: Value = field(default=(-60.0, 60.0), kw_only=True)
    fill: Value = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, 1000, "count", whole=True)
        check_fields(self, 0, 1e6, "length", "width")
        check_fields(self, -np.inf, np.inf, "turn", "fill")

    def cover(self, draw: Draw, flags: bool) -> None:
        count, most = _count(draw, self.count)
        y, x = _anywhere(draw, most)
        angles = np.empty((len(draw), most, _PIECES))
        angles[..., 0] = 2 * np.pi * draw.uniforms(most)
        angles[..., 1:] = np.radians(_each(draw, self.turn, most * (_PIECES - 1))).reshape(len(draw), most, _PIECES - 1)
        length, width = _each(draw, self.length, most), _each(draw, self.width, most)
        steps = length[..., None] / _PIECES * np.array([np.sin(a := angles.cumsum(axis=2)), np.cos(a)])
        ends = np.array([y, x])[..., None] + steps.cumsum(axis=3)
        shapes = np.zeros((len(draw), most, _PIECES, _SHAPE))
        shapes[..., 0] = _STROKE
        shapes[..., 1], shapes[..., 2] = ends - steps
        shapes[..., 3], shapes[..., 4] = ends
        shapes[..., 5] = width[..., None] / 2
        _launch(draw, flags, shapes, count * _PIECES, self.fill)
        draw.record("MissingStrokes", count=count.astype(np.int64))


@dataclass(frozen=True)
class MissingBoxes(_Missing):
    """Take away upright boxes.

    Parameters
    ----------
    count : number or distribution of whole numbers, default: Integers(1, 4)
        Boxes of a sample, 0 to 1000.
    size : number, range or distribution, default: (8, 64)
        Height of every box and, drawn on its own, its width, in pixels, >= 0; rounded. Boxes lie anywhere inside the image; a
        larger one takes all of its height or width.
    fill : number, range or distribution, default: 0.0
        What is put in the place of missing pixels, in the image's units.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import MissingBoxes
    >>> image = numpy.full((64, 64), 100, numpy.uint8)
    >>> int((MissingBoxes(1, size=10)(image, rng=0) == 0).sum())
    100
    """

    count: Value = field(default=Integers(1, 4))
    size: Value = (8.0, 64.0)
    fill: Value = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, 1000, "count", whole=True)
        check_fields(self, 0, 1e6, "size")
        check_fields(self, -np.inf, np.inf, "fill")

    def cover(self, draw: Draw, flags: bool) -> None:
        count, most = _count(draw, self.count)
        shapes = np.zeros((len(draw), most, _SHAPE))
        shapes[..., 0] = _BOX
        for column, side in ((1, draw.heights), (3, draw.widths)):
            size = np.minimum(np.rint(_each(draw, self.size, most)), side[:, None])
            first = np.floor(draw.uniforms(most) * (side[:, None] - size + 1))
            shapes[..., column], shapes[..., column + 1] = first, first + size
        _launch(draw, flags, shapes, count, self.fill)
        draw.record("MissingBoxes", count=count.astype(np.int64))


@dataclass(frozen=True)
class MissingText(_Missing):
    """Take away what is under lines of random letters and digits.

    Parameters
    ----------
    count : number or distribution of whole numbers, default: Integers(1, 6)
        Lines of a sample, 0 to 1000.
    height : number, range or distribution, default: (7, 28)
        Of the capitals of every line, in pixels, > 0; they are made of seven rows of dots. A line has its middle anywhere in the
        image and may go on beyond it.
    letters : number or distribution of whole numbers, default: 16
        Of every line, 1 to 200.
    fill : number, range or distribution, default: 0.0
        What is put in the place of missing pixels, in the image's units.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import MissingText
    >>> image = numpy.full((64, 64), 100, numpy.uint8)
    >>> bool((MissingText(3, height=14)(image, rng=0) == 0).any())
    True
    """

    count: Value = field(default=Integers(1, 6))
    height: Value = (7.0, 28.0)
    letters: Value = field(default=16, kw_only=True)
    fill: Value = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, 1000, "count", whole=True)
        check_fields(self, 0, 1e6, "height", above=True)
        check_fields(self, 1, 200, "letters", whole=True)
        check_fields(self, -np.inf, np.inf, "fill")

    def cover(self, draw: Draw, flags: bool) -> None:
        lines, most = _count(draw, self.count)
        letters, longest = _count(draw, self.letters)
        y, x = _anywhere(draw, most)
        dot = _each(draw, self.height, most) / _DOTS
        shapes = np.zeros((len(draw), most, longest, _SHAPE))
        shapes[..., 0] = _GLYPH
        shapes[..., 1] = (y - dot * _DOTS / 2)[..., None]
        shapes[..., 2] = x[..., None] + dot[..., None] * _ADVANCE * (np.arange(longest) - letters[:, None, None] / 2)
        shapes[..., 3] = dot[..., None]
        shapes[..., 4] = np.floor(draw.uniforms(most * longest) * _GLYPHS).reshape(len(draw), most, longest)
        beyond = np.arange(longest) >= letters[:, None]
        shapes[np.broadcast_to(beyond[:, None], shapes.shape[:3]), 0] = _BOX  # one that covers nothing
        shapes[np.broadcast_to(beyond[:, None], shapes.shape[:3]), 1:] = 0
        _launch(draw, flags, shapes, lines * longest, self.fill)
        draw.record("MissingText", count=lines.astype(np.int64), letters=letters.astype(np.int64))


def _launch(draw: Draw, flags: bool, shapes: Floats, count: Floats, fill: Value) -> None:
    """Cover what lies under the first ``count`` shapes of every sample."""
    value = draw.value(fill)
    start: Numbers | int = draw.store(shapes) if shapes.size else 0
    operation = _MASK if flags else _SHAPES
    draw.launch(operation, [value * draw.unit], A=start, B=count.astype(np.int64))


def _count(draw: Draw, value: Value) -> tuple[Floats, int]:
    """A whole number for each sample, and the largest that there could be: draws must not depend on those of other samples."""
    drawn_from = distribution(value)
    largest = value if drawn_from is None else max(drawn_from.values) if isinstance(drawn_from, Choice) else drawn_from.limits[1]
    return draw.value(value), int(largest)  # type: ignore[arg-type]


def _each(draw: Draw, value: Value, count: int) -> Floats:
    """``count`` numbers for each sample, every one drawn on its own."""
    drawn_from = distribution(value)
    if drawn_from is None:
        return np.full((len(draw), count), float(value))  # type: ignore[arg-type]
    return drawn_from.sample(draw.uniforms(count))


def _anywhere(draw: Draw, count: int) -> tuple[Floats, Floats]:
    """``count`` places inside each image."""
    u = draw.uniforms(2 * count)
    return u[:, :count] * draw.heights[:, None] - 0.5, u[:, count:] * draw.widths[:, None] - 0.5
