"""Augmentation: what the steps do to pixels, targets, masks and batches, and how they join."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda import batches as cuda_batches
from scipy import ndimage

from imrestore import augment, degrade
from imrestore.degrade import _run
from imrestore.degrade._plan import Batch, Draw
from tests.backends import same_bits
from tests.cuda_on_cpu.emulator import Emulator, compiler


def picture(*shape: int, seed: int = 0) -> np.ndarray:
    """Smooth, so that interpolation matters little."""
    noise = np.random.default_rng(seed).random(shape)
    return ndimage.gaussian_filter(noise, 2, axes=(-2, -1)) * 4


def launches(step: augment.Step, shape: tuple[int, int, int] = (3, 32, 40), count: int = 1) -> list[tuple[str, int]]:
    """What is done to how many samples."""
    batch = Batch.of(np.arange(count, dtype=np.uint64), 5, shape, 1.0, step.span)
    step.plan(Draw(batch, np.arange(count), 0))
    return [(launch.operation.name, len(launch.ids)) for launch in batch.launches]


def test_flips_turns_and_transposition() -> None:
    image = np.arange(15).reshape(3, 5)
    assert same_bits(augment.Flip(p=1)(image), image[:, ::-1].copy())
    assert same_bits(augment.Flip("vertical", p=1)(image), image[::-1].copy())
    assert same_bits(augment.Flip(p=0)(image), image)
    for turns in range(-2, 6):
        assert same_bits(augment.Rotate90(turns)(image), np.rot90(image, turns).copy())
    assert same_bits(augment.Transpose(p=1)(image), image.T.copy())


def test_chances() -> None:
    batch = np.tile(np.arange(6.0).reshape(1, 1, 2, 3), (400, 1, 1, 1))
    flipped = augment.Flip(augment.Choice(["horizontal", "vertical"]), p=0.5)(batch, rng=1)
    kinds = {"none": batch[0], "across": batch[0, :, :, ::-1], "down": batch[0, :, ::-1]}
    found = {name: sum(bool((one == kind).all()) for one in flipped) for name, kind in kinds.items()}
    assert sum(found.values()) == 400
    assert 150 < found["none"] < 250
    assert found["across"] > 60
    assert found["down"] > 60
    turned = augment.Rotate90()(np.tile(np.arange(4.0).reshape(1, 1, 2, 2), (400, 1, 1, 1)), rng=1)
    assert min(sum(bool((one[0] == np.rot90([[0, 1], [2, 3]], k)).all()) for one in turned) for k in range(4)) > 60


def test_crops() -> None:
    image = np.arange(20 * 30).reshape(20, 30)
    step = augment.Crop((7, 11))
    places = set()
    for index in range(200):
        drawn = step.draw((20, 30), rng=3, index=index)[0][1]
        top, left = drawn["top"], drawn["left"]
        places.add((top == 0, top == 13, left == 0, left == 19))
        assert same_bits(step(image, rng=3, index=index), image[top : top + 7, left : left + 11].copy())
    assert any(p[0] for p in places)
    assert any(p[1] for p in places)
    assert any(p[2] for p in places)
    assert any(p[3] for p in places)
    assert same_bits(augment.CenterCrop(8)(image), image[6:14, 11:19].copy())
    assert same_bits(augment.Crop((20, 30))(image), image)
    with pytest.raises(ValueError, match=r"^size is \(21, 4\); for an image of 20 x 30 pixels it must be"):
        augment.Crop((21, 4))(image)


def inner(image: np.ndarray, border: int = 8) -> np.ndarray:
    return image[..., border:-border, border:-border]


def test_rotation_is_that_of_scipy() -> None:
    image = picture(48, 60)
    for angle in (-30.0, 10.0, 90.0, 200.0):
        expected = ndimage.rotate(image, angle, reshape=False, order=1, mode="grid-constant")
        found = augment.Rotate(angle, mode="constant")(image)
        np.testing.assert_allclose(inner(found), inner(expected), rtol=0, atol=1e-9)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_zoomed_and_cropped_rotations_see_nothing_outside(interpolation: str) -> None:
    image = np.ones((33, 60))
    for angle in (0.0, 7.0, 45.0, 90.0, 99.19, 133.0, -20.0, 180.0):
        options: dict[str, Any] = {"mode": "constant", "cval": -1e3, "interpolation": interpolation}
        zoomed = augment.Rotate(angle, fit="zoom", **options)(image)
        assert zoomed.shape == image.shape
        np.testing.assert_allclose(zoomed, 1, rtol=0, atol=1e-9)
        cropped = augment.Rotate(angle, fit="crop", **options)(image)
        np.testing.assert_allclose(cropped, 1, rtol=0, atol=1e-9)
        assert min(cropped.shape) >= 15
        assert (augment.Rotate(angle, **options)(image) < 0).any() == (angle % 180 != 0)
    assert augment.Rotate(0, fit="crop")(image).shape == image.shape
    assert augment.Rotate(45, fit="crop")(np.ones((1, 1))).shape == (1, 1)


def test_shifts_and_scalings() -> None:
    image = picture(40, 50)
    shifted = augment.Translate(3, -2, unit="pixels", mode="constant")(image)
    np.testing.assert_array_equal(shifted[:38, 3:], image[2:, :47])
    np.testing.assert_array_equal(augment.Translate(0.1, 0.0, mode="wrap")(image), np.roll(image, 5, axis=1))
    half = augment.Translate(0.5, 0, unit="pixels")(image)
    np.testing.assert_allclose(half[:, 1:], (image[:, 1:] + image[:, :-1]) / 2, rtol=0, atol=1e-12)
    expected = ndimage.affine_transform(image, np.eye(2) / 1.5, offset=np.array([19.5, 24.5]) * (1 - 1 / 1.5), order=1)
    np.testing.assert_allclose(inner(augment.Scale(1.5)(image)), inner(expected), rtol=0, atol=1e-9)


def test_affine_is_its_parts_in_order() -> None:
    image = picture(40, 50)
    affine = augment.Affine(25, right=0.1, down=-0.05, scale=1.2)(image)
    parts = augment.Chain([augment.Scale(1.2), augment.Rotate(25), augment.Translate(0.1, -0.05)])(image)
    np.testing.assert_allclose(affine, parts, rtol=0, atol=1e-9)
    sheared = augment.Affine(shear=45, mode="wrap")(np.tile(np.eye(9, 12), 1))
    assert sheared[4].argmax() == 4  # the row through the centre, 12 wide: half a pixel beside
    assert augment.Affine(shear=45, interpolation="nearest", mode="constant")(np.ones((9, 9)))[0].sum() == 5


def test_perspective_takes_the_moved_corners_to_the_corners() -> None:
    step = augment.Perspective(0.4)
    y, x = np.mgrid[:41, :61].astype(float)
    for index in range(5):
        found = step(np.stack([y, x]), rng=2, index=index, channel_axis=0)
        corners = np.array(step.draw((41, 61), rng=2, index=index)[0][1]["corners"]) + np.array([30, 20])
        wanted = found[:, [0, 0, -1, -1], [0, -1, -1, 0]]
        np.testing.assert_allclose(wanted[::-1].T, corners, rtol=0, atol=1e-6)
        assert (corners >= 0).all()


def test_elastic_displacements() -> None:
    y, x = np.mgrid[:70, :90].astype(float)
    step = augment.Elastic(5, spacing=20, mode="nearest")
    found = step(np.stack([y, x]), rng=2, channel_axis=0)
    moved = inner(found - np.stack([y, x]), 10)
    assert 0.5 < np.abs(moved).max() < 5
    assert np.abs(np.diff(moved, axis=-1)).max() < 0.5  # smooth
    assert np.abs(moved[0] - moved[1]).max() > 0.5  # rows and columns on their own
    assert same_bits(augment.Elastic(0)(y), y)
    assert augment.Elastic(3)(np.ones((1, 1))).shape == (1, 1)


WARPS: dict[str, Any] = {
    "rotate": augment.Rotate((-40, 40)),
    "translate": augment.Translate(),
    "scale": augment.Scale(),
    "affine": augment.Affine((-9, 9), shear=(-9, 9)),
    "perspective": augment.Perspective(),
    "elastic": augment.Elastic(),
    "flip": augment.Flip(),
    "crop": augment.Crop(20),
}


@pytest.mark.parametrize("name", WARPS)
def test_targets_move_along_and_masks_by_nearest_neighbours(name: str) -> None:
    image = picture(3, 40, 50)
    labels = (picture(40, 50, seed=1) * 3).astype(np.int64) * 7
    found, target, mask = WARPS[name](image, image[:1] * 2, labels, rng=4, channel_axis=0)
    np.testing.assert_allclose(target, found[:1] * 2, rtol=0, atol=1e-12)
    assert set(np.unique(mask)) <= set(np.unique(labels))
    assert mask.shape == found.shape[1:]
    coarse = WARPS[name](labels.astype(float) + 0.25, rng=4)
    assert np.mean(np.abs(coarse - mask - 0.25) < 4) > 0.9


def test_consecutive_moves_are_one() -> None:
    rotate, flip, crop = augment.Rotate(), augment.Flip(p=1), augment.Crop(16)
    assert launches(augment.Chain([rotate, augment.Scale(), flip, crop])) == [("warp", 1)]
    assert launches(augment.Chain([crop, flip, augment.Rotate90(1), augment.Transpose(p=1)])) == [("place", 1)]
    assert launches(augment.Chain([crop, rotate])) == [("place", 1), ("warp", 1)]
    assert launches(augment.Chain([rotate, augment.Elastic(), crop])) == [("warp", 1), ("warp", 1), ("place", 1)]
    for other in (augment.Scale(interpolation="bicubic"), augment.Scale(mode="wrap")):
        assert launches(augment.Chain([rotate, other])) == [("warp", 1), ("warp", 1)]
    between = augment.Chain([augment.Rotate(), augment.GaussianNoise(0.1), augment.Scale()])
    assert [name for name, _ in launches(between)] == ["warp", "gaussian", "warp"]
    colors = augment.Chain([augment.Brightness(), augment.Saturation(), augment.Hue(), augment.Contrast(pivot=0.5)])
    assert launches(colors) == [("matrix", 1)]


def test_whole_pixel_moves_joined_or_not() -> None:
    image = np.arange(3 * 24 * 24).reshape(3, 24, 24).astype(np.float32)
    steps = [augment.Crop((17, 20)), augment.Flip(p=1), augment.Rotate90(1), augment.Flip("vertical", p=1), augment.Transpose(p=1)]
    steps.append(augment.CenterCrop(9))
    joined = augment.Chain(steps)
    apart: list[Any] = []
    for step in steps:
        apart += [step, augment.Clip(-1e9, 1e9)]
    for index in range(4):
        one = joined(image, rng=1, index=index, channel_axis=0)
        top, left = (joined.draw((3, 24, 24), rng=1, index=index)[0][1][key] for key in ("top", "left"))
        wanted = image[:, top : top + 17, left : left + 20][:, :, ::-1]
        wanted = np.rot90(wanted, 1, axes=(1, 2))[:, ::-1].transpose(0, 2, 1)
        height, width = wanted.shape[1:]
        wanted = wanted[:, (height - 9) // 2 :, (width - 9) // 2 :][:, :9, :9]
        assert same_bits(one, np.ascontiguousarray(wanted))
    assert len(launches(augment.Chain(apart))) > 6


def test_a_crop_behind_a_warp_is_a_crop_of_it() -> None:
    image = picture(3, 40, 50)
    apart = augment.Clip(-9, 9)
    whole = augment.Chain([augment.Rotate(20), apart, augment.CenterCrop((30, 20)), apart, augment.Flip(p=1)])
    joined = augment.Chain([augment.Rotate(20), augment.CenterCrop((30, 20)), augment.Flip(p=1)])
    np.testing.assert_allclose(joined(image, channel_axis=0), whole(image, channel_axis=0), rtol=0, atol=1e-12)


EVERYTHING = augment.Chain(
    [
        augment.Maybe(augment.Flip(), 0.7),
        augment.Shuffled([augment.Rotate((-30, 30)), augment.Maybe(augment.Translate()), augment.Rotate90(augment.Choice([0, 2]))]),
        augment.Maybe(augment.Perspective(0.2, interpolation=augment.Choice(["bilinear", "bicubic"]))),
        augment.Maybe(augment.Elastic()),
        augment.Crop(24),
        augment.Shuffled([augment.Brightness(), augment.Contrast(), augment.Saturation(), augment.Maybe(augment.Hue())]),
        augment.Maybe(augment.Cutout(0.3, augment.Integers(1, 3), fill="mean")),
    ]
)


def test_a_sample_is_the_same_alone_and_in_any_batch() -> None:
    images = picture(9, 3, 40, 50).astype(np.float32)
    together = EVERYTHING(images, rng=7, index=3)
    assert together.shape == (9, 3, 24, 24)
    for k in range(9):
        assert same_bits(EVERYTHING(images[k], rng=7, index=3 + k, channel_axis=0), together[k])


def test_gradients_are_the_transpose() -> None:
    for index in range(6):
        image = torch.tensor(picture(3, 40, 50), requires_grad=True)
        result = EVERYTHING(image, rng=7, index=index, channel_axis=0)
        other = torch.tensor(np.random.default_rng(index).normal(size=tuple(result.shape)))
        nothing = EVERYTHING(torch.zeros_like(image), rng=7, index=index, channel_axis=0)
        (gradient,) = torch.autograd.grad((result * other).sum(), image)
        forward, back = float(((result - nothing).detach() * other).sum()), float((gradient * image.detach()).sum())
        assert abs(forward - back) < 1e-10 * max(1.0, abs(forward))


def test_brightness_and_contrast() -> None:
    image = np.array([[10, 100, 200]], np.uint8)
    assert augment.Brightness(1, shift=0.2)(image).tolist() == [[61, 151, 251]]
    assert augment.Contrast(0.5, pivot=0.5)(image).tolist() == [[69, 114, 164]]
    rgb = picture(3, 20, 30)
    mean = float(np.tensordot((0.299, 0.587, 0.114), rgb, 1).mean())
    np.testing.assert_allclose(augment.Contrast(1.5)(rgb, channel_axis=0), mean + 1.5 * (rgb - mean), rtol=0, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_no_number_stays_in_its_channel(dtype: str, channels: int) -> None:
    image = np.random.default_rng(0).random((9, 20, channels)).astype(dtype)
    image[1, 2, 0], image[3, 4, channels - 1], image[5, 6, 0] = np.nan, np.inf, -np.inf
    chain = augment.Chain([augment.Brightness(2), augment.Contrast(0.5, pivot=0.5), degrade.Clip(-9, 9)])
    for step, wanted in (
        (augment.Brightness(2, shift=0.5), image * 2 + 0.5),
        (augment.Contrast(0.5, pivot=0.25), image * 0.5 + 0.125),
        (chain, np.clip(image + 0.25, -9, 9)),
    ):
        np.testing.assert_allclose(step(image, channel_axis=-1), wanted, rtol=1e-6)
        planes = np.ascontiguousarray(image.transpose(2, 0, 1))
        np.testing.assert_allclose(step(planes, channel_axis=0), wanted.transpose(2, 0, 1), rtol=1e-6)


def test_saturation_and_hue() -> None:
    rgb = picture(20, 30, 3, seed=2)
    grey = rgb @ (0.299, 0.587, 0.114)
    found = augment.Saturation(0.25)(rgb, channel_axis=-1)
    np.testing.assert_allclose(found, grey[..., None] + 0.25 * (rgb - grey[..., None]), rtol=0, atol=1e-12)
    turned = augment.Hue(120)(rgb, channel_axis=-1)
    np.testing.assert_allclose(turned @ (0.299, 0.587, 0.114), grey, rtol=0, atol=1e-5)
    back = augment.Hue(-120)(turned, channel_axis=-1)
    np.testing.assert_allclose(back, rgb, rtol=0, atol=1e-12)
    red = augment.Hue(120)(np.array([[[1.0, 0.2, 0.2]]]), channel_axis=-1)[0, 0]
    assert red.argmax() == 1  # red, yellow, green
    assert same_bits(augment.Saturation(0)(grey), grey)
    with pytest.raises(ValueError, match="4 channels"):
        augment.Hue()(np.zeros((5, 5, 4)), channel_axis=-1)


def test_color_jitter_is_its_parts_in_order() -> None:
    rgb = picture(3, 20, 30)
    jitter = augment.ColorJitter(1.1, 0.8, 1.3, 30)(rgb, channel_axis=0)
    parts = augment.Chain([augment.Brightness(1.1), augment.Contrast(0.8), augment.Saturation(1.3), augment.Hue(30)])
    np.testing.assert_allclose(jitter, parts(rgb, channel_axis=0), rtol=0, atol=1e-12)


def test_cutout() -> None:
    image = 1 + picture(3, 40, 50)
    step = augment.Cutout((0.2, 0.6), augment.Integers(1, 8), fill=-5.0)
    for index in range(20):
        found = step(image, rng=1, index=index, channel_axis=0)
        boxes = step.draw((3, 40, 50), rng=1, index=index)[0][1]["boxes"]
        wanted = image.copy()
        for top, bottom, left, right in boxes:
            assert 0 <= top <= bottom <= 40
            wanted[:, top:bottom, left:right] = -5
        assert same_bits(found, wanted)
    mean = augment.Cutout(0.9, fill="mean")(image, rng=1, channel_axis=0)
    assert len(np.intersect1d(mean[0].ravel().round(9), image[0].mean().round(9))) == 1


@pytest.mark.parametrize("step", [augment.MixUp(), augment.CutMix()])
def test_mixing(step: Any) -> None:
    images = picture(6, 3, 16, 20).astype(np.float32)
    found, target = step(images, images + 1, rng=3, index=9)
    np.testing.assert_allclose(target, found + 1, rtol=0, atol=1e-6)
    partners = set()
    for k, ((name, drawn),) in enumerate(step.draw((3, 16, 20), rng=3, index=9, count=6)):
        weight, partner = drawn["weight"], drawn["partner"]
        assert name == type(step).__name__
        assert 0 <= weight <= 1
        assert partner != k
        partners.add(partner)
        if name == "MixUp":
            wanted = weight * images[k] + (1 - weight) * images[partner]
            np.testing.assert_allclose(found[k], wanted, rtol=0, atol=1e-6)
        else:
            top, bottom, left, right = drawn["box"]
            wanted = images[k].copy()
            wanted[:, top:bottom, left:right] = images[partner][:, top:bottom, left:right]
            assert same_bits(found[k], wanted)
            assert abs(weight - 1 + (bottom - top) * (right - left) / 320) < 1e-12
    assert len(partners) > 2
    alone = step(images[:1], rng=3)
    np.testing.assert_allclose(alone, images[:1], rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="no gradient"):
        step(torch.tensor(images, requires_grad=True), rng=3)


def test_names_of_tutorials() -> None:
    pairs = {"rotation": "Rotate", "flip": "Flip", "crop": "Crop", "translation": "Translate", "scaling": "Scale"}
    pairs |= {"brightness": "Brightness", "contrast": "Contrast", "salt_and_pepper": "SaltAndPepper"}
    for name, meant in pairs.items():
        assert getattr(augment, name) is getattr(augment, meant)
    assert augment.__all__ == sorted(augment.__all__)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: augment.Flip("diagonal"), ValueError, "axis"),
        (lambda: augment.Flip(p=1.5), ValueError, "p is 1.5"),
        (lambda: augment.Rotate90(0.5), ValueError, "turns"),
        (lambda: augment.Crop(0), ValueError, "size"),
        (lambda: augment.Crop("8"), TypeError, "size"),
        (lambda: augment.Rotate("10"), TypeError, "angle"),
        (lambda: augment.Rotate(fit="inside"), ValueError, "fit"),
        (lambda: augment.Rotate(interpolation="cubic"), ValueError, "interpolation"),
        (lambda: augment.Rotate(mode="edge"), ValueError, "mode"),
        (lambda: augment.Rotate(cval=np.inf), ValueError, "cval"),
        (lambda: augment.Translate(unit="px"), ValueError, "unit"),
        (lambda: augment.Scale(0), ValueError, "factor"),
        (lambda: augment.Affine(shear=90), ValueError, "shear"),
        (lambda: augment.Perspective(1), ValueError, "distortion"),
        (lambda: augment.Elastic(spacing=1), ValueError, "spacing"),
        (lambda: augment.Brightness(-1), ValueError, "factor"),
        (lambda: augment.Contrast(pivot="median"), ValueError, "pivot"),
        (lambda: augment.Cutout(2), ValueError, "size"),
        (lambda: augment.Cutout(count=9), ValueError, "count"),
        (lambda: augment.Cutout(fill="median"), ValueError, "fill"),
        (lambda: augment.MixUp(1.2), ValueError, "weight"),
    ],
)
def test_wrong_parameters(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
def test_both_rings_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    images = picture(4, 3, 30, 34).astype(np.float32)
    mixing = augment.Chain([EVERYTHING, augment.MixUp(), augment.CutMix()])
    wanted = mixing(images, rng=7)
    kept = torch.tensor(images, requires_grad=True)
    weights = torch.tensor(picture(4, 3, 24, 24, seed=3).astype(np.float32))
    (gradient,) = torch.autograd.grad((EVERYTHING(kept, rng=7) * weights).sum(), kept)
    monkeypatch.setattr(_run, "ring", lambda device: cuda_batches)
    with _launch.use(Emulator("shuffled")):
        assert same_bits(mixing(images, rng=7), wanted)
        (found,) = torch.autograd.grad((EVERYTHING(kept, rng=7) * weights).sum(), kept)
    assert same_bits(found.numpy(), gradient.numpy())


@pytest.mark.parametrize("mode", ["reflect", "mirror", "nearest", "wrap", "constant"])
@pytest.mark.parametrize("axis", ["horizontal", "vertical"])
def test_a_mirror_before_a_warp_is_part_of_it(axis: str, mode: str) -> None:
    image = np.random.default_rng(4).random((3, 21, 30))
    warp = augment.Affine((10, 40), right=(0.1, 0.4), scale=(0.5, 0.8), mode=mode, cval=0.25)
    chain = augment.Chain([augment.Flip(axis, p=1), warp])
    assert launches(chain, (3, 21, 30)) == [("warp", 1)]
    (steps,) = [chain.draw((3, 21, 30), rng=3)]
    drawn = dict(steps)["Affine"]
    same = augment.Affine(drawn["angle"], right=drawn["right"], scale=drawn["scale"], mode=mode, cval=0.25)
    mirrored = image[:, :, ::-1] if axis == "horizontal" else image[:, ::-1]
    wanted = same(np.ascontiguousarray(mirrored), channel_axis=0)
    np.testing.assert_allclose(chain(image, rng=3, channel_axis=0), wanted, atol=1e-9)
    labels = (image[0] > 0.5)
    moved = chain(image, mask=labels, rng=3, channel_axis=0)[1]
    assert moved.dtype == bool
    expected = same(np.ascontiguousarray(mirrored), mask=np.ascontiguousarray(mirrored[0] > 0.5), channel_axis=0)[1]
    assert (moved != expected).mean() < 0.01


def test_a_crop_before_a_warp_is_not() -> None:
    image = np.random.default_rng(4).random((3, 21, 30))
    chain = augment.Chain([augment.CenterCrop(15), augment.Rotate(30)])
    wanted = augment.Rotate(30)(np.ascontiguousarray(image[:, 3:18, 7:22]), channel_axis=0)
    np.testing.assert_allclose(chain(image, rng=3, channel_axis=0), wanted, atol=1e-12)
    assert launches(chain, (3, 21, 30)) == [("place", 1), ("warp", 1)]


def test_a_crop_of_a_corner_before_a_warp_is_not_a_mirror() -> None:
    image = np.random.default_rng(4).random((3, 21, 30))
    chain = augment.Chain([augment.Crop((20, 28)), augment.Rotate(30)])
    drawn = [dict(chain.draw((3, 21, 30), rng=seed))["Crop"] for seed in range(40)]
    corner = next(seed for seed, crop in enumerate(drawn) if crop["top"] == crop["left"] == 0)
    wanted = augment.Rotate(30)(np.ascontiguousarray(image[:, :20, :28]), channel_axis=0)
    np.testing.assert_allclose(chain(image, rng=corner, channel_axis=0), wanted, atol=1e-12)


def test_masks_of_true_and_false() -> None:
    images = np.random.default_rng(4).random((4, 3, 20, 20)).astype(np.float32)
    masks = images[:, 0] > 0.5
    chain = augment.Chain([augment.Rotate((-30, 30), mode="constant", cval=7.0), augment.Flip()])
    for given in (masks, masks[:, None]):
        _, moved = chain(images, mask=given, rng=2)
        assert moved.dtype == bool
        assert moved.shape == given.shape
        _, numbers = chain(images, mask=given.astype(np.uint8), rng=2)
        np.testing.assert_array_equal(moved, numbers != 0)


@pytest.mark.parametrize("channel_axis", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float64"])
def test_moves_of_whole_pixels_change_no_value(dtype: str, channel_axis: int) -> None:
    """Not even of those that no float holds."""
    top = np.iinfo(dtype).max if np.dtype(dtype).kind in "iu" else 1000
    image = np.moveaxis((top - np.arange(3 * 11 * 14).reshape(3, 11, 14)).astype(dtype), 0, channel_axis)
    chain = augment.Chain([augment.Flip("vertical", p=1), augment.Rotate90(1), augment.Crop((9, 7)), augment.Flip(p=1)])
    for index in range(4):
        drawn = dict(chain.draw((3, 11, 14), rng=3, index=index))["Crop"]
        planes = np.moveaxis(image, channel_axis, 0)[:, ::-1]
        turned = np.rot90(planes, axes=(1, 2))[:, drawn["top"] : drawn["top"] + 9, drawn["left"] : drawn["left"] + 7]
        result = chain(image, rng=3, index=index, channel_axis=channel_axis)
        np.testing.assert_array_equal(np.moveaxis(result, channel_axis, 0), turned[:, :, ::-1])


def test_moves_before_other_steps() -> None:
    image = np.random.default_rng(4).random((3, 20, 26)).astype(np.float32)
    for layout in (image, np.ascontiguousarray(image.transpose(1, 2, 0)).transpose(2, 0, 1)):
        chain = augment.Chain([augment.Flip(p=1), augment.Rotate90(3), augment.CenterCrop(12), augment.Brightness(0.5)])
        wanted = np.rot90(layout[:, :, ::-1], 3, axes=(1, 2))[:, 7:19, 4:16] * np.float32(0.5)
        np.testing.assert_allclose(chain(layout, rng=1, channel_axis=0), wanted, atol=1e-7)


def test_labels_that_no_float_holds_are_refused() -> None:
    image = np.zeros((4, 4), np.float32)
    moved = augment.Flip(p=1)(image, mask=np.full((4, 4), 2**53), rng=0)[1]
    assert (moved == 2**53).all()
    for label in (2**53 + 1, -(2**53) - 1):
        with pytest.raises(ValueError, match=r"^mask has labels beyond 2\*\*53; they must be within"):
            augment.Flip(p=1)(image, mask=np.full((4, 4), label), rng=0)


@pytest.mark.parametrize("size", [0, 2**31, 10**400, (3, 4, 5), 1.5, None], ids=["0", "2**31", "10**400", "three", "1.5", "None"])
def test_bad_sizes_of_crops(size: Any) -> None:
    for kind in (augment.Crop, augment.CenterCrop):
        with pytest.raises((TypeError, ValueError), match=r"^size is .* it must be a whole number from 1 to 2\*\*31 - 1"):
            kind(size)


def test_what_is_drawn_can_be_done_again() -> None:
    image = np.random.default_rng(4).random((40, 50))
    shifts = (augment.Translate(), augment.Translate((-5, 5), (-3, 3), unit="pixels"))
    for step in (*shifts, augment.Affine((-9, 9), right=(-0.1, 0.1))):
        ((_, drawn),) = step.draw((40, 50), rng=3)
        again = type(step)(**drawn, **({"unit": step.unit} if hasattr(step, "unit") else {}))
        np.testing.assert_array_equal(again(image), step(image, rng=3))
