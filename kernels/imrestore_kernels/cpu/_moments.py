"""Means, variances and covariances of windows as vector instructions: what the guided filter adds up.

A moment set says of some samples their sum S, and for pairs of channels the sum M of products of deviations from their means.
Two sets are joined without a subtraction of large numbers (Chan, Golub and LeVeque 1983): with n and m samples

    S = S_a + S_b,    M = M_a + M_b + m / (n (n + m)) d d',    d = n / m S_b - S_a,

so a variance keeps its digits on a pedestal, where the mean square minus the squared mean loses them. M of equal samples is 0 to
the bit and never negative. Where b is a power of two samples n / m is exact.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from imrestore_kernels.cpu._vector_text import VectorText

#: Share of a variance that its rest is known to, when what other channels explain is taken off: 16 roundings.
KNOWN = {"f4": 2.0**-20, "f8": 2.0**-49}


class Moments(NamedTuple):
    """What is in a moment set: sums of ``channels`` of the guide, and of ``images``, channels of an image that is not the guide."""

    channels: int
    images: int
    #: What is computed in: "f8" or "f4".
    real: str = "f8"

    @property
    def compute(self) -> np.dtype[np.floating]:
        return np.dtype(self.real)

    @property
    def sums(self) -> int:
        return self.channels + self.images

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Channels of every M; those of the image come after the guide's."""
        guide = range(self.channels)
        return tuple((i, j) for i in guide for j in range(self.sums) if i <= j)

    @property
    def rows(self) -> int:
        """Vectors of a set: the sums, then one for each of the pairs."""
        return self.sums + len(self.pairs)

    @property
    def outputs(self) -> int:
        """Channels of the result made at once: those of the image, or all of a guide that filters itself."""
        return self.images or self.channels

    @property
    def coefficients(self) -> int:
        """Vectors of coefficients: for every output a factor for each channel of the guide, and after all those one offset."""
        return self.outputs * (self.channels + 1)


class MomentSets:
    """Moment sets in registers: lists of their vectors; a leaf, a single sample, has only sums."""

    plain = False

    def __init__(self, text: VectorText, moments: Moments) -> None:
        self.text, self.moments = text, moments
        self.rows, self.leaf_rows = moments.rows, moments.sums

    def joined(self, a: list[str], b: list[str], n: int, m: int) -> list[str]:
        """The set of a's n samples and b's m."""
        text, sums = self.text, self.moments.sums
        alpha, beta = text.constant(n / m), text.constant(m / (n * (n + m)))
        apart = [text.fma(y, alpha, text.negative(x)) for x, y in zip(a[:sums], b[:sums], strict=True)]
        scaled = [text.op("fmul", d, beta) for d in apart[: self.moments.channels]]
        products = []
        for k, (i, j) in enumerate(self.moments.pairs, start=sums):
            known = [part[k] for part in (a, b) if len(part) > sums]
            if known:
                both = text.op("fadd", *known) if len(known) == 2 else known[0]
                products.append(text.fma(scaled[i], apart[j], both))
            else:
                products.append(text.op("fmul", scaled[i], apart[j]))
        return [text.op("fadd", x, y) for x, y in zip(a[:sums], b[:sums], strict=True)] + products

    def whole(self, leaf: list[str]) -> list[str]:
        """A leaf as a set."""
        return leaf + ["zeroinitializer"] * (self.rows - self.leaf_rows)


class Coefficients:
    """Sums of coefficients, with the same methods."""

    plain = True

    def __init__(self, text: VectorText, moments: Moments) -> None:
        self.text = text
        self.rows = self.leaf_rows = moments.coefficients

    def joined(self, a: list[str], b: list[str], _n: int, _m: int) -> list[str]:
        return [self.text.op("fadd", x, y) for x, y in zip(a, b, strict=True)]

    def whole(self, leaf: list[str]) -> list[str]:
        return leaf


def solved(text: VectorText, moments: Moments, window: list[str], samples: int, ridge: str) -> list[str]:
    """Factors and offsets of one vector of windows of so many samples; ``ridge`` is their number times eps.

    Eq. 5, 6, 19 and 20 of He et al.: (M + ridge) a = m is solved by L D L^T. No pivot of a matrix that adds ``ridge`` to one
    without negative eigenvalues is below ``ridge``, nor is one known better than to some roundings of what it is left of: channels
    that are all but sums of others (grey guides that come as colours) then add nothing, where they would add noise.
    """
    channels = range(moments.channels)
    sums, values = window[: moments.sums], dict(zip(moments.pairs, window[moments.sums :], strict=True))

    def minus(value: str, terms: list[tuple[str, str]]) -> str:
        for x, y in terms:
            value = text.fma(text.negative(x), y, value)
        return value

    lower: dict[tuple[int, int], str] = {}
    weighted: dict[tuple[int, int], str] = {}  # L times D
    inverse = []
    for j in channels:
        whole = text.op("fadd", values[j, j], ridge)
        pivot = minus(whole, [(lower[j, k], weighted[j, k]) for k in range(j)])
        if j:
            known = text.op("fmul", whole, text.constant(KNOWN[moments.real]))
            pivot = text.larger(pivot, text.larger(known, ridge))
        inverse.append(text.op("fdiv", text.constant(1.0), pivot))
        for i in range(j + 1, moments.channels):
            weighted[i, j] = minus(values[j, i], [(weighted[i, k], lower[j, k]) for k in range(j)])
            lower[i, j] = text.op("fmul", weighted[i, j], inverse[j])
    factors, offsets = [], []
    for output in range(moments.outputs):
        image = moments.channels + output if moments.images else output
        y: list[str] = []
        for i in channels:
            right = values[(i, image) if i <= image else (image, i)]
            y.append(minus(right, [(lower[i, k], y[k]) for k in range(i)]))
        solution: dict[int, str] = {}
        for i in reversed(channels):
            above = [(lower[k, i], solution[k]) for k in range(i + 1, moments.channels)]
            solution[i] = minus(text.op("fmul", y[i], inverse[i]), above)
        factors += [solution[i] for i in channels]
        offset = minus(sums[image], [(solution[i], sums[i]) for i in channels])
        offsets.append(text.op("fmul", offset, text.constant(1.0 / samples)))
    return [*factors, *offsets]


def applied(text: VectorText, moments: Moments, total: list[str], pixels: list[str], samples: int) -> list[str]:
    """Results of one vector of pixels from the sums of coefficients of so many windows, eq. 8."""
    results = []
    for output in range(moments.outputs):
        value = total[moments.outputs * moments.channels + output]
        for i, pixel in enumerate(pixels):
            value = text.fma(total[output * moments.channels + i], pixel, value)
        results.append(text.op("fmul", value, text.constant(1.0 / samples)))
    return results
