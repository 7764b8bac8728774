"""The CUDA kernels of non-local means and of the bilateral filter without a GPU, run by the CPU emulator.

Case and oracle are those of all other backends, so is the public function in front of the kernels. What the case table
leaves open: tiles, their scale, what spoils pixels, and that no bit of a result depends on where its pixel lies.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np
import pytest
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda.bilateral import bilateral as bilateral_kernel
from imrestore_kernels.cuda.nl_means import nl_means as nl_means_kernel
from imrestore_kernels.cuda.similarity import Picture, as_pictures, tile_of
from imrestore_kernels.similarity import smaller_box

import imrestore
from tests import oracles
from tests.backends import same_bits
from tests.cases import Case, bilateral, nl_means
from tests.cuda_on_cpu.emulator import ORDERS, Emulator, check_guards, compiler, guarded

emulated = pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")

#: Every case with its own order of threads: they take turns.
CASES = [(case, list(ORDERS)[i % len(ORDERS)]) for cases in (nl_means.CASES, bilateral.CASES) for i, case in enumerate(cases)]


@pytest.fixture
def on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """The public functions hand NumPy arrays to the CUDA launchers."""
    for name in ("nl_means", "bilateral"):
        launcher = importlib.import_module(f"imrestore_kernels.cuda.{name}")
        monkeypatch.setitem(sys.modules, f"imrestore_kernels.cpu.{name}", launcher)


def run(filter_name: str, image: np.ndarray, order: str = "forward", **keywords: Any) -> tuple[np.ndarray, list[str]]:
    """The public function with its kernels emulated, and the kernels that ran."""
    if keywords.get("axes") is None and keywords.get("channel_axis") is None:
        keywords["axes"] = tuple(range(image.ndim))  # calls that name their axes are not replayed by a CPU plan
    emulator = Emulator(order)
    with _launch.use(emulator):
        result = getattr(imrestore, filter_name)(image, **keywords)
    return result, emulator.launches


@emulated
@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize(("case", "order"), CASES, ids=lambda value: value.id if isinstance(value, Case) else value)
def test_case(case: Case, order: str) -> None:
    image, keywords = case.image(), case.keywords()
    result, launches = run(case.filter, image, order, **keywords)
    assert len(launches) == 1
    getattr(oracles, case.filter)(image, **keywords).assert_matches(result)
    assert same_bits(image, case.image()), "the input was written to"


NL_MEANS = {"sigma": 20.0, "h": 60.0, "patch_size": 5, "patch_distance": 2, "patch_weights": "uniform"}
BILATERAL = {"sigma_color": 80.0, "sigma_space": 1.5}

#: Kernel and kind of tile -> filter, shape of the image, keywords.
CALLS: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "nl_means_tile": ("nl_means", (2, 35, 250), {**NL_MEANS, "axes": (1, 2)}),
    "nl_means_tile tapered": ("nl_means", (2, 20, 130), {**NL_MEANS, "axes": (1, 2), "patch_weights": "tapered"}),
    "nl_means_tile weights": ("nl_means", (2, 20, 130), {**NL_MEANS, "axes": (1, 2), "patch_weights": "gaussian"}),
    "nl_means_tile colour": ("nl_means", (20, 70, 3), {**NL_MEANS, "channel_axis": -1}),
    "nl_means_tile five channels": ("nl_means", (20, 40, 5), {**NL_MEANS, "channel_axis": -1}),
    "nl_means_gather": ("nl_means", (2, 19, 30), {**NL_MEANS, "axes": (1, 2), "patch_size": 16}),
    "bilateral_tile": ("bilateral", (2, 70, 75), {**BILATERAL, "axes": (1, 2)}),
    "bilateral_tile colour": ("bilateral", (40, 70, 3), {**BILATERAL, "channel_axis": -1}),
    "bilateral_gather": ("bilateral", (9, 10, 11), BILATERAL),
}


def call(name: str, order: str = "forward", dtype: str = "float32") -> tuple[np.ndarray, list[str]]:
    filter_name, shape, keywords = CALLS[name]
    image = (np.random.default_rng(2).random(shape) * 250).astype(dtype)
    image.flat[0], image.flat[-1] = 9, 200
    if image.dtype.kind == "f":
        image.flat[image.size // 3] = np.nan
    return run(filter_name, image, order, **keywords)


@emulated
@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("name", CALLS)
def test_every_order_of_the_threads_gives_the_same_bits(name: str, dtype: str) -> None:
    results = {order: call(name, order, dtype) for order in ORDERS}
    assert {tuple(launches) for _, launches in results.values()} == {(name.split()[0],)}
    assert same_bits(results["forward"][0], results["reverse"][0])
    assert same_bits(results["forward"][0], results["shuffled"][0])


@emulated
@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("order", ["reverse", "shuffled"])
@pytest.mark.parametrize("name", CALLS)
def test_one_block_alone_makes_the_whole_picture(name: str, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limits of a grid blocks go on with further tiles, in the shared memory of their last one."""
    many, _ = call(name, order)
    monkeypatch.setattr(_launch, "GRID_LIMITS", (1, 1, 1))
    one, _ = call(name, order)
    assert same_bits(one, many)


@emulated
@pytest.mark.parametrize("shape", [(2, 1, 1, 1), (1, 17, 121, 1), (3, 16, 120, 1), (1, 5, 61, 3), (2, 300, 1), (1, 4, 5, 6, 2)])
@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_nothing_is_written_outside_the_result(shape: tuple[int, ...], dtype: str) -> None:
    axes = len(shape) - 2
    src = (np.random.default_rng(3).random(shape) * 99).astype(dtype)
    for kernel, parameters in (
        (nl_means_kernel, (1.0, 9.0, [np.full(3, 1 / 3)] * axes, [1] * axes)),
        (bilateral_kernel, (30.0, [1.0] * axes, [2] * axes)),
    ):
        dst = guarded(shape, dtype)
        with _launch.use(Emulator()):
            kernel(src, dst, *parameters, 0, src.dtype.type(0))  # type: ignore[operator]
        check_guards(dst)


@emulated
@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
@pytest.mark.parametrize("filter_name", ["nl_means", "bilateral"])
def test_every_axis_of_a_volume_has_its_own_window(filter_name: str, order: tuple[int, ...]) -> None:
    image = np.random.default_rng(4).normal(100, 40, (5, 6, 7)).astype(np.float32)
    sizes, distances, sigmas = ([values[i] for i in order] for values in ((1, 2, 4), (1, 2, 3), (0.6, 1.4, 2.0)))
    keywords: dict[str, Any] = {
        "nl_means": {**NL_MEANS, "patch_weights": "gaussian", "patch_size": sizes, "patch_distance": distances},
        "bilateral": {**BILATERAL, "sigma_space": sigmas, "radius": distances},
    }[filter_name]
    result, launches = run(filter_name, image, **keywords)
    assert launches == [f"{filter_name}_gather"]
    getattr(oracles, filter_name)(image, **keywords).assert_matches(result)


@emulated
@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("filter_name", ["nl_means", "bilateral"])
def test_more_channels_than_are_made_together(filter_name: str) -> None:
    image = np.random.default_rng(4).normal(100, 40, (5, 6, 9)).astype(np.float32)
    where = np.random.default_rng(5).random(image.shape) < 0.7
    keywords: dict[str, Any] = {"channel_axis": -1, "where": where}
    keywords |= {"nl_means": {**NL_MEANS, "patch_size": 3}, "bilateral": BILATERAL}[filter_name]
    result, launches = run(filter_name, image, **keywords)
    assert launches == [f"{filter_name}_gather"]
    getattr(oracles, filter_name)(image, **keywords).assert_matches(result)


@emulated
@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "name", ["nl_means_tile", "nl_means_tile tapered", "nl_means_tile weights", "nl_means_tile colour", "bilateral_tile"]
)
def test_a_pixel_has_the_same_bits_wherever_it_lies(name: str, dtype: str) -> None:
    """So that a picture cut into blocks is the picture: other tiles, lanes, rows and another largest sample."""
    filter_name, _, keywords = CALLS[name]
    channels = "channel_axis" in keywords
    shape, axes = ((40, 140, 3), (0, 1)) if channels else ((40, 140), (0, 1))
    keywords = {**keywords, **({} if channels else {"axes": axes})}
    image = np.random.default_rng(5).normal(100, 50, shape).astype(dtype)
    image[0, 0] = 3e6
    whole, _ = run(filter_name, image, **keywords)
    reach = 5
    for top, left in ((1, 1), (7, 2), (10, 19)):
        part, _ = run(filter_name, np.ascontiguousarray(image[top:, left:]), **keywords)
        inside = np.s_[reach:-reach, reach:-reach]
        assert same_bits(part[inside].copy(), whole[top:, left:][inside].copy())


@emulated
@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["nl_means_tile", "nl_means_tile colour", "bilateral_tile"])
def test_what_is_not_finite_leaves_its_neighbours_bits_alone(name: str, value: float) -> None:
    filter_name, _, keywords = CALLS[name]
    channels = "channel_axis" in keywords
    keywords = {**keywords, **({} if channels else {"axes": (0, 1)})}
    if filter_name == "nl_means":
        keywords |= {"patch_size": (4, 3), "patch_distance": (2, 1)}
    clean = np.random.default_rng(6).normal(100, 50, (24, 130, 3) if channels else (24, 130)).astype(np.float32)
    broken = clean.copy()
    at = (11, 60, 1) if channels else (11, 60)
    broken[at] = value
    before, after = ((4, 2), (3, 2)) if filter_name == "nl_means" else ((3, 3), (3, 3))  # of the pixels that look at it
    spoiled = np.zeros(broken.shape, bool)
    spoiled[11 - after[0] : 11 + before[0] + 1, 60 - after[1] : 60 + before[1] + 1] = True
    result, _ = run(filter_name, broken, **keywords)
    expected, _ = run(filter_name, clean, **keywords)
    np.testing.assert_array_equal(np.isnan(result), spoiled)
    assert same_bits(result[~spoiled], expected[~spoiled])


@emulated
@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("power", [-126, -60, 60, 110])
@pytest.mark.parametrize("filter_name", ["nl_means", "bilateral"])
def test_powers_of_two_change_no_bit(filter_name: str, power: int) -> None:
    """Squares of differences of 1e-36 and of 1e36 are beyond float32."""
    image = np.random.default_rng(7).integers(-(2**12), 2**12, (9, 40)).astype(np.float32)
    factor = 2.0**power
    if filter_name == "nl_means":
        keywords: dict[str, Any] = {"patch_size": 3, "patch_distance": 2}
        plain, scaled = ({"sigma": 900.0 * f, "h": 1500.0 * f} for f in (1.0, factor))
    else:
        keywords, (plain, scaled) = {"sigma_space": 1.0}, ({"sigma_color": 1500.0 * f} for f in (1.0, factor))
    expected, _ = run(filter_name, image, **keywords, **plain)
    result, launches = run(filter_name, image * np.float32(factor), **keywords, **scaled)
    assert launches[0].endswith("_tile")
    tolerance = 2.0**-149 if power < -100 else 0  # results there are subnormal and rounded once more
    np.testing.assert_allclose(result, expected.astype(np.float64) * factor, rtol=0, atol=tolerance)


@emulated
@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("size", "strength"), [(50.0, 15.0), (1e-3, 1e30)])
@pytest.mark.parametrize("filter_name", ["nl_means", "bilateral"])
def test_small_differences_beside_the_largest_numbers(filter_name: str, size: float, strength: float, dtype: str) -> None:
    """One tile holds 3e38 (1e300), and pixels whose differences are the size of h or have weights of 1."""
    image = (size * np.random.default_rng(8).normal(1, 0.4, (9, 33))).astype(dtype)
    image[3:6, 4], image[2, 9] = (3e38, -3e38, 1e-38), -1e38
    if dtype == "float64":
        image[2, 9] = 1e300
    given: dict[str, dict[str, Any]] = {
        "nl_means": {"sigma": strength / 3, "h": strength, "patch_size": 3, "patch_distance": 2},
        "bilateral": {"sigma_color": strength, "sigma_space": 1.0},
    }
    result, launches = run(filter_name, image, **given[filter_name])
    assert launches[0].endswith("_tile")
    getattr(oracles, filter_name)(image, **given[filter_name]).assert_matches(result)


@emulated
@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize(
    ("weights", "size"),
    [("uniform", 11), ("uniform", 15), ("gaussian", 9), ("gaussian", 15)]
    + [("tapered", size) for size in (6, 8, 9, 10, 15, (16, 2))],
)
def test_sums_of_every_kind_of_patch(weights: str, size: Any) -> None:
    image = np.random.default_rng(9).normal(100, 40, (12, 15)).astype(np.float32)
    keywords = {**NL_MEANS, "patch_weights": weights, "patch_size": size, "patch_distance": 1}
    result, launches = run("nl_means", image, **keywords)
    assert launches == ["nl_means_gather" if size == (16, 2) else "nl_means_tile"]
    oracles.nl_means(image, **keywords).assert_matches(result)


@emulated
@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("filter_name", ["nl_means", "bilateral"])
def test_hundreds_of_like_numbers_are_added_within_the_tolerance(filter_name: str) -> None:
    """Most of the samples are the constant beyond the border: roundings of one long sum would all point one way."""
    shape = (9, 7) if filter_name == "nl_means" else (60,)
    image = np.random.default_rng(1).normal(0, 300, shape).astype(np.float32)
    border: dict[str, Any] = {"mode": "constant", "cval": 40.1}
    keywords: dict[str, Any] = {
        "nl_means": {"sigma": 60.0, "h": 180.0, "patch_size": 3, "patch_distance": 12, **border},
        "bilateral": {"sigma_color": 400.0, "sigma_space": 1e6, "radius": 500, **border},
    }[filter_name]
    result, launches = run(filter_name, image, **keywords)
    assert launches == [f"{filter_name}_tile"]
    getattr(oracles, filter_name)(image, **keywords).assert_matches(result)


@pytest.mark.parametrize(
    ("weights", "box"),
    [
        ([1], 1),
        ([2, 2], 1),
        ([1, 2, 1], 2),
        ([1, 2, 3, 3, 3, 2, 1], 3),
        ([1, 2, 3, 4, 3, 2, 1], 4),
        ([1, 2, 2, 2, 1], 2),
        ([1, 2, 3, 3, 2, 2, 1], 0),
        ([1, 3, 1], 0),
        ([1, 1, 0], 0),
    ],
)
def test_which_weights_are_boxes(weights: list[float], box: int) -> None:
    assert smaller_box(np.array(weights) / sum(weights)) == box


@emulated
@pytest.mark.parametrize(("dtype", "large", "h"), [("float32", 3e38, 1.0), ("float64", 1e300, 1e-10)])
def test_a_patch_with_weights_of_zero(dtype: str, large: float, h: float) -> None:
    """Zero times a square that overflows is no number; the tiles are not made for it."""
    image = np.array([[0, 0, large, 0, 1, 2, 3]] * 3, dtype)[None, ..., None]
    results = []
    for patches in ([np.array([0.0, 1.0, 0.0])] * 2, [np.ones(1)] * 2):  # the same patch
        result, emulator = np.empty_like(image), Emulator()
        with _launch.use(emulator):
            nl_means_kernel(image, result, 0.0, h, patches, [1, 1], 0, image.dtype.type(0))
        results.append((result, emulator.launches))
    assert [launches for _, launches in results] == [["nl_means_gather"], ["nl_means_tile"]]
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5, atol=1e-6)  # weights of 1e-6, twice rounded values


@emulated
@pytest.mark.parametrize(("top", "left"), [(0, 0), (1, 0), (1, 1)])
@pytest.mark.parametrize("filter_name", ["nl_means", "bilateral"])
def test_a_block_writes_its_own_pixels_only(filter_name: str, top: int, left: int) -> None:
    """Two blocks that write one pixel are a race, even if both write the same."""
    rows, columns = (20, 120) if filter_name == "nl_means" else (32, 32)
    src = np.random.default_rng(1).normal(0, 1, (1, 2 * rows, 2 * columns, 1)).astype(np.float32)
    dst = np.full_like(src, 1e9)
    with _launch.use(Emulator(only=lambda grid: (left, top, 0))):
        if filter_name == "nl_means":
            nl_means_kernel(src, dst, 0.0, 1.0, [np.full(3, 1 / 3)] * 2, [1, 1], 0, np.float32(0))
        else:
            bilateral_kernel(src, dst, 1.0, [1.0, 1.0], [1, 1], 0, np.float32(0))
    written = np.zeros(src.shape[1:3], bool)
    written[top * rows :, left * columns :][:rows, :columns] = True
    np.testing.assert_array_equal(dst[0, ..., 0] != 1e9, written)


@pytest.mark.parametrize(
    ("shape", "alone", "picture"),
    [
        ((5, 30, 40, 3), (False, False), Picture(5, 30, 40, 3, 0, 1)),
        ((5, 30, 40, 3), (False, True), Picture(5, 30, 40, 3, 0, 1)),
        ((5, 30, 40, 3), (True, False), Picture(1, 150, 40, 3, None, 1)),
        ((5, 30, 3), (False,), Picture(1, 5, 30, 3, None, 0)),
        ((5, 30, 3), (True,), Picture(1, 5, 30, 3, None, 0)),
        ((2, 7, 30, 40, 1), (True, False, False), Picture(14, 30, 40, 1, 1, 2)),
        ((2, 7, 30, 40, 1), (True, True, True), Picture(1, 420, 40, 1, None, 2)),
        ((2, 7, 30, 40, 1), (False, False, False), None),
        ((2, 7, 30, 40, 1), (False, False, True), None),
    ],
)
def test_which_arrays_are_pictures(shape: tuple[int, ...], alone: tuple[bool, ...], picture: Picture | None) -> None:
    assert as_pictures(shape, alone) == picture


@pytest.mark.parametrize("columns", [1, 2, 4])
@pytest.mark.parametrize("halo_x", [0, 1, 20, 33])
def test_the_words_of_a_tile_are_written_without_bank_conflicts(columns: int, halo_x: int) -> None:
    """32 neighbouring columns, at `slot` of similarity.cuh, lie in 32 banks; every column has a place of its own."""
    tile = tile_of(1, True, columns, 4, 4, 0, halo_x)
    assert tile is not None
    places = [c % columns * (tile.pitch // columns) + c // columns for c in range(32 * columns + halo_x)]
    assert len(set(places)) == len(places)
    assert max(places) < tile.pitch
    for first in range(0, len(places) - 31, 32):
        assert len({place % 32 for place in places[first : first + 32]}) == 32


def test_a_tile_that_does_not_fit_is_none() -> None:
    assert tile_of(9, True, 1, 4, 4, 0, 0) is None  # more channels than tiles are made for
    assert tile_of(1, True, 4, 4, 4, 60, 20) is not None
    assert tile_of(1, True, 4, 4, 4, 61, 20) is None
