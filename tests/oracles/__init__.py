"""Slow, obvious definitions of the filters, one function for each public function and under its name."""

from tests.oracles.guided import guided
from tests.oracles.similarity import bilateral, nl_means
from tests.oracles.windows import Expected, gaussian, mean, median

__all__ = ["Expected", "bilateral", "gaussian", "guided", "mean", "median", "nl_means"]
