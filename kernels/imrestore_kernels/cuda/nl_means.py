"""Non-local means on CUDA: one launch of tiles in shared memory for pictures, a plain gather for everything else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from imrestore_kernels.cuda._launch import grid, launch, upload
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
from imrestore_kernels.similarity import smaller_box, strength

#: Longest side of a patch that is summed in registers.
_TILE_SIZE = 15

#: Columns of a lane, rows of a thread and warps of a block, best first: wide lanes shuffle least, and small blocks load one
#: tile while another is computed.
_SHAPES = ((4, 5, 4), (4, 4, 4), (2, 4, 4), (1, 4, 4), (4, 4, 2), (2, 4, 2), (1, 4, 2), (1, 2, 2))


#: Registers that the sums and the samples of a thread may take, of 255; with more the compiler spills.
_REGISTERS = 132


def nl_means(
    src: Any,
    dst: Any,
    sigma: float,
    h: float,
    patches: Sequence[np.ndarray[Any, Any]],
    distances: Sequence[int],
    mode: int,
    cval: Any,
    where: Any = None,
    pad_counts: bool = True,
) -> None:
    """Mean of the pixels whose patches are alike; arrays, border and values as in ``kernels/README.md``."""
    single, h = strength(src.dtype, float(sigma), float(h))
    sizes = [len(g) for g in patches]
    alone = [size == 1 and distance == 0 for size, distance in zip(sizes, distances, strict=True)]
    picture = as_pictures(src.shape, alone) if where is None else None
    tile = None
    if picture is not None:
        (patch_y, distance_y), (patch_x, distance_x) = (
            (np.ones(1), 0) if axis is None else (patches[axis], distances[axis]) for axis in (picture.axis_y, picture.axis_x)
        )
        tile = _tile(picture, single, patch_y, patch_x, distance_y, distance_x)
    if picture is None or tile is None:
        _gather(src, dst, float(sigma), h, patches, distances, mode, cval, where, pad_counts)
        return
    boxes = [smaller_box(g) for g in (patch_y, patch_x)]
    defines = {
        **tile_defines(src.dtype, single, picture.channels, tile),
        "SIZE_Y": len(patch_y),
        "SIZE_X": len(patch_x),
        "BOX_Y": boxes[0],
        "BOX_X": boxes[1],
    }
    tables = [None if box else upload(g.astype(np.float64)) for g, box in zip((patch_y, patch_x), boxes, strict=True)]
    args = [src, dst, *tables, *(np.int64(n) for n in picture[:3]), np.float64(sigma), np.float64(h)]
    run = math.isqrt((2 * distance_y + 1) * (2 * distance_x + 1))  # as many additions in a run as runs
    args += [np.int32(distance_y), np.int32(distance_x), np.int32(run), np.int32(mode), bits_of(cval, src.dtype)]
    width = (32 - _lanes(len(patch_x), tile.columns)) * tile.columns
    blocks = grid(-(-picture.width // width), -(-picture.height // (tile.warps * tile.rows)), picture.outer)
    launch("nl_means", "nl_means_tile", blocks, (32 * tile.warps, 1, 1), args, defines, tile.shared_bytes)


def _lanes(size: int, columns: int) -> int:
    """Lanes at both ends of a warp whose columns only serve the patches of others."""
    return -(-(size // 2) // columns) + -(-(size - 1 - size // 2) // columns)


def _tile(
    picture: Picture,
    single: bool,
    patch_y: np.ndarray[Any, Any],
    patch_x: np.ndarray[Any, Any],
    distance_y: int,
    distance_x: int,
) -> Tile | None:
    if max(len(patch_y), len(patch_x)) > _TILE_SIZE:
        return None
    if min(patch_y.min(), patch_x.min()) < np.finfo(np.float32).tiny:  # 0 times a square that overflows would be NaN
        return None
    for columns, rows, warps in _SHAPES:
        sums = 2 * rows * (1 + picture.channels)  # totals and runs
        samples = (rows + len(patch_y) - 1) * picture.channels
        if columns * (sums + samples) * (1 if single else 2) > _REGISTERS:
            continue
        halo_x = 2 * columns * -(-distance_x // columns)
        halo_y = len(patch_y) - 1 + 2 * distance_y
        tile = tile_of(picture.channels, single, columns, rows, warps, halo_y, halo_x)
        if tile is not None:
            return tile
    return None


def _gather(
    src: Any,
    dst: Any,
    sigma: float,
    h: float,
    patches: Sequence[np.ndarray[Any, Any]],
    distances: Sequence[int],
    mode: int,
    cval: Any,
    where: Any,
    pad_counts: bool,
) -> None:
    # Differences are multiplied by a power of two that makes h a number near one: squares of tiny ones do not vanish.
    unit = 2.0 ** min(1 - math.frexp(h)[1], 1000)
    scaled = h * unit
    free = 2 * (sigma / h) * (sigma / h) * math.log2(math.e)
    table = np.concatenate([*[np.ones(1)] * (VOLUME_AXES - len(patches)), *patches]).astype(np.float64)
    extra = [upload(table), *padded([len(g) for g in patches], 1), *padded(distances, 0)]
    extra += [np.float64(unit), np.float64(free), np.float64(math.log2(math.e) / (scaled * scaled))]
    launch_gather("nl_means", src, dst, where, mode, cval, pad_counts, extra)
