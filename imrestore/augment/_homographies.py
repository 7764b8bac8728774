"""Homographies in plain numbers, row by row: what takes (x, y, 1) of the result to that of the image."""

from __future__ import annotations

import math

Homography = tuple[float, float, float, float, float, float, float, float, float]


def times(p: Homography, q: Homography) -> Homography:
    """The matrix product: ``q`` is done first, to places of the result."""
    a, b, c, d, e, f, g, h, i = p
    j, k, m, n, o, r, s, t, u = q
    if g == h == s == t == 0 and i == u == 1:
        return (
            *(a * j + b * n, a * k + b * o, a * m + b * r + c),
            *(d * j + e * n, d * k + e * o, d * m + e * r + f),
            *(0.0, 0.0, 1.0),
        )
    return (
        *(a * j + b * n + c * s, a * k + b * o + c * t, a * m + b * r + c * u),
        *(d * j + e * n + f * s, d * k + e * o + f * t, d * m + e * r + f * u),
        *(g * j + h * n + i * s, g * k + h * o + i * t, g * m + h * r + i * u),
    )


def shift(right: float, down: float) -> Homography:
    return (1.0, 0.0, right, 0.0, 1.0, down, 0.0, 0.0, 1.0)


def scaling(across: float, down: float) -> Homography:
    return (across, 0.0, 0.0, 0.0, down, 0.0, 0.0, 0.0, 1.0)


def shear(degrees: float) -> Homography:
    """Vertical lines of the result lean to the left at the top."""
    return (1.0, -math.tan(math.radians(degrees)), 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def rotation(degrees: float) -> Homography:
    """From a result to its image, which is turned counterclockwise by so many degrees; rows go down."""
    turn = math.radians(degrees)
    cos, sin = math.cos(turn), math.sin(turn)
    if degrees % 90 == 0:  # without the rounding of pi
        cos, sin = float(round(cos)), float(round(sin))
    return (cos, -sin, 0.0, sin, cos, 0.0, 0.0, 0.0, 1.0)


def about_centres(own: Homography, size: tuple[int, int], out: tuple[int, int]) -> Homography:
    """The same about the middle of a result of height and width ``out``, from that of an image of ``size``."""
    a, b, c, d, e, f, g, h, i = own
    there_x, there_y, here_x, here_y = (size[1] - 1) / 2, (size[0] - 1) / 2, (out[1] - 1) / 2, (out[0] - 1) / 2
    if g == h == 0 and i == 1:
        return (a, b, c - a * here_x - b * here_y + there_x, d, e, f - d * here_x - e * here_y + there_y, 0.0, 0.0, 1.0)
    return times(times(shift(there_x, there_y), own), shift(-here_x, -here_y))
