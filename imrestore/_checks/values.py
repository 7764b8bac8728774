"""Checks of a single value, whatever it means: numbers, names, one value or one for each axis."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

import numpy as np
from imrestore_kernels import forks


def shown(value: object) -> str:
    """What a value looks like in a message."""
    try:
        text = repr(value)
    except ValueError:  # whole numbers of thousands of digits
        text = f"a {type(value).__name__} too long to print"
    return text if len(text) <= 60 else f"{text[:57]}..."


def is_sequence(value: object) -> bool:
    """True for what holds one value after the other; a string is one value."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def is_masked_array(value: object) -> bool:
    """True for numpy.ma's arrays; NumPy imports numpy.ma when it is first named."""
    with forks.importing:
        return isinstance(value, np.ma.MaskedArray)


def integer(name: str, value: object, allowed: str) -> int:
    """A whole number of any size."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {shown(value)}; it must be {allowed}")
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} is {shown(value)} of type {type(value).__name__}; it must be {allowed}") from None


def real(name: str, value: object, allowed: str) -> float:
    """A number, which may be infinite or NaN."""
    plain = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not plain:
        raise TypeError(f"{name} is {shown(value)} of type {type(value).__name__}; it must be {allowed}")
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        raise ValueError(f"{name} is {shown(value)}; it must be {allowed}") from None


def finite(name: str, value: object, allowed: str) -> float:
    """A finite number."""
    number = real(name, value, allowed)
    if not math.isfinite(number):
        raise ValueError(f"{name} is {shown(value)}; it must be {allowed}")
    return number


def positive(name: str, value: object, allowed: str) -> float:
    """A finite number above zero."""
    number = finite(name, value, allowed)
    if number <= 0:
        raise ValueError(f"{name} is {shown(value)}; it must be {allowed}")
    return number


def not_negative(name: str, value: object, allowed: str) -> float:
    """A finite number, zero or above."""
    number = finite(name, value, allowed)
    if number < 0:
        raise ValueError(f"{name} is {shown(value)}; it must be {allowed}")
    return number


def one_of(name: str, value: object, choices: Sequence[str], *, optional: bool = False) -> str:
    """One of some names; ``optional`` is said where the argument may be None."""
    allowed = ("None, " if optional else "") + ", ".join(map(repr, choices[:-1])) + f" or {choices[-1]!r}"
    if not isinstance(value, str):
        raise TypeError(f"{name} is {shown(value)} of type {type(value).__name__}; it must be {allowed}")
    if value not in choices:
        raise ValueError(f"{name} is {shown(value)}; it must be {allowed}")
    return value


def flag(name: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {shown(value)} of type {type(value).__name__}; it must be True or False")
    return bool(value)


def per_axis(name: str, value: object, axes: int, allowed: str) -> tuple[object, ...]:
    """One value for each filtered axis, from as many or from one for all; the values are not looked at."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if not is_sequence(value):
        return (value,) * axes
    items: tuple[object, ...] = tuple(value)  # type: ignore[arg-type]
    if len(items) != axes:
        raise ValueError(
            f"{name} has {len(items)} values, {shown(value)}; it must be {allowed}, or one for each of the {axes} filtered axes"
        )
    return items


def whole_numbers(name: str, value: object, axes: int, low: int, high: int, *, optional: bool = False) -> tuple[int, ...]:
    """Whole numbers from ``low`` to ``high``, one per filtered axis; ``optional`` is said where the argument may be None."""
    allowed = ("None or " if optional else "") + f"a whole number from {low} to {high}"
    numbers = tuple(integer(name, item, allowed) for item in per_axis(name, value, axes, allowed))
    if not all(low <= number <= high for number in numbers):
        raise ValueError(f"{name} is {shown(value)}; it must be {allowed}, or one for each filtered axis")
    return numbers


def thread_count(value: object, name: str = "n") -> int:
    """A number of threads."""
    allowed = "a whole number from 1 to 1024"
    number = integer(name, value, allowed)
    if not 1 <= number <= 1024:
        raise ValueError(f"{name} is {shown(value)}; it must be {allowed}")
    return number
