"""Filters that remove noise and keep what the image shows."""

from imrestore.denoise._nl_means import nl_means

__all__ = ["nl_means"]
