"""The published chains: their constants, their results, and that both rings and any batch make the same of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda import batches as cuda_batches

from imrestore import degrade, metrics
from imrestore.degrade import _run
from tests.backends import same_bits
from tests.cuda_on_cpu.emulator import Emulator, compiler
from tests.damage_steps import CHAINS, STEPS, photograph

MANY = 4000


def drawn(chain: degrade.Chain) -> list[list[tuple[str, dict[str, Any]]]]:
    return chain.draw((3, 64, 64), rng=1, count=MANY)


def near(share: float, wanted: float, of: int = MANY) -> bool:
    """Within four standard deviations of a share of ``of``."""
    return abs(share - wanted) <= 4 * (wanted * (1 - wanted) / of) ** 0.5 + 1e-12


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("shape", [(64, 48), (40, 36)])
def test_sizes(name: str, shape: tuple[int, int]) -> None:
    scale = 2 if "by 2" in name else 4
    images = np.stack([photograph(*shape)] * 24)
    result = CHAINS[name](images, rng=3)
    assert result.shape == (24, 3, shape[0] // scale, shape[1] // scale)
    assert np.isfinite(result).all()
    if name != "classical":
        assert result.min() >= 0
        assert result.max() <= 1
        np.testing.assert_allclose(result * 255, np.rint(result * 255), atol=1e-3)  # what a file of 8 bits holds


@pytest.mark.parametrize("name", CHAINS)
def test_what_comes_out_is_the_picture_and_damaged(name: str) -> None:
    image = photograph(96, 96)
    clean = degrade.Resize(0.5 if "by 2" in name else 0.25, method="area")(image, channel_axis=0)
    damaged = CHAINS[name](np.stack([image] * 40), rng=5)
    quality = np.array([metrics.psnr(one, clean, data_range=1.0) for one in damaged])
    assert 20 < quality.mean() < 34
    assert (quality > 12).all()
    assert (quality < 50).all()


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float64"])
def test_units_follow_the_white_of_the_image(name: str, dtype: str) -> None:
    """The same picture in another dtype comes out the same, but for rounding."""
    image = photograph(32, 32)
    white = {"uint8": 255, "uint16": 65535, "float64": 1}[dtype]
    exact = np.rint(image * 255) / 255
    given = np.rint(exact * white).astype(dtype) if white > 1 else exact.astype(dtype)
    for index in range(6):
        wanted = CHAINS[name](exact.astype(np.float32), rng=2, index=index, channel_axis=0)
        found = CHAINS[name](given, rng=2, index=index, channel_axis=0)
        assert found.dtype == dtype
        difference = np.abs(np.clip(wanted, 0, 1) - np.clip(found / white, 0, 1))
        assert np.quantile(difference, 0.9) < 2.5 / 255  # a level of JPEG's may fall on the other side of a half
        assert difference.mean() < 1.5 / 255


def test_bsrgan_draws_what_was_published() -> None:
    samples = drawn(degrade.bsrgan(4))
    starts = Counter(steps[0][0] for steps in samples)
    assert {"GaussianBlur", "Resize", "GaussianNoise", "ColorNoise", "JPEG"} >= set(starts)
    assert all(steps[-1][0] == "JPEG" for steps in samples)
    jpegs = [sum(name == "JPEG" for name, _ in steps) for steps in samples]
    assert set(jpegs) == {1, 2}
    assert near(jpegs.count(2) / MANY, 0.9)
    blurs = [p for steps in samples for name, p in steps if name == "GaussianBlur"]
    plain = [p for p in blurs if p["size"] != 25 or "sigma2" in p]
    assert all(7 <= p["size"] <= 25 for p in plain)
    assert max(p["sigma"] for p in plain) <= max(8**0.5, 2.8)
    noises = [(name, p) for steps in samples for name, p in steps if name in ("GaussianNoise", "ColorNoise")]
    assert len(noises) == MANY, "noise is there once"
    assert near(sum(name == "ColorNoise" for name, _ in noises) / MANY, 0.2)
    assert {p["sigma"] for name, p in noises if name == "GaussianNoise"} == set(range(2, 26))
    qualities = {p["quality"] for steps in samples for name, p in steps if name == "JPEG"}
    assert qualities == set(range(30, 96))
    sizes = [[(p["height"], p["width"]) for name, p in steps if name == "Resize"] for steps in samples]
    assert all(one[-1] == (16, 16) for one in sizes)
    assert near(sum(one[0] == (32, 32) and len(one) == 3 for one in sizes) / MANY, 0.25, MANY // 2)
    assert all(16 / 4 <= h <= 64 for one in sizes for h, _ in one)


def test_real_esrgan_draws_what_was_published() -> None:
    samples = drawn(degrade.real_esrgan(4))
    for steps in samples:
        names = [name for name, _ in steps]
        assert names.count("JPEG") == 2
        assert names.count("Resize") == 3
        assert names[-1] == "Quantize"
        assert sum(name in ("GaussianNoise", "PoissonNoise") for name in names) == 2
    first = [steps[0] for steps in samples]
    share = Counter(name for name, _ in first)
    long = sum("sigma2" in p for _, p in first)
    assert near(share["SincBlur"] / MANY, 0.1)
    assert near(share["GaussianBlur"] / MANY, 0.9 * 0.7)
    assert near(share["GeneralizedGaussianBlur"] / MANY, 0.9 * 0.15)
    assert near(share["PlateauBlur"] / MANY, 0.9 * 0.15)
    assert near(long / MANY, 0.9 * 0.31)
    assert all(0.2 <= p["sigma"] <= 3 for name, p in first if name != "SincBlur")
    noise = [next((n, p) for n, p in steps if n in ("GaussianNoise", "PoissonNoise")) for steps in samples]
    assert near(sum(name == "GaussianNoise" for name, _ in noise) / MANY, 0.5)
    assert near(sum(bool(p["grey"]) for _, p in noise) / MANY, 0.4)
    assert all(1 <= p["sigma"] <= 30 for name, p in noise if name == "GaussianNoise")
    assert all(0.05 <= p["scale"] <= 3 and p["peak"] == 256 for name, p in noise if name == "PoissonNoise")
    heights = np.array([next(p["height"] for n, p in steps if n == "Resize") for steps in samples])
    assert near((heights < 64).mean(), 0.7)
    assert near((heights == 64).mean(), 0.1 + 0.7 / (64 * 0.85))  # the last of the smaller ones is rounded up to it
    assert heights.min() >= 9
    assert heights.max() <= 96
    last = [[name for name, _ in steps if name in ("JPEG", "SincBlur")][-1] for steps in samples]
    assert near(last.count("SincBlur") / MANY, 0.4)


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
@pytest.mark.parametrize("name", ["bsrgan", "real_esrgan", *STEPS])
def test_both_rings_make_the_same_of_any_batch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.stack([photograph(32, 24), photograph(32, 24)[::-1]] * 4)
    numbers = [5, 3, 17, 4, 9, 12, 0, 7]
    chain = {**CHAINS, **STEPS}[name]
    wanted = np.stack([chain(one, rng=7, index=k, channel_axis=0) for one, k in zip(images, numbers, strict=True)])
    assert same_bits(chain(images, rng=7, index=numbers), wanted)
    monkeypatch.setattr(_run, "ring", lambda device: cuda_batches)
    with _launch.use(Emulator()):
        found = chain(images, rng=7, index=numbers)
    assert same_bits(found, wanted)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: degrade.bsrgan(0), ValueError, r"^scale is 0; it must be a whole number from 1 to 16"),
        (lambda: degrade.real_esrgan(2.5), TypeError, r"^scale is 2\.5 of type float; it must be"),
        (lambda: degrade.classical(17), ValueError, r"^scale is 17; it must be"),
        (lambda: degrade.classical(noise="pink"), ValueError, r"^noise is 'pink'; it must be 'gaussian' or 'poisson'"),
        (lambda: degrade.classical(sigma=-1), ValueError, r"^sigma is -1; it must be"),
    ],
)
def test_arguments_that_cannot_be_meant(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_photon_noise_of_the_classical_chain() -> None:
    image = np.full((64, 64), 0.5, np.float32)
    noisy = degrade.classical(1, sigma=20, noise="poisson")(image, rng=1)
    assert abs(noisy.std() - 20 / 255 * 0.5**0.5) < 0.003


@pytest.mark.parametrize("scale", [0.0, 0.25, 1.0, 3.0])
def test_photon_noise_is_multiplied(scale: float) -> None:
    image = np.full((128, 128), 0.5, np.float32)
    noise = degrade.PoissonNoise(256, scale=scale)(image, rng=1) - image
    assert abs(noise.std() - scale * (0.5 / 256) ** 0.5) <= 0.02 * scale * (0.5 / 256) ** 0.5
