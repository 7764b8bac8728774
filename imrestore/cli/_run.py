"""The batch: read, filter, write, one file after the other; a bad file is reported and passed over."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import math
import os
import signal
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from imrestore.cli._apply import Recipe
from imrestore.cli._parser import UsageError, check
from imrestore.cli._plan import Job, plan
from imrestore.cli._report import FileResult, Report, say
from imrestore.cli._wording import of_options
from imrestore.cli.files import FileError, Limits, Page, format_of, new_file, printable, read, write

Step = Callable[[str], None]


class Treatment(Protocol):
    """What is done to files: a filter or damage."""

    command: str
    seconds: float  # spent on pixels so far
    hear: Callable[[float], object] | None  # told of the part of a page that is done

    def begin(self, number: int) -> None:
        """The pages to come are those of this file of the list."""

    def pages(self, pages: Iterable[Page], kind: str) -> Iterator[Page]:
        """What becomes of a file's pages."""

    def tell(self, result: FileResult) -> None:
        """Report what was found or drawn."""


# A filter's word about its arguments, or an encoder's about the pixels and what it was asked to keep with them.
UNWRITABLE = (TypeError, ValueError, LookupError, ArithmeticError, RuntimeError, struct.error, zlib.error)


def run(args: argparse.Namespace) -> int:
    """Carry out ``imrestore mean`` and the other filters and return the exit code."""
    try:
        options = check(args)
    except (TypeError, ValueError) as error:
        raise UsageError(of_options(error)) from error
    jobs = plan(args.inputs, args.out, in_place=args.in_place, recursive=args.recursive)
    limits = Limits(args.max_pixels, args.max_ratio)
    try:
        recipe = Recipe(args.command, options, volume=args.volume, limits=limits)
    except FileError as error:
        raise UsageError(str(error)) from error
    return carry_out(args, options, recipe, jobs, limits)


def carry_out(args: argparse.Namespace, parameters: dict[str, Any], recipe: Treatment, jobs: list[Job], limits: Limits) -> int:
    """Do something to files and report it; the exit code."""
    import imrestore

    existing = "replace" if args.overwrite or args.in_place else "skip" if args.resume else "refuse"
    results = [FileResult(printable(job.source), printable(job.target) if job.target else None) for job in jobs]
    with imrestore.threads(args.threads) if args.threads else contextlib.nullcontext():
        report = Report(
            command=args.command,
            parameters=_plain(parameters),
            threads=imrestore.get_num_threads(),
            version=imrestore.__version__,
            started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            files=results,
        )
        start = time.perf_counter()
        report.interrupted = _all(jobs, results, recipe, limits, existing, quiet=args.quiet)
        report.seconds = round(time.perf_counter() - start, 6)
    return report.exit_code() if _tell(report, args) else max(report.exit_code(), 1)


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Options as strict JSON can hold them: paths, infinities and NaN become words."""

    def plain(value: Any) -> Any:
        odd = isinstance(value, Path) or (isinstance(value, float) and not math.isfinite(value))
        return printable(str(value)) if odd else value

    return {name: plain(value) for name, value in options.items()}


def _all(
    jobs: list[Job], results: list[FileResult], recipe: Treatment, limits: Limits, existing: str, *, quiet: bool
) -> bool:
    """Work through the jobs; true if Ctrl-C ended it early."""
    within = recipe.command == "bm3d"
    with _two_step_interrupt() as interrupted, _progress(len(jobs), quiet, within) as (step, line, hear):
        recipe.hear = hear if within else None
        for number, (job, result) in enumerate(zip(jobs, results, strict=True)):
            if interrupted():
                return True
            recipe.begin(number)
            step(result.input)
            start = time.perf_counter()
            try:
                result.status = _one(job, result, recipe, limits, existing)
            except FileError as error:
                result.status, result.error = "failed", str(error)
            except KeyboardInterrupt:
                result.status, result.error = "failed", "interrupted"
                return True
            result.seconds = round(time.perf_counter() - start, 6)
            if result.error:
                line(f"imrestore: {result.input}: {result.error}")
            if not quiet:
                for note in result.notes:
                    line(f"imrestore: {result.input}: note: {note}")
        step("")
        return interrupted()


def _one(job: Job, result: FileResult, recipe: Treatment, limits: Limits, existing: str) -> str:
    """Filter one file and say what became of it."""
    if job.problem or job.target is None:
        raise FileError(job.problem or "no output")
    kind = format_of(job.target)
    if existing != "replace" and os.path.lexists(job.target):
        if existing == "skip":
            return "skipped"
        raise FileError(f"{printable(job.target)} exists; --overwrite replaces it, --resume skips it")
    before = recipe.seconds
    with read(job.source, limits) as (source_kind, pages):
        try:
            with new_file(job.target, replace=existing == "replace") as file:
                write(file, kind, recipe.pages(_noted(pages, result), source_kind), source_kind)
        except FileError:
            raise
        except FileExistsError as error:
            there = os.path.lexists(job.target)
            why = "appeared meanwhile; it was not touched" if there else "has a file where its folder should be"
            raise FileError(f"{printable(job.target)} {why}") from error
        except MemoryError as error:
            raise FileError("not enough memory") from error
        except OSError as error:
            raise FileError(f"cannot write {printable(job.target)}: {error.strerror or error}") from error
        except UNWRITABLE as error:
            raise FileError(printable(" ".join(of_options(error).split())) or type(error).__name__) from error
        finally:
            result.filter_seconds = round(recipe.seconds - before, 6)
    recipe.tell(result)
    return "written"


def _noted(pages: Iterable[Page], result: FileResult) -> Iterator[Page]:
    """The same pages; the report learns what they are."""
    for page in pages:
        result.pages += 1
        if result.pages == 1:
            result.shape, result.dtype = list(page.pixels.shape), str(page.pixels.dtype)
        result.notes += [note for note in page.notes if note not in result.notes]
        yield page


@contextlib.contextmanager
def _two_step_interrupt() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C asks for a stop between two files, the second raises `KeyboardInterrupt` at once."""
    hits = 0

    def on_interrupt(signum: int, frame: object) -> None:
        nonlocal hits
        hits += 1
        if hits > 1:
            raise KeyboardInterrupt
        # Not print: the signal may have come in the middle of one.
        os.write(2, b"\nimrestore: stopping after this file; Ctrl-C again stops at once\n")

    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    mine = threading.current_thread() is threading.main_thread() and not ignored
    previous = signal.signal(signal.SIGINT, on_interrupt) if mine else None
    try:
        yield lambda: hits > 0
    finally:
        if mine:
            signal.signal(signal.SIGINT, previous)


@contextlib.contextmanager
def _progress(total: int, quiet: bool, within: bool) -> Iterator[tuple[Step, Step, Callable[[float], None] | None]]:
    """A bar on a terminal, nothing elsewhere: gives ``step(name of the next file)``, ``line(text)`` and ``hear(part of it)``.

    ``within``: something will call ``hear``, so there is a bar for a single file, too.
    """
    if quiet or total < (1 if within else 2) or not sys.stderr.isatty():
        yield (lambda name: None), say, None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        started = 0

        def step(name: str) -> None:
            nonlocal started
            bar.update(task, completed=started, description=escape(name))
            started += 1

        def hear(part: float) -> None:
            # Of a file with pages each page runs through the file's part of the bar: their number is not known.
            bar.update(task, completed=started - 1 + part)

        yield step, lambda text: console.print(escape(text)), hear


def _tell(report: Report, args: argparse.Namespace) -> bool:
    """Print what was asked for; false if the report could not be written."""
    told = True
    if args.report:
        try:
            with new_file(args.report, replace=True) as file:
                file.write(report.as_json().encode())
        except OSError as error:
            say(f"imrestore: cannot write {printable(args.report)}: {error.strerror or error}")
            told = False
    failed = [file.input for file in report.files if file.status == "failed"]
    if len(failed) > 1:
        say(f"imrestore: {len(failed)} files failed: {', '.join(failed)}")
    if args.json:
        sys.stdout.write(report.as_json())
        sys.stdout.flush()
    elif not args.quiet:
        say(report.summary(), sys.stdout)
    return told
