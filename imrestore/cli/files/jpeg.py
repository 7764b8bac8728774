"""JPEG: grey, RGB and CMYK, written with the quantisation tables and the subsampling it was read with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np

from imrestore.cli.files._page import FileError, Limits, Metadata, Page, only_page

COLOURS = {"L": "gray", "RGB": "rgb", "CMYK": "cmyk"}
QUALITY = 95  # for pictures that were no JPEG before
EXIF = b"Exif\0\0"


def pages(file: BinaryIO, limits: Limits) -> Iterator[Page]:
    """Yield the (first) picture of a JPEG file."""
    from PIL import Image, JpegImagePlugin

    stored = file.seek(0, 2)
    file.seek(0)
    with Image.open(file, formats=["JPEG"]) as image:
        width, height = image.size
        limits.check(width * height, width * height * len(image.getbands()), stored)
        if image.mode not in COLOURS:
            raise FileError(f"JPEG with {image.mode} pixels is not supported")
        info: dict[Any, Any] = image.info
        several = getattr(image, "n_frames", 1) > 1
        native: dict[str, Any] = {
            "qtables": image.quantization,  # type: ignore[attr-defined]
            "progressive": bool(info.get("progressive")),
            "keep_rgb": image.mode == "RGB" and info.get("adobe_transform") == 0,
            "extra": b"".join(  # IPTC lives in APP13
                b"\xff\xed" + (len(data) + 2).to_bytes(2, "big") + data
                for name, data in getattr(image, "applist", [])
                if name == "APP13"
            ),
        }
        native |= {name: info[name] for name in ("comment", "xmp") if info.get(name)}
        subsampling = JpegImagePlugin.get_sampling(image)
        if subsampling >= 0:
            native["subsampling"] = subsampling
        exif = info.get("exif")
        meta = Metadata(info.get("icc_profile"), exif.removeprefix(EXIF) if exif else None, info.get("dpi"), native)
        pixels = np.asarray(image)
    notes = ("only the first of several pictures in the file was read",) if several else ()
    colour = COLOURS[image.mode]
    yield Page(pixels, colour, None if pixels.ndim == 2 else 2, meta=meta, total=pixels.nbytes, notes=notes)


def write(file: BinaryIO, pages: Iterable[Page], same_format: bool) -> None:
    """Write one page of uint8 samples; same tables as before, or quality 95 with full chroma."""
    from PIL import Image

    page = only_page(pages, "JPEG")
    pixels = page.channels_last()
    if page.alpha:
        raise FileError("JPEG cannot hold alpha; write PNG or TIFF instead")
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    if pixels.dtype != np.uint8:
        raise FileError(f"JPEG cannot hold {pixels.dtype}; write PNG, TIFF or NPY instead")
    mode = {name: mode for mode, name in COLOURS.items()}.get(page.colour)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    if mode is None or channels != Image.getmodebands(mode) or max(pixels.shape[:2]) > 65500:
        raise FileError(f"JPEG cannot hold {page.colour} pixels of shape {pixels.shape}; write TIFF instead")
    options = page.meta.native if same_format else {"quality": QUALITY, "subsampling": 0}
    if page.meta.exif:
        options = options | {"exif": EXIF + page.meta.exif}
    if page.meta.dpi:
        options = options | {"dpi": page.meta.dpi}
    Image.fromarray(np.ascontiguousarray(pixels), mode).save(file, "JPEG", icc_profile=page.meta.icc, **options)
