"""Metrics and estimates with the peers that have them: what gives numbers for pictures, checked first, then timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benches import expected, peers, pictures
from benches.pictures import GAIN, NOISE, OFFSET, READ_NOISE, WHITE
from benches.rows import Goal, Plan, Row, measure
from benches.timing import Contender

#: Of the value. Others may compare float32 in float32, where variances of flat parts lose digits: to the four that tables have.
METRIC_TOLERANCE, METRIC_TOLERANCE_OF_OTHERS = 1e-9, 1e-4
#: Of the noise that was put in. Texture, which the median of details takes for noise, adds 9 % in this picture.
SIGMA_TOLERANCE = {"pca": 0.05, "wavelet": 0.15}
#: The same, at every intensity.
POISSON_GAUSSIAN_TOLERANCE = 0.05


class Call(NamedTuple):
    """A function of pictures it knows: ours and everybody else's, and how far a result is off, in parts of what is right."""

    filter: str
    parameters: str
    ours: peers.Number
    others: dict[str, peers.Number]
    error: Callable[[Any], float]
    tolerance: float
    tolerance_of_others: float

    def right(self, result: object) -> bool:
        return abs(self.error(result)) <= self.tolerance  # NaN is not

    def inexact(self) -> tuple[str, ...]:
        """Those whose result differs from the definition, or from the truth where that is known."""
        return tuple(name for name, run in self.others.items() if not abs(self.error(run())) <= self.tolerance_of_others)


class Pair(NamedTuple):
    """A noisy picture and the clean one."""

    image: NDArray[Any]
    reference: NDArray[Any]

    @property
    def white(self) -> float:
        return WHITE[self.image.dtype.name]

    @property
    def parameters(self) -> str:
        height, width, *channels = self.image.shape
        return f"{height}x{width}" + (" RGB" if channels else "")


def pair(dtype: str, side: int, *, colour: bool = False) -> Pair:
    found = Pair(pictures.picture(dtype, side), pictures.reference(dtype, side))
    return Pair(*(np.stack([a, a.T, a[::-1]], axis=-1) for a in found)) if colour else found


def psnr(pair: Pair) -> Call:
    import imrestore

    return metric(
        "psnr",
        pair,
        lambda: imrestore.metrics.psnr(*pair, data_range=pair.white),
        peers.psnr(*pair, pair.white),
        expected.psnr(*pair, pair.white),
    )


def ssim(pair: Pair) -> Call:
    import imrestore

    axis = -1 if pair.image.ndim == 3 else None
    return metric(
        "ssim",
        pair,
        lambda: imrestore.metrics.ssim(*pair, data_range=pair.white, channel_axis=axis),
        peers.ssim(*pair, pair.white),
        expected.ssim(*pair, pair.white),
    )


def ms_ssim(pair: Pair) -> Call:
    import imrestore

    return metric(
        "ms_ssim",
        pair,
        lambda: imrestore.metrics.ms_ssim(*pair, data_range=pair.white),
        {},
        expected.ms_ssim(*pair, pair.white),
    )


def metric(name: str, pair: Pair, ours: peers.Number, others: dict[str, peers.Number], right: float) -> Call:
    def error(value: float) -> float:
        return value / right - 1

    return Call(name, pair.parameters, ours, others, error, METRIC_TOLERANCE, METRIC_TOLERANCE_OF_OTHERS)


def estimate_sigma(dtype: str, side: int, method: str) -> Call:
    """The noise is what the picture has beyond the clean one, in units of white, where neither black nor white is near."""
    import imrestore

    image, clean = pictures.picture(dtype, side), pictures.clean(side, side)
    inside = (clean > 4 * NOISE) & (clean < 1 - 4 * NOISE)
    right = expected.sigma(image, clean * WHITE[dtype], inside)
    return Call(
        "estimate_sigma",
        method,
        lambda: imrestore.noise.estimate_sigma(image, method=method),
        peers.estimate_sigma(image),
        lambda value: value / right - 1,
        SIGMA_TOLERANCE[method],
        SIGMA_TOLERANCE[method],
    )


def estimate_poisson_gaussian(dtype: str, side: int) -> Call:
    """Gain and read noise make up for each other: the noise they add up to is checked, and the worst intensity counts."""
    import imrestore

    image = pictures.raw(dtype, side)
    groups = expected.sigmas_by_intensity(image, pictures.raw_mean(side))

    def error(model: Any) -> float:
        errors = [np.sqrt(model.gain * (level - OFFSET) + model.read_noise**2) / sigma - 1 for level, sigma in groups]
        return float(max(errors, key=abs))

    return Call(
        "estimate_poisson_gaussian",
        f"gain {GAIN:g}, read noise {READ_NOISE:g}",
        lambda: imrestore.noise.estimate_poisson_gaussian(image, offset=OFFSET),
        {},
        error,
        POISSON_GAUSSIAN_TOLERANCE,
        POISSON_GAUSSIAN_TOLERANCE,
    )


def measure_scalar(plan: Plan, suite: str, call: Call, image: NDArray[Any], goal: Goal | None, *, note: str = "") -> Row:
    """The row of a metric or an estimate; ``image`` says what it was of."""
    start = time.perf_counter()
    found = call.ours()
    first_call = time.perf_counter() - start
    row = measure(
        plan,
        call.ours,
        [Contender(name, run) for name, run in call.others.items()],
        suite=suite,
        filter=call.filter,
        parameters=call.parameters,
        dtype=image.dtype.name,
        shape=image.shape,
        goal=goal,
        equal=call.right(found),
        note=note,
        inexact_peers=call.inexact(),
    )
    return replace(row, ours=replace(row.ours, first_call=first_call))
