"""The transforms of patches in few steps, for vectors of columns: the same coefficients as the matrices of `patch_transforms`, each
times a factor of its own that `row_norms` tells. Thresholds and variances take these factors up, which costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

import numpy as np

from imrestore_kernels.bm3d_profiles import SIDE, Table

#: Middle taps of the low-pass of bior1.5 in parts of the largest, times differences of neighbouring pairs of samples. Its outer
#: taps meet themselves around the end of 8 samples and cancel; of 4 and 2 samples all but the largest do.
_PREDICTION = 22 / 128


class Steps(Protocol):
    """What makes the steps: `VectorText`, or numbers."""

    def op(self, operation: str, a: Any, b: Any) -> Any: ...
    def fma(self, a: Any, b: Any, c: Any) -> Any: ...
    def constant(self, number: float) -> Any: ...


class Numbers:
    """The steps on arrays, to see what they make."""

    def op(self, operation: str, a: Table, b: Table) -> Table:
        results: dict[str, Table] = {"fadd": a + b, "fsub": a - b, "fmul": a * b}
        return results[operation]

    def fma(self, a: Table, b: Table, c: Table) -> Table:
        return a * b + c

    def constant(self, number: float) -> Any:
        return number


def analyse(steps: Steps, transform: str, rows: Sequence[Any]) -> list[Any]:
    """Coefficients along columns of `SIDE` samples."""
    return _wavelet(steps, rows) if transform == "bior1.5" else _cosine(steps, rows)


def synthesise(steps: Steps, transform: str, rows: Sequence[Any]) -> list[Any]:
    """The way back, without any factor."""
    return _from_wavelet(steps, rows) if transform == "bior1.5" else _from_cosine(steps, rows)


@cache
def row_norms(transform: str) -> Table:
    """By how much each coefficient of `analyse` is larger than that of the matrix, whose rows have norm 1."""
    norms: Table = np.linalg.norm(np.array(analyse(Numbers(), transform, list(np.eye(SIDE)))), axis=1)
    return norms


def _both(steps: Steps, a: Any, b: Any) -> tuple[Any, Any]:
    return steps.op("fadd", a, b), steps.op("fsub", a, b)


def _around(steps: Steps, centre: Any, value: Any, factor: float) -> tuple[Any, Any]:
    """``centre + factor value`` and ``centre - factor value``."""
    return steps.fma(value, steps.constant(factor), centre), steps.fma(value, steps.constant(-factor), centre)


def _wavelet(steps: Steps, x: Sequence[Any]) -> list[Any]:
    sums, details = map(list, zip(*(_both(steps, x[i], x[i + 1]) for i in range(0, SIDE, 2)), strict=True))
    low = _predicted(steps, sums, details, _PREDICTION)
    (left, d0), (right, d1) = _both(steps, low[0], low[1]), _both(steps, low[2], low[3])
    return [*_both(steps, left, right), d0, d1, *details]


def _predicted(steps: Steps, sums: list[Any], details: list[Any], factor: float) -> list[Any]:
    """Sums of pairs and ``factor`` times the difference of the details beside them."""
    odd, even = steps.op("fsub", details[1], details[3]), steps.op("fsub", details[2], details[0])
    pairs = ((odd, factor), (even, factor), (odd, -factor), (even, -factor))
    return [steps.fma(d, steps.constant(f), s) for s, (d, f) in zip(sums, pairs, strict=True)]


def _from_wavelet(steps: Steps, c: Sequence[Any]) -> list[Any]:
    mean, slope, d0, d1, *details = c
    left, right = _around(steps, steps.op("fmul", mean, steps.constant(1 / 8)), slope, 1 / 8)
    low = [*_around(steps, left, d0, 1 / 4), *_around(steps, right, d1, 1 / 4)]
    sums = _predicted(steps, low, details, -_PREDICTION / 2)
    return [x for s, d in zip(sums, details, strict=True) for x in _around(steps, s, d, 1 / 2)]


_TURN = float(np.tan(np.pi / 8))
#: Rows 1, 3, 5, 7 of the cosine transform at samples 0 .. 3, in parts of the first.
_ODD = np.cos(np.pi * np.outer([1, 3, 5, 7], [1, 3, 5, 7]) / 16)
_ODD /= _ODD[:, :1]


def _cosine(steps: Steps, x: Sequence[Any]) -> list[Any]:
    a, b = map(list, zip(*(_both(steps, x[j], x[SIDE - 1 - j]) for j in range(4)), strict=True))
    (c0, c2), (c1, c3) = _both(steps, a[0], a[3]), _both(steps, a[1], a[2])
    x0, x4 = _both(steps, c0, c1)
    turn = steps.constant(_TURN)
    x2 = steps.fma(c3, turn, c2)
    x6 = steps.op("fsub", steps.op("fmul", c2, turn), c3)
    odd = []
    for row in _ODD:
        total = b[0]
        for value, factor in zip(b[1:], row[1:].tolist(), strict=True):
            total = steps.fma(value, steps.constant(factor), total)
        odd.append(total)
    return [x0, odd[0], x2, odd[1], x4, odd[2], x6, odd[3]]


def _from_cosine(steps: Steps, c: Sequence[Any]) -> list[Any]:
    # The inverse of orthogonal rows is what they are, divided by the squares of their norms.
    turn, part = steps.constant(_TURN), 1 / (4 * (1 + _TURN**2))
    e0, e1 = (steps.op("fmul", e, steps.constant(1 / 8)) for e in _both(steps, c[0], c[4]))
    a0, a3 = _around(steps, e0, steps.fma(c[6], turn, c[2]), part)
    a1, a2 = _around(steps, e1, steps.op("fsub", steps.op("fmul", c[2], turn), c[6]), part)
    weights = _ODD / (2 * (_ODD**2).sum(1, keepdims=True))
    results: list[Any] = [None] * SIDE
    for j, a in enumerate((a0, a1, a2, a3)):
        total = steps.op("fmul", c[1], steps.constant(float(weights[0, j])))
        for k in (1, 2, 3):
            total = steps.fma(c[2 * k + 1], steps.constant(float(weights[k, j])), total)
        results[j], results[SIDE - 1 - j] = _both(steps, a, total)
    return results
