"""``imrestore compare``: how close one picture is to another."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imrestore.cli._parser import UsageError
from imrestore.cli._report import say
from imrestore.cli._wording import of_options
from imrestore.cli.files import FileError, Limits, printable, read

#: Metrics of windows, and the scales of each.
SCALES = {"ssim": 1, "ms_ssim": 5}
SIZE = 11


def compare(args: argparse.Namespace) -> int:
    """Print PSNR, SSIM and MS-SSIM of two files; 1 if they cannot be read or compared."""
    limits, pictures = Limits(args.max_pixels, args.max_ratio), []
    for path in (args.image, args.reference):
        try:
            pixels, axis, notes = picture(path, limits)
        except FileError as error:
            say(f"imrestore: {printable(path)}: {error}")
            return 1
        pictures.append((pixels, axis))
        for note in notes:
            say(f"imrestore: {printable(path)}: note: {note}")
    (image, axis), (reference, other) = pictures
    if image.shape != reference.shape or axis != other:
        one, two = f"{printable(args.image)} {described(image, axis)}", f"{printable(args.reference)} {described(reference, other)}"
        say(f"imrestore: {one} and {two} cannot be compared; they must have the same shape and channels")
        return 1
    _check_colours(args.protocol, axis)
    options = {"protocol": args.protocol, "data_range": args.data_range, "crop": args.crop, "channel_axis": axis}
    try:
        values, missing = measure(image, reference, options)
    except TypeError as error:  # of the pixels: the options have their types from the parser
        say(f"imrestore: {printable(args.image)}, {printable(args.reference)}: {error}")
        return 1
    except ValueError as error:
        raise UsageError(of_options(error)) from error
    if args.json:
        print(as_json(args, image, options, values, missing))
        return 0
    print(f"psnr     {values['psnr']:.4f} dB")
    for name in SCALES:
        print(f"{name:<8} " + (f"none: {missing[name]}" if name in missing else f"{values[name]:.6f}"))
    return 0


def _check_colours(protocol: str | None, axis: int | None) -> None:
    """The metrics would speak of a channel_axis, which the files have chosen."""
    if protocol == "gray" and axis is not None:
        raise UsageError("--protocol is 'gray' and the pictures have colours; it must be 'rgb' or 'y-sr'")
    if protocol == "rgb" and axis is None:
        raise UsageError("--protocol is 'rgb' and the pictures have no colours; it must be 'gray' or 'y-sr'")


def picture(path: Path, limits: Limits) -> tuple[NDArray[Any], int | None, list[str]]:
    """Pixels of a file of one page with the colours last and no alpha, the axis of the colours, and what there is to say."""
    with read(path, limits) as (kind, pages):
        page = next(pages)
        if next(pages, None) is not None:
            raise FileError("the file has several pages; compare takes files of one")
    pixels, notes = page.channels_last(), list(page.notes)
    if pixels.dtype == np.bool_ and kind != "npy":
        pixels = pixels.astype(np.uint8) * 255
    if page.channel_axis is None:
        return pixels, None, notes
    if page.alpha:
        pixels = pixels[..., [i for i in range(pixels.shape[-1]) if i not in page.alpha]]
        notes.append("alpha is left out")
    return (pixels[..., 0], None, notes) if pixels.shape[-1] == 1 else (pixels, pixels.ndim - 1, notes)


def described(pixels: NDArray[Any], axis: int | None) -> str:
    """Shape and channels in words."""
    lengths = " x ".join(map(str, pixels.shape[:axis]))
    return f"({lengths})" if axis is None else f"({lengths}, {pixels.shape[-1]} channels)"


def measure(image: NDArray[Any], reference: NDArray[Any], options: dict[str, Any]) -> tuple[dict[str, float], dict[str, str]]:
    """Values by name, and why one is missing."""
    from imrestore import metrics
    from imrestore._checks import metrics as metric_checks

    values = {"psnr": metrics.psnr(image, reference, **options)}
    missing = {}
    lengths = [n - 2 * options["crop"] for n in image.shape[: options["channel_axis"]]]
    for name, scales in SCALES.items():
        try:
            metric_checks.ssim_shape(lengths, SIZE, scales)
        except ValueError as error:
            missing[name] = str(error)
            continue
        values[name] = getattr(metrics, name)(image, reference, size=SIZE, **options)
    return values, missing


def as_json(
    args: argparse.Namespace, image: NDArray[Any], options: dict[str, Any], values: dict[str, float], missing: dict[str, str]
) -> str:
    """The facts as strict JSON, which has no NaN or infinity: those are null, and equal images are said to be identical."""
    facts = {
        "schema": "imrestore.compare/1",
        "image": printable(args.image),
        "reference": printable(args.reference),
        "shape": list(image.shape),
        "dtype": str(image.dtype),
        **options,
        "identical": values["psnr"] == math.inf,
        **{name: values[name] if math.isfinite(values.get(name, math.nan)) else None for name in ("psnr", *SCALES)},
        "missing": missing,
    }
    return json.dumps(facts, indent=1, allow_nan=False)
