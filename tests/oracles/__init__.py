"""Slow, obvious definitions of the filters, one function for each public function and under its name.

`tests.oracles.bm3d` is the module of BM3D's stages; `of` finds all definitions by name.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.oracles import bm3d_images
from tests.oracles.guided import guided
from tests.oracles.similarity import bilateral, nl_means
from tests.oracles.windows import Expected, gaussian, mean, median

__all__ = ["Expected", "bilateral", "gaussian", "guided", "mean", "median", "nl_means", "of"]


def of(name: str) -> Callable[..., Expected]:
    """The definition of the public function of this name."""
    return bm3d_images.bm3d if name == "bm3d" else globals()[name]
