"""The pieces that BM3D's kernels on the CPU are made of: sorted lists, and transforms in few steps; and what is compiled ahead."""

from __future__ import annotations

import ctypes
import zlib
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from imrestore_kernels.cpu import _group_adaptive, warmup_jobs
from imrestore_kernels.cpu._block_groups import stage_kernel
from imrestore_kernels.cpu._group_filter import DECLARATIONS as DECLARATIONS_OF_GROUPS
from imrestore_kernels.cpu._group_variances import variances
from imrestore_kernels.cpu._haar import haar, sizes, unhaar
from imrestore_kernels.cpu._jit import machine_code
from imrestore_kernels.cpu._patch_steps import Numbers, analyse, row_norms, synthesise
from imrestore_kernels.cpu._sorted_lists import DECLARATIONS, LANES, MOST, merge
from imrestore_kernels.cpu._vector_text import Number, VectorText
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
    """A function of the text, of pointers and whole numbers. The cache tells texts apart by their names."""
    whole = "\n".join((text.whole(), declarations))
    (address,) = machine_code(f"test_{name}_{zlib.crc32(whole.encode())}", lambda: whole, name)
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * pointers)(address)
    return lambda *given: function(*(one if isinstance(one, int) else one.ctypes.data for one in given))


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


# Loops that hand vectors from turn to turn


def test_a_loop_hands_on_what_its_turns_gave() -> None:
    """The numbers of Fibonacci, two by two; around it a loop that adds up where it ended. Names change all at once."""
    text = VectorText(np.dtype(np.float32), LANES)
    text.function("fold", ("ptr %values", "ptr %ends", "i64 %first", "i64 %stop"))
    pair = [text.load("%values", text.bytes * n) for n in range(2)]
    with text.folded(0, Number(text, "%stop"), [text.constant(1.0)]) as (outer, total, following):
        with text.folded(Number(text, "%first"), outer, pair) as (inner, before, after):
            text.store(before[0], "%ends", str(inner * text.bytes))
            after += [before[1], text.op("fadd", *before)]
        following.append(text.op("fadd", total[0], before[0]))
    text.store(total[0], "%values", 2 * text.bytes)
    text.add("  ret void\n}")
    fold = compiled("fold", text, "", 4)
    fibonacci = np.array([1, 2, 3, 5, 8, 13, 21, 34])
    for first, stop in ((0, 8), (0, 1), (0, 0), (3, 8), (7, 3)):
        values = aligned(np.repeat(np.float32([1, 2, 0]), LANES) * np.tile(np.arange(1, LANES + 1, dtype=np.float32), 3))
        ends = aligned(np.zeros(8 * LANES, np.float32))
        fold(values, ends, first, stop)
        lanes = np.arange(1, LANES + 1)
        turns = [max(outer - first, 0) for outer in range(stop)]
        np.testing.assert_array_equal(values[2 * LANES :], 1 + lanes * sum(fibonacci[turn] for turn in turns))
        expected = np.zeros((8, LANES))
        inner = np.arange(first, max(first, stop - 1))
        expected[inner] = fibonacci[: len(inner), None] * lanes
        np.testing.assert_array_equal(ends.reshape(8, LANES), expected)


# The estimate whose basis is the group itself

COUNTS = (1, 2, 4, 8, 16, 32)
PIXELS = SIDE * SIDE
#: Of a row of U.
COLUMNS = 32


@cache
def adaptive_of(name: str, count: int, pointers: int) -> Callable[..., None]:
    text = VectorText(np.dtype(np.float32), LANES)
    _group_adaptive.functions(text)
    for part in (_group_adaptive.adapt, _group_adaptive.bring_back, _group_adaptive.gather, _group_adaptive.scatter):
        part(text, count)
    return compiled(f"{name}_{count}", text, DECLARATIONS_OF_GROUPS, pointers)


def rows(count: int, scale: float = 1.0) -> np.ndarray:
    """Of a group behind `haar`, whose rows of n patches are the root of n longer; behind them others of no meaning."""
    beyond = np.full((SIDE, PIXELS), 1e30)
    own = RNG.normal(0, scale, (count, PIXELS)) * lengths(count)[:, None]
    return aligned(np.concatenate([own, beyond]).ravel().astype(np.float32))


def lengths(count: int) -> np.ndarray:
    return np.sqrt(np.array(sizes(count), np.float64))


def of_group(given: np.ndarray, count: int) -> np.ndarray:
    return given[: count * PIXELS].reshape(count, PIXELS).astype(np.float64)


@pytest.mark.parametrize("count", COUNTS)
def test_products_of_rows(count: int) -> None:
    """The upper half, with K times what one patch has on the diagonal, in every row's own scale."""
    guides, factor = rows(count), aligned(np.full(COLUMNS * COLUMNS, np.nan, np.float32))
    e = of_group(guides, count)
    adaptive_of("gram", count, 3)(guides, factor, np.float32([3.5]))
    expected = e @ e.T + np.diag(3.5 * count * lengths(count) ** 2)
    upper = np.triu_indices(count)
    np.testing.assert_allclose(factor.reshape(COLUMNS, COLUMNS)[upper], expected[upper], rtol=1e-5, atol=1e-4 * count)
    np.testing.assert_array_equal(of_group(guides, count), e)


def eliminated(e: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W, U and the sums of W's squares; below U's diagonal there is nothing that counts."""
    count = len(e)
    guides = aligned(np.append(e, np.zeros((SIDE, PIXELS)), 0).ravel().astype(np.float32))
    squares = aligned(np.zeros(SIDE, np.float32))
    factor = np.full((COLUMNS, COLUMNS), np.nan, np.float32)
    factor[:count, :count] = np.where(np.tri(count, k=-1), np.nan, matrix)
    factor = aligned(factor.ravel())
    adaptive_of("eliminate", count, 3)(guides, factor, squares)
    return of_group(guides, count), factor.reshape(COLUMNS, COLUMNS)[:count, :count], squares


@pytest.mark.parametrize("count", COUNTS)
def test_elimination(count: int) -> None:
    e = of_group(rows(count), count)
    matrix = e @ e.T + np.diag(5.0 * lengths(count) ** 2)
    w, u, squares = eliminated(e, matrix)
    factor = np.linalg.cholesky(matrix)
    np.testing.assert_allclose(np.triu(u), factor.T, atol=1e-5 * np.sqrt(matrix.max()))
    np.testing.assert_allclose(w, np.linalg.solve(factor, e), atol=1e-5)
    np.testing.assert_allclose(squares, (w**2).reshape(count * SIDE, SIDE).sum(0), rtol=1e-5)


@pytest.mark.parametrize("count", COUNTS[1:])
def test_elimination_of_what_is_singular(count: int) -> None:
    """A row that is another twice over has no pivot of its own left, and rows of zeros none at all: neither becomes a direction."""
    e = of_group(rows(count), count)
    e[-1] = 2 * e[0]
    w, _, _ = eliminated(e, e @ e.T)
    np.testing.assert_allclose(w[-1], 0, atol=1e-2)
    directions = np.linalg.svd(e)[2][: count - 1]
    np.testing.assert_allclose(w.T @ w, directions.T @ directions, atol=1e-3)
    nothing, _, squares = eliminated(np.zeros_like(e), np.zeros((count, count)))
    np.testing.assert_array_equal(nothing, 0)
    np.testing.assert_array_equal(squares, 0)
    e[0, 3] = np.nan
    assert np.isnan(eliminated(e, e @ e.T)[0][:, 3]).all()


@pytest.mark.parametrize("count", COUNTS)
def test_projection(count: int) -> None:
    basis, noisy, rest = rows(count, 0.1), rows(count), rows(count)
    products, squares = aligned(np.zeros(2 * 4 * SIDE * SIDE, np.float32)), aligned(np.full(16, 7, np.float32))
    w, c = of_group(basis, count), of_group(noisy, count)
    adaptive_of("project", count, 5)(basis, noisy, rest, products, squares)
    expected = c @ w.T @ w
    slack = 1e-6 * count * abs(expected).max()
    np.testing.assert_allclose(of_group(noisy, count), expected, atol=slack)
    np.testing.assert_allclose(of_group(rest, count), c - expected, atol=2 * slack)
    np.testing.assert_array_equal(of_group(basis, count), w)
    left = of_group(rest, count) / lengths(count)[:, None]
    np.testing.assert_allclose(squares[SIDE:], (left**2).reshape(count * SIDE, SIDE).sum(0), rtol=1e-5)
    np.testing.assert_array_equal(squares[:SIDE], 7)  # those of the basis


@pytest.mark.parametrize("count", COUNTS)
def test_what_is_left_out_comes_back_in_part(count: int) -> None:
    noisy, rest = rows(count), rows(count)
    c, apart, beyond = of_group(noisy, count), of_group(rest, count), noisy[count * PIXELS :].copy()
    adaptive_of("bring_back", count, 3)(noisy, rest, aligned(np.full(LANES, 0.25, np.float32)))
    np.testing.assert_allclose(of_group(noisy, count), c + apart / 4, atol=1e-5)
    np.testing.assert_array_equal(noisy[count * PIXELS :], beyond)


@pytest.mark.parametrize("count", COUNTS)
def test_the_whole_estimate_is_the_oracles(count: int) -> None:
    """Without what comes back: an excess that nothing reaches. The mean is one coefficient of it here."""
    guides, noisy, rest = rows(count, 30.0), rows(count, 40.0), rows(count)
    e, c = (of_group(one, count) / lengths(count)[:, None] for one in (guides, noisy))
    ridge = 500.0
    adaptive_of("adapt", count, 5)(guides, noisy, rest, aligned(np.zeros(_group_adaptive.MEMORY, np.uint8)), np.float32([ridge]))
    covariance = e.T @ e
    a = covariance @ np.linalg.inv(covariance + ridge * count * np.eye(PIXELS))
    expected = lengths(count)[:, None] * (c @ a)
    np.testing.assert_allclose(of_group(noisy, count), expected, atol=2e-3)
    np.testing.assert_allclose((of_group(guides, count) ** 2).sum(), np.trace(a), rtol=1e-4)


@pytest.mark.parametrize("count", COUNTS)
def test_patches_are_gathered_and_put_back(count: int) -> None:
    """Into rows behind `haar` without the mean of all, and the way back with it, weighted, to sums."""
    pitch, places = 48, RNG.permutation(30 * 40)[:count]
    image = RNG.integers(0, 61, (40, pitch)).astype(np.float32)
    firsts = [divmod(int(place), 40) for place in places]
    offsets = np.array([4 * (y * pitch + x) for y, x in firsts], np.int64)
    given, mean = rows(count), aligned(np.zeros(LANES, np.float32))
    adaptive_of("gather", count, 5)(image, offsets, given, mean, 4 * pitch)
    patches = np.array([image[y : y + SIDE, x : x + SIDE] for y, x in firsts], np.float64)
    np.testing.assert_allclose(mean, patches.sum(0).mean(), rtol=1e-6)
    expected = bm3d.haar_matrix(count) @ patches.reshape(count, PIXELS)
    expected[0] -= mean[0] / count**0.5
    energy = np.linalg.norm(of_group(given, count) / lengths(count)[:, None])
    np.testing.assert_allclose(energy, np.linalg.norm(expected), rtol=1e-5)
    assert abs(of_group(given, count)[0].mean()) < 1e-3
    weights = aligned(RNG.uniform(0.5, 2, PIXELS).astype(np.float32))
    num, den = np.full_like(image, 5), np.full_like(image, 6)
    above, below = num.astype(np.float64), den.astype(np.float64)
    adaptive_of("scatter", count, 7)(given, offsets, mean, weights, num, den, 4 * pitch)
    for (y, x), patch in zip(firsts, patches, strict=True):
        above[y : y + SIDE, x : x + SIDE] += weights.reshape(SIDE, SIDE) * patch
        below[y : y + SIDE, x : x + SIDE] += weights.reshape(SIDE, SIDE)
    np.testing.assert_allclose(num, above, rtol=1e-5)
    np.testing.assert_allclose(den, below, rtol=1e-6)


# Compiled ahead


def test_warmup_compiles_every_profile() -> None:
    jobs = {name: build for name, build in warmup_jobs() if name.startswith("bm3d")}
    white = sum(2 + (profile.refine is not None) for profile in BM3D_PROFILES.values())
    assert len(jobs) == white + 3 + 2  # of the default those of local noise, and two for correlated noise
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
