"""Image restoration for NumPy, CuPy, PyTorch and dask arrays: the array you pass decides where it runs."""

from imrestore import metrics, noise
from imrestore._threads import get_num_threads, set_num_threads, threads
from imrestore._version import __version__
from imrestore._warmup import warmup
from imrestore.denoise import nl_means
from imrestore.filters import bilateral, gaussian, guided, mean, median

__all__ = [
    "__version__",
    "bilateral",
    "gaussian",
    "get_num_threads",
    "guided",
    "mean",
    "median",
    "metrics",
    "nl_means",
    "noise",
    "set_num_threads",
    "threads",
    "warmup",
]
