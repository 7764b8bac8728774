"""Median and other ranks, on the CPU.

Boxes of up to `NETWORK_SAMPLES` samples go through exchange networks, whatever the dtype; larger ones through column
histograms (bytes) or a sliding set of ranks; footprints, masks and more than two axes through plain selection.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from imrestore_kernels.cpu._plan import RowPlan, as_planes
from imrestore_kernels.cpu._pool import run_rows
from imrestore_kernels.cpu._rank_bitset import bitset_kernel, blocks
from imrestore_kernels.cpu._rank_histogram import MAX_SAMPLES, histogram_kernel
from imrestore_kernels.cpu._rank_networks import KEYED, flat_driver, network, ring_driver
from imrestore_kernels.cpu._rank_select import rank_select
from imrestore_kernels.rank_program import inlined_program

Array = np.ndarray[Any, Any]

#: Largest window for networks. Bytes: the histograms take 12.5 ms a megapixel and core for every size, networks 6.5 for 25 x 25
#: and 11.9 for 31 x 31. Others: the bit set takes 131 ms for 41 x 41 uint16 and 144 for float32, networks 47 and 99; 51 x 51 they
#: would take 4.7 s to compile.
NETWORK_SAMPLES, NETWORK_SAMPLES_OF_BYTES = 1681, 841
#: Images with rows of up to this many bytes are filtered as one long row, if the window has few rows: what neighbouring rows
#: share is lost, so windows of many rows are better off row by row.
FLAT_BYTES, FLAT_ROWS, FLAT_CAPACITY = 512, 5, 9216
#: Rows are read up to this many values per pixel apart; images with more channels are filtered channel by channel.
MAX_INNER = 8


def median(
    src: Array,
    dst: Array,
    size: tuple[int, ...],
    footprint: Array | None,
    rank: int,
    percentile: float,
    mode: int,
    cval: float | int,
    where: Array | None = None,
    pad_counts: bool = True,
) -> None:
    """Element of a given rank of every window; the contract is in ``kernels/README.md``."""
    if where is None and footprint is None and len(size) <= 2:
        if src.dtype == np.float16:  # exact both ways
            wide = np.empty(src.shape, np.float32)
            median(src.astype(np.float32), wide, size, None, rank, percentile, mode, cval)
            dst[...] = wide
            return
        if src.shape[-1] > MAX_INNER and len(size) == 2:
            planar = np.ascontiguousarray(np.moveaxis(src, -1, 1)).reshape(-1, *src.shape[1:-1], 1)
            result = np.empty_like(planar)
            median(planar, result, size, None, rank, percentile, mode, cval)
            dst[...] = np.moveaxis(result.reshape(src.shape[0], src.shape[-1], *src.shape[1:-1]), 1, -1)
            return
        planned = plan(src.shape, src.dtype, size, rank, mode, cval)
        if planned is not None:
            planned.run(src, dst)
        else:
            _large(src, dst, size, rank, mode, cval)
        return
    cells = np.ones(size, bool) if footprint is None else footprint
    rank_select(src, dst, cells, rank, percentile, mode, cval, where, pad_counts)


def plan(
    shape: tuple[int, ...], dtype: np.dtype[Any], size: tuple[int, ...], rank: int, mode: int, cval: float | int
) -> RowPlan | None:
    """The kernel for a box of one or two filtered axes, or None where there is none."""
    limit = NETWORK_SAMPLES_OF_BYTES if dtype.itemsize == 1 else NETWORK_SAMPLES
    if len(size) > 2 or dtype == np.float16 or int(np.prod(size)) > limit:
        return None
    (outer, height, width, inner), (rows, columns) = as_planes(shape, size)
    if inner > MAX_INNER:
        return None
    total, values = outer * height, width * inner
    outside = dtype.type(cval).view(np.int32) if dtype == KEYED else dtype.type(cval)
    if rows <= FLAT_ROWS and values * dtype.itemsize <= FLAT_BYTES:
        made = network(rows, columns, rank, 1, dtype, FLAT_CAPACITY // dtype.itemsize)
        driver, cost, least = flat_driver(dtype), 2.0 + rows * columns, 32
    else:
        outputs = rows_at_once(rows)
        program = inlined_program(rows, columns, rank, outputs)
        made = network(rows, columns, rank, outputs, dtype, tile_bytes(program.buffers, dtype.itemsize) // dtype.itemsize)
        driver, cost, least = ring_driver(dtype), 3.0 + 0.2 * program.ops / outputs, -(-16 // outputs) * outputs
    table = made.table(height, inner, mode)
    vectors = total * (values * dtype.itemsize / 64 + 2)
    return RowPlan(driver, (table.ctypes.data, outside), total, values, vectors * cost, least, keep=table)


def _large(src: Array, dst: Array, size: tuple[int, ...], rank: int, mode: int, cval: float | int) -> None:
    """Boxes too large for networks: column histograms for bytes, a bit set of ranks for everything else."""
    (outer, height, width, inner), (rows, columns) = as_planes(src.shape, size)
    planes = (outer * height, width * inner)
    args = (src.reshape(planes), dst.reshape(planes), height, inner, rows, columns, rank, mode, src.dtype.type(cval))
    if src.dtype.itemsize == 1 and rows * columns <= MAX_SAMPLES:
        run_rows(histogram_kernel(src.dtype), args, outer * height, src.size * 18.0, least_strip=2 * rows)
    else:
        run_rows(bitset_kernel(src.dtype), args, blocks(outer, height, width, inner), src.size * (rows + 40.0))


def rows_at_once(rows: int) -> int:
    """Output rows that share their common rows: more share more, but each needs rows of its own merged in.

    Measured, ns per 64 bytes, uint8: 3x3 2 rows 4.4; 5x5 2: 11.1, 4: 11.3 (uint16 19.3, 12.4); 7x7 2: 38, 4: 29; 15x15 4: 155,
    8: 138; 31x31 4: 1380, 8: 711.
    """
    if rows < 4:
        return min(rows, 2)
    return 4 if rows < 15 else 8


def tile_bytes(buffers: int, itemsize: int) -> int:
    """Bytes of a row worked on at once: all buffers together should stay in the second-level cache."""
    if buffers <= 32:
        return 4096
    return 1024 if buffers <= 400 or itemsize >= 4 else 512
