"""Geometry of samples on the CPU: whole-pixel moves, homographies and elastic displacements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from imrestore_kernels.cpu._job_rows import CHANNELS, HEIGHT, OUT_HEIGHT, OUT_WIDTH, WIDTH, Array, D
from imrestore_kernels.cpu._place_rows import place_adjoint_kernel, place_kernel
from imrestore_kernels.cpu._pool import run_rows
from imrestore_kernels.cpu._warp_adjoint import warp_adjoint_kernel
from imrestore_kernels.cpu._warp_rows import warp_kernel
from imrestore_kernels.samples import Size

_Arrays = tuple[Array, Array, Array, Array, Array]

#: About what a value takes, in nanoseconds, by interpolation where there is one.
_PLACE, _PLACE_ADJOINT, _WARP, _WARP_ADJOINT = 0.3, 3.0, (0.6, 1.5, 4.0), (4.0, 10.0, 30.0)


def place(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """Result (y, x) is the image at row A + B y + C x and column D + E y + F x.

    Either C = E = 0 and B, F are 1 or -1, or B = F = 0 and C, E are. Outside of the image the border rule ``numbers[0]`` holds, a
    number of ``borders.MODES``, with the constant ``numbers[1]``.
    """
    _run((src, dst, jobs, numbers, table), place_kernel(src.dtype), OUT_HEIGHT, lambda job: _PLACE)


def place_adjoint(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """The transpose of `place`: what came from a pixel is added up in its own type, in the order of rows and columns."""
    _run((src, dst, jobs, numbers, table), place_adjoint_kernel(src.dtype), HEIGHT, lambda job: _PLACE_ADJOINT)


def warp(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """Result (y, x) is the image at row v and column u, (u, v, 1) ~ H (x, y, 1) with the rows of H in ``numbers[0 .. 8]``.

    With A >= 0 displacements are added, in pixels: cubic B-splines (Rueckert et al. 1999) of B x C knots, each (dy, dx), at
    table[A ..]; both at least 4. Knots are evenly spaced, the second and the last but one on the first and the last row (column) of
    the result. D is the interpolation: 0 nearest, 1 bilinear, 2 bicubic (Keys 1981, a = -1/2). E is the border rule, a number of
    ``borders.MODES``, with the constant ``numbers[9]``.

    Coordinates are float64, weights and displacements of the image's type.
    """
    _run((src, dst, jobs, numbers, table), warp_kernel(src.dtype), OUT_HEIGHT, lambda job: _WARP[job[D]])


def warp_adjoint(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """The transpose of `warp`, exact to the unit that `_warp_adjoint` tells; NaN in a channel whose gradient is not finite."""
    _run((src, dst, jobs, numbers, table), warp_adjoint_kernel(src.dtype), CHANNELS, lambda job: _WARP_ADJOINT[job[D]])


def _run(arrays: _Arrays, kernel: Any, rows: int, nanoseconds: Callable[[list[int]], float]) -> None:
    for number, job in enumerate(arrays[2].tolist()):
        values = job[CHANNELS] * max(job[OUT_HEIGHT] * job[OUT_WIDTH], job[HEIGHT] * job[WIDTH])
        run_rows(kernel, (*arrays, number), job[rows], nanoseconds(job) * values)
