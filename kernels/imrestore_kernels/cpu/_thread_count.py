"""How many threads a job may use: known without loading a compiler."""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Iterator

#: As in `imrestore.set_num_threads`.
MAX_THREADS = 1024

_configured: int | None = None
_override: contextvars.ContextVar[int | None] = contextvars.ContextVar("imrestore_threads", default=None)


def available_cores() -> int:
    """Cores this process may run on (not the machine's)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def num_threads() -> int:
    """Threads a large image is split over, before workers and daemons are taken into account."""
    global _configured
    override = _override.get()
    if override is not None:
        return override
    if _configured is None:
        text = os.environ.get("IMRESTORE_NUM_THREADS", "").strip()
        if text and not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_THREADS):
            raise ValueError(
                f"IMRESTORE_NUM_THREADS is {text[:20]!r}; it must be a whole number from 1 to {MAX_THREADS} or unset"
            )
        _configured = int(text) if text else available_cores()
    return _configured


def configure(threads: int) -> None:
    """Set the number of threads for the whole process."""
    global _configured
    _configured = threads


@contextlib.contextmanager
def override(threads: int) -> Iterator[None]:
    """Use ``threads`` threads inside the block, in this thread or task only."""
    token = _override.set(threads)
    try:
        yield
    finally:
        _override.reset(token)
