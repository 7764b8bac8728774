"""Filters that give back what an image has lost."""

from imrestore.repair._deconvolve import deconvolve

__all__ = ["deconvolve"]
