"""Haze: the farther a thing is, the less of it is seen, and the more of the light in the air before it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from imrestore.degrade._launches import Operation
from imrestore.degrade._numbers import Floats
from imrestore.degrade._plan import Draw
from imrestore.degrade._step import Step, check_fields
from imrestore.degrade._values import Value, numbers_of

_HAZE = Operation("haze", "haze", backward="adjoint")

#: Channels that have light of their own; others have that of the first.
_CHANNELS = 4


@dataclass(frozen=True)
class DepthMap:
    """Depths of a height x width picture, as bytes: steps are compared by their parameters."""

    height: int
    width: int
    values: bytes

    def __repr__(self) -> str:
        return f"<depths of {self.height} x {self.width} pixels>"

    @classmethod
    def of(cls, depth: Any) -> DepthMap:
        """From an array, which is checked."""
        allowed = "None or an array (height, width) of finite numbers >= 0"
        if isinstance(depth, cls):
            return depth
        array = numbers_of("depth", depth, allowed)
        if array.ndim != 2 or array.size == 0:
            raise ValueError(f"depth has the shape {array.shape}; it must be {allowed}")
        if not (np.isfinite(array) & (array >= 0)).all():
            raise ValueError(f"depth has values from {array.min()} to {array.max()}; it must be {allowed}")
        return cls(array.shape[0], array.shape[1], array.tobytes())

    def array(self) -> Floats:
        """The depths."""
        return np.frombuffer(self.values).reshape(self.height, self.width)


@dataclass(frozen=True)
class Haze(Step):
    """Put haze before a scene: t x + (1 - t) A with the transmission t = exp(-beta depth).

    The model is that of Koschmieder (1924), as He, Sun and Tang write it, "Single image haze removal using dark channel prior",
    CVPR 2009, equations 1 and 2.

    Parameters
    ----------
    beta : number, range or distribution, default: (0.4, 1.8)
        Scattering of the air for a unit of depth, >= 0. The range, and that of `airlight`, are about those of the indoor half of
        RESIDE (Li et al., "Benchmarking single-image dehazing and beyond", TIP 2019, section II), whose depths are made to end
        at 1, too.
    airlight : number, range or distribution, default: (0.7, 1.0)
        Light of the air A, as a share of white.
    tint : number, range or distribution, default: 0.0
        By how much the light of a channel, of the first four, may be above or below `airlight`, as a share of white.
    depth : array of shape (height, width), optional
        Depth of every pixel, >= 0, for images of this size. By default every sample has a scene of its own: depths fall
        from near 1 at the top to near 0.2 at the bottom, lean to one side, and go up and down by `relief`.
    relief : number, range or distribution, default: 0.4
        Of scenes without `depth`: a factor of smooth random numbers from -1 to 1.
    knots : number or distribution of whole numbers, default: 8
        Of scenes without `depth`: random numbers along each side of the image, 4 to 512. With more the scene has more detail.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range, or `depth` is not of the size of the image.

    Notes
    -----
    The model is one of linear light; for pictures in sRGB most data sets ignore that, and so does this step. Put it between
    ``Gamma(2.2)`` and ``Gamma(1 / 2.2)`` for the other way.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import Haze
    >>> Haze(numpy.log(2), airlight=0.8, depth=[[0, 1, 2]])(numpy.full((1, 3), 0.4)).round(6)
    array([[0.4, 0.6, 0.7]])
    """

    beta: Value = (0.4, 1.8)
    airlight: Value = (0.7, 1.0)
    tint: Value = field(default=0.0, kw_only=True)
    depth: Any = field(default=None, kw_only=True)
    relief: Value = field(default=0.4, kw_only=True)
    knots: Value = field(default=8, kw_only=True)

    def __post_init__(self) -> None:
        check_fields(self, 0, np.inf, "beta", "airlight", "tint", "relief")
        check_fields(self, 4, 512, "knots", whole=True)
        if self.depth is not None:
            object.__setattr__(self, "depth", DepthMap.of(self.depth))

    def plan(self, draw: Draw) -> None:
        beta, airlight, tint = draw.value(self.beta), draw.value(self.airlight), draw.value(self.tint)
        own = airlight[:, None] + tint[:, None] * (2 * draw.uniforms(_CHANNELS) - 1)
        light = [draw.white * own[:, c] for c in range(_CHANNELS)]
        if self.depth is not None:
            self._check_size(draw)
            start = draw.store(self.depth.array()[None])
            draw.launch(_HAZE, [beta, *light], A=start[0])
        else:
            far, near, lean = (draw.uniforms()[:, 0] for _ in range(3))
            far, near, lean = 0.8 + 0.2 * far, 0.1 + 0.2 * near, 0.4 * lean - 0.2
            relief, knots = draw.value(self.relief), draw.value(self.knots).astype(np.int64)
            draw.launch(_HAZE, [beta, *light, far - lean / 2, near - far, lean, relief], A=-1, B=knots, C=knots)
        draw.record("Haze", beta=beta, airlight=airlight)

    def _check_size(self, draw: Draw) -> None:
        for height, width in set(zip(draw.heights.tolist(), draw.widths.tolist(), strict=True)):
            if (height, width) != (self.depth.height, self.depth.width):
                raise ValueError(
                    f"depth is of {self.depth.height} x {self.depth.width} pixels; it must be of the image's {height} x {width}"
                )
