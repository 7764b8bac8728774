"""The oracles of non-local means and of the bilateral filter against scikit-image, OpenCV and loops over single pixels."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy.stats
from skimage.restoration import denoise_bilateral, denoise_nl_means

from tests import oracles
from tests.cases import MODES
from tests.oracles.similarity import patch_taps

SKIMAGE_MODES = {
    "reflect": "symmetric",
    "mirror": "reflect",
    "nearest": "edge",
    "wrap": "wrap",
    "constant": "constant",
}


def picture(shape: tuple[int, ...], noise: float = 0.1) -> np.ndarray:
    """A ramp with an edge and noise, from 0 to 1."""
    rng = np.random.default_rng(len(shape))
    plane = np.add.outer(np.linspace(0, 0.3, shape[0]), np.where(np.arange(shape[1]) > shape[1] // 2, 0.5, 0.1))
    image = plane.reshape(*plane.shape, *[1] * (len(shape) - 2)) + rng.normal(0, noise, shape)
    return np.clip(image, 0, 1)


def middle(expected: oracles.Expected) -> np.ndarray:
    return ((expected.low.astype(np.longdouble) + expected.high) / 2).astype(np.float64)


@pytest.mark.parametrize("channel_axis", [None, -1])
@pytest.mark.parametrize("mode", MODES)
def test_bilateral_is_that_of_scikit_image(mode: str, channel_axis: int | None) -> None:
    """Its weights come from a table of a million steps over the range of distances: 1e-5 of sigma_color.

    Only flat spatial weights compare: in 0.26 their table is 2r + 2 samples wide and read as one of 2r + 1. Colour
    distances are divided by the number of channels there, which is a sigma_color three times as large.
    """
    image = picture((12, 15) if channel_axis is None else (12, 15, 3))
    for radius in (1, 2, 4):
        expected = denoise_bilateral(
            image, win_size=2 * radius + 1, sigma_color=0.1, sigma_spatial=1e6, bins=1_000_000,
            mode=SKIMAGE_MODES[mode], cval=0.25, channel_axis=channel_axis,
        )  # fmt: skip
        sigma_color = 0.1 if channel_axis is None else 0.3
        actual = oracles.bilateral(image, sigma_color, 1e6, radius=radius, mode=mode, cval=0.25, channel_axis=channel_axis)
        np.testing.assert_allclose(middle(actual), expected, atol=2e-5)


def test_bilateral_is_that_of_opencv() -> None:
    """Its window is a disk, beyond which no weight is above 1e-9 here, and its weights are interpolated in 4096 steps."""
    cv2 = pytest.importorskip("cv2")
    image = picture((20, 24)).astype(np.float32)
    expected = cv2.bilateralFilter(image, 9, 0.1, 0.6, borderType=cv2.BORDER_REFLECT)
    actual = oracles.bilateral(image, 0.1, 0.6, radius=4)
    np.testing.assert_allclose(middle(actual), expected, atol=1e-6)
    assert abs(middle(oracles.bilateral(image, 0.1, 0.6, radius=1)) - expected).max() > 1e-4  # so that it could differ


@pytest.mark.parametrize(("shape", "channel_axis"), [((26, 29), None), ((26, 28, 3), -1), ((11, 12, 10), None)])
def test_nl_means_is_that_of_scikit_image(shape: tuple[int, ...], channel_axis: int | None) -> None:
    """The slow mode: Gaussian patch weights, windows cut at the border, an exponential right to 3 % and 0 beyond 5.

    Weights wrong by 3 % and a few missing ones below exp(-5) move a mean by less than 6 % of the noise.
    """
    image = picture(shape, 0.05)
    for sigma, h in ((0.0, 0.08), (0.05, 0.05)):
        options: dict[str, Any] = {"h": h, "patch_size": 5, "patch_distance": 3, "channel_axis": channel_axis}
        expected = denoise_nl_means(image, sigma=sigma, fast_mode=False, **options)
        inside = (slice(3, -3),) * (len(shape) - (channel_axis is not None))
        actual = middle(oracles.nl_means(image, sigma, patch_weights="gaussian", mode="mirror", **options))
        assert abs(actual - expected)[inside].max() < 0.003
        for other in ({"patch_weights": "uniform"}, {"patch_weights": "gaussian", "patch_distance": 2}):
            wrong = middle(oracles.nl_means(image, sigma, mode="mirror", **options | other))
            assert abs(wrong - expected)[inside].max() > 0.006


def test_nl_means_of_a_flat_weight_is_the_mean_of_its_window() -> None:
    image = picture((9, 8))
    for h, sigma in ((1e9, 0.0), (0.01, 1e6)):  # nothing differs by as much as h, or by more than the noise
        actual = oracles.nl_means(image, sigma, h=h, patch_size=3, patch_distance=2, mode="wrap")
        np.testing.assert_allclose(middle(actual), middle(oracles.mean(image, 5, mode="wrap")), rtol=1e-12)
    alone = oracles.nl_means(image, 0.0, h=1e-9, patch_size=3, patch_distance=2)
    np.testing.assert_allclose(middle(alone), image, rtol=1e-12)


REFLECTED = {"reflect": lambda i, n: min(i % (2 * n), 2 * n - 1 - i % (2 * n)), "wrap": lambda i, n: i % n}


def patch(at: tuple[int, int], size: int) -> Iterator[tuple[int, int]]:
    offsets = range(-(size // 2), size - size // 2)
    return ((at[0] + y, at[1] + x) for y, x in itertools.product(offsets, offsets))


@pytest.mark.parametrize("mode", REFLECTED)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_nl_means_pixel_by_pixel(mode: str, masked: bool, size: int) -> None:
    """Channels of a pixel that take no part are left out of every patch on their own."""
    rng = np.random.default_rng(size)
    image = rng.random((5, 6, 2))
    where = rng.random(image.shape) < 0.5 if masked else np.ones(image.shape, bool)

    def inside(y: int, x: int) -> tuple[int, int]:
        return REFLECTED[mode](y, 5), REFLECTED[mode](x, 6)

    def weight(p: tuple[int, int], q: tuple[int, int]) -> float:
        total, count = 0.0, 0
        for (a, b), channel in itertools.product(zip(patch(p, size), patch(q, size), strict=True), (0, 1)):
            a, b = (*inside(*a), channel), (*inside(*b), channel)
            if where[a] and where[b]:
                total, count = total + (image[a] - image[b]) ** 2, count + 1
        return math.exp(-max(total / count - 2 * 0.2**2, 0) / 0.3**2) if count else 0.0

    expected = np.full(image.shape, np.nan)
    for p in np.ndindex(5, 6):
        near = [(q, weight(p, q)) for q in itertools.product(*(range(i - 2, i + 3) for i in p))]
        for channel in (0, 1):
            parts = [(w, image[(*inside(*q), channel)]) for q, w in near if w and where[(*inside(*q), channel)]]
            if parts:
                expected[(*p, channel)] = sum(w * value for w, value in parts) / sum(w for w, _ in parts)
    actual = oracles.nl_means(image, 0.2, h=0.3, patch_size=size, patch_distance=2, mode=mode, channel_axis=-1, where=where)
    np.testing.assert_allclose(middle(actual), expected, rtol=1e-12)
    assert np.isnan(expected).any() == (masked and size == 1)


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_gaussian_patch_weights_fall_with_the_distance_from_the_pixel(size: int) -> None:
    offsets = np.arange(-(size // 2), size - size // 2)
    weights = scipy.stats.norm.pdf(offsets, scale=(size - 1) / 4 or 1)
    np.testing.assert_allclose(patch_taps("gaussian", size).astype(float), weights / weights.sum(), rtol=1e-12)
    np.testing.assert_array_equal(patch_taps("uniform", size) * size, np.ones(size))


@pytest.mark.parametrize(
    ("size", "weights"),
    [(1, [1]), (2, [1, 1]), (3, [1, 1, 1]), (4, [1, 1, 1, 1]), (5, [1, 2, 2, 2, 1]), (6, [1, 2, 2, 2, 2, 1]),
     (7, [1, 2, 3, 3, 3, 2, 1]), (8, [1, 2, 3, 3, 3, 3, 2, 1]), (9, [1, 2, 3, 4, 4, 4, 3, 2, 1])],
)  # fmt: skip
def test_tapered_patch_weights_are_two_boxes_convolved(size: int, weights: list[int]) -> None:
    np.testing.assert_allclose((patch_taps("tapered", size) * sum(weights)).astype(float), weights, rtol=1e-15)
    short = max(1, (size - 1) // 2)
    np.testing.assert_array_equal(np.convolve(np.ones(short), np.ones(size + 1 - short)), weights)


def test_a_weight_too_small_for_any_float_still_decides() -> None:
    """Where the pixel itself takes no part, its nearest relative is what is left."""
    image = np.array([0.0, 1000.0, 500.0, 990.0, 20.0])
    where = np.array([False, True, False, True, True])
    near = oracles.bilateral(image, 1.0, 1e-3, radius=2, where=where, mode="nearest")
    np.testing.assert_allclose(middle(near), [1000, 1000, 995, 990, 20], rtol=1e-12)
    alike = oracles.nl_means(image, 0, h=1e-3, patch_size=3, patch_distance=2, where=where, mode="nearest")
    # the first has no valid pair with a valid pixel, the third compares its neighbours with those of the last
    np.testing.assert_allclose(middle(alike), [np.nan, 1000, 20, 990, 20], rtol=1e-12)


@pytest.mark.parametrize("name", ["nl_means", "bilateral"])
def test_one_nan_reaches_as_far_as_pixels_look(name: str) -> None:
    image = np.zeros((15, 17))
    image[7, 8] = np.nan
    if name == "nl_means":
        expected = oracles.nl_means(image, 0, h=1, patch_size=4, patch_distance=3)
        looking = np.s_[3:13, 4:14]  # 3 + 1 samples further down or 3 + 2 further up
    else:
        expected = oracles.bilateral(image, 1, 1, radius=3)
        looking = np.s_[4:11, 5:12]
    nan = np.zeros(image.shape, bool)
    nan[looking] = True
    np.testing.assert_array_equal(np.isnan(expected.low), nan)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
def test_expected_rejects_what_lies_outside(dtype: str) -> None:
    image = (picture((9, 8)) * 200).astype(dtype)
    for expected in (
        oracles.nl_means(image, 10, h=20, patch_size=3, patch_distance=2),
        oracles.bilateral(image, 30, 1.5),
    ):
        right = middle(expected).astype(dtype)
        expected.assert_matches(right)
        wrong = right + 1 if dtype == "uint8" else right + np.abs(right) * {"float16": 1e-2}.get(dtype, 1e-4)
        with pytest.raises(AssertionError):
            expected.assert_matches(wrong.astype(dtype))
