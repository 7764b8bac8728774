"""What BM3D is told of the noise: numbers, maps, estimates, spectra; and the scale of it all."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from imrestore_kernels import bm3d_noise

import imrestore
from tests.backends import same_bits
from tests.bm3d_pictures import SHAPE, fast, noisy
from tests.cases import FLOATS

NAN = float("nan")
#: Two powers of two, one within and one far beyond what float32 can hold the squares of.
POWERS = {"float16": (-3, 4), "float32": (-90, 90), "float64": (-900, 900)}


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    """No NumPy warning reaches a caller, whatever he has set."""
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        yield


# Levels


def test_no_noise_is_a_copy() -> None:
    image = noisy()
    for sigma in (0, 0.0, np.zeros(SHAPE)):
        result = fast(image, sigma)
        assert same_bits(result, image)
        assert not np.shares_memory(result, image)
    both = fast(image, 0, return_basic=True)
    assert same_bits(both[0], image)
    assert same_bits(both[1], image)
    assert len({array.ctypes.data for array in (image, *both)}) == 3
    out = np.empty_like(image)
    assert fast(image, 0, out=out) is out
    assert same_bits(out, image)


def test_no_noise_and_missing_samples() -> None:
    """They are filled in as with noise, and nothing else changes."""
    image, where = noisy(), np.ones(SHAPE, bool)
    where[10:13, 15:17] = False
    expected = fast(image, 1e-6, where=where)
    spoilt = np.where(where, image, NAN)
    for result in (fast(spoilt, 0, where=where), fast(spoilt, 0, nan_policy="omit")):
        np.testing.assert_allclose(result, expected, atol=1e-3)
    assert np.isnan(fast(image, where=np.zeros(SHAPE, bool))).all()


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("sigma", [1e-8, 1e-18, 1e-30, 5e-324])
def test_next_to_no_noise_changes_next_to_nothing(sigma: float, dtype: str) -> None:
    image = noisy(dtype=dtype)
    for stages in (1, 2):
        np.testing.assert_allclose(fast(image, sigma, stages=stages), image, atol=1e-3)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("sigma", [1e6, 1e30, 1e155, 1e200, 1.7e308])
def test_noise_beyond_all_signals_leaves_means(sigma: float, dtype: str) -> None:
    """Every patch becomes its group's mean."""
    image = np.random.default_rng(5).normal(100, 20, SHAPE).astype(dtype)
    result = fast(image, sigma).astype(np.float64)
    assert abs(result.mean() - image.mean()) < 1
    assert result.std() < 0.15 * image.std()


@pytest.mark.parametrize("dtype", ["int32", "float32", "float64"])
@pytest.mark.parametrize("outlier", [1e6, 5e8])
def test_an_outlier_changes_nothing_far_away(outlier: float, dtype: str) -> None:
    """Up to 1e9 times the noise: that counts for as much as it is said to."""
    image = np.rint(noisy((30, 90), dtype))
    expected = fast(image, 10.0)
    image[3, 5] = outlier
    assert same_bits(fast(image, 10.0)[:, 60:].copy(), expected[:, 60:].copy())


def test_sigma_of_each_channel() -> None:
    image = noisy((*SHAPE, 3))
    given = (5.0, 10.0, 20.0)
    expected = fast(image, given, channel_axis=-1)
    for same in (list(given), np.array(given), np.float32(given)):
        assert same_bits(fast(image, same, channel_axis=-1), expected)
    assert same_bits(fast(image, (10, 10, 10), channel_axis=-1), fast(image, 10, channel_axis=-1))
    assert same_bits(fast(image, np.array(10.0), channel_axis=-1), fast(image, 10, channel_axis=-1))
    # Channels trade places with their noise: two of the opponents change sign at most.
    swapped = fast(image[..., ::-1], given[::-1], channel_axis=-1)[..., ::-1]
    np.testing.assert_allclose(swapped, expected, atol=1e-3)
    assert abs(fast(image, (20.0, 5.0, 10.0), channel_axis=-1) - expected).max() > 1


def test_a_map_of_sigmas() -> None:
    image = noisy((*SHAPE, 3))
    sigmas = np.random.default_rng(2).uniform(5, 20, SHAPE)
    with_channels = np.repeat(sigmas[..., np.newaxis], 3, -1)
    expected = fast(image, with_channels, channel_axis=-1)
    for same in (sigmas, np.asfortranarray(sigmas), with_channels.transpose(1, 0, 2).copy().transpose(1, 0, 2)):
        assert same_bits(fast(image, same, channel_axis=-1), expected)
    moved = fast(np.moveaxis(image, -1, 0), np.moveaxis(with_channels, -1, 0), channel_axis=0)
    assert same_bits(np.ascontiguousarray(np.moveaxis(moved, 0, -1)), expected)
    batch = np.stack([image, image[::-1]])
    maps = np.stack([sigmas, sigmas[::-1] + 1])
    result = fast(batch, maps, axes=(1, 2), channel_axis=-1)
    assert same_bits(result, np.stack([fast(i, s, channel_axis=-1) for i, s in zip(batch, maps, strict=True)]))
    # A constant map is one number, but for the order of roundings.
    np.testing.assert_allclose(
        fast(image[..., 0], np.full(SHAPE, 10.0), stages=1), fast(image[..., 0], 10.0, stages=1), atol=1e-4
    )


def test_a_map_restores_each_side_by_its_own_noise() -> None:
    rng = np.random.default_rng(3)
    clean = np.broadcast_to(50 + 20 * np.sin(np.arange(60) / 5), (60, 60))
    sigmas = np.where(np.arange(60) < 30, 2.0, 25.0) * np.ones((60, 1))
    image = clean + sigmas * rng.standard_normal(clean.shape)

    def error(result: np.ndarray, part: slice) -> float:
        return float(np.sqrt(np.mean((result - clean)[:, part] ** 2)))

    own, left, right = fast(image, sigmas), fast(image, 2.0), fast(image, 25.0)
    assert error(own, np.s_[:20]) < 1.1 * error(left, np.s_[:20]) < 0.8 * error(right, np.s_[:20])
    assert error(own, np.s_[40:]) < 1.1 * error(right, np.s_[40:]) < 0.5 * error(left, np.s_[40:])
    # No noise at all on one side: nothing changes where no patch is of both.
    half = fast(image, np.where(sigmas == 2, 0.0, 25.0))
    np.testing.assert_allclose(half[:, :12], image[:, :12], atol=1e-3)


def test_sigma_is_estimated() -> None:
    image = noisy((*SHAPE, 3))
    grey = image[..., 0]
    assert same_bits(fast(grey), fast(grey, imrestore.noise.estimate_sigma(grey)))
    expected = fast(image, imrestore.noise.estimate_sigma(image, channel_axis=-1), channel_axis=-1)
    assert same_bits(fast(image, channel_axis=-1), expected)
    # Of several images the mean variance; samples that take no part, and NaN, are not looked at.
    batch = np.stack([grey, noisy(sigma=4.0)])
    both = np.sqrt(np.mean([float(imrestore.noise.estimate_sigma(one)) ** 2 for one in batch]))
    np.testing.assert_allclose(fast(batch, axes=(1, 2), stages=1), fast(batch, both, axes=(1, 2), stages=1), atol=1e-4)
    where = np.ones(SHAPE, bool)
    where[:3, :20] = False
    spoilt = np.where(where, grey, 1e5)
    assert same_bits(fast(spoilt, where=where), fast(grey, where=where))
    spoilt[0, 0] = NAN
    assert np.isfinite(fast(np.where(where, grey, NAN))[15:]).all()
    assert np.isnan(fast(np.full(SHAPE, NAN))).all()


# Correlated noise


def test_a_psd_and_its_kernel() -> None:
    image = noisy((64, 64))
    kernel = 7 * np.array([[0.3, 1.0, 0.5], [0.0, 0.6, -0.2]])
    expected = fast(image, kernel=kernel, stages=1)
    psd = abs(np.fft.fft2(kernel, image.shape)) ** 2
    np.testing.assert_allclose(fast(image, psd=psd, stages=1), expected, atol=1e-4)
    assert abs(fast(image, psd=psd.T, stages=1) - expected).max() > 1
    # Sigma, if given, is the standard deviation; the kernel says how it is spread.
    level = float(np.sqrt(np.sum(kernel**2)))
    np.testing.assert_allclose(fast(image, level, kernel=3 * kernel, stages=1), expected, atol=1e-4)
    np.testing.assert_allclose(fast(image, np.full(image.shape, level), kernel=kernel, stages=1), expected, atol=1e-4)
    assert same_bits(fast(image, level / 2, kernel=kernel), fast(image, kernel=kernel / 2))
    assert same_bits(fast(image, kernel=kernel.tolist()), fast(image, kernel=kernel))
    colour = np.stack([image] * 3, -1)
    assert same_bits(fast(colour, kernel=kernel, channel_axis=-1), fast(colour, [level] * 3, kernel=kernel, channel_axis=-1))


@pytest.mark.parametrize("power", [-900, -500, 490, 900])
def test_spectra_of_any_size(power: int) -> None:
    """Scaled by powers of two nothing else changes, not even where no square can be held."""
    image, kernel = noisy(), np.array([[0.5, 1.0], [0.25, -0.5]])
    psd = abs(np.fft.fft2(kernel, (16, 16))) ** 2
    assert same_bits(fast(image, 10.0, psd=psd * 2.0**power), fast(image, 10.0, psd=psd))
    assert same_bits(fast(image, 10.0, kernel=kernel * 2.0**power), fast(image, 10.0, kernel=kernel))


def test_white_noise_as_correlated_noise() -> None:
    """Overlapping patches share noise: groups weigh differently, but the quality is the same."""
    image = noisy((64, 64))
    clean = noisy((64, 64), sigma=0.0)
    white, told = (fast(image, 10.0, **k) for k in ({}, {"kernel": [[1]]}))
    errors = [float(np.sqrt(np.mean((result - clean) ** 2))) for result in (white, told)]
    assert errors[1] < 1.1 * errors[0] < 5
    assert same_bits(fast(image, kernel=[[10.0]]), told)
    flat = fast(image, psd=np.full((16, 16), 100.0), stages=1)
    np.testing.assert_allclose(flat, fast(image, 10.0, kernel=[[1]], stages=1), atol=1e-4)


@pytest.mark.parametrize("frequency", [(0, 8), (8, 0), (8, 8), (4, 4)])
def test_noise_of_one_frequency(frequency: tuple[int, int]) -> None:
    """Most coefficients have no noise at all: theirs counts as a little, so that no weight is infinite."""
    clean = noisy((64, 64), sigma=0.0)
    y, x = np.indices(clean.shape)
    wave = np.cos(2 * np.pi * (frequency[0] * y + frequency[1] * x) / 16 + 0.1)
    image = clean + wave * 10 / wave.std()
    psd = np.zeros((16, 16))
    psd[frequency] = psd[-frequency[0], -frequency[1]] = 1.0
    for stages in (1, 2):
        result = fast(image, 10.0, psd=psd, stages=stages)
        assert np.isfinite(result).all()
        assert np.sqrt(np.mean((result - clean) ** 2)) < 4


# Scale


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("channels", [1, 3])
def test_powers_of_two_scale_the_bits(dtype: str, channels: int) -> None:
    image = noisy((*SHAPE, channels), dtype)
    result = fast(image, 10.0, channel_axis=-1)
    for power in POWERS[dtype]:
        factor = image.dtype.type(2.0**power)
        assert same_bits(fast(image * factor, 10.0 * 2.0**power, channel_axis=-1), result * factor)


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e200, 1e300])
def test_float64_beyond_squares(unit: float, channels: int) -> None:
    """Other digits than those of 1: a group may differ in the second stage, so the first is compared."""
    image = np.rint(noisy((*SHAPE, channels)))
    expected = fast(image, 10.0, channel_axis=-1, stages=1)
    result = fast(image * unit, 10.0 * unit, channel_axis=-1, stages=1) / unit
    assert np.median(abs(result - expected)) < 1e-4
    assert abs(result - expected).max() < 5


def test_adding_a_constant_adds_it() -> None:
    """Whole numbers below 2**24 / 64: sums stay exact, so groups are the same."""
    image = np.rint(noisy())
    for keywords in ({}, {"stages": 1}):
        expected = fast(image, 10.0, **keywords)
        for constant in (64, -1000):
            np.testing.assert_allclose(fast(image + constant, 10.0, **keywords) - constant, expected, atol=0.05)
    first = fast(image, 10.0, stages=1)
    np.testing.assert_allclose(fast(image + 64, 10.0, stages=1) - 64, first, atol=1e-3)


def test_correlated_noise_is_matched_behind_a_filter_that_makes_it_white() -> None:
    for kernel in (np.ones((3, 3)), np.outer(np.hanning(9)[1:-1], np.hanning(9)[1:-1]), np.array([[1.0, -0.6]])):
        table = bm3d_noise.autocorrelation_of_kernel(kernel)
        taps = bm3d_noise.whitening_of(table)
        both = np.zeros((64, 64))
        both[: kernel.shape[0], : kernel.shape[1]] = kernel
        spectra = [abs(np.fft.fft2(both)) ** 2 / (kernel**2).sum()]
        both[:] = 0
        both[: taps.shape[0], : taps.shape[1]] = taps
        spectra.append(spectra[0] * abs(np.fft.fft2(both)) ** 2)
        np.testing.assert_allclose([s.mean() for s in spectra], 1, rtol=0.02)
        spread = [float(s.std()) for s in spectra]
        assert spread[1] < 0.75 * spread[0]
    one = bm3d_noise.whitening_of(np.ones((1, 1)))
    expected = np.zeros_like(one)
    expected[one.shape[0] // 2, one.shape[1] // 2] = 1
    np.testing.assert_allclose(one, expected, atol=1e-12)
