"""From exact sums to the image's own dtype: half to even, saturated."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def round_to(values: Array, dst: Array) -> None:
    """Write float64 ``values`` to ``dst``: integers rounded half to even and saturated, NaN as 0; floats cast once."""
    with np.errstate(all="ignore"):
        if dst.dtype.kind == "f":
            dst[...] = values
            return
        limits = np.iinfo(dst.dtype)
        rounded = np.rint(np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf))
        low, high = float(limits.min), float(limits.max)  # float(2**63 - 1) is 2**63, hence >= below
        inside = np.where((rounded > low) & (rounded < high), rounded, 0).astype(dst.dtype)
        dst[...] = np.where(rounded >= high, limits.max, np.where(rounded <= low, limits.min, inside))


def divide_half_even(numerator: Array, denominator: Array | int) -> Array:
    """int64 quotient rounded half to even; 0 where the denominator is 0."""
    safe = np.maximum(denominator, 1)
    quotient = numerator // safe
    twice = 2 * (numerator - quotient * safe)
    up = (twice > safe) | ((twice == safe) & (quotient & 1 == 1))
    return np.where(np.asarray(denominator) > 0, quotient + up, 0)


def divide_wide_half_even(high: Array, low: Array, denominator: Array | int) -> Array:
    """(high * 2**32 + low) / denominator, rounded half to even, for sums of 64-bit integers.

    ``low`` is a sum of values below 2**32, ``denominator`` below 2**31, so the remainder of the first division and ``low``
    together fit 64 unsigned bits. The result is the 64 bits of the quotient (two's complement).
    """
    safe = np.maximum(denominator, 1).astype(np.int64) if isinstance(denominator, np.ndarray) else np.int64(denominator)
    first = high // safe
    rest = (high - first * safe).astype(np.uint64) * np.uint64(1 << 32) + low.astype(np.uint64)
    unsigned = np.asarray(safe).astype(np.uint64)
    second = rest // unsigned
    twice = np.uint64(2) * (rest - second * unsigned)
    quotient = first.astype(np.uint64) * np.uint64(1 << 32) + second
    up = (twice > unsigned) | ((twice == unsigned) & (quotient & np.uint64(1) == 1))
    return np.where(np.asarray(denominator) > 0, quotient + up.astype(np.uint64), np.uint64(0))
