"""Photographs of the data folder, which is no part of the repository; tests of them are skipped where it is missing."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FOLDER = Path(os.environ.get("IMRESTORE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def photographs(name: str, count: int | None = None) -> list[np.ndarray]:
    """The first grey pictures of a set, as float64."""
    files = sorted((FOLDER / name).glob("*.png"))[:count]
    if not files:
        pytest.skip(f"{FOLDER / name} holds no pictures")
    return [np.asarray(Image.open(file)).astype(np.float64) for file in files]
