"""Haze by the depth of the scene."""

from __future__ import annotations

import numpy as np
import pytest
from imrestore_kernels import philox
from imrestore_kernels.cpu import haze as cpu
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda import haze as cuda
from imrestore_kernels.samples import Size
from scipy.interpolate import BSpline

import imrestore
from tests.backends import same_bits
from tests.cuda_on_cpu.emulator import compiler
from tests.cuda_on_cpu.toolchain import nvrtc_path, ptxas_path, usage
from tests.sample_batches import Sample, Scattered, check_same_on_cuda
from tests.test_cuda_compile import Recorder

SEED = 2**63 + 12345


def spline(coefficients: np.ndarray, length: int) -> np.ndarray:
    """A cubic B-spline along the first axis at the middles of ``length`` pixels."""
    knots = len(coefficients)
    at = (np.arange(length) + 0.5) / length * (knots - 3)
    return BSpline(np.arange(knots + 4) - 3.0, coefficients, 3)(at)


def depths(sample: Sample, table: np.ndarray, dtype: str) -> np.ndarray:
    _, height, width = sample.image.shape
    columns, numbers = sample.columns, np.asarray(sample.numbers)
    if columns["A"] >= 0:
        return table[columns["A"] :][: height * width].reshape(height, width)
    y, x = np.arange(height)[:, None] / height, np.arange(width) / width
    plane = numbers[5] + numbers[6] * y + numbers[7] * x
    if numbers[8]:
        shape = columns["B"], columns["C"]
        drawn = philox.uniforms(SEED, columns["INDEX"], columns["STREAM"], shape[0] * shape[1], dtype).astype(float)
        plane = plane + numbers[8] * spline(spline(2 * drawn.reshape(shape) - 1, height).T, width).T
    return np.maximum(plane, 0)


def transmission(sample: Sample, table: np.ndarray, dtype: str) -> np.ndarray:
    return np.exp(-sample.numbers[0] * depths(sample, table, dtype))


def hazy(sample: Sample, table: np.ndarray, dtype: str) -> np.ndarray:
    """Equation 1 of He, Sun and Tang."""
    t = transmission(sample, table, dtype)
    air = [sample.numbers[1 + (c if c < 4 else 0)] for c in range(len(sample.image))]
    return t * sample.image + (1 - t) * np.reshape(air, (-1, 1, 1))


SIZES = [(3, 24, 70), (1, 7, 13), (2, 5, 4), (5, 33, 20), (1, 1, 1), (2, 1, 90), (1, 130, 3)]


def batch_of(sizes: list[tuple[int, int, int]], dtype: str, in_place: bool = False) -> Scattered:
    rng = np.random.default_rng(3)
    most = max(h * w for _, h, w in sizes)
    samples = []
    for i, shape in enumerate(sizes):
        plane = [0.3, 0.8, -1.1, 0 if i % 4 == 3 else 0.5]
        columns = {"A": 11 if i % 4 == 1 else -1, "B": 4 + i % 5, "C": 70 if i == 0 else 4 + i % 3}
        columns |= {"SEED": SEED, "INDEX": 2**40 + i, "STREAM": 7}
        samples.append(Sample(rng.normal(size=shape), shape, columns, [0.4 + 0.3 * i, 0.9, 0.8, 0.7, 1.0, *plane]))
    return Scattered(samples, np.concatenate([np.zeros(11), rng.uniform(0, 3, most)]), dtype, in_place)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 3e-6), ("float64", 1e-13)])
def test_matches_the_definition(dtype: str, tolerance: float, in_place: bool) -> None:
    """float32: a dozen roundings of depths up to 3, times beta up to 2.2 in the exponent."""
    batch = batch_of(SIZES, dtype, in_place)
    for sample, found in zip(batch.samples, batch.run(cpu.haze), strict=True):
        np.testing.assert_allclose(found, hazy(sample, batch.table.astype(float), dtype), rtol=0, atol=tolerance)


def test_depths_are_not_below_zero() -> None:
    image = np.full((1, 20, 20), 5.0)
    sample = Sample(image, image.shape, {"A": -1}, [1.0, 0, 0, 0, 0, -1.0, 2.0, 0, 0])
    (found,) = Scattered([sample], [0.0], "float64").run(cpu.haze)
    assert (found[0, :11] == 5).all()
    assert (found[0, 11:] < 5).all()


def test_the_adjoint_is_the_transpose() -> None:
    batch = batch_of(SIZES, "float64")
    gradients = [np.random.default_rng(5).normal(size=s.out) for s in batch.samples]
    dark = [s._replace(numbers=[s.numbers[0], 0, 0, 0, 0, *s.numbers[5:]]) for s in batch.samples]
    linear = Scattered(dark, batch.table, "float64")
    linear.fill_results(gradients)
    results = Scattered(dark, batch.table, "float64").run(cpu.haze)
    for sample, forward, gradient, back in zip(
        dark, results, gradients, linear.run(cpu.haze_adjoint, backwards=True), strict=True
    ):
        assert np.vdot(forward, gradient) == pytest.approx(np.vdot(sample.image, back), rel=1e-12)


def test_nan_stays_where_it_is() -> None:
    batch = batch_of(SIZES, "float32")
    batch.src[batch.jobs[0, 0] + 5] = np.nan
    found = batch.run(cpu.haze)[0]
    assert np.isnan(found[0, 0, 5])
    assert np.isnan(found).sum() == 1


def test_any_number_of_threads_gives_the_same_bits() -> None:
    batch = batch_of([(3, 300, 400)], "float32")
    results = []
    for threads in (1, 2):
        with imrestore.threads(threads):
            results += batch.run(cpu.haze)
    assert same_bits(*results)


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
@pytest.mark.parametrize(("name", "dtype"), [("haze", "float32"), ("haze", "float64"), ("haze_adjoint", "float32")])
def test_cuda_gives_the_same_bits(name: str, dtype: str) -> None:
    batch = batch_of([(3, 9, 140), (1, 7, 13), (2, 5, 4), (5, 12, 20), (1, 1, 1)], dtype)
    check_same_on_cuda(batch, getattr(cpu, name), getattr(cuda, name), backwards=name == "haze_adjoint")


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
def test_one_block_makes_all_rows_of_all_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_launch, "GRID_LIMITS", (1, 1, 1))
    check_same_on_cuda(batch_of([(1, 6, 30), (3, 7, 13), (1, 4, 9)], "float32", in_place=True), cpu.haze, cuda.haze)


@pytest.mark.skipif(nvrtc_path() is None or ptxas_path() is None, reason="NVRTC and ptxas are not installed")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiles_without_spills(dtype: str) -> None:
    recorder = Recorder()
    with _launch.use(recorder):
        cuda.haze(*[np.zeros(1, dtype)] * 5, Size(70_000, 3, 40_000_000, 512, 512, 512))
    for function, (text, shared_bytes, grid, block) in recorder.launches.items():
        needs = usage(text, 90)[function]
        assert needs.spill_bytes == 0, f"{function}: {needs}"
        assert shared_bytes <= _launch.SHARED_WITHOUT_OPT_IN
        assert grid[0] < 2**31
        assert grid[1] <= 65535
        assert block[0] * needs.registers <= 65536
