"""Mosaics of a camera's colour filters, the way back, and tone curves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from imrestore_kernels.cpu import camera as cpu
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda import camera as cuda
from imrestore_kernels.curves import Curve
from imrestore_kernels.samples import Size
from scipy import ndimage

import imrestore
from tests.backends import same_bits
from tests.cuda_on_cpu.emulator import compiler
from tests.cuda_on_cpu.toolchain import nvrtc_path, ptxas_path, usage
from tests.sample_batches import Sample, Scattered, check_same_on_cuda
from tests.test_cuda_compile import Recorder

PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
SIZES = [(24, 70), (7, 13), (5, 4), (33, 20), (6, 6), (2, 2), (3, 2), (2, 9), (31, 3)]
THIN = [(1, 1), (1, 9), (8, 1), (1, 2)]


def filters(pattern: int, height: int, width: int) -> np.ndarray:
    """1 where a filter of a channel is open."""
    tile = np.array([["RGB".index(letter) for letter in PATTERNS[pattern][row : row + 2]] for row in (0, 2)])
    colours = tile[np.arange(height)[:, None] % 2, np.arange(width) % 2]
    return (np.arange(3)[:, None, None] == colours).astype(float)


def demosaiced(plane: np.ndarray, pattern: int, malvar: bool) -> np.ndarray:
    """By convolutions of the whole plane, each taken where it is meant: figure 2 of Malvar, He and Cutler."""
    height, width = plane.shape
    letters = np.array(list("RGB"))[filters(pattern, height, width).argmax(axis=0)]
    in_red_row = np.broadcast_to(np.any(letters == "R", axis=1, keepdims=True), letters.shape)
    if height == 1 or width == 1:  # the filters of pixels that are beyond the border say which row it would be
        in_red_row = np.broadcast_to(np.any(filters(pattern, height, 2)[0] > 0, axis=1, keepdims=True), letters.shape)
    if malvar:
        cross = [[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]]
        along = [[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]]
        corners = [[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0], [0, 0, -1.5, 0, 0]]
        kernels = [np.array(k) / 8 for k in (cross, along, np.transpose(along), corners)]
    else:
        cross, along, corners = [[0, 1, 0], [1, 0, 1], [0, 1, 0]], [[1, 0, 1]], [[1, 0, 1], [0, 0, 0], [1, 0, 1]]
        kernels = [np.array(k) / np.sum(k) for k in (cross, along, np.transpose(along), corners)]
    at_colour, along_row, along_column, across = (ndimage.correlate(plane, k, mode="mirror") for k in kernels)
    result = np.empty((3, height, width))
    result[1] = np.where(letters == "G", plane, at_colour)
    for c, letter, in_own_row in ((0, "R", in_red_row), (2, "B", ~in_red_row)):
        at_green = np.where(in_own_row, along_row, along_column)
        result[c] = np.where(letters == letter, plane, np.where(letters == "G", at_green, across))
    return result


def encoded(x: np.ndarray) -> np.ndarray:
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-9) ** (1 / 2.4) - 0.055)


def decoded(x: np.ndarray) -> np.ndarray:
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def odd(f: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.sign(x) * f(np.abs(x))


CURVES: dict[Curve, Callable[[np.ndarray], np.ndarray]] = {
    Curve.POWER: odd(lambda x: x**0.45),
    Curve.ENCODE: odd(encoded),
    Curve.DECODE: odd(decoded),
    Curve.TONE: lambda x: np.clip(x, 0, 1) ** 2 * (3 - 2 * np.clip(x, 0, 1)),
    Curve.INVERSE_TONE: lambda x: 0.5 - np.sin(np.arcsin(1 - 2 * np.clip(x, 0, 1)) / 3),
}


def mosaics(single: bool, dtype: str, in_place: bool = False) -> Scattered:
    rng = np.random.default_rng(3)
    samples = [
        Sample(rng.normal(size=(3, *size)), (1 if single else 3, *size), {"A": i % 4, "B": int(single)})
        for i, size in enumerate(SIZES + THIN)
    ]
    return Scattered(samples, [0.0], dtype, in_place)


def planes(malvar: bool, dtype: str, sizes: list[tuple[int, int]] = SIZES + THIN, pattern: int = 0) -> Scattered:
    rng = np.random.default_rng(4)
    columns = [{"A": (i + pattern) % 4, "B": int(malvar)} for i in range(len(sizes))]
    return Scattered([Sample(rng.normal(size=(1, *s)), (3, *s), c) for s, c in zip(sizes, columns, strict=True)], [0.0], dtype)


def values(kind: Curve, white: float, dtype: str, in_place: bool = False) -> Scattered:
    rng = np.random.default_rng(5)
    samples = []
    for shape in [(3, 24, 70), (1, 1, 1), (2, 5, 4)]:
        image = white * rng.uniform(-0.3, 1.4, shape)
        image.flat[: min(6, image.size)] = white * np.array([0, 1, 0.003, 0.04, 1e-7, 0.5])[: image.size]
        samples.append(Sample(image, shape, {"A": kind}, [white, 0.45]))
    return Scattered(samples, [0.0], dtype, in_place)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_mosaic_keeps_what_its_filters_let_through(dtype: str) -> None:
    batches = [(False, mosaics(False, dtype)), (False, mosaics(False, dtype, in_place=True)), (True, mosaics(True, dtype))]
    for single, batch in batches:
        for sample, found in zip(batch.samples, batch.run(cpu.mosaic), strict=True):
            kept = sample.image.astype(dtype) * filters(sample.columns["A"], *sample.image.shape[1:])
            np.testing.assert_array_equal(found, kept.sum(axis=0, keepdims=True) if single else kept)


@pytest.mark.parametrize("malvar", [False, True])
@pytest.mark.parametrize("pattern", range(4))
def test_demosaicing_matches_the_definition(pattern: int, malvar: bool) -> None:
    batch = planes(malvar, "float64", pattern=pattern)
    for sample, found in zip(batch.samples, batch.run(cpu.demosaic), strict=True):
        np.testing.assert_allclose(found, demosaiced(sample.image[0], sample.columns["A"], malvar), rtol=0, atol=1e-14)
    narrow = planes(malvar, "float32", pattern=pattern).run(cpu.demosaic)
    for exact, found in zip(batch.run(cpu.demosaic), narrow, strict=True):
        np.testing.assert_allclose(found, exact, rtol=0, atol=4e-6)  # a dozen roundings of sums up to 10


@pytest.mark.parametrize("malvar", [False, True])
def test_colours_that_fall_evenly_are_found_again(malvar: bool) -> None:
    """Both ways are linear, and exact on ramps of one colour shared by all channels, but at the border."""
    y, x = np.mgrid[:12, :16]
    ramp = 0.5 + 0.02 * y + 0.03 * x
    for pattern in range(4):
        plane = (filters(pattern, 12, 16) * ramp).sum(axis=0)
        batch = Scattered([Sample(plane[None], (3, 12, 16), {"A": pattern, "B": int(malvar)})], [0.0], "float64")
        inside = np.s_[:, 2:-2, 2:-2]
        np.testing.assert_allclose(batch.run(cpu.demosaic)[0][inside], np.broadcast_to(ramp, (3, 12, 16))[inside], atol=1e-14)


ADJOINTS = {
    "three-channels": (mosaics, False, "mosaic"),
    "one-plane": (mosaics, True, "mosaic"),
    "bilinear": (planes, False, "demosaic"),
    "malvar": (planes, True, "demosaic"),
}


@pytest.mark.parametrize("case", ADJOINTS)
def test_the_adjoint_is_the_transpose(case: str) -> None:
    make, option, name = ADJOINTS[case]
    batch: Scattered = make(option, "float64")
    results = batch.run(getattr(cpu, name))
    gradients = [np.random.default_rng(5).normal(size=s.out) for s in batch.samples]
    batch.fill_results(gradients)
    for sample, forward, gradient, back in zip(
        batch.samples, results, gradients, batch.run(getattr(cpu, f"{name}_adjoint"), backwards=True), strict=True
    ):
        scale = np.linalg.norm(forward) * np.linalg.norm(gradient) + 1e-300
        assert abs(np.vdot(forward, gradient) - np.vdot(sample.image, back)) <= 1e-12 * scale


@pytest.mark.parametrize("malvar", [False, True])
@pytest.mark.parametrize("size", [(5, 4), (1, 3), (2, 7), (9, 8)])
def test_the_adjoint_has_the_transposed_matrix(size: tuple[int, int], malvar: bool) -> None:
    count = size[0] * size[1]
    columns = {"A": 2, "B": int(malvar)}
    units = [Sample(one.reshape(1, *size), (3, *size), columns) for one in np.eye(count)]
    forward = np.array([found.ravel() for found in Scattered(units, [0.0], "float64").run(cpu.demosaic)])
    back = Scattered([Sample(np.zeros((1, *size)), (3, *size), columns)] * (3 * count), [0.0], "float64")
    back.fill_results(list(np.eye(3 * count)))
    found = np.array([one.ravel() for one in back.run(cpu.demosaic_adjoint, backwards=True)])
    np.testing.assert_allclose(found, forward.T, rtol=0, atol=1e-15)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("kind", list(Curve))
def test_curves_match_their_formulas(kind: Curve, in_place: bool) -> None:
    """float32: a few roundings, more where a power is of a number far below 1."""
    for dtype, tolerance in (("float32", 1e-6), ("float64", 2e-15)):
        for white in (1.0, 255.0):
            batch = values(kind, white, dtype, in_place)
            for sample, found in zip(batch.samples, batch.run(cpu.curve), strict=True):
                expected = CURVES[kind](sample.image.astype(dtype).astype(float) / white)
                # The sine of Brooks et al. has but half the digits near its ends: the test is of tones there.
                close = 2e-8 if kind == Curve.INVERSE_TONE and dtype == "float64" else tolerance
                np.testing.assert_allclose(found / white, expected, rtol=tolerance, atol=close)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_inverse_tone_is_the_inverse(dtype: str) -> None:
    """To a few roundings of a tone, and the tone's own where it is flat."""
    tones = np.concatenate([np.linspace(0, 1, 5001), np.geomspace(1e-30, 1, 999)]).reshape(1, 1, -1)
    columns, numbers = {"A": Curve.INVERSE_TONE}, [1.0]
    (found,) = Scattered([Sample(tones, tones.shape, columns, numbers)], [0.0], dtype).run(cpu.curve)
    v = found.astype(np.longdouble)
    wrong = v * v * (3 - 2 * v) - tones.astype(dtype)
    assert (np.abs(wrong) <= 4 * np.finfo(dtype).eps * np.maximum(tones, 0)).all()


@pytest.mark.parametrize("kind", list(Curve))
def test_slopes_are_those_of_the_curves(kind: Curve) -> None:
    batch = values(kind, 2.0, "float64")
    gradients = [np.random.default_rng(6).normal(size=s.out) for s in batch.samples]
    batch.fill_results(gradients)
    before = batch.src.copy()
    step = 1e-6
    for sample, gradient, found in zip(
        batch.samples, gradients, batch.run(cpu.curve_gradient, before, backwards=True), strict=True
    ):
        x = sample.image / 2
        slope = (CURVES[kind](x + step) - CURVES[kind](x - step)) / (2 * step)
        # The difference is of no use next to a corner or a slope that is infinite.
        smooth = np.all([np.abs(np.abs(x) - corner) > 1e-3 for corner in (0, 1, 0.0031308, 0.04045)], axis=0)
        np.testing.assert_allclose(found[smooth], (gradient * slope)[smooth], rtol=1e-5, atol=1e-7)
        assert np.isfinite(found).all()


def test_slopes_that_are_infinite_are_bounded() -> None:
    for kind, exponent, slope in ((Curve.POWER, 0.5, 0.5e4), (Curve.INVERSE_TONE, 1.0, 1e4)):
        batch = Scattered([Sample(np.zeros((1, 1, 1)), (1, 1, 1), {"A": kind}, [1.0, exponent])], [0.0], "float64")
        batch.fill_results([np.ones(1)])
        (found,) = batch.run(cpu.curve_gradient, batch.src, backwards=True)
        assert found.item() == pytest.approx(slope)


@pytest.mark.parametrize("kind", list(Curve))
def test_nan_stays_where_it_is(kind: Curve) -> None:
    batch = values(kind, 1.0, "float32")
    batch.src[batch.jobs[0, 0] + 70] = np.nan
    batch.fill_results([np.ones(s.out) for s in batch.samples])
    for found in (batch.run(cpu.curve)[0], batch.run(cpu.curve_gradient, batch.src, backwards=True)[0]):
        assert np.isnan(found.ravel()[70])
        assert np.isnan(found).sum() == 1


def test_any_number_of_threads_gives_the_same_bits() -> None:
    rng = np.random.default_rng(2)
    image, plane = rng.normal(size=(3, 301, 402)), rng.normal(size=(1, 301, 402))
    calls = [
        (cpu.mosaic, Sample(image, image.shape, {"A": 1})),
        (cpu.demosaic, Sample(plane, image.shape, {"A": 1, "B": 1})),
        (cpu.curve, Sample(image, image.shape, {"A": 0}, [1.0, 0.5])),
    ]
    for operation, sample in calls:
        batch, results = Scattered([sample], [0.0], "float32"), []
        for threads in (1, 2):
            with imrestore.threads(threads):
                results += batch.run(operation)
        assert same_bits(*results)
    batch, results = Scattered([calls[1][1]], [0.0], "float64"), []
    batch.fill_results([image])
    for threads in (1, 2):
        with imrestore.threads(threads):
            results += batch.run(cpu.demosaic_adjoint, backwards=True)
    assert same_bits(*results)


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
@pytest.mark.parametrize("case", ADJOINTS)
def test_cuda_gives_the_same_bits(case: str) -> None:
    make, option, name = ADJOINTS[case]
    batch: Scattered = make(option, "float64" if name == "demosaic" else "float32")
    check_same_on_cuda(batch, getattr(cpu, name), getattr(cuda, name))
    batch.fill_results([np.random.default_rng(5).normal(size=s.out) for s in batch.samples])
    name = f"{name}_adjoint"
    check_same_on_cuda(batch, getattr(cpu, name), getattr(cuda, name), backwards=True)


@pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_curves_on_cuda_have_the_same_bits(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in Curve:
        monkeypatch.setattr(_launch, "GRID_LIMITS", (1, 1, 1) if kind == Curve.TONE else (9, 9, 9))
        batch = values(kind, 3.0, dtype, in_place=kind == Curve.ENCODE)
        check_same_on_cuda(batch, cpu.curve, cuda.curve)
        batch = values(kind, 3.0, dtype)
        batch.fill_results([np.random.default_rng(5).normal(size=s.out) for s in batch.samples])
        image = batch.src.copy()
        check_same_on_cuda(batch, cpu.curve_gradient, cuda.curve_gradient, image, backwards=True)


CALLS: dict[str, tuple[Callable[..., None], tuple[Any, ...]]] = {
    "mosaic": (cuda.mosaic, ()),
    "mosaic_adjoint": (cuda.mosaic_adjoint, ()),
    "demosaic": (cuda.demosaic, ()),
    "demosaic_adjoint": (cuda.demosaic_adjoint, ()),
    "curve": (cuda.curve, ()),
    "curve_gradient": (cuda.curve_gradient, (np.zeros(1),)),
}


@pytest.mark.skipif(nvrtc_path() is None or ptxas_path() is None, reason="NVRTC and ptxas are not installed")
@pytest.mark.parametrize("name", CALLS)
def test_compiles_without_spills(name: str) -> None:
    operation, more = CALLS[name]
    for dtype in ("float32", "float64"):
        recorder = Recorder()
        with _launch.use(recorder):
            operation(*[np.zeros(1, dtype)] * 5, Size(70_000, 3, 40_000_000, 512, 512, 512), *more)
        for function, (text, _, grid, block) in recorder.launches.items():
            needs = usage(text, 90)[function]
            assert needs.spill_bytes == 0, f"{function}: {needs}"
            assert grid[0] < 2**31
            assert grid[1] <= 65535
            assert block[0] * block[1] * needs.registers <= 65536
