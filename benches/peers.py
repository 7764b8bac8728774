"""The same filter, metric or estimate in other libraries.

A peer whose result is not ours to the last bit stays in the table and is named there: OpenCV's 8-bit Gaussian works in
fixed point, scipy truncates integers after every axis, scikit-image's rank filters see no border.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from benches.timing import Contender

#: Rows and columns of the excerpt that stands in for the picture where a peer takes long.
EXCERPT = 256

OPENCV, SCIPY, SCIKIT_IMAGE, NUMPY = "OpenCV", "scipy", "scikit-image", "NumPy"
BM3D, OPENCV_NL_MEANS, WAVELETS = "bm3d", "OpenCV nl_means", "scikit-image wavelets"
#: OpenCV's median works on any odd size in 8 bits and on these in 16 bits and float.
OPENCV_WIDE_MEDIANS = (3, 5)

#: From a picture into an array, or into one of its own making.
Filter = Callable[[NDArray[Any], NDArray[Any] | None], object]
#: A number from pictures it knows.
Number = Callable[[], Any]


def contender(name: str, run: Filter, image: NDArray[Any], into_out: bool = True) -> Contender:
    part = excerpt(image)
    out, part_out = (np.empty_like(image), np.empty_like(part)) if into_out else (None, None)
    if part.size == image.size:
        return Contender(name, lambda: run(image, out))
    return Contender(name, lambda: run(image, out), lambda: run(part, part_out), part.size / image.size)


def excerpt(image: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(image[:EXCERPT, :EXCERPT])


def mean(dtype: str, size: int) -> dict[str, Filter]:
    import cv2
    from scipy import ndimage

    return {
        OPENCV: lambda src, dst: cv2.blur(src, (size, size), dst, borderType=cv2.BORDER_REFLECT),
        SCIPY: lambda src, dst: ndimage.uniform_filter(src, size, output=dst, mode="reflect"),
        **({SCIKIT_IMAGE: rank_filter("mean", size)} if dtype == "uint8" else {}),
    }


def gaussian(dtype: str, sigma: float, truncate: float) -> dict[str, Filter]:
    import cv2
    from scipy import ndimage
    from skimage import filters

    taps = 2 * int(truncate * sigma + 0.5) + 1
    found: dict[str, Filter] = {
        OPENCV: lambda src, dst: cv2.GaussianBlur(src, (taps, taps), sigma, dst, borderType=cv2.BORDER_REFLECT),
        SCIPY: lambda src, dst: ndimage.gaussian_filter(src, sigma, output=dst, mode="reflect", truncate=truncate),
    }
    if dtype == "float32":
        found[SCIKIT_IMAGE] = lambda src, dst: filters.gaussian(
            src, sigma, mode="reflect", truncate=truncate, preserve_range=True, out=dst
        )
    return found


def median(dtype: str, size: int) -> dict[str, Filter]:
    import cv2
    from scipy import ndimage

    found: dict[str, Filter] = {SCIPY: lambda src, dst: ndimage.median_filter(src, size, output=dst, mode="nearest")}
    if dtype == "uint8" or size in OPENCV_WIDE_MEDIANS:
        found[OPENCV] = lambda src, dst: cv2.medianBlur(src, size, dst)
    if dtype != "float32":
        found[SCIKIT_IMAGE] = rank_filter("median", size)
    return found


def rank_filter(name: str, size: int) -> Filter:
    from skimage.filters import rank

    footprint = np.ones((size, size), np.uint8)
    function = getattr(rank, name)

    def run(src: NDArray[Any], dst: NDArray[Any] | None) -> object:
        with warnings.catch_warnings():  # about the number of grey levels in 16 bits
            warnings.simplefilter("ignore")
            return function(src, footprint, out=dst)

    return run


def nl_means(dtype: str, sigma: float, h: float, patch: int, distance: int) -> dict[str, Filter]:
    """OpenCV has bytes only, and no sigma; scikit-image's patches are a sample smaller each way."""
    import cv2
    from skimage.restoration import denoise_nl_means

    if dtype == "uint8":
        return {OPENCV: lambda src, dst: cv2.fastNlMeansDenoising(src, dst, 1.4 * sigma, patch, 2 * distance + 1)}
    if dtype != "float32":
        return {}
    return {
        SCIKIT_IMAGE: lambda src, dst: denoise_nl_means(
            src, patch_size=patch, patch_distance=distance, h=h, sigma=sigma, fast_mode=True, preserve_range=True
        )
    }


def bilateral(dtype: str, sigma_color: float, sigma_space: float, radius: int) -> dict[str, Filter]:
    """OpenCV's window is a disk (for radius 4 it has 49 samples, the square 81), and it looks exponentials up in a table."""
    import cv2
    from skimage.restoration import denoise_bilateral

    if dtype == "uint16":
        return {}
    found: dict[str, Filter] = {
        OPENCV: lambda src, dst: cv2.bilateralFilter(
            src, 2 * radius + 1, sigma_color, sigma_space, dst, borderType=cv2.BORDER_REFLECT
        )
    }
    if dtype == "float32":
        found[SCIKIT_IMAGE] = lambda src, dst: denoise_bilateral(
            src, 2 * radius + 1, sigma_color=sigma_color, sigma_spatial=sigma_space, mode="symmetric"
        )
    return found


def bm3d(sigma_or_psd: Callable[[tuple[int, ...]], Any], profile: str, stages: int, threads: int) -> dict[str, Filter]:
    """The authors' package, of whose licence pyproject.toml speaks; no peer where it is not installed.

    From a shape it is told sigma, or its power spectral density: the mean of ``abs(fft2(noise))**2``. It aborts when several
    threads call it, so only the main one does. For a density it calls ``numpy.trapz``, which NumPy 2.4 has no more.
    """
    try:
        import bm3d as package
    except ImportError:
        return {}
    names = {"normal": "BM3DProfile", "fast": "BM3DProfileLC", "high": "BM3DProfileHigh"}
    parameters = getattr(package, names[profile])()
    parameters.num_threads = threads

    def run(src: NDArray[Any], _: NDArray[Any] | None) -> object:
        noise = sigma_or_psd(src.shape)
        if src.ndim == 3:
            return package.bm3d_rgb(src, noise, parameters)
        stage = package.BM3DStages.HARD_THRESHOLDING if stages == 1 else package.BM3DStages.ALL_STAGES
        with mock.patch.object(np, "trapz", np.trapezoid, create=True):
            return package.bm3d(src, noise, parameters, stage)

    return {BM3D: run}


def wavelets(sigma: float) -> dict[str, Filter]:
    """Thresholds of BayesShrink, in one thread; a third axis holds colours. Made for values up to 1."""
    from skimage.restoration import denoise_wavelet

    def run(src: NDArray[Any], _: NDArray[Any] | None) -> object:
        axis = -1 if src.ndim == 3 else None
        return denoise_wavelet(src, sigma, method="BayesShrink", convert2ycbcr=axis is not None, channel_axis=axis)

    return {WAVELETS: run}


def guided(radius: int, eps: float, guide: NDArray[Any] | None) -> dict[str, Filter]:
    import cv2

    return {OPENCV: lambda src, dst: cv2.ximgproc.guidedFilter(src if guide is None else guide, src, radius, eps, dst)}


def psnr(image: NDArray[Any], reference: NDArray[Any], white: float) -> dict[str, Number]:
    import cv2
    from skimage.metrics import peak_signal_noise_ratio

    return {
        SCIKIT_IMAGE: lambda: peak_signal_noise_ratio(reference, image, data_range=white),
        OPENCV: lambda: cv2.PSNR(image, reference, R=white),
    }


def ssim(image: NDArray[Any], reference: NDArray[Any], white: float) -> dict[str, Number]:
    """A third axis holds channels. OpenCV has the constants of 8 bits only, so its floats have 255 levels, and it counts windows
    across the border, too."""
    import cv2
    from skimage.metrics import structural_similarity

    axis = -1 if image.ndim == 3 else None
    levels = (image, reference) if white == 255 else (image * np.float32(255 / white), reference * np.float32(255 / white))
    channels = 1 if axis is None else image.shape[axis]
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    compute = cv2.quality.QualitySSIM_compute  # type: ignore[attr-defined]  # its stubs leave it out
    return {
        SCIKIT_IMAGE: lambda: structural_similarity(reference, image, data_range=white, channel_axis=axis, **window),
        OPENCV: lambda: float(np.mean(compute(*levels)[0][:channels])),
    }


def estimate_sigma(image: NDArray[Any]) -> dict[str, Number]:
    """By wavelets, with those of PyWavelets."""
    from skimage import restoration

    return {SCIKIT_IMAGE: lambda: restoration.estimate_sigma(image)}


def anscombe(gain: float, read_noise: float, offset: float) -> dict[str, Filter]:
    """The formula as one writes it down."""
    shift = 3 / 8 + (read_noise / gain) ** 2

    def formula(src: NDArray[Any], dst: NDArray[Any] | None) -> object:
        return np.multiply(2, np.sqrt(np.maximum((src - offset) / gain + shift, 0)), out=dst)

    return {NUMPY: formula}
