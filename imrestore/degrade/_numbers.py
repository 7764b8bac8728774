"""Numbers that distributions are made of, their checks, and picking one of some."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from imrestore._checks.values import finite, is_sequence, real, shown

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


def listed(name: str, values: object, of: str) -> tuple[object, ...]:
    """What a sequence holds."""
    if not is_sequence(values):
        raise TypeError(f"{name} is {shown(values)} of type {type(values).__name__}; it must be a sequence of {of}")
    return tuple(values)  # type: ignore[arg-type]


def chances(name: str, p: Any, count: int) -> tuple[float, ...]:
    """Probabilities of ``count`` things, which add up to 1."""
    allowed = f"{count} numbers >= 0 that add up to 1"
    if not is_sequence(p):
        raise TypeError(f"{name} is {shown(p)} of type {type(p).__name__}; it must be {allowed}")
    numbers = tuple(number(name, value) for value in p)
    if len(numbers) != count or min(numbers, default=-1) < 0 or abs(sum(numbers) - 1) > 1e-6:
        raise ValueError(f"{name} is {shown(p)}; it must be {allowed}")
    return numbers


def probability(name: str, value: object) -> float:
    """A probability."""
    found = real(name, value, "a number from 0 to 1")
    if not 0 <= found <= 1:
        raise ValueError(f"{name} is {shown(value)}; it must be a number from 0 to 1")
    return found


def pick(u: Floats, count: int, p: tuple[float, ...] | None) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Whole numbers below ``count`` for uniform random numbers in (0, 1), one each, with the chances ``p``."""
    if p is None:
        return np.minimum((u * count).astype(np.int64), count - 1)
    picked: np.ndarray[Any, np.dtype[np.int64]] = np.searchsorted(np.cumsum(p)[:-1], u, side="right")
    return picked


def number(name: str, value: object, allowed: str = "a finite number") -> float:
    """A finite number, as Python's."""
    finite(name, value, allowed)
    own: float = plain(value)
    return own


def plain(value: Any) -> Any:
    """NumPy's numbers, also those in tuples, as Python's: NumPy's print and compare in ways of their own."""
    if isinstance(value, np.generic):
        return float(value) if isinstance(value, np.floating) else value.item()
    return tuple(plain(one) for one in value) if isinstance(value, tuple) else value


def take_numbers(owner: object, *names: str) -> None:
    """Fields that are finite numbers."""
    for name in names:
        object.__setattr__(owner, name, number(name, getattr(owner, name)))


def ordered(owner: object, low: object, high: object) -> None:
    take_numbers(owner, "low", "high")
    if number("low", low) > number("high", high):
        raise ValueError(f"{type(owner).__name__} goes from {shown(low)} to {shown(high)}; high must not be less than low")
