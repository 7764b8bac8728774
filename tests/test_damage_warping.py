"""Geometry of samples: whole-pixel moves, homographies and elastic displacements, and their transposes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from imrestore_kernels.cpu import warping as cpu
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda import warping as cuda
from imrestore_kernels.samples import Size

import imrestore
from tests.backends import same_bits
from tests.cuda_on_cpu.emulator import compiler
from tests.cuda_on_cpu.toolchain import nvrtc_path, ptxas_path, usage
from tests.oracles import damage_warping as oracle
from tests.sample_batches import Sample, Scattered, check_same_on_cuda
from tests.test_cuda_compile import Recorder

#: Shapes of images and of results: larger, smaller, of one pixel, of exactly a block of 16 columns and of one less.
SHAPES = [
    ((1, 5, 7), (1, 8, 9)),
    ((3, 9, 21), (3, 6, 40)),
    ((2, 1, 1), (2, 3, 2)),
    ((4, 4, 16), (4, 5, 16)),
    ((1, 20, 1), (1, 17, 15)),
    ((1, 6, 30), (1, 1, 1)),
]
#: Rows A + B y + C x and columns D + E y + F x: crops, flips and shifts, and with the axes exchanged.
MOVES = [(0, 1, 0, 0, 0, 1), (-2, 1, 0, 3, 0, -1), (4, -1, 0, -3, 0, 1)]
MOVES += [(1, 0, 1, -2, 1, 0), (5, 0, -1, 9, -1, 0), (0, 0, -1, 2, 1, 0)]
HOMOGRAPHIES = [
    (1, 0, 0, 0, 1, 0, 0, 0, 1),
    (0.9013, 0.2007, -1.3171, -0.3019, 1.2023, 0.6131, 0, 0, 1),
    (2.2031, 0.1009, -3.0177, 0.3011, 1.6021, -2.0123, 0.0203, 0.0307, 1.5),
    (1.0103, 0, 0.2571, 0, 1.0217, 0.7503, 0.1013, 0.0517, -0.4011),  # the horizon runs through it
    (1, 0, 900, 0, 1, -700, 0, 0, 1),  # far away
]
KNOTS = np.random.default_rng(5).normal(0, 1.5, (5, 6, 2))


def moves(dtype: str, mode: int) -> Scattered:
    """All shapes with all moves in turn."""
    rng = np.random.default_rng(mode)
    samples = []
    for k, (shape, out) in enumerate(SHAPES):
        columns = dict(zip("ABCDEF", MOVES[(k + mode) % len(MOVES)], strict=True))
        samples.append(Sample(rng.normal(size=shape), out, columns, [mode, 0.75]))
    return Scattered(samples, [0.0], dtype)


def warps(dtype: str, interpolation: int, mode: int, elastic: bool) -> Scattered:
    """All shapes with all homographies in turn."""
    rng = np.random.default_rng(mode)
    samples = []
    for k, (shape, out) in enumerate(SHAPES):
        numbers = [*HOMOGRAPHIES[(k + mode) % len(HOMOGRAPHIES)], 0.75]
        columns = {"A": 3 if elastic else -1, "B": 5, "C": 6, "D": interpolation, "E": mode}
        samples.append(Sample(rng.normal(size=shape), out, columns, numbers))
    return Scattered(samples, [9, 9, 9, *KNOTS.ravel()], dtype)


@pytest.mark.parametrize("mode", range(5))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_moves(dtype: str, mode: int) -> None:
    batch = moves(dtype, mode)
    for sample, found in zip(batch.samples, batch.run(cpu.place), strict=True):
        wanted = oracle.place(sample.image.astype(dtype), sample.out, tuple(sample.columns.values()), mode, 0.75)
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("elastic", [False, True])
@pytest.mark.parametrize("mode", range(5))
@pytest.mark.parametrize("interpolation", range(3))
def test_warps(interpolation: int, mode: int, elastic: bool) -> None:
    batch = warps("float64", interpolation, mode, elastic)
    knots = KNOTS if elastic else None
    for sample, found in zip(batch.samples, batch.run(cpu.warp), strict=True):
        wanted = oracle.warp(sample.image, sample.out, sample.numbers[:9], knots, interpolation, mode, 0.75)
        # Coordinates are known to 1e-13 of themselves, and next to the horizon they are some thousands.
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)
    single = warps("float32", interpolation, mode, elastic)
    if interpolation:  # a coordinate next to a half may go either way
        for exact, found in zip(batch.run(cpu.warp), single.run(cpu.warp), strict=True):
            np.testing.assert_allclose(found, exact, rtol=0, atol=3e-5)


def test_a_warp_by_whole_pixels_is_a_move() -> None:
    image = np.random.default_rng(1).normal(size=(3, 40, 50)).astype(np.float32)
    for interpolation in range(3):
        columns = dict(zip("ABCDEF", (-3, 1, 0, 5, 0, 1), strict=True))
        moved = Scattered([Sample(image, image.shape, columns, [3, 0])], [0.0], "float32")
        numbers = [1, 0, 5, 0, 1, -3, 0, 0, 1, 0]
        warped = Scattered([Sample(image, image.shape, {"A": -1, "D": interpolation, "E": 3}, numbers)], [0.0], "float32")
        np.testing.assert_array_equal(warped.run(cpu.warp)[0], moved.run(cpu.place)[0])


def test_coordinates_that_are_no_numbers_are_outside() -> None:
    numbers = [np.nan] * 6 + [0, 0, 1, 5]
    batch = Scattered([Sample(np.ones((1, 4, 20)), (1, 2, 20), {"A": -1, "D": 1, "E": 4}, numbers)], [0.0], "float64")
    np.testing.assert_array_equal(batch.run(cpu.warp)[0], np.full((1, 2, 20), 5.0))


@pytest.mark.parametrize("interpolation", range(3))
def test_displacements_that_are_no_numbers_move_their_pixels_outside(interpolation: int) -> None:
    image = 1 + np.random.default_rng(1).random((1, 40, 70))
    columns = {"A": 0, "B": 12, "C": 22, "D": interpolation, "E": 4}
    results = []
    for bad in (0.0, np.nan):
        knots = np.zeros((12, 22, 2))
        knots[6, 11] = bad
        batch = Scattered([Sample(image, image.shape, columns, [1, 0, 0, 0, 1, 0, 0, 0, 1, -5])], knots, "float64")
        results.append(batch.run(cpu.warp)[0])
        if compiler() is not None:
            check_same_on_cuda(batch, cpu.warp, cuda.warp)
    assert (results[0] > 0).all()
    moved = results[1] == -5
    assert 100 < moved.sum() < 400
    np.testing.assert_array_equal(results[1][~moved], results[0][~moved])


def dense(batch_of: Callable[[np.ndarray], Scattered], shape: tuple[int, ...], out: tuple[int, ...], name: str) -> tuple[Any, Any]:
    """An operation and its adjoint as matrices, a column for each unit image."""
    operation, back = getattr(cpu, name), []
    forward = [batch_of(unit.reshape(shape)).run(operation)[0].ravel() for unit in np.eye(int(np.prod(shape)))]
    for unit in np.eye(int(np.prod(out))):
        batch = batch_of(np.zeros(shape))
        batch.fill_results([unit.reshape(out)])
        back.append(batch.run(getattr(cpu, f"{name}_adjoint"), backwards=True)[0].ravel())
    return np.array(forward).T, np.array(back).T


@pytest.mark.parametrize("mode", range(5))
@pytest.mark.parametrize(("shape", "out"), [((2, 4, 5), (2, 7, 6)), ((1, 1, 1), (1, 3, 4)), ((1, 3, 18), (1, 2, 33))])
def test_adjoints_are_the_transposed_matrices(shape: tuple[int, int, int], out: tuple[int, int, int], mode: int) -> None:
    for move in MOVES:
        columns = dict(zip("ABCDEF", move, strict=True))
        forward, back = dense(
            lambda image, columns=columns: Scattered([Sample(image, out, columns, [mode])], [0.0], "float64"), shape, out, "place"
        )
        np.testing.assert_array_equal(forward.T, back)
    for interpolation in range(3):
        for homography, start in ((HOMOGRAPHIES[1], 0), (HOMOGRAPHIES[2], -1)):
            own = {"A": start, "B": 5, "C": 6, "D": interpolation, "E": mode}
            forward, back = dense(
                lambda image, own=own, numbers=homography: Scattered([Sample(image, out, own, numbers)], KNOTS, "float64"),
                shape, out, "warp",
            )  # fmt: skip
            np.testing.assert_allclose(forward.T, back, rtol=0, atol=1e-14)


@pytest.mark.parametrize("interpolation", range(3))
def test_inner_products(interpolation: int) -> None:
    rng = np.random.default_rng(interpolation)
    shape, out = (2, 60, 70), (2, 50, 80)
    image, gradient = rng.normal(size=shape), rng.normal(size=out)
    columns = {"A": 0, "B": 5, "C": 6, "D": interpolation, "E": interpolation}
    batch = Scattered([Sample(image, out, columns, [0.8, 0.2, -2, -0.1, 1.1, 3, 1e-3, 0, 1])], KNOTS, "float64")
    forward = float(np.vdot(batch.run(cpu.warp)[0], gradient))
    batch.fill_results([gradient])
    back = float(np.vdot(batch.run(cpu.warp_adjoint, backwards=True)[0], image))
    assert abs(forward - back) < 1e-12 * float(np.sqrt((image**2).sum() * (gradient**2).sum()))


def test_gradients_that_are_not_finite_or_of_any_size() -> None:
    rng = np.random.default_rng(0)
    out, numbers = (3, 6, 7), HOMOGRAPHIES[1]
    gradient = rng.normal(size=out)
    results = []
    for scale in (1.0, 2.0**900, 2.0**-900):
        batch = Scattered([Sample(np.zeros((3, 5, 5)), out, {"A": -1, "D": 1, "E": 0}, numbers)], [0.0], "float64")
        batch.fill_results([gradient * scale])
        results.append(batch.run(cpu.warp_adjoint, backwards=True)[0] / scale)
        assert same_bits(results[0], results[-1])
    for bad in (np.nan, np.inf, -np.inf):
        broken = gradient.copy()
        broken[1, 2, 3] = bad
        batch.fill_results([broken])
        found = batch.run(cpu.warp_adjoint, backwards=True)[0]
        assert np.isnan(found[1]).all()
        assert same_bits(found[2], batch_result(broken, out, numbers)[2])
    batch.fill_results([np.zeros(out)])
    assert not batch.run(cpu.warp_adjoint, backwards=True)[0].any()


def batch_result(gradient: np.ndarray, out: tuple[int, int, int], numbers: Any) -> np.ndarray:
    """The adjoint of channels that are finite."""
    batch = Scattered([Sample(np.zeros((3, 5, 5)), out, {"A": -1, "D": 1, "E": 0}, numbers)], [0.0], "float64")
    batch.fill_results([np.nan_to_num(gradient, posinf=0, neginf=0)])
    return batch.run(cpu.warp_adjoint, backwards=True)[0]


def test_same_bits_for_any_number_of_threads() -> None:
    rng = np.random.default_rng(0)
    sample = Sample(rng.normal(size=(3, 200, 210)), (3, 190, 220), {"A": 0, "B": 5, "C": 6, "D": 2, "E": 1}, HOMOGRAPHIES[1])
    turn = Sample(sample.image, (3, 210, 200), dict(zip("ABCDEF", (0, 0, 1, 0, 1, 0), strict=True)), [0])
    for one, names in ((sample, ("warp", "warp_adjoint")), (turn, ("place", "place_adjoint"))):
        batch = Scattered([one], KNOTS, "float32")
        batch.fill_results([rng.normal(size=one.out)])
        for name in names:
            results = []
            for threads in (1, 2):
                with imrestore.threads(threads):
                    results.append(batch.run(getattr(cpu, name), backwards=name.endswith("adjoint"))[0])
            assert same_bits(*results)


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cuda_gives_the_same_bits(dtype: str) -> None:
    rng = np.random.default_rng(0)
    for mode in range(5):
        batches = [("place", moves(dtype, mode)), ("warp", warps(dtype, mode % 3, mode, mode > 1))]
        for name, batch in batches:
            check_same_on_cuda(batch, getattr(cpu, name), getattr(cuda, name))
            batch.fill_results([rng.normal(size=sample.out) for sample in batch.samples])
            check_same_on_cuda(batch, getattr(cpu, f"{name}_adjoint"), getattr(cuda, f"{name}_adjoint"), backwards=True)


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
def test_one_block_alone_makes_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_launch, "GRID_LIMITS", (1, 1, 1))
    rng = np.random.default_rng(1)
    sample = Sample(rng.normal(size=(2, 40, 35)), (2, 36, 40), {"A": -1, "D": 1}, HOMOGRAPHIES[1])
    batch = Scattered([sample] * 2, KNOTS, "float32")
    check_same_on_cuda(batch, cpu.warp, cuda.warp)
    batch.fill_results([rng.normal(size=sample.out) for _ in range(2)])
    check_same_on_cuda(batch, cpu.warp_adjoint, cuda.warp_adjoint, backwards=True)


@pytest.mark.skipif(nvrtc_path() is None or ptxas_path() is None, reason="NVRTC and ptxas are not installed")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiles_without_spills(dtype: str) -> None:
    recorder = Recorder()
    array, jobs = np.zeros(1, dtype), np.zeros((1, 16), np.int64)
    with _launch.use(recorder):
        for name in ("place", "place_adjoint", "warp", "warp_adjoint"):
            getattr(cuda, name)(array, array, jobs, np.zeros((1, 16)), array, Size(70_000, 3, 512, 512, 256, 256))
    assert len(recorder.launches) == 6
    for function, (text, shared_bytes, grid, block) in recorder.launches.items():
        needs = usage(text, 90)[function]
        assert needs.spill_bytes == 0, f"{function}: {needs}"
        assert needs.registers * block[0] * block[1] <= 65536
        assert shared_bytes <= _launch.SHARED_WITHOUT_OPT_IN
        assert grid[1] <= 65535
