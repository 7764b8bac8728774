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
from imrestore_kernels.cpu._similarity import (
    UNROLL,
    Patch,
    call_distances,
    call_finish,
    call_settle,
    call_squares,
    call_weigh,
    lanes,
    program,
)
from imrestore_kernels.cpu._vector import allocator, data_address, larger, nearest, new_numbers, smaller

Array = np.ndarray[Any, Any]

#: Largest tiles: high and wide enough that the margins of the shifts, which are computed twice, stay small, and small enough for
#: the second-level cache (512x512 float32, 7x7 patches in 21x21: 64 columns a band 56 ms, 32 columns 60 ms, 21 columns 71 ms).
TILE_ROWS = 64
BAND = 64
_ALIGNED = 64


class Numbers(NamedTuple):
    """What the kernel gets as whole numbers, in this order. Pitches, planes and lines are in bytes."""

    depth: int
    height: int
    width: int
    channels: int
    band: int  # columns of a band
    tile_rows: int
    patch_z: int
    patch_y: int
    patch_x: int
    reach_z: int  # largest shift
    reach_y: int
    reach_x: int
    layers: int  # planes of a tile, without channels
    columns: int  # columns of a tile that have to be loaded
    pitch: int  # from one row of a tile to the next
    plane: int
    mean_pitch: int
    ring_rows: int
    planes: int  # whether distances are sums over several planes
    fused: int  # whether distances are plain differences of samples
    prime: int  # addresses, as in `_similarity.Program`
    distances: int
    squares: int
    both: int
    both_pair: int
    single: int
    single_pair: int
    settle: int
    finish: int


def numbers(
    spatial: tuple[int, int, int], channels: int, patch: Patch, patch_z: int, reach: tuple[int, int, int], compute: np.dtype[Any]
) -> Array:
    """`Numbers` of an image of (depth, height, width)."""
    _, height, width = spatial
    patch_y, patch_x = patch.down.size, patch.along.size
    count = lanes(compute)
    tiles = -(-width // (count * BAND))
    band = -(-width // (count * tiles))
    rows = min(TILE_ROWS, height)
    columns = band + 2 * reach[2] + patch_x - 1
    vector = count * compute.itemsize
    pitch = (columns + UNROLL) * vector
    return np.array(
        Numbers(
            *spatial, channels, band, rows, patch_z, patch_y, patch_x, *reach,
            layers=2 * reach[0] + patch_z, columns=columns, pitch=pitch, plane=(rows + 2 * reach[1] + patch_y - 1) * pitch,
            mean_pitch=(band + 2 * reach[2] + 2 * UNROLL) // UNROLL * UNROLL * (channels + 1) * vector, ring_rows=sum(patch.down.slots),
            planes=patch.planes, fused=patch.fused, **program(patch, compute)._asdict(),
        ),
        np.int64,
    )  # fmt: skip


def _fields(text: str) -> tuple[int, ...]:
    return tuple(Numbers._fields.index(name) for name in text.split())


@cache
def similarity_kernel(dtype: np.dtype[Any], compute: np.dtype[Any]) -> Any:
    """Kernel over rows of images of ``dtype``, computed in ``compute``."""
    count = lanes(compute)
    size = compute.itemsize
    number = compute.type
    new_row = allocator(compute)
    zero, one = number(0), number(1)
    to_pixel, integers = dtype.type, dtype.kind != "f"
    lowest, highest = (np.iinfo(dtype).min, np.iinfo(dtype).max) if integers else (0, 0)
    low, high = float(lowest), float(highest)  # of 64 bits the next power of two
    DEPTH, HEIGHT, WIDTH, CHANNELS, BAND_, TILE, PATCH_Z, PATCH_Y, PATCH_X = range(9)
    REACH_Z, REACH_Y, REACH_X, LAYERS, COLUMNS, PITCH, PLANE, MEAN, RING, PLANES, FUSED = range(9, 20)
    PRIME, DISTANCES, SQUARES, BOTH, BOTH_PAIR, SINGLE, SINGLE_PAIR, SETTLE, FINISH = range(20, 29)

    @inline
    def load_row(src: Any, row: int, c: int, shape: Any, columns: Any, tile: Any, at: int, scale: Any, outside: Any) -> Any:
        """One row of a tile, channel ``c`` of row ``row`` of the image (-1: outside); returns NaN where something is not finite."""
        n, channels = shape[COLUMNS], shape[CHANNELS]
        check = zero
        for lane in range(count):
            first = columns[lane * n]
            inside = row >= 0 and first >= 0 and columns[lane * n + n - 1] - first == (n - 1) * channels
            for i in range(n):
                j = first + i * channels if inside else columns[lane * n + i]
                value = outside
                if row >= 0 and j >= 0:
                    value = number(src[row, j + c]) * scale
                check += value - value
                tile[at + lane + i * count] = value
        return check

    @inline
    def load_tile(src: Any, volume: int, z0: int, y0: int, x0: int, rows: int, shape: Any, columns: Any, tile: Any, at: int, scale: Any, outside: Any, mode: int) -> Any:
        depth, height, channels, n = shape[DEPTH], shape[HEIGHT], shape[CHANNELS], shape[COLUMNS]
        for lane in range(count):
            for i in range(n):
                x = x0 + lane * shape[BAND_] - shape[REACH_X] - shape[PATCH_X] // 2 + i
                columns[lane * n + i] = inside_index(x, shape[WIDTH], mode) * channels
        check = zero
        for layer in range(shape[LAYERS]):
            z = inside_index(z0 - shape[REACH_Z] - shape[PATCH_Z] // 2 + layer, depth, mode)
            for r in range(rows + 2 * shape[REACH_Y] + shape[PATCH_Y] - 1):
                y = inside_index(y0 - shape[REACH_Y] - shape[PATCH_Y] // 2 + r, height, mode)
                row = -1 if y < 0 or z < 0 else (volume * depth + z) * height + y
                for c in range(channels):
                    place = at + ((layer * channels + c) * shape[PLANE] + r * shape[PITCH]) // size
                    check += load_row(src, row, c, shape, columns, tile, place, scale, outside)
        return check

    @inline
    def compare(dz: int, dy: int, dx: int, shifts: int, rows: int, shape: Any, tile: int, mean: int, ring: int, weights: int, given: int) -> None:
        """All samples of a tile with those one shift, or two neighbouring shifts, away.

        Shifts within the plane come in pairs of opposite ones, of which one is done for both: samples p then start as far
        outside the tile as q has to reach back in. What falls outside is added to a row that nobody reads.
        """
        vector = count * size
        pitch, plane, mean_pitch, channels = shape[PITCH], shape[PLANE], shape[MEAN], shape[CHANNELS]
        reach_x, reach_y, patch_y = shape[REACH_X], shape[REACH_Y], shape[PATCH_Y]
        last = dx + shifts - 1
        top, left, n, weigh = 0, 0, shape[BAND_], shape[SINGLE] if shifts == 1 else shape[SINGLE_PAIR]
        if dz == 0:
            top, left = -dy, smaller(0, -last)
            n += larger(0, -dx) - left
            weigh = shape[BOTH] if shifts == 1 else shape[BOTH_PAIR]
        step = dz * channels * plane + dy * pitch + dx * vector
        a = tile + shape[REACH_Z] * channels * plane + (top + reach_y) * pitch + (left + reach_x) * vector
        p = a + shape[PATCH_Z] // 2 * channels * plane + patch_y // 2 * pitch + shape[PATCH_X] // 2 * vector
        line = ring + shifts * shape[RING] * pitch
        summed = line + 2 * pitch
        for i in range(patch_y - 1 + rows - top):
            y = top + i - (patch_y - 1)
            if not shape[FUSED]:
                function = shape[PRIME] if y < top else shape[DISTANCES]
                for j in range(shifts):
                    now = a
                    if shape[PLANES]:
                        planes = shape[PATCH_Z] * channels
                        call_squares(shape[SQUARES], a, a + step + j * vector, plane, weights, planes, summed, n + shape[PATCH_X] - 1)
                        now = summed
                    call_distances(function, now, a + step + j * vector, ring + j * shape[RING] * pitch, pitch, i, line + j * pitch, n)
            a += pitch
            if y >= top:
                to_p = rows if y < 0 else y
                to_q = rows if y + dy >= rows or y + dy < 0 else y + dy
                column = (left + reach_x) * (channels + 1) * vector
                ahead = dx * (channels + 1) * vector
                call_weigh(weigh, line, pitch, p, p + step, mean + to_p * mean_pitch + column, mean + to_q * mean_pitch + column + ahead, plane, given, n)
                p += pitch

    @inline
    def store_row(dst: Any, row: int, x0: int, line: Any, at: int, shape: Any) -> None:
        """One row of results, which lie in ``line`` channel by channel in bands."""
        band, channels = shape[BAND_], shape[CHANNELS]
        for c in range(channels):
            for lane in range(count):
                first = x0 + lane * band
                place = at + c * (band + band % UNROLL) * count + lane
                for i in range(smaller(band, shape[WIDTH] - first)):
                    value = line[place + i * count]
                    if integers:
                        rounded = nearest(value)
                        pixel = to_pixel(lowest) if rounded <= low else to_pixel(highest)
                        if low < rounded < high:
                            pixel = to_pixel(rounded)
                        dst[row, (first + i) * channels + c] = pixel
                    else:
                        dst[row, (first + i) * channels + c] = to_pixel(value)

    def rows(
        src: Any, dst: Any, shape: Any, spatial: Any, patch_weights: Any, base: float, k: Any, scale: Any, unscale: Any,
        cval: Any, mode: int, row_start: int, row_stop: int,
    ) -> None:  # fmt: skip
        height, channels, pitch = shape[HEIGHT], shape[CHANNELS], shape[PITCH]
        reach_z, reach_y, reach_x = shape[REACH_Z], shape[REACH_Y], shape[REACH_X]
        tile = new_row(shape[LAYERS] * channels * shape[PLANE] // size + _ALIGNED)
        mean = new_row((shape[TILE] + 1) * shape[MEAN] // size + _ALIGNED)
        total = new_row((shape[TILE] + 1) * shape[MEAN] // size + _ALIGNED)
        scratch = new_row((2 * shape[RING] + 3 + channels) * pitch // size + _ALIGNED)
        given = new_row(4)
        columns = new_numbers(count * shape[COLUMNS])
        tile_at, mean_at = -data_address(tile) % 64 // size, -data_address(mean) % 64 // size
        total_at, ring_at = -data_address(total) % 64 // size, -data_address(scratch) % 64 // size
        tile_0, mean_0 = data_address(tile) + tile_at * size, data_address(mean) + mean_at * size
        total_0, ring_0 = data_address(total) + total_at * size, data_address(scratch) + ring_at * size
        line_at = ring_at + (2 * shape[RING] + 3) * pitch // size
        weights, numbers = data_address(patch_weights), data_address(given)
        outside = number(cval) * scale
        for i in range(len(tile)):
            tile[i] = zero
        row = row_start
        while row < row_stop:
            y0 = row % height
            z0 = row // height % shape[DEPTH]
            volume = row // (height * shape[DEPTH])
            here = smaller(smaller(height - y0, row_stop - row), shape[TILE])
            for x0 in range(0, shape[WIDTH], count * shape[BAND_]):
                check = load_tile(src, volume, z0, y0, x0, here, shape, columns, tile, tile_at, scale, outside, mode)
                for i in range((here + 1) * shape[MEAN] // (size * count)):  # every sample is in its own mean
                    start = one if i % (channels + 1) == channels else zero
                    for j in range(count):
                        mean[mean_at + i * count + j] = zero
                        total[total_at + i * count + j] = start
                given[0] = k
                for dz in range(-reach_z, reach_z + 1):
                    for dy in range(0 if dz == 0 else -reach_y, reach_y + 1):
                        dx = 1 if dz == 0 and dy == 0 else -reach_x
                        while dx <= reach_x:
                            shifts = smaller(2, reach_x + 1 - dx)
                            there = base + spatial[reach_z + dz] + spatial[2 * reach_z + 1 + reach_y + dy]
                            at = 2 * (reach_z + reach_y + 1) + reach_x + dx
                            given[1] = number(there + spatial[at])
                            given[2] = number(there + spatial[at + shifts - 1])
                            compare(dz, dy, dx, shifts, here, shape, tile_0, mean_0, ring_0, weights, numbers)
                            dx += shifts
                        # Sums of sums: each then rounds a few dozen times and not once a shift, always up in a flat picture.
                        call_settle(shape[SETTLE], mean_0, total_0, (here + 1) * shape[MEAN] // (size * count))
                given[0] = unscale
                vector = count * size
                own = tile_0 + (reach_z + shape[PATCH_Z] // 2) * channels * shape[PLANE] + (reach_y + shape[PATCH_Y] // 2) * pitch + (reach_x + shape[PATCH_X] // 2) * vector
                for r in range(here):
                    means = total_0 + r * shape[MEAN] + reach_x * (channels + 1) * vector
                    call_finish(shape[FINISH], own + r * pitch, means, shape[PLANE], data_address(scratch) + line_at * size, numbers, shape[BAND_] + shape[BAND_] % UNROLL)
                    store_row(dst, row + r, x0, scratch, line_at, shape)
            row += here
        # Numba frees an array after its last use; of these only the addresses were used.
        tile[0] = mean[0] = total[0] = scratch[0] = given[0] = zero

    value, image = from_dtype(compute), from_dtype(dtype)
    vector = types.Array(value, 1, "C", readonly=True)
    real = types.Array(types.float64, 1, "C", readonly=True)
    name = f"similarity_rows_{dtype}_{compute}_{count}"
    return compile_rows(
        rows, name, types.Array(image, 2, "C", readonly=True), image[:, ::1], types.Array(types.int64, 1, "C", readonly=True),
        real, vector, types.float64, value, value, value, image, types.intp, types.intp, types.intp,
    )  # fmt: skip
