"""What a reader hands to a writer: pages of pixels, what belongs to them, and the limits on both."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Below this many decoded bytes no file is a bomb, however small it is (a blank page compresses a thousandfold).
SMALL = 64 << 20


class FileError(Exception):
    """A file cannot be read or written; the text says why in one line."""


@dataclass(frozen=True)
class Limits:
    """The largest picture that is decoded.

    ``max_pixels`` counts width x height of one page (and all samples over channels of an array file). ``max_ratio``
    is decoded bytes over stored bytes: deflate reaches 1032 on a blank picture, so the default of 2000 only stops
    files that promise pixels they do not hold.
    """

    max_pixels: int = 512_000_000
    max_ratio: float = 2000.0

    def check(self, pixels: int, decoded: int, stored: int) -> None:
        """Refuse a page before anything is allocated for it."""
        if pixels <= 0:
            raise FileError("the picture has no pixels")
        if pixels > self.max_pixels:
            raise FileError(f"{pixels / 1e6:,.1f} megapixels; --max-pixels allows {self.max_pixels / 1e6:,.1f}")
        if decoded > SMALL and decoded > self.max_ratio * max(stored, 1):
            raise FileError(
                f"{stored:,} bytes would decode to {decoded:,}: more than --max-ratio {self.max_ratio:g} times as many"
            )


@dataclass
class Metadata:
    """What travels with the pixels. ``native`` is the format's own and only used when the format stays the same."""

    icc: bytes | None = None
    exif: bytes | None = None  # the TIFF structure, without JPEG's "Exif\0\0"
    dpi: tuple[float, float] | None = None
    native: Any = None


@dataclass
class Page:
    """One picture: a NumPy array, where its channels are, and which of them are not colour.

    ``colour`` is ``"gray"``, ``"rgb"``, ``"cmyk"`` or ``"other"``; ``alpha`` names channels that no filter touches;
    ``total`` estimates the bytes of all pages of the file, for formats that must choose a layout at the start.
    """

    pixels: NDArray[Any]
    colour: str
    channel_axis: int | None = None
    alpha: tuple[int, ...] = ()
    meta: Metadata = field(default_factory=Metadata)
    total: int = 0
    notes: tuple[str, ...] = ()

    def channels_last(self) -> NDArray[Any]:
        """The pixels as (height, width) or (height, width, channels)."""
        return self.pixels if self.channel_axis is None else np.moveaxis(self.pixels, self.channel_axis, -1)


def only_page(pages: Iterable[Page], kind: str) -> Page:
    """The page of a format that holds one; a second is noticed before the rest is decoded."""
    iterator = iter(pages)
    page = next(iterator)
    if next(iterator, None) is not None:
        raise FileError(f"{kind} holds one page; write TIFF instead")
    return page


def printable(text: str | os.PathLike[str]) -> str:
    """A name for a terminal: control characters and undecodable bytes become escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in str(text))
