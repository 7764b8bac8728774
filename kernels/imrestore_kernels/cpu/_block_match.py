"""Block matching: for every reference patch the patches around it that are most like it, as vector code.

A vector holds neighbouring references, ``step`` pixels apart: columns of an image row are split by their phase (x modulo ``step``),
so that every load is a run of memory. Patches of neighbouring references share most of what is computed: squared differences are
summed in blocks of step x step pixels before blocks are put together to patches. With step 3 a pair of patches takes 9 squared
differences instead of 64, and a shift of all references about six instructions a pair: 1.5 to 1.9 ns of one thread for a pair and 8
references (prototypes with sliding sums along whole rows took 3.5).

Candidates are whole numbers, the bits of their distance with the number of the shift in the last ones: their order is that of the
distances, ties by shift. `_sorted_lists` keeps the smallest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from imrestore_kernels.bm3d_profiles import SHIFT_BITS, SIDE, TILE_COLUMNS, TILE_ROWS, shifts
from imrestore_kernels.cpu import _sorted_lists
from imrestore_kernels.cpu._sorted_lists import LANES, merge
from imrestore_kernels.cpu._vector_text import Number, VectorText

#: Low bits of a place in a list that no candidate has taken.
NOBODY = (1 << SHIFT_BITS) - 1


class Matching(NamedTuple):
    """What the code depends on."""

    step: int
    group: int  # patches kept, a multiple of LANES
    window: int
    columns: int = TILE_COLUMNS
    rows: int = TILE_ROWS

    @property
    def reach(self) -> int:
        """Largest shift."""
        return self.window // 2

    @property
    def full(self) -> int:
        """Whole blocks in a patch."""
        return SIDE // self.step

    @property
    def rest(self) -> int:
        """Pixels of the block that is cut off by the patch's end."""
        return SIDE % self.step

    @property
    def blocks(self) -> int:
        return self.full + (self.rest > 0)

    @property
    def margin(self) -> int:
        """Samples of a phase before the first reference that shifts reach."""
        return -(-self.reach // (self.step * LANES)) * LANES

    @property
    def pitch(self) -> int:
        """Samples of one phase of a tile's row."""
        need = self.columns + self.blocks + 2 * self.margin + LANES
        return -(-need // 16) * 16

    @property
    def row(self) -> int:
        """Samples of a row of a tile, all phases."""
        return self.pitch * self.step

    @property
    def tile_rows(self) -> int:
        return (self.rows + self.blocks - 1) * self.step + 2 * self.reach

    @property
    def list_pitch(self) -> int:
        """Whole numbers of a list and its bin."""
        return 2 * self.group

    def offsets(self) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        """For each shift the distance in bytes from a sample of a tile to the shifted one, phase by phase."""
        p = np.arange(self.step)
        table = [
            4 * (dy * self.row + (p + dx) % self.step * self.pitch + (p + dx) // self.step - p * self.pitch)
            for dy, dx in shifts(self.window)
        ]
        return np.array(table, np.int64)


def collect(text: VectorText, m: Matching) -> None:
    """``collect(flags, sums, lists, worst, counts, shift)``: those of 64 distances whose flag is set into the bins of their
    lists."""
    t = text
    t.function("collect", ("i64 %flags", "ptr %sums", "ptr %lists", "ptr %worst", "ptr %counts", "i64 %shift"))
    number = t.value("trunc i64 %shift to i32")
    t.add("  br label %test")
    t.label("test")
    t.add("  %left = phi i64 [ %flags, %entry ], [ %less, %next ]")
    t.add(f"  br i1 {t.value('icmp eq i64 %left, 0')}, label %done, label %work")
    t.label("work")
    lane = t.number("call i64 @llvm.cttz.i64(i64 %left, i1 true)")
    bits = t.value(f"load i32, ptr {t.where('%sums', lane * 4)}")
    key = t.value(f"or i32 {t.value(f'and i32 {bits}, {-(1 << SHIFT_BITS)}')}, {number}")
    own, count_at = t.where("%lists", lane * (4 * m.list_pitch)), t.where("%counts", lane * 4)
    count = t.value(f"load i32, ptr {count_at}")
    place = t.number(f"zext i32 {count} to i64") * 4 + 4 * m.group
    t.add(f"  store i32 {key}, ptr {t.where(own, place)}")
    more = t.value(f"add i32 {count}, 1")
    t.add(f"  store i32 {more}, ptr {count_at}")
    with t.only_if(t.value(f"icmp eq i32 {more}, {m.group}")):
        t.call("merge", f"ptr {own}", f"ptr {t.where('%worst', lane * 4)}", f"ptr {count_at}")
    t.add("  br label %next")
    t.label("next")
    t.add(f"  %less = and i64 %left, {t.value('sub i64 %left, 1')}")
    t.add("  br label %test\ndone:\n  ret void\n}")


def blocks(text: VectorText, m: Matching) -> None:
    """``blocks(a, offsets, out, n)``: sums of squared differences of one row of blocks.

    ``out`` gets four rows: of whole blocks, of their first columns, and of the first rows of both.
    """
    t = text
    t.function("blocks", ("ptr %a", "ptr %offsets", "ptr %out", "i64 %n"))
    shifted = [t.where("%a", t.number(f"load i64, ptr {t.at('%offsets', 8 * p)}")) for p in range(m.step)]
    with t.loop(0, Number(t, "%n")) as i:
        at = i * t.bytes
        top: list[str] = []
        whole: list[str] = []
        for p in range(m.step):
            total, part = "", ""
            for r in range(m.step):
                place = str(at + (r * m.row + p * m.pitch) * 4)
                d = t.op("fsub", t.load("%a", place), t.load(shifted[p], place, anywhere=True))
                total = t.fma(d, d, total) if total else t.op("fmul", d, d)
                if r == m.rest - 1:
                    part = total
            whole.append(total)
            top.append(part)
        outs = [whole, whole[: m.rest], top, top[: m.rest]] if m.rest else [whole]
        for k, values in enumerate(outs):
            total = values[0]
            for value in values[1:]:
                total = t.op("fadd", total, value)
            t.store(total, "%out", str(at + k * m.pitch * 4))
    t.add("  ret void\n}")


def compare(text: VectorText, m: Matching, name: str) -> None:
    """``compare(sums, ring, j, worst, totals, flags, n)``: distances of a row of references, from the newest row j of blocks, and
    a bit for each that may be smaller than the last of its list.

    As ``gather`` it only keeps what later rows need.
    """
    t, pitch = text, m.pitch * 4
    t.function(name, ("ptr %sums", "ptr %ring", "i64 %j", "ptr %worst", "ptr %totals", "ptr %flags", "i64 %n"))
    j = Number(t, "%j")
    # Sums along the rows of blocks before this one; the oldest gives its place to this one.
    rows = [t.where("%ring", ((j + (m.full - lag)) % m.full) * pitch) for lag in range(m.full)]

    def along(at: Number, kind: int) -> str:
        total = t.load("%sums", str(at + kind * pitch))
        for b in range(1, m.full):
            total = t.op("fadd", total, t.load("%sums", str(at + (kind * pitch + 4 * b)), anywhere=True))
        if m.rest:
            total = t.op("fadd", total, t.load("%sums", str(at + ((kind + 1) * pitch + 4 * m.full)), anywhere=True))
        return total

    with t.loop(0, Number(t, "%n")) as i:
        at = i * t.bytes
        newest = along(at, 0)
        if name == "compare":
            total = along(at, 2) if m.rest else newest
            earlier = [*rows[1:], rows[0]] if m.rest else rows[1:]
            for row in earlier:
                total = t.op("fadd", total, t.load(row, str(at)))
        t.store(newest, rows[0], str(at))
        if name == "compare":
            less = t.value(f"fcmp ole {t.vector} {total}, {t.load('%worst', str(at))}")
            t.add(f"  store i8 {t.value(f'bitcast {t.flags} {less} to i8')}, ptr {t.where('%flags', i)}")
            t.store(total, "%totals", str(at))
    t.add("  ret void\n}")


def match(text: VectorText, m: Matching) -> None:
    """``match(tile, offsets, sums, ring, lists, worst, counts, totals, flags, shifts, rows, n)``: all shifts but none, for rows x n
    vectors of references."""
    t = text
    names = ("tile", "offsets", "sums", "ring", "lists", "worst", "counts", "totals", "flags")
    t.function("match", (*(f"ptr %{name}" for name in names), "i64 %shifts", "i64 %rows", "i64 %n"))
    n, rows = Number(t, "%n"), Number(t, "%rows")
    start = t.at("%tile", 4 * (m.reach * m.row + m.margin))
    t.add("  store i64 0, ptr %flags")
    with t.loop(1, Number(t, "%shifts")) as s:
        offsets = t.where("%offsets", s * (8 * m.step))
        with t.loop(0, rows + (m.blocks - 1)) as j:
            t.call("blocks", f"ptr {t.where(start, j * (m.step * m.row * 4))}", f"ptr {offsets}", "ptr %sums", n + 1)
            early = j < m.blocks - 1
            with t.only_if(early):
                t.call("gather", "ptr %sums", "ptr %ring", j, "ptr %worst", "ptr %totals", "ptr %flags", n)
            with t.only_if(t.value(f"xor i1 {early}, true")):
                to = j - (m.blocks - 1)
                row = to * (m.columns * 4)
                lists, worst, counts = t.where("%lists", row * m.list_pitch), t.where("%worst", row), t.where("%counts", row)
                t.call("compare", "ptr %sums", "ptr %ring", j, f"ptr {worst}", "ptr %totals", "ptr %flags", n)
                flags = t.number("load i64, ptr %flags")
                t.call("collect", flags, "ptr %totals", f"ptr {lists}", f"ptr {worst}", f"ptr {counts}", s)
    t.add("  ret void\n}")


def functions(text: VectorText, m: Matching) -> None:
    merge(text, m.group)
    collect(text, m)
    blocks(text, m)
    compare(text, m, "compare")
    compare(text, m, "gather")
    match(text, m)


DECLARATIONS = _sorted_lists.DECLARATIONS + "declare i64 @llvm.cttz.i64(i64, i1)\n"
