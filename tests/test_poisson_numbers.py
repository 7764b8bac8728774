"""Poisson numbers by inversion: exact where they are few, their distribution where they are many, the same bits everywhere."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import scipy.stats
from imrestore_kernels import philox, poisson
from imrestore_kernels.cpu import _poisson
from imrestore_kernels.cpu._jit import compile_rows
from imrestore_kernels.cpu.noising import poisson as poisson_noise
from imrestore_kernels.samples import COLUMNS, Job, Size
from numba import types

from tests.backends import same_bits

EXTREMES = np.array([0, 1, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1], np.uint32)


@cache
def kernel(dtype: str, register_bytes: int) -> Any:
    counts = _poisson.poisson_counts

    def rows(means: Any, drawn: Any, out: Any, row_start: int, row_stop: int) -> None:
        counts(means, drawn, out, row_stop)

    real = getattr(types, dtype)[::1]
    return compile_rows(rows, f"test_poisson_{dtype}_{register_bytes}", real, types.uint32[::1], real, types.intp, types.intp)


def counts(means: np.ndarray, drawn: np.ndarray, register_bytes: int = 32) -> np.ndarray:
    """By the kernel; whole vectors."""
    room = -(-means.size // 16) * 16
    padded, words, out = np.zeros(room, means.dtype), np.zeros(room, np.uint32), np.zeros(room, means.dtype)
    padded[: means.size], words[: means.size] = means, drawn
    kernel(means.dtype.name, register_bytes)(padded, words, out, 0, room)
    return out[: means.size]


def test_quantiles_of_the_normal_distribution() -> None:
    words = np.concatenate([EXTREMES, philox.field(1, 2, 3, 100_000), np.arange(2000, dtype=np.uint32)])
    expected = scipy.stats.norm.ppf((words + 0.5) * 2.0**-32)
    found = poisson.normal_quantiles(words)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1.5e-6)  # 3 roundings of a number below 8
    assert same_bits(found, -poisson.normal_quantiles(~words))


@pytest.mark.parametrize("register_bytes", [32, 64])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernel_has_the_same_bits(dtype: str, register_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_poisson, "register_bytes", lambda: register_bytes)
    rng = np.random.default_rng(1)
    means = np.concatenate([rng.uniform(0, 40, 3000), np.exp2(rng.uniform(-20, 40, 3000)), np.zeros(100), [np.nan, np.inf, 16]])
    means = means.astype(dtype)
    words = rng.integers(0, 2**32, means.size, np.uint32)
    words[: EXTREMES.size] = EXTREMES
    found, expected = counts(means, words, register_bytes), poisson.counts(means, words)
    np.testing.assert_array_equal(found, expected)  # whose NaN it is does not matter
    assert np.isnan(found[-3])
    assert (found[-103:-3] == 0).all()


def test_few_are_exact() -> None:
    """The smallest number whose cumulative probability reaches the uniform one."""
    words = np.concatenate([EXTREMES, philox.field(4, 5, 6, 5000)])
    for mean in (0.0, 1e-9, 0.01, 0.7, 1.0, 4.2, 9.9, 15.5, 15.999):
        exact = scipy.stats.poisson.ppf((words + 0.5) * 2.0**-32, mean)
        np.testing.assert_array_equal(counts(np.full(words.size, mean), words), np.maximum(exact, 0))


#: Bounds of the cumulative distribution's error that the module states, and 1e-6 for the grid of words.
BOUNDS = ((16.0, 4e-6), (20.0, 2.2e-6), (32.0, 6.5e-7), (64.5, 1.2e-7), (256.0, 1e-8), (3000.25, 1e-8))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("mean", "bound"), BOUNDS)
def test_cumulative_distribution(mean: float, bound: float, dtype: str) -> None:
    grid = 1 << 20
    words = (np.arange(grid, dtype=np.uint64) * 4096 + 2048).astype(np.uint32)
    found = counts(np.full(grid, mean, dtype), words)
    top = int(found.max()) + 1
    share = np.cumsum(np.bincount(found.astype(np.int64), minlength=top)) / grid
    rounding = 0.0 if dtype == "float64" else 2.0**-23 * np.sqrt(mean)  # of Q, times the density
    np.testing.assert_allclose(share, scipy.stats.poisson.cdf(np.arange(top), mean), rtol=0, atol=bound + 1e-6 + rounding)


def draw(mean: float, gain: float, count: int, dtype: str = "float32") -> np.ndarray:
    jobs, numbers = np.zeros((1, COLUMNS), np.int64), np.zeros((1, COLUMNS))
    jobs[0, : Job.STREAM + 1] = 0, 0, 1, 1, count, 1, count, 9, 8, 7
    jobs[0, Job.A], numbers[0, 0] = -1, gain
    image = np.full(count, mean * gain, dtype)
    poisson_noise(image, image, jobs, numbers, image[:1], Size.of(jobs))
    return image


@pytest.mark.parametrize("mean", [0.05, 0.5, 3.0, 8.0, 15.5, 16.0, 17.5, 25.0, 60.0, 300.0, 1e4, 1e6])
def test_chi_square_of_a_million(mean: float) -> None:
    count = 1 << 21
    found = draw(mean, 1.0, count).astype(np.float64)
    edges = np.unique(scipy.stats.poisson.ppf(np.linspace(0, 1, 62)[1:-1], mean))
    observed = np.bincount(np.searchsorted(edges, found), minlength=edges.size + 1)
    expected = np.diff(np.concatenate([[0], scipy.stats.poisson.cdf(edges, mean), [1]])) * count
    kept = expected > 5
    statistic = ((observed - expected)[kept] ** 2 / expected[kept]).sum()
    assert scipy.stats.chi2.sf(statistic, max(kept.sum() - 1, 1)) > 1e-3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mean", [1e7, 1e9])
def test_moments_of_very_many(mean: float, dtype: str) -> None:
    count = 1 << 18
    found = draw(mean, 0.5, count, dtype).astype(np.float64) / 0.5
    assert abs(found.mean() - mean) < 5 * np.sqrt(mean / count)
    assert abs(found.var() / mean - 1) < 5 * np.sqrt(2 / count)
