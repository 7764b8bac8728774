"""Cases of the mean filter.

Tolerance: none for integers, whose mean is exact and rounded once, half to even. Floats: 1e-6 (float16 before its one
rounding, float32) and 1e-14 (float64) of the mean of |x| in the window, as the kernel contract promises.
"""

from __future__ import annotations

from typing import Any

from tests.cases import FLOATS, INTEGERS, MODE_ALIASES, MODES, Case, compact

DTYPES = INTEGERS + FLOATS


def case(name: str, shape: tuple[int, ...] = (19, 23), dtype: str = "uint8", **options: Any) -> Case:
    own = {key: options.pop(key) for key in ("pixels", "where", "slow") if key in options}
    return Case("mean", name, shape, dtype, options, **own)


CASES: tuple[Case, ...] = (
    # sizes: 1 is the identity, even ones reach one sample further back, 40 is larger than the image
    *(case(f"size{k}", dtype=t, size=k) for k in (1, 2, 3, 4, 5, 7, 8, 40) for t in ("uint8", "int16", "float32")),
    *(case(f"size{k}", (40, 37), t, size=k) for k in (31, 64) for t in ("uint8", "uint16", "float32", "float64")),
    *(case(f"size{compact(s)}", dtype="int32", size=s) for s in ((1, 5), (4, 1), (2, 9), (50, 3), (1, 1))),
    # borders, with the window inside, reaching once around, and several times around
    *(case(f"{m}-size{k}", (9, 7), "int16", size=k, mode=m, cval=-5) for m in MODES for k in (3, 6, 31)),
    *(case(f"{m}-alias", (9, 7), "float32", size=4, mode=m, cval=2.5) for m in MODE_ALIASES),
    *(case(f"{m}-one-sample", (1, 1), "float64", size=5, mode=m, cval=1.0) for m in MODES),
    *(case(f"{m}-one-row", (1, 11), "uint8", size=(4, 3), mode=m, cval=200) for m in MODES),
    *(case(f"{m}-one-column", (11, 1), "uint16", size=(3, 4), mode=m, cval=200) for m in MODES),
    # dtypes
    *(case("dtype", dtype=t, size=3) for t in DTYPES),
    *(case("dtype-size6", dtype=t, size=6, mode="mirror") for t in DTYPES),
    *(case("extremes", dtype=t, size=5, pixels="extremes") for t in DTYPES),
    *(case("ties", dtype=t, size=2, pixels="few_values") for t in DTYPES),
    *(case("ties-size4", dtype=t, size=4, pixels="few_values") for t in INTEGERS),
    *(case("tiny", dtype=t, size=3, pixels="tiny") for t in FLOATS),
    case("constant-far-from-data", (9, 8), "float32", size=5, mode="constant", cval=-1e30),
    # long rows: sums are carried over thousands of samples and across strips of rows
    *(case("long", (3, 3000), t, size=9, pixels="noise") for t in ("uint8", "float32")),
    case("tall", (1500, 3), "uint16", size=(9, 2)),
    *(case(f"seam{k}-{m}", (3, n), t, size=(3, k), mode=m)
      for t, n in (("uint8", 4300), ("uint16", 2200), ("float32", 1100)) for k, m in ((3, "reflect"), (16, "wrap"))),
    case("seam-channels", (4, 1500, 3), "uint8", size=5, channel_axis=-1),
    *(case(f"height{n}-size{k}", (n, 40), "uint8", size=k) for n in (1, 2, 3, 5, 8, 17) for k in (3, 15)),
    *(case(f"width{n}", (7, n), t, size=5)
      for n in (15, 16, 17, 31, 33, 63, 64, 65, 129) for t in ("uint8", "float32")),
    *(case(f"channels{n}", (6, 30, n), "uint16", size=3, channel_axis=-1) for n in (1, 2, 4, 8, 9)),
    *(case(f"planes{n}-size{k}", (n, 5, 33), "uint8", size=k, axes=(1, 2)) for n in (2, 3, 5) for k in (3, 7)),
    *(case(f"box{compact(s)}", dtype=t, size=s) for s in ((3, 9), (9, 3), (1, 15), (15, 1), (32, 33))
      for t in ("uint8", "float32")),
    *(case(f"axis{a}-long", (40, 300), t, size=7, axes=a) for a in (0, 1) for t in ("uint8", "float32")),
    *(case(f"large{k}", s, t, size=k, pixels="extremes")
      for s, k in (((60, 70), 33), ((15, 20), 129)) for t in ("uint8", "uint16", "int32")),
    case("pedestal", (40, 300), "float32", size=15, pixels="high"),
    case("pedestal-f64", (40, 300), "float64", size=15, pixels="high"),
    # one to four filtered axes
    *(case(f"{len(s)}d", s, t, size=3) for s in ((31,), (6, 7, 8), (4, 5, 3, 6)) for t in ("uint8", "float32")),
    *(case(f"{len(s)}d-even-{m}", s, "uint16", size=4, mode=m, cval=9) for s in ((9,), (5, 3, 4)) for m in MODES),
    case("3d-per-axis", (6, 7, 8), "int32", size=(1, 4, 5)),
    case("1d-size64", (50,), "uint64", size=64),
    # batch axes
    *(case(f"axes{compact(a)}", (6, 7, 5), "uint8", size=4, axes=a)
      for a in ((0,), (1,), (2,), (0, 2), (1, 2), (-1, 0))),
    case("axes-per-axis", (6, 7, 5), "float32", size=(2, 5), axes=(2, 0)),
    case("axes-4d", (3, 6, 2, 5), "uint16", size=(3, 5), axes=(1, 3)),
    *(case(f"channel{c}", (8, 9, 3), "uint8", size=3, channel_axis=c) for c in (0, 1, 2, -1, -3)),
    *(case(f"channel-last-{m}", (8, 9, 3), "float32", size=4, channel_axis=-1, mode=m, cval=3.0) for m in MODES),
    # masks
    *(case(f"where-{w}", dtype=t, size=3, where=w) for w in ("half", "few", "nothing", "everything", "columns")
      for t in ("uint8", "int64", "float32")),
    *(case(f"where-{m}", (9, 8), "int16", size=5, where="half", mode=m, cval=-100) for m in MODES),
    *(case(f"where-{m}-even", (9, 8), "float64", size=(4, 6), where="few", mode=m, cval=2.0) for m in MODES),
    *(case("where-dtype", dtype=t, size=4, where="half") for t in DTYPES),
    case("where-channel", (8, 9, 3), "uint8", size=3, channel_axis=-1, where="half"),
    case("where-3d", (5, 6, 7), "float32", size=3, where="half"),
    case("where-large", (30, 30), "uint8", size=31, where="few"),
    # not-a-number and infinity
    *(case(p, dtype=t, size=3, pixels=p)
      for p in ("one_nan", "many_nans", "only_nans", "infinities") for t in FLOATS),
    *(case(f"{p}-size15", (30, 200), "float32", size=15, pixels=p) for p in ("one_nan", "infinities")),
    *(case(f"omit-{p}", dtype=t, size=3, pixels=p, nan_policy="omit")
      for p in ("one_nan", "many_nans", "only_nans", "infinities", "noise") for t in FLOATS),
    *(case(f"omit-{m}", (9, 8), "float32", size=6, pixels="many_nans", nan_policy="omit", mode=m, cval=7.0)
      for m in MODES),
    case("omit-where", dtype="float32", size=3, pixels="many_nans", nan_policy="omit", where="half"),
    case("nan-where", dtype="float32", size=3, pixels="many_nans", where="half"),
    case("omit-integers", dtype="uint8", size=3, nan_policy="omit"),
    case("raise-clean", dtype="float32", size=3, nan_policy="raise"),
    case("cval-nan", dtype="float32", size=3, mode="constant", cval=float("nan")),
    case("cval-nan-omit", dtype="float32", size=3, mode="constant", cval=float("nan"), nan_policy="omit"),
    case("cval-inf", dtype="float64", size=4, mode="constant", cval=float("inf")),
)  # fmt: skip
