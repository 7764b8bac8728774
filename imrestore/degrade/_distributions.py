"""Distributions that every sample draws a number of its own from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from imrestore._checks.values import shown
from imrestore.degrade._numbers import Floats, chances, listed, number, ordered, pick, take_numbers


@dataclass(frozen=True)
class Uniform:
    """Every number from `low` to `high` is as likely.

    Parameters
    ----------
    low, high : float
        Its limits; the tuple ``(low, high)`` means the same.

    Raises
    ------
    TypeError
        If a parameter is no number.
    ValueError
        If one is not finite, or `low` is above `high`.

    Examples
    --------
    >>> from imrestore.degrade import GaussianNoise, Uniform
    >>> (_, drawn), = GaussianNoise(Uniform(1, 5)).draw((8, 8), rng=0)
    >>> 1 <= drawn["sigma"] <= 5
    True
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        ordered(self, self.low, self.high)

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest number that can be drawn."""
        return self.low, self.high

    def sample(self, u: Floats) -> Floats:
        """Numbers for uniform random numbers in (0, 1), one each."""
        return self.low + (self.high - self.low) * u


@dataclass(frozen=True)
class LogUniform:
    """A number whose logarithm is uniform, from `low` to `high`, both above 0.

    Parameters
    ----------
    low, high : float
        Its limits, > 0.

    Raises
    ------
    TypeError
        If a parameter is no number.
    ValueError
        If one is not finite or not above 0, or `low` is above `high`.

    Examples
    --------
    >>> from imrestore.degrade import GaussianNoise, LogUniform
    >>> (_, drawn), = GaussianNoise(LogUniform(0.1, 10)).draw((8, 8), rng=0)
    >>> 0.1 <= drawn["sigma"] <= 10
    True
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        ordered(self, self.low, self.high)
        if self.low <= 0:
            raise ValueError(f"low is {shown(self.low)}; it must be a finite number > 0")

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest number that can be drawn."""
        return self.low, self.high

    def sample(self, u: Floats) -> Floats:
        """Numbers for uniform random numbers in (0, 1), one each."""
        drawn: Floats = self.low * np.exp(u * math.log(self.high / self.low))
        return drawn


@dataclass(frozen=True)
class SquareUniform:
    """A number whose square is uniform, from `low` to `high`, both at least 0: a standard deviation of uniform variance.

    Parameters
    ----------
    low, high : float
        Its limits, 0 to 1e150.

    Raises
    ------
    TypeError
        If a parameter is no number.
    ValueError
        If one is out of range, or `low` is above `high`.

    Examples
    --------
    >>> from imrestore.degrade import GaussianNoise, SquareUniform
    >>> (_, drawn), = GaussianNoise(SquareUniform(0, 5)).draw((8, 8), rng=0)
    >>> 0 <= drawn["sigma"] <= 5
    True
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        ordered(self, self.low, self.high)
        if self.low < 0:
            raise ValueError(f"low is {shown(self.low)}; it must be a finite number >= 0")
        if self.high > 1e150:
            raise ValueError(f"high is {shown(self.high)}; it must be a finite number <= 1e150")

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest number that can be drawn."""
        return self.low, self.high

    def sample(self, u: Floats) -> Floats:
        """Numbers for uniform random numbers in (0, 1), one each."""
        drawn: Floats = np.sqrt(self.low**2 + (self.high**2 - self.low**2) * u)
        return drawn


@dataclass(frozen=True)
class InverseUniform:
    """One over a number that is uniform from `low` to `high`, both above 0: the scale of a downsampling by a uniform factor.

    Parameters
    ----------
    low, high : float
        Limits of one over it, > 0.

    Raises
    ------
    TypeError
        If a parameter is no number.
    ValueError
        If one is not finite or not above 0, or `low` is above `high`.

    Examples
    --------
    >>> from imrestore.degrade import GaussianNoise, InverseUniform
    >>> (_, drawn), = GaussianNoise(InverseUniform(1, 4)).draw((8, 8), rng=0)
    >>> 0.25 <= drawn["sigma"] <= 1
    True
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        ordered(self, self.low, self.high)
        if self.low <= 0:
            raise ValueError(f"low is {shown(self.low)}; it must be a finite number > 0")

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest number that can be drawn."""
        return 1 / self.high, 1 / self.low

    def sample(self, u: Floats) -> Floats:
        """Numbers for uniform random numbers in (0, 1), one each."""
        drawn: Floats = 1 / (self.low + (self.high - self.low) * u)
        return drawn


@dataclass(frozen=True)
class Integers:
    """Every whole number from `low` to `high`, both taken in, is as likely.

    Parameters
    ----------
    low, high : int
        Its limits.

    Raises
    ------
    TypeError
        If a parameter is no number.
    ValueError
        If one is no whole number, or `low` is above `high`.

    Examples
    --------
    >>> from imrestore.degrade import GaussianNoise, Integers
    >>> GaussianNoise(Integers(5, 5)).draw((8, 8), rng=0)
    [('GaussianNoise', {'sigma': 5.0})]
    """

    low: int
    high: int

    def __post_init__(self) -> None:
        ordered(self, self.low, self.high)
        if int(self.low) != self.low or int(self.high) != self.high:
            raise ValueError(f"low and high are {shown(self.low)} and {shown(self.high)}; they must be whole numbers")
        for name in ("low", "high"):
            object.__setattr__(self, name, int(getattr(self, name)))

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest number that can be drawn."""
        return self.low, self.high

    def sample(self, u: Floats) -> Floats:
        """Numbers for uniform random numbers in (0, 1), one each."""
        drawn: Floats = self.low + np.floor(u * (self.high - self.low + 1))
        return drawn


@dataclass(frozen=True)
class Normal:
    """A normal number cut off at three standard deviations: parameters have ranges, and a tail would leave them.

    Parameters
    ----------
    mean, sigma : float
        Mean, and standard deviation >= 0 before the tails are cut off.

    Raises
    ------
    TypeError
        If a parameter is no number.
    ValueError
        If one is not finite, or `sigma` is below 0.

    Examples
    --------
    >>> from imrestore.degrade import GaussianNoise, Normal
    >>> (_, drawn), = GaussianNoise(Normal(10, 2)).draw((8, 8), rng=0)
    >>> 4 <= drawn["sigma"] <= 16
    True
    """

    mean: float
    sigma: float

    def __post_init__(self) -> None:
        take_numbers(self, "mean", "sigma")
        if self.sigma < 0:
            raise ValueError(f"sigma is {shown(self.sigma)}; it must be a finite number >= 0")

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest number that can be drawn."""
        return self.mean - 3 * self.sigma, self.mean + 3 * self.sigma

    def sample(self, u: Floats) -> Floats:
        """Numbers for uniform random numbers in (0, 1), one each."""
        from scipy.special import ndtr, ndtri

        tail = ndtr(-3.0)
        drawn: Floats = self.mean + self.sigma * ndtri(tail + (1 - 2 * tail) * u)
        return drawn


@dataclass(frozen=True)
class Beta:
    """The beta distribution on 0 to 1: for ``a == b`` the mixing weight of mixup (Zhang, Cisse, Dauphin and Lopez-Paz 2018).

    Parameters
    ----------
    a, b : float
        Its two shapes, > 0.

    Raises
    ------
    TypeError
        If a parameter is no number.
    ValueError
        If one is not finite or not above 0.

    Examples
    --------
    >>> from imrestore.degrade import GaussianNoise, Beta
    >>> (_, drawn), = GaussianNoise(Beta(0.4, 0.4)).draw((8, 8), rng=0)
    >>> 0 <= drawn["sigma"] <= 1
    True
    """

    a: float
    b: float

    def __post_init__(self) -> None:
        take_numbers(self, "a", "b")
        for name, value in (("a", self.a), ("b", self.b)):
            if value <= 0:
                raise ValueError(f"{name} is {shown(value)}; it must be a finite number > 0")

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest number that can be drawn."""
        return 0.0, 1.0

    def sample(self, u: Floats) -> Floats:
        """Numbers for uniform random numbers in (0, 1), one each."""
        from scipy.special import betaincinv

        drawn: Floats = betaincinv(self.a, self.b, u)
        return drawn


@dataclass(frozen=True, init=False)
class Choice:
    """One of some values, all as likely or with the chances `p`, which add up to 1.

    Parameters
    ----------
    values : sequence
        What there is to choose from: numbers, or names where a parameter is one.
    p : sequence of float, optional
        Their chances; by default all are as likely.

    Raises
    ------
    TypeError
        If `values` is no sequence of numbers or names, or `p` none of numbers.
    ValueError
        If there are no values, one is not finite, or `p` are no chances or not as many.

    Examples
    --------
    >>> from imrestore.degrade import GaussianNoise, Choice
    >>> GaussianNoise(Choice([5, 50], p=[1, 0])).draw((8, 8), rng=0)
    [('GaussianNoise', {'sigma': 5.0})]
    """

    values: tuple[Any, ...]
    p: tuple[float, ...] | None = None

    def __init__(self, values: Any, p: Any = None) -> None:
        object.__setattr__(self, "values", _choices(values))
        object.__setattr__(self, "p", None if p is None else chances("p", p, len(self.values)))
        if not self.values:
            raise ValueError("values is empty; there must be at least one")

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest number that can be drawn."""
        return min(self.values), max(self.values)

    def picks(self, u: Floats) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Positions in `values` for uniform random numbers in (0, 1), one each."""
        return pick(u, len(self.values), self.p)

    def sample(self, u: Floats) -> Floats:
        """Numbers for uniform random numbers in (0, 1), one each."""
        drawn: Floats = np.asarray(self.values, np.float64)[self.picks(u)]
        return drawn


def _choices(values: object) -> tuple[float | str, ...]:
    of = "finite numbers or names"
    every = listed("values", values, of)
    return tuple(str(one) if isinstance(one, str) else number("values", one, f"a sequence of {of}") for one in every)
