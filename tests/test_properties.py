"""What holds for every image and every parameter: against the oracle, and of the filters among themselves."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

import imrestore
from tests import oracles
from tests.backends import same_bits
from tests.bm3d_pictures import whole_numbers
from tests.calls import BORDERED, FILTERS, JOINT, keywords, quick_bm3d
from tests.cases import FLOATS, INTEGERS, MODE_ALIASES, MODES

# Every window of every dtype is a kernel to compile: few of them where the property is not about dtypes.
SOME = ("uint8", "int16", "float32")
MANY = settings(max_examples=2 * settings.default.max_examples)
LONGEST = {1: 200, 2: 24, 3: 8, 4: 5}
SIDES = {1: 50, 2: 9, 3: 4, 4: 3}


@st.composite
def images(draw: st.DrawFn, dtypes: tuple[str, ...], ndim: st.SearchStrategy[int]) -> np.ndarray:
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    n = draw(ndim)
    shape = draw(hnp.array_shapes(min_dims=n, max_dims=n, max_side=LONGEST[n]))
    if draw(st.booleans()):  # drawn sample by sample: shrinks well, has the odd values
        elements = None
        if dtype.kind == "f":
            largest = 1e4 if dtype == np.float16 else 1e30
            bound = float(dtype.type(largest))
            odd = st.sampled_from([np.nan, np.inf, -np.inf, -0.0])
            elements = st.floats(-bound, bound, width=dtype.itemsize * 8) | odd
        return draw(hnp.arrays(dtype, shape, elements=elements))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind == "f":
        return rng.normal(0, 1000, shape).astype(dtype)
    limits = np.iinfo(dtype)
    low, high = draw(st.sampled_from([(limits.min, limits.max), (0, 4), (limits.max - 3, limits.max)]))
    return rng.integers(low, high, shape, dtype, endpoint=True)


@st.composite
def calls(draw: st.DrawFn, name: str, dtypes: tuple[str, ...]) -> tuple[np.ndarray, dict[str, Any]]:
    """An image and keywords that are right for it."""
    few_axes = name in ("nl_means", "bilateral")
    image = draw(images(dtypes, st.sampled_from([1, 2, 2, 2, 3] + [4] * (not few_axes))))
    keywords: dict[str, Any] = {"mode": draw(st.sampled_from(MODES + MODE_ALIASES))}
    if keywords["mode"].endswith("constant"):
        keywords["cval"] = draw(outside(image.dtype))
    filtered = draw_axes(draw, image, keywords)
    side = SIDES[filtered]
    if name in ("gaussian", "bilateral"):
        sigma = st.floats(0, side / 3)
        keywords["sigma" if name == "gaussian" else "sigma_space"] = draw(sigma | st.tuples(*[sigma] * filtered))
        keywords |= draw(st.sampled_from([{}, {"radius": side // 2}, {"truncate": 2.0}]))
    if name == "bilateral":
        keywords["sigma_color"] = draw(st.floats(1e-3, 1e5))
    elif name == "nl_means":
        draw_patches(draw, filtered, keywords)
    elif name != "gaussian":
        one = st.integers(1, side)
        keywords["size"] = draw(one | st.tuples(*[one] * filtered))
    if draw(st.booleans()):
        keywords["where"] = draw(hnp.arrays(bool, image.shape))
    keywords["nan_policy"] = draw(st.sampled_from(["propagate", "omit"]))
    if name == "median":
        draw_rank(draw, filtered, keywords)
    return image, keywords


def draw_patches(draw: st.DrawFn, filtered: int, keywords: dict[str, Any]) -> None:
    distance = st.integers(0, {1: 20, 2: 4, 3: 2}[filtered])
    keywords["patch_size"] = draw(st.sampled_from([1, 2, 5, (4, 1, 3)[:filtered]]))  # every other one is compiled anew
    keywords["patch_distance"] = draw(distance | st.tuples(*[distance] * filtered))
    keywords["patch_weights"] = draw(st.sampled_from(["tapered", "uniform", "gaussian"]))
    keywords["sigma"] = draw(st.sampled_from([0, 0.5, 300.0]) | st.floats(0, 1e3))
    keywords["h"] = draw(st.sampled_from([1, 200.0]) | st.floats(1e-3, 1e5))


def outside(dtype: np.dtype) -> st.SearchStrategy[float]:
    if dtype.kind == "b":
        return st.sampled_from([0, 1])
    if dtype.kind == "f":
        return st.floats(-1000, 1000, width=16)
    return st.sampled_from([0, 1, int(np.iinfo(dtype).max), int(np.iinfo(dtype).min)])


def draw_axes(draw: st.DrawFn, image: np.ndarray, keywords: dict[str, Any]) -> int:
    """Perhaps batch axes; returns how many axes are filtered."""
    kind = draw(st.sampled_from(["all", "all", "axes", "channel"]))
    if kind == "axes":
        order = draw(st.permutations(range(image.ndim)))
        keywords["axes"] = tuple(order[: draw(st.integers(1, image.ndim))])
        return len(keywords["axes"])
    if kind == "channel" and image.ndim > 1:
        keywords["channel_axis"] = draw(st.integers(-image.ndim, image.ndim - 1))
        return image.ndim - 1
    return image.ndim


def draw_rank(draw: st.DrawFn, filtered: int, keywords: dict[str, Any]) -> None:
    """Perhaps a footprint, perhaps a percentile, or a rank where no sample may be missing."""
    size = keywords["size"]
    sides = size if isinstance(size, tuple) else (size,) * filtered
    n = int(np.prod(sides))
    if draw(st.booleans()):
        cells = draw(hnp.arrays(bool, sides))
        if cells.any():
            keywords["footprint"] = cells
            n = int(cells.sum())
    complete = "where" not in keywords and keywords["nan_policy"] == "propagate"
    what = draw(st.sampled_from(["median", "percentile"] + ["rank"] * complete))
    if what == "percentile":
        keywords["percentile"] = draw(st.floats(-100, 100))
    if what == "rank":
        keywords["rank"] = draw(st.integers(-n, n - 1))


@MANY
@given(call=calls("mean", INTEGERS + FLOATS))
def test_mean_is_its_definition(call: tuple[np.ndarray, dict[str, Any]]) -> None:
    check("mean", *call)


@MANY
@given(call=calls("median", ("bool", *INTEGERS, *FLOATS)))
def test_median_is_its_definition(call: tuple[np.ndarray, dict[str, Any]]) -> None:
    check("median", *call)


@MANY
@given(call=calls("gaussian", INTEGERS + FLOATS))
def test_gaussian_is_its_definition(call: tuple[np.ndarray, dict[str, Any]]) -> None:
    check("gaussian", *call)


@MANY
@given(call=calls("nl_means", INTEGERS + FLOATS))
def test_nl_means_is_its_definition(call: tuple[np.ndarray, dict[str, Any]]) -> None:
    check("nl_means", *call)


@MANY
@given(call=calls("bilateral", INTEGERS + FLOATS))
def test_bilateral_is_its_definition(call: tuple[np.ndarray, dict[str, Any]]) -> None:
    check("bilateral", *call)


@st.composite
def bm3d_calls(draw: st.DrawFn, least: int = 1) -> tuple[np.ndarray, dict[str, Any]]:
    """Two filtered axes anywhere, perhaps colours, batches and a mask. Groups are found where float32 finds the same."""
    height, width = draw(st.tuples(st.integers(least, 20), st.integers(least, 20)))
    others = draw(st.sampled_from([(), (), (3,), (2,), (3, 2)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    plain = whole_numbers(rng, (height, width, *others), draw(st.sampled_from([1, 60, 127])), period=draw(st.sampled_from([0, 5])))
    order = draw(st.permutations(range(plain.ndim)))
    image = plain.transpose(order).astype(draw(st.sampled_from(INTEGERS + FLOATS)))
    keywords: dict[str, Any] = {"axes": (order.index(0), order.index(1)), "stages": 1, "sigma": 24.844}
    if 3 in others and draw(st.booleans()):
        keywords |= {"channel_axis": order.index(2), "sigma": draw(st.sampled_from([24.844, (5.3, 17.77, 40.1)]))}
    if draw(st.booleans()):
        keywords |= {"where": rng.random(image.shape) < 0.9}
    if image.dtype.kind == "f":
        image[rng.random(image.shape) < draw(st.sampled_from([0, 0, 0.01]))] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
        keywords["nan_policy"] = draw(st.sampled_from(["propagate", "omit"]))
    exact = "where" not in keywords and "channel_axis" not in keywords and np.isfinite(image.astype(np.float64)).all()
    profile = quick_bm3d(draw(st.sampled_from([5, 9])))
    keywords["profile"] = profile if exact else profile._replace(hard=profile.hard._replace(match=0.0))
    return image, keywords


@MANY
@given(call=bm3d_calls())
def test_bm3d_is_its_definition(call: tuple[np.ndarray, dict[str, Any]]) -> None:
    check("bm3d", *call)


@given(call=bm3d_calls(least=8))
def test_the_second_stage_of_bm3d_is_its_definition(call: tuple[np.ndarray, dict[str, Any]]) -> None:
    """In float64 and at least as large as a patch: there the first result is what the second stage saw."""
    image, keywords = call
    image = image.astype(np.float64)
    keywords = {k: v for k, v in keywords.items() if k not in ("channel_axis", "stages")} | {"sigma": 24.844}
    result, basic = imrestore.bm3d(image, **keywords, return_basic=True)
    oracles.of("bm3d")(image, **keywords, stages=2, basic=basic).assert_matches(result)


@given(value=st.integers(-128, 127), shape=hnp.array_shapes(min_dims=2, max_dims=2, max_side=20), data=st.data())
def test_bm3d_leaves_a_constant_as_it_is(value: int, shape: tuple[int, int], data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(("int8", "int64", "float16", "float32", "float64")))
    image = np.full(shape, value, dtype)
    result = imrestore.bm3d(image, data.draw(st.sampled_from([1.0, 100.0])), profile=quick_bm3d(9))
    if image.dtype.kind == "f":
        np.testing.assert_allclose(result, image, rtol=1e-3 if dtype == "float16" else 1e-6)
    else:
        np.testing.assert_array_equal(result, image)


def check(name: str, image: np.ndarray, keywords: dict[str, Any]) -> None:
    before = image.copy()
    result = getattr(imrestore, name)(image, **keywords)
    oracles.of(name)(image, **keywords).assert_matches(result)
    assert same_bits(image, before)
    out = np.zeros_like(image)
    assert getattr(imrestore, name)(image, out=out, **keywords) is out
    assert same_bits(out, result)


# The fast roads are two-dimensional, without masks: more examples there, on wider images.
@given(
    image=images(SOME, st.just(2)),
    wide=st.integers(1, 6),
    size=st.integers(1, 13),
    mode=st.sampled_from(MODES),
)
def test_plain_windows_are_their_definition(image: np.ndarray, wide: int, size: int, mode: str) -> None:
    image = np.ascontiguousarray(np.tile(image, (1, wide)))
    for name in ("mean", "median"):
        getattr(oracles, name)(image, size, mode=mode).assert_matches(getattr(imrestore, name)(image, size, mode=mode))
    sigma = size / 5
    oracles.gaussian(image, sigma, mode=mode).assert_matches(imrestore.gaussian(image, sigma, mode=mode))
    options: dict[str, Any] = {"h": 50.0, "patch_size": 3 + size % 2 * 5, "patch_distance": size % 4, "mode": mode}
    oracles.nl_means(image, 10.0, **options).assert_matches(imrestore.nl_means(image, 10.0, **options))
    oracles.bilateral(image, 50.0, sigma, mode=mode).assert_matches(imrestore.bilateral(image, 50.0, sigma, mode=mode))


@pytest.mark.parametrize("name", BORDERED)
@given(image=images(("uint8", "int64", "float64"), st.sampled_from([1, 2, 3])), size=st.sampled_from([1, 3, 5]))
def test_turning_the_image_round_turns_the_result(name: str, image: np.ndarray, size: int) -> None:
    """Odd windows are symmetric. Ranks and integer means have one right answer, so it is the same to the bit."""
    function, given = getattr(imrestore, name), keywords(name, size)
    all_turned = [np.flip(function(np.flip(image, axis), **given), axis) for axis in range(image.ndim)]
    if name == "median" or (name == "mean" and image.dtype.kind != "f"):
        result = function(image, **given)
        for turned in all_turned:
            np.testing.assert_array_equal(turned, result)
    else:
        definition = getattr(oracles, name)(image, **given)  # slow: once for all axes
        for turned in all_turned:
            definition.assert_matches(np.ascontiguousarray(turned))


@pytest.mark.parametrize("name", BORDERED)
@given(image=images(SOME, st.sampled_from([2, 3])), sizes=st.permutations([1, 2, 5]))
def test_axes_are_all_alike(name: str, image: np.ndarray, sizes: list[int]) -> None:
    function = getattr(imrestore, name)
    sizes = sizes[: image.ndim]
    upright, turned = keywords(name, tuple(sizes)), keywords(name, tuple(sizes[::-1]))
    moved = function(image.T, **turned).T
    if name == "median" or (name == "mean" and image.dtype.kind != "f"):
        np.testing.assert_array_equal(moved, function(image, **upright))
    else:
        getattr(oracles, name)(image, **upright).assert_matches(np.ascontiguousarray(moved))


@pytest.mark.parametrize("name", BORDERED)
@given(
    value=st.integers(-128, 127),
    shape=hnp.array_shapes(min_dims=1, max_dims=3, max_side=12),
    size=st.sampled_from([1, 2, 3, 8, 15]),
    mode=st.sampled_from(MODES),
    dtype=st.sampled_from(("int8", "int64", "float16", "float32")),
)
def test_a_constant_stays_as_it_is(
    name: str, value: int, shape: tuple[int, ...], size: int, mode: str, dtype: str
) -> None:
    image = np.full(shape, value, dtype)
    result = getattr(imrestore, name)(image, **keywords(name, size), mode=mode, cval=value)
    if name == "gaussian" and np.dtype(dtype).kind == "f":
        np.testing.assert_allclose(result, image, rtol=1e-3 if dtype == "float16" else 1e-6)
    else:
        np.testing.assert_array_equal(result, image)


@pytest.mark.parametrize("name", BORDERED)
@given(
    image=images((*SOME, "float64"), st.just(2)),
    size=st.sampled_from([2, 3, 6]),
    row=st.integers(0, 23),
    rows=st.integers(1, 24),
)
def test_a_tile_with_its_halo_is_the_whole(name: str, image: np.ndarray, size: int, row: int, rows: int) -> None:
    """To the bit: blocks of dask and strips of threads rest on it."""
    function = getattr(imrestore, name)
    row %= len(image)
    halo = 4 * size
    first, last = max(0, row - halo), min(len(image), row + rows + halo)
    tile = function(image[first:last], **keywords(name, size))[row - first :][:rows]
    np.testing.assert_array_equal(tile, function(image, **keywords(name, size))[row:][:rows])


@pytest.mark.parametrize("name", FILTERS)
@given(image=images((*SOME, "float16"), st.just(3)), size=st.sampled_from([2, 3, 5]))
def test_a_batch_is_a_loop(name: str, image: np.ndarray, size: int) -> None:
    function = getattr(imrestore, name)
    for axis in range(3):
        alone = {"axes": [a for a in range(3) if a != axis]} if name in JOINT else {"channel_axis": axis}
        batch = function(image, **alone, **keywords(name, size))
        loop = [function(np.ascontiguousarray(plane), **keywords(name, size)) for plane in np.moveaxis(image, axis, 0)]
        np.testing.assert_array_equal(batch, np.stack(loop, axis))


@pytest.mark.parametrize("name", BORDERED)
@given(image=images((*SOME, "int64", "float16"), st.sampled_from([1, 2, 3])), size=st.sampled_from([1, 2, 3, 6]))
def test_a_mask_of_everything_is_no_mask(name: str, image: np.ndarray, size: int) -> None:
    function = getattr(imrestore, name)
    whole = function(image, **keywords(name, size), where=np.ones(image.shape, bool))
    if name in ("gaussian", *JOINT) or (name == "mean" and image.dtype.kind == "f"):
        getattr(oracles, name)(image, **keywords(name, size)).assert_matches(whole)
    else:
        np.testing.assert_array_equal(whole, function(image, **keywords(name, size)))


@given(image=images(("uint8", "float32"), st.sampled_from([1, 2, 3])), size=st.sampled_from([2, 3]), data=st.data())
def test_ranks_rise(image: np.ndarray, size: int, data: st.DataObject) -> None:
    n = size**image.ndim
    low, high = sorted(data.draw(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))))
    a, b = (imrestore.median(image, size, rank=rank) for rank in (low, high))
    assert ((a <= b) | (a != a) | (b != b)).all()
    np.testing.assert_array_equal(imrestore.median(image, size, rank=n // 2), imrestore.median(image, size))


@given(image=images(("int16", "float64"), st.sampled_from([1, 2])), size=st.sampled_from([1, 3, 4]))
def test_the_smallest_of_the_negative_is_the_negative_of_the_largest(image: np.ndarray, size: int) -> None:
    image = np.where(image == image.dtype.type(-(2.0**31)), 0, image) if image.dtype != np.int16 else image // 2
    largest = imrestore.median(image.astype(image.dtype), size, rank=-1)
    np.testing.assert_array_equal(imrestore.median(-image, size, rank=0), -largest)


@given(image=images(("uint8", "uint16"), st.just(2)), size=st.sampled_from([1, 2, 3, 7]))
def test_medians_do_not_mind_what_the_values_are(image: np.ndarray, size: int) -> None:
    """A rank commutes with every rising function: the same image in another dtype, stretched, gives the same ranks."""

    def stretched(array: np.ndarray) -> np.ndarray:
        return array.astype(np.int64) * 1000003 - 7

    np.testing.assert_array_equal(imrestore.median(stretched(image), size), stretched(imrestore.median(image, size)))
    for dtype in ("uint16", "int32", "float32", "float64"):
        np.testing.assert_array_equal(imrestore.median(image.astype(dtype), size), imrestore.median(image, size))
