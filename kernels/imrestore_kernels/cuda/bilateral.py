"""Bilateral filter on CUDA: one launch of tiles in shared memory for pictures, a plain gather for everything else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from imrestore_kernels.cuda._launch import grid, launch
from imrestore_kernels.cuda.separable import bits_of
from imrestore_kernels.cuda.similarity import (
    VOLUME_AXES,
    Picture,
    Tile,
    as_pictures,
    launch_gather,
    padded,
    tile_defines,
    tile_of,
)
from imrestore_kernels.similarity import is_single

#: Rows of a thread and warps of a block, best first.
_SHAPES = ((4, 8), (4, 4), (4, 2), (2, 2))


def bilateral(
    src: Any,
    dst: Any,
    sigma_color: float,
    sigma_space: Sequence[float],
    radii: Sequence[int],
    mode: int,
    cval: Any,
    where: Any = None,
    pad_counts: bool = True,
) -> None:
    """Mean of the pixels that are near and alike; arrays, border and values as in ``kernels/README.md``."""
    single = is_single(src.dtype)
    picture = as_pictures(src.shape, [radius == 0 for radius in radii]) if where is None else None
    tile = None
    if picture is not None:
        radius_y, radius_x = (0 if axis is None else radii[axis] for axis in (picture.axis_y, picture.axis_x))
        tile = _tile(picture, single, radius_y, radius_x)
    if picture is None or tile is None:
        _gather(src, dst, float(sigma_color), sigma_space, radii, mode, cval, where, pad_counts)
        return
    largest = 1e30 if single else 1e290
    space = [np.float64(0 if axis is None else _per_step(sigma_space[axis], largest)) for axis in (picture.axis_y, picture.axis_x)]
    args = [src, dst, *(np.int64(n) for n in picture[:3]), np.float64(sigma_color), *space]
    args += [np.int32(radius_y), np.int32(radius_x), np.int32(mode), bits_of(cval, src.dtype)]
    blocks = grid(-(-picture.width // 32), -(-picture.height // (tile.warps * tile.rows)), picture.outer)
    defines = tile_defines(src.dtype, single, picture.channels, tile)
    launch("bilateral", "bilateral_tile", blocks, (32 * tile.warps, 1, 1), args, defines, tile.shared_bytes)


def _tile(picture: Picture, single: bool, radius_y: int, radius_x: int) -> Tile | None:
    for rows, warps in _SHAPES:
        tile = tile_of(picture.channels, single, 1, rows, warps, 2 * radius_y, 2 * radius_x)
        if tile is not None:
            return tile
    return None


def _per_step(sigma: float, largest: float) -> float:
    """What the square of a distance is multiplied by to become an exponent of two; not infinite, 0 times it is 0."""
    sigma = float(sigma)  # divided by twice: its square may be 0
    return min(0.5 * math.log2(math.e) / sigma / sigma, largest) if sigma > 0 else 0.0


def _gather(
    src: Any,
    dst: Any,
    sigma_color: float,
    sigma_space: Sequence[float],
    radii: Sequence[int],
    mode: int,
    cval: Any,
    where: Any,
    pad_counts: bool,
) -> None:
    # Differences are multiplied by a power of two that makes sigma a number near one: squares of tiny ones do not vanish.
    unit = 2.0 ** min(1 - math.frexp(sigma_color)[1], 1000)
    space = [0.0] * (VOLUME_AXES - len(radii)) + [_per_step(sigma, 1e290) for sigma in sigma_space]
    extra = [*padded(radii, 0), *(np.float64(s) for s in space), np.float64(unit)]
    extra.append(np.float64(_per_step(sigma_color * unit, math.inf)))
    launch_gather("bilateral", src, dst, where, mode, cval, pad_counts, extra)
