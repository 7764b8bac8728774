"""Sums over windows whose every partial sum serves several windows: blocks of 2, 4, 8 values, and boxes of boxes.

Nothing is ever taken off a sum again, so that a sum is the same bits wherever its window lies, and as exact as its values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from imrestore_kernels.cpu._vector_text import VectorText
from imrestore_kernels.similarity import smaller_box


class Sums(NamedTuple):
    """A sum over a window: of boxes of these sizes one after the other, or with these weights."""

    boxes: tuple[int, ...]
    weights: tuple[float, ...] | None = None

    @property
    def size(self) -> int:
        """Values that the window takes."""
        return sum(self.boxes) - len(self.boxes) + 1

    @classmethod
    def of(cls, weights: Sequence[float]) -> tuple[Sums, float]:
        """How these weights are summed, and the factor that is left out."""
        size, first = len(weights), smaller_box(weights)
        if not first:
            return cls((size,), tuple(float(w) for w in weights)), 1.0
        second = size + 1 - first
        return cls(tuple(n for n in (first, second) if n > 1) or (1,)), 1.0 / (first * second)


class Window:
    """Which earlier values a window's sum takes.

    A box of 7 is one block of 4, one of 2 and one value, and a block is two of half its size. With the small blocks in front
    the fewest values are kept (``spare``: they are registers); with the largest in front the fewest are written, one for each
    size but the largest (they are rows in memory).
    """

    def __init__(self, sums: Sums, spare: bool) -> None:
        self.sums = sums
        self._spare = spare
        self.kept: dict[tuple[int, int], int] = {}  # by box and level: how many earlier values
        if sums.weights is not None:
            self.kept[0, 0] = sums.size - 1
            return
        for box, size in enumerate(sums.boxes):
            top = size.bit_length() - 1
            for level in range(top + 1):
                final = self._lag(size, level) if size >> level & 1 else 0
                self.kept[box, level] = max(1 << level if level < top else 0, final)

    @property
    def rows(self) -> int:
        """Earlier values in all."""
        return sum(self.kept.values())

    def _lag(self, size: int, level: int) -> int:
        """Values newer than the block of 2**level of a box."""
        return size & (1 << level) - 1 if self._spare else size >> level + 1 << level + 1

    def total(
        self, text: VectorText, newest: str, earlier: Callable[..., str], root: str = ""
    ) -> tuple[str, dict[tuple[int, int], str]]:
        """Sum of the window that ends with ``newest`` and the newest value of everything kept; ``earlier(box, level, lag)`` is one
        that was kept.

        ``root``, where known, is the square root of the newest: adding its square takes one instruction, and not of the kind that
        a row has most of.
        """
        if self.sums.weights is not None:
            weights = self.sums.weights
            total = text.op("fmul", newest, text.constant(weights[-1]))
            for lag in range(1, self.sums.size):
                total = text.fma(earlier(0, 0, lag), text.constant(weights[-1 - lag]), total)
            return total, {(0, 0): newest}
        values = {}
        for box, size in enumerate(self.sums.boxes):

            def plus(value: str, other: str, newest: str = newest, root: str = "" if box else root) -> str:
                return text.fma(root, root, other) if root and value == newest else text.op("fadd", value, other)

            values[box, 0] = newest
            for level in range(size.bit_length() - 1):
                values[box, level + 1] = plus(values[box, level], earlier(box, level, 1 << level))
            parts = []
            for level in range(size.bit_length()):
                if size >> level & 1:
                    lag = self._lag(size, level)
                    parts.append(earlier(box, level, lag) if lag else values[box, level])
            parts.sort(key=lambda part: part not in values.values())
            total = parts[0]
            for part in parts[1:]:
                total = plus(total, part)
            newest = total
        return newest, {key: value for key, value in values.items() if self.kept[key]}
