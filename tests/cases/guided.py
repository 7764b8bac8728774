"""Cases of the guided filter.

Tolerance: the roundings of float64 times what the result is made of, the largest sample and the factor's share of the guide's
(`tests.oracles.guided`), plus the one rounding to the image's dtype; of float32 where image and guide have 8 bits. Integers may
fall to either side of a tie that lies within that. So a variance that loses its digits on a pedestal is seen: it is off by
the square of the pedestal.
"""

from __future__ import annotations

from typing import Any

from tests.cases import FLOATS, INTEGERS, MODE_ALIASES, MODES, Case, compact

DTYPES = INTEGERS + FLOATS
SHAPE = (19, 23)


def case(name: str, shape: tuple[int, ...] = SHAPE, dtype: str = "uint8", **options: Any) -> Case:
    own = {key: options.pop(key) for key in ("pixels", "where", "slow", "guide") if key in options}
    options.setdefault("eps", 1e3)
    return Case("guided", name, shape, dtype, options, **own)


def beside(shape: tuple[int, ...] = SHAPE, dtype: str = "float32", pixels: str = "noise") -> tuple[tuple[int, ...], str, str]:
    """A guide of its own."""
    return shape, dtype, pixels


def colours(axis: int) -> tuple[int, ...]:
    """The shape of a picture of three colours along an axis."""
    return tuple(3 if a == axis % 3 else 9 for a in range(3))


CASES: tuple[Case, ...] = (
    # radii: 0 is next to the identity; 3, 5 and 6 are sums of three and more powers of two; 12 reaches beyond the image
    *(case(f"radius{r}", dtype=t, radius=r)
      for r in (0, 1, 2, 3, 4, 5, 7, 12) for t in ("uint8", "int16", "float32", "float64")),
    *(case(f"radius{compact(r)}", dtype=t, radius=r) for r in ((0, 3), (2, 0), (1, 6), (9, 1)) for t in ("uint16", "float32")),
    *(case(f"eps{e}", dtype=t, radius=3, eps=e) for e in (1e-9, 1, 1e5, 1e12) for t in ("uint8", "float32")),
    *(case(f"eps-least-{p}", dtype=t, radius=2, eps=1e-310, pixels=p)
      for p in ("constant", "few_values") for t in ("uint8", "float32", "float64")),
    # borders
    *(case(f"{m}-radius{r}", (9, 7), "int16", radius=r, mode=m, cval=-5) for m in MODES for r in (1, 2, 5)),
    *(case(f"{m}-alias", (9, 7), "float32", radius=2, mode=m, cval=2.5) for m in MODE_ALIASES),
    *(case(f"{m}-one-sample", (1, 1), "float64", radius=2, mode=m, cval=1.0) for m in MODES),
    *(case(f"{m}-one-row", (1, 11), "uint8", radius=2, mode=m, cval=200) for m in MODES),
    *(case(f"{m}-one-column", (11, 1), "uint16", radius=2, mode=m, cval=200) for m in MODES),
    *(case(f"{m}-guide", (9, 7), "uint8", radius=2, mode=m, cval=7, guide=beside((9, 7), "int16")) for m in MODES),
    # dtypes, of the image and of its guide
    *(case("dtype", dtype=t, radius=2) for t in DTYPES),
    *(case("dtype-mirror", dtype=t, radius=3, mode="mirror") for t in DTYPES),
    *(case("dtype-guide", dtype=t, radius=2, guide=beside(dtype="uint8")) for t in DTYPES),
    *(case(f"guide-{g}", dtype=t, radius=2, guide=beside(dtype=g)) for g in DTYPES for t in ("uint8", "float32")),
    *(case("few-values", dtype=t, radius=2, eps=0.3, pixels="few_values") for t in DTYPES),
    *(case("constant", dtype=t, radius=2, pixels="constant") for t in DTYPES),
    *(case("extremes", dtype=t, radius=1, pixels="extremes") for t in (*INTEGERS, "float16", "float32")),
    *(case("tiny", dtype=t, radius=2, pixels="tiny", eps=1e-6) for t in FLOATS),
    # pedestals: of the image, of the guide, of both; and where there is nothing but the pedestal
    *(case("pedestal", (30, 60), t, radius=3, eps=0.5, pixels="high") for t in ("float32", "float64")),
    *(case(f"pedestal-{t}-guide", dtype="float32", radius=3, eps=0.5, guide=beside(dtype=t, pixels="high"))
      for t in ("float32", "float64")),
    case("pedestal-image", dtype="float32", radius=3, eps=0.5, pixels="high", guide=beside()),
    case("pedestal-both", dtype="float64", radius=3, eps=0.5, pixels="high", guide=beside(dtype="float64", pixels="high")),
    case("flat-guide", dtype="float32", radius=2, eps=1e-9, guide=beside(pixels="constant")),
    case("flat-image", dtype="float32", radius=2, pixels="constant", guide=beside()),
    # shapes that meet whole vectors, tiles and strips, and just miss them
    *(case(f"width{n}", (5, n), t, radius=2) for n in (7, 8, 9, 15, 16, 17, 33, 64) for t in ("uint8", "float32")),
    *(case(f"tile{n}", (2, n), "float32", radius=(1, 3)) for n in (255, 256, 257, 300, 520)),
    case("tile-guide", (2, 600), "uint8", radius=(0, 2), guide=beside((2, 600), "uint8")),
    case("tall", (400, 3), "uint16", radius=(2, 1)),
    *(case(f"height{n}-radius{r}", (n, 20), "uint8", radius=(r, 1)) for n in (1, 2, 3, 5, 8, 17) for r in (1, 4)),
    case("beyond-the-rings", (9, 4), "float32", radius=(130, 1)),
    # one to four filtered axes
    *(case(f"{len(s)}d", s, t, radius=1) for s in ((31,), (6, 7, 8), (4, 3, 3, 4)) for t in ("uint8", "float32")),
    *(case(f"{len(s)}d-{m}", s, "uint16", radius=1, mode=m, cval=9) for s in ((9,), (5, 3, 4)) for m in MODES),
    *(case(f"{len(s)}d-guide", s, "float32", radius=1, guide=beside(s)) for s in ((31,), (6, 7, 8))),
    case("3d-per-axis", (6, 7, 8), "int32", radius=(0, 1, 2)),
    case("3d-colour-guide", (5, 6, 4), "float32", radius=1, channel_axis=-1, guide=beside((5, 6, 4, 3))),
    # batch axes
    *(case(f"axes{compact(a)}", (6, 7, 5), "uint8", radius=1, axes=a) for a in ((0,), (1,), (2,), (0, 2), (1, 2), (-1, 0))),
    case("axes-per-axis", (6, 7, 5), "float32", radius=(1, 3), axes=(2, 0)),
    case("axes-4d", (3, 6, 2, 5), "uint16", radius=(1, 2), axes=(1, 3)),
    case("axes-guide", (3, 8, 9), "float32", radius=2, axes=(1, 2), guide=beside((3, 8, 9))),
    case("axes-guide-turned", (8, 3, 9), "float32", radius=(2, 1), axes=(2, 0), guide=beside((8, 3, 9))),
    # colours that guide themselves, 1 to 4 channels anywhere
    *(case(f"channels{n}", (12, 14, n), t, radius=2, channel_axis=-1) for n in (1, 2, 3, 4) for t in ("uint8", "float32")),
    *(case(f"channel{c}", colours(c), "uint8", radius=2, channel_axis=c) for c in (0, 1, 2, -3)),
    *(case(f"channel-last-{m}", (8, 9, 3), "float32", radius=2, channel_axis=-1, mode=m, cval=3.0) for m in MODES),
    *(case(f"channels-{p}", (12, 14, 3), "float32", radius=2, eps=e, channel_axis=-1, pixels=p)
      for p, e in (("constant", 1e-3), ("high", 0.5))),
    case("channels-axes", (2, 8, 9, 3), "uint16", radius=2, axes=(1, 2), channel_axis=-1),
    # guides of other channels than the image's
    *(case(f"colour-guide{n}", (12, 14), t, radius=2, channel_axis=-1, guide=beside((12, 14, n), g))
      for n in (1, 2, 3, 4) for t, g in (("float32", "uint8"), ("uint8", "float32"))),
    case("colour-guide-first", (12, 14), "float32", radius=(1, 3), axes=(1, 0), channel_axis=0, guide=beside((3, 12, 14))),
    *(case(f"grey-guide-{c}", colours(c), "uint8", radius=2, channel_axis=c, guide=beside((9, 9))) for c in (0, 1, 2)),
    case("two-channels-of-three", (9, 8, 2), "float32", radius=2, channel_axis=-1, guide=beside((9, 8, 3))),
    case("colour-pedestal", (12, 14), "float32", radius=2, eps=0.5, channel_axis=-1, guide=beside((12, 14, 3), "float64", "high")),
    case("colour-wide", (3, 300, 3), "uint8", radius=2, channel_axis=-1),
    # masks
    *(case(f"where-{w}", dtype=t, radius=2, where=w) for w in ("half", "few", "nothing", "everything", "columns")
      for t in ("uint8", "int64", "float32")),
    *(case(f"where-{m}", (9, 8), "int16", radius=2, where="half", mode=m, cval=-100) for m in MODES),
    *(case(f"where-{m}-few", (9, 8), "float64", radius=(1, 2), where="few", mode=m, cval=2.0) for m in MODES),
    *(case("where-dtype", dtype=t, radius=2, where="half") for t in DTYPES),
    *(case(f"where-guide-{p}", dtype="float32", radius=2, where="half", guide=beside(pixels=p))
      for p in ("noise", "many_nans", "high")),
    case("where-channel", (8, 9, 3), "uint8", radius=1, channel_axis=-1, where="half"),
    case("where-channel-first", (3, 8, 9), "float32", radius=1, channel_axis=0, where="half"),
    case("where-colour-guide", (8, 9), "uint8", radius=1, channel_axis=-1, where="half", guide=beside((8, 9, 3), "uint8")),
    case("where-channels-apart", (8, 9, 3), "uint8", radius=1, channel_axis=-1, where="half", guide=beside((8, 9))),
    case("where-3d", (5, 6, 7), "float32", radius=1, where="half"),
    case("where-pedestal", dtype="float32", radius=3, eps=0.5, where="half", guide=beside(pixels="high")),
    # not-a-number and infinity
    *(case(p, dtype=t, radius=1, pixels=p) for p in ("one_nan", "many_nans", "only_nans", "infinities") for t in FLOATS),
    *(case(f"{p}-radius3", (30, 90), "float32", radius=3, pixels=p) for p in ("one_nan", "infinities")),
    *(case(f"guide-{p}", dtype=t, radius=1, guide=beside(pixels=p))
      for p in ("one_nan", "infinities") for t in ("uint8", "float32")),
    *(case(f"infinities-{m}", (9, 60), "float32", radius=1, pixels="infinities", mode=m, cval=2.0, guide=beside((9, 60)))
      for m in MODES),
    case("cval-inf-guide", (9, 60), "float32", radius=1, mode="constant", cval=float("inf"), guide=beside((9, 60))),
    *(case(f"channels-{p}", (9, 10, 3), "float32", radius=1, pixels=p, channel_axis=-1) for p in ("one_nan", "infinities")),
    *(case(f"omit-{p}", dtype=t, radius=1, pixels=p, nan_policy="omit")
      for p in ("one_nan", "many_nans", "only_nans", "infinities", "noise") for t in FLOATS),
    *(case(f"omit-guide-{p}", dtype=t, radius=1, guide=beside(pixels=p), nan_policy="omit")
      for p in ("one_nan", "many_nans") for t in ("uint8", "float32")),
    *(case(f"omit-{m}", (9, 8), "float32", radius=1, pixels="many_nans", nan_policy="omit", mode=m, cval=7.0) for m in MODES),
    case("omit-channels", (9, 8, 3), "float32", radius=1, pixels="many_nans", nan_policy="omit", channel_axis=-1),
    case("omit-where", dtype="float32", radius=2, pixels="many_nans", nan_policy="omit", where="half"),
    case("nan-where", dtype="float32", radius=1, pixels="many_nans", where="half"),
    case("omit-integers", dtype="uint8", radius=2, nan_policy="omit"),
    case("raise-clean", dtype="float32", radius=2, nan_policy="raise", guide=beside()),
    case("cval-nan", dtype="float32", radius=2, mode="constant", cval=float("nan")),
    case("cval-nan-omit", dtype="float32", radius=2, mode="constant", cval=float("nan"), nan_policy="omit"),
    case("cval-inf", dtype="float64", radius=1, mode="constant", cval=float("inf")),
)  # fmt: skip
