"""Metrics against their definitions and scikit-image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from imrestore.metrics import ms_ssim, mse, psnr, ssim
from tests.cases import FLOATS, INTEGERS
from tests.cases.metrics import CLOSE, pair
from tests.oracles import metrics as oracle


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_are_summed_exactly(dtype: str) -> None:
    limits, rng = np.iinfo(dtype), np.random.default_rng(1)
    for n in (1, 7, 63, 64, 65, 1000, 66_000):  # below, at and beyond a block of vectors; two chunks
        a, b = (rng.integers(limits.min, limits.max, n, dtype, endpoint=True) for _ in range(2))
        a[: n // 2], b[: n // 2] = limits.min, limits.max  # the largest sum there is
        assert mse(a, b) == mse(b, a) == oracle.mse(a, b)


@pytest.mark.parametrize("dtype", FLOATS)
def test_floats_are_summed_in_float64(dtype: str) -> None:
    rng = np.random.default_rng(2)
    for n in (1, 31, 32, 33, 1000, 66_000):
        a, b = (rng.normal(0, 10, n).astype(dtype) for _ in range(2))
        assert mse(a, b) == pytest.approx(oracle.mse(a, b), rel=1e-14)


def test_large_floats_do_not_overflow() -> None:
    a = np.full((9, 9), 3e38, np.float32)
    assert mse(a, -a) == pytest.approx(oracle.mse(a, -a), rel=1e-14)
    assert psnr(a, -a, data_range=6e38) == pytest.approx(0, abs=1e-7)  # 3e38 is not a float32
    wide = np.full((9, 9), 1e300)
    assert psnr(wide, wide * 0, data_range=1e300) == -math.inf  # its error is beyond float64, and that is said


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS])
@pytest.mark.parametrize("shape", [(1,), (1, 1), (40, 51), (3, 20, 21), (5, 4, 3, 2, 2)])
def test_psnr_is_what_it_is_defined_as(dtype: str, shape: tuple[int, ...]) -> None:
    a, b = pair(shape, dtype)
    for data_range in (1, 100.0, np.float32(255)):
        assert psnr(a, b, data_range=data_range) == pytest.approx(oracle.psnr(a, b, float(data_range)), rel=1e-13)


@pytest.mark.parametrize(("dtype", "data_range"), [("uint8", 255), ("int8", 255), ("uint16", 65535), ("int16", 65535)])
def test_the_range_of_small_integers_is_their_dtypes(dtype: str, data_range: int) -> None:
    a, b = pair((40, 50), dtype)
    assert psnr(a, b) == psnr(a, b, data_range=data_range) == pytest.approx(peak_signal_noise_ratio(b, a, data_range=data_range))
    assert ssim(a, b) == ssim(a, b, data_range=data_range)


def test_equal_images() -> None:
    for dtype in ("uint8", "int32", "float16", "float32", "float64"):
        image = pair((170, 180), dtype)[0]
        assert mse(image, image) == 0
        assert psnr(image, image, data_range=100) == math.inf
        assert ssim(image, image.copy(), data_range=100) == 1  # exactly
        assert ms_ssim(image, image, data_range=100) == 1


WIDTHS = [11, 12, 13, 18, 41, 42, 43, 256 + 10, 256 + 11, 256 + 17, 256 + 18, 256 + 19, 2 * 256 + 13]  # tiles of 256 windows


@pytest.mark.parametrize("width", WIDTHS)
def test_ssim_of_every_width(width: int) -> None:
    a, b = pair((13, width), "float64")
    value, windows = ssim(a, b, data_range=100, full=True)
    np.testing.assert_allclose(windows, oracle.similarity(a, b, 100).astype(float), rtol=0, atol=CLOSE)
    assert value == pytest.approx(windows.mean(), abs=CLOSE)
    assert value == ssim(a, b, data_range=100)


@pytest.mark.parametrize("height", [11, 12, 13, 14, 15, 16, 17, 40])
def test_ssim_of_every_height(height: int) -> None:
    a, b = pair((height, 21), "uint8")
    value, windows = ssim(a, b, full=True)
    np.testing.assert_allclose(windows, oracle.similarity(a, b, 255).astype(float), rtol=0, atol=CLOSE)
    assert value == pytest.approx(windows.mean(), abs=CLOSE)


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS])
def test_ssim_of_every_dtype(dtype: str) -> None:
    a, b = pair((25, 30), dtype)
    assert ssim(a, b, data_range=100) == pytest.approx(oracle.similarity(a, b, 100).mean(), abs=CLOSE)


@pytest.mark.parametrize(
    "options",
    [
        {"size": 1}, {"size": 3}, {"size": 5}, {"size": 7}, {"size": 9}, {"size": 23}, {"sigma": 0.4}, {"sigma": 30},
        {"sigma": 1e-300}, {"size": 7, "sigma": 2.5}, {"k1": 0.3}, {"k2": 0.001}, {"k1": 1e-6, "k2": 0.2},
    ],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(23, 26), (25, 24, 23)])
def test_ssim_with_every_option(shape: tuple[int, ...], options: dict[str, float]) -> None:
    if len(shape) == 3 and options.get("size", 11) > 7:
        shape = (23, 23, 24)  # windows of 12167 voxels
    a, b = pair(shape, "float32")
    value, windows = ssim(a, b, data_range=100, full=True, **options)
    if options.get("sigma") == 1e-300:  # all of the weight is in the middle
        options = {"sigma": 1, "size": 1}
        a, b = (array[(slice(5, -5),) * len(shape)] for array in (a, b))
    expected = oracle.similarity(a, b, 100, **options)
    # The smaller the constants, the larger the rounding of a variance next to them.
    tolerance = CLOSE if options.get("k2", 1) > 0.01 else 1e-9
    np.testing.assert_allclose(windows, expected.astype(float), rtol=0, atol=tolerance)
    assert value == pytest.approx(float(expected.mean()), abs=tolerance)


@pytest.mark.parametrize(("shape", "axis"), [((40, 50), None), ((33, 34, 3), -1), ((2, 33, 34), 0), ((31, 4, 32), 1)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float64"])
def test_ssim_is_scikit_images_with_the_options_of_the_paper(dtype: str, shape: tuple[int, ...], axis: int | None) -> None:
    a, b = pair(shape, dtype)
    value, windows = ssim(a, b, data_range=255, channel_axis=axis, full=True)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    theirs, everywhere = structural_similarity(a, b, channel_axis=axis, full=True, **options)
    assert value == pytest.approx(theirs, abs=1e-12)
    inside = tuple(slice(None) if axis is not None and i == axis % len(shape) else slice(5, -5) for i in range(len(shape)))
    np.testing.assert_allclose(windows, everywhere[inside], rtol=0, atol=1e-12)


def test_ssim_of_volumes() -> None:
    for shape, axis in (((11, 11, 11), None), ((13, 12, 20), None), ((12, 13, 14, 2), 3), ((2, 12, 13, 14), 0)):
        a, b = pair(shape, "uint8")
        value, windows = ssim(a, b, channel_axis=axis, full=True)
        stacks = [(a, b)] if axis is None else [(a.take(i, axis), b.take(i, axis)) for i in range(2)]
        expected = [oracle.similarity(*stack, 255).astype(float) for stack in stacks]
        np.testing.assert_allclose(windows, expected[0] if axis is None else np.stack(expected, axis), rtol=0, atol=CLOSE)
        assert value == pytest.approx(np.mean(expected), abs=CLOSE)


def test_metrics_are_symmetric() -> None:
    for dtype in ("uint8", "float32", "float64"):
        a, b = pair((170, 175), dtype)
        assert psnr(a, b, data_range=100) == psnr(b, a, data_range=100)
        assert ssim(a, b, data_range=100) == ssim(b, a, data_range=100)
        assert ms_ssim(a, b, data_range=100) == ms_ssim(b, a, data_range=100)


@pytest.mark.parametrize("dtype", ["float64", "int32"])
@pytest.mark.parametrize("level", [1e5, -3e7])
def test_a_pedestal_costs_no_accuracy(level: float, dtype: str) -> None:
    a, b = ((array * 40 + level).astype(dtype) for array in pair((30, 40), "float64"))
    assert ssim(a, b, data_range=4000) == pytest.approx(oracle.similarity(a, b, 4000).mean(), abs=CLOSE)
    a[:, 0], a[0] = -level, level / 2  # samples that say nothing about the level
    assert ssim(a, b, data_range=4000) == pytest.approx(oracle.similarity(a, b, 4000).mean(), abs=1e-6)


def test_ssim_does_not_depend_on_the_unit() -> None:
    a, b = pair((30, 40), "float64")
    for unit in (1e-200, 1e-3, 1e200):
        assert ssim(a * unit, b * unit, data_range=100 * unit) == pytest.approx(ssim(a, b, data_range=100), abs=CLOSE)


@pytest.mark.parametrize("shape", [(161, 161), (162, 175), (200, 177)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "int64"])
def test_ms_ssim_is_what_it_is_defined_as(dtype: str, shape: tuple[int, int]) -> None:
    a, b = pair(shape, dtype)
    assert ms_ssim(a, b, data_range=100) == pytest.approx(oracle.ms_ssim(a, b, 100), abs=CLOSE)


@pytest.mark.parametrize("weights", [(1,), (0.5, 0.5), (0, 1, 0.25), np.array([0.2, 0.8])])
def test_ms_ssim_with_other_scales(weights: Any) -> None:
    a, b = pair((61, 50), "float32")
    options = {"size": 7, "sigma": 2, "k1": 0.02, "k2": 0.05}
    expected = oracle.ms_ssim(a, b, 100, tuple(weights), **options)
    assert ms_ssim(a, b, data_range=100, weights=weights, **options) == pytest.approx(expected, abs=CLOSE)
    assert ms_ssim(a, b, data_range=100, weights=(1.0,)) == ssim(a, b, data_range=100)


def test_ms_ssim_of_volumes_and_channels() -> None:
    a, b = pair((13, 14, 15), "uint8")
    options = {"size": 5, "weights": (0.3, 0.7)}
    assert ms_ssim(a, b, **options) == pytest.approx(oracle.ms_ssim(a, b, 255, (0.3, 0.7), size=5), abs=CLOSE)
    each = [ms_ssim(a[:, i], b[:, i], **options) for i in range(14)]
    assert ms_ssim(a, b, channel_axis=1, **options) == pytest.approx(np.mean(each), abs=CLOSE)


def test_ms_ssim_of_opposites_is_zero() -> None:
    a = pair((170, 170), "float64")[0]
    assert ssim(a, 100 - a, data_range=100) < 0
    assert ms_ssim(a, 100 - a, data_range=100) == 0


def test_ms_ssim_says_the_least_size() -> None:
    a, b = pair((160, 300))
    with pytest.raises(ValueError, match=r"^image has 160 x 300 pixels .* 11 pixels at 5 scales .* at least 161$"):
        ms_ssim(a, b)
    with pytest.raises(ValueError, match=r"^image has 156 x 296 pixels"):
        ms_ssim(a, b, crop=2)
    ms_ssim(np.zeros((161, 161), np.uint8), np.zeros((161, 161), np.uint8))
