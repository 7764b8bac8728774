"""Estimates of the noise in a 512x512 picture, and Anscombe's transform of a raw one; in the notes, how good the estimates are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benches import filters, peers, scalars
from benches.pictures import GAIN, OFFSET, READ_NOISE, picture, raw, raw_mean
from benches.rows import Goal, Plan, Row

SIDE = 512
#: scikit-image's method is 'wavelet': ours should not be slower. 'pca' computes something else.
GOALS = {"pca": None, "wavelet": Goal(1, peers.SCIKIT_IMAGE)}


def rows(plan: Plan) -> Iterator[Row]:
    for method, goal in GOALS.items():
        for dtype in ("uint8", "float32"):
            call = scalars.estimate_sigma(dtype, SIDE, method)
            yield scalars.measure_scalar(plan, "noise", call, picture(dtype, SIDE), goal, note=accuracy(call))
    for dtype in ("float32",) if plan.quick else ("uint16", "float32"):
        call = scalars.estimate_poisson_gaussian(dtype, SIDE)
        yield scalars.measure_scalar(plan, "noise", call, raw(dtype, SIDE), None, note=accuracy(call))
    forward = filters.anscombe(GAIN, READ_NOISE, OFFSET)
    image = raw("float32", SIDE)
    yield filters.measure_filter(plan, "noise", forward, image, None, copied=False)
    denoised = np.empty_like(image)
    forward.ours(raw_mean(SIDE).astype(np.float32), denoised)
    backward = filters.inverse_anscombe(GAIN, READ_NOISE, OFFSET)
    yield filters.measure_filter(plan, "noise", backward, denoised, None, copied=False)


def accuracy(call: scalars.Call) -> str:
    """How far ours and the others are off, in percent of the noise that was put in."""
    others = "".join(f" ({name} {100 * call.error(run()):+.1f} %)" for name, run in call.others.items())
    return f"sigma {100 * call.error(call.ours()):+.1f} %{others}"
