"""Separable weights over two axes: rows first, then along each row, fused so that the image is read and written once.

The sums down the columns of a few rows go to row buffers that stay in the cache; their border is filled from the buffer
itself (the column of a mirrored pixel is the mirrored column), and the sums along them go straight to the result. 8-bit
images are summed in float32; where a value comes closer to a tie than the rounding of float32 can decide, which one or two
pixels of a row do, it is summed again in float64.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from imrestore_kernels.borders import CONSTANT, WRAP
from imrestore_kernels.cpu._jit import compile_rows, inline
from imrestore_kernels.cpu._planes import border_columns, fill_border, inside_index, row_address, widened
from imrestore_kernels.cpu._taps import ROWS, block, compute_type, weighted_rows, weighted_shifts
from imrestore_kernels.cpu._vector import allocator, copy_bytes, data_address, larger, nearest, new_numbers, smaller

Array = np.ndarray[Any, Any]


@inline
def _exact_columns(
    src: Any, image: int, y: int, height: int, down: Any, mode: int, cval: Any, start: int, columns: Any, count: int
) -> None:
    """float64 sums down ``count`` columns from ``start`` on."""
    for k in range(count):
        columns[k] = 0.0
    for s in range(down.size):
        i = inside_index(y + s - down.size // 2, height, mode)
        weight = down[s]
        if i < 0:
            for k in range(count):
                columns[k] += weight * float(cval)
        else:
            row = src[image + i, start : start + count]
            for k in range(count):
                columns[k] += weight * float(row[k])


@inline
def _redo_ties(
    src: Any, dst: Any, y: int, height: int, inner: int, masks: Any, width: int, down: Any, along: Any, mode: int, cval: Any,
    low: float, high: float, columns: Any,
) -> None:  # fmt: skip
    """Sum the marked pixels of row ``y`` again in float64: from columns of their own, or if they are many from shared ones."""
    image = y // height * height
    n = dst.shape[1]
    span = smaller((along.size - 1) * inner + 1, n)
    left = along.size // 2
    outside = 0.0
    for s in range(down.size):
        outside += down[s] * float(cval)
    marked = 0
    for i in range(masks.size):
        marked += masks[i] != 0
    summed_from, summed = 0, 0  # the columns that are there
    if marked * along.size > n:
        summed = n
        _exact_columns(src, image, y - image, height, down, mode, cval, 0, columns, n)
    lanes = width // (masks.size // ((n + width - 1) // width))
    for i in range(masks.size):
        word = masks[i]
        if word == 0:
            continue
        start = smaller(i * lanes // width * width, larger(n, width) - width) + i * lanes % width
        for bit in range(lanes):
            if word >> bit & 1 == 0:
                continue
            x = start + bit
            if summed < n:
                summed_from, summed = larger(0, smaller(x - left * inner, n - span)), span
                if mode == WRAP and (x < left * inner or x + left * inner >= n):
                    summed_from, summed = 0, n
                _exact_columns(src, image, y - image, height, down, mode, cval, summed_from, columns, summed)
            total = 0.0
            for t in range(along.size):
                j = inside_index(x // inner + t - left, n // inner, mode)
                total += along[t] * (outside if j < 0 else columns[j * inner + x % inner - summed_from])
            total = nearest(total)
            total = low if total < low else total
            dst[y, x] = high if total > high else total


@lru_cache(maxsize=64)
def planes_kernel(dtype: np.dtype[Any]) -> Any:
    """Row kernel for one dtype; the numbers of taps are arguments."""
    compute = compute_type(dtype)
    width = block(compute)
    down_sums = weighted_rows(dtype, compute)
    along_sums = weighted_shifts(dtype)
    size, isize = compute.itemsize, dtype.itemsize
    exact_ties = dtype.kind != "f" and size == 4
    low, high = (0.0, 0.0) if dtype.kind == "f" else (float(np.iinfo(dtype).min), float(np.iinfo(dtype).max))
    lanes = 64 // size
    new_sums, new_values, new_masks, new_exact = map(allocator, (compute, dtype, np.uint16, np.float64))

    def gaussian_rows(
        src: Any, dst: Any, height: int, inner: int, down: Any, along: Any, down64: Any, along64: Any, mode: int, cval: Any,
        outside: Any, near: float, start: int, stop: int,
    ) -> None:  # fmt: skip
        n = src.shape[1]
        row_bytes = n * isize
        top = down.size // 2
        reach = along.size // 2 * inner
        wide = larger(n, width)
        # Images start on a cache line; rows are an odd number of lines apart, so that they use all sets of the cache.
        stride = wide + 2 * reach + 16
        stride += -stride % 16 + 16 * (1 - (stride + (-stride % 16)) // 16 % 2)
        buffer = new_sums(ROWS * stride + 48)
        at = -(data_address(buffer) // size + reach) % lanes
        rows = new_numbers(down.size + ROWS)
        narrow = new_values((down.size + ROWS + 1) * width if n < width else 0)
        slots = data_address(narrow) if n < width else 0
        constant = new_values(wide if mode == CONSTANT else 0)
        constant[:] = cval
        edges = new_numbers(4 * reach)
        border_columns(n, along.size // 2, along.size // 2, inner, mode, edges)
        masks = new_masks((wide + width - 1) // width * (width // lanes) if exact_ties else 0)
        exact = new_exact(n if exact_ties else 0)
        y = start
        while y < stop:
            image = y // height * height
            base = data_address(src) + image * row_bytes
            last = smaller(stop, image + height)
            while y < last:
                together = y + ROWS <= last and down.size // 2 >= ROWS - 1
                outputs = ROWS if together else 1
                for s in range(down.size + outputs - 1):
                    row = row_address(base, row_bytes, y - image - top + s, height, mode, data_address(constant))
                    rows[s] = widened(row, row_bytes, slots + (s + 1) * width * isize if slots else 0)
                result = data_address(buffer) + (at + reach) * size
                down_sums(rows, down.size, data_address(down), result, stride, wide, together, row_bytes)
                for o in range(outputs):
                    fill_border(buffer, at + o * stride, edges, outside)
                    out = slots if n < width else data_address(dst) + (y + o) * row_bytes
                    row = data_address(buffer) + (at + o * stride) * size
                    close = along_sums(row, along.size, data_address(along), inner, out, wide, near, data_address(masks))
                    if n < width:
                        copy_bytes(data_address(dst) + (y + o) * row_bytes, out, row_bytes)
                    if exact_ties:  # noqa: SIM102  known when compiling: floats have no code for ties
                        if close:
                            for i in range(n, width):
                                masks[i // lanes] &= ~np.uint16(1 << i % lanes)
                            _redo_ties(src, dst, y + o, height, inner, masks, width, down64, along64, mode, cval, low, high, exact)
                y += outputs
        # Addresses of these arrays were used above; naming them here keeps them alive until now.
        rows[0] = buffer.size + narrow.size + constant.size + masks.size

    value, sums = from_dtype(dtype), from_dtype(compute)
    read = types.Array(sums, 1, "C", readonly=True)
    read64 = types.Array(types.float64, 1, "C", readonly=True)
    return compile_rows(
        gaussian_rows, f"gaussian_{dtype}", types.Array(value, 2, "C", readonly=True), value[:, ::1],
        types.intp, types.intp, read, read, read64, read64, types.intp, value, sums, types.float64,
        types.intp, types.intp,
    )  # fmt: skip
