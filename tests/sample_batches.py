"""Batches of samples of different sizes, scattered over one array, for tests of operations on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from imrestore_kernels.cuda import _launch
from imrestore_kernels.samples import COLUMNS, Job, Size

from tests.backends import same_bits
from tests.cuda_on_cpu.emulator import ORDERS, Emulator, guarded

#: What lies between the samples, and must stay there.
GAP = -7.0


class Sample(NamedTuple):
    """One image and what the job says of it."""

    image: np.ndarray
    out: tuple[int, int, int]
    columns: dict[str, int]
    numbers: Sequence[float] = ()


class Scattered:
    """Samples of one dtype in memory: images at growing places, results at places of their own in another order."""

    def __init__(self, samples: Sequence[Sample], table: Any, dtype: str, in_place: bool = False) -> None:
        self.samples, self.in_place = samples, in_place
        self.table = np.asarray(table, dtype).reshape(-1)
        self.jobs = np.zeros((len(samples), COLUMNS), np.int64)
        self.numbers = np.zeros((len(samples), COLUMNS))
        self.src = np.full(sum(s.image.size + 5 for s in samples) + 3, GAP, dtype)
        length = sum(int(np.prod(s.out)) + 7 for s in samples) + 2
        self.dst = self.src if in_place else np.full(length, GAP, dtype)
        at, to = 3, length
        for job, numbers, sample in zip(self.jobs, self.numbers, samples, strict=True):
            to -= int(np.prod(sample.out)) + 7
            self.src[at : at + sample.image.size] = sample.image.ravel()
            job[: Job.OUT_WIDTH + 1] = (at, at if in_place else to, *sample.image.shape, *sample.out[1:])
            for name, value in sample.columns.items():
                job[Job[name]] = np.uint64(value).view(np.int64) if value >= 0 else value
            numbers[: len(sample.numbers)] = sample.numbers
            at += sample.image.size + 5

    def run(self, operation: Callable[..., None], *more: Any, backwards: bool = False) -> list[np.ndarray]:
        """The results, one array for each sample; ``backwards`` hands the gradients of `results` to an adjoint."""
        src = self.src.copy()
        dst = src if self.in_place else self.dst.copy()
        args = (dst, src) if backwards else (src, dst)
        before = [a.copy() for a in (src, dst, self.jobs, self.numbers, self.table)]
        operation(*args, self.jobs, self.numbers, self.table, Size.of(self.jobs), *more)
        for a, b in zip((self.jobs, self.numbers, self.table), before[2:], strict=True):
            assert same_bits(a, b), "an input was written to"
        written, shapes = (src, self._places(backwards=True)) if backwards else (dst, self._places())
        untouched = np.ones(written.size, bool)
        for start, shape in shapes:
            untouched[start : start + int(np.prod(shape))] = False
        old = before[0] if written is src else before[1]
        assert same_bits(written[untouched], old[untouched]), "something was written beside the results"
        if not self.in_place:
            given, old = (dst, before[1]) if backwards else (src, before[0])
            assert same_bits(given, old), "the input was written to"
        return [written[start : start + int(np.prod(shape))].reshape(shape).copy() for start, shape in shapes]

    def _places(self, backwards: bool = False) -> list[tuple[int, tuple[int, ...]]]:
        column = Job.SRC if backwards else Job.DST
        return [
            (int(job[column]), sample.image.shape if backwards else sample.out)
            for job, sample in zip(self.jobs, self.samples, strict=True)
        ]

    def fill_results(self, gradients: Sequence[np.ndarray]) -> None:
        """Put gradients where the results belong, for an adjoint."""
        for (start, shape), gradient in zip(self._places(), gradients, strict=True):
            self.dst[start : start + int(np.prod(shape))] = gradient.reshape(shape).ravel()


def emulated(operation: Callable[..., None], order: str) -> Callable[..., None]:
    """An operation of the CUDA ring, run by the emulator between guards."""

    def run(src: np.ndarray, dst: np.ndarray, jobs: Any, numbers: Any, table: Any, size: Size, *more: Any) -> None:
        backend = Emulator(order)
        own_dst = guarded(dst.shape, dst.dtype)
        own_dst[:] = dst
        own_src = own_dst if src is dst else src.copy()
        with _launch.use(backend):
            operation(own_src, own_dst, jobs, numbers, table, size, *more)
        assert backend.launches
        dst[:] = own_dst

    return run


def check_same_on_cuda(
    batch: Scattered, cpu: Callable[..., None], cuda: Callable[..., None], *more: Any, backwards: bool = False
) -> None:
    """The CUDA ring gives the bits of the CPU's, in whatever order its threads run."""
    expected = batch.run(cpu, *more, backwards=backwards)
    for order in ORDERS:
        found = batch.run(emulated(cuda, order), *more, backwards=backwards)
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_array_equal(a, b)
            assert same_bits(a, b), "signs of zero"
