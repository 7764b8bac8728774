"""Samples a second: what a random chain costs on average, in one thread and on all cores.

A chain costs another time for every sample that it draws, so a call that is timed makes a whole number of them, always the same
ones, and its time is divided by their number.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache, partial
from types import TracebackType
from typing import Any, NamedTuple

from benches.rows import Plan, Row, measure
from benches.timing import Contender, Timing

#: Shares of the samples that each process gets, one after the other: they differ in what they cost.
SHARES = 4


class Task(NamedTuple):
    """Makes samples by their number; ``make(*arguments)`` is the function that does, also in another process."""

    make: Callable[..., Callable[[int], object]]
    arguments: tuple[Hashable, ...]


@cache
def made(task: Task) -> Callable[[int], object]:
    return task.make(*task.arguments)


def run(task: Task, numbers: range) -> None:
    one = made(task)
    for number in numbers:
        one(number)


class Processes:
    """Processes of one thread that share the samples, as the workers of a data loader do. They keep what they make."""

    def __init__(self, count: int) -> None:
        # Not forked: our own threads and those of OpenCV and torch would be missing in the child.
        context = multiprocessing.get_context("spawn")
        self.count = count
        self.pool = ProcessPoolExecutor(count, context, initializer=set_threads, initargs=(1,))

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.pool.shutdown()

    def run(self, task: Task, numbers: range) -> None:
        step = self.count * SHARES
        list(self.pool.map(partial(run, task), [numbers[start::step] for start in range(step)]))


def set_threads(threads: int) -> None:
    """Of OpenCV and torch."""
    import cv2
    import torch

    cv2.setNumThreads(threads)
    torch.set_num_threads(threads)


@contextlib.contextmanager
def limited(threads: int) -> Iterator[None]:
    """So many threads for everyone."""
    import cv2
    import torch

    import imrestore

    before = cv2.getNumThreads(), torch.get_num_threads()
    set_threads(threads)
    try:
        with imrestore.threads(threads):
            yield
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])


def measure_samples(
    plan: Plan, threads: int, count: int, ours: Callable[[], object], peers: Sequence[Contender], tasks: dict[str, Task], **row: Any
) -> Row:
    """Contenders whose calls make ``count`` samples; ``tasks`` get as many processes as others have threads."""
    everyone = contextlib.ExitStack()
    with everyone, limited(threads):
        alone = run if threads == 1 else everyone.enter_context(Processes(threads)).run
        others = [*peers, *(Contender(name, partial(alone, task, range(count))) for name, task in tasks.items())]
        return per_sample(measure(plan, ours, others, **row), count)


def per_sample(row: Row, count: int) -> Row:
    """The row of calls that made ``count`` samples, with how many of them everybody makes in a second."""
    divided = replace(
        row, ours=part(row.ours, count), peers={name: part(timing, count) for name, timing in row.peers.items()}
    )
    speeds = [f"{name} {rate(timing)}" for name, timing in divided.peers.items()]
    note = f"{rate(divided.ours)} samples/s" + (f" ({', '.join(speeds)})" if speeds else "")
    return replace(divided, note=f"{note}; {row.note}" if row.note else note)


def part(timing: Timing, count: int) -> Timing:
    return replace(
        timing,
        median=timing.median / count,
        q1=timing.q1 / count,
        q3=timing.q3 / count,
        first_call=timing.first_call / count,
    )


def rate(timing: Timing) -> str:
    samples = 1 / timing.median
    return f"{samples:.0f}" if samples >= 100 else f"{samples:.3g}"
