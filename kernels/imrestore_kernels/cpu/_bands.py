"""The similarity program over an image, tile by tile.

A tile of ``lanes * band`` columns is cut into as many bands of ``band`` columns as a vector has lanes; vector i of a row holds
column i of every band. A step along the row then is the next vector, aligned like any other. Each band brings the
columns beyond its ends with it, so that lanes never have to know of one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from imrestore_kernels.cpu._row_text import row_functions
from imrestore_kernels.cpu._similarity_tile import Patch, Tile, program
from imrestore_kernels.cpu._text_kernel import (
    ALLOCATE,
    LINE,
    RELEASE,
    TextKernel,
    begin_rows,
    end_rows,
    function_at,
    memory_of,
    whole_numbers,
)
from imrestore_kernels.cpu._vector_text import UNROLL, Number, VectorText, lanes

#: Largest tiles: high and wide enough that the margins of the shifts, which are computed twice, stay small, and small enough for
#: the second-level cache (512x512 float32, 7x7 patches in 21x21: 64 columns a band 56 ms, 32 columns 60 ms, 21 columns 71 ms).
TILE_ROWS = 64
BAND = 64


class Numbers(NamedTuple):
    """What the kernel gets as whole numbers, in this order, after those of a `Tile`. Sizes are in bytes."""

    depth: int
    height: int
    width: int
    channels: int
    together: int  # channels whose means lie side by side
    item: int  # of a pixel's channel
    tiles: int  # beside each other
    rows: int  # of a tile, at most
    before_z: int  # samples of a tile before its first own one
    before_y: int
    before_x: int
    layers: int  # planes of a tile, without channels
    margin: int  # rows of a tile beside its own
    columns: int  # columns of a band that are loaded
    tile_bytes: int
    sum_bytes: int
    scratch_bytes: int
    line: int  # where results of a row begin in the scratch memory
    means: int  # addresses, as in `_similarity_tile.Program`
    finish: int
    load: int  # and in `_row_text.Rows`
    store: int
    allocate: int
    release: int


#: Axes of the arguments before the row numbers: src, dst, `Tile` and `Numbers`, spatial falls, weights of planes, border tables of
#: columns, rows and planes, and four numbers: the constant times the scale, the scale, k, and one over the scale.
ARGUMENTS = (2, 2, 1, 1, 1, 1, 1, 1, 1)


def numbers(
    spatial: tuple[int, int, int], patch: Patch, reach: tuple[int, int, int], dtype: np.dtype[Any], compute: np.dtype[Any]
) -> tuple[Tile, Numbers]:
    """Of an image of (depth, height, width)."""
    _, height, width = spatial
    sizes = (patch.depth, patch.down.size, patch.along.size)
    count, channels = lanes(compute), patch.channels
    vector = count * compute.itemsize
    tiles = -(-width // (count * BAND))
    band = -(-width // (count * tiles))
    rows, margin = min(TILE_ROWS, height), 2 * reach[1] + patch.down.size - 1
    columns = band + 2 * reach[2] + patch.along.size - 1
    pitch = (columns + UNROLL) * vector
    plane = (rows + margin) * pitch
    mean_pitch = (band + 2 * reach[2] + 2 * UNROLL) // UNROLL * UNROLL * (patch.together + 1) * vector
    before_z, before_y, before_x = (r + s // 2 for r, s in zip(reach, sizes, strict=True))
    line = _whole((2 * patch.ring_rows + 3) * pitch)
    layers = 2 * reach[0] + patch.depth
    made, rows_of = program(patch, compute), row_functions(dtype, compute, spread=True)
    return Tile(*reach, band, pitch, plane, mean_pitch), Numbers(
        *spatial, channels, patch.together, dtype.itemsize, tiles, rows, before_z, before_y, before_x, layers, margin, columns,
        _whole(layers * channels * plane), _whole(channels // patch.together * (rows + 1) * mean_pitch),
        line + _whole(channels * pitch), line, made.means, made.finish, rows_of.load, rows_of.store, ALLOCATE, RELEASE,
    )  # fmt: skip


def _whole(size: int) -> int:
    """Bytes of whole cache lines."""
    return -(-size // LINE) * LINE


@cache
def similarity_kernel(compute: np.dtype[Any]) -> TextKernel:
    """Kernel over rows of images that are computed in ``compute``."""
    return TextKernel(f"similarity_rows_{compute}_{lanes(compute)}", lambda: _text(compute), ARGUMENTS)


def _text(compute: np.dtype[Any]) -> str:
    program = _Program(VectorText(compute))
    program.load()
    program.store()
    program.rows()
    return program.text.whole()


class _Program:
    def __init__(self, text: VectorText) -> None:
        self.text = text
        self.size = text.bytes // text.lanes

    def _begin(self, name: str, pointers: Sequence[str], numbers: Sequence[str]) -> tuple[Any, list[Number]]:
        """A function of some pointers, the first of which is that of `Tile` and `Numbers`, and of some numbers."""
        text = self.text
        text.function(name, [*(f"ptr %{pointer}" for pointer in ("table", *pointers)), *(f"i64 %{number}" for number in numbers)])
        return self._table("%table"), [Number(text, f"%{number}") for number in numbers]

    def _table(self, pointer: str) -> Any:
        """Numbers in the text by the names of the fields of `Tile` and `Numbers`."""
        names = Tile._fields + Numbers._fields
        return SimpleNamespace(**dict(zip(names, whole_numbers(self.text, pointer, len(names)), strict=True)))

    def load(self) -> None:
        """``load(table, src, columns, ys, zs, reals, tile, image, z, y, x, here)``: samples of a tile of ``here`` rows.

        ``image`` is the number of the volume; y and z are rows and planes of it, x is a column.
        """
        text = self.text
        pointers = ("src", "columns", "ys", "zs", "reals", "tile")
        given, (image, z, y, x, here) = self._begin("load", pointers, ("image", "z", "y", "x", "here"))
        n, function = given.columns, function_at(text, given.load)
        with text.loop(0, text.lanes) as lane:
            left = x + lane * given.band
            columns = text.where("%columns", left * 8)
            first, last = (_clamped(text, edge, n) for edge in (-left + given.before_x, -left + given.before_x + given.width))
            with text.loop(0, given.layers) as layer, text.loop(0, here + given.margin) as r:
                plane = text.number(f"load i64, ptr {text.where('%zs', (z + layer) * 8)}")
                row = text.number(f"load i64, ptr {text.where('%ys', (y + r) * 8)}")
                outside = text.value(f"or i1 {plane < 0}, {row < 0}")
                line = ((image * given.depth + plane) * given.height + row) * given.width * given.channels
                with text.loop(0, given.channels) as c:
                    source = text.where("%src", (line + c) * given.item)
                    source = text.value(f"select i1 {outside}, ptr null, ptr {source}")
                    to = text.where("%tile", (layer * given.channels + c) * given.plane + r * given.pitch + lane * self.size)
                    text.add(
                        f"  call void {function}(ptr {source}, i64 {given.channels * given.item}, ptr {columns}, i64 {first}, "
                        f"i64 {last}, i64 {n}, ptr {to}, ptr %reals)"
                    )
        text.add("  ret void\n}")

    def store(self) -> None:
        """``store(table, tile, total, line, reals, dst, row, x, here)``: means of a tile, to row ``row`` of the result and on."""
        text, size = self.text, self.size
        pointers = ("tile", "total", "line", "reals", "dst")
        given, (row, x, here) = self._begin("store", pointers, ("row", "x", "here"))
        function, finish = function_at(text, given.store), function_at(text, given.finish)
        channels, together, vector = given.channels, given.together, text.bytes
        room = (given.band + (UNROLL - 1)) // UNROLL * UNROLL  # vectors of a channel of a line
        ahead = given.plane * channels * given.before_z + given.pitch * given.before_y + given.before_x * vector
        centre = text.where("%tile", ahead)
        unscale = text.at("%reals", 3 * size)
        with text.loop(0, here) as r:
            with text.loop(0, channels // together) as group:
                c = group * together
                sums = (group * (here + 1) + r) * given.mean_pitch + given.reach_x * (together + 1) * vector
                samples, means = text.where(centre, c * given.plane + r * given.pitch), text.where("%total", sums)
                line = text.where("%line", c * room * vector)
                ends = f"ptr {samples}, ptr {means}, i64 {given.plane}, ptr {line}, ptr {unscale}, i64 {room}"
                text.add(f"  call void {finish}({ends})")
            with text.loop(0, channels) as c, text.loop(0, text.lanes) as lane:
                first = x + lane * given.band
                found = given.width - first
                found = text.choose(found < given.band, found, given.band)
                values = text.where("%line", c * room * vector + lane * size)
                target = text.where("%dst", (((row + r) * given.width + first) * channels + c) * given.item)
                text.add(f"  call void {function}(ptr {values}, i64 {found}, ptr {target}, i64 {channels * given.item})")
        text.add("  ret void\n}")

    def rows(self) -> None:
        """The kernel."""
        text = self.text
        src, dst, table, spatial, weights, columns, ys, zs, reals = begin_rows(text, ARGUMENTS)
        given = self._table(table)
        start, stop = Number(text, "%start"), Number(text, "%stop")
        # Samples, two kinds of sums, scratch and line, and what `means` writes down, one behind the other.
        memory = memory_of(text, given.allocate, given.tile_bytes + given.sum_bytes * 2 + given.scratch_bytes + LINE)
        part = text.where(memory, given.tile_bytes)
        total = text.where(part, given.sum_bytes)
        constants = text.where(total, given.sum_bytes)
        scratch = text.at(constants, LINE)
        line = text.where(scratch, given.line)
        with text.loop(0, given.tile_bytes // text.bytes) as i:  # vectors beyond the last column are computed with, too
            text.store("zeroinitializer", memory, str(i * text.bytes))
        k = text.value(f"load {text.scalar}, ptr {text.at(reals, 2 * self.size)}")
        text.add(f"  store {text.scalar} {k}, ptr {constants}")
        with text.loop(start // given.height, (stop - 1) // given.height + 1) as plane:
            top = plane * given.height
            image, z = plane // given.depth, plane % given.depth
            first = text.choose(top < start, start - top, 0)
            last = text.choose(stop < top + given.height, stop - top, given.height)
            with text.loop(0, (last - first + given.rows - 1) // given.rows) as i:
                y = first + i * given.rows
                here = text.choose(last - y < given.rows, last - y, given.rows)
                with text.loop(0, given.tiles) as j:
                    x = j * given.band * text.lanes
                    samples = f"ptr {memory}"
                    borders = (f"ptr {columns}", f"ptr {ys}", f"ptr {zs}")
                    text.call("load", f"ptr {table}", f"ptr {src}", *borders, f"ptr {reals}", samples, image, z, y, x, here)
                    means = f"ptr {table}, i64 {here}, {samples}, ptr {part}, ptr {total}, ptr {scratch}, ptr {weights}"
                    text.add(f"  call void {function_at(text, given.means)}({means}, ptr {spatial}, ptr {constants})")
                    ends = (f"ptr {table}", samples, f"ptr {total}", f"ptr {line}", f"ptr {reals}", f"ptr {dst}")
                    text.call("store", *ends, top + y, x, here)
        end_rows(text, given.release)


def _clamped(text: VectorText, value: Number, most: Number) -> Number:
    """A number of 0 .. most."""
    value = text.choose(value < 0, 0, value)
    return text.choose(value < most, value, most)
