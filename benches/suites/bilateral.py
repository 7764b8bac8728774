"""The bilateral filter of a 512x512 picture."""

from __future__ import annotations

from collections.abc import Iterator

from benches import filters, peers
from benches.pictures import picture
from benches.rows import Goal, Plan, Row

SIDE = 512
SIGMA_COLOR = 0.12  # three times the noise
RADII = {4: 2.0, 8: 4.0}  # and the sigma in space


def rows(plan: Plan) -> Iterator[Row]:
    for radius, sigma_space in list(RADII.items())[: 1 if plan.quick else None]:
        for dtype in ("uint8", "uint16", "float32"):
            call = filters.bilateral(SIGMA_COLOR, sigma_space, radius, dtype)
            goal = Goal(1.5, peers.OPENCV) if dtype == "float32" else None
            yield filters.measure_filter(plan, "bilateral", call, picture(dtype, SIDE), goal, copied=False)
        if radius == 4:
            call = filters.bilateral(SIGMA_COLOR, sigma_space, radius, "float32")._replace(filter="bilateral, against scikit-image")
            goal = Goal(20, peers.SCIKIT_IMAGE)
            yield filters.measure_filter(plan, "bilateral", call, picture("float32", SIDE), goal, copied=False)
