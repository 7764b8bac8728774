"""Standard deviation of white noise: the definition, its accuracy, what misleads it and what must not."""

from __future__ import annotations

import math
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import skimage.data

import imrestore
from imrestore import _dispatch
from imrestore.noise import _patches, estimate_sigma
from tests import bad_input, cupy_stand_in
from tests.oracles import noise as oracle
from tests.photographs import photographs

METHODS = ("pca", "wavelet")
INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
FLOATS = ("float16", "float32", "float64")


def noisy(shape: tuple[int, ...], sigma: float = 5.0, level: float = 100.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(level, sigma, shape)


def textured(shape: tuple[int, ...], sigma: float = 5.0) -> np.ndarray:
    axes = np.indices(shape)
    return noisy(shape, sigma) + 40 * np.sin(axes.sum(axis=0) / 2) * (axes[0] > shape[0] // 3)


SIDES = [
    ((120, 116), 8), ((40, 47), 8), ((31, 31), 8), ((27, 28), 7), ((20, 21), 5), ((10, 10), 3), ((7, 6), 2),
    ((500,), 16), ((60,), 5), ((13, 14, 15), 4),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "side"), SIDES)
def test_pca_is_its_definition(shape: tuple[int, ...], side: int) -> None:
    image = textured(shape)
    # float64 throughout; the eigenvalue routines agree to rounding
    assert estimate_sigma(image) == pytest.approx(oracle.sigma_by_patches(image, side), rel=1e-9)
    # float32 sums of patches of up to 64 samples, and samples that are rounded to 4e-6
    assert estimate_sigma(image.astype(np.float32)) == pytest.approx(oracle.sigma_by_patches(image, side), rel=1e-3)


@pytest.mark.parametrize("shape", [(64, 80), (65, 31), (4, 4), (5, 90), (200,), (201,), (9, 10, 11)])
def test_wavelet_is_its_definition(shape: tuple[int, ...]) -> None:
    image = textured(shape)
    assert estimate_sigma(image, method="wavelet") == pytest.approx(oracle.sigma_by_wavelet(image), rel=1e-12)
    assert estimate_sigma(image.astype(np.float32), method="wavelet") == pytest.approx(oracle.sigma_by_wavelet(image), rel=1e-5)


@pytest.mark.parametrize("sigma", [1, 10, 50])
def test_wavelet_is_scikit_images(sigma: float) -> None:
    pytest.importorskip("pywt")
    from skimage.restoration import estimate_sigma as peer

    image = noisy((300, 301), sigma)
    # scikit-image also counts the 0.7 % of coefficients that reach over the border
    assert estimate_sigma(image, method="wavelet") == pytest.approx(peer(image), rel=0.01)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(64, 64), (200, 301), (3000, 40), (20000,), (30, 31, 32), (3, 200, 200), (700, 900)])
def test_white_noise_is_measured_right(method: str, shape: tuple[int, ...]) -> None:
    estimates = [estimate_sigma(noisy(shape, 5.0, seed=seed), method=method) for seed in range(8)]
    # one estimate scatters by 3 % at 64x64, less above: three standard errors of the mean of eight, and 1 % of bias
    assert np.mean(estimates) == pytest.approx(5.0, rel=0.04)
    assert np.std(estimates) < 0.35


@pytest.mark.parametrize("method", METHODS)
def test_texture_of_one_direction_is_not_noise(method: str) -> None:
    wave = 60 * np.sin(np.arange(256) * 0.9)
    assert estimate_sigma(noisy((256, 256), 2.0) + wave, method=method) == pytest.approx(2.0, rel=0.05)


# Percent of sigma that the mean absolute error may reach: what was measured, and a tenth to spare.
BOUNDS = {
    "pca": {2: 25, 5: 6.6, 15: 2.0, 25: 1.2, 50: 1.0},
    "wavelet": {2: 90, 5: 28, 15: 7, 25: 3.3, 50: 1.5},
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sigma", [2, 5, 15, 25, 50])
def test_accuracy_on_photographs(method: str, sigma: int) -> None:
    rng = np.random.default_rng(0)
    noisy_pictures = [picture + rng.normal(0, sigma, picture.shape) for picture in photographs("Set12")]
    errors = [abs(estimate_sigma(picture, method=method) / sigma - 1) for picture in noisy_pictures]
    assert 100 * np.mean(errors) < BOUNDS[method][sigma]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", INTEGERS + FLOATS)
def test_every_dtype_in_its_own_units(method: str, dtype: str) -> None:
    image = noisy((90, 70), 4.0, 60.0).round().astype(dtype)
    expected = estimate_sigma(image.astype(np.float64), method=method)
    assert expected == pytest.approx(4.0, rel=0.08)
    # narrow types are summed in float32
    assert estimate_sigma(image, method=method) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [2.0**-1060, 1e-300, 1e-38, 1e-12, 2.0**10, 1e30, 1e300, 2.0**1014])
def test_estimates_scale_with_the_image(method: str, scale: float) -> None:
    image = noisy((70, 80), 4.0)
    expected = estimate_sigma(image, method=method)
    # 2**-1060 is subnormal: samples keep nine of their bits
    assert estimate_sigma(image * scale, method=method) / scale == pytest.approx(expected, rel=1e-9 if scale > 1e-307 else 0.01)
    if 1e-37 < scale < 1e36:
        given = (image * scale).astype(np.float32)
        assert estimate_sigma(given, method=method) / scale == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_high_level_costs_no_accuracy(method: str) -> None:
    image = noisy((90, 91), 4.0, 0.0).round()
    expected = estimate_sigma(image, method=method)
    assert estimate_sigma((image + 2**23 - 100).astype(np.float32), method=method) == pytest.approx(expected, rel=1e-3)
    assert estimate_sigma(image + 2.0**40, method=method) == pytest.approx(expected, rel=1e-9)
    assert estimate_sigma((image + 2**40).astype(np.int64), method=method) == pytest.approx(expected, rel=1e-9)
    assert estimate_sigma((image + 2**30).astype(np.int32), method=method) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_images_without_noise_have_none(method: str) -> None:
    for shape in ((1,), (1, 1), (1, 1, 1), (3,), (40, 41), (9, 10, 11)):
        assert estimate_sigma(np.full(shape, 7.25), method=method) == 0.0
        assert estimate_sigma(np.full(shape, 200, np.uint8), method=method) == 0.0
    bars = np.repeat(np.random.default_rng(0).normal(0, 50, 200), 3)
    for image in (np.arange(600.0), np.add.outer(np.arange(64.0), np.arange(64.0)), np.tile(bars, (64, 1))):
        assert estimate_sigma(image, method=method) == pytest.approx(0, abs=1e-9 if image.ndim == 2 else 2.0)


@pytest.mark.parametrize("method", METHODS)
def test_small_images_of_every_shape(method: str) -> None:
    planes = [(m, n) for m in range(1, 13) for n in range(1, 13)]
    for shape in [(n,) for n in range(1, 40)] + planes + [(2, 3, 1), (3, 3, 3), (1, 5, 1)]:
        sigma = estimate_sigma(noisy(shape), method=method)
        assert type(sigma) is float
        assert math.isfinite(sigma)
        assert (sigma == 0.0) == (math.prod(shape) == 1)


@pytest.mark.parametrize("method", METHODS)
def test_axes_of_one_sample_make_no_difference(method: str) -> None:
    line = textured((700,))
    expected = estimate_sigma(line, method=method)
    for image in (line[None], line[:, None], line[None, :, None]):
        assert estimate_sigma(image, method=method) == expected
    plane = textured((60, 70))
    assert estimate_sigma(plane[:, None], method=method) == estimate_sigma(plane, method=method)


def test_small_images_are_right_on_average() -> None:
    for shape in ((6, 6), (9, 9), (12, 1), (16, 16), (5, 5, 5)):
        variances = [estimate_sigma(noisy(shape, 5.0, seed=seed)) ** 2 for seed in range(200)]
        # unbiased in variance but for the eigenvalues dropped; 200 of them scatter by 5 %
        assert math.sqrt(np.mean(variances)) == pytest.approx(5.0, rel=0.12)


@pytest.mark.parametrize("method", METHODS)
def test_flat_and_clipped_parts_do_not_count(method: str) -> None:
    image = noisy((256, 256), 6.0)
    image[:100] = 0.0
    image[:, 180:] = 255.0
    assert estimate_sigma(image, method=method) == pytest.approx(6.0, rel=0.05)
    padded = np.pad(noisy((60, 60), 6.0), 98)
    assert estimate_sigma(padded, method=method) == pytest.approx(6.0, rel=0.25)  # few patches, many over the edge


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_samples_left_out_have_no_influence(method: str, dtype: str) -> None:
    image = noisy((120, 130), 6.0).astype(dtype)
    where = np.zeros(image.shape, bool)
    where[20:100, 30:120] = True
    spoilt = np.where(where, image, np.random.default_rng(1).integers(0, 255, image.shape).astype(dtype))
    expected = estimate_sigma(image, method=method, where=where)
    assert estimate_sigma(spoilt, method=method, where=where) == expected
    assert expected == pytest.approx(6.0, rel=0.08)
    assert estimate_sigma(image, method=method, where=np.True_[None]) == estimate_sigma(image, method=method)
    rows = where[:, 60]
    assert estimate_sigma(spoilt, method=method, where=rows[:, None] & where) == expected
    assert math.isnan(estimate_sigma(image, method=method, where=np.zeros((1, 130), bool)))
    assert math.isnan(estimate_sigma(image, method=method, where=np.indices(image.shape).sum(axis=0) % 2 == 0))


@pytest.mark.parametrize("method", METHODS)
def test_nan_and_infinity(method: str) -> None:
    image = noisy((120, 130), 6.0).astype(np.float32)
    where = np.ones(image.shape, bool)
    where[40:60, 40:50] = False
    expected = estimate_sigma(image, method=method, where=where)
    holes = np.where(where, image, np.nan)
    assert math.isnan(estimate_sigma(holes, method=method))
    assert estimate_sigma(holes, method=method, nan_policy="omit") == expected
    assert estimate_sigma(holes, method=method, where=where) == expected
    assert estimate_sigma(holes, method=method, where=where, nan_policy="raise") == expected
    halves = np.where(np.arange(130) < 45, where, True), np.where(np.arange(130) < 45, True, where)
    assert estimate_sigma(np.where(halves[0], image, np.nan), method=method, where=halves[1], nan_policy="omit") == expected
    huge = np.where(where, image.astype(float) * 2.0**1000, np.nan)
    assert estimate_sigma(huge, method=method, nan_policy="omit") / 2.0**1000 == pytest.approx(expected, rel=1e-3)  # of float32
    with pytest.raises(ValueError, match=r"^image contains NaN and nan_policy is 'raise'"):
        estimate_sigma(holes, method=method, nan_policy="raise")
    assert math.isnan(estimate_sigma(np.full((9, 9), np.nan), method=method, nan_policy="omit"))
    for value in (np.inf, -np.inf):
        endless = np.where(where, image, np.float32(value))
        assert math.isnan(estimate_sigma(endless, method=method))
        assert math.isnan(estimate_sigma(endless, method=method, nan_policy="omit"))
        assert estimate_sigma(endless, method=method, where=where) == expected


@pytest.mark.parametrize("method", METHODS)
def test_a_nan_between_the_patches_is_seen(method: str) -> None:
    image = noisy((1500, 1501), 6.0).astype(np.float32)
    for at in ((1499, 1500), (0, 1500), (1499, 0), (741, 777)):
        image[at] = np.nan
        assert math.isnan(estimate_sigma(image, method=method))
        image[at] = 100


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_channels_are_measured_one_by_one(method: str, axis: int) -> None:
    channels = [noisy((90, 80), sigma, seed=sigma) for sigma in (2, 5, 11)]
    where = np.random.default_rng(3).random((90, 80)) > 0.001
    expected = tuple(estimate_sigma(channel, method=method, where=where) for channel in channels)
    masks = np.broadcast_to(np.expand_dims(where, axis % 3), np.stack(channels, axis).shape)
    assert estimate_sigma(np.stack(channels, axis), method=method, channel_axis=axis, where=masks) == expected
    assert expected == pytest.approx((2, 5, 11), rel=0.15)
    assert estimate_sigma(noisy((50, 1)), method=method, channel_axis=1) == (estimate_sigma(noisy((50,)), method=method),)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [kind for kind, (_, must) in bad_input.LAYOUTS.items() if must == "equal"])
def test_layouts_have_no_influence(method: str, kind: str) -> None:
    image = bad_input.LAYOUTS[kind][0]()
    before = np.array(image)
    plain = before.astype(before.dtype.newbyteorder("="))
    assert estimate_sigma(image, method=method) == estimate_sigma(plain, method=method)
    np.testing.assert_array_equal(np.array(image), before)


BAD: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (np.zeros((5, 5), bool), {}, TypeError, "image has dtype bool"),
    (np.zeros((5, 5), complex), {}, TypeError, "image has dtype complex128"),
    (np.zeros((5, 5), np.longdouble), {}, TypeError, "image has dtype"),
    (np.zeros((5, 5), object), {}, TypeError, "image has dtype object"),
    (np.ma.zeros((5, 5)), {}, TypeError, "image is a numpy.ma.MaskedArray"),
    (None, {}, TypeError, "image is of type NoneType"),
    ([[1, 2], [3]], {}, TypeError, "image is of type list"),
    (5.0, {}, ValueError, "image has no axes"),
    (np.zeros((0, 5)), {}, ValueError, "image has the shape"),
    (np.zeros((2, 2, 2, 2)), {}, ValueError, "image has 4 axes"),
    (np.zeros((2, 2, 2, 2, 2)), {"channel_axis": 0}, ValueError, "image has 5 axes"),
    (np.zeros(5), {"channel_axis": 0}, ValueError, "image has 1 axes"),
    (np.zeros((5, 5)), {"channel_axis": 2}, ValueError, "channel_axis is 2"),
    (np.zeros((5, 5)), {"channel_axis": 1.0}, TypeError, "channel_axis is 1.0"),
    (np.zeros((5, 5)), {"channel_axis": True}, TypeError, "channel_axis is True"),
    (np.zeros((5, 5)), {"where": np.ones((5, 5))}, TypeError, "where has dtype float64"),
    (np.zeros((5, 5)), {"where": np.ones((5, 4), bool)}, ValueError, "where has the shape"),
    (np.zeros((5, 5)), {"nan_policy": "ignore"}, ValueError, "nan_policy is 'ignore'"),
    (np.zeros((5, 5)), {"nan_policy": None}, TypeError, "nan_policy is None"),
]
METHOD_BAD: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (np.zeros((5, 5)), {"method": "mad"}, ValueError, "method is 'mad'; it must be 'pca' or 'wavelet'"),
    (np.zeros((5, 5)), {"method": 1}, TypeError, "method is 1 of type int; it must be 'pca' or 'wavelet'"),
]


@pytest.mark.parametrize(("image", "keywords", "error", "words"), BAD + METHOD_BAD)
def test_wrong_arguments_are_named(image: Any, keywords: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        estimate_sigma(image, **keywords)
    assert str(caught.value).startswith(words)


def test_only_the_image_is_positional() -> None:
    with pytest.raises(TypeError, match="positional"):
        estimate_sigma(np.zeros((5, 5)), "pca")


@pytest.mark.parametrize("method", METHODS)
def test_tensors(method: str) -> None:
    torch = pytest.importorskip("torch")
    image = noisy((90, 80)).astype(np.float32)
    where = image > 85
    tensor, mask = torch.from_numpy(image), torch.from_numpy(where)
    assert estimate_sigma(tensor, method=method) == estimate_sigma(image, method=method)
    assert estimate_sigma(tensor.T, method=method, where=mask.T) == estimate_sigma(image.T, method=method, where=where.T)
    with pytest.raises(ValueError, match=r"^image requires grad"):
        estimate_sigma(torch.zeros(5, 5, requires_grad=True), method=method)
    with pytest.raises(TypeError, match=r"^where is a numpy.ndarray on cpu and image a torch.Tensor"):
        estimate_sigma(tensor, method=method, where=where)


def test_dask_arrays_are_refused_with_advice() -> None:
    da = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match=r"^image is a dask array .* image\.compute\(\)"):
        estimate_sigma(da.ones((50, 50)))


@pytest.mark.parametrize("method", METHODS)
def test_memory_does_not_grow_with_the_image(method: str) -> None:
    image = np.random.default_rng(0).normal(0, 3, (3072, 3072)).astype(np.float32)
    where = np.broadcast_to(np.arange(3072) != 5, image.shape)
    for keywords in ({}, {"nan_policy": "omit"}, {"nan_policy": "raise"}, {"where": where}):
        for given in (image, image.T):
            tracemalloc.start()
            sigma = estimate_sigma(given, method=method, **keywords)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert sigma == pytest.approx(3.0, rel=0.03)
            assert peak < 20e6  # patches of 6 MB and what is made of them; the image has 38 MB


@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize("shape", [(512, 512), (181, 321), (2, 90000), (10000, 10000), (3, 1000, 1000), (1000000,), (9, 8)])
def test_patches_are_spread_over_the_whole_image(shape: tuple[int, ...], first: int) -> None:
    sides = tuple(min(n, 8) for n in shape)
    steps = _patches.spread(shape, sides, 24576, first)
    counts = [(n - side) // step + 1 for n, side, step in zip(shape, sides, steps, strict=True)]
    possible = math.prod(n - side + 1 for n, side in zip(shape, sides, strict=True))
    # an odd step becomes the next: of two axes one grows at a time, by 3 at most
    assert min(24576, possible / first ** len(shape)) / 3.5 < math.prod(counts) <= 24576
    assert all(step % 2 == 1 or step == first for step in steps)
    for n, side, step, count in zip(shape, sides, steps, counts, strict=True):
        assert n - (count - 1) * step - side < step


def test_blocks_of_jpeg_do_not_hide_the_noise() -> None:
    image = noisy((4000, 4096), 5.0)
    image[::8] = image[:, ::8] = 100.0  # every eighth row and column without noise: 23 % of the samples
    assert estimate_sigma(image) == pytest.approx(5.0 * math.sqrt(49 / 64), rel=0.12)


def test_the_same_bits_for_any_number_of_blas_threads() -> None:
    program = (
        "import numpy as np; from imrestore import noise\n"
        "x = np.random.default_rng(0).normal(100, 5, (512, 511)).astype(np.float32)\n"
        "for image in (x, x.astype(float), x[0], x[:64].reshape(-1, 7, 73)):\n"
        "    print(noise.estimate_sigma(image).hex(), noise.estimate_sigma(image, method='wavelet').hex(),\n"
        "          noise.estimate_poisson_gaussian(image * np.linspace(0, 2, image.shape[-1])))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"OPENBLAS_NUM_THREADS": threads}
        ).stdout
        for threads in ("1", "2", "3")
    }
    assert len(outputs) == 1


def test_threads_do_not_disturb_each_other() -> None:
    images = [noisy((60 + 3 * i, 90), seed=i) for i in range(12)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(estimate_sigma, images)) == [estimate_sigma(image) for image in images]


@pytest.mark.parametrize("method", METHODS)
def test_callers_float_errors_are_none_of_our_business(method: str) -> None:
    with np.errstate(all="raise"):
        assert estimate_sigma(noisy((40, 40)) * 1e300, method=method) > 0
        assert estimate_sigma(np.full((40, 40), 3e38, np.float32), method=method) == 0
        assert math.isnan(estimate_sigma(np.full((40, 40), np.inf), method=method))


def test_cupy_arrays_take_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = pytest.importorskip("cupy")
    stand_in = cupy_stand_in.Namespace()
    monkeypatch.setitem(sys.modules, "cupy", stand_in)
    image = noisy((120, 130), 6.0).astype(np.float32)
    image[5, 5] = np.nan
    where = image != image[7, 7]
    array, mask = stand_in.asarray(image), stand_in.asarray(where)
    assert _dispatch.library(array) == _dispatch.CUPY
    for method in METHODS:
        # one matrix product instead of many small ones
        expected = pytest.approx(estimate_sigma(image, method=method, where=where, nan_policy="omit"), rel=1e-6)
        assert estimate_sigma(array, method=method, where=mask, nan_policy="omit") == expected
        assert math.isnan(estimate_sigma(array, method=method))
    with pytest.raises(TypeError, match=r"^where "):
        estimate_sigma(array, where=where)
    assert {name for name in stand_in.used if not hasattr(cupy, name)} == set()
    assert {"einsum", "argpartition", "median"} <= stand_in.used


def test_it_is_part_of_the_package() -> None:
    assert imrestore.noise.estimate_sigma is estimate_sigma


@pytest.mark.parametrize("sigma", [5, 10, 25, 50])
def test_what_is_clipped_does_not_weaken_the_estimate(sigma: int) -> None:
    """Half of the noise in a black background is cut off; patches there are the smoothest of all."""
    picture = skimage.data.astronaut()[..., 0]
    assert (picture < 3).mean() > 0.1
    noise = np.random.default_rng(sigma).normal(0, sigma, picture.shape)
    noisy = np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)
    assert estimate_sigma(noisy) == pytest.approx(sigma, rel=0.08)
