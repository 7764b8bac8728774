"""Guided filter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from imrestore_kernels import forks
from numpy import ndarray

from imrestore import _checks, _dispatch, _guide

_replays: dict[Any, Callable[[Any], Any]] = {}


def guided(
    image: Any,
    guide: Any = None,
    radius: int | Sequence[int] = 4,
    *,
    eps: float,
    mode: str = "reflect",
    cval: float = 0.0,
    axes: int | Sequence[int] | None = None,
    channel_axis: int | None = None,
    out: Any = None,
    where: Any = None,
    nan_policy: str = "propagate",
) -> Any:
    """Smooth where a guide is smooth and keep the edges that it has.

    In every window the image is fitted by a linear function of the guide; a pixel becomes the mean of what the windows it
    lies in say of it. An image without a guide guides itself: an edge-preserving filter whose time depends little on the
    window. With a guide it transfers structure: noisy or coarse images (depth, masks, transmission maps, a flash-less
    exposure) take on the edges of a clean one.

    Parameters
    ----------
    image : array
        1 to 4 filtered axes and any number of others; int8 to int64, uint8 to uint64, float16, float32 or float64. A
        NumPy array (or nested lists) and a torch CPU tensor run on the CPU, a CuPy array and a torch CUDA tensor on
        their GPU, a dask array block by block. Any layout; it is not changed.
    guide : array, optional
        The image whose edges are kept: of the same kind, on the same device and of the same shape but for channels, of
        any of these dtypes. With channels (1 to 4) it guides by all of them jointly, which sees edges that no
        single channel shows. None stands for `image` itself; its channels guide jointly, too.
    radius : int or sequence of int, default: 4
        The window covers ``2 * radius + 1`` pixels along an axis, 0 to 1023, or one radius for each filtered axis; 2**24
        samples in all.
    eps : float
        The variance, in squared units of the guide, that tells edges from noise, > 0: windows that vary less are
        smoothed, those that vary more are kept. There is no default, since it depends on the units: for a standard
        deviation of 10 grey levels it is 100 in a uint8 guide, and 100 / 255**2 in one scaled to 0 .. 1.
    mode : str, default: 'reflect'
        Where the window leaves the image: 'reflect' (d c b a | a b c d | d c b a), 'mirror' (d c b | a b c d | c b a),
        'nearest' (a a a | a b c d | d d d), 'wrap' (b c d | a b c d | a b c) or 'constant' (`cval`). The aliases
        'grid-mirror', 'grid-wrap' and 'grid-constant' of scipy.ndimage mean reflect, wrap and constant. The image and the
        guide go on beyond their border in this way; windows that reach into the image take part wherever they begin.
    cval : float, default: 0.0
        Value outside the image and the guide in 'constant' mode; it must fit the dtypes of both. With ``cval=nan`` and
        ``nan_policy='omit'`` nothing outside takes part.
    axes : int or sequence of int, optional
        Axes of the image the window extends over; by default all but `channel_axis`. The others are a batch.
    channel_axis : int, optional
        Axis of the colours, of the image and the guide alike if they have as many axes, else of the one that has one
        more. An image with a guide beside it is filtered one channel after the other, by all of the guide's.
    out : array, optional
        Where the result goes: the image's kind, device, shape and dtype. It may overlap `image` and `guide`.
    where : bool array, optional
        Broadcast to the image's shape: True takes part. Means, variances and covariances are those of the valid pixels of
        a window. A pixel that takes no part is filled from its guide by the windows around it; where `guide` is None
        or NaN there, it becomes the mean of their means, and is left out with all its channels.
    nan_policy : {'propagate', 'omit', 'raise'}, default: 'propagate'
        A pixel whose image or guide is NaN makes the pixels it shares a window with NaN and no other; or is left out; or
        raises. Infinities count as NaN under 'propagate' and are not left out.

    Returns
    -------
    array
        As `image`: type, device, shape and dtype. Integers are rounded half to even and saturated. A pixel without a
        valid one in all its windows gives NaN, or 0 in integers.

    Raises
    ------
    TypeError
        If an argument is of a type that cannot be meant, `eps` is missing, `image` or `guide` is complex, boolean, masked
        or a matrix, or `guide`, `out` or `where` are of another kind or on another device than `image`.
    ValueError
        If an argument is out of range, an axis has no pixel, `guide` differs in shape by more than channels or has more
        than four of them, or `image` or `guide` has NaN under ``nan_policy='raise'``.

    See Also
    --------
    gaussian : smooths edges as well.
    mean : the result for an `eps` far above all variances is close to two passes of it.

    Notes
    -----
    For the window k of N pixels i with guide I and image p (He, Sun and Tang, "Guided image filtering", PAMI 2013),
    ``a_k = cov_k(I, p) / (var_k(I) + eps)`` and ``b_k = mean_k(p) - a_k mean_k(I)``; for a guide of several channels
    ``a_k = (cov_k(I, I) + eps)^-1 cov_k(I, p)``. The result is ``mean(a) I_i + mean(b)`` over all windows that hold i, so it
    depends on pixels up to ``2 * radius`` away. Differs from cv2.ximgproc.guidedFilter by rounding only, in 'reflect'.

    Variances are joined from those of smaller windows instead of subtracting squares (Chan, Golub and LeVeque, 1983), so small
    differences on a high pedestal count: the error is some tens of roundings of the largest sample of image and guide (the
    latter times ``a``), those of float64, or of float32 where image and guide have 24 bits at most (neither is float64 or an
    integer of 32 bits or more), no sample is beyond 1e15 and `eps` not below 1e-25. For a colour guide it grows with the
    condition of ``cov_k(I, I) + eps``. Pixels beyond 1e150 overflow when they are squared.
    The time grows with the logarithm of the radius up to 127, in 1-D and 2-D and without a mask; else plain NumPy does the work,
    which takes ten times as long and more.

    Examples
    --------
    >>> import numpy, imrestore
    >>> image = numpy.array([10, 12, 9, 11, 60, 62, 59, 61], numpy.uint8)
    >>> imrestore.guided(image, radius=2, eps=50)
    array([11, 12, 11, 13, 58, 60, 59, 60], dtype=uint8)
    """
    key = None
    plain = type(image) is ndarray and guide is out is where is axes is channel_axis is None
    if plain and type(radius) is int and type(eps) in (int, float):
        key = (image.shape, image.strides, image.dtype, radius, eps, mode, cval, type(cval), nan_policy)
        if (replay := _dispatch.find(_replays, key)) is not None:
            return replay(image)
    if _dispatch.library(image) == _dispatch.DASK:
        with forks.importing:
            from imrestore._blocks import filter_blocks

        options = {"eps": eps, "mode": mode, "cval": cval, "nan_policy": nan_policy}
        window = {"radius": radius}
        return filter_blocks(guided, image, _reach, window, options, axes, channel_axis, out, where, joint=True, guide=guide)
    opened = _dispatch.open_image(
        image,
        axes=axes,
        channel_axis=_guide.image_channel_axis(image, guide, channel_axis),
        out=out,
        where=where,
        nan_policy=nan_policy,
        cval=cval,
        kinds="iuf",
        joint=True,
    )
    opened = _guide.open_guide(opened, guide, channel_axis, nan_policy)
    radii = opened.in_order(_checks.guided_radii(radius, len(opened.axes)))
    variance = _checks.guided_eps(eps)
    border = _checks.border_mode(mode)
    constant = guide_constant = _checks.constant_value(cval, border, opened.dtype)
    if opened.guide is not None:
        guide_constant = _checks.constant_value(cval, border, opened.guide.dtype, "guide")
    with forks.importing:
        if opened.on_cuda:
            from imrestore_kernels.cuda.guided import guided as kernel
        else:
            from imrestore_kernels.cpu.guided import guided as kernel
    result = opened.run(kernel, opened.guide, radii, variance, border, constant, guide_constant)
    if key is not None:
        with forks.importing:
            from imrestore_kernels.cpu.guided import plan

        parameters = (radii, variance, border, constant, guide_constant)
        _dispatch.remember(_replays, key, opened, lambda shape: plan(shape, opened.dtype, *parameters))
    return result


def _reach(axes: int, radius: Any) -> tuple[tuple[int, int], ...]:
    """Samples before and after a pixel that its result needs, per filtered axis."""
    return tuple((2 * r, 2 * r) for r in _checks.guided_radii(radius, axes))
