"""BM3D in public: dtypes and shapes, its parameters, its progress."""

from __future__ import annotations

import itertools
import re
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import imrestore
from imrestore.denoise import BM3D_PROFILES, BM3DProfile, HardThreshold, Wiener
from tests.backends import same_bits
from tests.bm3d_pictures import SHAPE, fast, noisy
from tests.cases import FLOATS, INTEGERS

NAN, INF = float("nan"), float("inf")
FAST = BM3D_PROFILES["fast"]
#: Three stages in little time, each with both of its estimates.
THREE = BM3DProfile(FAST.hard, FAST.wiener._replace(share=0.5), FAST.wiener._replace(step=5, beta=3.0, share=0.6))


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    """No NumPy warning reaches a caller, whatever he has set."""
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        yield


# What goes in comes out


@pytest.mark.parametrize("dtype", INTEGERS + FLOATS)
def test_every_dtype_is_float64_rounded(dtype: str) -> None:
    """Of whole numbers: their planes are the same float32 in every dtype."""
    image = np.rint(noisy()).astype(dtype)
    result = fast(image, 10.0)
    assert result.dtype == image.dtype
    exact = fast(image.astype(np.float64), 10.0)
    expected = np.rint(exact) if image.dtype.kind in "iu" else exact.astype(dtype)
    np.testing.assert_array_equal(result, expected.astype(dtype))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_saturate(dtype: str) -> None:
    """Noise at the ends of the range, where overshoots have to stop."""
    limits = np.iinfo(dtype)
    spread = 2.0 ** (limits.bits - 4)
    rng = np.random.default_rng(1)
    for end, sign in ((limits.max, -1), (limits.min, 1)):
        away = np.abs(rng.normal(0, spread, SHAPE)) * (rng.random(SHAPE) < 0.3)
        image = np.array([[int(end) + sign * int(a) for a in row] for row in away]).astype(dtype)
        result = fast(image, spread)
        apart = abs(result.astype(np.float64) - float(end))
        assert apart.max() < limits.bits * spread  # nothing came out at the other end
    flat = np.full(SHAPE, limits.max, dtype)
    np.testing.assert_array_equal(fast(flat, spread), flat)


@pytest.mark.parametrize("shape", [(1, 1), (1, 20), (20, 1), (7, 9), (2, 2), (8, 8), (8, 7)])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_small_images(shape: tuple[int, int], dtype: str) -> None:
    """As if the image went on as its mirror image, which it does to the size of a patch."""
    image = noisy(shape, dtype)
    result = imrestore.bm3d(image, 10.0, profile="high")
    assert (result.shape, result.dtype) == (image.shape, image.dtype)
    wide = np.pad(image, [(0, max(0, 8 - n)) for n in shape], "symmetric")
    np.testing.assert_array_equal(result, imrestore.bm3d(wide, 10.0, profile="high")[: shape[0], : shape[1]])
    assert np.isfinite(result).all()


def test_one_axis_or_three_are_refused() -> None:
    for image, keywords in (
        (np.zeros(20), {}),
        (np.zeros((20, 3)), {"channel_axis": -1}),
        (np.zeros((20, 20)), {"axes": 0}),
        (np.zeros((9, 9, 9)), {}),
    ):
        with pytest.raises(ValueError, match=r"(ax[ei]s|dimension)"):
            imrestore.bm3d(image, 1.0, **keywords)


def test_batch_axes_are_a_loop() -> None:
    image = noisy((20, 25, 2, 3)).transpose(2, 3, 0, 1)
    expected = np.stack([[fast(plane, 10.0) for plane in row] for row in image])
    assert same_bits(fast(image, 10.0, axes=(2, 3)), expected)
    assert same_bits(fast(image, 10.0, axes=(-1, -2)), expected)
    turned = image.transpose(2, 0, 3, 1)
    assert same_bits(np.ascontiguousarray(fast(turned, 10.0, axes=(0, 2)).transpose(1, 3, 0, 2)), expected)
    joint = fast(image, 10.0, axes=(2, 3), channel_axis=1)
    assert same_bits(joint, np.stack([fast(picture, 10.0, channel_axis=0) for picture in image]))


def test_out_that_overlaps_the_image() -> None:
    memory = noisy((40, 37))
    expected = fast(memory[:30].copy(), 10.0)
    out = memory[7:37]
    assert fast(memory[:30], 10.0, out=out) is out
    assert same_bits(out.copy(), expected)
    image = noisy()
    assert fast(image, 10.0, out=image) is image
    assert same_bits(image, fast(noisy(), 10.0))


# Parameters

BAD_FIELDS: dict[str, list[Any]] = {
    "transform": ["haar", "DCT", "", None, 3, b"dct", ["dct"]],
    "step": [0, 9, -1, 2.5, "3", None, True, 10**400],
    "group": [0, 4, 12, 64, 8.5, None, True, "8"],
    "window": [0, 2, 38, 47, -1, 9.5, None, "9"],
    "match": [-1, NAN, INF, None, "3", 1j, 10**400],
    "threshold": [-1e-9, NAN, INF, None, "3"],
    "noise": [0, -1, NAN, INF, None, "3"],
    "adaptive": [0, -1, NAN, INF, None, "3"],
    "excess": [-1e-9, NAN, INF, None, "3"],
    "share": [-1e-9, 1.001, 2, NAN, INF, None, "1", 10**400],
    "beta": [-1, 20.5, NAN, INF, None, "3"],
    "colour": [0, -1, NAN, INF, None, "3"],
}


@pytest.mark.parametrize("stage", ["hard", "wiener", "refine"])
@pytest.mark.parametrize("field", BAD_FIELDS)
def test_a_bad_field_is_named(stage: str, field: str) -> None:
    profile = BM3D_PROFILES["normal"]
    own = getattr(profile, stage)
    if field not in own._fields:
        return
    for value in BAD_FIELDS[field]:
        broken = profile._replace(**{stage: own._replace(**{field: value})})
        with pytest.raises((TypeError, ValueError), match=rf"^profile\.{stage}\.{field} "):
            imrestore.bm3d(noisy(), 10.0, profile=broken)


@pytest.mark.parametrize("stage", ["wiener", "refine"])
def test_a_bad_field_says_what_it_may_be(stage: str) -> None:
    profile = BM3D_PROFILES["normal"]
    for field, value, may in (
        ("adaptive", 0, "is 0; it must be a finite number > 0, a factor of the noise's variance"),
        ("excess", -1, "is -1; it must be a finite number >= 0, a factor of the noise's energy"),
        ("share", -0.5, "is -0.5; it must be a number from 0 to 1"),
        ("share", 1.25, "is 1.25; it must be a number from 0 to 1"),
    ):
        broken = profile._replace(**{stage: getattr(profile, stage)._replace(**{field: value})})
        with pytest.raises(ValueError, match=rf"^profile\.{stage}\.{field} {re.escape(may)}$"):
            imrestore.bm3d(noisy(), 10.0, profile=broken)
    wrong = profile._replace(**{stage: profile.hard})
    none = "None or " if stage == "refine" else ""
    with pytest.raises(TypeError, match=rf"^profile\.{stage} is of type HardThreshold; it must be {none}a Wiener$"):
        imrestore.bm3d(noisy(), 10.0, profile=wrong)


def test_a_bad_profile_is_named() -> None:
    normal = BM3D_PROFILES["normal"]
    for value in ("Normal", "", "fast ", None, 3, tuple(normal), normal.hard, {}, b"fast", ["fast"], BM3DProfile):
        with pytest.raises((TypeError, ValueError), match=r"^profile "):
            imrestore.bm3d(noisy(), 10.0, profile=value)
    for broken in (
        {"hard": normal.wiener},
        {"wiener": normal.hard},
        {"hard": None},
        {"wiener": None},
        {"wiener": tuple(normal.wiener)},
        {"refine": tuple(normal.wiener)},
        {"refine": False},
    ):
        (name,) = broken
        with pytest.raises(TypeError, match=rf"^profile\.{name} "):
            imrestore.bm3d(noisy(), 10.0, profile=normal._replace(**broken))


def test_profiles_are_what_they_say() -> None:
    image = noisy()
    assert list(BM3D_PROFILES) == ["normal", "fast", "high", "very_noisy"]
    results = {name: imrestore.bm3d(image, 10.0, profile=name) for name in BM3D_PROFILES}
    for name, profile in BM3D_PROFILES.items():
        assert same_bits(imrestore.bm3d(image, 10.0, profile=profile), results[name])
    assert same_bits(imrestore.bm3d(image, 10.0), results["normal"])
    normal = BM3D_PROFILES["normal"]
    own = BM3DProfile(HardThreshold(), *(Wiener(**stage._asdict()) for stage in normal[1:]))  # type: ignore[union-attr]
    assert same_bits(imrestore.bm3d(image, 10.0, profile=own), results["normal"])
    assert BM3DProfile() == (HardThreshold(), Wiener(), None)
    assert len({result.tobytes() for result in results.values()}) == 4
    with pytest.raises(TypeError):
        BM3D_PROFILES["mine"] = BM3DProfile()  # type: ignore[index]


def test_every_field_counts() -> None:
    image = noisy()
    profile = THREE
    expected = imrestore.bm3d(image, 10.0, profile=profile)
    others = {"step": (4, np.int64(4)), "group": (8,), "window": (9,), "match": (0.01,), "beta": (0, 1)}
    wiener = {"noise": (1, 0.3), "adaptive": (1, 0.3), "excess": (0, 1.5), "share": (0.3, 0.7)}
    for stage, own in (
        ("hard", others | {"threshold": (2, 2.5), "transform": ("dct",)}),
        ("wiener", others | wiener | {"share": (0, 1), "transform": ("bior1.5",)}),
        ("refine", wiener | {"beta": (0, 1), "match": (0.01,)}),
    ):
        for field, values in own.items():
            for value in values:
                changed = profile._replace(**{stage: getattr(profile, stage)._replace(**{field: value})})
                assert not same_bits(imrestore.bm3d(image, 10.0, profile=changed), expected), (stage, field)


def test_share_0_has_no_adaptive_estimate() -> None:
    """Neither of its fields counts then, in no kind of noise; in noise that is correlated the share itself does not."""
    image = noisy()
    classic, others = FAST, FAST._replace(wiener=FAST.wiener._replace(adaptive=3.0, excess=0.0))
    for noise in ({"sigma": 10.0}, {"sigma": np.full(SHAPE, 10.0)}, {"kernel": [[10.0, 3.0]]}):
        assert same_bits(imrestore.bm3d(image, **noise, profile=others), imrestore.bm3d(image, **noise, profile=classic))
    whole = FAST._replace(wiener=FAST.wiener._replace(share=1))
    expected = imrestore.bm3d(image, kernel=[[10.0, 3.0]], profile=classic)
    assert same_bits(imrestore.bm3d(image, kernel=[[10.0, 3.0]], profile=whole), expected)
    assert not same_bits(imrestore.bm3d(image, 10.0, profile=whole), imrestore.bm3d(image, 10.0, profile=classic))


def test_correlated_noise_has_two_stages() -> None:
    """The first and the last, whatever is between them."""
    image, kernel = noisy(), [[10.0, 3.0]]
    last = BM3DProfile(THREE.hard, THREE.refine._replace(share=0.0))  # type: ignore[union-attr]
    expected, basic = imrestore.bm3d(image, kernel=kernel, profile=last, return_basic=True)
    for between in (THREE, THREE._replace(wiener=THREE.wiener._replace(noise=5.0))):
        result, first = imrestore.bm3d(image, kernel=kernel, profile=between, return_basic=True)
        assert same_bits(result, expected)
        assert same_bits(first, basic)


def test_without_a_third_stage() -> None:
    image = noisy()
    for profile in (THREE, BM3D_PROFILES["normal"]):
        two, three = (imrestore.bm3d(image, 10.0, profile=p) for p in (profile._replace(refine=None), profile))
        assert abs(two - three).max() > 0.1
        assert abs(two - three).mean() < 2
        for stages, expected in ((1, imrestore.bm3d(image, 10.0, profile=profile, stages=1)), (2, three)):
            result, basic = imrestore.bm3d(image, 10.0, profile=profile, stages=stages, return_basic=True)
            assert same_bits(result, expected)
            assert same_bits(basic, imrestore.bm3d(image, 10.0, profile=profile, stages=1))


def test_what_no_group_differs_in_is_no_number_by_zero() -> None:
    """Constant images have neither a basis nor noise to bring back, and factors next to 0 none that float32 holds."""
    flat, image = np.full(SHAPE, 7.0), noisy()
    for share, transform in ((1, "dct"), (1, "bior1.5"), (0.5, "dct")):
        own = {"share": share, "transform": transform}
        for factors in ({"excess": 0}, {"adaptive": 1e-60}, {"excess": 1e60}, {"adaptive": 1e60, "excess": 0}):
            profile = THREE._replace(wiener=THREE.wiener._replace(**own, **factors), refine=None)
            for sigma in (10.0, np.full(SHAPE, 10.0)):
                np.testing.assert_allclose(imrestore.bm3d(flat, sigma, profile=profile), flat, rtol=1e-5)
                assert np.isfinite(imrestore.bm3d(image, sigma, profile=profile)).all()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_basic_result_is_the_first_stages(dtype: str, channels: int) -> None:
    image = noisy((*SHAPE, channels), dtype)
    for moved, axis in ((image, -1), (image.transpose(2, 0, 1), 0)):
        result, basic = fast(moved, 10.0, channel_axis=axis, return_basic=True)
        assert same_bits(np.ascontiguousarray(result), np.ascontiguousarray(fast(moved, 10.0, channel_axis=axis)))
        assert same_bits(np.ascontiguousarray(basic), np.ascontiguousarray(fast(moved, 10.0, channel_axis=axis, stages=1)))
        assert not np.array_equal(result, basic)
    first, again = fast(image, 10.0, channel_axis=-1, return_basic=True, stages=1)
    assert same_bits(first, again)
    assert not np.shares_memory(first, again)


# Progress


class Enough(Exception):
    pass


@pytest.mark.parametrize("keywords", [{}, {"stages": 1}, {"profile": THREE}, {"axes": (1, 2)}, {"sigma": 0}, {"kernel": [[1, 1]]}])
def test_progress_increases_and_ends_at_1(keywords: dict[str, Any]) -> None:
    image = noisy((90, 3, 40)).transpose(1, 0, 2) if "axes" in keywords else noisy((90, 40))
    heard: list[tuple[float, int]] = []
    given = {"sigma": 10.0} | keywords
    result = fast(image, callback=lambda done: heard.append((done, threading.get_ident())), **given)
    parts = [done for done, _ in heard]
    assert parts == sorted(set(parts))
    assert parts[0] > 0
    assert parts[-1] == 1
    stages = 1 if "stages" in keywords or "sigma" in keywords else 3 if "profile" in keywords else 2
    if "sigma" not in keywords and "axes" not in keywords:
        assert all(sum(i < stages * done <= i + 1 for done in parts) == len(parts) / stages for i in range(stages))
    assert {thread for _, thread in heard} == {threading.get_ident()}
    assert same_bits(result, fast(image, **given))


def test_what_a_callback_raises_ends_the_call() -> None:
    image = noisy((90, 40))
    expected = fast(image, 10.0)
    for last in (0, 3, 20):
        count = itertools.count()

        def callback(_done: float, count: Any = count, last: int = last) -> None:
            if next(count) == last:
                raise Enough

        with pytest.raises(Enough):
            fast(image, 10.0, callback=callback)
        assert next(count) == last + 1
        assert same_bits(fast(image, 10.0), expected)


def test_normal_by_name_is_another_profile_where_noise_drowns_the_image() -> None:
    """Here the image's own standard deviation is 14: 1.4 times that is 20."""
    plain, noisier = BM3D_PROFILES["normal"], BM3D_PROFILES["very_noisy"]
    for sigma, expected in ((14.0, plain), (40.0, noisier)):
        image = noisy(sigma=0.0) + np.random.default_rng(5).normal(0, sigma, SHAPE)
        result = imrestore.bm3d(image, sigma)
        assert same_bits(result, imrestore.bm3d(image, sigma, profile=expected))
        assert not same_bits(imrestore.bm3d(image, sigma, profile=plain), imrestore.bm3d(image, sigma, profile=noisier))
    stack = np.stack([image, 5 * noisy(sigma=1.0)])  # one of them shows enough
    assert same_bits(imrestore.bm3d(stack, 40.0, axes=(1, 2))[0], imrestore.bm3d(image, 40.0, profile=plain))
    holes = np.where(np.arange(SHAPE[1]) % 5 > 0, image, 1e9)
    where = holes < 1e8
    named, given = (imrestore.bm3d(holes, 40.0, where=where, profile=p) for p in ("normal", noisier))
    assert same_bits(named, given)
