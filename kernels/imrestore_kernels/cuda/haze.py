"""Haze by the depth of the scene, on CUDA."""

from __future__ import annotations

from typing import Any

from imrestore_kernels.cuda._job_tiles import launch_rows
from imrestore_kernels.samples import Size

#: Columns of knots that fit the shared memory of a block.
_MOST_KNOTS = 512


def haze(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """Haze over every sample; what the jobs say is described in ``cpu/haze.py``."""
    launch_rows("haze", "haze", (src, dst, jobs, numbers, table), size, shared_bytes=8 * _MOST_KNOTS, ADJOINT=0)


def haze_adjoint(src: Any, dst: Any, jobs: Any, numbers: Any, table: Any, size: Size) -> None:
    """t times the gradient; in place."""
    launch_rows("haze", "haze", (src, dst, jobs, numbers, table), size, shared_bytes=8 * _MOST_KNOTS, ADJOINT=1)
