"""How many threads a filter may use on the CPU. The results do not depend on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from imrestore_kernels import forks

from imrestore import _checks


def set_num_threads(n: int) -> None:
    """Set the number of threads that filters of large images use on the CPU, for the whole process.

    Parameters
    ----------
    n : int
        From 1 to 1024. Before the first call it is the environment variable ``IMRESTORE_NUM_THREADS`` or, without it,
        the number of cores this process may use.

    Raises
    ------
    TypeError, ValueError
        If `n` is not a whole number from 1 to 1024.

    Notes
    -----
    Results are the same bits for every number of threads. In a forked DataLoader worker, a daemonic process, and in
    imrestore's own threads filters run in one thread whatever is set here.

    Examples
    --------
    >>> import imrestore
    >>> imrestore.set_num_threads(2)
    >>> imrestore.get_num_threads()
    2
    """
    with forks.importing:
        from imrestore_kernels.cpu import _thread_count

    _thread_count.configure(_checks.thread_count(n))


def get_num_threads() -> int:
    """Number of threads that filters of large images use on the CPU.

    Returns
    -------
    int
        What `threads`, `set_num_threads` or ``IMRESTORE_NUM_THREADS`` said, else the cores this process may use.

    Raises
    ------
    ValueError
        If ``IMRESTORE_NUM_THREADS`` is set and not a whole number from 1 to 1024.

    Examples
    --------
    >>> import imrestore
    >>> with imrestore.threads(3):
    ...     imrestore.get_num_threads()
    3
    """
    with forks.importing:
        from imrestore_kernels.cpu import _thread_count

    return _thread_count.num_threads()


@contextlib.contextmanager
def threads(n: int) -> Iterator[None]:
    """Use `n` threads inside a ``with`` block, in the current thread or asyncio task only.

    Parameters
    ----------
    n : int
        From 1 to 1024.

    Yields
    ------
    None

    Raises
    ------
    TypeError, ValueError
        If `n` is not a whole number from 1 to 1024.

    Examples
    --------
    >>> import numpy, imrestore
    >>> with imrestore.threads(1):
    ...     result = imrestore.mean(numpy.ones((64, 64)), 5)
    """
    with forks.importing:
        from imrestore_kernels.cpu import _thread_count

    with _thread_count.override(_checks.thread_count(n)):
        yield
