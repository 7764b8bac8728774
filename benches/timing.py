"""The one timer of the project.

Contenders take turns in one process: A B C, then C B A, and so on. A slow spell of the machine then hits neighbours
alike, and a ratio is the median over rounds of the ratio inside a round, which such spells move far less than they move
the times themselves. Before each sample the contender runs untimed for a few milliseconds, so that it finds its own data in
the caches and its own threads awake rather than those of whoever ran before: after 0.3 s of somebody else's work the first
calls of a 0.2 ms filter took 0.65, 0.31, 0.26, 0.25 .. ms.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

#: A sample repeats short calls until it lasts about this long: the clock and the loop then cost less than 0.1 %.
SAMPLE_SECONDS = 2e-3
#: Calls longer than this are not repeated untimed before every sample: they fill the caches themselves.
SETTLE_BELOW_SECONDS = 20e-3
#: How long a contender runs untimed before each sample, and at least once.
SETTLE_SECONDS = 5e-3
#: Calls longer than this get two rounds: nothing that slow needs its third digit.
VERY_LONG_SECONDS = 5.0
#: Fewer common rounds than this give no median of ratios worth the name; the ratio of the medians is used instead.
MIN_COMMON_ROUNDS = 5


@dataclass(frozen=True)
class Contender:
    """Something to time. ``excerpt`` does the same work on a picture ``share`` times the size (share < 1); it is timed
    instead, and scaled, where the full call would take longer than ``compare``'s ``longest``."""

    name: str
    run: Callable[[], object]
    excerpt: Callable[[], object] | None = None
    share: float = 1.0
    synchronize: Callable[[], object] | None = None


@dataclass(frozen=True)
class Timing:
    """Seconds a call: median and quartiles over the rounds."""

    median: float
    q1: float
    q3: float
    rounds: int
    first_call: float
    share: float = 1.0

    @property
    def spread(self) -> float:
        """Interquartile range as a fraction of the median."""
        return (self.q3 - self.q1) / self.median if self.median else 0.0


@dataclass
class Samples:
    """What one contender measured so far, by round."""

    contender: Contender
    call: Callable[[], object]
    share: float
    first_call: float
    estimate: float
    repeats: int
    rounds: int = 0
    seconds: dict[int, float] = field(default_factory=dict)

    def timing(self) -> Timing:
        q1, median, q3 = quartiles(list(self.seconds.values()))
        return Timing(median, q1, q3, len(self.seconds), self.first_call, self.share)


@dataclass(frozen=True)
class Comparison:
    """Timings by contender, and ratios that were taken round by round."""

    samples: dict[str, Samples]

    @property
    def timings(self) -> dict[str, Timing]:
        return {name: samples.timing() for name, samples in self.samples.items()}

    def ratio(self, of: str, to: str) -> float:
        """How many times longer ``of`` takes than ``to``."""
        top, bottom = self.samples[of].seconds, self.samples[to].seconds
        common = top.keys() & bottom.keys()
        if len(common) < MIN_COMMON_ROUNDS:
            return statistics.median(top.values()) / statistics.median(bottom.values())
        return statistics.median(top[i] / bottom[i] for i in common)


def compare(
    contenders: Sequence[Contender],
    *,
    seconds: float = 2.0,
    rounds: tuple[int, int] = (5, 100),
    longest: float = 0.25,
    clock: Callable[[], float] = time.perf_counter,
) -> Comparison:
    """Time the contenders against each other.

    Each gets about ``seconds`` divided by their number, within ``rounds`` (fewest, most). The fast ones get more
    rounds; those of the slow ones are spread evenly between them.
    """
    if len({c.name for c in contenders}) != len(contenders):
        raise ValueError(f"contenders: names must differ, got {[c.name for c in contenders]}")
    everyone = [warm_up(contender, longest, clock) for contender in contenders]
    budget = seconds / len(everyone)
    for one in everyone:
        cost = one.estimate * one.repeats + (max(SETTLE_SECONDS, one.estimate) if settles(one) else 0.0)
        fewest = rounds[0] if one.estimate < VERY_LONG_SECONDS else min(2, rounds[0])
        one.rounds = max(fewest, min(rounds[1], int(budget / max(cost, 1e-9))))
    most = max(one.rounds for one in everyone)
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for i in range(most):
            for one in everyone if i % 2 == 0 else reversed(everyone):
                if takes_part(i, one.rounds, most):
                    one.seconds[i] = sample(one, clock)
    finally:
        if collecting:
            gc.enable()
    return Comparison({one.contender.name: one for one in everyone})


def warm_up(contender: Contender, longest: float, clock: Callable[[], float]) -> Samples:
    """Run until caches, compilers and thread pools are ready; choose the excerpt where the full call is too long."""
    call, share = contender.run, 1.0
    if contender.excerpt is not None:
        once(contender.excerpt, contender, clock)
        if once(contender.excerpt, contender, clock) / contender.share > longest:
            call, share = contender.excerpt, contender.share
    first = once(call, contender, clock)
    estimate = once(call, contender, clock)
    if estimate < SAMPLE_SECONDS:  # short calls: the second one may still have been slow
        estimate = min(once(call, contender, clock) for _ in range(5))
    repeats = max(1, round(SAMPLE_SECONDS / max(estimate, 1e-9)))
    return Samples(contender, call, share, first / share, estimate, min(repeats, 100_000))


def once(call: Callable[[], object], contender: Contender, clock: Callable[[], float]) -> float:
    start = clock()
    call()
    if contender.synchronize is not None:
        contender.synchronize()
    return clock() - start


def settles(one: Samples) -> bool:
    return one.estimate < SETTLE_BELOW_SECONDS


def sample(one: Samples, clock: Callable[[], float]) -> float:
    """Seconds a call, of the whole picture, averaged over the repeats of one sample."""
    call, synchronize = one.call, one.contender.synchronize
    if settles(one):
        end = clock() + SETTLE_SECONDS
        while True:
            call()
            if synchronize is not None:
                synchronize()
            if clock() >= end:
                break
    start = clock()
    for _ in range(one.repeats):
        call()
    if synchronize is not None:
        synchronize()
    return (clock() - start) / one.repeats / one.share


def takes_part(i: int, rounds: int, most: int) -> bool:
    """Whether a contender with ``rounds`` of ``most`` rounds runs in round ``i``: evenly spread."""
    return (i + 1) * rounds // most > i * rounds // most


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return values[0], values[0], values[0]
    q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive")
    return q1, median, q3
