"""What the cases cannot see of the similarity filters on the CPU: the exponential, the sums, the tiles, the memory."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from imrestore_kernels.cpu import _bands, _row_text, _similarity_rows, _similarity_tile, _vector_text
from imrestore_kernels.cpu._similarity import powers
from imrestore_kernels.cpu._vector_text import UNROLL, lanes
from imrestore_kernels.cpu._window_sums import Sums, Window

import imrestore
from tests import oracles
from tests.backends import same_bits

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def powers_of(exponents: np.ndarray) -> np.ndarray:
    """2 to each of them, by the kernels' own function."""
    import ctypes

    step = UNROLL * lanes(exponents.dtype)
    room = np.zeros(exponents.size + step + 64, exponents.dtype)
    start = -room.ctypes.data % 64 // room.itemsize
    row = room[start : start + exponents.size]
    row[:] = exponents
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(powers(exponents.dtype))
    function(row.ctypes.data, row.size)
    return row


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_the_exponential_is_within_two_ten_millionths(dtype: np.dtype) -> None:
    lowest = float(np.finfo(dtype).minexp)
    exponents = np.concatenate([np.linspace(lowest, 0, 100_001), -np.geomspace(1e-30, 1, 1000)]).astype(dtype)
    exact = np.exp2(exponents.astype(np.longdouble))
    assert abs(powers_of(exponents) / exact - 1).max() < 2e-7


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_whole_powers_are_exact_and_what_is_far_off_weighs_nothing(dtype: np.dtype) -> None:
    lowest = int(np.finfo(dtype).minexp)
    whole = np.arange(lowest, 1).astype(dtype)
    np.testing.assert_array_equal(powers_of(whole), np.ldexp(dtype.type(1), np.arange(lowest, 1)))
    assert not powers_of(np.array([-np.inf, -1e30, 2 * lowest, lowest - 1], dtype)).any()


@pytest.mark.parametrize(
    ("weights", "boxes", "factor"),
    [
        ([1.0], (1,), 1),
        ([0.2] * 5, (5,), 0.2),
        ([0.25, 0.5, 0.25], (2, 2), 0.25),
        (np.array([1, 2, 3, 3, 3, 2, 1]) / 15, (3, 5), 1 / 15),
    ],
)
def test_weights_that_are_boxes_of_boxes_are_summed_so(weights: list[float], boxes: tuple[int, ...], factor: float) -> None:
    sums, left_out = Sums.of(weights)
    assert (sums.boxes, sums.weights) == (boxes, None)
    assert left_out == pytest.approx(factor, rel=1e-15)


def test_weights_of_no_boxes_are_kept() -> None:
    weights = (0.1, 0.25, 0.3, 0.25, 0.1)
    assert Sums.of(weights) == (Sums((5,), weights), 1.0)


@pytest.mark.parametrize("spare", [True, False])
@pytest.mark.parametrize("size", range(1, 40))
def test_a_box_keeps_no_more_than_it_needs(size: int, spare: bool) -> None:
    """In registers as many values as the window has beside the newest; in memory as many rows for each size of block but one."""
    window = Window(Sums((size,)), spare)
    if spare:
        assert window.rows == size - 1
    else:
        assert all(rows < size for rows in window.kept.values())
        assert sum(rows > 0 for rows in window.kept.values()) == size.bit_length() - 1


@pytest.mark.parametrize(("rows", "band"), [(64, 64), (7, 64), (1, 5), (64, 3), (2, 1)])
@pytest.mark.parametrize("shape", [(40, 150), (5, 9, 70), (33, 90, 3)])
def test_tiles_leave_no_trace(rows: int, band: int, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(1).normal(100, 20, shape).astype(np.float32)
    axis = -1 if shape[-1] == 3 else None
    monkeypatch.setattr(_bands, "TILE_ROWS", 64)
    monkeypatch.setattr(_bands, "BAND", 64)
    distance = 2 if image.ndim == 3 and axis is None else 4

    def both() -> list[np.ndarray]:
        return [
            imrestore.nl_means(image, 20, patch_size=5, patch_distance=distance, channel_axis=axis),
            imrestore.bilateral(image, 40, 1.5, channel_axis=axis),
        ]

    whole = both()
    monkeypatch.setattr(_bands, "TILE_ROWS", rows)
    monkeypatch.setattr(_bands, "BAND", band)
    assert all(same_bits(a, b) for a, b in zip(whole, both(), strict=True))


@pytest.mark.parametrize("register_bytes", [16, 32, 64])
def test_the_width_of_registers_leaves_no_trace(register_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other machines have narrower or wider ones; LLVM makes do with those that are here."""
    image = np.random.default_rng(1).normal(100, 20, (21, 90, 2)).astype(np.float32)

    def both(image: np.ndarray) -> list[np.ndarray]:
        return [
            imrestore.nl_means(image, 20, patch_distance=3, channel_axis=-1),
            imrestore.nl_means(image[..., 0], 20, patch_distance=3),
            imrestore.bilateral(image, 40, 1.5, channel_axis=-1),
        ]

    images = (image, image.astype(np.float64))
    here = [both(image) for image in images]
    made = (_bands.similarity_kernel, _similarity_tile.program, _row_text.row_functions)
    for module in (_vector_text, _bands, _row_text, _similarity_rows, _similarity_tile):
        monkeypatch.setattr(module, "lanes", lambda compute: register_bytes // compute.itemsize)
    for cached in made:
        cached.cache_clear()
    there = [both(image) for image in images]
    for cached in made:
        cached.cache_clear()
    for wanted, found in zip(here, there, strict=True):
        assert all(same_bits(a, b) for a, b in zip(wanted, found, strict=True))


@pytest.mark.parametrize("channels", [8, 9, 33])
def test_many_channels_are_compared_together(channels: int) -> None:
    """More than share a weight, and than one function squares."""
    image = np.random.default_rng(3).normal(100, 20, (9, 11, channels)).astype(np.float32)
    keywords = {"h": 8.0, "patch_size": 3, "patch_distance": 2, "channel_axis": -1}
    oracles.nl_means(image, 20, **keywords).assert_matches(imrestore.nl_means(image, 20, **keywords))
    oracles.bilateral(image, 60, 1.0, channel_axis=-1).assert_matches(imrestore.bilateral(image, 60, 1.0, channel_axis=-1))


MEMORY = """
import resource
import numpy as np
import imrestore

side = {side}
image = np.random.default_rng(0).integers(0, 256, (side, side), dtype=np.uint8)
out = np.ones_like(image)
imrestore.set_num_threads(2)
imrestore.{filter}(image[:600, :1200].copy(), 20, {arguments})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
imrestore.{filter}(image, 20, {arguments}, out=out)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.parametrize(("name", "arguments"), [("nl_means", "patch_distance=1"), ("bilateral", "1.0, radius=1")])
def test_a_large_image_takes_the_memory_of_a_few_tiles(name: str, arguments: str) -> None:
    """16 million pixels: a copy of the image in float32 alone would be 64 MB."""
    code = MEMORY.format(side=4000, filter=name, arguments=arguments)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert float(done.stdout) < 8
