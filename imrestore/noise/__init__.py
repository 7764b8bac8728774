"""Noise: how strong it is, and the transform that makes it the same everywhere."""

from imrestore.noise._anscombe import anscombe, inverse_anscombe
from imrestore.noise._estimate_poisson_gaussian import PoissonGaussian, estimate_poisson_gaussian
from imrestore.noise._estimate_sigma import estimate_sigma

__all__ = ["PoissonGaussian", "anscombe", "estimate_poisson_gaussian", "estimate_sigma", "inverse_anscombe"]
