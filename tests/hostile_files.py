"""Image files nobody should have to open, each with what the command must say about it."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import tifffile
from PIL import Image


def _gradient(shape: tuple[int, ...], dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, shape).astype(dtype)


def saved(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    if kind == "npy":
        np.save(buffer, pixels, allow_pickle=True)
    elif kind == "tiff":
        tifffile.imwrite(buffer, pixels, **options)
    else:
        Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(header: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    parts = [png_chunk(b"IHDR", header), *(png_chunk(*chunk) for chunk in chunks), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(tags: list[tuple[int, int, int, int]], next_ifd: int = 0) -> bytes:
    """A little-endian TIFF of one directory at byte 8: (code, type, count, value or offset)."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", next_ifd)


def sparse_tiff(side: int, bits: int = 16) -> bytes:
    """A hundred-odd bytes that decode to side x side zeros: the strip is declared empty."""
    return tiff(
        [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 0),
         (277, 3, 1, 1), (278, 4, 1, side), (279, 4, 1, 0)]
    )  # fmt: skip


def page_chain(count: int) -> bytes:
    """`count` pages of one pixel, all of them the same byte of the file."""
    tags = [(256, 4, 1, 1), (257, 4, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
            (277, 3, 1, 1), (278, 4, 1, 1), (279, 4, 1, 1)]  # fmt: skip
    page = struct.pack("<H", 9) + b"".join(struct.pack("<HHII", *t) for t in tags)
    pages = np.zeros(count, [("tags", "u1", len(page)), ("next", "<u4")])
    pages["tags"] = np.frombuffer(page, np.uint8)
    pages["next"][:-1] = 12 + np.arange(1, count) * pages.itemsize
    return b"II*\0" + struct.pack("<I", 12) + b"\x07\0\0\0" + pages.tobytes()


def npy(header: str, data: bytes = b"", version: bytes = b"\x01\0") -> bytes:
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + data


def jpeg_of_size(width: int, height: int) -> bytes:
    """A small JPEG whose header claims another size."""
    data = bytearray(saved(_gradient((16, 16)), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def hostile() -> Iterator[tuple[str, bytes, str]]:
    """(file name, content, regular expression the one-line error must match)."""
    kinds = {"png": "PNG", "jpg": "JPEG", "tif": "tiff", "npy": "npy"}
    good = {suffix: saved(_gradient((64, 80, 3)), kind) for suffix, kind in kinds.items()}
    for suffix, data in good.items():
        yield f"empty.{suffix}", b"", "empty"
        yield f"noise.{suffix}", np.random.default_rng(2).bytes(5000), "not a .* file"
        yield f"magic_only.{suffix}", data[:8], "cannot be decoded|not a|no first page"
        yield f"half.{suffix}", data[: len(data) // 2], "cannot be decoded|truncated"
        yield f"few_bytes_short.{suffix}", data[:-40], "cannot be decoded|truncated"
    yield "jpeg_inside.png", good["jpg"], "holds JPEG although its name says PNG"
    yield "png_inside.jpg", good["png"], "holds PNG although its name says JPEG"
    yield "npy_inside.tif", good["npy"], "holds NPY although its name says TIFF"
    yield "text.png", b"<html>404 not found</html>", "not a PNG file"

    grey8 = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(72))
    yield "huge_header.png", png(struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)), "megapixels"
    yield "zero_width.png", png(struct.pack(">IIBBBBB", 0, 8, 8, 0, 0, 0, 0), (b"IDAT", rows)), "no pixels"
    yield "no_data.png", png(grey8), "cannot be decoded"
    yield "data_short.png", png(grey8, (b"IDAT", zlib.compress(bytes(20)))), "cannot be decoded"
    yield "not_deflate.png", png(grey8, (b"IDAT", b"x" * 60)), "cannot be decoded"
    yield "depth_9.png", png(struct.pack(">IIBBBBB", 8, 8, 9, 0, 0, 0, 0), (b"IDAT", rows)), "cannot be decoded"
    yield "bad_crc.png", good["png"][:29] + b"\0\0\0\0" + good["png"][33:], "cannot be decoded"
    text_bomb = b"k\0\0" + zlib.compress(bytes(200_000_000), 1)
    yield "text_bomb.png", png(grey8, (b"zTXt", text_bomb), (b"IDAT", rows)), "cannot be decoded"
    animation = io.BytesIO()
    frames = [Image.fromarray(_gradient((8, 8))), Image.fromarray(255 - _gradient((8, 8)))]
    frames[0].save(animation, "PNG", save_all=True, append_images=frames[1:])
    yield "animated.png", animation.getvalue(), "animated PNG"

    yield "huge_header.jpg", jpeg_of_size(65500, 65500), "megapixels"
    yield "larger_than_data.jpg", jpeg_of_size(20000, 20000), "more than --max-ratio"
    yield "start_only.jpg", b"\xff\xd8\xff\xe0", "cannot be decoded"

    yield "bomb_7GiB.tif", sparse_tiff(60000), "megapixels"
    yield "bomb_800MB.tif", sparse_tiff(20000), "more than --max-ratio"
    yield "no_directory.tif", b"II*\0\xff\xff\xff\x7f", "no first page"
    yield "directory_of_65535_tags.tif", b"II*\0\x08\0\0\0\xff\xff" + bytes(40), "cannot be decoded"
    yield "zero_size.tif", sparse_tiff(0), "no pixels|not supported|cannot be decoded"
    yield "strip_beyond_end.tif", tiff(
        [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 10**9),
         (277, 3, 1, 1), (278, 4, 1, 8), (279, 4, 1, 64)]
    ), "truncated"  # fmt: skip
    yield "120000_pages.tif", page_chain(120_000), "120,000 pages"
    yield "camera_raw.tif", saved(_gradient((8, 8)), "tiff", photometric="CFA", extratags=[
        (33421, 3, 2, (2, 2), True), (33422, 1, 4, bytes([0, 1, 1, 2]), True)]), "CFA"  # fmt: skip
    yield "complex.tif", saved(np.ones((8, 8), np.complex64), "tiff"), "not supported"
    deflated = bytearray(saved(_gradient((64, 64)), "tiff", compression="zlib"))
    deflated[-200:-100] = bytes(100)
    yield "broken_deflate.tif", bytes(deflated), "cannot be decoded"
    yield "pickle.npy", saved(np.array([{"a": 1}], object), "npy"), "cannot be decoded"
    yield "terabytes.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }"), "truncated"
    yield "negative.npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-3, 4), }", bytes(96)), "decoded"
    yield "overflow.npy", npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({2**62}, 8), }}"), "decoded"
    yield "code.npy", npy("__import__('os').system('true')"), "cannot be decoded"
    yield "deep.npy", npy("(" * 5000), "cannot be decoded"
    yield "version_9.npy", npy("{}", version=b"\x09\0"), "cannot be decoded"
    yield "complex.npy", saved(np.ones((4, 4), complex), "npy"), "not supported"
    yield "names.npy", saved(np.zeros(3, [("a", "f4"), ("b", "i2")]), "npy"), "not supported"
    yield "text.npy", saved(np.array(["a", "b"]), "npy"), "not supported"
    yield "nothing.npy", saved(np.zeros((0, 5)), "npy"), "no pixels|cannot be decoded"
    yield "scalar.npy", saved(np.array(3.0), "npy"), "image"
