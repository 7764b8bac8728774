"""Guided filter on CUDA: fits in all windows in one launch, their means in another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from imrestore_kernels.cuda._launch import SHARED_WITHOUT_OPT_IN, empty, grid, launch
from imrestore_kernels.cuda.separable import C_TYPES, where_or_source

TILE = 128  # outputs of a block, as in guided.cu

#: Blocks that keep their columns in global memory, of at most 18 MB each.
_SCRATCH_BLOCKS = 64


def guided(
    src: Any,
    dst: Any,
    guide: Any,
    radii: tuple[int, ...],
    eps: float,
    mode: int,
    cval: Any,
    guide_cval: Any,
    where: Any = None,
    pad_counts: bool = True,
) -> None:
    """Linear fits to the guide in all windows, averaged; arrays, border and values as in ``kernels/README.md``."""
    separate = guide is not None
    other = guide if separate else src
    channels, inner = other.shape[-1], src.shape[-1]
    missing = 4 - len(radii)
    lengths = (1,) * missing + tuple(src.shape[1:-1])
    reach = (0,) * missing + tuple(radii)
    wide = tuple(n + 2 * r for n, r in zip(lengths, reach, strict=True))
    outputs = 1 if separate else channels
    masked = int(where is not None)
    sets = masked + channels + separate + channels * (channels + 1) // 2 + separate * channels
    fits = outputs * (channels + 1) + masked * (outputs + 1)
    pictures = src.shape[0] * (inner if separate else 1)
    fitted = empty((fits * pictures * math.prod(wide),), np.float64)
    numbers = [np.int64(n) for n in (src.shape[0], *lengths, inner, *reach)]
    masks = where_or_source(src, where)
    defines = {
        "T": C_TYPES[src.dtype.name],
        "G": C_TYPES[other.dtype.name],
        "CHANNELS": channels,
        "SEPARATE": int(separate),
        "WHERE": masked,
    }

    def run(function: str, given: list[Any], kept: int, width: int, rows: int, tail: list[Any]) -> None:
        column_bytes = kept * (TILE + 2 * reach[3]) * 8
        shared = column_bytes <= SHARED_WITHOUT_OPT_IN
        x = -(-width // TILE)
        blocks = grid(x, rows) if shared else (1, min(rows, _SCRATCH_BLOCKS), 1)
        scratch = None if shared else empty((column_bytes // 8 * blocks[1],), np.float64)
        args = [*given, scratch, np.int64(column_bytes), *numbers, *tail]
        macros = {**defines, "SCRATCH": int(not shared)}
        launch("guided", function, blocks, (TILE, 1, 1), args, macros, column_bytes if shared else 0)

    tail = [np.float64(eps), np.int32(mode), np.float64(cval), np.float64(guide_cval), np.int32(pad_counts)]
    run("guided_fit", [src, other, masks, fitted], sets, wide[3], pictures * math.prod(wide[:3]), tail)
    run("guided_apply", [src, dst, other, masks, fitted], fits, lengths[3], pictures * math.prod(lengths[:3]), [])
