"""BM3D of a 512x512 picture with noise of 25 in 255; in the notes, how well everyone restores it.

There is no definition that all share: a row is right if its PSNR is what this profile is known to reach, and a peer that
falls short of that is marked.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benches import expected, peers
from benches.pictures import WHITE, clean, stored
from benches.rows import OURS, Goal, Plan, Row, measure
from benches.timing import Contender

SIDE = 512
SIGMA = 25 / 255  # of white
#: What ours should save of the package's time, with as many threads.
GOAL = Goal(20, peers.BM3D)
#: OpenCV's non-local means has no sigma: its best h, in standard deviations of the noise.
OPENCV_H = 0.9


OWN_NL_MEANS = f"{OURS} nl_means"


class Case(NamedTuple):
    """A picture, a profile, and the PSNR that is owed."""

    picture: str  # grey, colour or correlated
    dtype: str
    profile: str
    stages: int
    least: float

    @property
    def parameters(self) -> str:
        stages = ", 1 stage" if self.stages == 1 else ""
        return self.profile + stages + {"grey": "", "colour": " RGB", "correlated": ", correlated noise"}[self.picture]


#: A tenth of a decibel below what was measured on the CPU.
CASES = (
    Case("grey", "float32", "normal", 2, 29.8),
    Case("grey", "float32", "fast", 2, 29.5),
    Case("grey", "float32", "high", 2, 29.8),
    Case("grey", "float32", "normal", 1, 29.6),
    Case("grey", "uint8", "normal", 2, 29.6),
    Case("colour", "float32", "normal", 2, 32.5),
    Case("correlated", "float32", "normal", 2, 25.8),
)


def rows(plan: Plan) -> Iterator[Row]:
    for case in CASES[:2] if plan.quick else CASES:
        yield row(plan, case, SIDE)


def row(plan: Plan, case: Case, side: int) -> Row:
    original, noisy = pair(case, side)
    ours, others = filter_of(case), peers_of(case, plan.threads)
    decibels = {name: psnr(run(noisy, None), original, case.dtype) for name, run in {OURS: ours, **others}.items()}
    short = tuple(name for name in others if decibels[name] < case.least)
    # The whole picture also for those that take long: scaled from a quarter of it the package's time came out a fifth too long.
    return measure(
        plan,
        partial(ours, noisy, None),
        [Contender(name, partial(run, noisy, None)) for name, run in others.items()],
        suite="bm3d",
        filter="bm3d",
        parameters=case.parameters,
        dtype=case.dtype,
        shape=(side, side),
        goal=GOAL if peers.BM3D in others else None,
        equal=decibels[OURS] >= case.least,
        inexact_peers=short,
        decibels=decibels,
        note=note(decibels),
    )


def note(decibels: dict[str, float]) -> str:
    others = ", ".join(f"{name} {value:.2f}" for name, value in decibels.items() if name != OURS)
    return f"{decibels[OURS]:.2f} dB" + (f" ({others})" if others else "")


def pair(case: Case, side: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The original and the noisy picture; only bytes are clipped."""
    from skimage import data

    original = clean(side, side) if case.picture != "colour" else data.astronaut()[:side, :side] / 255.0
    noise = np.random.default_rng(20261121).normal(0, SIGMA, original.shape)
    if case.picture == "correlated":
        noise = np.fft.irfft2(np.fft.rfft2(noise) * np.fft.rfft2(kernel(), noise.shape), noise.shape)
    white = WHITE[case.dtype]
    noisy = (original + noise) * white
    return original * white, stored(np.clip(noisy, 0, white) if case.dtype == "uint8" else noisy, case.dtype).copy()


@cache
def kernel() -> NDArray[np.float64]:
    """A Gaussian of one pixel, whose noise has the variance of the white one."""
    taps = np.exp(-(np.arange(-4, 5.0) ** 2) / 2)
    table: NDArray[np.float64] = np.outer(taps, taps) / (taps @ taps)
    return table


def psnr(restored: object, original: NDArray[Any], dtype: str) -> float:
    return expected.psnr(np.asarray(restored), original, WHITE[dtype])


def filter_of(case: Case) -> peers.Filter:
    import imrestore

    sigma = SIGMA * WHITE[case.dtype]
    taps = kernel() if case.picture == "correlated" else None
    axis = -1 if case.picture == "colour" else None
    return lambda src, dst: imrestore.bm3d(
        src, sigma, profile=case.profile, stages=case.stages, kernel=taps, channel_axis=axis, out=dst
    )


def peers_of(case: Case, threads: int) -> dict[str, peers.Filter]:
    sigma = SIGMA * WHITE[case.dtype]

    @cache
    def noise(shape: tuple[int, ...]) -> Any:
        if case.picture != "correlated":
            return sigma
        spectrum = np.square(abs(np.fft.fft2(kernel(), shape)))
        return spectrum * (sigma**2 * spectrum.size)

    others = peers.bm3d(noise, case.profile, case.stages, threads)
    if case.picture == "correlated":  # nobody else can be told
        return others
    others |= nl_means(sigma, case.picture == "colour")
    return others | (peers.wavelets(sigma) if case.dtype == "float32" else opencv(sigma))


def nl_means(sigma: float, colour: bool) -> dict[str, peers.Filter]:
    """Our own other way, a point of the plot."""
    import imrestore

    axis = -1 if colour else None
    return {OWN_NL_MEANS: lambda src, dst: imrestore.nl_means(src, sigma, channel_axis=axis, out=dst)}


def opencv(sigma: float) -> dict[str, peers.Filter]:
    import cv2

    return {peers.OPENCV_NL_MEANS: lambda src, dst: cv2.fastNlMeansDenoising(src, dst, OPENCV_H * sigma, 7, 21)}
