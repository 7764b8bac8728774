"""Image restoration for NumPy, CuPy, PyTorch and dask arrays: the array you pass decides where it runs."""

from imrestore._threads import get_num_threads, set_num_threads, threads
from imrestore._version import __version__
from imrestore._warmup import warmup
from imrestore.filters import gaussian, mean, median

__all__ = [
    "__version__",
    "gaussian",
    "get_num_threads",
    "mean",
    "median",
    "set_num_threads",
    "threads",
    "warmup",
]
