"""Augmentation: variations of images that are drawn anew for every sample, the same on NumPy, CuPy and torch.

Steps work like those of `imrestore.degrade`, in the same chains: on an image alone or a batch, with a target that is moved along,
and a mask of labels that is moved by nearest neighbours. The names of tutorials (``rotation``, ``flip``, ``crop``, ``translation``,
``scaling``, ``brightness``, ``contrast``, ``salt_and_pepper``, ``gaussian_noise``) mean the same classes.
"""

from imrestore.augment._colors import Brightness, ColorJitter, Contrast, Hue, Saturation
from imrestore.augment._distortions import Elastic, Perspective
from imrestore.augment._mixing import CutMix, Cutout, MixUp
from imrestore.augment._moves import CenterCrop, Crop, Flip, Rotate90, Transpose
from imrestore.augment._warps import Affine, Rotate, Scale, Translate
from imrestore.degrade import (
    Beta,
    Chain,
    Choice,
    Clip,
    Gamma,
    GaussianNoise,
    Integers,
    LogUniform,
    Maybe,
    Normal,
    OneOf,
    PoissonNoise,
    SaltAndPepper,
    Shuffled,
    SpeckleNoise,
    Step,
    Uniform,
)

brightness = Brightness
contrast = Contrast
crop = Crop
flip = Flip
gaussian_noise = GaussianNoise
rotation = Rotate
salt_and_pepper = SaltAndPepper
scaling = Scale
translation = Translate

__all__ = [
    "Affine",
    "Beta",
    "Brightness",
    "CenterCrop",
    "Chain",
    "Choice",
    "Clip",
    "ColorJitter",
    "Contrast",
    "Crop",
    "CutMix",
    "Cutout",
    "Elastic",
    "Flip",
    "Gamma",
    "GaussianNoise",
    "Hue",
    "Integers",
    "LogUniform",
    "Maybe",
    "MixUp",
    "Normal",
    "OneOf",
    "Perspective",
    "PoissonNoise",
    "Rotate",
    "Rotate90",
    "SaltAndPepper",
    "Saturation",
    "Scale",
    "Shuffled",
    "SpeckleNoise",
    "Step",
    "Translate",
    "Transpose",
    "Uniform",
    "brightness",
    "contrast",
    "crop",
    "flip",
    "gaussian_noise",
    "rotation",
    "salt_and_pepper",
    "scaling",
    "translation",
]
