"""Cases of non-local means.

Tolerance: that of the kernel contract, stated in `tests.oracles.similarity`. `case` chooses sigma and h in the range of
the dtype, so that the weights of random pixels are neither all 0 nor all 1.
"""

from __future__ import annotations

from typing import Any

from tests.cases import FLOATS, INTEGERS, MODE_ALIASES, MODES, Case, compact

DTYPES = INTEGERS + FLOATS
NAN, INF = float("nan"), float("inf")


def spread(dtype: str) -> float:
    """About the difference of two random pixels of ``tests.cases.noise``."""
    return 300.0 if dtype.startswith("float") else 2.0 ** (int(dtype[-2:].lstrip("t")) - 1)


def case(name: str, shape: tuple[int, ...] = (13, 17), dtype: str = "uint8", **options: Any) -> Case:
    own = {key: options.pop(key) for key in ("pixels", "where", "slow") if key in options}
    defaults = {"sigma": 0.2 * spread(dtype), "h": 0.6 * spread(dtype), "patch_size": 3, "patch_distance": 2}
    return Case("nl_means", name, shape, dtype, defaults | options, **own)


CASES: tuple[Case, ...] = (
    # patches: one pixel, even, larger than the image, another along each axis
    *(case(f"patch{k}", dtype=t, patch_size=k) for k in range(1, 10) for t in ("uint8", "float32")),
    *(case(f"patch{compact(k)}", dtype=t, patch_size=k) for k in (1, 5, 8, (1, 5), (4, 1), (7, 2)) for t in ("uint16", "float64")),
    *(case(f"uniform-patch{compact(k)}", dtype=t, patch_size=k, patch_weights="uniform")
      for k in (5, 6, 7, 9, 12, (5, 8)) for t in ("uint8", "float32")),
    case("patches-of-both-kinds", dtype="float32", patch_size=(3, 7)),
    *(case("patch-beyond", (6, 5), t, patch_size=11, patch_distance=1) for t in ("uint8", "float32")),
    *(case(f"weights-patch{compact(k)}", dtype=t, patch_size=k, patch_weights="gaussian")
      for k in (1, 2, 5, 6, (3, 8)) for t in ("uint8", "float32", "float64")),
    # how far a pixel looks: not at all, beyond the image, along one axis only
    *(case(f"distance{d}", dtype=t, patch_distance=d) for d in (0, 1, 2, 3, 5, 10) for t in ("uint8", "float32")),
    *(case(f"distance{compact(d)}", dtype=t, patch_distance=d) for d in ((0, 4), (3, 0), (0, 0), (1, 9))
      for t in ("int16", "float64")),
    *(case(f"defaults-{w}", (20, 22), t, patch_size=7, patch_distance=10, patch_weights=w)
      for w, t in (("uniform", "uint8"), ("tapered", "float32"), ("gaussian", "float64"))),
    # strengths: no noise, more noise than differences, weights all 0, all 1, and beyond what squares can hold
    *(case(f"sigma{s}", dtype=t, sigma=s) for s in (0, 1e-30, 20.0, 1e6) for t in ("uint8", "float32", "float64")),
    *(case(f"h{h}", dtype=t, sigma=0.0, h=h) for h in (1e-3, 1.0, 10.0, 1e6, 1e30)
      for t in ("uint8", "uint16", "float32", "float64")),
    *(case(f"h{h}", dtype=t, sigma=0.0, h=h) for h in (1e-30, 1e-320, 1e200, 1e308)
      for t in ("uint8", "float32", "float64")),
    *(case("sigma-alone-decides", dtype=t, sigma=60.0, h=1e-3, pixels="few_values") for t in ("uint8", "float64")),
    *(case("few-values", dtype=t, sigma=0.0, h=0.8, pixels="few_values") for t in DTYPES),
    # borders
    *(case(f"{m}-{k}-{d}", (9, 7), t, patch_size=k, patch_distance=d, mode=m, cval=40)
      for m in MODES for k, d, t in ((3, 1, "uint8"), (4, 5, "float32"), (7, 10, "uint8"), (5, 10, "float32"))),
    *(case(f"{m}-float64", (9, 7), "float64", patch_size=5, mode=m, cval=-50) for m in MODES),
    *(case(f"{m}-alias", (9, 7), "float32", mode=m, cval=2.5) for m in MODE_ALIASES),
    *(case(f"{m}-one-sample", (1, 1), t, mode=m, cval=1) for m in MODES for t in ("uint8", "float64")),
    *(case(f"{m}-one-row", (1, 11), "uint8", mode=m, cval=200) for m in MODES),
    *(case(f"{m}-one-column", (11, 1), "float32", mode=m, cval=200) for m in MODES),
    *(case(f"{m}-two-samples", (2, 2), "float32", patch_size=4, patch_distance=5, mode=m, cval=7) for m in MODES),
    case("constant-far-from-data", dtype="float32", mode="constant", cval=-1e30),
    # dtypes
    *(case("dtype", dtype=t) for t in DTYPES),
    *(case("dtype-mirror", dtype=t, mode="mirror", patch_size=4, patch_weights="gaussian") for t in DTYPES),
    *(case("dtype-channels", (9, 8, 3), t, channel_axis=-1) for t in DTYPES),
    *(case("dtype-constant", dtype=t, mode="constant", cval=1, patch_distance=3) for t in DTYPES),
    *(case("extremes", dtype=t, sigma=0.0, h=1.0, pixels="extremes") for t in DTYPES),
    *(case("extremes-h", dtype=t, sigma=0.0, h=h, pixels="extremes")
      for t, h in (("uint8", 200.0), ("int16", 5e4), ("uint16", 5e4), ("int64", 1.4e19), ("uint64", 1.4e19),
                   ("float16", 9e4), ("float32", 5e38), ("float64", 3e302))),
    *(case("constant", dtype=t, pixels="constant") for t in DTYPES),
    *(case("tiny", dtype=t, sigma=0.0, h=h, pixels="tiny")
      for t, h in (("float16", 3e-7), ("float32", 7e-45), ("float64", 1.0))),
    *(case("tiny-h1", dtype=t, sigma=0.0, h=1.0, pixels="tiny") for t in ("float16", "float32")),
    # small differences on a pedestal
    *(case("pedestal", (20, 24), t, sigma=0.5, h=0.8, pixels="high") for t in ("float32", "float64")),
    *(case("pedestal-channels", (9, 11, 3), t, sigma=0.5, h=0.8, pixels="high", channel_axis=-1)
      for t in ("float32", "float64")),
    case("pedestal-where", dtype="float32", sigma=0.5, h=0.8, pixels="high", where="half"),
    # shapes that meet whole vectors, strips and tiles, and just miss them
    *(case(f"width{n}", (7, n), t) for n in (15, 16, 17, 33, 64, 65, 129) for t in ("uint8", "float32")),
    *(case(f"height{n}", (n, 20), t, patch_distance=3) for n in (1, 2, 3, 8, 17, 70)
      for t in ("uint8", "float64")),
    *(case("wide", (3, 1100), t, patch_distance=1) for t in ("uint8", "uint16", "float32", "float64")),
    *(case("wide-wrap", (4, 2100), t, patch_distance=1, mode="wrap") for t in ("uint8", "float32")),
    case("tall", (1500, 3), "uint16", patch_distance=1),
    case("seam-channels", (4, 700, 3), "uint8", patch_distance=1, channel_axis=-1),
    *(case(f"channels{n}", (6, 13, n), t, channel_axis=-1) for n in (1, 2, 3, 4, 5) for t in ("uint8", "float32")),
    # one to four filtered axes
    *(case("1d", (n,), t) for n, t in ((31, "uint8"), (40, "float32"), (33, "float64"))),
    case("1d-wide", (2500,), "float32", patch_size=5, patch_distance=7),
    *(case("3d", (5, 6, 7), t) for t in ("uint8", "uint16", "float32", "float64")),
    case("3d-per-axis", (5, 6, 7), "float32", patch_size=(1, 3, 2), patch_distance=(2, 1, 0)),
    case("3d-weights", (5, 6, 7), "float32", patch_size=4, patch_weights="gaussian", patch_distance=1),
    *(case(f"3d-{m}", (4, 3, 5), "uint16", mode=m, cval=9, patch_distance=1) for m in MODES),
    case("3d-channels", (4, 5, 6, 3), "float32", channel_axis=-1, patch_distance=1),
    *(case(f"1d-{m}", (9,), "uint16", mode=m, cval=9, patch_distance=4) for m in MODES),
    # batch axes
    *(case(f"axes{compact(a)}", (6, 7, 5), "uint16", axes=a) for a in ((0,), (1,), (2,), (0, 2), (1, 2), (-1, 0))),
    case("axes-per-axis", (6, 7, 5), "float32", patch_size=(1, 4), patch_distance=(3, 1), axes=(2, 0)),
    case("axes-4d", (3, 6, 2, 5), "uint16", patch_size=(3, 2), axes=(1, 3)),
    *(case(f"channel{c}", (8, 9, 3), "uint8", channel_axis=c) for c in (0, 1, 2, -1, -3)),
    case("channel-and-axes", (4, 6, 3, 5), "float32", channel_axis=2, axes=(3, 1)),
    *(case(f"channel-last-{m}", (8, 9, 3), "float32", channel_axis=-1, mode=m, cval=3.0, patch_size=4) for m in MODES),
    # masks
    *(case(f"where-{w}", dtype=t, where=w) for w in ("half", "few", "nothing", "everything", "columns")
      for t in ("uint8", "int64", "float32")),
    *(case(f"where-{m}", (9, 8), t, where="half", mode=m, cval=10) for m in MODES for t in ("int16", "float32")),
    *(case(f"where-{m}-few", (9, 8), "float64", patch_size=2, where="few", mode=m, cval=2.0) for m in MODES),
    *(case("where-dtype", dtype=t, where="half", patch_size=4) for t in DTYPES),
    *(case("where-channels", (8, 9, 3), t, channel_axis=-1, where="half") for t in ("uint8", "float32")),
    *(case("where-weights", dtype=t, where="half", patch_size=5, patch_weights="gaussian") for t in ("uint8", "float32")),
    *(case("where-small-h", dtype=t, where="half", sigma=0.0, h=1.0) for t in ("uint8", "float64")),
    case("where-3d", (5, 6, 7), "float32", where="half", patch_distance=1),
    case("where-batch", (3, 8, 9), "uint8", where="half", axes=(1, 2)),
    # not-a-number and infinity
    *(case(p, dtype=t, pixels=p) for p in ("one_nan", "many_nans", "only_nans", "infinities") for t in FLOATS),
    *(case(f"one-nan-patch{k}-distance{d}", (21, 33), "float32", pixels="one_nan", patch_size=k, patch_distance=d)
      for k, d in ((1, 0), (2, 0), (4, 1), (1, 3), (5, 4))),
    *(case(f"one-nan-{m}", (9, 8), "float32", pixels="one_nan", mode=m, cval=3.0) for m in MODES),
    case("one-nan-wide", (30, 90), "float32", pixels="one_nan"),
    *(case("one-nan-channels", (9, 10, 3), t, pixels="one_nan", channel_axis=-1, patch_distance=1)
      for t in ("float32", "float64")),
    case("one-nan-3d", (7, 8, 9), "float32", pixels="one_nan", patch_distance=1),
    case("one-nan-batch", (3, 8, 9), "float32", pixels="one_nan", axes=(1, 2), patch_distance=1),
    *(case(f"omit-{p}", dtype=t, pixels=p, nan_policy="omit")
      for p in ("one_nan", "many_nans", "only_nans", "infinities", "noise") for t in FLOATS),
    *(case(f"omit-{m}", (9, 8), "float32", pixels="many_nans", nan_policy="omit", mode=m, cval=7.0) for m in MODES),
    case("omit-channels", (8, 9, 3), "float32", pixels="many_nans", nan_policy="omit", channel_axis=-1),
    case("omit-where", dtype="float32", pixels="many_nans", nan_policy="omit", where="half"),
    case("nan-where", dtype="float32", pixels="many_nans", where="half", patch_size=1, patch_distance=1),
    case("omit-integers", dtype="uint8", nan_policy="omit"),
    case("raise-clean", dtype="float32", nan_policy="raise"),
    *(case(f"cval-nan-{policy}", dtype="float32", mode="constant", cval=NAN, nan_policy=policy)
      for policy in ("propagate", "omit")),
    case("cval-inf", dtype="float64", mode="constant", cval=INF),
)  # fmt: skip
