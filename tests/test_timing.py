"""The timer, on a clock that the contenders move themselves: their cost is known, so every number has one answer."""

from __future__ import annotations

import gc
from collections.abc import Callable
from itertools import pairwise

import pytest

from benches.timing import SAMPLE_SECONDS, Contender, compare, quartiles, takes_part


class Clock:
    """Seconds that pass only when somebody works; ``slowness`` is how long a second of work takes by now."""

    def __init__(self, slowness: Callable[[float], float] = lambda now: 1.0) -> None:
        self.now = 0.0
        self.slowness = slowness
        self.calls: list[str] = []

    def __call__(self) -> float:
        return self.now

    def worker(self, name: str, seconds: float) -> Callable[[], None]:
        def work() -> None:
            self.calls.append(name)
            self.now += seconds * self.slowness(self.now)

        return work


def test_steady_costs_come_out_as_they_are():
    clock = Clock()
    result = compare([Contender("a", clock.worker("a", 0.030)), Contender("b", clock.worker("b", 0.090))], clock=clock)
    assert result.timings["a"].median == pytest.approx(0.030)
    assert result.timings["b"].median == pytest.approx(0.090)
    assert result.timings["b"].spread == pytest.approx(0, abs=1e-9)
    assert result.ratio("b", "a") == pytest.approx(3)
    assert result.ratio("a", "b") == pytest.approx(1 / 3)


def test_a_slow_spell_moves_the_times_but_not_the_ratio():
    clock = Clock(slowness=lambda now: 5.0 if now > 2 else 1.0)  # from the middle on
    contenders = [Contender("a", clock.worker("a", 0.030)), Contender("b", clock.worker("b", 0.060))]
    result = compare(contenders, seconds=3.0, rounds=(40, 40), clock=clock)
    assert result.timings["a"].spread > 0.5
    assert result.ratio("b", "a") == pytest.approx(2, rel=1e-6)


def test_contenders_take_turns_and_change_the_order():
    clock = Clock()
    contenders = [Contender(name, clock.worker(name, 0.050)) for name in "abc"]
    compare(contenders, rounds=(4, 4), clock=clock)
    assert "".join(clock.calls).endswith("abccba" * 2)


def test_short_calls_are_repeated_until_a_sample_is_long_enough():
    clock = Clock()
    result = compare([Contender("a", clock.worker("a", 1e-6))], rounds=(5, 5), clock=clock)
    assert result.samples["a"].repeats * 1e-6 == pytest.approx(SAMPLE_SECONDS, rel=0.01)
    assert result.timings["a"].median == pytest.approx(1e-6)


def test_the_first_call_is_kept_apart():
    clock = Clock(slowness=lambda now: 1.0 if now else 700.0)  # the very first call compiles
    timing = compare([Contender("a", clock.worker("a", 0.010))], rounds=(5, 5), clock=clock).timings["a"]
    assert timing.first_call == pytest.approx(7.0)
    assert timing.median == pytest.approx(0.010)


def test_a_slow_call_is_timed_on_an_excerpt_and_scaled():
    clock = Clock()
    slow = Contender("slow", clock.worker("full", 4.0), clock.worker("part", 0.5), share=1 / 8)
    quick = Contender("quick", clock.worker("quick", 0.1), clock.worker("quick part", 0.1 / 8), share=1 / 8)
    result = compare([slow, quick], rounds=(5, 5), longest=1.0, clock=clock)
    assert "full" not in clock.calls
    assert result.timings["slow"].share == 1 / 8
    assert result.timings["slow"].median == pytest.approx(4.0)
    assert result.timings["quick"].share == 1.0
    assert result.ratio("slow", "quick") == pytest.approx(40)


def test_slow_contenders_get_fewer_rounds_spread_over_the_run():
    clock = Clock()
    contenders = [Contender("a", clock.worker("a", 0.1)), Contender("b", clock.worker("b", 1.0))]
    result = compare(contenders, seconds=10.1, rounds=(2, 100), clock=clock)
    assert result.timings["a"].rounds == 50
    assert result.timings["b"].rounds == 5
    assert {later - sooner for sooner, later in pairwise(sorted(result.samples["b"].seconds))} == {10}
    assert result.ratio("b", "a") == pytest.approx(10)


@pytest.mark.parametrize("rounds", range(1, 31))
def test_taking_part_happens_exactly_as_often_as_planned(rounds):
    assert sum(takes_part(i, rounds, 30) for i in range(30)) == rounds


def test_synchronising_is_inside_the_measured_time():
    clock = Clock()
    contender = Contender("device", lambda: None, synchronize=clock.worker("wait", 0.040))
    assert compare([contender], rounds=(5, 5), clock=clock).timings["device"].median == pytest.approx(0.040)


def test_garbage_is_collected_again_afterwards():
    seen: list[bool] = []

    def work() -> None:
        seen.append(gc.isenabled())

    assert gc.isenabled()
    compare([Contender("a", work)], rounds=(2, 2))
    assert gc.isenabled()
    assert seen[-1] is False


def test_a_failing_contender_leaves_the_collector_on():
    calls = iter(range(20))

    def work() -> None:
        if next(calls) == 12:
            raise ArithmeticError("broken")

    with pytest.raises(ArithmeticError, match="broken"):
        compare([Contender("a", work)], rounds=(20, 20))
    assert gc.isenabled()


def test_two_contenders_of_one_name_are_refused():
    with pytest.raises(ValueError, match="contenders: names must differ"):
        compare([Contender("a", lambda: None), Contender("a", lambda: None)])


def test_quartiles():
    assert quartiles([4.0]) == (4.0, 4.0, 4.0)
    assert quartiles([1.0, 2.0, 3.0, 4.0, 5.0]) == (2.0, 3.0, 4.0)
