"""One filter on one page: which axes are pixels, which channels are left alone, what a mask means."""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imrestore.cli._report import FileResult
from imrestore.cli._wording import of_options
from imrestore.cli.files import FileError, Limits, Page, printable, read

Filter = Callable[..., Any]


class Recipe:
    """A filter of the package with the keyword arguments of the command line."""

    def __init__(self, command: str, options: dict[str, Any], *, volume: bool = False, limits: Limits | None = None):
        import imrestore

        self.command = command
        self.options = dict(options)
        self.volume = volume
        self.seconds = 0.0  # spent in the filter so far
        self.estimates: list[tuple[float, ...]] = []  # of the noise in each channel, an item per page so far
        self.hear: Callable[[float], object] | None = None  # told of the part of a page that is done, by bm3d
        self.function: Filter = getattr(imrestore, command)
        self.channel_axis: int | str | None = self.options.pop("channel_axis", "auto")
        self.limits = limits = limits or Limits()
        if "footprint" in self.options:
            self.options["footprint"] = _mask("--footprint", self.options["footprint"], limits)
        self.where = _mask("--where", self.options.pop("where"), limits) if "where" in self.options else None
        self.guide, self.guide_channels = None, None
        if "guide" in self.options:
            self.guide, self.guide_channels = _guide(self.options.pop("guide"), limits)
        for name in ("kernel", "psd"):
            if name in self.options:
                self.options[name] = _spectrum(name, self.options[name], limits)

    def begin(self, number: int) -> None:
        """The pages to come are those of another file."""
        self.estimates = []

    def tell(self, result: FileResult) -> None:
        """Report the noise that was estimated."""
        if self.estimates:
            result.sigma = self.estimates
            result.notes.append(_estimated(self.estimates))

    def pages(self, pages: Iterable[Page], kind: str) -> Iterator[Page]:
        """The filtered pages, one by one or, with ``volume``, all as one image with a further axis."""
        yield from self._stack(pages, kind) if self.volume else (self.page(page, kind) for page in pages)

    def page(self, page: Page, kind: str) -> Page:
        """The filtered page: same shape and dtype, except that black and white becomes grey unless ranks are taken."""
        pixels = page.pixels
        if pixels.dtype == np.bool_ and kind != "npy" and self.command != "median":
            pixels = pixels.astype(np.uint8) * 255
        return replace(page, pixels=self._filtered(pixels, page.channel_axis, page.alpha))

    def _stack(self, pages: Iterable[Page], kind: str) -> Iterator[Page]:
        parts: list[Page] = []
        pixels = 0
        for part in pages:
            parts.append(part)
            pixels += part.channels_last()[..., 0].size if part.channel_axis is not None else part.pixels.size
            if pixels > self.limits.max_pixels:
                raise FileError(f"the volume has more than --max-pixels {self.limits.max_pixels:,}")
        first = parts[0]
        if any(part.pixels.shape != first.pixels.shape or part.pixels.dtype != first.pixels.dtype for part in parts):
            raise FileError("the pages differ in shape or type; --volume needs them alike")
        axis = None if first.channel_axis is None else first.channel_axis + 1
        whole = replace(first, pixels=np.stack([part.pixels for part in parts]), channel_axis=axis)
        for part, plane in zip(parts, self.page(whole, kind).pixels, strict=True):
            yield replace(part, pixels=plane)

    def _filtered(self, pixels: NDArray[Any], channel_axis: int | None, alpha: tuple[int, ...]) -> NDArray[Any]:
        if self.channel_axis != "auto":  # the user knows the axes: no channel is special
            return self._call(pixels, self._keywords(pixels.ndim, self.channel_axis))
        keywords = self._keywords(pixels.ndim, channel_axis)
        if not alpha:
            return self._call(pixels, keywords)
        assert channel_axis is not None
        result = pixels.copy()
        colours: list[Any] = [slice(None)] * pixels.ndim
        colours[channel_axis] = [i for i in range(pixels.shape[channel_axis]) if i not in alpha]
        result[tuple(colours)] = self._call(pixels[tuple(colours)], keywords)
        return result

    def _call(self, pixels: NDArray[Any], keywords: dict[str, Any]) -> NDArray[Any]:
        start = time.perf_counter()
        if self.command == "bm3d":
            keywords |= self._noise(pixels, keywords) | {"callback": self.hear}
        result: NDArray[Any] = self.function(pixels, **keywords)
        self.seconds += time.perf_counter() - start
        return result

    def _noise(self, pixels: NDArray[Any], keywords: dict[str, Any]) -> dict[str, Any]:
        """``sigma`` where the filter would estimate it, so that it can be reported; a batch is left to the filter."""
        channel_axis = keywords.get("channel_axis")
        alone = pixels.ndim == (2 if channel_axis is None else 3) and pixels.dtype.kind in "iuf" and pixels.size > 0
        if not alone or {"sigma", "kernel", "psd"} & keywords.keys():
            return {}
        from imrestore.noise import estimate_sigma

        where = keywords.get("where")
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
            where = np.isfinite(pixels) if where is None else np.isfinite(pixels) & where
        if channel_axis is None:
            found: tuple[float, ...] = (estimate_sigma(pixels, where=where),)
        else:
            found = estimate_sigma(pixels, channel_axis=channel_axis, where=where)
        sigmas = tuple(0.0 if math.isnan(s) else s for s in found)
        self.estimates.append(sigmas)
        return {"sigma": sigmas[0] if channel_axis is None else sigmas}

    def _keywords(self, ndim: int, channel_axis: int | str | None) -> dict[str, Any]:
        keywords = dict(self.options)
        if channel_axis is not None:
            keywords["channel_axis"] = channel_axis
        if self.guide is not None:
            guide = self.guide
            if self.guide_channels is not None:  # the image's place for channels, or if it has none the guide's
                axis = channel_axis if isinstance(channel_axis, int) else self.guide_channels
                guide = np.moveaxis(guide, self.guide_channels, axis)
                keywords["channel_axis"] = axis
            keywords["guide"] = guide
        if self.where is not None:
            where = self.where
            if isinstance(channel_axis, int) and where.ndim < ndim:
                # One mask for all channels, which may come before or after the picture's axes.
                where = np.expand_dims(where, where.ndim if channel_axis % ndim == ndim - 1 else 0)
            keywords["where"] = where
        return keywords


def _estimated(sigmas: list[tuple[float, ...]]) -> str:
    """What was estimated of the channels, as a range where there are pages; these may differ in their channels."""

    def text(values: tuple[float | None, ...]) -> str:
        known = [value for value in values if value is not None]
        low, high = f"{min(known):.4g}", f"{max(known):.4g}"
        return low if low == high else f"{low} to {high}"

    return f"estimated sigma: {', '.join(map(text, itertools.zip_longest(*sigmas)))}"


@contextlib.contextmanager
def _named(option: str, path: Path) -> Iterator[None]:
    """Say of an error which file it is about: it is none of the pictures."""
    try:
        yield
    except FileError as error:
        raise FileError(f"{option} {printable(path)}: {error}") from error


def _mask(option: str, path: Path, limits: Limits) -> NDArray[np.bool_]:
    """A grey picture or an array as true and false."""
    with _named(option, path), read(path, limits) as (_, pages):
        page = next(pages)
        if page.channel_axis is not None or next(pages, None) is not None:
            raise FileError("a mask or footprint must be one grey picture or an array without channels")
        mask: NDArray[np.bool_] = page.pixels != 0
        return mask


def _spectrum(name: str, path: Path, limits: Limits) -> NDArray[Any]:
    """The array of ``--kernel`` or ``--psd``: a picture cannot say how strong noise is."""
    from imrestore._checks import bm3d as checks

    with _named(f"--{name}", path), read(path, limits) as (kind, pages):
        if kind != "npy":
            raise FileError("it must be an NPY array")
        array = next(pages).pixels
        try:
            checks.spectrum(name, array)
        except (TypeError, ValueError) as error:
            raise FileError(of_options(error).removeprefix(f"--{name} ")) from error
        return array


def _guide(path: Path, limits: Limits) -> tuple[NDArray[Any], int | None]:
    """A picture without its alpha, and the axis of its channels."""
    with _named("--guide", path), read(path, limits) as (_, pages):
        page = next(pages)
        if next(pages, None) is not None:
            raise FileError("a guide must be one picture or an array")
        pixels, axis = page.pixels, page.channel_axis
        if pixels.dtype == np.bool_:
            pixels = pixels.astype(np.uint8) * 255
        if axis is not None and page.alpha:
            pixels = np.delete(pixels, page.alpha, axis)
        return pixels, axis
