"""The oracles against scipy.ndimage, wherever the two define the same thing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from tests import oracles

MODES = ["reflect", "mirror", "nearest", "wrap", "constant", "grid-mirror", "grid-wrap", "grid-constant"]
SHAPES = [(13,), (7, 9), (1, 6), (4, 5, 3), (3, 2, 4, 3)]
SIZES = [1, 2, 3, 4, 5, 8]


def picture(shape, dtype):
    rng = np.random.default_rng(len(shape))
    if np.dtype(dtype).kind == "f":
        return rng.normal(100, 50, shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_mean_is_uniform_filter(shape, mode):
    image = picture(shape, np.float64)
    for size in SIZES:
        expected = ndimage.uniform_filter(image, size, mode=mode, cval=7.5)
        actual = oracles.mean(image, size, mode=mode, cval=7.5)
        np.testing.assert_allclose(actual.low.astype(float), expected, rtol=1e-10)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_median_is_median_filter(shape, mode):
    image = picture(shape, np.uint16)
    for size in SIZES[: 4 if len(shape) == 4 else None]:
        expected = ndimage.median_filter(image, size, mode=mode, cval=9)
        oracles.median(image, size, mode=mode, cval=9).assert_matches(expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gaussian_is_gaussian_filter(shape, mode):
    image = picture(shape, np.float64)
    for sigma, truncate in [(0.5, 4.0), (1.0, 4.0), (1.3, 2.0), (2.0, 1.0), (1.0, 0.0)]:
        if len(shape) == 4 and sigma * truncate > 3:
            continue
        expected = ndimage.gaussian_filter(image, sigma, truncate=truncate, mode=mode, cval=7.5)
        actual = oracles.gaussian(image, sigma, truncate=truncate, mode=mode, cval=7.5)
        np.testing.assert_allclose(actual.low.astype(float), expected, rtol=1e-10)


def test_mean_and_gaussian_with_parameters_of_their_own_on_each_axis():
    image = picture((6, 7, 5), np.float64)
    np.testing.assert_allclose(
        oracles.mean(image, (1, 4, 3), mode="wrap").low.astype(float),
        ndimage.uniform_filter(image, (1, 4, 3), mode="wrap"),
        rtol=1e-10,
    )
    np.testing.assert_allclose(
        oracles.gaussian(image, (0.0, 1.0, 0.7), radius=(2, 1, 3), mode="mirror").low.astype(float),
        ndimage.gaussian_filter(image, (0.0, 1.0, 0.7), radius=(2, 1, 3), mode="mirror"),
        rtol=1e-10,
    )


@pytest.mark.parametrize("axes", [(0,), (1, 2), (-1, 0), (2, 0)], ids=str)
def test_axes_are_those_of_scipy(axes):
    image = picture((4, 6, 5), np.float64)
    size = (2, 3)[: len(axes)]
    np.testing.assert_allclose(
        oracles.mean(image, size, axes=axes).low.astype(float),
        ndimage.uniform_filter(image, size, axes=axes),
        rtol=1e-10,
    )
    np.testing.assert_allclose(
        oracles.gaussian(image, 0.8, axes=axes).low.astype(float),
        ndimage.gaussian_filter(image, 0.8, axes=axes),
        rtol=1e-10,
    )
    oracles.median(image, 3, axes=axes).assert_matches(ndimage.median_filter(image, 3, axes=axes))


@pytest.mark.parametrize("mode", MODES)
def test_ranks_percentiles_and_footprints_are_those_of_scipy(mode):
    image = picture((8, 9), np.int16)
    cross = ndimage.generate_binary_structure(2, 1)
    lopsided = np.array([[1, 0, 0, 1], [0, 1, 1, 0]], bool)
    for footprint in (cross, lopsided, np.ones((3, 2), bool)):
        expected = ndimage.median_filter(image, footprint=footprint, mode=mode)
        oracles.median(image, footprint=footprint, mode=mode).assert_matches(expected)
        for rank in (0, 1, 3, -1):
            expected = ndimage.rank_filter(image, rank, footprint=footprint, mode=mode)
            oracles.median(image, footprint=footprint, rank=rank, mode=mode).assert_matches(expected)
        for percentile in (0, 10, 50, 63.5, 99, 100, -10, -100):
            expected = ndimage.percentile_filter(image, percentile, footprint=footprint, mode=mode)
            oracles.median(image, footprint=footprint, percentile=percentile, mode=mode).assert_matches(expected)


def test_gaussian_with_a_mask_is_normalised_convolution():
    image, valid = picture((9, 8), np.float64), picture((9, 8), np.float64) > 90
    weighted = ndimage.gaussian_filter(np.where(valid, image, 0), 1.2)
    weight = ndimage.gaussian_filter(valid.astype(float), 1.2)
    actual = oracles.gaussian(image, 1.2, where=valid)
    np.testing.assert_allclose(actual.low.astype(float), weighted / weight, rtol=1e-10)


def test_rank_with_a_mask_is_the_rank_of_the_samples_that_take_part():
    image, valid = picture((6, 7), np.float32), picture((6, 7), np.float32) > 90

    def upper_median(window):
        rest = np.sort(window[~np.isnan(window)])
        return rest[len(rest) // 2] if len(rest) else np.nan

    expected = ndimage.generic_filter(np.where(valid, image, np.nan), upper_median, size=3)
    oracles.median(image, 3, where=valid).assert_matches(expected)


@pytest.mark.parametrize(
    ("window", "mean"),
    [([0, 1], 0), ([1, 2], 2), ([2, 3], 2), ([3, 4], 4), ([0, 255], 128), ([254, 255], 254)],
    ids=str,
)
def test_integer_means_round_half_to_even(window, mean):
    image = np.array(window, np.uint8)
    assert oracles.mean(image, 2).low[1] == mean


def test_integer_means_are_exact_beyond_float64():
    image = np.array([2**63 - 1, 2**63 - 3, 2**63 - 2], np.int64)
    assert oracles.mean(image, 3).low[1] == 2**63 - 2
    assert oracles.mean(-image, 3).low[1] == -(2**63) + 2


def test_an_integer_gaussian_may_fall_to_either_side_of_a_tie_only():
    image = np.array([0, 1, 0, 0, 9, 200, 0], np.uint8)
    expected = oracles.gaussian(image, 5.0, radius=1, mode="constant")
    exact = oracles.gaussian(image.astype(float), 5.0, radius=1, mode="constant").low
    np.testing.assert_array_equal(expected.low, expected.high)
    np.testing.assert_array_equal(expected.low, np.rint(exact.astype(float)))
    tie = oracles.gaussian(np.array([3, 4], np.uint8), 1e9, radius=1, mode="wrap")
    assert (tie.high - tie.low).max() <= 1


def test_expected_rejects_what_lies_outside():
    expected = oracles.mean(np.array([1.0, 2.0, 4.0], np.float32), 3)
    right = ((expected.low + expected.high) / 2).astype(np.float32)
    expected.assert_matches(right)
    for wrong in (right * np.float32(1.00001), right.astype(np.float64), right[:2], np.full(3, np.nan, np.float32)):
        with pytest.raises(AssertionError):
            expected.assert_matches(wrong)
