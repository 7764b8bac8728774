"""Pixels covered by strokes, boxes and letters, on CUDA."""

from __future__ import annotations

from typing import Any

from imrestore_kernels import glyphs
from imrestore_kernels.cuda._job_tiles import ROWS, TILE, launch_tiles
from imrestore_kernels.samples import Size

_GLYPHS = {
    "GLYPH_BITS": ", ".join(f"{bits}ull" for bits in glyphs.BITS),
    "GLYPH_ROWS": glyphs.ROWS,
    "GLYPH_COLUMNS": glyphs.COLUMNS,
    "SHAPE": 8,
}


def shapes(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """Covered pixels become a constant; what the jobs say is described in ``cpu/missing.py``."""
    _launch((src, dst, jobs, numbers, table), size, "FILL")


def shapes_adjoint(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """The gradient, and 0 where a pixel is covered; in place."""
    _launch((src, dst, jobs, numbers, table), size, "NOTHING")


def mask(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """1 where `shapes` covers a pixel, and 0 elsewhere; in place."""
    _launch((src, dst, jobs, numbers, table), size, "MASK")


def _launch(arrays: tuple[Any, Any, Any, Any, Any], size: Size, what: str) -> None:
    shared_bytes = 4 * (TILE * ROWS + 1)
    launch_tiles("missing", "missing_shapes", arrays, size, shared_bytes=shared_bytes, WHAT=what, **_GLYPHS)
