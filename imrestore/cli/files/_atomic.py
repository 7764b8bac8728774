"""A new file that appears complete or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# File systems without anonymous files answer with one of these.
UNSUPPORTED = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}
LINKLESS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}


@contextlib.contextmanager
def new_file(path: Path, *, replace: bool) -> Iterator[BinaryIO]:
    """Give a file to write to; when the block ends without an error it takes the name `path` in one step.

    Where the system has them the file is anonymous until then (``O_TMPFILE``), so that even ``kill -9`` leaves nothing
    behind; elsewhere it is ``.NAME.XXXX.part`` in the same folder. Without `replace` an existing file is never
    touched, even one that appeared meanwhile: ``link`` refuses where ``rename`` would not.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Short, so that a name of 255 bytes still has room.
    part = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.part")
    descriptor = _anonymous(path.parent)
    anonymous = descriptor is not None
    if descriptor is None:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        # Through an opener, so that file.name is a name: tifffile does not take a number.
        with open(path, "w+b", opener=lambda name, flags: descriptor) as file:
            yield file
            file.flush()
            if replace and path.exists():
                os.fchmod(file.fileno(), path.stat().st_mode & 0o777)
            if anonymous:
                # A src_dir_fd, though the path is absolute, makes Python call linkat, which follows the link in /proc.
                link, target = f"/proc/self/fd/{file.fileno()}", part if replace else path
                os.link(link, target, src_dir_fd=file.fileno(), follow_symlinks=True)
        if replace:
            os.replace(part, path)
        elif not anonymous:
            _link_or_rename(part, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)


def _link_or_rename(part: Path, path: Path) -> None:
    """Name the finished file, unless the name is taken. FAT has no links; a rename must do there."""
    try:
        os.link(part, path)
    except OSError as error:
        if error.errno not in LINKLESS:
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        os.rename(part, path)


def _anonymous(folder: Path) -> int | None:
    if not hasattr(os, "O_TMPFILE") or not os.path.exists("/proc/self/fd"):
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666)
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return None
        raise
