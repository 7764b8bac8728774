"""Resampling to another size."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from imrestore_kernels.borders import MODES

from imrestore._checks.values import finite, flag, integer, is_sequence, one_of, shown
from imrestore.degrade._distributions import Choice
from imrestore.degrade._launches import Numbers, Operation
from imrestore.degrade._numbers import Floats
from imrestore.degrade._plan import Draw
from imrestore.degrade._step import Step, check_fields, check_option
from imrestore.degrade._values import Value
from imrestore.degrade._windows import check_outside

_RESAMPLE = Operation("resizing", "resample", backward="adjoint", in_place=False)

#: The kernels' numbers for methods.
METHODS = {"nearest": 0, "bilinear": 1, "bicubic": 2, "lanczos3": 3, "area": 4, "lanczos2": 5}

#: A size this near to a whole number is meant to be it.
_SLACK = 1e-6


@dataclass(frozen=True)
class Resize(Step):
    """Resample to another size.

    Parameters
    ----------
    scale : number, range or distribution, optional
        Pixels of the result for one of the image, 0.001 to 1000: the result has ``ceil(scale * height)`` by
        ``ceil(scale * width)``, as in MATLAB's imresize.
    size : int or (int, int), optional
        Height and width of the result instead, up to 2**24; one number is both.
    of : {'image', 'start'}, default: 'image'
        What `scale` is a multiple of: the image as it comes to this step, or as it was where the chain begins.
    method : str or Choice, default: 'bicubic'
        'nearest', 'bilinear', 'bicubic', 'lanczos2', 'lanczos3' or 'area' (the mean over the part of the image that a pixel of
        the result covers).
    antialias : bool, default: True
        Whether kernels are stretched where the image becomes smaller, as in MATLAB's imresize; without, as in OpenCV and torch, one
        as fine as the result would need is applied to the image as it is. 'nearest' and 'area' do not care.
    slope : float, default: -0.5
        Slope of the bicubic kernel at 1, Keys' a: -0.5 in MATLAB and Pillow, -0.75 in OpenCV and torch.
    mode : str, default: 'reflect'
        What lies outside the image: 'reflect' as in MATLAB, 'nearest' as in OpenCV and torch, 'mirror', 'wrap' or 'constant'.
    cval : float, default: 0.0
        Value outside the image in 'constant' mode, -1e30 to 1e30, in the image's units.

    Raises
    ------
    TypeError
        If a parameter is of a type that cannot be meant.
    ValueError
        If one is out of range, or not one of `scale` and `size` is given.

    Notes
    -----
    With the defaults this is the downscaling of the super-resolution benchmarks: a bicubic upscaling by 4 of what it makes of Set5
    has the published 28.42 dB (luminance, 4 pixels cut off). Pixels are squares: the middle of result x is at
    ``(x + 1/2) / scale - 1/2``. 'nearest' takes the pixel ``floor(x / scale)``, as OpenCV and torch do. The axis with the smaller
    scale comes first. Neither a target nor a mask is resized. The gradient is exact, border and all.

    Examples
    --------
    >>> import numpy
    >>> from imrestore.degrade import Resize
    >>> Resize(0.25)(numpy.zeros((64, 48), numpy.uint8)).shape
    (16, 12)
    >>> Resize(size=2, method="area")(numpy.arange(16.0).reshape(4, 4))
    array([[ 2.5,  4.5],
           [10.5, 12.5]])
    """

    scale: Value | None = None
    size: Any = field(default=None, kw_only=True)
    of: str = field(default="image", kw_only=True)
    method: str | Choice = field(default="bicubic", kw_only=True)
    antialias: bool = field(default=True, kw_only=True)
    slope: float = field(default=-0.5, kw_only=True)
    mode: str = field(default="reflect", kw_only=True)
    cval: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        if (self.scale is None) == (self.size is None):
            raise ValueError(f"scale is {shown(self.scale)} and size is {shown(self.size)}; one of them must be given")
        if self.scale is not None:
            check_fields(self, 0.001, 1000, "scale")
        else:
            object.__setattr__(self, "size", _pair(self.size))
        one_of("of", self.of, ("image", "start"))
        check_option("method", self.method, tuple(METHODS))
        flag("antialias", self.antialias)
        finite("slope", self.slope, "a finite number")
        check_outside(self)

    def plan(self, draw: Draw) -> None:
        now = (draw.heights, draw.widths)
        if self.scale is None:
            scale = np.ones(len(draw))
            out = [np.full(len(draw), n) for n in self.size]
        else:
            scale = draw.value(self.scale)
            out = [_lengths(scale, start) for start in (draw.first_sizes if self.of == "start" else now)]
        exact = self.scale is not None and self.of == "image"
        scales = [scale if exact else made / length for made, length in zip(out, now, strict=True)]
        methods = draw.option(self.method)
        numbers: list[Floats | float] = [*scales, self.slope, self.cval * draw.unit]
        kinds, mode = np.array([METHODS[m] for m in methods]), MODES[self.mode]
        draw.launch(_RESAMPLE, numbers, out=(out[0], out[1]), A=kinds, B=int(self.antialias), C=mode)
        drawn = {} if self.scale is None else {"scale": scale}
        draw.record("Resize", **drawn, height=out[0], width=out[1], method=methods)


def _lengths(scale: Floats, lengths: Numbers) -> Numbers:
    made: Numbers = np.maximum(np.ceil(scale * lengths - _SLACK), 1).astype(np.int64)
    return made


def _pair(value: object) -> tuple[int, int]:
    """Height and width."""
    allowed = "a whole number from 1 to 2**24, or a pair of them"
    items = tuple(value) if is_sequence(value) else (value, value)  # type: ignore[arg-type]
    numbers = [integer("size", item, allowed) for item in items]
    if len(numbers) != 2 or not 1 <= min(numbers) <= max(numbers) <= 2**24:
        raise ValueError(f"size is {shown(value)}; it must be {allowed}")
    return numbers[0], numbers[1]
