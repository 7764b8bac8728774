"""Guided filter over planes in one pass: moments of windows, coefficients and their means travel down the rows together.

A source row is reduced along its own direction first; the windows then are joined down the rows, from rings of rows of pieces
(`_guided_windows`). The coefficients of that row of windows go through the same steps a second time, as plain sums.

Down the rows a vector of windows takes all steps at once, in registers, and finds the numbers of a set side by side: the 13 of a
colour guide as rows of their own, joined row by row, took 15.0 ms of one thread for 512x512 float32 and radius 8, so 11.9.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from functools import lru_cache

from imrestore_kernels.cpu._guided_windows import Along, Down, Pieces
from imrestore_kernels.cpu._moments import Coefficients, Moments, MomentSets, applied, solved
from imrestore_kernels.cpu._text_kernel import LINE, TextKernel, begin_rows, end_rows, function_at, memory_of, whole_numbers
from imrestore_kernels.cpu._vector_text import Number, VectorText, lanes

#: Columns of the result made at once (512x512 float32, colour guide, two threads: 128, 192 and 256 are alike, 64 and 512 take
#: 1.2 times as long).
TILE = 256


class Field(enum.IntEnum):
    """Whole numbers that the kernel reads, by their place. Steps are in bytes."""

    ROWS = 0  # of all images
    HEIGHT = 1  # rows of an image
    WIDTH = 2
    TILE = 3  # columns
    SRC_ROW = 4  # from row to row
    SRC_STEP = 5  # from pixel to pixel
    SRC_AT = 6  # of the first channel in a pixel
    SRC_ITEM = 7
    GUIDE_ROW = 8
    GUIDE_STEP = 9
    LOAD = 10  # addresses of functions, as in `_row_text.Rows`
    LOAD_GUIDE = 11  # as in `_row_text.load_together` where the guide has several channels
    STORE = 12
    ALLOCATE = 13
    RELEASE = 14


#: Axes of the arguments before the row numbers: src, dst, guide, columns and rows with their borders, numbers, reals. A border
#: index of -1 is the constant; reals are the constants of guide and image, and eps times the samples of a window.
ARGUMENTS = (2, 2, 2, 1, 1, 1, 1)


def widest_tile(radius_x: int) -> int:
    return max(TILE, 4 * radius_x)


@lru_cache(maxsize=256)
def guided_kernel(moments: Moments, size_y: int, size_x: int) -> TextKernel:
    """Row kernel for some channels of an image and a guide, or for a guide that filters itself."""
    kind = f"{moments.images or 'itself'}by{moments.channels}_{moments.real}"
    name = f"guided_{kind}_{size_y}x{size_x}_{lanes(moments.compute)}"
    return TextKernel(name, lambda: _Program(moments, size_y, size_x).whole(), ARGUMENTS)


def _lines(size: int) -> int:
    """Bytes of whole cache lines, an odd number of them: what lies a power of two apart would share a few places of the cache."""
    lines = -(-size // LINE)
    return (lines + 1 - lines % 2) * LINE


class _Program:
    def __init__(self, moments: Moments, size_y: int, size_x: int) -> None:
        self.moments = moments
        self.text = text = VectorText(moments.compute)
        self.radius_y, self.radius_x = size_y // 2, size_x // 2
        self.samples = size_y * size_x
        along, down = Pieces(size_x), Pieces(size_y)
        sets, fits = MomentSets(text, moments), Coefficients(text, moments)
        tile = widest_tile(self.radius_x)
        windows, pixels = -(-(tile + 2 * self.radius_x) // text.lanes), -(-tile // text.lanes)
        self.pitch = _lines((windows + along.leads(text.lanes)[0]) * text.bytes)
        self.set_row, self.fit_row = (_lines(n * kind.rows * text.bytes) for n, kind in ((windows, sets), (pixels, fits)))
        self.sets_along = Along(sets, "sets_along", along, self.pitch)
        self.fits_along = Along(fits, "fits_along", along, self.pitch)
        self.sets_down = Down(sets, down, self.set_row, size_x)
        self.fits_down = Down(fits, down, self.fit_row, size_x)
        self.places: dict[str, int] = {}
        self.bytes = 0
        for place, size in (
            ("samples", Along.rows(sets.rows, sets.leaf_rows, along) * self.pitch),
            ("fitted", Along.rows(fits.rows, fits.leaf_rows, along) * self.pitch),
            ("centre", moments.channels * self.pitch),
            ("result", moments.outputs * self.pitch),
            ("sets", Down.rows(down) * self.set_row),
            ("fits", Down.rows(down) * self.fit_row),
        ):
            self.places[place] = self.bytes
            self.bytes += size

    def whole(self) -> str:
        self.sets_along.functions()
        self.fits_along.functions()
        for whole in (False, True):
            self.fit(whole)
            self.apply(whole)
        self.tile()
        self.rows()
        return self.text.whole()

    def fit(self, whole: bool) -> None:
        """``fit(rings, t, out, reals, n)``: coefficients of n vectors of windows; ``enter`` only takes row t in."""
        text = self.text
        text.function("fit" if whole else "enter", ("ptr %rings", "i64 %t", "ptr %out", "ptr %reals", "i64 %n"))
        places = self.sets_down.places("%rings", Number(text, "%t"))
        ridge = text.splat("%reals", 2)
        with text.loop(0, Number(text, "%n")) as i:
            window = self.sets_down.window(places, i * (self.sets_down.kind.rows * text.bytes), whole)
            if whole:
                for row, value in enumerate(solved(text, self.moments, window, self.samples, ridge)):
                    text.store(value, "%out", str(i * text.bytes + row * self.pitch))
        text.add("  ret void\n}")

    def apply(self, whole: bool) -> None:
        """``apply(rings, t, centre, out, n)``: n vectors of results; ``keep`` only takes row t in."""
        text, moments = self.text, self.moments
        text.function("apply" if whole else "keep", ("ptr %rings", "i64 %t", "ptr %centre", "ptr %out", "i64 %n"))
        places = self.fits_down.places("%rings", Number(text, "%t"))
        with text.loop(0, Number(text, "%n")) as i:
            total = self.fits_down.window(places, i * (self.fits_down.kind.rows * text.bytes), whole)
            if whole:
                at = i * text.bytes
                pixels = [text.load("%centre", str(at + c * self.pitch)) for c in range(moments.channels)]
                for output, value in enumerate(applied(text, moments, total, pixels, self.samples)):
                    text.store(value, "%out", str(at + output * self.pitch))
        text.add("  ret void\n}")

    def rows(self) -> None:
        """The kernel: rows of the first tile of columns, then those of the next."""
        text = self.text
        pointers = begin_rows(text, ARGUMENTS)
        fields = whole_numbers(text, pointers[5], len(Field))
        start, stop = Number(text, "%start"), Number(text, "%stop")
        memory = memory_of(text, fields[Field.ALLOCATE], self.bytes)
        # Vectors beyond the last sample are computed with, too: what they hold should not slow that down.
        for place, count in (("samples", self.moments.sums), ("fitted", self.moments.coefficients)):
            with text.loop(0, count * self.pitch // text.bytes) as i:
                text.store("zeroinitializer", memory, str(i * text.bytes + self.places[place]))
        width, tile, height, rows = (fields[f] for f in (Field.WIDTH, Field.TILE, Field.HEIGHT, Field.ROWS))
        with text.loop(start // rows, (stop - 1) // rows + 1) as i:
            x, above = i * tile, i * rows
            n = text.choose(width - x < tile, width - x, tile)
            begin = text.choose(above < start, start - above, 0)
            end = text.choose(stop < above + rows, stop - above, rows)
            with text.loop(begin // height, (end - 1) // height + 1) as image:
                top = image * height
                first, last = text.choose(begin < top, top, begin), text.choose(end < top + height, end, top + height)
                text.call("tile", f"ptr {memory}", *(f"ptr {p}" for p in pointers), top, first - top, last - top, x, n)
        end_rows(text, fields[Field.RELEASE])

    def _load_channels(
        self, fields: list[Number], row: Number, to: str, columns: str, span: Sequence[Number | int], image: bool
    ) -> None:
        """The guide's channels of a row, and behind them those of another image, if ``image``; row -1 is the constant."""
        text, moments, separate = self.text, self.moments, self.moments.images > 0
        base, load = ("%guide", Field.LOAD_GUIDE) if separate else ("%src", Field.LOAD_GUIDE)
        pitch, step = (Field.GUIDE_ROW, Field.GUIDE_STEP) if separate else (Field.SRC_ROW, Field.SRC_STEP)
        outside, numbers = row < 0, ", ".join(f"i64 {number}" for number in span)
        apart = Number(text, str(self.pitch)) if moments.channels > 1 else fields[step]
        starts = [(load, base, row * fields[pitch], apart, 0)]
        for c in range(moments.images if image else 0):
            at = row * fields[Field.SRC_ROW] + fields[Field.SRC_AT] + fields[Field.SRC_ITEM] * c
            starts.append((Field.LOAD, "%src", at, fields[Field.SRC_STEP], moments.channels + c))
        for function, pointer, offset, apart, c in starts:
            source = text.value(f"select i1 {outside}, ptr null, ptr {text.where(pointer, offset)}")
            constant = text.at("%reals", text.bytes // text.lanes if c else 0)
            arguments = f"ptr {source}, i64 {apart}, ptr {columns}, {numbers}, ptr {text.at(to, c * self.pitch)}"
            text.add(f"  call void {function_at(text, fields[function])}({arguments}, ptr {constant})")

    def tile(self) -> None:
        """``tile``: rows ``first`` .. ``last`` of the image that begins with row ``top``, of ``n`` columns from x on."""
        text = self.text
        pointers = ("memory", "src", "dst", "guide", "columns", "rows", "numbers", "reals")
        names = ("top", "first", "last", "x", "n")
        text.function("tile", [*(f"ptr %{name}" for name in pointers), *(f"i64 %{name}" for name in names)])
        top, first, last, x, n = (Number(text, f"%{name}") for name in names)
        fields = whole_numbers(text, "%numbers", len(Field))
        place = {name: text.at("%memory", offset) for name, offset in self.places.items()}
        reach_y, reach_x = 2 * self.radius_y, 2 * self.radius_x
        wide, windows = n + 2 * reach_x, (n + (reach_x + text.lanes - 1)) // text.lanes
        pixels = (n + (text.lanes - 1)) // text.lanes
        before, inside = -x + reach_x, fields[Field.WIDTH] - x + reach_x
        span = (text.choose(before < 0, 0, before), text.choose(inside < wide, inside, wide), wide)
        with text.loop(0, last - first + 2 * reach_y) as t:
            known = text.number(f"load i64, ptr {text.where('%rows', (first + t) * 8)}")
            row = text.choose(known < 0, -1, top + known)
            self._load_channels(fields, row, place["samples"], text.where("%columns", x * 8), span, True)
            newest = self.sets_down.place(0, 0, place["sets"], t)
            text.call("sets_along", f"ptr {place['samples']}", f"ptr {newest}", windows)
            both = (f"ptr {place['sets']}", t, f"ptr {place['fitted']}", "ptr %reals", windows)
            early = t < reach_y
            with text.only_if(early):
                text.call("enter", *both)
            with text.only_if(text.value(f"xor i1 {early}, true")):
                text.call("fit", *both)
                later = t - reach_y
                newest = self.fits_down.place(0, 0, place["fits"], later)
                text.call("fits_along", f"ptr {place['fitted']}", f"ptr {newest}", pixels)
                both = (f"ptr {place['fits']}", later, f"ptr {place['centre']}", f"ptr {place['result']}", pixels)
                early = later < reach_y
                with text.only_if(early):
                    text.call("keep", *both)
                with text.only_if(text.value(f"xor i1 {early}, true")):
                    out = top + first + later - reach_y
                    columns = text.where("%columns", (x + reach_x) * 8)
                    self._load_channels(fields, out, place["centre"], columns, (0, n, n), False)
                    text.call("apply", *both)
                    self._store_channels(fields, place["result"], out, x, n)
        text.add("  ret void\n}")

    def _store_channels(self, fields: list[Number], results: str, row: Number, x: Number, n: Number) -> None:
        text, step = self.text, fields[Field.SRC_STEP]
        for output in range(self.moments.outputs):
            at = row * fields[Field.SRC_ROW] + x * step + fields[Field.SRC_AT]
            target = text.where("%dst", at + fields[Field.SRC_ITEM] * output)
            values = f"ptr {text.at(results, output * self.pitch)}"
            text.add(f"  call void {function_at(text, fields[Field.STORE])}({values}, i64 {n}, ptr {target}, i64 {step})")
