"""A filter of one shape and dtype, ready to run: the row kernel, its arguments, and how to split its rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from imrestore_kernels.cpu._pool import SERIAL_WORK, run_rows

Array = np.ndarray[Any, Any]


class RowPlan(NamedTuple):
    """``kernel(src, dst, *extra, row_start, row_stop)`` over 2-D arrays of ``rows`` rows.

    ``work`` estimates the nanoseconds all rows take on one core; strips are multiples of ``least_strip`` rows and work on ``halo``
    rows besides. ``keep`` is what the addresses in ``extra`` point to.
    """

    kernel: Callable[..., None]
    extra: tuple[Any, ...]
    rows: int
    width: int
    work: float
    least_strip: int
    keep: Any = None
    halo: int = 0
    #: Times that the kernel counts all rows, once for each tile of columns: a tile then is done from top to bottom.
    tiles: int = 1

    def run(self, src: Array, dst: Array) -> None:
        """Filter ``src`` into ``dst``, both C-contiguous."""
        pair = (src.reshape(self.rows, self.width), dst.reshape(self.rows, self.width))
        run_rows(self.kernel, (*pair, *self.extra), self.rows * self.tiles, self.work, self.least_strip, self.keep, self.halo)

    def replay(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Callable[[Array], Array]:
        """The whole call for 2-D C-contiguous images of this very shape and dtype."""
        kernel, extra, rows, _, work, least, keep, halo, tiles = self
        rows *= tiles
        empty = np.empty
        if work < SERIAL_WORK:
            # Without Numba's look at the types, which are known: 0.2 us of the two that a 64x64 median takes.
            compiled = getattr(kernel, "overloads", {}).values()
            (entry,) = [result.entry_point for result in compiled] or [kernel]
            rest = (*extra, 0, rows)

            def small(image: Array, _keep: Any = keep) -> Array:
                dst = empty(shape, dtype)
                entry(image, dst, *rest)
                return dst

            return small

        def large(image: Array) -> Array:
            dst = empty(shape, dtype)
            run_rows(kernel, (image, dst, *extra), rows, work, least, keep, halo)
            return dst

        return large


def as_planes(
    shape: tuple[int, ...], size: tuple[int, ...]
) -> tuple[tuple[int, int, int, int], tuple[int, int]]:
    """One or two filtered axes as (outer, height, width, inner) and a window of two sides.

    A single filtered axis with nothing behind it becomes a plane of independent rows, one with other axes behind it a
    stack of planes filtered from top to bottom.
    """
    if len(size) == 2:
        outer, height, width, inner = shape
        return (outer, height, width, inner), (size[0], size[1])
    outer, length, inner = shape
    if inner == 1:
        return (1, outer, length, 1), (1, size[0])
    return (outer, length, inner, 1), (size[0], 1)
