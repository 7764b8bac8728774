"""Mean of floats over a box of two axes: sums down the columns, then along each row, in float64.

Nothing is ever subtracted: no drift, and a NaN or an infinity stays inside its windows. Few rows or columns are summed
directly, many through sums of 2, 4, 8 .. of them, which are kept. The order depends on the window alone, so an image cut into
strips or blocks gives the same bits.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from imrestore_kernels.borders import CONSTANT
from imrestore_kernels.cpu._jit import compile_rows, inline
from imrestore_kernels.cpu._planes import border_columns, fill_border, row_address, widened
from imrestore_kernels.cpu._row_ops import STACK_BYTES, STACK_PITCH, STACKED, SUMMED, column_sums, neighbour_sums, row_op, sum_rows
from imrestore_kernels.cpu._vector import allocator, copy_bytes, data_address, larger, new_numbers, smaller

#: Columns of float64 sums worked on before the next ones, so that buffers stay in the first-level cache whatever the image's
#: width. On 2048 columns it makes no difference that could be measured (31x31 float32: 28 ns per 64 bytes in tiles, 29 without).
TILE = 512
#: Windows up to this many float rows or columns are summed directly: cheaper than doubling, and no rings are needed.
FEW = 5
#: Up to this many float rows are summed for several outputs at once, which share sums of 2, 4 and 8 rows; beyond, sums of 2, 4,
#: 8 .. rows are kept from row to row. They save additions but go through the second-level cache (float32, 2048 columns, one
#: core: 31x31 7.3 against 5.8 ms, 63x63 9.0 against 9.5).
MIDDLE = 48


@lru_cache(maxsize=8)
def float_kernel(dtype: np.dtype[Any]) -> Any:
    """Row kernel for float32 and float64, summed in float64."""
    name = dtype.str[1:]
    plus = row_op(["f8", "f8"], "f8", 8, lambda code, rows, _: code.builder.fadd(*rows), unroll=4)
    convert = row_op([name], "f8", 8, lambda code, rows, _: code.widen(rows[0], "f8"), fetch=[0], unroll=4)
    # A product with the rounded reciprocal is within 2**-52, far below float32; float64 is divided to the last bit.
    sum_sources, sum_columns = sum_rows(name, "f8"), sum_rows("f8", "f8")
    sum_stacked = column_sums(name)
    neighbours = neighbour_sums()
    finish = sum_rows("f8", name, "mul" if name == "f4" else "div")
    new_sums, new_values = allocator(np.float64), allocator(dtype)
    isize = dtype.itemsize
    block = max(SUMMED, STACK_BYTES // isize)

    def mean_rows(
        src: Any, dst: Any, height: int, inner: int, size_y: int, size_x: int, mode: int, cval: Any, start: int, stop: int
    ) -> None:
        n = src.shape[1]
        wide = larger(n, block)
        row_bytes = n * isize
        top, left = size_y // 2, size_x // 2
        right = size_x - 1 - left
        step = (wide + (wide + TILE - 1) // TILE - 1) // ((wide + TILE - 1) // TILE)
        step += -step % block
        stride = wide + (left + right) * inner + 2 * block
        stride += -stride % 8 + 8 * (1 - (stride + (-stride % 8)) // 8 % 2)
        # Level j keeps the last 2**j + 1 sums of 2**j rows in a ring; `newest` is the slot of the newest one.
        levels = _power_below(size_y) if size_y > MIDDLE else -1
        rings = new_sums(((2 << levels) + levels if levels >= 0 else 0) * stride + block)
        rings_address = data_address(rings) + -data_address(rings) % 64
        newest = new_numbers(levels + 1)
        columns = new_sums(STACKED * stride + 2 * block)
        at = -(data_address(columns) // 8 + left * inner) % 8
        columns_address = data_address(columns) + (at + left * inner) * 8
        doubled_stride = step + size_x * inner + 3 * block
        doubled_stride += -doubled_stride % 8
        doubled = new_sums((larger(3, _power_below(size_x)) if size_x > FEW else 0) * doubled_stride + 2 * block)
        doubled_address = data_address(doubled) + -data_address(doubled) % 64
        table = new_numbers(MIDDLE + 64)
        pointers = data_address(table)
        stack = new_sums((MIDDLE + STACKED) * STACK_PITCH // 8 if levels < 0 else 0)
        stack_address = data_address(stack) + -data_address(stack) % 64
        edges = new_numbers(2 * (left + right) * inner)
        border_columns(n, left, right, inner, mode, edges)
        constant = new_values(wide if mode == CONSTANT else 0)
        constant[:] = cval
        narrow = new_values((MIDDLE + 64) * block if n < block else 0)
        slots = data_address(narrow) if n < block else 0
        scale = float(size_y) * float(size_x)
        scale = 1.0 / scale if isize == 4 else scale
        y = start
        while y < stop:
            image = y // height * height
            base = data_address(src) + image * row_bytes
            last = smaller(stop, image + height)
            newest[:] = 0
            fresh = size_y
            while y < last:
                first = y - image - top
                outputs = 1
                if levels < 0:
                    together = STACKED if size_y > FEW else 1
                    outputs = smaller(together, last - y)
                    for t in range(size_y + together - 1):
                        row = row_address(base, row_bytes, first + t, height, mode, data_address(constant))
                        table[t] = widened(row, row_bytes, slots + (t + 1) * block * isize if slots else 0)
                    if size_y <= FEW:
                        sum_sources(wide, True, columns_address, pointers, size_y, 0.0, row_bytes)
                    else:
                        sum_stacked(wide, columns_address, stride * 8, pointers, size_y >> 3, size_y & 7, stack_address, row_bytes)
                else:
                    for i in range(first + size_y - fresh, first + size_y):
                        row = row_address(base, row_bytes, i, height, mode, data_address(constant))
                        row = widened(row, row_bytes, slots)
                        for j in range(levels + 1):
                            newest[j] = newest[j] + 1 if newest[j] < 1 << j else 0
                        for x in range(0, wide, step):
                            ring = rings_address + x * 8
                            _enter_rings(smaller(step, wide - x), levels, ring, stride, newest, row + x * isize, row_bytes)
                            if i == first + size_y - 1:
                                count = _rings_of_window(size_y, levels, ring, stride, newest, table)
                                sum_columns(smaller(step, wide - x), False, columns_address + x * 8, pointers, count, 0.0, 0)
                    fresh = 1
                for o in range(outputs):
                    fill_border(columns, at + o * stride, edges, float(cval) * size_y)
                    out = slots if n < block else data_address(dst) + (y + o) * row_bytes
                    for x in range(0, wide, step):
                        row = columns_address + (o * stride + x - left * inner) * 8
                        count = _along(smaller(step, wide - x), row, size_x, inner, doubled_address, doubled_stride, table)
                        finish(smaller(step, wide - x), True, out + x * isize, pointers, count, scale, row_bytes)
                    if n < block:
                        copy_bytes(data_address(dst) + (y + o) * row_bytes, out, row_bytes)
                y += outputs
        # Addresses of these arrays were used above; naming them here keeps them alive until now.
        table[0] = rings.size + stack.size + columns.size + doubled.size + constant.size + narrow.size

    @inline
    def _power_below(size: int) -> int:
        """Largest p with 2**p <= size."""
        power = 0
        while 2 << power <= size:
            power += 1
        return power

    @inline
    def _enter_rings(n: int, levels: int, rings: int, stride: int, newest: Any, row: int, ahead: int) -> None:
        """A source row enters, and with it the newest sum of every level."""
        below = rings  # level 0: two slots
        convert(n, True, below + newest[0] * stride * 8, row, ahead)
        for j in range(levels):
            half = 1 << j
            slot = newest[j]
            older = slot - half if slot >= half else slot + 1  # of half + 1 slots
            above = below + (half + 1) * stride * 8
            plus(n, False, above + newest[j + 1] * stride * 8, below + older * stride * 8, below + slot * stride * 8)
            below = above

    @inline
    def _rings_of_window(size_y: int, levels: int, rings: int, stride: int, newest: Any, table: Any) -> int:
        """Rows that add up to the window: the largest power of two first, then those below it, down to its last row."""
        rest = size_y
        count = 0
        for j in range(levels, -1, -1):
            power = 1 << j
            if size_y & power:
                rest -= power
                slot = newest[j] - rest if newest[j] >= rest else newest[j] - rest + power + 1
                table[count] = rings + (power - 1 + j + slot) * stride * 8
                count += 1
        return count

    @inline
    def _along(n: int, row: int, size_x: int, inner: int, doubled: int, doubled_stride: int, table: Any) -> int:
        """Rows that add up to sums of ``size_x`` neighbours: the row itself shifted, or its sums of 2, 4, 8 .. neighbours."""
        if size_x <= FEW:
            for t in range(size_x):
                table[t] = row + t * inner * 8
            return size_x
        # S1, the sums of 2, 4 and 8, then those of 16, 32 ..; the window is a sum of each power of two in its width.
        reach = n + (size_x - 1) * inner
        source = row
        if inner == 1:  # three levels at once, in registers
            start = row - row % 64
            doubled += 128
            neighbours(reach + row % 64 // 8, start, doubled, doubled_stride * 8)
        offset, count, power = 0, 0, 1
        while power <= size_x:
            if size_x & power:
                table[count] = source + offset * inner * 8
                offset += power
                count += 1
            if 2 * power <= size_x:
                reach -= power * inner
                target = doubled + row % 64
                if inner > 1 or power > 4:
                    plus(reach, False, target, source, source + power * inner * 8)
                source = target
                doubled += doubled_stride * 8
            power *= 2
        return count

    value = from_dtype(dtype)
    return compile_rows(
        mean_rows, f"mean_{dtype}", types.Array(value, 2, "C", readonly=True), value[:, ::1],
        *[types.intp] * 5, value, types.intp, types.intp,
    )  # fmt: skip
