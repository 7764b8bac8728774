"""Chains that the tests of several backends share: every step, and the published chains."""

from __future__ import annotations

import numpy as np
import skimage.data

from imrestore import degrade

CHAINS = {
    "bsrgan": degrade.bsrgan(4),
    "bsrgan by 2": degrade.bsrgan(2),
    "real_esrgan": degrade.real_esrgan(4),
    "classical": degrade.classical(4, sigma=(0, 10), blur=(0.2, 2)),
}

#: Every kind of launch: other samples for some, random fields, parameters of each sample, in another order for each.
NOISE = degrade.Chain(
    [
        degrade.Maybe(degrade.GaussianNoise((1, 9), grey=0.5), 0.6),
        degrade.Shuffled(
            [degrade.PoissonNoise((50, 100)), degrade.SpeckleNoise((0.01, 0.1)), degrade.SaltAndPepper((0, 0.2)), degrade.Clip()]
        ),
        degrade.ColorNoise((1, 5)),
        degrade.RowNoise((0, 2), axis=degrade.Choice(["rows", "columns"])),
        degrade.Quantize(degrade.Integers(16, 64)),
    ],
    white=255,
)

STEPS: dict[str, degrade.Step] = {
    "blurs": degrade.Chain(
        [
            degrade.OneOf(
                [
                    degrade.GaussianBlur((0.5, 3)),
                    degrade.GaussianBlur((0.5, 3), (0.5, 3), angle=(0, 180), mode="mirror"),
                    degrade.GeneralizedGaussianBlur((0.5, 3), beta=(0.5, 4)),
                    degrade.PlateauBlur((0.5, 3), beta=(1, 2)),
                    degrade.DefocusBlur((1, 5), mode="wrap"),
                    degrade.MotionBlur((3, 15), bend=(-90, 90), mode="nearest"),
                    degrade.SincBlur(),
                    degrade.PSFBlur(np.arange(15.0).reshape(3, 5), mode="constant", cval=0.3),
                ]
            )
        ]
    ),
    "resampling": degrade.Chain(
        [
            degrade.Resize(
                (0.3, 1.7), method=degrade.Choice(["nearest", "bilinear", "bicubic", "lanczos2", "lanczos3", "area"])
            ),
            degrade.Resize((0.3, 1.7), antialias=False, slope=-0.75, mode="nearest"),
            degrade.Resize(size=(40, 50)),
        ]
    ),
    "jpeg": degrade.JPEG((5, 95), subsampling=degrade.Choice(["4:4:4", "4:2:2", "4:2:0"])),
    "missing": degrade.Chain(
        [degrade.MissingPixels((0, 0.3)), degrade.MissingStrokes(), degrade.MissingBoxes(), degrade.MissingText()]
    ),
    "haze and camera": degrade.Chain([degrade.Haze(), degrade.Maybe(degrade.Camera()), degrade.Gamma((0.5, 2))]),
}


def photograph(height: int, width: int) -> np.ndarray:
    """Part of a photograph, (3, height, width) float32 from 0 to 1."""
    picture = skimage.data.astronaut()[40 : 40 + height, 160 : 160 + width]
    return np.ascontiguousarray(picture.transpose(2, 0, 1) / 255, np.float32)
