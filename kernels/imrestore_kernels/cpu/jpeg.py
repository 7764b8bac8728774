"""What a JPEG encoder and decoder make of samples, on the CPU."""

from __future__ import annotations

import io
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from imrestore_kernels import forks
from imrestore_kernels.cpu._jpeg_blocks import has_rotations, quantisation
from imrestore_kernels.cpu._jpeg_rows import ARGUMENTS, Rows
from imrestore_kernels.cpu._pool import run_rows
from imrestore_kernels.cpu._text_kernel import ALLOCATE, RELEASE, TextKernel
from imrestore_kernels.cpu._vector_text import lanes
from imrestore_kernels.samples import Job, Size

Array = np.ndarray[Any, Any]

#: Coding units of a strip: less would code too much chroma twice.
LEAST_STRIP = 4
#: Nanoseconds that a value takes.
COST = 0.8

_told = itemgetter(Job.SRC, Job.DST, Job.CHANNELS, Job.HEIGHT, Job.WIDTH, Job.A)


def jpeg(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """Baseline JPEG there and back. ``A``: 4:4:4, 4:2:2 or 4:2:0.

    ``numbers``: quality, a whole number from 1 to 100; the value of level 255, above 0, which is level 0.

    The levels are those of libjpeg-turbo's decoder after its encoder, with their defaults: accurate integer transforms and
    "fancy" upsampling. Three channels are red, green and blue; of any other number each is grey. NaN is level 0.
    """
    from_, to = (array.__array_interface__["data"][0] for array in (src, dst))
    bits, item = numbers.view(np.int64), src.itemsize
    for job, quality, white in zip(jobs.tolist(), numbers[:, 0].tolist(), bits[:, 1].tolist(), strict=True):
        start, stop, channels, height, width, subsampling = _told(job)
        steps = _steps(int(quality))  # the array is held here: another thread may put its own in the cache
        places = (from_ + start * item, to + stop * item, steps.address, ALLOCATE, RELEASE)
        fields = np.array([*places, height, width, subsampling, white], np.int64)
        if channels == 3:
            unit = 16 if subsampling == 2 else 8
            run_rows(colour_kernel(src.dtype), (fields,), -(-height // unit), 3 * height * width * COST, LEAST_STRIP)
        else:
            run_rows(grey_kernel(src.dtype), (fields,), channels * -(-height // 8), channels * height * width * COST)


def pillow(src: Array, dst: Array, jobs: Array, numbers: Array, table: Array, size: Size) -> None:
    """The same with Pillow's encoder and decoder."""
    for job, (quality, white) in zip(jobs.tolist(), numbers[:, :2].tolist(), strict=True):
        start, stop, channels, height, width, subsampling = _told(job)
        count = channels * height * width
        with np.errstate(over="ignore"):
            levels = src[start : start + count] * src.dtype.type(255.0 / white)
        levels = np.rint(np.clip(np.where(levels == levels, levels, 0), 0, 255)).astype(np.uint8)
        planes = levels.reshape(channels, height, width)
        pictures = [np.ascontiguousarray(np.moveaxis(planes, 0, -1))] if channels == 3 else list(planes)
        made = np.stack([_through_file(picture, int(quality), subsampling) for picture in pictures])
        values = (np.arange(256) * white / 255).astype(dst.dtype)
        dst[stop : stop + count] = values[np.moveaxis(made[0], -1, 0) if channels == 3 else made].reshape(-1)


def _through_file(picture: Array, quality: int, subsampling: int) -> Array:
    with forks.importing:
        from PIL import Image
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=subsampling)
    with Image.open(file) as read:
        return np.asarray(read)


class _Steps(NamedTuple):
    """Steps of a quality, and where they are."""

    array: Array
    address: int


@cache
def _steps(quality: int) -> _Steps:
    array = quantisation(quality)
    return _Steps(array, array.__array_interface__["data"][0])


@cache
def colour_kernel(dtype: np.dtype[Any]) -> TextKernel:
    """Kernel for samples of three channels."""
    return _text_kernel("jpeg_colour", dtype, 3)


@cache
def grey_kernel(dtype: np.dtype[Any]) -> TextKernel:
    """Kernel for samples of any other number of channels."""
    return _text_kernel("jpeg_grey", dtype, 1)


def _text_kernel(name: str, dtype: np.dtype[Any], channels: int) -> TextKernel:
    x86 = has_rotations()
    name = f"{name}_{dtype}_{lanes(np.dtype(np.float32))}{'' if x86 else '_plain'}"
    return TextKernel(name, lambda: Rows(dtype, x86).whole(channels), ARGUMENTS)
