"""Tone curves of cameras and screens: their names and constants, once for both rings.

sRGB is that of IEC 61966-2-1. The tone curve is the smoothstep 3 v^2 - 2 v^3, and its inverse, of T. Brooks et al., "Unprocessing
images for learned raw denoising", CVPR 2019, section 3.1.
"""

from __future__ import annotations

from enum import IntEnum


class Curve(IntEnum):
    """The curves; white is 1 on their scale."""

    POWER = 0
    ENCODE = 1  # linear light to sRGB
    DECODE = 2
    TONE = 3
    INVERSE_TONE = 4


#: Up to here sRGB is a straight line: in linear light, and encoded.
ENCODED_STEP, DECODED_STEP = 0.0031308, 0.04045
#: The slope of a power is taken here where a value is nearer to 0, as that of Brooks et al. is.
LEAST_VALUE = 1e-8
#: The slope of the inverse tone is 1 over that of the tone, which is taken for this where it is flatter.
LEAST_SLOPE = 1e-4
#: Newton steps of the inverse tone by bytes of a float: the polynomial is within 4e-5 of it, one step within 2e-10.
STEPS = {4: 1, 8: 2}
#: v / r for tones up to 1/2 as a polynomial of r = sqrt(tone), through the nodes of Chebyshev: it begins with 1 / sqrt(3).
START = (
    0.577340996, 0.112047283, 0.038688906, 0.114169338, -0.163458045, 0.179135072,
)
