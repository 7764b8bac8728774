"""Checks of the joint filters, which look at all channels of a pixel together: non-local means, bilateral and guided."""

from __future__ import annotations

import math

from imrestore._checks.images import axis_number
from imrestore._checks.values import not_negative, one_of, positive, shown, whole_numbers
from imrestore._checks.windows import gaussian_radii

#: Non-local means: a patch's side and how far a pixel looks; the time grows with the square of the latter. The bilateral
#: filter looks as far at most.
MAX_PATCH = 64
MAX_REACH = 1024
#: Guided filter: a block is filtered with its whole halo, and every window solves equations for the channels of the guide.
MAX_GUIDED_RADIUS = 1023
MAX_GUIDED_SAMPLES = 2**24
MAX_GUIDE_CHANNELS = 4
PATCH_WEIGHTS = ("tapered", "uniform", "gaussian")


def strength(name: str, value: object, *, optional: bool = False) -> float:
    """A finite number above zero in the image's units; ``optional`` is said where the argument may be None."""
    return positive(name, value, ("None or " if optional else "") + "a finite number > 0 in the image's units")


def noise_sigma(value: object) -> float:
    """Standard deviation of noise in the image's units."""
    return not_negative("sigma", value, "None or a finite number >= 0 in the image's units")


def patch_sizes(value: object, axes: int) -> tuple[int, ...]:
    """Sides of a patch per filtered axis."""
    return whole_numbers("patch_size", value, axes, 1, MAX_PATCH)


def patch_distances(value: object, axes: int) -> tuple[int, ...]:
    """How far a pixel looks for patches like its own, per filtered axis."""
    return whole_numbers("patch_distance", value, axes, 0, MAX_REACH)


def patch_weights(value: object) -> str:
    """One of PATCH_WEIGHTS."""
    return one_of("patch_weights", value, PATCH_WEIGHTS)


def bilateral_radii(sigma_space: object, truncate: object, radius: object, axes: int) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Spatial standard deviations and radii per filtered axis: no radius where there is no deviation."""
    sigmas, radii = gaussian_radii(sigma_space, truncate, radius, axes, "sigma_space", MAX_REACH)
    return sigmas, tuple(r if s > 0 else 0 for s, r in zip(sigmas, radii, strict=True))


def guided_radii(radius: object, axes: int) -> tuple[int, ...]:
    """Radii of the guided filter per filtered axis."""
    radii = whole_numbers("radius", radius, axes, 0, MAX_GUIDED_RADIUS)
    if math.prod(2 * r + 1 for r in radii) > MAX_GUIDED_SAMPLES:
        raise ValueError(f"radius is {shown(radius)}; the window may hold at most {MAX_GUIDED_SAMPLES} samples")
    return radii


def guided_eps(value: object) -> float:
    """The variance below which the guided filter smooths."""
    return positive("eps", value, "a finite number > 0, in squared units of the guide")


def guide_channel(guide: tuple[int, ...], image: tuple[int, ...], image_channel: int | None, channel_axis: object) -> int | None:
    """Axis of the guide's channels, from the shapes of both; None for a grey guide."""
    more = len(guide) - len(image)
    if abs(more) > 1:
        raise ValueError(f"guide has {len(guide)} axes and image {len(image)}; they may differ by an axis of channels only")
    if more and channel_axis is None:
        raise ValueError(
            f"guide has {len(guide)} axes and image {len(image)}; channel_axis must name the axis that one of them has more"
        )
    channel = image_channel if more == 0 else None
    if more == 1:
        channel = axis_number("channel_axis", channel_axis, len(guide), of="a guide")
    if _without_axis(guide, channel) != _without_axis(image, image_channel):
        besides = "" if channel is None and image_channel is None else " but for channels"
        raise ValueError(f"guide has the shape {guide}; it must have image's{besides}, {image}")
    return channel


def _without_axis(shape: tuple[int, ...], axis: int | None) -> tuple[int, ...]:
    return shape if axis is None else (*shape[:axis], *shape[axis + 1 :])


def guide_channels(name: str, channels: int) -> None:
    """The guide, or the image that guides itself, has few enough channels."""
    if not 1 <= channels <= MAX_GUIDE_CHANNELS:
        raise ValueError(f"{name} has {channels} channels; as a guide it may have 1 to {MAX_GUIDE_CHANNELS}")
