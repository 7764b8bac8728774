"""Linear, rank and edge-preserving filters."""

from imrestore.filters._bilateral import bilateral
from imrestore.filters._gaussian import gaussian
from imrestore.filters._guided import guided
from imrestore.filters._mean import mean
from imrestore.filters._median import median

__all__ = ["bilateral", "gaussian", "guided", "mean", "median"]
