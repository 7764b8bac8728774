"""Guided filter, on the CPU."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from imrestore_kernels.cpu._guided_any import guided_any
from imrestore_kernels.cpu._guided_planes import Field, guided_kernel, widest_tile
from imrestore_kernels.cpu._moments import Moments
from imrestore_kernels.cpu._plan import RowPlan, as_planes
from imrestore_kernels.cpu._rounding import round_to
from imrestore_kernels.cpu._row_text import border_table, load_together, row_functions
from imrestore_kernels.cpu._text_kernel import ALLOCATE, RELEASE
from imrestore_kernels.similarity import is_single

Array = np.ndarray[Any, Any]

#: Larger windows would keep rings of tens of megabytes.
LARGEST_RADIUS = 127
#: Channels of an image that a guide beside it is fitted to at once.
TOGETHER = 3
#: Of a guide in float32.
SMALLEST_EPS, LARGEST_EPS, LARGEST_SAMPLE = 1e-25, 1e30, 1e15


def guided(
    src: Array,
    dst: Array,
    guide: Array | None,
    radii: tuple[int, ...],
    eps: float,
    mode: int,
    cval: float | int,
    guide_cval: float | int,
    where: Array | None = None,
    pad_counts: bool = True,
) -> None:
    """Linear fits to the guide in all windows, averaged; the contract is in ``kernels/README.md``."""
    if where is not None or not _is_fused(radii):
        guided_any(src, dst, guide, radii, eps, mode, float(cval), float(guide_cval), where, pad_counts)
        return
    wide = _compute_type(src.dtype)
    if wide != src.dtype:
        values = np.empty(src.shape, wide)
        guided(src.astype(wide), values, guide, radii, eps, mode, cval, guide_cval)
        round_to(values, dst)
        return
    if guide is not None and _compute_type(guide.dtype) != guide.dtype:
        guide = guide.astype(_compute_type(guide.dtype))
    real = "f4" if _in_single(eps, src, *([] if guide is None else [guide])) else "f8"
    if guide is None:
        _plan(src.shape, src.dtype, radii, eps, mode, cval, guide_cval, real=real).run(src, dst)
        return
    for first in range(0, src.shape[-1], TOGETHER):
        images = min(TOGETHER, src.shape[-1] - first)
        _plan(src.shape, src.dtype, radii, eps, mode, cval, guide_cval, guide, first, images, real).run(src, dst)


def plan(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    radii: tuple[int, ...],
    eps: float,
    mode: int,
    cval: float | int,
    guide_cval: float | int,
) -> RowPlan | None:
    """The fused kernel for an image that guides itself, or None where there is none or it depends on the image."""
    single = is_single(dtype) and SMALLEST_EPS <= eps <= LARGEST_EPS
    if not _is_fused(radii) or _compute_type(dtype) != dtype or (single and dtype.kind == "f"):
        return None
    return _plan(shape, dtype, radii, eps, mode, cval, guide_cval, real="f4" if single else "f8")


def _is_fused(radii: tuple[int, ...]) -> bool:
    return len(radii) <= 2 and max(radii) <= LARGEST_RADIUS


def _plan(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    radii: tuple[int, ...],
    eps: float,
    mode: int,
    cval: float | int,
    guide_cval: float | int,
    guide: Array | None = None,
    first: int = 0,
    images: int = 0,
    real: str = "f4",
) -> RowPlan:
    """The fused kernel for one or two filtered axes: all channels of an image that guides itself, or some of another image."""
    inner, channels = shape[-1], shape[-1] if guide is None else guide.shape[-1]
    outer, height, width, radius_y, radius_x = _planes(shape[:-1], radii)
    rows = outer * height
    other = np.empty((1, 1), dtype) if guide is None else guide.reshape(rows, width * channels)
    moments = Moments(channels, images, real)
    size_y, size_x = 2 * radius_y + 1, 2 * radius_x + 1
    own, load_guide = row_functions(dtype, moments.compute), row_functions(other.dtype, moments.compute).load
    if channels > 1:
        load_guide = load_together(other.dtype, moments.compute, channels)
    size, tiles = dtype.itemsize, -(-width // widest_tile(radius_x))
    numbers = {
        Field.ROWS: rows,
        Field.HEIGHT: height,
        Field.WIDTH: width,
        Field.TILE: -(-width // tiles),
        Field.SRC_ROW: width * inner * size,
        Field.SRC_STEP: inner * size,
        Field.SRC_AT: first * size,
        Field.SRC_ITEM: size,
        Field.GUIDE_ROW: width * channels * other.itemsize,
        Field.GUIDE_STEP: channels * other.itemsize,
        Field.LOAD: own.load,
        Field.LOAD_GUIDE: load_guide,
        Field.STORE: own.store,
        Field.ALLOCATE: ALLOCATE,
        Field.RELEASE: RELEASE,
    }
    outside = [value if math.isfinite(value) else math.nan for value in (float(guide_cval), float(cval))]
    if guide is None:
        outside[0] = outside[1]
    # Pivots are inverted: a smaller one would overflow, and make NaN of windows without any variance.
    ridge = max(size_y * size_x * float(eps), 1e-300 if moments.real == "f8" else 1e-30)
    extra = (
        other,
        border_table(width, 2 * radius_x, 2 * radius_x, mode),
        border_table(height, 2 * radius_y, 2 * radius_y, mode),
        np.array([numbers[field] for field in Field], np.int64),
        np.array([*outside, ridge], moments.compute),
    )
    passes = 4 + size_y.bit_length() + size_x.bit_length()
    work = rows * (width + 4 * radius_x + 8) * passes * (moments.rows + moments.coefficients) * 0.08
    return RowPlan(guided_kernel(moments, size_y, size_x), extra, rows, width * inner, work, 1, halo=4 * radius_y, tiles=tiles)


def _in_single(eps: float, *arrays: Array) -> bool:
    """Whether float32 does: moments in it are as if every sample were rounded to it once more.

    In float64 a colour guide takes 1.3 times as long (512x512 float32, radius 8, two threads: 6.3 ms instead of 4.9), a grey one
    1.8 times. Squares must be neither too large nor too small for float32.
    """
    return SMALLEST_EPS <= eps <= LARGEST_EPS and all(is_single(a.dtype) and _largest(a) <= LARGEST_SAMPLE for a in arrays)


def _largest(array: Array) -> float:
    """Largest magnitude of what is finite; integers are small enough."""
    if array.dtype.kind != "f":
        return 0.0
    largest = max(-float(np.fmin.reduce(array, axis=None)), float(np.fmax.reduce(array, axis=None)))
    if math.isinf(largest):
        return float(np.max(np.abs(array), initial=0.0, where=np.isfinite(array)))
    return largest if largest == largest else 0.0  # nothing but NaN


def _planes(shape: tuple[int, ...], radii: tuple[int, ...]) -> tuple[int, int, int, int, int]:
    """Outer, height, width and the radii along both, for one or two filtered axes."""
    if len(radii) == 1:
        (outer, height, width, _), _ = as_planes((*shape, 1), radii)
        return outer, height, width, 0, radii[0]
    return *shape, *radii  # type: ignore[return-value]


def _compute_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What the kernel reads and writes: float16 as float32, 64-bit integers as float64."""
    if dtype == np.float16:
        return np.dtype(np.float32)
    return np.dtype(np.float64) if dtype.kind in "iu" and dtype.itemsize == 8 else dtype
