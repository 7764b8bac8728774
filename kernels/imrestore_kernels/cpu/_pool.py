"""One lazily made thread pool that runs row kernels.

Not ``prange``: Numba's threading layers abort on concurrent calls (workqueue) or kill a forked worker (omp). Row kernels
release the GIL, so plain Python threads do; the strips of a job are handed out by native code (`_crew`). The caller always
works along, so a busy pool never blocks anyone: at worst the caller does it all.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from imrestore_kernels.cpu import _crew
from imrestore_kernels.cpu._thread_count import MAX_THREADS, available_cores, num_threads

RowKernel = Callable[..., None]

#: Below this many "work units" (roughly nanoseconds on one core) waking another thread costs more than it saves.
SERIAL_WORK = 60_000
#: Strips per thread: enough to even out a core that is busy with something else, few enough to keep halos cheap.
STRIPS_PER_THREAD = 4
#: Pauses (15 to 50 ns each) for which a thread watches for work, or for the others to finish, before it sleeps.
SPINS = 4000

#: Pools larger than this leave it to the system where their threads wake up: one in the wrong place then matters little.
MAX_PLACED = 16

_in_worker = threading.local()


def _find_current_core() -> Callable[[], int] | None:
    """The C library's function for the core that the calling thread is on, where threads can be kept off a core."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    return getattr(ctypes.PyDLL(None), "sched_getcpu", None)


_current_core = _find_current_core()


def _allow(thread: int, cores: set[int]) -> None:
    with contextlib.suppress(OSError):  # the thread is gone, or we may not
        os.sched_setaffinity(thread, cores)


class _Job:
    """Strips of one call, in the memory that native code works on."""

    __slots__ = ("address", "memory")

    def __init__(self, kernel: _crew.NativeKernel, args: tuple[Any, ...], rows: int, strip: int) -> None:
        slots = _crew.Slot.ARGUMENTS + kernel.layout.size // 8
        self.memory = (ctypes.c_int64 * slots)(kernel.function, kernel.trampoline, rows, strip, -(-rows // strip))
        self.address = ctypes.addressof(self.memory)
        kernel.pack(args, self.memory, 8 * _crew.Slot.ARGUMENTS)

    @property
    def failed(self) -> bool:
        return bool(self.memory[_crew.Slot.FAILED])


class _Pool:
    """The threads of one process."""

    def __init__(self) -> None:
        self._functions = _crew.functions()
        self._queue: SimpleQueue[_Job] = SimpleQueue()
        self._lock = threading.Lock()
        self._boxes = (ctypes.c_int64 * (_crew.BOX * (MAX_THREADS + 1)))()  # one more: they start on a cache line
        self._box = ctypes.addressof(self._boxes) + -ctypes.addressof(self._boxes) % 64
        self._waiting = ctypes.c_int64(0)  # jobs in the queue
        self._workers = 0
        self._cores = available_cores()
        self._running: dict[int, tuple[_Job, tuple[Any, ...]]] = {}
        self._threads: list[int] = []
        self._anywhere: set[int] | None = None  # cores for workers that were woken away from their caller

    def _serve(self, index: int) -> None:
        _in_worker.yes = True
        self._threads.append(threading.get_native_id())
        box = self._box + 8 * _crew.BOX * index
        waiting = ctypes.addressof(self._waiting)
        while True:
            job = self._queue.get()
            with self._lock:
                self._waiting.value -= 1
            if self._anywhere is not None:
                _allow(0, self._anywhere)
            # More threads than cores: whoever watches takes a core from one that works.
            spins = SPINS if self._workers < self._cores else 0
            self._functions.serve(job.address, box, spins, waiting)
            del job

    def _hire(self, helpers: int) -> None:
        with self._lock:
            while self._workers < helpers:
                index = self._workers
                threading.Thread(target=self._serve, args=(index,), name="imrestore", daemon=True).start()
                self._workers += 1

    def _keep_off_this_core(self) -> None:
        """Let workers wake up on other cores than the caller's, which is about to be busy.

        On virtual machines Linux was seen to wake a thread on the core of whoever wakes it, and to leave it there for tens of
        milliseconds although another core is idle (it may look taken, since the host has put it to sleep). With this, caller and
        worker shared a core in none of 720 bursts of calls. Once awake workers may go anywhere again.
        """
        if _current_core is None or len(self._threads) > MAX_PLACED:
            return
        cores = os.sched_getaffinity(0)
        others = cores - {_current_core()}
        if others:
            self._anywhere = cores
            for thread in self._threads:
                _allow(thread, others)

    def run(self, job: _Job, args: tuple[Any, ...], helpers: int) -> None:
        """Finish ``job`` with the caller and up to ``helpers`` threads. ``args`` are kept alive until then."""
        if self._workers < helpers:
            self._hire(helpers)
        self._running[job.address] = (job, args)
        interrupt: BaseException | None = None
        nap = 20e-6
        offered = False
        while True:
            # A signal handler may raise at any of these lines; what it raised waits until nobody uses the arrays any more.
            try:
                if not offered:
                    offered = True
                    self._offer(job, helpers)
                while not self._functions.finish(job.address, self._box, self._workers, SPINS):
                    time.sleep(nap)
                    nap = min(2 * nap, 1e-3)
                break
            except BaseException as error:  # noqa: BLE001  raised again below
                interrupt = error
        del self._running[job.address]
        if interrupt is not None:
            raise interrupt

    def _offer(self, job: _Job, helpers: int) -> None:
        """Let up to ``helpers`` threads work at ``job``: those that watch, and those that sleep."""
        missing = helpers - self._functions.offer(job.address, self._box, self._workers, helpers)
        if missing > 0:
            with self._lock:  # never more than there are workers to take them
                missing = min(missing, self._workers - self._waiting.value)
                self._waiting.value += missing
            self._keep_off_this_core()
            for _ in range(missing):
                self._queue.put(job)


_pool: _Pool | None = None
_pool_lock = threading.Lock()


def _forget_pool() -> None:
    """In a forked child the threads are gone: start anew, with a lock nobody holds."""
    global _pool, _pool_lock
    _pool, _pool_lock = None, threading.Lock()


def _the_pool() -> _Pool:
    global _pool
    if _pool is None:
        with _pool_lock:
            if _pool is None:
                _pool = _Pool()
    return _pool


os.register_at_fork(after_in_child=_forget_pool)


def _must_be_serial() -> bool:
    """True in a pool thread, a daemonic process or a DataLoader worker: there, others already fill the cores."""
    if getattr(_in_worker, "yes", False):
        return True
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.current_process().daemon:
        return True
    data = sys.modules.get("torch.utils.data")
    return data is not None and data.get_worker_info() is not None


def _native(kernel: RowKernel) -> _crew.NativeKernel | None:
    """Machine code of a kernel, found once; a Python function has none."""
    native: _crew.NativeKernel | None = getattr(kernel, "native", None)
    if native is None and hasattr(kernel, "overloads"):
        native = _crew.native_kernel(kernel)
        kernel.native = native  # type: ignore[attr-defined]
    return native


def _run_python(function: RowKernel, args: tuple[Any, ...], rows: int, strip: int, helpers: int) -> None:
    errors: list[BaseException] = []

    def call(_result: int, _error: int, start: int, stop: int) -> int:
        nested, _in_worker.yes = getattr(_in_worker, "yes", False), True
        try:
            function(*args, start, stop)
        except BaseException as error:  # noqa: BLE001  handed to the caller below
            errors.append(error)
            return 1
        finally:
            _in_worker.yes = nested
        return 0

    callback = _crew.CALLBACK(call)
    _the_pool().run(_Job(_crew.python_kernel(callback), (), rows, strip), (callback,), helpers)
    if errors:
        raise errors[0]


def run_rows(
    kernel: RowKernel, args: tuple[Any, ...], rows: int, work: float, least_strip: int = 1, keep: Any = None, halo: int = 0
) -> None:
    """Call ``kernel(*args, row_start, row_stop)`` so that rows ``0 .. rows`` are done once each.

    Parameters
    ----------
    kernel : callable
        Row kernel from ``compile_rows`` (or a Python function); it writes only its own rows, so strips may run in any order.
    args : tuple
        What comes before the two row numbers.
    rows : int
        Number of rows.
    work : float
        Estimated nanoseconds of one core for all rows; small jobs stay in the caller.
    least_strip : int
        Strips are multiples of this high, so that a kernel that starts with a halo does not pay for it too often and one
        that does several rows at once rarely has some over.
    keep : object
        What addresses among the arguments point to: kept alive as long as a thread may read it.
    """
    threads = 1 if work < SERIAL_WORK else min(num_threads(), -(-rows // least_strip))
    if threads <= 1 or _must_be_serial():
        kernel(*args, 0, rows)
        return
    strip = -(-rows // (threads * STRIPS_PER_THREAD))
    strip += -strip % least_strip
    native = _native(kernel)
    if native is None:
        _run_python(kernel, args, rows, strip, threads - 1)
        return
    job = _Job(native, args, rows, strip)
    _the_pool().run(job, (*args, keep), threads - 1)
    if job.failed:
        kernel(*args, 0, rows)  # says what went wrong, most likely MemoryError, or succeeds this time
