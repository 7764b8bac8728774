"""Non-local means and the bilateral filter where squares vanish or overflow, on both rings: far below sigma, far from one."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from imrestore_kernels.cuda import _launch

import imrestore
from tests import oracles
from tests.cuda_on_cpu.emulator import Emulator, compiler

RNG = np.random.default_rng(20)
NOISY = RNG.normal(100, 20, (14, 17))
MASKS = {"whole": None, "masked": RNG.random(NOISY.shape) > 0.3}


@pytest.fixture(params=["cpu", "cuda"])
def _ring(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The public functions with the kernels of either ring."""
    if request.param == "cpu":
        yield
        return
    if compiler() is None:
        pytest.skip("the CUDA emulator needs g++")
    for name in ("nl_means", "bilateral"):
        monkeypatch.setitem(sys.modules, f"imrestore_kernels.cpu.{name}", importlib.import_module(f"imrestore_kernels.cuda.{name}"))
    with _launch.use(Emulator("forward")):
        yield


def check(name: str, image: np.ndarray, *arguments: float, **options: Any) -> None:
    result = getattr(imrestore, name)(image, *arguments, **options)
    getattr(oracles, name)(image, *arguments, **options).assert_matches(result)


@pytest.mark.usefixtures("_ring")
@pytest.mark.parametrize("where", MASKS.values(), ids=MASKS.keys())
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
@pytest.mark.parametrize("share", [0.06, 1e-2, 1e-3, 1e-5, 1e-8, 1e-19, 1e-30, 1e-160, 1e-300])
def test_h_far_below_sigma(share: float, dtype: str, where: np.ndarray | None) -> None:
    """Weights are 1 or next to nothing; float32 has no digits left to tell which, and sigma / h has a square that overflows."""
    image = np.clip(NOISY, 0, 255).astype(dtype)
    check("nl_means", image, 20.5, h=20.5 * share, patch_size=3, patch_distance=3, where=where)


@pytest.mark.usefixtures("_ring")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("share", [0.06, 1e-2, 1e-3])
def test_weights_of_an_h_far_below_sigma_keep_their_digits(share: float, dtype: str) -> None:
    """Pairs of a zero and a number: nothing but one weight stands between them. In float32, results were off by 1e-3 for 0.01."""
    h = np.longdouble(100 * share)
    exponents = np.linspace(0.1, 9, 300)
    numbers = np.sqrt(2 * 100**2 + exponents * float(h) ** 2)
    image = np.stack([np.zeros_like(numbers), numbers], 1).astype(dtype)
    result = imrestore.nl_means(image, 100.0, h=float(h), patch_size=1, patch_distance=1, axes=1, mode="wrap")
    exact = np.exp(np.minimum(2 * 100**2 - image[:, 1].astype(np.longdouble) ** 2, 0) / h**2)
    exact = image[:, 1] * 2 * exact / (1 + 2 * exact)  # the other one is left and right of it
    np.testing.assert_allclose(result[:, 0], exact.astype(float), rtol=2e-6)


@pytest.mark.usefixtures("_ring")
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("masked", [False, True])
def test_a_distance_of_two_variances_weighs_as_much_as_none(dtype: str, masked: bool) -> None:
    """D is (4**2 + 0) / 2 = 8 for the two in the middle, and 2 sigma**2 is 8."""
    image = np.array([[40, 0], [0, 0], [4, 0], [90, 0]], dtype)
    where = np.ones(image.shape, bool) if masked else None
    result = imrestore.nl_means(image, 2.0, h=1e-30, patch_size=1, patch_distance=1, channel_axis=-1, where=where)
    np.testing.assert_allclose(result[:, 0].astype(float), [40, 2, 2, 90], rtol=0.2 if dtype != "uint8" else 0)


@pytest.mark.usefixtures("_ring")
@pytest.mark.parametrize("where", MASKS.values(), ids=MASKS.keys())
@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e-152, 1e152, 1e200, 1e300])
def test_units_whose_squares_a_float_cannot_hold(unit: float, where: np.ndarray | None) -> None:
    image = NOISY * unit
    check("bilateral", image, 20 * unit, 1.5, where=where)
    check("nl_means", image, 15 * unit, h=10 * unit, patch_size=3, patch_distance=2, where=where)


@pytest.mark.usefixtures("_ring")
@pytest.mark.parametrize("where", MASKS.values(), ids=MASKS.keys())
@pytest.mark.parametrize(("unit", "strength"), [(1e-200, 1e200), (1e-25, 1e300), (1e-300, 1e300), (1e100, 1e-40)])
def test_strengths_far_from_the_image(unit: float, strength: float, where: np.ndarray | None) -> None:
    image = NOISY * unit
    check("bilateral", image, strength, 1.5, where=where)
    check("nl_means", image, 0.0, h=strength, patch_size=3, patch_distance=2, where=where)
    check("nl_means", image, strength, h=unit, patch_size=3, patch_distance=2, where=where)


@pytest.mark.usefixtures("_ring")
def test_masked_samples_unlike_all_others_still_have_a_mean() -> None:
    """Squares of 1e200 / 1e-200 overflow whatever the unit."""
    result = imrestore.nl_means(NOISY * 1e200, 0.0, h=1e-200, patch_size=3, patch_distance=2, where=MASKS["masked"])
    assert np.isfinite(result).all()
    assert result.min() >= 1e200 * NOISY.min()
    assert result.max() <= 1e200 * NOISY.max()


@pytest.mark.parametrize("where", [None, np.ones((50, 60), bool)], ids=["whole", "masked"])
@pytest.mark.parametrize("unit", [2.0**-1000, 2.0**-600, 2.0**600, 2.0**1000])
def test_sigma_is_estimated_in_any_unit(unit: float, where: np.ndarray | None) -> None:
    """The squares of the estimates vanished, and the image came back as it was, or overflowed."""
    image = RNG.normal(100, 20, (50, 60))
    expected = imrestore.nl_means(image, patch_distance=2, where=where)
    np.testing.assert_allclose(imrestore.nl_means(image * unit, patch_distance=2, where=where) / unit, expected, rtol=1e-13)
