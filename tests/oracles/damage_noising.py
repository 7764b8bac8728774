"""Noise of single pixels, on whole samples: every operation rounded in the image's own type, as the kernels must."""

from __future__ import annotations

from typing import Any

import numpy as np
from imrestore_kernels import elementary, philox, poisson
from imrestore_kernels.samples import Job


def normals(job: np.ndarray, count: int, stream: int = 0) -> np.ndarray:
    return philox.normals(int(job[Job.SEED]), int(job[Job.INDEX]), int(job[Job.STREAM]) + stream, count)


def words(job: np.ndarray, count: int, stream: int = 0) -> np.ndarray:
    return philox.field(int(job[Job.SEED]), int(job[Job.INDEX]), int(job[Job.STREAM]) + stream, count)


def own_or_shared(image: np.ndarray, job: np.ndarray) -> np.ndarray:
    """Normal numbers for every value, in the image's type."""
    shape = image.shape if job[Job.A] != -2 else (1, *image.shape[1:])
    return normals(job, int(np.prod(shape))).reshape(shape).astype(image.dtype)


def gaussian(image: np.ndarray, job: np.ndarray, numbers: np.ndarray, table: np.ndarray) -> np.ndarray:
    if job[Job.A] < 0:
        return image + image.dtype.type(numbers[0]) * own_or_shared(image, job)
    channels = len(image)
    matrix = table[job[Job.A] : job[Job.A] + channels**2].reshape(channels, channels)
    n = normals(job, image.size).reshape(image.shape).astype(image.dtype)
    result = []
    for c in range(channels):
        noise = matrix[c, 0] * n[0]
        for k in range(1, channels):
            noise = noise + matrix[c, k] * n[k]
        result.append(image[c] + noise)
    return np.stack(result)


def speckle(image: np.ndarray, job: np.ndarray, numbers: np.ndarray, table: np.ndarray) -> np.ndarray:
    real = image.dtype.type
    return image * (real(1) + real(numbers[0]) * own_or_shared(image, job))


def poisson_noise(image: np.ndarray, job: np.ndarray, numbers: np.ndarray, table: np.ndarray) -> np.ndarray:
    if job[Job.A] == -2:
        grey = grey_of(image)
        return image + (_noisy(grey, job, numbers) - grey)
    return _noisy(image, job, numbers)


def grey_of(image: np.ndarray) -> np.ndarray:
    real = image.dtype.type
    if len(image) >= 3:
        return (real(0.299) * image[0] + real(0.587) * image[1]) + real(0.114) * image[2]
    return image[0] if len(image) == 1 else (image[0] + image[1]) / real(2)


def _noisy(image: np.ndarray, job: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    real = image.dtype.type
    gain, read, offset, more = (real(v) for v in numbers[:4])
    result = image
    if gain != 0:
        above = image - offset
        means = np.where(above < 0, real(0), above) * (real(1) / gain)
        drawn = words(job, image.size).reshape(image.shape)
        result = gain * poisson.counts(means, drawn) + offset
    if read != 0:
        result = result + read * normals(job, image.size, 1).reshape(image.shape).astype(image.dtype)
    return result if more == 0 else image + (real(1) + more) * (result - image)


def hits(image: np.ndarray, job: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Where a value is replaced."""
    shape = image.shape if job[Job.B] == 0 else (1, *image.shape[1:])
    drawn = words(job, int(np.prod(shape))).reshape(shape)
    return np.broadcast_to((drawn + 0.5) * 2.0**-32 < numbers[0], image.shape)


def impulse(image: np.ndarray, job: np.ndarray, numbers: np.ndarray, table: np.ndarray) -> np.ndarray:
    real = image.dtype.type
    low, high = real(numbers[2]), real(numbers[3])
    if job[Job.A] == 0:
        shape = image.shape if job[Job.B] == 0 else (1, *image.shape[1:])
        drawn = words(job, int(np.prod(shape)), 1).reshape(shape)
        value = np.where((drawn + 0.5) * 2.0**-32 < numbers[1], high, low)
    else:
        uniform = philox.to_uniform(words(job, image.size, 1), image.dtype).reshape(image.shape)
        value = low + (high - low) * uniform
    return np.where(hits(image, job, numbers), value, image)


def lines(image: np.ndarray, job: np.ndarray, numbers: np.ndarray, table: np.ndarray) -> np.ndarray:
    real = image.dtype.type
    length = image.shape[2] if job[Job.A] == 1 else image.shape[1]
    channels = 1 if job[Job.B] == 1 else len(image)
    added = real(numbers[0]) * normals(job, channels * length).astype(image.dtype).reshape(channels, length)
    if numbers[1] != 0:
        phase = np.arange(length) / numbers[2] + numbers[3]
        sine, _ = elementary.sincos((phase - np.rint(phase)).astype(image.dtype))
        added = added + real(numbers[1]) * sine
    return image + (added[:, None, :] if job[Job.A] == 1 else added[:, :, None])


def quantize(image: np.ndarray, job: np.ndarray, numbers: np.ndarray, table: np.ndarray) -> np.ndarray:
    step, low = (image.dtype.type(v) for v in numbers[:2])
    return np.rint((image - low) / step) * step + low


def clip(image: np.ndarray, job: np.ndarray, numbers: np.ndarray, table: np.ndarray) -> np.ndarray:
    return np.clip(image, *(image.dtype.type(v) for v in numbers[:2]))


ORACLES: dict[str, Any] = {
    "gaussian": gaussian,
    "speckle": speckle,
    "poisson": poisson_noise,
    "impulse": impulse,
    "lines": lines,
    "quantize": quantize,
    "clip": clip,
}
