"""TIFF and BigTIFF: every page, integer and float samples, strips and tiles, through tifffile.

Layout, compression, resolution, ICC profile and the descriptive tags of each page are written again as they were.
EXIF and GPS directories are not (tifffile cannot write them), nor are the reduced copies in SubIFDs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from imrestore.cli.files._page import FileError, Limits, Metadata, Page

MAX_PAGES = 100_000
CLASSIC_LIMIT = 4_000_000_000  # bytes of pixels; beyond it offsets need BigTIFF's 64 bits
CLASSIC_SIZE = 2**32 - 1
DEFLATE = 8
# Lossless codes that are used again where they can be encoded; everything else becomes deflate.
LOSSLESS = {1, 5, DEFLATE, 32946, 32773, 34925, 50000}
# Tags copied byte for byte: names, descriptions, dates, orientation, Photoshop, XMP, IPTC, GeoTIFF, ImageJ, GDAL.
COPIED = (
    269, 270, 271, 272, 274, 285, 286, 287, 297, 305, 306, 315, 316, 700, 33432, 33550, 33723, 33922, 34264, 34377,
    34735, 34736, 34737, 42112, 42113, 50838, 50839,
)  # fmt: skip
NOT_KEPT = {34665: "EXIF inside TIFF is not kept", 34853: "GPS data inside TIFF are not kept",
            330: "the reduced copies in SubIFDs are not kept"}  # fmt: skip
COLOURS = {"MINISWHITE": "gray", "MINISBLACK": "gray", "RGB": "rgb", "SEPARATED": "cmyk", "PALETTE": "rgb"}


def pages(file: BinaryIO, limits: Limits) -> Iterator[Page]:
    """Yield the pages one by one, each checked before it is decoded."""
    import tifffile

    with tifffile.TiffFile(file) as tif:
        size = tif.filehandle.size
        if not tif.pages:
            raise FileError("truncated: the file has no first page")
        tif.pages.useframes = False
        first = tif.pages[0]
        if tif.is_imagej or tif.is_shaped:
            series = tif.series[0]
            if len(tif.pages) == 1 and math.prod(series.shape) > math.prod(first.shape):
                yield from _hidden_frames(file, tif, series, limits, size)
                return
        count = len(tif.pages)
        if count > MAX_PAGES:
            raise FileError(f"{count:,} pages; at most {MAX_PAGES:,} are read")
        decoded = stored = 0
        for index in range(count):
            page = tif.pages[index].aspage()
            page_decoded, page_stored = _check(page, size)
            decoded, stored = decoded + page_decoded, stored + page_stored
            limits.check(page.imagewidth * page.imagelength, decoded, min(stored, size))
            pixels = _decode(page, file, index)
            yield _page(tif, page, pixels, count * page_decoded)


def _check(page: Any, size: int) -> tuple[int, int]:
    """Bytes of a page once decoded and as stored; refuses layouts whose pixels would not mean what they seem."""
    if page.dtype is None or page.dtype.kind not in "?biuf":
        raise FileError(f"TIFF samples of type {page.dtype} are not supported")
    if page.axes not in ("YX", "YXS", "SYX"):
        raise FileError(f"TIFF pages with axes {page.axes} and shape {page.shape} are not supported")
    name = getattr(page.photometric, "name", str(page.photometric))
    if name not in COLOURS and not (name == "YCBCR" and page.compression in (6, 7)):
        raise FileError(f"TIFF pixels of kind {name} are not supported")
    for offset, length in zip(page.dataoffsets, page.databytecounts, strict=False):
        if length and offset + length > size:
            raise FileError("truncated: pixels lie beyond the end of the file")
    return math.prod(page.shape) * page.dtype.itemsize, sum(page.databytecounts)


def _hidden_frames(file: BinaryIO, tif: Any, series: Any, limits: Limits, size: int) -> Iterator[Page]:
    """ImageJ and tifffile can describe a whole stack by one page, its frames lying one behind the other."""
    page = tif.pages[0].aspage()
    decoded, _ = _check(page, size)
    limits.check(page.imagewidth * page.imagelength, decoded, size)
    frames = math.prod(series.shape) // math.prod(page.shape)
    if page.compression != 1 or series.dataoffset is None or series.dataoffset + frames * decoded > size:
        raise FileError(f"truncated: the description speaks of {frames} frames that the file does not hold")
    stack = np.memmap(file.name, page.dtype.newbyteorder(tif.byteorder), "r", series.dataoffset, (frames, *page.shape))
    for frame in stack.view(np.ndarray):
        yield _page(tif, page, frame.astype(page.dtype.newbyteorder("=")), frames * decoded)


def _decode(page: Any, file: BinaryIO, index: int) -> NDArray[Any]:
    try:
        pixels = page.asarray()
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise
        pixels = _decode_by_pillow(page, file, index)
    if pixels.shape != page.shape:
        raise FileError(f"decoded to shape {pixels.shape}, the header says {page.shape}")
    if page.photometric.name != "PALETTE":
        return np.asarray(pixels)
    # A colour map holds 16-bit entries; nearly every writer fills it from 8-bit colours (x * 257 or x * 256).
    return np.asarray(np.moveaxis(np.asarray(page.colormap)[:, pixels.astype(np.intp)] >> 8, 0, -1).astype(np.uint8))


def _decode_by_pillow(page: Any, file: BinaryIO, index: int) -> NDArray[Any]:
    """LZW, JPEG and fax compression need imagecodecs in tifffile; libtiff in Pillow reads the common layouts."""
    from PIL import Image

    position = file.tell()
    file.seek(0)
    with Image.open(file, formats=["TIFF"]) as image:
        image.seek(index)
        pixels = np.asarray(image)
    file.seek(position)
    if pixels.shape != page.shape or pixels.dtype.newbyteorder("=") != page.dtype:
        raise FileError(
            f"{page.compression.name} compression of {page.dtype} needs a package: pip install 'imrestore[tiff]'"
        )
    return pixels


def _page(tif: Any, page: Any, pixels: NDArray[Any], total: int) -> Page:
    palette = page.photometric.name == "PALETTE"
    axis = 2 if palette else page.axes.find("S")
    axis = axis if axis >= 0 else None
    extra = tuple(int(kind) for kind in page.extrasamples)
    alpha: tuple[int, ...] = ()
    if axis is not None:
        first = pixels.shape[axis] - len(extra)
        alpha = tuple(first + i for i, kind in enumerate(extra) if kind in (1, 2))
    colour = "rgb" if page.photometric.name == "YCBCR" else COLOURS[page.photometric.name]
    native = _layout(tif, page, palette)
    profile = native.get("iccprofile")
    units = {2: 1.0, 3: 2.54}.get(int(page.resolutionunit))
    dpi = tuple(float(value) * units for value in page.resolution) if units and page.tags.get(282) else None
    notes = tuple(text for code, text in NOT_KEPT.items() if page.tags.get(code))
    if palette:
        notes += ("the palette was expanded to colours",)
    return Page(pixels, colour, axis, alpha, Metadata(profile, None, dpi, native), total, notes)  # type: ignore[arg-type]


def _layout(tif: Any, page: Any, palette: bool) -> dict[str, Any]:
    """The arguments of ``TiffWriter.write`` that repeat how the page was stored, and how the file was."""
    kind = page.photometric.name
    layout: dict[str, Any] = {
        "photometric": "rgb" if palette or kind == "YCBCR" else kind.lower(),
        "compression": _encodable(int(page.compression)),
        "iccprofile": page.iccprofile if page.tags.get(34675) else None,
        "file": {"bigtiff": tif.is_bigtiff, "byteorder": tif.byteorder},
    }
    if "S" in page.axes:
        layout["planarconfig"] = "separate" if page.axes == "SYX" else "contig"
        layout["extrasamples"] = [int(kind) for kind in page.extrasamples]
    if layout["compression"] and int(page.predictor) > 1:
        layout["predictor"] = True  # tifffile picks the integer or the float kind
    if page.is_tiled and not page.tilewidth % 16 and not page.tilelength % 16:
        layout["tile"] = (page.tilelength, page.tilewidth)
    if page.tags.get(282) and page.tags.get(283):
        layout["resolution"] = tuple(_rational(page.tags[code].value) for code in (282, 283))
        layout["resolutionunit"] = int(page.resolutionunit) if int(page.resolutionunit) in (1, 2, 3) else 1
    if int(page.subfiletype) & 3:
        layout["subfiletype"] = int(page.subfiletype) & 3
    layout["extratags"] = list(_raw_tags(tif, page))
    return layout


def _rational(value: Any) -> tuple[int, int]:
    numerator, denominator = value if isinstance(value, tuple) else (value, 1)
    return (int(numerator), int(denominator)) if denominator else (1, 1)


def _raw_tags(tif: Any, page: Any) -> Iterator[tuple[int, int, int, bytes, bool]]:
    handle = tif.filehandle
    for code in COPIED:
        tag = page.tags.get(code)
        if tag is not None and 0 < tag.valuebytecount <= handle.size - tag.valueoffset:
            handle.seek(tag.valueoffset)
            yield code, int(tag.dtype), tag.count, handle.read(tag.valuebytecount), False


def _encodable(code: int) -> int | None:
    import tifffile

    if code == 1:
        return None
    if code not in LOSSLESS:
        return DEFLATE
    try:
        tifffile.TIFF.COMPRESSORS[code]
    except KeyError:  # LZW and others without imagecodecs
        return DEFLATE
    return code


def write(file: BinaryIO, pages: Iterable[Page], same_format: bool) -> None:
    """Write the pages as they come: the first decides byte order and 32- or 64-bit offsets."""
    import tifffile

    writer = None
    try:
        for page in pages:
            options = dict(page.meta.native) if same_format else _options(page)
            how = options.pop("file", {"bigtiff": False, "byteorder": None})
            if writer is None:
                writer = tifffile.TiffWriter(
                    file, bigtiff=how["bigtiff"] or page.total > CLASSIC_LIMIT, byteorder=how["byteorder"], shaped=False,
                    ome=False,  # else a name like x.ome.tif would get a description of this file's own making
                )
            pixels = page.pixels
            if pixels.dtype == np.bool_:
                options.pop("predictor", None)
                options.pop("tile", None)
            writer.write(
                np.ascontiguousarray(pixels), metadata=None, software=False, contiguous=False, **options
            )
    finally:
        if writer is not None:
            writer.close()


def _options(page: Page) -> dict[str, Any]:
    """How to store a page that comes from another format: deflate with a predictor, channels last."""
    if page.colour == "other":
        raise FileError(f"TIFF pages need two axes (and channels), not shape {page.pixels.shape}; write NPY instead")
    photometric = {"gray": "minisblack", "rgb": "rgb", "cmyk": "separated"}[page.colour]
    options: dict[str, Any] = {"photometric": photometric, "iccprofile": page.meta.icc, "compression": DEFLATE}
    if page.pixels.dtype.kind in "iu":
        options["predictor"] = True
    if page.channel_axis is not None:
        channels = page.pixels.shape[page.channel_axis]
        base = {"gray": 1, "rgb": 3, "cmyk": 4}[page.colour]
        options["planarconfig"] = "contig"
        options["extrasamples"] = [2 if base + i in page.alpha else 0 for i in range(channels - base)]
    if page.meta.dpi:
        options["resolution"], options["resolutionunit"] = page.meta.dpi, 2
    return options
