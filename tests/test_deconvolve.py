"""Deconvolution: what it gains, where the middle of a point is, and its contract."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from skimage import data

import imrestore
from imrestore.repair import deconvolve
from tests.backends import same_bits

BOX = np.full((5, 5), 1 / 25)
NAN, INF = float("nan"), float("inf")


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    """No NumPy warning reaches a caller, whatever he has set."""
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        yield


@cache
def camera(side: int = 128) -> np.ndarray:
    return data.camera()[100 : 100 + 2 * side : 2, 150 : 150 + 2 * side : 2].astype(np.float64)


def blurred(clean: np.ndarray, psf: np.ndarray, sigma: float, mode: str = "reflect", seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, clean.shape)
    return ndimage.convolve(clean, psf, mode=mode) + noise


def decibels(image: np.ndarray, clean: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((image - clean) ** 2)))


def lorentzian() -> np.ndarray:
    y, x = np.mgrid[-7:8, -7:8]
    psf = 1 / (1 + y**2 + x**2)
    return psf / psf.sum()


def gauss() -> np.ndarray:
    y, x = np.mgrid[-6:7, -6:7]
    psf = np.exp(-(y**2 + x**2) / (2 * 1.6**2))
    return psf / psf.sum()


# Figures of this code on this picture, less 0.3 dB.
@pytest.mark.parametrize("mode", ["reflect", "wrap"])
@pytest.mark.parametrize(
    ("psf", "sigma", "gain"),
    [(lorentzian(), 2**0.5, 7.1), (lorentzian(), 8**0.5, 5.3), (np.full((9, 9), 1 / 81), 0.56, 7.5), (gauss(), 2.0, 2.9)],
    ids=["lorentz-weak", "lorentz-strong", "box", "gauss"],
)
def test_gain(psf: np.ndarray, sigma: float, gain: float, mode: str) -> None:
    clean = camera()
    image = blurred(clean, psf, sigma, mode)
    result = deconvolve(image, psf, sigma, mode=mode)
    assert decibels(result, clean) - decibels(image, clean) > gain
    assert decibels(result, clean) > decibels(wiener(image, psf, sigma, clean), clean) + 0.5


def wiener(image: np.ndarray, psf: np.ndarray, sigma: float, clean: np.ndarray) -> np.ndarray:
    """Wiener's filter on a torus with the true variance of the image, one number for all frequencies."""
    wide = np.zeros(image.shape)
    wide[: psf.shape[0], : psf.shape[1]] = psf
    transfer = np.fft.fft2(np.roll(wide, [-(k // 2) for k in psf.shape], (0, 1)))
    ratio = sigma**2 / clean.var()
    spectrum = np.fft.fft2(image - image.mean()) * transfer.conj() / (abs(transfer) ** 2 + ratio)
    return np.fft.ifft2(spectrum).real + image.mean()


def test_the_end_of_a_torus_is_its_beginning() -> None:
    clean = camera(64)
    image = blurred(clean, BOX, 1.0, "wrap")
    expected = deconvolve(image, BOX, 1.0, mode="wrap")
    inner, outer = np.s_[8:-8, 8:-8], np.ones(clean.shape, bool)
    outer[inner] = False
    wrong = deconvolve(image, BOX, 1.0, mode="reflect")
    assert ((wrong - clean)[outer] ** 2).mean() > 1.5 * ((expected - clean)[outer] ** 2).mean()


@pytest.mark.parametrize("shape", [(5, 5), (4, 4), (1, 6), (7, 2), (3, 1)])
def test_the_middle_of_a_point_is_at_half_its_size(shape: tuple[int, int]) -> None:
    """As for scipy.ndimage.convolve; the image does not move."""
    clean = camera(64)
    psf = np.random.default_rng(4).random(shape) + 0.2
    psf /= psf.sum()
    result = deconvolve(blurred(clean, psf, 0.5), psf, 0.5)
    moved = [decibels(np.roll(result, shift, (0, 1)), clean) for shift in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))]
    assert moved[0] > max(moved[1:]) + 2


def test_a_point_that_is_one_leaves_bm3d() -> None:
    clean = camera(64)
    noisy = clean + np.random.default_rng(1).normal(0, 15, clean.shape)
    apart = decibels(deconvolve(noisy, [[1]], 15), clean) - decibels(imrestore.bm3d(noisy, 15), clean)
    assert abs(apart) < 0.4


def test_a_point_of_any_brightness() -> None:
    image = blurred(camera(48), BOX, 1.0)
    for factor in (4.0, -0.3, 1e-150):
        np.testing.assert_allclose(deconvolve(image, factor * BOX, 1.0) * factor, deconvolve(image, BOX, 1.0), rtol=1e-9, atol=1e-3)


def test_colours_together_are_better_than_apart() -> None:
    clean = data.astronaut()[50:250:2, 100:300:2].astype(np.float64)
    image = np.stack([blurred(clean[..., c], BOX, 7.2, seed=c) for c in range(3)], -1)
    together = deconvolve(image, BOX, 7.2, channel_axis=-1)
    apart = np.stack([deconvolve(image[..., c], BOX, 7.2) for c in range(3)], -1)
    assert decibels(together, clean) > decibels(apart, clean) + 0.3
    moved = deconvolve(image.transpose(2, 0, 1), BOX, (7.2, 7.2, 7.2), channel_axis=0)
    assert same_bits(np.ascontiguousarray(moved.transpose(1, 2, 0)), together)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "float16", "float32", "float64"])
def test_what_goes_in_comes_out(dtype: str) -> None:
    image = np.clip(np.rint(blurred(camera(40), BOX, 1.0)), 0, 255)
    expected = deconvolve(image, BOX, 1.0)
    given = image.astype(dtype)
    result = deconvolve(given, BOX, 1.0)
    assert result.dtype == given.dtype
    rounding = {"float16": 0.15, "float32": 1e-4, "float64": 0.0}.get(dtype, 0.501)
    np.testing.assert_allclose(result.astype(float), np.clip(expected, 0, 255) if dtype == "uint8" else expected, atol=rounding)
    out = np.zeros((40, 80), dtype)[:, ::2]
    assert deconvolve(given, BOX, 1.0, out=out) is out
    assert same_bits(np.ascontiguousarray(out), result)
    stack = np.stack([given, given[::-1]])
    both = deconvolve(stack, BOX, 1.0, axes=(1, 2))
    assert same_bits(np.ascontiguousarray(both[0]), result)
    assert not np.array_equal(both[1], result)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (3, 2), (9, 50)])
@pytest.mark.parametrize("mode", ["reflect", "wrap"])
def test_images_smaller_than_the_point(shape: tuple[int, int], mode: str) -> None:
    image = np.random.default_rng(0).normal(100, 5, shape)
    result = deconvolve(image, np.full((11, 11), 1 / 121), 5.0, mode=mode)
    assert np.isfinite(result).all()
    assert abs(result - 100).max() < 60


def test_values_of_any_size() -> None:
    image = blurred(camera(40), BOX, 1.0)
    expected = deconvolve(image, BOX, 1.0)
    for power in (-1000, -300, 300, 1000):
        result = deconvolve(np.ldexp(image, power), BOX, float(np.ldexp(1.0, power)))
        np.testing.assert_allclose(np.ldexp(result, -power), expected, rtol=1e-6, atol=1e-4)
    assert np.isfinite(deconvolve(image, BOX, 0)).all()
    assert np.isfinite(deconvolve(image, BOX, 1e300)).all()
    assert not deconvolve(np.zeros((20, 20)), BOX, 1.0).any()
    assert np.isnan(deconvolve(np.where(image == image[3, 3], NAN, image), BOX, 1.0)).all()


def test_noise_is_estimated() -> None:
    image = blurred(camera(), BOX, 3.0)
    sigma = imrestore.noise.estimate_sigma(image)
    assert same_bits(deconvolve(image, BOX), deconvolve(image, BOX, sigma))


def test_any_number_of_threads_and_layout_has_the_same_bits() -> None:
    image = blurred(camera(), BOX, 1.0)
    expected = deconvolve(image, BOX, 1.0)
    for threads in (1, 2, 5):
        with imrestore.threads(threads):
            assert same_bits(deconvolve(np.asfortranarray(image), BOX, 1.0), expected)
    torch = pytest.importorskip("torch")
    assert same_bits(deconvolve(torch.from_numpy(image), BOX, 1.0).numpy(), expected)


def test_progress_increases_and_ends_at_1() -> None:
    image, heard = blurred(camera(64), BOX, 1.0), []
    assert same_bits(deconvolve(image, BOX, 1.0, callback=heard.append), deconvolve(image, BOX, 1.0))
    assert heard == sorted(heard)
    assert heard[-1] == 1
    assert len(heard) > 4

    def stop(_: float) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        deconvolve(image, BOX, 1.0, callback=stop)


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"psf": np.ones(3)}, ValueError, "psf "),
    ({"psf": np.ones((2, 2, 2))}, ValueError, "psf "),
    ({"psf": np.zeros((3, 3))}, ValueError, "psf "),
    ({"psf": [[1, -1]]}, ValueError, "psf "),
    ({"psf": [[NAN]]}, ValueError, "psf "),
    ({"psf": [[1j]]}, TypeError, "psf "),
    ({"psf": "box"}, TypeError, "psf "),
    ({"psf": None}, TypeError, "psf "),
    ({"psf": np.zeros((0, 3))}, ValueError, "psf "),
    ({"sigma": -1}, ValueError, "sigma "),
    ({"sigma": NAN}, ValueError, "sigma "),
    ({"sigma": "1"}, TypeError, "sigma "),
    ({"sigma": (1, 2)}, ValueError, "sigma "),
    ({"sigma": np.ones((20, 20))}, ValueError, "sigma "),
    ({"method": "wiener"}, ValueError, "method "),
    ({"method": None}, TypeError, "method "),
    ({"profile": "best"}, ValueError, "profile "),
    ({"mode": "nearest"}, ValueError, "mode "),
    ({"mode": 3}, TypeError, "mode "),
    ({"callback": 3}, TypeError, "callback "),
    ({"axes": 0}, ValueError, "axes "),
    ({"channel_axis": 7}, ValueError, "channel_axis "),
    ({"out": np.zeros((3, 3))}, ValueError, "out "),
]


@pytest.mark.parametrize(("wrong", "error", "name"), BAD, ids=[f"{next(iter(w))}-{i}" for i, (w, _, _) in enumerate(BAD)])
def test_bad_arguments_are_named(wrong: dict[str, Any], error: type[Exception], name: str) -> None:
    with pytest.raises(error, match=rf"^{name}"):
        deconvolve(np.ones((20, 20)), **{"psf": BOX, "sigma": 1.0} | wrong)


def test_dask_is_refused() -> None:
    da = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match=r"^image is a lazy dask array"):
        deconvolve(da.ones((20, 20)), BOX, 1.0)

