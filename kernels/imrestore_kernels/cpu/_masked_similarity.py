"""Similarity weights where samples are missing: plain loops in float64, row by row.

A patch is compared over the pairs of samples that are both there. A sample that is missing itself still has a patch around it, and
gets the mean of what lies around similar patches. All its weights may be too small for a float; they only matter relative to
each other, so the largest is found first.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types

from imrestore_kernels.borders import CONSTANT, border_index
from imrestore_kernels.cpu._jit import compile_rows, inline
from imrestore_kernels.cpu._pool import run_rows
from imrestore_kernels.cpu._rounding import round_to
from imrestore_kernels.cpu._similarity import call_powers, powers
from imrestore_kernels.cpu._similarity_rows import factor, poisoned, scale_exponent
from imrestore_kernels.cpu._vector import allocator, data_address

Array = np.ndarray[Any, Any]


class Weights(NamedTuple):
    """Weights ``2 ** -max(norm D / unit**2 - slack, 0)`` times 2 to what ``spatial`` says for a shift.

    D is the sum over patch and channels of weighted squared differences, if ``normalised`` divided by that of the weights of all
    pairs that are there; where there is none there is no weight.
    """

    patches: tuple[Array, Array, Array]
    reach: tuple[int, int, int]
    norm: float
    unit: float
    slack: float
    normalised: bool
    spatial: Array


@cache
def masked_kernel() -> Any:
    """Kernel over rows, in float64, for images of every dtype."""
    new_row = allocator(np.float64)
    vector = 64 // 8
    most = float(np.finfo(np.float64).max)

    @inline
    def exponents(
        values: Any, valid: Any, o: int, z: int, y: int, dz: int, dy: int, dx: int, shape: Any, patch: Any, k: float, slack: float,
        fall: float, top: Any, bottom: Any, result: Any,
    ) -> None:  # fmt: skip
        """How far the weight of every sample of a row is below 1, in powers of two; infinite where there is none."""
        channels, width, patch_z, patch_y, patch_x = shape[0], shape[1], shape[2], shape[3], shape[4]
        reach_z, reach_y, reach_x = shape[5], shape[6], shape[7]
        count = width + patch_x - 1
        for i in range(count):
            top[i] = 0.0
            bottom[i] = 0.0
        for c in range(channels):
            for pz in range(patch_z):
                for py in range(patch_y):
                    g = patch[pz] * patch[patch_z + py]
                    at_z, at_y = z + reach_z + pz, y + reach_y + py
                    a, va = values[o, c, at_z, at_y], valid[o, c, at_z, at_y]
                    b, vb = values[o, c, at_z + dz, at_y + dy], valid[o, c, at_z + dz, at_y + dy]
                    a, va = a[reach_x : reach_x + count], va[reach_x : reach_x + count]
                    b, vb = b[reach_x + dx : reach_x + dx + count], vb[reach_x + dx : reach_x + dx + count]
                    for i in range(count):
                        both = g * va[i] * vb[i]
                        d = a[i] - b[i]
                        top[i] += both * d * d
                        bottom[i] += both
        for i in range(width):
            total, pairs = 0.0, 0.0
            for px in range(patch_x):
                total += patch[patch_z + patch_y + px] * top[i + px]
                pairs += patch[patch_z + patch_y + px] * bottom[i + px]
            if not shape[8]:
                pairs = 1.0
            below = k * (total / pairs) - slack
            below = below if below > 0.0 else 0.0
            # Where even the square is too large for a float there still is a weight, however small.
            below = below if below < most else most
            result[i] = below - fall if pairs > 0.0 else np.inf

    def rows(
        values: Any, valid: Any, out: Any, shape: Any, patch: Any, spatial: Any, k: float, slack: float, powers_at: int,
        row_start: int, row_stop: int,
    ) -> None:  # fmt: skip
        channels, width = shape[0], shape[1]
        reach_z, reach_y, reach_x = shape[5], shape[6], shape[7]
        before_z, before_y, before_x = reach_z + shape[2] // 2, reach_y + shape[3] // 2, reach_x + shape[4] // 2
        depth, height = shape[9], shape[10]
        room = width + shape[4] + 2 * vector
        top, bottom, below = new_row(room), new_row(room), new_row(room)
        memory = new_row(room + vector)
        start = -data_address(memory) % 64 // 8
        weight = memory[start : start + room]
        least, total, numerator = new_row(channels * width), new_row(channels * width), new_row(channels * width)
        for row in range(row_start, row_stop):
            o, z, y = row // (depth * height), row // height % depth, row % height
            for i in range(channels * width):
                least[i], total[i], numerator[i] = np.inf, 0.0, 0.0
            for sweep in range(2):
                for dz in range(-reach_z, reach_z + 1):
                    for dy in range(-reach_y, reach_y + 1):
                        for dx in range(-reach_x, reach_x + 1):
                            fall = spatial[reach_z + dz] + spatial[2 * reach_z + 1 + reach_y + dy]
                            fall += spatial[2 * (reach_z + reach_y + 1) + reach_x + dx]
                            exponents(values, valid, o, z, y, dz, dy, dx, shape, patch, k, slack, fall, top, bottom, below)
                            for c in range(channels):
                                there = valid[o, c, z + before_z + dz, y + before_y + dy][before_x + dx : before_x + dx + width]
                                q = values[o, c, z + before_z + dz, y + before_y + dy][before_x + dx : before_x + dx + width]
                                lowest = least[c * width : (c + 1) * width]
                                if sweep == 0:
                                    for i in range(width):
                                        if there[i] > 0.0 and below[i] < lowest[i]:
                                            lowest[i] = below[i]
                                    continue
                                for i in range(width):
                                    weight[i] = lowest[i] - below[i] if below[i] < np.inf and there[i] > 0.0 else -2000.0
                                call_powers(powers_at, data_address(weight), width)
                                sums, means = total[c * width : (c + 1) * width], numerator[c * width : (c + 1) * width]
                                for i in range(width):
                                    if there[i] > 0.0:
                                        sums[i] += weight[i]
                                        means[i] += weight[i] * q[i]
            for c in range(channels):
                for i in range(width):
                    some = least[c * width + i] < np.inf
                    out[row, i * channels + c] = numerator[c * width + i] / total[c * width + i] if some else np.nan
        memory[0] = 0.0  # Numba frees an array after its last use

    number = types.float64
    planes, line = types.Array(number, 5, "C", readonly=True), types.Array(number, 1, "C", readonly=True)
    table = types.Array(types.int64, 1, "C", readonly=True)
    return compile_rows(
        rows, "masked_similarity", planes, planes, number[:, ::1], table, line, line, number, number, *[types.intp] * 3
    )  # fmt: skip


def masked_means(
    src: Array, dst: Array, shape: tuple[int, ...], weights: Weights, mode: int, cval: float | int, where: Array, pad: bool
) -> None:
    """Weighted means of the samples that are there."""
    outer, depth, height, width, channels = shape
    there = where.reshape(shape) != 0
    values = src.reshape(shape).astype(np.float64)
    good = np.isfinite(values)
    bad = there & ~good
    values[~(there & good)] = 0
    outside = float(cval) if np.isfinite(cval) else 0.0
    exponent = _scale_exponent(weights.unit, max(float(abs(values).max()), abs(outside) if mode == CONSTANT and pad else 0.0))
    values, outside = np.ldexp(values, exponent), math.ldexp(outside, exponent)
    sizes = tuple(p.size for p in weights.patches)
    padded = [
        _padded(array, weights.reach, sizes, mode, fill)
        for array, fill in ((values, outside if pad else 0.0), (there.astype(np.float64), float(pad)))
    ]
    table = np.array([channels, width, *sizes, *weights.reach, weights.normalised, depth, height], np.int64)
    k = factor(weights.norm, weights.unit, exponent, np.dtype(np.float64))
    result = np.empty((outer * depth * height, width * channels))
    address = powers(np.dtype(np.float64))
    args = (*padded, result, table, np.concatenate(weights.patches), weights.spatial, k, weights.slack, address)
    shifts = int(np.prod([2 * r + 1 for r in weights.reach]))
    run_rows(masked_kernel(), args, len(result), result.size * shifts * 4.0 * sum(sizes))
    result = np.ldexp(result, -exponent).reshape(dst.shape)
    round_to(result, dst)
    if bad.any() or (mode == CONSTANT and pad and not np.isfinite(cval)):
        dst[poisoned(bad.reshape(dst.shape), shape, weights.reach, sizes, mode, pad and not np.isfinite(cval))] = np.nan


def _scale_exponent(unit: float, largest: float) -> int:
    """Power of two for the samples: as in `scale_exponent`, and here no square is infinite.

    Unless small differences would not count for it. Sums of samples are finite in any case.
    """
    size, near = math.frexp(largest)[1], math.frexp(unit)[1]
    exponent = scale_exponent(unit, largest, np.dtype(np.float64))
    return min(exponent, max(500 - size, -500 - near), 1000 - size)


def _padded(array: Array, reach: tuple[int, ...], sizes: tuple[int, ...], mode: int, fill: float) -> Array:
    """(outer, depth, height, width, channels) with its border, as (outer, channels, depth, height, width)."""
    for axis, (r, s) in enumerate(zip(reach, sizes, strict=True), start=1):
        n = array.shape[axis]
        index = np.array([border_index(i, n, mode) for i in range(-r - s // 2, n + r + s - 1 - s // 2)])
        array = np.take(array, np.maximum(index, 0), axis)
        outside = (slice(None),) * axis + (index < 0,)
        array[outside] = fill
    return np.ascontiguousarray(np.moveaxis(array, -1, 1))
