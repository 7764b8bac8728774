"""The executor of plans on CUDA with arrays that know only what CuPy's do; what the kernels do is tested elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from imrestore_kernels.cuda import _launch, batches
from imrestore_kernels.samples import COLUMNS, Job, Work

from tests import cupy_stand_in


class Pretender:
    """A backend whose kernels do nothing, or what a function in their place does."""

    def __init__(self) -> None:
        self.xp = cupy_stand_in.Namespace()

    def launch(self, stem: str, function: str, grid: Any, block: Any, args: Sequence[Any], text: str, shared: int) -> None: ...

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        return self.xp.empty(shape, dtype)

    def upload(self, table: np.ndarray) -> Any:
        return self.xp.asarray(table)

    def namespace(self) -> Any:
        return self.xp


def work(count: int, channels: int, height: int, width: int, ids: Sequence[int], **options: Any) -> Work:
    jobs = np.zeros((len(ids), COLUMNS), np.int64)
    jobs[:, Job.CHANNELS : Job.SEED] = channels, height, width, height, width
    keywords = {"in_place": True, "crosses": False, "backward": "same", **options}
    return Work(
        "noising", "clip", np.array(ids), jobs, np.zeros((len(ids), COLUMNS)), out_channels=np.full(len(ids), channels), **keywords
    )


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "float32", "float64"])
@pytest.mark.parametrize("moved", [[], [0, 2], [0, 1, 2]])
def test_images_go_in_and_out(dtype: str, moved: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    compute = np.dtype(np.float64 if dtype == "float64" else np.float32)
    images = np.array([-3.0, 0.5, 1.5, 2.5, 254.5, 300.0, 7, 8] * 3).reshape(3, 1, 2, 4).astype(dtype)

    def copies(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Any) -> None:
        for row in jobs.get():
            start, to = int(row[Job.SRC]), int(row[Job.DST])
            assert start != to
            dst[to : to + 8] = src[start : start + 8] + 1

    monkeypatch.setattr(batches, "function_of", lambda stem, name: copies)
    backend = Pretender()
    with _launch.use(backend):
        source, result = backend.xp.asarray(images), backend.xp.asarray(np.zeros_like(images))
        steps = [work(3, 1, 2, 4, moved, in_place=False)] if moved else []
        batches.run(source, result, steps, np.zeros(1), compute, None)
    wanted = images.astype(compute)
    wanted[moved] += 1
    if np.dtype(dtype).kind in "iu":
        limits = np.iinfo(dtype)
        wanted = np.clip(np.rint(wanted), limits.min, limits.max)
    np.testing.assert_array_equal(result.get(), wanted.astype(dtype))


def test_gradients_find_their_images_on_the_other_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three steps the second needs its image, which lay in the other slot than the gradient does on the way back."""
    images = np.arange(16.0, dtype=np.float32).reshape(2, 1, 2, 4)

    def double(src: Any, dst: Any, jobs: Any, *_: Any) -> None:
        for row in jobs.get():
            start, to = int(row[Job.SRC]), int(row[Job.DST])
            dst[to : to + 8] = src[start : start + 8] * 2

    def undo(src: Any, dst: Any, jobs: Any, *_: Any) -> None:
        for row in jobs.get():
            start, to = int(row[Job.DST]), int(row[Job.SRC])
            dst[to : to + 8] = src[start : start + 8] * 3

    def times_image(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Any, image: Any) -> None:
        for row in jobs.get():
            start = int(row[Job.SRC])
            dst[start : start + 8] = src[start : start + 8] * image[start : start + 8]

    functions = {"clip": double, "clip_adjoint": undo, "clip_gradient": times_image}
    monkeypatch.setattr(batches, "function_of", lambda stem, name: functions[name])
    backend, kept = Pretender(), {}
    move, needs = {"in_place": False, "backward": "adjoint"}, {"in_place": True, "backward": "gradient"}
    steps = [work(2, 1, 2, 4, [0, 1], **move), work(2, 1, 2, 4, [1], **needs), work(2, 1, 2, 4, [1], **move)]
    with _launch.use(backend):
        source, result = backend.xp.asarray(images), backend.xp.asarray(np.zeros_like(images))
        batches.run(source, result, steps, np.zeros(1), np.dtype(np.float32), kept)
        gradient = backend.xp.asarray(np.zeros_like(images))
        batches.run_back(backend.xp.asarray(np.ones_like(images)), gradient, steps, np.zeros(1), np.dtype(np.float32), kept)
    np.testing.assert_array_equal(result.get()[1], images[1] * 8)
    np.testing.assert_array_equal(gradient.get()[0], np.full((1, 2, 4), 3))
    np.testing.assert_array_equal(gradient.get()[1], 3 * (2 * images[1]) * 3)


def test_scratch_for_tensors_comes_from_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is allocated goes back, on the stream that is current; the rest needs a device."""
    torch = pytest.importorskip("torch")
    cupy = pytest.importorskip("cupy")
    from imrestore.degrade import _torch_memory

    calls: list[tuple[Any, ...]] = []
    functions: list[Any] = []
    monkeypatch.setattr(torch.cuda, "caching_allocator_alloc", lambda *a: calls.append(a) or 4096)
    monkeypatch.setattr(torch.cuda, "caching_allocator_delete", lambda *a: calls.append(a))
    monkeypatch.setattr(cupy.cuda, "get_current_stream", lambda: SimpleNamespace(ptr=77))
    monkeypatch.setattr(
        cupy.cuda.memory, "PythonFunctionAllocator", lambda *both: functions.extend(both) or SimpleNamespace(malloc=both[0])
    )
    _torch_memory._allocator.cache_clear()
    used: list[Any] = []
    monkeypatch.setattr(cupy.cuda, "using_allocator", lambda malloc: used.append(malloc) or contextlib.nullcontext())
    for kind, device in (("numpy", "cpu"), ("torch", "cpu"), ("cupy", "cuda:0"), ("torch", "cuda:1")):
        with _torch_memory.own_memory(kind, device):
            pass
    _torch_memory._allocator.cache_clear()
    assert used == functions[:1], "for tensors on a GPU, and only for those"
    assert functions[0](512, 1) == 4096
    functions[1](4096, 1)
    assert calls == [(512, 1, 77), (4096,)]
