"""Rank filters the general way: gather the window, select. Any number of axes, footprints, masks, every dtype."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from imrestore_kernels.borders import border_index
from imrestore_kernels.cpu._jit import compile_rows, inline
from imrestore_kernels.cpu._pool import run_rows

Array = np.ndarray[Any, Any]


@inline
def _select(values: Array, count: int, rank: int) -> Any:
    """Element of rank ``rank`` of ``values[:count]``, which is reordered (Hoare's selection, middle pivot)."""
    low = 0
    high = count - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i = low
        j = high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while pivot < values[j]:
                j -= 1
            if i <= j:
                held = values[i]
                values[i] = values[j]
                values[j] = held
                i += 1
                j -= 1
        if rank <= j:
            high = j
        elif rank >= i:
            low = i
        else:
            break
    return values[rank]


def _rank_rows(
    src: Array, dst: Array, where: Array, masked: bool, maps: Array, map_starts: Array, strides: Array, offsets: Array,
    rank: int, percentile: float, cval: Any, pad_counts: bool, empty: Any, start: int, stop: int,
) -> None:  # fmt: skip
    """Rows are the lines along the last filtered axis of (outer, s_1 .. s_n, inner), given flat.

    ``maps`` holds, axis after axis, ``border_index(i)`` for i = -left .. n - 1 + right (-1 is the constant); ``offsets`` the
    positions of the window's samples in those maps; ``strides`` outer, each axis, inner.
    """
    axes = offsets.shape[1]
    samples = offsets.shape[0]
    values = np.empty(samples, src.dtype)
    lengths = map_starts[axes : 2 * axes]
    n = lengths[axes - 1]
    inner = strides[axes]
    place = np.zeros(axes, np.int64)
    for line in range(start, stop):
        rest = line
        for a in range(axes - 2, -1, -1):
            place[a] = rest % lengths[a]
            rest //= lengths[a]
        base = rest * strides[axes + 1]
        row = base
        for a in range(axes - 1):
            row += place[a] * strides[a]
        for x in range(n):
            place[axes - 1] = x
            for c in range(inner):
                count = 0
                nan = False
                for s in range(samples):
                    at = base + c
                    outside = False
                    for a in range(axes):
                        j = maps[map_starts[a] + place[a] + offsets[s, a]]
                        if j < 0:
                            outside = True
                        at += j * strides[a]
                    if outside:
                        if masked and not pad_counts:
                            continue
                        value = cval
                    else:
                        if masked and where[at] == 0:
                            continue
                        value = src[at]
                    if value != value:
                        nan = True
                    values[count] = value
                    count += 1
                target = row + x * strides[axes - 1] + c
                if nan:
                    dst[target] = empty
                elif count == samples and not masked:
                    dst[target] = _select(values, count, rank)
                elif count == 0:
                    dst[target] = empty
                else:
                    dst[target] = _select(values, count, min(int(count * percentile / 100.0), count - 1))


@lru_cache(maxsize=16)
def select_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over the lines of an image of one dtype."""
    value = from_dtype(dtype)
    read = types.Array(value, 1, "C", readonly=True)
    i64 = types.int64[::1]
    return compile_rows(
        _rank_rows, f"rank_select_{dtype}", read, value[::1], types.Array(types.uint8, 1, "C", readonly=True), types.boolean,
        i64, i64, i64, types.int64[:, ::1], types.intp, types.float64, value, types.boolean, value, types.intp, types.intp,
    )  # fmt: skip


def rank_select(
    src: Array, dst: Array, footprint: Array, rank: int, percentile: float, mode: int, cval: Any,
    where: Array | None, pad_counts: bool,
) -> None:  # fmt: skip
    """Rank filter of (outer, s_1 .. s_n, inner) over the true cells of ``footprint``."""
    if src.dtype == np.float16:  # exact both ways, and Numba's float16 is partial
        wide = src.astype(np.float32)
        out = np.empty_like(wide)
        rank_select(wide, out, footprint, rank, percentile, mode, cval, where, pad_counts)
        dst[...] = out
        return
    spatial = src.shape[1:-1]
    maps = [
        [border_index(i, n, mode) for i in range(-(k // 2), n + k - k // 2 - 1)]
        for n, k in zip(spatial, footprint.shape, strict=True)
    ]
    starts = np.cumsum([0] + [len(m) for m in maps])[:-1]
    inner = src.shape[-1]
    strides = [int(np.prod(src.shape[a + 1 :])) for a in range(1, src.ndim - 1)]
    offsets = np.ascontiguousarray(np.argwhere(footprint), np.int64)
    mask = np.zeros(1, np.uint8) if where is None else where.reshape(-1)
    lines = src.shape[0] * int(np.prod(spatial[:-1]))
    scalar = src.dtype.type
    run_rows(
        select_kernel(src.dtype),
        (
            src.reshape(-1), dst.reshape(-1), mask, where is not None, np.concatenate(maps).astype(np.int64),
            np.array([*starts, *spatial], np.int64), np.array([*strides, inner, int(np.prod(src.shape[1:]))], np.int64),
            offsets, rank, float(percentile), scalar(cval), pad_counts, scalar(np.nan if src.dtype.kind == "f" else 0),
        ),
        lines,
        work=src.size * len(offsets) * 5.0,
    )  # fmt: skip
