"""Groups of similar patches, transformed, shrunk and put back, as vector code: a vector is a row of a patch."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import NamedTuple

from imrestore_kernels.bm3d_profiles import SIDE, Stage, Wiener
from imrestore_kernels.cpu import _group_adaptive
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
    fixed: bool = True  # whether the transform's own coefficients are shrunk
    adaptive: bool = False  # whether the group is a basis, too

    @classmethod
    def of(cls, stage: Stage, local: bool, correlated: bool) -> Filtering:
        wiener = isinstance(stage, Wiener)
        share = stage.share if isinstance(stage, Wiener) and not correlated else 0.0
        return cls(stage.transform, stage.group, wiener, local, correlated, share < 1, share > 0)

    @property
    def plain(self) -> bool:
        """Whether patches stay as they are: a group's own basis is the same in a transform that keeps lengths and in none."""
        return self.transform == "dct" and self.adaptive and not self.fixed

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
    #: For the adaptive estimate: what makes coefficients those of a transform of norm 1, and, times its share, the way back; both
    #: again with 0 for the group's mean; the share of the other estimate, again with 1 for the mean; a vector each of the ridge's
    #: factor and of the excess of energy, and the share in the first number.
    SCALES = LIMITS + 6 * SIDE
    RETURNS = SCALES + SIDE
    FIRST_SCALES = RETURNS + SIDE
    FIRST_RETURNS = FIRST_SCALES + SIDE
    KEPT = FIRST_RETURNS + SIDE
    FIRST_KEPT = KEPT + SIDE
    RIDGE = FIRST_KEPT + SIDE
    EXCESS = RIDGE + 1
    SHARE = EXCESS + 1
    COUNT = SHARE + 1


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
    """``shrink_K(spectra, guides, variances, total, numbers, noisy)``: spectra of K patches, hard thresholded or by Wiener's gains
    of the guides.

    ``total`` gets the noise that is left in them, as a vector: of white noise in units of its variance. Where there is an adaptive
    estimate to come, ``spectra`` get the share of this one and stay behind Haar's transform, and so do ``guides`` and ``noisy``,
    their rows for that estimate.
    """
    names = ("spectra", "guides", "variances", "total", "numbers", "noisy")
    text.function(f"shrink_{count}", [f"ptr %{name}" for name in names])
    text.store("zeroinitializer", "%total")
    with text.loop(0, SIDE) as row:
        at = row * text.bytes

        def transformed(pointer: str, at: Number = at) -> list[str]:
            values = [text.load(pointer, str(at + n * PATCH_BYTES)) for n in range(count)]
            haar(text, values)
            return values

        values, guides = transformed("%spectra"), transformed("%guides") if f.wiener else []
        if f.adaptive:
            _for_adaptive(text, at, values, guides)
        if f.fixed:
            _shrink_row(text, f, at, values, guides)
        if f.adaptive:
            kept = count if f.fixed else 1
            shares = (_number(text, at, Numbers.KEPT if n else Numbers.FIRST_KEPT) for n in range(kept))
            values = [text.op("fmul", value, share) for value, share in zip(values, shares, strict=False)]
        else:
            unhaar(text, values)
        for n, value in enumerate(values):
            text.store(value, "%spectra", str(at + n * PATCH_BYTES))
    text.add("  ret void\n}")


def _number(text: VectorText, at: Number, first: int) -> str:
    """A row's vector of those that begin with ``first``."""
    return text.load("%numbers", str(at + first * text.bytes))


def _shrink_row(text: VectorText, f: Filtering, at: Number, values: list[str], guides: list[str]) -> None:
    left = text.load("%total")
    kept = "zeroinitializer"
    for n, size in enumerate(sizes(len(values))):
        limit, variance = _number(text, at, Numbers.LIMITS), ""
        if f.varied:
            noise = text.load("%variances", str(at + n * PATCH_BYTES))
            limit, variance = text.op("fmul", limit, noise), text.op("fmul", noise, text.constant(1 / size))
        else:
            limit = _number(text, at, Numbers.LIMITS + (size.bit_length() - 1) * SIDE)
        mean = _number(text, at, Numbers.MEAN) if n == 0 else ""
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


def _for_adaptive(text: VectorText, at: Number, values: list[str], guides: list[str]) -> None:
    for n, pair in enumerate(zip(values, guides, strict=True)):
        scale = _number(text, at, Numbers.SCALES if n else Numbers.FIRST_SCALES)
        for value, pointer in zip(pair, ("%noisy", "%guides"), strict=True):
            text.store(text.op("fmul", value, scale), pointer, str(at + n * PATCH_BYTES))


def join(text: VectorText, f: Filtering, count: int) -> None:
    """``join_K(spectra, noisy, numbers)``: the adaptive estimate to the share of the other, and back through Haar's transform."""
    text.function(f"join_{count}", ("ptr %spectra", "ptr %noisy", "ptr %numbers"))
    with text.loop(0, SIDE) as row:
        at = row * text.bytes
        values = []
        for n in range(count):
            value = text.load("%noisy", str(at + n * PATCH_BYTES))
            back = _number(text, at, Numbers.RETURNS if n else Numbers.FIRST_RETURNS)
            if f.fixed or n == 0:
                value = text.fma(value, back, text.load("%spectra", str(at + n * PATCH_BYTES)))
            else:
                value = text.op("fmul", value, back)
            values.append(value)
        unhaar(text, values)
        for n, value in enumerate(values):
            text.store(value, "%spectra", str(at + n * PATCH_BYTES))
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
    guides, noises, noisy, total = (text.at("%spectra", i * f.group * PATCH_BYTES) for i in (1, 2, 3, 5))
    rest = text.at("%spectra", 4 * f.group * PATCH_BYTES)
    weights = text.at(total, 2 * text.bytes)
    if f.varied:
        text.call(f"variances_{count}", "ptr %local", "ptr %offsets", "ptr %links", "ptr %table", f"ptr {noises}")
    if f.plain:
        for pointer, rows in (("%guide", guides), ("%image", noisy)):  # the mean of the guide is not wanted
            text.call(f"gather_{count}", f"ptr {pointer}", "ptr %offsets", f"ptr {rows}", "ptr %spectra", pitch)
        text.store("zeroinitializer", total)
    else:
        _spectra(text, f, count, (guides, noises, noisy, total))
    if f.adaptive:
        _adapted(text, f, count, (guides, noises, noisy, rest, total))
    weight = text.everywhere(text.value(f"fdiv float 1.0, {text.total(text.load(total))}"))
    for r in range(SIDE):
        window = text.load("%numbers", (Numbers.WINDOW + r) * text.bytes)
        text.store(text.op("fmul", weight, window), weights, r * text.bytes)
    if f.plain:
        ends = ("ptr %offsets", "ptr %spectra", f"ptr {weights}", "ptr %num", "ptr %den")
        text.call(f"scatter_{count}", f"ptr {noisy}", *ends, pitch)
    else:
        with text.loop(0, count) as n:
            offset = text.number(f"load i64, ptr {text.where('%offsets', n * 8)}")
            places = (f"ptr {text.where('%num', offset)}", f"ptr {text.where('%den', offset)}")
            text.call("back", f"ptr {text.where('%spectra', n * PATCH_BYTES)}", *places, f"ptr {weights}", pitch)
    text.add("  ret void\n}")


def _spectra(text: VectorText, f: Filtering, count: int, places: tuple[str, ...]) -> None:
    """The shrunk coefficients of a group."""
    guides, noises, noisy, total = places
    pitch = Number(text, "%pitch")
    with text.loop(0, count) as n:
        offset = text.number(f"load i64, ptr {text.where('%offsets', n * 8)}")
        text.call("forward", f"ptr {text.where('%image', offset)}", f"ptr {text.where('%spectra', n * PATCH_BYTES)}", pitch)
        if f.wiener:
            text.call("forward", f"ptr {text.where('%guide', offset)}", f"ptr {text.where(guides, n * PATCH_BYTES)}", pitch)
    text.call(f"shrink_{count}", "ptr %spectra", *(f"ptr {p}" for p in (guides, noises, total)), "ptr %numbers", f"ptr {noisy}")


def _adapted(text: VectorText, f: Filtering, count: int, places: tuple[str, ...]) -> None:
    """The adaptive estimate's part of a group's result, and of the noise that is left."""
    guides, noises, noisy, rest, total = places
    scalar, memory = text.at(total, text.bytes), text.at(total, (2 + SIDE) * text.bytes)
    ridge, excess, share = (text.load("%numbers", i * text.bytes) for i in _ADAPTIVE)
    u = ""
    if f.varied:  # the mean's variance, of which the sum over patches has as many
        u = text.op("fmul", text.everywhere(text.value(f"load float, ptr {noises}")), text.constant(1 / count))
        ridge, excess = text.op("fmul", ridge, u), text.op("fmul", excess, u)
    text.store(ridge, scalar)
    text.call(f"adapt_{count}", *(f"ptr {p}" for p in (guides, noisy, rest, memory, scalar)))
    squares = _group_adaptive.squares_at(text, memory)
    trace, energy = (text.everywhere(text.total(text.load(squares, i * text.bytes))) for i in (0, 1))
    without = text.op("fsub", text.constant(SIDE**2), trace)
    expected = text.op("fmul", text.op("fmul", excess, text.constant(count)), without)
    energy = text.larger(text.constant(_group_adaptive.LEAST_NUMBER), energy)  # none, and none expected; a NaN stays
    part = text.larger("zeroinitializer", text.op("fsub", text.constant(1.0), text.op("fdiv", expected, energy)))  # here, too
    text.store(part, scalar)
    wanted = text.value(f"fcmp une float {text.value(f'extractelement {text.vector} {part}, i64 0')}, 0.0")
    with text.only_if(wanted):
        text.call(f"bring_back_{count}", f"ptr {noisy}", f"ptr {rest}", f"ptr {scalar}")
    if not f.plain:
        text.call(f"join_{count}", "ptr %spectra", f"ptr {noisy}", "ptr %numbers")
    own = text.fma(share, text.fma(part, without, trace), share)
    own = text.op("fmul", own, u) if u else own
    left = text.load("%numbers", Numbers.KEPT * text.bytes)
    text.store(text.fma(left, text.load(total), own), total)


_ADAPTIVE = (Numbers.RIDGE, Numbers.EXCESS, Numbers.SHARE)
#: Bytes behind the spectra of patches, guides and noise, and the rows of the adaptive estimate: the noise that is left, the ridge,
#: the weights of a patch, and what the estimate needs.
BEHIND_SPECTRA = (2 + SIDE) * 32 + _group_adaptive.MEMORY


def functions(text: VectorText, f: Filtering) -> None:
    if not f.plain:
        forward(text, f)
        back(text, f)
    if f.adaptive:
        _group_adaptive.functions(text)
    count = 1
    while count <= f.group:
        if f.varied:
            variances(text, f.local, f.correlated, count)
        if f.adaptive:
            _group_adaptive.adapt(text, count)
            _group_adaptive.bring_back(text, count)
        if f.plain:
            _group_adaptive.gather(text, count)
            _group_adaptive.scatter(text, count)
        else:
            shrink(text, f, count)
            if f.adaptive:
                join(text, f, count)
        group(text, f, count)
        count *= 2


DECLARATIONS = (
    "declare <8 x float> @llvm.fabs.v8f32(<8 x float>)\n"
    "declare float @llvm.vector.reduce.fadd.v8f32(float, <8 x float>)\n"
    "declare float @llvm.sqrt.f32(float)\n"
)
