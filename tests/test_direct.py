"""Samples that are not taken apart into planes of floats: which ways are taken, and that all of them lead to the same pixels."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from imrestore_kernels.borders import REFLECT
from imrestore_kernels.cpu import _direct
from imrestore_kernels.cpu._sampling import BLOCK
from imrestore_kernels.cpu._warp_pixels import COUNTS, DTYPES, WRITTEN
from imrestore_kernels.samples import COLUMNS, Job, Size

import imrestore
from imrestore import augment
from tests.backends import same_bits
from tests.oracles import damage_warping as oracle
from tests.test_damage_warping import MOVES
from tests.test_direct_kernels import UNSIGNED, channels_first, random_bits


def place_part(move: tuple[int, ...], shape: tuple[int, ...], out: tuple[int, int], name: str = "place") -> Any:
    jobs = np.zeros((1, COLUMNS), np.int64)
    jobs[0, Job.A : Job.F + 1] = move
    size = Size(1, *shape, *out)
    return SimpleNamespace(work=SimpleNamespace(name=name), jobs=jobs, numbers=np.zeros((1, COLUMNS)), size=size)


@pytest.mark.parametrize("itemsize", UNSIGNED)
def test_moves_are_views_where_all_of_them_lies_inside(itemsize: int) -> None:
    small = random_bits((2, 5, 7), np.uint8).astype(UNSIGNED[itemsize])
    taken = set()
    for move in [*MOVES, (0, -1, 0, 0, 0, -1), (0, 0, 1, 0, -1, 0), (0, 2, 0, 0, 0, 1), (0, 1, 0, 0, 0, 3)]:
        for first in range(-2, 8):
            for second in range(-2, 9):
                for out in ((1, 1), (2, 3), (5, 7), (7, 5)):
                    own = (first, *move[1:3], second, *move[4:])
                    view, done = _direct.moved(small, [place_part(own, small.shape, out), place_part(own, small.shape, out, "x")])
                    a, b, c, d, e, f = own
                    ends = [(a + b * y + c * x, d + e * y + f * x) for y in (0, out[0] - 1) for x in (0, out[1] - 1)]
                    inside = all(0 <= y < 5 and 0 <= x < 7 for y, x in ends)
                    turns = c != 0
                    if not inside or (turns and itemsize <= 4) or max(b, f) > 1:
                        assert (view is small, done) == (True, 0), (own, out)
                        continue
                    assert done == 1, (own, out)
                    taken.add((turns, b + c, e + f))
                    np.testing.assert_array_equal(view, oracle.place(small, (2, *out), own, REFLECT, 0))
                    assert np.shares_memory(view, small)
    assert len(taken) == (8 if itemsize == 8 else 4)


def test_all_moves_of_a_sample_are_one_view() -> None:
    image = random_bits((3, 6, 8), np.uint8)
    parts = [place_part((1, 1, 0, 7, 0, -1), (3, 6, 8), (4, 6)), place_part((3, -1, 0, 1, 0, 1), (3, 4, 6), (4, 5))]
    view, done = _direct.moved(image, parts)
    assert done == 2
    np.testing.assert_array_equal(view, image[:, 1:5, :1:-1][:, ::-1, 1:])
    assert _direct.moved(image, [])[1] == 0


@pytest.mark.parametrize("last", [True, False])
def test_a_view_is_copied_to_memory_of_its_own_in_its_own_order(last: bool) -> None:
    image = channels_first(random_bits((6, 9, 3) if last else (3, 6, 9), np.uint16), last)
    for view in (image[:, 1:5, 2:], image[:, ::-1, ::-1], image[:, :, 6:2:-1]):
        made = _direct.compact(view)
        np.testing.assert_array_equal(made, view)
        assert not np.shares_memory(made, image)
        assert (made.transpose(1, 2, 0) if last else made).flags.c_contiguous


def warp_part(**changes: Any) -> Any:
    """An affine bilinear warp, but for what is changed: its name, columns of the job, numbers by their place."""
    part = place_part((-1, 0, 0, 1, 0, 0), (3, 20, 30), (20, 30), changes.pop("name", "warp"))
    part.numbers[0, [0, 4, 8]] = 1
    part.jobs[0, Job.CHANNELS : Job.OUT_WIDTH + 1] = (3, 20, 30, 20, 30)
    for key, value in changes.items():
        if key.startswith("number"):
            part.numbers[0, int(key[6:])] = value
        else:
            part.jobs[0, Job[key]] = value
    return part


def test_what_can_be_warped_as_it_is() -> None:
    image, single = np.zeros((20, 30, 3), np.uint8), np.dtype(np.float32)
    last = image.transpose(2, 0, 1)
    assert _direct.warps(last, warp_part(), single)
    assert not _direct.warps(last, warp_part(), np.dtype(np.float64))
    for change in ({"name": "x"}, {"A": 0}, {"D": 0}, {"D": 2}, {"number6": 1e-9}, {"number7": 1e-9}, {"number8": 2}):
        assert not _direct.warps(last, warp_part(**change), single), change
    for picture in (last.astype(np.int8), last.astype(">u2"), last[:2], last[:, :, ::-1], last[:, :, ::2], last[::-1]):
        assert not _direct.warps(picture, warp_part(), single)
    assert not _direct.warps(np.ascontiguousarray(last), warp_part(), single)
    assert not _direct.warps(np.zeros((20, 30, 4), np.uint8).transpose(2, 0, 1)[:3], warp_part(), single)
    assert not _direct.warps(np.zeros((20, 30, 5), np.uint8).transpose(2, 0, 1), warp_part(), single)
    assert _direct.warps(last[:, ::-1], warp_part(), single)
    wide = np.zeros((3, 20, 90), np.uint8)[:, :, ::3]  # planes of pixels that lie as far apart as three channels would
    assert not _direct.warps(wide, warp_part(), single)


def test_where_a_warp_can_be_written() -> None:
    last = np.full((20, 30, 3), 9, np.uint8).transpose(2, 0, 1)
    result = np.zeros_like(last)
    for other in (
        np.zeros((3, 20, 30), np.uint8),
        np.zeros_like(last, np.float32),
        np.zeros((20, 90, 3), np.uint8).T[:, ::3].swapaxes(1, 2),
    ):
        assert not _direct.warp_to(last, warp_part(), other)
        assert not other.any()
    assert not _direct.warp_to(last, warp_part(OUT_WIDTH=BLOCK - 1), result)
    assert not result.any()
    assert _direct.warp_to(last, warp_part(), result)
    assert (result == 9).all()
    wide = last.astype(np.uint16)
    assert not _direct.warp_to(wide, warp_part(), np.zeros_like(wide))


AFFINE_STEP = augment.Affine((-40, 40), right=(-0.2, 0.2), down=(-0.2, 0.2), scale=augment.Uniform(0.7, 1.5), shear=(-9, 9))
APART = augment.Affine((-40, 40), mode="wrap", scale=1.1)
CHAINS: dict[str, tuple[augment.Step, str]] = {
    "flip": (augment.Flip(p=1), "mirrored"),
    "flip down": (augment.Flip("vertical", p=1), ""),
    "maybe a flip": (augment.Flip(augment.Choice(["horizontal", "vertical"]), p=0.5), "any"),
    "crop": (augment.Crop((21, 33)), ""),
    "rotate90": (augment.Rotate90(augment.Integers(0, 3)), "any"),
    "transpose": (augment.Transpose(p=1), ""),
    "moves": (augment.Chain([augment.Crop(24), augment.Flip(p=1), augment.Rotate90(2), augment.Flip(p=1)]), "any"),
    "affine": (AFFINE_STEP, "written"),
    "flip and affine and crop": (augment.Chain([augment.Flip(p=1), AFFINE_STEP, augment.Crop((25, 31))]), "written"),
    "crop and affine": (augment.Chain([augment.Crop((25, 31)), AFFINE_STEP]), "written"),
    "flip down and crop and affine": (augment.Chain([augment.Crop(25), augment.Flip("vertical", p=1), AFFINE_STEP]), "written"),
    "flip and crop and affine": (augment.Chain([augment.Crop(25), augment.Flip(p=1), AFFINE_STEP]), "mirrored"),
    "two affines": (augment.Chain([AFFINE_STEP, APART]), "planes"),
    "affine and clip": (augment.Chain([AFFINE_STEP, augment.Clip(0.2, 0.8)]), "planes"),
    "clip and affine": (augment.Chain([augment.Clip(0.2, 0.8), AFFINE_STEP]), ""),
    "affine and noise": (augment.Chain([AFFINE_STEP, augment.GaussianNoise(0.1)]), "planes"),
    "narrow": (augment.Chain([AFFINE_STEP, augment.Crop((25, BLOCK - 1))]), "planes"),
    "as wide as a block": (augment.Chain([AFFINE_STEP, augment.Crop((25, BLOCK))]), "written"),
    "constant": (augment.Affine(30, mode="constant", cval=1e3), "written"),
    "nearest": (augment.Rotate((-40, 40), interpolation="nearest"), ""),
    "bicubic": (augment.Rotate((-40, 40), interpolation="bicubic"), ""),
    "perspective": (augment.Perspective(0.3), ""),
    "elastic": (augment.Elastic(3), ""),
    "maybe": (augment.Chain([augment.Maybe(augment.Flip(p=1)), augment.Maybe(AFFINE_STEP), augment.Crop(20)]), "any"),
}


def photo(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    rng = np.random.default_rng(5)
    if np.dtype(dtype).kind == "f":
        return rng.random(shape).astype(dtype)
    return rng.integers(0, min(np.iinfo(dtype).max, 2**40), shape, dtype, endpoint=True)


def white_of(dtype: str) -> float | None:
    return 2.0**40 if dtype == "int64" else None


@pytest.fixture
def over_planes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A step the long way round: on contiguous planes, with the direct ways closed."""

    def call(step: augment.Step, image: np.ndarray, **keywords: Any) -> np.ndarray:
        """``image`` has its channels last."""
        planes = np.ascontiguousarray(np.moveaxis(image, -1, -3))
        axes = {"channel_axis": -3} | ({"batch_axis": 0} if image.ndim == 4 else {})
        with monkeypatch.context() as closed:
            closed.setattr(_direct, "moved", lambda picture, parts: (picture, 0))
            closed.setattr(_direct, "warps", lambda *_: False)
            made = step(planes, **axes, **keywords)
        return np.moveaxis(made, -3, -1)

    return call


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The direct ways that have been taken."""
    taken: list[str] = []
    warp, mirror = _direct._warp, _direct.copy_mirrored

    def recorded(picture: Any, part: Any, result: Any, pitch: int, written: bool) -> None:
        taken.append("written" if written else "planes")
        warp(picture, part, result, pitch, written)

    def mirrored(picture: Any, result: Any) -> bool:
        found = mirror(picture, result)
        taken.extend(["mirrored"] * found)
        return found

    monkeypatch.setattr(_direct, "_warp", recorded)
    monkeypatch.setattr(_direct, "copy_mirrored", mirrored)
    return taken


@pytest.mark.parametrize("name", [name for name, (_, way) in CHAINS.items() if way != "any"])
def test_which_way_is_taken(name: str, ways: list[str]) -> None:
    step, wanted = CHAINS[name]
    affine = wanted in ("written", "planes")
    for dtype, channels in (("uint8", 3), ("float32", 4), ("uint16", 3), ("uint8", 2), ("int16", 3), ("float64", 3)):
        ways.clear()
        step(photo((40, 50, channels), dtype), rng=1, channel_axis=-1, data_range=1)
        direct = np.dtype(dtype) in DTYPES and channels in COUNTS
        own = "planes" if wanted == "written" and np.dtype(dtype) not in WRITTEN else wanted
        assert ways == ([own] if own and (direct or not affine) else []), (dtype, channels)
    ways.clear()
    step(photo((3, 40, 50), "uint8"), rng=1, channel_axis=0)
    assert ways == ([wanted] if wanted == "mirrored" else [])


@pytest.mark.parametrize(
    ("dtype", "channels"), [("uint8", 4), *((d, 3) for d in ("uint8", "uint16", "float32", "int64", "float64"))]
)
@pytest.mark.parametrize("name", CHAINS)
def test_channels_last_are_channels_first(name: str, dtype: str, channels: int, over_planes: Any) -> None:
    step, white = CHAINS[name][0], white_of(dtype)
    whole = photo((6, 48, 48, channels), dtype)
    views = {
        "contiguous": whole[0],
        "cut out": whole[1, 3:43, 2:42],
        "backwards": whole[2, :, ::-1],
        "upside down": whole[3, ::-1],
        "every other row": photo((80, 40, channels), dtype)[::2],
        "other way round": whole[4].transpose(1, 0, 2),
        "every other column": photo((40, 80, channels), dtype)[:, ::2],
        "channels backwards": whole[5, :, :, ::-1],
        "some channels": photo((40, 41, channels + 1), dtype)[:, :, 1:],
    }
    for k, (kind, image) in enumerate(views.items()):
        before = image.copy()
        found = step(image, rng=3, index=k, channel_axis=-1, data_range=white)
        wanted = over_planes(step, image, rng=3, index=k, data_range=white)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted, err_msg=kind)
        assert same_bits(image.copy(), before)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("name", CHAINS)
def test_batches(name: str, dtype: str, over_planes: Any) -> None:
    step = CHAINS[name][0]
    images = photo((5, 36, 36, 3), dtype)
    wanted = over_planes(step, images, rng=3, index=2)
    for threads in (1, 2):
        with imrestore.threads(threads):
            together = step(images, rng=3, index=2, channel_axis=-1, batch_axis=0)
            np.testing.assert_array_equal(together, wanted)
            between = step(np.moveaxis(images, 0, 2), rng=3, index=2, channel_axis=-1, batch_axis=2)
            np.testing.assert_array_equal(np.moveaxis(between, 2, 0), wanted)
            for k, image in enumerate(images):
                alone = step(image, rng=3, index=2 + k, channel_axis=-1)
                np.testing.assert_array_equal(alone, wanted[k])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("name", ["flip", "affine", "crop and affine", "affine and clip", "rotate90"])
def test_large_pictures_by_several_threads(name: str, dtype: str, over_planes: Any) -> None:
    image = photo((310, 310, 3), dtype)
    step = CHAINS[name][0]
    results = []
    for threads in (1, 2):
        with imrestore.threads(threads):
            results.append(step(image, rng=8, channel_axis=-1))
    assert same_bits(*results)
    np.testing.assert_array_equal(results[0], over_planes(step, image, rng=8))


@pytest.mark.parametrize("name", CHAINS)
def test_gradients(name: str) -> None:
    step = CHAINS[name][0]
    values = torch.tensor(photo((40, 40, 3), "float32"))
    last = values.clone().requires_grad_()
    first = values.permute(2, 0, 1).contiguous().requires_grad_()
    found = step(last, rng=3, index=1, channel_axis=-1)
    wanted = step(first, rng=3, index=1, channel_axis=0)
    assert torch.equal(found.permute(2, 0, 1), wanted)
    weights = torch.tensor(photo(tuple(wanted.shape), "float32"))
    (wanted * weights).sum().backward()
    (found.permute(2, 0, 1) * weights).sum().backward()
    assert torch.equal(last.grad.permute(2, 0, 1), first.grad)
    assert bool(last.grad.any())


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_large_whole_numbers_survive_moves(dtype: str) -> None:
    limits = np.iinfo(dtype)
    flat = np.random.default_rng(1).integers(2**53, limits.max, 7 * 9 * 3, dtype, endpoint=True) | np.ones((), dtype)
    image = flat.reshape(7, 9, 3)
    image[0, 0], image[-1, -1] = limits.min, limits.max
    for one, axis in ((image, -1), (np.ascontiguousarray(np.moveaxis(image, -1, 0)), 0)):
        rows, columns = (0, 1) if axis else (1, 2)
        for turns in range(4):
            found = augment.Rotate90(turns)(one, channel_axis=axis)
            assert same_bits(found, np.ascontiguousarray(np.rot90(one, turns, axes=(rows, columns))))
        assert same_bits(augment.Flip(p=1)(one, channel_axis=axis), np.flip(one, columns).copy())
        assert same_bits(augment.Flip("vertical", p=1)(one, channel_axis=axis), np.flip(one, rows).copy())
        assert same_bits(augment.Transpose(p=1)(one, channel_axis=axis), np.swapaxes(one, rows, columns).copy())
        chain = augment.Chain([augment.CenterCrop((5, 4)), augment.Rotate90(1), augment.Flip(p=1), augment.Transpose(p=1)])
        cut = one[(slice(None),) * rows + (slice(1, 6), slice(2, 6))]
        wanted = np.swapaxes(np.flip(np.rot90(cut, 1, axes=(rows, columns)), columns), rows, columns)
        assert same_bits(chain(one, channel_axis=axis), wanted.copy())
