"""Synthetic damage: steps that are drawn anew for every sample, and chains of them, the same on NumPy, CuPy and torch."""

from imrestore.degrade._defects import Banding, Clip, DeadPixels, Quantize, RandomImpulse, RowNoise, SaltAndPepper
from imrestore.degrade._noise import ColorNoise, GaussianNoise, PoissonGaussianNoise, PoissonNoise, SpeckleNoise
from imrestore.degrade._step import Chain, Maybe, OneOf, Shuffled, Step
from imrestore.degrade._values import Beta, Choice, Integers, LogUniform, Normal, Uniform

__all__ = [
    "Banding",
    "Beta",
    "Chain",
    "Choice",
    "Clip",
    "ColorNoise",
    "DeadPixels",
    "GaussianNoise",
    "Integers",
    "LogUniform",
    "Maybe",
    "Normal",
    "OneOf",
    "PoissonGaussianNoise",
    "PoissonNoise",
    "Quantize",
    "RandomImpulse",
    "RowNoise",
    "SaltAndPepper",
    "Shuffled",
    "SpeckleNoise",
    "Step",
    "Uniform",
]
