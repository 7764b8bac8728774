"""Work for other threads and processes: importable by name, so that spawn and forkserver can find it."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

import imrestore
from tests.calls import public, quick_bm3d

# One of each road through the code: networks, large windows, ranks, footprints, masks, volumes, running sums, taps.
MIXED: tuple[tuple[str, str, tuple[int, ...], dict[str, Any]], ...] = (
    ("mean", "uint8", (96, 90), {"size": 5}),
    ("mean", "float32", (64, 64), {"size": (3, 8), "mode": "wrap"}),
    ("mean", "int16", (12, 13, 14), {"size": 3}),
    ("median", "uint8", (96, 90), {"size": 3}),
    ("median", "float32", (64, 64), {"size": 5}),
    ("median", "uint16", (48, 52), {"size": 9}),
    ("median", "uint8", (40, 41), {"size": 21}),
    ("median", "uint8", (32, 33, 3), {"size": 3, "channel_axis": -1}),
    ("gaussian", "uint8", (96, 90), {"sigma": 1.0}),
    ("gaussian", "float32", (64, 64), {"sigma": 2.5, "mode": "mirror"}),
    ("gaussian", "float64", (30, 31), {"sigma": (0, 3.0), "mode": "constant", "cval": 2.0}),
    ("gaussian", "float32", (20, 21), {"sigma": 1.0, "nan_policy": "omit"}),
    ("nl_means", "uint8", (20, 31), {"sigma": 10.0, "h": 30.0, "patch_distance": 3}),
    ("nl_means", "float32", (24, 25, 3), {"sigma": 10.0, "h": 90.0, "patch_size": 3, "patch_distance": 2, "channel_axis": -1}),
    ("bilateral", "uint8", (64, 60), {"sigma_color": 30.0, "sigma_space": 2.0}),
    ("bilateral", "float32", (20, 21), {"sigma_color": 90.0, "sigma_space": 1.0, "nan_policy": "omit"}),
    ("bm3d", "uint8", (16, 31), {"sigma": 20.0, "profile": quick_bm3d(3)}),
)


def picture(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(shape)
    if np.dtype(dtype).kind == "f":
        return rng.normal(0, 100, shape).astype(dtype)
    return rng.integers(0, 120, shape).astype(dtype)


def run(index: int) -> bytes:
    """The result of one of `MIXED`, as bytes."""
    name, dtype, shape, keywords = MIXED[index % len(MIXED)]
    return getattr(imrestore, name)(picture(dtype, shape), **keywords).tobytes()


def digest(indices: range) -> str:
    """One hash over many results."""
    return hashlib.sha256(b"".join(run(i) for i in indices)).hexdigest()


def large_digest(threads: int) -> str:
    """One hash over images large enough for the pool, filtered with ``threads`` threads."""
    total = hashlib.sha256()
    with imrestore.threads(threads):
        for name, window in (("mean", 7), ("median", 5), ("gaussian", 2.0), ("nl_means", 2), ("bilateral", 1.5), ("bm3d", 2)):
            for dtype in ("uint8", "float32"):
                shape = (161, 130) if name == "bm3d" else (401, 417)  # five strips
                total.update(public(name)(picture(dtype, shape), window).tobytes())
    return total.hexdigest()
