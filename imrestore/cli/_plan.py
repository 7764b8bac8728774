"""Which files are read and where each result goes. Nothing is opened here and nothing written."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from imrestore.cli._parser import UsageError
from imrestore.cli.files import SUFFIXES, printable


class Job(NamedTuple):
    """One file to filter; `problem` says why it cannot even be tried."""

    source: Path
    target: Path | None
    problem: str | None = None


def plan(inputs: list[str], out: str | None, *, in_place: bool, recursive: bool) -> list[Job]:
    """Expand files, folders and patterns, give every result a name inside `out`, refuse names that clash."""
    if in_place == (out is not None):
        raise UsageError("give either -o OUT or --in-place")
    folder = None if out is None else Path(out)
    # A file named twice is filtered once; in place that has to hold through links, too.
    key = os.path.realpath if in_place else os.path.abspath
    found: dict[str, tuple[Path, Path]] = {}  # (input, its name below the output folder)
    lost: list[Job] = []
    for text in inputs:
        some = False
        for path, name in expand(text, recursive, folder):
            some = True
            found.setdefault(key(path), (path, name))
        if not some:
            lost.append(Job(Path(text), None, why_nothing(text, recursive)))
    if in_place:
        return [Job(path, Path(real)) for real, (path, _) in found.items()] + lost
    assert folder is not None
    if _names_a_file(out or "", folder):
        if len(found) + len(lost) > 1 or any(os.path.isdir(text) for text in inputs):
            raise UsageError(f"-o {printable(folder)} names one file, but the input is several; give a folder")
        jobs = [Job(path, folder) for path, _ in found.values()]
    else:
        if os.path.lexists(folder) and not os.path.isdir(folder):
            raise UsageError(f"-o {printable(folder)} is neither a folder nor an image file")
        jobs = [Job(path, folder / name) for path, name in found.values()]
    _refuse_clashes(jobs)
    return [_inside(job, folder) if job.target != folder else job for job in jobs] + lost


def expand(text: str, recursive: bool, out: Path | None) -> Iterator[tuple[Path, Path]]:
    """Files that one argument stands for, with the name each keeps below the output folder."""
    path = Path(text)
    if os.path.isdir(path):
        skipped = None if out is None else os.path.realpath(out)
        for root, folders, names in os.walk(path):
            # A folder inside the input that holds earlier results is not input.
            folders[:] = sorted(
                f for f in folders if not f.startswith(".") and os.path.realpath(os.path.join(root, f)) != skipped
            )
            if not recursive:
                folders.clear()
            for name in sorted(names):
                if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                    file = Path(root, name)
                    yield file, file.relative_to(path)
    elif not os.path.lexists(path) and glob.has_magic(text):
        for match in sorted(glob.glob(text, recursive=True)):
            if not os.path.isdir(match):
                yield Path(match), Path(os.path.basename(match))
    elif os.path.lexists(path):
        yield path, Path(path.name)


def why_nothing(text: str, recursive: bool) -> str:
    """Why an argument stands for no file."""
    if os.path.isdir(text):
        return "the folder holds no image files" + ("" if recursive else " (-r looks into its subfolders)")
    return "nothing matches the pattern" if glob.has_magic(text) else "no such file or folder"


def _names_a_file(text: str, out: Path) -> bool:
    return not text.endswith(("/", os.sep)) and not os.path.isdir(out) and out.suffix.lower() in SUFFIXES


def _refuse_clashes(jobs: list[Job]) -> None:
    inputs = {_identity(job.source) for job in jobs}
    taken: dict[str, Job] = {}
    for job in jobs:
        assert job.target is not None
        if _identity(job.target) in inputs:
            raise UsageError(f"{printable(job.target)} is an input; choose another -o, or --in-place")
        # Also refused where only upper and lower case differ: on many file systems that is one file.
        name = os.path.normpath(job.target).casefold()
        if name in taken:
            raise UsageError(
                f"{printable(taken[name].source)} and {printable(job.source)} would both become {printable(job.target)}"
            )
        taken[name] = job


def _identity(path: Path) -> object:
    real = os.path.realpath(path)  # also where a missing folder is followed by ".."
    try:
        status = os.stat(real)
    except OSError:
        return real
    return status.st_dev, status.st_ino


def _inside(job: Job, folder: Path) -> Job:
    """Refuse a target that a symbolic link in the output folder would lead out of it."""
    assert job.target is not None
    home, real = os.path.realpath(folder), os.path.realpath(job.target.parent)
    if real == home or real.startswith(home.rstrip(os.sep) + os.sep):
        return job
    return Job(job.source, job.target, f"the result would leave the output folder, for {printable(real)}")
