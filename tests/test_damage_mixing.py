"""Samples mixed with others, or covered."""

from __future__ import annotations

import numpy as np
import pytest
from imrestore_kernels.cpu import mixing as cpu
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda import mixing as cuda
from imrestore_kernels.samples import Size

import imrestore
from tests.backends import same_bits
from tests.cuda_on_cpu.emulator import compiler
from tests.cuda_on_cpu.toolchain import nvrtc_path, ptxas_path, usage
from tests.sample_batches import Sample, Scattered, check_same_on_cuda
from tests.test_cuda_compile import Recorder

SHAPES = [(3, 9, 14), (1, 1, 1), (2, 5, 7), (4, 100, 97), (5, 3, 4)]
BOXES = np.array([[1, 4, 2, 9], [0, 2, 0, 2], [-3, 50, 5, 6], [2, 2, 0, 9], [3, 1, 0, 9]], float)


def pairs(dtype: str, numbers: list[float]) -> Scattered:
    """Samples of one shape, whose partners are each other."""
    rng = np.random.default_rng(1)
    shape, step = (3, 6, 11), 3 * 6 * 11 + 5
    samples = [Sample(rng.normal(size=shape), shape, {"A": 3 + (k + 1) % 3 * step}, numbers) for k in range(3)]
    return Scattered(samples, [0.0], dtype)


def covered(dtype: str, in_place: bool) -> Scattered:
    """Up to five boxes; every other sample is filled with its mean."""
    rng = np.random.default_rng(2)
    samples = [Sample(rng.normal(size=s), s, {"A": 1, "B": (k + 4) % 6, "C": k % 2}, [0.5]) for k, s in enumerate(SHAPES)]
    return Scattered(samples, [9.0, *BOXES.ravel()], dtype, in_place)


def inside(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.any([np.zeros((height, width), bool), *((a <= y) & (y < b) & (c <= x) & (x < d) for a, b, c, d in boxes)], axis=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blend(dtype: str) -> None:
    batch = pairs(dtype, [0.3])
    images = [s.image.astype(dtype) for s in batch.samples]
    own, rest = np.dtype(dtype).type(0.3), np.dtype(dtype).type(0.7)
    for k, found in enumerate(batch.run(cpu.blend)):
        assert same_bits(found, own * images[k] + rest * images[(k + 1) % 3])
    batch.fill_results(images)
    for image, found in zip(images, batch.run(cpu.blend_adjoint, backwards=True), strict=True):
        assert same_bits(found, own * image)


@pytest.mark.parametrize("box", [(1, 4, 2, 90), (0, 6, 0, 11), (-2, 3, 4, 4), (5, 2, 0, 9)])
def test_paste(box: tuple[int, ...]) -> None:
    batch = pairs("float32", list(box))
    images = [s.image.astype(np.float32) for s in batch.samples]
    there = inside(np.array([box]), 6, 11)
    for k, found in enumerate(batch.run(cpu.paste)):
        assert same_bits(found, np.where(there, images[(k + 1) % 3], images[k]))
    batch.fill_results(images)
    for image, found in zip(images, batch.run(cpu.paste_adjoint, backwards=True), strict=True):
        assert same_bits(found, np.where(there, np.float32(0), image))


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_erase(dtype: str, in_place: bool) -> None:
    batch = covered(dtype, in_place)
    gradients = [np.random.default_rng(3).normal(size=s.out) for s in batch.samples]
    results = batch.run(cpu.erase)
    shares = []
    for sample, found in zip(batch.samples, results, strict=True):
        image = sample.image.astype(dtype)
        there = inside(BOXES[: sample.columns["B"]], *image.shape[1:])
        fill = image.mean(axis=(1, 2), dtype=np.float64)[:, None, None] if sample.columns["C"] else 0.5
        np.testing.assert_allclose(found, np.where(there, fill, image), rtol=0, atol=1e-6 if dtype == "float32" else 1e-14)
        assert same_bits(found[:, ~there], image[:, ~there])
        shares.append(there)
    batch.fill_results(gradients)
    back = batch.run(cpu.erase_adjoint, backwards=True)
    for sample, gradient, there, found in zip(batch.samples, gradients, shares, back, strict=True):
        covered_part = np.where(there, gradient, 0).mean(axis=(1, 2), keepdims=True) if sample.columns["C"] else 0
        wanted = np.where(there, 0, gradient) + covered_part
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 if dtype == "float32" else 1e-14)


def test_values_that_are_not_finite_stay_in_their_channel() -> None:
    image = np.ones((2, 4, 5))
    image[0, 3, 4] = np.nan
    found = Scattered([Sample(image, image.shape, {"A": 0, "B": 1, "C": 1}, [0.0])], [0, 1, 0, 1], "float64").run(cpu.erase)[0]
    assert np.isnan(found[0, 0, 0])
    assert np.isnan(found).sum() == 2


def test_same_bits_for_any_number_of_threads() -> None:
    rng = np.random.default_rng(0)
    shape = (3, 300, 310)
    batch = Scattered([Sample(rng.normal(size=shape), shape, {"A": 0, "B": 2, "C": 1}, [0.4])], [*BOXES.ravel()], "float32")
    batch.fill_results([rng.normal(size=shape)])
    for name in ("erase", "erase_adjoint", "blend_adjoint", "paste_adjoint"):
        results = []
        for threads in (1, 2):
            with imrestore.threads(threads):
                results.append(batch.run(getattr(cpu, name), backwards=name.endswith("adjoint"))[0])
        assert same_bits(*results)


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cuda_gives_the_same_bits(dtype: str) -> None:
    rng = np.random.default_rng(0)
    batches = [("blend", pairs(dtype, [0.3])), ("paste", pairs(dtype, [1, 4, 2, 90]))]
    batches += [("erase", covered(dtype, in_place)) for in_place in (False, True)]
    for name, batch in batches:
        check_same_on_cuda(batch, getattr(cpu, name), getattr(cuda, name))
        batch.fill_results([rng.normal(size=sample.out) for sample in batch.samples])
        check_same_on_cuda(batch, getattr(cpu, f"{name}_adjoint"), getattr(cuda, f"{name}_adjoint"), backwards=True)


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
def test_one_block_alone_makes_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_launch, "GRID_LIMITS", (1, 1, 1))
    for name, batch in (("blend", pairs("float32", [0.3])), ("erase", covered("float32", False))):
        check_same_on_cuda(batch, getattr(cpu, name), getattr(cuda, name))


@pytest.mark.skipif(nvrtc_path() is None or ptxas_path() is None, reason="NVRTC and ptxas are not installed")
@pytest.mark.parametrize("suffix", ["", "_adjoint"])
def test_compiles_without_spills(suffix: str) -> None:
    recorder = Recorder()
    array = np.zeros(1, np.float32)
    with _launch.use(recorder):
        for name in ("blend", "paste", "erase"):
            operation = getattr(cuda, name + suffix)
            operation(array, array, np.zeros((1, 16), np.int64), np.zeros((1, 16)), array, Size(70_000, 3, 512, 512, 512, 512))
    assert set(recorder.launches) == {"blend", "paste", "erase_sums", "erase"}
    for function, (text, shared_bytes, grid, block) in recorder.launches.items():
        needs = usage(text, 90)[function]
        assert needs.spill_bytes == 0, f"{function}: {needs}"
        assert needs.registers * block[0] <= 65536
        assert shared_bytes <= _launch.SHARED_WITHOUT_OPT_IN
        assert grid[1] <= 65535
