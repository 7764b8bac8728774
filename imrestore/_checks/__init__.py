"""Every check of a parameter and every error message.

A message starts with the argument's name, says what it was and what it may be. Types that cannot be meant raise
``TypeError``, values out of range ``ValueError``.

Here is what the filters ask, and everyone who takes an image. ``noise`` and ``metrics`` are for the modules of that name
alone and are loaded with them.
"""

from imrestore._checks.images import (
    axis_of_channels,
    border_mode,
    constant_value,
    filtered_axes,
    image_dtype,
    image_shape,
    nan_policy,
    no_nan,
)
from imrestore._checks.joint import (
    bilateral_radii,
    guide_channel,
    guide_channels,
    guided_eps,
    guided_radii,
    noise_sigma,
    patch_distances,
    patch_sizes,
    patch_weights,
    strength,
)
from imrestore._checks.values import flag, is_masked_array, thread_count
from imrestore._checks.windows import gaussian_radii, rank_and_percentile, window_footprint, window_size

__all__ = [
    "axis_of_channels",
    "bilateral_radii",
    "border_mode",
    "constant_value",
    "filtered_axes",
    "flag",
    "gaussian_radii",
    "guide_channel",
    "guide_channels",
    "guided_eps",
    "guided_radii",
    "image_dtype",
    "image_shape",
    "is_masked_array",
    "nan_policy",
    "no_nan",
    "noise_sigma",
    "patch_distances",
    "patch_sizes",
    "patch_weights",
    "rank_and_percentile",
    "strength",
    "thread_count",
    "window_footprint",
    "window_size",
]
