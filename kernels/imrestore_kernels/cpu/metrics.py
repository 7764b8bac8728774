"""Sums of squared differences and the structural similarity of two images, on the CPU.

Every sum has a fixed order: along a row by vectors, rows and chunks apart in an array that is added up at the end. The bits do
not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, reduce
from operator import add
from typing import Any

import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from imrestore_kernels.cpu._byte_squares import squared_byte_differences
from imrestore_kernels.cpu._jit import compile_rows
from imrestore_kernels.cpu._metric_ops import LANES, PRODUCTS, similarity_row, squared_differences, weighted_products
from imrestore_kernels.cpu._pool import SERIAL_WORK, run_rows
from imrestore_kernels.cpu._taps import ROWS, block, weighted_rows
from imrestore_kernels.cpu._vector import allocator, copy_bytes, data_address, larger, new_numbers, smaller

Array = np.ndarray[Any, Any]

#: Values whose squared differences are summed together: those of 16 bits add up to less than 2**48.
CHUNK = 1 << 16
#: 32-bit digits of an integer sum.
LIMBS = 4
#: Columns of windows worked on before the next ones, so that the ring of product rows stays in the second-level cache
#: (2048x2048 float32, one core of a busy machine: 56 ms; with 128 columns 80, with 512 59).
TILE = 256

_FLOAT64 = np.dtype(np.float64)


def squared_error(a: Array, b: Array, dst: Array) -> None:
    """Sum of squared differences; the contract is in ``kernels/README.md``."""
    if a.dtype == np.float16:
        a, b = a.astype(np.float32), b.astype(np.float32)
    total = error_sum(a.size, a.dtype)(a, b)
    if a.dtype.kind != "f":  # the last digit takes what is left
        dst[:-1] = [int(total) >> 32 * place & 0xFFFFFFFF for place in range(LIMBS - 1)]
        total = int(total) >> 32 * (LIMBS - 1)
    dst[-1] = total


def error_sum(size: int, dtype: np.dtype[Any]) -> Callable[[Array, Array], float]:
    """The sum of squared differences of two arrays of one axis and of this very size and dtype, not float16; exact for integers.

    Ready to be kept for the next two like them: 512x512 bytes take 7 us, and what is looked up here another 3.
    """
    chunks, lists, floats = -(-size // CHUNK), _lists(dtype), dtype.kind == "f"
    work = size * dtype.itemsize / (28 if floats else {1: 32, 2: 14}.get(dtype.itemsize, 8))  # bytes of an image in a nanosecond
    kernel = squares_kernel(dtype)
    blank: Array = np.zeros(chunks * lists, np.float64 if floats else np.uint64)
    serial = work < SERIAL_WORK
    (compiled,) = kernel.overloads.values()
    entry = compiled.entry_point  # without Numba's look at the types, which are known

    def sums_of(a: Array, b: Array) -> Array:
        sums = blank.copy()  # half the time of np.empty
        if serial:
            entry(a, b, sums, 0, chunks)
        else:
            run_rows(kernel, (a, b, sums), chunks, work)
        return sums

    def of_floats(a: Array, b: Array) -> float:
        sums = sums_of(a, b)
        if chunks < 8:  # the very order of NumPy's sum, in 0.4 us instead of 2.4
            return float(reduce(add, sums.tolist()))
        with np.errstate(all="ignore"):
            return float(sums.sum())

    def of_wide_integers(a: Array, b: Array) -> int:
        digits = sums_of(a, b).reshape(chunks, lists).T.tolist()
        return sum(total << 32 * place for place, total in enumerate(map(sum, digits)))

    def of_integers(a: Array, b: Array) -> int:
        if serial:  # one call less of those that 512x512 bytes notice
            sums = blank.copy()
            entry(a, b, sums, 0, chunks)
            return sum(sums.tolist())
        return sum(sums_of(a, b).tolist())

    if floats:
        return of_floats
    return of_integers if lists == 1 else of_wide_integers


def _lists(dtype: np.dtype[Any]) -> int:
    """Numbers that the sum of a chunk takes: 2**16 squares of 32 bits fit one of 64."""
    return LIMBS if dtype.kind != "f" and dtype.itemsize > 2 else 1


@lru_cache(maxsize=16)
def squares_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over chunks: the sum of each, for integers of more than 16 bits its 32-bit digits."""
    value = from_dtype(dtype)
    isize = dtype.itemsize
    floats = dtype.kind == "f"
    if _lists(dtype) == 1:
        sum_of = squared_byte_differences(dtype.kind == "i") if isize == 1 else squared_differences(dtype)

        def squares(a: Any, b: Any, sums: Any, start: int, stop: int) -> None:
            for i in range(start, stop):
                at = i * CHUNK * isize
                sums[i] = sum_of(data_address(a) + at, data_address(b) + at, smaller(CHUNK, a.size - i * CHUNK))

        kernel = squares
    else:
        low, high = np.uint64(0xFFFFFFFF), np.uint64(32)

        def wide_squares(a: Any, b: Any, sums: Any, start: int, stop: int) -> None:
            """The square of h 2**32 + l, digit by digit: l l, 2 h l and h h have 64 bits each, at digits 0, 1 and 2."""
            for i in range(start, stop):
                one = two = three = four = np.uint64(0)
                for j in range(i * CHUNK, smaller(i * CHUNK + CHUNK, a.size)):
                    x, y = a[j], b[j]
                    distance = np.uint64(x) - np.uint64(y) if x > y else np.uint64(y) - np.uint64(x)
                    h, l = distance >> high, distance & low
                    ll, hl, hh = l * l, h * l, h * h
                    one += ll & low
                    two += (ll >> high) + np.uint64(2) * (hl & low)
                    three += np.uint64(2) * (hl >> high) + (hh & low)
                    four += hh >> high
                two += one >> high
                three += two >> high
                sums[LIMBS * i] = one & low
                sums[LIMBS * i + 1] = two & low
                sums[LIMBS * i + 2] = three & low
                sums[LIMBS * i + 3] = four + (three >> high)

        kernel = wide_squares
    read = types.Array(value, 1, "C", readonly=True)
    sums = types.float64[::1] if floats else types.uint64[::1]
    return compile_rows(kernel, f"squares_{dtype}", read, read, sums, types.intp, types.intp)


def ssim(
    a: Array,
    b: Array,
    dst: Array,
    weights: tuple[Array, ...],
    shift: float,
    scale: float,
    c1: float,
    c2: float,
    luminance: bool,
    similarity: Array | None = None,
) -> None:
    """Sum of the structural similarity over all windows; the contract is in ``kernels/README.md``."""
    if a.dtype == np.float16:
        a, b = a.astype(np.float32), b.astype(np.float32)
    planes, depth, height, width = a.shape
    if width < LANES:  # rows shorter than a vector: windows end before what is added
        wider = ((0, 0), (0, 0), (0, 0), (0, LANES - width))
        a, b = np.pad(a, wider), np.pad(b, wider)
    sizes = tuple(w.size for w in weights)
    out_depth, out_height, out_width = (n - size + 1 for n, size in zip((depth, height, width), sizes, strict=True))
    rows = planes * out_depth * out_height
    sums = np.empty(rows)
    values = np.empty(0) if similarity is None else similarity.reshape(-1)
    numbers = np.array([depth, height, a.shape[3], out_depth, out_height, out_width, *sizes])
    taps = np.concatenate(weights)
    constants = np.array([shift, scale, shift * scale, c1, c2])
    work = rows * (out_width + sizes[2]) * (1.0 + 0.3 * sum(sizes))
    arguments = (a.reshape(-1), b.reshape(-1), sums, values, numbers, taps, constants, luminance)
    run_rows(similarity_kernel(a.dtype), arguments, rows, work, 4 * ROWS)
    with np.errstate(all="ignore"):
        dst[...] = sums.reshape(planes, -1).sum(axis=1)


@lru_cache(maxsize=16)
def similarity_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel over rows of windows.

    Rows of products (a, b, a a + b b and a b, already summed over the planes of a volume) enter a ring and stay there as long
    as a window needs them; their sums down the columns and along the rows are the statistics of `ROWS` rows of windows.
    """
    products = weighted_products(dtype)
    sum_down = weighted_rows(_FLOAT64, _FLOAT64)
    similarity_of = similarity_row()
    new_values = allocator(np.float64)
    isize = dtype.itemsize
    least = block(_FLOAT64)

    def ssim_rows(
        a: Any, b: Any, sums: Any, values: Any, numbers: Any, taps: Any, constants: Any, luminance: bool, start: int, stop: int
    ) -> None:
        depth, height, width = numbers[0], numbers[1], numbers[2]
        out_depth, out_height, out_width = numbers[3], numbers[4], numbers[5]
        deep, down, along = numbers[6], numbers[7], numbers[8]
        shift, scale, offset, c1, c2 = constants[0], constants[1], constants[2], constants[3], constants[4]
        weights_z = data_address(taps)
        weights_y = weights_z + deep * 8
        weights_x = weights_y + down * 8
        row_bytes = width * isize
        ring_rows = down + ROWS - 1
        # An odd number of cache lines from row to row: they use all sets of the first-level cache.
        stride = larger(smaller(TILE + LANES, out_width) + along - 1, least) + along + 5 * LANES
        stride += -stride % 16 + 8
        ring = new_values(PRODUCTS * ring_rows * stride + LANES)
        ring_address = data_address(ring) + -data_address(ring) % 64
        buffer = new_values((PRODUCTS * ROWS + 1) * stride + LANES)
        columns = data_address(buffer) + -data_address(buffer) % 64
        result = columns + PRODUCTS * ROWS * stride * 8
        table = new_numbers(ring_rows)
        row = start
        while row < stop:
            plane = row // out_height  # number of the plane of windows, in all volumes
            first = row - plane * out_height
            last = smaller(out_height, first + stop - row)
            top = (plane // out_depth * depth + plane % out_depth) * height
            x = 0
            while x < out_width:
                n = out_width - x if out_width - x < TILE + LANES else TILE  # the last tile is no narrower than a vector
                reach = larger(n + along - 1, LANES)
                source = (top * width + x) * isize
                entered = first
                y = first
                while y < last:
                    together = y + ROWS <= last and down // 2 >= ROWS - 1
                    outputs = ROWS if together else 1
                    while entered < y + outputs + down - 1:
                        at = source + entered * row_bytes
                        products(
                            reach, ring_address + entered % ring_rows * stride * 8, ring_rows * stride * 8,
                            data_address(a) + at, data_address(b) + at, height * row_bytes, deep, weights_z, shift, scale,
                        )  # fmt: skip
                        entered += 1
                    for q in range(PRODUCTS):
                        for t in range(down + outputs - 1):
                            table[t] = ring_address + (q * ring_rows + (y + t) % ring_rows) * stride * 8
                        out = columns + q * ROWS * stride * 8
                        sum_down(table, down, weights_y, out, stride, larger(reach, least), together, 0)
                    for o in range(outputs):
                        total = similarity_of(
                            n, result, columns + o * stride * 8, ROWS * stride * 8, along, weights_x, offset, c1, c2, luminance
                        )
                        index = plane * out_height + y + o
                        sums[index] = total if x == 0 else sums[index] + total
                        if values.size > 0:
                            copy_bytes(data_address(values) + (index * out_width + x) * 8, result, n * 8)
                    y += outputs
                x += n
            row += last - first
        # Addresses of these arrays were used above; naming them here keeps them alive until now.
        table[0] = ring.size + buffer.size + taps.size

    value = from_dtype(dtype)
    read = types.Array(value, 1, "C", readonly=True)
    # Few arguments: their types make a file's name, which may have 255 characters.
    return compile_rows(
        ssim_rows, f"ssim_{dtype}", read, read, types.float64[::1], types.float64[::1], types.int64[::1], types.float64[::1],
        types.float64[::1], types.boolean, types.intp, types.intp,
    )  # fmt: skip
