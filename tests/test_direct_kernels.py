"""Kernels that work on pixels as they lie in memory: the same bits as by way of planes, and nothing touched outside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from imrestore_kernels.borders import CONSTANT, MODES, REFLECT
from imrestore_kernels.cpu import _interleave, warping
from imrestore_kernels.cpu._mirrored_rows import MOST, copy_mirrored
from imrestore_kernels.cpu._pool import run_rows
from imrestore_kernels.cpu._sampling import BLOCK
from imrestore_kernels.cpu._warp_pixels import COUNTS, DTYPES, WRITTEN, warp_pixels_kernel
from imrestore_kernels.samples import COLUMNS, Job, Size

import imrestore
from tests import guard_pages
from tests.backends import same_bits
from tests.test_damage_warping import HOMOGRAPHIES

UNSIGNED = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}
#: What lies around a result, and must stay there.
FRAME = 0xA5


def random_bits(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> np.ndarray:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8).view(dtype).reshape(shape)


def channels_first(array: np.ndarray, last: bool) -> np.ndarray:
    """A view (channels, height, width)."""
    return array.transpose(2, 0, 1) if last else array


def framed(channels: int, height: int, width: int, dtype: Any, last: bool) -> tuple[np.ndarray, np.ndarray]:
    """Bytes of `FRAME`, and a view of what is in the middle of them."""
    shape = (height + 2, width + 3, channels) if last else (channels, height + 2, width + 3)
    whole = np.full(int(np.prod(shape)) * np.dtype(dtype).itemsize, FRAME, np.uint8).view(dtype).reshape(shape)
    return whole, channels_first(whole, last)[:, 1:-1, 1:-2]


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("itemsize", UNSIGNED)
def test_rows_the_other_way_round(itemsize: int, last: bool) -> None:
    for channels in (1, 2, 3, 4, 5, 8):
        shape = (4, 72, channels) if last else (channels, 4, 72)
        picture = channels_first(random_bits(shape, UNSIGNED[itemsize], channels), last)
        for width in range(2, 71):
            view = picture[:, 1:3, 1 + width % 2 :][:, :, :width][:, :: 1 - 2 * (width % 3 == 0), ::-1]
            whole, result = framed(*view.shape, view.dtype, last)
            wanted = whole.copy()
            channels_first(wanted, last)[:, 1:-1, 1:-2] = view
            assert copy_mirrored(view, result)
            np.testing.assert_array_equal(whole, wanted, err_msg=f"{channels} channels, {width} columns")


@guard_pages.needed
@pytest.mark.parametrize("at_end", [True, False])
def test_rows_the_other_way_round_are_all_that_is_looked_at(at_end: bool) -> None:
    for size, channels in ((1, 1), (1, 3), (1, 5), (2, 3), (4, 1), (4, 3), (8, 1), (8, 5)):
        for width in (2, 3, 5, 6, 15, 16, 17, 31, 32, 33, 47):
            shape = (3, width, channels)
            values = random_bits(shape, UNSIGNED[size])
            picture = guard_pages.fenced(values, at_end).reshape(shape).transpose(2, 0, 1)
            result = guard_pages.fenced(np.zeros_like(values), at_end).reshape(shape).transpose(2, 0, 1)
            assert copy_mirrored(picture[:, :, ::-1], result)
            np.testing.assert_array_equal(result, picture[:, :, ::-1])


def test_what_is_not_rows_the_other_way_round() -> None:
    def refused(picture: np.ndarray, result: np.ndarray) -> bool:
        before = result.copy()
        return not copy_mirrored(picture, result) and same_bits(before, result)

    image = random_bits((5, 9, 3), np.uint8)
    last, first = image.transpose(2, 0, 1), np.ascontiguousarray(image.transpose(2, 0, 1))
    new, new_last = np.zeros_like(first), np.zeros_like(image).transpose(2, 0, 1)
    assert copy_mirrored(first[:, :, ::-1], new)
    assert copy_mirrored(last[:, :, ::-1], new_last)
    assert refused(last, new_last)  # forwards
    assert refused(last[:, :, ::-1], new)  # another order of channels
    assert refused(first[:, :, ::-1], new_last)
    assert refused(first[:, :, ::-1].view(np.int8), new)  # another type
    assert refused(first[:, :, ::-1], new[:, :, ::-1])  # the result backwards, too
    assert refused(last[:, :, :1][:, :, ::-1], new_last[:, :, :1])  # of one column there is no other way round
    assert refused(first[:, :, ::-2], new[:, :, :5])  # pixels apart
    assert refused(last[:, :, ::-2], new_last[:, :, :5])
    assert refused(last[:2, :, ::-1], new_last[:2])  # channels left out
    assert refused(last[:2, :, ::-1], new[:2])
    assert refused(last[::-1, :, ::-1], new_last[::-1])  # channels backwards
    for channels, taken in ((MOST, True), (MOST + 1, False)):
        many = random_bits((2, 3, channels), np.uint8).transpose(2, 0, 1)[:, :, ::-1]
        result = np.zeros((2, 3, channels), np.uint8).transpose(2, 0, 1)
        assert copy_mirrored(many, result) is taken
        assert (result == many).all() is np.bool_(taken)


def test_many_rows_by_several_threads() -> None:
    for last in (True, False):
        shape = (700, 900, 3) if last else (3, 700, 900)
        picture = channels_first(random_bits(shape, np.uint16), last)[:, :, ::-1]
        result = channels_first(np.zeros(shape, np.uint16), last)
        with imrestore.threads(2):
            assert copy_mirrored(picture, result)
        np.testing.assert_array_equal(result, picture)


# Affine warps of pixels: the same bits as of planes.

#: Height and width of pictures and of results.
SIZES = [
    ((1, 1), (3, 20)),
    ((1, 40), (5, 33)),
    ((40, 1), (20, 16)),
    ((2, 2), (2, 17)),
    ((3, 3), (4, 5)),
    ((9, 7), (8, 15)),
    ((6, 15), (1, 1)),
    ((30, 41), (25, 16)),
    ((31, 37), (33, 50)),
]


def turned(angle: float, scale: float, right: float, down: float) -> tuple[float, ...]:
    """The first six numbers of a homography."""
    a, b = np.cos(np.deg2rad(angle)) * scale, np.sin(np.deg2rad(angle)) * scale
    return (a, -b, right, b, a, down)


AFFINE = [
    (1, 0, 0, 0, 1, 0),
    (1, 0, 0.25, 0, 1, 0.5),
    (1, 0, -0.75, 0, 1, -2.5),
    (-1, 0, 36, 0, -1, 29),
    (0, 1, 0, 1, 0, 0),
    HOMOGRAPHIES[1][:6],
    *(turned(angle, 0.9, 5.3, 1.7) for angle in (3, 29, 90, 137, 180, 251, 341)),
    turned(20, 0.11, 8, 9),
    turned(-50, 0.013, 1.2, 0.7),
    turned(10, 4.2, -8, -3),
    turned(77, 90.1, -300, -700),
    (1, 0, 900, 0, 1, -700),
    (1, 0, -1e300, 0, 1e300, 0),
    (0, 0, np.nan, 0, 1, 0),
    (np.inf, 0, 0, 0, 1, 0),
    (1, 0, 3, 0, np.nan, 3),
    (1, 0, -np.inf, 0, 1, np.inf),
]


def values_of(shape: tuple[int, ...], dtype: np.dtype[Any], seed: int) -> np.ndarray:
    """Random numbers; among floats also some that are none, signed zeros and very large and small ones."""
    rng = np.random.default_rng(seed)
    if dtype.kind != "f":
        return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    image = rng.normal(0, 100, shape).astype(dtype)
    if seed % 3 == 0:
        odd = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0, 3e38, -3e38, 1e-42], dtype)
        image = np.where(rng.random(shape) < 0.1, rng.choice(odd, shape), image)
    return image


def job_of(shape: tuple[int, int, int], out: tuple[int, int], affine: Any, mode: int, cval: float) -> tuple[Any, Any]:
    jobs, numbers = np.zeros((1, COLUMNS), np.int64), np.zeros((1, COLUMNS))
    jobs[0, Job.CHANNELS : Job.OUT_WIDTH + 1] = (*shape, *out)
    jobs[0, Job.A : Job.E + 1] = (-1, 0, 0, 1, mode)
    numbers[0, :10] = (*affine, 0, 0, 1, cval)
    return jobs, numbers


def by_planes(picture: np.ndarray, jobs: Any, numbers: Any) -> np.ndarray:
    """The result in planes of float32."""
    planes = np.ascontiguousarray(picture, np.float32)
    made = np.zeros((len(planes), *jobs[0, Job.OUT_HEIGHT : Job.OUT_WIDTH + 1].tolist()), np.float32)
    warping.warp(planes.ravel(), made.reshape(-1), jobs, numbers, np.zeros(1, np.float32), Size.of(jobs))
    return made


def directly(picture: np.ndarray, result: np.ndarray, jobs: Any, numbers: Any, written: bool) -> None:
    kernel = warp_pixels_kernel(picture.dtype, len(picture), written)
    pitch = result.strides[1]
    args = (picture.ctypes.data, picture.strides[1], result.ctypes.data, pitch, jobs, numbers)
    run_rows(kernel, args, result.shape[1], 0.0, keep=(picture, result))


def assert_same_floats(found: np.ndarray, wanted: np.ndarray, what: str) -> None:
    np.testing.assert_array_equal(found, wanted, err_msg=what)
    kept = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(found[kept]), np.signbit(wanted[kept]), err_msg=what)


KERNELS = [(np.dtype(dtype), 3) for dtype in sorted(DTYPES, key=str)] + [(np.dtype("uint8"), 4), (np.dtype("float32"), 4)]
CVALS = (0.0, 0.75, -7.3, 300.5, 100.5, np.nan, np.inf, -np.inf, 1e39, -0.0)


def test_kernels_that_are_tried() -> None:
    assert {dtype for dtype, _ in KERNELS} == set(DTYPES)
    assert {count for _, count in KERNELS} == set(COUNTS)
    assert WRITTEN <= DTYPES


@pytest.mark.parametrize("mode", sorted(set(MODES.values())))
@pytest.mark.parametrize(("dtype", "channels"), KERNELS)
def test_warped_pixels_are_warped_planes(dtype: np.dtype[Any], channels: int, mode: int) -> None:
    seed = 0
    for (height, width), out in SIZES:
        for affine in AFFINE:
            seed += 1
            whole = values_of((height + 2, width + 3, channels), dtype, seed)
            picture = whole[1:-1, 2:-1].transpose(2, 0, 1)[:, :: 1 - 2 * (seed % 2)]
            jobs, numbers = job_of((channels, height, width), out, affine, mode, CVALS[seed % len(CVALS)])
            what = f"{height} x {width} to {out}, {affine}, cval {numbers[0, 9]}"
            planes = by_planes(picture, jobs, numbers)
            found = np.full((channels + 2, *out), -7, np.float32)
            directly(picture, found[1:-1], jobs, numbers, written=False)
            assert_same_floats(found[1:-1], planes, what)
            assert (found[[0, -1]] == -7).all(), what
            if dtype not in WRITTEN or out[1] < BLOCK:
                continue
            frame, result = framed(channels, *out, dtype, last=True)
            wanted = frame.copy()
            _interleave.store(planes, channels_first(wanted, True)[:, 1:-1, 1:-2])
            directly(picture, result, jobs, numbers, written=True)
            assert_same_floats(frame.astype(np.float32), wanted.astype(np.float32), what)


@guard_pages.needed
@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize(("dtype", "channels"), KERNELS)
def test_nothing_outside_of_a_picture_is_looked_at(dtype: np.dtype[Any], channels: int, at_end: bool) -> None:
    """With bytes between its rows; the last of them ends the page, the first begins it."""
    for height, width in ((1, 1), (1, 20), (2, 2), (3, 3), (20, 1), (5, 18), (25, 30)):
        pitch = (width + 2) * channels
        flat = guard_pages.fenced(values_of(((height - 1) * pitch + width * channels,), dtype, 1), at_end)
        rows = np.lib.stride_tricks.as_strided(
            flat, (height, width, channels), [n * dtype.itemsize for n in (pitch, channels, 1)], writeable=False
        )
        for step in (1, -1):
            picture = rows.transpose(2, 0, 1)[:, ::step]
            out = (height + 1, max(width, BLOCK))
            for k, affine in enumerate([(1, 0, 0, 0, 1, 0), (-1, 0, width - 1, 0, -1, height - 1), *AFFINE[1:14], *AFFINE[17:]]):
                jobs, numbers = job_of((channels, height, width), out, affine, (REFLECT, CONSTANT)[k % 2], 3.0)
                planes = by_planes(picture, jobs, numbers)
                found = guard_pages.fenced(np.zeros_like(planes), at_end).reshape(planes.shape)
                directly(picture, found, jobs, numbers, written=False)
                np.testing.assert_array_equal(found, planes)
                if dtype in WRITTEN:
                    shape = (*out, channels)
                    result = guard_pages.fenced(np.zeros(shape, dtype), at_end).reshape(shape).transpose(2, 0, 1)
                    wanted = np.zeros_like(result)
                    _interleave.store(planes, wanted)
                    directly(picture, result, jobs, numbers, written=True)
                    np.testing.assert_array_equal(result, wanted)
