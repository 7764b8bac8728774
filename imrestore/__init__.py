"""Image restoration for NumPy, CuPy, PyTorch and dask arrays: the array you pass decides where it runs."""

import typing as _typing

from imrestore_kernels import forks as _forks

from imrestore._threads import get_num_threads, set_num_threads, threads
from imrestore._version import __version__
from imrestore._warmup import warmup
from imrestore.denoise import bm3d, nl_means
from imrestore.filters import bilateral, gaussian, guided, mean, median

if _typing.TYPE_CHECKING:
    from imrestore import augment, degrade, metrics, noise, repair

__all__ = [
    "__version__",
    "augment",
    "bilateral",
    "bm3d",
    "degrade",
    "gaussian",
    "get_num_threads",
    "guided",
    "mean",
    "median",
    "metrics",
    "nl_means",
    "noise",
    "repair",
    "set_num_threads",
    "threads",
    "warmup",
]


def __getattr__(name: str) -> _typing.Any:
    """Modules that are loaded when they are first named: half of the time that importing imrestore takes without them."""
    if name in ("augment", "degrade", "metrics", "noise", "repair"):
        from importlib import import_module

        with _forks.importing:
            return import_module(f"imrestore.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
