"""Exchange networks that pick one rank out of a window: made once, rendered as vector IR (CPU) and as CUDA source.

A window of ``rows x columns`` samples is filtered in two steps that neighbours share. Every column of ``rows`` samples
is sorted once (`sort_network`); a window then merges its sorted columns with Batcher's odd-even merges
(`select_network`). Only ranks that can still decide the result are merged: of ``m`` merged columns out of ``columns``,
rank ``q`` matters only if ``rank - (columns - m) * rows <= q <= rank``. What is left of an exchange is a single ``min``
or ``max`` wherever its other half is not used. Windows of neighbouring outputs overlap; with ``outputs > 1`` the
columns they share are merged once (A. Adams, "Fast median filters using separable sorting networks", ACM TOG 2021).

Values are numbered: ``0 .. inputs - 1`` are the inputs, ``inputs + i`` is the result of ``ops[i]``. An op only refers
to smaller numbers, so a backend emits them from first to last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

Op = tuple[Literal["min", "max"], int, int]


class Network(NamedTuple):
    """A list of ``(op, a, b)`` on numbered values; see the module's text for the numbering."""

    inputs: int
    ops: tuple[Op, ...]
    outputs: tuple[int, ...]


class _Builder:
    """Collects ops, gives equal ops one number."""

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self.ops: list[Op] = []
        self._known: dict[Op, int] = {}

    def _op(self, name: Literal["min", "max"], a: int, b: int) -> int:
        op: Op = (name, min(a, b), max(a, b))
        if op not in self._known:
            self._known[op] = self.inputs + len(self.ops)
            self.ops.append(op)
        return self._known[op]

    def exchange(self, a: int, b: int) -> tuple[int, int]:
        return self._op("min", a, b), self._op("max", a, b)

    def merge(self, a: Sequence[int], b: Sequence[int], from_top: bool = False) -> list[int]:
        """Batcher's odd-even merge of two sorted lists of any lengths.

        With odd lengths the smallest value takes fewer ops than the largest; ``from_top`` turns the network round.
        """
        if from_top:
            return self._merge(a[::-1], b[::-1], falling=True)[::-1]
        return self._merge(a, b, falling=False)

    def _merge(self, a: Sequence[int], b: Sequence[int], falling: bool) -> list[int]:
        if not a or not b:
            return [*a, *b]
        if len(a) == len(b) == 1:
            low, high = self.exchange(a[0], b[0])
            return [high, low] if falling else [low, high]
        even = self._merge(a[::2], b[::2], falling)
        odd = self._merge(a[1::2], b[1::2], falling)
        merged = [even[0]]
        for x, y in zip(odd, even[1:], strict=False):
            low, high = self.exchange(x, y)
            merged += [high, low] if falling else [low, high]
        return merged + even[1 + len(odd) :] + odd[len(even) - 1 :]

    def sort(self, values: Sequence[int], from_top: bool = False) -> list[int]:
        if len(values) < 2:
            return list(values)
        half = len(values) // 2
        return self.merge(self.sort(values[:half], from_top), self.sort(values[half:], from_top), from_top)

    def finish(self, outputs: Sequence[int]) -> Network:
        """Drop every op that no output depends on and number the rest anew."""
        used: set[int] = set()
        stack = [v for v in outputs if v >= self.inputs]
        while stack:
            v = stack.pop()
            if v not in used:
                used.add(v)
                stack += [w for w in self.ops[v - self.inputs][1:] if w >= self.inputs]
        number = {v: v for v in range(self.inputs)}
        ops: list[Op] = []
        for v in sorted(used):
            name, a, b = self.ops[v - self.inputs]
            number[v] = self.inputs + len(ops)
            ops.append((name, number[a], number[b]))
        return Network(self.inputs, tuple(ops), tuple(number[v] for v in outputs))


@cache
def sort_network(count: int) -> Network:
    """Sort ``count`` values; outputs in ascending order."""
    builder = _Builder(count)
    return builder.finish(builder.sort(range(count)))


def _ranks(rows: int, columns: int, rank: int, merged: int) -> tuple[int, int]:
    """First and last rank of ``merged`` columns (out of ``columns``) that can still decide the result."""
    return max(0, rank - (columns - merged) * rows), min(rank, merged * rows - 1)


def _merge_ranks(
    builder: _Builder,
    window: tuple[int, int, int],
    left: Sequence[int],
    right: Sequence[int],
    counts: tuple[int, int],
    from_top: bool,
) -> list[int]:
    """Merge two trimmed lists of ``counts`` columns and trim the result to the ranks that matter."""
    first, last = _ranks(*window, sum(counts))
    below = sum(_ranks(*window, count)[0] for count in counts)  # samples already dropped as too small
    return builder.merge(left, right, from_top)[first - below : last - below + 1]


@cache
def _merge_cost(window: tuple[int, int, int], a: int, b: int) -> tuple[int, bool]:
    """Ops to merge ``a`` with ``b`` columns of a (rows, columns, rank) window, and whether from the top."""
    sizes = [last - first + 1 for first, last in (_ranks(*window, count) for count in (a, b))]
    costs = []
    for from_top in (False, True):
        builder = _Builder(sum(sizes))
        values = range(sum(sizes))
        kept = _merge_ranks(builder, window, values[: sizes[0]], values[sizes[0] :], (a, b), from_top)
        costs.append((len(builder.finish(kept).ops), from_top))
    return min(costs)


@cache
def _split(window: tuple[int, int, int], merged: int) -> tuple[int, int]:
    """Fewest ops to merge ``merged`` columns, and how many of them go into the left part."""
    if merged == 1:
        return 0, 1
    costs = []
    for a in range(merged // 2, 0, -1):  # the most even split first: on a tie its chains are the shortest
        b = merged - a
        costs.append((_merge_cost(window, a, b)[0] + _split(window, a)[0] + _split(window, b)[0], a))
    return min(costs, key=lambda cost: cost[0])


def _by_rows(rows: int, columns: int, rank: int) -> Network:
    """Select by sorting across the columns too: what 3x3 windows are fastest with.

    With columns and rows sorted, element (i, j) has (i + 1)(j + 1) - 1 others that are not larger and
    (rows - i)(columns - j) - 1 that are not smaller, so the corners drop out; what is left of each row is sorted.
    """
    builder = _Builder(rows * columns)
    kept: list[list[int]] = []
    below = 0
    for i in range(rows):
        row = builder.sort([j * rows + i for j in range(columns)], from_top=2 * i < rows)
        small = [(rows - i) * (columns - j) > rows * columns - rank for j in range(columns)]
        large = [(i + 1) * (j + 1) > rank + 1 for j in range(columns)]
        below += sum(small)
        kept.append([v for v, s, t in zip(row, small, large, strict=True) if not s and not t])
    rank -= below
    total = sum(map(len, kept))
    counts = list(map(len, kept))  # how many samples a list stands for; trimmed ones keep fewer
    trimmed = [0] * len(kept)
    while len(kept) > 1:
        order = sorted(range(len(kept)), key=lambda n: counts[n])
        a, b, rest = order[0], order[1], order[2:]
        count = counts[a] + counts[b]
        merged = builder.merge(kept[a], kept[b])
        dropped = trimmed[a] + trimmed[b]
        first, last = max(0, rank - (total - count)), min(rank, count - 1)
        kept = [kept[n] for n in rest] + [merged[first - dropped : last - dropped + 1]]
        counts, trimmed = [counts[n] for n in rest] + [count], [trimmed[n] for n in rest] + [first]
    return builder.finish([kept[0][rank - trimmed[0]]])


@cache
def select_network(rows: int, columns: int, rank: int, outputs: int = 1) -> Network:
    """Element of rank ``rank`` (0 = smallest) of windows made of sorted columns.

    Inputs are ``columns + outputs - 1`` sorted columns of ``rows`` values: element ``i`` (ascending) of column ``j``
    has number ``j * rows + i``. Output ``o`` is the selected value of the window of columns ``o .. o + columns - 1``.
    """
    by_columns = _by_columns(rows, columns, rank, outputs)
    if outputs == 1:
        by_rows = _by_rows(rows, columns, rank)
        if len(by_rows.ops) < len(by_columns.ops):
            return by_rows
    return by_columns


@cache
def strip_network(rows: int, columns: int, rank: int, outputs: int = 1) -> Network:
    """Like `select_network` on columns that are not sorted yet: sorts each once, then selects.

    ``strip_network(n, 1, rank)`` selects from ``n`` samples in any order.
    """
    builder = _Builder((columns + outputs - 1) * rows)
    lists = [builder.sort(range(j * rows, (j + 1) * rows)) for j in range(columns + outputs - 1)]
    return builder.finish(_select(builder, lists, (rows, columns, rank), outputs))


def _by_columns(rows: int, columns: int, rank: int, outputs: int) -> Network:
    builder = _Builder((columns + outputs - 1) * rows)
    lists = [list(range(j * rows, (j + 1) * rows)) for j in range(columns + outputs - 1)]
    return builder.finish(_select(builder, lists, (rows, columns, rank), outputs))


def _select(builder: _Builder, lists: list[list[int]], window: tuple[int, int, int], outputs: int) -> list[int]:
    """Select by merging sorted columns, sharing the merges that neighbouring windows have in common."""
    rows, columns, rank = window
    merged: dict[tuple[int, int], list[int]] = {}  # (first column, columns) -> the ranks that matter

    def join(start: int, a: int, b: int) -> list[int]:
        key = (start, a + b)
        if key not in merged:
            from_top = _merge_cost(window, a, b)[1]
            merged[key] = _merge_ranks(builder, window, take(start, a), take(start + a, b), (a, b), from_top)
        return merged[key]

    def take(start: int, count: int) -> list[int]:
        if (start, count) in merged:
            return merged[start, count]
        if count == 1:
            first, last = _ranks(rows, columns, rank, 1)
            return lists[start][first : last + 1]
        left = _split(window, count)[1]
        return join(start, left, count - left)

    def share(first: int, last: int) -> None:
        """Windows ``first .. last`` have columns ``last .. first + columns - 1`` in common: merge those, then halve."""
        if first == last:
            return
        middle = (first + last) // 2
        common = first + columns - last
        if common > 0:
            take(last, common)
            join(middle, last - middle, common)  # the left half's common columns start at `middle`
            join(last, common, middle + 1 - first)  # and the right half's end before `middle + 1 + columns`
        share(first, middle)
        share(middle + 1, last)

    share(0, outputs - 1)
    return [take(o, columns)[0] for o in range(outputs)]


def evaluate(
    network: Network, values: Iterable[Any], low: Callable[[Any, Any], Any], high: Callable[[Any, Any], Any]
) -> list[Any]:
    """Run a network with ``low`` and ``high`` as min and max (``np.minimum`` runs it on whole images)."""
    numbered = list(values)
    for name, a, b in network.ops:
        numbered.append((low if name == "min" else high)(numbered[a], numbered[b]))
    return [numbered[v] for v in network.outputs]


def live_values(network: Network) -> int:
    """Most values alive at once if inputs are loaded where they are first used: a floor for the registers needed."""
    last_use = {v: len(network.ops) for v in network.outputs}
    alive = {v for v in network.outputs if v < network.inputs}
    for i, (_, a, b) in reversed(list(enumerate(network.ops))):
        last_use.setdefault(a, i)
        last_use.setdefault(b, i)
    most = 0
    for i, (_, a, b) in enumerate(network.ops):
        alive |= {a, b}
        most = max(most, len(alive))
        alive = {v for v in alive if last_use[v] > i}
        if network.inputs + i in last_use:
            alive.add(network.inputs + i)
    return max(most, len(alive))
