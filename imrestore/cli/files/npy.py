"""NPY: any array the filters take, read through a memory map and never unpickled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np

from imrestore.cli.files._page import FileError, Limits, Metadata, Page


def pages(file: BinaryIO, limits: Limits) -> Iterator[Page]:
    """Yield the array; a last axis of 3 or 4 in three dimensions counts as channels."""
    # np.load parses the header and maps the file; object arrays and short files end here.
    try:
        array = np.load(file.name, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        if "mmap length" in str(error):
            raise FileError("truncated: the header promises more numbers than the file holds") from error
        raise
    if not isinstance(array, np.memmap) or array.dtype.names or array.dtype.kind not in "biuf":
        raise FileError(f"arrays of {getattr(array, 'dtype', 'this kind')} are not supported")
    colour = array.ndim == 3 and array.shape[2] in (3, 4)
    limits.check(array.size // (array.shape[2] if colour else 1), array.nbytes, array.nbytes)
    meta = Metadata(native=array.flags.f_contiguous and not array.flags.c_contiguous)
    kind = "rgb" if colour else "gray" if array.ndim == 2 else "other"
    yield Page(array.view(np.ndarray), kind, 2 if colour else None, meta=meta, total=array.nbytes)


def write(file: BinaryIO, pages: Iterable[Page], same_format: bool) -> None:
    """Write one page, or all pages of equal shape as one stack; the memory order of an NPY input is kept."""
    page, *more = pages
    array = page.pixels
    if more:
        if any(other.pixels.shape != array.shape or other.pixels.dtype != array.dtype for other in more):
            raise FileError("the pages differ in shape or type; write TIFF instead")
        array = np.stack([array, *(other.pixels for other in more)])
    elif same_format and page.meta.native:
        array = np.asfortranarray(array)
    np.lib.format.write_array(file, array, allow_pickle=False)
