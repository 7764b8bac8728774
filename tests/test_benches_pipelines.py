"""Others' chains of damage and augmentation, which ours are timed beside: they do what they are published to do."""

from __future__ import annotations

import io
import os
import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from benches import damage, throughput
from benches.pipelines import augmentation, bsrgan, real_esrgan
from benches.suites import degrade as suite

PHOTOGRAPH = damage.colours(48)


# BSRGAN's chain


def test_both_ways_of_bsrgan_are_the_same() -> None:
    published, fast = bsrgan.AS_PUBLISHED, bsrgan.WITH_OPENCV
    covariance = np.array([[3.0, 1.2], [1.2, 2.0]])
    shifted = bsrgan.shifted(bsrgan.gaussian(25, 1.7), 4)
    for calls in (
        [way.isotropic(PHOTOGRAPH, 9, 1.3) for way in (published, fast)],
        [way.anisotropic(PHOTOGRAPH, 7, covariance) for way in (published, fast)],
        [way.convolve(PHOTOGRAPH, shifted) for way in (published, fast)],
        [way.halve(PHOTOGRAPH) for way in (published, fast)],
    ):
        np.testing.assert_allclose(*calls, atol=1e-6)
        assert calls[0].dtype == calls[1].dtype == np.float32


def test_halving_is_bicubic_and_antialiased() -> None:
    planes = torch.from_numpy(PHOTOGRAPH.transpose(2, 0, 1).copy())[None]
    small = torch.nn.functional.interpolate(planes, size=(24, 24), mode="bicubic", antialias=True)[0].permute(1, 2, 0).numpy()
    inside = (slice(2, -2), slice(2, -2))  # torch leaves out what is beyond the border
    np.testing.assert_allclose(bsrgan.halve_with_opencv(PHOTOGRAPH)[inside], small[inside], atol=1e-6)


def test_a_shifted_kernel_keeps_the_pixels_in_place() -> None:
    taps = bsrgan.shifted(bsrgan.gaussian(25, 1.7), 4)
    x = np.arange(25) - 12
    assert taps.sum() == pytest.approx(1)
    # Of four pixels the first is kept: their middle lies 1.5 behind it, and so does that of the window after convolution.
    assert (taps @ x).sum() == pytest.approx(-1.5, abs=1e-3)
    assert (taps.T @ x).sum() == pytest.approx(-1.5, abs=1e-3)


def test_resizing_ends_what_shrinking_began_and_all_else_is_shuffled() -> None:
    dice = bsrgan.Dice.of(3)
    orders = [bsrgan.order(dice) for _ in range(400)]
    assert all(order.index("shrink") < order.index("resize") for order in orders)
    assert {tuple(sorted(order)) for order in orders} == {("blur", "blur again", "jpeg", "noise", "resize", "shrink")}
    firsts = [order[0] for order in orders]
    assert 100 < firsts.count("shrink") < 170  # a third
    assert 45 < firsts.count("noise") < 90  # a sixth


@pytest.mark.parametrize("way", [bsrgan.AS_PUBLISHED, bsrgan.WITH_OPENCV])
def test_noise_of_bsrgan_is_as_strong_in_all_channels(way: bsrgan.Way) -> None:
    dice = bsrgan.Dice.of(5)
    noise = way.white(dice, 0.1, (90, 90, 3))
    np.testing.assert_allclose(noise.std((0, 1)), 0.1, rtol=0.05)
    assert abs(np.corrcoef(noise.reshape(-1, 3).T)[0, 1]) < 0.05
    assert way.white(dice, 0.1, (9, 9, 1)).shape == (9, 9, 1)
    covariance = np.array([[2.0, 1, 0.5], [1, 3, 0], [0.5, 0, 1]])
    found = np.cov(way.correlated(dice, covariance, (200, 200)).reshape(-1, 3).T)
    np.testing.assert_allclose(found, covariance, atol=0.1)


@pytest.mark.parametrize("name", bsrgan.WAYS)
def test_patches_of_bsrgan_are_damaged_patches(name: str) -> None:
    image = damage.colours(bsrgan.SIDE)
    made = [bsrgan.WAYS[name](image, seed) for seed in (1, 2)]
    assert {(one.shape, one.dtype.name) for one in made} == {((72, 72, 3), "float32")}
    assert all(12 < suite.likeness(one, image, 72) < 30 for one in made)
    np.testing.assert_array_equal(image, damage.colours(bsrgan.SIDE))
    assert not image.flags.writeable


# Real-ESRGAN's chain


def test_kernels_are_of_every_kind_and_add_up_to_one() -> None:
    dice = real_esrgan.Dice(random.Random(1), np.random.RandomState(1))
    first, second, final = (np.stack(kernels) for kernels in zip(*(real_esrgan.kernels_of(dice) for _ in range(200)), strict=True))
    for kernels in (first, second, final):
        assert kernels.shape == (200, 21, 21)
        np.testing.assert_allclose(kernels.sum((1, 2)), 1, atol=1e-5)
    assert 0.05 < np.mean(first.min((1, 2)) < -1e-3) < 0.15  # only ringing ones have negative weights
    assert 0.12 < np.mean(final.max((1, 2)) == 1) < 0.28  # a pulse for every fifth
    reach = np.arange(21) - 10
    variances = (first * reach**2).sum((1, 2))[first.min((1, 2)) >= 0]
    assert 1.0 < np.median(variances) < 5.0


def test_shapes_of_kernels_are_those_of_the_formulas() -> None:
    sigmas = np.array([2.0, 1.0])
    distance = real_esrgan.mahalanobis(7, sigmas, np.pi / 2)  # the longer axis is the vertical one
    np.testing.assert_allclose(distance[3], (np.arange(7) - 3.0) ** 2, atol=1e-12)
    np.testing.assert_allclose(distance[:, 3], ((np.arange(7) - 3) / 2) ** 2, atol=1e-12)
    # A sinc lets low frequencies pass and none above its cutoff, as far as its size allows.
    response = np.abs(np.fft.fft(real_esrgan.sinc(21, np.pi / 2).sum(0), 64))
    assert response[:8].min() > 0.9
    assert response[24:32].max() < 0.1


def test_every_sample_is_filtered_with_its_own_kernel() -> None:
    rng = np.random.default_rng(2)
    batch, kernels = rng.random((2, 3, 24, 30), np.float32), rng.random((2, 21, 21), np.float32)
    found = real_esrgan.filtered(torch.from_numpy(batch), torch.from_numpy(kernels)).numpy()
    for image, kernel, result in zip(batch, kernels, found, strict=True):
        np.testing.assert_allclose(result, [ndimage.correlate(plane, kernel, mode="mirror") for plane in image], rtol=1e-4)


def test_noise_of_real_esrgan_is_drawn_for_every_sample() -> None:
    torch.manual_seed(4)
    grey = torch.full((300, 3, 8, 8), 128 / 255)
    noise = real_esrgan.gaussian(grey, (10, 20)).numpy() * 255
    shared = (noise == noise[:, :1]).all((1, 2, 3))
    assert 0.3 < shared.mean() < 0.5
    deviations = noise[~shared].std((1, 2, 3))
    assert np.quantile(deviations, (0.05, 0.5, 0.95)) == pytest.approx([10.5, 15, 19.5], abs=1.2)
    ramp = torch.linspace(0, 1, 64).view(1, 1, 8, 8).repeat(300, 3, 1, 1)
    levels = (ramp[0, 0] * 255).round() / 255
    assert real_esrgan.shot(ramp).var((0, 1)).numpy() == pytest.approx(levels.numpy() / 64, rel=0.25)
    noise = real_esrgan.poisson(ramp, (1.0, 1.0)).numpy()
    assert 0.3 < (noise == noise[:, :1]).all((1, 2, 3)).mean() < 0.5


def test_jpeg_of_real_esrgan_is_nearly_that_of_pillow() -> None:
    batch = torch.from_numpy(PHOTOGRAPH[:40, :45].transpose(2, 0, 1).copy())[None]  # no whole number of blocks
    torch.manual_seed(6)
    found = real_esrgan.compressed(batch)[0].permute(1, 2, 0).numpy()
    torch.manual_seed(6)
    quality = round(float(torch.empty(1).uniform_(*real_esrgan.QUALITY)))
    file = io.BytesIO()
    Image.fromarray(np.uint8(np.rint(PHOTOGRAPH[:40, :45] * 255))).save(file, "jpeg", quality=quality)
    inside = (slice(32), slice(32))
    pillow = np.asarray(Image.open(file)) / 255
    error = np.mean((found - pillow)[inside] ** 2)
    assert error < 0.2 * np.mean((PHOTOGRAPH[:40, :45] - pillow)[inside] ** 2)


def test_batches_of_real_esrgan_are_damaged_batches() -> None:
    image = damage.colours(96)
    batch = torch.from_numpy(np.stack([image.transpose(2, 0, 1)] * 2))
    with throughput.limited(1):
        for seed in range(3):
            made = real_esrgan.degrade(batch, seed)
            assert (made.shape, made.dtype) == ((2, 3, 24, 24), torch.float32)
            assert all(12 < suite.likeness(one.permute(1, 2, 0).numpy(), image, 24) < 35 for one in made)
            assert not torch.equal(made[0], made[1])
        assert torch.equal(made, real_esrgan.degrade(batch, seed))


# Chains of augmentation


class Part:
    """A step of a package that is not there: what it was told."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *arguments: Any, **options: Any) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        return self.name, arguments, options


class Package:
    def __init__(self, compose: str) -> None:
        self.compose, self.composed = compose, []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.made if name == self.compose else Part(name)

    def made(self, *steps: Any, **options: Any) -> Callable[..., Any]:
        steps = steps[0] if isinstance(steps[0], list) else steps
        self.composed.append(([step[0] for step in steps], options))
        return lambda *image, **named: {"image": (*image, *named.values())[0] + 1} if named else image[0] + 1


def test_peers_of_augmentation_are_told_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_ALBUMENTATIONS_UPDATE", "0")
    one, batch = Package("Compose"), Package("AugmentationSequential")
    for name, module in (("albumentations", one), ("kornia", Package("")), ("kornia.augmentation", batch)):
        monkeypatch.setitem(sys.modules, name, module)
    for chain in augmentation.CHAINS:
        for make in (augmentation.albumentations, augmentation.kornia):
            augment = make(chain)
            assert augment is not None
            assert augment(3) == 4
    flip, random = "HorizontalFlip", "RandomHorizontalFlip"
    assert [steps for steps, _ in one.composed] == [
        [flip, "RandomCrop"], [flip, "Affine"], ["ColorJitter"], [flip, "Affine", "RandomCrop", "ColorJitter", "GaussNoise"],
    ]  # fmt: skip
    assert [steps for steps, _ in batch.composed] == [
        [random, "RandomCrop"], [random, "RandomAffine"], ["ColorJitter"],
        [random, "RandomAffine", "RandomCrop", "ColorJitter", "RandomGaussianNoise"],
    ]  # fmt: skip
    assert os.environ["NO_ALBUMENTATIONS_UPDATE"] == "1"


def test_packages_that_are_not_installed_are_no_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("albumentations", "kornia"):
        monkeypatch.setitem(sys.modules, name, None)
    assert augmentation.albumentations(augmentation.CROPPED) is None
    assert augmentation.kornia(augmentation.CROPPED) is None
