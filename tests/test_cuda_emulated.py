"""The CUDA kernels without a GPU: the case table and what it leaves open, run by the CPU emulator.

Every case runs with the threads of a block in three orders: equal bits prove that no barrier is missing. Case and
oracle are those of all other backends, so is the public function in front of the kernels.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from imrestore_kernels.cuda import _launch

import imrestore
from tests import oracles
from tests.backends import same_bits
from tests.cases import Case, gaussian, mean, median
from tests.cuda_on_cpu.emulator import ORDERS, Emulator, compiler

pytestmark = pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")

CASES = (*mean.CASES, *gaussian.CASES, *median.CASES)
FILTERS = ("mean", "gaussian", "median")


@pytest.fixture
def on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """The public functions hand NumPy arrays to the CUDA launchers."""
    for name in FILTERS:
        launcher = getattr(importlib.import_module(f"imrestore_kernels.cuda.{name}"), name)
        monkeypatch.setattr(importlib.import_module(f"imrestore_kernels.cpu.{name}"), name, launcher)


def run(filter_name: str, image: np.ndarray, order: str, **keywords: Any) -> tuple[np.ndarray, list[str]]:
    """The public function with its kernels emulated, and the kernels that ran."""
    if keywords.get("axes") is None and keywords.get("channel_axis") is None:
        keywords["axes"] = tuple(range(image.ndim))  # calls that name their axes are not replayed by a CPU plan
    emulator = Emulator(order)
    with _launch.use(emulator):
        result = getattr(imrestore, filter_name)(image, **keywords)
    return result, emulator.launches


@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case(case: Case) -> None:
    image, keywords = case.image(), case.keywords()
    results = []
    for order in ORDERS:
        result, launches = run(case.filter, image, order, **keywords)
        assert launches, "no CUDA kernel ran"
        results.append(result)
    getattr(oracles, case.filter)(image, **keywords).assert_matches(results[0])
    assert all(same_bits(results[0], other) for other in results[1:]), "the result depends on the order of the threads"
    assert same_bits(image, case.image()), "the input was written to"


LARGE = (66, 140)  # several tiles of every kernel in both directions
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "mean": ("mean", {"size": 3}),
    "mean by axis": ("mean", {"size": (3, 70)}),
    "gaussian": ("gaussian", {"sigma": 2}),
    "gaussian by axis": ("gaussian", {"sigma": (9, 1)}),
    "median strip": ("median", {"size": 5}),
    "median gather": ("median", {"footprint": np.eye(3, dtype=bool)}),
    "median bitset": ("median", {"size": 11}),
    "median bitset in scratch": ("median", {"size": (45, 63)}),
    "median select": ("median", {"footprint": np.tri(9, dtype=bool)}),
}


@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("order", ["reverse", "shuffled"])
@pytest.mark.parametrize("name", CALLS)
def test_one_block_alone_makes_the_whole_picture(name: str, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limits of a grid blocks go on with further tiles, in the shared memory of their last one."""
    filter_name, keywords = CALLS[name]
    pictures = 1 if "bitset" in name else 2  # sorting is slow to emulate, and its tiles run along one axis of blocks
    image = np.random.default_rng(2).integers(0, 256, (pictures, *LARGE), np.uint8)
    many, _ = run(filter_name, image, order, axes=(1, 2), **keywords)
    monkeypatch.setattr(_launch, "GRID_LIMITS", (1, 1, 1))
    one, _ = run(filter_name, image, order, axes=(1, 2), **keywords)
    assert same_bits(one, many)


def test_each_kernel_is_called_by_the_name_above(on_cuda: None) -> None:
    image = np.zeros(LARGE, np.uint8)
    kernels = {name: set(run(f, image, "forward", **keywords)[1]) for name, (f, keywords) in CALLS.items()}
    assert kernels == {
        "mean": {"mean_fused"},
        "mean by axis": {"mean_line"},
        "gaussian": {"gaussian_fused"},
        "gaussian by axis": {"gaussian_line"},
        "median strip": {"median_strip"},
        "median gather": {"median_gather"},
        "median bitset": {"median_bitset"},
        "median bitset in scratch": {"median_bitset"},
        "median select": {"median_select"},
    }


@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", ["uint8", "float64"])
@pytest.mark.parametrize("size", [9, (3, 40), 50])
def test_medians_of_tiles_with_many_ranks(size: int | tuple[int, int], dtype: str, order: str) -> None:
    """Tiles of several thousand samples: more than one counter, sets of many words."""
    image = (np.random.default_rng(4).random((60, 64)) * 250).astype(dtype)
    image[20:30, 30:50] = image[0, 0]  # and a flat part
    result, launches = run("median", image, order, size=size)
    assert launches == ["median_bitset"]
    np.testing.assert_array_equal(result, scipy.ndimage.median_filter(image, size))


@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("size", [3, 18])
def test_a_sum_that_overflows_where_the_mean_does_not(size: int) -> None:
    image = np.full((60, 150), 3e38, np.float32)
    image[::3] *= -1
    image[30, 70], image[31, 90], image[5, 5] = np.nan, np.inf, -np.inf
    result, launches = run("mean", image, "forward", size=size)
    assert launches == ["mean_fused"]
    oracles.mean(image, size).assert_matches(result)


@pytest.mark.usefixtures("on_cuda")
def test_ranks_of_a_tile_with_masks_and_nans_in_every_order() -> None:
    rng = np.random.default_rng(8)
    image = rng.normal(0, 1, (45, 50)).astype(np.float32)
    image[rng.random(image.shape) < 0.004] = np.nan
    where = rng.random(image.shape) < 0.3
    where[:25, :25] = False
    keywords = {"size": 13, "where": where, "percentile": 30, "mode": "constant", "cval": 0.25}
    results = [run("median", image, order, **keywords)[0] for order in ORDERS]
    assert same_bits(results[0], results[1])
    assert same_bits(results[0], results[2])
    oracles.median(image, **keywords).assert_matches(results[0])
