"""The CPU kernels of Anscombe's transform against the formulas that CuPy runs: the same bits, and nothing beside the samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from imrestore_kernels.cpu.anscombe import BLOCK, compute_type
from imrestore_kernels.cpu.anscombe import inverse_anscombe as kernel

import imrestore
from imrestore.noise import _anscombe, anscombe, inverse_anscombe
from tests.cases import INTEGERS

BOTH = (anscombe, inverse_anscombe)
DTYPES = (*INTEGERS, "float32", "float64")
#: Less than a vector, whole vectors and rests of them, one block and several.
LENGTHS = (1, 3, 4, 5, 8, 15, 16, 17, 100, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 13)
#: Gain 1.7, offset 1.5; read noise, in counts, without and with a table, and beyond the largest one.
FUNCTIONS = {
    "forward": _anscombe._Forward(1.5, 1.7, 3.3),
    **{f"{m} {v}": _anscombe._Inverse(1.5, 1.7, v, m) for m in _anscombe.METHODS for v in (0.0, 0.3, 90.0, 2e4)},
}


def samples(dtype: str, n: int) -> np.ndarray:
    """From both sides of the table's ends, and what is no number."""
    rng = np.random.default_rng(n)
    if np.dtype(dtype).kind != "f":
        limits = np.iinfo(dtype)
        image = rng.integers(0, 60, n).astype(dtype)
        image[::7] = rng.integers(limits.min, limits.max, len(image[::7]), dtype, endpoint=True)
        return image
    image = rng.uniform(-5, 60, n).astype(dtype)
    special = [np.nan, np.inf, -np.inf, -0.0, np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal]
    image[::11] = rng.choice(special, len(image[::11]))
    return image


def formula(function: Any, image: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        result: np.ndarray = function.formula(np, image.astype(compute_type(image.dtype)))
    return result


def run(function: Any, src: np.ndarray, dst: np.ndarray) -> None:
    with np.errstate(all="ignore"):
        function.run(src, dst)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_kernel_has_the_bits_of_the_formula(dtype: str, name: str) -> None:
    function = FUNCTIONS[name]
    for n in LENGTHS:
        image = samples(dtype, n)
        before = image.copy()
        whole = np.full(n + 2, -7, compute_type(image.dtype))
        run(function, image, whole[1:-1])
        np.testing.assert_array_equal(whole[1:-1], formula(function, image))
        assert whole[0] == whole[-1] == -7
        np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_at_any_address(dtype: str) -> None:
    image = samples(dtype, 333)
    for offset in (1, 2, 3):
        src = np.zeros(image.nbytes + offset, np.uint8)[offset:].view(dtype)
        src[...] = image
        compute = compute_type(image.dtype)
        memory = np.full(333 * compute.itemsize + offset + 1, 7, np.uint8)
        for function in FUNCTIONS.values():
            run(function, src, memory[offset:-1].view(compute))
            np.testing.assert_array_equal(memory[offset:-1].view(compute), formula(function, image))
            assert memory[offset - 1] == memory[-1] == 7


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_in_place(name: str, dtype: str) -> None:
    for n in LENGTHS:
        image = samples(dtype, n)
        expected = formula(FUNCTIONS[name], image)
        run(FUNCTIONS[name], image, image)
        np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("function", BOTH)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "sliced", "reversed", "big-endian"])
def test_every_way_through_memory_gives_the_same_bits(function: Callable[..., Any], dtype: str, layout: str) -> None:
    image = np.random.default_rng(0).poisson(40, (401, 703)).astype(dtype)  # two blocks of copies; no multiple of a vector
    laid_out = {
        "contiguous": lambda array: array,
        "transposed": lambda array: array.T.copy().T,
        "sliced": lambda array: np.repeat(array, 2, axis=1)[:, ::2],
        "reversed": lambda array: array[::-1, ::-1].copy()[::-1, ::-1],
        "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    }[layout]
    with imrestore.threads(1):
        expected = function(image, 2.0, 3.0, offset=1.0)
    for threads in (1, 2, 5):
        with imrestore.threads(threads):
            given = laid_out(image)
            result = function(given, 2.0, 3.0, offset=1.0)
            np.testing.assert_array_equal(result, expected)
            out = laid_out(np.zeros(expected.shape, expected.dtype)).astype(result.dtype, copy=False)
            assert function(given, 2.0, 3.0, offset=1.0, out=out) is out
            np.testing.assert_array_equal(out, expected)


def test_what_is_looked_up_is_chosen_sample_by_sample() -> None:
    """Vectors with dark samples, with bright ones, and with both."""
    table = _anscombe._table(0.0)
    for dark in range(17):
        values = np.full(64, 60.0)
        values[dark : 2 * dark] = 5.0
        counts = inverse_anscombe(values)
        bright = 60.0**2 / 4 - 1 / 8
        expected = np.where(values == 60, bright, np.interp(5.0, table.first + table.step * np.arange(4096), table.signals))
        np.testing.assert_allclose(counts, expected, rtol=1e-12)


def test_the_ends_of_the_table() -> None:
    for variance in (0.0, 2.0):
        table = _anscombe._table(variance)
        read_noise = math.sqrt(variance)
        edges = np.array([table.first - 1e-9, table.first, table.first + table.step / 2, table.last - table.step / 2])
        signals = inverse_anscombe(edges, 1.0, read_noise)
        first, last = table.signals[:2].mean(), table.signals[-2:].mean()
        np.testing.assert_allclose(signals, [0, 0, first, last], rtol=1e-9, atol=1e-15)
        beyond = np.array([table.last, np.nextafter(table.last, np.inf), table.last + 1])
        asymptotic = inverse_anscombe(beyond, 1.0, read_noise, method="asymptotic")
        np.testing.assert_array_equal(inverse_anscombe(beyond, 1.0, read_noise), asymptotic)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_last_samples_of_the_table_have_the_bits_of_the_formula(dtype: str) -> None:
    """Where rounding decides whether a sample is below the table's end, and may put it on or beyond the last point."""
    rng, real = np.random.default_rng(0), np.dtype(dtype).type
    at_the_end = 0
    for _ in range(300):
        table = _anscombe._Table(rng.random(4096).cumsum(), *rng.uniform([1.0, 0.004], [8.0, 0.006]).tolist())
        values = (real(table.last) + np.arange(-20, 21) * np.spacing(real(table.last))).astype(dtype)
        below = values < real(table.last)
        at_the_end += int((below & ((values - real(table.first)) / real(table.step) >= 4095)).sum())
        counts = np.empty_like(values)
        kernel(values, counts, 0.0, 1.0, 0.125, -math.inf, table)
        asymptotic = values * values / 4 - real(0.125)
        np.testing.assert_array_equal(counts, np.where(below, _anscombe._looked_up(np, values, table), asymptotic))
    assert at_the_end > 10


@pytest.mark.parametrize("gain", [1e-300, 1e-30, 1e30, 1e300])
def test_parameters_beyond_float32_warn_nobody(gain: float) -> None:
    image = np.array([0.0, 1.0, 1e30], np.float32)
    with np.errstate(all="raise"):
        for function in BOTH:
            assert function(image, gain).dtype == np.float32
