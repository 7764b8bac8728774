"""PNG in plain Python, every colour type and depth: what the command's own PNG code is held against."""

from __future__ import annotations

import struct
import zlib

import numpy as np

SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def encode(pixels: np.ndarray, colour: int, depth: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """Samples of shape (height, width, samples), unfiltered; `chunks` go between header and pixels."""
    height, width = pixels.shape[:2]
    if depth == 16:
        rows = [row.astype(">u2").tobytes() for row in pixels]
    else:
        bits = np.unpackbits(pixels.astype(np.uint8)[..., None], axis=-1)[..., -depth:]
        rows = [np.packbits(row.ravel()).tobytes() for row in bits]
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)), *chunks]
    parts += [(b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def decode(data: bytes) -> tuple[np.ndarray, int, int, dict[bytes, bytes]]:
    """Samples, colour type, depth, and the other chunks; the checksums are checked."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks, body = 8, {}, b""
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        content = data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(name + content)
        if name == b"IDAT":
            body += content
        else:
            assert name not in chunks
            chunks[name] = content
        at += 12 + length
    assert chunks.pop(b"IEND") == b""
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks.pop(b"IHDR"))
    assert rest == [0, 0, 0]
    per_pixel = SAMPLES[colour] * depth
    raw, stride = zlib.decompress(body), (width * per_pixel + 7) // 8
    assert len(raw) == height * (stride + 1)
    rows = _unfilter(raw, height, stride, max(1, per_pixel // 8))
    if depth == 16:
        samples = rows.view(">u2").astype(np.uint16)
    else:
        bits = np.unpackbits(rows, axis=1)[:, : width * per_pixel].reshape(height, -1, depth)
        samples = bits @ (1 << np.arange(depth)[::-1]).astype(np.uint8)
    return samples.reshape(height, width, SAMPLES[colour]), colour, depth, chunks


def _unfilter(raw: bytes, height: int, stride: int, step: int) -> np.ndarray:
    above = bytearray(stride)
    rows = []
    for y in range(height):
        kind, row = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1 : (y + 1) * (stride + 1)])
        for x in range(stride):
            a, b = row[x - step] if x >= step else 0, above[x]
            c = above[x - step] if x >= step else 0
            # The first of equals wins, as the standard says.
            nearest = min((a, b, c), key=lambda guess, p=a + b - c: abs(p - guess))
            row[x] = (row[x] + (0, a, b, (a + b) // 2, nearest)[kind]) & 255
        rows.append(row)
        above = row
    return np.frombuffer(b"".join(rows), np.uint8).reshape(height, stride)
