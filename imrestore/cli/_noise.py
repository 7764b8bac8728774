"""``imrestore noise``: how noisy pictures are."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imrestore.cli._parser import UsageError
from imrestore.cli._plan import expand, why_nothing
from imrestore.cli._report import say
from imrestore.cli._wording import of_options
from imrestore.cli.files import FileError, Limits, Page, printable, read

SCHEMA = "imrestore.noise/1"


def noise(args: argparse.Namespace) -> int:
    """Print sigma, gain and read noise of every channel of every page; 1 if a file could not be measured."""
    import imrestore
    from imrestore import _checks
    from imrestore._checks import noise as noise_checks

    try:
        options = {"offset": noise_checks.image_offset(args.offset), "nan_policy": _checks.nan_policy(args.nan_policy)}
    except (TypeError, ValueError) as error:
        raise UsageError(of_options(error)) from error
    limits = Limits(args.max_pixels, args.max_ratio)
    files = []
    for path, problem in _sources(args.inputs, args.recursive):
        pages: list[dict[str, Any]] = []
        try:
            if problem is None:
                _measure_file(path, limits, args.channel_axis, options, pages)
        except FileError as error:
            problem = str(error)
        file = {"input": printable(path), "pages": pages, "error": problem}
        files.append(file)
        if file["error"]:
            say(f"imrestore: {file['input']}: {file['error']}")
        if not args.json:
            _show(file, args.offset)
    if args.json:
        body = {"schema": SCHEMA, "imrestore": imrestore.__version__, "parameters": options, "files": files}
        print(json.dumps(_strict(body), indent=1, allow_nan=False))
    return 1 if any(file["error"] for file in files) else 0


def _sources(inputs: list[str], recursive: bool) -> Iterator[tuple[Path, str | None]]:
    """Files the arguments stand for, each once, or why there are none."""
    seen = set()
    for text in inputs:
        paths = [path for path, _ in expand(text, recursive, None)]
        if not paths:
            yield Path(text), why_nothing(text, recursive)
        for path in paths:
            if (key := os.path.abspath(path)) not in seen:
                seen.add(key)
                yield path, None


def _measure_file(
    path: Path, limits: Limits, channel_axis: int | str | None, options: dict[str, Any], pages: list[dict[str, Any]]
) -> None:
    """Append what was found of every page to ``pages``: what was measured before an error stays."""
    with read(path, limits) as (_, contents):
        for page in contents:
            try:
                channels = [_measure(pixels, options) for pixels in _channels(page, channel_axis)]
            except (TypeError, ValueError, MemoryError) as error:
                raise FileError(printable(of_options(error)) or "not enough memory") from error
            pages.append({"shape": list(page.pixels.shape), "dtype": str(page.pixels.dtype), "channels": channels})


def _channels(page: Page, channel_axis: int | str | None) -> list[NDArray[Any]]:
    """Views of the channels that hold light; alpha does not."""
    from imrestore._checks import noise as noise_checks

    axis = page.channel_axis if channel_axis == "auto" else noise_checks.measured_axes(channel_axis, page.pixels.ndim)
    if axis is None:
        return [page.pixels]
    hidden = page.alpha if channel_axis == "auto" else ()
    return [channel for index, channel in enumerate(np.moveaxis(page.pixels, axis, 0)) if index not in hidden]


def _measure(pixels: NDArray[Any], options: dict[str, Any]) -> dict[str, Any]:
    from imrestore.noise import estimate_poisson_gaussian, estimate_sigma

    policy = options["nan_policy"]
    sigma = {name: estimate_sigma(pixels, method=name, nan_policy=policy) for name in ("pca", "wavelet")}
    model = estimate_poisson_gaussian(pixels, offset=options["offset"], nan_policy=policy)
    return {"sigma": sigma, "gain": model.gain, "read_noise": model.read_noise}


def _show(file: dict[str, Any], offset: float) -> None:
    signal = f"(signal - {offset:g})" if offset else "signal"
    for number, page in enumerate(file["pages"]):
        name = file["input"] + (f" page {number + 1}" if len(file["pages"]) > 1 else "")
        say(f"{name}  {' x '.join(map(str, page['shape']))} {page['dtype']}", sys.stdout)
        for index, channel in enumerate(page["channels"]):
            label = "sigma" if len(page["channels"]) == 1 else f"sigma {index}"
            sigma, gain, read_noise = channel["sigma"], channel["gain"], channel["read_noise"]
            print(
                f"{label:<12} {sigma['pca']:.4g} (wavelet {sigma['wavelet']:.4g})"
                f"   variance = {gain:.4g} * {signal} + {read_noise:.4g}**2"
            )


def _strict(value: Any) -> Any:
    """The same with None for NaN and infinities, which strict JSON has not."""
    if isinstance(value, dict):
        return {name: _strict(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
