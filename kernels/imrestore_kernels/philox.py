"""Philox 4x32-10, the generator of all random numbers here, in NumPy: what the kernels of both rings must give to the bit.

J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3. A block
is four words of 32 bits, a function of a key and a counter. The key is the 64 bits of a seed; the counter is (block, stream, index
low, index high), so that every sample of a data set has 2^32 streams of 2^32 blocks whoever draws them, and in whatever order.

There are two orders of words. Parameters, a few numbers for one sample, are in plain order: word j % 4 of block j // 4. A field,
one value for each pixel, is planar in groups of 64: with g = p // 64 and r = p % 64 value p is word r // 16 of block
16 g + r % 16. A vector of 16 counters then makes 64 neighbours without moving a word, and so do 16 threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from imrestore_kernels import elementary

Array = np.ndarray[Any, Any]

ROUNDS = 10
#: Factors of the two products of a round, and what the key grows by from round to round.
FACTORS = (0xD2511F53, 0xCD9E8D57)
STEPS = (0x9E3779B9, 0xBB67AE85)

#: Values of a group of a field, and blocks that make it.
GROUP = 64
GROUP_BLOCKS = 16

_MASK = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
#: A word w is the number (w + 1/2) 2^-32: in float64 without rounding, and neither 0 nor 1.
_UNIT, _HALF_UNIT = 2.0**-32, 2.0**-33


def words(seed: int, index: Any, stream: Any, blocks: Any) -> Array:
    """Words of blocks, uint32 of the shape that ``index``, ``stream`` and ``blocks`` have together, and a last axis of 4."""
    key = [seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF]
    index, stream, blocks = np.broadcast_arrays(*(np.asarray(a).astype(np.uint64) for a in (index, stream, blocks)))
    a, b, c, d = blocks & _MASK, stream & _MASK, index & _MASK, index >> _HALF
    for turn in range(ROUNDS):
        first, second = np.uint64(FACTORS[0]) * a, np.uint64(FACTORS[1]) * c
        keys = [np.uint64((k + turn * step) & 0xFFFFFFFF) for k, step in zip(key, STEPS, strict=True)]
        a, b = (second >> _HALF) ^ b ^ keys[0], second & _MASK
        c, d = (first >> _HALF) ^ d ^ keys[1], first & _MASK
    return np.stack([a, b, c, d], axis=-1).astype(np.uint32)


def parameters(seed: int, indices: Any, streams: Any, count: int) -> Array:
    """Uniform float64 numbers (len(indices), len(streams), count): the first ones of each stream, in plain order."""
    indices, streams = np.asarray(indices, np.uint64), np.asarray(streams, np.uint64)
    blocks = np.arange(-(-count // 4), dtype=np.uint64)
    drawn = words(seed, indices[:, None, None], streams[:, None], blocks)
    drawn = drawn.reshape(len(indices), len(streams), -1)[..., :count]
    return drawn * _UNIT + _HALF_UNIT


def _planar(seed: int, index: int, stream: int, count: int) -> Array:
    """Words of a field in whole groups: (groups, 4, 16)."""
    groups = -(-count // GROUP)
    drawn = words(seed, index, stream, np.arange(groups * GROUP_BLOCKS, dtype=np.uint64))
    return drawn.reshape(groups, GROUP_BLOCKS, 4).transpose(0, 2, 1)


def field(seed: int, index: int, stream: int, count: int) -> Array:
    """The first ``count`` words of a field, uint32."""
    return _planar(seed, index, stream, count).reshape(-1)[:count]


def uniforms(seed: int, index: int, stream: int, count: int, dtype: Any = np.float32) -> Array:
    """A field of uniform numbers: in (0, 1) for float64, in (0, 1] for float32, where each operation is rounded."""
    return to_uniform(field(seed, index, stream, count), np.dtype(dtype))


def to_uniform(drawn: Array, dtype: np.dtype[Any]) -> Array:
    """(w + 1/2) 2^-32 in a float type."""
    real = dtype.type
    uniform: Array = drawn.astype(dtype) * real(_UNIT) + real(_HALF_UNIT)
    return uniform


def normals(seed: int, index: int, stream: int, count: int) -> Array:
    """A field of normal numbers, float32: Box and Muller (1958) on words 0 and 1, and on 2 and 3, of every block."""
    u = to_uniform(_planar(seed, index, stream, count), np.dtype(np.float32))
    radius = np.sqrt(np.float32(-2) * elementary.log(u[:, 0::2]))
    sine, cosine = elementary.sincos(u[:, 1::2])
    pairs = np.stack([radius * cosine, radius * sine], axis=2)  # (groups, pair of words, word of the pair, block)
    return pairs.reshape(-1)[:count]
