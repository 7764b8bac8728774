"""Resampling to another size, one axis after the other, and the transpose.

The axis with the smaller scale comes first, the rows' if they are equal (as in MATLAB's imresize); what lies between has the
dtype of the images. The transpose goes the other way round.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from imrestore_kernels.cpu._pool import run_rows
from imrestore_kernels.cpu._resampling_text import SIDE, Along, Down
from imrestore_kernels.cpu._resampling_weights import Axis, Request, forward, transposed
from imrestore_kernels.cpu._text_kernel import ALLOCATE, RELEASE, TextKernel
from imrestore_kernels.cpu._vector_text import lanes
from imrestore_kernels.samples import Job, Size

Array = np.ndarray[Any, Any]

#: Bytes between the two passes: half of a core's own cache.
BETWEEN_BYTES = 1 << 19


def resample(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """Samples of OUT_HEIGHT x OUT_WIDTH.

    ``numbers`` are the scales of y and x (results per sample), the slope of the cubic (-1/2: MATLAB, -3/4: OpenCV and torch) and
    the border's constant. A is the method: 0 nearest (floor(x / scale), as OpenCV and torch do, not MATLAB), 1 bilinear, 2 bicubic,
    3 Lanczos with three lobes, 4 area, 5 Lanczos with two. With B kernels are stretched where an image becomes smaller; C is the
    border rule. `_resampling_weights` has the formulas. Every sum is a chain of fused multiply-adds from 0.
    """
    constants = numbers[:, 3].astype(src.dtype).view(f"i{src.itemsize}").tolist()
    source, to = _address(src), _address(dst)
    for job, given, constant in zip(jobs.tolist(), numbers[:, :3].tolist(), constants, strict=True):
        rows, columns = _requests(job, given)
        axes = _Axes(forward(rows, src.dtype), forward(columns, src.dtype), given[0] <= given[1])
        places = (source + src.itemsize * job[Job.SRC], to + src.itemsize * job[Job.DST])
        shape = (job[Job.HEIGHT], job[Job.WIDTH], job[Job.OUT_HEIGHT], job[Job.OUT_WIDTH])
        axes.run(places, shape, job[Job.CHANNELS], constant, src.dtype, (src, dst))


def resample_adjoint(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """The transpose: of every sample its own part, then those of the samples beyond the border that are taken from it."""
    source, to = _address(src), _address(dst)
    for job, given in zip(jobs.tolist(), numbers[:, :3].tolist(), strict=True):
        rows, columns = _requests(job, given)
        axes = _Axes(transposed(rows, src.dtype), transposed(columns, src.dtype), not given[0] <= given[1])
        places = (source + src.itemsize * job[Job.DST], to + src.itemsize * job[Job.SRC])
        shape = (job[Job.OUT_HEIGHT], job[Job.OUT_WIDTH], job[Job.HEIGHT], job[Job.WIDTH])
        axes.run(places, shape, job[Job.CHANNELS], 0, src.dtype, (src, dst))


def _requests(job: list[int], given: list[float]) -> tuple[Request, Request]:
    scale_y, scale_x, slope = given
    kind = (job[Job.A], slope, bool(job[Job.B]), job[Job.C])
    rows = Request(job[Job.HEIGHT], job[Job.OUT_HEIGHT], scale_y, *kind)
    return rows, Request(job[Job.WIDTH], job[Job.OUT_WIDTH], scale_x, *kind)


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


class _Axes(NamedTuple):
    """Both passes of one sample."""

    down: Axis
    along: Axis
    down_first: bool

    def run(
        self, places: tuple[int, int], shape: tuple[int, int, int, int], channels: int, constant: int, dtype: np.dtype[Any],
        keep: tuple[Array, Array],
    ) -> None:  # fmt: skip
        """From the address of (height, width) planes to that of (out_height, out_width) planes, some of them at a time."""
        height, width, out_height, out_width = shape
        middle = out_height * width if self.down_first else height * out_width
        together = min(channels, max(1, BETWEEN_BYTES // (middle * dtype.itemsize)))
        between = np.empty(together * middle, dtype)
        src, dst = places
        at = _address(between)
        for first in range(0, channels, together):
            count = min(together, channels - first)
            source = src + first * height * width * dtype.itemsize
            to = dst + first * out_height * out_width * dtype.itemsize
            if self.down_first:
                self._down((source, at), (height, out_height, width), count, constant, dtype, (*keep, between))
                self._along((at, to), (width, out_width, out_height), count, constant, dtype, (*keep, between))
            else:
                self._along((source, at), (width, out_width, height), count, constant, dtype, (*keep, between))
                self._down((at, to), (height, out_height, out_width), count, constant, dtype, (*keep, between))

    def _down(
        self, places: tuple[int, int], lengths: tuple[int, int, int], channels: int, constant: int, dtype: np.dtype[Any], keep: Any
    ) -> None:
        axis, rows, across = self.down, channels * lengths[1], lengths[2]
        size = 8 * axis.most + across * dtype.itemsize
        slots = _slots(places, axis, constant, lengths, size)
        run_rows(down(dtype), (slots,), rows, _work(axis, rows * across, dtype), 1, (*keep, axis))

    def _along(
        self, places: tuple[int, int], lengths: tuple[int, int, int], channels: int, constant: int, dtype: np.dtype[Any], keep: Any
    ) -> None:
        axis, (length, out, across) = self.along, lengths
        count = lanes(dtype)
        rows = SIDE * count
        samples = max(axis.high, length) - min(axis.low, 0) + 2 * count
        size = samples * rows * dtype.itemsize + 16 * rows + (out + count) * dtype.itemsize
        slots = _slots(places, axis, constant, lengths, size)
        work = _work(axis, channels * across * (length + out), dtype)
        run_rows(along(dtype), (slots,), channels * across, work, rows, (*keep, axis))


def _work(axis: Axis, values: int, dtype: np.dtype[Any]) -> float:
    return values * (0.3 + 0.03 * axis.most) * dtype.itemsize / 4


def _slots(places: tuple[int, int], axis: Axis, constant: int, lengths: tuple[int, int, int], size: int) -> Array:
    numbers = (*places, *axis.addresses, constant, *lengths, axis.low, axis.high, axis.most, size, ALLOCATE, RELEASE)
    return np.array(numbers, np.int64)


@cache
def down(dtype: np.dtype[Any]) -> TextKernel:
    """Row kernel: results down the columns."""
    return TextKernel(f"resample_down_{dtype}_{lanes(dtype)}", lambda: Down(dtype).whole(), (1,))


@cache
def along(dtype: np.dtype[Any]) -> TextKernel:
    """Row kernel: results along the rows."""
    return TextKernel(f"resample_along_{dtype}_{lanes(dtype)}", lambda: Along(dtype).whole(), (1,))
