"""Numba kernels over rows. Loaded only when an image in main memory is filtered."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from imrestore_kernels import forks


def warmup_jobs() -> list[tuple[str, Callable[[], object]]]:
    """Name and builder of every kernel worth compiling ahead: the common windows and dtypes, and all general kernels.

    Networks and integer means are made for one window each; other windows than these compile at their first call.
    """
    import numpy as np

    with forks.importing:
        from imrestore_kernels.cpu import _rank_select, _separable, anscombe, gaussian, guided, mean, median, metrics
        from imrestore_kernels.cpu._bands import similarity_kernel
        from imrestore_kernels.cpu._masked_similarity import masked_kernel
        from imrestore_kernels.cpu._rank_bitset import bitset_kernel
        from imrestore_kernels.cpu._rank_histogram import histogram_kernel
        from imrestore_kernels.cpu._row_text import row_functions
        from imrestore_kernels.cpu._similarity_rows import compute_type
        from imrestore_kernels.cpu._similarity_tile import Patch, program
        from imrestore_kernels.cpu._window_sums import Sums

    jobs: list[tuple[str, Callable[[], object]]] = []
    for dtype in map(np.dtype, ("uint8", "uint16", "int16", "float32", "float64")):
        shape = (1, 64, 64, 1)
        box = (3, 5, 7, 9, 15, 31) if dtype in (np.uint8, np.uint16) else (3,)
        jobs += [
            (f"mean {k}x{k} {dtype}", partial(mean.plan, shape, dtype, (k, k), 0, 0)) for k in box
        ]  # one float kernel serves all windows
        taps = (np.ones(3) / 3, np.ones(3) / 3)
        jobs.append((f"gaussian {dtype}", partial(gaussian.plan, shape, dtype, taps, 0, 0)))
        jobs.append((f"guided {dtype}", partial(guided.plan, shape, dtype, (4, 4), 1.0, 0, 0, 0)))
        ranks = (3, 5, 7, 9, 11, 15) if dtype in (np.uint8, np.uint16, np.float32) else (3, 5)
        jobs += [
            (f"median {k}x{k} {dtype}", partial(median.plan, shape, dtype, (k, k), k * k // 2, 0, 0)) for k in ranks
        ]
        wide = (1, 64, 1024, 1)  # narrow images have a driver of their own
        jobs += [(f"median {k}x{k} {dtype}, wide", partial(median.plan, wide, dtype, (k, k), k * k // 2, 0, 0)) for k in (3, 5)]
        jobs.append((f"selection {dtype}", partial(_rank_select.select_kernel, dtype)))
        jobs.append((f"rows of {dtype}", partial(row_functions, dtype, compute_type(dtype), True)))
    seven, one = Sums((3, 5)), Sums((1,))  # the default patch, and that of the bilateral filter
    jobs += [(f"similarities {c}", partial(similarity_kernel, np.dtype(c))) for c in ("float32", "float64")]
    for compute, channels in ((c, n) for c in map(np.dtype, ("float32", "float64")) for n in (1, 3)):
        jobs.append((f"patches 7x7 {compute}, {channels} channels", partial(program, Patch(1, seven, seven, channels), compute)))
        jobs.append((f"patches 1x1 {compute}, {channels} channels", partial(program, Patch(1, one, one, channels), compute)))
    jobs.append(("similarities with missing samples", masked_kernel))
    for dtype in map(np.dtype, ("uint8", "uint16", "float32", "float64")):
        jobs.append((f"squared error {dtype}", partial(metrics.squares_kernel, dtype)))
        jobs.append((f"structural similarity {dtype}", partial(metrics.similarity_kernel, dtype)))
    for dtype in map(np.dtype, ("uint8", "uint16", "float32", "float64")):
        jobs.append((f"Anscombe's transform {dtype}", partial(anscombe.forward_kernel, dtype)))
    for dtype in map(np.dtype, ("float32", "float64")):
        jobs.append((f"inverse of Anscombe's transform {dtype}", partial(anscombe.inverse_kernel, dtype)))
    jobs.append(("histograms uint8", partial(histogram_kernel, np.dtype(np.uint8))))
    jobs += [(f"bit set {dtype}", partial(bitset_kernel, np.dtype(dtype))) for dtype in ("uint16", "float32")]
    jobs += [(f"separable sums {dtype}", partial(_separable.pass_kernel, np.dtype(dtype))) for dtype in ("int64", "float64")]
    return jobs + _bm3d_jobs() + _damage_jobs()


def _damage_jobs() -> list[tuple[str, Callable[[], object]]]:
    """All that damages and varies images, in float32, and how pictures of the usual dtypes get there and back."""
    import numpy as np

    with forks.importing:
        from imrestore_kernels.cpu import (
            _colour_pass,
            _curves,
            _interleave,
            _noise_rows,
            _philox,
            _place_rows,
            _resampling_weights,
            _warp_adjoint,
            _warp_pixels,
            _warp_rows,
            blurring,
            camera,
            colours,
            haze,
            jpeg,
            missing,
            mixing,
            resizing,
        )

    real = np.dtype(np.float32)
    builders: dict[str, Callable[[np.dtype[np.float32]], object]] = {
        "normal noise": _noise_rows.normal_kernel,
        "correlated noise": _noise_rows.correlated_kernel,
        "Poisson noise": _noise_rows.poisson_kernel,
        "impulse noise": _noise_rows.impulse_kernel,
        "line noise": _noise_rows.lines_kernel,
        "quantisation and clipping": _noise_rows.values_kernel,
        "convolution": blurring.convolution,
        "convolution, borders folded back": blurring.fold,
        "resampling down": resizing.down,
        "resampling along": resizing.along,
        "weights of resampling": _resampling_weights.weights_kernel,
        "weights of resampling, transposed": _resampling_weights.transpose_kernel,
        "JPEG of colours": jpeg.colour_kernel,
        "JPEG of grey": jpeg.grey_kernel,
        "missing shapes": missing.shapes_kernel,
        "haze": haze.haze_kernel,
        "mosaic": camera.mosaic_kernel,
        "demosaic": camera.demosaic_kernel,
        "demosaic, transposed": camera.demosaic_adjoint_kernel,
        "curves": _curves.curve_kernel,
        "slopes of curves": _curves.slope_kernel,
        "moves of whole pixels": _place_rows.place_kernel,
        "moves of whole pixels, transposed": _place_rows.place_adjoint_kernel,
        "warps": _warp_rows.warp_kernel,
        "warps, transposed": _warp_adjoint.warp_adjoint_kernel,
        "mixing": mixing.blend_kernel,
        "pasting": mixing.paste_kernel,
        "erasing": mixing.erase_kernel,
        "erasing, transposed": mixing.erase_adjoint_kernel,
        "matrices over channels": colours.matrix_kernel,
        "sums over planes": colours.sum_kernel,
        "contrast": colours.contrast_kernel,
    }
    jobs: list[tuple[str, Callable[[], object]]] = [(name, partial(build, real)) for name, build in builders.items()]
    jobs += [("random numbers", _philox.draws_kernel), ("places of resampling", _resampling_weights.index_kernel)]
    for dtype in map(np.dtype, ("uint8", "uint16", "float32")):
        for channels in (1, 3):
            jobs.append((f"{channels} channels of {dtype} to planes", partial(_interleave.load_kernel, dtype, real, channels)))
            jobs.append((f"planes to {channels} channels of {dtype}", partial(_interleave.store_kernel, dtype, real, channels)))
        jobs.append((f"warps of 3 channels of {dtype}", partial(_warp_pixels.warp_pixels_kernel, dtype, 3, False)))
    for dtype in map(np.dtype, ("uint8", "float32")):
        jobs.append((f"warps of pixels of {dtype}", partial(_warp_pixels.warp_pixels_kernel, dtype, 3, True)))
        jobs.append((f"colours of pixels of {dtype}", partial(_colour_pass.colour_kernel, dtype)))
    jobs.append(("colours of planes", partial(_colour_pass.colour_kernel, None)))
    return jobs


def _bm3d_jobs() -> list[tuple[str, Callable[[], object]]]:
    """All stages of every profile for white noise; those of the default also for noise that is local or correlated."""
    with forks.importing:
        from imrestore_kernels.bm3d_profiles import PROFILES, used_stages
        from imrestore_kernels.cpu._block_groups import Program, stage_kernel
        from imrestore_kernels.cpu._block_match import Matching
        from imrestore_kernels.cpu._group_filter import Filtering

    kinds = {"white": (False, False), "local": (True, False), "correlated": (False, True)}
    jobs: list[tuple[str, Callable[[], object]]] = []
    for name, profile in PROFILES.items():
        for kind in kinds if name == "normal" else ("white",):
            for number, stage in enumerate(used_stages(profile, 2, kind == "correlated"), 1):
                matching = Matching(stage.step, stage.group, stage.window)
                filtering = Filtering.of(stage, *kinds[kind])
                jobs.append((f"bm3d {name}, stage {number}, {kind} noise", partial(stage_kernel, Program(matching, filtering))))
    return jobs
