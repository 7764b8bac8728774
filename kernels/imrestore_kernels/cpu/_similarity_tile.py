"""All shifts of one tile: the functions of `_similarity` in their loops."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from imrestore_kernels.cpu._jit import machine_code
from imrestore_kernels.cpu._similarity import distances, finish, settle, squares, weigh
from imrestore_kernels.cpu._vector_text import Number, VectorText, lanes
from imrestore_kernels.cpu._window_sums import Sums, Window

#: Planes whose squared differences are summed by one function: code for all of hundreds would take seconds to compile.
SQUARED = 16
#: Channels that share the computation of a weight; with more than these each channel computes it again.
TOGETHER = 8


class Patch(NamedTuple):
    """What the program depends on: how squared differences are summed to distances."""

    depth: int  # planes of a patch
    down: Sums
    along: Sums
    channels: int

    @property
    def planes(self) -> bool:
        """Whether distances come from several planes, channels included."""
        return self.depth * self.channels > 1

    @property
    def ring_rows(self) -> int:
        """Rows that the sums down the columns keep."""
        return Window(self.down, spare=False).rows

    @property
    def together(self) -> int:
        """Channels whose means lie side by side."""
        return self.channels if self.channels <= TOGETHER else 1

    @property
    def fused(self) -> bool:
        """Whether distances are plain differences of samples."""
        return self.down.size == self.along.size == 1 and not self.planes


class Tile(NamedTuple):
    """Numbers that `means` reads of a tile, in this order. Pitches and planes are in bytes."""

    reach_z: int  # largest shift
    reach_y: int
    reach_x: int
    band: int  # columns of a band
    pitch: int  # from one row of a tile to the next
    plane: int
    mean_pitch: int


def means(text: VectorText, patch: Patch) -> None:
    """``means(numbers, rows, tile, part, total, scratch, weights, spatial, constants)``: all shifts of a tile of ``rows`` rows.

    ``numbers`` is a `Tile`. ``tile`` holds samples with all that shifts and patches reach, plane after plane, channels in
    planes. ``total`` gets, row by row, the weighted sums of differences and the sums of weights as in `_similarity.weigh`, with a
    row more than the tile has. ``part`` is as large, ``scratch`` room for the rings of two shifts and three rows; ``weights`` are
    those of the planes of a patch; ``spatial`` has float64 numbers for each step along each axis that add up to T. ``constants``
    holds k.
    """
    names = ("numbers", "tile", "part", "total", "scratch", "weights", "spatial", "constants")
    pointers = [f"ptr %{name}" for name in names]
    text.function("means", [pointers[0], "i64 %rows", *pointers[1:]])
    together, groups = patch.together, patch.channels // patch.together
    places = (text.at("%numbers", 8 * i) for i in range(len(Tile._fields)))
    reach_z, reach_y, reach_x, band, pitch, plane, mean_pitch = (text.number(f"load i64, ptr {place}") for place in places)
    rows = Number(text, "%rows")
    vector, channels = text.bytes, patch.channels
    ring = pitch * patch.ring_rows
    line = text.where("%scratch", ring * 2)
    summed = text.where(line, pitch * 2)
    group = mean_pitch * (rows + 1)
    samples = text.number(f"udiv i64 {group}, {(together + 1) * vector}") * groups
    one = text.constant(1.0)
    with text.loop(0, samples) as i:  # every sample is in its own mean
        for c in range(together + 1):
            place = str((i * (together + 1) + c) * vector)
            text.store("zeroinitializer", "%part", place)
            text.store(one if c == together else "zeroinitializer", "%total", place)

    def spatial(at: Number) -> str:
        return text.value(f"load double, ptr {text.where('%spatial', at * 8)}")

    def compare(dz: Number, dy: Number, dx: Number, shifts: int, within: bool) -> None:
        """All samples with those one shift, or two neighbouring shifts, away.

        Shifts ``within`` the plane come in pairs of opposite ones, of which one is done for both: samples p then start as far
        outside the tile as q has to reach back in. What falls outside is added to a row that nobody reads.
        """
        falls = text.value(f"fadd double {spatial(reach_z + dz)}, {spatial(reach_z * 2 + 1 + reach_y + dy)}")
        for j in range(shifts):
            here = spatial((reach_z + reach_y + 1) * 2 + reach_x + dx + j)
            limit = text.value(f"fadd double {falls}, {here}")
            if not text.double:
                limit = text.value(f"fptrunc double {limit} to float")
            text.add(f"  store {text.scalar} {limit}, ptr {text.at('%constants', (1 + j) * text.bytes // text.lanes)}")
        zero = Number(text, "0")
        top, left, n = zero, zero, band
        if within:
            first, last = -dx, -dx - (shifts - 1)
            top = -dy
            left = text.choose(last < 0, last, 0)
            n = band + text.choose(first < 0, 0, first) - left
        step = dz * channels * plane + dy * pitch + dx * vector
        start = reach_z * channels * plane + (top + reach_y) * pitch + (left + reach_x) * vector
        centre = start + plane * (patch.depth // 2 * channels) + pitch * (patch.down.size // 2) + patch.along.size // 2 * vector
        column = (left + reach_x) * ((together + 1) * vector)
        ahead = column + dx * ((together + 1) * vector)

        def compare_row(function: str, i: Number) -> None:
            a = text.where("%tile", start + i * pitch)
            for j in range(shifts):
                b = text.where(a, step + j * vector)
                now = a
                if patch.planes:
                    columns = n + (patch.along.size - 1)
                    now = summed
                    text.call("squares", f"ptr {a}", f"ptr {b}", plane, "ptr %weights", f"ptr {now}", columns)
                    count = patch.depth * channels
                    with text.loop(0, (count - 1) // SQUARED) as more:
                        done = more * SQUARED + ((count - 1) % SQUARED + 1)
                        rest = [f"ptr {text.where(pointer, done * plane)}" for pointer in (a, b)]
                        further = text.where("%weights", done * (text.bytes // text.lanes))
                        text.call("more_squares", *rest, plane, f"ptr {further}", f"ptr {now}", columns)
                own_ring, own_line = text.where("%scratch", ring * j), text.where(line, pitch * j)
                text.call(function, f"ptr {now}", f"ptr {b}", f"ptr {own_ring}", pitch, i, f"ptr {own_line}", n)

        if not patch.fused:
            with text.loop(0, patch.down.size - 1) as i:
                compare_row("prime", i)
        with text.loop(0, rows - top) as i:
            if not patch.fused:
                compare_row("distances", i + (patch.down.size - 1))
            y = top + i
            other = y + dy
            inside = text.value(f"icmp ult i64 {other}, {rows}")
            to_p = text.choose(y < 0, rows, y) * mean_pitch + column
            to_q = text.choose(inside, other, rows) * mean_pitch + ahead
            function = f"weigh_{shifts}_{'both' if within else 'one'}"
            with text.loop(0, groups) as g:
                p = text.where("%tile", centre + i * pitch + g * plane)
                means_p, means_q = (text.where("%part", place + g * group) for place in (to_p, to_q))
                ends = (f"ptr {p}", f"ptr {text.where(p, step)}", f"ptr {means_p}", f"ptr {means_q}")
                text.call(function, f"ptr {line}", pitch, *ends, plane, "ptr %constants", n)

    def row_of_shifts(dz: Number, dy: Number, first: Number, within: bool) -> None:
        count = reach_x + 1 - first
        with text.loop(0, text.number(f"ashr i64 {count}, 1")) as pair:
            compare(dz, dy, first + pair * 2, 2, within)
        with text.only_if(text.number(f"and i64 {count}, 1").equals(1)):
            compare(dz, dy, reach_x + 0, 1, within)
        # Sums of sums: each then rounds a few dozen times, and not once a shift, always up in a flat picture.
        text.call("settle", "ptr %part", "ptr %total", samples * (together + 1))

    with text.loop(-reach_z, reach_z + 1) as dz:
        in_plane = dz.equals(0)
        with text.only_if(in_plane), text.loop(0, reach_y + 1) as dy:
            row_of_shifts(dz, dy, text.choose(dy.equals(0), 1, -reach_x), True)
        with text.only_if(text.value(f"xor i1 {in_plane}, true")), text.loop(-reach_y, reach_y + 1) as dy:
            row_of_shifts(dz, dy, -reach_x, False)
    text.add("  ret void\n}")


class Program(NamedTuple):
    """Addresses of the functions called from outside."""

    means: int
    finish: int


def program_text(patch: Patch, compute: np.dtype[Any]) -> str:
    """LLVM text of the functions a patch needs."""
    text = VectorText(compute)
    if not patch.fused:
        for prime in (True, False):
            distances(text, patch.down, patch.along, patch.planes, prime)
    if patch.planes:
        weighted = patch.depth > 1  # channels all weigh 1
        squares(text, "squares", (patch.depth * patch.channels - 1) % SQUARED + 1, weighted, onto=False)
        squares(text, "more_squares", SQUARED, weighted, onto=True)
    for shifts in (1, 2):
        for both in (True, False):
            weigh(text, f"weigh_{shifts}_{'both' if both else 'one'}", patch.together, patch.fused, shifts, both)
    settle(text)
    means(text, patch)
    finish(text, patch.together)
    return text.whole()


@cache
def program(patch: Patch, compute: np.dtype[Any]) -> Program:
    """Machine code for a patch, from the cache if it is there."""
    digest = hashlib.sha256(repr(patch).encode()).hexdigest()[:16]
    name = f"similarity_{compute}_{lanes(compute)}_{digest}"
    return Program(*machine_code(name, lambda: program_text(patch, compute), *Program._fields))
