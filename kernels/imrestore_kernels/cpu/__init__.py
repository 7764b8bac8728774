"""Numba kernels over rows. Loaded only when an image in main memory is filtered."""

from __future__ import annotations

from collections.abc import Callable


def warmup_jobs() -> list[tuple[str, Callable[[], None]]]:
    """Name and builder of every kernel worth compiling ahead."""
    return []
