"""Displacements between knots by cubic B-splines (Rueckert et al. 1999, equations 2 and 3): pieces of kernels."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from imrestore_kernels.cpu._jit import inline
from imrestore_kernels.cpu._sampling import fused, rounded_down


class Splines(NamedTuple):
    """Pieces of a kernel for one type of numbers."""

    prepare: Any
    displace_row: Any


@cache
def spline_pieces(dtype: np.dtype[Any]) -> Splines:
    """What forward and adjoint kernels share; everything but places is in the table's own type."""
    real = dtype.type
    one, half, sixth, two_thirds = real(1), real(0.5), real(1 / 6), real(2 / 3)

    @inline
    def basis(part: Any, k: int) -> Any:
        """Weight of the k-th of four knots, ``part`` of the way from the second to the third."""
        rest = one - part
        if k == 0:
            return rest * rest * rest * sixth
        if k == 3:
            return part * part * part * sixth
        f = part if k == 1 else rest
        return fused(f * f, fused(f, half, -one), two_thirds)

    @inline
    def interval(x: int, length: int, knots: int) -> int:
        """First of the four knots around sample ``x``: the second and the last but one stand on the first and the last sample."""
        scale = float(knots - 3) / float(length - 1) if length > 1 else 0.0
        first = int(rounded_down(float(x) * scale))
        return first if first < knots - 4 else knots - 4

    @inline
    def part_of(like: Any, x: int, length: int, knots: int, first: int) -> Any:
        scale = float(knots - 3) / float(length - 1) if length > 1 else 0.0
        return real(float(x) * scale - float(first))

    @inline
    def prepare(firsts: Any, weights: Any, width: int, knots: int) -> None:
        """For every column of the result the first of its knots, and the four weights in as many rows."""
        for x in range(width):
            firsts[x] = interval(x, width, knots)
            part = part_of(weights[0, 0], x, width, knots, firsts[x])
            for k in range(4):
                weights[k, x] = basis(part, k)

    @inline
    def displace_row(
        y: int, height: int, width: int, knots_y: int, knots_x: int, table: Any, at: int, firsts: Any, weights: Any, sums: Any,
        shifts: Any,
    ) -> None:  # fmt: skip
        """Displacements of columns and rows in row ``y``: first down the columns of knots, then along the row."""
        first = interval(y, height, knots_y)
        part = part_of(table[at], y, height, knots_y, first)
        b0, b1, b2, b3 = basis(part, 0), basis(part, 1), basis(part, 2), basis(part, 3)
        pitch = 2 * knots_x
        for k in range(pitch):
            place = at + first * pitch + k
            total = fused(b1, table[place + pitch], b0 * table[place])
            total = fused(b2, table[place + 2 * pitch], total)
            sums[k] = fused(b3, table[place + 3 * pitch], total)
        x = 0
        while x < width:  # the columns between two knots share their four sums
            n = firsts[x]
            stop = x
            while stop < width and firsts[stop] == n:
                stop += 1
            for side in range(2):
                s0, s1, s2, s3 = sums[2 * n + 1 - side], sums[2 * n + 3 - side], sums[2 * n + 5 - side], sums[2 * n + 7 - side]
                for i in range(x, stop):
                    total = fused(weights[1, i], s1, weights[0, i] * s0)
                    shifts[side, i] = fused(weights[3, i], s3, fused(weights[2, i], s2, total))
            x = stop

    return Splines(prepare, displace_row)
