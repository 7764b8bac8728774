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
from imrestore_kernels.cpu._moments import LANES, Moments, add_rows, apply_rows, join_three, join_two, solve_rows
from imrestore_kernels.cpu._planes import inside_index
from imrestore_kernels.cpu._vector import allocator, copy_bytes, data_address, larger, new_numbers, smaller

#: Columns of the result made at once: the rings of a window of 33 rows then stay in a second-level cache of a megabyte.
TILE = 256


@lru_cache(maxsize=64)
def guided_kernel(dtype: np.dtype[Any], guide_dtype: np.dtype[Any], moments: Moments) -> Any:
    """Row kernel for one channel of the image and a guide, or for a guide that filters itself."""
    separate, channels, outputs, size = moments.separate, moments.channels, moments.outputs, moments.size
    sets, solved = moments.rows, moments.coefficients
    whole = dtype.kind != "f"
    join_leaves, join = join_two(moments, leaves=True), join_two(moments)
    join_three_leaves, join_leaf = join_three(moments, (True, True, True)), join_three(moments, (False, False, True))
    add, add_three = add_rows(moments, 2), add_rows(moments, 3)
    solve, solve_three = solve_rows(moments, 1), solve_rows(moments, 3)
    apply, apply_three = apply_rows(moments, whole, 1), apply_rows(moments, whole, 3)
    # Pivots are inverted: a smaller one would overflow, and make NaN of windows without any variance.
    least_ridge = 1e-300 if moments.real == "f8" else 1e-30
    new_values = allocator(np.dtype(moments.real))
    low, high = (float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)) if whole else (0.0, 0.0)

    def guided_rows(
        src: Any, dst: Any, guide: Any, height: int, inner: int, channel: int, guide_inner: int, radius_y: int, radius_x: int,
        eps: float, mode: int, cval: float, guide_cval: float, start: int, stop: int,
    ) -> None:  # fmt: skip
        width = src.shape[1] // inner
        size_y, size_x = 2 * radius_y + 1, 2 * radius_x + 1
        widest = larger(TILE, 4 * radius_x)
        tile = (width + (width + widest - 1) // widest - 1) // ((width + widest - 1) // widest)
        values = tile + 4 * radius_x + 2 * LANES  # of a row: whole cache lines, and an odd number of them
        values += -values % (64 // size)
        values += (1 - values // (64 // size) % 2) * (64 // size)
        pitch = values * size
        slots = size_y + larger(_levels(size_y) - 1, 0)  # sets in all rings, see `_place`
        rows_along = _levels(size_x) + 1
        kept = (sets + solved) * (rows_along + slots + 1) + channels + outputs
        memory = new_values(kept * values + 64 // size)
        base = -data_address(memory) // size % (64 // size)
        samples = data_address(memory) + base * size  # level 0 along the row: a sample is a set without deviations
        memory[base : base + sets * values] = 0.0
        window = samples + sets * rows_along * pitch
        rings = window + sets * pitch
        fitted = rings + sets * slots * pitch
        total = fitted + solved * rows_along * pitch
        fitted_rings = total + solved * pitch
        centre = fitted_rings + solved * slots * pitch
        result = centre + channels * pitch
        centre_at = base + (centre - samples) // size
        result_at = base + (result - samples) // size
        newest, fitted_newest = new_numbers(_levels(size_y) + 1), new_numbers(_levels(size_y) + 1)
        columns = new_numbers(tile + 4 * radius_x)
        count = float(size_y) * float(size_x)
        ridge = count * eps
        ridge = least_ridge if ridge < least_ridge else ridge
        for x in range(0, width, tile):
            n = smaller(tile, width - x)
            wide, widest_row, left = n + 2 * radius_x, n + 4 * radius_x, x - 2 * radius_x
            for i in range(widest_row):
                columns[i] = inside_index(left + i, width, mode)
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
                    for c in range(channels):
                        if separate:
                            _load(guide, at, guide_inner, c, columns, left, widest_row, memory, base + c * values, guide_cval)
                        else:
                            _load(src, at, inner, c, columns, left, widest_row, memory, base + c * values, cval)
                    if separate:
                        _load(src, at, inner, channel, columns, left, widest_row, memory, base + channels * values, cval)
                    _advance(newest, size_y)
                    _moments_along(wide, pitch, rings + newest[0] * sets * pitch, samples, size_x)
                    _moments_down(wide, pitch, rings, newest, size_y, 1.0 / size_x)
                    if entered < size_y:
                        continue
                    _fit_window(wide, pitch, fitted, window, rings, newest, size_y, 1.0 / size_x, 1.0 / count, ridge)
                    _advance(fitted_newest, size_y)
                    _sums_along(n, pitch, fitted_rings + fitted_newest[0] * solved * pitch, fitted, size_x)
                    _sums_down(n, pitch, fitted_rings, fitted_newest, size_y)
                    if entered < 2 * size_y - 1:
                        continue
                    out = image + row - 2 * radius_y
                    for c in range(channels):
                        if separate:
                            _load(guide, out, guide_inner, c, columns, x, n, memory, centre_at + c * values, 0.0)
                        else:
                            _load(src, out, inner, c, columns, x, n, memory, centre_at + c * values, 0.0)
                    _apply_window(n, pitch, result, centre, total, fitted_rings, fitted_newest, size_y, 1.0 / count)
                    for o in range(outputs):
                        _store(dst, out, inner, channel + o, x, n, memory, result_at + o * values)
                y = last
        # Addresses of this array were used above; naming it here keeps it alive until now.
        newest[0] = memory.size

    # A window of more than one sample is two halves of its largest power of two, then a piece for each smaller power in its size.
    # The last three of these are joined at once; `join` puts together what comes before them.

    @inline
    def _moments_along(n: int, pitch: int, out: int, samples: int, window: int) -> int:
        """Sets of ``window`` neighbours of a row."""
        if window == 1:
            copy_bytes(out, samples, sets * pitch)
            return 0
        level = sets * pitch
        half, below = 1, samples
        while 4 * half <= window:
            reach = n + window - 2 * half
            if half == 1:
                join_leaves(reach, pitch, below + level, below, below + half * size, 1.0, 0.5)
            else:
                join(reach, pitch, below + level, below, below + half * size, 1.0, 0.5 / half)
            below += level
            half *= 2
        second, done = below + half * size, 2 * half
        share = 0.5 / half
        if half == 1:
            join_three_leaves(n, pitch, out, below, second, samples + 2 * size, 1.0, share, 2.0, _beta(2, 1))
            return 0
        joined, alpha = below, 1.0
        power = half
        while power > 1:
            if window & power:
                join(n, pitch, out, joined, second, alpha, share)
                joined, second = out, samples + _levels(power) * level + done * size
                alpha, share = float(done) / power, _beta(done, power)
                done += power
            power >>= 1
        join_leaf(n, pitch, out, joined, second, samples + done * size, alpha, share, float(done), _beta(done, 1))
        return 0

    @inline
    def _moments_down(n: int, pitch: int, rings: int, newest: Any, window: int, share: float) -> int:
        """The newest set of every ring from the two that it joins."""
        for j in range(_levels(window) - 1):
            a, b = _place(newest, window, j, 1 << j), _place(newest, window, j, 0)
            out = _place(newest, window, j + 1, 0)
            level = sets * pitch
            join(n, pitch, rings + out * level, rings + a * level, rings + b * level, 1.0, share * 0.5 / (1 << j))
        return 0

    @inline
    def _fit_window(
        n: int, pitch: int, out: int, scratch: int, rings: int, newest: Any, window: int, share: float, part: float, ridge: float
    ) -> int:
        """Coefficients of the last ``window`` rows."""
        level = sets * pitch
        if window == 1:
            solve(n, pitch, out, rings + newest[0] * level, part, ridge)
            return 0
        top = _levels(window) - 1
        done = 2 << top
        joined = rings + _place(newest, window, top, window - (1 << top)) * level
        second = rings + _place(newest, window, top, window - done) * level
        alpha, beta = 1.0, 0.5 / (1 << top)
        for j in range(top, 0, -1):
            power = 1 << j
            if window & power:
                join(n, pitch, scratch, joined, second, alpha, share * beta)
                joined, second = scratch, rings + _place(newest, window, j, window - done - power) * level
                alpha, beta = float(done) / power, _beta(done, power)
                done += power
        third = rings + newest[0] * level
        solve_three(n, pitch, out, joined, second, third, alpha, share * beta, float(done), share * _beta(done, 1), part, ridge)
        return 0

    @inline
    def _sums_along(n: int, pitch: int, out: int, row: int, window: int) -> int:
        """Sums of ``window`` neighbours of a row of coefficients."""
        if window == 1:
            copy_bytes(out, row, solved * pitch)
            return 0
        level = solved * pitch
        half, below = 1, row
        while 4 * half <= window:
            add(n + window - 2 * half, pitch, below + level, below, below + half * size)
            below += level
            half *= 2
        joined, second, done = below, below + half * size, 2 * half
        power = half
        while power > 1:
            if window & power:
                add(n, pitch, out, joined, second)
                joined, second = out, row + _levels(power) * level + done * size
                done += power
            power >>= 1
        add_three(n, pitch, out, joined, second, row + done * size)
        return 0

    @inline
    def _sums_down(n: int, pitch: int, rings: int, newest: Any, window: int) -> int:
        """The newest sum of every ring from the two that it adds."""
        for j in range(_levels(window) - 1):
            a, b = _place(newest, window, j, 1 << j), _place(newest, window, j, 0)
            out = _place(newest, window, j + 1, 0)
            level = solved * pitch
            add(n, pitch, rings + out * level, rings + a * level, rings + b * level)
        return 0

    @inline
    def _apply_window(
        n: int, pitch: int, out: int, guide: int, scratch: int, rings: int, newest: Any, window: int, share: float
    ) -> int:
        """Results from the coefficients of the last ``window`` rows."""
        level = solved * pitch
        if window == 1:
            apply(n, pitch, out, guide, rings + newest[0] * level, share)
            return 0
        top = _levels(window) - 1
        done = 2 << top
        joined = rings + _place(newest, window, top, window - (1 << top)) * level
        second = rings + _place(newest, window, top, window - done) * level
        for j in range(top, 0, -1):
            if window & 1 << j:
                add(n, pitch, scratch, joined, second)
                done += 1 << j
                joined, second = scratch, rings + _place(newest, window, j, window - done) * level
        apply_three(n, pitch, out, guide, joined, second, rings + newest[0] * level, share)
        return 0

    @inline
    def _store(dst: Any, row: int, inner: int, channel: int, x: int, n: int, memory: Any, at: int) -> int:
        """A row of results to its place; whole numbers are saturated, and 0 stands for NaN."""
        source = memory[at : at + n]
        if whole:
            for i in range(n):
                v = source[i]
                v = low if v < low else v
                v = high if v > high else v
                source[i] = v if v == v else 0.0
        if inner == 1:
            target = dst[row, x : x + n]
            for i in range(n):
                target[i] = source[i]
        else:
            target = dst[row, x * inner + channel :: inner]
            for i in range(n):
                target[i] = source[i]
        return 0

    value, read = from_dtype(dtype), types.Array(from_dtype(guide_dtype), 2, "C", readonly=True)
    name = f"guided_{dtype}_by_{guide_dtype}{channels}" if separate else f"guided_{dtype}_itself{channels}"
    return compile_rows(
        guided_rows, name, types.Array(value, 2, "C", readonly=True), value[:, ::1], read,
        *[types.intp] * 6, types.float64, types.intp, types.float64, types.float64, types.intp, types.intp,
    )  # fmt: skip


@inline
def _levels(window: int) -> int:
    """Largest p with 2**p <= window."""
    power = 0
    while 2 << power <= window:
        power += 1
    return power


@inline
def _beta(n: int, m: int) -> float:
    """Factor of the product of deviations when n samples are joined with m."""
    return float(m) / (float(n) * float(n + m))


@inline
def _length(window: int, j: int) -> int:
    """Sets in the ring of 2**j rows: those that are joined, or in the last ring all that a window reaches back to."""
    return (1 << j) + 1 if 4 << j <= window else window - (1 << j) + 1


@inline
def _place(newest: Any, window: int, j: int, back: int) -> int:
    """Number, among the sets of all rings, of the 2**j rows that end ``back`` rows before the newest one.

    Rings of 1, 2, 4 .. rows lie one behind the other; those before j have 2**j - 1 + j sets.
    """
    slot: int = newest[j] - back
    return (1 << j) - 1 + j + (slot if slot >= 0 else slot + _length(window, j))


@inline
def _advance(newest: Any, window: int) -> int:
    """A row enters: every ring's newest slot is the next one."""
    for j in range(larger(_levels(window), 1)):
        newest[j] = newest[j] + 1 if newest[j] + 1 < _length(window, j) else 0
    return 0


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
