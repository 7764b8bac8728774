"""Cases of the Gaussian.

Tolerance: integers are the float64 value rounded half to even; either neighbour is right only where that value lies
within 1e-9 of a tie (or, for wide integers, within its own rounding error). Floats as for the mean, of the weighted
mean of |x| in the window.
"""

from __future__ import annotations

from typing import Any

from tests.cases import FLOATS, INTEGERS, MODE_ALIASES, MODES, Case, compact

DTYPES = INTEGERS + FLOATS


def case(name: str, shape: tuple[int, ...] = (19, 23), dtype: str = "uint8", **options: Any) -> Case:
    own = {key: options.pop(key) for key in ("pixels", "where", "slow") if key in options}
    return Case("gaussian", name, shape, dtype, options, **own)


CASES: tuple[Case, ...] = (
    # sigmas: 0 is the identity, 0.1 has one tap, 3 reaches beyond the image several times
    *(case(f"sigma{s}", dtype=t, sigma=s) for s in (0, 0.1, 0.5, 1.0, 1.7, 3) for t in ("uint8", "int16", "float32")),
    *(case(f"sigma{s}", (20, 17), t, sigma=s) for s in (5, 8.0) for t in ("uint8", "float32", "float64")),
    *(case(f"sigma{compact(s)}", dtype="int32", sigma=s) for s in ((0, 1.5), (2.0, 0), (0.5, 1.5), (0, 0))),
    # taps
    *(case(f"truncate{t}", dtype="float64", sigma=1.2, truncate=t) for t in (0.01, 0.3, 1.0, 2.5, 6.0)),
    *(case(f"radius{compact(r)}", dtype="float64", sigma=1.2, radius=r) for r in (0, 1, 2, 9, (0, 3), (4, 1))),
    case("radius-wide-sigma", dtype="uint8", sigma=50.0, radius=3),
    case("radius-narrow-sigma", dtype="float32", sigma=0.3, radius=4),
    # borders
    *(case(f"{m}-sigma{s}", (9, 7), "int16", sigma=s, mode=m, cval=-5) for m in MODES for s in (0.6, 2.0, 4.0)),
    *(case(f"{m}-alias", (9, 7), "float32", sigma=1.0, mode=m, cval=2.5) for m in MODE_ALIASES),
    *(case(f"{m}-one-sample", (1, 1), "float64", sigma=1.0, mode=m, cval=1.0) for m in MODES),
    *(case(f"{m}-one-row", (1, 11), "uint8", sigma=1.0, mode=m, cval=200) for m in MODES),
    *(case(f"{m}-one-column", (11, 1), "uint16", sigma=1.0, mode=m, cval=200) for m in MODES),
    # dtypes
    *(case("dtype", dtype=t, sigma=1.0) for t in DTYPES),
    *(case("dtype-mirror", dtype=t, sigma=1.4, mode="mirror") for t in DTYPES),
    *(case("extremes", dtype=t, sigma=1.0, pixels="extremes") for t in DTYPES),
    *(case("few-values", dtype=t, sigma=0.8, pixels="few_values") for t in DTYPES),
    *(case("constant", dtype=t, sigma=2.0, pixels="constant") for t in DTYPES),
    *(case("tiny", dtype=t, sigma=1.0, pixels="tiny") for t in FLOATS),
    case("constant-far-from-data", (9, 8), "float32", sigma=1.0, mode="constant", cval=-1e30),
    # shapes that meet whole vectors and whole strips, and just miss them
    *(case(f"width{n}", (7, n), t, sigma=1.0) for n in (15, 16, 17, 33, 64, 65, 129) for t in ("uint8", "float32")),
    case("long", (3, 2000), "float32", sigma=1.5),
    case("tall", (1500, 3), "uint16", sigma=(1.5, 0.5)),
    *(case(f"seam-{m}", (3, n), t, sigma=1.0, mode=m)
      for t, n in (("uint8", 4300), ("uint16", 2200), ("float32", 1100)) for m in ("reflect", "wrap")),
    case("seam-channels", (4, 1500, 3), "uint8", sigma=1.0, channel_axis=-1),
    *(case(f"height{n}-sigma{s}", (n, 40), "uint8", sigma=s) for n in (1, 2, 3, 5, 8, 17) for s in (0.5, 2.0)),
    *(case(f"channels{n}", (6, 30, n), "uint16", sigma=0.7, channel_axis=-1) for n in (1, 2, 4, 8, 9)),
    *(case(f"planes{n}", (n, 5, 33), "uint8", sigma=1.0, axes=(1, 2)) for n in (2, 3, 5)),
    *(case(f"axis{a}-long", (40, 300), t, sigma=1.5, axes=a) for a in (0, 1) for t in ("uint8", "float32")),
    # integers that come close to a tie are where float32 sums have to be done again
    *(case(f"near-ties-{s}", (40, 60), t, sigma=s, pixels="few_values") for s in (0.4, 1.0, 2.3)
      for t in ("uint8", "int8")),
    case("pedestal", (30, 120), "float32", sigma=2.0, pixels="high"),
    # one to four filtered axes
    *(case(f"{len(s)}d", s, t, sigma=0.6) for s in ((31,), (6, 7, 8), (4, 5, 3, 4)) for t in ("uint8", "float32")),
    *(case(f"{len(s)}d-{m}", s, "uint16", sigma=0.7, mode=m, cval=9) for s in ((9,), (5, 3, 4)) for m in MODES),
    case("3d-per-axis", (6, 7, 8), "int32", sigma=(0, 1.0, 0.5)),
    case("1d-wide", (50,), "float64", sigma=20.0),
    # batch axes
    *(case(f"axes{compact(a)}", (6, 7, 5), "uint8", sigma=1.0, axes=a)
      for a in ((0,), (1,), (2,), (0, 2), (1, 2), (-1, 0))),
    case("axes-per-axis", (6, 7, 5), "float32", sigma=(0.5, 1.5), axes=(2, 0)),
    case("axes-4d", (3, 6, 2, 5), "uint16", sigma=(0.5, 1.0), axes=(1, 3)),
    *(case(f"channel{c}", (8, 9, 3), "uint8", sigma=1.0, channel_axis=c) for c in (0, 1, 2, -1, -3)),
    *(case(f"channel-last-{m}", (8, 9, 3), "float32", sigma=1.5, channel_axis=-1, mode=m, cval=3.0) for m in MODES),
    # masks
    *(case(f"where-{w}", dtype=t, sigma=0.8, where=w) for w in ("half", "few", "nothing", "everything", "columns")
      for t in ("uint8", "int64", "float32")),
    *(case(f"where-{m}", (9, 8), "int16", sigma=1.0, where="half", mode=m, cval=-100) for m in MODES),
    *(case(f"where-{m}-small", (9, 8), "float64", sigma=(0.3, 0.6), where="few", mode=m, cval=2.0) for m in MODES),
    *(case("where-dtype", dtype=t, sigma=1.0, where="half") for t in DTYPES),
    case("where-channel", (8, 9, 3), "uint8", sigma=1.0, channel_axis=-1, where="half"),
    case("where-3d", (5, 6, 7), "float32", sigma=0.6, where="half"),
    # not-a-number and infinity
    *(case(p, dtype=t, sigma=0.6, pixels=p)
      for p in ("one_nan", "many_nans", "only_nans", "infinities") for t in FLOATS),
    *(case(f"{p}-sigma2", (30, 90), "float32", sigma=2.0, pixels=p) for p in ("one_nan", "infinities")),
    *(case(f"omit-{p}", dtype=t, sigma=0.6, pixels=p, nan_policy="omit")
      for p in ("one_nan", "many_nans", "only_nans", "infinities", "noise") for t in FLOATS),
    *(case(f"omit-{m}", (9, 8), "float32", sigma=1.0, pixels="many_nans", nan_policy="omit", mode=m, cval=7.0)
      for m in MODES),
    case("omit-where", dtype="float32", sigma=0.8, pixels="many_nans", nan_policy="omit", where="half"),
    case("nan-where", dtype="float32", sigma=0.5, pixels="many_nans", where="half"),
    case("omit-integers", dtype="uint8", sigma=1.0, nan_policy="omit"),
    case("raise-clean", dtype="float32", sigma=1.0, nan_policy="raise"),
    case("cval-nan", dtype="float32", sigma=1.0, mode="constant", cval=float("nan")),
    case("cval-nan-omit", dtype="float32", sigma=1.0, mode="constant", cval=float("nan"), nan_policy="omit"),
    case("cval-inf", dtype="float64", sigma=1.0, mode="constant", cval=float("inf")),
)  # fmt: skip
