"""Weighted sums over windows in registers, as LLVM text.

A block of rows and vectors of results stays in registers while the taps go by: every vector of samples that is read takes part
in one result of each row, and every weight in all vectors of its row. The order of a sum is that of its taps, row by row,
whatever the block.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from imrestore_kernels.cpu._border_text import Rows
from imrestore_kernels.cpu._vector_text import Number, VectorText

#: Rows and vectors of blocks, by the width of a register: 32 registers of 64 bytes hold 6 x 4 sums, 16 of 32 bytes 4 x 2. A block
#: must not have more rows than the window, and windows have an odd number.
ROWS = {64: (6, 5, 3, 1), 32: (4, 3, 1)}
VECTORS = {64: (1, 2, 4), 32: (1, 2, 3)}
#: Vectors of blocks of one row: with three each sum waits for its last step (rows of 21 taps take 1.12 times as long).
LONE_VECTORS = (1, 2, 4, 8)


class Convolution:
    """The function ``convolve(in, pitch, weights, height, width, out, out_pitch, rows, columns)``.

    Results ``out[y, x]`` are sums of ``weights[i, j] in[y + i, x + j]``; pitches are in bytes. Whole vectors are read beyond the
    last column.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.text = VectorText(dtype)
        self.rows = Rows(self.text)
        self.heights = ROWS[self.text.bytes]
        for height in self.heights:
            for count in self._vectors(height):
                self._block(height, count)
        self._convolve()

    def _vectors(self, height: int) -> tuple[int, ...]:
        return LONE_VECTORS if height == 1 else VECTORS[self.text.bytes]

    def _taps(self, sums: dict[int, list[str]], row: str, weights: dict[int, str]) -> None:
        """Add the taps of one row of samples to the sums of the rows that have weights for it."""
        t, active = self.text, list(weights)
        count = len(next(iter(sums.values())))
        carried = [value for r in active for value in sums[r]]
        with t.folded(0, Number(t, "%kw"), carried) as (j, names, results):
            at = self.rows.element(row, j)
            samples = [t.load(at, v * t.bytes, anywhere=True) for v in range(count)]
            for n, r in enumerate(active):
                weight = t.everywhere(self.rows.one(weights[r], j))
                results += [t.fma(weight, x, names[n * count + v]) for v, x in enumerate(samples)]
        for n, r in enumerate(active):
            sums[r] = names[n * count : (n + 1) * count]

    def _block(self, height: int, count: int) -> None:
        """``height`` rows of ``count`` vectors, of which ``left`` columns are stored."""
        t = self.text
        numbers = ("ptr %weights", "i64 %kh", "i64 %kw", "ptr %out", "i64 %out_pitch", "i64 %left")
        t.function(f"block{height}x{count}", ("ptr %in", "i64 %pitch", *numbers))
        kh, pitch, out_pitch, left = (Number(t, name) for name in ("%kh", "%pitch", "%out_pitch", "%left"))
        step = Number(t, "%kw") * self.rows.size
        sums = {r: ["zeroinitializer"] * count for r in range(height)}

        def row(s: Number, first: int, last: int) -> None:
            """Row ``s`` of the samples, to rows first to last of the results."""
            weights = {r: t.where("%weights", (s - r) * step) for r in range(first, last)}
            self._taps(sums, t.where("%in", s * pitch), weights)

        for r in range(height - 1):
            row(Number(t, str(r)), 0, r + 1)
        carried = [value for values in sums.values() for value in values]
        with t.folded(height - 1, kh, carried) as (s, names, results):
            for r in range(height):
                sums[r] = names[r * count : (r + 1) * count]
            row(s, 0, height)
            results += [value for values in sums.values() for value in values]
        for r in range(height):
            sums[r] = names[r * count : (r + 1) * count]
        for r in range(1, height):
            row(kh + (r - 1), r, height)
        whole = Number(t, str(count * t.lanes - 1)) < left
        with t.only_if(whole):
            for r, values in sums.items():
                for v, value in enumerate(values):
                    t.store(value, t.where("%out", out_pitch * r), v * t.bytes, anywhere=True)
        with t.only_if(t.value(f"xor i1 {whole}, true")):
            for v in range(count):
                mask = self.rows.mask(left, v * t.lanes)
                for r, values in sums.items():
                    self.rows.masked_store(values[v], t.where("%out", out_pitch * r + v * t.bytes), mask)
        t.add("  ret void\n}")

    def _convolve(self) -> None:
        t = self.text
        numbers = ("ptr %weights", "i64 %kh", "i64 %kw", "ptr %out", "i64 %out_pitch", "i64 %rows", "i64 %columns")
        t.function("convolve", ("ptr %in", "i64 %pitch", *numbers))
        names = ("%pitch", "%out_pitch", "%kh", "%kw", "%rows", "%columns")
        pitch, out_pitch, kh, kw, rows, columns = (Number(t, name) for name in names)
        y = Number(t, "0")
        for height in self.heights:
            vectors = self._vectors(height)
            most = vectors[-1] * t.lanes
            whole = columns // most
            left = columns - whole * most
            turns = t.choose(kh < height, 0, (rows - y) // height)
            with t.loop(0, turns) as turn:
                first = y + turn * height
                source, to = t.where("%in", first * pitch), t.where("%out", first * out_pitch)

                def block(count: int, at: Number, left: Number | int, source: str = source, to: str = to, h: int = height) -> None:
                    given = (f"ptr {t.where(source, at)}", pitch, "ptr %weights", kh, kw, f"ptr {t.where(to, at)}", out_pitch, left)
                    t.call(f"block{h}x{count}", *given)

                with t.loop(0, whole) as i:
                    block(vectors[-1], i * (most * self.rows.size), most)
                below = 0
                for count in vectors:
                    fits = left < count * t.lanes + 1
                    with t.only_if(t.value(f"and i1 {fits}, {Number(t, str(below)) < left}")):
                        block(count, whole * (most * self.rows.size), left)
                    below = count * t.lanes
            y = y + turns * height
        t.add("  ret void\n}")
