"""Bilateral filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imrestore_kernels import forks

from imrestore import _checks, _dispatch


def bilateral(
    image: Any,
    sigma_color: float,
    sigma_space: float | Sequence[float],
    *,
    truncate: float = 2.0,
    radius: int | Sequence[int] | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
    axes: int | Sequence[int] | None = None,
    channel_axis: int | None = None,
    out: Any = None,
    where: Any = None,
    nan_policy: str = "propagate",
) -> Any:
    """Smooth with a Gaussian in which pixels count for less the more they differ: edges stay.

    Parameters
    ----------
    image : array
        1 to 3 filtered axes and any number of others; int8 to int64, uint8 to uint64, float16, float32 or float64. A
        NumPy array (or nested lists) and a torch CPU tensor run on the CPU, a CuPy array and a torch CUDA tensor on
        their GPU, a dask array block by block. Any layout; it is not changed.
    sigma_color : float
        Standard deviation of the weights over the difference of two pixels, > 0, in the image's units: edges higher than
        about 3 times that stay. The difference of two colours is the Euclidean one.
    sigma_space : float or sequence of float
        Standard deviation of the weights over the distance in pixels, >= 0, or one for each filtered axis. Along an axis
        with 0 nothing is averaged.
    truncate : float, default: 2.0
        The window is a box that reaches ``int(truncate * sigma_space + 0.5)`` pixels to each side, 1024 at most. The time
        grows with its square.
    radius : int or sequence of int, optional
        Reach of the window in pixels, 0 to 1024; overrides `truncate`.
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
        Axis of the colours, which are compared together: all channels of a pixel get the same weights.
    out : array, optional
        Where the result goes: the image's kind, device, shape and dtype. It may overlap `image`.
    where : bool array, optional
        Broadcast to the image's shape: True takes part. Pixels are compared in the channels where both are valid, and only
        valid ones are averaged.
    nan_policy : {'propagate', 'omit', 'raise'}, default: 'propagate'
        A NaN or infinity makes the windows it lies in NaN and no other; NaNs are left out; or raise.

    Returns
    -------
    array
        As `image`: type, device, shape and dtype. Integers are the mean rounded half to even. A window without a valid
        pixel gives NaN, or 0 in integers.

    Raises
    ------
    TypeError
        If an argument is of a type that cannot be meant, `image` is complex, boolean, masked or a matrix, or `out` or
        `where` are of another kind or on another device than `image`.
    ValueError
        If an argument is out of range, an axis has no pixel, or `image` has NaN under ``nan_policy='raise'``.

    See Also
    --------
    gaussian : all differences weigh the same.
    nl_means : compares patches; for stronger noise.

    Notes
    -----
    The pixel q counts in the mean of p with the weight ``exp(-|q - p|**2 / (2 sigma_space**2) - |u(q) - u(p)|**2 /
    (2 sigma_color**2))`` (Aurich and Weule 1995; Tomasi and Manduchi, "Bilateral filtering for gray and color images",
    ICCV 1998). Every weight is computed, to 1e-6 of itself: no table, grid or other approximation. 8- and 16-bit
    integers, float16 and float32 are computed in float32 (within 2e-6 of the weighted mean difference of the pixels),
    all others in float64. The time grows with the number of pixels in the window.

    The default of `truncate`: in six pictures of Set12 (256x256, noise of 15, 25 and 50, `sigma_space` 1.5 and 2.5) windows of
    3 and 4 standard deviations, which hold two and four times as many pixels, gained no more than 0.01 dB in PSNR.

    Examples
    --------
    >>> import numpy, imrestore
    >>> image = numpy.array([10, 14, 10, 14, 90, 94, 90, 94], numpy.uint8)
    >>> imrestore.bilateral(image, 10.0, 2.0)
    array([12, 12, 12, 12, 92, 92, 92, 92], dtype=uint8)
    """
    if _dispatch.library(image) == _dispatch.DASK:
        with forks.importing:
            from imrestore._blocks import filter_blocks

        window = {"sigma_space": sigma_space, "truncate": truncate, "radius": radius}
        options = {"sigma_color": sigma_color, "mode": mode, "cval": cval, "nan_policy": nan_policy}
        return filter_blocks(bilateral, image, _reach, window, options, axes, channel_axis, out, where, joint=True)
    opened = _dispatch.open_image(
        image,
        axes=axes,
        channel_axis=channel_axis,
        out=out,
        where=where,
        nan_policy=nan_policy,
        cval=cval,
        kinds="iuf",
        joint=True,
        most_axes=3,
    )
    color = _checks.strength("sigma_color", sigma_color)
    sigmas, radii = _checks.bilateral_radii(sigma_space, truncate, radius, len(opened.axes))
    border = _checks.border_mode(mode)
    constant = _checks.constant_value(cval, border, opened.dtype)
    with forks.importing:
        if opened.on_cuda:
            from imrestore_kernels.cuda.bilateral import bilateral as kernel
        else:
            from imrestore_kernels.cpu.bilateral import bilateral as kernel
    return opened.run(kernel, color, opened.in_order(sigmas), opened.in_order(radii), border, constant)


def _reach(axes: int, sigma_space: Any, truncate: Any, radius: Any) -> tuple[tuple[int, int], ...]:
    """Samples before and after a pixel that its window needs, per filtered axis."""
    return tuple((r, r) for r in _checks.bilateral_radii(sigma_space, truncate, radius, axes)[1])
