"""Whole-pixel moves: no value changes, only places do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imrestore._checks.values import integer, is_sequence, shown
from imrestore.augment import _geometry
from imrestore.degrade._distributions import Choice, Integers
from imrestore.degrade._numbers import probability
from imrestore.degrade._plan import Draw, Numbers
from imrestore.degrade._step import Step, check_fields, check_option
from imrestore.degrade._values import Value

#: What `place` is told of 0 to 3 quarter turns; its first and fourth number in the last row and the last column.
_QUARTERS = np.array([[0, 1, 0, 0, 0, 1], [0, 0, 1, 1, -1, 0], [1, -1, 0, 1, 0, -1], [1, 0, -1, 0, 1, 0]])


def _moves(draw: Draw) -> Numbers:
    """Everything stays: row y, column x."""
    moves = np.zeros((len(draw), 6), np.int64)
    moves[:, [1, 5]] = 1
    return moves


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
        flipped = draw.uniforms()[:, 0] < self.p
        if not flipped.any():
            draw.option(self.axis)
            draw.record("Flip", flipped=flipped)
            return
        across = np.array([axis == "horizontal" for axis in draw.option(self.axis)])
        some = draw.at(draw.step, draw.ids[flipped])
        moves, wide = _moves(some), across[flipped]
        moves[wide, 3], moves[wide, 5] = some.widths[wide] - 1, -1
        moves[~wide, 0], moves[~wide, 1] = some.heights[~wide] - 1, -1
        _geometry.place(some, moves, (some.heights, some.widths))
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
        turns = draw.value(self.turns).astype(np.int64) % 4
        height, width = draw.heights, draw.widths
        moves = _QUARTERS[turns]
        moves[:, 0] *= height - 1
        moves[:, 3] *= width - 1
        odd = turns % 2 == 1
        out = np.where(odd, width, height), np.where(odd, height, width)
        turned = turns != 0
        some = draw.at(draw.step, draw.ids[turned])
        _geometry.place(some, moves[turned], (out[0][turned], out[1][turned]))
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
        transposed = draw.uniforms()[:, 0] < self.p
        some = draw.at(draw.step, draw.ids[transposed])
        moves = np.tile(np.array([0, 0, 1, 0, 1, 0]), (len(some), 1))
        _geometry.place(some, moves, (some.widths, some.heights))
        draw.record("Transpose", transposed=transposed)


def _size(value: Any) -> tuple[int, int]:
    """Height and width of a crop."""
    allowed = "a whole number from 1 to 2**31 - 1, or a pair of them (height, width)"
    items = tuple(value) if is_sequence(value) else (value, value)
    numbers = [integer("size", item, allowed) for item in items]
    if len(numbers) != 2 or not 1 <= min(numbers) <= max(numbers) < 2**31:
        raise ValueError(f"size is {shown(value)}; it must be {allowed}")
    return numbers[0], numbers[1]


def _crop(draw: Draw, size: tuple[int, int], top: Numbers, left: Numbers) -> None:
    moves = _moves(draw)
    moves[:, 0], moves[:, 3] = top, left
    _geometry.place(draw, moves, (np.full(len(draw), size[0]), np.full(len(draw), size[1])))


def _room(draw: Draw, size: tuple[int, int]) -> tuple[Numbers, Numbers]:
    """By how much images are larger than a crop."""
    down, right = draw.heights - size[0], draw.widths - size[1]
    if min(int(down.min(initial=0)), int(right.min(initial=0))) < 0:
        small = int(np.argmax((down < 0) | (right < 0)))
        raise ValueError(
            f"size is {size}; for an image of {draw.heights[small]} x {draw.widths[small]} pixels it must be that or less"
        )
    return down, right


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
        u = draw.uniforms(2)
        down, right = _room(draw, self.size)
        top, left = (u[:, 0] * (down + 1)).astype(np.int64), (u[:, 1] * (right + 1)).astype(np.int64)
        _crop(draw, self.size, top, left)
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
        down, right = _room(draw, self.size)
        _crop(draw, self.size, down // 2, right // 2)
        draw.record("CenterCrop", height=self.size[0], width=self.size[1])
