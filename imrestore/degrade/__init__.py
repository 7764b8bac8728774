"""Synthetic damage: steps that are drawn anew for every sample, and chains of them, the same on NumPy, CuPy and torch."""

from imrestore.degrade._blur import GaussianBlur, GeneralizedGaussianBlur, PlateauBlur, SincBlur
from imrestore.degrade._blur_optics import DefocusBlur, MotionBlur, PSFBlur
from imrestore.degrade._camera import Camera, Gamma, Mosaic
from imrestore.degrade._chains import bsrgan, classical, real_esrgan
from imrestore.degrade._defects import Banding, Clip, DeadPixels, Quantize, RandomImpulse, RowNoise, SaltAndPepper
from imrestore.degrade._distributions import Beta, Choice, Integers, InverseUniform, LogUniform, Normal, SquareUniform, Uniform
from imrestore.degrade._haze import Haze
from imrestore.degrade._jpeg import JPEG
from imrestore.degrade._missing import MissingBoxes, MissingPixels, MissingStrokes, MissingText
from imrestore.degrade._noise import ColorNoise, GaussianNoise, PoissonGaussianNoise, PoissonNoise, SpeckleNoise
from imrestore.degrade._resize import Resize
from imrestore.degrade._step import Step
from imrestore.degrade._steps import Chain, Maybe, OneOf, Shuffled
from imrestore.degrade._values import Mixture

__all__ = [
    "JPEG",
    "Banding",
    "Beta",
    "Camera",
    "Chain",
    "Choice",
    "Clip",
    "ColorNoise",
    "DeadPixels",
    "DefocusBlur",
    "Gamma",
    "GaussianBlur",
    "GaussianNoise",
    "GeneralizedGaussianBlur",
    "Haze",
    "Integers",
    "InverseUniform",
    "LogUniform",
    "Maybe",
    "MissingBoxes",
    "MissingPixels",
    "MissingStrokes",
    "MissingText",
    "Mixture",
    "Mosaic",
    "MotionBlur",
    "Normal",
    "OneOf",
    "PSFBlur",
    "PlateauBlur",
    "PoissonGaussianNoise",
    "PoissonNoise",
    "Quantize",
    "RandomImpulse",
    "Resize",
    "RowNoise",
    "SaltAndPepper",
    "Shuffled",
    "SincBlur",
    "SpeckleNoise",
    "SquareUniform",
    "Step",
    "Uniform",
    "bsrgan",
    "classical",
    "real_esrgan",
]
