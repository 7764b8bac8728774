"""Filters over dask arrays: lazy, block by block with halos, bit-equal to filtering the whole array at once."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

from imrestore import _checks, _dispatch, _guide

Reach = tuple[tuple[int, int], ...]
Axes = tuple[int, ...]


def filter_blocks(
    function: Callable[..., Any],
    image: Any,
    reach: Callable[..., Reach],
    window: dict[str, Any],
    options: dict[str, Any],
    axes: object,
    channel_axis: object,
    out: Any,
    where: Any,
    joint: bool = False,
    guide: Any = None,
    maps: dict[str, Any] | None = None,
    grid: tuple[int, ...] = (),
) -> Any:
    """Apply ``function`` to every block of a dask array with just the neighbours it needs.

    Parameters
    ----------
    function : callable
        The public filter; it sees blocks of the type the dask array is made of.
    image : dask.array.Array
    reach : callable
        ``reach(axes, **window)``: samples a pixel needs before and after itself, per filtered axis.
    window, options : dict
        Keyword arguments of the filter that do and do not decide the reach.
    axes, channel_axis, out, where : object
        As in the filters.
    joint : bool
        The filter looks at all channels of a pixel together: they stay in one block.
    guide : dask.array.Array, optional
        A second image that is read along with the first: ``channel_axis`` is that of the one with more axes, or of both.
    maps : dict of dask.array.Array, optional
        Arguments with a value for every pixel, of the image's shape or all of it but the channels.
    grid : tuple of int, optional
        For each filtered axis the samples after which the filter's own order of work repeats: blocks begin there only.
    """
    import dask.array as da

    if not isinstance(image, da.Array):
        raise TypeError(f"image is a dask {type(image).__name__}; it must be a dask.array.Array")
    if out is not None:
        raise ValueError("out is given and image is a lazy dask array; it must be None")
    if any(math.isnan(n) for n in image.shape):
        raise ValueError("image has unknown chunk sizes; call image.compute_chunk_sizes() first")
    if 0 in image.shape or image.ndim == 0:
        raise ValueError(f"image has the shape {image.shape}; it must have axes, each with at least one pixel")
    if where is not None:
        if _dispatch.library(where) != _dispatch.DASK:
            raise TypeError(f"where is a {type(where).__name__} and image a dask array; both must be of one kind")
        if where.dtype != bool:
            raise TypeError(f"where has dtype {where.dtype}; it must be bool: True takes part")
        try:
            where = da.broadcast_to(where, image.shape)
        except ValueError:
            raise ValueError(f"where has the shape {where.shape}; it must broadcast to {image.shape}") from None
    own = _guide.image_channel_axis(image, guide, channel_axis)
    chosen = _checks.filtered_axes(axes, own, image.ndim)
    call = functools.partial(function, axes=chosen, **window, **options)
    given = image.chunks
    if joint and channel_axis is not None:
        call = functools.partial(call, channel_axis=channel_axis)
    channel = _checks.axis_of_channels(own, image.ndim) if joint else None
    everywhere = tuple(range(image.ndim))
    beside = {} if where is None else {"where": (where, everywhere)}
    if guide is not None:
        beside["guide"] = (guide, _axes_of_guide(image, guide, channel, channel_axis))
    elif channel is not None:
        image = image.rechunk({channel: -1})
    for name, values in (maps or {}).items():
        beside[name] = (values, everywhere if values.ndim == image.ndim else tuple(a for a in everywhere if a != channel))
    _try_on_one_pixel(call, {"image": (image, everywhere)} | beside, channel)
    halos = dict(zip(chosen, (max(pair) for pair in reach(len(chosen), **window)), strict=True))
    periods = dict(zip(chosen, grid or (1,) * len(chosen), strict=True))
    return _overlapped(call, image, beside, halos, periods, options.get("mode", "")).rechunk(given)


def _axes_of_guide(image: Any, guide: Any, channel: int | None, channel_axis: object) -> Axes:
    """The image's axis that each axis of the guide goes with; -1 for channels of its own."""
    if _dispatch.library(guide) != _dispatch.DASK:
        raise TypeError(f"guide is a {type(guide).__name__} and image a dask array; both must be of one kind")
    own = _checks.guide_channel(guide.shape, image.shape, channel, channel_axis)
    axes = [a for a in range(image.ndim) if a != channel]
    return tuple(axes if own is None else [*axes[:own], -1, *axes[own:]])


def _try_on_one_pixel(call: Callable[..., Any], given: dict[str, tuple[Any, Axes]], channel: int | None) -> None:
    """Raise what the filter would raise for these parameters now, not when the graph is computed."""
    import numpy as np

    def pixel(array: Any, axes: Axes) -> Any:
        return np.zeros([n if a in (-1, channel) else 1 for n, a in zip(array.shape, axes, strict=True)], array.dtype)

    call(**{name: pixel(*value) for name, value in given.items()})


def _overlapped(
    call: Callable[..., Any],
    image: Any,
    beside: dict[str, tuple[Any, Axes]],
    halos: dict[int, int],
    periods: dict[int, int],
    mode: str,
) -> Any:
    import dask.array as da

    halos = {a: -(-d // periods[a]) * periods[a] for a, d in halos.items()}
    chunks = tuple(
        _merged(_on_grid(image.chunks[a], periods[a]), halos[a]) if a in halos else image.chunks[a] for a in range(image.ndim)
    )
    depth = {a: d if len(chunks[a]) > 1 else 0 for a, d in halos.items()}
    wraps = mode in ("wrap", "grid-wrap")
    boundary = {a: "periodic" if wraps and depth.get(a, 0) else "none" for a in range(image.ndim)}
    depth = {a: depth.get(a, 0) for a in range(image.ndim)}

    def widen(array: Any, axes: Axes) -> Any:
        whole = tuple((n,) if a < 0 else chunks[a] for n, a in zip(array.shape, axes, strict=True))
        return da.overlap.overlap(
            array.rechunk(whole),
            depth={i: depth.get(a, 0) for i, a in enumerate(axes)},
            boundary={i: boundary.get(a, "none") for i, a in enumerate(axes)},
            allow_rechunk=False,
        )

    everywhere = tuple(range(image.ndim))
    pairs: list[Any] = [widen(image, everywhere), everywhere]
    for array, axes in beside.values():  # an axis of its own is one block, which every block of the image gets
        pairs += [widen(array, axes), tuple(image.ndim if a < 0 else a for a in axes)]
    filtered = da.blockwise(
        _filter_block, everywhere, *pairs, names=tuple(beside), call=call, dtype=image.dtype, meta=image._meta,
        concatenate=True, align_arrays=False,
    )  # fmt: skip
    return da.overlap.trim_internal(filtered, depth, boundary)


def _filter_block(block: Any, *others: Any, names: tuple[str, ...], call: Callable[..., Any]) -> Any:
    return call(block, **dict(zip(names, others, strict=True)))


def _on_grid(chunks: tuple[int, ...], period: int) -> tuple[int, ...]:
    """Chunks that begin at multiples of the period, each where the nearest one did."""
    if period == 1:
        return chunks
    length = sum(chunks)
    ends = {round(end / period) * period for end in itertools.accumulate(chunks)}
    cuts = [0, *sorted(end for end in ends if 0 < end < length), length]
    return tuple(b - a for a, b in itertools.pairwise(cuts))


def _merged(chunks: tuple[int, ...], halo: int) -> tuple[int, ...]:
    """Neighbouring chunks put together: each at least as long as the halo, so that no block spans a border twice."""
    merged = [0]
    for chunk in chunks:
        if merged[-1] > halo:
            merged.append(0)
        merged[-1] += chunk
    if len(merged) > 1 and merged[-1] <= halo:
        last = merged.pop()
        merged[-1] += last
    return tuple(merged)
