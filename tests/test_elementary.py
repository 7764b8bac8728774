"""exp, log, sine, cosine and power of our own: how exact they are, and that CPU kernels have their bits (CUDA: test_philox)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from imrestore_kernels import elementary
from imrestore_kernels.cpu import _elementary as pieces
from imrestore_kernels.cpu._jit import compile_rows
from numba import types

from tests.damage_numbers import arguments, exponents, reference, same_numbers

Wide = np.longdouble

#: name -> (function, the same in a wider type, largest error in units of the last place). The bounds are what was seen, rounded up.
FUNCTIONS: dict[str, tuple[Any, Any, float]] = {
    "exp2": (elementary.exp2, np.exp2, 0.9),
    "exp": (elementary.exp, np.exp, 1.6),
    "log": (elementary.log, np.log, 0.7),
    "log2": (elementary.log2, np.log2, 1.1),
}


def error(found: np.ndarray, expected: np.ndarray, least: float = 0.0) -> float:
    """Largest error, in units of the last place of 1 at the size of the result."""
    difference = np.abs(found.astype(Wide) - expected)
    return float((difference / np.maximum(np.abs(expected), least) / np.finfo(found.dtype).eps).max())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_error(name: str, dtype: str) -> None:
    function, wide, bound = FUNCTIONS[name]
    rng = np.random.default_rng(1)
    large = 80 if dtype == "float32" else 700  # within the range of normal numbers
    x = np.concatenate([rng.uniform(-large, large, 50_000), rng.uniform(-2, 2, 50_000)])
    if name.startswith("log"):
        x = np.concatenate([np.exp2(x), 1 + 1e-4 * rng.normal(size=10_000)])
    x = x.astype(dtype)
    x = x[x != 1]
    assert error(function(x), wide(x.astype(Wide))) <= bound


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_error_of_sine_and_cosine(dtype: str) -> None:
    turns = np.random.default_rng(2).uniform(-3, 3, 100_000).astype(dtype)
    part = turns.astype(Wide) - np.rint(turns.astype(Wide))
    angle = part * 2 * np.arccos(Wide(-1))
    for found, expected in zip(elementary.sincos(turns), (np.sin(angle), np.cos(angle)), strict=True):
        assert error(found, expected, least=1e-3) <= 1.2
    quarters = np.array([0, 0.25, 0.5, 0.75, 1, 1e6 + 0.25], dtype)
    np.testing.assert_array_equal(elementary.sincos(quarters), [[0, 1, 0, -1, 0, 1], [1, 0, -1, 0, 1, 0]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("p", [0.4545, 1.1, 2.4, -3.3, 20.0])
def test_error_of_powers(p: float, dtype: str) -> None:
    large = 120 / max(abs(p), 1)  # within the range of normal numbers
    x = np.exp2(np.random.default_rng(3).uniform(-large, large, 100_000)).astype(dtype)
    exponent = np.array(p, dtype)
    assert error(elementary.power(x, p), x.astype(Wide) ** exponent.astype(Wide)) <= 1.5 + abs(p) / 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_values(dtype: str) -> None:
    inf, nan, tiny = np.inf, np.nan, float(np.finfo(dtype).smallest_subnormal)
    low, high = (-149, 128) if dtype == "float32" else (-1074, 1024)

    def check(function: Any, x: list[float], expected: list[float], *more: np.ndarray) -> None:
        np.testing.assert_array_equal(function(np.array(x, dtype), *more), np.array(expected, dtype))

    check(elementary.exp2, [0, 1, -3, low, low - 2, high, -inf, inf, nan], [1, 2, 0.125, tiny, 0, inf, 0, inf, nan])
    check(elementary.exp, [0, -inf, inf, nan, -1000, 1000], [1, 0, inf, nan, 0, inf])
    check(elementary.log2, [1, 8, tiny, 0, -1, inf, nan], [0, 3, low, -inf, nan, inf, nan])
    check(elementary.log, [1, 0, -0.0, -inf, inf, nan], [0, -inf, -inf, nan, inf, nan])
    p = np.array([2, 0, -1, 3, -3, 2, 2, 0, 7], dtype)
    check(elementary.power, [0, 0, 0, inf, inf, -1, nan, nan, 1], [0, 1, inf, inf, 0, nan, nan, 1, 1], p)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernels_have_the_same_bits(dtype: str) -> None:
    exp2, exp, log, log2, sincos, power = (getattr(pieces, n) for n in ("exp2", "exp", "log", "log2", "sincos", "power"))

    def rows(x: Any, p: Any, out: Any, row_start: int, row_stop: int) -> None:
        for i in range(row_start, row_stop):
            sine, cosine = sincos(x[i])
            out[0, i], out[1, i], out[2, i], out[3, i] = exp2(x[i]), exp(x[i]), log(x[i]), log2(x[i])
            out[4, i], out[5, i], out[6, i] = sine, cosine, power(x[i], p[i])

    real = getattr(types, dtype)
    kernel = compile_rows(rows, f"test_elementary_{dtype}", real[::1], real[::1], real[:, ::1], types.intp, types.intp)
    x, p = arguments(dtype), exponents(dtype)
    out = np.zeros((7, x.size), dtype)
    kernel(x, p, out, 0, x.size)
    same_numbers(out, reference(x, p))
