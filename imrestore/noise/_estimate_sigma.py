"""Standard deviation of white noise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, overload

import numpy as np

from imrestore import _checks
from imrestore._checks import noise as noise_checks
from imrestore._samples import Measured, lost_to_nan, open_measured
from imrestore.noise import _patches

#: Patches and wavelet coefficients that are looked at, at most.
_PATCHES, _COEFFICIENTS = 24576, 65536
#: Side of a patch in images of one, two and three axes.
_LONGEST = {1: 16, 2: 8, 3: 4}
#: One patch in so many is taken, the smoothest ones.
_SHARE = 20
#: Median of the absolute value of a standard normal variable.
_MEDIAN_OF_NORMAL = 0.6744897501960817
#: High-pass filters of one level: Daubechies' wavelet of four taps, and Haar's for axes too short for it.
_ROOT = math.sqrt(3)
_DB2 = tuple(tap / (4 * math.sqrt(2)) for tap in (1 - _ROOT, _ROOT - 3, 3 + _ROOT, -1 - _ROOT))
_HAAR = (math.sqrt(0.5), -math.sqrt(0.5))
METHODS = ("pca", "wavelet")


@overload
def estimate_sigma(
    image: Any, *, method: str = "pca", channel_axis: None = None, where: Any = None, nan_policy: str = "propagate"
) -> float: ...
@overload
def estimate_sigma(
    image: Any, *, method: str = "pca", channel_axis: int, where: Any = None, nan_policy: str = "propagate"
) -> tuple[float, ...]: ...


def estimate_sigma(
    image: Any,
    *,
    method: str = "pca",
    channel_axis: int | None = None,
    where: Any = None,
    nan_policy: str = "propagate",
) -> float | tuple[float, ...]:
    """Estimate the standard deviation of additive white Gaussian noise.

    Parameters
    ----------
    image : array
        One to three axes beside `channel_axis`; int8 to int64, uint8 to uint64, float16, float32 or float64. A NumPy array
        (or nested lists) and a torch CPU tensor are read on the CPU, a CuPy array and a torch CUDA tensor on their GPU; a
        dask array is refused. Any layout; it is not changed.
    method : str, default: 'pca'
        'pca' takes the smoothest patches of the image and of the eigenvalues of their covariance those that are equal:
        accurate on textures. 'wavelet' is the median absolute diagonal detail: faster, and taken in by texture.
    channel_axis : int, optional
        Axis of the colours, which are measured one by one.
    where : bool array, optional
        Broadcast to the image's shape: True takes part. Patches that hold a sample left out do not count.
    nan_policy : str, default: 'propagate'
        With 'propagate' a NaN that takes part makes the estimate NaN; 'omit' leaves it out; 'raise' raises.

    Returns
    -------
    float or tuple of float
        In the image's own units; with `channel_axis` a tuple, one for each channel. 0.0 for an image of one value, NaN if
        no patch of two samples a side takes part in full (for 'wavelet' of four, where the image has as many), or an
        infinite sample takes part.

    Raises
    ------
    TypeError
        If an argument is of a type that cannot be meant, `image` is complex, boolean, masked, a matrix or a dask array, or
        `where` is of another kind or on another device than `image`.
    ValueError
        If an argument is out of range, an axis has no pixel, `image` has more than three axes beside the channels, or
        NaN under ``nan_policy='raise'``.

    See Also
    --------
    estimate_poisson_gaussian : noise that grows with the signal.

    Notes
    -----
    'pca' follows Chen, Zhu and Heng (ICCV 2015): of the eigenvalues of the covariance of patches (8x8 samples; 16 in one
    dimension, 4x4x4 in three) the largest are dropped until mean and median of the rest agree. To that it adds a choice of
    patches, as Pyatykh, Hesser and Zheng (2013) did, but one that does not bias the result: the twentieth part of the
    patches with the least energy in the coarser DCT frequencies, of which only the finer ones are measured. For white
    Gaussian noise the two are independent. Where there are too few patches (a 2-D image below 31x31), they are made smaller,
    down to 2x2. 'wavelet' is the estimator of Donoho and Johnstone (1994): median / 0.6745 of one level of Daubechies'
    four-tap wavelet (Haar's along axes of two or three samples).

    Patches of one value, as in padded parts, do not count. Where more than one patch in a hundred touches the image's lowest or
    highest value, it is taken for a level the sensor clips at, and those patches are left out by 'pca' if enough remain.
    Noise that is not white is underestimated, and noise below half a step of an integer image cannot be told from the
    rounding. All of the image is read to find NaN, but not more than 24576 patches, or 65536 wavelet coefficients, spread
    evenly over it, are computed with: the time hardly grows with the image, and the memory not at all.

    Mean absolute error in percent of sigma, white noise added to photographs (all of Set12 and BSD68, 24 of Train400, 24
    of CBSD432 in grey); the photographs' own grain, 0.5 to 2, counts as error:

    =======  ==========  ====  ====  ====  ====  ====  ====  ====  ====
    method   sigma          1     2     5    10    15    25    50    75
    =======  ==========  ====  ====  ====  ====  ====  ====  ====  ====
    pca      Set12       66.7  22.4   5.9   2.5   1.6   1.0   0.8   0.6
    wavelet  Set12        187  80.5  25.4  10.4   6.0   2.8   1.1   1.0
    pca      BSD68       56.3  20.9   5.4   2.2   1.4   0.9   0.6   0.5
    wavelet  BSD68        246   115  39.4  15.8   8.7   3.8   1.2   0.7
    pca      Train400    44.7  16.8   4.7   2.2   1.8   1.7   1.3   1.0
    wavelet  Train400     211  97.9  34.3  14.5   8.1   3.8   1.8   1.5
    pca      CBSD432     92.1  36.6   9.3   3.3   2.0   1.2   0.8   0.6
    wavelet  CBSD432      257   120  40.8  16.0   8.7   3.7   1.3   0.8
    =======  ==========  ====  ====  ====  ====  ====  ====  ====  ====

    Examples
    --------
    >>> import numpy
    >>> from imrestore.noise import estimate_sigma
    >>> texture = numpy.sin(numpy.arange(256) / 3) * 50
    >>> image = texture + texture[:, None] + numpy.random.default_rng(0).normal(0, 5, (256, 256))
    >>> round(estimate_sigma(image), 1), round(estimate_sigma(image, method="wavelet"), 1)
    (5.0, 5.1)
    """
    opened = open_measured(image, where=where)
    axis = noise_checks.measured_axes(channel_axis, opened.array.ndim)
    measure = {"pca": _by_eigenvalues, "wavelet": _by_wavelet}[noise_checks.method(method, METHODS)]
    policy = _checks.nan_policy(nan_policy)
    with opened.current(), np.errstate(all="ignore"):
        channels = 1 if axis is None else opened.array.shape[axis]
        sigmas = tuple(_of_channel(opened.channel(axis, index), measure, policy) for index in range(channels))
    return sigmas[0] if axis is None else sigmas


def _of_channel(image: Measured, measure: Callable[[Measured, bool], float], policy: str) -> float:
    if lost_to_nan(image, policy):
        return math.nan
    return measure(_patches.without_short_axes(image), policy == "omit" and image.array.dtype.kind == "f")


def _by_eigenvalues(image: Measured, omit_nan: bool) -> float:
    patches = _patches.gather_enough(image, _LONGEST[image.array.ndim], _PATCHES, 1, omit_nan=omit_nan)
    if not patches.number:
        return _of_nothing(patches)
    patches, _, _ = _patches.without_clipped(image.xp, patches, _patches.enough(patches.sides))
    variance, _, _ = _patches.noise_variance(image.xp, patches, _SHARE)
    return math.ldexp(math.sqrt(variance), patches.exponent)


def _by_wavelet(image: Measured, omit_nan: bool) -> float:
    xp, shape = image.xp, image.array.shape
    filters = [_DB2 if n >= len(_DB2) else _HAAR if n > 1 else (1.0,) for n in shape]
    sides = tuple(map(len, filters))
    patches = _patches.gather(image, sides, _patches.spread(shape, sides, _COEFFICIENTS, first=2), omit_nan=omit_nan)
    if not patches.number:
        return _of_nothing(patches)
    diagonal: Any = np.ones(1)
    for taps in filters:
        diagonal = np.kron(diagonal, taps)
    detail = sum(tap * row for tap, row in zip(diagonal.tolist(), patches.values, strict=True))
    return math.ldexp(float(xp.median(xp.abs(detail))) / _MEDIAN_OF_NORMAL, patches.exponent)


def _of_nothing(patches: _patches.Patches) -> float:
    """What is said of an image without patches that vary: nothing (nan) if samples left out are the reason, else 0."""
    return 0.0 if patches.complete else math.nan
