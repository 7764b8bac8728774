"""Row kernels that are LLVM text: rows of every pixel type as numbers and back, and what happens without memory."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np
import pytest
from imrestore_kernels.borders import MODES
from imrestore_kernels.cpu import _bands, bm3d, guided
from imrestore_kernels.cpu._row_text import border_table, row_functions
from imrestore_kernels.cpu._vector_text import lanes

import imrestore
from tests.calls import quick_bm3d

RNG = np.random.default_rng(5)
SHORT = ("uint8", "int8", "uint16", "int16", "float32")  # what float32 holds
LONG = (*SHORT, "uint32", "int32", "uint64", "int64", "float64")
PAIRS = [*((dtype, "float32") for dtype in SHORT), *((dtype, "float64") for dtype in LONG)]

LOAD = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, *[ctypes.c_int64] * 3, *[ctypes.c_void_p] * 2])
STORE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64)


def pixels(dtype: str, n: int) -> np.ndarray:
    """Among others the largest, the smallest, and what is not a number."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        row = RNG.normal(0, 100, n).astype(dtype)
        row[:4] = np.nan, np.inf, -np.inf, np.finfo(dtype).max / 8
        return row
    info = np.iinfo(dtype)
    row = RNG.integers(info.min, info.max, n, dtype, endpoint=True)
    row[:2] = info.min, info.max
    return row


def loaded(row: np.ndarray | None, step: int, columns: np.ndarray, span: tuple[int, int], compute: str, spread: bool) -> np.ndarray:
    """``n`` numbers of a row; 7.5 stands for the constant, 4 is the scale."""
    dtype = np.dtype("float32") if row is None else row.dtype
    load = LOAD(row_functions(dtype, np.dtype(compute), spread).load)
    wide = lanes(np.dtype(compute)) if spread else 1
    to = np.full(columns.size * wide, -1.0, compute)
    numbers = np.array([7.5, 4.0], compute)
    address = None if row is None else row.ctypes.data
    load(address, step * dtype.itemsize, columns.ctypes.data, *span, columns.size, to.ctypes.data, numbers.ctypes.data)
    between = to.reshape(-1, wide)[:, 1:]
    assert (between == -1).all()  # what lies between spread numbers stays
    return to[::wide]


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize("mode", ["reflect", "constant"])
@pytest.mark.parametrize(("dtype", "compute"), PAIRS)
def test_rows_are_loaded_with_their_border(dtype: str, compute: str, mode: str, spread: bool) -> None:
    for width, before, after, channels in ((1, 0, 0, 1), (1, 3, 2, 2), (37, 5, 9, 1), (37, 0, 9, 3), (64, 40, 0, 1)):
        row = pixels(dtype, width * channels + 3)[: width * channels]
        columns = border_table(width, before, after, MODES[mode])
        for c in range(channels):
            channel = row[c::channels]
            with np.errstate(all="ignore"):
                values = channel.astype(compute) * 4 if spread else channel.astype(compute)
            if not spread:
                values = np.where(np.isfinite(values), values, np.nan).astype(compute)
            expected = np.where(columns < 0, np.array(7.5, compute), values[columns])
            span = (before, before + width)
            np.testing.assert_array_equal(loaded(row[c:], channels, columns, span, compute, spread), expected)
            # Without any neighbours the same, sample by sample.
            np.testing.assert_array_equal(loaded(row[c:], channels, columns, (0, 0), compute, spread), expected)


def test_no_row_is_the_constant() -> None:
    for spread in (False, True):
        np.testing.assert_array_equal(loaded(None, 1, np.zeros(11, np.int64), (0, 11), "float64", spread), np.full(11, 7.5))


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize(("dtype", "compute"), PAIRS)
def test_numbers_become_pixels(dtype: str, compute: str, spread: bool) -> None:
    """Whole numbers half to even, saturated at both ends, 0 for NaN."""
    store = STORE(row_functions(np.dtype(dtype), np.dtype(compute), spread).store)
    values = [0.5, 1.5, 2.5, -0.5, -1.5, np.nan, np.inf, -np.inf, 126.5, 127.5, 254.5, 255.5, 1e30, -1e30, 0.0, 100.25]
    for power in (15, 16, 31, 32, 63, 64):
        values += [2.0**power, np.nextafter(np.dtype(compute).type(2.0**power), 0), -(2.0**power)]
    numbers = np.array(values * 3, compute)
    wide = lanes(np.dtype(compute)) if spread else 1
    source = np.zeros(numbers.size * wide, compute)
    source[::wide] = numbers
    with np.errstate(all="ignore"):
        if np.dtype(dtype).kind == "f":
            expected = numbers.astype(dtype)
        else:
            info = np.iinfo(dtype)
            rounded = [0 if np.isnan(v) else max(info.min, min(info.max, _whole(float(v)))) for v in numbers]
            expected = np.array(rounded, dtype)
    for step in (1, 3):
        target = np.full(numbers.size * step + 8, 77, dtype)
        store(source.ctypes.data, numbers.size, target.ctypes.data, step * target.itemsize)
        np.testing.assert_array_equal(target[: numbers.size * step : step], expected)
        target[: numbers.size * step : step] = 77
        assert (target == 77).all()  # nothing else was written


def _whole(value: float) -> int:
    return round(value) if np.isfinite(value) else int(np.sign(value)) * 2**80


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["guided", "nl_means", "bilateral", "bm3d"])
def test_without_memory_a_kernel_says_so(name: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def nothing(size: int) -> int:
        asked.append(size)
        return 0

    callback = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_size_t)(nothing)
    address = ctypes.cast(callback, ctypes.c_void_p).value
    monkeypatch.setattr({"guided": guided, "bm3d": bm3d}.get(name, _bands), "ALLOCATE", address)
    image = RNG.normal(100, 10, (300, 301)).astype(np.float32)
    call: dict[str, Callable[[], np.ndarray]] = {
        "guided": lambda: imrestore.guided(image, radius=3, eps=2.0),
        "nl_means": lambda: imrestore.nl_means(image, 10.0, patch_distance=2),
        "bilateral": lambda: imrestore.bilateral(image, 10.0, 1.0),
        "bm3d": lambda: imrestore.bm3d(image, 10.0, profile=quick_bm3d(5)),
    }
    with imrestore.threads(threads), pytest.raises(MemoryError, match="rows that are being filtered"):
        call[name]()
    assert min(asked) > image.shape[1] * 4
