"""Haze, colour filters, curves and cameras as steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda import batches as cuda_batches

from imrestore.degrade import Camera, Chain, Choice, Gamma, Haze, Integers, MissingStrokes, MissingText, Mosaic, _camera, _run
from tests.backends import same_bits
from tests.cuda_on_cpu.emulator import Emulator, compiler
from tests.test_damage_camera import decoded, demosaiced, filters


def images(count: int = 4, size: tuple[int, int] = (21, 18), dtype: str = "float32") -> np.ndarray:
    values = np.random.default_rng(0).random((count, 3, *size))
    return (values * 255).astype(dtype) if np.dtype(dtype).kind in "iu" else values.astype(dtype)


def test_haze_of_known_depths() -> None:
    image, depth = images(1, dtype="float64")[0], np.random.default_rng(1).uniform(0, 3, (21, 18))
    found = Haze(0.7, 0.9, depth=depth)(image, rng=1, channel_axis=0)
    t = np.exp(-0.7 * depth)
    np.testing.assert_allclose(found, t * image + (1 - t) * 0.9, rtol=0, atol=1e-14)
    levels = Haze(0.7, 0.9, depth=depth)((image * 255).astype(np.uint8), rng=1, channel_axis=0)
    np.testing.assert_allclose(levels, np.rint(t * (image * 255).astype(np.uint8) + (1 - t) * 229.5), atol=1)


def test_haze_is_thicker_far_away() -> None:
    dark = np.zeros((200, 40, 50))
    fog = Haze(1.0, 1.0)(dark[:, None], rng=3)[:, 0]
    assert ((fog >= 0) & (fog < 1 - np.exp(-1.6))).all()
    depth = -np.log(1 - fog)
    assert depth[:, 0].mean() == pytest.approx(0.9, abs=0.05)
    assert depth[:, -1].mean() == pytest.approx(0.2, abs=0.05)
    smooth = Haze(1.0, 1.0, relief=0)(dark[:, None], rng=3)[:, 0]
    assert (np.diff(smooth, axis=1) < 0).all()
    flat = -np.log(1 - smooth)
    np.testing.assert_allclose(np.diff(flat, 2, axis=1), 0, atol=1e-12)
    rough = np.abs(depth - flat).mean(axis=0)
    assert 0.03 < rough.min() <= rough.max() < 0.3
    fine = -np.log(1 - Haze(1.0, 1.0, knots=Integers(30, 30))(dark[:, None], rng=3)[:, 0]) - flat
    coarse = depth - flat
    assert np.abs(np.diff(fine, axis=1)).mean() > 2 * np.abs(np.diff(coarse, axis=1)).mean()


def test_light_of_each_channel() -> None:
    black = np.zeros((300, 5, 4, 4))
    fog = Haze(50.0, 0.5, tint=0.2, relief=0)(black, rng=2)[:, :, 0, 0]
    assert ((fog > 0.3 - 1e-3) & (fog < 0.7 + 1e-3)).all()
    assert fog[:, :4].std(axis=1).mean() > 0.05
    np.testing.assert_array_equal(fog[:, 4], fog[:, 0])
    grey = Haze(50.0, 0.5, relief=0)(black, rng=2)[:, :, 0, 0]
    np.testing.assert_array_equal(grey, np.broadcast_to(grey[:, :1], grey.shape))


def test_depths_are_a_parameter_like_others() -> None:
    first, same, other = (Haze(depth=np.full((3, 2), d)) for d in (1.0, 1, 2.0))
    assert first == same
    assert hash(first) == hash(same)
    assert first != other
    assert "depth=<depths of 3 x 2 pixels>" in repr(first)
    with pytest.raises(ValueError, match=r"^depth is of 3 x 2 pixels; it must be of the image's 2 x 3"):
        first(np.zeros((2, 3)))


@pytest.mark.parametrize("method", [None, "bilinear", "malvar"])
def test_mosaics_of_several_patterns(method: str | None) -> None:
    batch = images(24, dtype="float64")
    step = Mosaic(Choice(["RGGB", "BGGR", "GRBG", "GBRG"]), method)
    results = step(batch, rng=4)
    drawn = [dict(one)["Mosaic"]["pattern"] for one in step.draw((3, 21, 18), rng=4, count=24)]
    assert len(set(drawn)) == 4
    for image, found, pattern in zip(batch, results, drawn, strict=True):
        which = ("RGGB", "BGGR", "GRBG", "GBRG").index(pattern)
        kept = image * filters(which, 21, 18)
        expected = kept if method is None else demosaiced(kept.sum(axis=0), which, method == "malvar")
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


def test_gamma() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(Gamma(2.0)(levels), np.rint((levels / 255) ** 2 * 255))
    np.testing.assert_allclose(Gamma(0.5)(np.array([[4.0, -4.0]]), data_range=16), [[8.0, -8.0]], rtol=1e-15)
    gammas = [dict(one)["Gamma"]["gamma"] for one in Gamma((0.5, 2)).draw((4, 4), rng=1, count=50)]
    assert min(gammas) < 0.7
    assert max(gammas) > 1.8


def test_a_camera_without_noise_gives_the_picture_back() -> None:
    step = Camera(0, 0, pattern=None)
    colours = np.stack(np.meshgrid(*[np.arange(0, 256, 5)] * 3)).astype(np.uint8).reshape(3, 52, -1)
    for index in range(5):
        assert same_bits(step(colours, rng=1, index=index, channel_axis=0), colours)
    batch = images(4)
    np.testing.assert_allclose(step(batch, rng=1), batch, rtol=0, atol=1e-5)
    np.testing.assert_allclose(step(batch.astype(float), rng=1), batch, rtol=0, atol=1e-12)
    assert not same_bits(Camera(0, 0)(colours, rng=1, channel_axis=0), colours)


def raw(picture: np.ndarray) -> np.ndarray:
    """Linear light of an sRGB picture by the inverse of the tone curve."""
    return decoded(0.5 - np.sin(np.arcsin(1 - 2 * picture) / 3))


def test_the_noise_of_a_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a sensor that sees linear sRGB the noise of each channel has the variance that was asked for."""
    monkeypatch.setattr(_camera, "_SENSORS", np.array([np.linalg.inv(_camera._SRGB)] * 4))
    shot, read, red = 2e-3, 4e-3, 2.0
    step = Camera(shot, read, red=red, blue=1.0, brightness=0.5, pattern=None)
    for value in (0.3, 0.7):
        light = raw(step(np.full((3, 200, 200), value), rng=5, channel_axis=0))
        true = raw(np.array(value))
        for channel, gain in zip(light, (red / 0.5, 1 / 0.5, 1 / 0.5), strict=True):
            assert channel.mean() == pytest.approx(true, rel=0.02)
            assert channel.var() / gain**2 == pytest.approx(true / gain * shot + read**2, rel=0.05)


def test_read_noise_lies_about_its_line() -> None:
    drawn = [dict(one)["Camera"] for one in Camera().draw((3, 8, 8), rng=5, count=1500)]
    shot, read = (np.array([one[name] for one in drawn]) for name in ("shot", "read"))
    assert 1e-4 <= shot.min() < 1.3e-4
    assert 0.9e-2 < shot.max() <= 1.2e-2
    rest = 2 * np.log(read) - (2.18 * np.log(shot) + 1.2)
    assert abs(rest.mean()) < 0.03
    assert rest.std() == pytest.approx(0.26, rel=0.05)
    assert abs(np.corrcoef(rest, np.log(shot))[0, 1]) < 0.1
    for name, low, high in (("red", 1.9, 2.4), ("blue", 1.5, 1.9), ("brightness", 0.5, 1.1)):
        values = np.array([one[name] for one in drawn])
        assert low <= values.min() < values.max() <= high


def test_sensors_leave_grey_as_it_is() -> None:
    weights = np.random.default_rng(2).random((50, 4))
    matrices = _camera._raw_matrix(weights)
    np.testing.assert_allclose(matrices.sum(axis=2), 1, rtol=1e-12)
    assert np.linalg.cond(matrices).max() < 20


GRADIENTS: dict[str, Any] = {
    "haze": Haze(tint=0.1),
    "mosaic": Mosaic("GRBG"),
    "bilinear": Mosaic("BGGR", "bilinear"),
    "malvar": Mosaic("GBRG", "malvar"),
    "gamma": Gamma((0.5, 2)),
    "camera": Camera(0, 1e-3),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients(name: str) -> None:
    """Of the camera without shot noise, which depends on the image."""
    values = 0.2 + 0.6 * images(2, (5, 4), "float64")
    image = torch.from_numpy(values).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: GRADIENTS[name](x, rng=3), (image,))
    weights = torch.from_numpy(images(2, (5, 4), "float64"))
    found = []
    for dtype in (torch.float32, torch.float64):
        some = image.detach().to(dtype).requires_grad_()
        (GRADIENTS[name](some, rng=3) * weights).sum().backward()
        assert some.grad is not None
        found.append(some.grad.numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
def test_both_rings_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = images(3)
    chain = Chain([Camera(), Haze(), Mosaic(Choice(["RGGB", "GBRG"])), MissingStrokes(2), MissingText(1), Gamma((0.5, 2))])
    weights = torch.from_numpy(images(3) + 1)

    def carried() -> tuple[np.ndarray, np.ndarray]:
        tensor = torch.from_numpy(batch.copy()).requires_grad_()
        result = chain(tensor, rng=7)
        (result * weights).sum().backward()
        assert tensor.grad is not None
        return result.detach().numpy(), tensor.grad.numpy()

    wanted = carried()
    monkeypatch.setattr(_run, "ring", lambda device: cuda_batches)
    with _launch.use(Emulator("shuffled")):
        found = carried()
    for a, b in zip(wanted, found, strict=True):
        assert same_bits(a, b)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Haze(-1), ValueError, r"^beta is -1"),
        (lambda: Haze(knots=3), ValueError, r"^knots is 3"),
        (lambda: Haze(depth="deep"), TypeError, r"^depth is 'deep' of type str; it must be None or an array \(height, width\)"),
        (lambda: Haze(depth=[1, 2]), ValueError, r"^depth has the shape \(2,\)"),
        (lambda: Haze(depth=[[1, -2]]), ValueError, r"^depth has values from -2.0 to 1.0"),
        (lambda: Mosaic("RGBG"), ValueError, r"^pattern is 'RGBG'"),
        (lambda: Mosaic(demosaic="best"), ValueError, r"^demosaic is 'best'"),
        (lambda: Mosaic()(np.zeros((4, 4))), ValueError, r"^image has 1 channels; for Mosaic it must have 3"),
        (lambda: Gamma(0), ValueError, r"^gamma is 0"),
        (lambda: Camera(2), ValueError, r"^shot is 2"),
        (lambda: Camera(read=-1), ValueError, r"^read is -1"),
        (lambda: Camera(red=0), ValueError, r"^red is 0"),
        (lambda: Camera(pattern="XTRANS"), ValueError, r"^pattern is 'XTRANS'"),
        (lambda: Camera()(np.zeros((4, 4))), ValueError, r"^image has 1 channels; for Camera it must have 3"),
    ],
)
def test_what_cannot_be_meant(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
