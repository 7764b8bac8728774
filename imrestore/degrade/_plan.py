"""What is to be done to every sample of a batch: drawn once, on the host, for all samples at a time, before any pixel is looked at.

A plan is a list of launches (`_launches`): an operation of the kernels, the samples it is done to, and their parameters. It is the
same for a NumPy, a CuPy and a torch batch, and for a sample alone or among others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from imrestore_kernels import philox
from imrestore_kernels.samples import COLUMNS, Job

from imrestore._checks.values import shown
from imrestore.degrade._distributions import Choice, Uniform
from imrestore.degrade._launches import IMAGE, ArrayLaunch, Launch, Numbers, Operation, PlainLaunch
from imrestore.degrade._numbers import Floats
from imrestore.degrade._values import Value, distribution

# Plain numbers: a member of an enumeration takes NumPy three times as long to index with.
_CHANNELS, _HEIGHT, _WIDTH, _OUT_HEIGHT, _OUT_WIDTH, _SEED, _INDEX, _STREAM = map(
    int, (Job.CHANNELS, Job.HEIGHT, Job.WIDTH, Job.OUT_HEIGHT, Job.OUT_WIDTH, Job.SEED, Job.INDEX, Job.STREAM)
)
_COLUMNS = {letter: int(Job[letter]) for letter in "ABCDEF"}
_OWN = slice(_COLUMNS["A"], _COLUMNS["F"] + 1)
_ZEROS = (0.0,) * COLUMNS

#: Streams of random numbers of one step: the first for its parameters, the others for its operations.
STREAMS_PER_STEP = 16
#: Uniform random numbers that are made at once for each sample and step; steps that draw more pay for another call.
DRAWN_AT_ONCE = 16


@lru_cache(maxsize=64)
def _streams(steps: int) -> Numbers:
    return np.arange(steps, dtype=np.int64) * STREAMS_PER_STEP


@dataclass(slots=True)
class Batch:
    """Shapes of the samples as far as the plan goes, and the launches so far."""

    indices: np.ndarray[Any, np.dtype[np.uint64]]
    seed: int
    #: A job for each sample as it is now, to be copied for every launch.
    now: Numbers
    data_range: float
    steps: int
    #: Channels, height and width of all samples at first.
    shape: tuple[int, int, int]
    launches: list[Launch] = field(default_factory=list)
    tables: list[Floats] = field(default_factory=list)
    table_length: int = 0
    #: What was drawn for each sample, if anybody asks.
    records: list[list[tuple[str, dict[str, Any]]]] | None = None
    #: Makes the random numbers: `philox.parameters`, or the same numbers sooner.
    parameters: Callable[..., Floats] = philox.parameters
    _drawn: Floats | None = None
    _rolls: list[list[float]] | None = None
    _more: dict[int, Floats] = field(default_factory=dict)

    @classmethod
    def of(
        cls, indices: np.ndarray[Any, np.dtype[np.uint64]], seed: int, shape: tuple[int, int, int], data_range: float, steps: int
    ) -> Batch:
        """Samples that all have the shape (channels, height, width)."""
        first = [0, 0, *shape, *shape[1:], (seed ^ 1 << 63) - (1 << 63)]
        now = np.array([first + [0] * (COLUMNS - len(first))] * len(indices), np.int64).reshape(-1, COLUMNS)
        now[:, _INDEX] = indices.view(np.int64)
        return cls(indices, seed, now, data_range, steps, shape)

    @property
    def sizes(self) -> tuple[Numbers, Numbers]:
        """Heights and widths as they are now."""
        return self.now[:, Job.HEIGHT].copy(), self.now[:, Job.WIDTH].copy()

    def uniforms(self, step: int, count: int) -> Floats:
        """The first ``count`` random numbers, or more, of a step for every sample, (samples, count)."""
        if count > DRAWN_AT_ONCE:
            if step not in self._more or self._more[step].shape[1] < count:
                stream = np.array([step * STREAMS_PER_STEP], np.int64)
                more = -(-count // DRAWN_AT_ONCE) * DRAWN_AT_ONCE
                self._more[step] = self.parameters(self.seed, self.indices, stream, more)[:, 0]
            return self._more[step]
        if self._drawn is None:
            self._drawn = self.parameters(self.seed, self.indices, _streams(self.steps), DRAWN_AT_ONCE)
        return self._drawn[:, step]

    def rolls(self, step: int) -> list[float]:
        """The first `DRAWN_AT_ONCE` random numbers of a step for a sample that is alone."""
        if self._rolls is None:
            self.uniforms(0, 1)
            assert self._drawn is not None
            self._rolls = self._drawn[0].tolist()
        return self._rolls[step]

    def last(self, sample: int) -> tuple[PlainLaunch, int] | tuple[None, int]:
        """The launch that a sample went through last and its row there, if it can still be changed."""
        for launch in reversed(self.launches):
            row = launch.rows.get(sample, -1)
            if row >= 0:
                return (launch, row) if isinstance(launch, PlainLaunch) else (None, -1)
        return None, -1

    def drop(self, launch: Launch, sample: int) -> None:
        """Take a sample out of a launch, which changes no sizes."""
        del launch.rows[sample]
        if not launch.rows:
            self.launches.remove(launch)

    def resize(self, launch: PlainLaunch, row: int, sample: int, size: tuple[int, int]) -> None:
        """Let a launch make another size of a sample that went through it last."""
        launch.jobs[row][_OUT_HEIGHT:_SEED] = size
        self.now[sample, _HEIGHT:_SEED] = size + size

    def table(self) -> Floats:
        """All tables in one."""
        return np.concatenate(self.tables) if self.tables else np.zeros(1)


class Draw:
    """What a step sees of a batch: the samples that it is done to, their shapes, and their random numbers.

    Everything is an array with one entry per sample; what is called plain is a list of Python's numbers. Of a sample alone NumPy
    takes about a microsecond for whatever is done to an array, and beside pixels, which leave nothing else in the cache, two:
    geometry and colours are drawn in plain numbers, which took 0.2 to 0.35 ms of a call as arrays.
    """

    __slots__ = ("_all", "_alone", "_used", "batch", "ids", "origin", "step", "unit")

    def __init__(
        self, batch: Batch, ids: Numbers, step: int, unit: float = 1.0, origin: tuple[Numbers, Numbers] | None = None
    ) -> None:
        self.batch, self.ids, self.step = batch, ids, step
        #: What an amplitude of 1 in a step is in the image's units.
        self.unit = unit
        self.origin = origin
        self._used = 0
        self._all = len(ids) == len(batch.now)  # slices cost a third of what picking them out does
        self._alone = self._all and len(ids) == 1

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def channels(self) -> Numbers:
        return self._column(_CHANNELS)

    @property
    def heights(self) -> Numbers:
        return self._column(_HEIGHT)

    @property
    def widths(self) -> Numbers:
        return self._column(_WIDTH)

    def _column(self, column: int) -> Numbers:
        values: Numbers = self.batch.now[:, column] if self._all else self.batch.now[self.ids, column]
        return values

    @property
    def white(self) -> float:
        """The value of white, from a black of 0."""
        return self.batch.data_range

    @property
    def first_sizes(self) -> tuple[Numbers, Numbers]:
        """Heights and widths where sizes are counted from: where the outermost chain begins, or the innermost that says so."""
        if self.origin is None:
            _, height, width = self.batch.shape
            return np.full(len(self.ids), height), np.full(len(self.ids), width)
        return self.origin[0][self.ids], self.origin[1][self.ids]

    def at(self, step: int, ids: Numbers | None = None) -> Draw:
        """For another step, and for these samples only."""
        return Draw(self.batch, self.ids if ids is None else ids, step, self.unit, self.origin)

    def inside(self, unit: float, start: bool) -> Draw:
        """For the steps of a chain, which may begin here to count sizes."""
        return Draw(self.batch, self.ids, self.step, unit, self.batch.sizes if start else self.origin)

    def uniforms(self, count: int = 1) -> Floats:
        """The next ``count`` uniform random numbers in (0, 1) of each sample, (samples, count)."""
        start, self._used = self._used, self._used + count
        drawn = self.batch.uniforms(self.step, self._used)
        return drawn[:, start : self._used] if self._all else drawn[self.ids, start : self._used]

    def plain_uniforms(self, count: int) -> list[list[float]]:
        """The same, plain."""
        start, stop = self._used, self._used + count
        if self._alone and stop <= DRAWN_AT_ONCE:
            self._used = stop
            return [self.batch.rolls(self.step)[start:stop]]
        rows: list[list[float]] = self.uniforms(count).tolist()
        return rows

    def plain_value(self, value: Value) -> list[float]:
        """A parameter for each sample, plain: the number that `value` draws."""
        drawn_from = distribution(value)
        if drawn_from is None:
            return [float(value)] * len(self.ids)  # type: ignore[arg-type]
        if type(drawn_from) is Uniform:
            low, span = drawn_from.low, drawn_from.high - drawn_from.low
            return [low + span * u for (u,) in self.plain_uniforms(1)]
        numbers: list[float] = drawn_from.sample(self.uniforms()[:, 0]).tolist()
        return numbers

    @property
    def plain_ids(self) -> list[int]:
        """Numbers of the samples in the batch."""
        ids: list[int] = self.ids.tolist()
        return ids

    @property
    def plain_shapes(self) -> list[list[int]]:
        """Channels, height and width of each sample."""
        now = self.batch.now[:, _CHANNELS:_OUT_HEIGHT]
        shapes: list[list[int]] = (now if self._all else now[self.ids]).tolist()
        return shapes

    @property
    def plain_sizes(self) -> list[tuple[int, int]]:
        """Height and width of each sample."""
        return [(height, width) for _, height, width in self.plain_shapes]

    def value(self, value: Value) -> Floats:
        """A parameter for each sample. A distribution takes one random number of each, a number none."""
        drawn_from = distribution(value)
        if drawn_from is None:
            return np.full(len(self.ids), float(value))  # type: ignore[arg-type]
        return drawn_from.sample(self.uniforms()[:, 0])

    def option(self, value: Any) -> list[Any]:
        """A parameter that is no number: as it is for all, or what each sample picks from a `Choice`."""
        if not isinstance(value, Choice):
            return [value] * len(self.ids)
        return [value.values[i] for i in value.picks(self.uniforms()[:, 0]).tolist()]

    def store(self, rows: Floats) -> Numbers:
        """Keep a row of numbers of each sample for the kernels, (samples, ..); where each begins in the table."""
        rows = np.ascontiguousarray(rows, np.float64).reshape(len(rows), -1)
        start, length = self.batch.table_length, rows.shape[1]
        self.batch.tables.append(rows.ravel())
        self.batch.table_length += rows.size
        return start + length * np.arange(len(rows), dtype=np.int64)

    def launch(
        self,
        operation: Operation,
        numbers: Sequence[Floats | float] = (),
        *,
        out: tuple[Numbers, Numbers] | None = None,
        out_channels: Numbers | None = None,
        stream: int = 1,
        seed_index: int | None = None,
        roles: Sequence[str] = (IMAGE,),
        for_masks: Mapping[int, int] | None = None,
        only: np.ndarray[Any, np.dtype[np.bool_]] | None = None,
        **columns: Numbers | int,
    ) -> None:
        """Do ``operation`` to the samples.

        Parameters
        ----------
        operation : Operation
            What is done.
        numbers : sequence
            Its numbers, each one for all samples or an array with one for each.
        out : tuple, optional
            Height and width of the results, where they are not those of the samples.
        out_channels : array, optional
            Channels of the results, the same.
        stream : int
            First of its streams of random numbers, 1 to 15, among those of the step.
        seed_index : int, optional
            Number of the sample that random fields are made for, instead of each sample's own: 0 for a pattern that all share.
        roles : sequence of str
            Who it is done to: the image, or its companions as well.
        for_masks : mapping, optional
            Columns of the jobs that are different for a mask.
        only : bool array, optional
            Which of the samples, if not all.
        **columns
            Columns A to F of the jobs, by these letters.
        """
        batch, ids = self.batch, self.ids
        jobs = batch.now.copy() if self._all else batch.now[ids]
        if out is not None:
            jobs[:, _OUT_HEIGHT], jobs[:, _OUT_WIDTH] = out
        if seed_index is not None:
            jobs[:, _INDEX] = seed_index
        jobs[:, _STREAM] = self.step * STREAMS_PER_STEP + stream
        for letter, column in columns.items():
            jobs[:, _COLUMNS[letter]] = column
        values = np.zeros((len(ids), COLUMNS))
        for n, number in enumerate(numbers):
            values[:, n] = number
        results = jobs[:, _CHANNELS] if out_channels is None else out_channels
        if only is not None:
            ids, jobs, values, results = ids[only], jobs[only], values[only], results[only]
        if len(ids) == 0:
            return
        batch.launches.append(ArrayLaunch(operation, ids, roles, for_masks or {}, jobs, values, results))
        if out is not None or out_channels is not None:
            sizes = jobs[:, _OUT_HEIGHT:_SEED]
            batch.now[ids, _CHANNELS] = results
            batch.now[ids, _HEIGHT:_OUT_HEIGHT] = sizes
            batch.now[ids, _OUT_HEIGHT:_SEED] = sizes

    def launch_plain(
        self,
        operation: Operation,
        places: Sequence[int],
        numbers: Sequence[Sequence[float]] = (),
        columns: Sequence[Sequence[int]] = (),
        *,
        out: Sequence[tuple[int, int]] = (),
        roles: Sequence[str] = (IMAGE,),
        for_masks: Mapping[int, int] | None = None,
        stored: Sequence[Sequence[float]] = (),
    ) -> None:
        """Do ``operation`` to the samples at some places of this draw.

        For each of these there are its numbers, the columns A to F of its job, and the height and width of its result; and if that
        is what column A points to, numbers of its own in the table.
        """
        if not places:
            return
        batch, stream = self.batch, self.step * STREAMS_PER_STEP + 1
        ids = self.ids if len(places) == len(self.ids) else self.ids[list(places)]
        jobs: list[list[int]] = batch.now.tolist() if len(ids) == len(batch.now) else batch.now[ids].tolist()
        for k, (sample, job) in enumerate(zip(ids.tolist(), jobs, strict=True)):
            job[_STREAM] = stream
            if columns:
                job[_OWN] = columns[k]
            if out and tuple(job[_OUT_HEIGHT:_SEED]) != out[k]:
                job[_OUT_HEIGHT:_SEED] = out[k]
                batch.now[sample, _HEIGHT:_SEED] = out[k] + out[k]
        rows = None
        if stored:
            rows = np.array(stored)
            for job, start in zip(jobs, self.store(rows).tolist(), strict=True):
                job[_COLUMNS["A"]] = start
        own = [[*numbers[k], *_ZEROS[len(numbers[k]) :]] for k in range(len(ids))] if numbers else [[*_ZEROS] for _ in jobs]
        batch.launches.append(PlainLaunch(operation, ids, roles, for_masks or {}, jobs, own, rows))

    def record(self, name: str, **parameters: Any) -> None:
        """Say what was drawn, for those who ask: arrays or lists with one entry per sample, or one value for all."""
        if self.batch.records is None:
            return
        for k, sample in enumerate(self.ids.tolist()):
            own = {key: _entry(value, k) for key, value in parameters.items()}
            self.batch.records[sample].append((name, own))

    def same_channels(self, allowed: Sequence[int], name: str) -> None:
        """Samples with a number of channels that a step can work on."""
        for found in set(self.channels.tolist()):
            if found not in allowed:
                raise ValueError(f"image has {shown(found)} channels; for {name} it must have {' or '.join(map(str, allowed))}")


def _entry(value: Any, k: int) -> Any:
    if isinstance(value, np.ndarray) and value.ndim:
        entry = value[k]
        return entry.item() if entry.ndim == 0 else entry.tolist()
    return value[k] if isinstance(value, list) else value
