"""Filters over dask arrays: lazy, block by block with halos, bit-equal to filtering the whole array at once."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from imrestore import _checks, _dispatch

Reach = tuple[tuple[int, int], ...]


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
    if guide is not None:
        channel_axis = _checked_guide(image, guide, channel_axis)
    chosen = _checks.filtered_axes(axes, channel_axis, image.ndim)
    call = functools.partial(function, axes=chosen, **window, **options)
    given = image.chunks
    if joint and channel_axis is not None:
        call = functools.partial(call, channel_axis=channel_axis)
        image = image.rechunk({int(channel_axis) % image.ndim: -1})  # type: ignore[call-overload]
    _try_on_one_pixel(call, image, where)
    halos = dict(zip(chosen, (max(pair) for pair in reach(len(chosen), **window)), strict=True))
    return _overlapped(call, image, where, halos, options["mode"]).rechunk(given)


def _try_on_one_pixel(call: Callable[..., Any], image: Any, where: Any) -> None:
    """Raise what the filter would raise for these parameters now, not when the graph is computed."""
    import numpy as np

    pixel = np.zeros((1,) * image.ndim, image.dtype)
    call(pixel, where=None if where is None else np.ones(pixel.shape, bool))


def _overlapped(call: Callable[..., Any], image: Any, where: Any, halos: dict[int, int], mode: str) -> Any:
    import dask.array as da

    chunks = tuple(
        _merged(image.chunks[a], halos[a]) if a in halos else image.chunks[a] for a in range(image.ndim)
    )
    depth = {a: d if len(chunks[a]) > 1 else 0 for a, d in halos.items()}
    wraps = mode in ("wrap", "grid-wrap")
    boundary = {a: "periodic" if wraps and depth.get(a, 0) else "none" for a in range(image.ndim)}
    depth = {a: depth.get(a, 0) for a in range(image.ndim)}

    def widen(array: Any) -> Any:
        return da.overlap.overlap(array.rechunk(chunks), depth=depth, boundary=boundary, allow_rechunk=False)

    if where is None:
        filtered = widen(image).map_blocks(call, dtype=image.dtype, meta=image._meta)
    else:
        filtered = da.map_blocks(
            _filter_with_where, widen(image), widen(where), call=call, dtype=image.dtype, meta=image._meta
        )
    return da.overlap.trim_internal(filtered, depth, boundary)


def _filter_with_where(block: Any, where: Any, call: Callable[..., Any]) -> Any:
    return call(block, where=where)


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
