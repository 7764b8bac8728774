"""How strong the noise of an image is, as the caller says or by an estimate: for each channel, or for every sample."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from imrestore_kernels import forks

from imrestore import _dispatch
from imrestore._checks import bm3d as bm3d_checks


def noise_levels(opened: _dispatch.Opened, sigma: Any, level: float | None, channel_axis: object) -> tuple[tuple[float, ...], Any]:
    """Standard deviations of the channels, and those of every sample if they were given as a map."""
    channels = 1 if opened.channel is None else opened.array.shape[opened.channel]
    if sigma is None:
        if level is not None:
            return (level,) * channels, None
        return tuple(root_mean_square(channel) for channel in zip(*estimates(opened), strict=True)), None
    kind = _dispatch.library(sigma)
    if getattr(sigma, "ndim", 0) < 2 and kind in (_dispatch.NUMPY, opened.kind):
        given = sigma if kind == _dispatch.NUMPY else sigma.tolist()
        return bm3d_checks.channel_sigmas(given, channels, channel_axis), None
    _dispatch.check_same_kind("sigma", sigma, opened.given, opened.kind, opened.device)
    return _map(opened, _dispatch.as_array(sigma, opened.kind, opened.device, "sigma"), channels)


def _map(opened: _dispatch.Opened, given: Any, channels: int) -> tuple[tuple[float, ...], Any]:
    """Root mean square of each channel of a map, and the map in kernel order, (images, H, W, 1 or channels)."""
    if given.dtype.kind not in "iuf":
        raise TypeError(f"sigma has dtype {given.dtype}; it must be of real numbers")
    array = opened.array
    with _dispatch.on_device(opened.given, opened.kind, opened.device):
        xp = _dispatch.namespace(opened.on_cuda)
        own = bm3d_checks.sigma_map_shape(tuple(given.shape), tuple(array.shape), opened.channel)
        bm3d_checks.sigma_map_values(float(given.min()), float(given.max()))
        if opened.channel is not None and not own:
            given = xp.expand_dims(given, opened.channel)
        shape = tuple(1 if a == opened.channel and not own else n for a, n in enumerate(array.shape))
        order = _dispatch.KernelOrder.of_channels(shape, opened.axes, opened.channel)
        levels = order.arrange(xp, given, np.dtype(np.float64))
        largest = float(levels.max()) or 1.0
        roots = tuple(largest * math.sqrt(float(((levels[..., c] / largest) ** 2).mean())) for c in range(levels.shape[-1]))
    return roots if len(roots) == channels else roots * channels, levels


def estimates(opened: _dispatch.Opened) -> list[tuple[float, ...]]:
    """Of every image, for each channel; NaN where nothing is known. What is not finite takes no part."""
    with forks.importing:
        from imrestore.noise import estimate_sigma

    found: list[tuple[float, ...]] = []
    for picture, mask in opened.pictures():
        sigmas = estimate_sigma(picture, channel_axis=-1, where=mask)
        if picture.dtype.kind == "f" and any(map(math.isnan, sigmas)):
            xp = _dispatch.namespace(opened.on_cuda)
            finite = xp.isfinite(picture)
            sigmas = estimate_sigma(picture, channel_axis=-1, where=finite if mask is None else mask & finite)
        found.append(sigmas)
    return found


def root_mean_square(sigmas: Iterable[float]) -> float:
    """Of those that are known; 0 if none is."""
    known = [sigma for sigma in sigmas if sigma == sigma]
    return math.hypot(*known) / math.sqrt(len(known)) if known else 0.0  # no square vanishes or overflows


def is_finite(opened: _dispatch.Opened) -> bool:
    """Whether every sample is a number and none infinite."""
    return all(p.dtype.kind != "f" or bool(abs(p).max() < np.inf) for p, _ in opened.pictures())
