"""The guided filter's CUDA kernels without a GPU: all cases in the emulator, and NVIDIA's own compilers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import imrestore_kernels.cpu.guided
import numpy as np
import pytest
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda.guided import guided

import imrestore
from tests import oracles
from tests.backends import same_bits
from tests.cases import Case
from tests.cases.guided import CASES
from tests.cuda_on_cpu.emulator import ORDERS, Emulator, compiler
from tests.cuda_on_cpu.toolchain import nvrtc_path, ptxas_path, usage
from tests.test_cuda_compile import ARCHITECTURES, Recorder

emulated = pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")
compiled = pytest.mark.skipif(
    nvrtc_path() is None or ptxas_path() is None, reason="NVRTC and ptxas are not installed (nvidia-cuda-nvrtc-cu12, -nvcc-cu12)"
)


@pytest.fixture
def on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """The public function hands NumPy arrays to the CUDA launcher."""
    monkeypatch.setattr(imrestore_kernels.cpu.guided, "guided", guided)


def run(image: np.ndarray, order: str, **keywords: Any) -> tuple[np.ndarray, list[str]]:
    """The public function with its kernels emulated, and the kernels that ran."""
    if keywords.get("axes") is None and keywords.get("channel_axis") is None:
        keywords["axes"] = tuple(range(image.ndim))  # calls that name their axes are not replayed by a CPU plan
    emulator = Emulator(order)
    with _launch.use(emulator):
        result = imrestore.guided(image, **keywords)
    return result, emulator.launches


@emulated
@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case(case: Case) -> None:
    image, keywords = case.image(), case.keywords()
    results = []
    for order in ORDERS:
        result, launches = run(image, order, **keywords)
        assert launches == ["guided_fit", "guided_apply"]
        results.append(result)
    oracles.guided(image, **keywords).assert_matches(results[0])
    assert all(same_bits(results[0], other) for other in results[1:]), "the result depends on the order of the threads"
    assert same_bits(image, case.image()), "the input was written to"


@emulated
@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("radius", [3, (1, 500)])
def test_one_block_alone_makes_the_whole_picture(radius: Any, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limits of a grid blocks go on with further rows and tiles, in the memory of their last one."""
    image = np.random.default_rng(2).integers(0, 256, (2, 5, 300), np.uint8)
    many, _ = run(image, order, axes=(1, 2), radius=radius, eps=100)
    monkeypatch.setattr(_launch, "GRID_LIMITS", (1, 1, 1))
    one, _ = run(image, order, axes=(1, 2), radius=radius, eps=100)
    assert same_bits(one, many)


@emulated
@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("order", ORDERS)
def test_windows_too_wide_for_shared_memory(order: str) -> None:
    """Columns of sets that do not fit go through scratch, a piece for each block."""
    rng = np.random.default_rng(5)
    image, guide = rng.random((7, 21)).astype(np.float32), rng.random((7, 21, 4)).astype(np.float32)
    keywords = {"guide": guide, "radius": (1, 120), "eps": 1e-2, "channel_axis": -1}
    result, _ = run(image, order, **keywords)
    oracles.guided(image, **keywords).assert_matches(result)


@emulated
@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_channels_that_follow_from_others_add_no_noise(dtype: str, masked: bool) -> None:
    """As on the CPU: what is left of their variance is rounding."""
    channel = np.random.default_rng(14).uniform(0, 2.5e5, (20, 24))
    guide = np.stack([channel, 0.3 * channel, 0.7 * channel], axis=-1).astype(dtype)
    where = np.ones(guide.shape, bool) if masked else None
    for eps in (1e-3, 1e-9, 1e-15):
        found, _ = run(guide, "forward", radius=4, eps=eps, channel_axis=-1, where=where)
        np.testing.assert_allclose(found, guide, rtol=0, atol=2.5e5 * (2.0**-21 if dtype == "float32" else 2.0**-42))


@emulated
@pytest.mark.usefixtures("on_cuda")
def test_a_tile_with_its_halo_is_the_whole() -> None:
    image = np.random.default_rng(9).normal(0, 50, (40, 150)).astype(np.float32)
    whole, _ = run(image, "forward", radius=3, eps=100)
    tile, _ = run(image[5:30, 9:140], "forward", radius=3, eps=100)
    assert same_bits(tile[6:-6, 6:-6], np.ascontiguousarray(whole[11:24, 15:134]))


def record(dtype: str, guide: tuple[int, str] | None, masked: bool, radii: Sequence[int], shape: tuple[int, ...]) -> Recorder:
    """The launches for an image of a shape in kernel order and a guide of so many channels."""
    image = np.broadcast_to(np.zeros((), dtype), shape)  # no memory behind it
    other = None if guide is None else np.broadcast_to(np.zeros((), guide[1]), (*shape[:-1], guide[0]))
    where = np.broadcast_to(np.zeros((), np.uint8), shape) if masked else None
    recorder = Recorder()
    with _launch.use(recorder):
        guided(image, image, other, tuple(radii), 1.0, 0, 0, 0, where)
    return recorder


PICTURE = (1, 512, 512)
CALLS: dict[str, tuple[tuple[int, str] | None, bool, tuple[int, ...], tuple[int, ...]]] = {
    "itself": (None, False, (4, 4), (*PICTURE, 1)),
    "itself-where": (None, True, (4, 4), (*PICTURE, 1)),
    "colour": (None, False, (8, 8), (*PICTURE, 3)),
    "colour-where": (None, True, (8, 8), (*PICTURE, 4)),
    "guide": ((1, "uint8"), False, (16, 16), (*PICTURE, 1)),
    "colour-guide": ((3, "float32"), False, (8, 8), (*PICTURE, 1)),
    "four-channels-where": ((4, "float16"), True, (8, 8), (*PICTURE, 3)),
    "wide": ((3, "int16"), False, (2, 300), (*PICTURE, 1)),
    "volume": (None, False, (2, 2, 2), (1, 64, 64, 64, 1)),
}
# Every call for one architecture, one of each kind of kernel for the others, as in test_cuda_compile.
TARGETS = [(name, "float32", 90) for name in CALLS]
TARGETS += [(name, "float32", architecture) for name in ("itself", "wide") for architecture in ARCHITECTURES if architecture != 90]
TARGETS += [(name, dtype, 80) for name in ("itself", "colour-guide") for dtype in ("uint8", "int64", "float64", "float16")]


@compiled
@pytest.mark.parametrize(("name", "dtype", "architecture"), TARGETS)
def test_compiles_without_spills(name: str, dtype: str, architecture: int) -> None:
    guide, masked, radii, shape = CALLS[name]
    launches = record(dtype, guide, masked, radii, shape).launches
    assert list(launches) == ["guided_fit", "guided_apply"]
    for function, (text, shared_bytes, _, block) in launches.items():
        needs = usage(text, architecture)[function]
        assert needs.spill_bytes == 0, f"{function}: {needs}"
        assert needs.registers * block[0] <= 65536, f"{function}: a block does not fit a multiprocessor"
        assert shared_bytes <= _launch.SHARED_WITHOUT_OPT_IN


@pytest.mark.parametrize("name", CALLS)
def test_grids_respect_the_hardware_limits(name: str) -> None:
    guide, masked, radii, shape = CALLS[name]
    long = (70_000, 40_000_000, *shape[2:])
    for _, _, grid, block in record("uint8", guide, masked, radii, long).launches.values():
        assert 1 <= grid[0] < 2**31
        assert 1 <= grid[1] <= 65535
        assert grid[2] == 1
        assert block[0] <= 1024
