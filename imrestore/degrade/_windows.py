"""Windows of every sample's own, and the convolution with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from imrestore_kernels.borders import MODES

from imrestore import _checks
from imrestore._checks.values import finite, shown
from imrestore.degrade import _psf
from imrestore.degrade._launches import Numbers, Operation
from imrestore.degrade._numbers import Floats
from imrestore.degrade._plan import Draw
from imrestore.degrade._step import check_fields
from imrestore.degrade._values import Value

_CONVOLVE = Operation("blurring", "convolve", backward="adjoint", in_place=False)

#: The largest window of the kernels.
MOST = 127


def check_window(step: Any) -> None:
    """Size of a window, if it is given, and what lies outside the image."""
    if getattr(step, "size", None) is not None:
        check_fields(step, 1, MOST, "size", whole=True)
    check_outside(step)


def check_outside(step: Any) -> None:
    """What lies outside the image; float32 holds the value, and what another white makes of it."""
    _checks.border_mode(step.mode)
    allowed = "a number from -1e30 to 1e30, in the image's units"
    if abs(finite("cval", step.cval, allowed)) > 1e30:
        raise ValueError(f"cval is {shown(step.cval)}; it must be {allowed}")


def window_sizes(draw: Draw, size: Value | None, reach: Floats) -> Numbers:
    """Odd widths of windows: as given, or so that they reach some pixels to each side."""
    widths = 2 * np.ceil(reach) + 1 if size is None else draw.value(size)
    odd: Numbers = np.minimum(widths.astype(np.int64) | 1, MOST)
    return odd


def convolve(draw: Draw, step: Any, sizes: Numbers, make: Callable[[int, Numbers], Floats]) -> None:
    """Convolve every sample with a window of its own.

    ``make(size, samples)`` gives those of some samples that have as large ones, (samples, size, size), or (samples, size) where
    each is an outer product of a line with itself.
    """
    places, widths, lines = np.zeros(len(draw), np.int64), np.ones(len(draw), np.int64), 0
    for size in sorted(set(sizes.tolist())):
        samples = np.flatnonzero(sizes == size)
        weights = make(size, samples)
        lines = int(weights.ndim == 2)
        kept = _psf.trimmed_sizes(weights)
        for width in sorted(set(kept.tolist())):
            chosen = kept == width
            window = _psf.cropped(weights[chosen], width)
            turned = window[(slice(None), *[slice(None, None, -1)] * (window.ndim - 1))]
            places[samples[chosen]] = draw.store(np.concatenate([turned, turned], axis=1) if lines else turned)
            widths[samples[chosen]] = width
    launch(draw, step, places, widths, widths, lines)


def launch(draw: Draw, step: Any, places: Numbers, heights: Numbers, widths: Numbers, lines: int = 0) -> None:
    """Convolve every sample with the window at a place in the table."""
    mode = MODES[step.mode]
    draw.launch(_CONVOLVE, [step.cval * draw.unit], A=places, B=heights, C=widths, D=mode, E=lines)
