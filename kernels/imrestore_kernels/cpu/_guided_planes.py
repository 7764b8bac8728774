"""Guided filter over planes in one pass: moments of windows, coefficients and their means travel down the rows together.

A source row is reduced along its own direction first, by joining 1, 2, 4, 8 .. neighbours; sets of 1, 2, 4 .. rows are kept in
rings, and the window is a join of one of each power of two in its height. The coefficients of that row of windows go through
the same steps a second time, as plain sums. Nothing is ever subtracted, so nothing drifts and a NaN stays inside its windows;
and the order of all sums depends on the window alone, so strips and blocks give the same bits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from imrestore_kernels.cpu._jit import compile_rows, inline
from imrestore_kernels.cpu._moments import LANES, Moments, add_rows, apply_rows, join_sets, solve_rows
from imrestore_kernels.cpu._planes import inside_index
from imrestore_kernels.cpu._vector import allocator, copy_bytes, data_address, larger, new_numbers, smaller

#: Columns of the result made at once: the rings of a window of 33 rows then stay in a second-level cache of a megabyte.
TILE = 256


@lru_cache(maxsize=64)
def guided_kernel(dtype: np.dtype[Any], guide_dtype: np.dtype[Any], moments: Moments) -> Any:
    """Row kernel for one channel of the image and a guide, or for a guide that filters itself."""
    separate, sums, channels = moments.separate, moments.sums, moments.channels
    sets, solved, outputs = moments.count, moments.coefficients, moments.outputs
    join_leaves, join_leaf, join = join_sets(moments, True, True), join_sets(moments, False, True), join_sets(moments)
    add, solve, apply = add_rows(solved), solve_rows(moments), apply_rows(moments, dtype.kind != "f")
    new_values = allocator(np.float64)
    whole = dtype.kind != "f"
    low, high = (float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)) if whole else (0.0, 0.0)

    def guided_rows(
        src: Any, dst: Any, guide: Any, height: int, inner: int, channel: int, guide_inner: int, radius_y: int, radius_x: int,
        eps: float, mode: int, cval: float, guide_cval: float, start: int, stop: int,
    ) -> None:  # fmt: skip
        width = src.shape[1] // inner
        size_y, size_x = 2 * radius_y + 1, 2 * radius_x + 1
        widest = larger(TILE, 4 * radius_x)
        tile = (width + (width + widest - 1) // widest - 1) // ((width + widest - 1) // widest)
        values = tile + 4 * radius_x + 2 * LANES  # of a row: whole vectors, and an odd number of cache lines
        values += -values % LANES
        values += (1 - values // LANES % 2) * LANES
        pitch = values * 8
        levels_y, levels_x = _levels(size_y), _levels(size_x)
        slots = _slots(size_y, levels_y)
        kept = sets * (levels_x + 2) + solved * (levels_x + 2) + (sets + solved) * slots + channels + outputs
        memory = new_values(kept * values + LANES)
        base = -data_address(memory) // 8 % 8
        samples = data_address(memory) + base * 8  # level 0 along the row: a sample is a set without deviations
        memory[base : base + sets * values] = 0.0
        along = samples + sets * pitch
        window = along + sets * levels_x * pitch
        rings = window + sets * pitch
        fitted = rings + sets * slots * pitch
        fitted_along = fitted + solved * pitch
        total = fitted_along + solved * levels_x * pitch
        fitted_rings = total + solved * pitch
        centre = fitted_rings + solved * slots * pitch
        result = centre + channels * pitch
        centre_at = base + (centre - samples) // 8
        result_at = base + (result - samples) // 8
        newest, fitted_newest = new_numbers(levels_y + 1), new_numbers(levels_y + 1)
        columns = new_numbers(tile + 4 * radius_x)
        count = float(size_y) * float(size_x)
        for x in range(0, width, tile):
            n = smaller(tile, width - x)
            wide, widest_row = n + 2 * radius_x, n + 4 * radius_x
            for i in range(widest_row):
                columns[i] = inside_index(x - 2 * radius_x + i, width, mode)
            y = start
            while y < stop:
                image = y // height * height
                last = smaller(stop, image + height)
                newest[:] = 0
                fitted_newest[:] = 0
                for row in range(y - image - 2 * radius_y, last - image + 2 * radius_y):
                    entered = row - (y - image - 2 * radius_y) + 1
                    inside = inside_index(row, height, mode)
                    at = image + inside if inside >= 0 else -1
                    _advance(newest, size_y, levels_y)
                    for c in range(channels):
                        if separate:
                            _load(guide, at, guide_inner, c, columns, x - 2 * radius_x, widest_row, memory, base + c * values, guide_cval)
                        else:
                            _load(src, at, inner, c, columns, x - 2 * radius_x, widest_row, memory, base + c * values, cval)
                    if separate:
                        _load(src, at, inner, channel, columns, x - 2 * radius_x, widest_row, memory, base + channels * values, cval)
                    _moments_along(wide, pitch, samples, along, rings + newest[0] * sets * pitch, size_x, levels_x)
                    _moments_down(wide, pitch, rings, newest, levels_y, 1.0 / size_x)
                    if entered < size_y:
                        continue
                    _moments_of_window(wide, pitch, window, rings, newest, size_y, levels_y, 1.0 / size_x)
                    solve(wide, pitch, fitted, window, 1.0 / count, count * eps)
                    _advance(fitted_newest, size_y, levels_y)
                    _sums_along(n, pitch, fitted, fitted_along, fitted_rings + fitted_newest[0] * solved * pitch, size_x, levels_x)
                    _sums_down(n, pitch, fitted_rings, fitted_newest, levels_y)
                    if entered < 2 * size_y - 1:
                        continue
                    out = image + row - 2 * radius_y
                    sums_of_window = _sums_of_window(n, pitch, total, fitted_rings, fitted_newest, size_y, levels_y)
                    for c in range(channels):
                        if separate:
                            _load(guide, out, guide_inner, c, columns, x, n, memory, centre_at + c * values, 0.0)
                        else:
                            _load(src, out, inner, c, columns, x, n, memory, centre_at + c * values, 0.0)
                    apply(n, pitch, result, sums_of_window, centre, 1.0 / count)
                    for o in range(outputs):
                        _store(dst, out, inner, channel + o, x, n, memory, result_at + o * values)
                y = last
        # Addresses of this array were used above; naming it here keeps it alive until now.
        newest[0] = memory.size

    @inline
    def _moments_along(n: int, pitch: int, samples: int, levels: int, out: int, size: int, top: int) -> int:
        """Sets of ``size`` neighbours of a row."""
        if top == 0:
            return copy_bytes(out, samples, sets * pitch)
        below, power = samples, 1
        for j in range(top):
            above = levels + j * sets * pitch
            reach = n + size - 2 * power
            if j == 0:
                join_leaves(reach, pitch, above, below, below + power * 8, 1.0, 0.5)
            else:
                join(reach, pitch, above, below, below + power * 8, 1.0, 0.5 / power)
            below = above
            power *= 2
        done = power
        while power > 1:
            power >>= 1
            if size & power:
                alpha, beta = float(done) / power, float(power) / (float(done) * float(done + power))
                if power == 1:
                    join_leaf(n, pitch, out, below, samples + done * 8, alpha, beta)
                else:
                    piece = levels + (_levels(power) - 1) * sets * pitch
                    join(n, pitch, out, below, piece + done * 8, alpha, beta)
                below = out
                done += power
        return 0

    @inline
    def _moments_down(n: int, pitch: int, rings: int, newest: Any, top: int, share: float) -> int:
        """The newest set of every ring from the two that it joins."""
        ring, power = rings, 1
        for j in range(top):
            older = newest[j] - power if newest[j] >= power else newest[j] + 1
            above = ring + (power + 1) * sets * pitch
            a, b = ring + older * sets * pitch, ring + newest[j] * sets * pitch
            join(n, pitch, above + newest[j + 1] * sets * pitch, a, b, 1.0, share * 0.5 / power)
            ring = above
            power *= 2
        return 0

    @inline
    def _moments_of_window(
        n: int, pitch: int, out: int, rings: int, newest: Any, size: int, top: int, share: float
    ) -> int:
        """The set of the last ``size`` rows: the largest power of two of them first, then those below it."""
        if top == 0:
            return copy_bytes(out, rings + newest[0] * sets * pitch, sets * pitch)
        below = rings + _set_in_rings(newest, size, top, top) * sets * pitch
        done = 1 << top
        for j in range(top - 1, -1, -1):
            power = 1 << j
            if size & power:
                alpha, beta = float(done) / power, float(power) / (float(done) * float(done + power))
                join(n, pitch, out, below, rings + _set_in_rings(newest, size, j, top) * sets * pitch, alpha, share * beta)
                below = out
                done += power
        return 0

    @inline
    def _sums_along(n: int, pitch: int, row: int, levels: int, out: int, size: int, top: int) -> int:
        """Sums of ``size`` neighbours of a row of coefficients."""
        if top == 0:
            return copy_bytes(out, row, solved * pitch)
        below, power = row, 1
        for j in range(top):
            above = levels + j * solved * pitch
            add(n + size - 2 * power, pitch, above, below, below + power * 8)
            below = above
            power *= 2
        done = power
        while power > 1:
            power >>= 1
            if size & power:
                piece = row if power == 1 else levels + (_levels(power) - 1) * solved * pitch
                add(n, pitch, out, below, piece + done * 8)
                below = out
                done += power
        return 0

    @inline
    def _sums_down(n: int, pitch: int, rings: int, newest: Any, top: int) -> int:
        """The newest sum of every ring from the two that it adds."""
        ring, power = rings, 1
        for j in range(top):
            older = newest[j] - power if newest[j] >= power else newest[j] + 1
            above = ring + (power + 1) * solved * pitch
            a, b = ring + older * solved * pitch, ring + newest[j] * solved * pitch
            add(n, pitch, above + newest[j + 1] * solved * pitch, a, b)
            ring = above
            power *= 2
        return 0

    @inline
    def _sums_of_window(n: int, pitch: int, out: int, rings: int, newest: Any, size: int, top: int) -> int:
        """Address of the sums of the last ``size`` rows."""
        below = rings + _set_in_rings(newest, size, top, top) * solved * pitch
        for j in range(top - 1, -1, -1):
            if size & 1 << j:
                add(n, pitch, out, below, rings + _set_in_rings(newest, size, j, top) * solved * pitch)
                below = out
        return below

    @inline
    def _store(dst: Any, row: int, inner: int, channel: int, x: int, n: int, memory: Any, at: int) -> int:
        """A row of results to its place; whole numbers are saturated, and 0 stands for NaN."""
        source = memory[at : at + n]
        if whole:
            for i in range(n):
                v = source[i]
                v = low if v < low else v
                v = high if v > high else v
                source[i] = v if v == v else 0.0  # noqa: PLR0124  the test for NaN
        if inner == 1:
            target = dst[row, x : x + n]
            for i in range(n):
                target[i] = source[i]
        else:
            target = dst[row, x * inner + channel :: inner]
            for i in range(n):
                target[i] = source[i]
        return 0

    value, guide_value = from_dtype(dtype), from_dtype(guide_dtype)
    name = f"guided_{dtype}_by_{guide_dtype}{channels}" if separate else f"guided_{dtype}_itself{channels}"
    return compile_rows(
        guided_rows, name, types.Array(value, 2, "C", readonly=True), value[:, ::1], types.Array(guide_value, 2, "C", readonly=True),
        *[types.intp] * 6, types.float64, types.intp, types.float64, types.float64, types.intp, types.intp,
    )  # fmt: skip


@inline
def _levels(size: int) -> int:
    """Largest p with 2**p <= size."""
    power = 0
    while 2 << power <= size:
        power += 1
    return power


@inline
def _slots(size: int, top: int) -> int:
    """Sets in all rings: the last 2**j + 1 of 2**j rows, and of the largest power those that a window reaches back to."""
    return (1 << top) - 1 + top + size - (1 << top) + 1


@inline
def _advance(newest: Any, size: int, top: int) -> int:
    """A row enters: every ring's newest slot is the next one."""
    for j in range(top + 1):
        slots = (1 << j) + 1 if j < top else size - (1 << top) + 1
        newest[j] = newest[j] + 1 if newest[j] + 1 < slots else 0
    return 0


@inline
def _set_in_rings(newest: Any, size: int, j: int, top: int) -> int:
    """Number, among all sets of the rings, of the 2**j rows that a window of ``size`` rows is made of."""
    back = size & ((1 << j) - 1)  # rows of the window that come after them
    slots = (1 << j) + 1 if j < top else size - (1 << top) + 1
    slot = newest[j] - back if newest[j] >= back else newest[j] - back + slots
    return (1 << j) - 1 + j + slot


@inline
def _load(
    image: Any, row: int, inner: int, channel: int, columns: Any, x: int, n: int, memory: Any, at: int, outside: float
) -> int:
    """Samples x .. x + n of a channel of a row, as float64, NaN where they are not finite; -1 is a row of the constant."""
    target = memory[at : at + n]
    if row < 0:
        for i in range(n):
            target[i] = outside * 0.0 + outside
        return 0
    width = image.shape[1] // inner
    first, last = larger(0, -x), smaller(n, width - x)
    if inner == 1:
        source = image[row, x + first : x + last]
        middle = target[first:last]
        for i in range(last - first):
            middle[i] = source[i] * 0.0 + source[i]
    else:
        source = image[row, (x + first) * inner + channel : (x + last - 1) * inner + channel + 1 : inner]
        for i in range(last - first):
            target[first + i] = source[i] * 0.0 + source[i]
    for i in range(first):
        target[i] = _at(image, row, columns[i], inner, channel, outside)
    for i in range(last, n):
        target[i] = _at(image, row, columns[i], inner, channel, outside)
    return 0


@inline
def _at(image: Any, row: int, column: int, inner: int, channel: int, outside: float) -> float:
    """One sample as float64, NaN where it is not finite; column -1 is the constant."""
    value = outside if column < 0 else float(image[row, column * inner + channel])
    return value * 0.0 + value
