"""How a window of 2 r + 1 samples is put together from pieces of 1, 2, 4 .. of them, along a row and down the rows.

Nothing is ever subtracted, so nothing drifts and a NaN stays inside its windows; and the order of all sums depends on the window
alone, so strips and blocks give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from imrestore_kernels.cpu._vector_text import Number, VectorText

#: Columns of a row that all steps along it are done for before the next ones, where sets have many vectors: what they read and
#: write stays in the first-level cache (512x512 float32, radius 8: 13 vectors and 64 columns 8.0 ms, 32 or whole rows 9.5;
#: 2 vectors and whole rows 1.36 ms, 32 columns 1.68).
MANY, CHUNK = 4, 64


class Pieces(NamedTuple):
    """A window of an odd number of samples: two halves of its largest power of two, then one piece for each smaller power."""

    window: int

    @property
    def top(self) -> int:
        """Level of the halves: they have 2**top samples."""
        return max(0, self.window.bit_length() - 2)

    @property
    def parts(self) -> list[tuple[int, int]]:
        """Level and first sample of every piece."""
        if self.window == 1:
            return [(0, 0)]
        half = 1 << self.top
        parts, done = [(self.top, 0), (self.top, half)], 2 * half
        for level in range(self.top, -1, -1):
            if (self.window - 2 * half) >> level & 1:
                parts.append((level, done))
                done += 1 << level
        return parts

    def back(self, part: tuple[int, int]) -> int:
        """Samples between a piece's last and the window's last."""
        level, first = part
        return self.window - first - (1 << level)

    def kept(self, level: int) -> int:
        """Pieces of a level that a ring of them keeps: as far back as windows or larger pieces reach."""
        reach = [self.back(part) for part in self.parts if part[0] == level]
        return 1 + max([*reach, 1 << level if level < self.top else 0])

    def leads(self, lanes: int) -> list[int]:
        """Vectors of each level that have to be known beyond those of the windows."""
        leads = [0] * (self.top + 1)
        for level in range(self.top, -1, -1):
            leads[level] = max((-(-first // lanes) for j, first in self.parts if j == level), default=0)
            if level < self.top:
                leads[level] = max(leads[level], leads[level + 1] + -(-(1 << level) // lanes))
        return leads


class Kind(Protocol):
    """What is put together: sets of ``rows`` vectors; the smallest pieces may have fewer."""

    text: VectorText
    rows: int
    leaf_rows: int

    #: Whether whole sets are joined by additions.
    plain: bool

    def joined(self, a: list[str], b: list[str], n: int, m: int) -> list[str]: ...

    def whole(self, leaf: list[str]) -> list[str]: ...


def window_of(kind: Kind, parts: list[list[str]], sizes: list[int]) -> list[str]:
    """Pieces put together, oldest first."""
    total, done = parts[0], sizes[0]
    for part, size in zip(parts[1:], sizes[1:], strict=True):
        total, done = kind.joined(total, part, done, size), done + size
    return total


class Along:
    """Windows along a row: rows of every level, a vector of neighbours at a time.

    A row of pieces has as many rows of memory as the sets have vectors, ``pitch`` bytes apart, and levels lie one behind the other.
    """

    def __init__(self, kind: Kind, name: str, pieces: Pieces, pitch: int) -> None:
        self.kind, self.name, self.pieces, self.pitch = kind, name, pieces, pitch
        self.text = kind.text
        self.leads = pieces.leads(self.text.lanes)

    @staticmethod
    def rows(kind_rows: int, leaf_rows: int, pieces: Pieces) -> int:
        """Rows of memory that it works on."""
        return leaf_rows + kind_rows * (pieces.top + (len(pieces.parts) > 3))

    def _level(self, level: int) -> int:
        """Where a level begins; the one after the last is for windows that are not whole yet."""
        return self.pitch * (0 if level == 0 else self.kind.leaf_rows + (level - 1) * self.kind.rows)

    def _load(self, level: int, first: int, at: Number) -> list[str]:
        text = self.text
        rows = self.kind.rows if level else self.kind.leaf_rows
        start = self._level(level) + first * (text.bytes // text.lanes)
        return [text.load("%rows", str(at + (start + row * self.pitch)), anywhere=True) for row in range(rows)]

    def _store(self, values: list[str], level: int, at: Number) -> None:
        for row, value in enumerate(values):
            self.text.store(value, "%rows", str(at + (self._level(level) + row * self.pitch)))

    def _step(self, number: int, make: Callable[[Number], None]) -> str:
        """A function for one step, of vectors ``start`` .. ``stop``."""
        text, name = self.text, f"{self.name}_{number}"
        text.function(name, ("ptr %rows", "ptr %out", "i64 %start", "i64 %stop"))
        with text.loop(Number(text, "%start"), Number(text, "%stop")) as i:
            make(i)
        text.add("  ret void\n}")
        return name

    def functions(self) -> None:
        """``{name}(rows, out, n)``: windows of n vectors; in ``out`` the vectors of a set are neighbours."""
        text, kind, pieces = self.text, self.kind, self.pieces
        steps: list[tuple[str, int]] = []
        for level in range(pieces.top):
            size = 1 << level

            def double(i: Number, level: int = level, size: int = size) -> None:
                at = i * text.bytes
                left, right = self._load(level, 0, at), self._load(level, size, at)
                self._store(kind.joined(left, right, size, size), level + 1, at)

            steps.append((self._step(len(steps), double), self.leads[level + 1]))
        parts = pieces.parts
        sizes = [1 << level for level, _ in parts]
        split, unfinished = max(1, len(parts) - 2), pieces.top + 1

        def begin(i: Number) -> None:
            at = i * text.bytes
            begun = [self._load(*part, at) for part in parts[:split]]
            self._store(window_of(kind, begun, sizes[:split]), unfinished, at)

        def finish(i: Number) -> None:
            at = i * text.bytes
            first = self._load(unfinished, 0, at) if split > 1 else self._load(*parts[0], at)
            rest = [self._load(*part, at) for part in parts[split:]]
            place = i * (kind.rows * text.bytes)
            window = window_of(kind, [first, *rest], [sum(sizes[:split]), *sizes[split:]])
            for row, value in enumerate(window if rest else kind.whole(window)):
                text.store(value, "%out", str(place + row * text.bytes))

        if split > 1:
            steps.append((self._step(len(steps), begin), 0))
        steps.append((self._step(len(steps), finish), 0))
        text.function(self.name, ("ptr %rows", "ptr %out", "i64 %n"))
        n = Number(text, "%n")
        chunk = max(1, CHUNK // text.lanes) if kind.rows > MANY else n
        with text.loop(0, (n + chunk - 1) // chunk) as i:
            begins = i * chunk
            ends = begins + chunk
            ends = text.choose(ends < n, ends, n)
            for step, lead in steps:
                start = text.choose(i.equals(0), 0, begins + lead)
                text.call(step, "ptr %rows", "ptr %out", start, ends + lead)
        text.add("  ret void\n}")


class Down:
    """Windows down the rows: a ring for each level holds rows of pieces, each set's vectors side by side."""

    def __init__(self, kind: Kind, pieces: Pieces, row_bytes: int, samples: int) -> None:
        self.kind, self.pieces, self.row_bytes = kind, pieces, row_bytes
        self.samples = samples  # of a row
        self.text = kind.text

    @staticmethod
    def rows(pieces: Pieces) -> int:
        """Rows in all rings."""
        return sum(pieces.kept(level) for level in range(pieces.top + 1))

    def place(self, level: int, back: int, rings: str, t: Number) -> str:
        """Where the pieces of a level begin that end ``back`` rows before row t."""
        text, kept = self.text, self.pieces.kept(level)
        before = sum(self.pieces.kept(lower) for lower in range(level))
        slot = (t + (kept - back)) % kept
        return text.where(rings, (slot + before) * self.row_bytes)

    def places(self, rings: str, t: Number) -> dict[tuple[int, int], str]:
        """All that `window` reads and writes, by level and rows back."""
        keys = {(level, 0) for level in range(self.pieces.top + 1)}
        keys |= {(level, 1 << level) for level in range(self.pieces.top)}
        keys |= {(part[0], self.pieces.back(part)) for part in self.pieces.parts}
        return {(level, back): self.place(level, back, rings, t) for level, back in sorted(keys)}

    def window(self, places: dict[tuple[int, int], str], at: Number, whole: bool) -> list[str]:
        """Add row t to all levels; the window that it completes, if ``whole``. ``at`` is a set's place in its row."""
        rows = range(self.kind.rows)
        if not self.kind.plain:
            return self._window(places, at, whole, rows, self.kind.joined)
        # One sum after the other: of all 13 at once a third would not fit into the registers of AVX2.
        return [value for row in rows for value in self._window(places, at, whole, [row], self._added)]

    def _added(self, a: list[str], b: list[str], _n: int, _m: int) -> list[str]:
        return [self.text.op("fadd", x, y) for x, y in zip(a, b, strict=True)]

    def _window(
        self, places: dict[tuple[int, int], str], at: Number, whole: bool, rows: Sequence[int], joined: Callable[..., list[str]]
    ) -> list[str]:
        """Some of the vectors of the sets."""

        def load(key: tuple[int, int]) -> list[str]:
            return [self.text.load(places[key], str(at + row * self.text.bytes)) for row in rows]

        newest = {0: load((0, 0))}
        for level in range(self.pieces.top):
            size = (1 << level) * self.samples
            newest[level + 1] = joined(load((level, 1 << level)), newest[level], size, size)
            for row, value in zip(rows, newest[level + 1], strict=True):
                self.text.store(value, places[level + 1, 0], str(at + row * self.text.bytes))
        if not whole:
            return []
        total, done = [""], 0
        for part in self.pieces.parts:
            level, back = part[0], self.pieces.back(part)
            values, size = load((level, back)) if back else newest[level], (1 << level) * self.samples
            total, done = joined(total, values, done, size) if done else values, done + size
        return total
