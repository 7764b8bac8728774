"""The similarity program over an image, tile by tile.

A tile of ``lanes * band`` columns is cut into as many bands of ``band`` columns as a vector has lanes; vector i of a row holds
column i of every band. A step along the row then is the next vector, aligned like any other. Each band brings the
columns beyond its ends with it, so that lanes never have to know of one another.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from imrestore_kernels.cpu._jit import compile_rows, inline
from imrestore_kernels.cpu._planes import inside_index
from imrestore_kernels.cpu._similarity_tile import Patch, Tile, call_finish, call_means, program
from imrestore_kernels.cpu._vector import allocator, data_address, nearest, new_numbers, smaller
from imrestore_kernels.cpu._vector_text import UNROLL, lanes

Array = np.ndarray[Any, Any]

#: Largest tiles: high and wide enough that the margins of the shifts, which are computed twice, stay small, and small enough for
#: the second-level cache (512x512 float32, 7x7 patches in 21x21: 64 columns a band 56 ms, 32 columns 60 ms, 21 columns 71 ms).
TILE_ROWS = 64
BAND = 64
_ALIGNED = 64


class Numbers(NamedTuple):
    """What the kernel gets as whole numbers, in this order, after those of a `Tile`. Sizes of memory are in elements."""

    depth: int
    height: int
    width: int
    channels: int
    together: int  # channels whose means lie side by side
    rows: int  # of a tile
    before_z: int  # samples of a tile before its first own one
    before_y: int
    before_x: int
    layers: int  # planes of a tile, without channels
    margin: int  # rows of a tile beside its own
    columns: int  # columns of a tile that are loaded
    pitch: int
    plane: int
    mean_pitch: int
    scratch: int
    means: int  # addresses, as in `_similarity_tile.Program`
    finish: int


def numbers(spatial: tuple[int, int, int], patch: Patch, reach: tuple[int, int, int], compute: np.dtype[Any]) -> Array:
    """`Tile` and `Numbers` of an image of (depth, height, width)."""
    _, height, width = spatial
    sizes = (patch.depth, patch.down.size, patch.along.size)
    count, channels = lanes(compute), patch.channels
    tiles = -(-width // (count * BAND))
    band = -(-width // (count * tiles))
    rows, margin = min(TILE_ROWS, height), 2 * reach[1] + patch.down.size - 1
    columns = band + 2 * reach[2] + patch.along.size - 1
    pitch = (columns + UNROLL) * count
    plane = (rows + margin) * pitch
    mean_pitch = (band + 2 * reach[2] + 2 * UNROLL) // UNROLL * UNROLL * (patch.together + 1) * count
    size = compute.itemsize
    tile = Tile(*reach, band, pitch * size, plane * size, mean_pitch * size)
    before_z, before_y, before_x = (r + s // 2 for r, s in zip(reach, sizes, strict=True))
    scratch = (2 * patch.ring_rows + 3 + channels) * pitch
    layers = 2 * reach[0] + patch.depth
    made = program(patch, compute)
    rest = Numbers(
        *spatial, channels, patch.together, rows, before_z, before_y, before_x, layers, margin, columns, pitch, plane, mean_pitch,
        scratch, made.means, made.finish,
    )  # fmt: skip
    return np.array((*tile, *rest), np.int64)


@cache
def similarity_kernel(dtype: np.dtype[Any], compute: np.dtype[Any]) -> Any:
    """Kernel over rows of images of ``dtype``, computed in ``compute``."""
    count = lanes(compute)
    size = compute.itemsize
    number = compute.type
    new_row = allocator(compute)
    zero = number(0)
    to_pixel, integers = dtype.type, dtype.kind != "f"
    lowest, highest = (np.iinfo(dtype).min, np.iinfo(dtype).max) if integers else (0, 0)
    low, high = float(lowest), float(highest)  # of 64 bits the next power of two
    own = len(Tile._fields)

    @inline
    def load_row(
        src: Any, row: int, inside: bool, channels: int, columns: Any, n: int, lane: int, tile: Any, at: int, scale: Any,
        outside: Any,
    ) -> None:  # fmt: skip
        """One channel of a row of one band; row -1 is outside the image. ``inside``: all its columns are neighbours."""
        if row < 0:
            for i in range(n):
                tile[at + i * count] = outside
        elif inside:
            first = columns[lane * n]
            for i in range(n):
                tile[at + i * count] = number(src[row, first + i * channels]) * scale
        else:
            for i in range(n):
                j = columns[lane * n + i]
                tile[at + i * count] = outside if j < 0 else number(src[row, j]) * scale

    @inline
    def store_row(dst: Any, row: int, first: int, step: int, n: int, line: Any, at: int) -> None:
        """Results of one band and channel."""
        for i in range(n):
            value = line[at + i * count]
            if integers:
                rounded = nearest(value)
                pixel = to_pixel(lowest) if rounded <= low else to_pixel(highest)
                if low < rounded < high:
                    pixel = to_pixel(rounded)
                dst[row, first + i * step] = pixel
            else:
                dst[row, first + i * step] = to_pixel(value)

    def rows(
        src: Any, dst: Any, table: Any, spatial: Any, patch_weights: Any, k: Any, scale: Any, unscale: Any, cval: Any, mode: int,
        row_start: int, row_stop: int,
    ) -> None:  # fmt: skip
        reach_x, band = table[2], table[3]
        depth, height, width, channels, together = table[own], table[own + 1], table[own + 2], table[own + 3], table[own + 4]
        most, before_z, before_y, before_x = table[own + 5], table[own + 6], table[own + 7], table[own + 8]
        layers, margin, n, pitch = table[own + 9], table[own + 10], table[own + 11], table[own + 12]
        plane, mean_pitch = table[own + 13], table[own + 14]
        mean_room = channels // together * (most + 1) * mean_pitch + _ALIGNED
        tile, part, total = new_row(layers * channels * plane + _ALIGNED), new_row(mean_room), new_row(mean_room)
        scratch, constants = new_row(table[own + 15] + _ALIGNED), new_row(4)
        columns = new_numbers(count * n)
        tile_at, part_at = -data_address(tile) % 64 // size, -data_address(part) % 64 // size
        total_at, scratch_at = -data_address(total) % 64 // size, -data_address(scratch) % 64 // size
        tile_0, total_0 = data_address(tile) + tile_at * size, data_address(total) + total_at * size
        part_0, scratch_0 = data_address(part) + part_at * size, data_address(scratch) + scratch_at * size
        room = band + band % UNROLL
        line_at = scratch_at + table[own + 15] - channels * room * count  # results of a row
        outside = number(cval) * scale
        for i in range(len(tile)):  # vectors beyond the last column are computed with, too
            tile[i] = zero
        row = row_start
        while row < row_stop:
            y0, z0, volume = row % height, row // height % depth, row // (height * depth)
            here = smaller(smaller(height - y0, row_stop - row), most)
            for x0 in range(0, width, count * band):
                for lane in range(count):
                    for i in range(n):
                        columns[lane * n + i] = inside_index(x0 + lane * band - before_x + i, width, mode) * channels
                for c in range(channels):
                    for lane in range(count):
                        first, last = columns[lane * n], columns[lane * n + n - 1]
                        inside = first >= 0 and last - first == (n - 1) * channels
                        for layer in range(layers):
                            z = inside_index(z0 - before_z + layer, depth, mode)
                            for r in range(here + margin):
                                y = inside_index(y0 - before_y + r, height, mode)
                                source = -1 if y < 0 or z < 0 else (volume * depth + z) * height + y
                                at = tile_at + (layer * channels + c) * plane + r * pitch + lane
                                load_row(src, source, inside, channels, columns, n, lane, tile, at, scale, outside)
                    for i in range(count * n):  # the next channel of each pixel
                        columns[i] += 1 if columns[i] >= 0 else 0
                constants[0] = k
                call_means(
                    table[own + 16], data_address(table), here, tile_0, part_0, total_0, scratch_0, data_address(patch_weights),
                    data_address(spatial), data_address(constants),
                )  # fmt: skip
                constants[0] = unscale
                centre = tile_0 + (before_z * channels * plane + before_y * pitch + before_x * count) * size
                for r in range(here):
                    for c in range(0, channels, together):
                        sums = total_0 + ((c // together * (here + 1) + r) * mean_pitch + reach_x * (together + 1) * count) * size
                        line = scratch_0 + (line_at - scratch_at + c * room * count) * size
                        own_samples = centre + (c * plane + r * pitch) * size
                        call_finish(table[own + 17], own_samples, sums, plane * size, line, data_address(constants), room)
                    for c in range(channels):
                        for lane in range(count):
                            first = x0 + lane * band
                            found, at = smaller(band, width - first), line_at + c * room * count + lane
                            store_row(dst, row + r, first * channels + c, channels, found, scratch, at)
            row += here
        # Numba frees an array after its last use; of these only the addresses were used.
        tile[0] = part[0] = total[0] = scratch[0] = constants[0] = zero

    value, image = from_dtype(compute), from_dtype(dtype)
    vector = types.Array(value, 1, "C", readonly=True)
    real = types.Array(types.float64, 1, "C", readonly=True)
    name = f"similarity_rows_{dtype}_{compute}_{count}"
    return compile_rows(
        rows, name, types.Array(image, 2, "C", readonly=True), image[:, ::1], types.Array(types.int64, 1, "C", readonly=True),
        real, vector, value, value, value, image, types.intp, types.intp, types.intp,
    )  # fmt: skip
