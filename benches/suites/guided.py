"""The guided filter of a 512x512 picture: by itself, and by a colour guide."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benches import filters, peers
from benches.pictures import picture
from benches.rows import Goal, Plan, Row

SIDE = 512
NOISE = 0.08  # eps is its square
GOAL = Goal(2, peers.OPENCV)


def rows(plan: Plan) -> Iterator[Row]:
    for radius in (8,) if plan.quick else (4, 8, 16):
        for dtype in ("uint8", "float32"):
            call = filters.guided(radius, NOISE, dtype)
            yield filters.measure_filter(plan, "guided", call, picture(dtype, SIDE), GOAL, copied=False)
    image = picture("float32", SIDE)
    guide = np.stack([image, image.T, image[::-1]], axis=-1)
    call = filters.guided(8, NOISE, "float32", guide)
    yield filters.measure_filter(plan, "guided", call, image, GOAL, copied=False)
