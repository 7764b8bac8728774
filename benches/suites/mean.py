"""The mean of a 2048x2048 picture."""

from __future__ import annotations

from collections.abc import Iterator

from benches import filters, peers
from benches.pictures import picture
from benches.rows import Goal, Plan, Row

SIZES = (3, 5, 9, 15, 31)
DTYPES = ("uint8", "uint16", "float32")
GOAL = Goal(1.5, peers.OPENCV)


def rows(plan: Plan) -> Iterator[Row]:
    for size in (3, 9) if plan.quick else SIZES:
        for dtype in DTYPES:
            yield filters.measure_filter(plan, "mean", filters.mean(size), picture(dtype, plan.size), GOAL)
