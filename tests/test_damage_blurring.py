"""Convolution with a window of each sample's own: both rings, every border, and the transpose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from imrestore_kernels.borders import CONSTANT, border_index
from imrestore_kernels.cpu import _vector_text, blurring
from imrestore_kernels.cpu.blurring import convolve, convolve_adjoint
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda import blurring as cuda_blurring
from imrestore_kernels.samples import COLUMNS, Size

import imrestore
from tests.backends import same_bits
from tests.cuda_on_cpu.emulator import Emulator, compiler
from tests.cuda_on_cpu.toolchain import nvrtc_path, ptxas_path, usage
from tests.guard_pages import fenced, needed
from tests.sample_batches import Sample, Scattered, check_same_on_cuda
from tests.test_cuda_compile import Recorder

emulated = pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
compiled = pytest.mark.skipif(
    nvrtc_path() is None or ptxas_path() is None, reason="NVRTC and ptxas are not installed (nvidia-cuda-nvrtc-cu12, -nvcc-cu12)"
)

DTYPES = ("float32", "float64")
#: Images and windows: single pixels, windows larger than the image, of one row and one column, wider than a block of vectors.
CASES = [
    ((1, 1, 1), (1, 1)),
    ((2, 1, 1), (5, 3)),
    ((3, 7, 9), (3, 3)),
    ((1, 40, 70), (5, 7)),
    ((4, 33, 131), (21, 21)),
    ((2, 5, 6), (13, 9)),
    ((3, 25, 64), (1, 9)),
    ((1, 64, 25), (9, 1)),
    ((1, 9, 8), (127, 127)),
]
CVAL = 0.3


def batch_of(cases: list[Any], dtype: str, separable: int | None = None, first_mode: int = 0) -> Scattered:
    """One sample for each case, with the borders and kinds of windows by turns."""
    rng = np.random.default_rng(5)
    samples, tables, at = [], [np.zeros(3)], 3
    for n, (shape, (kh, kw)) in enumerate(cases):
        lines = n % 2 if separable is None else separable
        table = rng.normal(size=kh + kw if lines else kh * kw)
        columns = {"A": at, "B": kh, "C": kw, "D": (first_mode + n) % 5, "E": lines}
        samples.append(Sample(rng.normal(size=shape).astype(dtype), shape, columns, (CVAL,)))
        tables.append(table)
        at += table.size
    return Scattered(samples, np.concatenate(tables), dtype)


def window(batch: Scattered, sample: Sample) -> np.ndarray:
    start, kh, kw = (sample.columns[name] for name in "ABC")
    table = batch.table.astype(np.float64)
    if sample.columns["E"]:
        return np.outer(table[start : start + kh], table[start + kh : start + kh + kw])
    return table[start : start + kh * kw].reshape(kh, kw)


def oracle(image: np.ndarray, weights: np.ndarray, mode: int) -> np.ndarray:
    height, width = image.shape[1:]
    kh, kw = weights.shape
    rows = [border_index(y, height, mode) for y in range(-(kh // 2), height + kh // 2)]
    columns = [border_index(x, width, mode) for x in range(-(kw // 2), width + kw // 2)]
    wide = image[:, rows][:, :, columns].astype(np.float64)
    wide[:, np.array(rows) < 0] = CVAL
    wide[:, :, np.array(columns) < 0] = CVAL
    windows = np.lib.stride_tricks.sliding_window_view(wide, (kh, kw), axis=(1, 2))
    return np.einsum("cyxij,ij->cyx", windows, weights)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", range(5))
def test_sums_over_windows(mode: int, dtype: str) -> None:
    eps = float(np.finfo(dtype).eps)
    for separable in (0, 1):
        batch = batch_of(CASES, dtype, separable, mode)
        for sample, found in zip(batch.samples, batch.run(convolve), strict=True):
            weights = window(batch, sample)
            expected = oracle(sample.image, weights, sample.columns["D"])
            # A chain of n roundings, each of at most half a unit of the sum of magnitudes; samples are up to 5 here.
            limit = (sum(weights.shape) if separable else weights.size) * eps * 5 * float(np.abs(weights).sum())
            np.testing.assert_allclose(found, expected, rtol=0, atol=limit)


def test_a_sum_is_a_chain_of_fused_multiply_adds_in_the_order_of_the_taps() -> None:
    """Exact products of float32 in float64: a sum of two roundings would differ, and so would any other order."""
    rng = np.random.default_rng(1)
    image, weights = rng.normal(size=(1, 12, 40)).astype(np.float32), rng.normal(size=(5, 3)).astype(np.float32)
    batch = Scattered([Sample(image, image.shape, {"A": 0, "B": 5, "C": 3, "D": 3})], weights, "float32")
    padded = np.pad(image[0], ((2, 2), (1, 1)), "wrap").astype(np.float64)
    total = np.zeros((12, 40), np.float32)
    for i in range(5):
        for j in range(3):
            total = (weights[i, j].astype(np.float64) * padded[i : i + 12, j : j + 40] + total).astype(np.float32)
    assert same_bits(batch.run(convolve)[0][0], total)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("separable", [0, 1])
def test_the_adjoint_is_the_transpose(separable: int, dtype: str) -> None:
    for mode in range(5):
        batch = batch_of(CASES, dtype, separable, mode)
        batch.numbers[:] = 0  # the constant is no part of what is linear
        results = batch.run(convolve)
        gradients = [np.random.default_rng(8).normal(size=r.shape).astype(dtype) for r in results]
        batch.fill_results(gradients)
        back = batch.run(convolve_adjoint, backwards=True)
        for sample, result, gradient, own in zip(batch.samples, results, gradients, back, strict=True):
            one = float((result.astype(np.float64) * gradient).sum())
            two = float((sample.image.astype(np.float64) * own).sum())
            size = float(np.abs(window(batch, sample)).sum()) * np.sqrt(result.size)
            assert abs(one - two) <= (1e-12 if dtype == "float64" else 1e-5) * max(size, 1), sample.columns


@pytest.mark.parametrize("mode", range(5))
def test_the_adjoint_of_a_tiny_image_entry_by_entry(mode: int) -> None:
    """Images with a single 1 give the columns of the matrix, gradients with a single 1 its rows."""
    shape, size = (1, 3, 4), 12
    weights = np.random.default_rng(3).normal(size=(5, 11))
    for lines, table in ((0, weights.ravel()), (1, np.concatenate([weights[:, 0], weights[0]]))):
        columns = {"A": 0, "B": 5, "C": 11, "D": mode, "E": lines}
        units = [Sample(unit.reshape(shape), shape, columns) for unit in np.eye(size)]
        batch = Scattered(units, table, "float64")
        forward = np.array([r.ravel() for r in batch.run(convolve)])
        batch.fill_results([unit.reshape(shape) for unit in np.eye(size)])
        back = np.array([r.ravel() for r in batch.run(convolve_adjoint, backwards=True)])
        np.testing.assert_allclose(back, forward.T, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_same_bits_for_every_number_of_threads_and_in_bands(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = batch_of([((2, 90, 150), (9, 7)), ((1, 100, 130), (15, 15)), ((3, 61, 80), (5, 5))], dtype)
    with imrestore.threads(1):
        one, back = batch.run(convolve), batch.run(convolve_adjoint, backwards=True)
    monkeypatch.setattr(blurring, "BAND_BYTES", 1)
    for threads in (1, 3):
        with imrestore.threads(threads):
            assert all(map(same_bits, one, batch.run(convolve)))
            assert all(map(same_bits, back, batch.run(convolve_adjoint, backwards=True)))


@pytest.mark.parametrize("width", [32, 64])
def test_same_bits_for_every_width_of_registers(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = batch_of(CASES[:-1], "float32")
    own = batch.run(convolve)
    monkeypatch.setattr(_vector_text, "register_bytes", lambda: width)
    monkeypatch.setattr(blurring, "register_bytes", lambda: width)
    monkeypatch.setattr(blurring, "convolution", blurring.convolution.__wrapped__)
    assert all(map(same_bits, own, batch.run(convolve)))


def test_what_is_not_finite_stays_in_its_windows() -> None:
    image = np.zeros((1, 30, 40), np.float32)
    image[0, 10, 12], image[0, 20, 30] = np.nan, np.inf
    batch = Scattered([Sample(image, image.shape, {"A": 0, "B": 5, "C": 7, "D": CONSTANT})], np.ones(35), "float32")
    (found,) = batch.run(convolve)
    expected = np.zeros((30, 40), np.float32)
    expected[8:13, 9:16], expected[18:23, 27:34] = np.nan, np.inf
    np.testing.assert_array_equal(found[0], expected)


@needed
@pytest.mark.parametrize("at_end", [False, True])
def test_nothing_beside_the_arrays_is_read(at_end: bool) -> None:
    for shape, (kh, kw) in CASES[:-1]:
        for lines in (0, 1):
            image, table = np.ones(shape, np.float32), np.ones(kh + kw if lines else kh * kw, np.float32)
            batch = Scattered([Sample(image, shape, {"B": kh, "C": kw, "E": lines})], table, "float32")
            batch.jobs[:, :2] = 0
            for operation in (convolve, convolve_adjoint):
                src, weights, dst = (fenced(a, at_end) for a in (image, table, image))
                operation(src, dst, batch.jobs, batch.numbers, weights, Size.of(batch.jobs))
                assert dst.sum() > 0


CUDA_CASES = [
    ((1, 1, 1), (3, 1)),
    ((2, 33, 70), (7, 3)),
    ((1, 20, 66), (5, 9)),
    ((3, 5, 6), (13, 9)),
    ((1, 9, 9), (3, 127)),
]


@emulated
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_same_bits_on_cuda(dtype: str) -> None:
    for separable in (0, 1):
        batch = batch_of(CUDA_CASES, dtype, separable, 1 - separable)
        check_same_on_cuda(batch, convolve, cuda_blurring.convolve)
        check_same_on_cuda(batch, convolve_adjoint, cuda_blurring.convolve_adjoint, backwards=True)


@emulated
def test_windows_of_more_rows_than_shared_memory_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """The taps then come a few rows at a time; and one block makes everything."""
    batch = batch_of([((1, 3, 5), (127, 127)), ((2, 40, 3), (127, 1))], "float32", 0, 2)
    monkeypatch.setattr(_launch, "GRID_LIMITS", (1, 1, 1))
    check_same_on_cuda(batch, convolve, cuda_blurring.convolve)


@compiled
def test_compiles_without_spills() -> None:
    image = np.broadcast_to(np.zeros((), "float32"), (1,))
    jobs, numbers = np.zeros((70_000, COLUMNS), np.int64), np.zeros((70_000, COLUMNS))
    recorder = Recorder()
    with _launch.use(recorder):
        for operation in (cuda_blurring.convolve, cuda_blurring.convolve_adjoint):
            operation(image, image, jobs, numbers, image, Size(70_000, 3, 512, 512, 512, 512))
    assert set(recorder.launches) == {"convolve", "convolve_extended", "convolve_fold"}
    for function, (text, shared_bytes, grid, block) in recorder.launches.items():
        needs = usage(text, 90)[function]
        assert needs.spill_bytes == 0, f"{function}: {needs}"
        assert needs.registers * block[0] * block[1] <= 65536
        assert shared_bytes <= _launch.SHARED_WITHOUT_OPT_IN
        assert grid[1] <= 65535


@emulated
def test_no_job_is_left_out_beyond_the_limits_of_a_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_launch, "GRID_LIMITS", (2, 2, 1))
    batch = batch_of(CUDA_CASES[:4] + CUDA_CASES[:1], "float32")
    expected = batch.run(convolve_adjoint, backwards=True)

    def operation(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
        with _launch.use(Emulator("forward")):
            cuda_blurring.convolve_adjoint(src, dst, jobs, numbers, table, size)

    assert all(map(same_bits, expected, batch.run(operation, backwards=True)))


def test_the_border_of_the_text_is_the_border() -> None:
    """A window with a single 1 far off the middle shows which sample each one beyond the border is taken from."""
    for n in (1, 2, 5):
        image = np.arange(1.0, n + 1).reshape(1, 1, n)
        for mode in range(5):
            for at in (0, 126):
                table = np.zeros(127)
                table[at] = 1
                batch = Scattered([Sample(image, image.shape, {"A": 0, "B": 1, "C": 127, "D": mode}, (CVAL,))], table, "float64")
                wanted = [border_index(x + at - 63, n, mode) for x in range(n)]
                (found,) = batch.run(convolve)
                assert found.ravel().tolist() == [CVAL if i < 0 else image[0, 0, i] for i in wanted]
