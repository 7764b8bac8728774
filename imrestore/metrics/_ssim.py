"""Structural similarity, at one scale and at several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from imrestore_kernels import forks

from imrestore import _checks
from imrestore._checks import metrics as metric_checks
from imrestore.filters._gaussian import gaussian_weights
from imrestore.metrics import _pair

#: Samples of both images, at least, whose mean is subtracted before anything is squared.
_SAMPLES = 64


def ssim(
    image: Any,
    reference: Any,
    *,
    data_range: float | None = None,
    sigma: float = 1.5,
    size: int = 11,
    k1: float = 0.01,
    k2: float = 0.03,
    protocol: str | None = None,
    crop: int = 0,
    channel_axis: int | None = None,
    full: bool = False,
    where: Any = None,
    nan_policy: str = "propagate",
) -> Any:
    """Mean structural similarity.

    Parameters
    ----------
    image : array
        Two or three axes beside `channel_axis`; int8 to int64, uint8 to uint64, float16, float32 or
        float64. NumPy arrays (or nested lists) and torch CPU tensors are compared on the CPU, CuPy arrays and torch CUDA
        tensors on their GPU. Any layout; it is not changed.
    reference : array
        What it is compared with: of the same shape, kind and device. Two dtypes are brought to the one that NumPy promotes
        them to.
    data_range : float, optional
        Distance of the smallest and the largest value an image may have, > 0. By default that of the dtype, 255 for uint8 and
        int8, 65535 for uint16 and int16; for floats, larger integers and two dtypes it must be given. Under a protocol it is
        the value that level 255 is written as, in all images but those in uint8: by default 65535 in uint16.
    sigma : float, default: 1.5
        Standard deviation of the window's weights in pixels, > 0.
    size : int, default: 11
        Side of the window in pixels, an odd number from 1 to 101.
    k1 : float, default: 0.01
        Steadies the comparison of means where both are small, in parts of `data_range`, > 0.
    k2 : float, default: 0.03
        Steadies the comparison of variances where both are small, in parts of `data_range`, > 0.
    protocol : {'gray', 'rgb', 'y-sr'}, optional
        The convention of a published table, as in `psnr`; 'rgb' is the mean of the three channels.
    crop : int, default: 0
        Pixels left out at every border; under 'y-sr' the scale of the super-resolution, which must be given.
    channel_axis : int, optional
        Axis of the colours: the result is the mean over them.
    full : bool, default: False
        Also return the similarity of every window.
    where : bool array, optional
        Broadcast to the images' shape: only windows whose middle is True count. What lies around the middle is not asked.
    nan_policy : {'propagate', 'omit', 'raise'}, default: 'propagate'
        A NaN in either image makes the result NaN; or no window counts that it lies in; or it raises.

    Returns
    -------
    float
        From -1 to 1, which is reached by equal images only. NaN if no window counts.
    array
        With ``full=True`` a second result, the similarity of every window: float64 of the images' kind, on their device, each
        axis but that of the channels shorter by ``size - 1 + 2 * crop``; a luma has no channels.

    Raises
    ------
    TypeError
        If an argument is of a type that cannot be meant, an image is complex, boolean, masked, a matrix or a dask array, or
        the two (or `where`) are of different kinds or on different devices.
    ValueError
        If the shapes differ, the window does not fit into the images, `data_range` is missing, an argument is out of range,
        the images do not suit the protocol, or there is a NaN under ``nan_policy='raise'``.

    See Also
    --------
    ms_ssim : from fine to coarse.
    psnr : the protocols.

    Notes
    -----
    Equation 13 of Wang, Bovik, Sheikh and Simoncelli (2004), "Image quality assessment: from error visibility to structural
    similarity", with its window: a Gaussian whose weights add up to one, variances weighted by them (not the unbiased ones of a
    sample), and the mean over the windows that lie wholly inside the images. ``structural_similarity`` of scikit-image gives
    the same with ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False``; its own defaults are another measure.

    All sums are float64 in a fixed order: the same bits for every number of threads. A few rows of sums are all the memory it
    takes, but for `full`, `where` and ``nan_policy='omit'``, which keep the similarity of all windows, for channels, which
    are copied apart, two dtypes, and images that do not lie in memory row after row. The time grows with `size`.

    Examples
    --------
    >>> import numpy, imrestore
    >>> reference = (numpy.indices((32, 32)).sum(axis=0) % 16 * 16).astype(numpy.uint8)
    >>> imrestore.metrics.ssim(reference, reference)
    1.0
    >>> image = imrestore.gaussian(reference, 1)
    >>> round(imrestore.metrics.ssim(image, reference), 4)
    0.8181
    """
    measure = _Measure(_window(*metric_checks.ssim_window(size, sigma)), *metric_checks.ssim_constants(k1, k2))
    _checks.flag("full", full)
    with _pair.opened(
        image,
        reference,
        data_range=data_range,
        protocol=protocol,
        crop=crop,
        channel_axis=channel_axis,
        where=where,
        nan_policy=nan_policy,
    ) as pair:
        metric_checks.ssim_shape(pair.lengths, measure.window.size, 1)
        first, second = pair.planes(pair.image), pair.planes(pair.reference)
        means, similarity = _similarity(pair, first, second, measure, True, full or pair.where is not None)
        if pair.where is not None:
            means = [_mean_where(pair, similarity, measure.window.size // 2, nan_policy == "omit")]
        value = math.fsum(means) / len(means)
        return (value, pair.restored(similarity)) if full else value


def ms_ssim(
    image: Any,
    reference: Any,
    *,
    data_range: float | None = None,
    weights: Sequence[float] = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333),
    sigma: float = 1.5,
    size: int = 11,
    k1: float = 0.01,
    k2: float = 0.03,
    protocol: str | None = None,
    crop: int = 0,
    channel_axis: int | None = None,
) -> float:
    """Structural similarity at several scales.

    Parameters
    ----------
    image : array
        Two or three axes beside `channel_axis`, and the dtypes and kinds of `ssim`. With five scales and a window of 11 pixels
        each axis needs at least 161, after `crop`.
    reference : array
        What it is compared with: of the same shape, kind and device.
    data_range : float, optional
        Distance of the smallest and the largest value an image may have, > 0; when it may be left out and what it means under a
        protocol is told in `ssim`.
    weights : sequence of float, default: (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
        Exponent of each scale, from fine to coarse, >= 0 and not all 0; as many scales as weights, from 1 to 16.
    sigma : float, default: 1.5
        Standard deviation of the window's weights in pixels, > 0.
    size : int, default: 11
        Side of the window in pixels, an odd number from 1 to 101, at every scale.
    k1 : float, default: 0.01
        Steadies the comparison of means where both are small, in parts of `data_range`, > 0.
    k2 : float, default: 0.03
        Steadies the comparison of variances where both are small, in parts of `data_range`, > 0.
    protocol : {'gray', 'rgb', 'y-sr'}, optional
        The convention of a published table, as in `psnr`; 'rgb' is the mean of the three channels.
    crop : int, default: 0
        Pixels left out at every border; under 'y-sr' the scale of the super-resolution, which must be given.
    channel_axis : int, optional
        Axis of the colours: the result is the mean over them.

    Returns
    -------
    float
        From 0 to 1, which is reached by equal images only; NaN if there is a NaN in either image.

    Raises
    ------
    TypeError
        If an argument is of a type that cannot be meant, an image is complex, boolean, masked, a matrix or a dask array, or
        the two are of different kinds or on different devices.
    ValueError
        If the shapes differ, the images are too small, `data_range` is missing, an argument is out of range, or the images do
        not suit the protocol.

    See Also
    --------
    ssim : at one scale.

    Notes
    -----
    Wang, Simoncelli and Bovik (2003), "Multiscale structural similarity for image quality assessment": the product over the
    scales of the mean of contrast times structure, at the coarsest one of the whole similarity, each to the power of its
    weight. From scale to scale two neighbours along every axis are replaced by their mean; the last pixel of an odd axis stays
    as it is. A mean below zero, which no real power is defined for, counts as zero.

    Examples
    --------
    >>> import numpy, imrestore
    >>> reference = numpy.random.default_rng(0).random((161, 161))
    >>> imrestore.metrics.ms_ssim(reference, reference, data_range=1)
    1.0
    """
    measure = _Measure(_window(*metric_checks.ssim_window(size, sigma)), *metric_checks.ssim_constants(k1, k2))
    exponents = metric_checks.ssim_weights(weights)
    with _pair.opened(image, reference, data_range=data_range, protocol=protocol, crop=crop, channel_axis=channel_axis) as pair:
        metric_checks.ssim_shape(pair.lengths, measure.window.size, len(exponents))
        first, second = pair.planes(pair.image), pair.planes(pair.reference)
        products = [1.0] * len(first)
        for scale, exponent in enumerate(exponents, start=1):
            coarsest = scale == len(exponents)
            means, _ = _similarity(pair, first, second, measure, coarsest, False)
            products = [p * (m if math.isnan(m) else max(m, 0.0) ** exponent) for p, m in zip(products, means, strict=True)]
            if not coarsest:
                first, second = (_halved(pair.xp, planes, len(pair.lengths)) for planes in (first, second))
        return math.fsum(products) / len(products)


class _Measure(NamedTuple):
    """The window along one axis and the constants C1 and C2 for a range of one."""

    window: np.ndarray[Any, np.dtype[np.float64]]
    c1: float
    c2: float


def _window(size: int, sigma: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    return gaussian_weights(sigma, size // 2)


def _similarity(
    pair: _pair.Pair, first: Any, second: Any, measure: _Measure, luminance: bool, keeps: bool
) -> tuple[list[float], Any]:
    """Mean similarity of each of the planes or volumes and, if it ``keeps`` it, the similarity of every window."""
    with forks.importing:
        if pair.device == "cpu":
            from imrestore_kernels.cpu.metrics import ssim as kernel
        else:
            from imrestore_kernels.cuda.metrics import ssim as kernel
    xp = pair.xp
    deep = np.ones(1) if len(pair.lengths) == 2 else measure.window
    windows = (deep, measure.window, measure.window)
    shape = (len(first), *(n - w.size + 1 for n, w in zip(first.shape[1:], windows, strict=True)))
    similarity = xp.empty(shape, np.float64) if keeps else None
    sums = xp.empty(len(first), np.float64)
    scale = 1.0 / pair.data_range
    kernel(first, second, sums, windows, _pedestal(first, second), scale, measure.c1, measure.c2, luminance, similarity)
    count = math.prod(shape[1:])
    return [total / count for total in sums.tolist()], similarity


def _pedestal(first: Any, second: Any) -> float:
    """About the level of both images: a variance is a difference of squares, and loses nothing where those are small."""
    if first.dtype.kind != "f" and first.dtype.itemsize <= 2:
        return 0.0  # the squares are far below 2**53
    step = max(1, first.size // _SAMPLES)
    with np.errstate(all="ignore"):
        one, other = (array.reshape(-1)[::step].astype(np.float64) for array in (first, second))
        samples = (one + other) / 2
    finite = [value for value in samples.tolist() if math.isfinite(value)]
    return math.fsum(finite) / len(finite) if finite else 0.0


def _mean_where(pair: _pair.Pair, similarity: Any, half: int, omits: bool) -> float:
    """Mean over the windows whose middle counts, all channels together."""
    middle = tuple(slice(None) if axis == pair.channel else slice(half, n - half) for axis, n in enumerate(pair.where.shape))
    counts = pair.planes(pair.where[middle])
    if omits:
        counts = counts & ~pair.xp.isnan(similarity)
    chosen = similarity[counts]
    return float(chosen.mean()) if chosen.size else math.nan


def _halved(xp: Any, planes: Any, axes: int) -> Any:
    """Means of two neighbours along the last ``axes`` axes, in float64; the last pixel of an odd axis is its own neighbour."""
    for axis in range(4 - axes, 4):
        even, odd, last = ((slice(None),) * axis + (s,) for s in (slice(0, None, 2), slice(1, None, 2), slice(-1, None)))
        neighbours = planes[odd] if planes.shape[axis] % 2 == 0 else xp.concatenate([planes[odd], planes[last]], axis=axis)
        with np.errstate(all="ignore"):
            planes = xp.add(planes[even], neighbours, dtype=np.float64) * 0.5
    return planes
