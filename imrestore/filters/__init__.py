"""Linear and rank filters."""

from imrestore.filters._gaussian import gaussian
from imrestore.filters._mean import mean
from imrestore.filters._median import median

__all__ = ["gaussian", "mean", "median"]
