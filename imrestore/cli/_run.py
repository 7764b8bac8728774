"""The batch: read, filter, write, one file after the other; a bad file is reported and passed over."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import time
from pathlib import Path
from typing import Any

from imrestore.cli._apply import Recipe
from imrestore.cli._plan import Job, UsageError, plan
from imrestore.cli._report import FileResult, Report
from imrestore.cli.files import FileError, Limits, format_of, new_file, printable, read, write


def run(args: argparse.Namespace, options: dict[str, Any]) -> int:
    """Carry out ``imrestore mean|median|gaussian`` and return the exit code."""
    import imrestore

    jobs = plan(args.inputs, args.out, in_place=args.in_place, recursive=args.recursive)
    limits = Limits(args.max_pixels, args.max_ratio)
    try:
        recipe = Recipe(args.command, options, volume=args.volume, limits=limits)
    except FileError as error:
        raise UsageError(f"--where or --footprint: {error}") from error
    existing = "replace" if args.overwrite or args.in_place else "skip" if args.resume else "refuse"
    results = [FileResult(printable(job.source), job.target and printable(job.target)) for job in jobs]
    with imrestore.threads(args.threads) if args.threads else contextlib.nullcontext():
        report = Report(
            command=args.command,
            parameters=_plain(options),
            threads=imrestore.get_num_threads(),
            version=imrestore.__version__,
            started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            files=results,
        )
        start = time.perf_counter()
        report.interrupted = _all(jobs, results, recipe, limits, existing, quiet=args.quiet)
        report.seconds = round(time.perf_counter() - start, 6)
    _tell(report, args)
    return report.exit_code()


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Options as JSON can hold them; infinities and NaN as words."""
    return {
        name: value if not isinstance(value, Path | float) or value in (0.0,) else _word(value)
        for name, value in options.items()
    }


def _word(value: Path | float) -> str | float:
    if isinstance(value, Path):
        return printable(value)
    return value if abs(value) < float("inf") else str(value)


def _all(
    jobs: list[Job], results: list[FileResult], recipe: Recipe, limits: Limits, existing: str, *, quiet: bool
) -> bool:
    """Work through the jobs; true if Ctrl-C ended it early."""
    with _two_step_interrupt() as interrupted, _progress(len(jobs), quiet) as (step, line):
        for job, result in zip(jobs, results, strict=True):
            if interrupted():
                return True
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
    return False


def _one(job: Job, result: FileResult, recipe: Recipe, limits: Limits, existing: str) -> str:
    """Filter one file and say what became of it."""
    if job.problem or job.target is None:
        raise FileError(job.problem or "no output")
    kind = format_of(job.target)
    if existing != "replace" and os.path.lexists(job.target):
        if existing == "skip":
            return "skipped"
        raise FileError(f"{printable(job.target)} exists; --overwrite replaces it, --resume skips it")
    with read(job.source, limits) as (source_kind, pages):
        seen = _watched(pages, result)
        try:
            with new_file(job.target, replace=existing == "replace") as file:
                filtered = _timed(recipe.pages(seen, source_kind), result)
                write(file, kind, filtered, source_kind)
        except FileError:
            raise
        except FileExistsError as error:
            raise FileError(f"{printable(job.target)} appeared meanwhile; it was not touched") from error
        except MemoryError as error:
            raise FileError("not enough memory") from error
        except OSError as error:
            raise FileError(f"cannot write {printable(job.target)}: {error.strerror or error}") from error
        except (TypeError, ValueError) as error:  # a filter's word about its arguments, or an encoder's about the pixels
            raise FileError(" ".join(str(error).split())) from error
    return "written"
