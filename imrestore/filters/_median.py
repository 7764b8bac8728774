"""Median and other rank filters."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from imrestore_kernels import forks
from numpy import ndarray

from imrestore import _checks, _dispatch

_replays: dict[Any, Callable[[Any], Any]] = {}


def median(
    image: Any,
    size: int | Sequence[int] = 3,
    *,
    footprint: Any = None,
    rank: int | None = None,
    percentile: float | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
    axes: int | Sequence[int] | None = None,
    channel_axis: int | None = None,
    out: Any = None,
    where: Any = None,
    nan_policy: str = "propagate",
) -> Any:
    """Replace every pixel by the median, or another rank, of the window around it.

    Parameters
    ----------
    image : array
        1 to 4 filtered axes and any number of others; bool, int8 to int64, uint8 to uint64, float16, float32 or
        float64. A NumPy array (or nested lists) and a torch CPU tensor run on the CPU, a CuPy array and a torch CUDA
        tensor on their GPU, a dask array block by block. Any layout; it is not changed.
    size : int or sequence of int, default: 3
        Side of the window in pixels, 1 to 32767, or one side for each filtered axis. A window of even side ``k`` starts
        at ``i - k // 2``. It may be larger than the image. Ignored if `footprint` is given.
    footprint : bool array, optional
        Shape of the window: one axis for each filtered axis, True cells take part. Its centre is at ``shape // 2``.
    rank : int, optional
        Rank of the result among the window's pixels, 0 for the smallest (as scipy.ndimage.rank_filter); negative ranks
        count from the largest. By default the median, of an even number the upper one of the two middle ones.
    percentile : float, optional
        From -100 to 100, instead of `rank` (as scipy.ndimage.percentile_filter): 0 is the smallest, 100 the largest.
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
        Broadcast to the image's shape: True takes part. The rank is then taken among a window's m valid pixels: the
        median is the one of rank ``m // 2``, a percentile p the one of rank ``min(int(m * p / 100), m - 1)``.
    nan_policy : {'propagate', 'omit', 'raise'}, default: 'propagate'
        A NaN makes the windows it lies in NaN and no other; or is left out; or raises.

    Returns
    -------
    array
        As `image`: type, device, shape and dtype. A window without a valid pixel gives NaN, or 0 in integers.

    Raises
    ------
    TypeError
        If an argument is of a type that cannot be meant, `image` is complex, masked or a matrix, or `out` or `where`
        are of another kind or on another device than `image`.
    ValueError
        If an argument is out of range, `rank` comes together with `percentile`, `where` or ``nan_policy='omit'``, an
        axis has no pixel, or `image` has NaN under ``nan_policy='raise'``.

    See Also
    --------
    mean : for Gaussian noise where edges do not matter.

    Notes
    -----
    Results are exact and equal on the CPU and on a GPU. Small and middle windows in two dimensions go through pruned
    exchange networks (Batcher 1968) in which neighbouring pixels share sorted columns (Adams 2021) and rows (Sugy
    2025).

    Examples
    --------
    >>> import numpy, imrestore
    >>> imrestore.median(numpy.array([[1, 2, 3], [4, 200, 6], [7, 8, 9]], numpy.uint8))
    array([[2, 3, 3],
           [4, 6, 6],
           [7, 8, 9]], dtype=uint8)
    """
    key = None
    plain = out is where is axes is channel_axis is footprint is None
    if type(image) is ndarray and type(size) is int and plain and rank is percentile is None:
        key = (image.shape, image.strides, image.dtype, size, mode, cval, type(cval), nan_policy)
        if (replay := _dispatch.find(_replays, key)) is not None:
            return replay(image)
    if _dispatch.library(image) == _dispatch.DASK:
        with forks.importing:
            from imrestore._blocks import filter_blocks

        window = {"size": size, "footprint": footprint}
        options = {"rank": rank, "percentile": percentile, "mode": mode, "cval": cval, "nan_policy": nan_policy}
        return filter_blocks(median, image, _reach, window, options, axes, channel_axis, out, where)
    opened = _dispatch.open_image(
        image,
        axes=axes,
        channel_axis=channel_axis,
        out=out,
        where=where,
        nan_policy=nan_policy,
        cval=cval,
        kinds="biuf",
    )
    sides, cells = _window(size, footprint, len(opened.axes))
    samples = math.prod(sides) if cells is None else int(cells.sum())
    place, percent = _checks.rank_and_percentile(rank, percentile, samples, opened.masked)
    sides = opened.in_order(sides)
    cells = None if cells is None else np.ascontiguousarray(cells.transpose(np.argsort(opened.axes).tolist()))
    border = _checks.border_mode(mode)
    constant = _checks.constant_value(cval, border, opened.dtype)
    with forks.importing:
        if opened.on_cuda:
            from imrestore_kernels.cuda.median import median as kernel
        else:
            from imrestore_kernels.cpu.median import median as kernel
    result = opened.run(kernel, sides, cells, place, percent, border, constant)
    if key is not None:
        with forks.importing:
            from imrestore_kernels.cpu.median import plan

        _dispatch.remember(
            _replays, key, opened, lambda shape: plan(shape, opened.dtype, sides, place, border, constant)
        )
    return result


def _window(size: Any, footprint: Any, axes: int) -> tuple[tuple[int, ...], Any]:
    """Sides of the window, and its cells unless it is a full box."""
    if footprint is None:
        return _checks.window_size(size, axes), None
    cells = _checks.window_footprint(footprint, axes)
    return cells.shape, None if cells.all() else cells


def _reach(axes: int, size: Any, footprint: Any) -> tuple[tuple[int, int], ...]:
    """Samples before and after a pixel that its window needs, per filtered axis."""
    return tuple((k // 2, k - 1 - k // 2) for k in _window(size, footprint, axes)[0])
