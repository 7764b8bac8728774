"""From an image and its weights to the similarity program: units, precision, and what is not finite."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from imrestore_kernels.borders import CONSTANT
from imrestore_kernels.cpu._bands import numbers, similarity_kernel
from imrestore_kernels.cpu._pool import run_rows
from imrestore_kernels.cpu._row_text import border_table
from imrestore_kernels.cpu._separable import separable_sum
from imrestore_kernels.cpu._similarity_tile import Patch
from imrestore_kernels.cpu._vector_text import lanes
from imrestore_kernels.similarity import is_single

Array = np.ndarray[Any, Any]

LOG2_E = math.log2(math.e)

#: Nanoseconds of one core for a vector and one shift, about.
_WORK = 4.0


Volumes = tuple[int, int, int, int, int]


def as_volumes(shape: Sequence[int], reach: Sequence[int]) -> tuple[Volumes, tuple[int, int, int]]:
    """One to three filtered axes as (outer, depth, height, width, channels) and the reach along the middle three."""
    outer, *spatial, channels = shape
    if len(spatial) == 1:  # every row by itself
        return (1, 1, outer, spatial[0], channels), (0, 0, reach[0])
    if len(spatial) == 2:
        return (outer, 1, spatial[0], spatial[1], channels), (0, reach[0], reach[1])
    return (outer, spatial[0], spatial[1], spatial[2], channels), (reach[0], reach[1], reach[2])


def compute_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """float32 where its 24 bits are more than the image has."""
    return np.dtype(np.float32 if is_single(dtype) else np.float64)


def means(
    src: Array,
    dst: Array,
    shape: Volumes,
    patch: Patch,
    plane_weights: Array,
    reach: tuple[int, int, int],
    unit: float,
    norm: float,
    spatial: Array,
    mode: int,
    cval: float | int,
    compute: np.dtype[Any],
) -> None:
    """Weighted means with weights ``2 ** min(T - norm D / unit**2, 0)``.

    Parameters
    ----------
    src, dst : array
        Image and result.
    shape : tuple of int
        Their shape as (outer, depth, height, width, channels).
    patch : Patch
        How squared differences are summed to D.
    plane_weights : array
        Weight of each plane of a patch and each channel in D.
    reach : tuple of int
        Largest shift along depth, height and width.
    unit : float
        What differences are compared with, in the image's units.
    norm : float
        Factor of D.
    spatial : array
        For each axis 2 reach + 1 numbers that add up to T.
    mode, cval : object
        Border.
    compute : dtype
        What samples are compared in.
    """
    if src.dtype == np.float16:
        wide = np.empty(src.shape, np.float32)
        means(src.astype(np.float32), wide, shape, patch, plane_weights, reach, unit, norm, spatial, mode, cval, compute)
        with np.errstate(all="ignore"):
            dst[...] = wide
        return
    if src.dtype.kind != "f":
        largest = float(np.iinfo(src.dtype).max) + 1.0
    else:
        largest = max(abs(float(src.min())), abs(float(src.max())))
        if not (math.isfinite(largest) and (mode != CONSTANT or math.isfinite(cval))):
            good = np.isfinite(src)
            clean = np.where(good, src, 0).astype(src.dtype)
            inside = cval if math.isfinite(cval) else 0.0
            means(clean, dst, shape, patch, plane_weights, reach, unit, norm, spatial, mode, inside, compute)
            sizes = (patch.depth, patch.down.size, patch.along.size)
            dst[poisoned(~good, shape, reach, sizes, mode, not math.isfinite(cval))] = np.nan
            return
    outer, depth, height, width, channels = shape
    tile, table = numbers((depth, height, width), patch, reach, src.dtype, compute)
    exponent = scale_exponent(unit, max(largest, abs(float(cval)) if mode == CONSTANT else 0.0), compute)
    k = factor(norm, unit, exponent, compute)
    scale, unscale = (math.ldexp(1.0, e) for e in (exponent, -exponent))
    reals = np.array([compute.type(cval) * compute.type(scale), scale, k, unscale], compute)
    beyond = table.tiles * tile.band * lanes(compute) - width  # columns of the last bands that are not there
    borders = (
        border_table(width, table.before_x, beyond + table.columns - tile.band - table.before_x, mode),
        border_table(height, table.before_y, table.margin - table.before_y, mode),
        border_table(depth, table.before_z, table.layers - 1 - table.before_z, mode),
    )
    rows = outer * depth * height
    pair = (src.reshape(rows, width * channels), dst.reshape(rows, width * channels))
    shifts = math.prod(2 * r + 1 for r in reach)
    work = rows * (width / lanes(compute) + 8) * shifts * _WORK * (1 + plane_weights.size / 4)
    args = (*pair, np.array((*tile, *table), np.int64), spatial, plane_weights.astype(compute), *borders, reals)
    run_rows(similarity_kernel(compute), args, rows, work, min(16, height))


def scale_exponent(unit: float, largest: float, compute: np.dtype[Any]) -> int:
    """Power of two that brings differences near one: their squares then neither vanish (an image may be 1e-25 high) nor are lost.

    Where all differences are so small that every weight is 1, it is the values that are brought near one. No value may become
    infinite. Where that needs a smaller power, differences are so large that weights are 0 anyway.
    """
    limits = np.finfo(compute)
    near = math.frexp(unit)[1]
    if 0 < largest < math.ldexp(unit, -30):
        near = math.frexp(largest)[1]
    exponent = max(min(-near, limits.maxexp - 4), limits.minexp + 4)
    return min(exponent, limits.maxexp - 2 - math.frexp(largest)[1])


def factor(norm: float, unit: float, exponent: int, compute: np.dtype[Any]) -> float:
    """``norm / (unit 2**exponent)**2``, but no more than ``compute`` can hold."""
    mantissa, power = math.frexp(unit)
    return min(math.ldexp(norm / mantissa / mantissa, min(-2 * (power + exponent), 1000)), float(np.finfo(compute).max))


def poisoned(
    bad: Array, shape: Sequence[int], reach: Sequence[int], sizes: Sequence[int], mode: int, outside: bool
) -> Array:
    """Pixels that look at a bad one, in the shape of ``bad``: all within the reach of the shifts and the patches."""
    counts = np.asarray(bad.reshape(tuple(shape)).any(axis=-1, keepdims=True), np.int64)
    windows = tuple(_window(r, s) for r, s in zip(reach, sizes, strict=True))
    found = np.greater(separable_sum(counts, windows, mode, int(outside)), 0)
    return np.broadcast_to(found, tuple(shape)).reshape(bad.shape)


def _window(reach: int, size: int) -> Array:
    """Ones over all samples from ``-reach - size // 2`` on, in the middle of an odd number of them."""
    before, after = reach + size // 2, reach + size - 1 - size // 2
    return np.array([0] * (max(before, after) - before) + [1] * (before + 1 + after) + [0] * (max(before, after) - after))
