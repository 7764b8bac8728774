"""``imrestore degrade --gallery``: every step and chain on one photograph, with the call that made it."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imrestore.cli._demo import photograph
from imrestore.cli._demo_picture import detail
from imrestore.cli._gallery_picture import Group, Tile, contact_sheet
from imrestore.cli._parser import UsageError
from imrestore.cli._report import say
from imrestore.cli._step_text import step_of
from imrestore.cli._wording import of_options
from imrestore.cli.files import FileError, new_file, printable

Image = NDArray[np.uint8]
SEED = 2026
#: Side of a tile, and of the part of the photograph that chains make four times smaller: they are shown twice as large.
SIDE = 144
CHAIN_SIDE = 2 * SIDE
SAMPLES = 8

#: Of every package the steps by kind; they are read as those of ``--step``. A new step adds its lines here.
SHEETS: dict[str, dict[str, tuple[str, ...]]] = {
    "degrade": {
        "Noise": (
            "GaussianNoise(25)", "GaussianNoise(25, grey=1)", "ColorNoise(50)", "PoissonNoise(20)", "PoissonNoise(20, grey=1)",
            "PoissonGaussianNoise(8, 12)", "SpeckleNoise(0.3)",
        ),
        "Sensors": (
            "SaltAndPepper(0.1)", "RandomImpulse(0.1)", "DeadPixels(0.01)", "RowNoise(15)", "Banding(25, period=16)",
            "Camera(0.004)", "Mosaic()", "Mosaic(demosaic='bilinear')",
        ),
        "Blur": (
            "GaussianBlur(2)", "GaussianBlur(5, 1, angle=30)", "GeneralizedGaussianBlur(2, beta=0.5)",
            "PlateauBlur(2, beta=2)", "SincBlur(0.7)", "DefocusBlur(4)", "MotionBlur(20, angle=30, bend=90)",
            "PSFBlur([[0.6, 0, 0, 0, 0, 0, 0, 0, 0.4]])",
        ),
        "Resolution and files": (
            "Resize(0.25)", "Resize(0.25, method='nearest')", "Resize(0.25, method='area')", "JPEG(10)",
            "JPEG(10, subsampling='4:4:4')",
        ),
        "Air": ("Haze(0.6)", "Haze(1.8)", "Haze(1.8, tint=0.2)"),
        "Missing parts": (
            "MissingPixels(0.5)", "MissingStrokes(6, (20, 90))", "MissingBoxes(4, (12, 48))", "MissingText(4, (7, 14))",
        ),
        "Values": ("Quantize(6)", "Clip(70, 170)", "Gamma(2.2)", "Gamma(0.45)"),
        "Steps made of steps": (
            "Chain([GaussianBlur(2), GaussianNoise(25)])", "OneOf([JPEG(10), MotionBlur(15)])",
            "Maybe(SaltAndPepper(0.1), p=0.9)", "Shuffled([MotionBlur(15), RandomImpulse(0.05)])",
        ),
    },
    "augment": {
        "Moves without new values": (
            "Flip(p=1)", "Flip('vertical', p=1)", "Rotate90(1)", "Transpose(p=1)", "Crop(96)", "CenterCrop(96)",
        ),
        "Warps": (
            "Rotate(20)", "Rotate(20, mode='constant')", "Rotate(20, fit='zoom')", "Rotate(20, fit='crop')",
            "Translate(0.2, 0.1, mode='constant')", "Scale(0.7, mode='constant')", "Scale(1.4)", "Affine(10, shear=20)",
            "Perspective((0.5, 0.8))", "Elastic(10, spacing=24)", "Elastic(30, spacing=64)",
        ),
        "Mixing with another sample": ("MixUp(0.6)", "CutMix(0.7)"),
        "Covering": ("Cutout()", "Cutout(0.2, count=6, fill='mean')"),
        "Colours": (
            "Brightness(1.4)", "Brightness(1, shift=-0.2)", "Contrast(0.5)", "Contrast(1.8)", "Saturation(0)", "Saturation(2)",
            "Hue(40)", "ColorJitter((0.5, 1.5), (0.5, 1.5), (0.5, 1.5))",
        ),
    },
}  # fmt: skip
CHAINS = ("classical(4, sigma=(0, 30), blur=(0, 3))", "bsrgan(4)", "real_esrgan(4)")


def gallery(args: argparse.Namespace) -> int:
    """Write a contact sheet of every package into the folder."""
    import imrestore

    if args.out is None or args.in_place or args.inputs:
        raise UsageError("--gallery needs -o DIR, and takes a photograph with --image")
    if args.json or args.report:
        raise UsageError("--json and --report tell of files; --gallery has none")
    try:
        picture, name = photograph(args.image)
    except (FileError, ValueError) as error:
        raise UsageError(of_options(error)) from error
    if picture.ndim == 2:
        picture = np.stack([picture] * 3, axis=-1)
    with imrestore.threads(args.threads) if args.threads else contextlib.nullcontext():
        for package in SHEETS:
            path = Path(args.out, f"{package}.png")
            sheet = contact_sheet(f"imrestore.{package} on {name}", groups(package, picture), SIDE)
            try:
                with new_file(path, replace=True) as file:
                    sheet.save(file, "PNG", optimize=True)
            except OSError as error:
                raise UsageError(f"cannot write {printable(path)}: {error.strerror or error}") from error
            if not args.quiet:
                say(printable(path.resolve()), sys.stdout)
    return 0


def groups(package: str, picture: Image) -> list[Group]:
    """The tiles of a sheet: the photograph, the steps by kind, and the chains where they are."""
    clean = detail(picture, SIDE)
    found = [Group(kind, [_tile(call, picture) for call in calls]) for kind, calls in SHEETS[package].items()]
    found[0].tiles.insert(0, Tile("the photograph", "", clean))
    for call in CHAINS if package == "degrade" else ():
        heading = f"{call} of {CHAIN_SIDE} x {CHAIN_SIDE} pixels, the results twice as large"
        large = np.repeat(detail(picture, CHAIN_SIDE)[None], SAMPLES, axis=0)
        samples = step_of(call)(large, rng=SEED, batch_axis=0, channel_axis=-1)
        found.append(Group(heading, [Tile(f"sample {number}", "", sample) for number, sample in enumerate(samples)]))
    return found


def _tile(call: str, picture: Image) -> Tile:
    """What a step does to the photograph; those that mix samples get another part of it, upside down, to mix in."""
    from imrestore.degrade import Chain

    batch = detail(picture, SIDE)[None]
    name, _, rest = call.partition("(")
    if name in ("MixUp", "CutMix"):
        batch = np.stack([batch[0], detail(picture[::-1], SIDE)])
    damaged: Any = Chain([step_of(call)], white=255)(batch, rng=SEED, batch_axis=0, channel_axis=-1)
    return Tile(name, f"({rest}", damaged[0])
