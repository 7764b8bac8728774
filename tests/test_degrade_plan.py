"""Steps and chains before any pixel is looked at: parameters, chances, orders, seeds and numbers of samples."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import scipy.stats

from imrestore.degrade import (
    Beta,
    Chain,
    Choice,
    Clip,
    ColorNoise,
    GaussianNoise,
    Integers,
    LogUniform,
    Maybe,
    Mixture,
    Normal,
    OneOf,
    PoissonNoise,
    Quantize,
    RowNoise,
    SaltAndPepper,
    Shuffled,
    SpeckleNoise,
    SquareUniform,
    Step,
    Uniform,
)

MANY = 20_000


def drawn(step: Step, count: int = MANY, seed: int = 3) -> list[list[tuple[str, dict[str, Any]]]]:
    return step.draw((8, 8), rng=seed, count=count)


def sigmas(value: Any) -> np.ndarray:
    return np.array([steps[0][1]["sigma"] for steps in drawn(GaussianNoise(value))])


@pytest.mark.parametrize(
    ("value", "law"),
    [
        ((1, 3), scipy.stats.uniform(1, 2)),
        (Uniform(1, 3), scipy.stats.uniform(1, 2)),
        (LogUniform(0.1, 10), scipy.stats.loguniform(0.1, 10)),
        (Normal(10, 2), scipy.stats.truncnorm(-3, 3, 10, 2)),
        (Beta(0.4, 0.7), scipy.stats.beta(0.4, 0.7)),
    ],
    ids=["range", "uniform", "loguniform", "normal", "beta"],
)
def test_continuous_laws(value: Any, law: Any) -> None:
    assert scipy.stats.kstest(sigmas(value), law.cdf).pvalue > 1e-3


def test_laws_made_of_others() -> None:
    squares = sigmas(SquareUniform(0.5, 3)) ** 2
    assert scipy.stats.kstest(squares, scipy.stats.uniform(0.25, 8.75).cdf).pvalue > 1e-3
    mixed = sigmas(Mixture([(1, 2), LogUniform(4, 8), 9], p=(0.3, 0.6, 0.1)))
    low, high = mixed[mixed < 3], mixed[(mixed > 3) & (mixed < 9)]
    counts = [len(low), len(high), (mixed == 9).sum()]
    assert scipy.stats.chisquare(counts, MANY * np.array([0.3, 0.6, 0.1])).pvalue > 1e-3
    assert scipy.stats.kstest(low, scipy.stats.uniform(1, 1).cdf).pvalue > 1e-3
    assert scipy.stats.kstest(high, scipy.stats.loguniform(4, 8).cdf).pvalue > 1e-3


def test_whole_numbers_and_choices_are_as_likely_as_they_should_be() -> None:
    levels = np.array([steps[0][1]["levels"] for steps in drawn(Quantize(Integers(2, 6)))])
    assert scipy.stats.chisquare(np.bincount(levels.astype(int), minlength=7)[2:]).pvalue > 1e-3
    chosen = sigmas(Choice([1.0, 2.0, 4.0], p=[0.5, 0.2, 0.3]))
    counts = [(chosen == v).sum() for v in (1, 2, 4)]
    assert scipy.stats.chisquare(counts, MANY * np.array([0.5, 0.2, 0.3])).pvalue > 1e-3
    axes = [steps[0][1]["axis"] for steps in drawn(RowNoise(axis=Choice(["rows", "columns"])))]
    assert scipy.stats.binomtest(axes.count("rows"), MANY).pvalue > 1e-3


def test_numbers_are_taken_as_they_are() -> None:
    assert set(sigmas(7)) == {7.0}


def names(step: Step, count: int = MANY) -> list[tuple[str, ...]]:
    return [tuple(name for name, _ in steps) for steps in drawn(step, count)]


THREE = (GaussianNoise(1), SpeckleNoise(0.1), Quantize(4))


def test_every_order_is_as_likely() -> None:
    orders, counts = np.unique(names(Shuffled(THREE)), axis=0, return_counts=True)
    assert len(orders) == 6
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_kept_steps_stay_in_order() -> None:
    orders, counts = np.unique(names(Shuffled(THREE, keep=(0, 2))), axis=0, return_counts=True)
    assert all(list(order).index("GaussianNoise") < list(order).index("Quantize") for order in orders)
    assert len(orders) == 3
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_chances_of_one_of_some() -> None:
    found = names(OneOf(THREE, p=(0.2, 0.3, 0.5)))
    counts = [found.count((name,)) for name in ("GaussianNoise", "SpeckleNoise", "Quantize")]
    assert sum(counts) == MANY
    assert scipy.stats.chisquare(counts, MANY * np.array([0.2, 0.3, 0.5])).pvalue > 1e-3
    even = names(OneOf(THREE))
    assert scipy.stats.chisquare([even.count(n) for n in set(even)]).pvalue > 1e-3


def test_chance_of_maybe() -> None:
    found = names(Maybe(THREE[:2], 0.3))
    assert set(found) == {(), ("GaussianNoise", "SpeckleNoise")}
    assert scipy.stats.binomtest(found.count(()), MANY, 0.7).pvalue > 1e-3


def test_a_sample_is_the_same_alone_and_in_any_batch() -> None:
    chain = Chain([GaussianNoise((1, 9)), Maybe(SpeckleNoise((0, 1))), Shuffled([Quantize(Integers(2, 9)), ColorNoise((1, 2))])])
    batch = chain.draw((8, 8), rng=5, index=100, count=9)
    for k in range(9):
        assert chain.draw((8, 8), rng=5, index=100 + k) == batch[k]
    assert chain.draw((8, 8), rng=5, index=[103, 100, 103], count=3) == [batch[3], batch[0], batch[3]]
    assert chain.draw((8, 8), rng=6, index=100) != batch[0]
    assert len({str(steps) for steps in batch}) == 9


def test_a_step_draws_the_same_whatever_the_others_draw() -> None:
    first = Chain([OneOf([GaussianNoise((1, 2)), Quantize()]), SpeckleNoise((0, 1))])
    second = Chain([OneOf([GaussianNoise(3), Quantize(Integers(2, 3))]), SpeckleNoise((0, 1))])
    for index in range(5):
        assert first.draw((8, 8), rng=1, index=index)[-1] == second.draw((8, 8), rng=1, index=index)[-1]


def test_steps_that_draw_more_than_sixteen_numbers() -> None:
    steps = Shuffled([GaussianNoise(n) for n in range(40)])
    orders = [tuple(parameters["sigma"] for _, parameters in one) for one in steps.draw((8, 8), rng=2, count=50)]
    assert all(sorted(order) == list(range(40)) for order in orders)
    assert len(set(orders)) == 50
    assert orders[7] == tuple(p["sigma"] for _, p in steps.draw((8, 8), rng=2, index=7))


def test_seeds() -> None:
    step = GaussianNoise((0, 1))
    same = {str(step.draw((8, 8), rng=rng)) for rng in (7, np.int64(7), np.array(7)[()])}
    assert len(same) == 1
    generator = np.random.default_rng(3)
    assert step.draw((8, 8), rng=generator) != step.draw((8, 8), rng=generator), "a generator goes on"
    assert step.draw((8, 8), rng=np.random.default_rng(3)) == step.draw((8, 8), rng=np.random.default_rng(3))
    assert step.draw((8, 8)) != step.draw((8, 8))
    assert step.draw((8, 8), rng=2**64 - 1, index=2**64 - 1)
    for kind in (np.random.SeedSequence(4), np.random.PCG64(4)):
        assert step.draw((8, 8), rng=kind)


def repr_of_type(value: Any) -> str:
    """The same in every process, as addresses are not."""
    return f"{type(value).__name__} {value}" if isinstance(value, int | float | str) else type(value).__name__


@pytest.mark.parametrize("rng", [-1, 2**64, 1.5, "seed", True, np.random.RandomState(1)], ids=repr_of_type)
def test_bad_seeds(rng: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^rng is .* it must be None, a whole number from 0 to"):
        GaussianNoise().draw((8, 8), rng=rng)


@pytest.mark.parametrize("index", [-1, 2**64, 1.5, None, [1, 2], [0.5]], ids=str)
def test_bad_numbers_of_samples(index: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^index (is|has) .* it must be a whole number from 0 to"):
        GaussianNoise().draw((8, 8), rng=1, index=index)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: GaussianNoise(-1), ValueError, r"^sigma is -1; it must be a finite number >= 0, a range"),
        (lambda: GaussianNoise((-1, 2)), ValueError, r"^sigma is \(-1, 2\); it must be"),
        (lambda: GaussianNoise((2, 1)), ValueError, r"^sigma is \(2, 1\); it must be"),
        (lambda: GaussianNoise((1, 2, 3)), ValueError, r"^sigma is \(1, 2, 3\), of 3 values; it must be"),
        (lambda: GaussianNoise([1, 2]), TypeError, r"^sigma is a list, \[1, 2\]; it must be"),
        (lambda: GaussianNoise("5"), TypeError, r"^sigma is '5' of type str; it must be"),
        (lambda: GaussianNoise(float("nan")), ValueError, r"^sigma is nan; it must be"),
        (lambda: GaussianNoise(Normal(1, 1)), ValueError, r"^sigma is Normal\(mean=1, sigma=1\); it must be"),
        (lambda: GaussianNoise(Choice([1, "a"])), TypeError, r"^sigma is Choice"),
        (lambda: GaussianNoise(grey=1.5), ValueError, r"^grey is 1\.5; it must be a number from 0 to 1"),
        (lambda: PoissonNoise(0), ValueError, r"^peak is 0; it must be a finite number >= 1e-09"),
        (lambda: Quantize(2.5), ValueError, r"^levels is 2\.5; it must be a whole number"),
        (lambda: Quantize((2, 8)), ValueError, r"^levels is \(2, 8\); it must be a whole number.*Integers"),
        (lambda: SaltAndPepper(2), ValueError, r"^amount is 2; it must be a finite number from 0 to 1"),
        (lambda: SaltAndPepper(low=5, high=1), ValueError, r"^low is 5 and high is 1; low must not be above high"),
        (lambda: Clip(low=float("inf")), ValueError, r"^low is inf; it must be None or a finite number"),
        (lambda: RowNoise(axis="diagonal"), ValueError, r"^axis is 'diagonal'; it must be 'rows' or 'columns'"),
        (lambda: ColorNoise(covariance=[[1, 2], [2, 1]]), ValueError, r"^covariance is .* positive semi-definite"),
        (lambda: ColorNoise(covariance=[[1, 0]]), ValueError, r"^covariance is .* symmetric"),
        (lambda: Chain(GaussianNoise()), TypeError, r"^steps is GaussianNoise.* it must be a sequence of steps"),
        (lambda: Chain([25]), TypeError, r"^steps holds 25 of type int; it must hold steps"),
        (lambda: Chain([], white=0), ValueError, r"^white is 0; it must be None or a finite number > 0"),
        (lambda: OneOf([]), ValueError, r"^steps is empty"),
        (lambda: OneOf(THREE, p=[0.5, 0.5]), ValueError, r"^p is \[0\.5, 0\.5\]; it must be 3 numbers >= 0 that add up to 1"),
        (lambda: OneOf(THREE, p=[0.5, 0.6, 0.7]), ValueError, r"^p is .* add up to 1"),
        (lambda: Maybe(THREE[0], p=2), ValueError, r"^p is 2; it must be a number from 0 to 1"),
        (lambda: Shuffled(THREE, keep=(0, 3)), ValueError, r"^keep is \(0, 3\); it must be different whole numbers from 0 to 2"),
        (lambda: Uniform(2, 1), ValueError, r"^Uniform goes from 2 to 1; high must not be less than low"),
        (lambda: LogUniform(0, 1), ValueError, r"^low is 0; it must be a finite number > 0"),
        (lambda: Integers(0, 1.5), ValueError, r"^low and high are 0 and 1\.5; they must be whole numbers"),
        (lambda: Choice([]), ValueError, r"^values is empty"),
        (lambda: Beta(0, 1), ValueError, r"^a is 0; it must be a finite number > 0"),
        (lambda: SquareUniform(-1, 1), ValueError, r"^low is -1; it must be a finite number >= 0"),
        (lambda: Mixture([]), ValueError, r"^parts is empty"),
        (lambda: Mixture(["a"]), TypeError, r"^parts is 'a' of type str"),
        (lambda: GaussianNoise(Mixture([1, (-2, 2)])), ValueError, r"^sigma is Mixture.* it must be"),
        (lambda: Normal(0, -1), ValueError, r"^sigma is -1; it must be a finite number >= 0"),
    ],
)
def test_parameters_that_cannot_be_meant(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_steps_are_values() -> None:
    chain = Chain([GaussianNoise((1, 2)), Maybe(Quantize(4), 0.3), ColorNoise(covariance=[[1, 0], [0, 2]])], white=255)
    again = pickle.loads(pickle.dumps(chain))
    assert again == chain
    assert hash(again) == hash(chain)
    assert eval(repr(chain)) == chain
    with pytest.raises(AttributeError):
        chain.white = 1.0  # type: ignore[misc]


def test_printing_shows_the_structure() -> None:
    text = str(Chain([GaussianNoise((1, 2)), Maybe([Quantize(4), Clip()], 0.25)], white=255))
    assert text.splitlines() == [
        "Chain([",
        "    GaussianNoise(sigma=(1, 2)),",
        "    Maybe([",
        "        Quantize(levels=4),",
        "        Clip(),",
        "    ], p=0.25),",
        "], white=255.0)",
    ]


@pytest.mark.parametrize("shape", [(8,), (1, 2, 3, 4), (0, 8)], ids=str)
def test_bad_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"^shape is .* it must be \(height, width\)"):
        GaussianNoise().draw(shape)
