"""Non-local means and the bilateral filter: what follows from their definition, what peers get wrong, what is estimated."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

import imrestore
from imrestore.denoise._nl_means import H_OF_SIGMA
from tests import oracles
from tests.backends import same_bits
from tests.calls import keywords, public
from tests.test_layouts import picture

FILTERS = ("nl_means", "bilateral")
SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, max_side=12)
#: Which argument is a strength in the image's units.
STRENGTHS = {"nl_means": ("sigma", "h"), "bilateral": ("sigma_color",)}


def scaled(name: str, options: dict[str, Any], factor: float) -> dict[str, Any]:
    return {key: value * factor if key in STRENGTHS[name] else value for key, value in options.items()}


# Invariances


@pytest.mark.parametrize("name", FILTERS)
@given(seed=st.integers(0, 2**32 - 1), shape=SHAPES, size=st.sampled_from([1, 2, 3]), constant=st.integers(0, 155))
def test_adding_a_constant_adds_it_to_the_result(
    name: str, seed: int, shape: tuple[int, ...], size: int, constant: int
) -> None:
    """Only differences count: integers are the same to the bit, floats to their rounding."""
    image = np.random.default_rng(seed).integers(0, 100, shape)
    options = scaled(name, keywords(name, size), 0.3)
    for dtype in ("uint8", "int64"):
        low, high = (public(name)(x.astype(dtype), **options) for x in (image, image + constant))
        tie = abs(low.astype(int) + constant - high.astype(int)) == 1  # 0.5 goes to 0, 1.5 to 2
        np.testing.assert_array_equal((low + np.array(constant, dtype))[~tie], high[~tie])
        exact = public(name)(image.astype(float), **options)[tie]
        np.testing.assert_allclose(exact % 1, 0.5, atol=1e-4)
    low, high = (public(name)(x.astype(np.float32), **options) for x in (image, image + constant))
    np.testing.assert_allclose(low + np.float32(constant), high, rtol=3e-7)


@pytest.mark.parametrize("name", FILTERS)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=SHAPES,
    exponent=st.integers(-60, 60),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_the_units_of_the_image_do_not_matter(
    name: str, seed: int, shape: tuple[int, ...], exponent: int, dtype: str
) -> None:
    """A power of two moves exponents only: the result is the same to the bit."""
    image = np.random.default_rng(seed).normal(0, 100, shape).astype(dtype)
    factor = 2.0**exponent
    options = keywords(name, 2)
    plain = public(name)(image, **options)
    moved = public(name)(image * np.dtype(dtype).type(factor), **scaled(name, options, factor))
    np.testing.assert_array_equal(moved, plain * np.dtype(dtype).type(factor))


@pytest.mark.parametrize("name", FILTERS)
@given(seed=st.integers(0, 2**32 - 1), order=st.permutations([0, 1, 2]), dtype=st.sampled_from(["uint8", "float32"]))
def test_the_order_of_channels_does_not_matter(name: str, seed: int, order: list[int], dtype: str) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 255, (9, 11, 3)).astype(dtype)
    moved = np.ascontiguousarray(image[..., order])
    result = public(name)(image, channel_axis=-1)
    again = public(name)(moved, channel_axis=-1)
    expected = getattr(oracles, name)(moved, channel_axis=-1, **keywords(name, 2 if name == "nl_means" else 3))
    expected.assert_matches(again)
    expected.assert_matches(np.ascontiguousarray(result[..., order]))


@pytest.mark.parametrize("name", FILTERS)
@given(
    image=hnp.arrays("uint8", hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)),
    copies=st.integers(1, 5),
)
def test_equal_channels_are_filtered_as_one(name: str, image: np.ndarray, copies: int) -> None:
    """The patch distance is a mean over channels, the distance of two colours is a sum."""
    options = keywords(name, 2)
    if name == "bilateral":
        one, many = options, options | {"sigma_color": options["sigma_color"] * np.sqrt(copies)}
    else:
        one = many = options
    grey = getattr(oracles, name)(image, **one)
    colour = public(name)(np.stack([image] * copies, -1), channel_axis=-1, **many)
    for channel in range(copies):
        grey.assert_matches(np.ascontiguousarray(colour[..., channel]))


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_without_differences_they_are_the_mean_and_the_gaussian(dtype: str) -> None:
    image = picture(dtype)
    rounding = 0.5001 if dtype == "uint8" else 1e-4  # float32: 2e-6 of differences of about 100
    wide = imrestore.nl_means(image, 0.0, h=1e9, patch_distance=3).astype(float)
    np.testing.assert_allclose(wide, oracles.mean(image.astype(float), 7).low.astype(float), atol=rounding)
    blurred = imrestore.bilateral(image, 1e9, 1.5, truncate=4.0).astype(float)
    np.testing.assert_allclose(blurred, oracles.gaussian(image.astype(float), 1.5).low.astype(float), atol=rounding)


@pytest.mark.parametrize("name", FILTERS)
def test_results_stay_within_the_values_around(name: str) -> None:
    image = np.random.default_rng(0).choice(np.array([0, 1, 254, 255], np.uint8), (40, 50))
    result = public(name)(image)
    assert result.min() >= 0
    assert (result[image < 2] < 128).mean() > 0.9, "dark pixels join the bright ones"


def test_an_edge_stays_and_noise_goes() -> None:
    rng = np.random.default_rng(1)
    clean = np.where(np.arange(64) < 32, 50.0, 150.0)[None, :].repeat(48, 0)
    noisy = clean + rng.normal(0, 10, clean.shape)
    errors = {
        "noisy": noisy,
        "gaussian": imrestore.gaussian(noisy, 1.5),
        "bilateral": imrestore.bilateral(noisy, 40.0, 2.0),
        "nl_means": imrestore.nl_means(noisy, 10.0),
        "estimated": imrestore.nl_means(noisy),
    }
    rms = {name: float(np.sqrt(((image - clean) ** 2).mean())) for name, image in errors.items()}
    assert rms["bilateral"] < 0.5 * rms["noisy"]
    assert rms["bilateral"] < 0.5 * rms["gaussian"]
    assert rms["nl_means"] < 0.3 * rms["noisy"]
    assert abs(rms["estimated"] - rms["nl_means"]) < 0.1 * rms["noisy"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FILTERS)
def test_every_weight_is_exact(name: str, dtype: str) -> None:
    """Pairs of a zero and a number: nothing but one weight stands between the number and the result. Weights down to 1e-37."""
    distances = np.linspace(0, 13, 20001)[1:]
    image = np.stack([np.zeros_like(distances), distances], 1).astype(dtype)
    options: dict[str, Any] = {"axes": 1, "mode": "wrap"}
    if name == "nl_means":
        options |= {"sigma": 0, "h": np.sqrt(2), "patch_size": 1, "patch_distance": 1}
    else:
        options |= {"sigma_color": 1.0, "sigma_space": 1e6, "radius": 1}
    result = getattr(imrestore, name)(image, **options)
    weight = np.exp(-(image[:, 1].astype(np.longdouble) ** 2) / 2)
    exact = image[:, 1] * 2 * weight / (1 + 2 * weight)  # the other one is left and right of it
    # 2e-6 of the weight, and the rounding of an exponent of up to 84
    np.testing.assert_allclose(result[:, 0], exact.astype(float), rtol=2e-6 + (1e-5 if dtype == "float32" else 0))
    near = distances < 3
    np.testing.assert_allclose(result[near, 0], exact[near].astype(float), rtol=2e-6 if dtype == "float32" else 1e-6)


# Borders of what one pixel touches


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    ("name", "options", "before", "after"),
    [
        ("nl_means", {"sigma": 5, "h": 30, "patch_size": 7, "patch_distance": 10}, (13, 13), (13, 13)),
        ("nl_means", {"sigma": 5, "h": 30, "patch_size": (4, 1), "patch_distance": (1, 3)}, (2, 3), (3, 3)),
        ("bilateral", {"sigma_color": 30, "sigma_space": 2, "radius": (4, 3)}, (4, 3), (4, 3)),
        ("bilateral", {"sigma_color": 30, "sigma_space": (0, 0.01), "radius": 2}, (0, 2), (0, 2)),
    ],
)
def test_one_bad_pixel_spoils_what_looks_at_it_and_nothing_else(
    name: str, options: dict[str, Any], before: tuple[int, int], after: tuple[int, int], dtype: str, bad: float
) -> None:
    """Of 576 pixels one NaN spoils all in scikit-image's bilateral filter, and a scatter in OpenCV's."""
    image = picture(dtype, (60, 70))
    clean = getattr(imrestore, name)(image, **options)
    image[30, 35] = bad
    result = getattr(imrestore, name)(image, **options)
    spoilt = np.zeros(image.shape, bool)
    spoilt[30 - before[0] : 31 + after[0], 35 - before[1] : 36 + after[1]] = True
    np.testing.assert_array_equal(np.isnan(result), spoilt)
    assert same_bits(result[~spoilt], clean[~spoilt])


@pytest.mark.parametrize("name", FILTERS)
def test_a_bad_pixel_that_takes_no_part_spoils_nothing(name: str) -> None:
    image = picture("float32")
    where = np.ones(image.shape, bool)
    where[10, 12] = False
    expected = public(name)(image, where=where)
    for bad in (np.nan, np.inf, -np.inf, 1e38):
        image[10, 12] = bad
        assert same_bits(public(name)(image, where=where), expected)
        assert np.isfinite(expected[10, 12])


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_far_corners_of_a_large_image_are_as_exact_as_small_ones(name: str, dtype: str) -> None:
    """scikit-image's integral images lost the corners of large volumes."""
    image = picture(dtype, (700, 900))
    image[:-60, :-60] = image.max()
    whole = public(name)(image)
    tile = np.ascontiguousarray(image[-50:, -50:])
    assert same_bits(np.ascontiguousarray(whole[-30:, -30:]), np.ascontiguousarray(public(name)(tile)[-30:, -30:]))


# What a peer fails


@pytest.mark.parametrize(
    ("argument", "value"),
    [("patch_size", -3), ("patch_size", 0), ("patch_distance", -2), ("h", float("nan")), ("h", 0.0), ("sigma", float("nan"))],
)
def test_nl_means_refuses_what_aborts_or_blackens_peers(argument: str, value: float) -> None:
    """scikit-image: abort for patch_size -3, all NaN for patch_distance -2. OpenCV: h=nan and a template of 0 are taken."""
    with pytest.raises(ValueError, match=rf"^{argument} is "):
        imrestore.nl_means(picture("uint8"), **{"sigma": 10.0, "h": 20.0} | {argument: value})


@pytest.mark.parametrize(
    ("argument", "value"), [("radius", -3), ("sigma_color", float("nan")), ("sigma_color", 0.0), ("sigma_space", float("nan"))]
)
def test_bilateral_refuses_what_blackens_peers(argument: str, value: float) -> None:
    """scikit-image returns an image of NaN."""
    with pytest.raises(ValueError, match=rf"^{argument} is "):
        imrestore.bilateral(picture("uint8"), **{"sigma_color": 30.0, "sigma_space": 1.0} | {argument: value})


def test_a_spatial_sigma_of_zero_leaves_the_image_as_it_is() -> None:
    """scikit-image: all NaN."""
    for dtype in ("uint8", "float32"):
        assert same_bits(imrestore.bilateral(picture(dtype), 30.0, 0), picture(dtype))


@pytest.mark.parametrize("name", FILTERS)
def test_one_pixel_stays_a_picture(name: str) -> None:
    """scikit-image: non-local means of 1x1 pixels has no axes. OpenCV: one axis becomes two."""
    for shape in ((1,), (1, 1), (1, 1, 1), (7,)):
        image = np.full(shape, 3.5, np.float32)
        assert same_bits(public(name)(image), image)


@pytest.mark.parametrize("name", FILTERS)
def test_big_endian_and_read_only_images_are_read_as_they_are(name: str) -> None:
    """scikit-image refuses them; OpenCV reads the bytes of big-endian floats in the wrong order."""
    plain = picture("float32")
    swapped = plain.astype(">f4")
    swapped.flags.writeable = False
    result = public(name)(swapped)
    assert result.dtype == swapped.dtype
    assert same_bits(result.astype("<f4"), public(name)(plain))


@pytest.mark.parametrize("name", FILTERS)
def test_wide_integers_keep_their_values(name: str) -> None:
    """OpenCV makes int32 of them."""
    base = 2**40
    image = picture("int64")
    result = public(name)(image + base)
    assert result.dtype == np.int64
    assert abs(result - base - public(name)(image)).max() <= 1
    assert public(name)(np.full((9, 9), 2**64 - 1, np.uint64)).min() == 2**64 - 1
    assert public(name)(np.full((9, 9), -(2**63), np.int64)).max() == -(2**63)


def test_a_border_far_from_the_data_stays_outside() -> None:
    """OpenCV's bilateral filter read beyond its table of weights."""
    image = picture("float32")
    for cval in (1e30, -1e30, 3e38):
        inside = imrestore.bilateral(image, 30.0, 1.0, mode="constant", cval=cval)
        alone = imrestore.bilateral(image, 30.0, 1.0, mode="constant", cval=float("nan"), nan_policy="omit")
        np.testing.assert_allclose(inside, alone, rtol=1e-5)


# What is not given


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_h_follows_sigma(dtype: str) -> None:
    image = picture(dtype)
    assert same_bits(imrestore.nl_means(image, 12.0), imrestore.nl_means(image, 12.0, h=H_OF_SIGMA * 12.0))
    assert f"{H_OF_SIGMA} times `sigma`" in imrestore.nl_means.__doc__


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_sigma_is_estimated(dtype: str) -> None:
    image = picture(dtype, (50, 60))
    sigma = imrestore.noise.estimate_sigma(image)
    assert sigma > 10
    assert same_bits(imrestore.nl_means(image), imrestore.nl_means(image, sigma))
    assert same_bits(imrestore.nl_means(image, h=20.0), imrestore.nl_means(image, sigma, h=20.0))


def test_one_estimate_for_all_channels_and_all_images_of_a_batch() -> None:
    rng = np.random.default_rng(4)
    image = rng.normal(0, (5.0, 10.0, 20.0), (40, 50, 3)).astype(np.float32)
    each = imrestore.noise.estimate_sigma(image, channel_axis=-1)
    sigma = float(np.sqrt(np.mean(np.square(each))))
    assert sigma == pytest.approx(np.sqrt((25 + 100 + 400) / 3), rel=0.1)
    joint = imrestore.nl_means(image, channel_axis=-1)
    np.testing.assert_allclose(joint, imrestore.nl_means(image, sigma, channel_axis=-1), rtol=1e-5, atol=1e-5)
    batch = imrestore.nl_means(image, axes=(0, 1))
    np.testing.assert_allclose(batch, imrestore.nl_means(image, sigma, axes=(0, 1)), rtol=1e-5, atol=1e-5)
    turned = imrestore.nl_means(image.transpose(2, 0, 1), channel_axis=0)
    assert same_bits(np.ascontiguousarray(turned.transpose(1, 2, 0)), joint)


def test_what_takes_no_part_is_not_estimated() -> None:
    image = picture("float32", (60, 64))
    where = np.ones(image.shape, bool)
    where[:20] = False
    image[:20] = np.random.default_rng(0).normal(0, 1e4, (20, 64))
    sigma = imrestore.noise.estimate_sigma(image, where=where)
    assert same_bits(imrestore.nl_means(image, where=where), imrestore.nl_means(image, sigma, where=where))
    image[40, 33] = np.inf  # this one does take part, but not in the estimate
    sigma = imrestore.noise.estimate_sigma(image, where=where & np.isfinite(image))
    spoilt = imrestore.nl_means(image, where=where, patch_distance=2)
    assert same_bits(spoilt, imrestore.nl_means(image, sigma, where=where, patch_distance=2))
    assert np.isnan(spoilt[25:]).sum() == 11 * 11  # beyond the rows that see nothing but what takes no part


def test_a_bad_pixel_does_not_spoil_the_estimate() -> None:
    image = picture("float32", (60, 64))
    for bad in (np.nan, np.inf):
        image[5, 5] = bad
        result = imrestore.nl_means(image, patch_distance=2)
        assert np.isnan(result).sum() == 11 * 11
        assert (result[20:] != image[20:]).any()
    assert np.isnan(imrestore.nl_means(np.full((20, 20), np.nan))).all()


@pytest.mark.parametrize("name", FILTERS)
def test_four_axes_are_one_too_many(name: str) -> None:
    image = np.zeros((3, 4, 5, 6), np.float32)
    with pytest.raises(ValueError, match=r"^image has 4 axes to filter; there must be 1 to 3 \(use axes="):
        public(name)(image)
    with pytest.raises(ValueError, match=r"^axes has 4 axes to filter"):
        public(name)(image, axes=(0, 1, 2, 3))
    assert public(name)(image, channel_axis=1).shape == image.shape
    assert public(name)(image, axes=(1, 2, 3)).shape == image.shape


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_an_image_without_noise_comes_back_as_it_is(dtype: str) -> None:
    image = picture(dtype)
    for plain in (imrestore.nl_means(image, 0), imrestore.nl_means(image, 0.0, channel_axis=1)):
        assert same_bits(plain, image)
        assert not np.shares_memory(plain, image)
    flat = np.full((30, 40), 200, dtype)
    assert same_bits(imrestore.nl_means(flat), flat)
    out = np.zeros_like(image)
    assert imrestore.nl_means(image, 0, out=out) is out
    assert same_bits(out, image)


def test_without_noise_masked_pixels_are_filled_and_bad_ones_spread() -> None:
    """As with any small h."""
    image = picture("float32")
    where = np.random.default_rng(0).random(image.shape) < 0.7
    filled = imrestore.nl_means(image, 0, where=where, patch_distance=2)
    np.testing.assert_array_equal(filled[where], image[where])
    oracles.nl_means(image, 0, h=1e-3, where=where, patch_distance=2).assert_matches(filled)
    image[10, 10] = np.nan
    assert np.isnan(imrestore.nl_means(image, 0, patch_distance=1)).sum() == 9 * 9


def test_dask_arrays_need_a_sigma() -> None:
    da = pytest.importorskip("dask.array")
    image = da.from_array(picture("float32"), chunks=(5, 6))
    with pytest.raises(ValueError, match=r"^sigma is None .*estimate_sigma"):
        imrestore.nl_means(image)
    whole = imrestore.nl_means(picture("float32"), 10.0, patch_distance=3)
    np.testing.assert_array_equal(imrestore.nl_means(image, 10.0, patch_distance=3).compute(scheduler="synchronous"), whole)


@pytest.mark.parametrize("name", FILTERS)
def test_channels_of_a_dask_array_stay_together(name: str) -> None:
    da = pytest.importorskip("dask.array")
    image = picture("float32", (21, 26, 3))
    where = image > -50
    lazy = da.from_array(image, chunks=(5, 9, 1))
    for options in ({"channel_axis": -1}, {"channel_axis": 2, "mode": "wrap"}, {"axes": (0, 1)}, {"axes": 1, "channel_axis": 2}):
        result = public(name)(lazy, **options)
        assert result.chunks == lazy.chunks
        np.testing.assert_array_equal(result.compute(scheduler="synchronous"), public(name)(image, **options))
        result = public(name)(lazy, where=da.from_array(where, chunks=(21, 4, 2)), **options)
        np.testing.assert_array_equal(result.compute(scheduler="synchronous"), public(name)(image, where=where, **options))


def test_tensors_are_estimated_as_arrays() -> None:
    torch = pytest.importorskip("torch")
    image = picture("float32", (40, 50))
    result = imrestore.nl_means(torch.from_numpy(image.copy()))
    assert type(result) is torch.Tensor
    np.testing.assert_array_equal(result.numpy(), imrestore.nl_means(image))
