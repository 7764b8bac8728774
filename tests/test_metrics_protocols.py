"""The named protocols on made-up images; those of the published tables are in test_metrics_tables."""

from __future__ import annotations

import math

import numpy as np
import pytest

from imrestore.metrics import _pair, ms_ssim, psnr, ssim
from tests.cases.metrics import CLOSE, pair


def levels(image: np.ndarray, white: float) -> np.ndarray:
    return np.rint(np.clip(image * (255 / white), 0, 255)).astype(np.uint8)


@pytest.mark.parametrize("white", [1.0, 255.0, 100])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_gray_rounds_to_levels_first(dtype: str, white: float) -> None:
    a, b = (array * 1.3 / 100 * white - 0.1 * white for array in pair((170, 180), "float64"))
    a, b = a.astype(dtype), b.astype(dtype)
    expected = [levels(array.astype(np.float64), white) for array in (a, b)]
    for metric in (psnr, ssim, ms_ssim):
        assert metric(a, b, protocol="gray", data_range=white) == metric(*expected)
        assert metric(a, expected[1], protocol="gray", data_range=white) == metric(*expected)
        assert metric(*expected, protocol="gray") == metric(*expected, protocol="gray", data_range=255) == metric(*expected)


def test_gray_rounds_half_to_even_and_clips() -> None:
    image = np.array([[0.5, 1.5, 2.5, 254.5, 255.5, 1e9, -3, -np.inf, np.inf]])
    rounded = np.array([[0, 2, 2, 254, 255, 255, 0, 0, 255]], np.uint8)
    assert psnr(image, rounded, protocol="gray", data_range=255) == math.inf


def test_protocols_of_16_bits() -> None:
    a, b = (np.multiply(array, 400, dtype=np.uint16, casting="unsafe") for array in pair((30, 40)))
    expected = [levels(array.astype(float), 65535) for array in (a, b)]
    assert psnr(a, b, protocol="gray") == psnr(*expected)
    twelve = [levels(array.astype(float), 4095) for array in (a // 16, b // 16)]
    assert psnr(a // 16, b // 16, protocol="gray", data_range=4095) == psnr(*twelve)


def test_nan_under_a_protocol() -> None:
    a, b = (array / 100 for array in pair((30, 40), "float64"))
    a[15, 20] = np.nan
    assert math.isnan(psnr(a, b, protocol="gray", data_range=1))
    kept = ~np.isnan(a)
    expected = psnr(levels(np.nan_to_num(a), 1), levels(b, 1), where=kept)
    assert psnr(a, b, protocol="gray", data_range=1, nan_policy="omit") == pytest.approx(expected, rel=1e-13)
    value, windows = ssim(a, b, protocol="gray", data_range=1, nan_policy="omit", full=True)
    assert np.isnan(windows).sum() == 121
    assert value == pytest.approx(np.nanmean(windows), abs=CLOSE)
    colour = np.stack([a, b, b], -1)
    expected = psnr(colour[2:-2, 2:-2], colour[2:-2, 2:-2], data_range=1, nan_policy="omit")
    assert psnr(colour, colour, protocol="y-sr", data_range=1, crop=2, channel_axis=-1, nan_policy="omit") == expected == math.inf
    assert math.isnan(psnr(colour, colour, protocol="y-sr", data_range=1, crop=2, channel_axis=-1))


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_rgb_is_one_error_and_the_mean_of_three_similarities(axis: int) -> None:
    a, b = (np.moveaxis(array, -1, axis) for array in pair((170, 180, 3)))
    assert psnr(a, b, protocol="rgb", channel_axis=axis) == psnr(a, b)
    for metric in (ssim, ms_ssim):
        each = [metric(a.take(i, axis), b.take(i, axis)) for i in range(3)]
        assert metric(a, b, protocol="rgb", channel_axis=axis) == pytest.approx(np.mean(each), abs=CLOSE)


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_y_sr_is_the_rounded_luma_without_its_border(axis: int) -> None:
    rng = np.random.default_rng(5)
    a = rng.integers(0, 256, (40, 50, 3), np.uint8)
    b = np.clip(a + rng.normal(0, 9, a.shape), 0, 255).astype(np.uint8)
    luma = [np.rint(array @ [65.481, 128.553, 24.966] / 255 + 16).astype(np.uint8)[3:-3, 3:-3] for array in (a, b)]
    moved = [np.moveaxis(array, -1, axis) for array in (a, b)]
    assert psnr(*moved, protocol="y-sr", crop=3, channel_axis=axis) == psnr(*luma)
    assert ssim(*moved, protocol="y-sr", crop=3, channel_axis=axis) == ssim(*luma)
    assert psnr(*luma, protocol="y-sr", crop=1) == psnr(*(array[1:-1, 1:-1] for array in luma))
    where = rng.random(moved[0].shape) < 0.9
    kept = np.moveaxis(where, axis, -1).all(axis=-1)[3:-3, 3:-3]
    assert psnr(*moved, protocol="y-sr", crop=3, channel_axis=axis, where=where) == psnr(*luma, where=kept)
    floats = [array / 255 for array in moved]
    assert psnr(*floats, protocol="y-sr", crop=3, channel_axis=axis, data_range=1) == psnr(*luma)


def test_luma_of_the_corners_of_the_cube() -> None:
    corners = np.array([[[r, g, b] for r in (0, 255) for g in (0, 255) for b in (0, 255)]], np.uint8)
    expected = np.array([[16, 41, 145, 170, 81, 106, 210, 235]], np.uint8)  # ITU-R BT.601, studio range
    assert np.array_equal(_pair._luma(np, np.moveaxis(corners, -1, 0)), expected)
