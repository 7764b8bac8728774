"""The last right value of every argument is accepted and the first wrong one refused, with words that help."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from imrestore_kernels.borders import CONSTANT, REFLECT

import imrestore
from imrestore import _checks
from imrestore._checks import metrics as metric_checks
from imrestore._checks import noise as noise_checks
from tests.calls import public


def constant(dtype: str) -> Callable[[Any], Any]:
    return lambda value: _checks.constant_value(value, CONSTANT, np.dtype(dtype))


def pair(*dtypes: str) -> list[np.dtype[Any]]:
    return [np.dtype(dtype) for dtype in dtypes]


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
        [-1e-300, (1, -1), 4095.875, 4095.88, (0, 4095.88), (4095.88, 0), float("inf")],
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
    "guided radius": (lambda v: _checks.guided_radii(v, 2), "radius", {0: (0, 0), 1023: (1023, 1023)}, [-1, 1024, (0, 1024)]),
    "guided samples": (
        lambda v: _checks.guided_radii(v, 3),
        "radius",
        {(128, 127, 127): (128, 127, 127)},  # 16711425 samples of 2**24
        [(128, 128, 127), 128],
    ),
    "eps": (_checks.guided_eps, "eps", {5e-324: 5e-324, 1e308: 1e308}, [0, -0.0, -1, float("inf"), float("nan")]),
    "channels of a guide": (lambda v: _checks.guide_channels("guide", v), "guide", {1: None, 4: None}, [0, 5]),
    "gain": (
        lambda v: noise_checks.parameters(v, 0, 0),
        "gain",
        {5e-324: (5e-324, 0, 0), 1e308: (1e308, 0, 0)},
        [0, -1, float("inf"), float("nan")],
    ),
    "read_noise": (
        lambda v: noise_checks.parameters(2, v, 7),
        "read_noise",
        {0: (2, 0, 7), 2e6: (2, 2e6, 7)},
        [-5e-324, 2000000.1, float("inf"), float("nan")],
    ),
    "offset": (noise_checks.image_offset, "offset", {-1e308: -1e308, 0: 0.0, 1e308: 1e308}, [float("inf"), float("nan")]),
    "measured axes": (lambda v: noise_checks.measured_axes(None, v), "image", {1: None, 3: None}, [0, 4]),
    "measured axes and channels": (lambda v: noise_checks.measured_axes(-1, v), "image", {2: 1, 4: 3}, [1, 5]),
    "channel_axis of a measurement": (
        lambda v: noise_checks.measured_axes(v, 3),
        "channel_axis",
        {None: None, 0: 0, 2: 2, -3: 0},
        [3, -4],
    ),
    "crop": (lambda v: metric_checks.border_crop(v, [9, 8], None), "crop", {0: 0, 3: 3}, [-1, 4, 5]),
    "crop of y-sr": (lambda v: metric_checks.border_crop(v, [9], "y-sr"), "crop", {1: 1, 4: 4}, [0, 5]),
    "data_range": (
        lambda v: metric_checks.data_range(v, pair("float32", "float32")),
        "data_range",
        {5e-324: 5e-324, 1e308: 1e308},
        [None, 0, -1, float("inf"), float("nan")],
    ),
    "data_range of dtypes": (
        lambda v: metric_checks.data_range(None, pair(v, v)),
        "data_range",
        {"uint8": 255, "int8": 255, "uint16": 65535, "int16": 65535},
        ["uint32", "int64", "float16"],
    ),
    "levels": (
        lambda v: metric_checks.levels(v, pair("uint8", "uint16")),
        "data_range",
        {None: [None, 65535.0], 255: [None, 255.0], 1: [None, 1.0]},
        [0, float("inf"), float("nan")],
    ),
    "levels of uint8": (
        lambda v: metric_checks.levels(v, pair("uint8", "uint8")),
        "data_range",
        {None: [None, None], 255: [None, None]},
        [254, 256, 1],
    ),
    "levels of dtypes": (
        lambda v: metric_checks.levels(None, pair("uint8", v)),
        "data_range",
        {"uint8": [None, None], "uint16": [None, 65535.0]},
        ["int8", "int16", "float32"],
    ),
    "side of a similarity": (
        lambda v: metric_checks.ssim_window(v, 1.5),
        "size",
        {1: (1, 1.5), 101: (101, 1.5)},
        [0, -1, 2, 100, 103],
    ),
    "sigma of a similarity": (
        lambda v: metric_checks.ssim_window(11, v),
        "sigma",
        {5e-324: (11, 5e-324), 1e308: (11, 1e308)},
        [0, -1, float("inf"), float("nan")],
    ),
    "k1": (lambda v: metric_checks.ssim_constants(v, 3), "k1", {0.5: (0.25, 9)}, [0, -1, float("inf"), float("nan")]),
    "k2": (lambda v: metric_checks.ssim_constants(3, v), "k2", {0.5: (9, 0.25)}, [0, -1, float("inf"), float("nan")]),
    "weights": (
        metric_checks.ssim_weights,
        "weights",
        {(5e-324,): (5e-324,), (0, 1): (0, 1), (1,) * 16: (1,) * 16},
        [(), (0,), (0, 0), (1,) * 17, (1, -5e-324), (float("inf"),), (1, float("nan"))],
    ),
    "shape for a window": (
        lambda v: metric_checks.ssim_shape(v, 11, 1),
        "image",
        {(11, 12): None, (13, 12, 11): None},
        [(10, 11), (12, 12, 10), (11,), (11, 11, 11, 11)],
    ),
    "shape for five scales": (lambda v: metric_checks.ssim_shape(v, 11, 5), "image", {(161, 200): None}, [(160, 200)]),
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
        (lambda image: imrestore.mean(image, mode="edge"), ["'edge'", "must be 'reflect', ", "'grid-wrap' or 'grid-constant'"]),
        (lambda image: imrestore.mean(image, axes=2), ["axes is 2", "2 axes", "must be a whole number from -2 to 1"]),
        (lambda image: imrestore.mean(image, channel_axis=2), ["channel_axis is 2", "must be None or a whole number from -2 to 1"]),
        (lambda image: imrestore.mean(image, channel_axis=0.5), ["channel_axis is 0.5 of type float", "must be None or a whole"]),
        (lambda image: imrestore.metrics.ssim(image, image), ["3 x 3 pixels", "a window of 11 pixels each axis", "at least 11"]),
        (lambda image: imrestore.metrics.ms_ssim(image, image), ["a window of 11 pixels at 5 scales each axis", "at least 161"]),
        (lambda image: imrestore.metrics.psnr(image, image, protocol="y"), ["protocol is 'y'", "None, 'gray', 'rgb' or 'y-sr'"]),
        (lambda image: imrestore.guided(image, [image], eps=1, channel_axis=3), ["channel_axis is 3", "a guide with 3", "-3 to 2"]),
        (lambda image: imrestore.gaussian(image, -1), ["sigma is -1", ">= 0"]),
        (lambda image: imrestore.gaussian(image, 1e9), ["sigma is 1000000000", "truncate 4.0", "16383"]),
        (lambda image: imrestore.nl_means(image, -1), ["sigma is -1", "None or", ">= 0", "image's units"]),
        (lambda image: imrestore.nl_means(image, 1, h=0), ["h is 0", "None or", "> 0", "image's units"]),
        (lambda image: imrestore.nl_means(image, 1, patch_size=65), ["patch_size is 65", "must be a whole number from 1 to 64"]),
        (lambda image: imrestore.nl_means(image, 1, patch_distance=-1), ["patch_distance is -1", "0 to 1024"]),
        (lambda image: imrestore.nl_means(image, 1, patch_weights="flat"), ["'flat'", "'tapered', 'uniform' or 'gaussian'"]),
        (lambda image: imrestore.bilateral(image, 0, 1), ["sigma_color is 0", "must be a finite", "> 0", "image's units"]),
        (lambda image: imrestore.bilateral(image, 1, -1), ["sigma_space is -1", ">= 0 in pixels"]),
        (lambda image: imrestore.bilateral(image, 1, 600), ["sigma_space is 600", "truncate 2.0", "at most 1024"]),
        (lambda image: imrestore.bilateral(image, 1, 1, radius=1025), ["radius is 1025", "None or a whole number from 0 to 1024"]),
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
    for length, text in ((58, repr("x" * 58)), (59, f"'{'x' * 56}...")):  # 60 characters with the quotes
        with pytest.raises(ValueError, match=rf"^mode is {re.escape(text)}; "):
            imrestore.mean(np.zeros((3, 3)), mode="x" * length)


def test_arrays_of_one_axis_are_sequences() -> None:
    assert _checks.window_size(np.array([3, 5]), 2) == (3, 5)
    assert _checks.window_size(np.array(5), 2) == (5, 5)
    for value, words in ((np.array([3, 5, 7]), "size has 3 values"), (np.array([[3, 5], [3, 5]]), "size is array")):
        with pytest.raises((TypeError, ValueError), match=f"^{words}"):
            _checks.window_size(value, 2)


@pytest.mark.parametrize("value", [True, np.True_, 3.0, "3", 10**5000, -(10**5000)], ids=lambda value: type(value).__name__)
def test_whole_numbers_are_whole_and_within_bounds(value: object) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^size is .*; it must be a whole number from 1 to 32767"):
        _checks.window_size(value, 2)


def test_a_flag_is_true_or_false() -> None:
    assert [_checks.flag("full", value) for value in (True, False, np.True_, np.False_)] == [True, False, True, False]
    for value in (0, 1, "True", None):
        with pytest.raises(TypeError, match=r"^full is .*; it must be True or False"):
            _checks.flag("full", value)


@pytest.mark.parametrize("value", [True, "3", 1j, None, 10**5000], ids=lambda value: type(value).__name__)
def test_real_numbers_are_real_and_fit_a_float(value: object) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^eps is .*; it must be a finite number > 0"):
        _checks.guided_eps(value)
