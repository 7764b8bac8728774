"""Sums of squared differences and the structural similarity of two images, on CUDA: sums of blocks, then the sum of those."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from imrestore_kernels.cuda._launch import SHARED_WITHOUT_OPT_IN, empty, grid, launch, upload
from imrestore_kernels.cuda.separable import C_TYPES, THREADS

_CHUNK = 16384
_LIMBS = 4
_PRODUCTS = 4


def squared_error(a: Any, b: Any, dst: Any) -> None:
    """Sum of squared differences; the contract is in ``kernels/README.md``."""
    floats = a.dtype.kind == "f"
    lists = 1 if floats else _LIMBS
    chunks = -(-math.prod(a.shape) // _CHUNK)
    sums = empty((lists * chunks,), np.float64 if floats else np.uint64)
    own = {"SUM": "double" if floats else "unsigned long long"}
    args = [a, b, sums, np.int64(math.prod(a.shape))]
    defines = {**own, "T": C_TYPES[a.dtype.name], "SQUARES": 1}
    launch("metrics", "squared_error", grid(chunks), (THREADS, 1, 1), args, defines, 8 * THREADS)
    _add_runs(sums, dst, lists, chunks, own)


def _add_runs(runs: Any, dst: Any, lists: int, count: int, defines: dict[str, str]) -> None:
    args = [runs, dst, np.int64(lists), np.int64(count)]
    launch("metrics", "add_runs", grid(lists), (THREADS, 1, 1), args, defines, 8 * THREADS)


def _tile(size: int) -> tuple[int, int]:
    """Columns and rows of a tile of windows whose sums of rows fit the shared memory."""
    for columns, rows in ((32, 16), (32, 8), (16, 8), (8, 8)):
        if 8 * _PRODUCTS * columns * (rows + size - 1) <= SHARED_WITHOUT_OPT_IN:
            return columns, rows
    raise ValueError(f"no tile for windows of {size} rows")


def ssim(
    a: Any,
    b: Any,
    dst: Any,
    weights: tuple[np.ndarray[Any, Any], ...],
    shift: float,
    scale: float,
    c1: float,
    c2: float,
    luminance: bool,
    similarity: Any = None,
) -> None:
    """Sum of the structural similarity over all windows; the contract is in ``kernels/README.md``."""
    planes, *lengths = a.shape
    depth, height, width = (n - w.size + 1 for n, w in zip(lengths, weights, strict=True))
    columns, rows = _tile(weights[1].size)
    tiles = depth * -(-height // rows) * -(-width // columns)  # of one plane
    sums = empty((planes * tiles,), np.float64)
    own = {"SUM": "double"}
    sizes = {f"SIZE_{axis}": w.size for axis, w in zip("ZYX", weights, strict=True)}
    tile = {"TILE_X": columns, "TILE_Y": rows, "LUMINANCE": int(luminance)}
    defines = {**own, "T": C_TYPES[a.dtype.name], "SSIM": 1, **sizes, **tile}
    numbers = [np.int64(n) for n in a.shape] + [np.float64(v) for v in (shift, scale, c1, c2)]
    args = [a, b, sums, similarity, *map(upload, weights), *numbers]
    shared_bytes = 8 * max(THREADS, _PRODUCTS * columns * (rows + weights[1].size - 1))
    launch("metrics", "ssim_tiles", grid(planes * tiles), (THREADS, 1, 1), args, defines, shared_bytes)
    _add_runs(sums, dst, planes, tiles, own)
