"""Samples mixed with others, or covered, on CUDA; jobs as in ``cpu/mixing.py``."""

from __future__ import annotations

from typing import Any

from imrestore_kernels.cuda._job_tiles import launch_rows
from imrestore_kernels.cuda._plane_sums import add_planes
from imrestore_kernels.samples import Size


def blend(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """lambda x + (1 - lambda) partner; in place."""
    launch_rows("mixing", "blend", (src, dst, jobs, numbers, table), size, ADJOINT=0)


def blend_adjoint(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """Lambda times the gradient: the sample's own part; in place."""
    launch_rows("mixing", "blend", (src, dst, jobs, numbers, table), size, ADJOINT=1)


def paste(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """A rectangle of the partner; in place."""
    launch_rows("mixing", "paste", (src, dst, jobs, numbers, table), size, ADJOINT=0)


def paste_adjoint(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """The gradient, and 0 in the rectangle; in place."""
    launch_rows("mixing", "paste", (src, dst, jobs, numbers, table), size, ADJOINT=1)


def erase(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """Rectangles become a constant or the mean of the channel; in place."""
    _erase((src, dst, jobs, numbers, table), size, 0)


def erase_adjoint(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """The gradient, and 0 in the rectangles; of means every pixel has its share. In place."""
    _erase((src, dst, jobs, numbers, table), size, 1)


def _erase(arrays: tuple[Any, Any, Any, Any, Any], size: Size, adjoint: int) -> None:
    extra, shared_bytes = add_planes("mixing", "erase_sums", arrays, size, ADJOINT=adjoint)
    launch_rows("mixing", "erase", arrays, size, *extra, shared_bytes=shared_bytes, ADJOINT=adjoint)
