"""Parameters of steps: a number, a range or a distribution, and their checks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from imrestore._checks.values import is_masked_array, shown
from imrestore.degrade._distributions import (
    Beta,
    Choice,
    Integers,
    InverseUniform,
    LogUniform,
    Normal,
    SquareUniform,
    Uniform,
)
from imrestore.degrade._numbers import Floats, chances, listed, number, pick, plain


@dataclass(frozen=True, init=False)
class Mixture:
    """One of several numbers, ranges and distributions, all as likely or with the chances `p`, and then a number from it.

    Parameters
    ----------
    parts : sequence
        Numbers, ranges ``(low, high)`` and distributions.
    p : sequence of float, optional
        Their chances; by default all are as likely.

    Raises
    ------
    TypeError
        If `parts` is no sequence, a part is none of these, or `p` no sequence of numbers.
    ValueError
        If there are no parts, or `p` are no chances or not as many.

    Examples
    --------
    >>> from imrestore.degrade import GaussianNoise, Mixture
    >>> (_, drawn), = GaussianNoise(Mixture([(1, 2), 5], p=[0.9, 0.1])).draw((8, 8), rng=0)
    >>> 1 <= drawn["sigma"] <= 5
    True
    """

    parts: tuple[Any, ...]
    p: tuple[float, ...] | None = None

    def __init__(self, parts: Any, p: Any = None) -> None:
        allowed = "numbers, ranges (low, high) and distributions"
        object.__setattr__(self, "parts", plain(listed("parts", parts, allowed)))
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
        drawn = np.empty(u.shape)
        for place, part in enumerate(self.parts):
            own, mine = distribution(part), which == place
            drawn[mine] = part if own is None else own.sample(within[mine])
        return drawn


_DISTRIBUTIONS = (Uniform, LogUniform, SquareUniform, InverseUniform, Integers, Normal, Beta, Choice, Mixture)
Distribution: TypeAlias = Uniform | LogUniform | SquareUniform | InverseUniform | Integers | Normal | Beta | Choice | Mixture
#: What a parameter may be: a number, a range of numbers, or a distribution.
Value: TypeAlias = float | tuple[float, float] | Distribution


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
        found = [number(name, one) for one in numbers]
    except TypeError:
        raise TypeError(f"{name} is {shown(value)} of type {type(value).__name__}; it must be {allowed}") from None
    except ValueError:
        raise ValueError(f"{name} is {shown(value)}; it must be {allowed}") from None
    if whole and (not isinstance(drawn_from, Integers | Choice | None) or any(n != math.floor(n) for n in found)):
        raise ValueError(f"{name} is {shown(value)}; it must be {allowed}")
    if not all(low <= n <= high and (n > low or not above) for n in found):
        raise ValueError(f"{name} is {shown(value)}; it must be {allowed}")


def numbers_of(name: str, value: object, allowed: str) -> Floats:
    """An array of real numbers, as float64."""
    try:
        given = np.asarray(value)
        real = given.dtype.kind in "biuf" and not is_masked_array(value)
    except (TypeError, ValueError, RuntimeError):  # of rows of different lengths, of a tensor that is not on the CPU
        real = False
    if not real:
        raise TypeError(f"{name} is {shown(value)} of type {type(value).__name__}; it must be {allowed}")
    with np.errstate(over="ignore"):  # of a longer float: infinite, which the caller finds
        return given.astype(np.float64)


def _allowed(low: float, high: float, above: bool, whole: bool) -> str:
    what = "a whole number" if whole else "a finite number"
    if math.isfinite(high):
        what += f" from {low:g} to {high:g}" + (f", not {low:g}" if above else "")
    elif math.isfinite(low):
        what += f" {'>' if above else '>='} {low:g}"
    return what + (", or Integers or Choice of those" if whole else ", a range (low, high) or a distribution of those")
