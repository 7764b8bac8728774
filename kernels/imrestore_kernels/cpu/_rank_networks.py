"""Rank filters over a box of two axes by exchange networks: the drivers around the vector code.

A driver is compiled once per dtype and gets everything about the window as numbers; the network itself is machine code of its
own (`_vector.program_text`) that it calls by address. One kernel for both took Numba over a second for every window.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from imrestore_kernels.cpu._jit import compile_rows, inline, machine_code
from imrestore_kernels.cpu._planes import border_columns, fill_border, inside_index
from imrestore_kernels.cpu._vector import (
    VECTOR_BYTES,
    allocator,
    as_it_is,
    bits_of,
    call_program,
    copy_bytes,
    data_address,
    fetch_bytes,
    fetch_bytes_to_write,
    lanes,
    larger,
    maybe_nan,
    new_numbers,
    number_at,
    program_text,
    smaller,
)
from imrestore_kernels.rank_program import inlined_program

#: Numbers about a window and an image that a driver reads from a table: the arguments of a call then stay few, and cheap.
HEIGHT, INNER, MODE, ROWS, COLUMNS, OUTPUTS, TILE, STRIDE, BUFFERS, PROGRAM = range(10)


@inline
def tile_edges(width: int, x0: int, count: int, left: int, inner: int, mode: int, numbers: Any, at: int) -> int:
    """Samples of a padded tile that lie outside the image: from ``numbers[at]`` on, two numbers for each, where it goes and which
    column it comes from (-1: cval). Returns where they end."""
    first = x0 - left * inner
    x = first
    while x < first + count:
        if 0 <= x < width:
            x = width
            continue
        j = inside_index(x // inner, width // inner, mode)
        numbers[at] = x - first
        numbers[at + 1] = -1 if j < 0 else j * inner + x % inner
        at += 2
        x += 1
    return at


@inline
def load_row(
    src: Any, row: int, dst: Any, at: int, first: int, count: int, numbers: Any, edges: int, edges_end: int, cval: Any
) -> None:
    """Copy samples ``first .. first + count`` of a row with its border to ``dst[at:]``; row -1 is constant."""
    if row < 0:
        for i in range(at, at + count):
            dst[i] = cval
        return
    width = src.shape[1]
    a = larger(0, -first)
    b = smaller(count, width - first)
    size = src.itemsize
    copy_bytes(data_address(dst) + (at + a) * size, data_address(src) + (row * width + first + a) * size, (b - a) * size)
    for e in range(edges, edges_end, 2):
        j = numbers[e + 1]
        dst[at + numbers[e]] = cval if j < 0 else src[row, j]


#: Keys are compared instead of float32 values: the bits as an integer, the negative ones with their other bits flipped. Integers
#: order them alike, and their minimum and maximum take less time (one Zen 5 core, 2048x2048: 3x3 2.2 instead of 2.6 ms, 7x7 7.5
#: instead of 9.1). Minus zero is below zero.
KEYED = np.dtype(np.float32)
_FLIP = 0x7FFFFFFF
_LARGEST_KEY = 0x7F800000  # of infinity; NaNs lie beyond it, or below that of minus infinity


@inline
def key_of(bits: Any) -> Any:
    """Key of a float32's bits, and back."""
    return bits ^ ((bits >> np.int32(31)) & np.int32(_FLIP))


@inline
def copy_row(src: Any, row: int, dst: Any, at: int) -> None:
    """Copy a whole row to ``dst[at:]``."""
    count = src.shape[1] * src.itemsize
    copy_bytes(data_address(dst) + at * src.itemsize, data_address(src) + row * count, count)


@inline
def copy_as_keys(src: Any, row: int, dst: Any, at: int) -> None:
    """`copy_row` for the bits of float32 values, as keys."""
    bits, keys = src[row], dst[at : at + src.shape[1]]
    for i in range(len(keys)):
        keys[i] = key_of(bits[i])


@inline
def load_keys(
    src: Any, row: int, dst: Any, at: int, first: int, count: int, numbers: Any, edges: int, edges_end: int, cval: Any
) -> None:
    """`load_row` for the bits of float32 values, as keys; ``cval`` is bits as well."""
    if row < 0:
        for i in range(at, at + count):
            dst[i] = key_of(cval)
        return
    a = larger(0, -first)
    b = smaller(count, src.shape[1] - first)
    bits, keys = src[row, first + a : first + b], dst[at + a : at + b]
    for i in range(len(keys)):
        keys[i] = key_of(bits[i])
    for e in range(edges, edges_end, 2):
        j = numbers[e + 1]
        dst[at + numbers[e]] = key_of(cval if j < 0 else src[row, j])


@inline
def key_of_nan(keys: Any, at: int, count: int) -> bool:
    """Whether there is a NaN among the keys ``keys[at : at + count]``."""
    low = high = np.int32(0)
    some = keys[at : at + count]
    for i in range(len(some)):
        low = some[i] if some[i] < low else low
        high = some[i] if some[i] > high else high
    return bool(high > np.int32(_LARGEST_KEY) or low < np.int32(-_LARGEST_KEY - 1))


@inline
def spread_nan_of_key(
    padded: Any, at: int, count: int, dst: Any, row: int, x0: int, n: int, columns: int, inner: int
) -> None:
    """`spread_nan` for keys and for the bits of the outputs."""
    for i in range(count):
        key = padded[at + i]
        if key > np.int32(_LARGEST_KEY) or key < np.int32(-_LARGEST_KEY - 1):
            x = i
            for _ in range(columns):
                if 0 <= x < n:
                    dst[row, x0 + x] = key_of(key)
                x -= inner


@inline
def spread_nan(padded: Any, at: int, count: int, dst: Any, row: int, x0: int, n: int, columns: int, inner: int) -> None:
    """Every NaN of a padded source row makes the outputs of its windows NaN."""
    for i in range(count):
        value = padded[at + i]
        if value != value:
            x = i
            for _ in range(columns):
                if 0 <= x < n:
                    dst[row, x0 + x] = value
                x -= inner


class Network(NamedTuple):
    """Machine code of one window, and what its driver has to know: the entries of the table from `ROWS` on."""

    rows: int
    columns: int
    outputs: int
    tile: int  # values of a row, or of a picture laid end to end, worked on at once
    stride: int  # values from one buffer to the next
    buffers: int
    program: int

    def table(self, height: int, inner: int, mode: int) -> np.ndarray[Any, Any]:
        return np.array([height, inner, mode, *self], np.int64)


@lru_cache(maxsize=512)
def network(rows: int, columns: int, rank: int, outputs: int, dtype: np.dtype[Any], tile: int) -> Network:
    """Compile the network for one window, rank and dtype; ``tile`` values of a row are worked on at once."""
    program = inlined_program(rows, columns, rank, outputs)
    vector = lanes(dtype)
    # Buffers are read up to `columns` pixels and one vector past the tile; an odd number of lines apart, so that the
    # rows of one list do not all fall into the same set of the first-level cache. Rows hold at most 8 values per pixel.
    stride = tile + 8 * columns + 2 * vector
    stride += -stride % vector + vector * (1 - (stride + (-stride % vector)) // vector % 2)
    keyed = dtype == KEYED
    work = np.dtype(np.int32) if keyed else dtype
    name = f"rank_network_{rows}x{columns}_rank{rank}_{outputs}rows_{dtype}_stride{stride}"
    (address,) = machine_code(name, lambda: program_text(program, work, stride, keyed), "run")
    return Network(rows, columns, outputs, tile, stride, program.buffers, address)


def _pieces(dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """What differs between values and keys: view of an array, row copies, search and spread of NaNs."""
    if dtype == KEYED:
        return bits_of, load_keys, copy_as_keys, key_of, key_of_nan, spread_nan_of_key
    return as_it_is, load_row, copy_row, as_it_is, maybe_nan, spread_nan


def _signature(dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """Picture, result, address of the table, cval (its bits where keys are compared), first and last row."""
    value = from_dtype(dtype)
    outside = types.int32 if dtype == KEYED else value
    image = types.Array(value, 2, "C", readonly=True, aligned=True)
    return image, value[:, ::1], types.intp, outside, types.intp, types.intp


@lru_cache(maxsize=16)
def ring_driver(dtype: np.dtype[Any]) -> Any:
    """Row kernel that keeps the padded source rows of a tile in a ring and makes several result rows at a time."""
    vector = lanes(dtype)
    floating = dtype.kind == "f"
    size = dtype.itemsize
    new_values = allocator(np.int32 if dtype == KEYED else dtype)
    view, load, _, _, find_nan, spread = _pieces(dtype)

    def rank_rows(source: Any, result: Any, table: int, cval: Any, start: int, stop: int) -> None:
        src = view(source)
        dst = view(result)
        height, inner, mode = number_at(table, HEIGHT), number_at(table, INNER), number_at(table, MODE)
        rows, columns, outputs = number_at(table, ROWS), number_at(table, COLUMNS), number_at(table, OUTPUTS)
        tile, stride, buffers = number_at(table, TILE), number_at(table, STRIDE), number_at(table, BUFFERS)
        program = number_at(table, PROGRAM)
        ring = rows + outputs - 1
        top = rows // 2
        left = columns // 2
        width = src.shape[1]
        # Both start on a cache line: a vector that straddles two lines takes twice as long to load.
        memory = new_values((buffers + ring + outputs) * stride + 3 * vector)
        padded_start = -data_address(memory) % VECTOR_BYTES // size
        for i in range(ring + outputs):  # maybe_nan reads past the row
            for x in range(stride - 2 * vector, stride):
                memory[padded_start + i * stride + x] = 0
        ring_address = data_address(memory) + padded_start * size
        scratch = ring_address + (ring + outputs) * stride * size
        # Addresses of the source and result rows, whether a row of the ring has a NaN, samples outside the image.
        outs, has_nan, edges = ring, ring + outputs, 2 * ring + outputs
        numbers = new_numbers(edges + 2 * columns * inner)
        numbers_address = data_address(numbers)
        src_address = data_address(src)
        dst_address = data_address(dst)
        tiles = (width + tile - 1) // tile
        step = (width + tiles - 1) // tiles
        step += -step % vector
        for x0 in range(0, width, step):
            n = smaller(step, width - x0)
            count = n + (columns - 1) * inner
            first = x0 - left * inner
            edges_end = tile_edges(width, x0, count, left, inner, mode, numbers, edges)
            y = start
            while y < stop:
                image = y // height * height
                last = smaller(stop, image + height)
                first_slot = 0  # ring slot of source row y - top
                fresh = 0  # source rows to load start this far into the group
                while y < last:
                    for i in range(ring):
                        slot = first_slot + i
                        if slot >= ring:
                            slot -= ring
                        numbers[i] = ring_address + slot * stride * size
                        if i >= fresh:
                            j = inside_index(y - top + i - image, height, mode)
                            row = -1 if j < 0 else image + j
                            at = padded_start + slot * stride
                            load(src, row, memory, at, first, count, numbers, edges, edges_end, cval)
                            if floating:
                                numbers[has_nan + slot] = find_nan(memory, at, count)
                    for i in range(outputs):
                        # The next rows, and those written to: 2048x2048 float32 on one core 3x3 2.6 instead of 3.0 ms.
                        j = inside_index(y + outputs - top + rows - 1 + i - image, height, mode)
                        if j >= 0:
                            fetch_bytes(src_address + ((image + j) * width + larger(0, first)) * size, count * size)
                        if size >= 4 and y + i < last:
                            fetch_bytes_to_write(dst_address + ((y + i) * width + x0) * size, n * size)
                    for i in range(outputs):
                        if y + i < last and n >= vector:
                            numbers[outs + i] = dst_address + ((y + i) * width + x0) * size
                        else:
                            numbers[outs + i] = ring_address + (ring + i) * stride * size
                    call_program(program, scratch, numbers_address, numbers_address + outs * 8, larger(n, vector), inner)
                    if n < vector:
                        for i in range(smaller(outputs, last - y)):
                            for x in range(n):
                                dst[y + i, x0 + x] = memory[padded_start + (ring + i) * stride + x]
                    if floating:
                        for i in range(ring):
                            slot = first_slot + i
                            if slot >= ring:
                                slot -= ring
                            if numbers[has_nan + slot]:
                                for o in range(larger(0, i - rows + 1), smaller(smaller(outputs, i + 1), last - y)):
                                    at = padded_start + slot * stride
                                    spread(memory, at, count, dst, y + o, x0, n, columns, inner)
                    y += outputs
                    fresh = rows - 1
                    first_slot += outputs
                    if first_slot >= ring:
                        first_slot -= ring
                y = last  # the last group may have reached into the next image
        numbers[0] = memory.size  # its address was used above; naming it here keeps it alive until now

    return compile_rows(rank_rows, f"rank_ring_{dtype}", *_signature(dtype))


@lru_cache(maxsize=16)
def flat_driver(dtype: np.dtype[Any]) -> Any:
    """Row kernel for narrow images: many rows, padded and laid end to end, are filtered as one long row.

    Row by row a 64x64 image waits for its own stores: each step of the program reads what the step before has written a few
    cycles ago, one vector further left. End to end the steps are long (3x3 uint16: 4.3 us row by row, 1.9 us so). The network
    makes one output row; its tile is the number of padded values at once.
    """
    vector = lanes(dtype)
    floating = dtype.kind == "f"
    size = dtype.itemsize
    new_values = allocator(np.int32 if dtype == KEYED else dtype)
    view, _, copy, key, find_nan, spread = _pieces(dtype)

    def rank_rows(source: Any, result: Any, table: int, cval: Any, start: int, stop: int) -> None:
        src = view(source)
        dst = view(result)
        outside = key(cval)
        height, inner, mode = number_at(table, HEIGHT), number_at(table, INNER), number_at(table, MODE)
        rows, columns, capacity = number_at(table, ROWS), number_at(table, COLUMNS), number_at(table, TILE)
        stride, buffers, program = number_at(table, STRIDE), number_at(table, BUFFERS), number_at(table, PROGRAM)
        top, left = rows // 2, columns // 2
        width = src.shape[1]
        border = (columns - 1) * inner
        pitch = width + border
        together = larger(1, capacity // pitch)
        together = (height + (height + together - 1) // together - 1) // ((height + together - 1) // together)
        # One array of values and one of numbers: five allocations instead of two cost 0.05 to 0.2 us of the two that 64x64 takes.
        padded_size = (together + rows) * pitch + stride - capacity + 2 * vector
        memory = new_values((buffers + 1) * stride + padded_size + 2 * vector)
        scratch_start = -data_address(memory) % VECTOR_BYTES // size
        scratch_address = data_address(memory) + scratch_start * size
        padded_start = scratch_start + (buffers + 1) * stride
        padded = memory[padded_start : padded_start + padded_size]
        padded[(together + rows - 1) * pitch :] = 0  # maybe_nan reads past the last row
        padded_address = data_address(memory) + padded_start * size
        out_address = scratch_address + buffers * stride * size
        numbers = new_numbers(rows + 1 + 2 * border)
        numbers[rows] = out_address
        edges = numbers[rows + 1 :]
        border_columns(width, left, columns - 1 - left, inner, mode, edges)
        sources = data_address(numbers)
        y = start
        while y < stop:
            image = y // height * height
            last = smaller(stop, image + height)
            while y < last:
                count = smaller(together, last - y)
                for i in range(count + rows - 1):
                    j = inside_index(y - image - top + i, height, mode)
                    if j < 0:
                        padded[i * pitch : (i + 1) * pitch] = outside
                    else:
                        copy(src, image + j, padded, i * pitch + left * inner)
                        fill_border(padded, i * pitch, edges, outside)
                for i in range(rows):
                    numbers[i] = padded_address + i * pitch * size
                call_program(program, scratch_address, sources, sources + rows * 8, larger(count * pitch, vector), inner)
                for i in range(count):
                    copy_bytes(data_address(dst) + (y + i) * width * size, out_address + i * pitch * size, width * size)
                if floating:  # noqa: SIM102  known when compiling: integers have no such code
                    if find_nan(padded, 0, (count + rows - 1) * pitch):
                        for i in range(count + rows - 1):
                            for o in range(larger(0, i - rows + 1), smaller(count, i + 1)):
                                spread(padded, i * pitch, pitch, dst, y + o, 0, width, columns, inner)
                y += count

    return compile_rows(rank_rows, f"rank_flat_{dtype}", *_signature(dtype))
