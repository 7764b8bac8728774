"""A plan carried out on the CPU: every thread takes a sample through all of its steps, while it is in the cache."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from imrestore_kernels import forks
from imrestore_kernels.cpu import _colour_pass, _direct
from imrestore_kernels.cpu._interleave import load, store
from imrestore_kernels.cpu._job_rows import CHANNELS, DST, SEED, SRC, A
from imrestore_kernels.cpu._philox import draws
from imrestore_kernels.cpu._pool import run_rows
from imrestore_kernels.samples import Size, Work

Array = np.ndarray[Any, Any]

#: Random numbers for the parameters of steps: 3 us where NumPy takes 100.
parameters = draws

#: Elements of scratch memory that a thread keeps for its next sample: new memory costs a page fault for every 4 KiB.
KEPT = 4_000_000
#: Nanoseconds that a value takes in an average step, for the decision how many threads to wake.
COST = 2.0

_local = threading.local()


def _scratch(count: int, dtype: np.dtype[Any]) -> Array:
    """Memory of this thread's own, with what its last sample left in it."""
    if count > KEPT:
        return np.empty(count, dtype)
    kept: dict[Any, Array] = _local.__dict__.setdefault("kept", {})
    known = kept.get(dtype)
    if known is None or known.size < count:
        known = kept[dtype] = np.empty(count, dtype)
    return known


@cache
def function_of(stem: str, name: str) -> Any:
    """An operation of this ring."""
    with forks.importing:
        return getattr(import_module(f"imrestore_kernels.cpu.{stem}"), name)


class _Part:
    """One operation on one sample."""

    __slots__ = ("function", "jobs", "most", "numbers", "place", "size", "work")

    def __init__(self, place: int, work: Work, row: int) -> None:
        self.place, self.work = place, work
        self.function = function_of(work.stem, work.name)
        self.jobs = work.jobs[row : row + 1].copy()
        self.numbers = work.numbers[row : row + 1]
        channels, height, width, out_height, out_width = self.jobs[0, CHANNELS:SEED].tolist()
        self.size = Size(1, channels, height, width, out_height, out_width)
        self.most = max(channels * height * width, int(work.out_channels[row]) * out_height * out_width)

    def run(self, memory: Array, slots: tuple[int, int], side: int, table: Array) -> int:
        """Work in the slots, beginning on one side; on which side the result is."""
        other = side if self.work.in_place else 1 - side
        job = self.jobs[0]
        job[SRC], job[DST] = slots[side], slots[other]
        self.function(memory, memory, self.jobs, self.numbers, table, self.size)
        return other

    def image(self, memory: Array, start: int) -> Array:
        """A copy of what the operation is about to change."""
        return memory[start : start + self.size.channels * self.size.height * self.size.width].copy()

    def back(self, memory: Array, slots: tuple[int, int], side: int, table: Array, image: Array | None) -> int:
        """The gradient of the image from that of the result, which is on one side; on which side it is."""
        work = self.work
        if work.backward == "same":
            return side
        function = function_of(work.stem, f"{work.name}_{work.backward}")
        if work.backward == "gradient":
            self.jobs[0, SRC] = self.jobs[0, DST] = 0
            own = memory[slots[side] :]
            function(own, own, self.jobs, self.numbers, table, self.size, image)
            return side
        other = side if work.in_place else 1 - side
        self.jobs[0, DST], self.jobs[0, SRC] = slots[side], slots[other]
        function(memory, memory, self.jobs, self.numbers, table, self.size)
        return other


def run(
    source: Array, result: Array, work: Sequence[Work], table: Array, compute: np.dtype[Any], kept: dict[Any, Any] | None
) -> None:
    """Do all ``work`` to the samples of ``source`` and write them to ``result``, both (n, channels, height, width) of any layout.

    ``kept`` receives the images that the way back will ask for, by (place in ``work``, sample).
    """
    table = table.astype(compute)
    parts = _by_sample(work, len(source))
    slot = _slot(source.shape[1:], parts)
    if any(one.crosses for one in work):
        _side_by_side(source, result, work, table, compute, slot)
        return

    def samples(start: int, stop: int) -> None:
        for i in range(start, stop):
            picture, done = _direct.moved(source[i], parts[i])
            left = parts[i][done:]
            if left and _direct.saturates(left[-1], result.dtype):
                left = left[:-1]
            if not left:  # nothing but places changes: no value has to become a float
                _direct.copy(picture, result[i])
                continue
            memory = _scratch(2 * slot, compute)
            if _direct.warps(picture, left[0], compute):
                if len(left) == 1 and _direct.warp_to(picture, left[0], result[i]):
                    continue
                _direct.warp(picture, left[0], memory)
                left = left[1:]
            else:
                _load(_direct.compact(picture) if done else picture, memory)
            _carry_out(left, memory, slot, table, result[i], kept, i)

    _each(samples, len(source), slot * (1 + len(work)))


def _carry_out(
    parts: Sequence[_Part], memory: Array, slot: int, table: Array, result: Array, kept: dict[Any, Any] | None, sample: int
) -> None:
    """Do all of it to the sample at the beginning of the memory; operations on colours that follow each other in one pass."""
    side = start = 0
    while start < len(parts):
        part = parts[start]
        many = _colour_pass.joined(parts, start) if kept is None and memory.dtype == np.float32 else 0
        stop = start + max(many, 1)
        if many and stop == len(parts) and _colour_pass.run(parts[start:], memory, side * slot, table, result):
            return
        if many > 1:
            _colour_pass.run(parts[start:stop], memory, side * slot, table, None)
        else:
            if kept is not None and part.work.backward == "gradient":
                kept[part.place, sample] = part.image(memory, side * slot)
            side = part.run(memory, (0, slot), side, table)
        start = stop
    _store(memory[side * slot :], result)


def run_back(
    gradient: Array, result: Array, work: Sequence[Work], table: Array, compute: np.dtype[Any], kept: dict[Any, Any]
) -> None:
    """The gradient of the images from that of what `run` made of them, both (n, channels, height, width)."""
    table = table.astype(compute)
    parts = _by_sample(work, len(result))
    slot = _slot(result.shape[1:], parts)

    def samples(start: int, stop: int) -> None:
        for i in range(start, stop):
            memory, side = _scratch(2 * slot, compute), 0
            _load(gradient[i], memory)
            for part in reversed(parts[i]):
                side = part.back(memory, (0, slot), side, table, kept.get((part.place, i)))
            _store(memory[side * slot :], result[i])

    _each(samples, len(result), slot * (1 + len(work)))


def _each(samples: Any, count: int, values: int) -> None:
    """``samples(start, stop)`` over all of them. One alone stays here, so that its kernels may take several threads."""
    if count == 1:
        samples(0, 1)
    else:
        run_rows(samples, (), count, COST * values * count)


def _side_by_side(
    source: Array, result: Array, work: Sequence[Work], table: Array, compute: np.dtype[Any], slot: int
) -> None:
    """Step by step, with all samples in memory: where they look at each other."""
    count = len(source)
    memory = np.empty(2 * slot * count, compute)
    starts = [(2 * slot * i, 2 * slot * i + slot) for i in range(count)]
    sides = [0] * count

    def begin(start: int, stop: int) -> None:
        for i in range(start, stop):
            _load(source[i], memory[starts[i][0] :])

    def end(start: int, stop: int) -> None:
        for i in range(start, stop):
            _store(memory[starts[i][sides[i]] :], result[i])

    _each(begin, count, slot)
    for one in work:
        before = sides.copy()  # the others' images stay where they are until all have been looked at
        parts = [_Part(0, one, row) for row in range(len(one.ids))]
        if one.crosses:
            for part in parts:
                partner = int(part.jobs[0, A])
                part.jobs[0, A] = starts[partner][before[partner]]

        def step(start: int, stop: int, one: Work = one, parts: Sequence[_Part] = parts, before: Sequence[int] = before) -> None:
            for sample, part in zip(one.ids[start:stop].tolist(), parts[start:stop], strict=True):
                sides[sample] = part.run(memory, starts[sample], before[sample], table)

        _each(step, len(parts), slot)
    _each(end, count, slot)


def _load(picture: Array, memory: Array) -> None:
    load(picture, memory[: picture.size].reshape(picture.shape))


def _store(memory: Array, picture: Array) -> None:
    store(memory[: picture.size].reshape(picture.shape), picture)


def _by_sample(work: Sequence[Work], count: int) -> list[list[_Part]]:
    parts: list[list[_Part]] = [[] for _ in range(count)]
    for place, one in enumerate(work):
        for row, sample in enumerate(one.ids.tolist()):
            parts[sample].append(_Part(place, one, row))
    return parts


def _slot(shape: Sequence[int], parts: Sequence[Sequence[_Part]]) -> int:
    """Elements that the largest state of a sample takes, whole cache lines of them."""
    most = math.prod(shape)
    for own in parts:
        for part in own:
            most = max(most, part.most)
    return most + -most % 16
