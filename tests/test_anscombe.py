"""Anscombe's transform and its inverses: formulas, the bias of the exact inverse, kinds of arrays, hostile input."""

from __future__ import annotations

import math
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from imrestore.noise import _anscombe, anscombe, inverse_anscombe
from tests import bad_input, cupy_stand_in
from tests.oracles import noise as oracle

BOTH = (anscombe, inverse_anscombe)
INTEGERS = {
    "uint8": "float32", "int8": "float32", "uint16": "float32", "int16": "float32",
    "uint32": "float64", "int32": "float64", "uint64": "float64", "int64": "float64",
}  # fmt: skip
FLOATS = ("float16", "float32", "float64")
COUNTS = np.random.default_rng(0).poisson(20, (40, 51)).astype(float)


@pytest.mark.parametrize(("gain", "read_noise", "offset"), [(1, 0, 0), (2.5, 0, 0), (1, 3, 0), (0.1, 7, 100), (40, 900, -3.5)])
def test_the_transform_is_its_formula(gain: float, read_noise: float, offset: float) -> None:
    image = gain * COUNTS + offset
    expected = 2 / gain * np.sqrt(gain * (image - offset) + 3 / 8 * gain**2 + read_noise**2)
    np.testing.assert_allclose(anscombe(image, gain, read_noise, offset=offset), expected, rtol=1e-13)
    for method, constant in (("algebraic", 3 / 8), ("asymptotic", 1 / 8)):
        back = inverse_anscombe(expected, gain, read_noise, offset=offset, method=method)
        given = gain * (expected**2 / 4 - constant - (read_noise / gain) ** 2) + offset
        np.testing.assert_allclose(back, given, rtol=1e-9, atol=1e-9)


def test_algebraic_undoes_the_transform() -> None:
    back = inverse_anscombe(anscombe(COUNTS, 2.0, 5.0, offset=10.0), 2.0, 5.0, offset=10.0, method="algebraic")
    np.testing.assert_allclose(back, COUNTS, rtol=1e-12, atol=1e-11)


def test_what_is_below_the_root_is_zero() -> None:
    np.testing.assert_array_equal(anscombe(np.array([-0.375, -1.0, -1e30, -np.inf])), 0.0)
    np.testing.assert_array_equal(anscombe(np.array([-128, -1], np.int8)), np.zeros(2, np.float32))


@pytest.mark.parametrize(("signal", "read_noise"), [(4, 0), (20, 0), (1000, 0), (0, 1), (5, 1), (0, 5), (50, 20)])
def test_noise_becomes_one(signal: float, read_noise: float) -> None:
    rng = np.random.default_rng(1)
    image = rng.poisson(signal, 200000) + rng.normal(0, read_noise, 200000)
    # the bound the docstring states
    assert anscombe(image, 1.0, read_noise).std() == pytest.approx(1, abs=0.03 if signal >= 4 else 0.1)


SIGNALS = (0, 1e-3, 0.01, 0.1, 0.3, 0.5, 1, 2, 3, 5, 8, 12, 20, 50, 100, 127.9, 127.98, 127.999, 128.1, 130, 200, 1e3, 1e4)
READ_NOISE = (0, 1e-3, 0.03, 0.1, 0.3, 0.5, 1, 2, 5, 9.9, 10.1, 20, 99, 101)


@pytest.mark.parametrize("read_noise", READ_NOISE)
def test_the_exact_inverse_is_unbiased(read_noise: float) -> None:
    means = np.array([oracle.mean_of_transform(signal, read_noise) for signal in SIGNALS])
    bias = np.abs(inverse_anscombe(means, 1.0, read_noise) - SIGNALS)
    deviation = np.sqrt(np.array(SIGNALS) + read_noise**2)
    # what the docstring states: nobody can see it in fewer than 10**9 samples
    assert (bias <= 1e-5 + 2e-5 * deviation).all(), (bias / deviation).max()


@pytest.mark.parametrize("read_noise", [0, 0.3, 2])
def test_gain_and_offset_only_rescale(read_noise: float) -> None:
    means = np.linspace(0, 60, 301)
    counts = inverse_anscombe(means, 1.0, read_noise)
    image = inverse_anscombe(means, 7.0, 7 * read_noise, offset=40.0)
    np.testing.assert_allclose(image, 7 * counts + 40, rtol=1e-12)


def test_the_closed_form_would_not_do() -> None:
    """The figures in the docstring: why there is a table."""

    def closed(mean: float, read_noise: float) -> float:
        root = math.sqrt(3 / 2)
        return mean**2 / 4 + root / 4 / mean - 11 / 8 / mean**2 + 5 / 8 * root / mean**3 - 1 / 8 - read_noise**2

    assert closed(oracle.mean_of_transform(12, 0), 0) - 12 == pytest.approx(0.018, abs=0.001)
    assert (closed(oracle.mean_of_transform(0, 0.3), 0.3)) / 0.3 == pytest.approx(-0.15, abs=0.005)


def test_the_exact_inverse_is_steady_and_starts_at_the_offset() -> None:
    for read_noise in (0.0, 0.5, 4.0, 30.0, 150.0):
        means = np.linspace(0, 2 * math.sqrt(400 + read_noise**2), 20001)
        counts = inverse_anscombe(means, 1.0, read_noise)
        assert counts[0] == 0.0
        # the seam at 128 counts is as good as either side: 3e-4 counts
        assert np.diff(counts).min() >= -3e-4
        lowest = oracle.mean_of_transform(0, read_noise)
        assert inverse_anscombe(np.array([lowest / 2]), 1.0, read_noise, offset=9.0)[0] == 9.0
        assert inverse_anscombe(np.array([lowest + 0.05]), 1.0, read_noise)[0] > 0


@pytest.mark.parametrize("function", BOTH)
@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS])
def test_dtypes(function: Callable[..., Any], dtype: str) -> None:
    image = COUNTS.astype(dtype)
    before = image.copy()
    result = function(image, 2.0, 3.0, offset=1.0)
    assert type(result) is np.ndarray
    assert result.dtype == INTEGERS.get(dtype, dtype)
    assert result.shape == image.shape
    # rounding of the result's dtype, a few times; the inverse takes a difference of squares
    precision = {"float16": 2e-3, "float32": 2e-6, "float64": 1e-12}[result.dtype.name]
    np.testing.assert_allclose(result, function(COUNTS, 2.0, 3.0, offset=1.0), rtol=precision, atol=30 * precision)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("function", BOTH)
def test_float16_is_rounded_once(function: Callable[..., Any]) -> None:
    image = COUNTS.astype(np.float16)
    once = function(image.astype(np.float32), 2.0, 3.0).astype(np.float16)
    np.testing.assert_array_equal(function(image, 2.0, 3.0), once)


@pytest.mark.parametrize("function", BOTH)
@pytest.mark.parametrize("kind", [kind for kind, (_, must) in (bad_input.LAYOUTS | bad_input.SHAPES).items() if must == "equal"])
def test_layouts(function: Callable[..., Any], kind: str) -> None:
    image = (bad_input.LAYOUTS | bad_input.SHAPES)[kind][0]()
    before = np.array(image)
    plain = before.astype(before.dtype.newbyteorder("="))
    result = function(image)
    np.testing.assert_array_equal(np.asarray(result), function(plain))
    np.testing.assert_array_equal(np.array(image), before)
    if isinstance(image, np.ndarray):
        assert type(result) is type(image)
        if image.dtype.kind == "f":
            assert result.dtype == image.dtype


@pytest.mark.parametrize("function", BOTH)
def test_blocks_have_no_seams(function: Callable[..., Any]) -> None:
    image = np.random.default_rng(0).poisson(50, (3, 500, 700)).astype(np.float32)
    whole = function(image)
    for at in np.ndindex(3, 5):
        part = image[at[0], at[1] * 100 : at[1] * 100 + 100]
        np.testing.assert_array_equal(whole[at[0], at[1] * 100 : at[1] * 100 + 100], function(part))
    np.testing.assert_array_equal(function(image.T), whole.T)
    np.testing.assert_array_equal(function(image.reshape(-1)), whole.reshape(-1))


@pytest.mark.parametrize("function", BOTH)
def test_out(function: Callable[..., Any]) -> None:
    image = COUNTS.astype(np.float32)
    expected = function(image)
    out = np.full_like(image, np.nan)
    assert function(image, out=out) is out
    np.testing.assert_array_equal(out, expected)
    whole = np.zeros((80, 51), np.float32)
    assert function(image, out=whole[::2]).base is whole
    np.testing.assert_array_equal(whole[::2], expected)
    assert not whole[1::2].any()
    wide = np.zeros(image.shape, np.float32)
    np.testing.assert_array_equal(function(COUNTS.astype(np.uint8), out=wide), expected)


@pytest.mark.parametrize("function", BOTH)
def test_out_may_be_or_overlap_the_image(function: Callable[..., Any]) -> None:
    for shape in ((300, 2001), (40, 51)):  # of several blocks, and of one
        image = np.random.default_rng(0).poisson(30, shape).astype(np.float32)
        expected = function(image)
        assert function(image, out=image) is image
        np.testing.assert_array_equal(image, expected)
        upper, lower, backwards = slice(0, -7), slice(7, None), slice(None, None, -1)
        for source, target in ((upper, lower), (lower, upper), (backwards, slice(None))):
            memory = np.random.default_rng(1).poisson(30, shape).astype(np.float32)
            expected = function(memory[source].copy())
            np.testing.assert_array_equal(function(memory[source], out=memory[target]), expected)


@pytest.mark.parametrize("function", BOTH)
def test_out_may_begin_where_the_image_does(function: Callable[..., Any]) -> None:
    memory = np.random.default_rng(1).poisson(30, 1200001).astype(np.float32)
    expected = function(memory[:600001].copy())
    np.testing.assert_array_equal(function(memory[:600001], out=memory[::2]), expected)


@pytest.mark.parametrize("function", BOTH)
def test_special_values(function: Callable[..., Any]) -> None:
    for dtype in FLOATS:
        with np.errstate(all="raise"):
            result = function(np.array([np.nan, np.inf, -np.inf, 5, np.finfo(dtype).max], dtype), 1.0, 2.0)
        assert result.dtype == dtype
        assert math.isnan(result[0])
        assert result[1] == np.inf
        assert result[2] == 0
        assert np.isfinite(result[3])
        assert result[4] > 0
    assert function(np.array([-np.inf, -1e30, -1.0])).tolist() == [0, 0, 0]


@pytest.mark.parametrize("function", BOTH)
def test_tensors(function: Callable[..., Any]) -> None:
    torch = pytest.importorskip("torch")
    for dtype in [*INTEGERS, *FLOATS]:
        image = COUNTS.astype(dtype)
        tensor = torch.from_numpy(image.copy())
        result = function(tensor, 2.0, 1.0)
        assert type(result) is torch.Tensor
        assert str(result.dtype) == f"torch.{INTEGERS.get(dtype, dtype)}"
        np.testing.assert_array_equal(result.numpy(), function(image, 2.0, 1.0))
        np.testing.assert_array_equal(tensor.numpy(), image)
    tensor = torch.from_numpy(COUNTS.astype(np.float32))
    expected = function(tensor)
    memory = tensor.data_ptr()
    assert function(tensor, out=tensor) is tensor
    assert tensor.data_ptr() == memory
    assert torch.equal(tensor, expected)
    with pytest.raises(ValueError, match=r"requires grad"):
        function(torch.zeros(5, requires_grad=True))
    with pytest.raises(TypeError, match=r"^out is a numpy.ndarray on cpu"):
        function(tensor, out=np.zeros((40, 51), np.float32))


@pytest.mark.parametrize("function", BOTH)
def test_dask_arrays_stay_lazy(function: Callable[..., Any]) -> None:
    da = pytest.importorskip("dask.array")
    for dtype in ("uint16", "int32", "float32"):
        image = COUNTS.astype(dtype)
        lazy = da.from_array(image, chunks=(7, (11, 40)))
        result = function(lazy, 2.0, 1.0, offset=3.0)
        assert isinstance(result, da.Array)
        assert (result.dtype, result.chunks) == (INTEGERS.get(dtype, dtype), lazy.chunks)
        assert type(result._meta) is np.ndarray
        np.testing.assert_array_equal(result.compute(scheduler="synchronous"), function(image, 2.0, 1.0, offset=3.0))
        sent = pickle.loads(pickle.dumps(result))  # as to the workers of a cluster
        np.testing.assert_array_equal(sent.compute(scheduler="synchronous"), function(image, 2.0, 1.0, offset=3.0))
    name = "image" if function is anscombe else "values"
    with pytest.raises(ValueError, match=rf"^out is given and {name} is a lazy dask array"):
        function(lazy, out=np.zeros((40, 51), np.float32))
    with pytest.raises(TypeError, match=rf"^{name} has dtype bool"):
        function(lazy > 3)
    with pytest.raises(ValueError, match=rf"^{name} has the shape"):
        function(da.zeros((0, 4)))
    with pytest.raises(ValueError, match=r"^gain is 0"):
        function(lazy, 0)


NAMES = (
    (np.zeros((5, 5), bool), TypeError, " has dtype bool"),
    (np.zeros((5, 5), complex), TypeError, " has dtype complex128"),
    (np.zeros((5, 5), np.longdouble), TypeError, " has dtype"),
    (np.ma.zeros((5, 5)), TypeError, " is a numpy.ma.MaskedArray"),
    (None, TypeError, " is of type NoneType"),
    ("image", TypeError, " is of type str"),
    (3.0, ValueError, " has no axes"),
    (np.zeros((0, 3)), ValueError, " has the shape (0, 3)"),
)


@pytest.mark.parametrize("function", BOTH)
@pytest.mark.parametrize(("image", "error", "words"), NAMES)
def test_wrong_images_are_named(function: Callable[..., Any], image: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        function(image)
    assert str(caught.value).startswith(("image" if function is anscombe else "values") + words)


NOT_NUMBERS = ("1", None, (1,), True, 1j, np.ones(1))


@pytest.mark.parametrize("function", BOTH)
@pytest.mark.parametrize("name", ["gain", "read_noise", "offset"])
def test_wrong_parameters_are_named(function: Callable[..., Any], name: str) -> None:
    for value in NOT_NUMBERS:
        with pytest.raises(TypeError, match=rf"^{name} is "):
            function(COUNTS, **{name: value})
    outside = {
        "gain": (0, -1.0, math.inf, math.nan, 10**400),
        "read_noise": (-1, math.inf, math.nan, 1e7),
        "offset": (math.nan, math.inf, -math.inf),
    }
    for value in outside[name]:
        with pytest.raises(ValueError, match=rf"^{name} is "):
            function(COUNTS, **{name: value})


@pytest.mark.parametrize("function", BOTH)
def test_wrong_out_is_named(function: Callable[..., Any]) -> None:
    image = COUNTS.astype(np.uint8)
    locked = np.zeros(image.shape, np.float32)
    locked.flags.writeable = False
    for out, error, words in (
        (np.zeros(image.shape, np.uint8), TypeError, "out has dtype uint8; it must be float32"),
        (np.zeros(image.shape), TypeError, "out has dtype float64; it must be float32"),
        (np.zeros((40, 50), np.float32), ValueError, "out has the shape (40, 50)"),
        (locked, ValueError, "out is read-only"),
        (image.tolist(), TypeError, "out is of type list"),
        (np.broadcast_to(np.float32(0), image.shape), ValueError, "out is read-only"),
    ):
        with pytest.raises(error) as caught:
            function(image, out=out)
        assert str(caught.value).startswith(words)
    with pytest.raises(TypeError, match="positional"):
        function(image, 1.0, 0.0, 0.0)


def test_wrong_methods_are_named() -> None:
    with pytest.raises(ValueError, match=r"^method is 'best'; it must be 'exact', 'asymptotic' or 'algebraic'"):
        inverse_anscombe(COUNTS, method="best")
    with pytest.raises(TypeError, match=r"^method is None"):
        inverse_anscombe(COUNTS, method=None)


def test_threads_share_one_table() -> None:
    _anscombe._table.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: inverse_anscombe(COUNTS, 1.0, 0.7), range(16)))
    for result in results:
        np.testing.assert_array_equal(result, results[0])
    with pytest.raises(ValueError, match="read-only"):
        _anscombe._table(0.7**2).signals[0] = 1


def test_every_finite_parameter_gives_finite_images() -> None:
    for gain in (1e-300, 1e-6, 1.0, 1e6, 1e300):
        for ratio in (0.0, 1e-160, 1e-9, 1.0, 99.9, 100.1, 1e6):
            image = inverse_anscombe(np.linspace(0, 50, 7), gain, gain * ratio)
            assert np.isfinite(image).all(), (gain, ratio)
            assert (image >= 0).all()


@pytest.mark.parametrize("function", BOTH)
def test_cupy_arrays_take_the_same_way(function: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = pytest.importorskip("cupy")
    stand_in = cupy_stand_in.Namespace()
    monkeypatch.setitem(sys.modules, "cupy", stand_in)
    for dtype in ("uint8", "float32"):
        image = COUNTS.astype(dtype)
        result = function(stand_in.asarray(image), 2.0, 3.0)
        assert isinstance(result, stand_in.ndarray)
        np.testing.assert_array_equal(result.get(), function(image, 2.0, 3.0))
    out = stand_in.asarray(image)
    assert function(out, out=out) is out
    np.testing.assert_array_equal(out.get(), function(image))
    assert {name for name in stand_in.used if not hasattr(cupy, name)} == set()
