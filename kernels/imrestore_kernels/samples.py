"""Batches of samples that differ in size, and the numbers that every operation on them is told: one definition for both rings.

A batch lies in one array of one float type, each sample as C-contiguous planes (channels, height, width) somewhere in it. An
operation is a function ``op(src, dst, jobs, numbers, table, size)``; row j of ``jobs`` says where sample j comes from and goes
to, and row j of ``numbers`` its parameters.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

#: Columns of `jobs` (int64) and of `numbers` (float64).
COLUMNS = 16


class Job(IntEnum):
    """Columns of ``jobs``; ``A`` to ``F`` mean what the operation says."""

    SRC = 0  # where the sample begins in src, in elements
    DST = 1  # where the result begins in dst
    CHANNELS = 2
    HEIGHT = 3
    WIDTH = 4
    OUT_HEIGHT = 5  # of the result; most operations leave them as they are
    OUT_WIDTH = 6
    SEED = 7  # key of the generator, the 64 bits of a uint64
    INDEX = 8  # number of the sample, the same
    STREAM = 9  # first of the streams of random numbers that the operation may use
    A = 10
    B = 11
    C = 12
    D = 13
    E = 14
    F = 15


class Work(NamedTuple):
    """An operation on some samples of a batch, as the executors of the rings get it."""

    stem: str
    name: str
    ids: np.ndarray[Any, np.dtype[np.int64]]
    jobs: np.ndarray[Any, np.dtype[np.int64]]  # places are filled in by the executor
    numbers: np.ndarray[Any, np.dtype[np.float64]]
    in_place: bool
    #: Column A holds the number of another sample: its place is put there.
    crosses: bool
    #: How the gradient comes back: 'same', 'adjoint', 'gradient'.
    backward: str
    out_channels: np.ndarray[Any, np.dtype[np.int64]]


class Size(NamedTuple):
    """The largest of a batch's jobs, for grids and scratch memory; on the host."""

    jobs: int
    channels: int
    height: int
    width: int
    out_height: int
    out_width: int

    @classmethod
    def of(cls, jobs: np.ndarray[Any, Any]) -> Size:
        """Of these jobs, an array on the host."""
        columns = (Job.CHANNELS, Job.HEIGHT, Job.WIDTH, Job.OUT_HEIGHT, Job.OUT_WIDTH)
        return cls(len(jobs), *(int(jobs[:, column].max()) for column in columns))
