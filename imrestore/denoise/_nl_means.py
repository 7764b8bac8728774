"""Non-local means."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from imrestore_kernels import forks

from imrestore import _checks, _dispatch
from imrestore._noise_levels import estimates, is_finite, root_mean_square

#: h for a given sigma where the caller names none: the best one for sigma 15, 25 and 50 on Set12.
H_OF_SIGMA = 0.7
#: Stands for an h of zero: only patches that are equal count.
_NEXT_TO_ZERO = float(np.finfo(np.float32).tiny)


@lru_cache(maxsize=256)
def _weights(kind: str, size: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Weights of a patch along one axis; they add up to one."""
    taps: np.ndarray[Any, np.dtype[np.float64]] = np.ones(size)
    if kind == "tapered":
        short = max(1, (size - 1) // 2)
        taps = np.convolve(np.ones(short), np.ones(size + 1 - short))
    elif kind == "gaussian" and size > 1:
        taps = np.exp(-8.0 * ((np.arange(size) - size // 2) / (size - 1)) ** 2)
    taps /= taps.sum()
    taps.flags.writeable = False  # one array for all calls
    return taps


def nl_means(
    image: Any,
    sigma: float | None = None,
    *,
    h: float | None = None,
    patch_size: int | Sequence[int] = 7,
    patch_distance: int | Sequence[int] = 10,
    patch_weights: str = "tapered",
    mode: str = "reflect",
    cval: float = 0.0,
    axes: int | Sequence[int] | None = None,
    channel_axis: int | None = None,
    out: Any = None,
    where: Any = None,
    nan_policy: str = "propagate",
) -> Any:
    """Replace every pixel by a mean of the pixels around it whose neighbourhoods look like its own.

    Parameters
    ----------
    image : array
        1 to 3 filtered axes and any number of others; int8 to int64, uint8 to uint64, float16, float32 or float64. A
        NumPy array (or nested lists) and a torch CPU tensor run on the CPU, a CuPy array and a torch CUDA tensor on
        their GPU, a dask array block by block. Any layout; it is not changed.
    sigma : float, optional
        Standard deviation of the noise in the image's units, >= 0: two patches that differ by no more than noise of this
        strength count as equal. By default `imrestore.noise.estimate_sigma` estimates it, of several channels or images
        the root mean square.
    h : float, optional
        Strength in the image's units, > 0: weights fall to 1/e where patches differ by this much beyond the noise. By
        default 0.7 times `sigma`; an image without noise (`sigma` is 0) then comes back as it is.
    patch_size : int or sequence of int, default: 7
        Side of the patches that are compared, 1 to 64 pixels, or one side for each filtered axis. A patch of even side
        ``k`` starts at ``i - k // 2``.
    patch_distance : int or sequence of int, default: 10
        How far a pixel looks for others, 0 to 1024 pixels to each side, or one distance for each filtered axis.
    patch_weights : str, default: 'tapered'
        How much the pixels of a patch count along each axis. 'tapered': those near its ends less, in proportion to 1 2 3 3 3
        2 1 for 7 pixels (the convolution of a box of ``max(1, (patch_size - 1) // 2)`` pixels with another; up to 4 pixels all
        the same). 'uniform': all the same. 'gaussian': a standard deviation of ``(patch_size - 1) / 4`` around the patch's
        pixel, as scikit-image's slow mode.
    mode : str, default: 'reflect'
        Where a patch leaves the image: 'reflect' (d c b a | a b c d | d c b a), 'mirror' (d c b | a b c d | c b a),
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
        Broadcast to the image's shape: True takes part. Patches are compared where both are valid, and only valid
        pixels are averaged; the others are filled in that way.
    nan_policy : {'propagate', 'omit', 'raise'}, default: 'propagate'
        A NaN or infinity makes the pixels that look at it (within `patch_distance` and a patch) NaN and no other; NaNs
        are left out; or raise.

    Returns
    -------
    array
        As `image`: type, device, shape and dtype. Integers are the mean rounded half to even. Where a pixel finds no
        valid one the result is NaN, or 0 in integers.

    Raises
    ------
    TypeError
        If an argument is of a type that cannot be meant, `image` is complex, boolean, masked or a matrix, or `out` or
        `where` are of another kind or on another device than `image`.
    ValueError
        If an argument is out of range, an axis has no pixel, `image` has NaN under ``nan_policy='raise'``, or `sigma` is
        None and `image` a dask array, whose blocks would each have an estimate of their own.

    See Also
    --------
    bilateral : compares pixels, not patches; for little noise.
    gaussian : all differences weigh the same; no edge is kept.

    Notes
    -----
    With D(p, q) the mean over a patch and its channels of the squared differences between the surroundings of the
    pixels p and q, q counts in the mean of p with the weight ``exp(-max(D - 2 sigma**2, 0) / h**2)``, and p itself with 1
    (Buades, Coll and Morel, "A non-local algorithm for image denoising", CVPR 2005; "Non-Local Means Denoising", IPOL
    2011). Patches are whole, the exponential is exact to 1e-6 and no weight is cut off, unlike in scikit-image and OpenCV.

    The default weights and strength were chosen on the twelve pictures of Set12 with 7x7 patches and distance 11: mean PSNR
    31.00, 28.74 and 25.16 dB for noise of 15, 25 and 50 in 0..255. Uniform weights with the best h for each noise (0.75, 0.65
    and 0.5 times sigma) give 30.77, 28.45 and 25.22 dB, scikit-image with its best h 30.86, 28.49 and 24.84 dB.

    The time grows with the number of pixels times ``(2 * patch_distance + 1)`` per axis. A patch with uniform or tapered weights
    costs about log2(patch_size) additions per axis and pair of pixels, a Gaussian one patch_size multiplications. 8- and 16-bit
    integers, float16 and float32 are computed in float32 (within 2e-6 of the weighted mean difference of the pixels)
    unless `h` is below ``sigma / 16``, all others in float64.

    Examples
    --------
    >>> import numpy, imrestore
    >>> image = numpy.array([10, 11, 10, 11, 90, 91, 90, 91], numpy.uint8)
    >>> imrestore.nl_means(image, 1.0, h=2.0, patch_size=1, patch_distance=7)
    array([10, 10, 10, 10, 90, 90, 90, 90], dtype=uint8)
    """
    if _dispatch.library(image) == _dispatch.DASK:
        with forks.importing:
            from imrestore._blocks import filter_blocks

        if sigma is None:
            raise ValueError(
                "sigma is None and image a lazy dask array; it must be a number: estimate it from a part of the image, "
                "imrestore.noise.estimate_sigma(part.compute())"
            )
        window = {"patch_size": patch_size, "patch_distance": patch_distance}
        options = {
            "sigma": sigma, "h": h, "patch_weights": patch_weights, "mode": mode, "cval": cval, "nan_policy": nan_policy
        }  # fmt: skip
        return filter_blocks(nl_means, image, _reach, window, options, axes, channel_axis, out, where, joint=True)
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
    sizes = _checks.patch_sizes(patch_size, len(opened.axes))
    distances = opened.in_order(_checks.patch_distances(patch_distance, len(opened.axes)))
    kind = _checks.patch_weights(patch_weights)
    patches = opened.in_order([_weights(kind, size) for size in sizes])
    border = _checks.border_mode(mode)
    constant = _checks.constant_value(cval, border, opened.dtype)
    strength = None if h is None else _checks.strength("h", h, optional=True)
    noise = root_mean_square(itertools.chain(*estimates(opened))) if sigma is None else _checks.noise_sigma(sigma)
    if strength is None:
        strength = H_OF_SIGMA * noise
        if strength == 0 and not opened.masked and is_finite(opened):
            return opened.run(_copy)
        strength = strength or _NEXT_TO_ZERO
    with forks.importing:
        if opened.on_cuda:
            from imrestore_kernels.cuda.nl_means import nl_means as kernel
        else:
            from imrestore_kernels.cpu.nl_means import nl_means as kernel
    return opened.run(kernel, noise, strength, patches, distances, border, constant)


def _copy(src: Any, dst: Any, _where: Any, _pad_counts: bool) -> None:
    dst[...] = src


def _reach(axes: int, patch_size: Any, patch_distance: Any) -> tuple[tuple[int, int], ...]:
    """Samples before and after a pixel that it looks at, per filtered axis."""
    sizes, distances = _checks.patch_sizes(patch_size, axes), _checks.patch_distances(patch_distance, axes)
    return tuple((d + k // 2, d + k - 1 - k // 2) for k, d in zip(sizes, distances, strict=True))
