"""Median and other ranks on CUDA: networks for small windows, bit sets for large boxes, counting for the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from imrestore_kernels.cuda._launch import SHARED_WITHOUT_OPT_IN, empty, grid, launch, upload
from imrestore_kernels.cuda.separable import C_TYPES, THREADS, Axes, bits_of, fold, where_or_source
from imrestore_kernels.networks import Network, strip_network

#: The values of the macro KERNEL.
_STRIP, _GATHER, _BITSET, _SELECT = 1, 2, 3, 4

#: Largest side of a box, and most samples of any window, that a network in registers serves without spilling.
_STRIP_SIZE = 7
_STRIP_SIZE_64 = 5  # 64-bit elements take two registers each
_GATHER_COUNT = 32

#: Samples of a tile in scratch (a power of two), and warps that share its ranks: their sets lie in shared memory.
_SCRATCH_TILES = ((2**15, 8), (2**16, 4), (2**17, 2), (2**18, 1))

#: Blocks that get scratch: enough for the largest devices, small enough to stay in their L2.
_SCRATCH_BLOCKS = 256


class Picture(NamedTuple):
    outer: int
    height: int
    width: int
    inner: int
    size_y: int
    size_x: int


def median(
    src: Any,
    dst: Any,
    size: tuple[int, ...],
    footprint: np.ndarray[Any, Any] | None,
    rank: int,
    percentile: float,
    mode: int,
    cval: Any,
    where: Any = None,
    pad_counts: bool = True,
) -> None:
    """Element of a given rank of every window; arrays, border and values as in ``kernels/README.md``."""
    full = footprint is None or bool(footprint.all())
    count = math.prod(size) if footprint is None else int(footprint.sum())
    picture = _picture(fold(src.shape, size), size) if full else None
    border = [np.int32(mode), bits_of(cval, src.dtype)]
    largest = _STRIP_SIZE if src.dtype.itemsize < 8 else _STRIP_SIZE_64
    if picture is not None and where is None and max(picture.size_y, picture.size_x) <= largest:
        _strip(src, dst, picture, rank, border)
        return
    if where is None and count <= _GATHER_COUNT:
        defines = {"KERNEL": _GATHER, "COUNT": count, **_network(strip_network(count, 1, rank))}
        _volume("median_gather", src, dst, where, size, footprint, border, [], defines)
        return
    ranks = [np.int32(rank), np.float64(percentile)]
    plan = None if picture is None else _plan_bitset(picture, src.dtype.itemsize)
    if picture is not None and plan is not None:
        _bitset(src, dst, where, picture, plan, ranks, [*border, np.int32(pad_counts)])
        return
    extra = [*ranks, np.int32(pad_counts)]
    _volume("median_select", src, dst, where, size, footprint, border, extra, {"KERNEL": _SELECT})


def _picture(axes: Axes, size: Sequence[int]) -> Picture | None:
    """One or two filtered axes seen as pictures."""
    if len(axes.lengths) == 2:
        return Picture(axes.outer, *axes.lengths, axes.inner, *(size[k] for k in axes.kept))
    if len(axes.lengths) > 2:
        return None
    length, window = axes.lengths[0], size[axes.kept[0]]
    if axes.inner >= 32:
        return Picture(axes.outer, length, 1, axes.inner, window, 1)
    return Picture(1, axes.outer, length, axes.inner, 1, window)  # lines are independent: rows of one picture


@cache
def _render(network: Network) -> str:
    """A network as one C statement: values v[..] in, out[..] out."""

    def name(value: int) -> str:
        return f"v[{value}]" if value < network.inputs else f"t{value}"

    function = {"min": "lower", "max": "higher"}
    lines = [
        f"const Wide t{network.inputs + i} = {function[op]}({name(a)}, {name(b)});"
        for i, (op, a, b) in enumerate(network.ops)
    ]
    lines += [f"out[{o}] = {name(value)};" for o, value in enumerate(network.outputs)]
    return "{ " + " ".join(lines) + " }"


def _network(network: Network) -> dict[str, object]:
    return {"NETWORK(v, out)": _render(network)}


def _strip(src: Any, dst: Any, picture: Picture, rank: int, border: list[Any]) -> None:
    outputs = _strip_outputs(picture, src.dtype.itemsize)
    defines = {
        "T": C_TYPES[src.dtype.name],
        "WHERE": 0,
        "KERNEL": _STRIP,
        "SIZE_Y": picture.size_y,
        "SIZE_X": picture.size_x,
        "OUTPUTS": outputs,
        "UNIT": int(picture.inner == 1),
        **_network(strip_network(picture.size_x, picture.size_y, rank, outputs)),
    }
    blocks = (-(-picture.width * picture.inner // 64), -(-picture.height // (4 * outputs)), picture.outer)
    tables = 8 * (4 * outputs + picture.size_y - 1 + 64 * picture.size_x)
    args = [src, dst, *(np.int64(n) for n in picture[:4]), *border]
    launch("median", "median_strip", grid(*blocks), (THREADS, 1, 1), args, defines, tables)


def _strip_outputs(picture: Picture, itemsize: int) -> int:
    """Pixels per thread: more share more, until the samples no longer fit the registers."""
    side = max(picture.size_y, picture.size_x)
    most = 8 if side <= (3 if itemsize == 8 else 5) else 4
    return most if picture.height >= most else 1


def _volume(
    function: str,
    src: Any,
    dst: Any,
    where: Any,
    size: Sequence[int],
    footprint: np.ndarray[Any, Any] | None,
    border: list[Any],
    extra: list[Any],
    defines: dict[str, object],
) -> None:
    missing = 4 - len(size)
    sizes = [1] * missing + list(size)
    lengths = [1] * missing + list(src.shape[1:-1])
    box = np.ones(size, bool) if footprint is None else footprint
    cells = np.argwhere(box.reshape(sizes)).astype(np.int64)
    strides = np.array([src.shape[-1] * math.prod(lengths[a + 1 :]) for a in range(4)], np.int64)
    steps = (cells - np.array(sizes) // 2) @ strides
    args = [src, dst, where_or_source(src, where), upload(cells.astype(np.int32)), upload(steps)]
    args += [np.int64(n) for n in (src.shape[0], *lengths, src.shape[-1])]
    args += [np.int32(n) for n in (*sizes, len(cells))]
    blocks = grid(-(-math.prod(src.shape) // THREADS))
    defines = {"T": C_TYPES[src.dtype.name], "WHERE": int(where is not None), **defines}
    launch("median", function, blocks, (THREADS, 1, 1), [*args, *border, *extra], defines)


class BitsetPlan(NamedTuple):
    """How a block cuts a picture, and where the samples of its tile lie."""

    tile_y: int
    tile_x: int
    pitch: int
    capacity: int  # samples of a tile at most: a power of two
    warps: int
    shared_bytes: int
    scratch_bytes: int  # per block; 0: all in shared memory


@lru_cache(maxsize=1024)
def _plan_bitset(picture: Picture, itemsize: int) -> BitsetPlan | None:
    """The smallest tiles whose outputs are worth their sorting; None for boxes beyond a few hundred samples a side."""
    key_bytes = 16 if itemsize == 8 else 8
    local = 2048 if itemsize == 8 else 4096
    plans = [(local, 8, True), *((capacity, warps, False) for capacity, warps in _SCRATCH_TILES)]
    best: BitsetPlan | None = None
    for capacity, warps, in_shared in plans:
        tile = _largest_tile(picture, capacity)
        if tile is None:
            continue
        tile_y, tile_x = tile
        rank_bytes = 2 if in_shared else 4
        pitch = tile_x + picture.size_x - 1
        pitch += (2 - pitch) % 4 if in_shared else 1 - pitch % 2  # columns of ranks without bank conflicts
        samples = capacity * key_bytes + -(-(tile_y + picture.size_y - 1) * pitch * rank_bytes // 16) * 16
        counters = -(-capacity // 2**15) * 32
        sets = warps * (capacity // 32 + counters) * 4 + 8
        shared_bytes = sets + (samples if in_shared else 0)
        if shared_bytes > SHARED_WITHOUT_OPT_IN:
            continue
        best = BitsetPlan(tile_y, tile_x, pitch, capacity, warps, shared_bytes, 0 if in_shared else samples)
        covers_all = tile_y == picture.height and tile_x == picture.width
        if covers_all or tile_y * tile_x >= capacity // 8:
            break
    return best


def _largest_tile(picture: Picture, capacity: int) -> tuple[int, int] | None:
    """Outputs per tile such that the tile with its halo has at most ``capacity`` samples."""
    best = None
    for tile_y in range(1, min(picture.height, capacity) + 1):
        tile_x = min(capacity // (tile_y + picture.size_y - 1) - picture.size_x + 1, picture.width)
        if tile_x < 1:
            break
        if best is None or tile_y * tile_x > best[0] * best[1]:
            best = (tile_y, tile_x)
    return best


def _bitset(
    src: Any, dst: Any, where: Any, picture: Picture, plan: BitsetPlan, ranks: list[Any], border: list[Any]
) -> None:
    tiles = (
        picture.outer * picture.inner * -(-picture.height // plan.tile_y) * -(-picture.width // plan.tile_x)
    )
    in_scratch = plan.scratch_bytes > 0
    blocks = grid(min(tiles, _SCRATCH_BLOCKS) if in_scratch else tiles)[0]
    scratch = empty((blocks * plan.scratch_bytes,), np.uint8) if in_scratch else None
    defines = {
        "T": C_TYPES[src.dtype.name],
        "WHERE": int(where is not None),
        "KERNEL": _BITSET,
        "GLOBAL": int(in_scratch),
    }
    args = [src, dst, where_or_source(src, where), scratch, np.int64(plan.scratch_bytes)]
    args += [np.int64(n) for n in picture[:4]]
    args += [np.int32(n) for n in (*picture[4:], plan.tile_y, plan.tile_x, plan.pitch, plan.capacity)]
    args += [*ranks, *border]
    launch("median", "median_bitset", (blocks, 1, 1), (32 * plan.warps, 1, 1), args, defines, plan.shared_bytes)
