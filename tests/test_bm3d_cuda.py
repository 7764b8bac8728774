"""The stages of BM3D on CUDA without a GPU: the CPU's cases in the emulator, and NVIDIA's own compilers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from imrestore_kernels.bm3d_noise import Noise
from imrestore_kernels.bm3d_profiles import PROFILES, SHIFT_BITS, SIDE, HardThreshold, Stage, Wiener, positions, shifts
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda import bm3d as launcher
from imrestore_kernels.cuda.bm3d import Band, bands, match_shape, run_stage, tile_shape

from tests.backends import same_bits
from tests.cuda_on_cpu.emulator import ORDERS, Emulator, compiler
from tests.cuda_on_cpu.toolchain import nvrtc_path, ptxas_path, usage
from tests.oracles import bm3d as oracle
from tests.test_bm3d_kernel import CASES, SPOILT, Case, assert_close, decided, hard, spoilt, wiener
from tests.test_cuda_compile import ARCHITECTURES, Recorder

emulated = pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
compiled = pytest.mark.skipif(
    nvrtc_path() is None or ptxas_path() is None, reason="NVRTC and ptxas are not installed (nvidia-cuda-nvrtc-cu12, -nvcc-cu12)"
)

LAUNCHES = ["bm3d_match", "bm3d_filter", "bm3d_join"]


def run(case: Case, image: np.ndarray, guide: np.ndarray | None, order: str = "forward") -> tuple[np.ndarray, list[str]]:
    emulator = Emulator(order)
    with _launch.use(emulator):
        return run_stage(case.parameters, image, guide, case.noise_of()), emulator.launches


#: Every case with its own order of threads: they take turns.
TURNS = [(case, list(ORDERS)[i % len(ORDERS)]) for i, case in enumerate(CASES)]


@emulated
@pytest.mark.parametrize(("case", "order"), TURNS, ids=[f"{case.id}-{order}" for case, order in TURNS])
def test_a_stage_is_its_definition(case: Case, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    image, guide, expected = decided(case, monkeypatch)
    before = image.copy()
    actual, launches = run(case, image, guide, order)
    assert launches == LAUNCHES
    assert actual.dtype == np.float32
    assert_close(actual, expected, case)
    assert same_bits(image, before)


#: Tiles beside and below each other, blocks of matching too, references off the grid, and every kind of noise.
LARGE = (
    Case(wiener(3, 16, 9, "bior1.5"), (2, 65, 60)),
    Case(hard(5, 8, 9, "dct", threshold=6.0), (1, 99, 173), "local"),
    Case(wiener(8, 16, 39), (1, 101, 100), "correlation"),
    Case(wiener(5, 32, 9, share=1.0), (1, 70, 62)),
    Case(wiener(5, 16, 9, "bior1.5", share=0.5), (1, 72, 64), "local"),
)


@emulated
@pytest.mark.parametrize("case", LARGE, ids=[case.id for case in LARGE])
def test_neither_order_nor_grid_nor_bands_leave_a_trace(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles are put together in their own order, also where those above are done before and carried on."""
    image, guide, expected = decided(case, monkeypatch)
    forward, _ = run(case, image, guide)
    assert_close(forward, expected, case)
    assert same_bits(run(case, image, guide, "reverse")[0], forward)
    monkeypatch.setattr(launcher, "SCRATCH_BYTES", 1)
    monkeypatch.setattr(_launch, "GRID_LIMITS", (1, 1, 1))
    many, launches = run(case, image, guide, "shuffled")
    assert len(launches) > len(LAUNCHES)
    assert launches == LAUNCHES * (len(launches) // len(LAUNCHES))
    assert same_bits(many, forward)


@emulated
@pytest.mark.parametrize("scratch", [2**28, 1])
def test_progress_ends_at_one(scratch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "SCRATCH_BYTES", scratch)
    case = Case(hard(3, 16, 3), (1, 60, 20))
    heard: list[float] = []
    with _launch.use(Emulator()):
        run_stage(case.parameters, *case.images(0), case.noise_of(), heard.append)
    assert heard == ([1.0] if scratch > 1 else [0.5, 1.0])


@emulated
@pytest.mark.parametrize(("noise", "most"), [("white", 60), ("white", 1), ("local", 60)])
@pytest.mark.parametrize("parameters", [hard(3, 16, 19), hard(4, 32, 19, match=1.2), wiener(5, 8, 39)])
def test_groups_are_those_of_the_definition(parameters: Stage, noise: str, most: int) -> None:
    """Of whole numbers, whose distances are exact: all patches, in their order."""
    case = Case(parameters, (1, 33, 36), noise, most)
    image, guide = case.images(0)
    matched = image if guide is None else guide
    variances = oracle.patch_variances(case.noise_of(), image.shape)
    expected = oracle.groups(parameters, matched[0], variances[0])
    with _launch.use(Emulator("shuffled")):
        stage = launcher._Run(parameters, image, guide, case.noise_of())
        (band,) = stage.bands()
        lists = stage.lists_of(band).reshape(-1, parameters.group)
    table = shifts(parameters.window)
    for (start, members), found in zip(expected.items(), lists, strict=True):
        numbers = [int(entry) & (1 << SHIFT_BITS) - 1 for entry in found if entry != 0xFFFFFFFF]
        actual = [(start[0] + table[n][0], start[1] + table[n][1]) for n in numbers]
        assert actual[: len(members)] == members
        assert len(actual) < 2 * len(members)
        assert (np.diff(found.astype(np.int64)) >= 0).all()


@emulated
@pytest.mark.parametrize(("value", "plane"), [(np.nan, 0), (np.nan, 1), (np.inf, 0), (-np.inf, 1)])
@pytest.mark.parametrize("case", SPOILT, ids=[case.id for case in SPOILT])
def test_what_is_not_finite_spoils_its_groups(case: Case, plane: int, value: float) -> None:
    image, guide, expected = spoilt(case, plane, value)
    assert_close(run(case, image, guide, "shuffled")[0], expected, case)


@emulated
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("guided", [False, True])
def test_a_nan_in_one_of_image_and_guide(guided: bool, share: float) -> None:
    case = Case(wiener(3, 16, 9, share=share), (2, 27, 29))
    image, guide = case.images(0)
    assert guide is not None
    (guide if guided else image)[0, 12, 9] = np.nan
    expected = oracle.stage(case.parameters, image, guide, case.noise_of())
    assert 0 < np.isnan(expected[0]).sum() < expected[0].size
    assert_close(run(case, image, guide)[0], expected, case)


@emulated
@pytest.mark.parametrize("period", [4, 5, 6])
def test_a_guide_that_repeats_itself(period: int) -> None:
    """What is left of such patches after a few pivots is rounding errors: with next to nothing beside them they must not grow."""
    case = Case(wiener(3, 32, 19, share=1.0, adaptive=1e-7), (1, 24, 23), period=period)
    image, guide = case.images(0)
    expected = oracle.stage(case.parameters, image, guide, case.noise_of())
    assert_close(run(case, image, guide)[0], expected, case)


@emulated
@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("period", [0, 4])
@pytest.mark.parametrize("parameters", [hard(3, 16, 9), *(wiener(3, 16, 9, share=share) for share in (0.0, 0.5, 1.0))])
def test_without_noise_the_image_stays(parameters: Stage, period: int, local: bool) -> None:
    """Groups of one or of equal patches, all coefficients kept; weights are finite."""
    image, _ = Case(parameters, (1, 20, 22), period=period).images(0)
    guide = None if isinstance(parameters, HardThreshold) else image  # a coefficient that is 0 in a guide only has no gain
    noise = Noise((1.0 if local else 0.0,), np.zeros((1, 13, 15), np.float32) if local else None)
    with _launch.use(Emulator()):
        result = run_stage(parameters, image, guide, noise)
    np.testing.assert_allclose(result, image, rtol=0, atol=1e-4)


def test_every_shape_fits() -> None:
    """Shared memory without an opt-in, whatever is asked for; tiles hold all that their references reach."""
    for step, group, window in itertools.product(range(1, 9), (8, 16, 32), range(1, 46, 2)):
        match, tile = match_shape(step, window), tile_shape(step, group, window)
        assert max(match.shared_bytes, tile.shared_bytes) <= _launch.SHARED_WITHOUT_OPT_IN
        assert match.chunk % 4 == 0
        assert match.chunk >= min(window, 12)
        assert tile.pitch % 16 == 8
        assert tile.pitch >= tile.side == (tile.per_side - 1) * step + SIDE + window - 1


@pytest.mark.parametrize("most", [1, 2, 100])
@pytest.mark.parametrize("step", [1, 3, 8])
@pytest.mark.parametrize("window", [1, 9, 39])
@pytest.mark.parametrize("height", [8, 9, 64, 500])
def test_bands_hand_every_row_on(height: int, window: int, step: int, most: int) -> None:
    tile, rows, reach = tile_shape(step, 16, window), positions(height, step), window // 2
    found = bands(rows, tile, reach, most)
    covered = [i for band in found for i in range(band.first, band.first + band.tile_rows)]
    assert covered == list(range(-(-len(rows) // tile.per_side)))
    assert found[-1].final_until == found[-1].row_stop == height
    before = Band(0, 0, 0, 0, 0, 0)
    for band in found:
        assert band.row_start == before.final_until
        assert band.carried_until == before.row_stop
        assert band.tile_rows <= most
        assert band.row_stop - band.final_until <= tile.side
        for i, row in enumerate(rows):
            if band.first <= i // tile.per_side < band.first + band.tile_rows:
                assert band.row_start <= max(row - reach, 0)
                assert min(row + reach + SIDE, height) <= band.row_stop
            if i // tile.per_side >= band.first + band.tile_rows:
                assert row - reach >= band.final_until or band.final_until == 0
        before = band


def record(parameters: Stage, noise: str, shape: tuple[int, int, int] = (1, 512, 512)) -> Recorder:
    planes, height, width = shape
    image = np.broadcast_to(np.zeros((), np.float32), shape)  # no memory behind it
    side = 4 * (parameters.window // 2) + 1
    local = image[:, : height - SIDE + 1, : width - SIDE + 1] if noise in ("local", "both") else None
    correlated = noise in ("correlation", "both")
    table = np.broadcast_to(np.zeros((), np.float32), (planes, side, side, SIDE, SIDE)) if correlated else None
    recorder = Recorder()
    with _launch.use(recorder):
        guide = None if isinstance(parameters, HardThreshold) else image
        run_stage(parameters, image, guide, Noise((1.0,) * planes, local, table))
    return recorder


# Stages for all architectures; other steps, groups, transforms, kinds of noise for one or two: each takes four seconds, twenty
# with the adaptive estimate for groups of 32 (15 variants of that were compiled by hand, for 75, 80 and 90: no spills).
TARGETS: list[tuple[Stage, str, int]] = [(PROFILES["normal"].hard, "white", a) for a in ARCHITECTURES]
TARGETS += [(PROFILES["fast"].hard, "white", 80), (PROFILES["fast"].wiener, "white", 80)]
TARGETS += [(HardThreshold(step=step, group=8, window=45), "white", 90) for step in (1, 4, 8)]
TARGETS += [(Wiener(group=group), "both", a) for group, a in ((8, 90), (32, 75))]
TARGETS += [(HardThreshold(group=group), "both", a) for group, a in ((16, 90), (32, 80))]
TARGETS += [(Wiener(transform="bior1.5", share=0.0), "local", 80), (HardThreshold(transform="dct"), "correlation", 90)]
TARGETS += [(Wiener(), "white", 90)]
TARGETS += [(Wiener(group=8, transform="bior1.5"), "white", 90)]


@compiled
@pytest.mark.parametrize(("parameters", "noise", "architecture"), TARGETS, ids=str)
def test_compiles_without_spills(parameters: Stage, noise: str, architecture: int) -> None:
    launches = record(parameters, noise).launches
    assert list(launches) == LAUNCHES
    for function, (text, shared_bytes, _, block) in launches.items():
        needs = usage(text, architecture)[function]
        assert needs.spill_bytes == 0, f"{function}: {needs}"
        assert needs.registers * block[0] <= 65536, f"{function}: a block does not fit a multiprocessor"
        assert shared_bytes <= _launch.SHARED_WITHOUT_OPT_IN


@pytest.mark.parametrize("shape", [(3, 1_000_000, 8), (1, 8, 2_000_000), (3, 20_000, 30_000)])
def test_grids_respect_the_hardware_limits(shape: tuple[int, int, int]) -> None:
    for parameters in (hard(1, 16, 39), wiener(8, 32, 45)):
        for _, _, grid, block in record(parameters, "both", shape).launches.values():
            assert 1 <= grid[0] < 2**31
            assert 1 <= grid[1] <= 65535
            assert grid[2] == 1
            assert block[0] <= 1024
