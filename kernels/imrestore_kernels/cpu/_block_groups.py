"""Strips of reference patches: matched, filtered in groups, and added up."""

from __future__ import annotations

import enum
from functools import cache
from typing import NamedTuple

import numpy as np

from imrestore_kernels.bm3d_profiles import SIDE
from imrestore_kernels.cpu import _block_match, _group_filter
from imrestore_kernels.cpu._block_match import NOBODY, Matching
from imrestore_kernels.cpu._group_filter import BEHIND_SPECTRA, PATCH_BYTES, Filtering, Numbers
from imrestore_kernels.cpu._sorted_lists import INTEGERS, LANES, MOST
from imrestore_kernels.cpu._text_kernel import LINE, TextKernel, begin_rows, end_rows, memory_of, whole_numbers
from imrestore_kernels.cpu._vector_text import Number, VectorText


class Field(enum.IntEnum):
    """The whole numbers a kernel is given."""

    PLANES = 0
    HEIGHT = 1
    WIDTH = 2
    LINE = 3  # bytes from a row to the next
    COLUMN_TILES = 4
    FIRST = 5  # strip; every second one follows
    SHIFTS = 6
    LIMIT = 7  # first key that is no candidate
    TABLE = 8  # bytes of a plane's covariances
    ALLOCATE = 9
    RELEASE = 10


#: Image, guide, matched plane, numerator, denominator, variances of patches; whole numbers; row tiles of each strip (first,
#: end), row tiles (y, rows), column tiles (x, columns); of each shift its offsets in a tile, its move in the image, and its
#: link in a table of covariances; numbers of each plane; covariances; factor of a variance to the largest distance.
ARGUMENTS = (3, 3, 2, 3, 3, 3, 1, 2, 2, 2, 2, 1, 1, 3, 5, 1)


class Program(NamedTuple):
    """What the code depends on."""

    matching: Matching
    filtering: Filtering


@cache
def stage_kernel(program: Program) -> TextKernel:
    parts = "_".join(str(part) for half in program for part in half)
    return TextKernel(f"bm3d_{parts}", lambda: _Text(program).whole(), ARGUMENTS)


class _Text:
    def __init__(self, program: Program) -> None:
        self.m, self.f = program
        self.text = VectorText(np.dtype(np.float32), LANES)
        m, f = self.m, self.f
        self.places: dict[str, int] = {}
        self.bytes = 0
        for name, size in (
            ("tile", m.tile_rows * m.row * 4),
            ("sums", 4 * m.pitch * 4),
            ("ring", m.full * m.pitch * 4),
            ("lists", m.rows * m.columns * m.list_pitch * 4),
            ("worst", m.rows * m.columns * 4),
            ("counts", m.rows * m.columns * 4),
            ("totals", m.columns * 4),
            ("flags", 8),
            ("offsets", m.group * 8),
            ("links", m.group * 8),
            ("spectra", 5 * f.group * PATCH_BYTES + BEHIND_SPECTRA),
        ):
            self.places[name] = self.bytes
            self.bytes += -(-size // LINE) * LINE + LINE

    def whole(self) -> str:
        _block_match.functions(self.text, self.m)
        _group_filter.functions(self.text, self.f)
        self.load()
        self.clear()
        self.groups()
        self.rows()
        return "\n".join((self.text.whole(), _block_match.DECLARATIONS, _group_filter.DECLARATIONS, DECLARATIONS))

    def load(self) -> None:
        """``load(image, tile, height, width, line, y, x)``: phases of the rows around references from (y, x) on; NaN outside."""
        text, m = self.text, self.m
        text.function("load", ("ptr %image", "ptr %tile", "i64 %height", "i64 %width", "i64 %line", "i64 %y", "i64 %x"))
        height, width, line, y, x = (Number(text, f"%{n}") for n in ("height", "width", "line", "y", "x"))
        with text.loop(0, m.tile_rows) as r:
            row = y + r - m.reach
            known = text.value(f"icmp ult i64 {row}, {height}")
            base = text.where("%image", text.choose(known, row, 0) * line)
            with text.loop(0, m.step) as p, text.loop(0, m.pitch) as i:
                column = x + (i - m.margin) * m.step + p
                inside = text.value(f"and i1 {known}, {text.value(f'icmp ult i64 {column}, {width}')}")
                value = text.value(f"load float, ptr {text.where(base, text.choose(inside, column, 0) * 4)}")
                value = text.value(f"select i1 {inside}, float {value}, float 0x7FF8000000000000")
                text.add(f"  store float {value}, ptr {text.where('%tile', (r * m.row + p * m.pitch + i) * 4)}")
        text.add("  ret void\n}")

    def clear(self) -> None:
        """``clear(lists, worst, counts, local, most, rows, count, line, limit)``: lists of nothing but the reference itself.

        ``local`` points to the variance of the first reference's patch, rows are ``line`` bytes apart.
        """
        text, m = self.text, self.m
        numbers = ("i64 %rows", "i64 %count", "i64 %line", "i64 %limit")
        text.function("clear", ("ptr %lists", "ptr %worst", "ptr %counts", "ptr %local", "ptr %most", *numbers))
        rows, count, line = (Number(text, f"%{n}") for n in ("rows", "count", "line"))
        for_all = text.value("trunc i64 %limit to i32")
        most = text.value("load float, ptr %most")
        with text.loop(0, rows) as j, text.loop(0, m.columns) as i:
            limit = for_all
            if self.f.local:
                inside = text.choose(i < count, i, 0)
                own = text.where("%local", j * m.step * line + inside * (4 * m.step))
                largest = text.value(f"fmul float {most}, {text.value(f'load float, ptr {own}')}")
                bits = text.value(f"bitcast float {largest} to i32")
                limit = text.value(f"or i32 {bits}, {NOBODY}")
            at = j * m.columns + i
            place = text.where("%lists", at * (m.list_pitch * 4))
            with text.loop(0, m.group) as k:
                text.add(f"  store i32 {limit}, ptr {text.where(place, k * 4)}")
                text.add(f"  store i32 {MOST}, ptr {text.where(place, k * 4 + 4 * m.group)}")
            text.add(f"  store i32 0, ptr {place}\n  store i32 {limit}, ptr {text.where('%worst', at * 4)}")
            text.add(f"  store i32 0, ptr {text.where('%counts', at * 4)}")
        text.add("  ret void\n}")

    def groups(self) -> None:
        """``groups(image, guide, num, den, local, list, moves, moves_in_table, table, numbers, offsets, links, spectra, ..)``: of
        one reference, all planes."""
        text, f = self.text, self.f
        planes = ("image", "guide", "num", "den", "local")
        rest = ("list", "moves", "turns", "table", "numbers", "offsets", "links", "spectra")
        sizes = ("base", "pitch", "planes", "plane", "table_bytes")
        text.function("groups", [*(f"ptr %{n}" for n in (*planes, *rest)), *(f"i64 %{n}" for n in sizes)])
        base = Number(text, "%base")
        count = Number(text, "0")
        for first in range(0, f.group, LANES):
            keys = text.value(f"load {INTEGERS}, ptr {text.at('%list', 4 * first)}, align 32")
            numbers = text.value(f"and {INTEGERS} {keys}, splat (i32 {NOBODY})")
            found = text.value(f"icmp ne {INTEGERS} {numbers}, splat (i32 {NOBODY})")
            bits = text.value(f"call i8 @llvm.ctpop.i8(i8 {text.value(f'bitcast {text.flags} {found} to i8')})")
            count = count + text.number(f"zext i8 {bits} to i64")
        with text.loop(0, f.group) as i:
            key = text.value(f"load i32, ptr {text.where('%list', i * 4)}")
            entry = text.number(f"zext i32 {text.value(f'and i32 {key}, {NOBODY}')} to i64") * 8
            move = text.number(f"load i64, ptr {text.where('%moves', entry)}")
            text.add(f"  store i64 {base + move}, ptr {text.where('%offsets', i * 8)}")
            if f.correlated:
                link = text.number(f"load i64, ptr {text.where('%turns', entry)}")
                text.add(f"  store i64 {link}, ptr {text.where('%links', i * 8)}")
        power = text.number("sub i64 63, " + str(text.number(f"call i64 @llvm.ctlz.i64(i64 {count}, i1 true)")))
        with text.loop(0, Number(text, "%planes")) as plane:
            bytes_before = plane * Number(text, "%plane")
            moved = [f"ptr {text.where(f'%{n}', bytes_before)}" for n in planes]
            table = text.where("%table", plane * Number(text, "%table_bytes"))
            numbers = text.where("%numbers", plane * (Numbers.COUNT * text.bytes))
            ends = (*moved, "ptr %offsets", "ptr %links", f"ptr {table}", "ptr %spectra", f"ptr {numbers}", Number(text, "%pitch"))
            for k in range(f.group.bit_length()):
                with text.only_if(power.equals(k)):
                    text.call(f"group_{1 << k}", *ends)
        text.add("  ret void\n}")

    def rows(self) -> None:
        text, m = self.text, self.m
        given = begin_rows(text, ARGUMENTS)
        image, guide, matched, num, den, local, numbers, strips, ys, xs, offsets, moves, turns, reals, table, most = given
        fields = whole_numbers(text, numbers, len(Field))
        memory = memory_of(text, fields[Field.ALLOCATE], self.bytes)
        at = {name: text.at(memory, place) for name, place in self.places.items()}
        lists = at["lists"]
        height, width, line = fields[Field.HEIGHT], fields[Field.WIDTH], fields[Field.LINE]

        def pair(of: str, i: Number) -> list[Number]:
            return whole_numbers(text, text.where(of, i * 16), 2)

        with text.loop(Number(text, "%start"), Number(text, "%stop")) as number:
            first, last = pair(strips, number * 2 + fields[Field.FIRST])
            with text.loop(first, last) as row_tile, text.loop(0, fields[Field.COLUMN_TILES]) as column_tile:
                (y, rows), (x, count) = pair(ys, row_tile), pair(xs, column_tile)
                text.call("load", f"ptr {matched}", f"ptr {at['tile']}", height, width, line, y, x)
                corner = y * line + x * 4
                own = tuple(f"ptr {at[name]}" for name in ("lists", "worst", "counts"))
                text.call("clear", *own, f"ptr {text.where(local, corner)}", f"ptr {most}", rows, count, line, fields[Field.LIMIT])
                vectors = (count + (LANES - 1)) // LANES
                kept = (f"ptr {at['sums']}", f"ptr {at['ring']}", *own, f"ptr {at['totals']}", f"ptr {at['flags']}")
                text.call("match", f"ptr {at['tile']}", f"ptr {offsets}", *kept, fields[Field.SHIFTS], rows, vectors)
                with text.loop(0, rows) as j, text.loop(0, count) as i:
                    reference = (j * m.columns + i) * 4
                    place = text.where(lists, reference * m.list_pitch)
                    text.call("merge", f"ptr {place}", *(f"ptr {text.where(at[name], reference)}" for name in ("worst", "counts")))
                    tables = (moves, turns, table, reals, at["offsets"], at["links"], at["spectra"])
                    pointers = [f"ptr {p}" for p in (image, guide, num, den, local, place, *tables)]
                    base = corner + j * m.step * line + i * (4 * m.step)
                    text.call("groups", *pointers, base, line, fields[Field.PLANES], height * line, fields[Field.TABLE])
        end_rows(text, fields[Field.RELEASE])


assert SIDE == LANES  # a vector is a row of a patch
DECLARATIONS = "declare i64 @llvm.ctlz.i64(i64, i1)\ndeclare i8 @llvm.ctpop.i8(i8)\n"
