"""Perspectives and elastic displacements."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from imrestore_kernels.borders import MODES

from imrestore._checks.values import finite, shown
from imrestore.augment import _geometry
from imrestore.augment._homographies import scaling, times
from imrestore.augment._warps import Warp
from imrestore.degrade._numbers import Floats
from imrestore.degrade._plan import Draw
from imrestore.degrade._step import check_fields
from imrestore.degrade._values import Value


@dataclass(frozen=True)
class Perspective(Warp):
    """Look at the image from aside: every corner of the frame moves inwards on its own.

    Parameters
    ----------
    distortion : number, range or distribution, default: (0.0, 0.3)
        How far corners may move along both axes, as a share of half the side, 0 to 0.9; they move by anything up to that.
    interpolation : {'bilinear', 'bicubic', 'nearest'} or Choice, default: 'bilinear'
        As in `Rotate`.
    mode : str, default: 'reflect'
        What lies outside the image, as in `Rotate`; with corners that move inwards nothing does.
    cval : float, default: 0.0
        Value outside in 'constant' mode.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Notes
    -----
    The part of the image between the moved corners fills the result.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.augment import Perspective
    >>> Perspective(0.3)(numpy.zeros((8, 9)), rng=0).shape
    (8, 9)
    """

    distortion: Value = (0.0, 0.3)

    def __post_init__(self) -> None:
        check_fields(self, 0, 0.9, "distortion")
        self.check()

    def plan(self, draw: Draw) -> None:
        distortion = draw.value(self.distortion)
        inwards = 1 - distortion[:, None] * draw.uniforms(8)
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        corners = signs * inwards.reshape(-1, 4, 2)
        unit = _through(np.broadcast_to(signs.astype(float), corners.shape), corners)
        sizes = draw.plain_sizes
        frames = [(max(width - 1, 1) / 2, max(height - 1, 1) / 2) for height, width in sizes]
        own = [
            times(times(scaling(x, y), unit_frame), scaling(1 / x, 1 / y))
            for unit_frame, (x, y) in zip(_geometry.as_homographies(unit), frames, strict=True)
        ]
        self.warp(draw, own, sizes)
        draw.record("Perspective", distortion=distortion, corners=corners * np.array(frames)[:, None])


def _through(points: Floats, images: Floats) -> Floats:
    """The homographies that take four points (samples, 4, 2) to four others."""
    rows = np.zeros((len(points), 8, 8))
    x, y = points[..., 0], points[..., 1]
    for k in range(2):
        target = images[..., k]
        rows[:, k::2, 3 * k], rows[:, k::2, 3 * k + 1], rows[:, k::2, 3 * k + 2] = x, y, 1
        rows[:, k::2, 6], rows[:, k::2, 7] = -x * target, -y * target
    solved = np.linalg.solve(rows, images.reshape(len(points), 8, 1))[..., 0]
    return np.concatenate([solved, np.ones((len(points), 1))], axis=1).reshape(-1, 3, 3)


@dataclass(frozen=True)
class Elastic(Warp):
    """Displace pixels smoothly, each part of the image on its own.

    Parameters
    ----------
    amplitude : number, range or distribution, default: (0, 4)
        Largest displacement of a knot along either axis, in pixels, >= 0; every knot draws two numbers up to that. Below 0.48 times
        `spacing` the image never folds (Choi and Lee, "Injectivity conditions of 2D and 3D uniform cubic B-spline functions",
        Graphical Models 62, 2000).
    interpolation : {'bilinear', 'bicubic', 'nearest'} or Choice, default: 'bilinear'
        As in `Rotate`.
    mode : str, default: 'reflect'
        What lies outside the image, as in `Rotate`.
    cval : float, default: 0.0
        Value outside in 'constant' mode.
    spacing : float, default: 32.0
        Pixels from knot to knot, about, at least 2. A sample has as many knots as fit, at least one interval along either axis.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range.

    Notes
    -----
    Between the knots displacements are cubic B-splines (D. Rueckert et al., "Nonrigid registration using free-form deformations",
    IEEE Trans. Medical Imaging 18, 1999).

    Examples
    --------
    >>> import numpy
    >>> from imrestore.augment import Elastic
    >>> Elastic(3, spacing=16)(numpy.zeros((64, 48)), rng=0).shape
    (64, 48)
    """

    amplitude: Value = (0, 4)
    spacing: float = field(default=32.0, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, 1e6, "amplitude")
        if finite("spacing", self.spacing, "a finite number >= 2") < 2:
            raise ValueError(f"spacing is {shown(self.spacing)}; it must be a finite number >= 2")
        self.check()

    def plan(self, draw: Draw) -> None:
        amplitude = draw.plain_value(self.amplitude)
        counts = [(_knots(height, self.spacing), _knots(width, self.spacing)) for height, width in draw.plain_sizes]
        lengths = [2 * down * across for down, across in counts]
        u = draw.uniforms(max(lengths, default=0))
        knots = [((2 * u[k, :n] - 1) * amplitude[k]).tolist() for k, n in enumerate(lengths)]
        mode, cval = MODES[self.mode], self.cval * draw.unit
        _geometry.displace(draw, knots, counts, self.interpolations(draw), mode, cval)
        draw.record("Elastic", amplitude=amplitude)


def _knots(length: int, spacing: float) -> int:
    """Of cubic splines along an axis, with at least one interval."""
    return max(round((length - 1) / spacing), 1) + 3
