"""One lazily made thread pool that runs row kernels.

Not ``prange``: Numba's threading layers abort on concurrent calls (workqueue) or kill a forked worker (omp). Row kernels
release the GIL, so plain threads do, and measured as fast (3x3 median, 2048x2048 uint8, two cores: 0.206 ms here,
0.214 ms with prange). The caller always works along, so a busy pool never blocks anyone: at worst the caller does it all.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import sys
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

RowKernel = Callable[..., None]

#: Below this many "work units" (roughly nanoseconds on one core) waking another thread costs more than it saves.
SERIAL_WORK = 60_000
#: As in `imrestore.set_num_threads`.
MAX_THREADS = 1024
#: Strips per thread: enough to even out a core that is busy with something else, few enough to keep halos cheap.
STRIPS_PER_THREAD = 4

_configured: int | None = None
_override: contextvars.ContextVar[int | None] = contextvars.ContextVar("imrestore_threads", default=None)
_queue: SimpleQueue[_Job] | None = None
_workers = 0
_lock = threading.Lock()
_in_worker = threading.local()


class _Job:
    """Strips of one call. Whoever calls :meth:`work` takes strips until none is left."""

    __slots__ = ("_args", "_count", "_done", "_error", "_finished", "_kernel", "_lock", "_rows", "_strip", "_strips")

    def __init__(self, kernel: RowKernel, args: tuple[Any, ...], rows: int, strip: int) -> None:
        self._kernel = kernel
        self._args = args
        self._rows = rows
        self._strip = strip
        self._count = -(-rows // strip)
        self._strips = iter(range(self._count))  # next() on it is one bytecode: threads share it safely
        self._finished = 0
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._done = threading.Event()

    def work(self) -> None:
        for index in self._strips:
            start = index * self._strip
            try:
                self._kernel(*self._args, start, min(start + self._strip, self._rows))
            except BaseException as error:  # noqa: BLE001  handed to the caller in wait()
                self._error = error
            with self._lock:
                self._finished += 1
                if self._finished == self._count:
                    self._done.set()

    def wait(self) -> None:
        self._done.wait()
        if self._error is not None:
            raise self._error


def _worker(queue: SimpleQueue[_Job]) -> None:
    _in_worker.yes = True
    while True:
        queue.get().work()


def _forget_pool() -> None:
    """In a forked child the threads are gone: start anew, with a lock nobody holds."""
    global _queue, _workers, _lock
    _queue, _workers, _lock = None, 0, threading.Lock()


os.register_at_fork(after_in_child=_forget_pool)


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


def _must_be_serial() -> bool:
    """True in a pool thread, a daemonic process or a DataLoader worker: there, others already fill the cores."""
    if getattr(_in_worker, "yes", False):
        return True
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.current_process().daemon:
        return True
    data = sys.modules.get("torch.utils.data")
    return data is not None and data.get_worker_info() is not None


def _wake(helpers: int, job: _Job) -> None:
    global _queue, _workers
    with _lock:
        if _queue is None:
            _queue = SimpleQueue()
        while _workers < helpers:
            threading.Thread(target=_worker, args=(_queue,), name="imrestore", daemon=True).start()
            _workers += 1
    for _ in range(helpers):
        _queue.put(job)


def run_rows(kernel: RowKernel, args: tuple[Any, ...], rows: int, work: float, least_strip: int = 1) -> None:
    """Call ``kernel(*args, row_start, row_stop)`` so that rows ``0 .. rows`` are done once each.

    Parameters
    ----------
    kernel : callable
        Row kernel; it writes only its own rows, so strips may run in any order.
    args : tuple
        What comes before the two row numbers.
    rows : int
        Number of rows.
    work : float
        Estimated nanoseconds of one core for all rows; small jobs stay in the caller.
    least_strip : int
        Strips are multiples of this high, so that a kernel that starts with a halo does not pay for it too often and one
        that does several rows at once rarely has some over.
    """
    threads = 1 if work < SERIAL_WORK else min(num_threads(), -(-rows // least_strip))
    if threads <= 1 or _must_be_serial():
        kernel(*args, 0, rows)
        return
    strip = -(-rows // (threads * STRIPS_PER_THREAD))
    strip += -strip % least_strip
    job = _Job(kernel, args, rows, strip)
    _wake(threads - 1, job)
    job.work()
    job.wait()
