"""What a comparison remembers must never be taken for another, and its short ways give the bits of the long ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from imrestore_kernels.cpu._byte_squares import squared_byte_differences
from imrestore_kernels.cpu._jit import compile_rows
from imrestore_kernels.cpu._vector import data_address
from imrestore_kernels.cpu.metrics import CHUNK, error_sum, squared_error
from numba import types
from numba.core.registry import cpu_target
from numba.np.numpy_support import from_dtype

import imrestore
from imrestore.metrics import _psnr, mse, psnr
from tests.cases import FLOATS, INTEGERS
from tests.cases.metrics import pair
from tests.oracles import metrics as oracle
from tests.test_metrics_arrays import LAYOUTS


def has_avx2() -> bool:
    return "+avx2" in cpu_target.target_context.codegen().magic_tuple()[2].split(",")


def close(value: float) -> Any:
    """The logarithm of a quotient is not that of the definition to the last bit."""
    return pytest.approx(value, rel=1e-13)


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_psnr, "_replays", {})


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS])
def test_the_second_call_is_as_right_as_the_first(dtype: str) -> None:
    for turn in range(3):
        for shape in ((5,), (40, 51), (51, 40), (3, 20, 21)):
            a, b = (np.roll(array, turn, 0) for array in pair(shape, dtype))
            assert mse(a, b) == pytest.approx(oracle.mse(a, b), rel=1e-14)
            for data_range in (1, 100.0):
                assert psnr(a, b, data_range=data_range) == close(oracle.psnr(a, b, data_range))
            assert mse(a, a) == 0
            assert psnr(a, a, data_range=1) == math.inf
    # Kernels of wider integers read at multiples of a value's size only, which nobody looks at any more.
    assert bool(_psnr._replays) == (dtype in ("uint8", "int8", "uint16", "int16", "float32", "float64"))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_the_same_shape_in_another_layout(dtype: str, layout: str) -> None:
    a, b = pair((65, 70), dtype)
    first, second = (LAYOUTS[layout](array) for array in (a, b))
    expected = [oracle.mse(a, b), oracle.psnr(a, b, 100)]
    for images in ((a, b), (first, second), (a, b), *([] if "torch" in layout else [(first, b), (a, second)])):
        assert [mse(*images), psnr(*images, data_range=100)] == pytest.approx(expected, rel=1e-13)


def test_what_is_not_the_same_is_not_taken_for_it() -> None:
    a, b = pair((40, 50))
    where = np.zeros(a.shape, bool)
    where[:20] = True
    for _ in range(2):
        assert mse(a, b) == oracle.mse(a, b)
        assert psnr(a, b) == psnr(a, b, data_range=255) == close(oracle.psnr(a, b, 255))
        assert psnr(a, b, data_range=100) == close(oracle.psnr(a, b, 100))
        assert psnr(a, b, crop=5) == psnr(a, b, protocol="y-sr", crop=5) == close(oracle.psnr(a[5:-5, 5:-5], b[5:-5, 5:-5], 255))
        assert psnr(a, b, where=where) == close(oracle.psnr(a[:20], b[:20], 255))
        assert mse(a, b, where=where) == oracle.mse(a[:20], b[:20])
        assert mse(a.view(np.int8), b.view(np.int8)) == oracle.mse(a.view(np.int8), b.view(np.int8))
        wide = b.astype(np.int16) - 300
        assert mse(a, wide) == mse(wide, a) == oracle.mse(a, wide)
        for value in (False, "0", None):  # the first of them equals 0
            with pytest.raises(TypeError, match=r"^crop "):
                psnr(a, b, crop=value)
        assert psnr(a, b, data_range=1) == close(oracle.psnr(a, b, 1))
        with pytest.raises(TypeError, match=r"^data_range "):
            psnr(a, b, data_range=True)
        with pytest.raises(ValueError, match=r"^reference has the shape"):
            mse(a, b.reshape(50, 40))
        with pytest.raises(ValueError, match=r"^nan_policy "):
            mse(a, b, nan_policy="skip")
        with pytest.raises(TypeError, match=r"^nan_policy "):
            psnr(a, b, nan_policy=["omit"])
        with pytest.raises(TypeError, match=r"^data_range "):
            psnr(a, b, data_range=[255])


def test_nan_policies_look_at_every_image() -> None:
    a, b = pair((30, 31), "float32")
    for _ in range(2):
        for policy in ("raise", "omit", "propagate"):
            assert psnr(a, b, data_range=100, nan_policy=policy) == close(oracle.psnr(a, b, 100))
            assert mse(a, b, nan_policy=policy) == pytest.approx(oracle.mse(a, b), rel=1e-14)
    damaged = a.copy()
    damaged[3, 4] = np.nan
    kept = ~np.isnan(damaged)
    for _ in range(2):
        for images in ((damaged, b), (b, damaged)):
            with pytest.raises(ValueError, match=r"contains NaN"):
                psnr(*images, data_range=100, nan_policy="raise")
            with pytest.raises(ValueError, match=r"contains NaN"):
                mse(*images, nan_policy="raise")
            assert mse(*images, nan_policy="omit") == pytest.approx(oracle.mse(a[kept], b[kept]), rel=1e-14)
            assert math.isnan(mse(*images))
            assert math.isnan(psnr(*images, data_range=100))


def test_large_errors_and_no_warning() -> None:
    wide = np.full((9, 9), 1e300)
    with np.errstate(all="raise"):
        for _ in range(2):
            assert mse(wide, -wide) == math.inf
            assert psnr(wide, -wide, data_range=1e300) == -math.inf
    many = np.full(9 * CHUNK, 2e151)  # the sum of a chunk is 1.05e308
    with np.errstate(all="raise"):
        assert mse(many, -many) == mse(many, -many) == math.inf


def test_what_is_remembered_is_bounded() -> None:
    a, b = pair((9, 9))
    for data_range in range(1, 600):
        psnr(a, b, data_range=data_range)
        assert len(_psnr._replays) <= 256
    assert mse(a, b) == oracle.mse(a, b)


def byte_sum(dtype: str, multiplies: bool) -> Callable[[np.ndarray, np.ndarray], int]:
    """The kernel of bytes for processors of this kind."""
    sum_of = squared_byte_differences(dtype == "int8", multiplies)

    def add(a: Any, b: Any, total: Any, start: int, stop: int) -> None:
        total[0] = sum_of(data_address(a) + start, data_address(b) + start, stop - start)

    image = types.Array(from_dtype(np.dtype(dtype)), 1, "C", readonly=True)
    kernel = compile_rows(add, f"test_{dtype}_{multiplies}", image, image, types.int64[::1], types.intp, types.intp)

    def total(a: np.ndarray, b: np.ndarray) -> int:
        result = np.zeros(1, np.int64)
        kernel(a, b, result, 0, a.size)
        return int(result[0])

    return total


@pytest.mark.parametrize("multiplies", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_bytes_at_every_address_and_of_every_length(dtype: str, multiplies: bool) -> None:
    """Blocks of 64 bytes begin at multiples of 64 of the first image; those at both ends overlap others."""
    if multiplies and not has_avx2():
        pytest.skip("this processor has no pmaddubsw")
    limits, total = np.iinfo(dtype), byte_sum(dtype, multiplies)
    memory = np.random.default_rng(0).integers(limits.min, limits.max, (2, 400), dtype, endpoint=True)
    memory[0, ::3], memory[1, ::3] = limits.min, limits.max
    for start in range(65):
        for n in (1, 15, 16, 63, 64, 65, 80, 127, 128, 129, 191, 192, 193, 300):
            a, b = memory[0, start : start + n], memory[1, 70 - start : 70 - start + n]
            exact = int(((a.astype(int) - b.astype(int)) ** 2).sum())
            assert total(a, b) == total(b, a) == error_sum(n, a.dtype)(a, b) == exact
    full = np.full(CHUNK, limits.min, dtype), np.full(CHUNK, limits.max, dtype)
    assert total(*full) == CHUNK * 255**2


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16"])
def test_the_largest_sum_of_a_chunk(dtype: str) -> None:
    limits = np.iinfo(dtype)
    for n in (CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK):
        a, b = np.full(n, limits.min, dtype), np.full(n, limits.max, dtype)
        assert error_sum(n, a.dtype)(a, b) == n * (limits.max - limits.min) ** 2


@pytest.mark.parametrize("dtype", INTEGERS)
def test_the_kernel_writes_digits(dtype: str) -> None:
    limits, rng = np.iinfo(dtype), np.random.default_rng(1)
    a, b = (rng.integers(limits.min, limits.max, 2 * CHUNK + 5, dtype, endpoint=True) for _ in range(2))
    a[:CHUNK], b[:CHUNK] = limits.min, limits.max
    digits = np.full(4, 7, np.uint64)
    squared_error(a, b, digits)
    total = sum(int(digit) << 32 * place for place, digit in enumerate(digits))
    assert total == sum((int(x) - int(y)) ** 2 for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("chunks", [1, 2, 3, 6, 7, 8, 9, 17])
def test_sums_of_chunks_are_added_in_one_order(chunks: int) -> None:
    """That of NumPy's sum, also where it is not called; with one thread and with three."""
    for seed in range(8):  # another order gives other bits in most of them
        a, b = np.random.default_rng(seed).random((2, chunks * CHUNK), np.float32)
        each = [error_sum(CHUNK, a.dtype)(x, y) for x, y in zip(a.reshape(chunks, -1), b.reshape(chunks, -1), strict=True)]
        for threads in (1, 3):
            with imrestore.threads(threads):
                assert error_sum(a.size, a.dtype)(a, b) == np.array(each).sum()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_many_bytes_in_threads(threads: int) -> None:
    a, b = np.random.default_rng(3).integers(0, 256, (2, 3_000_017), np.uint8)
    with imrestore.threads(threads):
        assert mse(a, b) == mse(a, b) == ((a.astype(int) - b) ** 2).sum() / a.size
