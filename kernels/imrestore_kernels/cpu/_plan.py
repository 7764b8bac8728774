"""A filter of one shape and dtype, ready to run: the row kernel, its arguments, and how to split its rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from imrestore_kernels.cpu._pool import SERIAL_WORK, run_rows

Array = np.ndarray[Any, Any]


class RowPlan(NamedTuple):
    """``kernel(src, dst, *extra, row_start, row_stop)`` over 2-D arrays of ``rows`` rows.

    ``work`` estimates the nanoseconds all rows take on one core; strips are at least ``least_strip`` rows high.
    """

    kernel: Callable[..., None]
    extra: tuple[Any, ...]
    rows: int
    work: float
    least_strip: int

    def run(self, src: Array, dst: Array) -> None:
        """Filter ``src`` into ``dst``, both (outer, H, W, inner)."""
        pair = (src.reshape(self.rows, -1), dst.reshape(self.rows, -1))
        run_rows(self.kernel, (*pair, *self.extra), self.rows, self.work, self.least_strip)

    def replay(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Callable[[Array], Array]:
        """The whole call for 2-D C-contiguous images of this very shape and dtype."""
        kernel, extra, rows, work, least = self
        empty = np.empty
        if work < SERIAL_WORK:

            def small(image: Array) -> Array:
                dst = empty(shape, dtype)
                kernel(image, dst, *extra, 0, rows)
                return dst

            return small

        def large(image: Array) -> Array:
            dst = empty(shape, dtype)
            run_rows(kernel, (image, dst, *extra), rows, work, least)
            return dst

        return large
