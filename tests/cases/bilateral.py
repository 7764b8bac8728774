"""Cases of the bilateral filter.

Tolerance: that of the kernel contract, stated in `tests.oracles.similarity`. `case` chooses sigma_color in the range of
the dtype, so that the weights of random pixels are neither all 0 nor all 1.
"""

from __future__ import annotations

from typing import Any

from tests.cases import FLOATS, INTEGERS, MODE_ALIASES, MODES, Case, compact
from tests.cases.nl_means import INF, NAN, spread

DTYPES = INTEGERS + FLOATS


def case(name: str, shape: tuple[int, ...] = (13, 17), dtype: str = "uint8", **options: Any) -> Case:
    own = {key: options.pop(key) for key in ("pixels", "where", "slow") if key in options}
    defaults = {"sigma_color": 0.4 * spread(dtype), "sigma_space": 1.0}
    return Case("bilateral", name, shape, dtype, defaults | options, **own)


CASES: tuple[Case, ...] = (
    # widths: none, less than a pixel, beyond the image, another along each axis
    *(case(f"space{s}", dtype=t, sigma_space=s) for s in (0, 0.1, 0.3, 1.0, 1.7, 2, 3.5, 5)
      for t in ("uint8", "float32")),
    *(case(f"space{s}", dtype="float64", sigma_space=s) for s in (0.5, 2.5)),
    *(case(f"space{compact(s)}", dtype=t, sigma_space=s) for s in ((0, 1.5), (2.0, 0), (0.5, 1.5), (0, 0))
      for t in ("int16", "float32")),
    *(case(f"space{s}", sigma_space=s, radius=3, dtype=t) for s in (1e-3, 1e-200, 1e200) for t in ("uint8", "float64")),
    *(case(f"truncate{r}", dtype="float32", sigma_space=1.2, truncate=r) for r in (0.01, 0.3, 1.0, 3.0, 4.5)),
    *(case(f"radius{compact(r)}", dtype=t, sigma_space=1.2, radius=r)
      for r in (0, 1, 2, 3, 4, 6, 9, (0, 3), (4, 1)) for t in ("uint8", "float32")),
    case("radius-wide-sigma", dtype="uint8", sigma_space=50.0, radius=3),
    case("radius-narrow-sigma", dtype="float32", sigma_space=0.3, radius=4),
    case("radius-without-sigma", dtype="float32", sigma_space=(0, 1.0), radius=2),
    # strengths: weights all 0, all 1, and beyond what squares can hold
    *(case(f"color{c}", dtype=t, sigma_color=c) for c in (1e-3, 1.0, 1e6, 1e30)
      for t in ("uint8", "uint16", "float32", "float64")),
    *(case(f"color{c}", dtype=t, sigma_color=c) for c in (1e-30, 1e-320, 1e200, 1e308) for t in ("uint8", "float32", "float64")),
    *(case("few-values", dtype=t, sigma_color=3.0, pixels="few_values") for t in DTYPES),
    # borders
    *(case(f"{m}-space{s}", (9, 7), t, sigma_space=s, mode=m, cval=40)
      for m in MODES for s, t in ((0.6, "uint8"), (2.0, "float32"), (7.0, "uint8"))),
    *(case(f"{m}-float64", (9, 7), "float64", sigma_space=1.5, mode=m, cval=-50) for m in MODES),
    *(case(f"{m}-alias", (9, 7), "float32", mode=m, cval=2.5) for m in MODE_ALIASES),
    *(case(f"{m}-one-sample", (1, 1), t, mode=m, cval=1) for m in MODES for t in ("uint8", "float64")),
    *(case(f"{m}-one-row", (1, 11), "uint8", mode=m, cval=200) for m in MODES),
    *(case(f"{m}-one-column", (11, 1), "float32", mode=m, cval=200) for m in MODES),
    *(case(f"{m}-two-samples", (2, 2), "float32", sigma_space=3.0, mode=m, cval=7) for m in MODES),
    # the table of weights of a peer was read out of bounds here
    case("constant-far-from-data", dtype="float32", mode="constant", cval=-1e30),
    # dtypes
    *(case("dtype", dtype=t) for t in DTYPES),
    *(case("dtype-channels", (9, 8, 3), t, channel_axis=-1) for t in DTYPES),
    *(case("dtype-constant", dtype=t, mode="constant", cval=1, radius=3) for t in DTYPES),
    *(case("extremes", dtype=t, sigma_color=1.0, pixels="extremes") for t in DTYPES),
    *(case("extremes-color", dtype=t, sigma_color=c, pixels="extremes")
      for t, c in (("uint8", 200.0), ("int16", 5e4), ("uint16", 5e4), ("int64", 1.4e19), ("uint64", 1.4e19),
                   ("float16", 9e4), ("float32", 5e38), ("float64", 3e302))),
    *(case("constant", dtype=t, pixels="constant") for t in DTYPES),
    *(case("tiny", dtype=t, sigma_color=c, pixels="tiny")
      for t, c in (("float16", 3e-7), ("float32", 7e-45), ("float64", 1.0))),
    *(case("tiny-color1", dtype=t, sigma_color=1.0, pixels="tiny") for t in ("float16", "float32")),
    # small differences on a pedestal
    *(case("pedestal", (20, 24), t, sigma_color=0.8, sigma_space=2.0, pixels="high") for t in ("float32", "float64")),
    *(case("pedestal-channels", (9, 11, 3), t, sigma_color=0.8, pixels="high", channel_axis=-1)
      for t in ("float32", "float64")),
    case("pedestal-where", dtype="float32", sigma_color=0.8, pixels="high", where="half"),
    # shapes that meet whole vectors, strips and tiles, and just miss them
    *(case(f"width{n}", (7, n), t) for n in (15, 16, 17, 33, 64, 65, 129) for t in ("uint8", "float32")),
    *(case(f"height{n}", (n, 20), t) for n in (1, 2, 3, 8, 17, 70) for t in ("uint8", "float64")),
    *(case("wide", (3, 1100), t) for t in ("uint8", "uint16", "float32", "float64")),
    *(case("wide-wrap", (4, 2100), t, mode="wrap") for t in ("uint8", "float32")),
    case("tall", (1500, 3), "uint16"),
    case("seam-channels", (4, 700, 3), "uint8", channel_axis=-1),
    *(case(f"channels{n}", (6, 13, n), t, channel_axis=-1) for n in (1, 2, 3, 4, 5) for t in ("uint8", "float32")),
    # one to four filtered axes
    *(case("1d", (n,), t) for n, t in ((31, "uint8"), (40, "float32"), (33, "float64"))),
    case("1d-wide", (2500,), "float32", sigma_space=9.0),
    *(case("3d", (5, 6, 7), t) for t in ("uint8", "uint16", "float32", "float64")),
    case("3d-per-axis", (5, 6, 7), "float32", sigma_space=(0, 1.5, 0.6)),
    *(case(f"3d-{m}", (4, 3, 5), "uint16", mode=m, cval=9) for m in MODES),
    case("3d-channels", (4, 5, 6, 3), "float32", channel_axis=-1),
    *(case(f"1d-{m}", (9,), "uint16", mode=m, cval=9, sigma_space=2.0) for m in MODES),
    # batch axes
    *(case(f"axes{compact(a)}", (6, 7, 5), "uint16", axes=a) for a in ((0,), (1,), (2,), (0, 2), (1, 2), (-1, 0))),
    case("axes-per-axis", (6, 7, 5), "float32", sigma_space=(0.5, 1.5), axes=(2, 0)),
    case("axes-4d", (3, 6, 2, 5), "uint16", sigma_space=(0.7, 1.2), axes=(1, 3)),
    *(case(f"channel{c}", (8, 9, 3), "uint8", sigma_color=150.0, channel_axis=c) for c in (0, 1, 2, -1, -3)),
    case("channel-and-axes", (4, 6, 3, 5), "float32", channel_axis=2, axes=(3, 1), sigma_space=(0.6, 1.4)),
    *(case(f"channel-last-{m}", (8, 9, 3), "float32", channel_axis=-1, mode=m, cval=3.0) for m in MODES),
    # masks
    *(case(f"where-{w}", dtype=t, where=w) for w in ("half", "few", "nothing", "everything", "columns")
      for t in ("uint8", "int64", "float32")),
    *(case(f"where-{m}", (9, 8), t, where="half", mode=m, cval=10) for m in MODES for t in ("int16", "float32")),
    *(case(f"where-{m}-few", (9, 8), "float64", sigma_space=0.5, where="few", mode=m, cval=2.0) for m in MODES),
    *(case("where-dtype", dtype=t, where="half") for t in DTYPES),
    *(case("where-channels", (8, 9, 3), t, channel_axis=-1, where="half") for t in ("uint8", "float32")),
    *(case("where-small-color", (8, 9, 3), t, channel_axis=-1, where="half", sigma_color=1e-3)
      for t in ("uint8", "float64")),
    case("where-narrow", dtype="float32", where="half", sigma_space=0.05, radius=3),
    case("where-3d", (5, 6, 7), "float32", where="half"),
    case("where-batch", (3, 8, 9), "uint8", where="half", axes=(1, 2)),
    # not-a-number and infinity
    *(case(p, dtype=t, pixels=p) for p in ("one_nan", "many_nans", "only_nans", "infinities") for t in FLOATS),
    *(case(f"one-nan-radius{compact(r)}", (21, 33), "float32", pixels="one_nan", radius=r) for r in (0, 1, 4, (0, 2))),
    *(case(f"one-nan-{m}", (9, 8), "float32", pixels="one_nan", mode=m, cval=3.0) for m in MODES),
    case("one-nan-narrow", dtype="float32", pixels="one_nan", sigma_space=0.05, radius=2),
    case("one-nan-wide", (30, 90), "float32", pixels="one_nan"),
    *(case("one-nan-channels", (9, 10, 3), t, pixels="one_nan", channel_axis=-1) for t in ("float32", "float64")),
    case("one-nan-3d", (7, 8, 9), "float32", pixels="one_nan"),
    case("one-nan-batch", (3, 8, 9), "float32", pixels="one_nan", axes=(1, 2)),
    *(case(f"omit-{p}", dtype=t, pixels=p, nan_policy="omit")
      for p in ("one_nan", "many_nans", "only_nans", "infinities", "noise") for t in FLOATS),
    *(case(f"omit-{m}", (9, 8), "float32", pixels="many_nans", nan_policy="omit", mode=m, cval=7.0) for m in MODES),
    case("omit-channels", (8, 9, 3), "float32", pixels="many_nans", nan_policy="omit", channel_axis=-1),
    case("omit-where", dtype="float32", pixels="many_nans", nan_policy="omit", where="half"),
    case("nan-where", dtype="float32", pixels="many_nans", where="half", sigma_space=0.5),
    case("omit-integers", dtype="uint8", nan_policy="omit"),
    case("raise-clean", dtype="float32", nan_policy="raise"),
    *(case(f"cval-nan-{policy}", dtype="float32", mode="constant", cval=NAN, nan_policy=policy)
      for policy in ("propagate", "omit")),
    case("cval-inf", dtype="float64", mode="constant", cval=INF),
)  # fmt: skip
