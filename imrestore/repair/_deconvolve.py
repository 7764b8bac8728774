"""Deconvolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from imrestore_kernels import forks

from imrestore import _dispatch
from imrestore._checks import bm3d as bm3d_checks
from imrestore._noise_levels import noise_levels


def deconvolve(
    image: Any,
    psf: Any,
    sigma: Any = None,
    *,
    method: str = "bm3d",
    profile: Any = "normal",
    mode: str = "reflect",
    axes: int | Sequence[int] | None = None,
    channel_axis: int | None = None,
    out: Any = None,
    callback: Callable[[float], object] | None = None,
) -> Any:
    """Remove a known blur, and the noise that doing so makes stronger.

    Parameters
    ----------
    image : array
        2 filtered axes and any number of others; int8 to int64, uint8 to uint64, float16, float32 or float64. A NumPy array
        (or nested lists) and a torch CPU tensor run on the CPU, a CuPy array and a torch CUDA tensor on their GPU. Any layout and
        size; it is not changed.
    psf : array
        The image of a point, two axes, its middle at ``size // 2``: `image` is the wanted one convolved with it, and noise.
        It should add up to 1; the result is the image before whatever it adds up to. NumPy array.
    sigma : float or sequence of float, optional
        Standard deviation of the white noise in `image`, in its units, >= 0: one number, or one for each channel. By default
        `imrestore.noise.estimate_sigma` estimates it, best where there is more noise than the blur leaves of the picture's grain.
    method : str, default: 'bm3d'
        'bm3d': inverse filters whose coloured noise BM3D removes.
    profile : str or BM3DProfile, default: 'normal'
        As in `imrestore.bm3d`.
    mode : {'reflect', 'wrap'}, default: 'reflect'
        What the blur found beyond the image: its mirror image, or its other end.
    axes : int or sequence of int, optional
        The two axes of a picture; by default all but `channel_axis`. The others are a batch.
    channel_axis : int, optional
        Axis of the colours, which have one blur and are matched together.
    out : array, optional
        Where the result goes: the image's kind, device, shape and dtype. It may overlap `image`.
    callback : callable, optional
        Called with the part that is done, from above 0 to 1, in the calling thread; what it raises ends the call.

    Returns
    -------
    array
        As `image`: type, device, shape and dtype. Integers are rounded half to even and saturate.

    Raises
    ------
    TypeError
        If an argument is of a type that cannot be meant, `image` is complex, boolean, masked, a matrix or a dask array, or `out`
        is of another kind or on another device than `image`.
    ValueError
        If an argument is out of range, an axis has no pixel, or `psf` adds up to nothing.

    See Also
    --------
    imrestore.bm3d : removes noise of which the spectrum is known.

    Notes
    -----
    A regularised inverse filter leaves noise of a known spectrum, which BM3D's first stage removes; Wiener's inverse filter for
    that result leaves less, which the second stage removes [1]_, each with the variances of the coloured noise [2]_. On the 256x256
    cameraman, blurred by 1 / (1 + x**2 + y**2) over 15x15 pixels with noise of variance 2 and 8, the gain is 8.1 and 6.4 dB, by a
    box of 9x9 with 40 dB 8.3 dB, all on a torus (published: 8.2, 6.4 and 8.3 [1]_).

    Takes Fourier transforms of the image (with 'reflect' of twice its height and width) in double precision, and the time of
    `imrestore.bm3d` with `psd`. A NaN or infinity makes the whole picture NaN.

    References
    ----------
    .. [1] K. Dabov, A. Foi, V. Katkovnik and K. Egiazarian, "Image restoration by sparse 3D transform-domain collaborative
       filtering", SPIE Electronic Imaging 2008.
    .. [2] Y. Makinen, L. Azzari and A. Foi, "Collaborative filtering of correlated noise: exact transform-domain variance for
       improved shrinkage and patch matching", IEEE Transactions on Image Processing 29, 2020.

    Examples
    --------
    >>> import numpy, imrestore, imrestore.repair
    >>> clean = numpy.zeros((48, 48))
    >>> clean[12:36, 12:36] = 100
    >>> psf = numpy.full((5, 5), 1 / 25)
    >>> blurred = imrestore.mean(clean, 5) + numpy.random.default_rng(0).normal(0, 1, clean.shape)
    >>> sharp = imrestore.repair.deconvolve(blurred, psf, 1)
    >>> bool(((sharp - clean) ** 2).mean() < ((blurred - clean) ** 2).mean() / 5)
    True
    """
    if _dispatch.library(image) == _dispatch.DASK:
        raise TypeError("image is a lazy dask array and its spectrum one of the whole image; pass image.compute()")
    opened = _dispatch.open_image(
        image,
        axes=axes,
        channel_axis=channel_axis,
        out=out,
        where=None,
        nan_policy="propagate",
        cval=0.0,
        kinds="iuf",
        joint=True,
        most_axes=2,
    )
    bm3d_checks.two_axes(len(opened.axes), axes)
    kernel = bm3d_checks.point_spread(psf)
    bm3d_checks.deconvolution_method(method)
    chosen = bm3d_checks.profile(profile)
    periodic = bm3d_checks.deconvolution_mode(mode) == "wrap"
    hear = bm3d_checks.callback(callback)
    if getattr(sigma, "ndim", 0) > 1:
        raise ValueError(f"sigma has {sigma.ndim} axes; it must be None, a number or one for each channel")
    sigmas, _ = noise_levels(opened, sigma, None, channel_axis)
    with forks.importing:
        if opened.on_cuda:
            from imrestore_kernels.cuda.bm3d import deconvolve as run
        else:
            from imrestore_kernels.cpu.bm3d import deconvolve as run
    return opened.run(run, kernel, sigmas, chosen, periodic, hear)
