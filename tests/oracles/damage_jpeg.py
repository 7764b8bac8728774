"""What a baseline JPEG encoder and decoder make of a picture, after ITU T.81 and the integer arithmetic of libjpeg ("islow").

Every step is written on its own, in 64-bit integers, for whole planes: levels, YCbCr, means of pairs of chroma, the cosine
transform of Loeffler, Ligtenberg and Moschytz (1989), division by the table of Annex K, and all the way back.
"""

from __future__ import annotations

import numpy as np

#: ITU T.81, tables K.1 and K.2.
LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
CHROMINANCE = np.full((8, 8), 99)
CHROMINANCE[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]


def table(base: np.ndarray, quality: int) -> np.ndarray:
    """The Independent JPEG Group's meaning of a quality."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((base * percent + 50) // 100, 1, 255)


def fixed(number: float) -> int:
    return round(number * 8192)


def rounded(values: np.ndarray, bits: int) -> np.ndarray:
    return (values + (1 << (bits - 1))) >> bits


# The rotations by 3 pi/16, pi/16 and 6 pi/16, each as sums of products of the constants that libjpeg rounds to 13 bits.
def odd_part(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> list[np.ndarray]:
    both = (a + c + b + d) * fixed(1.175875602)
    ac, bd = (a + c) * -fixed(1.961570560) + both, (b + d) * -fixed(0.390180644) + both
    ad, bc = (a + d) * -fixed(0.899976223), (b + c) * -fixed(2.562915447)
    return [
        a * fixed(0.298631336) + ad + ac,
        b * fixed(2.053119869) + bc + bd,
        c * fixed(3.072711026) + bc + ac,
        d * fixed(1.501321110) + ad + bd,
    ]


def forward(blocks: np.ndarray) -> np.ndarray:
    """Cosine transform, 8 times as large as T.81 has it: along rows with two more bits, then down columns."""
    for axis in (-1, -2):
        v = np.moveaxis(blocks, axis, 0)
        s, t = v[:4] + v[:3:-1], v[:4] - v[:3:-1]
        e, f, g, h = s[0] + s[3], s[1] + s[2], s[1] - s[2], s[0] - s[3]
        out = np.empty_like(v)
        for k, even in ((0, e + f), (4, e - f)):
            out[k] = even << 2 if axis == -1 else rounded(even, 2)
        bits = 11 if axis == -1 else 15
        turn = (g + h) * fixed(0.541196100)
        out[2] = rounded(turn + h * fixed(0.765366865), bits)
        out[6] = rounded(turn - g * fixed(1.847759065), bits)
        out[[7, 5, 3, 1]] = [rounded(o, bits) for o in odd_part(t[3], t[2], t[1], t[0])]
        blocks = np.moveaxis(out, 0, axis)
    return blocks


def inverse(blocks: np.ndarray) -> np.ndarray:
    """Down columns, then along rows."""
    for axis in (-2, -1):
        v = np.moveaxis(blocks, axis, 0)
        turn = (v[2] + v[6]) * fixed(0.541196100)
        g, h = turn - v[6] * fixed(1.847759065), turn + v[2] * fixed(0.765366865)
        e, f = (v[0] + v[4]) << 13, (v[0] - v[4]) << 13
        o3, o2, o1, o0 = odd_part(v[7], v[5], v[3], v[1])
        pairs = [(e + h, o0), (f + g, o1), (f - g, o2), (e - h, o3)]
        out = np.array([a + b for a, b in pairs] + [a - b for a, b in reversed(pairs)])
        blocks = np.moveaxis(rounded(out, 18 if axis == -1 else 11), 0, axis)
    return blocks


def coded(plane: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """A plane of levels after both transforms; what misses of its last blocks repeats its last row and column."""
    h, w = plane.shape
    plane = np.pad(plane, ((0, -h % 8), (0, -w % 8)), "edge") - 128
    found = forward(plane.reshape(len(plane) // 8, 8, -1, 8).swapaxes(1, 2))
    whole = np.sign(found) * ((abs(found) + 4 * steps) // (8 * steps))
    plane = inverse(whole * steps).swapaxes(1, 2).reshape(plane.shape)
    return np.clip(plane[:h, :w] + 128, 0, 255)


def halved(plane: np.ndarray, factors: tuple[int, int]) -> np.ndarray:
    """Means of 2x1 or 2x2 levels, whose halves and quarters are rounded down and up by turns."""
    fy, fx = factors
    h, w = (-(-n // f) for n, f in zip(plane.shape, factors, strict=True))
    wide = -(-w // 8) * 8  # repeated before the means are taken: its last column counts twice in them
    plane = np.pad(plane, ((0, h * fy - plane.shape[0]), (0, wide * fx - plane.shape[1])), "edge")
    sums = plane.reshape(h, fy, wide, fx).sum(axis=(1, 3))
    return (sums + np.arange(wide) % 2 + fy - 1) // (fy * fx)


def doubled(plane: np.ndarray, factors: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """Three quarters of the nearest sample and one of the next nearest, along each axis; pictures up to 4 wide repeat samples."""
    fy, fx = factors
    if plane.shape[1] <= 2:
        return np.repeat(np.repeat(plane, fy, 0), fx, 1)[: shape[0], : shape[1]]
    framed = np.pad(plane, 1, "edge")
    sums = 4 * framed
    if fy == 2:
        sums = np.repeat(3 * framed, 2, 0)
        sums[2:-2:2] += framed[:-2]
        sums[3:-2:2] += framed[2:]
    sums = sums[fy:-fy]
    out = np.repeat(3 * sums[:, 1:-1], 2, 1)
    out[:, ::2] += sums[:, :-2] + (8 if fy == 2 else 4)
    out[:, 1::2] += sums[:, 2:] + (7 if fy == 2 else 8)
    return (out >> 4)[: shape[0], : shape[1]]


def colour(red: np.ndarray, green: np.ndarray, blue: np.ndarray, quality: int, factors: tuple[int, int]) -> np.ndarray:
    """Three planes of levels."""
    half, middle = 32768, 128 << 16
    y = (19595 * red + 38470 * green + 7471 * blue + half) >> 16
    cb = (-11059 * red - 21709 * green + 32768 * blue + middle + half - 1) >> 16
    cr = (32768 * red - 27439 * green - 5329 * blue + middle + half - 1) >> 16
    y = coded(y, table(LUMINANCE, quality))
    for plane in (cb, cr):
        width = -(-plane.shape[1] // factors[1])
        small = halved(plane, factors) if factors[1] == 2 else plane
        small = coded(small, table(CHROMINANCE, quality))[:, :width]
        plane[...] = (doubled(small, factors, plane.shape) if factors[1] == 2 else small) - 128
    green = y + ((-22554 * cb - 46802 * cr + half) >> 16)
    return np.clip([y + ((91881 * cr + half) >> 16), green, y + ((116130 * cb + half) >> 16)], 0, 255)


def jpeg(levels: np.ndarray, quality: int, subsampling: int) -> np.ndarray:
    """Planes (c, h, w) of levels 0 .. 255; 0, 1 and 2 are 4:4:4, 4:2:2 and 4:2:0."""
    levels = levels.astype(np.int64)
    if len(levels) == 3:
        return colour(*levels, quality, ((1, 1), (1, 2), (2, 2))[subsampling])
    return np.array([coded(plane, table(LUMINANCE, quality)) for plane in levels])
