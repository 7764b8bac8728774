"""The Gaussian of a 2048x2048 picture."""

from __future__ import annotations

from collections.abc import Iterator

from benches import filters, peers
from benches.pictures import picture
from benches.rows import Goal, Plan, Row

SIGMAS = (1, 2, 5, 10)
GOALS = {"uint8": Goal(1.5, peers.OPENCV), "uint16": None, "float32": Goal(2, peers.OPENCV)}


def rows(plan: Plan) -> Iterator[Row]:
    for sigma in (1, 5) if plan.quick else SIGMAS:
        for dtype, goal in GOALS.items():
            yield filters.measure_filter(plan, "gaussian", filters.gaussian(sigma), picture(dtype, plan.size), goal)
