"""Metrics of every kind of array in main memory, of some of their samples, and of NaN."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import imrestore
from imrestore.metrics import ms_ssim, mse, psnr, ssim
from tests.cases import FLOATS
from tests.cases.metrics import CLOSE, pair
from tests.oracles import metrics as oracle


def unaligned(array: np.ndarray) -> np.ndarray:
    raw = np.zeros(array.nbytes + 1, np.uint8)
    view = raw[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


class Subclass(np.ndarray):
    pass


LAYOUTS = {
    "negative strides": lambda array: array[::-1, ::-1].copy()[::-1, ::-1],
    "Fortran order": np.asfortranarray,
    "sliced": lambda array: np.repeat(array, 2, axis=1)[:, ::2],
    "transposed": lambda array: array.T.copy().T,
    "unaligned": unaligned,
    "read-only": read_only,
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "subclass": lambda array: array.view(Subclass),
    "torch": lambda array: torch.from_numpy(array.copy()),
    "torch, strided": lambda array: torch.from_numpy(np.repeat(array, 2, axis=1))[:, ::2],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_every_layout_gives_the_same_bits(dtype: str, layout: str) -> None:
    a, b = pair((165, 170), dtype)
    first, second = (LAYOUTS[layout](array) for array in (a, b))
    for metric in (psnr, ssim, ms_ssim):
        assert metric(first, second, data_range=100) == metric(a, b, data_range=100)
        assert metric(first, second, data_range=100, crop=2) == metric(a[2:-2, 2:-2], b[2:-2, 2:-2], data_range=100)
    assert mse(first, second) == mse(a, b)
    assert np.array_equal(np.asarray(first), a)
    assert np.array_equal(np.asarray(second), b)


def test_lists() -> None:
    a, b = pair((20, 21))
    assert mse(a.tolist(), b) == mse(a, b)
    assert mse(a.tolist(), b.tolist()) == mse(a, b)
    assert ssim(a.tolist(), b.tolist(), data_range=255) == pytest.approx(ssim(a, b), abs=CLOSE)  # those are int64


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_every_number_of_threads_gives_the_same_bits(n: int) -> None:
    a, b = pair((400, 900), "float32")
    with imrestore.threads(1):
        expected = [mse(a, b), ssim(a, b, data_range=100), ms_ssim(a, b, data_range=100)]
        windows = ssim(a, b, data_range=100, full=True)[1]
    with imrestore.threads(n):
        assert [mse(a, b), ssim(a, b, data_range=100), ms_ssim(a, b, data_range=100)] == expected
        assert np.array_equal(ssim(a, b, data_range=100, full=True)[1], windows)


def test_two_dtypes_are_promoted() -> None:
    a, b = pair((30, 31))
    assert mse(a, b.astype(np.float32)) == mse(a, b)
    assert mse(a.astype(np.int64), b) == mse(a, b)
    assert ssim(a.astype(np.float64), b, data_range=255) == pytest.approx(ssim(a, b), abs=CLOSE)
    with pytest.raises(ValueError, match=r"^data_range is None; for images of dtype uint16 and uint8"):
        psnr(a.astype(np.uint16), b)


@pytest.mark.parametrize("kind", ["numpy", "torch", "subclass"])
def test_the_windows_are_of_the_images_kind(kind: str) -> None:
    a, b = pair((20, 24, 3))
    make = {"numpy": np.asarray, "torch": torch.from_numpy, "subclass": lambda array: array.view(Subclass)}[kind]
    value, windows = ssim(make(a), make(b), channel_axis=-1, full=True)
    assert type(value) is float
    assert type(windows) is type(make(a))
    assert tuple(windows.shape) == (10, 14, 3)
    assert windows.dtype == (torch.float64 if kind == "torch" else np.float64)
    assert np.array_equal(np.asarray(windows), ssim(a, b, channel_axis=-1, full=True)[1])


def test_results_are_python_floats() -> None:
    a, b = pair((165, 170), "float32")
    for value in (mse(a, b), psnr(a, b, data_range=1), ssim(a, b, data_range=1), ms_ssim(a, b, data_range=1)):
        assert type(value) is float


def test_where_chooses_the_samples_of_a_psnr() -> None:
    for dtype in ("uint8", "float64"):
        a, b = pair((30, 40, 3), dtype)
        where = np.random.default_rng(3).random((30, 40, 1)) < 0.3
        everywhere = np.broadcast_to(where, a.shape)
        expected = oracle.psnr(a[everywhere], b[everywhere], 100)
        assert psnr(a, b, data_range=100, where=where) == pytest.approx(expected, rel=1e-13)
        cropped = psnr(a, b, data_range=100, where=where, crop=4, channel_axis=-1)
        inside = (a[4:-4, 4:-4], b[4:-4, 4:-4])
        assert cropped == pytest.approx(psnr(*inside, data_range=100, where=where[4:-4, 4:-4]), rel=1e-13)
        assert math.isnan(psnr(a, b, data_range=100, where=np.zeros((1, 1, 1), bool)))
        assert psnr(a, b, data_range=100, where=np.ones((1, 1, 1), bool)) == psnr(a, b, data_range=100)
    tensors = [torch.from_numpy(array) for array in (a, b, where)]
    assert psnr(*tensors[:2], data_range=100, where=tensors[2]) == psnr(a, b, data_range=100, where=where)


@pytest.mark.parametrize(("shape", "axis"), [((25, 40), None), ((25, 40, 3), -1), ((3, 25, 40), 0), ((13, 15, 14), None)])
def test_where_chooses_the_middles_of_windows(shape: tuple[int, ...], axis: int | None) -> None:
    a, b = pair(shape)
    where = np.random.default_rng(4).random(shape) < 0.4
    value, windows = ssim(a, b, where=where, channel_axis=axis, full=True)
    middle = tuple(slice(None) if axis is not None and i == axis % len(shape) else slice(5, -5) for i in range(len(shape)))
    assert value == pytest.approx(windows[where[middle]].mean(), abs=CLOSE)
    assert np.array_equal(windows, ssim(a, b, channel_axis=axis, full=True)[1])
    border = np.ones(shape, bool)
    border[middle] = False
    assert math.isnan(ssim(a, b, where=border, channel_axis=axis))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("damaged", ["image", "reference"])
def test_nan(dtype: str, damaged: str) -> None:
    a, b = pair((165, 170), dtype)
    whole_a, whole_b = a.copy(), b.copy()
    (a if damaged == "image" else b)[80, 90] = np.nan
    assert math.isnan(mse(a, b))
    assert math.isnan(psnr(a, b, data_range=100))
    value, windows = ssim(a, b, data_range=100, full=True)
    assert math.isnan(value)
    expected = np.zeros(windows.shape, bool)
    expected[70:81, 80:91] = True
    assert np.array_equal(np.isnan(windows), expected)
    assert math.isnan(ms_ssim(a, b, data_range=100))
    for metric in (psnr, ssim):
        with pytest.raises(ValueError, match=f"^{damaged} contains NaN and nan_policy is 'raise'"):
            metric(a, b, data_range=100, nan_policy="raise")
        assert metric(whole_a, whole_b, data_range=100, nan_policy="raise") == metric(whole_a, whole_b, data_range=100)
    kept = np.ones(a.shape, bool)
    kept[80, 90] = False
    assert psnr(a, b, data_range=100, nan_policy="omit") == psnr(whole_a, whole_b, data_range=100, where=kept)
    assert psnr(a, b, data_range=100, where=kept) == psnr(whole_a, whole_b, data_range=100, where=kept)
    assert psnr(a, b, data_range=100, where=kept, nan_policy="raise") == psnr(whole_a, whole_b, data_range=100, where=kept)
    near = np.ones(a.shape, bool)
    near[75:86, 85:96] = False
    assert ssim(a, b, data_range=100, nan_policy="omit") == pytest.approx(ssim(whole_a, whole_b, data_range=100, where=near))
    assert ssim(a, b, data_range=100, where=near) == ssim(whole_a, whole_b, data_range=100, where=near)
    a[...] = np.nan
    assert math.isnan(psnr(a, b, data_range=100, nan_policy="omit"))
    assert math.isnan(ssim(a, b, data_range=100, nan_policy="omit"))


def test_infinity() -> None:
    a, b = pair((30, 40), "float32")
    a[15, 20] = np.inf
    assert mse(a, b) == math.inf
    assert psnr(a, b, data_range=100) == -math.inf
    assert math.isnan(ssim(a, b, data_range=100))
    b[15, 20] = np.inf
    assert math.isnan(mse(a, b))
