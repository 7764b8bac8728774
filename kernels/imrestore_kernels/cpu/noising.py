"""Noise and other damage of single pixels on the CPU: Gaussian, speckle, Poisson, impulses, lines, quantisation, clipping.

Every operation may work in place. What the columns of a job and its numbers s, t, u, v mean, with n for normal numbers; the
random numbers of a value are those at its place (c h + y) w + x in a field of the job's first stream, or of its second (read
noise, new values):

- `gaussian`: x + s n. With A = -1 each channel has its own n, with -2 all have that of y w + x. With A >= 0 x + L n, where L is the
  matrix (channels, channels) at A in the table.
- `speckle`: x (1 + s n), A as above.
- `poisson`: gain s, read noise t, offset u: s P(max(x - u, 0) / s) + u + t n; without shot noise if s = 0: x + t n. The difference
  that this makes counts 1 + v times. With A = -2 that to a pixel's grey (BT.601 of three channels or more, else the mean) is added
  to all its channels.
- `impulse`: with a chance of s a value becomes v, with a chance of t, or else u (A = 0), or a uniform number from u to v (A = 1).
  With B = 1 that happens to pixels, whose channels only differ in their uniform numbers.
- `lines`: x + s n + t sin(2 pi (line / u + v)) for line y (A = 0) or x (A = 1); n is at c lines + line, or at line for all channels
  with B = 1. The phase is made in float64.
- `quantize`: rint((x - t) / s) s + t. `clip`: from s to t.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from imrestore_kernels.cpu import _noise_rows as rows
from imrestore_kernels.cpu._job_rows import CHANNELS, DST, HEIGHT, SRC, WIDTH, A, B
from imrestore_kernels.cpu._noise_rows import CHUNK, OWN, SHARED
from imrestore_kernels.cpu._pool import run_rows
from imrestore_kernels.samples import Size

Array = np.ndarray[Any, Any]
Arrays = tuple[Array, Array, Array, Array, Array]


def _run(kernel: Any, arrays: Arrays, number: int, job: list[int], flat: bool, nanoseconds: float, *extra: Any) -> None:
    """Chunks of one job: of all its values as one plane if ``flat``, else of its planes together."""
    plane, planes = job[HEIGHT] * job[WIDTH], job[CHANNELS]
    work = nanoseconds * planes * plane
    if flat:
        plane, planes = planes * plane, 1
    run_rows(kernel, (*arrays, number, plane, planes, *extra), -(-plane // CHUNK), work)


def _limit(chance: float) -> int:
    """Words below it are as likely as ``chance``: those with (w + 1/2) 2^-32 < chance."""
    return min(max(math.ceil(float(chance) * 2.0**32 - 0.5), 0), 2**32)


def gaussian(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """x + noise of one standard deviation, or correlated between channels by a matrix in ``table``."""
    arrays = (src, dst, jobs, numbers, table)
    for number, job in enumerate(jobs.tolist()):
        if job[A] >= 0:
            _run(rows.correlated_kernel(src.dtype), arrays, number, job, False, 2.0)
        else:
            _run(rows.normal_kernel(src.dtype), arrays, number, job, job[A] == OWN, 1.3, 0, SRC, DST)


def speckle(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """x (1 + s n)."""
    _speckle((src, dst, jobs, numbers, table), SRC, DST)


def speckle_adjoint(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """The same factors, from the places of results to those of images."""
    _speckle((src, dst, jobs, numbers, table), DST, SRC)


def _speckle(arrays: Arrays, origin: int, target: int) -> None:
    kernel = rows.normal_kernel(arrays[0].dtype)
    for number, job in enumerate(arrays[2].tolist()):
        _run(kernel, arrays, number, job, job[A] == OWN, 1.3, 1, origin, target)


def poisson(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """Shot noise of a gain, and read noise; of the pixels' grey if column A says `SHARED`."""
    kernel = rows.poisson_kernel(src.dtype)
    for number, job in enumerate(jobs.tolist()):
        _run(kernel, (src, dst, jobs, numbers, table), number, job, job[A] != SHARED, 5.0)


def impulse(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """Salt and pepper, or random values, in place of some values or of whole pixels (column B)."""
    kernel = rows.impulse_kernel(src.dtype)
    for number, job in enumerate(jobs.tolist()):
        kind = rows.SALT_AND_PEPPER if job[A] == 0 else rows.RANDOM
        extra = (kind, _limit(numbers[number, 0]), _limit(numbers[number, 1]), SRC, DST)
        _run(kernel, (src, dst, jobs, numbers, table), number, job, job[B] == 0, 1.2, *extra)


def impulse_adjoint(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """0 where a value was replaced."""
    kernel = rows.impulse_kernel(src.dtype)
    for number, job in enumerate(jobs.tolist()):
        extra = (rows.NOTHING, _limit(numbers[number, 0]), 0, DST, SRC)
        _run(kernel, (src, dst, jobs, numbers, table), number, job, job[B] == 0, 0.8, *extra)


def lines(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """x + a normal number and a wave for each row, or column if A is 1; the same ones in all channels if B is 1."""
    kernel = rows.lines_kernel(src.dtype)
    for number, job in enumerate(jobs.tolist()):
        height = job[CHANNELS] * job[HEIGHT]
        run_rows(kernel, (src, dst, jobs, numbers, table, number), height, 0.3 * height * job[WIDTH])


def quantize(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """The nearest level low + k step."""
    _values((src, dst, jobs, numbers, table), rows.QUANTIZE, dst, SRC, DST)


def clip(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """Within two limits; NaN stays."""
    _values((src, dst, jobs, numbers, table), rows.CLIP, dst, SRC, DST)


def clip_gradient(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size, image: Array) -> None:
    """The gradient where the image, which lies where the gradient goes, was within the limits; else 0."""
    _values((src, dst, jobs, numbers, table), rows.CLIP_GRADIENT, image, DST, SRC)


def _values(arrays: Arrays, kind: int, image: Array, origin: int, target: int) -> None:
    kernel = rows.values_kernel(arrays[0].dtype)
    for number, job in enumerate(arrays[2].tolist()):
        _run(kernel, arrays, number, job, True, 0.3, kind, image, origin, target)
