"""Cases of the median and the other ranks.

Tolerance: none. A rank is one of the samples, on every backend.
"""

from __future__ import annotations

from typing import Any

from tests.cases import FLOATS, INTEGERS, MODE_ALIASES, MODES, Case, compact

DTYPES = ("bool", *INTEGERS, *FLOATS)


def case(name: str, shape: tuple[int, ...] = (19, 23), dtype: str = "uint8", **options: Any) -> Case:
    own = {key: options.pop(key) for key in ("pixels", "where", "slow") if key in options}
    return Case("median", name, shape, dtype, options, **own)


CASES: tuple[Case, ...] = (
    # sizes: networks end and histograms or bitsets begin somewhere here; 23 is larger than the image in one axis
    *(case(f"size{k}", dtype=t, size=k)
      for k in (1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 23) for t in ("uint8", "uint16", "float32")),
    *(case(f"size{k}", (24, 37), t, size=k)
      for k, t in ((31, "uint8"), (25, "int16"), (25, "float32"), (64, "uint8"), (64, "int16"), (64, "float32"))),
    *(case(f"size{compact(s)}", dtype="int16", size=s) for s in ((1, 5), (4, 1), (2, 9), (50, 3), (1, 1), (3, 5))),
    # wide enough for whole vectors, one sample too wide, one too narrow
    *(case(f"width{n}", (7, n), t, size=3)
      for n in (15, 16, 17, 31, 33, 63, 64, 65, 129) for t in ("uint8", "float32")),
    case("tall", (900, 5), "uint8", size=5),
    # rows longer than the tiles they are worked on in, and groups of rows that do not fit the height
    *(case(f"seam{k}-{m}", (3, n), t, size=(3, k), mode=m)
      for t, n in (("uint8", 4300), ("uint16", 2200), ("float32", 1100)) for k, m in ((3, "reflect"), (4, "wrap"))),
    case("seam9", (4, 1300), "uint8", size=9),
    case("seam9", (4, 600), "float32", size=9, pixels="many_nans"),
    case("seam-channels", (4, 1500, 3), "uint8", size=3, channel_axis=-1),
    *(case(f"height{n}-size{k}", (n, 40), "uint8", size=k) for n in (1, 2, 3, 4, 5, 7, 8, 9, 17) for k in (3, 5, 15)),
    *(case(f"channels{n}", (6, 30, n), "uint16", size=3, channel_axis=-1) for n in (1, 2, 4, 8, 9)),
    *(case(f"planes{n}-size{k}", (n, 5, 33), "uint8", size=k, axes=(1, 2)) for n in (2, 3, 5) for k in (3, 5)),
    *(case(f"box{compact(s)}", dtype=t, size=s) for s in ((3, 9), (9, 3), (1, 15), (15, 1), (2, 3), (4, 7))
      for t in ("uint8", "float32")),
    *(case("size21-ranks", (25, 70), t, size=21, rank=r) for t, r in (("uint8", 7), ("uint16", 220), ("float32", 440))),
    case("1d-long", (5000,), "uint8", size=5),
    *(case(f"axis{a}-long", (40, 300), t, size=7, axes=a) for a in (0, 1) for t in ("uint8", "float32")),
    # borders
    *(case(f"{m}-size{k}", (9, 7), "int16", size=k, mode=m, cval=-5) for m in MODES for k in (3, 6, 17)),
    *(case(f"{m}-size{k}", (9, 70), "uint8", size=k, mode=m, cval=99) for m in MODES for k in (3, 5, 9)),
    *(case(f"{m}-alias", (9, 7), "float32", size=4, mode=m, cval=2.5) for m in MODE_ALIASES),
    *(case(f"{m}-one-sample", (1, 1), "float64", size=5, mode=m, cval=1.0) for m in MODES),
    *(case(f"{m}-one-row", (1, 40), "uint8", size=3, mode=m, cval=200) for m in MODES),
    *(case(f"{m}-one-column", (40, 1), "uint16", size=3, mode=m, cval=200) for m in MODES),
    # dtypes
    *(case(f"dtype-size{k}", dtype=t, size=k) for k in (3, 5, 8, 15) for t in DTYPES),
    *(case("extremes", dtype=t, size=3, pixels="extremes") for t in INTEGERS + FLOATS),
    *(case("few-values", dtype=t, size=5, pixels="few_values") for t in INTEGERS + FLOATS),
    *(case("tiny", dtype=t, size=3, pixels="tiny") for t in FLOATS),
    *(case("constant", dtype=t, size=7, pixels="constant") for t in ("uint8", "float32")),
    # one to four filtered axes
    *(case(f"{len(s)}d", s, t, size=3) for s in ((31,), (6, 7, 8), (4, 5, 3, 6)) for t in ("uint8", "float32")),
    *(case(f"{len(s)}d-even-{m}", s, "uint16", size=4, mode=m, cval=9) for s in ((9,), (5, 3, 4)) for m in MODES),
    case("3d-per-axis", (6, 7, 8), "int32", size=(1, 4, 3)),
    case("1d-size64", (50,), "uint64", size=64),
    case("1d-size7", (300,), "float32", size=7),
    # footprints
    *(case(f"footprint-{f}", dtype=t, footprint=f) for f in ("cross", "corner", "lopsided", "ring")
      for t in ("uint8", "int64", "float32")),
    *(case(f"footprint-{m}", (6, 5), "uint16", footprint="lopsided", mode=m, cval=77) for m in MODES),
    case("footprint-1d", (20,), "int16", footprint="line"),
    case("footprint-axes", (4, 9, 8), "uint8", footprint="lopsided", axes=(2, 1)),
    case("footprint-channel", (9, 8, 3), "uint8", footprint="cross", channel_axis=2),
    case("footprint-where", dtype="float32", footprint="ring", where="half"),
    case("footprint-rank", dtype="uint8", footprint="ring", rank=2),
    case("footprint-percentile", dtype="int32", footprint="lopsided", percentile=80),
    # ranks and percentiles
    *(case(f"rank{r}", dtype=t, size=3, rank=r) for r in (0, 1, 4, 7, 8, -1, -9) for t in ("uint8", "float32")),
    *(case(f"rank{r}-size5", dtype="uint16", size=5, rank=r) for r in (0, 5, 12, 24)),
    *(case(f"rank{r}-size12", dtype="uint8", size=12, rank=r) for r in (0, 30, 143)),
    *(case(f"percentile{p}", dtype=t, size=3, percentile=p) for p in (0, 10, 33.3, 50, 75.5, 99.9, 100, -20, -100)
      for t in ("uint8", "float64")),
    *(case(f"percentile{p}-size15", (20, 30), "uint8", size=15, percentile=p) for p in (0, 5, 50, 100)),
    *(case(f"percentile{p}-where", dtype="uint8", size=5, percentile=p, where="half")
      for p in (0, 20, 50, 90, 100, -5)),
    # batch axes
    *(case(f"axes{compact(a)}", (6, 7, 5), "uint8", size=4, axes=a)
      for a in ((0,), (1,), (2,), (0, 2), (1, 2), (-1, 0))),
    case("axes-per-axis", (6, 7, 5), "float32", size=(2, 5), axes=(2, 0)),
    case("axes-4d", (3, 6, 2, 5), "uint16", size=(3, 5), axes=(1, 3)),
    *(case(f"channel{c}", (8, 9, 3), "uint8", size=3, channel_axis=c) for c in (0, 1, 2, -1, -3)),
    *(case(f"channel-last-{m}", (8, 9, 3), "float32", size=5, channel_axis=-1, mode=m, cval=3.0) for m in MODES),
    case("channel-last-wide", (8, 40, 4), "uint8", size=7, channel_axis=-1),
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
    *(case(f"{p}-size{k}", dtype=t, size=k, pixels=p) for p in ("one_nan", "many_nans", "only_nans", "infinities")
      for t in FLOATS for k in (3, 8)),
    *(case(f"{p}-size25", (30, 90), "float32", size=25, pixels=p) for p in ("one_nan", "infinities")),
    *(case(f"{p}-wide", (9, 300), "float32", size=5, pixels=p, mode=m)
      for p, m in (("one_nan", "wrap"), ("infinities", "mirror"))),
    *(case(f"omit-{p}", dtype=t, size=3, pixels=p, nan_policy="omit")
      for p in ("one_nan", "many_nans", "only_nans", "infinities", "noise") for t in FLOATS),
    *(case(f"omit-{m}", (9, 8), "float32", size=6, pixels="many_nans", nan_policy="omit", mode=m, cval=7.0)
      for m in MODES),
    case("omit-where", dtype="float32", size=3, pixels="many_nans", nan_policy="omit", where="half"),
    case("nan-where", dtype="float32", size=3, pixels="many_nans", where="half"),
    case("nan-rank0", dtype="float32", size=3, pixels="many_nans", rank=0),
    case("omit-integers", dtype="uint8", size=3, nan_policy="omit"),
    case("raise-clean", dtype="float32", size=3, nan_policy="raise"),
    case("cval-nan", dtype="float32", size=3, mode="constant", cval=float("nan")),
    case("cval-nan-omit", dtype="float32", size=3, mode="constant", cval=float("nan"), nan_policy="omit"),
    case("cval-inf", dtype="float64", size=4, mode="constant", cval=float("inf")),
)  # fmt: skip
