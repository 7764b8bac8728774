"""Noise of single pixels: the kernels of both rings against whole-array arithmetic, to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest
from imrestore_kernels.cpu import noising
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda import noising as cuda_noising
from imrestore_kernels.samples import COLUMNS, Job, Size

import imrestore
from tests.backends import same_bits
from tests.cuda_on_cpu.emulator import ORDERS, Emulator, compiler
from tests.cuda_on_cpu.toolchain import assemble, compile_ptx, nvrtc_path, ptxas_path
from tests.oracles.damage_noising import ORACLES, hits, own_or_shared

emulated = pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
compiled = pytest.mark.skipif(
    nvrtc_path() is None or ptxas_path() is None, reason="NVRTC and ptxas are not installed (nvidia-cuda-nvrtc-cu12, -nvcc-cu12)"
)

DTYPES = ("float32", "float64")
#: Every size of a batch: one value, less than a group, more than a chunk, and numbers of channels that put planes anywhere in one.
SHAPES = ((1, 1, 1), (3, 5, 7), (2, 17, 33), (4, 6, 11), (1, 1, 130), (5, 3, 3), (3, 43, 60))
OWN, SHARED = -1, -2

#: name -> (operation, columns A and B, numbers, scale of the image)
CASES: dict[str, tuple[str, tuple[int, int], tuple[float, ...], float]] = {
    "gaussian": ("gaussian", (OWN, 0), (0.3,), 1.0),
    "gaussian-shared": ("gaussian", (SHARED, 0), (25.0,), 255.0),
    "gaussian-correlated": ("gaussian", (3, 0), (), 1.0),
    "speckle": ("speckle", (OWN, 0), (0.2,), 1.0),
    "speckle-shared": ("speckle", (SHARED, 0), (0.2,), 1.0),
    "poisson-few": ("poisson", (OWN, 0), (0.25, 0.0, 0.0), 1.0),
    "poisson-some": ("poisson", (OWN, 0), (2.0, 1.5, 16.0), 80.0),
    "poisson-less": ("poisson", (OWN, 0), (2.0, 1.5, 16.0, -0.7), 80.0),
    "poisson-many": ("poisson", (OWN, 0), (1.0, 0.0, -5.0), 1e9),
    "poisson-grey": ("poisson", (SHARED, 0), (0.03, 0.01, 0.1, 1.5), 1.0),
    "read-noise-alone": ("poisson", (OWN, 0), (0.0, 2.0, 0.5), 1.0),
    "salt-and-pepper": ("impulse", (0, 0), (0.4, 0.3, -1.0, 2.0), 1.0),
    "salt-and-pepper-pixels": ("impulse", (0, 1), (0.4, 0.7, -1.0, 2.0), 1.0),
    "random-values": ("impulse", (1, 0), (0.4, 0.0, -1.0, 2.0), 1.0),
    "random-pixels": ("impulse", (1, 1), (0.4, 0.0, -1.0, 2.0), 1.0),
    "all-hit": ("impulse", (0, 0), (1.0, 1.0, -1.0, 2.0), 1.0),
    "none-hit": ("impulse", (1, 1), (0.0, 0.0, -1.0, 2.0), 1.0),
    "rows": ("lines", (0, 0), (0.2, 0.1, 7.3, 0.2), 1.0),
    "rows-of-all-channels": ("lines", (0, 1), (0.2, 0.0, 0.0, 0.0), 1.0),
    "columns": ("lines", (1, 0), (0.2, 0.0, 0.0, 0.0), 1.0),
    "columns-of-all-channels": ("lines", (1, 1), (0.0, 0.5, 3.1, 0.9), 1.0),
    "quantize": ("quantize", (0, 0), (0.125, 0.03), 1.0),
    "clip": ("clip", (0, 0), (0.25, 0.75), 1.0),
}


class Batch(NamedTuple):
    """Images of different sizes at scattered places, and the arguments of an operation on them."""

    images: list[np.ndarray]
    src: np.ndarray
    dst: np.ndarray
    jobs: np.ndarray
    numbers: np.ndarray
    table: np.ndarray
    written: np.ndarray  # which values of dst belong to a result

    def run(self, function: Any, *more: Any) -> np.ndarray:
        function(self.src, self.dst, self.jobs, self.numbers, self.table, Size.of(self.jobs), *more)
        return self.dst

    def results(self, column: int = Job.DST) -> list[np.ndarray]:
        places = [slice(int(job[column]), int(job[column]) + image.size) for job, image in zip(self.jobs, self.images, strict=True)]
        return [self.dst[place].reshape(image.shape) for place, image in zip(places, self.images, strict=True)]


def batch(
    columns: tuple[int, int], numbers: Sequence[float], dtype: str, scale: float = 1.0, shapes: Any = SHAPES, in_place: bool = False
) -> Batch:
    """Samples with gaps of 5 values before each; dst in another order, full of sevens."""
    rng = np.random.default_rng(3)
    images = [(rng.random(shape) * scale).astype(dtype) for shape in shapes]
    total = sum(image.size + 5 for image in images)
    jobs, given = np.zeros((len(images), COLUMNS), np.int64), np.zeros((len(images), COLUMNS))
    src, at, back = np.full(total, 7, dtype), 0, total
    written = np.zeros(total, bool)
    for i, image in enumerate(images):
        src[at + 5 : at + 5 + image.size] = image.ravel()
        back -= image.size
        jobs[i, : Job.STREAM + 1] = [at + 5, at + 5 if in_place else back, *image.shape, *image.shape[1:], -(i + 5), 2**40 + i, 30]
        written[jobs[i, Job.DST] :][: image.size] = True
        at, back = at + 5 + image.size, back - 5
    jobs[:, Job.A], jobs[:, Job.B] = columns
    given[:, : len(numbers)] = numbers
    table = np.concatenate([np.zeros(3), rng.normal(size=25)]).astype(dtype)
    return Batch(images, src, src if in_place else np.full(total, 7, dtype), jobs, given, table, written)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_every_sample_is_the_oracles(name: str, dtype: str) -> None:
    operation, columns, numbers, scale = CASES[name]
    given = batch(columns, numbers, dtype, scale)
    given.run(getattr(noising, operation))
    assert (given.dst[~given.written] == 7).all(), "a gap was written to"
    for image, result, job in zip(given.images, given.results(), given.jobs, strict=True):
        expected = ORACLES[operation](image, job, given.numbers[0], given.table)
        assert expected.dtype == image.dtype
        assert same_bits(result, expected), image.shape
    placed = batch(columns, numbers, dtype, scale, in_place=True)
    placed.run(getattr(noising, operation))
    assert all(same_bits(a, b) for a, b in zip(placed.results(), given.results(), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_threads_leave_no_trace(name: str) -> None:
    operation, columns, numbers, scale = CASES[name]
    results = []
    for threads in (1, 2):
        with imrestore.threads(threads):
            results.append(batch(columns, numbers, "float32", scale, [(3, 223, 227)]).run(getattr(noising, operation)))
    assert same_bits(*results)


@pytest.mark.parametrize("name", ["gaussian", "speckle", "poisson-some", "poisson-grey", "quantize", "clip"])
def test_values_that_are_not_finite(name: str) -> None:
    operation, columns, numbers, scale = CASES[name]
    given = batch(columns, numbers, "float32", scale, [(1, 3, 50)])
    given.src[15:18] = np.nan, np.inf, -np.inf
    given.run(getattr(noising, operation))
    bad = given.src[5:155]
    with np.errstate(invalid="ignore"):
        expected = ORACLES[operation](bad.reshape(1, 3, 50), given.jobs[0], given.numbers[0], given.table)
    np.testing.assert_array_equal(given.results()[0], expected)
    assert np.isnan(given.results()[0].ravel()[10])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["speckle", "speckle-shared", "salt-and-pepper", "random-pixels"])
def test_adjoint(name: str, dtype: str) -> None:
    """The transpose of what an operation does to differences of images: here a factor for every value."""
    operation, columns, numbers, _ = CASES[name]
    given = batch(columns, numbers, dtype)
    gradients = np.random.default_rng(5).normal(size=given.src.size).astype(dtype)
    back = given._replace(src=gradients, dst=np.full_like(gradients, 7))
    back.run(getattr(noising, f"{operation}_adjoint"))
    for image, result, job in zip(given.images, back.results(Job.SRC), given.jobs, strict=True):
        gradient = gradients[job[Job.DST] :][: image.size].reshape(image.shape)
        if operation == "speckle":
            expected = gradient * (image.dtype.type(1) + image.dtype.type(numbers[0]) * own_or_shared(image, job))
        else:
            expected = np.where(hits(image, job, given.numbers[0]), image.dtype.type(0), gradient)
        assert same_bits(result, expected)
    assert (back.dst[given.src == 7] == 7).all(), "a gap was written to"


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient_of_clipping(dtype: str) -> None:
    given = batch((0, 0), (0.25, 0.75), dtype)
    image = given.src.copy()
    image[5] = np.nan
    gradients = np.random.default_rng(5).normal(size=image.size).astype(dtype)
    back = given._replace(src=gradients, dst=np.full_like(gradients, 7))
    back.run(noising.clip_gradient, image)
    for result, job in zip(back.results(Job.SRC), given.jobs, strict=True):
        x = image[job[Job.SRC] :][: result.size].reshape(result.shape)
        gradient = gradients[job[Job.DST] :][: result.size].reshape(result.shape)
        assert same_bits(result, np.where((x >= 0.25) & (x <= 0.75), gradient, gradient.dtype.type(0)))


def cuda_results(case: tuple[Any, ...], dtype: str, order: str, module: ModuleType = cuda_noising) -> np.ndarray:
    operation, columns, numbers, scale = case
    given = batch(columns, numbers, dtype, scale, SHAPES[:6])
    with _launch.use(Emulator(order)):
        return given.run(getattr(module, operation))


@emulated
@pytest.mark.parametrize("dtype", DTYPES)
def test_cuda_has_the_same_bits(dtype: str) -> None:
    """One text holds all kernels: compiling it is most of this test."""
    for name, case in CASES.items():
        operation, columns, numbers, scale = case
        expected = batch(columns, numbers, dtype, scale, SHAPES[:6]).run(getattr(noising, operation))
        for order in ORDERS if dtype == "float32" else ("forward",):
            assert same_bits(cuda_results(case, dtype, order), expected), name


@emulated
def test_cuda_gradients_have_the_same_bits() -> None:
    for name, more in (("speckle_adjoint", ()), ("impulse_adjoint", ()), ("clip_gradient", (batch((0, 0), (), "float32").src,))):
        results = []
        for module in (noising, cuda_noising):
            given = batch((OWN, 0), (0.3, 0.7), "float32")
            gradients = np.random.default_rng(5).normal(size=given.src.size).astype("float32")
            with _launch.use(Emulator("shuffled")):
                results.append(given._replace(src=gradients).run(getattr(module, name), *more))
        assert same_bits(*results), name


@emulated
def test_a_small_grid_strides_over_samples_and_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_launch, "GRID_LIMITS", (1, 2, 1))
    for name in ("gaussian", "gaussian-correlated", "poisson-some", "salt-and-pepper", "rows", "clip"):
        operation, columns, numbers, scale = CASES[name]
        results = []
        for module in (noising, cuda_noising):
            given = batch(columns, numbers, "float32", scale, [(1, 2, 3), (3, 20, 25), (2, 9, 9)])
            with _launch.use(Emulator("reverse")):
                results.append(given.run(getattr(module, operation)))
        assert same_bits(*results), name


@compiled
@pytest.mark.parametrize("kind", ["float", "double"])
def test_compiles_without_spills_and_fuses_nothing(kind: str) -> None:
    """The emulator would not see a product fused with an addition: the bits of a GPU would differ."""
    ptx = compile_ptx(_launch.source("noising", {"T": kind}), 90)
    assert b"mul.rn.f32" in ptx
    assert b"fma" not in ptx
    for function, needs in assemble(ptx, 90).items():
        assert needs.spill_bytes == 0, f"{function}: {needs}"
        assert needs.registers * 256 <= 65536, f"{function}: a block does not fit a multiprocessor"
