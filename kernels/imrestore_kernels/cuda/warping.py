"""Geometry of samples on CUDA: whole-pixel moves, homographies and elastic displacements; jobs as in ``cpu/warping.py``."""

from __future__ import annotations

from typing import Any

import numpy as np

from imrestore_kernels.cuda._job_tiles import ROWS, TILE, launch_tiles
from imrestore_kernels.cuda._launch import empty
from imrestore_kernels.samples import Size

#: Of the transpose of `warp`, as in ``cpu/_warp_adjoint.py``.
_UNIT = {"BITS": 60, "LARGEST_EXPONENT": 1000}
_PARTS = 16  # as in warping.cu


def place(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """Whole-pixel moves: result (y, x) is the image at row A + B y + C x and column D + E y + F x."""
    launch_tiles("warping", "place", (src, dst, jobs, numbers, table), _of_results(size), **_UNIT)


def place_adjoint(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """The transpose of `place`."""
    launch_tiles("warping", "place_adjoint", (src, dst, jobs, numbers, table), size, **_UNIT)


def warp(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """A homography and, with A >= 0, displacements by cubic B-splines."""
    launch_tiles("warping", "warp", (src, dst, jobs, numbers, table), _of_results(size), **_UNIT)


def warp_adjoint(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """The transpose of `warp`."""
    room = size.height * size.width
    sums = empty((size.jobs * size.channels * room,), np.uint64)
    largest = empty((size.jobs * size.channels * _PARTS,), np.uint64)
    extra = (sums, largest, np.int64(size.channels), np.int64(room))
    arrays, results = (src, dst, jobs, numbers, table), _of_results(size)
    parts = size._replace(height=TILE, width=TILE * _PARTS * size.channels)  # a block for each
    launch_tiles("warping", "warp_adjoint_begin", arrays, parts, *extra, shared_bytes=8 * TILE * ROWS, **_UNIT)
    launch_tiles("warping", "warp_adjoint_add", arrays, results, *extra, **_UNIT)
    launch_tiles("warping", "warp_adjoint_end", arrays, size, *extra, **_UNIT)


def _of_results(size: Size) -> Size:
    """With the results' sizes as those of the images: tiles are of what a kernel writes."""
    return size._replace(height=size.out_height, width=size.out_width)
