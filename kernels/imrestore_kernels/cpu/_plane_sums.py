"""Sums over planes in one fixed order, the same on every backend."""

from __future__ import annotations

from typing import Any

from imrestore_kernels.cpu._jit import inline

#: Values are summed in blocks: every lane adds up `RUN` of them that lie `LANES` apart, then halves of the lanes are added. The
#: sums of the blocks are added up in the same way, in one block of any length. All in float64.
LANES, RUN = 128, 64


@inline
def fold(lanes: Any) -> float:
    """The sum of all lanes, halves first; they are 0 afterwards."""
    half = LANES // 2
    while half > 0:
        for i in range(half):
            lanes[i] += lanes[i + half]
        half //= 2
    total = float(lanes[0])
    for i in range(LANES):
        lanes[i] = 0.0
    return total


@inline
def plane_sum(values: Any, start: int, count: int, lanes: Any, blocks: Any) -> float:
    """The sum of a plane; ``lanes`` and ``blocks`` are `LANES` float64 zeros, and so they are afterwards."""
    for number in range((count + LANES * RUN - 1) // (LANES * RUN)):
        block = start + number * LANES * RUN
        stop = block + LANES * RUN
        stop = stop if stop < start + count else start + count
        whole = block + (stop - block) // LANES * LANES
        for at in range(block, whole, LANES):
            row = values[at : at + LANES]
            for i in range(LANES):
                lanes[i] += row[i]
        rest = values[whole:stop]
        for i in range(stop - whole):
            lanes[i] += rest[i]
        blocks[number % LANES] += fold(lanes)
    return fold(blocks)
