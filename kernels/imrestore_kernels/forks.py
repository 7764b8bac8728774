"""Locks that a fork waits for: one for imports inside functions, one for all that takes a compiler's own locks.

A forked child has one thread. A module that another thread was importing stays half imported there, and its import lock taken for
ever; so do llvmlite's locks. Hence

    with forks.importing:
        from imrestore_kernels.cpu.median import median

They are two since a call needs the first even where all is imported, and another thread may compile for seconds. Whoever holds
`compiling` must not ask for `importing`.

Hooks run before a fork in reverse order of their registration. Importing numba makes loggers: were logging's hook registered after
ours, a fork would wait for the import while it holds the lock that the import needs. So logging is imported first, and this module
with imrestore instead of with the first image: 6.5 ms beside NumPy's 118.
"""

from __future__ import annotations

import logging
import os
import threading

#: Always named through the module: a child has locks of its own.
importing, compiling = threading.RLock(), threading.RLock()


def _take() -> None:
    importing.acquire()
    compiling.acquire()


def _give_back() -> None:
    compiling.release()
    importing.release()


def _renew() -> None:
    global importing, compiling
    importing, compiling = threading.RLock(), threading.RLock()


# Its hook is to be older than ours.
logging.getLogger("imrestore")
os.register_at_fork(before=_take, after_in_parent=_give_back, after_in_child=_renew)
