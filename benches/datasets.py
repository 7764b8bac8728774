"""Photographs of the data folder, which is no part of the repository, and what published tables do with them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(os.environ.get("IMRESTORE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
#: Of red, green and blue in a grey picture.
LUMA = (0.299, 0.587, 0.114)


class Picture(NamedTuple):
    """A name and values from 0 to 255."""

    name: str
    values: NDArray[np.float64]


def files(pattern: str) -> list[Path]:
    found = sorted(FOLDER.glob(pattern))
    if not found:
        raise FileNotFoundError(f"no picture is called {FOLDER / pattern}; IMRESTORE_DATA names the folder")
    return found


def load(paths: list[Path], *, grey: bool = False) -> Iterator[Picture]:
    """As they are, or colours made grey and rounded."""
    from PIL import Image

    for path in paths:
        values = np.asarray(Image.open(path)).astype(np.float64)
        if grey and values.ndim == 3:
            values = np.rint(values @ LUMA)
        yield Picture(path.stem, values)


def noisy(values: NDArray[np.float64], sigma: float, seed: int = 0) -> NDArray[np.float64]:
    """With noise that is neither clipped nor rounded, from a generator of its own."""
    return values + sigma * np.random.default_rng(seed).standard_normal(values.shape)


def published_psnr(estimate: Any, values: NDArray[np.float64]) -> float:
    """As the tables have it: the estimate clipped and rounded to bytes, all channels together."""
    return psnr(np.rint(np.clip(estimate, 0, 255)), values)


def psnr(estimate: Any, values: NDArray[np.float64]) -> float:
    return float(-10 * np.log10(np.mean((estimate - values) ** 2) / 255**2))
