"""The filters with the peers that have them: checked first, then timed on one picture."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benches import expected, machine, peers
from benches.pictures import WHITE
from benches.rows import Goal, Plan, Row, measure
from benches.timing import Contender

TRUNCATE = 4.0


class Call(NamedTuple):
    """A filter with its parameters: ours, everybody else's for a dtype, and its definition."""

    filter: str
    parameters: str
    ours: peers.Filter
    others: Callable[[str], dict[str, peers.Filter]]
    definition: Callable[[NDArray[Any]], expected.Expected]


def mean(size: int) -> Call:
    import imrestore

    return Call(
        "mean",
        f"{size}x{size}",
        lambda src, dst: imrestore.mean(src, size, out=dst),
        lambda dtype: peers.mean(dtype, size),
        lambda image: expected.mean(image, size, "reflect"),
    )


def gaussian(sigma: float) -> Call:
    """With the taps scipy takes: radius int(4 sigma + 0.5)."""
    import imrestore

    return Call(
        "gaussian",
        f"sigma {sigma:g}",
        lambda src, dst: imrestore.gaussian(src, sigma, truncate=TRUNCATE, out=dst),
        lambda dtype: peers.gaussian(dtype, sigma, TRUNCATE),
        lambda image: expected.gaussian(image, sigma, TRUNCATE, "reflect"),
    )


def median(size: int) -> Call:
    """OpenCV replicates the border here and leaves no choice, so everyone does."""
    import imrestore

    return Call(
        "median",
        f"{size}x{size}",
        lambda src, dst: imrestore.median(src, size, mode="nearest", out=dst),
        lambda dtype: peers.median(dtype, size),
        lambda image: expected.median(image, size, "nearest"),
    )


class Similarity(NamedTuple):
    """Parameters of a filter by similarity, in units of white."""

    noise: float
    h: float
    patch: int
    distance: int


def nl_means(similarity: Similarity, dtype: str) -> Call:
    """With the default weights of patches, a box of boxes; noise and h are given."""
    import imrestore

    white = WHITE[dtype]
    sigma, h = similarity.noise * white, similarity.h * white
    patch, distance = similarity.patch, similarity.distance
    window, short = 2 * distance + 1, max(1, (patch - 1) // 2)
    weights = np.convolve(np.ones(short), np.ones(patch + 1 - short)) / (short * (patch + 1 - short))
    return Call(
        "nl_means",
        f"{patch}x{patch} in {window}x{window}",
        lambda src, dst: imrestore.nl_means(src, sigma, h=h, patch_size=patch, patch_distance=distance, out=dst),
        lambda dtype: peers.nl_means(dtype, sigma, h, patch, distance),
        lambda image: expected.nl_means(image, sigma, h, weights, distance),
    )


def bilateral(sigma_color: float, sigma_space: float, radius: int, dtype: str) -> Call:
    import imrestore

    color = sigma_color * WHITE[dtype]
    return Call(
        "bilateral",
        f"{2 * radius + 1}x{2 * radius + 1}",
        lambda src, dst: imrestore.bilateral(src, color, sigma_space, radius=radius, out=dst),
        lambda dtype: peers.bilateral(dtype, color, sigma_space, radius),
        lambda image: expected.bilateral(image, color, sigma_space, radius),
    )


def guided(radius: int, noise: float, dtype: str, guide: NDArray[Any] | None = None) -> Call:
    """``guide`` has its channels last; without one the picture guides itself."""
    import imrestore

    eps = (noise * WHITE[dtype]) ** 2
    axis = None if guide is None or guide.ndim == 2 else -1

    def excerpt_of(image: NDArray[Any]) -> NDArray[Any] | None:
        return None if guide is None else np.ascontiguousarray(guide[: image.shape[0], : image.shape[1]])

    def ours(src: NDArray[Any], dst: NDArray[Any] | None) -> object:
        return imrestore.guided(src, excerpt_of(src), radius, eps=eps, channel_axis=axis, out=dst)

    def theirs(src: NDArray[Any], dst: NDArray[Any] | None) -> object:
        return peers.guided(radius, eps, excerpt_of(src))[peers.OPENCV](src, dst)

    def definition(image: NDArray[Any]) -> expected.Expected:
        own = excerpt_of(image)
        return expected.guided(image, image if own is None else own, radius, eps)

    parameters = f"radius {radius}" + (", colour guide" if guide is not None else "")
    return Call("guided", parameters, ours, lambda _: {peers.OPENCV: theirs}, definition)


def anscombe(gain: float, read_noise: float, offset: float) -> Call:
    import imrestore

    return Call(
        "anscombe",
        f"gain {gain:g}, read noise {read_noise:g}",
        lambda src, dst: imrestore.noise.anscombe(src, gain, read_noise, offset=offset, out=dst),
        lambda _: peers.anscombe(gain, read_noise, offset),
        lambda image: expected.anscombe(image, gain, read_noise, offset),
    )


def inverse_anscombe(gain: float, read_noise: float, offset: float) -> Call:
    """The exact one, which nobody else here has."""
    import imrestore

    return Call(
        "inverse_anscombe",
        f"gain {gain:g}, read noise {read_noise:g}",
        lambda src, dst: imrestore.noise.inverse_anscombe(src, gain, read_noise, offset=offset, out=dst),
        lambda _: {},
        lambda values: expected.inverse_anscombe(values, gain, read_noise, offset),
    )


def measure_filter(
    plan: Plan,
    suite: str,
    call: Call,
    image: NDArray[Any],
    goal: Goal | None,
    *,
    also: Sequence[Contender] = (),
    into_out: bool = True,
    copied: bool = True,
    note: str = "",
) -> Row:
    """The row of one filter.

    Our result is checked on the whole picture, a peer's on an excerpt; ``also`` is only timed. Everyone writes into an
    array made before, or, without ``into_out``, makes its own.
    """
    image = image.copy()  # some peers refuse a read-only picture
    out = np.zeros_like(image)
    start = time.perf_counter()
    call.ours(image, out)
    first_call = time.perf_counter() - start
    equal = call.definition(image).matches(out)
    part = peers.excerpt(image)
    wanted = call.definition(part)
    others = call.others(image.dtype.name)
    row = measure(
        plan,
        peers.contender("", call.ours, image, into_out).run,
        [*(peers.contender(name, run, image, into_out) for name, run in others.items()), *also],
        copy=machine.copier(image, np.empty_like(image), plan.threads) if copied else None,
        suite=suite,
        filter=call.filter,
        parameters=call.parameters,
        dtype=image.dtype.name,
        shape=image.shape,
        goal=goal,
        equal=equal,
        note=note,
        inexact_peers=tuple(name for name, run in others.items() if not matches(run, part, wanted)),
    )
    return replace(row, ours=replace(row.ours, first_call=first_call))


def matches(run: peers.Filter, image: NDArray[Any], wanted: expected.Expected) -> bool:
    out = np.zeros_like(image)
    run(image, out)
    return wanted.matches(out)
