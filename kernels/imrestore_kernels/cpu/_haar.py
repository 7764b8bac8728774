"""Haar's transform across the patches of a group, as vector code; not scaled, so that it takes additions only."""

from __future__ import annotations

from imrestore_kernels.cpu._vector_text import VectorText


def haar(text: VectorText, values: list[str]) -> None:
    """Sums and differences of neighbours, then of sums; in place."""
    step = 1
    while step < len(values):
        for i in range(0, len(values), 2 * step):
            a, b = values[i], values[i + step]
            values[i], values[i + step] = text.op("fadd", a, b), text.op("fsub", a, b)
        step *= 2


def unhaar(text: VectorText, values: list[str]) -> None:
    """The way back; in place. Every difference is divided by the number of patches it was made of as it is added."""
    step = len(values) // 2
    values[0] = text.op("fmul", values[0], text.constant(1 / len(values))) if step else values[0]
    while step:
        part = 1 / (2 * step)
        for i in range(0, len(values), 2 * step):
            a, b = values[i], values[i + step]
            values[i], values[i + step] = text.fma(b, text.constant(part), a), text.fma(b, text.constant(-part), a)
        step //= 2


def sizes(count: int) -> list[int]:
    """How many patches each coefficient is made of: the square of the factor by which it is larger than the orthonormal one."""
    return [count if i == 0 else 2 * (i & -i) for i in range(count)]
