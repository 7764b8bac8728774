"""Metrics of a noisy picture and the clean one, 512x512 and 2048x2048. Nobody else here has MS-SSIM."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benches import peers, scalars
from benches.rows import Goal, Plan, Row

SIDE = 512
DTYPES = ("uint8", "float32")
GOALS = {"psnr": Goal(1, peers.SCIKIT_IMAGE), "ssim": Goal(5, peers.SCIKIT_IMAGE), "ms_ssim": None}


def rows(plan: Plan) -> Iterator[Row]:
    for metric in (scalars.psnr, scalars.ssim, scalars.ms_ssim):
        for side in (SIDE,) if plan.quick else (SIDE, plan.size):
            for dtype in DTYPES:
                yield row(plan, metric, scalars.pair(dtype, side))
    for dtype in DTYPES:
        yield row(plan, scalars.ssim, scalars.pair(dtype, SIDE, colour=True))


def row(plan: Plan, metric: Callable[[scalars.Pair], scalars.Call], pair: scalars.Pair) -> Row:
    call = metric(pair)
    return scalars.measure_scalar(plan, "metrics", call, pair.image, GOALS[call.filter])
