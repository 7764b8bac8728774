"""Our own exp, log, sine, cosine and power: bits that no C library, processor or compiler changes.

NumPy's formulation is the definition. `cpu/_elementary.py` and ``cuda/elementary.cuh`` do the same operations in the same order,
each rounded on its own: additions, products, one quotient, whole numbers and bits, no fused multiplication. The polynomials are
minimax (Remez exchange), fitted for this; their own error is below a tenth of a rounding, but for the sine of float32 (a fifth).

Largest errors seen, in units of the last place: exp2 0.9, exp 0.7 (float64 1.6), log 0.7, log2 1.0, sincos 1.1 where the result is
above 1e-3. `power` is within 1.5 + |p| / 2 of them, since p log2 x is made in two parts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Real(NamedTuple):
    """Constants for one float type."""

    mantissa: int  # bits of it that are stored
    bias: int
    magic: float  # added and taken away again it rounds to whole numbers, and its low bits are then those of the number
    sqrt_half: int  # bits of the float next to sqrt(1/2)
    lift: int  # exponent that makes denormal numbers normal
    exp2_range: tuple[float, float]  # beyond, 2^x is 0 or infinite
    exp_range: tuple[float, float]
    ln2_high: float  # few bits: a product with any exponent is exact
    ln2_low: float
    split: int  # bits of a number that are kept for an exact product with any exponent
    exp2: tuple[float, ...]  # (2^f - 1) / f for |f| <= 1/2
    exp: tuple[float, ...]  # (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2
    log: tuple[float, ...]  # (2 artanh(s) / s - 2) / s^2 of s^2, for |s| <= 3 - sqrt(8)
    sine: tuple[float, ...]  # sin(2 pi r) / r of r^2, for |r| <= 1/8
    cosine: tuple[float, ...]  # (cos(2 pi r) - 1) / r^2 of r^2


LOG2_E = 1.4426950408889634
LOG2_E_REST = 0.4426950408889634

FLOAT32 = Real(
    mantissa=23,
    bias=127,
    magic=1.5 * 2.0**23,
    sqrt_half=0x3F3504F3,
    lift=25,
    exp2_range=(-151.0, 128.5),
    exp_range=(-105.0, 89.5),
    ln2_high=0.693145751953125,
    ln2_low=1.42860682030941723212e-6,
    split=0xFFFFF000,
    exp2=(
        0.6931471824645996, 0.24022647738456726, 0.055503323674201965, 0.009618435986340046, 0.0013398852897807956,
        0.00015353586059063673,
    ),
    exp=(0.5, 0.1666651964187622, 0.04166620597243309, 0.00836890283972025, 0.0013950502034276724),
    log=(0.666667640209198, 0.39978644251823425, 0.2984663248062134),
    sine=(6.2831854820251465, -41.3416633605957, 81.5925521850586, -75.40206909179688),
    cosine=(-19.739208221435547, 64.93933868408203, -85.44503784179688, 59.28679275512695),
)  # fmt: skip

FLOAT64 = Real(
    mantissa=52,
    bias=1023,
    magic=1.5 * 2.0**52,
    sqrt_half=0x3FE6A09E667F3BCD,
    lift=54,
    exp2_range=(-1076.0, 1024.5),
    exp_range=(-746.0, 710.5),
    ln2_high=0.6931471803691238,
    ln2_low=1.9082149292705877e-10,
    split=0xFFFFFFFFF8000000,
    exp2=(
        0.6931471805599453, 0.2402265069591013, 0.05550410866482009, 0.009618129107594178, 0.0013333558146772573,
        0.00015403530457048454, 1.5252733494702148e-05, 1.3215435310480685e-06, 1.0178199024793711e-07, 7.07377886670731e-09,
        4.4348419741223783e-10,
    ),
    exp=(
        0.5, 0.166666666666667, 0.041666666666520524, 0.00833333333330775, 0.0013888888945962222, 0.00019841269916412126,
        2.4801490822399144e-05, 2.7557217025560215e-06, 2.763102378358482e-07, 2.5117667703175856e-08,
    ),
    log=(
        0.6666666666666698, 0.3999999999961427, 0.28571428703199375, 0.222222022197943, 0.18183389447220036, 0.1531823005703077,
        0.1475652920661092,
    ),
    sine=(
        6.283185307179586, -41.341702240399634, 81.60524927594811, -76.70585970429562, 42.058685022760834, -15.093804357888196,
        3.780872114406726,
    ),
    cosine=(
        -19.739208802178716, 64.93939402266814, -85.45681720659071, 60.244641340674015, -26.426251971408448, 7.903139482770435,
        -1.69769871088228,
    ),
)  # fmt: skip


def real_of(dtype: np.dtype[Any]) -> Real:
    """Constants for float32 or float64."""
    return FLOAT32 if dtype == np.float32 else FLOAT64


def exp2(x: Array) -> Array:
    """2**x."""
    x, real, number = _typed(x)
    _, _, rest, whole = _whole_and_rest(x, real)
    return _scaled(number(1) + rest * horner(real.exp2, rest), whole, real)


def exp(x: Array) -> Array:
    """e**x."""
    x, real, number = _typed(x)
    y = _clamped(x, real.exp_range)
    with np.errstate(invalid="ignore"):
        shifted = y * number(LOG2_E) + number(real.magic)
        n = shifted - number(real.magic)
        rest = (y - n * number(real.ln2_high)) - n * number(real.ln2_low)
    value = number(1) + (rest + rest * rest * horner(real.exp, rest))
    return _scaled(value, _low_bits(shifted, real), real)


def log(x: Array) -> Array:
    """Natural logarithm: -inf of 0, NaN below."""
    x, real, number = _typed(x)
    exponent, f, c = _log_parts(x, real)
    value = exponent * number(real.ln2_high) - ((c - exponent * number(real.ln2_low)) - f)
    return _special_logs(x, value)


def log2(x: Array) -> Array:
    """Logarithm to base 2: -inf of 0, NaN below."""
    x, real, number = _typed(x)
    exponent, f, c = _log_parts(x, real)
    return _special_logs(x, exponent + (f + (f * number(LOG2_E_REST) - c * number(LOG2_E))))


def sincos(turns: Array) -> tuple[Array, Array]:
    """Sine and cosine of 2 pi turns."""
    turns, real, number = _typed(turns)
    with np.errstate(invalid="ignore"):
        part = turns - np.rint(turns)
        shifted = number(4) * part + number(real.magic)
        rest = part - (shifted - number(real.magic)) * number(0.25)
        square = rest * rest
        sine = rest * horner(real.sine, square)
        cosine = number(1) + square * horner(real.cosine, square)
    quarter = _bits(shifted)
    odd = (quarter & 1) != 0
    top = 8 * turns.dtype.itemsize - 1
    one = quarter.dtype.type(1)
    signs = [(q >> one & one) << quarter.dtype.type(top) for q in (quarter, quarter + one)]
    values = [np.where(odd, cosine, sine), np.where(odd, sine, cosine)]
    first, second = ((_bits(v) ^ s).view(turns.dtype) for v, s in zip(values, signs, strict=True))
    return first, second


def power(x: Array, p: Any) -> Array:
    """x**p for x >= 0 and finite p, else NaN; 0**0 is 1."""
    x, real, number = _typed(x)
    p = np.asarray(p, x.dtype)
    exponent, f, c = _log_parts(x, real)
    part = f + (f * number(LOG2_E_REST) - c * number(LOG2_E))
    bits = _bits(p)
    high = (bits & bits.dtype.type(real.split)).view(p.dtype)
    with np.errstate(all="ignore"):
        first, second = high * exponent, (p - high) * exponent + p * part  # the first is exact
        large = number(4 * real.exp2_range[1])
        end = np.where(p > 0, large, -large)
        first = np.where(x == 0, -end, np.where(x == np.inf, end, first))
        second = np.where((x == 0) | (x == np.inf), number(0), second)
        total = first + second
        y, n, rest, whole = _whole_and_rest(total, real)
        rest = np.where(y == total, (first - n) + second, rest)
        value = _scaled(number(1) + rest * horner(real.exp2, rest), whole, real)
    value = np.where(x >= 0, value, number(np.nan))
    return np.where(p == 0, number(1), value)


def _typed(x: Array) -> tuple[Array, Real, Any]:
    x = np.asarray(x)
    return x, real_of(x.dtype), x.dtype.type


def _bits(x: Array) -> Array:
    bits: Array = np.ascontiguousarray(x).view(np.uint32 if x.dtype == np.float32 else np.uint64)
    return bits


def horner(coefficients: tuple[float, ...], x: Array) -> Array:
    """c[0] + x (c[1] + x (..)), each operation rounded."""
    number = x.dtype.type
    result = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        result = number(c) + x * result
    return result


def _clamped(x: Array, limits: tuple[float, float]) -> Array:
    """Within limits; NaN stays."""
    low, high = (x.dtype.type(limit) for limit in limits)
    x = np.where(x < low, low, x)
    return np.where(x > high, high, x)


def _low_bits(shifted: Array, real: Real) -> Array:
    """The whole number in a float that `Real.magic` was added to."""
    return _signed_bits(shifted) - _signed_bits(np.array(real.magic, shifted.dtype))


def _signed_bits(x: Array) -> Array:
    return _bits(x).view(np.int32 if x.dtype == np.float32 else np.int64)


def _whole_and_rest(x: Array, real: Real) -> tuple[Array, Array, Array, Array]:
    """x within the range of exponents, the nearest whole number, what is left, and that number as an integer."""
    magic = x.dtype.type(real.magic)
    y = _clamped(x, real.exp2_range)
    shifted = y + magic
    n = shifted - magic
    return y, n, y - n, _low_bits(shifted, real)


def _scaled(value: Array, exponent: Array, real: Real) -> Array:
    """value 2**exponent in two steps: neither overflows, and only the second one rounds."""
    with np.errstate(over="ignore", under="ignore"):
        half = exponent >> 1
        for e in (half, exponent - half):
            value = value * ((e + e.dtype.type(real.bias)) << e.dtype.type(real.mantissa)).view(value.dtype)
    return value


def _log_parts(x: Array, real: Real) -> tuple[Array, Array, Array]:
    """Exponent e, f and c: x = 2^e (1 + f) with 1 + f from sqrt(1/2) to sqrt(2), and ln(1 + f) = f - c.

    With s = f / (2 + f) it is 2 artanh(s); 2 s = f - s f keeps f itself free of rounding.
    """
    number = x.dtype.type
    with np.errstate(all="ignore"):
        tiny = x < number(np.finfo(x.dtype).tiny)
        lifted = np.where(tiny, x * number(2.0**real.lift), x)
        bits = _signed_bits(lifted)
        root, stored = (np.array(n, bits.dtype) for n in (real.sqrt_half, real.mantissa))
        above = bits - root
        exponent = (above >> stored) - np.where(tiny, real.lift, 0).astype(bits.dtype)
        mantissa = (above & np.array((1 << real.mantissa) - 1, bits.dtype)) + root
        f = mantissa.view(x.dtype) - number(1)
        s = f / (number(2) + f)
        z = s * s
        half_square = number(0.5) * f * f
        c = half_square - s * (half_square + z * horner(real.log, z))
    return exponent.astype(x.dtype), f, c


def _special_logs(x: Array, value: Array) -> Array:
    value = np.where(x < np.inf, value, x)  # NaN, too
    value = np.where(x == 0, x.dtype.type(-np.inf), value)
    return np.where(x < 0, x.dtype.type(np.nan), value)
