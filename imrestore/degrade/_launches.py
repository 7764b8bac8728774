"""Operations of the kernels on samples of a batch, as a plan lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from imrestore_kernels.samples import Job

from imrestore.degrade._numbers import Floats

Numbers = np.ndarray[Any, np.dtype[np.int64]]


class Operation(NamedTuple):
    """A function of the kernels, in the module ``stem`` of either ring."""

    stem: str
    name: str
    #: How the gradient comes back: 'same' (it is handed on as it is), 'adjoint' or 'gradient' (a function of that name; the
    #: latter is also given the image).
    backward: str = "same"
    in_place: bool = True
    #: Reads other samples of the batch, at the places in column A.
    crosses: bool = False


IMAGE, TARGET, MASK = "image", "target", "mask"


@dataclass(eq=False, slots=True)
class Launch:
    """An operation on some samples of the batch."""

    operation: Operation
    ids: Numbers
    #: Whom it is done to: the image alone, or its companions as well.
    roles: Sequence[str]
    #: Columns of the jobs that differ for a mask.
    for_masks: Mapping[int, int]
    _rows: dict[int, int] | None = field(default=None, init=False)

    def arrays(self) -> tuple[Numbers, Numbers, Floats, Numbers]:
        """Samples, their jobs and numbers, and the channels of the results."""
        raise NotImplementedError

    @property
    def rows(self) -> dict[int, int]:
        """The row of each sample."""
        if self._rows is None:
            self._rows = {sample: row for row, sample in enumerate(self.ids.tolist())}
        return self._rows


@dataclass(eq=False, slots=True)
class ArrayLaunch(Launch):
    """One whose parameters were drawn as arrays."""

    jobs: Numbers
    numbers: Floats
    out_channels: Numbers

    def arrays(self) -> tuple[Numbers, Numbers, Floats, Numbers]:
        return self.ids, self.jobs, self.numbers, self.out_channels


@dataclass(eq=False, slots=True)
class PlainLaunch(Launch):
    """One whose parameters were drawn in plain numbers, which later steps may still change: a row for each sample."""

    jobs: list[list[int]]
    numbers: list[list[float]]
    #: Rows of the table that belong to the samples.
    stored: Floats | None

    def arrays(self) -> tuple[Numbers, Numbers, Floats, Numbers]:
        ids, jobs, numbers = self.ids, np.array(self.jobs, np.int64), np.array(self.numbers)
        if len(self.rows) < len(ids):  # samples were taken out again
            left = list(self.rows.values())
            ids, jobs, numbers = ids[left], jobs[left], numbers[left]
        return ids, jobs, numbers, jobs[:, Job.CHANNELS]
