"""A rank filter as a short program of exchange networks over row buffers, in which neighbours share all they can.

Every step of the program is one network applied at every x of a row: it reads values from buffers (at x, or a few samples
further right) and writes sorted lists to buffers, or a result. Work is shared in both directions:

- along x: sorted columns are merged two by two, then four by four: the merge of 2w columns at x is the merge of w columns at
  x with w columns at x + w, which is the same buffer read w samples further right. Each such list is made once per x,
  however many windows it lies in.
- along y: R outputs below each other have most of their rows in common. Those are sorted and merged once; each half of
  the outputs then adds the rows that it alone has, down to single outputs (the hierarchical tiles of Sugy 2025).

Of every list only the ranks that can still decide the result are kept: of m samples out of N, rank q matters only if
``rank - (N - m) <= q <= rank``.

References
----------
K. E. Batcher, "Sorting networks and their applications", AFIPS 1968.
A. Adams, "Fast median filters using separable sorting networks", ACM TOG 2021.
L. Sugy, "Fast median filtering by hierarchical tiling", SIGGRAPH 2025 (arXiv 2507.19926).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from imrestore_kernels.networks import Network, _Builder, live_values

#: Where a value comes from: ("row", source row, dx) or ("buffer", buffer, dx).
Source = tuple[str, int, int]


class Step(NamedTuple):
    """One network applied at every x."""

    inputs: tuple[Source, ...]
    network: Network
    targets: tuple[tuple[str, int], ...]  # ("buffer", number) or ("out", output row), one per network output
    reach: int  # samples beyond the last output that are needed of this step's results


class Program(NamedTuple):
    """Steps in order; ``outputs`` rows of results from ``rows + outputs - 1`` source rows."""

    rows: int
    columns: int
    outputs: int
    buffers: int
    steps: tuple[Step, ...]

    @property
    def ops(self) -> int:
        """Minima and maxima for all outputs at one x."""
        return sum(len(step.network.ops) for step in self.steps)


#: A step of more ops than this is cut up into halves that are compiled once. Larger steps run faster but take longer to compile
#: (31x31, one core, 1 MPix of uint16 and float32: 300 ops 34 and 78 ms, 600 30 and 69, 1500 23 and 51, 4000 27 and 52; machine
#: code in 0.7, 0.8, 1.0 and 1.9 s).
LARGEST_STEP = 1500


class _List(NamedTuple):
    """A sorted list standing for ``samples`` samples, of which ranks ``first .. first + len(values) - 1`` are kept."""

    values: tuple[Source, ...]
    samples: int
    first: int

    def at(self, dx: int) -> _List:
        return self._replace(values=tuple((kind, number, x + dx) for kind, number, x in self.values))


class _Planner:
    def __init__(self, rows: int, columns: int, rank: int) -> None:
        self.columns = columns
        self.total = rows * columns
        self.rank = rank
        self.buffers = 0
        self.steps: list[tuple[tuple[Source, ...], Network, tuple[tuple[str, int], ...]]] = []

    def kept(self, count: int) -> tuple[int, int]:
        return max(0, self.rank - (self.total - count)), min(self.rank, count - 1)

    def join(self, lists: Sequence[_List], out: int | None = None) -> _List:
        """Merge lists, the shortest first, and keep the ranks that matter."""
        pending = sorted(lists, key=lambda item: len(item.values))
        while len(pending) > 2 and _merge_size(tuple(len(item.values) for item in pending)) > LARGEST_STEP:
            pending = sorted([self.join(pending[:2]), *pending[2:]], key=lambda item: len(item.values))
        if len(pending) == 2 and _merge_size(tuple(len(item.values) for item in pending)) > LARGEST_STEP:
            first, last = self.kept(pending[0].samples + pending[1].samples)
            below = pending[0].first + pending[1].first
            keep = range(first - below, last - below + 1) if out is None else range(self.rank - below, self.rank - below + 1)
            values = self.halved(pending[0].values, pending[1].values, keep.start, keep.stop, out)
            return _List(values, pending[0].samples + pending[1].samples, first)
        return self.step(pending, out)

    def halved(
        self, a: tuple[Source, ...], b: tuple[Source, ...], start: int, stop: int, out: int | None
    ) -> tuple[Source, ...]:
        """Values ``start .. stop`` of the merge of two long lists: even and odd ones merged apart, then exchanged.

        One network of thousands of exchanges takes LLVM seconds; the halves are shaped alike and compiled once.
        """
        if _merge_size((len(a), len(b))) <= LARGEST_STEP:
            return self.merged(a, b, start, stop, out)
        total = len(a) + len(b)
        evens = (len(a) + 1) // 2 + (len(b) + 1) // 2
        # merged[0] is even[0]; merged[2j + 1] and merged[2j + 2] are the exchange of odd[j] and even[j + 1].
        first, last = max(0, (start - 1) // 2), min((stop - 2) // 2, total)
        # The odd half is asked for one value more than it needs: both halves are then the same network, compiled once.
        even = self.halved(a[::2], b[::2], first, min(evens, last + 2), None)
        odd = self.halved(a[1::2], b[1::2], first, min(total - evens, last + 2), None)
        sources = {value: i for i, value in enumerate((*even, *odd))}
        builder = _Builder(len(sources))
        values: dict[int, int] = {0: sources[even[0]]} if first == 0 else {}
        for j in range(first, last + 1):
            low = sources[odd[j - first]] if j - first < len(odd) else None
            high = sources[even[j + 1 - first]] if j + 1 - first < len(even) else None
            if low is not None and high is not None:
                values[2 * j + 1], values[2 * j + 2] = builder.exchange(low, high)
            elif low is not None or high is not None:
                values[2 * j + 1] = low if low is not None else high  # type: ignore[assignment]
        return self.emit(tuple(sources), builder, [values[i] for i in range(start, stop)], out)

    def merged(
        self, a: tuple[Source, ...], b: tuple[Source, ...], start: int, stop: int, out: int | None
    ) -> tuple[Source, ...]:
        """One step: values ``start .. stop`` of the merge of two lists."""
        builder = _Builder(len(a) + len(b))
        numbers = range(len(a) + len(b))
        top = _from_top((len(a), len(b), start, stop - 1))
        return self.emit((*a, *b), builder, builder.merge(numbers[: len(a)], numbers[len(a) :], top)[start:stop], out)

    def emit(self, sources: tuple[Source, ...], builder: _Builder, values: Sequence[int], out: int | None) -> tuple[Source, ...]:
        """Add a step that writes ``values`` to new buffers, or its only value to an output."""
        if out is None:
            targets = tuple(("buffer", self.buffers + i) for i in range(len(values)))
            self.buffers += len(values)
        else:
            targets = (("out", out),)
        self.steps.append((sources, builder.finish(values), targets))
        return tuple((kind, number, 0) for kind, number in targets)

    def step(self, lists: Sequence[_List], out: int | None) -> _List:
        """One step that merges all of the lists."""
        sources: dict[Source, int] = {}
        for item in lists:
            for value in item.values:
                sources.setdefault(value, len(sources))
        builder = _Builder(len(sources))
        pending = [(item.samples, item.first, [sources[v] for v in item.values]) for item in lists]
        while len(pending) > 1:
            pending.sort(key=lambda entry: len(entry[2]))
            (count_a, first_a, a), (count_b, first_b, b), *rest = pending
            count, below = count_a + count_b, first_a + first_b
            first, last = self.kept(count)
            top = _from_top((len(a), len(b), first - below, last - below))
            pending = [*rest, (count, first, builder.merge(a, b, top)[first - below : last - below + 1])]
        count, first, values = pending[0]
        if out is not None:
            values = [values[self.rank - first]]
        return _List(self.emit(tuple(sources), builder, values, out), count, first)

    def column(self, rows: Sequence[int]) -> _List:
        """Sort the samples of some rows at each x."""
        first, last = self.kept(len(rows))
        if len(rows) == 1:
            return _List((("row", rows[0], 0),), 1, 0)
        builder = _Builder(len(rows))
        ordered = builder.sort(range(len(rows)))[first : last + 1]
        return _List(self.emit(tuple(("row", r, 0) for r in rows), builder, ordered, None), len(rows), first)

    def box(self, rows: Sequence[int]) -> list[_List]:
        """Sorted lists that together are all samples of some rows, ``columns`` wide."""
        chain = [self.column(rows)]
        width = 1
        while 2 * width <= self.columns:
            chain.append(self.join([chain[-1], chain[-1].at(width)]))
            width *= 2
        parts, x = [], 0
        for level in range(len(chain) - 1, -1, -1):
            if self.columns >> level & 1:
                parts.append(chain[level].at(x))
                x += 1 << level
        return parts

    def outputs(self, shared: list[_List], first: int, last: int, rows: int) -> None:
        """Outputs ``first .. last``, whose common rows ``last .. first + rows - 1`` are in ``shared``."""
        if first == last:
            self.join(shared, out=first)
            return
        common = shared[0] if len(shared) == 1 else self.join(shared)
        middle = (first + last) // 2
        self.outputs([common, *self.box(range(middle, last))], first, middle, rows)
        self.outputs([common, *self.box(range(first + rows, middle + 1 + rows))], middle + 1, last, rows)


@cache
def _merge_size(lengths: tuple[int, ...]) -> int:
    """Roughly the ops of merging lists of these lengths one after the other."""
    lengths = tuple(sorted(lengths))
    ops, total = 0, lengths[0]
    for length in lengths[1:]:
        total += length
        ops += total * max(1, (2 * length).bit_length() - 1)
    return ops


@cache
def _from_top(window: tuple[int, int, int, int]) -> bool:
    """Whether the merge that keeps some middle ranks takes fewer ops turned round."""
    a, b, first, last = window
    costs = []
    for top in (False, True):
        builder = _Builder(a + b)
        costs.append(len(builder.finish(builder.merge(range(a), range(a, a + b), top)[first : last + 1]).ops))
    return costs[1] < costs[0]


@cache
def rank_program(rows: int, columns: int, rank: int, outputs: int) -> Program:
    """Program for the element of rank ``rank`` in windows of rows x columns, ``outputs`` rows at a time."""
    planner = _Planner(rows, columns, rank)
    planner.outputs(planner.box(range(outputs - 1, rows)), 0, outputs - 1, rows)
    reach = [0] * planner.buffers
    steps: list[Step] = []
    for inputs, network, targets in reversed(planner.steps):
        need = max((reach[number] for kind, number in targets if kind == "buffer"), default=0)
        for kind, number, dx in inputs:
            if kind == "buffer":
                reach[number] = max(reach[number], need + dx)
        steps.append(Step(inputs, network, targets, need))
    return Program(rows, columns, outputs, planner.buffers, tuple(reversed(steps)))


#: Cycles of one exchange half, an aligned load, a load that straddles two cache lines, a store, and a value too many for
#: the 32 vector registers: what the 5x5 and 7x7 programs for uint16 and float32 measured on a Zen 5 core.
_OP, _LOAD, _SHIFTED_LOAD, _STORE, _SPILL = 0.5, 0.5, 1.0, 1.0, 1.5
_REGISTERS = 30
#: Steps with more ops than this always write their lists to buffers.
_LARGEST_INLINED = 40


class _Inliner:
    """Decides step by step whether its lists are written to buffers or computed anew in each step that reads them."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.steps: list[Step | None] = list(program.steps)
        self.made = {
            number: (index, i)
            for index, step in enumerate(program.steps)
            for i, (kind, number) in enumerate(step.targets)
            if kind == "buffer"
        }

    def readers(self, index: int) -> list[int]:
        step = self.steps[index]
        assert step is not None
        numbers = {number for kind, number in step.targets if kind == "buffer"}
        return [
            i
            for i, other in enumerate(self.steps)
            if other is not None and any(kind == "buffer" and number in numbers for kind, number, _ in other.inputs)
        ]

    def inline(self, reader: Step, index: int) -> Step:
        """``reader`` with the results of step ``index`` computed from that step's own inputs."""
        step = self.steps[index]
        assert step is not None
        sources: dict[Source, int] = {}
        offsets = sorted({dx for kind, number, dx in reader.inputs if self._is_from(kind, number, index)})
        for kind, number, dx in reader.inputs:
            if not self._is_from(kind, number, index):
                sources.setdefault((kind, number, dx), len(sources))
        for dx in offsets:
            for kind, number, inner in step.inputs:
                sources.setdefault((kind, number, inner + dx), len(sources))
        builder = _Builder(len(sources))
        results = {
            dx: _apply(builder, step.network, [sources[kind, number, inner + dx] for kind, number, inner in step.inputs])
            for dx in offsets
        }
        values = [
            results[dx][self.made[number][1]] if self._is_from(kind, number, index) else sources[kind, number, dx]
            for kind, number, dx in reader.inputs
        ]
        network = builder.finish(_apply(builder, reader.network, values))
        return Step(tuple(sources), network, reader.targets, reader.reach)

    def _is_from(self, kind: str, number: int, index: int) -> bool:
        return kind == "buffer" and self.made[number][0] == index

    def run(self) -> Program:
        for index, step in enumerate(self.program.steps):
            current = self.steps[index]
            if current is None or step.targets[0][0] == "out" or len(current.network.ops) > _LARGEST_INLINED:
                continue
            readers = self.readers(index)
            before = _cost(current) + sum(_cost(r) for i in readers if (r := self.steps[i]) is not None)
            after = {i: self.inline(r, index) for i in readers if (r := self.steps[i]) is not None}
            if sum(map(_cost, after.values())) < before:
                self.steps[index] = None
                for i, inlined in after.items():
                    self.steps[i] = inlined
        return _renumbered(self.program, [step for step in self.steps if step is not None])


def _apply(builder: _Builder, network: Network, values: list[int]) -> list[int]:
    numbers = list(values)
    for name, a, b in network.ops:
        numbers.append(builder.exchange(numbers[a], numbers[b])[name == "max"])
    return [numbers[v] for v in network.outputs]


def _cost(step: Step) -> float:
    loads = sum(_SHIFTED_LOAD if dx else _LOAD for _, _, dx in step.inputs)
    spilled = max(0, live_values(step.network) - _REGISTERS)
    return len(step.network.ops) * _OP + loads + len(step.targets) * _STORE + spilled * _SPILL


def _renumbered(program: Program, steps: list[Step]) -> Program:
    """The program with these steps only; a buffer is used again once nothing reads it any more (first fit)."""
    last_read = {number: i for i, step in enumerate(steps) for kind, number, _ in step.inputs if kind == "buffer"}
    new: dict[int, int] = {}
    held: dict[int, int] = {}  # place of a buffer in use -> the last step that reads it
    for i, step in enumerate(steps):
        held = {place: last for place, last in held.items() if last >= i}
        numbers = [number for kind, number in step.targets if kind == "buffer"]
        start = 0
        while clash := [start + n for n in range(len(numbers)) if start + n in held]:
            start = clash[-1] + 1
        for place, number in enumerate(numbers, start):
            new[number] = place
            held[place] = last_read.get(number, i)

    def rename(kind: str, number: int) -> int:
        return new[number] if kind == "buffer" else number

    renamed = [
        step._replace(
            inputs=tuple((kind, rename(kind, number), dx) for kind, number, dx in step.inputs),
            targets=tuple((kind, rename(kind, number)) for kind, number in step.targets),
        )
        for step in steps
    ]
    return program._replace(buffers=max(new.values(), default=-1) + 1, steps=tuple(renamed))


@cache
def inlined_program(rows: int, columns: int, rank: int, outputs: int) -> Program:
    """`rank_program` with small steps computed where they are needed, if that saves more memory traffic than it costs."""
    return _Inliner(rank_program(rows, columns, rank, outputs)).run()
