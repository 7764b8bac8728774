"""Image files for the command: PNG, JPEG, TIFF and NPY, header before pixels, and never half a file.

One module per format exports ``pages(file, limits)``, a generator that checks the header before it decodes anything,
and ``write(file, pages, same_format)``. Everything that can go wrong in a hostile or damaged file ends as `FileError`.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import stat
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from imrestore.cli.files._atomic import new_file
from imrestore.cli.files._page import FileError, Limits, Metadata, Page, printable

__all__ = [
    "SUFFIXES",
    "FileError",
    "Limits",
    "Metadata",
    "Page",
    "format_of",
    "new_file",
    "printable",
    "read",
    "write",
]

SUFFIXES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".tif": "tiff", ".tiff": "tiff", ".npy": "npy"}
MAGIC = {
    "png": (b"\x89PNG\r\n\x1a\n",),
    "jpeg": (b"\xff\xd8\xff",),
    "tiff": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "npy": (b"\x93NUMPY",),
}


def format_of(path: Path) -> str:
    """``png``, ``jpeg``, ``tiff`` or ``npy``, from the end of the name."""
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise FileError(f"unknown kind of file {path.suffix!r}; known are {' '.join(SUFFIXES)}")
    return kind


@contextlib.contextmanager
def read(path: Path, limits: Limits) -> Iterator[tuple[str, Iterator[Page]]]:
    """Open a file and give its format and its pages, which are decoded one at a time as they are asked for."""
    kind = format_of(path)
    with _as_file_error():
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would wait for ever
            raise FileError("not a regular file")
        file = path.open("rb")
    with file:
        with _as_file_error():
            _check_magic(file, kind)
        yield kind, _guarded(_module(kind).pages(file, limits))


def write(file: BinaryIO, kind: str, pages: Iterable[Page], source_kind: str) -> None:
    """Write pages to an open file in the format `kind`; metadata of the format's own is kept if it stays the same."""
    with _quiet_decoders():
        _module(kind).write(file, pages, kind == source_kind)


def _module(kind: str) -> Any:
    return importlib.import_module(f"imrestore.cli.files.{kind}")


def _check_magic(file: BinaryIO, kind: str) -> None:
    start = file.read(16)
    file.seek(0)
    if not start:
        raise FileError("the file is empty")
    found = next((name for name, magics in MAGIC.items() if start.startswith(magics)), None)
    if found is None:
        raise FileError(f"not a {kind.upper()} file")
    if found != kind:
        raise FileError(f"holds {found.upper()} although its name says {kind.upper()}")


def _guarded(pages: Iterator[Page]) -> Iterator[Page]:
    """The same pages, with every decoder's error turned into a `FileError`."""
    while True:
        with _as_file_error(), _quiet_decoders():
            page = next(pages, None)
        if page is None:
            return
        yield page


@contextlib.contextmanager
def _as_file_error() -> Iterator[None]:
    try:
        yield
    except FileError:
        raise
    except Exception as error:  # decoders promise nothing: a broken NPY header ends as tokenize.TokenError
        raise FileError(_reason(error)) from error


def _reason(error: BaseException) -> str:
    """One line for a decoder's or the system's error."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if type(error).__name__ == "UnidentifiedImageError":  # Pillow's text is the repr of a file object
        return "cannot be decoded: damaged header"
    text = " ".join(printable(str(error)).split()) or type(error).__name__
    return f"cannot be decoded: {text[:200]}"


@contextlib.contextmanager
def _quiet_decoders() -> Iterator[None]:
    """Pillow and tifffile warn about odd tags on their own; what matters comes as an error. Pillow's own size limit
    is lifted because `Limits` has looked at the header before."""
    from PIL import Image

    logger, limit = logging.getLogger("tifffile"), Image.MAX_IMAGE_PIXELS
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    Image.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        Image.MAX_IMAGE_PIXELS = limit
