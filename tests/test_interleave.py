"""Pictures to float planes and back, for every dtype, number of channels and layout of memory."""

from __future__ import annotations

import numpy as np
import pytest
from imrestore_kernels.cpu._interleave import load, store

import imrestore
from imrestore.degrade._run import compute_type

LAYOUTS = {
    "channels last": lambda shape: (shape[1], shape[2], shape[0]),
    "channels first": lambda shape: shape,
    "channels between": lambda shape: (shape[1], shape[0], shape[2]),
}
ORDER = {"channels last": (2, 0, 1), "channels first": (0, 1, 2), "channels between": (1, 0, 2)}

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64")


def picture_of(shape: tuple[int, ...], dtype: str, layout: str) -> np.ndarray:
    rng = np.random.default_rng(sum(shape))
    made = LAYOUTS[layout](shape)
    if np.dtype(dtype).kind == "f":
        values = rng.normal(0, 100, made).astype(dtype)
    else:
        limits = np.iinfo(dtype)
        values = rng.integers(limits.min, limits.max, made, dtype, endpoint=True)
    return values.transpose(ORDER[layout])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_there_and_back(channels: int, dtype: str, layout: str) -> None:
    picture = picture_of((channels, 7, 37), dtype, layout)
    compute = compute_type(np.dtype(dtype))
    planes = np.empty(picture.shape, compute)
    load(picture, planes)
    np.testing.assert_array_equal(planes, picture.astype(compute))
    back = np.zeros_like(picture)
    store(planes, back)
    exact = np.dtype(dtype).itemsize < 8 or dtype == "float64"
    np.testing.assert_array_equal(back, picture) if exact else np.testing.assert_allclose(back, picture, rtol=1e-15)


ODD = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 1e30, -1e30, np.inf, -np.inf, np.nan, 127.5, 254.5, 255.5, 65534.5, 2147483646.5])


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d[0] != "f"])
def test_whole_numbers_are_rounded_to_even_and_saturated(dtype: str) -> None:
    values = np.repeat(ODD.astype(compute_type(np.dtype(dtype))), 3).reshape(1, 3, -1)
    limits = np.iinfo(dtype)
    wanted = []
    for value in values.ravel().tolist():
        exact = 0 if value != value else limits.max if value == np.inf else limits.min if value == -np.inf else round(value)
        wanted.append(min(max(exact, limits.min), limits.max))
    for channels_last in (False, True):
        planes = np.concatenate([values, values]) if channels_last else values
        shape = (*planes.shape[1:], len(planes)) if channels_last else planes.shape
        made = np.empty(shape, dtype).transpose((2, 0, 1) if channels_last else (0, 1, 2))
        store(planes, made)
        assert made[0].ravel().tolist() == wanted


def test_large_pictures_by_several_threads() -> None:
    picture = picture_of((3, 300, 400), "uint8", "channels last")
    planes, back = np.empty(picture.shape, np.float32), np.zeros_like(picture)
    with imrestore.threads(3):
        load(picture, planes)
        store(planes, back)
    np.testing.assert_array_equal(planes, picture)
    np.testing.assert_array_equal(back, picture)


def test_nothing_beside_a_view_is_written() -> None:
    whole = np.full((9, 20, 3), 7, np.uint8)
    part = whole[2:7, 3:15].transpose(2, 0, 1)
    store(np.full(part.shape, 9, np.float32), part)
    assert (part == 9).all()
    whole[2:7, 3:15] = 7
    assert (whole == 7).all()
