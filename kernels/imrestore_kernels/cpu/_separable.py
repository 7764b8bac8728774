"""Separable sums over any number of axes, with or without a mask: the general way, one axis at a time.

Everything is float64 (floats) or int64 (integers, exact), and every window is summed afresh, so a NaN or an infinity stays
inside its own windows. The fused 2-D kernels in ``mean.py`` and ``gaussian.py`` are the fast way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from imrestore_kernels.borders import CONSTANT
from imrestore_kernels.cpu._jit import compile_rows
from imrestore_kernels.cpu._planes import inside_index
from imrestore_kernels.cpu._pool import run_rows

Array = np.ndarray[Any, Any]

#: Columns handled at once: a window of 31 rows of them stays in the second-level cache.
CHUNK = 1024

_kernels: dict[str, Any] = {}


def _axis_pass(
    src: Array, dst: Array, weights: Array, left: int, mode: int, outside: Any, start: int, stop: int
) -> None:
    """Weighted sums along the middle axis of (lines, n, inner); "rows" are lines times column chunks."""
    _, n, inner = src.shape
    k = weights.size
    chunks = (inner + CHUNK - 1) // CHUNK
    pad_rows = np.empty((n + k - 1) * min(inner, CHUNK), src.dtype)
    for job in range(start, stop):
        line = job // chunks
        b0 = (job % chunks) * CHUNK
        width = min(CHUNK, inner - b0)
        for i in range(n + k - 1):
            j = inside_index(i - left, n, mode)
            row = pad_rows[i * width : (i + 1) * width]
            if j < 0:
                for b in range(width):
                    row[b] = outside
            else:
                source = src[line, j, b0 : b0 + width]
                for b in range(width):
                    row[b] = source[b]
        total = n * width
        out = np.zeros(total, src.dtype)
        for t in range(k):
            w = weights[t]
            taps = pad_rows[t * width : t * width + total]
            for i in range(total):
                out[i] += w * taps[i]
        for i in range(n):
            for b in range(width):
                dst[line, i, b0 + b] = out[i * width + b]


def pass_kernel(dtype: np.dtype[Any]) -> Any:
    """Kernel for sums along one axis in int64 or float64."""
    name = f"axis_pass_{dtype}"
    if name not in _kernels:
        value = types.int64 if dtype == np.int64 else types.float64
        read = types.Array(value, 3, "C", readonly=True)
        _kernels[name] = compile_rows(
            _axis_pass, name, read, value[:, :, ::1], types.Array(value, 1, "C", readonly=True),
            types.intp, types.intp, value, types.intp, types.intp,
        )  # fmt: skip
    return _kernels[name]


def separable_sum(values: Array, weights: tuple[Array, ...], mode: int, outside: Any) -> Array:
    """Windowed weighted sums over axes 1 .. n of (outer, s_1 .. s_n, inner) values in float64 or int64.

    In constant mode a sample outside is ``outside``; a later pass sees it weighted by the passes before it.
    """
    shape = values.shape
    kernel = pass_kernel(values.dtype)
    for axis, w in enumerate(weights, start=1):
        w = np.ascontiguousarray(w, values.dtype)
        src = np.ascontiguousarray(values).reshape(
            int(np.prod(shape[:axis])), shape[axis], int(np.prod(shape[axis + 1 :]))
        )
        dst = np.empty_like(src)
        jobs = src.shape[0] * -(-src.shape[2] // CHUNK)
        run_rows(kernel, (src, dst, w, w.size // 2, mode, values.dtype.type(outside)), jobs, src.size * w.size)
        values = dst.reshape(shape)
        if mode == CONSTANT:
            with np.errstate(all="ignore"):
                outside = values.dtype.type(outside) * w.sum()
    return values


def masked_sums(
    src: Array, weights: tuple[Array, ...], mode: int, cval: float | int, where: Array | None, pad_counts: bool
) -> tuple[Array, Array | None]:
    """Numerator and, with a mask, denominator of the normalised window sum.

    A sample that does not take part is replaced by 0 before it is summed, so that a NaN there cannot leak.
    """
    kind = np.int64 if src.dtype.kind in "iu" and weights[0].dtype.kind == "i" else np.float64
    values = src.astype(kind)
    if where is None:
        return separable_sum(values, weights, mode, kind(cval)), None
    valid = where.astype(kind)
    values[where == 0] = 0
    numerator = separable_sum(values, weights, mode, kind(cval) if pad_counts else kind(0))
    return numerator, separable_sum(valid, weights, mode, kind(pad_counts))
