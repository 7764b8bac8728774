"""What the launchers share: the kernels' names for dtypes, axes that need no filtering, and the tiles of one launch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from imrestore_kernels.cuda._launch import SHARED_WITHOUT_OPT_IN, Dim3, grid

#: The element type of the kernels, by NumPy's name.
C_TYPES = {
    "uint8": "unsigned char",
    "int8": "signed char",
    "uint16": "unsigned short",
    "int16": "short",
    "uint32": "unsigned",
    "int32": "int",
    "uint64": "unsigned long long",
    "int64": "long long",
    "float16": "half_bits",
    "float32": "float",
    "float64": "double",
}

THREADS = 256

#: Windows beyond this go axis by axis: a tile would be mostly overlap.
FUSED_SIZE = 65

_COLUMN_OUTPUTS = 8
_ROW_OUTPUTS = 4


class Axes(NamedTuple):
    """The filtered axes of an array seen as (outer, *lengths, inner), and which of the caller's axes they were."""

    outer: int
    lengths: tuple[int, ...]
    inner: int
    kept: tuple[int, ...]


def fold(shape: Sequence[int], sizes: Sequence[int]) -> Axes:
    """Move leading and trailing axes with a window of one sample into the batch; keep at least one axis."""
    first, last = 0, len(sizes)
    while last - first > 1 and sizes[first] == 1:
        first += 1
    while last - first > 1 and sizes[last - 1] == 1:
        last -= 1
    lengths = tuple(shape[1 : 1 + len(sizes)])
    return Axes(
        shape[0] * math.prod(lengths[:first]),
        lengths[first:last],
        shape[-1] * math.prod(lengths[last:]),
        tuple(range(first, last)),
    )


class Tiles(NamedTuple):
    """One launch over pictures: their shape, the two windows, and how a block cuts them."""

    outer: int
    height: int
    width: int
    inner: int
    kept: tuple[int | None, int]  # the caller's axis that is filtered along y (None: none) and x
    channels: int
    pixels: int
    rows: int
    pitch: int
    shared_bytes: int

    @property
    def blocks(self) -> tuple[int, int, int]:
        chunks = -(-self.inner // self.channels)
        return -(-self.width // self.pixels), -(-self.height // self.rows), self.outer * chunks


def fused_tiles(axes: Axes, sizes: Sequence[int], sum_bytes: int) -> Tiles | None:
    """Tiles for the single launch, or None where the array or the windows do not suit it."""
    if len(axes.lengths) == 2:
        kept: tuple[int | None, int] = (axes.kept[0], axes.kept[1])
        outer, height, width = axes.outer, *axes.lengths
        size_y, size_x = (sizes[k] for k in axes.kept)
    elif len(axes.lengths) == 1 and axes.outer >= _COLUMN_OUTPUTS and axes.inner < 32:  # rows are a picture, too
        kept = (None, axes.kept[0])
        outer, height, width = 1, axes.outer, axes.lengths[0]
        size_y, size_x = 1, sizes[axes.kept[0]]
    else:
        return None
    if max(size_y, size_x) > FUSED_SIZE:
        return None
    channels = min(axes.inner, 32)
    pixels = 32 // channels * _ROW_OUTPUTS
    pitch = (pixels + size_x - 1) * channels
    if channels == 1:  # a quarter of the pitch is an odd multiple of 8: no bank conflicts (see `shuffled`)
        quarter = -(-pitch // 32) * 8
        pitch = 4 * (quarter if quarter % 16 else quarter + 8)
    for rows in (32, 16, 8):
        shared_bytes = rows * pitch * sum_bytes + 8 * (rows + size_y - 1)
        if shared_bytes <= SHARED_WITHOUT_OPT_IN:
            return Tiles(outer, height, width, axes.inner, kept, channels, pixels, rows, pitch, shared_bytes)
    return None


def tile_defines(tiles: Tiles, min_blocks: int = 1) -> dict[str, object]:
    """The macros of the single launch.

    ``min_blocks`` per multiprocessor bounds the registers of a thread. Left to itself ptxas spills a little to fit one
    more block; 1 makes it stop.
    """
    return {
        "FUSED": 1,
        "CHANNELS": tiles.channels,
        "TILE_Y": tiles.rows,
        "PITCH": tiles.pitch,
        "MIN_BLOCKS": min_blocks,
    }


def line_grid(outer: int, length: int, inner: int) -> Dim3:
    """Blocks for one axis: eight outputs of a line per thread."""
    return grid(-(-(outer * -(-length // 8) * inner) // THREADS))


def bits_of(value: Any, dtype: np.dtype[Any]) -> np.uint64:
    """The bytes of a value of ``dtype`` in the low bytes of 64 bits: every kernel takes ``cval`` so."""
    raw = np.zeros(8 // dtype.itemsize, dtype)
    raw[0] = value
    return np.uint64(raw.view(np.uint64)[0])


def where_or_source(src: Any, where: Any) -> Any:
    """The kernels take a pointer in any case; compiled without WHERE they never read it."""
    return src if where is None else where
