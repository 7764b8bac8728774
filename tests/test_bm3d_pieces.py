"""The pieces that BM3D's kernels on the CPU are made of: sorted lists, and transforms in few steps; and what is compiled ahead."""

from __future__ import annotations

import ctypes
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from imrestore_kernels.cpu import warmup_jobs
from imrestore_kernels.cpu._block_groups import stage_kernel
from imrestore_kernels.cpu._group_filter import DECLARATIONS as DECLARATIONS_OF_GROUPS
from imrestore_kernels.cpu._group_variances import variances
from imrestore_kernels.cpu._haar import haar, sizes, unhaar
from imrestore_kernels.cpu._jit import machine_code
from imrestore_kernels.cpu._patch_steps import Numbers, analyse, row_norms, synthesise
from imrestore_kernels.cpu._sorted_lists import DECLARATIONS, LANES, MOST, merge
from imrestore_kernels.cpu._vector_text import VectorText
from imrestore_kernels.patch_transforms import matrix_of

import imrestore
from imrestore.denoise import BM3D_PROFILES
from tests.backends import same_bits
from tests.oracles import bm3d

SIDE = 8
RNG = np.random.default_rng(17)


def aligned(values: np.ndarray) -> np.ndarray:
    memory = np.zeros(values.nbytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    moved = memory[start : start + values.nbytes].view(values.dtype)
    moved[:] = values
    return moved


def compiled(name: str, text: VectorText, declarations: str, pointers: int) -> Callable[..., None]:
    """A function of the text, of pointers only. The cache tells texts apart by their names."""
    whole = "\n".join((text.whole(), declarations))
    (address,) = machine_code(f"test_{name}_{zlib.crc32(whole.encode())}", lambda: whole, name)
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * pointers)(address)
    return lambda *arrays: function(*(array.ctypes.data for array in arrays))


# Lists


@cache
def merge_of(size: int) -> Callable[..., None]:
    text = VectorText(np.dtype(np.float32), LANES)
    merge(text, size)
    return compiled("merge", text, DECLARATIONS, 3)


def merged(numbers: np.ndarray) -> tuple[np.ndarray, int, int]:
    """A list and as long a bin, the list in order: the list afterwards, its last number and how many are in the bin."""
    size = len(numbers) // 2
    both = aligned(np.append(np.sort(numbers[:size]), numbers[size:]).astype(np.int32))
    last, count = np.array([-7, -7], np.int32), np.array([size, 1234], np.int32)
    merge_of(size)(both, last, count)
    assert (last[1], count[1]) == (-7, 1234)  # nothing beside them was written
    np.testing.assert_array_equal(both[size:], np.full(size, MOST))
    return both[:size], int(last[0]), int(count[0])


def numbers(kind: str, n: int) -> np.ndarray:
    return {
        "any": lambda: RNG.integers(0, MOST, n, endpoint=True),
        "few": lambda: RNG.integers(0, 3, n),
        "rising": lambda: np.arange(n),
        "falling": lambda: np.arange(n)[::-1],
        "bin first": lambda: np.arange(n) + n * (np.arange(n) < n // 2),
        "equal": lambda: np.full(n, 5),
        "largest": lambda: np.where(RNG.random(n) < 0.5, MOST, RNG.integers(0, 9, n)),
    }[kind]()


@pytest.mark.parametrize("size", [8, 16, 32])
@pytest.mark.parametrize("kind", ["any", "few", "rising", "falling", "bin first", "equal", "largest"])
def test_a_list_keeps_the_smallest_in_order(kind: str, size: int) -> None:
    for _ in range(50):
        given = numbers(kind, 2 * size)
        kept, last, count = merged(given)
        expected = np.sort(given)[:size]
        np.testing.assert_array_equal(kept, expected)
        assert (last, count) == (expected[-1], 0)


@pytest.mark.parametrize("size", [8, 16, 32])
def test_every_place_of_list_and_bin_is_compared(size: int) -> None:
    """One number is the smallest, wherever it stands; one the largest."""
    for place in range(2 * size):
        for odd in (0, 2000):
            given = 100 + RNG.permutation(2 * size)
            given[place] = odd
            np.testing.assert_array_equal(merged(given)[0], np.sort(given)[:size])


# Transforms of patches


@pytest.mark.parametrize("transform", ["bior1.5", "dct"])
def test_steps_are_the_matrix_times_its_norms(transform: str) -> None:
    matrix, norms = matrix_of(transform, SIDE), row_norms(transform)
    np.testing.assert_allclose(np.array(analyse(Numbers(), transform, list(np.eye(SIDE)))), norms[:, None] * matrix, atol=1e-15)
    np.testing.assert_allclose(matrix, bm3d.transform_matrix(transform), atol=1e-15)
    samples = RNG.normal(0, 1, (SIDE, 5))
    coefficients = np.array(analyse(Numbers(), transform, list(samples)))
    np.testing.assert_allclose(coefficients, norms[:, None] * (matrix @ samples), atol=1e-14)
    np.testing.assert_allclose(np.array(synthesise(Numbers(), transform, list(coefficients))), samples, atol=1e-14)


@pytest.mark.parametrize("transform", ["bior1.5", "dct"])
def test_every_coefficient_comes_back(transform: str) -> None:
    """Column by column the inverse matrix: an error of one step would show in one of them."""
    expected = np.linalg.inv(matrix_of(transform, SIDE)) / row_norms(transform)
    np.testing.assert_allclose(np.array(synthesise(Numbers(), transform, list(np.eye(SIDE)))), expected, atol=1e-15)


# Haar's transform


@pytest.mark.parametrize("count", [1, 2, 4, 8, 16, 32])
def test_haar_and_back(count: int) -> None:
    text = VectorText(np.dtype(np.float32), LANES)
    for name, function in (("haar", haar), ("unhaar", unhaar)):
        text.function(name, ("ptr %values",))
        values = [text.load("%values", 4 * LANES * n) for n in range(count)]
        function(text, values)
        for n, value in enumerate(values):
            text.store(value, "%values", 4 * LANES * n)
        text.add("  ret void\n}")
    there, back = (compiled(name, text, "", 1) for name in ("haar", "unhaar"))
    given = RNG.integers(-9, 10, (count, LANES)).astype(np.float32)
    moved = aligned(given.ravel())
    there(moved)
    # Coefficients by the number of patches they are made of, and where they stand: the oracle has all differences behind all sums.
    places = [0] if count == 1 else [0, *(i * (count >> level) + (count >> level + 1) for level in range(count.bit_length() - 1)
                                          for i in range(1 << level))]  # fmt: skip
    scaled = moved.reshape(count, LANES)[places] / np.sqrt(np.array(sizes(count), np.float64)[places])[:, None]
    np.testing.assert_allclose(scaled, bm3d.haar_matrix(count) @ given, atol=1e-5)
    back(moved)
    np.testing.assert_array_equal(moved.reshape(count, LANES), given)  # whole numbers and powers of two: exact


# Variances of a group's coefficients

#: A sum of covariances counts as at least this part of the variances it is made of.
LEAST = 2.0**-20


def tree(covariances: np.ndarray) -> np.ndarray:
    """Variances of the coefficients that `haar` leaves of patches with these covariances, (K, K, ..)."""
    count = len(covariances)
    result = np.empty((count, *covariances.shape[2:]))

    def run(first: int, last: int) -> np.ndarray:
        if last - first == 1:
            return covariances[first, first]
        middle = (first + last) // 2
        apart = run(first, middle) + run(middle, last)
        twice = 2 * covariances[first:middle, middle:last].sum((0, 1))
        result[middle] = np.maximum(apart - twice, apart * LEAST)
        return np.maximum(apart + twice, apart * LEAST)

    result[0] = run(0, count)
    return result


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("count", [1, 2, 4, 8, 16, 32])
def test_variances_of_a_group(count: int, local: bool) -> None:
    """Also of noise that is the same in all patches, or the opposite: differences, or sums, of it are next to nothing."""
    text = VectorText(np.dtype(np.float32), LANES)
    variances(text, local, True, count)
    function = compiled(f"variances_{count}", text, DECLARATIONS_OF_GROUPS, 5)
    places = RNG.permutation(40)[:count]
    own = RNG.uniform(0.5, 2.0, 40).astype(np.float32)
    scale = np.sqrt(np.outer(own[places], own[places]).astype(np.float64)) if local else np.ones((count, count))
    for level in (1.0, -1.0, 0.0, 0.4):
        table = np.full((79, SIDE * SIDE), level, np.float32)  # by distance, -39 to 39
        if level == 0.4:
            table[:] = RNG.uniform(0, 0.9, table.shape)
            table = (table + table[::-1]) / 2  # of two patches, whichever is first
        table[39] = RNG.uniform(1.0, 1.001, SIDE * SIDE) if level in (0, 0.4) else 1.0
        moved, out = aligned(table.ravel()), aligned(np.zeros(count * SIDE * SIDE, np.float32))
        centre = moved[39 * SIDE * SIDE :]
        function(own, (4 * places).astype(np.int64), (4 * SIDE * SIDE * places).astype(np.int64), centre, out)
        distances = places[np.newaxis] - places[:, np.newaxis] + 39
        expected = tree(table[distances].astype(np.float64) * scale[..., np.newaxis])
        assert (out > 0).all()
        rounding = 0.0 if abs(level) == 1 and not local else 2e-7 * count**2  # of sums that cancel; whole numbers have none
        np.testing.assert_allclose(out.reshape(count, -1), expected, rtol=1e-5, atol=rounding)


# Compiled ahead


def test_warmup_compiles_every_profile() -> None:
    jobs = {name: build for name, build in warmup_jobs() if name.startswith("bm3d")}
    assert len(jobs) == 2 * (len(BM3D_PROFILES) + 2)
    for build in jobs.values():
        build()
    image = RNG.normal(100, 50, (20, 21))
    before = stage_kernel.cache_info().misses
    for name in BM3D_PROFILES:
        imrestore.bm3d(image, 10.0, profile=name)
    imrestore.bm3d(image, np.full(image.shape, 10.0))
    assert same_bits(imrestore.bm3d(image, kernel=[[10.0]]), imrestore.bm3d(image, 10.0, kernel=[[1.0]]))
    assert stage_kernel.cache_info().misses == before
    imrestore.bm3d(image, 10.0, profile=BM3D_PROFILES["fast"]._replace(hard=BM3D_PROFILES["fast"].hard._replace(step=7, window=3)))
    assert stage_kernel.cache_info().misses == before + 1
