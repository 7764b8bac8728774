"""The public filters behind one signature, an image and the size of a window, for tests of what holds for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import imrestore
from tests import oracles

#: Filter -> the keyword that sets the size of its window, and what else it is given.
WINDOWS: dict[str, tuple[str, dict[str, Any]]] = {
    "mean": ("size", {}),
    "median": ("size", {}),
    "gaussian": ("sigma", {}),
    "nl_means": ("patch_distance", {"sigma": 20.0, "h": 100.0, "patch_size": 3, "patch_distance": 2}),
    "guided": ("radius", {"eps": 200.0, "radius": 2}),
    "bilateral": ("sigma_space", {"sigma_color": 100.0, "sigma_space": 1.0}),
}
FILTERS = tuple(WINDOWS)
#: These look at all channels of a pixel together.
JOINT = ("nl_means", "bilateral", "guided")


def public(name: str) -> Callable[..., Any]:
    """``function(image, size=None, **keywords)`` for the public function of this name."""
    return _with_size(name, getattr(imrestore, name))


def oracle(name: str) -> Callable[..., oracles.Expected]:
    """The same for its oracle."""
    return _with_size(name, getattr(oracles, name))


def keywords(name: str, size: Any) -> dict[str, Any]:
    """Keywords of a filter with a window of about ``size`` pixels, or sizes one per axis."""
    parameter, others = WINDOWS[name]
    if parameter.startswith("sigma"):
        size = tuple(s / 3 for s in size) if isinstance(size, tuple) else size / 3
    return others | {parameter: size}


def _with_size(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    parameter, others = WINDOWS[name]

    def call(image: Any, size: Any = None, **given: Any) -> Any:
        own = {} if size is None else {parameter: size}
        return function(image, **others | own | given)

    return call
