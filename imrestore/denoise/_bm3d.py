"""Block matching and 3-D filtering."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from imrestore_kernels import forks

from imrestore import _checks, _dispatch
from imrestore._checks import bm3d as bm3d_checks
from imrestore._noise_levels import is_finite, noise_levels

#: Standard deviations of the noise in one of the image beyond which 'very_noisy' is better: on pictures of CBSD432, whose own
#: is about 55 in 0..255, it loses 0.03 dB at 50 and gains 0.03 at 75 and 0.05 at 100.
_DROWNED = 1.4
#: Pixels that are looked at to find out.
_LOOKED_AT = 2**16


def bm3d(
    image: Any,
    sigma: Any = None,
    *,
    profile: Any = "normal",
    stages: int = 2,
    psd: Any = None,
    kernel: Any = None,
    axes: int | Sequence[int] | None = None,
    channel_axis: int | None = None,
    out: Any = None,
    where: Any = None,
    nan_policy: str = "propagate",
    return_basic: bool = False,
    callback: Callable[[float], object] | None = None,
) -> Any:
    """Remove noise by filtering similar patches together: block matching and 3-D filtering.

    Parameters
    ----------
    image : array
        2 filtered axes and any number of others; int8 to int64, uint8 to uint64, float16, float32 or float64. A NumPy array
        (or nested lists) and a torch CPU tensor run on the CPU, a CuPy array and a torch CUDA tensor on their GPU, a dask
        array block by block. Any layout and size; it is not changed.
    sigma : float, sequence of float or array, optional
        Standard deviation of the noise in the image's units, >= 0: one number, one for each channel, or a map of the image's
        shape (or all of it but `channel_axis`). By default `imrestore.noise.estimate_sigma` estimates it for each channel; with
        `psd` or `kernel` it is theirs by default, and they are scaled to it otherwise.
    profile : str or BM3DProfile, default: 'normal'
        'normal', 'fast' (an eighth of the time, 0.4 to 0.6 dB less), 'high' (three times, 0.03 dB more) or 'very_noisy', which
        'normal' becomes by itself where noise is 1.4 times as strong as the image (not in dask arrays); or parameters:
        ``p = imrestore.denoise.BM3D_PROFILES['normal']`` and ``p._replace(hard=p.hard._replace(step=2))``.
    stages : int, default: 2
        1 stops after hard thresholding, which takes two fifths of the time. 2 goes on to Wiener's filter, which 'normal' and 'high'
        do twice (``p._replace(refine=None)``: once).
    psd : array, optional
        Power spectral density of correlated noise at the frequencies of ``numpy.fft.fft2``, >= 0, of any shape (the image's, if
        in doubt): the mean of ``abs(fft2(noise))**2 / noise.size``. White noise has ``sigma**2`` everywhere. NumPy array.
    kernel : array, optional
        Instead of `psd`: what white noise of standard deviation 1 was convolved with. NumPy array.
    axes : int or sequence of int, optional
        The two axes of a picture; by default all but `channel_axis`. The others are a batch.
    channel_axis : int, optional
        Axis of the colours, which are matched together: three are taken apart into brightness and two differences, more
        (or two) into principal components.
    out : array, optional
        Where the result goes: the image's kind, device, shape and dtype. It may overlap `image`.
    where : bool array, optional
        Broadcast to the image's shape: True takes part. Others are first filled in with means of the valid samples around them
        and then filtered like these.
    nan_policy : {'propagate', 'omit', 'raise'}, default: 'propagate'
        A NaN or infinity makes the pixels of patches near it NaN (up to 21 pixels away, by all stages) and no other; NaNs are
        left out; or raise.
    return_basic : bool, default: False
        Return the result and what the first stage gave.
    callback : callable, optional
        Called with the part that is done, from above 0 to 1, in the calling thread; what it raises ends the call.

    Returns
    -------
    array, or tuple of two arrays with `return_basic`
        As `image`: type, device, shape and dtype. Integers are rounded half to even and saturate. Samples in holes, 30 to 44
        pixels or more from all valid ones, are NaN, or 0 in integers.

    Raises
    ------
    TypeError
        If an argument is of a type that cannot be meant, `image` is complex, boolean, masked or a matrix, or `out`, `where` or a
        map `sigma` are of another kind or on another device than `image`.
    ValueError
        If an argument is out of range, an axis has no pixel, `image` has NaN under ``nan_policy='raise'``, or `image` is a dask
        array and `sigma` None or the channels neither one nor three, which look at the whole image.

    See Also
    --------
    nl_means : also compares patches; faster on small windows, about 1.2 dB less.
    imrestore.noise.estimate_sigma : the noise of an image.
    imrestore.noise.anscombe : makes Poisson noise one that BM3D can remove.

    Notes
    -----
    For patches of 8x8 pixels, `step` apart, the most similar ones in a window are put together in a group. In the first stage the
    coefficients of its three-dimensional transform (a wavelet or the cosine transform of the patches, Haar's across them) below
    a threshold are set to zero; in the second, groups are found in that first result and go through Wiener's filter, which that
    result tells what to expect. All patches go back to their places and are averaged, weighted by how little noise is left in
    their group [1]_.

    Wiener's filter is that of the original method, gains of the coefficients, in the profile 'fast' and wherever ``share`` is
    less than 1. Otherwise its basis is the group: patches have the covariance that their first estimates have, which is Wiener's
    filter in principal components [4]_, [5]_, done with as many numbers as the group has patches; what no patch of the group is
    made of comes back as far as it has more energy than noise. That gains 0.04 to 0.2 dB, most in textures.

    Colours are matched on their brightness [2]_; noise in one of three channels is looked for in all of them. With `psd` or
    `kernel` each coefficient has the variance that the noise has in it, overlaps of the patches included [3]_, the first stage
    compares patches behind a filter that makes the noise nearly white, and there are two stages with gains of coefficients.

    The time grows with the number of pixels, the window's area and ``1 / step**2``. Computed in float32: images of more than 24
    significant bits lose the rest. Adding a constant to the image adds it to the result. The result has the same bits for any
    number of threads; the largest image takes 16 million samples' worth of working memory. A dask array gives the bits of the
    whole, but where `sigma` is a map of many magnitudes, or zero over whole blocks.

    References
    ----------
    .. [1] K. Dabov, A. Foi, V. Katkovnik and K. Egiazarian, "Image denoising by sparse 3-D transform-domain collaborative
       filtering", IEEE Transactions on Image Processing 16 (8), 2007.
    .. [2] The same, "Color image denoising via sparse 3D collaborative filtering with grouping constraint in
       luminance-chrominance space", ICIP 2007.
    .. [3] Y. Makinen, L. Azzari and A. Foi, "Collaborative filtering of correlated noise: exact transform-domain variance for
       improved shrinkage and patch matching", IEEE Transactions on Image Processing 29, 2020.
    .. [4] L. Zhang, W. Dong, D. Zhang and G. Shi, "Two-stage image denoising by principal component analysis with local pixel
       grouping", Pattern Recognition 43 (4), 2010.
    .. [5] M. Lebrun, A. Buades and J.-M. Morel, "A nonlocal Bayesian image denoising algorithm", SIAM Journal on Imaging
       Sciences 6 (3), 2013.

    Examples
    --------
    >>> import numpy, imrestore
    >>> clean = numpy.hypot(*numpy.mgrid[-32:32, -32:32]) * 4
    >>> noisy = clean + numpy.random.default_rng(0).normal(0, 20, clean.shape)
    >>> restored = imrestore.bm3d(noisy, 20)
    >>> error = abs(restored - clean).mean() / abs(noisy - clean).mean()
    >>> bool(error < 0.3)
    True
    """
    if _dispatch.library(image) == _dispatch.DASK:
        options = {"profile": profile, "psd": psd, "kernel": kernel, "nan_policy": nan_policy}
        given = (axes, channel_axis, out, where)
        if callback is not None:
            raise ValueError("callback is given and image a lazy dask array; it must be None, use dask.diagnostics.ProgressBar")
        result = _lazy(image, sigma, stages, options, given)
        return (result, _lazy(image, sigma, 1, options, given)) if _checks.flag("return_basic", return_basic) else result
    opened = _dispatch.open_image(
        image,
        axes=axes,
        channel_axis=channel_axis,
        out=out,
        where=where,
        nan_policy=nan_policy,
        cval=0.0,
        kinds="iuf",
        joint=True,
        most_axes=2,
    )
    bm3d_checks.two_axes(len(opened.axes), axes)
    bm3d_checks.profile(profile)
    count = bm3d_checks.stages(stages)
    hear = bm3d_checks.callback(callback)
    both = _checks.flag("return_basic", return_basic)
    autocorrelation, level = _correlated(psd, kernel)
    sigmas, sigma_map = noise_levels(opened, sigma, level, channel_axis)
    basic = opened.another() if both else None
    if not any(sigmas) and not opened.masked and is_finite(opened):
        result = opened.run(_copy, hear, basic)
    else:
        with forks.importing:
            from imrestore_kernels.bm3d_driver import Request

            if opened.on_cuda:
                from imrestore_kernels.cuda.bm3d import bm3d as run
            else:
                from imrestore_kernels.cpu.bm3d import bm3d as run
        name = "very_noisy" if isinstance(profile, str) and profile == "normal" and _drowned(opened, sigmas) else profile
        request = Request(sigmas, sigma_map, autocorrelation, bm3d_checks.profile(name), count, hear)
        result = opened.run(run, request, basic)
    return (result, opened.hand_back(basic)) if both else result


def _lazy(image: Any, sigma: Any, stages: Any, options: dict[str, Any], given: tuple[Any, ...]) -> Any:
    """The filter over the blocks of a dask array."""
    axes, channel_axis, out, where = given
    if sigma is None and options["psd"] is None and options["kernel"] is None:
        raise ValueError(
            "sigma is None and image a lazy dask array; it must be a number: estimate it from a part of the image, "
            "imrestore.noise.estimate_sigma(part.compute())"
        )
    if channel_axis is not None and image.shape[_checks.axis_of_channels(channel_axis, image.ndim) or 0] not in (1, 3):
        shape = f"the shape {image.shape} with channel_axis={channel_axis}"
        raise ValueError(f"image is a lazy dask array of {shape}; it must have one channel or three")
    with forks.importing:
        from imrestore_kernels.bm3d_driver import grid_of, reach_of
        from imrestore_kernels.bm3d_profiles import used_stages

        from imrestore._blocks import filter_blocks
    if getattr(sigma, "ndim", 0) > 1:
        if _dispatch.library(sigma) != _dispatch.DASK:
            raise TypeError(f"sigma is a {type(sigma).__name__} and image a dask array; as a map it must be one too")
        channel = _checks.axis_of_channels(channel_axis, image.ndim)
        bm3d_checks.sigma_map_shape(tuple(sigma.shape), tuple(image.shape), channel)
    chosen = bm3d_checks.profile(options["profile"])  # not by name: no block is to decide on another one
    correlated = options["psd"] is not None or options["kernel"] is not None
    used = used_stages(chosen, bm3d_checks.stages(stages), correlated)
    maps = {"sigma": sigma} if _dispatch.library(sigma) == _dispatch.DASK else {}
    options = options | {"profile": chosen, "stages": stages} | ({} if maps else {"sigma": sigma})
    masked = where is not None or options["nan_policy"] == "omit"

    def reach(count: int) -> tuple[tuple[int, int], ...]:
        return ((reach_of(used, masked, correlated),) * 2,) * count

    return filter_blocks(bm3d, image, reach, {}, options, axes, channel_axis, out, where, joint=True, maps=maps, grid=grid_of(used))


def _correlated(psd: Any, kernel: Any) -> tuple[Any, float | None]:
    """Covariances of the noise by distance, and its standard deviation; None for white noise."""
    bm3d_checks.one_spectrum(psd, kernel)
    if psd is None and kernel is None:
        return None, None
    with forks.importing:
        from imrestore_kernels.bm3d_noise import autocorrelation_of_kernel, autocorrelation_of_psd
    if psd is not None:
        given, largest = bm3d_checks.spectrum("psd", psd)
        table, level = autocorrelation_of_psd(given), math.sqrt(largest)
    else:
        given, level = bm3d_checks.spectrum("kernel", kernel)
        table = autocorrelation_of_kernel(given)
    variance = float(table[table.shape[0] // 2, table.shape[1] // 2])
    return table / variance, bm3d_checks.noise_level("kernel" if psd is None else "psd", level * math.sqrt(variance))


def _drowned(opened: _dispatch.Opened, sigmas: tuple[float, ...]) -> bool:
    """Whether the noise is so much stronger than what the images show that another profile serves them better."""
    for picture, mask in opened.pictures():
        step = max(1, math.isqrt(picture.shape[0] * picture.shape[1] // _LOOKED_AT))
        seen = picture[::step, ::step].astype(np.float64)
        for c, sigma in enumerate(sigmas):
            if not sigma:
                return False
            known = seen[..., c] if mask is None else seen[..., c][mask[::step, ::step, c]]
            known = known[abs(known) < np.inf] / sigma
            if known.size == 0 or float(known.var()) > 1 + _DROWNED**-2:
                return False
    return True


def _copy(src: Any, dst: Any, hear: Callable[[float], object] | None, basic: Any, _where: Any, _pad_counts: bool) -> None:
    """What is left of an image without noise."""
    for target in (dst, basic):
        if target is not None:
            target[...] = src
    if hear is not None:
        hear(1.0)
