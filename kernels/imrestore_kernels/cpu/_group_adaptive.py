"""Wiener's filter whose basis is the group itself, as vector code: point 8 of `imrestore_kernels.bm3d_profiles`.

A row is the coefficients of one patch behind Haar's transform, 8 vectors. With E the rows of the guide, M = E E' + ridge is
factored into U'U from above, and W = (U')**-1 E comes from the same elimination; then rows C of the noisy group become ``(C W')
W``. For 32 patches E E' takes 1.1 microseconds, the elimination 1.4 and the two products 3.2: 180,000 multiplications, all on
vectors.

`haar` leaves the row of a node of n patches larger by the root of n: rows of C may have any scale, since the filter acts on their
coefficients, and for those of E the ridge is n times larger.
"""

from __future__ import annotations

from imrestore_kernels.bm3d_profiles import LEAST_PIVOT, LEAST_RIDGE, SIDE
from imrestore_kernels.cpu._haar import haar, sizes, unhaar
from imrestore_kernels.cpu._vector_text import Number, VectorText

ROW_BYTES = 4 * SIDE * SIDE
#: The least number of all its digits: what is divided by is no less.
LEAST_NUMBER = 2.0**-126
#: Of a row of U, of the most patches.
_FACTOR_BYTES = 4 * 32
#: Bytes of U, of two rows of C W', of sums of squares of W and of what is left out.
MEMORY = 34 * _FACTOR_BYTES + 2 * 4 * SIDE


def functions(text: VectorText) -> None:
    """What groups of all sizes share."""
    _dots(text)


def adapt(text: VectorText, count: int) -> None:
    """``adapt_K(guides, noisy, rest, memory, ridge)``: filters K rows, ``rest`` gets what that leaves out; those of the guide are W
    afterwards, and `squares_at` has its squares and then those of the rest, as vectors of sums. ``ridge`` points to what is added
    to the diagonal for one patch's variance."""
    _gram(text, count)
    _eliminate(text, count)
    _project(text, count)
    text.function(f"adapt_{count}", ("ptr %guides", "ptr %noisy", "ptr %rest", "ptr %memory", "ptr %ridge"))
    products = text.at("%memory", 32 * _FACTOR_BYTES)
    squares = squares_at(text, "%memory")
    text.call(f"gram_{count}", "ptr %guides", "ptr %memory", "ptr %ridge")
    text.call(f"eliminate_{count}", "ptr %guides", "ptr %memory", f"ptr {squares}")
    text.call(f"project_{count}", "ptr %guides", "ptr %noisy", "ptr %rest", f"ptr {products}", f"ptr {squares}")
    text.add("  ret void\n}")


def gather(text: VectorText, count: int) -> None:
    """``gather_K(image, offsets, rows, mean, pitch)``: patches behind Haar's transform; the mean of the first row apart."""
    text.function(f"gather_{count}", ("ptr %image", "ptr %offsets", "ptr %rows", "ptr %mean", "i64 %pitch"))
    with text.loop(0, SIDE) as r:
        row = text.where("%image", r * Number(text, "%pitch"))
        values = [text.load(text.where(row, _offset(text, n)), anywhere=True) for n in range(count)]
        haar(text, values)
        at = text.where("%rows", r * text.bytes)
        for n, value in enumerate(values):
            text.store(value, at, n * ROW_BYTES)
    rows = [text.load("%rows", r * text.bytes) for r in range(SIDE)]
    mean = _mean(text, rows)
    text.store(mean, "%mean")
    for i, value in enumerate(rows):
        text.store(text.op("fsub", value, mean), "%rows", i * text.bytes)
    text.add("  ret void\n}")


def _mean(text: VectorText, rows: list[str]) -> str:
    total = rows[0]
    for value in rows[1:]:
        total = text.op("fadd", total, value)
    return text.op("fmul", text.everywhere(text.total(total)), text.constant(1 / SIDE**2))


def scatter(text: VectorText, count: int) -> None:
    """``scatter_K(rows, offsets, mean, weights, num, den, pitch)``: the way back of `gather`, weighted, to the sums."""
    names = ("rows", "offsets", "mean", "weights", "num", "den")
    text.function(f"scatter_{count}", [*(f"ptr %{name}" for name in names), "i64 %pitch"])
    filtered = _mean(text, [text.load("%rows", r * text.bytes) for r in range(SIDE)])
    mean = text.op("fsub", text.load("%mean"), filtered)
    with text.loop(0, SIDE) as r:
        at = text.where("%rows", r * text.bytes)
        values = [text.load(at, n * ROW_BYTES) for n in range(count)]
        values[0] = text.op("fadd", values[0], mean)
        unhaar(text, values)
        weight = text.load("%weights", str(r * text.bytes))
        line = r * Number(text, "%pitch")
        num, den = text.where("%num", line), text.where("%den", line)
        for n, value in enumerate(values):
            offset = str(_offset(text, n))
            text.store(text.fma(value, weight, text.load(num, offset, anywhere=True)), num, offset, anywhere=True)
            text.store(text.op("fadd", weight, text.load(den, offset, anywhere=True)), den, offset, anywhere=True)
    text.add("  ret void\n}")


def _offset(text: VectorText, n: int) -> Number:
    return text.number(f"load i64, ptr {text.at('%offsets', 8 * n)}")


def squares_at(text: VectorText, memory: str) -> str:
    return text.at(memory, 34 * _FACTOR_BYTES)


def _dots(text: VectorText) -> None:
    """``dots(row, rows, out)``: the products of a row with 8 rows."""
    text.function("dots", ("ptr %row", "ptr %rows", "ptr %out"))
    sums = [""] * SIDE
    for r in range(SIDE):
        own = text.load("%row", r * text.bytes)
        for n in range(SIDE):
            other = text.load("%rows", n * ROW_BYTES + r * text.bytes)
            sums[n] = text.fma(own, other, sums[n]) if r else text.op("fmul", own, other)
    text.store(_added(text, sums), "%out")
    text.add("  ret void\n}")


def _added(text: VectorText, sums: list[str]) -> str:
    """The sums over the lanes of 8 vectors: 21 steps where one by one would take 56."""
    sums = _halved(text, sums, (0, 8, 2, 10, 4, 12, 6, 14), (1, 9, 3, 11, 5, 13, 7, 15))
    sums = _halved(text, sums, (0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15))
    return _halved(text, sums, (0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15))[0]


def _halved(text: VectorText, vectors: list[str], first: tuple[int, ...], second: tuple[int, ...]) -> list[str]:
    def mixed(a: str, b: str, places: tuple[int, ...]) -> str:
        mask = ", ".join(f"i32 {p}" for p in places)
        return text.value(f"shufflevector {text.vector} {a}, {text.vector} {b}, <8 x i32> <{mask}>")

    pairs = zip(vectors[::2], vectors[1::2], strict=True)
    return [text.op("fadd", mixed(a, b, first), mixed(a, b, second)) for a, b in pairs]


def _gram(text: VectorText, count: int) -> None:
    """``gram_K(guides, factor, ridge)``: rows of E E' from the diagonal's vector on, with the ridge."""
    text.function(f"gram_{count}", ("ptr %guides", "ptr %factor", "ptr %ridge"))
    for first in range(0, count, SIDE):
        others = f"ptr {text.at('%guides', first * ROW_BYTES)}"
        with text.loop(0, min(first + SIDE, count)) as i:
            out = text.at(text.where("%factor", i * _FACTOR_BYTES), 4 * first)
            text.call("dots", f"ptr {text.where('%guides', i * ROW_BYTES)}", others, f"ptr {out}")
    ridge = text.value("load float, ptr %ridge")
    for n, size in enumerate(sizes(count)):
        place = text.at("%factor", n * (_FACTOR_BYTES + 4))
        square = _float_at(text, place)
        more = text.value(f"fmul float {ridge}, {text.one(count * size)}")
        least = text.value(f"fmul float {square}, {text.one(LEAST_RIDGE)}")
        whole = text.value(f"fadd float {square}, {_at_least(text, more, least)}")
        text.add(f"  store float {whole}, ptr {place}")
    text.add("  ret void\n}")


def _float_at(text: VectorText, place: str) -> str:
    return text.value(f"load float, ptr {place}")


def _at_least(text: VectorText, number: str, least: str) -> str:
    """The larger of two numbers; the first if it is NaN."""
    low = text.value(f"fcmp olt float {number}, {least}")
    return text.value(f"select i1 {low}, float {least}, float {number}")


def _eliminate(text: VectorText, count: int) -> None:
    """``eliminate_K(guides, factor, squares)``: U in place of the symmetric matrix, W in place of E."""
    text.function(f"eliminate_{count}", ("ptr %guides", "ptr %factor", "ptr %squares"))
    text.store("zeroinitializer", "%squares")
    for first in range(0, count, SIDE):
        vectors = range(first, count, SIDE)  # of a row of U, from the diagonal's on
        with text.loop(first, min(first + SIDE, count)) as i:
            own, row = text.where("%factor", i * _FACTOR_BYTES), text.where("%guides", i * ROW_BYTES)
            pivot_at = text.where(own, i * 4)
            least = text.value(f"fmul float {_float_at(text, pivot_at)}, {text.one(LEAST_PIVOT)}")
            least = text.value(f"fadd float {least}, {text.one(LEAST_NUMBER)}")  # rows of zeros and a ridge that vanished
            values = [text.load(own, 4 * v) for v in vectors] + [text.load(row, r * text.bytes) for r in range(SIDE)]
            with text.folded(0, i, values) as (j, before, after):
                above, done = text.where("%factor", j * _FACTOR_BYTES), text.where("%guides", j * ROW_BYTES)
                part = text.negative(text.everywhere(_float_at(text, text.where(above, i * 4))))
                rows = [text.load(above, 4 * v) for v in vectors] + [text.load(done, r * text.bytes) for r in range(SIDE)]
                after += [text.fma(part, value, carried) for value, carried in zip(rows, before, strict=True)]
            values = before
            text.store(values[0], own, 4 * first)
            pivot = _at_least(text, _float_at(text, pivot_at), least)
            root = text.value(f"call float @llvm.sqrt.f32(float {pivot})")
            scale = text.everywhere(text.value(f"fdiv float 1.0, {root}"))
            values = [text.op("fmul", value, scale) for value in values]
            total = text.load("%squares")
            for v, value in zip(vectors, values, strict=False):
                text.store(value, own, 4 * v)
            for r, value in enumerate(values[len(vectors) :]):
                text.store(value, row, r * text.bytes)
                total = text.fma(value, value, total)
            text.store(total, "%squares")
    text.add("  ret void\n}")


def _project(text: VectorText, count: int) -> None:
    """``project_K(basis, rows, rest, products, squares)``: rows C to (C W') W, the difference to ``rest``.

    Two at a time share what is loaded of W, and the turns of the loop over its rows are written out: 3.2 microseconds for 32 rows;
    one by one it was 4.5.
    """
    text.function(f"project_{count}", [f"ptr %{name}" for name in ("basis", "rows", "rest", "products", "squares")])
    text.store("zeroinitializer", "%squares", text.bytes)
    with text.loop(0, (count + 1) // 2) as pair:  # a single row has one of no meaning beside it
        rows = [text.where("%rows", pair * (2 * ROW_BYTES)), text.where("%rows", pair * (2 * ROW_BYTES) + ROW_BYTES)]
        for first in range(0, count, _ABREAST):
            sums: list[str] = []
            for r in range(SIDE):
                own = [text.load("%basis", (first + i) * ROW_BYTES + r * text.bytes) for i in range(_ABREAST)]
                noisy = [text.load(row, r * text.bytes) for row in rows]
                pairs = [(a, b) for b in noisy for a in own]
                if r:
                    sums = [text.fma(*factors, total) for factors, total in zip(pairs, sums, strict=True)]
                else:
                    sums = [text.op("fmul", *factors) for factors in pairs]
            text.store(_added(text, sums), "%products", first * 2 * 4)
        energies = ["zeroinitializer"] * 2
        for half in range(0, SIDE, _ABREAST):
            sums = ["zeroinitializer"] * (2 * _ABREAST)
            for i in range(count):
                own = [text.load("%basis", i * ROW_BYTES + (half + r) * text.bytes) for r in range(_ABREAST)]
                places = [i // _ABREAST * 2 * _ABREAST + k * _ABREAST + i % _ABREAST for k in range(2)]
                parts = [text.splat("%products", place) for place in places]
                pairs = [(part, value) for part in parts for value in own]
                sums = [text.fma(*factors, total) for factors, total in zip(pairs, sums, strict=True)]
            for k, row in enumerate(rows):
                to = text.where("%rest", pair * (2 * ROW_BYTES) + (k * ROW_BYTES + half * text.bytes))
                own = sums[k * _ABREAST : (k + 1) * _ABREAST]
                energies[k] = _set_apart(text, own, text.at(row, half * text.bytes), to, energies[k])
        _add_energies(text, pair, energies[:count], count)
    text.add("  ret void\n}")


def _set_apart(text: VectorText, filtered: list[str], row: str, rest: str, energy: str) -> str:
    for r, value in enumerate(filtered):
        apart = text.op("fsub", text.load(row, r * text.bytes), value)
        text.store(value, row, r * text.bytes)
        text.store(apart, rest, r * text.bytes)
        energy = text.fma(apart, apart, energy)
    return energy


def _add_energies(text: VectorText, pair: Number, energies: list[str], count: int) -> None:
    """Squares of two rows by the patches that they are made of; the second's are always two."""
    i = pair * 2
    lowest = text.number(f"and i64 {i}, {-i}") * 2
    size = text.choose(i.equals(0), count, lowest)
    share = text.value(f"fdiv float 1.0, {text.value(f'uitofp i64 {size} to float')}")
    total = text.fma(energies[0], text.everywhere(share), text.load("%squares", text.bytes))
    if len(energies) > 1:
        total = text.fma(energies[1], text.constant(0.5), total)
    text.store(total, "%squares", text.bytes)


def bring_back(text: VectorText, count: int) -> None:
    """``bring_back_K(rows, rest, part)``: adds a part of the rest, in all lanes of a vector."""
    text.function(f"bring_back_{count}", ("ptr %rows", "ptr %rest", "ptr %part"))
    part = text.load("%part")
    with text.loop(0, count * SIDE) as i:
        at = str(i * text.bytes)
        text.store(text.fma(part, text.load("%rest", at), text.load("%rows", at)), "%rows", at)
    text.add("  ret void\n}")


#: Vectors that meet two others: with 8 sums they take 14 registers.
_ABREAST = 4
