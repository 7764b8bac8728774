"""Compile ahead of time."""

from __future__ import annotations

from collections.abc import Callable

from imrestore_kernels import forks


def warmup(progress: Callable[[int, int, str], None] | None = None) -> int:
    """Compile the CPU kernels of the usual windows and dtypes now and keep them, so that no later first call has to wait for long.

    Parameters
    ----------
    progress : callable, optional
        Called as ``progress(done, total, name)`` before each kernel and once at the end.

    Returns
    -------
    int
        Number of kernels that are ready.

    Notes
    -----
    Kernels that are in the compile cache already load in milliseconds. The cache lives in ``IMRESTORE_CACHE_DIR``, else
    in ``XDG_CACHE_HOME/imrestore`` or ``~/.cache/imrestore``.

    Examples
    --------
    >>> import imrestore
    >>> imrestore.warmup() > 0  # doctest: +SKIP
    True
    """
    with forks.importing:
        from imrestore_kernels.cpu import warmup_jobs

    jobs = warmup_jobs()
    for done, (name, build) in enumerate(jobs):
        if progress is not None:
            progress(done, len(jobs), name)
        build()
    if progress is not None:
        progress(len(jobs), len(jobs), "")
    return len(jobs)
