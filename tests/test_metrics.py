"""Metrics against their definitions and scikit-image, on every kind of array that lies in main memory."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import imrestore
from imrestore.metrics import ms_ssim, mse, psnr, ssim
from tests.cases import FLOATS, INTEGERS
from tests.oracles import metrics as oracle

# Sums of a few thousand float64 roundings of values that the constants keep away from 0.
CLOSE = 1e-12


def pair(shape: tuple[int, ...], dtype: Any = "uint8", seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A picture with edges, and the same with noise; from 0 to 100."""
    rng = np.random.default_rng(seed)
    clean = np.full(shape, 30.0)
    clean[..., shape[-1] // 3 :] += 40
    clean[shape[0] // 2 :] *= 0.7
    noisy = np.clip(clean + rng.normal(0, 12, shape), 0, 100)
    return noisy.astype(dtype), clean.astype(dtype)


# ---------------------------------------------------------------------------------------------- mean squared error, PSNR


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_are_summed_exactly(dtype: str) -> None:
    limits, rng = np.iinfo(dtype), np.random.default_rng(1)
    for n in (1, 7, 63, 64, 65, 1000, 66_000):  # below, at and beyond a block of vectors; two chunks
        a, b = (rng.integers(limits.min, limits.max, n, dtype, endpoint=True) for _ in range(2))
        a[: n // 2], b[: n // 2] = limits.min, limits.max  # the largest sum there is
        assert mse(a, b) == oracle.mse(a, b)
        assert mse(b, a) == oracle.mse(a, b)


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


# ---------------------------------------------------------------------------------------------- structural similarity

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


# ---------------------------------------------------------------------------------------------- several scales


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


# ---------------------------------------------------------------------------------------------- arrays of every kind


def unaligned(array: np.ndarray) -> np.ndarray:
    raw = np.zeros(array.nbytes + 1, np.uint8)
    view = raw[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


class Subclass(np.ndarray):
    pass


LAYOUTS = {
    "negative strides": lambda array: array[::-1, ::-1].copy()[::-1, ::-1],
    "Fortran order": np.asfortranarray,
    "sliced": lambda array: np.repeat(array, 2, axis=1)[:, ::2],
    "transposed": lambda array: array.T.copy().T,
    "unaligned": unaligned,
    "read-only": read_only,
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "subclass": lambda array: array.view(Subclass),
    "torch": lambda array: torch.from_numpy(array.copy()),
    "torch, strided": lambda array: torch.from_numpy(np.repeat(array, 2, axis=1))[:, ::2],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_every_layout_gives_the_same_bits(dtype: str, layout: str) -> None:
    a, b = pair((165, 170), dtype)
    first, second = (LAYOUTS[layout](array) for array in (a, b))
    for metric in (psnr, ssim, ms_ssim):
        assert metric(first, second, data_range=100) == metric(a, b, data_range=100)
        assert metric(first, second, data_range=100, crop=2) == metric(a[2:-2, 2:-2], b[2:-2, 2:-2], data_range=100)
    assert mse(first, second) == mse(a, b)
    assert np.array_equal(np.asarray(first), a)
    assert np.array_equal(np.asarray(second), b)


def test_lists() -> None:
    a, b = pair((20, 21))
    assert mse(a.tolist(), b) == mse(a, b)
    assert mse(a.tolist(), b.tolist()) == mse(a, b)
    assert ssim(a.tolist(), b.tolist(), data_range=255) == pytest.approx(ssim(a, b), abs=CLOSE)  # those are int64


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_every_number_of_threads_gives_the_same_bits(n: int) -> None:
    a, b = pair((400, 900), "float32")
    with imrestore.threads(1):
        expected = [mse(a, b), ssim(a, b, data_range=100), ms_ssim(a, b, data_range=100)]
        windows = ssim(a, b, data_range=100, full=True)[1]
    with imrestore.threads(n):
        assert [mse(a, b), ssim(a, b, data_range=100), ms_ssim(a, b, data_range=100)] == expected
        assert np.array_equal(ssim(a, b, data_range=100, full=True)[1], windows)


def test_two_dtypes_are_promoted() -> None:
    a, b = pair((30, 31))
    assert mse(a, b.astype(np.float32)) == mse(a, b)
    assert mse(a.astype(np.int64), b) == mse(a, b)
    assert ssim(a.astype(np.float64), b, data_range=255) == pytest.approx(ssim(a, b), abs=CLOSE)
    with pytest.raises(ValueError, match=r"^data_range is None; for images of dtype uint16 and uint8"):
        psnr(a.astype(np.uint16), b)


@pytest.mark.parametrize("kind", ["numpy", "torch", "subclass"])
def test_the_windows_are_of_the_images_kind(kind: str) -> None:
    a, b = pair((20, 24, 3))
    make = {"numpy": np.asarray, "torch": torch.from_numpy, "subclass": lambda array: array.view(Subclass)}[kind]
    value, windows = ssim(make(a), make(b), channel_axis=-1, full=True)
    assert type(value) is float
    assert type(windows) is type(make(a))
    assert tuple(windows.shape) == (10, 14, 3)
    assert windows.dtype == (torch.float64 if kind == "torch" else np.float64)
    assert np.array_equal(np.asarray(windows), ssim(a, b, channel_axis=-1, full=True)[1])


def test_results_are_python_floats() -> None:
    a, b = pair((165, 170), "float32")
    for value in (mse(a, b), psnr(a, b, data_range=1), ssim(a, b, data_range=1), ms_ssim(a, b, data_range=1)):
        assert type(value) is float


# ---------------------------------------------------------------------------------------------- where, NaN, crop


def test_where_chooses_the_samples_of_a_psnr() -> None:
    for dtype in ("uint8", "float64"):
        a, b = pair((30, 40, 3), dtype)
        where = np.random.default_rng(3).random((30, 40, 1)) < 0.3
        everywhere = np.broadcast_to(where, a.shape)
        expected = oracle.psnr(a[everywhere], b[everywhere], 100)
        assert psnr(a, b, data_range=100, where=where) == pytest.approx(expected, rel=1e-13)
        cropped = psnr(a, b, data_range=100, where=where, crop=4, channel_axis=-1)
        inside = (a[4:-4, 4:-4], b[4:-4, 4:-4])
        assert cropped == pytest.approx(psnr(*inside, data_range=100, where=where[4:-4, 4:-4]), rel=1e-13)
        assert math.isnan(psnr(a, b, data_range=100, where=np.zeros((1, 1, 1), bool)))
        assert psnr(a, b, data_range=100, where=np.ones((1, 1, 1), bool)) == psnr(a, b, data_range=100)
    tensors = [torch.from_numpy(array) for array in (a, b, where)]
    assert psnr(*tensors[:2], data_range=100, where=tensors[2]) == psnr(a, b, data_range=100, where=where)


@pytest.mark.parametrize(("shape", "axis"), [((25, 40), None), ((25, 40, 3), -1), ((3, 25, 40), 0), ((13, 15, 14), None)])
def test_where_chooses_the_middles_of_windows(shape: tuple[int, ...], axis: int | None) -> None:
    a, b = pair(shape)
    where = np.random.default_rng(4).random(shape) < 0.4
    value, windows = ssim(a, b, where=where, channel_axis=axis, full=True)
    middle = tuple(slice(None) if axis is not None and i == axis % len(shape) else slice(5, -5) for i in range(len(shape)))
    assert value == pytest.approx(windows[where[middle]].mean(), abs=CLOSE)
    assert np.array_equal(windows, ssim(a, b, channel_axis=axis, full=True)[1])
    border = np.ones(shape, bool)
    border[middle] = False
    assert math.isnan(ssim(a, b, where=border, channel_axis=axis))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("damaged", ["image", "reference"])
def test_nan(dtype: str, damaged: str) -> None:
    a, b = pair((165, 170), dtype)
    whole_a, whole_b = a.copy(), b.copy()
    (a if damaged == "image" else b)[80, 90] = np.nan
    assert math.isnan(mse(a, b))
    assert math.isnan(psnr(a, b, data_range=100))
    value, windows = ssim(a, b, data_range=100, full=True)
    assert math.isnan(value)
    expected = np.zeros(windows.shape, bool)
    expected[70:81, 80:91] = True
    assert np.array_equal(np.isnan(windows), expected)
    assert math.isnan(ms_ssim(a, b, data_range=100))
    for metric in (psnr, ssim):
        with pytest.raises(ValueError, match=f"^{damaged} contains NaN and nan_policy is 'raise'"):
            metric(a, b, data_range=100, nan_policy="raise")
        assert metric(whole_a, whole_b, data_range=100, nan_policy="raise") == metric(whole_a, whole_b, data_range=100)
    kept = np.ones(a.shape, bool)
    kept[80, 90] = False
    assert psnr(a, b, data_range=100, nan_policy="omit") == psnr(whole_a, whole_b, data_range=100, where=kept)
    assert psnr(a, b, data_range=100, where=kept) == psnr(whole_a, whole_b, data_range=100, where=kept)
    assert psnr(a, b, data_range=100, where=kept, nan_policy="raise") == psnr(whole_a, whole_b, data_range=100, where=kept)
    near = np.ones(a.shape, bool)
    near[75:86, 85:96] = False
    assert ssim(a, b, data_range=100, nan_policy="omit") == pytest.approx(ssim(whole_a, whole_b, data_range=100, where=near))
    assert ssim(a, b, data_range=100, where=near) == ssim(whole_a, whole_b, data_range=100, where=near)
    a[...] = np.nan
    assert math.isnan(psnr(a, b, data_range=100, nan_policy="omit"))
    assert math.isnan(ssim(a, b, data_range=100, nan_policy="omit"))


def test_infinity() -> None:
    a, b = pair((30, 40), "float32")
    a[15, 20] = np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mse(a, b) == math.inf
        assert psnr(a, b, data_range=100) == -math.inf
        assert math.isnan(ssim(a, b, data_range=100))
        b[15, 20] = np.inf
        assert math.isnan(mse(a, b))


# ---------------------------------------------------------------------------------------------- protocols


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
    corners, expected = (np.pad(array, [(1, 1), (1, 1)] + [(0, 0)] * (array.ndim - 2)) for array in (corners, expected))
    got = imrestore.metrics._pair._luma(np, np.moveaxis(corners[1:-1, 1:-1], -1, 0))
    assert np.array_equal(got, expected[1:-1, 1:-1])


# ---------------------------------------------------------------------------------------------- wrong arguments

A, B = pair((20, 24))
RGB = pair((20, 24, 3))
FLOAT = pair((20, 24), "float32")
NAN, INF = float("nan"), float("inf")

BAD_PAIRS: list[tuple[Any, Any, type[Exception], str]] = [
    (None, A, TypeError, "image"),
    (A, None, TypeError, "reference"),
    ("a.png", A, TypeError, "image"),
    (A, {1: 2}, TypeError, "reference"),
    (A, object(), TypeError, "reference"),
    (A.astype(bool), A, TypeError, "image has dtype bool"),
    (A, A.astype(complex), TypeError, "reference has dtype complex128"),
    (A.astype(np.longdouble), A, TypeError, "image"),
    (A, np.ma.masked_array(A), TypeError, "reference is a numpy.ma.MaskedArray"),
    (A.view(np.matrix), A, TypeError, "image is a numpy.matrix"),
    (A, [[1, 2], [3]], TypeError, "reference"),
    (np.uint8(3), np.uint8(3), ValueError, "image has no axes"),
    (A[:0], A[:0], ValueError, r"image has the shape \(0, 24\)"),
    (A, A[:10], ValueError, r"reference has the shape \(10, 24\); it must have image's, \(20, 24\)"),
    (A, A.T, ValueError, "reference has the shape"),
    (A, torch.from_numpy(A), TypeError, "reference is a torch.Tensor on cpu and image a numpy.ndarray on cpu"),
    (torch.from_numpy(A), A, TypeError, "reference is a numpy.ndarray on cpu and image a torch.Tensor on cpu"),
    (torch.from_numpy(A), None, TypeError, "reference"),
    (torch.from_numpy(FLOAT[0]).requires_grad_(), torch.from_numpy(FLOAT[0]), ValueError, "image requires grad"),
    (torch.from_numpy(A).to("meta"), torch.from_numpy(A).to("meta"), TypeError, "image is on device meta"),
]


@pytest.mark.parametrize(("image", "reference", "error", "text"), BAD_PAIRS)
def test_bad_pairs(image: Any, reference: Any, error: type[Exception], text: str) -> None:
    for metric in (mse, psnr, ssim, ms_ssim):
        options = {} if metric is mse else {"data_range": 255}
        with pytest.raises(error, match=f"^{text}"):
            metric(image, reference, **options)


def test_dask_arrays_have_to_be_computed() -> None:
    import dask.array as da

    lazy = da.from_array(A)
    with pytest.raises(TypeError, match=r"^image is a dask array"):
        psnr(lazy, lazy)
    with pytest.raises(TypeError, match=r"^reference is a dask"):
        psnr(A, lazy)


BAD_FOR_ALL: list[tuple[dict[str, Any], type[Exception]]] = [
    *(({"data_range": value}, ValueError) for value in (0, -1, NAN, INF, -INF, 10**400)),
    *(({"data_range": value}, TypeError) for value in ("255", True, [255], 1j)),
    ({"protocol": "grey"}, ValueError), ({"protocol": 3}, TypeError), ({"protocol": "rgb"}, ValueError),
    ({"protocol": "gray", "data_range": 1}, ValueError),
    *(({"crop": value}, ValueError) for value in (-1, 10, 12, 10**30)),
    *(({"crop": value}, TypeError) for value in (1.0, "1", None, True, (1, 1))),
    ({"crop": 2, "protocol": "gray"}, ValueError), ({"crop": 0, "protocol": "y-sr"}, ValueError),
    *(({"channel_axis": value}, ValueError) for value in (2, -3, 10**30)),
    *(({"channel_axis": value}, TypeError) for value in (0.0, "0", True, (0,))),
]  # fmt: skip
BAD_FOR_SSIM: list[tuple[dict[str, Any], type[Exception]]] = [
    *(({"size": value}, ValueError) for value in (0, 2, 10, -3, 103, 10**30)),
    *(({"size": value}, TypeError) for value in (11.0, "11", None, True, (11, 11))),
    *(({name: value}, ValueError) for name in ("sigma", "k1", "k2") for value in (0, -1, NAN, INF)),
    *(({name: value}, TypeError) for name in ("sigma", "k1", "k2") for value in ("1", None, True, [1.5])),
]
BAD_POLICIES: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"nan_policy": "skip"}, ValueError), ({"nan_policy": None}, TypeError),
    ({"where": np.ones((20, 24))}, TypeError), ({"where": np.ones((3, 20), bool)}, ValueError),
    ({"where": torch.ones(20, 24, dtype=torch.bool)}, TypeError), ({"where": "all"}, TypeError),
]  # fmt: skip
BAD_WEIGHTS: list[tuple[dict[str, Any], type[Exception]]] = [
    *(({"weights": value}, ValueError) for value in ((), (1, -1), (NAN,), (INF, 1), (1,) * 17)),
    *(({"weights": value}, TypeError) for value in (1.0, "12345", None, (1, "2"), {1: 2})),
]
WRONG = [
    *((metric, *bad) for metric in (psnr, ssim, ms_ssim) for bad in BAD_FOR_ALL),
    *((metric, *bad) for metric in (ssim, ms_ssim) for bad in BAD_FOR_SSIM),
    *((metric, *bad) for metric in (mse, psnr, ssim) for bad in BAD_POLICIES),
    *((ms_ssim, *bad) for bad in BAD_WEIGHTS),
    *((ssim, {"full": value}, TypeError) for value in (1, None, "yes")),
]


@pytest.mark.parametrize("metric", [mse, psnr, ssim, ms_ssim])
def test_wrong_arguments_are_named(metric: Any) -> None:
    for options, error in (bad for function, *bad in WRONG if function is metric):
        with pytest.raises(error, match=rf"^({'|'.join(options)})\b.* must "):
            metric(A, B, **options)


def test_floats_need_a_range() -> None:
    for metric in (psnr, ssim, ms_ssim):
        for images in (FLOAT, [array.astype(np.int32) for array in FLOAT]):
            with pytest.raises(ValueError, match=r"^data_range is None; for images of dtype (float|int)32 it must be a finite"):
                metric(*images)
        with pytest.raises(ValueError, match=r"^data_range is None; for an image of dtype float32 .* 255"):
            metric(*FLOAT, protocol="gray")


def test_protocols_need_the_right_axes() -> None:
    with pytest.raises(ValueError, match=r"^protocol is 'gray' and channel_axis is given"):
        psnr(*RGB, protocol="gray", channel_axis=-1)
    with pytest.raises(ValueError, match=r"^protocol is 'rgb' and channel_axis is None"):
        psnr(*RGB, protocol="rgb")
    for protocol in ("rgb", "y-sr"):
        with pytest.raises(ValueError, match=f"^protocol is '{protocol}' and the image has 24 channels"):
            psnr(*RGB, protocol=protocol, channel_axis=1)


def test_images_that_no_window_fits_into() -> None:
    for shape, axis, text in (
        ((10, 30), None, "image has 10 x 30 pixels to compare; for a window of 11 pixels each axis must have at least 11"),
        ((30, 10, 3), 2, "image has 30 x 10 pixels"),
        ((11, 11, 10), None, "image has 11 x 11 x 10 pixels"),
        ((40,), None, "image has 1 axes beside channel_axis; there must be 2 or 3"),
        ((11, 11, 11, 11), None, "image has 4 axes"),
        ((40, 3), 1, "image has 1 axes"),
    ):
        image = np.zeros(shape, np.uint8)
        with pytest.raises(ValueError, match=f"^{text}"):
            ssim(image, image, channel_axis=axis)
