"""The CUDA kernels of the metrics: emulated against the oracle, through NVIDIA's compilers, and on a GPU where there is one."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda.metrics import squared_error as cuda_squared_error
from imrestore_kernels.cuda.metrics import ssim as cuda_ssim

from imrestore.metrics import _psnr, ms_ssim, mse, psnr, ssim
from tests.cases import FLOATS, INTEGERS
from tests.cases.metrics import CLOSE, pair
from tests.cuda_on_cpu.emulator import ORDERS, Emulator, check_guards, compiler, guarded
from tests.cuda_on_cpu.toolchain import nvrtc_path, ptxas_path, usage
from tests.oracles import metrics as oracle
from tests.test_cuda_compile import ARCHITECTURES, Recorder

emulated = pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")


@pytest.fixture
def on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """The public functions hand NumPy arrays to the CUDA launchers, also those like ones they have seen before."""
    monkeypatch.setattr(_psnr, "_replays", {})
    monkeypatch.setattr(_psnr, "_remember", lambda *_: None)
    module = importlib.import_module("imrestore_kernels.cpu.metrics")
    monkeypatch.setattr(module, "squared_error", cuda_squared_error)
    monkeypatch.setattr(module, "ssim", cuda_ssim)


def run(metric: Callable[..., Any], *images: np.ndarray, order: str = "forward", **options: Any) -> tuple[Any, list[str]]:
    emulator = Emulator(order)
    with _launch.use(emulator):
        return metric(*images, **options), emulator.launches


@emulated
@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS])
def test_squared_errors(dtype: str) -> None:
    rng = np.random.default_rng(6)
    for n in (1, 255, 257, 16_384 + 3):  # one thread of a block; two chunks
        if np.dtype(dtype).kind == "f":
            a, b = (rng.normal(0, 10, n).astype(dtype) for _ in range(2))
        else:
            limits = np.iinfo(dtype)
            a, b = (rng.integers(limits.min, limits.max, n, dtype, endpoint=True) for _ in range(2))
            a[: n // 2], b[: n // 2] = limits.min, limits.max
        results = [run(mse, a, b, order=order) for order in ORDERS]
        assert all(result == results[0] for result in results), "the result depends on the order of the threads"
        assert results[0][1] == ["squared_error", "add_runs"]
        expected = oracle.mse(a, b)
        assert results[0][0] == (expected if a.dtype.kind != "f" else pytest.approx(expected, rel=1e-14))


SHAPES = [((11, 11), None), ((13, 50), None), ((40, 43), None), ((26, 75, 3), -1), ((11, 12, 13), None), ((2, 13, 12, 14), 0)]


@emulated
@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_similarity(shape: tuple[int, ...], axis: int | None) -> None:
    a, b = pair(shape)
    results = [run(ssim, a, b, order=order, channel_axis=axis, full=True) for order in ORDERS]
    for (value, windows), launches in results:
        assert launches == ["ssim_tiles", "add_runs"]
        assert value == results[0][0][0], "the result depends on the order of the threads"
        assert np.array_equal(windows, results[0][0][1])
    (value, windows), _ = results[0]
    stacks = [(a, b)] if axis is None else [(a.take(i, axis), b.take(i, axis)) for i in range(shape[axis])]
    expected = [oracle.similarity(*stack, 255).astype(float) for stack in stacks]
    np.testing.assert_allclose(windows, expected[0] if axis is None else np.stack(expected, axis), rtol=0, atol=CLOSE)
    assert value == pytest.approx(np.mean(expected), abs=CLOSE)


@emulated
@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS])
def test_similarity_of_every_dtype(dtype: str) -> None:
    a, b = pair((20, 37), dtype)
    (value, launches) = run(ssim, a, b, data_range=100)
    assert launches == ["ssim_tiles", "add_runs"]
    assert value == pytest.approx(oracle.similarity(a, b, 100).mean(), abs=CLOSE)
    assert run(ssim, a, a.copy(), data_range=100)[0] == 1  # exactly


@emulated
@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("size", [1, 3, 21, 33, 35, 41])
def test_similarity_with_other_windows(size: int) -> None:
    """Longer windows than 33 are not unrolled, and tiles become smaller with them."""
    a, b = pair((size + 3, size + 35), "float32")
    options = {"data_range": 100, "size": size, "sigma": size / 6, "k1": 0.02, "k2": 0.04}
    expected = float(oracle.similarity(a, b, **options).mean())
    assert run(ssim, a, b, **options)[0] == pytest.approx(expected, abs=CLOSE)


@emulated
@pytest.mark.usefixtures("on_cuda")
def test_several_scales() -> None:
    a, b = pair((61, 50), "uint8")
    options = {"weights": (0.2, 0.3, 0.5), "size": 7}
    value, launches = run(ms_ssim, a, b, **options)
    assert launches == ["ssim_tiles", "add_runs"] * 3
    assert value == pytest.approx(oracle.ms_ssim(a, b, 255, **options), abs=CLOSE)


@emulated
@pytest.mark.usefixtures("on_cuda")
def test_nan_stays_in_its_windows() -> None:
    a, b = pair((40, 45), "float32")
    a[20, 20] = np.nan
    assert math.isnan(run(psnr, a, b, data_range=100)[0])
    (value, windows), _ = run(ssim, a, b, data_range=100, full=True)
    assert math.isnan(value)
    assert np.isnan(windows).sum() == np.isnan(windows[10:21, 10:21]).sum() == 121
    where = np.ones(a.shape, bool)
    where[15:26, 15:26] = False
    assert run(ssim, a, b, data_range=100, where=where)[0] == pytest.approx(np.nanmean(windows), abs=CLOSE)


@emulated
@pytest.mark.usefixtures("on_cuda")
@pytest.mark.parametrize("order", ["reverse", "shuffled"])
def test_one_block_alone_gives_the_same_bits(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limits of a grid blocks go on with further tiles and chunks."""
    a, b = pair((45, 80, 2), "uint16")
    flat = pair((40_000,), "float32")
    many = run(ssim, a, b, order=order, channel_axis=-1)[0], run(mse, *flat, order=order)[0], run(mse, a, b, order=order)[0]
    monkeypatch.setattr(_launch, "GRID_LIMITS", (1, 1, 1))
    one = run(ssim, a, b, order=order, channel_axis=-1)[0], run(mse, *flat, order=order)[0], run(mse, a, b, order=order)[0]
    assert one == many


@emulated
def test_nothing_is_written_outside() -> None:
    a, b = pair((23, 50), "uint8")
    weights = (np.ones(1), np.full(11, 1 / 11), np.full(11, 1 / 11))
    sums, windows, digits = guarded((1,), np.float64), guarded((1, 1, 13, 40), np.float64), guarded((4,), np.uint64)
    with _launch.use(Emulator()):
        cuda_ssim(a[None, None], b[None, None], sums, weights, 0.0, 1 / 255, 1e-4, 9e-4, True, windows)
        cuda_squared_error(a.reshape(-1), b.reshape(-1), digits)
    for array in (sums, windows, digits):
        check_guards(array)


# name -> shape of both images, sides of the window
WINDOWS = {
    "picture": ((1, 1, 512, 512), (1, 11, 11)),
    "colours": ((3, 1, 512, 512), (1, 11, 11)),
    "volume": ((1, 64, 64, 64), (11, 11, 11)),
    "wide window": ((1, 1, 512, 512), (1, 33, 33)),
    "widest window": ((1, 1, 512, 512), (1, 101, 101)),
}


def recorded(name: str, dtype: str, luminance: bool = True) -> Recorder:
    shape, sizes = WINDOWS[name]
    image = np.broadcast_to(np.zeros((), dtype), shape)
    recorder = Recorder()
    with _launch.use(recorder):
        cuda_ssim(image, image, None, tuple(np.ones(n) / n for n in sizes), 0.0, 1.0, 1.0, 1.0, luminance)
        cuda_squared_error(image, image, None)
    return recorder


@pytest.mark.skipif(nvrtc_path() is None or ptxas_path() is None, reason="NVRTC or ptxas is not installed")
@pytest.mark.parametrize(
    ("name", "dtype", "architecture"),
    [
        *((name, "float32", 90) for name in WINDOWS),
        *(("picture", "uint8", architecture) for architecture in ARCHITECTURES),
        *((name, dtype, 80) for name in ("picture", "volume") for dtype in ("float16", "float64", "int64")),
        ("volume", "float64", 75),
        ("volume", "float64", 90),
    ],
)
def test_compiles_without_spills(name: str, dtype: str, architecture: int) -> None:
    launches = recorded(name, dtype, luminance=name != "colours").launches
    assert set(launches) == {"ssim_tiles", "squared_error", "add_runs"}
    for function, (text, shared_bytes, grid, block) in launches.items():
        needs = usage(text, architecture)[function]
        assert needs.spill_bytes == 0, f"{function}: {needs}"
        assert needs.registers * block[0] <= 65536, f"{function}: a block does not fit a multiprocessor"
        assert shared_bytes <= _launch.SHARED_WITHOUT_OPT_IN
        assert 1 <= grid[0] < 2**31


def test_grids_respect_the_hardware_limits() -> None:
    image = np.broadcast_to(np.zeros((), np.uint8), (70_000, 1, 40_000, 40_000))  # no memory behind it
    recorder = Recorder()
    with _launch.use(recorder):
        cuda_squared_error(image, image, None)
        cuda_ssim(image, image, None, (np.ones(1),) * 3, 0.0, 1.0, 1.0, 1.0, True)
    assert all(1 <= n <= 2**31 - 1 for _, _, grid, _ in recorder.launches.values() for n in grid[:1])


@pytest.mark.gpu
@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int64", "float16", "float32", "float64"])
def test_a_gpu_gives_what_the_cpu_gives(dtype: str) -> None:
    import cupy

    a, b = pair((333, 401, 3), dtype)
    x, y = cupy.asarray(a), cupy.asarray(b)
    assert mse(x, y) == pytest.approx(mse(a, b), rel=1e-13)
    for metric in (psnr, ssim, ms_ssim):
        value = metric(x, y, data_range=100, channel_axis=-1)
        assert value == pytest.approx(metric(a, b, data_range=100, channel_axis=-1), rel=1e-11)
        assert metric(x, y, data_range=100, channel_axis=-1) == value  # every run
        protocol = {"protocol": "y-sr", "crop": 3, "data_range": 255, "channel_axis": -1}
        assert metric(x, y, **protocol) == pytest.approx(metric(a, b, **protocol), rel=1e-11)
    windows = ssim(x, y, data_range=100, channel_axis=-1, full=True)[1]
    assert isinstance(windows, cupy.ndarray)
    np.testing.assert_allclose(windows.get(), ssim(a, b, data_range=100, channel_axis=-1, full=True)[1], rtol=0, atol=CLOSE)
    where = np.random.default_rng(9).random((333, 401, 1)) < 0.5
    masked = ssim(x, y, data_range=100, channel_axis=-1, where=cupy.asarray(where))
    assert masked == pytest.approx(ssim(a, b, data_range=100, channel_axis=-1, where=where), rel=1e-11)
