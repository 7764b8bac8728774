"""Box mean on CUDA: one launch for pictures and windows up to 65, one launch per axis beyond."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from imrestore_kernels.cuda._launch import empty, grid, launch
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

_ACC_BYTES = {"int": 4, "float": 4, "long long": 8, "double": 8, "__int128": 16}

#: Shorter windows are unrolled by the compiler; from here on sums of neighbours share their core.
_UNROLLED = 8


def _accumulator(dtype: np.dtype[Any], count: int, fused: bool) -> str:
    """The type that holds a sum of ``count`` elements: exact for integers, good for 1e-6 of the mean for float32."""
    if dtype.kind == "f":
        return "float" if fused and dtype.itemsize <= 4 else "double"
    bits = 8 * dtype.itemsize + count.bit_length() + 1
    return "int" if bits <= 32 else "long long" if bits <= 64 else "__int128"


def _sum_bytes(acc: str, where: Any, count_bytes: int) -> int:
    size = _ACC_BYTES[acc]
    if where is None:
        return size
    align = max(size, count_bytes)
    return -(-(size + count_bytes) // align) * align


def mean(
    src: Any, dst: Any, size: tuple[int, ...], mode: int, cval: Any, where: Any = None, pad_counts: bool = True
) -> None:
    """Mean of the valid samples of every window; arrays, border and values as in ``kernels/README.md``."""
    axes = fold(src.shape, size)
    count = math.prod(size)
    acc = _accumulator(src.dtype, count, fused=True)
    tiles = fused_tiles(axes, size, _sum_bytes(acc, where, 4))
    tail = [np.int32(mode), bits_of(cval, src.dtype), np.int32(pad_counts)]
    if tiles is not None:
        _fused(src, dst, size, where, tiles, acc, tail)
    else:
        _by_axis(src, dst, size, where, axes, _accumulator(src.dtype, count, fused=False), tail)


def _defines(src: Any, where: Any, acc: str, count: str) -> dict[str, object]:
    return {"T": C_TYPES[src.dtype.name], "ACC": acc, "WHERE": int(where is not None), "COUNT": count}


def _fused(src: Any, dst: Any, size: Sequence[int], where: Any, tiles: Tiles, acc: str, tail: list[Any]) -> None:
    size_y, size_x = (1 if k is None else size[k] for k in tiles.kept)
    light = acc == "float" and where is None and tiles.channels == 1  # fits 64 registers: four blocks hide more loads
    defines = {
        **_defines(src, where, acc, "int"),
        **tile_defines(tiles, 4 if light else 1),
        "SIZE_Y": size_y if size_y < _UNROLLED else 0,
        "SIZE_X": size_x if size_x < _UNROLLED else 0,
        "REFINE": int(src.dtype == np.float32),
    }
    numbers = [np.int64(n) for n in (tiles.outer, tiles.height, tiles.width, tiles.inner, size_y, size_x)]
    args = [src, dst, where_or_source(src, where), *numbers, *tail]
    launch("mean", "mean_fused", grid(*tiles.blocks), (THREADS, 1, 1), args, defines, tiles.shared_bytes)


def _by_axis(src: Any, dst: Any, size: Sequence[int], where: Any, axes: Axes, acc: str, tail: list[Any]) -> None:
    defines = _defines(src, where, acc, "long long")
    scratch_bytes = math.prod(src.shape) * _sum_bytes(acc, where, 8)
    sums: Any = None
    before = 1  # samples that one sum stands for already
    for n, axis in enumerate(axes.kept):
        last = n == len(axes.kept) - 1
        outer = axes.outer * math.prod(axes.lengths[:n])
        inner = axes.inner * math.prod(axes.lengths[n + 1 :])
        out = None if last else empty((scratch_bytes,), np.uint8)
        numbers = [np.int64(v) for v in (outer, axes.lengths[n], inner, size[axis], before)]
        args = [src, dst, where_or_source(src, where), sums, out, *numbers, *tail]
        blocks = line_grid(outer, axes.lengths[n], inner)
        launch("mean", "mean_line", blocks, (THREADS, 1, 1), args, defines)
        sums, before = out, before * size[axis]
