"""Pixels covered by strokes, boxes and letters."""

from __future__ import annotations

import numpy as np
import pytest
from imrestore_kernels import glyphs
from imrestore_kernels.cpu import missing as cpu
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda import missing as cuda
from imrestore_kernels.samples import Size

import imrestore
from tests.backends import same_bits
from tests.cuda_on_cpu.emulator import compiler
from tests.cuda_on_cpu.toolchain import nvrtc_path, ptxas_path, usage
from tests.sample_batches import Sample, Scattered, check_same_on_cuda
from tests.test_cuda_compile import Recorder

#: The kind, then what the operation says of it.
SHAPES = np.array(
    [
        [0, 3, 2, 9, 40, 1.5, 0, 0],  # a flat stroke
        [0, 20, 5, 2, 7.5, 2.25, 0, 0],  # a steep one, upwards
        [0, 6, 6, 6, 6, 3, 0, 0],  # a dot
        [0, -5, -5, 90, 70, 0.7, 0, 0],  # beyond the image on both sides
        [0, 14, 60, 14, 20, 0.25, 0, 0],  # a line along a row, no wider than the row
        [1, 2, 5, 3, 6, 0, 0, 0],
        [1, -3.5, 1.5, 30, 99, 0, 0, 0],
        [1, 8, 8, 0, 9, 0, 0, 0],  # empty
        [2, 10, 12, 1, 10, 0, 0, 0],
        [2, -3.5, 20.25, 2.75, 55, 0, 0, 0],
        [2, 17, 33, 1.5, 61, 0, 0, 0],
        [0, 16, 50, 16, 50, 2, 0, 0],  # a dot with pixels on its edge
    ]
)


def covered_by(shape: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """One shape, by the words of the definition, in float64."""
    kind, *p = shape
    if kind == 0:
        down, across = p[2] - p[0], p[3] - p[1]
        length = down**2 + across**2
        t = np.clip(((y - p[0]) * down + (x - p[1]) * across) / length, 0, 1) if length > 0 else 0.0
        return np.hypot(y - p[0] - t * down, x - p[1] - t * across) <= p[4]
    if kind == 1:
        return (p[0] <= y) & (y < p[1]) & (p[2] <= x) & (x < p[3])
    row, column = np.floor((y - p[0]) / p[2]).astype(int), np.floor((x - p[1]) / p[2]).astype(int)
    inside = (row >= 0) & (row < 7) & (column >= 0) & (column < 5)
    return inside & (glyphs.BITS[int(p[3])] >> np.where(inside, 5 * row + column, 0) & 1 > 0)


def covered(shapes: np.ndarray, height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.any([np.zeros((height, width), bool), *(covered_by(shape, y, x) for shape in shapes)], axis=0)


def batch_of(sizes: list[tuple[int, int, int]], dtype: str, in_place: bool = False) -> tuple[Scattered, list[np.ndarray]]:
    """Samples that take pieces of the list of shapes, the first with numbers of its own for the channels."""
    rng = np.random.default_rng(3)
    samples, masks = [], []
    fills = [0.5, -1.25, 2.0, 7.0]
    for i, shape in enumerate(sizes):
        first, count = (0, len(SHAPES)) if i % 3 == 0 else (2 + i % 4, 4) if i % 3 == 1 else (5, 0)
        columns = {"A": 4 + 8 * first, "B": count, "C": int(i == 0), "D": 0}
        samples.append(Sample(rng.random(shape), shape, columns, [0.75]))
        masks.append(covered(SHAPES[first : first + count], *shape[1:]))
    return Scattered(samples, [*fills, *SHAPES.ravel()], dtype, in_place), masks


SIZES = [(3, 24, 70), (1, 7, 13), (2, 5, 4), (4, 33, 20), (1, 1, 1), (2, 1, 9), (1, 130, 3)]


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_covered_pixels_and_no_others(dtype: str, in_place: bool) -> None:
    batch, masks = batch_of(SIZES, dtype, in_place)
    assert 0.05 < masks[0].mean() < 0.6
    results = batch.run(cpu.shapes)
    zeroed = batch.run(cpu.shapes_adjoint, backwards=True)
    flags = batch.run(cpu.mask)
    for i, (sample, inside) in enumerate(zip(batch.samples, masks, strict=True)):
        image = sample.image.astype(dtype)
        fill = np.array([0.5, -1.25, 2.0] if i == 0 else 0.75, dtype).reshape(-1, 1, 1)
        assert same_bits(results[i], np.where(inside, fill, image))
        np.testing.assert_array_equal(flags[i], np.broadcast_to(inside, image.shape))
        if in_place:
            assert same_bits(zeroed[i], np.where(inside, np.zeros((), dtype), image))


def test_the_adjoint_drops_what_is_covered() -> None:
    batch, masks = batch_of(SIZES, "float64")
    gradients = [np.random.default_rng(5).normal(size=s.out) for s in batch.samples]
    batch.fill_results(gradients)
    for found, gradient, inside in zip(batch.run(cpu.shapes_adjoint, backwards=True), gradients, masks, strict=True):
        assert same_bits(found, np.where(inside, 0.0, gradient))


def test_any_shapes_on_any_sample() -> None:
    """Strokes of all directions: none of the shortcuts leaves a pixel out."""
    rng = np.random.default_rng(8)
    for _ in range(20):
        shapes = np.zeros((6, 8))
        shapes[:4, 1:5] = rng.uniform(-20, 90, (4, 4))
        shapes[:2, 3] = shapes[:2, 1] + rng.normal(0, [0.01, 1])  # nearly flat
        shapes[:4, 5] = rng.uniform(0, 6, 4)
        shapes[4:, 0] = 2
        shapes[4:, 1:5] = [[*rng.uniform(-10, 70, 2), rng.uniform(0.3, 6), rng.integers(62)] for _ in range(2)]
        sample = Sample(np.zeros((1, 72, 67)), (1, 72, 67), {"A": 0, "B": 6})
        (found,) = Scattered([sample], shapes, "float64").run(cpu.mask)
        np.testing.assert_array_equal(found[0], covered(shapes, 72, 67))


def test_any_number_of_threads_gives_the_same_bits() -> None:
    rng = np.random.default_rng(2)
    image = rng.random((3, 300, 400))
    large = SHAPES * [1, 9, 9, 9, 1, 3, 1, 1]
    batch = Scattered([Sample(image, image.shape, {"A": 0, "B": len(large)}, [0.5])], large, "float32")
    results = []
    for threads in (1, 2):
        with imrestore.threads(threads):
            results += batch.run(cpu.shapes)
    assert same_bits(*results)


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
@pytest.mark.parametrize("name", ["shapes", "shapes_adjoint", "mask"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cuda_gives_the_same_bits(name: str, dtype: str) -> None:
    batch, _ = batch_of([(3, 24, 70), (1, 7, 13), (2, 5, 4), (2, 40, 33)], dtype)
    many = np.concatenate([np.tile(SHAPES[7], (300, 1)), SHAPES])  # a block lists 256 at once: those that cover come last
    batch.jobs[3, 10:12] = len(batch.table), len(many)
    batch.table = np.concatenate([batch.table, many.ravel()]).astype(dtype)
    check_same_on_cuda(batch, getattr(cpu, name), getattr(cuda, name), backwards=name == "shapes_adjoint")


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
def test_one_block_makes_all_tiles_of_all_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_launch, "GRID_LIMITS", (1, 1, 1))
    batch, _ = batch_of([(1, 40, 70), (3, 7, 13)], "float32", in_place=True)
    check_same_on_cuda(batch, cpu.shapes, cuda.shapes)


@pytest.mark.skipif(nvrtc_path() is None or ptxas_path() is None, reason="NVRTC and ptxas are not installed")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiles_without_spills(dtype: str) -> None:
    recorder = Recorder()
    with _launch.use(recorder):
        cuda.shapes(*[np.zeros(1, dtype)] * 5, Size(70_000, 3, 40_000_000, 512, 512, 512))
    for function, (text, shared_bytes, grid, block) in recorder.launches.items():
        needs = usage(text, 90)[function]
        assert needs.spill_bytes == 0, f"{function}: {needs}"
        assert shared_bytes <= _launch.SHARED_WITHOUT_OPT_IN
        assert grid[0] < 2**31
        assert grid[1] <= 65535
        assert block[0] * block[1] * needs.registers <= 65536
