"""Resampling to another size: both rings against the formulas and against others, and the transpose."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from imrestore_kernels.cpu import _resampling_text, _resampling_weights, _vector_text, resizing
from imrestore_kernels.cpu.resizing import resample, resample_adjoint
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda import resizing as cuda_resizing
from imrestore_kernels.samples import COLUMNS, Size

import imrestore
from tests.backends import same_bits
from tests.cuda_on_cpu.emulator import Emulator, compiler
from tests.cuda_on_cpu.toolchain import nvrtc_path, ptxas_path, usage
from tests.guard_pages import fenced, needed
from tests.oracles import damage_resizing as oracle
from tests.oracles.damage_resizing import METHODS
from tests.sample_batches import Sample, Scattered, check_same_on_cuda
from tests.test_cuda_compile import Recorder

emulated = pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
compiled = pytest.mark.skipif(
    nvrtc_path() is None or ptxas_path() is None, reason="NVRTC and ptxas are not installed (nvidia-cuda-nvrtc-cu12, -nvcc-cu12)"
)

DTYPES = ("float32", "float64")
CVAL = 0.3
#: Images and sizes of the results: to and from single pixels, both ways, one way each, by whole and broken factors.
SHAPES = [
    ((1, 1, 1), (1, 1)),
    ((2, 1, 1), (3, 4)),
    ((3, 7, 9), (20, 30)),
    ((1, 40, 70), (10, 35)),
    ((2, 33, 61), (60, 17)),
    ((4, 6, 5), (1, 1)),
    ((1, 20, 30), (21, 29)),
    ((2, 9, 6), (3, 50)),
]


def batch_of(shapes: list[Any], dtype: str, method: int, mode: int, smooth: int = 1, off: float = 1.0) -> Scattered:
    rng = np.random.default_rng(5)
    samples = []
    for shape, (height, width) in shapes:
        scales = (height / shape[1] * off, width / shape[2])
        columns = {"A": method, "B": smooth, "C": mode}
        numbers = (*scales, -0.5, CVAL)
        samples.append(Sample(rng.normal(size=shape).astype(dtype), (shape[0], height, width), columns, numbers))
    return Scattered(samples, [0.0], dtype)


def resized(image: Any, out: tuple[int, int], method: str, slope: float = -0.75, smooth: int = 0, mode: int = 2) -> Any:
    """One image (channels, height, width) at another size."""
    scales = (out[0] / image.shape[1], out[1] / image.shape[2])
    sample = Sample(image, (len(image), *out), {"A": METHODS[method], "B": smooth, "C": mode}, (*scales, slope))
    return Scattered([sample], [0.0], str(image.dtype)).run(resample)[0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", METHODS)
def test_the_formulas(method: str, dtype: str) -> None:
    limit = 3e-6 if dtype == "float32" else 1e-12  # samples up to 4, weights up to 2 in sums of magnitude, some hundred roundings
    for mode, smooth, off in [(0, 1, 1.0), (1, 0, 1.0), (2, 1, 1.03), (3, 1, 0.97), (4, 0, 1.0), (4, 1, 1.0)]:
        number = METHODS[method]
        batch = batch_of(SHAPES, dtype, number, mode, smooth, off)
        for sample, found in zip(batch.samples, batch.run(resample), strict=True):
            scales = (float(sample.numbers[0]), float(sample.numbers[1]))
            kind = (number, -0.5, bool(smooth), mode)
            expected = oracle.resample(sample.image, (sample.out[1], sample.out[2]), scales, kind, CVAL)
            np.testing.assert_allclose(found, expected, rtol=0, atol=limit, err_msg=f"{sample.out} {mode} {smooth}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", METHODS)
def test_the_adjoint_is_the_transpose(method: str, dtype: str) -> None:
    for mode in range(5):
        for smooth, off in ((0, 1.0), (1, 1.04)):
            batch = batch_of(SHAPES, dtype, METHODS[method], mode, smooth, off)
            batch.numbers[:, 3] = 0  # the constant is no part of what is linear
            results = batch.run(resample)
            gradients = [np.random.default_rng(8).normal(size=r.shape).astype(dtype) for r in results]
            batch.fill_results(gradients)
            back = batch.run(resample_adjoint, backwards=True)
            for sample, result, gradient, own in zip(batch.samples, results, gradients, back, strict=True):
                one = float((result.astype(np.float64) * gradient).sum())
                two = float((sample.image.astype(np.float64) * own).sum())
                assert abs(one - two) <= (1e-12 if dtype == "float64" else 1e-5) * max(result.size, own.size) ** 0.5 * 4


@pytest.mark.parametrize("mode", range(5))
def test_the_adjoint_of_a_tiny_image_entry_by_entry(mode: int) -> None:
    for method, out in (("bicubic", (5, 2)), ("lanczos3", (2, 7)), ("area", (2, 3)), ("nearest", (7, 3)), ("bilinear", (1, 9))):
        shape, numbers = (1, 3, 4), (out[0] / 3, out[1] / 4, -0.5)
        columns = {"A": METHODS[method], "B": 1, "C": mode}
        size, results = 12, out[0] * out[1]
        batch = Scattered([Sample(u.reshape(shape), (1, *out), columns, numbers) for u in np.eye(size)], [0.0], "float64")
        forward = np.array([r.ravel() for r in batch.run(resample)])
        other = Scattered([Sample(np.zeros(shape), (1, *out), columns, numbers) for _ in range(results)], [0.0], "float64")
        other.fill_results([u.reshape(1, *out) for u in np.eye(results)])
        back = np.array([r.ravel() for r in other.run(resample_adjoint, backwards=True)])
        np.testing.assert_allclose(back, forward.T, rtol=0, atol=1e-14)


@pytest.mark.parametrize("out", [(64, 40), (17, 30), (96, 80), (32, 20)])
def test_as_opencv(out: tuple[int, int]) -> None:
    image = np.random.default_rng(2).random((3, 64, 40)).astype(np.float32)
    pixels = np.ascontiguousarray(image.transpose(1, 2, 0))
    kinds = [("bilinear", cv2.INTER_LINEAR), ("bicubic", cv2.INTER_CUBIC), ("nearest", cv2.INTER_NEAREST)]
    if out[0] <= 64:  # where the image grows OpenCV has no areas
        kinds.append(("area", cv2.INTER_AREA))
    for method, flag in kinds:
        expected = cv2.resize(pixels, out[::-1], interpolation=flag).transpose(2, 0, 1)
        np.testing.assert_allclose(resized(image, out, method), expected, rtol=0, atol=2e-6, err_msg=method)


@pytest.mark.parametrize("out", [(16, 10), (21, 33), (100, 30)])
def test_as_torch_with_antialias(out: tuple[int, int]) -> None:
    """But at the border, where torch leaves out what is not there."""
    image = np.random.default_rng(2).random((3, 64, 40))
    for method, slope in (("bilinear", 0.0), ("bicubic", -0.5)):
        found = resized(image, out, method, slope, smooth=1)
        expected = torch.nn.functional.interpolate(torch.from_numpy(image)[None], out, mode=method, antialias=True)[0].numpy()
        edge = [3 * max(1, n // 20) for n in out]
        inside = (slice(None), *(slice(e, -e) for e in edge))
        np.testing.assert_allclose(found[inside], expected[inside], rtol=0, atol=1e-12)


@needed
@pytest.mark.parametrize("at_end", [False, True])
def test_nothing_beside_the_arrays_is_read(at_end: bool) -> None:
    for shape, out in [*SHAPES, ((1, 30, 6), (12, 5))]:
        batch = batch_of([(shape, out)], "float32", METHODS["bicubic"], 3)
        batch.jobs[:, :2] = 0
        image, result = np.ones(shape, np.float32), np.ones((shape[0], *out), np.float32)
        for operation, given, made in ((resample, image, result), (resample_adjoint, result, image)):
            src, dst = fenced(given, at_end), fenced(made * 0, at_end)
            operation(src, dst, batch.jobs, batch.numbers, batch.table, Size.of(batch.jobs))
            assert dst.sum() > 0


def test_flat_images_stay_flat() -> None:
    image = np.full((1, 20, 30), 0.75)
    for method in METHODS:
        for smooth in (0, 1):
            np.testing.assert_allclose(resized(image, (7, 41), method, -0.5, smooth), 0.75, rtol=0, atol=1e-15, err_msg=method)


def test_a_mean_of_whole_pixels_reads_no_other() -> None:
    """Scales such as 1/3 are not exact in binary: a weight of 1e-16 would still spread a NaN."""
    image = np.arange(9.0 * 12).reshape(1, 9, 12)
    image[0, 4, 4] = np.nan
    found = resized(image, (3, 4), "area")
    assert np.isnan(found).sum() == 1
    np.testing.assert_allclose(found[0, 0], image[0, :3].reshape(3, 4, 3).mean(axis=(0, 2)), rtol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
def test_same_bits_for_threads_and_channels_at_a_time(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = [((3, 90, 150), (200, 130)), ((2, 160, 90), (70, 200))]
    batch = batch_of(shapes, dtype, METHODS["bicubic"], 0)
    with imrestore.threads(1):
        one, back = batch.run(resample), batch.run(resample_adjoint, backwards=True)
    monkeypatch.setattr(resizing, "BETWEEN_BYTES", 1)
    for threads in (1, 3):
        with imrestore.threads(threads):
            assert all(map(same_bits, one, batch.run(resample)))
            assert all(map(same_bits, back, batch.run(resample_adjoint, backwards=True)))


def test_same_bits_for_every_width_of_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = batch_of(SHAPES, "float32", METHODS["lanczos3"], 3)
    own, back = batch.run(resample), batch.run(resample_adjoint, backwards=True)
    other = 96 - _vector_text.register_bytes()
    monkeypatch.setattr(_vector_text, "register_bytes", lambda: other)
    for name in ("down", "along"):
        monkeypatch.setattr(resizing, name, getattr(resizing, name).__wrapped__)
    assert all(map(same_bits, own, batch.run(resample)))
    assert all(map(same_bits, back, batch.run(resample_adjoint, backwards=True)))
    assert _resampling_text.VectorText(np.dtype("float32")).bytes == other


def test_the_tables_of_an_axis_are_made_once() -> None:
    batch = batch_of([((1, 20, 20), (31, 31))], "float32", METHODS["bicubic"], 1)
    batch.run(resample)
    before = _resampling_weights.forward.cache_info()
    batch.run(resample)
    after = _resampling_weights.forward.cache_info()
    assert (after.misses, after.hits) == (before.misses, before.hits + 2)


def mixed(dtype: str) -> Scattered:
    """All methods and borders in one batch."""
    samples = []
    for n, (shape, out) in enumerate(SHAPES + SHAPES[2:4]):
        one = batch_of([(shape, out)], dtype, n % 6, n % 5, n // 2 % 2, 1.05 if n % 3 == 1 else 1.0)
        samples.append(one.samples[0])
    return Scattered(samples, [0.0], dtype)


@emulated
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_same_bits_on_cuda(dtype: str) -> None:
    batch = mixed(dtype)
    check_same_on_cuda(batch, resample, cuda_resizing.resample)
    check_same_on_cuda(batch, resample_adjoint, cuda_resizing.resample_adjoint, backwards=True)


@emulated
def test_every_method_on_cuda() -> None:
    """Windows of more taps than shared memory has weights for at a time."""
    for method, mode in [(m, n) for m in METHODS.values() for n in (0, 1)]:
        batch = batch_of([((1, 90, 8), (4, 11)), ((1, 5, 130), (8, 3))], "float32", method, mode)
        expected, back = batch.run(resample), batch.run(resample_adjoint, backwards=True)

        def on_cuda(*args: Any, backwards: bool = False) -> None:
            operation = cuda_resizing.resample_adjoint if backwards else cuda_resizing.resample
            with _launch.use(Emulator("reverse")):
                operation(*args)

        assert all(map(same_bits, expected, batch.run(on_cuda)))
        assert all(map(same_bits, back, batch.run(lambda *a: on_cuda(*a, backwards=True), backwards=True)))


@emulated
def test_no_job_is_left_out_beyond_the_limits_of_a_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_launch, "GRID_LIMITS", (2, 3, 1))
    batch = mixed("float32")
    check_same_on_cuda(batch, resample_adjoint, cuda_resizing.resample_adjoint, backwards=True)


@compiled
def test_compiles_without_spills() -> None:
    dtype = "float64"  # which takes the most registers
    image = np.broadcast_to(np.zeros((), dtype), (1,))
    jobs, numbers = np.zeros((70_000, COLUMNS), np.int64), np.zeros((70_000, COLUMNS))
    recorder = Recorder()
    with _launch.use(recorder):
        for operation in (cuda_resizing.resample, cuda_resizing.resample_adjoint):
            operation(image, image, jobs, numbers, image, Size(70_000, 3, 512, 512, 128, 128))
    assert set(recorder.launches) == {"resample_totals", "resample", "resample_adjoint"}
    for function, (text, shared_bytes, grid, block) in recorder.launches.items():
        needs = usage(text, 90)[function]
        assert needs.spill_bytes == 0, f"{function}: {needs}"
        assert needs.registers * block[0] <= 65536
        assert shared_bytes <= _launch.SHARED_WITHOUT_OPT_IN
        assert grid[1] <= 65535
