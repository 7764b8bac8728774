"""Guided filter, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from imrestore_kernels.cpu._guided_any import guided_any
from imrestore_kernels.cpu._guided_planes import guided_kernel
from imrestore_kernels.cpu._moments import Moments
from imrestore_kernels.cpu._plan import RowPlan, as_planes
from imrestore_kernels.cpu._rounding import round_to

Array = np.ndarray[Any, Any]

#: Larger windows would keep rings of tens of megabytes.
LARGEST_RADIUS = 127


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
    if guide is not None and guide.dtype != src.dtype and max(guide.dtype.itemsize, src.dtype.itemsize) > 1:
        guide = guide.astype(np.float32 if _fits_float32(guide.dtype) else np.float64)
    for channel in range(1 if guide is None else src.shape[-1]):
        _plan(src.shape, src.dtype, radii, eps, mode, cval, guide_cval, guide, channel).run(src, dst)


def plan(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    radii: tuple[int, ...],
    eps: float,
    mode: int,
    cval: float | int,
    guide_cval: float | int,
) -> RowPlan | None:
    """The fused kernel for an image that guides itself, or None where there is none."""
    if not _is_fused(radii) or _compute_type(dtype) != dtype:
        return None
    return _plan(shape, dtype, radii, eps, mode, cval, guide_cval)


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
    channel: int = 0,
) -> RowPlan:
    """The fused kernel for one or two filtered axes: all channels of an image that guides itself, or one of another image."""
    channels = shape[-1] if guide is None else guide.shape[-1]
    small = channels == 1 and dtype.itemsize == 1 and (guide is None or guide.dtype.itemsize == 1)
    moments = Moments(channels, guide is not None, "f4" if small else "f8")
    outer, height, width, radius_y, radius_x = _planes(shape[:-1], radii)
    rows = outer * height
    other = np.empty((1, 1), dtype) if guide is None else guide.reshape(rows, width * guide.shape[-1])
    kernel = guided_kernel(dtype, other.dtype, moments)
    inner = shape[-1]
    extra = (
        *(other, height, inner, channel, moments.channels, radius_y, radius_x),
        *(float(eps), mode, float(cval), float(guide_cval)),
    )
    passes = 4 + (2 * radius_y + 1).bit_length() + (2 * radius_x + 1).bit_length()
    work = rows * (width + 4 * radius_x + 8) * passes * (moments.rows + moments.coefficients) * 0.08
    # A strip begins with 4 radii of rows that it makes nothing of: few strips for large windows, and of one height.
    strips = max(1, rows // max(32, 12 * radius_y))
    return RowPlan(kernel, extra, rows, width * inner, work, -(-rows // strips))


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


def _fits_float32(dtype: np.dtype[Any]) -> bool:
    return dtype == np.float32 or dtype.itemsize <= 2
