"""BM3D on colours, masks, NaN, bands, many threads; and how well it restores."""

from __future__ import annotations

import itertools
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from imrestore_kernels import bm3d_driver
from imrestore_kernels.bm3d_profiles import used_stages

import imrestore
from imrestore.denoise import BM3D_PROFILES, BM3DProfile
from tests import oracles
from tests.backends import same_bits
from tests.bm3d_pictures import SHAPE, fast, noisy, whole_numbers
from tests.calls import quick_bm3d

NAN, INF = float("nan"), float("inf")


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    """No NumPy warning reaches a caller, whatever he has set."""
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        yield


# Colours


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
def test_channels_stand_anywhere(channels: int) -> None:
    image = noisy((*SHAPE, channels))
    expected = fast(image, 10.0, channel_axis=-1)
    assert expected.std() < image.std()
    for axis in (0, 1, 2, -3, -2):
        result = fast(np.moveaxis(image, -1, axis), 10.0, channel_axis=axis)
        assert same_bits(np.ascontiguousarray(np.moveaxis(result, axis, -1)), expected)
    wide = np.zeros((*SHAPE, 2 * channels))
    wide[..., ::2] = image
    assert same_bits(fast(wide[..., ::2], 10.0, channel_axis=-1), expected)
    if channels == 1:
        assert same_bits(expected[..., 0], fast(image[..., 0], 10.0))


def test_a_plain_channel_of_colours_is_found() -> None:
    """Six channels of one picture, each with its own noise: together they are one picture of less noise."""
    clean = noisy((*SHAPE, 6), sigma=0.0)
    image = noisy((*SHAPE, 6))
    together = imrestore.bm3d(image, 10.0, channel_axis=-1)
    alone = np.stack([imrestore.bm3d(image[..., c], 10.0) for c in range(6)], -1)
    errors = [float(np.sqrt(np.mean((result - clean) ** 2))) for result in (together, alone)]
    assert errors[0] < 0.75 * errors[1]


@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize("dtype", ["int32", "float64"])
def test_three_colours_are_their_definition(dtype: str, stages: int) -> None:
    """Matched on their brightness, here whole numbers, with the noise that each plane has of the channels."""
    rng = np.random.default_rng(5)
    image = np.stack([whole_numbers(rng, SHAPE, 60) for _ in range(3)], -1)
    image[..., 2] += -image.sum(-1) % 3
    image = image.astype(dtype)
    profile = quick_bm3d(9)
    profile = profile._replace(wiener=profile.wiener._replace(match=0.0))  # the first result is no whole number
    keywords = {"profile": profile, "channel_axis": -1, "stages": stages, "sigma": (2.3, 7.77, 13.1)}
    result, basic = imrestore.bm3d(image.astype(np.float64), **keywords, return_basic=True)
    oracles.of("bm3d")(image, **keywords, basic=basic).assert_matches(imrestore.bm3d(image, **keywords))
    assert (stages == 1) == same_bits(result, basic)
    for changed in ({"sigma": (7.77, 2.3, 13.1)}, {"profile": quick_bm3d(5)}):
        wrong = oracles.of("bm3d")(image, **keywords | changed, basic=basic)
        with pytest.raises(AssertionError, match="pixels are wrong"):
            wrong.assert_matches(imrestore.bm3d(image, **keywords))


def test_a_grey_picture_in_colours_stays_grey() -> None:
    image = np.repeat(noisy()[..., np.newaxis], 3, -1)
    result = fast(image, 10.0, channel_axis=-1)
    np.testing.assert_allclose(result, result[..., :1].repeat(3, -1), atol=1e-4)


# Samples that take no part


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float32", "float64"])
def test_excluded_samples_are_not_looked_at(dtype: str, channels: int) -> None:
    image = noisy((*SHAPE, channels), dtype)
    where = np.random.default_rng(3).random(image.shape) < 0.8
    where[10:16, 20:25] = False
    expected = fast(image, 10.0, channel_axis=-1, where=where)
    assert not np.array_equal(expected, fast(image, 10.0, channel_axis=-1))
    if image.dtype.kind == "f":
        limits = np.finfo(dtype)
        garbage: tuple[Any, ...] = (NAN, INF, -INF, limits.max, limits.smallest_subnormal)
        omitted = fast(np.where(where, image, image.dtype.type(NAN)), 10.0, channel_axis=-1, nan_policy="omit")
        assert same_bits(omitted, expected)
    else:
        garbage = (0, np.iinfo(dtype).max)
    for value in garbage:
        spoilt = np.where(where, image, np.array(value, dtype))
        assert same_bits(fast(spoilt, 10.0, channel_axis=-1, where=where), expected)
    assert same_bits(fast(image, 10.0, channel_axis=-1, where=np.ones(image.shape, bool)), fast(image, 10.0, channel_axis=-1))


def test_missing_samples_are_filled_in_sensibly() -> None:
    image, clean = noisy((60, 64)), noisy((60, 64), sigma=0.0)
    where = np.random.default_rng(3).random(image.shape) < 0.9
    where[40:46, 10:15] = False
    result = fast(image, 10.0, where=where)
    scattered = ~where
    scattered[40:46, 10:15] = False
    error = np.sqrt(np.mean((result - clean)[scattered] ** 2))
    assert error < 8
    assert abs(result - clean)[40:46, 10:15].max() < 40
    kept = np.sqrt(np.mean((result - clean)[where] ** 2))
    assert kept < 1.5 * np.sqrt(np.mean((fast(image, 10.0) - clean)[where] ** 2))
    # Left out of one channel only: the others stay what they are there.
    colour = np.stack([image] * 3, -1)
    mask = np.ones(colour.shape, bool)
    mask[..., 1] = where
    colour[..., 1] += 300
    filled = fast(colour, 10.0, channel_axis=-1, where=mask)
    assert filled[..., 1].min() > 300 > filled[..., 0].max()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_deep_in_a_hole_nothing_is_known(dtype: str) -> None:
    image = noisy((20, 160), dtype)
    where = np.ones(image.shape, bool)
    where[:, :110] = False
    result = fast(image, 10.0, where=where)
    unknown = result == 0 if dtype == "uint8" else np.isnan(result)
    beyond = np.zeros(image.shape, bool)
    beyond[:, : 110 - 44] = True  # of 4 samples and 40 more
    for stage in used_stages(BM3D_PROFILES["fast"], 2, correlated=False):
        beyond = spoilt_patches(beyond, stage.step)
    np.testing.assert_array_equal(unknown, beyond)
    nothing = fast(image, 10.0, where=np.zeros(image.shape, bool))
    assert (nothing == 0).all() if dtype == "uint8" else np.isnan(nothing).all()
    assert same_bits(nothing, fast(image, where=np.zeros(image.shape, bool)))


def spoilt_patches(spoilt: np.ndarray, step: int) -> np.ndarray:
    """Pixels of the reference patches that hold a spoilt pixel."""
    result = np.zeros_like(spoilt)
    for y, x in itertools.product(*({*range(0, n - 7, step), n - 8} for n in spoilt.shape)):
        if spoilt[y : y + 8, x : x + 8].any():
            result[y : y + 8, x : x + 8] = True
    return result


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("name", ["fast", "normal"])
def test_what_is_not_finite_spoils_its_surroundings(value: float, name: str) -> None:
    """The patches that hold it in the first stage, and in the others those that hold what these spoilt."""
    image, stages = noisy((50, 57)), used_stages(BM3D_PROFILES[name], 2, correlated=False)
    assert len(stages) == (3 if name == "normal" else 2)
    for at in ((23, 28), (20, 33), (49, 0)):
        spoilt = image.copy()
        spoilt[at] = value
        expected = [~np.isfinite(spoilt)]
        for stage in stages:
            expected.append(spoilt_patches(expected[-1], stage.step))
        result, first = imrestore.bm3d(spoilt, 10.0, profile=name, return_basic=True)
        np.testing.assert_array_equal(np.isnan(first), expected[1])
        np.testing.assert_array_equal(np.isnan(result), expected[-1])
        assert np.isfinite(result[~np.isnan(result)]).all()
        rows, columns = np.nonzero(np.isnan(result))
        assert max(abs(rows - at[0]).max(), abs(columns - at[1]).max()) <= 7 * len(stages)


def test_nan_in_one_colour_spoils_all_and_raise_raises() -> None:
    image = noisy((*SHAPE, 3))
    image[15, 20, 1] = NAN
    result = fast(image, 10.0, channel_axis=-1)
    assert np.isnan(result[15, 20]).all()
    assert np.isfinite(result[0, 0]).all()
    with pytest.raises(ValueError, match=r"^image contains NaN"):
        fast(image, 10.0, channel_axis=-1, nan_policy="raise")
    assert same_bits(fast(noisy(), 10.0, nan_policy="raise"), fast(noisy(), 10.0))


# Bands

SMALL = BM3D_PROFILES["fast"]._replace(
    hard=BM3D_PROFILES["fast"].hard._replace(step=3, window=9), wiener=BM3D_PROFILES["fast"].wiener._replace(step=2, window=5)
)
BANDED: dict[str, dict[str, Any]] = {
    "both stages": {},
    "one stage": {"stages": 1},
    "other steps": {"profile": SMALL},
    "three stages": {"profile": SMALL._replace(refine=SMALL.wiener._replace(step=1, window=9, share=1.0))},
    "colours": {"shape": (3, 400, 26), "channel_axis": 0},
    "five channels": {"shape": (400, 26, 5), "channel_axis": -1},
    "where": {"where": True},
    "map": {"sigma": True},
    "kernel": {"shape": (450, 30), "kernel": [[1.0, 0.5]]},
    "batch": {"shape": (2, 400, 26), "axes": (1, 2)},
    "NaN": {"spoilt": True},
}


@pytest.mark.parametrize("name", BANDED)
def test_bands_have_the_bits_of_the_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keywords = {"sigma": 10.0, "return_basic": True} | BANDED[name]
    rng = np.random.default_rng(4)
    image = rng.normal(100, 20, keywords.pop("shape", (400, 30)))
    if keywords["sigma"] is True:
        keywords["sigma"] = rng.uniform(5, 20, image.shape)
    if keywords.get("where"):
        keywords["where"] = rng.random(image.shape) < 0.8
    if keywords.pop("spoilt", False):
        image[100:400:60, 15] = NAN
    whole = fast(image, **keywords)
    counted: list[int] = []
    bands = bm3d_driver._bands

    def counting(*arguments: Any) -> Any:
        made = bands(*arguments)
        counted.append(len(made))
        return made

    monkeypatch.setattr(bm3d_driver, "_BAND_SAMPLES", 1000)
    monkeypatch.setattr(bm3d_driver, "_bands", counting)
    assert all(same_bits(a, b) for a, b in zip(fast(image, **keywords), whole, strict=True))
    assert counted[0] > 1


def test_progress_of_bands_and_batches_increases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bm3d_driver, "_BAND_SAMPLES", 1000)
    heard: list[float] = []
    fast(np.random.default_rng(4).normal(100, 20, (2, 400, 26)), 10.0, axes=(1, 2), callback=heard.append)
    assert len(heard) > 64
    assert heard == sorted(set(heard))
    assert heard[-1] == 1


# Threads


def test_calls_of_many_threads_at_once() -> None:
    image = np.random.default_rng(4).normal(100, 20, (150, 160))
    jobs = [{}, {"stages": 1}, {"kernel": [[1, 1]]}, {"sigma": 20.0}]
    expected = [fast(image, **{"sigma": 10.0} | job).tobytes() for job in jobs]
    wrong: list[int] = []
    finished: list[int] = []
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait()
        for turn in range(8):
            i = (number + turn) % 4
            if fast(image, **{"sigma": 10.0} | jobs[i]).tobytes() != expected[i]:
                wrong.append(i)
        finished.append(number)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert wrong == []
    assert sorted(finished) == [0, 1, 2, 3]


def test_any_number_of_threads_and_layout_gives_the_same_bits() -> None:
    image = np.random.default_rng(4).normal(100, 20, (130, 140))
    wide = np.zeros((260, 420))[::-2, 1::3]
    wide[...] = image
    layouts = (image, np.asfortranarray(image), wide, image[:, ::-1].copy()[:, ::-1])
    for keywords in ({}, {"sigma": np.linspace(5, 20, 140) * np.ones((130, 1))}, {"kernel": [[1, 1]]}):
        results = []
        for threads, given in zip((1, 2, 4, 7), layouts, strict=True):
            with imrestore.threads(threads):
                results.append(imrestore.bm3d(given, **{"sigma": 10.0, "profile": BM3D_PROFILES["normal"]} | keywords))
        assert all(same_bits(np.ascontiguousarray(result), results[0]) for result in results)


# Quality


def psnr(result: np.ndarray, clean: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((result - clean) ** 2)))


def test_the_camera_man_at_sigma_25() -> None:
    """What the authors' programs give is 29.8 to 30.1 (scikit-image's picture is not that of the tables)."""
    data = pytest.importorskip("skimage.data")
    clean = data.camera().astype(np.float32)
    image = clean + np.random.default_rng(0).normal(0, 25, clean.shape).astype(np.float32)
    normal = BM3D_PROFILES["normal"]
    classic = BM3DProfile(normal.hard, normal.wiener._replace(share=0.0))
    best, plain = (psnr(imrestore.bm3d(image, 25.0, profile=profile), clean) for profile in (normal, classic))
    assert plain >= 29.8
    assert best >= plain + 0.1
    quick = fast(image, 25.0)
    assert psnr(quick, clean) >= 29.4
    assert psnr(fast(image, 25.0, stages=1), clean) > psnr(image, clean) + 8
    assert abs(psnr(fast(image), clean) - psnr(quick, clean)) < 0.1  # sigma estimated


def test_colours_together_are_better_than_apart() -> None:
    data = pytest.importorskip("skimage.data")
    clean = data.astronaut()[:256, 100:356].astype(np.float32)
    image = clean + np.random.default_rng(0).normal(0, 25, clean.shape).astype(np.float32)
    together = fast(image, 25.0, channel_axis=-1)
    alone = np.stack([fast(image[..., c], 25.0) for c in range(3)], -1)
    assert psnr(together, clean) > psnr(alone, clean) + 1


@pytest.mark.parametrize("kernel", [np.ones((1, 5)), np.outer([1, 2, 1], [1, 2, 1])], ids=["rows", "blurred"])
def test_coloured_noise_wants_its_kernel(kernel: np.ndarray) -> None:
    data = pytest.importorskip("skimage.data")
    clean = data.camera()[100:356, 100:356].astype(np.float64)
    white = np.random.default_rng(0).normal(0, 1, (256 + kernel.shape[0] - 1, 256 + kernel.shape[1] - 1))
    coloured = sum(
        kernel[i, j] * white[i : 256 + i, j : 256 + j] for i, j in itertools.product(*map(range, kernel.shape))
    )
    kernel = kernel[::-1, ::-1] * 25 / np.sqrt(np.sum(kernel**2))
    image = clean + coloured * 25 / coloured.std()
    assert psnr(fast(image, kernel=kernel), clean) > psnr(fast(image, 25.0), clean) + 2


def test_noise_counts_for_more_in_differences_of_colours() -> None:
    """Here they show nothing but noise; a picture in one channel has none."""
    image, clean = (noisy((*SHAPE, 3), sigma=sigma) for sigma in (10.0, 0.0))
    normal = BM3D_PROFILES["normal"]
    plain = normal._make(stage._replace(colour=1.0) for stage in used_stages(normal, 2, correlated=False))
    errors = [float(((imrestore.bm3d(image, 10.0, profile=p, channel_axis=2) - clean) ** 2).mean()) for p in (normal, plain)]
    assert errors[0] < 0.98 * errors[1]
    one = image[..., 0]
    assert same_bits(imrestore.bm3d(one, 10.0, profile=plain), imrestore.bm3d(one, 10.0, profile=normal))
