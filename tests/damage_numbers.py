"""What both rings' own functions are tried on: arguments of every size and kind, and what the definition makes of them."""

from __future__ import annotations

import numpy as np
from imrestore_kernels import elementary

SPECIAL = (0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, 1e-40, 0.5, -1.0)


def arguments(dtype: str) -> np.ndarray:
    rng = np.random.default_rng(4)
    large = 160 if dtype == "float32" else 1100
    with np.errstate(over="ignore"):
        sizes = np.exp2(rng.uniform(-large, large, 1000))
        return np.concatenate([rng.uniform(-large, large, 1000), rng.uniform(-2, 2, 1000), sizes, SPECIAL]).astype(dtype)


def exponents(dtype: str) -> np.ndarray:
    p = np.random.default_rng(5).uniform(-5, 5, arguments(dtype).size)
    p[-len(SPECIAL) :] = 0, 1, -1, 2, 2, 3, 1, 0, 2
    return p.astype(dtype)


def reference(x: np.ndarray, p: np.ndarray) -> np.ndarray:
    """exp2, exp, log, log2, sine, cosine and power."""
    rows = (elementary.exp2(x), elementary.exp(x), elementary.log(x), elementary.log2(x))
    return np.stack([*rows, *elementary.sincos(x), elementary.power(x, p)])


def same_numbers(found: np.ndarray, expected: np.ndarray) -> None:
    """The same bits, but for which NaN it is."""
    assert found.dtype == expected.dtype
    assert (np.isnan(found) == np.isnan(expected)).all()
    bits = f"u{found.dtype.itemsize}"
    different = (found.view(bits) != expected.view(bits)) & ~np.isnan(expected)
    assert not different.any(), np.argwhere(different)[:5]
