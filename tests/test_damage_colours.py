"""Colours of samples: matrices over the channels, and contrast about the mean."""

from __future__ import annotations

import numpy as np
import pytest
from imrestore_kernels.cpu import colours as cpu
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda import colours as cuda
from imrestore_kernels.samples import Size

import imrestore
from tests.backends import same_bits
from tests.cuda_on_cpu.emulator import compiler
from tests.cuda_on_cpu.toolchain import nvrtc_path, ptxas_path, usage
from tests.sample_batches import Sample, Scattered, check_same_on_cuda
from tests.test_cuda_compile import Recorder

SHAPES = [(3, 9, 14), (1, 1, 1), (2, 5, 7), (4, 100, 97), (3, 1, 300), (6, 3, 4)]
TOLERANCE = {"float32": 3e-6, "float64": 1e-14}


def coloured(dtype: str, in_place: bool = False, most: int = 9) -> tuple[Scattered, list[np.ndarray]]:
    """Every sample with a matrix of its own, and a factor for its contrast."""
    rng = np.random.default_rng(4)
    table, samples, matrices = [7.0], [], []
    for k, shape in enumerate(s for s in SHAPES if s[0] <= most):
        matrices.append(rng.normal(size=(shape[0], shape[0] + 1)))
        matrices[-1][k % shape[0], (k + 1) % shape[0]] *= k % 2  # some weights are 0
        samples.append(Sample(rng.normal(size=shape), shape, {"A": len(table)}, [0.25 + 0.5 * k]))
        table += matrices[-1].ravel().tolist()
    return Scattered(samples, table, dtype, in_place), matrices


def shares(channels: int, pixels: int) -> np.ndarray:
    """What a value counts for in the mean grey."""
    return np.array((0.299, 0.587, 0.114) if channels == 3 else [1 / channels] * channels) / pixels


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_matrix(dtype: str, in_place: bool) -> None:
    batch, matrices = coloured(dtype, in_place)
    rng = np.random.default_rng(5)
    gradients = [rng.normal(size=s.out) for s in batch.samples]
    for sample, m, found in zip(batch.samples, matrices, batch.run(cpu.matrix), strict=True):
        wanted = np.einsum("ck,kyx->cyx", m[:, :-1], sample.image) + m[:, -1, None, None]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE[dtype])
    batch.fill_results(gradients)
    for gradient, m, found in zip(gradients, matrices, batch.run(cpu.matrix_adjoint, backwards=True), strict=True):
        np.testing.assert_allclose(found, np.einsum("ck,cyx->kyx", m[:, :-1], gradient), rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_channels_without_weight_are_left_out(dtype: str) -> None:
    samples, table = [], []
    for channels in (2, 3, 5):
        image = np.ones((channels, 4, 300))
        image[0, 1, 2], image[1, 2, 280] = np.nan, np.inf
        matrix = np.eye(channels, channels + 1) * 2
        matrix[-1, 0] = 1
        samples.append(Sample(image, image.shape, {"A": len(table)}, [0.5]))
        table += matrix.ravel().tolist()
    batch = Scattered(samples, table, dtype, in_place=True)
    for sample, found in zip(batch.samples, batch.run(cpu.matrix), strict=True):
        wanted = sample.image * 2
        wanted[-1] += sample.image[0]
        np.testing.assert_array_equal(found, wanted)
    if compiler() is not None:
        check_same_on_cuda(batch, cpu.matrix, cuda.matrix)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_contrast(dtype: str, in_place: bool) -> None:
    batch, _ = coloured(dtype, in_place)
    rng = np.random.default_rng(6)
    gradients = [rng.normal(size=s.out) for s in batch.samples]
    for sample, found in zip(batch.samples, batch.run(cpu.contrast), strict=True):
        weights = shares(len(sample.image), sample.image[0].size)
        mean = float((weights * sample.image.sum(axis=(1, 2))).sum())
        np.testing.assert_allclose(found, mean + sample.numbers[0] * (sample.image - mean), rtol=0, atol=TOLERANCE[dtype])
    batch.fill_results(gradients)
    for sample, gradient, found in zip(batch.samples, gradients, batch.run(cpu.contrast_adjoint, backwards=True), strict=True):
        f, weights = sample.numbers[0], shares(len(gradient), gradient[0].size)
        wanted = f * gradient + ((1 - f) * weights * gradient.sum())[:, None, None]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE[dtype])


def test_adjoint_of_contrast_is_the_transpose() -> None:
    batch, _ = coloured("float64")
    rng = np.random.default_rng(7)
    gradients = [rng.normal(size=s.out) for s in batch.samples]
    forward = batch.run(cpu.contrast)
    batch.fill_results(gradients)
    for sample, gradient, made, back in zip(
        batch.samples, gradients, forward, batch.run(cpu.contrast_adjoint, backwards=True), strict=True
    ):
        scale = np.sqrt((sample.image**2).sum() * (gradient**2).sum())
        assert abs(np.vdot(made, gradient) - np.vdot(sample.image, back)) < 1e-12 * scale


def test_same_bits_for_any_number_of_threads() -> None:
    rng = np.random.default_rng(0)
    shape = (3, 300, 310)
    batch = Scattered([Sample(rng.normal(size=shape), shape, {"A": 0}, [0.4])], rng.normal(size=12), "float32")
    for name in ("matrix", "contrast"):
        results = []
        for threads in (1, 2):
            with imrestore.threads(threads):
                results.append(batch.run(getattr(cpu, name))[0])
        assert same_bits(*results)


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
@pytest.mark.parametrize(("dtype", "most"), [("float32", 9), ("float32", 3), ("float64", 4)])
def test_cuda_gives_the_same_bits(dtype: str, most: int) -> None:
    rng = np.random.default_rng(0)
    for in_place in (False, True):
        batch, _ = coloured(dtype, in_place, most)
        for name in ("matrix", "contrast"):
            check_same_on_cuda(batch, getattr(cpu, name), getattr(cuda, name))
            batch.fill_results([rng.normal(size=sample.out) for sample in batch.samples])
            check_same_on_cuda(batch, getattr(cpu, f"{name}_adjoint"), getattr(cuda, f"{name}_adjoint"), backwards=True)


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
def test_one_block_alone_makes_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_launch, "GRID_LIMITS", (1, 1, 1))
    batch, _ = coloured("float32")
    for name in ("matrix", "contrast"):
        check_same_on_cuda(batch, getattr(cpu, name), getattr(cuda, name))


@pytest.mark.skipif(nvrtc_path() is None or ptxas_path() is None, reason="NVRTC and ptxas are not installed")
@pytest.mark.parametrize(("dtype", "channels"), [("float32", 3), ("float64", 9)])
def test_compiles_without_spills(dtype: str, channels: int) -> None:
    recorder = Recorder()
    array = np.zeros(1, dtype)
    with _launch.use(recorder):
        for name in ("matrix", "contrast"):
            operation = getattr(cuda, name)
            operation(array, array, np.zeros((1, 16), np.int64), np.zeros((1, 16)), array, Size(9, channels, 512, 512, 512, 512))
    for function, (text, shared_bytes, _, block) in recorder.launches.items():
        needs = usage(text, 90)[function]
        assert needs.spill_bytes == 0, f"{function}: {needs}"
        assert needs.registers * block[0] <= 65536
        assert shared_bytes <= _launch.SHARED_WITHOUT_OPT_IN
