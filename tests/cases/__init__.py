"""Named cases: what every backend is tested with and every bench may time.

A `Case` says everything about one call but its pixels, and makes those from its own name, so that a case is the same
picture in every process.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MODES = ("reflect", "mirror", "nearest", "wrap", "constant")
MODE_ALIASES = ("grid-mirror", "grid-wrap", "grid-constant")
INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")
FLOATS = ("float16", "float32", "float64")

#: Footprints by name: a case stays printable and hashable.
FOOTPRINTS = {
    "cross": [[0, 1, 0], [1, 1, 1], [0, 1, 0]],
    "corner": [[1, 0, 0], [0, 0, 0], [0, 0, 0]],  # not symmetric: turning it round is seen
    "lopsided": [[1, 0, 0, 1], [0, 1, 1, 0]],  # even and uneven sides
    "ring": [[0, 1, 1, 1, 0], [1, 0, 0, 0, 1], [1, 0, 0, 0, 1], [1, 0, 0, 0, 1], [0, 1, 1, 1, 0]],
    "line": [1, 0, 1, 1],
}


@dataclass(frozen=True)
class Case:
    """One call of one filter.

    ``pixels`` names a maker in `PIXELS`, ``where`` one in `WHERE`; a string as ``footprint`` names one of `FOOTPRINTS`.
    ``guide`` is a second image by its shape, dtype and maker.
    """

    filter: str
    name: str
    shape: tuple[int, ...]
    dtype: str = "uint8"
    params: Mapping[str, Any] = field(default_factory=dict)
    pixels: str = "noise"
    where: str | None = None
    slow: bool = False
    guide: tuple[tuple[int, ...], str, str] | None = None

    @property
    def id(self) -> str:
        return f"{self.filter}-{self.name}-{self.dtype}"

    def rng(self) -> np.random.Generator:
        return np.random.default_rng(zlib.crc32(self.id.encode()))

    def image(self) -> np.ndarray:
        return PIXELS[self.pixels](self.rng(), self.shape, np.dtype(self.dtype))

    def keywords(self) -> dict[str, Any]:
        """The keyword arguments of the public function, and of its oracle."""
        keywords = dict(self.params)
        if isinstance(keywords.get("footprint"), str):
            keywords["footprint"] = np.array(FOOTPRINTS[keywords["footprint"]], bool)
        if self.guide is not None:
            shape, dtype, pixels = self.guide
            keywords["guide"] = PIXELS[pixels](np.random.default_rng(zlib.crc32(self.name.encode())), shape, np.dtype(dtype))
        if self.where is not None:
            keywords["where"] = WHERE[self.where](self.rng(), self.shape)
        return keywords


def noise(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The whole range of a small integer type, zero and both ends in it; floats of both signs and many sizes."""
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind == "f":
        return (rng.normal(0, 1, shape) * 10.0 ** rng.integers(-3, 4, shape)).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def few_values(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Three neighbouring values: full of ties between samples, and of means half way between two integers."""
    return rng.integers(0, 3, shape).astype(dtype)


def extremes(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Lowest and highest value only: sums as large as they get."""
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    if dtype == np.float64:  # twice the largest float64 is infinite in any sum of float64
        return rng.choice(np.array([limits.min / 1e6, limits.max / 1e6], dtype), shape)
    return rng.choice(np.array([limits.min, limits.max], dtype), shape)


def high(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Small differences on a pedestal a million times as high: what running float32 sums lose."""
    return (1e6 + rng.normal(0, 1, shape)).astype(dtype)


def one_nan(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    image = noise(rng, shape, dtype)
    image[tuple(n // 2 for n in shape)] = np.nan
    return image


def many_nans(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    image = noise(rng, shape, dtype)
    image[rng.random(shape) < 0.3] = np.nan
    return image


def only_nans(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.full(shape, np.nan, dtype)


def infinities(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Both infinities, near and far from one another, and a NaN."""
    image = noise(rng, shape, dtype)
    chance = rng.random(shape)
    image[chance < 0.04] = np.inf
    image[chance > 0.96] = -np.inf
    image.flat[image.size // 3] = np.nan
    return image


def tiny(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Subnormal floats and signed zeros."""
    return (rng.integers(-9, 10, shape) * np.finfo(dtype).smallest_subnormal).astype(dtype)


def constant(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.full(shape, 77, dtype)


PIXELS: dict[str, Callable[..., np.ndarray]] = {
    f.__name__: f
    for f in (noise, few_values, extremes, high, one_nan, many_nans, only_nans, infinities, tiny, constant)
}


def half(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.random(shape) < 0.5


def few(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """So sparse that some windows hold no sample at all."""
    return rng.random(shape) < 0.08


def nothing(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.zeros(shape, bool)


def everything(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.ones(shape, bool)


def columns(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """One row of the mask for all rows: it has to be broadcast."""
    return rng.random(shape[-1]) < 0.6


WHERE: dict[str, Callable[..., np.ndarray]] = {f.__name__: f for f in (half, few, nothing, everything, columns)}


def compact(value: Any) -> str:
    """A parameter value as part of a name."""
    return "x".join(str(v) for v in value) if isinstance(value, tuple) else str(value)


def all_cases() -> tuple[Case, ...]:
    from tests.cases import bilateral, gaussian, guided, mean, median, nl_means

    return mean.CASES + median.CASES + gaussian.CASES + nl_means.CASES + bilateral.CASES + guided.CASES
