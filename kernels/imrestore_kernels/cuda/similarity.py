"""What the launchers of non-local means and of the bilateral filter share: pictures, tiles in shared memory, volumes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from imrestore_kernels.cuda._launch import SHARED_WITHOUT_OPT_IN, grid, launch
from imrestore_kernels.cuda.separable import C_TYPES, THREADS, bits_of, where_or_source

#: Axes of the gather kernels; arrays of fewer get axes of one sample.
VOLUME_AXES = 3

#: Channels that are compared in one chunk of work; ``CHUNK`` of similarity.cuh.
_CHUNK = 4

#: More channels than this never fit a tile.
_TILE_CHANNELS = 8


class Picture(NamedTuple):
    """An array seen as pictures: what is filtered along y and x, as axes of the caller (None: none)."""

    outer: int
    height: int
    width: int
    channels: int
    axis_y: int | None
    axis_x: int


def as_pictures(shape: Sequence[int], alone: Sequence[bool]) -> Picture | None:
    """Pictures, if leading axes along which pixels are ``alone`` (look at no neighbours) are a batch; else None.

    Lines become the rows of one picture, of which each looks only along itself.
    """
    first, axes = 0, len(alone)
    while axes - first > 1 and alone[first]:
        first += 1
    outer, lengths = math.prod(shape[: 1 + first]), shape[1 + first : -1]
    if len(lengths) == 1:
        return Picture(1, outer, lengths[0], shape[-1], None, axes - 1)
    if len(lengths) == 2:
        return Picture(outer, lengths[0], lengths[1], shape[-1], axes - 2, axes - 1)
    return None


class Tile(NamedTuple):
    """How blocks cut pictures: see the macros of ``similarity.cuh``."""

    columns: int
    rows: int
    warps: int
    pitch: int
    shared_bytes: int


def tile_of(channels: int, single: bool, columns: int, rows: int, warps: int, halo_y: int, halo_x: int) -> Tile | None:
    """A tile whose samples and ``halo`` more of them fit shared memory, or None.

    The pitch is rounded up: windows of many widths then share a compiled kernel, and writes meet no bank conflicts.
    """
    if channels > _TILE_CHANNELS:
        return None
    wide = (-(-(32 * columns + halo_x) // 32) | 1) * 32  # an odd multiple of 32 / columns words for each column: see `slot`
    pitch = wide if columns > 1 else -(-(32 + halo_x) // 16) * 16
    itemsize = 4 if single else 8
    numbers = channels * pitch * (warps * rows + halo_y)
    shared_bytes = -(-numbers // 2) * 2 * itemsize + warps * (8 if single else 16)  # TileVote
    return Tile(columns, rows, warps, pitch, shared_bytes) if shared_bytes <= SHARED_WITHOUT_OPT_IN else None


def tile_defines(dtype: np.dtype[Any], single: bool, channels: int, tile: Tile) -> dict[str, object]:
    return {
        "TILE": 1,
        "T": C_TYPES[dtype.name],
        "REAL": "float" if single else "double",
        "CHANNELS": channels,
        "COLUMNS": tile.columns,
        "ROWS": tile.rows,
        "WARPS": tile.warps,
        "PITCH": tile.pitch,
    }


def padded(values: Sequence[int], fill: int) -> list[np.int32]:
    """One number for each axis of a volume."""
    return [np.int32(v) for v in (*[fill] * (VOLUME_AXES - len(values)), *values)]


def launch_gather(stem: str, src: Any, dst: Any, where: Any, mode: int, cval: Any, pad_counts: bool, extra: Sequence[Any]) -> None:
    """The kernel for any array: a thread makes up to four channels of a pixel."""
    lengths = [1] * (VOLUME_AXES + 2 - src.ndim) + list(src.shape[1:-1])
    pixels, channels = src.shape[0] * math.prod(lengths), src.shape[-1]
    defines = {"GATHER": 1, "T": C_TYPES[src.dtype.name], "WHERE": int(where is not None)}
    args = [src, dst, where_or_source(src, where), np.int64(src.shape[0]), *(np.int64(n) for n in lengths)]
    args += [np.int32(channels), np.int32(mode), bits_of(cval, src.dtype), np.int32(pad_counts), *extra]
    blocks = grid(-(-pixels * -(-channels // _CHUNK) // THREADS))
    launch(stem, f"{stem}_gather", blocks, (THREADS, 1, 1), args, defines)
