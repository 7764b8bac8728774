"""Mosaics of a camera's colour filters and the way back, and tone curves, on CUDA."""

from __future__ import annotations

from typing import Any

from imrestore_kernels import curves
from imrestore_kernels.cuda._job_tiles import launch_chunks, launch_tiles
from imrestore_kernels.samples import Size

_CURVES = {
    **{f"CURVE_{one.name}": int(one) for one in curves.Curve},
    "ENCODED_STEP": curves.ENCODED_STEP,
    "DECODED_STEP": curves.DECODED_STEP,
    "LEAST_VALUE": curves.LEAST_VALUE,
    "LEAST_SLOPE": curves.LEAST_SLOPE,
    "START": ", ".join(map(str, curves.START)),
}


def mosaic(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """What a pattern of colour filters lets through; what the jobs say is described in ``cpu/camera.py``."""
    launch_tiles("camera", "mosaic", (src, dst, jobs, numbers, table), size, MOSAIC=1, ADJOINT=0)


def mosaic_adjoint(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """The gradient where a filter is open, and 0 elsewhere; in place for B = 0."""
    launch_tiles("camera", "mosaic", (src, dst, jobs, numbers, table), size, MOSAIC=1, ADJOINT=1)


def demosaic(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """Three channels from the plane of a mosaic."""
    launch_tiles("camera", "demosaic", (src, dst, jobs, numbers, table), size, DEMOSAIC=1, ADJOINT=0)


def demosaic_adjoint(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """The gradient of the plane."""
    launch_tiles("camera", "demosaic_adjoint", (src, dst, jobs, numbers, table), size, DEMOSAIC=1, ADJOINT=1)


def curve(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """A tone curve of every value; in place."""
    launch_chunks("curves", "curve", (src, dst, jobs, numbers, table), size, **_newton(src), **_CURVES)


def curve_gradient(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size, image: Any) -> None:
    """The gradient times the slope of the curve at ``image``; in place."""
    launch_chunks("curves", "curve_gradient", (src, dst, jobs, numbers, table), size, image, **_newton(src), **_CURVES)


def _newton(src: Any) -> dict[str, int]:
    return {"STEPS": curves.STEPS[src.dtype.itemsize]}
