"""Whole-pixel moves: no value changes, only places do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from imrestore._checks.values import integer, is_sequence, shown
from imrestore.augment import _geometry
from imrestore.augment._geometry import Move, Sides
from imrestore.degrade._distributions import Choice, Integers
from imrestore.degrade._numbers import probability
from imrestore.degrade._plan import Draw
from imrestore.degrade._step import Step, check_fields, check_option
from imrestore.degrade._values import Value


def _mirrored(axis: str, height: int, width: int) -> Move:
    return (0, 1, 0, width - 1, 0, -1) if axis == "horizontal" else (height - 1, -1, 0, 0, 0, 1)


def _turned(turns: int, height: int, width: int) -> Move | None:
    """0 to 3 quarter turns."""
    if turns == 0:
        return None
    if turns == 2:
        return (height - 1, -1, 0, width - 1, 0, -1)
    return (0, 0, 1, width - 1, -1, 0) if turns == 1 else (height - 1, 0, -1, 0, 1, 0)


@dataclass(frozen=True)
class Flip(Step):
    """Mirror the image.

    Parameters
    ----------
    axis : {'horizontal', 'vertical'} or Choice, default: 'horizontal'
        'horizontal' exchanges left and right, 'vertical' top and bottom.
    p : float, default: 0.5
        Chance of each sample, 0 to 1.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If there is no such axis, or `p` is no chance.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.augment import Flip
    >>> Flip(p=1)(numpy.array([[1, 2, 3]]))
    array([[3, 2, 1]])
    """

    axis: str | Choice = "horizontal"
    p: float = 0.5

    def __post_init__(self) -> None:
        check_option("axis", self.axis, ("horizontal", "vertical"))
        probability("p", self.p)

    def plan(self, draw: Draw) -> None:
        flipped = [u < self.p for (u,) in draw.plain_uniforms(1)]
        axes = draw.option(self.axis)
        if any(flipped):
            sizes = draw.plain_sizes
            moves = [_mirrored(axis, *size) if yes else None for yes, axis, size in zip(flipped, axes, sizes, strict=True)]
            _geometry.place(draw, moves, sizes)
        draw.record("Flip", flipped=flipped)


@dataclass(frozen=True)
class Rotate90(Step):
    """Turn the image by right angles.

    Parameters
    ----------
    turns : number or distribution, default: Integers(0, 3)
        Quarter turns, counterclockwise; a whole number, negative ones are clockwise.

    Raises
    ------
    TypeError
        If `turns` is of a type that cannot be meant.
    ValueError
        If it is not whole.

    Notes
    -----
    An odd turn exchanges height and width: in a batch of images that are not square all samples must turn alike.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.augment import Rotate90
    >>> Rotate90(1)(numpy.array([[1, 2], [3, 4]]))
    array([[2, 4],
           [1, 3]])
    """

    turns: Value = field(default=Integers(0, 3))

    def __post_init__(self) -> None:
        check_fields(self, -1000, 1000, "turns", whole=True)

    def plan(self, draw: Draw) -> None:
        turns = [int(n) % 4 for n in draw.plain_value(self.turns)]
        given = draw.plain_sizes
        moves = [_turned(n, *size) for n, size in zip(turns, given, strict=True)]
        _geometry.place(draw, moves, [size[::-1] if n % 2 else size for n, size in zip(turns, given, strict=True)])
        draw.record("Rotate90", turns=turns)


@dataclass(frozen=True)
class Transpose(Step):
    """Exchange rows and columns.

    Parameters
    ----------
    p : float, default: 0.5
        Chance of each sample, 0 to 1.

    Raises
    ------
    TypeError
        If `p` is no number.
    ValueError
        If it is no chance.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.augment import Transpose
    >>> Transpose(p=1)(numpy.array([[1, 2, 3]])).tolist()
    [[1], [2], [3]]
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        probability("p", self.p)

    def plan(self, draw: Draw) -> None:
        transposed = [u < self.p for (u,) in draw.plain_uniforms(1)]
        moves: list[Move | None] = [(0, 0, 1, 0, 1, 0) if yes else None for yes in transposed]
        _geometry.place(draw, moves, [(width, height) for height, width in draw.plain_sizes])
        draw.record("Transpose", transposed=transposed)


def _size(value: Any) -> Sides:
    """Height and width of a crop."""
    allowed = "a whole number from 1 to 2**31 - 1, or a pair of them (height, width)"
    items = tuple(value) if is_sequence(value) else (value, value)
    numbers = [integer("size", item, allowed) for item in items]
    if len(numbers) != 2 or not 1 <= min(numbers) <= max(numbers) < 2**31:
        raise ValueError(f"size is {shown(value)}; it must be {allowed}")
    return numbers[0], numbers[1]


def _room(draw: Draw, size: Sides) -> list[Sides]:
    """By how much images are higher and wider than a crop."""
    room = []
    for height, width in draw.plain_sizes:
        if height < size[0] or width < size[1]:
            raise ValueError(f"size is {size}; for an image of {height} x {width} pixels it must be that or less")
        room.append((height - size[0], width - size[1]))
    return room


def _crop(draw: Draw, size: Sides, corners: list[Sides]) -> None:
    _geometry.place(draw, [(top, 1, 0, left, 0, 1) for top, left in corners], [size] * len(corners))


@dataclass(frozen=True)
class Crop(Step):
    """Cut out a rectangle at a random place.

    Parameters
    ----------
    size : int or (int, int)
        Height and width in pixels; one number is both.

    Raises
    ------
    TypeError
        If `size` is of a type that cannot be meant.
    ValueError
        If it is not positive, or an image is smaller.

    Notes
    -----
    Behind a rotation or another warp only the pixels of the crop are made.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.augment import Crop
    >>> Crop(32)(numpy.zeros((64, 48), numpy.uint8), rng=0).shape
    (32, 32)
    """

    size: Any = field()

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", _size(self.size))

    def plan(self, draw: Draw) -> None:
        room, drawn = _room(draw, self.size), draw.plain_uniforms(2)
        corners = [(int(u * (down + 1)), int(v * (right + 1))) for (u, v), (down, right) in zip(drawn, room, strict=True)]
        _crop(draw, self.size, corners)
        top, left = [corner[0] for corner in corners], [corner[1] for corner in corners]
        draw.record("Crop", top=top, left=left, height=self.size[0], width=self.size[1])


@dataclass(frozen=True)
class CenterCrop(Step):
    """Cut out the middle.

    Parameters
    ----------
    size : int or (int, int)
        Height and width in pixels; one number is both.

    Raises
    ------
    TypeError
        If `size` is of a type that cannot be meant.
    ValueError
        If it is not positive, or an image is smaller.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.augment import CenterCrop
    >>> CenterCrop((1, 3))(numpy.arange(15).reshape(3, 5))
    array([[6, 7, 8]])
    """

    size: Any = field()

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", _size(self.size))

    def plan(self, draw: Draw) -> None:
        _crop(draw, self.size, [(down // 2, right // 2) for down, right in _room(draw, self.size)])
        draw.record("CenterCrop", height=self.size[0], width=self.size[1])
