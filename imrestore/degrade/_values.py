"""Parameters of steps: a number, or a distribution that every sample draws a number of its own from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from imrestore._checks.values import is_sequence, shown

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Uniform:
    """Every number from `low` to `high` is as likely; the tuple ``(low, high)`` means the same."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _ordered(self, self.low, self.high)

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest number that can be drawn."""
        return self.low, self.high

    def sample(self, u: Floats) -> Floats:
        """Numbers for uniform random numbers in (0, 1), one each."""
        return self.low + (self.high - self.low) * u


@dataclass(frozen=True)
class LogUniform:
    """A number whose logarithm is uniform, from `low` to `high`, both above 0."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _ordered(self, self.low, self.high)
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
    """A number whose square is uniform, from `low` to `high`, both at least 0: a standard deviation of uniform variance."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _ordered(self, self.low, self.high)
        if self.low < 0:
            raise ValueError(f"low is {shown(self.low)}; it must be a finite number >= 0")

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
    """One over a number that is uniform from `low` to `high`, both above 0: the scale of a downsampling by a uniform factor."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _ordered(self, self.low, self.high)
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
    """Every whole number from `low` to `high`, both taken in, is as likely."""

    low: int
    high: int

    def __post_init__(self) -> None:
        _ordered(self, self.low, self.high)
        if int(self.low) != self.low or int(self.high) != self.high:
            raise ValueError(f"low and high are {shown(self.low)} and {shown(self.high)}; they must be whole numbers")

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
    """A normal number cut off at three standard deviations: parameters have ranges, and a tail would leave them."""

    mean: float
    sigma: float

    def __post_init__(self) -> None:
        for name, value in (("mean", self.mean), ("sigma", self.sigma)):
            _number(name, value)
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
    """The beta distribution on 0 to 1: for ``a == b`` the mixing weight of mixup (Zhang, Cisse, Dauphin and Lopez-Paz 2018)."""

    a: float
    b: float

    def __post_init__(self) -> None:
        for name, value in (("a", self.a), ("b", self.b)):
            if _number(name, value) <= 0:
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
    """One of some values, all as likely or with the chances `p`, which add up to 1."""

    values: tuple[Any, ...]
    p: tuple[float, ...] | None = None

    def __init__(self, values: Any, p: Any = None) -> None:
        object.__setattr__(self, "values", tuple(values))
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


@dataclass(frozen=True, init=False)
class Mixture:
    """One of several numbers, ranges and distributions, all as likely or with the chances `p`, and then a number from it."""

    parts: tuple[Any, ...]
    p: tuple[float, ...] | None = None

    def __init__(self, parts: Any, p: Any = None) -> None:
        object.__setattr__(self, "parts", tuple(parts))
        object.__setattr__(self, "p", None if p is None else chances("p", p, len(self.parts)))
        if not self.parts:
            raise ValueError("parts is empty; there must be at least one")
        for part in self.parts:
            check_value("parts", part)

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest number that can be drawn."""
        limits = [(part, part) if (own := distribution(part)) is None else own.limits for part in self.parts]
        return min(low for low, _ in limits), max(high for _, high in limits)

    def sample(self, u: Floats) -> Floats:
        """Numbers for uniform random numbers in (0, 1), one each: where a number lies in its part's share, it is uniform again."""
        shares = np.full(len(self.parts), 1 / len(self.parts)) if self.p is None else np.array(self.p)
        which = pick(u, len(shares), tuple(shares))
        within = np.clip((u - (np.cumsum(shares) - shares)[which]) / shares[which], 2.0**-33, 1 - 2.0**-33)
        drawn = np.empty(len(u))
        for number, part in enumerate(self.parts):
            own, mine = distribution(part), which == number
            drawn[mine] = part if own is None else own.sample(within[mine])
        return drawn


_DISTRIBUTIONS = (Uniform, LogUniform, SquareUniform, InverseUniform, Integers, Normal, Beta, Choice, Mixture)
Distribution: TypeAlias = Uniform | LogUniform | SquareUniform | InverseUniform | Integers | Normal | Beta | Choice | Mixture
#: What a parameter may be: a number, a range of numbers, or a distribution.
Value: TypeAlias = float | tuple[float, float] | Distribution


def chances(name: str, p: Any, count: int) -> tuple[float, ...]:
    """Probabilities of ``count`` things, which add up to 1."""
    allowed = f"{count} numbers >= 0 that add up to 1"
    if not is_sequence(p):
        raise TypeError(f"{name} is {shown(p)} of type {type(p).__name__}; it must be {allowed}")
    numbers = tuple(_number(name, value) for value in p)
    if len(numbers) != count or min(numbers, default=-1) < 0 or abs(sum(numbers) - 1) > 1e-6:
        raise ValueError(f"{name} is {shown(p)}; it must be {allowed}")
    return numbers


def pick(u: Floats, count: int, p: tuple[float, ...] | None) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Whole numbers below ``count`` for uniform random numbers in (0, 1), one each, with the chances ``p``."""
    if p is None:
        return np.minimum((u * count).astype(np.int64), count - 1)
    picked: np.ndarray[Any, np.dtype[np.int64]] = np.searchsorted(np.cumsum(p)[:-1], u, side="right")
    return picked


def distribution(value: Value) -> Distribution | None:
    """The distribution a parameter stands for, or None for a number."""
    if isinstance(value, tuple):
        return _range(*value)
    return value if isinstance(value, _DISTRIBUTIONS) else None


@lru_cache(maxsize=1024)
def _range(low: float, high: float) -> Uniform:
    """Made and checked once: chains draw from the same ranges again and again."""
    return Uniform(low, high)


def check_value(
    name: str, value: object, low: float = -math.inf, high: float = math.inf, *, above: bool = False, whole: bool = False
) -> None:
    """A parameter whose numbers are all finite and in ``low .. high``; greater than ``low`` with ``above``."""
    allowed = _allowed(low, high, above, whole)
    if isinstance(value, list):
        raise TypeError(f"{name} is a list, {shown(value)}; it must be {allowed}")
    if isinstance(value, tuple) and len(value) != 2:
        raise ValueError(f"{name} is {shown(value)}, of {len(value)} values; it must be {allowed}")
    try:
        drawn_from = distribution(value)  # type: ignore[arg-type]
        numbers = [value] if drawn_from is None else list(drawn_from.limits)
        if isinstance(drawn_from, Choice):
            numbers = list(drawn_from.values)
        found = [_number(name, number) for number in numbers]
    except TypeError:
        raise TypeError(f"{name} is {shown(value)} of type {type(value).__name__}; it must be {allowed}") from None
    except ValueError:
        raise ValueError(f"{name} is {shown(value)}; it must be {allowed}") from None
    if whole and (not isinstance(drawn_from, Integers | Choice | None) or any(n != math.floor(n) for n in found)):
        raise ValueError(f"{name} is {shown(value)}; it must be {allowed}")
    if not all(low <= n <= high and (n > low or not above) for n in found):
        raise ValueError(f"{name} is {shown(value)}; it must be {allowed}")


def _allowed(low: float, high: float, above: bool, whole: bool) -> str:
    what = "a whole number" if whole else "a finite number"
    if math.isfinite(high):
        what += f" from {low:g} to {high:g}" + (f", not {low:g}" if above else "")
    elif math.isfinite(low):
        what += f" {'>' if above else '>='} {low:g}"
    return what + (", or Integers or Choice of those" if whole else ", a range (low, high) or a distribution of those")


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} is {shown(value)} of type {type(value).__name__}; it must be a finite number")
    if not math.isfinite(value):
        raise ValueError(f"{name} is {shown(value)}; it must be a finite number")
    return float(value)


def _ordered(owner: object, low: object, high: object) -> None:
    first, second = _number("low", low), _number("high", high)
    if first > second:
        raise ValueError(f"{type(owner).__name__} goes from {shown(low)} to {shown(high)}; high must not be less than low")


