"""``imrestore warmup``: compile now, so that no later call waits."""

from __future__ import annotations

import sys
import time


def warmup(*, quiet: bool) -> int:
    """Compile all CPU kernels, with a progress bar on a terminal."""
    import imrestore

    start = time.perf_counter()
    if quiet or not sys.stderr.isatty():
        ready = imrestore.warmup()
    else:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=None)

            def show(done: int, total: int, name: str) -> None:
                bar.update(task, completed=done, total=total, description=escape(name))

            ready = imrestore.warmup(show)
    if not quiet:
        print(f"{ready} kernels ready, {time.perf_counter() - start:.1f} s")
    return 0
