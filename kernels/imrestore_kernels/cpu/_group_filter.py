"""Groups of similar patches, transformed, shrunk and put back, as vector code: a vector is a row of a patch."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import NamedTuple

from imrestore_kernels.bm3d_profiles import SIDE
from imrestore_kernels.cpu._group_variances import variances
from imrestore_kernels.cpu._haar import haar, sizes, unhaar
from imrestore_kernels.cpu._patch_steps import analyse, synthesise
from imrestore_kernels.cpu._vector_text import Number, VectorText

PATCH_BYTES = 4 * SIDE * SIDE


class Filtering(NamedTuple):
    """What the code depends on."""

    transform: str
    group: int  # most patches
    wiener: bool
    local: bool  # variances of patches differ
    correlated: bool  # variances of coefficients differ

    @property
    def varied(self) -> bool:
        return self.local or self.correlated


class Numbers(enum.IntEnum):
    """What a plane needs, and where: float32 in vectors of 8, a patch of them each."""

    WINDOW = 0
    MEAN = SIDE  # 0 for a patch's first coefficient and 1 for others; for Wiener's gain 1 and 0
    #: Of white noise, for coefficients made of 1, 2, 4 .. 32 patches: the threshold, or the variance that Wiener's gain sees.
    #: Of noise whose variances differ, once: what they are multiplied by for that.
    LIMITS = 2 * SIDE
    COUNT = LIMITS + 6 * SIDE


def transposed(text: VectorText, rows: Sequence[str]) -> list[str]:
    """8 vectors of 8 as columns."""
    v = text.vector

    def mixed(a: str, b: str, places: Sequence[int]) -> str:
        mask = ", ".join(f"i32 {p}" for p in places)
        return text.value(f"shufflevector {v} {a}, {v} {b}, <8 x i32> <{mask}>")

    low, high = (0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15)
    t = []
    for i in range(0, 8, 2):
        t += [mixed(rows[i], rows[i + 1], low), mixed(rows[i], rows[i + 1], high)]
    first, second = (0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15)
    u = []
    for i in (0, 4):
        for k in (0, 1):
            u += [mixed(t[i + k], t[i + 2 + k], first), mixed(t[i + k], t[i + 2 + k], second)]
    return [mixed(u[i], u[i + 4], (0, 1, 2, 3, 8, 9, 10, 11)) for i in range(4)] + [
        mixed(u[i], u[i + 4], (4, 5, 6, 7, 12, 13, 14, 15)) for i in range(4)
    ]


def forward(text: VectorText, f: Filtering) -> None:
    """``forward(patch, out, pitch)``: the coefficients of a patch, transposed."""
    text.function("forward", ("ptr %patch", "ptr %out", "i64 %pitch"))
    pitch = Number(text, "%pitch")
    rows = [text.load("%patch", str(pitch * r), anywhere=True) for r in range(SIDE)]
    for r, value in enumerate(analyse(text, f.transform, transposed(text, analyse(text, f.transform, rows)))):
        text.store(value, "%out", r * text.bytes)
    text.add("  ret void\n}")


def back(text: VectorText, f: Filtering) -> None:
    """``back(spectrum, num, den, weights, pitch)``: the patch, weighted, to the sums."""
    text.function("back", ("ptr %spectrum", "ptr %num", "ptr %den", "ptr %weights", "i64 %pitch"))
    pitch = Number(text, "%pitch")
    rows = [text.load("%spectrum", r * text.bytes) for r in range(SIDE)]
    for r, value in enumerate(synthesise(text, f.transform, transposed(text, synthesise(text, f.transform, rows)))):
        weight = text.load("%weights", r * text.bytes)
        at = str(pitch * r)
        text.store(text.fma(value, weight, text.load("%num", at, anywhere=True)), "%num", at, anywhere=True)
        text.store(text.op("fadd", weight, text.load("%den", at, anywhere=True)), "%den", at, anywhere=True)
    text.add("  ret void\n}")


def shrink(text: VectorText, f: Filtering, count: int) -> None:
    """``shrink_K(spectra, guides, variances, total, numbers)``: spectra of K patches, hard thresholded or by Wiener's gains of
    the guides.

    ``total`` gets the noise that is left in them, as a vector: of white noise in units of its variance.
    """
    text.function(f"shrink_{count}", ("ptr %spectra", "ptr %guides", "ptr %variances", "ptr %total", "ptr %numbers"))
    text.store("zeroinitializer", "%total")
    with text.loop(0, SIDE) as row:
        at = row * text.bytes

        def transformed(pointer: str, at: Number = at) -> list[str]:
            values = [text.load(pointer, str(at + n * PATCH_BYTES)) for n in range(count)]
            haar(text, values)
            return values

        def number(first: int, at: Number = at) -> str:
            return text.load("%numbers", str(at + first * text.bytes))

        values, guides = transformed("%spectra"), transformed("%guides") if f.wiener else []
        left = text.load("%total")
        kept = "zeroinitializer"
        for n, size in enumerate(sizes(count)):
            limit, variance = number(Numbers.LIMITS), ""
            if f.varied:
                noise = text.load("%variances", str(at + n * PATCH_BYTES))
                limit, variance = text.op("fmul", limit, noise), text.op("fmul", noise, text.constant(1 / size))
            else:
                limit = number(Numbers.LIMITS + (size.bit_length() - 1) * SIDE)
            mean = number(Numbers.MEAN) if n == 0 else ""
            if f.wiener:
                gain = _gain(text, guides[n], limit, mean)
                values[n] = text.op("fmul", values[n], gain)
                left = text.fma(gain, text.op("fmul", gain, variance) if variance else gain, left)
                continue
            keep = _keep(text, values[n], limit, mean, squared=bool(variance))
            values[n] = text.value(f"select {text.flags} {keep}, {text.vector} {values[n]}, {text.vector} zeroinitializer")
            if variance:
                own = text.value(f"select {text.flags} {keep}, {text.vector} {variance}, {text.vector} zeroinitializer")
                left = text.op("fadd", left, own)
            else:
                kept = text.value(f"sub {text.integer} {kept}, {text.value(f'sext {text.flags} {keep} to {text.integer}')}")
        if not (f.wiener or f.varied):
            left = text.op("fadd", left, text.value(f"sitofp {text.integer} {kept} to {text.vector}"))
        text.store(left, "%total")
        unhaar(text, values)
        for n in range(count):
            text.store(values[n], "%spectra", str(at + n * PATCH_BYTES))
    text.add("  ret void\n}")


def _keep(text: VectorText, value: str, limit: str, mean: str, squared: bool) -> str:
    """Which coefficients are not below the limit; a NaN is not."""
    v = text.vector
    measure = text.op("fmul", value, value) if squared else text.value(f"call {v} @llvm.fabs.v8f32({v} {value})")
    return text.value(f"fcmp uge {v} {measure}, {text.op('fmul', limit, mean) if mean else limit}")


def _gain(text: VectorText, guide: str, noise: str, mean: str) -> str:
    square = text.op("fmul", guide, guide)
    gain = text.op("fdiv", square, text.op("fadd", square, noise))
    return text.larger(mean, gain) if mean else gain  # a gain that is NaN stays


def group(text: VectorText, f: Filtering, count: int) -> None:
    """``group_K(image, guide, num, den, local, pitch, offsets, links, table, spectra, numbers)``: one group of K patches."""
    names = ("image", "guide", "num", "den", "local", "offsets", "links", "table", "spectra", "numbers")
    text.function(f"group_{count}", [*(f"ptr %{n}" for n in names), "i64 %pitch"])
    pitch = Number(text, "%pitch")
    guides, noises, total = (text.at("%spectra", i * f.group * PATCH_BYTES) for i in (1, 2, 3))
    weights = text.at(total, 2 * text.bytes)
    with text.loop(0, count) as n:
        offset = text.number(f"load i64, ptr {text.where('%offsets', n * 8)}")
        text.call("forward", f"ptr {text.where('%image', offset)}", f"ptr {text.where('%spectra', n * PATCH_BYTES)}", pitch)
        if f.wiener:
            text.call("forward", f"ptr {text.where('%guide', offset)}", f"ptr {text.where(guides, n * PATCH_BYTES)}", pitch)
    if f.varied:
        text.call(f"variances_{count}", "ptr %local", "ptr %offsets", "ptr %links", "ptr %table", f"ptr {noises}")
    text.call(f"shrink_{count}", "ptr %spectra", f"ptr {guides}", f"ptr {noises}", f"ptr {total}", "ptr %numbers")
    whole = text.value(f"call reassoc float @llvm.vector.reduce.fadd.v8f32(float 0.0, {text.vector} {text.load(total)})")
    text.add(f"  store float {text.value(f'fdiv float 1.0, {whole}')}, ptr {text.at(total, text.bytes)}")
    weight = text.splat(text.at(total, text.bytes), 0)
    for r in range(SIDE):
        window = text.load("%numbers", (Numbers.WINDOW + r) * text.bytes)
        text.store(text.op("fmul", weight, window), weights, r * text.bytes)
    with text.loop(0, count) as n:
        offset = text.number(f"load i64, ptr {text.where('%offsets', n * 8)}")
        ends = (f"ptr {text.where('%num', offset)}", f"ptr {text.where('%den', offset)}")
        text.call("back", f"ptr {text.where('%spectra', n * PATCH_BYTES)}", *ends, f"ptr {weights}", pitch)
    text.add("  ret void\n}")


#: Bytes behind the spectra of patches, guides and noise: the noise that is left, the weight, and the weights of a patch.
BEHIND_SPECTRA = (2 + SIDE) * 32


def functions(text: VectorText, f: Filtering) -> None:
    forward(text, f)
    back(text, f)
    count = 1
    while count <= f.group:
        if f.varied:
            variances(text, f.local, f.correlated, count)
        shrink(text, f, count)
        group(text, f, count)
        count *= 2


DECLARATIONS = (
    "declare <8 x float> @llvm.fabs.v8f32(<8 x float>)\n"
    "declare float @llvm.vector.reduce.fadd.v8f32(float, <8 x float>)\n"
    "declare float @llvm.sqrt.f32(float)\n"
)
