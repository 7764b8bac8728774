"""A plan carried out on CUDA: step by step, one launch for all samples that take it, whatever their sizes and parameters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from imrestore_kernels import forks, philox
from imrestore_kernels.bm3d_driver import write
from imrestore_kernels.cuda import _launch
from imrestore_kernels.samples import COLUMNS, Job, Size, Work

Array = np.ndarray[Any, Any]

#: Random numbers for the parameters of steps, for all of a batch at once: here nothing is compiled for the CPU.
parameters = philox.parameters


@cache
def function_of(stem: str, name: str) -> Any:
    """The launcher of an operation."""
    with forks.importing:
        return getattr(import_module(f"imrestore_kernels.cuda.{stem}"), name)


class _Uploaded(NamedTuple):
    """The rows of all jobs where the kernels run, and where those of each work begin."""

    jobs: Any
    numbers: Any
    starts: list[int]

    @classmethod
    def of(cls, work: Sequence[Work], jobs: Sequence[Array]) -> _Uploaded:
        """One copy of each: dozens of small ones would cost more than the kernels."""
        starts = np.cumsum([0, *(len(one) for one in jobs)]).tolist()
        if not work:
            empty = np.zeros((1, COLUMNS))
            return cls(_launch.upload(empty.astype(np.int64)), _launch.upload(empty), starts)
        return cls(_launch.upload(np.concatenate(jobs)), _launch.upload(np.concatenate([one.numbers for one in work])), starts)

    def rows(self, n: int) -> tuple[Any, Any]:
        start, stop = self.starts[n], self.starts[n + 1]
        return self.jobs[start:stop], self.numbers[start:stop]


class _Places:
    """Where every sample is: two slots each, of which an operation reads one and writes the other."""

    def __init__(self, count: int, slot: int) -> None:
        self.slot = slot
        self.first = 2 * slot * np.arange(count, dtype=np.int64)
        self.side = np.zeros(count, np.int64)

    def now(self, ids: Array) -> Array:
        return self.first[ids] + self.slot * self.side[ids]

    def move(self, ids: Array, in_place: bool) -> Array:
        """Places after an operation."""
        if not in_place:
            self.side[ids] ^= 1
        return self.now(ids)


def slot_size(shape: Sequence[int], work: Sequence[Work]) -> int:
    """Elements that the largest state of any sample takes, whole cache lines of them."""
    most = int(np.prod(shape))
    for one in work:
        jobs = one.jobs
        before = jobs[:, Job.CHANNELS] * jobs[:, Job.HEIGHT] * jobs[:, Job.WIDTH]
        after = one.out_channels * jobs[:, Job.OUT_HEIGHT] * jobs[:, Job.OUT_WIDTH]
        most = max(most, int(before.max()), int(after.max()))
    return most + -most % 32


def run(source: Any, result: Any, work: Sequence[Work], table: Array, compute: np.dtype[Any], kept: dict[Any, Any] | None) -> None:
    """As the function of this name on the CPU; ``source`` and ``result`` are on the device, all else on the host."""
    count, shape = len(source), source.shape[1:]
    slot = slot_size(shape, work)
    places = _Places(count, slot)
    jobs = []
    for one in work:
        own = one.jobs.copy()
        own[:, Job.SRC] = places.now(one.ids)
        if one.crosses:
            own[:, Job.A] = places.now(own[:, Job.A])
        own[:, Job.DST] = places.move(one.ids, one.in_place)
        jobs.append(own)
    memory = _launch.empty((2 * count * slot,), compute)
    _fill(memory, slot, source)
    uploaded, weights = _Uploaded.of(work, jobs), _launch.upload(table.astype(compute))
    for n, one in enumerate(work):
        own_jobs, own_numbers = uploaded.rows(n)
        if kept is not None and one.backward == "gradient":
            kept[n] = memory.copy()
        function_of(one.stem, one.name)(memory, memory, own_jobs, own_numbers, weights, Size.of(one.jobs))
    _hand_over(memory, slot, places.side, result)


def run_back(
    gradient: Any, result: Any, work: Sequence[Work], table: Array, compute: np.dtype[Any], kept: dict[Any, Any]
) -> None:
    """The gradient of the images from that of what `run` made of them."""
    count = len(result)
    slot = slot_size(result.shape[1:], work)
    forward = _Places(count, slot)
    images = []  # where the images of each work were, on the way there
    for one in work:
        images.append(forward.now(one.ids))
        forward.move(one.ids, one.in_place)
    places = _Places(count, slot)
    jobs, used = [], []
    for n in reversed(range(len(work))):
        one = work[n]
        if one.backward == "same":
            continue
        own = one.jobs.copy()
        own[:, Job.DST] = places.now(one.ids)
        own[:, Job.SRC] = places.move(one.ids, one.in_place or one.backward == "gradient")
        jobs.append(own)
        used.append(n)
    memory = _launch.empty((2 * count * slot,), compute)
    _fill(memory, slot, gradient)
    uploaded, weights = _Uploaded.of([work[n] for n in used], jobs), _launch.upload(table.astype(compute))
    for k, n in enumerate(used):
        one, (own_jobs, own_numbers) = work[n], uploaded.rows(k)
        function = function_of(one.stem, f"{one.name}_{one.backward}")
        if one.backward == "gradient":
            image = _at(kept[n], images[n], jobs[k][:, Job.SRC], one)
            function(memory, memory, own_jobs, own_numbers, weights, Size.of(one.jobs), image)
        else:
            function(memory, memory, own_jobs, own_numbers, weights, Size.of(one.jobs))
    _hand_over(memory, slot, places.side, result)


def _at(memory: Any, places: Array, wanted: Array, one: Work) -> Any:
    """Memory with every sample's image at the place where its gradient is."""
    if (places == wanted).all():
        return memory
    moved = _launch.empty(memory.shape, memory.dtype)
    lengths = one.jobs[:, Job.CHANNELS] * one.jobs[:, Job.HEIGHT] * one.jobs[:, Job.WIDTH]
    for start, to, length in zip(places.tolist(), wanted.tolist(), lengths.tolist(), strict=True):
        moved[to : to + length] = memory[start : start + length]
    return moved


def _fill(memory: Any, slot: int, source: Any) -> None:
    count = len(source)
    length = int(np.prod(source.shape[1:]))
    first = memory.reshape(count, 2, slot)[:, 0, :length]
    first[...] = _launch.namespace().ascontiguousarray(source).reshape(count, length)


def _hand_over(memory: Any, slot: int, side: Array, result: Any) -> None:
    """The results in the dtype of the images: whole numbers rounded half to even and saturated, NaN as 0."""
    xp = _launch.namespace()
    length = int(np.prod(result.shape[1:]))
    both = memory.reshape(len(result), 2, slot)[:, :, :length]
    if (side == side[0]).all():
        values = both[:, int(side[0])]
    else:
        values = xp.where(_launch.upload(side == 0)[:, None], both[:, 0], both[:, 1])
    write(xp, result, values.reshape(result.shape))
