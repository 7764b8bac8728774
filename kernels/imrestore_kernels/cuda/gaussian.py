"""Gaussian on CUDA: one launch for pictures and radii up to 32, one launch per axis beyond."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from imrestore_kernels.cuda._launch import empty, grid, launch, upload
from imrestore_kernels.cuda.separable import (
    C_TYPES,
    THREADS,
    Axes,
    Tiles,
    bits_of,
    fold,
    fused_tiles,
    line_grid,
    tile_defines,
    where_or_source,
)

Weights = tuple[np.ndarray[Any, Any], ...]


def gaussian(
    src: Any, dst: Any, weights: Weights, mode: int, cval: Any, where: Any = None, pad_counts: bool = True
) -> None:
    """Weighted mean of the valid samples, axis by axis; arrays, border and values as in ``kernels/README.md``."""
    sizes = [len(w) for w in weights]
    single = src.dtype.kind == "f" and src.dtype.itemsize <= 4
    sum_bytes = (4 if single else 8) * (1 if where is None else 2)
    acc = np.dtype(np.float32 if single else np.float64)
    axes = fold(src.shape, sizes)
    tiles = fused_tiles(axes, sizes, sum_bytes)
    defines: dict[str, object] = {
        "T": C_TYPES[src.dtype.name],
        "ACC": "float" if single else "double",
        "WHERE": int(where is not None),
    }
    tail = [np.int32(mode), bits_of(cval, src.dtype), np.int32(pad_counts)]
    if tiles is not None:
        _fused(src, dst, weights, where, tiles, acc, defines, tail)
    else:
        _by_axis(src, dst, weights, where, axes, acc, sum_bytes, defines, tail)


def _fused(
    src: Any,
    dst: Any,
    weights: Weights,
    where: Any,
    tiles: Tiles,
    acc: np.dtype[Any],
    defines: dict[str, object],
    tail: list[Any],
) -> None:
    rows, columns = (np.ones(1) if k is None else weights[k] for k in tiles.kept)
    defines = {**defines, **tile_defines(tiles), "SIZE_Y": len(rows), "SIZE_X": len(columns)}
    tables = [upload(rows.astype(acc)), upload(columns.astype(acc))]
    numbers = [np.int64(n) for n in (tiles.outer, tiles.height, tiles.width, tiles.inner)]
    args = [src, dst, where_or_source(src, where), *tables, *numbers, *tail]
    launch("gaussian", "gaussian_fused", grid(*tiles.blocks), (THREADS, 1, 1), args, defines, tiles.shared_bytes)


def _by_axis(
    src: Any,
    dst: Any,
    weights: Weights,
    where: Any,
    axes: Axes,
    acc: np.dtype[Any],
    sum_bytes: int,
    defines: dict[str, object],
    tail: list[Any],
) -> None:
    scratch_bytes = math.prod(src.shape) * sum_bytes
    sums: Any = None
    before = 1.0  # what the weights of the earlier axes add up to
    for n, axis in enumerate(axes.kept):
        last = n == len(axes.kept) - 1
        outer = axes.outer * math.prod(axes.lengths[:n])
        inner = axes.inner * math.prod(axes.lengths[n + 1 :])
        out = None if last else empty((scratch_bytes,), np.uint8)
        table = upload(weights[axis].astype(acc))
        numbers = [np.int64(v) for v in (outer, axes.lengths[n], inner, len(weights[axis]))]
        args = [src, dst, where_or_source(src, where), sums, out, table, *numbers, np.float64(before), *tail]
        blocks = line_grid(outer, axes.lengths[n], inner)
        launch("gaussian", "gaussian_line", blocks, (THREADS, 1, 1), args, defines)
        sums, before = out, before * float(weights[axis].sum())
