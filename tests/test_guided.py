"""What only the guided filter has: a second image, fits that keep edges, variances on a pedestal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

import imrestore
from imrestore.cli import main
from tests import oracles
from tests.backends import same_bits
from tests.cases import MODES

RNG = np.random.default_rng(11)
IMAGE = RNG.normal(100, 20, (40, 50)).astype(np.float32)
GUIDE = RNG.normal(100, 20, (40, 50, 3)).astype(np.float32)


def textbook(guide: np.ndarray, image: np.ndarray, radius: int, eps: float) -> np.ndarray:
    """Algorithm 1 of He, Sun and Tang with scipy's box filter, whose border 'reflect' folds the fits as it does the image."""

    def mean(values: np.ndarray) -> np.ndarray:
        return ndimage.uniform_filter(values, 2 * radius + 1, mode="reflect")

    a = (mean(guide * image) - mean(guide) * mean(image)) / (mean(guide * guide) - mean(guide) ** 2 + eps)
    return mean(a) * guide + mean(mean(image) - a * mean(guide))


@pytest.mark.parametrize("radius", [1, 4, 9])
def test_the_oracle_is_the_textbook(radius: int) -> None:
    image, guide = IMAGE.astype(np.float64), GUIDE[..., 0].astype(np.float64)
    expected = oracles.guided(image, guide, radius, eps=30.0)
    np.testing.assert_allclose(expected.low.astype(float), textbook(guide, image, radius, 30.0), rtol=1e-9)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_tile_with_its_halo_is_the_whole(mode: str, channels: int) -> None:
    image, guide = np.tile(IMAGE, (2, 8)), np.tile(GUIDE[..., :channels], (2, 8, 1))
    keywords = {"radius": (3, 5), "eps": 50.0, "mode": mode, "cval": 90.0, "channel_axis": -1}
    whole = imrestore.guided(image, guide, **keywords)
    for y, x in ((0, 0), (13, 101), (40, 257)):
        top, left = min(y, 6), min(x, 10)
        window = np.s_[y - top : y + 26, x - left : x + 60]
        tile = imrestore.guided(image[window], guide[window], **keywords)
        inside = tile[top : top + 20, left : left + 50]
        if mode != "wrap" or (y and x):  # a tile at the border wraps to other pixels
            assert same_bits(np.ascontiguousarray(inside), np.ascontiguousarray(whole[y : y + 20, x : x + 50]))


@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 1), ("float32", 1), ("uint16", 3)])
def test_any_number_of_threads_gives_the_same_bits(dtype: str, channels: int) -> None:
    image = np.tile(IMAGE, (8, 6)).astype(dtype)
    guide = np.tile(GUIDE[..., :channels], (8, 6, 1)).astype(dtype)
    results = []
    for threads in (1, 2, 3, 7):
        with imrestore.threads(threads):
            results.append(imrestore.guided(image, guide, 5, eps=90.0, channel_axis=-1))
    assert all(same_bits(results[0], other) for other in results[1:])


def test_a_bad_sample_spoils_its_windows_and_nothing_else() -> None:
    for bad in (np.nan, np.inf, -np.inf):
        for which in ("image", "guide"):
            image, guide = IMAGE.copy(), GUIDE.copy()
            (image if which == "image" else guide[..., 1])[20, 30] = bad
            result = imrestore.guided(image, guide, (2, 3), eps=50.0, channel_axis=-1)
            spoiled = np.zeros(image.shape, bool)
            spoiled[16:25, 24:37] = True  # twice the radius around it
            np.testing.assert_array_equal(np.isnan(result), spoiled)
            clean = imrestore.guided(IMAGE, GUIDE, (2, 3), eps=50.0, channel_axis=-1)
            assert same_bits(result[~spoiled], clean[~spoiled])


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("images", [2, 3, 4, 7])
def test_channels_of_an_image_are_filtered_one_by_one(images: int, channels: int, dtype: str) -> None:
    """However many are done together."""
    image = RNG.normal(100, 30, (20, 31, images)).clip(0, 255).astype(dtype)
    guide = GUIDE[:20, :31, :channels].astype(dtype)
    together = imrestore.guided(image, guide, (2, 3), eps=40.0, channel_axis=-1)
    for c in range(images):
        alone = imrestore.guided(np.ascontiguousarray(image[..., c]), guide, (2, 3), eps=40.0, channel_axis=-1)
        assert same_bits(np.ascontiguousarray(together[..., c]), alone)


def test_variances_on_a_pedestal() -> None:
    """A guide of 1e6 and one of 0 with the same differences fit an image alike; in float32 those of 3000 do."""
    detail = RNG.integers(-8, 9, (40, 50)).astype(np.float32) / 8
    image = RNG.normal(0, 1, (40, 50))
    low = imrestore.guided(image, detail, 4, eps=0.05)
    high = imrestore.guided(image, detail + np.float32(1e6), 4, eps=0.05)
    np.testing.assert_allclose(high, low, atol=1e-8)  # squares of 1e6 leave 1e-4 of a variance in float64
    single = imrestore.guided(image.astype(np.float32), detail + np.float32(3000), 4, eps=0.05)
    np.testing.assert_allclose(single, low, atol=2 * 3000 * 2.0**-24)  # and those of 3000 leave 0.5 in float32
    itself = imrestore.guided(detail.astype(np.float64) + 1e9, radius=4, eps=0.05) - 1e9
    np.testing.assert_allclose(itself, imrestore.guided(detail.astype(np.float64), radius=4, eps=0.05), atol=2e-6)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_colour_guide_of_few_bits_on_a_pedestal(dtype: str) -> None:
    """float32 does no more than rounding the samples to it once more: sums of squares would be off by their own size."""
    step, pedestal = {"uint8": (1, 200), "uint16": (1, 60000), "float32": (1 / 8, 3000)}[dtype]
    guide = (GUIDE / 20 // step * step + pedestal).astype(dtype)
    image = (IMAGE / 20 + 100).astype(np.float32)
    for eps in (1e-3, 1.0):
        fast = imrestore.guided(image, guide, 4, eps=eps, channel_axis=-1)
        exact = imrestore.guided(image.astype(np.float64), guide, 4, eps=eps, channel_axis=-1)
        np.testing.assert_allclose(fast, exact, rtol=4 * 2.0**-24, atol=2 * pedestal * 2.0**-24)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [2.0**-70, 2.0**-40, 2.0**40, 2.0**70])
def test_units_do_not_matter(scale: float, channels: int) -> None:
    """Squares of float32 neither vanish nor overflow; what is not finite has no say in this."""
    image, guide = IMAGE.copy(), GUIDE[..., :channels].copy()
    image[3, 4], image[30, 5], guide[20, 40, 0] = np.nan, np.inf, -np.inf
    expected = imrestore.guided(image.astype(np.float64), guide.astype(np.float64), 2, eps=50.0, channel_axis=-1)
    unit = np.float32(scale)
    found = imrestore.guided(image * unit, guide * unit, 2, eps=50.0 * scale**2, channel_axis=-1)
    np.testing.assert_allclose(found / unit, expected, rtol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_channels_that_follow_from_others_add_no_noise(dtype: str, masked: bool) -> None:
    """What is left of their variance is rounding; divided by a tiny eps it made pictures of noise."""
    channel = RNG.uniform(0, 2.5e5, (40, 44))
    guide = np.stack([channel, 0.3 * channel, 0.7 * channel], axis=-1).astype(dtype)
    where = np.ones(guide.shape, bool) if masked else None
    for eps in (1e-3, 1e-9, 1e-15):
        found = imrestore.guided(guide, radius=4, eps=eps, channel_axis=-1, where=where)
        np.testing.assert_allclose(found, guide, rtol=0, atol=2.5e5 * (2.0**-21 if dtype == "float32" else 2.0**-42))


def test_eps_beyond_float32() -> None:
    image = RNG.integers(0, 255, (20, 21), np.uint8)
    assert same_bits(imrestore.guided(image, radius=2, eps=1e300), imrestore.guided(image, radius=2, eps=1e29))


def test_a_flat_colour_guide_leaves_the_means() -> None:
    """The variance of equal samples is 0, and no eps makes it count."""
    image = RNG.normal(0, 1, (30, 40)).astype(np.float32)
    guide = np.full((30, 40, 3), 7777.75, np.float32)
    for eps in (1e-30, 1e-3):
        flat = imrestore.guided(image, guide, 3, eps=eps, channel_axis=-1)
        means = imrestore.mean(imrestore.mean(image.astype(np.float64), 7), 7)
        np.testing.assert_allclose(flat[6:-6, 6:-6], means[6:-6, 6:-6], atol=1e-6)


def test_grey_as_colours_is_grey() -> None:
    """Three equal channels have a covariance without an inverse but for eps."""
    three = np.repeat(GUIDE[..., :1], 3, axis=-1)
    for eps in (1e-6, 100.0):  # with eps / 3 for each of three channels the fit is the same
        grey = imrestore.guided(IMAGE, GUIDE[..., 0], 4, eps=eps / 3)
        np.testing.assert_allclose(imrestore.guided(IMAGE, three, 4, eps=eps, channel_axis=-1), grey, rtol=1e-6)


def test_a_hole_is_filled_along_the_edges_of_its_guide() -> None:
    guide = np.where(np.arange(40) < 17, 10.0, 200.0) + np.zeros((30, 1))
    depth = guide / 10
    where = np.ones(depth.shape, bool)
    where[12:18, 14:21] = False
    broken = np.where(where, depth, 999.0)
    filled = imrestore.guided(broken, guide, 6, eps=1e-3, where=where)
    np.testing.assert_allclose(filled, depth, atol=1e-4)
    alone = imrestore.guided(broken, radius=6, eps=1e-3, where=where)  # without a guide: a mixture, but not of the broken
    assert (alone[~where] <= 20.001).all()


def test_out_may_be_the_guide_or_the_image() -> None:
    image, guide = IMAGE.copy(), GUIDE[..., 0].copy()
    expected = imrestore.guided(image, guide, eps=50.0)
    assert imrestore.guided(image, guide, eps=50.0, out=guide) is guide
    assert same_bits(guide, expected)
    assert imrestore.guided(image, GUIDE[..., 0], eps=50.0, out=image) is image
    assert same_bits(image, expected)


@pytest.mark.parametrize(
    "layout",
    [
        lambda a: np.ascontiguousarray(a[::-1])[::-1],
        np.asfortranarray,
        lambda a: a.astype(a.dtype.newbyteorder(">")),
        lambda a: np.repeat(a, 2, axis=1)[:, ::2],
        lambda a: a.tolist() if a.dtype == np.float64 else a,
    ],
    ids=["negative", "Fortran", "big-endian", "sliced", "list"],
)
def test_guides_of_any_layout(layout: Any) -> None:
    for guide in (GUIDE[..., 0].astype(np.float64), GUIDE.astype(np.float64)):
        keywords = {"eps": 50.0, "channel_axis": -1 if guide.ndim == 3 else None}
        assert same_bits(imrestore.guided(IMAGE, layout(guide), **keywords), imrestore.guided(IMAGE, guide, **keywords))


def test_a_guide_is_not_written_to() -> None:
    guide = GUIDE[..., 0].copy()
    guide.flags.writeable = False
    imrestore.guided(IMAGE, guide, eps=50.0)
    assert same_bits(guide, np.ascontiguousarray(GUIDE[..., 0]))


def test_tensors_guide_tensors() -> None:
    torch = pytest.importorskip("torch")
    image, guide = torch.from_numpy(IMAGE.copy()), torch.from_numpy(GUIDE.copy())
    result = imrestore.guided(image, guide, eps=50.0, channel_axis=-1)
    assert type(result) is torch.Tensor
    np.testing.assert_array_equal(result.numpy(), imrestore.guided(IMAGE, GUIDE, eps=50.0, channel_axis=-1))
    with pytest.raises(TypeError, match=r"^guide is a numpy.*and image a torch"):
        imrestore.guided(image, GUIDE[..., 0], eps=50.0)
    with pytest.raises(TypeError, match=r"^guide is a torch.*and image a numpy"):
        imrestore.guided(IMAGE, guide[..., 0], eps=50.0)
    with pytest.raises(ValueError, match=r"^guide requires grad"):
        imrestore.guided(image, guide[..., 0].clone().requires_grad_(), eps=50.0)


@pytest.mark.parametrize("mode", MODES)
def test_dask_guides_are_chunked_with_the_image(mode: str) -> None:
    da = pytest.importorskip("dask.array")
    keywords = {"radius": 2, "eps": 50.0, "mode": mode, "cval": 90.0}
    lazy = da.from_array(IMAGE, chunks=(9, 14))
    colours = np.repeat(IMAGE[..., None], 2, axis=-1)
    for image, guide, axis in (
        (IMAGE, GUIDE[..., 0], None),
        (IMAGE, GUIDE, -1),
        (IMAGE, np.moveaxis(GUIDE, -1, 0), 0),
        (colours, GUIDE, -1),
        (colours, GUIDE[..., 1], -1),
        (colours, None, -1),
    ):
        lazy = da.from_array(image, chunks=(9, 14, 1)[: image.ndim])
        beside = None if guide is None else da.from_array(guide, chunks=7)
        where = da.from_array(image > 80, chunks=8)
        result = imrestore.guided(lazy, beside, channel_axis=axis, where=where, **keywords)
        assert result.chunks == lazy.chunks
        expected = imrestore.guided(image, guide, channel_axis=axis, where=image > 80, **keywords)
        np.testing.assert_array_equal(result.compute(scheduler="synchronous"), expected)


def test_dask_refuses_guides_at_once() -> None:
    da = pytest.importorskip("dask.array")
    lazy = da.from_array(IMAGE, chunks=9)
    with pytest.raises(TypeError, match=r"^guide "):
        imrestore.guided(lazy, GUIDE[..., 0], eps=50.0)
    for shape in ((40, 49), (40, 50, 3)):
        with pytest.raises(ValueError, match=r"^guide "):
            imrestore.guided(lazy, da.zeros(shape), eps=50.0)


@pytest.mark.parametrize(
    ("keywords", "error", "words"),
    [
        ({}, TypeError, ["eps"]),
        ({"eps": None}, TypeError, ["eps is None", "> 0", "squared units"]),
        ({"eps": 0}, ValueError, ["eps is 0", "> 0"]),
        ({"eps": 1, "radius": 1024}, ValueError, ["radius is 1024", "0 to 1023"]),
        ({"eps": 1, "guide": GUIDE}, ValueError, ["guide has 3 axes", "image 2", "channel_axis"]),
        ({"eps": 1, "guide": GUIDE[:30], "channel_axis": 2}, ValueError, ["guide has the shape (30, 50, 3)", "(40, 50)"]),
        ({"eps": 1, "guide": np.zeros((40, 50, 5)), "channel_axis": 2}, ValueError, ["guide has 5 channels", "1 to 4"]),
        ({"eps": 1, "guide": np.zeros((40, 50), complex)}, TypeError, ["guide has dtype complex128", "guide.real"]),
        ({"eps": 1, "guide": np.zeros((40, 50), "u1"), "mode": "constant", "cval": 0.5}, ValueError, ["cval is 0.5", "guide's"]),
        ({"eps": 1, "guide": np.full((40, 50), np.nan), "nan_policy": "raise"}, ValueError, ["guide contains NaN"]),
    ],
)
def test_messages_say_what_it_was_and_what_it_may_be(keywords: dict[str, Any], error: type, words: list[str]) -> None:
    with pytest.raises(error) as caught:
        imrestore.guided(IMAGE, **keywords)
    assert [word for word in words if word not in str(caught.value)] == []


def test_windows_have_a_largest_number_of_samples() -> None:
    with pytest.raises(ValueError, match=r"^radius is 200; the window may hold at most 16777216 samples"):
        imrestore.guided(np.zeros((3, 3, 3)), radius=200, eps=1.0)


def test_a_picture_guides_another_on_the_command_line(tmp_path: Path) -> None:
    colours = RNG.integers(0, 255, (24, 31, 4)).astype(np.uint8)
    np.save(tmp_path / "grey.npy", IMAGE[:24, :31])
    np.save(tmp_path / "colours.npy", colours[..., :3])
    np.save(tmp_path / "guide.npy", colours[..., :3])
    for name, options in (("grey", {"channel_axis": -1}), ("colours", {"channel_axis": -1})):
        argv = ["guided", f"{tmp_path}/{name}.npy", "-o", f"{tmp_path}/out.npy", "--eps", "90", "--guide", f"{tmp_path}/guide.npy"]
        assert main([*argv, "--overwrite"]) == 0
        expected = imrestore.guided(np.load(tmp_path / f"{name}.npy"), colours[..., :3], eps=90.0, **options)
        np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)
