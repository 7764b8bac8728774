"""Filters that remove noise and keep what the image shows."""

from imrestore_kernels.bm3d_profiles import PROFILES as BM3D_PROFILES
from imrestore_kernels.bm3d_profiles import HardThreshold, Wiener
from imrestore_kernels.bm3d_profiles import Profile as BM3DProfile

from imrestore.denoise._bm3d import bm3d
from imrestore.denoise._nl_means import nl_means

__all__ = ["BM3D_PROFILES", "BM3DProfile", "HardThreshold", "Wiener", "bm3d", "nl_means"]
