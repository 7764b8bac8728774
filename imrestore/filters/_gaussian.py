"""Gaussian filter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from imrestore_kernels import forks
from numpy import ndarray

from imrestore import _checks, _dispatch

_replays: dict[Any, Callable[[Any], Any]] = {}


@lru_cache(maxsize=256)
def gaussian_weights(sigma: float, radius: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Sampled, truncated and normalised Gaussian of 2 radius + 1 taps in float64."""
    if sigma == 0 or radius == 0:
        return np.ones(1) if radius == 0 else (np.arange(-radius, radius + 1) == 0).astype(np.float64)
    with np.errstate(over="ignore", under="ignore"):  # taps far beyond a small sigma are 0
        distance = np.arange(-radius, radius + 1) / sigma
        taps: np.ndarray[Any, np.dtype[np.float64]] = np.exp(-0.5 * distance**2)
    taps /= taps.sum()
    return taps


def gaussian(
    image: Any,
    sigma: float | Sequence[float] = 1.0,
    *,
    truncate: float = 4.0,
    radius: int | Sequence[int] | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
    axes: int | Sequence[int] | None = None,
    channel_axis: int | None = None,
    out: Any = None,
    where: Any = None,
    nan_policy: str = "propagate",
) -> Any:
    """Smooth with a Gaussian.

    Parameters
    ----------
    image : array
        1 to 4 filtered axes and any number of others; int8 to int64, uint8 to uint64, float16, float32 or float64. A
        NumPy array (or nested lists) and a torch CPU tensor run on the CPU, a CuPy array and a torch CUDA tensor on
        their GPU, a dask array block by block. Any layout; it is not changed.
    sigma : float or sequence of float, default: 1.0
        Standard deviation in pixels, >= 0, or one for each filtered axis. 0 leaves an axis as it is.
    truncate : float, default: 4.0
        The window reaches ``int(truncate * sigma + 0.5)`` pixels to each side, as in scipy.ndimage.
    radius : int or sequence of int, optional
        Reach of the window in pixels, 0 to 16383; overrides `truncate`.
    mode : str, default: 'reflect'
        Where the window leaves the image: 'reflect' (d c b a | a b c d | d c b a), 'mirror' (d c b | a b c d | c b a),
        'nearest' (a a a | a b c d | d d d), 'wrap' (b c d | a b c d | a b c) or 'constant' (`cval`). The aliases
        'grid-mirror', 'grid-wrap' and 'grid-constant' of scipy.ndimage mean reflect, wrap and constant.
    cval : float, default: 0.0
        Value outside the image in 'constant' mode, in the image's units; it must fit its dtype. With ``cval=nan`` and
        ``nan_policy='omit'`` nothing outside takes part.
    axes : int or sequence of int, optional
        Axes the window extends over; by default all but `channel_axis`. The others are a batch.
    channel_axis : int, optional
        Axis of the colours, which are filtered one by one.
    out : array, optional
        Where the result goes: the image's kind, device, shape and dtype. It may overlap `image`.
    where : bool array, optional
        Broadcast to the image's shape: True takes part. Each pixel becomes the weighted mean of the valid pixels in its
        window (normalised convolution, Knutsson and Westin 1993).
    nan_policy : {'propagate', 'omit', 'raise'}, default: 'propagate'
        A NaN makes the windows it lies in NaN and no other; or is left out; or raises.

    Returns
    -------
    array
        As `image`: type, device, shape and dtype. Integers are the float64 value rounded half to even (scipy.ndimage
        truncates after each axis). A window without a valid pixel gives NaN, or 0 in integers.

    Raises
    ------
    TypeError
        If an argument is of a type that cannot be meant, `image` is complex, boolean, masked or a matrix, or `out` or
        `where` are of another kind or on another device than `image`.
    ValueError
        If an argument is out of range, an axis has no pixel, or `image` has NaN under ``nan_policy='raise'``.

    See Also
    --------
    mean : all pixels of a box weigh the same; faster for large windows.

    Notes
    -----
    The window is sampled, cut off and normalised in float64, and the sums are the exact finite ones: no recursive or
    box approximation. uint8, int8, float16 and float32 images are summed in float32 with fused multiply-add (within
    1e-6 of the float64 result; integers that come close to a tie are summed again in float64), all others in float64.
    The time grows with the sum of the radii.

    Examples
    --------
    >>> import numpy, imrestore
    >>> image = numpy.zeros((5, 5), numpy.uint8)
    >>> image[2, 2] = 255
    >>> imrestore.gaussian(image, 1.0)[2]
    array([ 6, 25, 41, 25,  6], dtype=uint8)
    """
    key = None
    plain = type(image) is ndarray and out is where is axes is channel_axis is radius is None
    if plain and type(sigma) in (int, float) and type(truncate) in (int, float):
        key = (image.shape, image.strides, image.dtype, sigma, truncate, mode, cval, type(cval), nan_policy)
        if (replay := _dispatch.find(_replays, key)) is not None:
            return replay(image)
    if _dispatch.library(image) == _dispatch.DASK:
        with forks.importing:
            from imrestore._blocks import filter_blocks

        window = {"sigma": sigma, "truncate": truncate, "radius": radius}
        options = {"mode": mode, "cval": cval, "nan_policy": nan_policy}
        return filter_blocks(gaussian, image, _reach, window, options, axes, channel_axis, out, where)
    opened = _dispatch.open_image(
        image, axes=axes, channel_axis=channel_axis, out=out, where=where, nan_policy=nan_policy, cval=cval, kinds="iuf"
    )
    sigmas, radii = _checks.gaussian_radii(sigma, truncate, radius, len(opened.axes))
    weights = opened.in_order([gaussian_weights(s, r) for s, r in zip(sigmas, radii, strict=True)])
    border = _checks.border_mode(mode)
    constant = _checks.constant_value(cval, border, opened.dtype)
    with forks.importing:
        if opened.on_cuda:
            from imrestore_kernels.cuda.gaussian import gaussian as kernel
        else:
            from imrestore_kernels.cpu.gaussian import gaussian as kernel
    result = opened.run(kernel, weights, border, constant)
    if key is not None:
        with forks.importing:
            from imrestore_kernels.cpu.gaussian import plan

        _dispatch.remember(_replays, key, opened, lambda shape: plan(shape, opened.dtype, weights, border, constant))
    return result


def _reach(axes: int, sigma: Any, truncate: Any, radius: Any) -> tuple[tuple[int, int], ...]:
    """Samples before and after a pixel that its window needs, per filtered axis."""
    return tuple((r, r) for r in _checks.gaussian_radii(sigma, truncate, radius, axes)[1])
