"""A 64x64 picture: what a call costs before it computes anything. Ours may take 1.5 times OpenCV's time.

Everyone makes its own result array here, as in the shortest call a user can write.
"""

from __future__ import annotations

from collections.abc import Iterator

from benches import filters, peers
from benches.pictures import picture
from benches.rows import Goal, Plan, Row

SIDE = 64
DTYPES = ("uint8", "uint16", "float32")
GOAL = Goal(1 / 1.5, peers.OPENCV)


def rows(plan: Plan) -> Iterator[Row]:
    for call in (filters.mean(3), filters.gaussian(1), filters.median(3), filters.median(5)):
        for dtype in DTYPES:
            # No copy beside it: everything fits the first cache, where no limit of memory applies.
            yield filters.measure_filter(plan, "small", call, picture(dtype, SIDE), GOAL, into_out=False, copied=False)
