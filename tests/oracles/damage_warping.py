"""Moves and warps by their definitions: one loop per pixel, in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from imrestore_kernels.borders import border_index
from scipy.interpolate import BSpline


def look_up(plane: np.ndarray, row: int, column: int, mode: int, cval: float) -> float:
    i, k = (border_index(at, n, mode) for at, n in zip((row, column), plane.shape, strict=True))
    return cval if i < 0 or k < 0 else float(plane[i, k])


def place(image: np.ndarray, out: Sequence[int], columns: Sequence[int], mode: int, cval: float) -> np.ndarray:
    """Every pixel of the result looks at one of the image."""
    a, b, c, d, e, f = columns
    result = np.empty(out)
    for channel, plane in enumerate(image):
        for y in range(out[1]):
            for x in range(out[2]):
                result[channel, y, x] = look_up(plane, a + b * y + c * x, d + e * y + f * x, mode, cval)
    return result


def displacement(knots: np.ndarray, height: int, width: int) -> np.ndarray:
    """(height, width, 2): SciPy's B-splines of degree 3 on whole knots."""

    def basis(length: int, count: int) -> np.ndarray:
        at = np.arange(length) * ((count - 3) / (length - 1) if length > 1 else 0.0)
        spline = BSpline(np.arange(-3, count + 1), np.eye(count), 3)
        return spline(np.minimum(at, count - 3 - 1e-13))

    return np.einsum("yi,xk,ikd->yxd", basis(height, knots.shape[0]), basis(width, knots.shape[1]), knots)


def kernel(interpolation: int, t: float) -> float:
    """Weight of a neighbour ``t`` pixels away: linear, or Keys' cubic with a = -1/2."""
    t = abs(t)
    if interpolation == 1:
        return max(1 - t, 0)
    if t < 1:
        return 1.5 * t**3 - 2.5 * t**2 + 1
    return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0


def warp(
    image: np.ndarray, out: Sequence[int], homography: Sequence[float], knots: np.ndarray | None, interpolation: int, mode: int,
    cval: float,
) -> np.ndarray:  # fmt: skip
    """Every pixel of the result looks at the neighbours of a point of the image."""
    matrix = np.reshape(homography, (3, 3))
    shifts = np.zeros((*out[1:], 2)) if knots is None else displacement(knots, *out[1:])
    result = np.empty(out)
    for y in range(out[1]):
        for x in range(out[2]):
            u, v, w = matrix @ (x, y, 1)
            u, v = (u / w, v / w) if w > 0 else (-(2.0**30), -(2.0**30))
            v, u = (float(np.clip(at, -(2.0**30), 2.0**30)) for at in (v + shifts[y, x, 0], u + shifts[y, x, 1]))
            for channel, plane in enumerate(image):
                if interpolation == 0:
                    result[channel, y, x] = look_up(plane, math.floor(v + 0.5), math.floor(u + 0.5), mode, cval)
                    continue
                total = 0.0
                for i in range(math.floor(v) - 1, math.floor(v) + 3):
                    for k in range(math.floor(u) - 1, math.floor(u) + 3):
                        weight = kernel(interpolation, v - i) * kernel(interpolation, u - k)
                        total += weight * look_up(plane, i, k, mode, cval) if weight else 0.0
                result[channel, y, x] = total
    return result
