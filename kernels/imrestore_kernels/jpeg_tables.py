"""Numbers of baseline JPEG, once for both rings: quantisation tables, and the whole numbers by which libjpeg transforms and mixes.

ITU-T Rec. T.81 (1992), Annex K.1, for the tables; JFIF 1.02 for the colours; C. Loeffler, A. Ligtenberg and G. S. Moschytz,
"Practical fast 1-D DCT algorithms with 11 multiplications", ICASSP 1989, for the transform. The Independent JPEG Group's library
rounds all of them to whole numbers, and so do we: the result is that of its encoder and decoder, level by level.
"""

from __future__ import annotations

#: Steps of luminance and of chrominance at quality 50, row by row (T.81, tables K.1 and K.2).
LUMINANCE = (
    *(16, 11, 10, 16, 24, 40, 51, 61),
    *(12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77),
    *(24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101),
    *(72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMINANCE = (
    *(17, 18, 24, 47, 99, 99, 99, 99),
    *(18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99),
    *(47, 66, 99, 99, 99, 99, 99, 99),
    *(99,) * 32,
)

#: Bits behind the point of the transform's constants, and of the values between its two passes.
CONSTANT_BITS, PASS_BITS = 13, 2

#: sqrt(2) times sums and differences of cosines of k pi / 16, in 13 bits: the rotation of the even half by 6 pi / 16, its part for
#: both samples and what is added to either; and of the odd half the part for all four, then what pairs and single ones get.
EVEN_BOTH, EVEN_PLUS, EVEN_MINUS = 4433, 6270, 15137
ODD_ALL = 9633
ODD_PAIRS = (7373, 20995, 16069, 3196)
ODD_SINGLES = (2446, 16819, 25172, 12299)

#: Levels of red, green and blue in Y, Cb and Cr, and of Cr and Cb in red, green (twice) and blue, in 16 bits.
COLOUR_BITS = 16
COLOUR_HALF = 1 << (COLOUR_BITS - 1)
TO_Y = (19595, 38470, 7471)
TO_CB = (-11059, -21709, 32768)
TO_CR = (32768, -27439, -5329)
RED_OF_CR, GREEN_OF_CB, GREEN_OF_CR, BLUE_OF_CB = 91881, -22554, -46802, 116130


def percent(quality: int) -> int:
    """The Independent JPEG Group's meaning of a quality of 1 to 100: how much of the tables the steps are."""
    return 5000 // quality if quality < 50 else 200 - 2 * quality


def steps(base: tuple[int, ...], quality: int) -> list[int]:
    """Steps of a quality; a byte must hold them."""
    return [min(max((step * percent(quality) + 50) // 100, 1), 255) for step in base]
