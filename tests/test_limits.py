"""The last right value of every argument is accepted and the first wrong one refused, with words that help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from imrestore_kernels.borders import CONSTANT, REFLECT

import imrestore
from imrestore import _checks
from tests.calls import public


def constant(dtype: str) -> Callable[[Any], Any]:
    return lambda value: _checks.constant_value(value, CONSTANT, np.dtype(dtype))


# name: (check, the argument its message begins with, right values and what they become, wrong values)
LIMITS: dict[str, tuple[Callable[[Any], Any], str, dict[Any, Any], list[Any]]] = {
    "size": (lambda v: _checks.window_size(v, 1), "size", {1: (1,), 32767: (32767,)}, [0, 32768]),
    "sizes": (
        lambda v: _checks.window_size(v, 3),
        "size",
        {(2, 32767, 32767): (2, 32767, 32767), 5: (5, 5, 5)},
        [(3, 32767, 32767), (32767, 1, 0), (1, 1), (1, 1, 1, 1)],
    ),
    "radius": (
        lambda v: _checks.gaussian_radii(1.0, 4.0, v, 2)[1],
        "radius",
        {0: (0, 0), 16383: (16383, 16383), (0, 16383): (0, 16383)},
        [-1, 16384, (0, 16384), (-1, 3)],
    ),
    "sigma": (
        lambda v: _checks.gaussian_radii(v, 4.0, None, 2)[1],
        "sigma",
        {0: (0, 0), 0.124: (0, 0), 0.125: (1, 1), 4095.8749: (16383, 16383), (1, 2): (4, 8)},
        [-1e-300, 4095.875, 4095.88, (0, 4095.88), (4095.88, 0), float("inf")],
    ),
    "truncate": (
        lambda v: _checks.gaussian_radii((2, 3), v, None, 2)[1],
        "truncate",
        {1: (2, 3), 0.001: (0, 0), 0.25: (1, 1)},
        [0, -0.0, float("inf")],
    ),
    "sigma_space": (
        lambda v: _checks.bilateral_radii(v, 2.0, None, 2)[1],
        "sigma_space",
        {0: (0, 0), 0.249: (0, 0), 0.25: (1, 1), (0, 512.2): (0, 1024)},
        [-1e-300, 512.25, (0, 600), float("inf")],
    ),
    "bilateral radius": (
        lambda v: _checks.bilateral_radii((0, 1), 2.0, v, 2)[1],
        "radius",
        {0: (0, 0), 1024: (0, 1024), (5, 2): (0, 2)},
        [-1, 1025, (1025, 0)],
    ),
    "sigma_color": (
        lambda v: _checks.strength("sigma_color", v),
        "sigma_color",
        {5e-324: 5e-324, 3: 3.0, 1e308: 1e308},
        [0, -0.0, -1, float("inf"), float("nan")],
    ),
    "noise": (_checks.noise_sigma, "sigma", {0: 0.0, 1e308: 1e308}, [-5e-324, float("inf"), float("nan")]),
    "patch_size": (
        lambda v: _checks.patch_sizes(v, 2),
        "patch_size",
        {1: (1, 1), 64: (64, 64), (1, 64): (1, 64)},
        [0, -3, 65, (0, 1), (1, 65), (3,)],
    ),
    "patch_distance": (
        lambda v: _checks.patch_distances(v, 2),
        "patch_distance",
        {0: (0, 0), 1024: (1024, 1024), (0, 1024): (0, 1024)},
        [-1, -2, 1025, (0, -1), (1, 1, 1)],
    ),
    "uint8": (constant("uint8"), "cval", {0: 0, 255: 255, 7.0: 7}, [-1, 256, 0.5, float("nan")]),
    "int8": (constant("int8"), "cval", {-128: -128, 127: 127}, [-129, 128]),
    "uint64": (constant("uint64"), "cval", {0: 0, 2**64 - 1: 2**64 - 1}, [-1, 2**64, 1.5]),
    "int64": (constant("int64"), "cval", {-(2**63): -(2**63), 2**63 - 1: 2**63 - 1}, [-(2**63) - 1, 2**63]),
    "bool": (constant("bool"), "cval", {False: 0, True: 1}, [-1, 2, 0.5]),
    "float16": (constant("float16"), "cval", {65504: 65504.0, -65504: -65504.0, 0.1: 0.0999755859375}, [65505, -1e5]),
    "float32": (constant("float32"), "cval", {3e38: float(np.float32(3e38))}, [3.5e38, -1e300]),
    "axes": (
        lambda v: _checks.filtered_axes(v, None, 3),
        "axes",
        {0: (0,), -3: (0,), 2: (2,), (2, 0): (2, 0), (-1, -3): (2, 0)},
        [3, -4, (0, 3), (1, -2), ()],
    ),
    "channel_axis": (
        lambda v: _checks.filtered_axes(None, v, 3),
        "channel_axis",
        {0: (1, 2), 2: (0, 1), -1: (0, 1), -3: (1, 2)},
        [3, -4],
    ),
    "axes and channel_axis": (
        lambda v: _checks.filtered_axes(*v, 4),
        "axes",
        {((0, 1), 3): (0, 1), ((1,), -1): (1,)},
        [((0, 3), 3), ((0, -1), 3)],
    ),
    "rank": (lambda v: _checks.rank_and_percentile(v, None, 9, False)[0], "rank", {0: 0, 8: 8, -1: 8, -9: 0}, [9, -10]),
    "percentile": (
        lambda v: _checks.rank_and_percentile(None, v, 9, True),
        "percentile",
        {0: (0, 0), 100: (8, 100), -100: (0, 0), -1: (8, 99), 50: (4, 50)},
        [100.0001, -100.0001],
    ),
    "threads": (_checks.thread_count, "n", {1: 1, 1024: 1024}, [0, 1025]),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits(name: str) -> None:
    check, argument, right, wrong = LIMITS[name]
    for value, becomes in right.items():
        assert check(value) == becomes
    for value in wrong:
        with pytest.raises(ValueError, match=rf"^{argument} "):
            check(value)


def test_the_default_rank_is_the_upper_median() -> None:
    assert [_checks.rank_and_percentile(None, None, n, False)[0] for n in (1, 2, 3, 4, 9)] == [0, 1, 1, 2, 4]


def test_cval_is_not_used_outside_constant_mode() -> None:
    assert _checks.constant_value(1e6, REFLECT, np.dtype(np.uint8)) == 0
    with pytest.raises(TypeError, match=r"^cval "):
        _checks.constant_value("0", REFLECT, np.dtype(np.uint8))


@pytest.mark.parametrize("ndim", [1, 2, 3, 4])
def test_one_to_four_axes_are_filtered(ndim: int) -> None:
    assert _checks.filtered_axes(None, None, ndim) == tuple(range(ndim))


def test_five_axes_are_too_many_and_the_message_says_what_to_do() -> None:
    image = np.zeros((2,) * 5, np.uint8)
    with pytest.raises(ValueError, match=r"^image has 5 axes to filter; .*axes="):
        imrestore.mean(image)
    with pytest.raises(ValueError, match=r"^axes has 5 axes"):
        imrestore.mean(image, axes=range(5))
    assert imrestore.mean(image, axes=(0, 1, 2, 3)).shape == image.shape
    with pytest.raises(ValueError, match=r"^image has 0 axes"):
        imrestore.mean(np.zeros(3), channel_axis=0)


@pytest.mark.parametrize(
    ("name", "dtype", "words"),
    [
        ("mean", "bool", ["int8", "float64", "astype(numpy.uint8)"]),
        ("gaussian", "bool", ["int8", "float64", "astype(numpy.uint8)"]),
        ("nl_means", "bool", ["int8", "float64", "astype(numpy.uint8)"]),
        ("bilateral", "complex64", ["must be int8", "image.real"]),
        ("median", "complex64", ["bool, int8", "image.real", "image.imag"]),
        ("mean", "complex128", ["must be int8", "image.real"]),
        ("median", "longdouble", ["bool, int8", "astype(numpy.float32)"]),
    ],
)
def test_refused_dtypes_are_told_the_alternative(name: str, dtype: str, words: list[str]) -> None:
    with pytest.raises(TypeError) as caught:
        public(name)(np.zeros((3, 3), dtype))
    assert [word for word in (f"image has dtype {np.dtype(dtype)}", *words) if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda image: imrestore.mean(image, 0), ["size is 0", "1 to 32767"]),
        (lambda image: imrestore.mean(image, (3, 3, 3)), ["size has 3 values", "(3, 3, 3)", "2 filtered axes"]),
        (lambda image: imrestore.mean(image, mode="edge"), ["'edge'", "'nearest'", "'grid-wrap'"]),
        (lambda image: imrestore.gaussian(image, -1), ["sigma is -1", ">= 0"]),
        (lambda image: imrestore.gaussian(image, 1e9), ["sigma is 1000000000", "truncate 4.0", "16383"]),
        (lambda image: imrestore.nl_means(image, -1), ["sigma is -1", "None or", ">= 0", "image's units"]),
        (lambda image: imrestore.nl_means(image, 1, h=0), ["h is 0", "None or", "> 0", "image's units"]),
        (lambda image: imrestore.nl_means(image, 1, patch_size=65), ["patch_size is 65", "1 to 64"]),
        (lambda image: imrestore.nl_means(image, 1, patch_distance=-1), ["patch_distance is -1", "0 to 1024"]),
        (lambda image: imrestore.nl_means(image, 1, patch_weights="flat"), ["'flat'", "'tapered', 'uniform' or 'gaussian'"]),
        (lambda image: imrestore.bilateral(image, 0, 1), ["sigma_color is 0", "> 0", "image's units"]),
        (lambda image: imrestore.bilateral(image, 1, -1), ["sigma_space is -1", ">= 0 in pixels"]),
        (lambda image: imrestore.bilateral(image, 1, 600), ["sigma_space is 600", "truncate 2.0", "at most 1024"]),
        (lambda image: imrestore.bilateral(image, 1, 1, radius=1025), ["radius is 1025", "0 to 1024"]),
        (lambda image: imrestore.median(image, rank=9), ["rank is 9", "-9 to 8", "9 samples"]),
        (lambda image: imrestore.median(image, rank=1, percentile=2), ["rank is 1", "percentile 2", "only one"]),
        (lambda image: imrestore.median(image, rank=1, where=image > 0), ["rank is 1", "percentile="]),
        (lambda image: imrestore.median(image, footprint=np.zeros((2, 3))), ["footprint", "(2, 3)", "at least one"]),
        (lambda image: imrestore.mean(image, cval=256, mode="constant"), ["cval is 256", "0 to 255", "uint8"]),
        (lambda image: imrestore.mean(image, axes=(0, 0)), ["axes is (0, 0)", "once"]),
        (lambda image: imrestore.mean(image, nan_policy="drop"), ["'drop'", "'propagate', 'omit' or 'raise'"]),
        (lambda image: imrestore.mean(image, out=np.zeros((3, 4), np.uint8)), ["(3, 4)", "(3, 3)"]),
        (lambda image: imrestore.mean(image, out=np.zeros((3, 3))), ["float64", "uint8"]),
        (lambda image: imrestore.mean(image, where=np.ones((3, 3))), ["float64", "bool"]),
        (lambda image: imrestore.mean(image, where=np.ones(4, bool)), ["(4,)", "(3, 3)"]),
    ],
)
def test_messages_say_what_it_was_and_what_it_may_be(call: Callable[[np.ndarray], Any], words: list[str]) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        call(np.zeros((3, 3), np.uint8))
    assert [word for word in words if word not in str(caught.value)] == []


def test_long_values_are_cut_in_messages() -> None:
    with pytest.raises(ValueError, match=r"^mode is ") as caught:
        imrestore.mean(np.zeros((3, 3)), mode="x" * 10000)
    assert len(str(caught.value)) < 300
