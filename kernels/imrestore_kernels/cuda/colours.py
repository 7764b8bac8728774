"""Colours of samples on CUDA: matrices over the channels, and contrast about the mean; jobs as in ``cpu/colours.py``."""

from __future__ import annotations

from typing import Any

from imrestore_kernels.cuda._job_tiles import THREADS, launch_rows
from imrestore_kernels.cuda._launch import GRID_LIMITS, empty
from imrestore_kernels.cuda._plane_sums import add_planes
from imrestore_kernels.samples import Size

_GREY: dict[str, Any] = {"GREY_RED": 0.299, "GREY_GREEN": 0.587, "GREY_BLUE": 0.114}
#: Pixels that a thread takes: blocks find the mean anew, each for itself.
_RUN = 8
#: Channels that fit registers, and blocks of samples with more, which keep theirs in memory.
_FEW, _BLOCKS = 4, 32


def matrix(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """A matrix over the channels; in place."""
    _matrix((src, dst, jobs, numbers, table), size, 0)


def matrix_adjoint(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """Its transpose; in place."""
    _matrix((src, dst, jobs, numbers, table), size, 1)


def contrast(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """Contrast about the mean grey; in place."""
    _contrast((src, dst, jobs, numbers, table), size, 0)


def contrast_adjoint(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """Its transpose; in place."""
    _contrast((src, dst, jobs, numbers, table), size, 1)


def _matrix(arrays: tuple[Any, Any, Any, Any, Any], size: Size, adjoint: int) -> None:
    blocks = _blocks_of(size) if size.channels <= _FEW else min(_blocks_of(size), _BLOCKS)
    kept = None
    if size.channels > _FEW:
        kept = empty((blocks * min(size.jobs, GRID_LIMITS[1]) * THREADS * size.channels,), arrays[0].dtype)
    defines: dict[str, Any] = {"ADJOINT": adjoint, "CHANNELS": size.channels, **_GREY}
    launch_rows("colours", "matrix", arrays, size._replace(height=blocks), kept, **defines)


def _contrast(arrays: tuple[Any, Any, Any, Any, Any], size: Size, adjoint: int) -> None:
    defines: dict[str, Any] = {"ADJOINT": adjoint, "CHANNELS": size.channels, **_GREY}
    extra, shared_bytes = add_planes("colours", "contrast_sums", arrays, size, **defines)
    blocks = size._replace(height=_blocks_of(size))
    launch_rows("colours", "contrast", arrays, blocks, *extra, shared_bytes=shared_bytes, **defines)


def _blocks_of(size: Size) -> int:
    return -(-size.height * size.width // (THREADS * _RUN))
