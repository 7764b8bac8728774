"""The public filters behind one signature, an image and the size of a window, for tests of what holds for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import imrestore
from imrestore.denoise import BM3DProfile, HardThreshold, Wiener
from tests import oracles


def quick_bm3d(size: float) -> BM3DProfile:
    """Windows of 5 pixels, or 9; both stages take about a tenth of the time of 'fast'."""
    window = 9 if size > 5 else 5
    hard = HardThreshold(transform="dct", step=4, group=8, window=window)
    return BM3DProfile(hard, Wiener(transform="bior1.5", step=4, group=8, window=window))


#: Filter -> the keyword that sets the size of its window, and what else it is given.
WINDOWS: dict[str, tuple[str, dict[str, Any]]] = {
    "mean": ("size", {}),
    "median": ("size", {}),
    "gaussian": ("sigma", {}),
    "nl_means": ("patch_distance", {"sigma": 20.0, "h": 100.0, "patch_size": 3, "patch_distance": 2}),
    "guided": ("radius", {"eps": 200.0, "radius": 2}),
    "bilateral": ("sigma_space", {"sigma_color": 100.0, "sigma_space": 1.0}),
    "bm3d": ("profile", {"sigma": 24.844, "profile": quick_bm3d(5)}),
}
FILTERS = tuple(WINDOWS)
#: These look beyond the image, by ``mode`` and ``cval``, and have any number of axes. BM3D has two, and its patches lie inside.
BORDERED = tuple(name for name in FILTERS if name != "bm3d")
#: These look at all channels of a pixel together.
JOINT = ("nl_means", "bilateral", "guided", "bm3d")


def public(name: str) -> Callable[..., Any]:
    """``function(image, size=None, **keywords)`` for the public function of this name."""
    return _with_size(name, getattr(imrestore, name))


def oracle(name: str) -> Callable[..., oracles.Expected]:
    """The same for its oracle."""
    return _with_size(name, oracles.of(name))


def fitting(name: str, *choices: dict[str, Any]) -> list[dict[str, Any]]:
    """The keywords among these that a filter of two axes has."""
    return [c for c in choices if name in BORDERED or not ("mode" in c or isinstance(c.get("axes"), int))]


def keywords(name: str, size: Any) -> dict[str, Any]:
    """Keywords of a filter with a window of about ``size`` pixels, or sizes one per axis."""
    parameter, others = WINDOWS[name]
    if name == "bm3d":
        size = quick_bm3d(size)
    if parameter.startswith("sigma"):
        size = tuple(s / 3 for s in size) if isinstance(size, tuple) else size / 3
    return others | {parameter: size}


def _with_size(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    parameter, others = WINDOWS[name]

    def call(image: Any, size: Any = None, **given: Any) -> Any:
        own = {} if size is None else {parameter: quick_bm3d(size) if name == "bm3d" else size}
        return function(image, **others | own | given)

    return call
