"""BM3D of dask arrays: blocks begin where the order of work repeats, and give the bits of the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from imrestore_kernels.bm3d_driver import grid_of, reach_of
from imrestore_kernels.bm3d_profiles import used_stages

import imrestore
from imrestore import _blocks
from imrestore.denoise import BM3D_PROFILES, BM3DProfile, HardThreshold, Wiener

da = pytest.importorskip("dask.array")

#: Steps and windows as small as makes blocks small: in most tests a grid of 32 rows and 64 columns.
SMALL = BM3DProfile(
    HardThreshold(transform="dct", step=1, group=8, window=5), Wiener(transform="bior1.5", step=1, group=8, window=3)
)
STEPS = SMALL._replace(wiener=SMALL.wiener._replace(step=2, window=5))
THREE = SMALL._replace(refine=SMALL.wiener._replace(transform="dct", step=2, window=5, share=0.5))
SHAPE = (193, 262)
RNG = np.random.default_rng(11)
IMAGE = RNG.normal(100, 25, SHAPE) + 20 * (np.indices(SHAPE)[0] > 50)
#: One above the other only, where there is more to do.
NARROW = IMAGE[:, :50]
#: Chunks, and of how many blocks the image is then made of: at least as large as what a block needs of its neighbours.
CHUNKS: dict[str, tuple[Any, tuple[int, int]]] = {
    "even": ((96, 128), (2, 2)),
    "small": ((17, 23), (3, 2)),
    "uneven": (((1, 90, 4, 98), (140, 1, 121)), (2, 2)),
    "one row each": ((1, 262), (3, 1)),
    "one column each": ((193, 1), (1, 2)),
    "whole": ((193, 262), (1, 1)),
}


def restored(image: Any, *sigma: Any, **keywords: Any) -> Any:
    return imrestore.bm3d(image, *(sigma or (25.0,)), **{"profile": SMALL} | keywords)


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of the blocks that were filtered."""
    seen: list[tuple[int, ...]] = []
    original = _blocks._filter_block

    def noted(block: Any, *others: Any, **keywords: Any) -> Any:
        if block.size:  # dask tries a function on nothing
            seen.append(block.shape)
        return original(block, *others, **keywords)

    monkeypatch.setattr(_blocks, "_filter_block", noted)
    return seen


def same(lazy: Any, expected: np.ndarray) -> None:
    assert isinstance(lazy, da.Array)
    assert (lazy.dtype, lazy.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(lazy.compute(scheduler="synchronous"), expected)


@pytest.mark.parametrize("name", CHUNKS)
def test_chunkings_are_bit_equal_to_the_whole(name: str, blocks: list[tuple[int, ...]]) -> None:
    chunks, counts = CHUNKS[name]
    lazy = da.from_array(IMAGE, chunks=chunks)
    result = restored(lazy)
    assert result.chunks == lazy.chunks
    same(result, restored(IMAGE))
    assert len(blocks) == counts[0] * counts[1]


OTHERS = {"steps": STEPS, "windows": SMALL._replace(hard=SMALL.hard._replace(window=1)), "three": THREE}


@pytest.mark.parametrize("profile", OTHERS.values(), ids=OTHERS)
def test_other_grids(profile: BM3DProfile, blocks: list[tuple[int, ...]]) -> None:
    """All stages' orders have to repeat: with steps of 1 and 2 that is every 128 columns."""
    image = np.tile(IMAGE, (1, 2))
    same(restored(da.from_array(image, chunks=(65, 131)), profile=profile), restored(image, profile=profile))
    assert len(blocks) >= 4


def tall(profile: BM3DProfile) -> np.ndarray:
    """An image of more than one block: a block is longer than what it needs of its neighbours, both in steps of the grid."""
    rows, _ = grid_of(used_stages(profile, 2, correlated=False))
    return np.random.default_rng(1).normal(100, 50, (3 * rows + 16, 24))


@pytest.mark.parametrize("name", ["fast", "normal"])
def test_profiles_by_name(name: str, blocks: list[tuple[int, ...]]) -> None:
    image = tall(BM3D_PROFILES[name])
    same(restored(da.from_array(image, chunks=(90, 24)), profile=name), restored(image, profile=name))
    assert len(blocks) > 1


def test_the_profile_is_not_chosen_block_by_block(blocks: list[tuple[int, ...]]) -> None:
    """Much noise in one place makes another profile better there, which a block must not see for itself."""
    image = tall(BM3D_PROFILES["normal"]) / 50 - 2
    named, plain = (restored(image, 1.0, profile=p) for p in ("normal", BM3D_PROFILES["normal"]))
    assert not np.array_equal(named, plain)
    same(restored(da.from_array(image, chunks=(120, 24)), 1.0, profile="normal"), plain)
    assert len(blocks) > 1


def test_one_stage_needs_less(blocks: list[tuple[int, ...]]) -> None:
    same(restored(da.from_array(IMAGE, chunks=(64, 128)), stages=1), restored(IMAGE, stages=1))
    assert len(blocks) == 6


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_dtypes_and_the_basic_result(dtype: str, blocks: list[tuple[int, ...]]) -> None:
    image = IMAGE.clip(0, 255).astype(dtype)
    result, basic = restored(da.from_array(image, chunks=(96, 128)), return_basic=True)
    expected, first = restored(image, return_basic=True)
    same(result, expected)
    same(basic, first)
    assert not np.array_equal(expected, first)
    assert len(blocks) > 4


@pytest.mark.parametrize("axis", [0, 2])
def test_colours(axis: int, blocks: list[tuple[int, ...]]) -> None:
    """Channels of several chunks are put together."""
    image = np.stack([NARROW, NARROW[::-1], NARROW[:, ::-1] / 2], axis)
    lazy = da.from_array(image, chunks=tuple(2 if a == axis else 97 for a in range(3)))
    for sigma in (25.0, (10.0, 20.0, 30.0)):
        result = restored(lazy, sigma, channel_axis=axis)
        assert result.chunks == lazy.chunks
        same(result, restored(image, sigma, channel_axis=axis))
    assert len(blocks) == 4


def test_batches(blocks: list[tuple[int, ...]]) -> None:
    image = np.stack([NARROW, NARROW[::-1]], 1)
    same(restored(da.from_array(image, chunks=(96, 1, 128)), axes=(0, 2)), restored(image, axes=(0, 2)))
    assert len(blocks) == 4


@pytest.mark.parametrize("policy", ["propagate", "omit"])
def test_masks(policy: str, blocks: list[tuple[int, ...]]) -> None:
    """A hole next to the border of blocks, too large for the near means: it is filled from 40 samples around, beyond what both
    stages read."""
    profile = SMALL._replace(hard=SMALL.hard._replace(window=9), wiener=SMALL.wiener._replace(window=9))
    image = np.tile(NARROW, (2, 1))
    where = RNG.random(image.shape) < 0.8
    where[66:128, 10:] = False
    image[20, 30] = np.nan
    for keywords in ({"where": where, "nan_policy": policy}, {"nan_policy": policy}):
        lazy = {k: da.from_array(v, chunks=(70, 31)) if k == "where" else v for k, v in keywords.items()}
        result = restored(da.from_array(image, chunks=(128, 50)), profile=profile, **lazy)
        same(result, restored(image, profile=profile, **keywords))
    assert len(blocks) == 6


def test_a_map_of_sigmas(blocks: list[tuple[int, ...]]) -> None:
    sigmas = RNG.uniform(5, 40, SHAPE)
    lazy, chunked = da.from_array(IMAGE, chunks=(96, 128)), da.from_array(sigmas, chunks=(50, 70))
    same(restored(lazy, chunked), restored(IMAGE, sigmas))
    colour = np.stack([NARROW, NARROW[::-1], NARROW[:, ::-1]], -1)
    own = np.stack([sigmas, sigmas / 2, sigmas[::-1]], -1)[:, :50]
    lazy = da.from_array(colour, chunks=(96, 128, 3))
    for given in (sigmas[:, :50], own):
        chunked = da.from_array(given, chunks=40)
        same(restored(lazy, chunked, channel_axis=-1), restored(colour, given, channel_axis=-1))
    assert len(blocks) == 8


def test_correlated_noise(blocks: list[tuple[int, ...]]) -> None:
    lazy = da.from_array(NARROW, chunks=(96, 50))
    kernel = 20 * np.array([[0.3, 1.0], [0.0, 0.6]])
    for keywords in ({"kernel": kernel}, {"psd": abs(np.fft.fft2(kernel, (16, 16))) ** 2}):
        same(restored(lazy, None, **keywords), restored(NARROW, None, **keywords))
    assert len(blocks) == 4


def test_threads_of_dask(blocks: list[tuple[int, ...]]) -> None:
    result = restored(da.from_array(IMAGE, chunks=(96, 128))).compute(scheduler="threads", num_workers=4)
    np.testing.assert_array_equal(result, restored(IMAGE))
    assert len(blocks) == 4


@pytest.mark.parametrize("windows", [(5, 3), (9, 9), (1, 1), (3, 5, 3)])
@pytest.mark.parametrize("stages", [1, 2])
def test_a_row_changes_none_beyond_the_reach(windows: tuple[int, ...], stages: int) -> None:
    """In each stage as far as two shifts and the rest of a patch: a patch, its reference, another patch of that group."""
    parameters = (SMALL.hard, SMALL.wiener, SMALL.wiener)
    profile = BM3DProfile(*(s._replace(window=n, match=1e6) for s, n in zip(parameters, windows, strict=False)))
    used = used_stages(profile, stages, correlated=False)
    furthest = 0
    for turn in range(6):
        rng = np.random.default_rng(turn)
        image = rng.normal(100, 25, (101, 40))
        changed = image.copy()
        changed[50] = rng.normal(100, 25, 40)
        both = (restored(i, profile=profile, stages=stages) for i in (image, changed))
        rows = np.flatnonzero((next(both) != next(both)).any(1))
        furthest = max(furthest, abs(rows - 50).max())
    assert furthest == sum(7 + 2 * (n // 2) for n in windows[: 1 if stages == 1 else 3]) == reach_of(used, False)


def test_grids() -> None:
    """Of steps 1 to 6 and windows of 3 to 39 pixels: whole strips twice over, and tiles of 64 references."""
    for profile, expected in (
        (SMALL, (32, 64)),
        (STEPS, (32, 128)),
        (THREE, (32, 128)),
        (THREE._replace(wiener=SMALL.wiener._replace(step=3)), (96, 384)),
        (BM3DProfile(HardThreshold(step=4, window=39), Wiener(step=6, window=39), Wiener(step=4, window=39)), (384, 768)),
    ):
        assert grid_of(used_stages(profile, 2, correlated=False)) == expected


# What is refused, at once


@pytest.mark.parametrize(
    ("keywords", "argument"),
    [
        ({"sigma": None}, "sigma"),
        ({"sigma": -1.0}, "sigma"),
        ({"sigma": (1.0, 2.0)}, "sigma"),
        ({"sigma": np.ones(SHAPE)}, "sigma"),
        ({"sigma": da.ones(SHAPE, dtype=complex)}, "sigma"),
        ({"callback": print}, "callback"),
        ({"out": np.zeros(SHAPE)}, "out"),
        ({"profile": "slow"}, "profile"),
        ({"stages": 3}, "stages"),
        ({"kernel": np.zeros((3, 3))}, "kernel"),
        ({"return_basic": 2}, "return_basic"),
        ({"axes": 0}, "axes"),
        ({"channel_axis": 1}, "image"),
        ({"where": np.ones(SHAPE, bool)}, "where"),
    ],
    ids=str,
)
def test_bad_values(keywords: dict[str, Any], argument: str) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"^{argument} "):
        imrestore.bm3d(da.from_array(IMAGE, chunks=(96, 128)), **{"sigma": 25.0, "profile": SMALL} | keywords)


@pytest.mark.parametrize("channels", [2, 4])
def test_principal_components_are_the_whole_images(channels: int) -> None:
    with pytest.raises(ValueError, match=r"^image .*one channel or three"):
        restored(da.zeros((20, 20, channels), chunks=9), channel_axis=-1)


def test_a_map_is_looked_at_when_it_is_computed() -> None:
    lazy = restored(da.from_array(IMAGE, chunks=(96, 128)), da.full(SHAPE, -1.0, chunks=64))
    with pytest.raises(ValueError, match=r"^sigma has values from"):
        lazy.compute(scheduler="synchronous")
