"""The median of a 2048x2048 picture. OpenCV replicates the border here, so everyone does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benches import filters, peers
from benches.pictures import picture
from benches.rows import Goal, Plan, Row
from benches.timing import Contender

SIZES = (3, 5, 7, 9, 11, 13, 15, 31)
DTYPES = ("uint8", "uint16", "float32")
OWN_UINT8 = "imrestore uint8"

GOALS = {
    (3, "uint8"): Goal(1.2, peers.OPENCV),
    (3, "uint16"): Goal(1.2, peers.OPENCV),
    (3, "float32"): Goal(1.2, peers.OPENCV),
    (5, "uint8"): Goal(1.8, peers.OPENCV),
    (5, "uint16"): Goal(1.8, peers.OPENCV),
    (5, "float32"): Goal(1.8, peers.OPENCV),
    (7, "uint8"): Goal(60, peers.OPENCV),
    (9, "uint8"): Goal(30, peers.OPENCV),
    (11, "uint8"): Goal(13, peers.OPENCV),
    (15, "uint8"): Goal(8, peers.OPENCV),
    (31, "uint8"): Goal(2, peers.OPENCV),
    (31, "float32"): Goal(50, peers.SCIPY),
    # "No slower than their share of bytes": twice and four times the time of 8 bits.
    **{(size, "uint16"): Goal(1 / 2, OWN_UINT8) for size in (7, 9, 11, 15)},
    **{(size, "float32"): Goal(1 / 4, OWN_UINT8) for size in (7, 9, 11, 15)},
}


def rows(plan: Plan) -> Iterator[Row]:
    for size in (3, 5, 9, 31) if plan.quick else SIZES:
        for dtype in DTYPES:
            goal = GOALS.get((size, dtype))
            also = [own_uint8(plan, size)] if goal is not None and goal.peer == OWN_UINT8 else []
            image = picture(dtype, plan.size)
            yield filters.measure_filter(plan, "median", filters.median(size), image, goal, also=also)


def own_uint8(plan: Plan, size: int) -> Contender:
    """Our own 8-bit median of the same size, which the goals of the wider types are set against."""
    image, call = picture("uint8", plan.size), filters.median(size)
    out = np.empty_like(image)
    return Contender(OWN_UINT8, lambda: call.ours(image, out))
