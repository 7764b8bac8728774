"""The door between launchers and kernels, and the kernels' own arithmetic: borders, division, 64-bit offsets."""

from __future__ import annotations

import os
import sys
import threading
import time
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
from imrestore_kernels import borders
from imrestore_kernels.cuda import _launch
from imrestore_kernels.cuda.bilateral import bilateral
from imrestore_kernels.cuda.gaussian import gaussian
from imrestore_kernels.cuda.mean import mean
from imrestore_kernels.cuda.median import median
from imrestore_kernels.cuda.nl_means import nl_means

from tests import oracles
from tests.cuda_on_cpu.emulator import EmulationError, Emulator, check_guards, compiler, guarded

needs_compiler = pytest.mark.skipif(compiler() is None, reason="the CUDA emulator needs g++")


def emulate(text: str, function: str, block: int, *args: Any, shared: int = 0, order: str = "forward") -> None:
    Emulator(order).launch("test", function, (1, 1, 1), (block, 1, 1), args, _launch.inline(text, "test.cu"), shared)


BORDERS = """
#include "borders.cuh"
extern "C" __global__ void indices(const long long* i, long long* result, long long count, long long n, int mode) {
    for (long long k = threadIdx.x; k < count; k += blockDim.x) result[k] = border_index(i[k], n, mode);
}
"""


@needs_compiler
@pytest.mark.parametrize("mode", range(5))
@pytest.mark.parametrize("n", [1, 2, 3, 7, 2**31 - 1, 2**31, 2**31 + 1, 2**32 + 1, 3 * 2**40])
def test_the_border_rule_is_that_of_borders_py_sample_by_sample(n: int, mode: int) -> None:
    around = (0, n - 1, n, 2 * n, -n, -2 * n, 3 * n + 1, 2**31, 2**32, -(2**31), -(2**32), 17 * n, -(10**6) * n)
    samples = np.array(sorted({center + d for center in around for d in range(-9, 10)}), np.int64)
    result = guarded(samples.shape, np.int64)
    emulate(BORDERS, "indices", 32, samples, result, np.int64(len(samples)), np.int64(n), np.int32(mode))
    check_guards(result)
    assert result.tolist() == [borders.border_index(int(i), n, mode) for i in samples]


DIVISION = """
#include "division.cuh"
extern "C" __global__ void divide(const long long* a, const long long* b, long long* q, long long* r,
                                  long long count) {
    for (long long k = threadIdx.x; k < count; k += blockDim.x) q[k] = floor_divide(a[k], b[k], r[k]);
}
extern "C" __global__ void divide_wide(const __int128* a, const __int128* b, __int128* q, __int128* r,
                                       long long count) {
    for (long long k = threadIdx.x; k < count; k += blockDim.x) q[k] = floor_divide(a[k], b[k], r[k]);
}
"""


@needs_compiler
@pytest.mark.parametrize(("function", "bits", "words"), [("divide", 63, 1), ("divide_wide", 90, 2)])
def test_division_is_exact_from_one_bit_to_all(function: str, bits: int, words: int) -> None:
    rng = np.random.default_rng(3)

    def some(size: int) -> int:
        value = int.from_bytes(rng.bytes(16), "little") % 2 ** int(rng.integers(1, size + 1))
        return int(rng.choice([value, 2 ** int(rng.integers(0, size)) - 1, 2 ** int(rng.integers(0, size))]))

    pairs = [(int(rng.choice([-1, 1])) * some(bits), max(1, some(min(bits, 62)))) for _ in range(3000)]
    width = 8 * words
    a, b = (
        np.frombuffer(b"".join(v.to_bytes(width, "little", signed=True) for v in column), np.int64).copy()
        for column in zip(*pairs, strict=True)
    )
    q, r = guarded(a.shape, np.int64), guarded(a.shape, np.int64)
    emulate(DIVISION, function, 32, a, b, q, r, np.int64(len(pairs)))
    unpacked = [
        [int.from_bytes(array.tobytes()[i : i + width], "little", signed=True) for i in range(0, array.nbytes, width)]
        for array in (q, r)
    ]
    assert list(zip(*unpacked, strict=True)) == [divmod(x, y) for x, y in pairs]


HALVES = """
#include "dtypes.cuh"
extern "C" __global__ void halves(const half_bits* h, float* f, half_bits* back) {
    for (int k = threadIdx.x; k < 65536; k += blockDim.x) back[k] = float_to_half(f[k] = half_to_float(h[k]));
}
extern "C" __global__ void rounded(const float* f, half_bits* h, int count) {
    for (int k = threadIdx.x; k < count; k += blockDim.x) h[k] = float_to_half(f[k]);
}
"""


@needs_compiler
def test_the_emulated_half_conversions_are_those_of_numpy() -> None:
    halves = np.arange(65536).astype(np.uint16)
    floats, back = guarded((65536,), np.float32), guarded((65536,), np.uint16)
    emulate(HALVES, "halves", 32, halves, floats, back)
    np.testing.assert_array_equal(floats, halves.view(np.float16).astype(np.float32))
    numbers = ~np.isnan(floats)
    np.testing.assert_array_equal(back[numbers], halves[numbers])
    exponents = np.random.default_rng(1).uniform(-28, 18, 20000)
    values = np.concatenate([np.exp2(exponents), -np.exp2(exponents), [65519.9, 65520, np.inf, 0, 2**-25]]).astype("f4")
    rounded = guarded(values.shape, np.uint16)
    emulate(HALVES, "rounded", 32, values, rounded, np.int32(len(values)))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(rounded.view(np.float16), values.astype(np.float16))


@needs_compiler
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("if (threadIdx.x < 5) __syncthreads();", "not every thread of the block reaches the barrier"),
        ("if (threadIdx.x < 32)\n __syncthreads();\n else\n __syncthreads();", "wait at different barriers"),
        ("if (threadIdx.x < 5) __syncwarp();", "a lane of the mask has left the kernel"),
        ("if (threadIdx.x < 5) *out = __shfl_sync(31u, 1, 7);", "a shuffle from a lane outside the mask"),
        ("if (threadIdx.x < 9) __syncwarp(31u);", "a lane waits with a mask it is not in"),
        ("cuda_on_cpu::shared_bytes[8] = 1;", "a write behind the end of shared memory"),
    ],
)
def test_the_emulator_refuses_what_a_gpu_leaves_undefined(body: str, message: str) -> None:
    text = f'extern "C" __global__ void wrong(int* out) {{\n{body}\n}}\n'
    with pytest.raises(EmulationError, match=message):
        emulate(text, "wrong", 64, np.zeros(1, np.int32), shared=8)


@needs_compiler
def test_a_missing_barrier_shows_in_the_order_of_the_threads() -> None:
    text = """
extern "C" __global__ void neighbours(int* out) {
    int* shared = (int*)cuda_on_cpu::shared_bytes;
    shared[threadIdx.x] = threadIdx.x;
    %s
    out[threadIdx.x] = shared[(threadIdx.x + 1) %% 64];
}
"""
    results = {}
    for barrier in ("", "__syncthreads();"):
        for order in ("forward", "reverse", "shuffled"):
            out = np.zeros(64, np.int32)
            emulate(text % barrier, "neighbours", 64, out, shared=256, order=order)
            results[barrier, order] = out.tolist()
    right = [*range(1, 64), 0]
    assert all(results["__syncthreads();", order] == right for order in ("forward", "reverse", "shuffled"))
    assert results["", "forward"] != results["", "reverse"]


def test_a_write_outside_an_array_is_seen() -> None:
    array = guarded((10,), np.uint8)
    check_guards(array)
    assert isinstance(array.base, np.ndarray)
    array.base[4096 + 10] = 0
    with pytest.raises(EmulationError, match="outside its array"):
        check_guards(array)


CORNER = 40


@needs_compiler
@pytest.mark.parametrize(
    ("shape", "name"),
    [
        ((1, 70_000, 30_700, 1), "rows"),
        ((1, 30_700, 70_000, 1), "columns"),
        ((1, 2_200_000, 1000, 1), "more tile rows than a grid has"),
        ((70_000, 100, 310, 1), "more pictures than a grid has"),
    ],
)
@pytest.mark.parametrize(
    "filter_name",
    ["mean", "gaussian", "median", "median-large", "median-volume", "nl_means", "nl_means-gather", "bilateral"],
)
def test_the_last_corner_beyond_two_to_the_31_samples(shape: tuple[int, ...], name: str, filter_name: str) -> None:
    """Only the block of the last corner runs, on arrays of zeros that take no memory until they are written to."""
    src, dst = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    assert src.size > 2**31
    corner = np.random.default_rng(5).integers(0, 256, (CORNER, CORNER), np.uint8)
    src[-1, -CORNER:, -CORNER:, 0] = corner
    third, eye = np.full(3, 1 / 3), np.eye(3, dtype=bool)
    box = np.rint(scipy.ndimage.uniform_filter(corner * 1.0, 3))
    wide = np.full(17, 1 / 17)  # a patch that is not made in tiles
    calls: dict[str, tuple[Callable[[], None], np.ndarray]] = {
        "mean": (lambda: mean(src, dst, (3, 3), 0, 0), box),
        "gaussian": (lambda: gaussian(src, dst, [third, third], 0, 0), box),
        "median": (
            lambda: median(src, dst, (3, 3), None, 4, 50.0, 0, 0),
            scipy.ndimage.median_filter(corner, 3),
        ),
        "median-large": (
            lambda: median(src, dst, (9, 9), None, 40, 50.0, 0, 0),
            scipy.ndimage.median_filter(corner, 9),
        ),
        "median-volume": (
            lambda: median(src, dst, (3, 3), eye, 1, 50.0, 0, 0),
            scipy.ndimage.median_filter(corner, footprint=eye),
        ),
        "nl_means": (
            lambda: nl_means(src, dst, 0.0, 90.0, [third, third], [2, 2], 0, 0),
            oracles.nl_means(corner, 0.0, h=90.0, patch_size=3, patch_distance=2, patch_weights="uniform").low,
        ),
        "nl_means-gather": (
            lambda: nl_means(src, dst, 0.0, 90.0, [third, wide], [2, 2], 0, 0),
            oracles.nl_means(
                corner, 0.0, h=90.0, patch_size=(3, 17), patch_distance=2, patch_weights="uniform"
            ).low,
        ),
        "bilateral": (
            lambda: bilateral(src, dst, 90.0, (1.0, 1.0), (2, 2), 0, 0),
            oracles.bilateral(corner, 90.0, 1.0).low,
        ),
    }
    call, expected = calls[filter_name]
    blocks: list[tuple[int, int, int]] = []

    def last_block(grid: tuple[int, int, int]) -> tuple[int, int, int]:
        x, y, z = blocks_needed(filter_name, shape, grid)
        blocks.append(((x - 1) % grid[0], (y - 1) % grid[1], (z - 1) % grid[2]))
        return blocks[-1]

    with _launch.use(Emulator(only=last_block)):
        call()
    assert len(blocks) == 1
    # The last block writes at least the last row's last pixels; its neighbours' part of the corner stays zero.
    made = dst[-1, -1, -8:, 0]
    np.testing.assert_array_equal(made, expected[-1, -8:])


def blocks_needed(filter_name: str, shape: tuple[int, ...], grid: tuple[int, int, int]) -> tuple[int, int, int]:
    """Blocks that cover a shape if the grid had no limits: where its last one wraps round to."""
    outer, height, width, _ = shape
    tiles = {"mean": (32, 128), "gaussian": (32, 128), "median": (32, 64), "nl_means": (20, 120), "bilateral": (32, 32)}
    rows, columns = tiles.get(filter_name, (0, 0))
    if not rows:
        return grid  # one axis of blocks, not cut
    if filter_name == "gaussian":
        rows = next(r for r in (32, 16, 8) if -(-height // r) == grid[1] or grid[1] == 65535)
    return -(-width // columns), -(-height // rows), outer


def test_launching_after_a_fork_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = _launch.CupyBackend()
    backend._check_process()
    backend._check_process()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(RuntimeError, match=r"'spawn' or 'forkserver'"):
        backend._check_process()


def test_the_text_is_complete_and_names_its_files() -> None:
    text = _launch.source("median", {"T": "float", "KERNEL": 1})
    assert text.startswith('#define T float\n#define KERNEL 1\n#line 1 "median.cu"\n')
    assert "\n#include" not in text
    assert text.count('#line 1 "borders.cuh"') == 1
    lines = text.splitlines()
    restart = max(i for i, line in enumerate(lines) if line.startswith("#line") and line.endswith('"median.cu"'))
    number = int(lines[restart].split()[1])
    original = _launch._file("median.cu").splitlines()
    assert lines[restart + 1] == original[number - 1]


class FakeDevice:
    """As much of CuPy as the backend needs, to see what it asks for."""

    def __init__(self, number: int, entered: list[int]) -> None:
        self.id = number
        self.entered = entered

    def __enter__(self) -> None:
        self.entered.append(self.id)

    def __exit__(self, *_: object) -> None:
        pass


class FakeArray:
    def __init__(self, device: FakeDevice) -> None:
        self.device = device


def fake_cupy(log: dict[str, list[Any]]) -> types.ModuleType:
    class RawModule:
        def __init__(self, code: str, options: tuple[str, ...], backend: str) -> None:
            time.sleep(0.02)  # long enough for the other threads to arrive
            log["compiled"].append((code, options, backend))

        def get_function(self, name: str) -> Callable[..., None]:
            return lambda grid, block, args, shared_mem: log["launched"].append((name, grid, block, args, shared_mem))

    module = types.ModuleType("cupy")
    module.__dict__.update(RawModule=RawModule, ndarray=FakeArray)
    return module


def test_threads_share_one_compilation_per_text_and_device(monkeypatch: pytest.MonkeyPatch) -> None:
    log: dict[str, list[Any]] = {"compiled": [], "launched": []}
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(log))
    entered: list[int] = []
    arrays = [FakeArray(FakeDevice(n, entered)) for n in (0, 1)]

    def work(n: int) -> None:
        args = [arrays[n % 2], None, np.int64(n)]
        _launch.launch("mean", "mean_line", (7, 1, 1), (256, 1, 1), args, {"T": "float"}, 64)

    with _launch.use(_launch.CupyBackend()):
        threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(log["compiled"]) == 2  # one for each device
    code, options, backend = log["compiled"][0]
    assert code == _launch.source("mean", {"T": "float"})
    assert options == _launch.OPTIONS
    assert backend == "nvrtc"
    assert sorted(entered) == [0] * 8 + [1] * 8
    assert len(log["launched"]) == 16
    for name, grid, block, args, shared_mem in log["launched"]:
        assert (name, grid, block, shared_mem) == ("mean_line", (7, 1, 1), (256, 1, 1), 64)
        assert args[0] is arrays[int(args[2]) % 2]
        assert args[1] == 0
        assert args[1].dtype == np.uint64  # a null pointer has the size of one
