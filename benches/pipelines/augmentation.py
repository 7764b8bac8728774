"""Four chains of augmentation, the same in Albumentations (the last release under MIT licence, 2.0.8) and kornia (Apache-2.0).

Albumentations takes one image (height, width, channels) at a time, kornia a batch of tensors (n, channels, height, width) of
float32 from 0 to 1. Neither is installed by `make`; where one is missing, there is no such peer.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

ALBUMENTATIONS, KORNIA = "Albumentations", "kornia"

CROPPED, MOVED, COLOURED, TRAINING = CHAINS = (
    "flip, crop",
    "flip, rotate, scale, translate",
    "brightness, contrast, saturation, hue",
    "all of these, noise",
)
#: Pixels of a crop; degrees, factors and parts of the side of a motion; factors and parts of a turn of colour; noise, of white.
CROP, ANGLE, SCALES, SHIFT, JITTER, HUE, NOISE = 224, 15.0, (0.9, 1.1), 0.1, 0.2, 0.05, 0.03
SEED = 20261122


def albumentations(chain: str) -> Callable[[Any], Any] | None:
    """From an image of uint8, or of float32 from 0 to 1, to another."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it asks the network for its newest version where it may
    package = package_or_none("albumentations")
    if package is None:
        return None
    move = package.Affine(rotate=(-ANGLE, ANGLE), scale=SCALES, translate_percent=(-SHIFT, SHIFT), p=1)
    crop = package.RandomCrop(CROP, CROP)
    factors = (1 - JITTER, 1 + JITTER)
    colour = package.ColorJitter(factors, factors, factors, (-HUE, HUE), p=1)
    noise = package.GaussNoise((NOISE, NOISE), p=1)
    flip = package.HorizontalFlip(p=0.5)
    steps = {CROPPED: [flip, crop], MOVED: [flip, move], COLOURED: [colour], TRAINING: [flip, move, crop, colour, noise]}
    compose = package.Compose(steps[chain], seed=SEED)
    return lambda image: compose(image=image)["image"]


def kornia(chain: str) -> Callable[[Any], Any] | None:
    """From a batch of tensors to another."""
    if package_or_none("kornia") is None:
        return None
    package = importlib.import_module("kornia.augmentation")
    torch = importlib.import_module("torch")
    move = package.RandomAffine(ANGLE, (SHIFT, SHIFT), SCALES, p=1)
    crop = package.RandomCrop((CROP, CROP))
    colour = package.ColorJitter(JITTER, JITTER, JITTER, HUE, p=1)
    noise = package.RandomGaussianNoise(std=NOISE, p=1)
    flip = package.RandomHorizontalFlip(p=0.5)
    steps = {CROPPED: [flip, crop], MOVED: [flip, move], COLOURED: [colour], TRAINING: [flip, move, crop, colour, noise]}
    augment = package.AugmentationSequential(*steps[chain], data_keys=["input"])

    def run(batch: Any) -> Any:
        with torch.no_grad():
            return augment(batch)

    return run


def package_or_none(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
