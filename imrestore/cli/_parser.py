"""The command line: every option of a filter has the name of its keyword."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODES = "reflect, mirror, nearest, wrap or constant"
FILTERS = {
    "mean": "replace every pixel by the mean of its window",
    "median": "replace every pixel by the median, or another rank, of its window",
    "gaussian": "smooth with a Gaussian",
    "guided": "smooth it, but not across the edges of a guide, or of its own",
    "bilateral": "smooth with a Gaussian that stops at edges",
    "nl_means": "replace every pixel by the mean of pixels with similar neighbourhoods",
    "bm3d": "remove noise by filtering similar patches together",
}
FILTER_OPTIONS = {
    "size", "sigma", "truncate", "radius", "eps", "guide", "footprint", "rank", "percentile",
    "h", "patch_size", "patch_distance", "patch_weights", "sigma_color", "sigma_space", "profile", "stages", "kernel", "psd",
    "mode", "cval", "axes", "channel_axis", "where", "nan_policy",
}  # fmt: skip

CHAINS = ("classical", "bsrgan", "real_esrgan")
DEGRADE = """\
For every image: do damage to it, drawn from a seed and the number of the image, and say what was drawn. The same seed, number
and steps give the same pixels anywhere: also in Python, on any number of threads."""
DEGRADE_EPILOG = """\
chains and steps:
  --chain is a published chain: classical (bicubic downsampling), bsrgan or real_esrgan; all make the image smaller by --scale.
  --step is a call of a name in imrestore.degrade or imrestore.augment, with numbers, texts, lists and further such calls as
  arguments: --step "GaussianBlur((0.5, 2))" --step "GaussianNoise(Uniform(5, 25))". Steps are done in the order given, on
  a scale where white is 255, whatever the depth of the file (--white changes that).

samples:
  File k of the list, from 0, is sample INDEX + k of the seed: with --seed 7 --index 12 the first file gets what the chain
  gives in Python for rng=7, index=12; for --step that is Chain([..], white=255). Page p of a file with pages is sample
  INDEX + k + p * 2**32. Every file is alone: MixUp and CutMix find nothing to mix it with.

files:
  PNG, JPEG, TIFF and NPY, as for the filters; 16 bits stay 16 bits. The largest number of an unsigned integer type is white,
  unless --data-range says otherwise; signed integers and floats need it. CMYK is damaged ink by ink. Alpha is no light: it
  is left untouched, but it goes where its pixels go, and where the size changes it is resized.

exit codes:
  0 all well; 1 some files failed, the rest was written; 2 wrong usage, nothing was written; 130 stopped by Ctrl-C
"""

NOISE = """\
For every channel: the standard deviation of the noise, from patches and from wavelets, and the two parts of a variance that
grows with the signal (in raw images: gain and read noise)."""

EPILOG = """\
files:
  PNG, JPEG, TIFF and NPY; bit depth, metadata and pages stay as they are (except EXIF and GPS inside TIFF). Colours
  are filtered channel by channel, CMYK ink by ink (bilateral, nl_means, bm3d and guided take all of a pixel's together),
  alpha is left untouched, palettes and a transparent colour become RGB and alpha. Black-and-white becomes 8-bit grey,
  and so does PNG of 2 or 4 bits; under median 1 bit stays 1 bit.
  NPY arrays of shape (H, W, 3) or (H, W, 4) count as colour; any other is filtered over all its axes (bm3d: over two,
  which --axes chooses).

options:
  They are the keywords of the function imrestore.COMMAND, with the same defaults, shown in brackets. A value that
  begins with a minus needs an equals sign: --axes=-2,-1 or --cval=-inf.

exit codes:
  0 all well; 1 some files failed, the rest was written; 2 wrong usage, nothing was written; 130 stopped by Ctrl-C
"""


COMPARE_EPILOG = """\
protocols:
  gray, rgb  both images rounded to 8 bits, peak 255, no border: denoising
  y-sr       luma of BT.601 in the studio range, --crop N pixels of border left out: super-resolution by N
  Alpha is left out. imrestore.metrics explains the numbers.

exit codes:
  0 all well; 1 a file cannot be read, or the two have different shapes; 2 wrong usage
"""


class UsageError(Exception):
    """The command line cannot be carried out as a whole; nothing has been written."""


def numbers(kind: type[int] | type[float]) -> Callable[[str], Any]:
    """``3`` becomes a number, ``3,5`` a tuple with one number per axis."""

    def parse(text: str) -> Any:
        parts = tuple(kind(part) for part in text.split(","))
        return parts[0] if len(parts) == 1 else parts

    parse.__name__ = "whole number (or list: 3,5)" if kind is int else "number (or list: 1.5,2)"
    return parse


def number(text: str) -> int | float:
    """A whole number stays one, so that 64-bit integers keep all their digits."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def axis(text: str) -> int | str | None:
    """``auto``, ``none`` or an axis."""
    return {"auto": "auto", "none": None}[text] if text in ("auto", "none") else int(text)


def amount(text: str) -> int:
    """A number of pixels, also as 1e9 or 512M."""
    factor = {"k": 10**3, "M": 10**6, "G": 10**9}.get(text[-1:], 1)
    value = int(float(text[:-1] if factor > 1 else text) * factor)
    if value < 1:
        raise ValueError(text)
    return value


def positive(text: str) -> float:
    """A number above zero."""
    value = float(text)
    if not value > 0:
        raise ValueError(text)
    return value


def build(version: str) -> argparse.ArgumentParser:
    """The whole parser."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "imrestore",
        description="Restore images: filters for PNG, JPEG, TIFF and NPY files.",
        epilog="imrestore COMMAND --help explains a command.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"imrestore {version}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in FILTERS.items():
        one = commands.add_parser(
            name, help=text, description=f"For every image: {text}.", epilog=EPILOG, formatter_class=formatter,
            allow_abbrev=False,
        )  # fmt: skip
        _add_own_options(one.add_argument_group("the filter"), name)
        _add_files(one)
    _add_degrade(commands.add_parser(
        "degrade", help="damage images, repeatably, as super-resolution and denoising networks are trained with",
        description=DEGRADE, epilog=DEGRADE_EPILOG, formatter_class=formatter, allow_abbrev=False,
    ))  # fmt: skip
    _add_noise(commands.add_parser("noise", help="how noisy pictures are", description=NOISE, allow_abbrev=False))
    _add_compare(commands.add_parser(
        "compare", help="PSNR, SSIM and MS-SSIM of two images", description="How close an image is to a reference.",
        epilog=COMPARE_EPILOG, formatter_class=formatter, allow_abbrev=False,
    ))  # fmt: skip
    info = commands.add_parser("info", help="versions, threads, processor, GPU and compile cache", allow_abbrev=False)
    info.add_argument("--json", action="store_true", help="as JSON")
    warm = commands.add_parser("warmup", help="compile all CPU kernels now, so that nothing waits later")
    warm.add_argument("-q", "--quiet", action="store_true", help="say nothing")
    demo = commands.add_parser("demo", help="add noise to a photograph, restore it and compare", allow_abbrev=False)
    demo.add_argument("-o", "--out", metavar="DIR", default="demo", help="folder for the picture (demo)")
    demo.add_argument("--image", metavar="PATH", type=Path, help="a photograph of your own")
    demo.add_argument("--threads", type=int, metavar="N", help="CPU threads (all cores)")
    return parser


def _add_own_options(group: argparse._ArgumentGroup, name: str) -> None:
    """Options not given are not passed on: defaults live in the function's signature only."""

    def add(option: str, **keywords: Any) -> None:
        group.add_argument(option, default=argparse.SUPPRESS, **keywords)

    if name in ("mean", "median"):
        add("--size", type=numbers(int), metavar="N[,N]", help="side of the window in pixels, or one per axis (3)")
    if name == "median":
        add("--footprint", type=Path, metavar="FILE", help="window of any shape: NPY or grey picture, 0 is outside")
        add("--rank", type=int, metavar="N", help="take the N-th smallest value, from 0, or -1 for the largest")
        add("--percentile", type=number, metavar="P", help="take a percentile, 0 to 100, instead of the median")
    if name == "gaussian":
        add("--sigma", type=numbers(float), metavar="S[,S]", help="standard deviation in pixels, or one per axis (1)")
    if name == "bilateral":
        add("--sigma-color", type=float, required=True, metavar="S", help="standard deviation over values, in their units")
        add("--sigma-space", type=numbers(float), required=True, metavar="S[,S]", help="standard deviation in pixels")
    if name in ("gaussian", "bilateral"):
        at = 4 if name == "gaussian" else 2
        add("--truncate", type=float, metavar="T", help=f"cut the kernel off at this many sigma ({at})")
        add("--radius", type=numbers(int), metavar="R[,R]", help="radius in pixels, instead of --truncate")
    if name == "nl_means":
        from imrestore.denoise._nl_means import H_OF_SIGMA

        add("--sigma", type=float, metavar="S", help="standard deviation of the noise, in the values' units (estimated)")
        add("--h", type=float, metavar="H", help=f"strength, in the values' units ({H_OF_SIGMA} sigma)")
        add("--patch-size", type=numbers(int), metavar="N[,N]", help="side of the patches, or one per axis (7)")
        add("--patch-distance", type=numbers(int), metavar="N[,N]", help="how far to look for others, in pixels (10)")
        add("--patch-weights", metavar="KIND", help="tapered, uniform or gaussian (tapered)")
    if name == "guided":
        add("--radius", type=numbers(int), metavar="R[,R]", help="radius of the window in pixels, or one per axis (4)")
        add("--eps", type=float, metavar="E", required=True, help="variance that tells edges from noise, in squared units")
        add("--guide", type=Path, metavar="FILE", help="picture or NPY array whose edges are kept (the image itself)")
    if name == "bm3d":
        _add_bm3d(add)
    else:
        add("--mode", metavar="MODE", help=f"pixels beyond the border: {MODES} (reflect)")
        add("--cval", type=number, metavar="V", help="their value in mode constant (0)")
    add("--axes", type=numbers(int), metavar="A[,A]", help="axes to filter (all but the channels)")
    add("--channel-axis", type=axis, metavar="A", help="axis of the channels, auto or none (auto)")
    add("--where", type=Path, metavar="FILE", help="mask, grey picture or NPY array: pixels that are 0 take no part")
    add("--nan-policy", metavar="POLICY", help="propagate, omit or raise (propagate)")


def _add_bm3d(add: Callable[..., None]) -> None:
    add(
        "--sigma", type=numbers(float), metavar="S[,S,S]",
        help="standard deviation of the noise, or one per channel, in the values' units (estimated, and reported)",
    )  # fmt: skip
    add("--profile", metavar="NAME", help="fast, normal, high or very_noisy (normal)")
    add("--stages", type=int, metavar="N", help="1 stops after hard thresholding, in two fifths of the time (2)")
    add("--kernel", type=Path, metavar="FILE", help="correlated noise: NPY array that white noise of 1 was convolved with")
    add("--psd", type=Path, metavar="FILE", help="correlated noise: NPY array of its power spectral density, as numpy.fft.fft2")


def _add_degrade(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the damage")
    what = group.add_mutually_exclusive_group()
    what.add_argument("--chain", choices=CHAINS, help="a published chain")
    what.add_argument("--step", action="append", metavar="CALL", help="a step, as 'GaussianNoise(25)'; may be given again")
    what.add_argument("--gallery", action="store_true", help="draw all steps and chains on a photograph, into the folder OUT")
    group.add_argument("--scale", type=int, metavar="N", help="by how much --chain makes the image smaller, 1 to 16 (4)")
    group.add_argument("--white", type=positive, metavar="V", help="value of white that --step speaks of (255)")
    group.add_argument("--seed", type=int, metavar="N", help="seed, 0 to 2**64 - 1 (a new one, which is reported)")
    group.add_argument("--index", type=int, default=0, metavar="N", help="number of the first file's sample (0)")
    group.add_argument("--data-range", type=positive, metavar="R", help="value of white in the files: 4095 ..; needed for floats")
    group.add_argument("--channel-axis", type=axis, default="auto", metavar="A", help="axis of the channels, auto or none (auto)")
    group.add_argument("--image", metavar="PATH", type=Path, help="a photograph of your own for --gallery")
    _add_files(parser, inputs="*", volume=False)


def _add_noise(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("inputs", nargs="+", metavar="IN", help="image file, folder, or pattern in quotes")
    parser.add_argument("-r", "--recursive", action="store_true", help="look into subfolders")
    parser.add_argument("--offset", type=float, default=0.0, metavar="V", help="value where there is no light (0)")
    parser.add_argument(
        "--channel-axis", type=axis, default="auto", metavar="A", help="axis of the channels, auto or none (auto)"
    )
    parser.add_argument("--nan-policy", default="propagate", metavar="POLICY", help="propagate, omit or raise (propagate)")
    _add_limits(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def _add_limits(group: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--max-pixels", type=amount, default=512_000_000, metavar="N", help="refuse larger pictures (512M)"
    )
    group.add_argument(
        "--max-ratio", type=positive, default=2000.0, metavar="X",
        help="refuse files that decode to more than X times their size (2000)",
    )  # fmt: skip


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", type=Path, metavar="IMAGE", help="file of one page")
    parser.add_argument("reference", type=Path, metavar="REFERENCE", help="file of the same shape")
    parser.add_argument("--protocol", metavar="P", help="convention of a published table: gray, rgb or y-sr")
    parser.add_argument("--data-range", type=number, metavar="R", help="range of the values, needed for floats: 1, 255, 4095 ..")
    parser.add_argument("--crop", type=int, default=0, metavar="N", help="pixels left out at every border (0)")
    _add_limits(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def _add_files(parser: argparse.ArgumentParser, inputs: str = "+", volume: bool = True) -> None:
    parser.add_argument("inputs", nargs=inputs, metavar="IN", help="image file, folder, or pattern in quotes")
    group = parser.add_argument_group("files")
    group.add_argument("-o", "--out", metavar="OUT", help="folder for the results, or for one input a file name")
    group.add_argument("--in-place", action="store_true", help="replace the inputs by the results")
    group.add_argument("-r", "--recursive", action="store_true", help="look into subfolders")
    what = group.add_mutually_exclusive_group()
    what.add_argument("--overwrite", action="store_true", help="replace results that exist")
    what.add_argument("--resume", action="store_true", help="skip inputs whose result exists")
    if volume:
        group.add_argument("--volume", action="store_true", help="filter the pages as one 3-D image, not one by one")
    _add_limits(group)
    group = parser.add_argument_group("running")
    group.add_argument("--threads", type=int, metavar="N", help="CPU threads (all cores)")
    group.add_argument("--json", action="store_true", help="print a report as JSON")
    group.add_argument("--report", type=Path, metavar="FILE.json", help="write the report to a file")
    group.add_argument("-q", "--quiet", action="store_true", help="print errors only")


def _check_nl_means(options: dict[str, Any], count: Callable[..., int]) -> None:
    from imrestore import _checks

    if "sigma" in options:
        _checks.noise_sigma(options["sigma"])
    if "h" in options:
        _checks.strength("h", options["h"])
    for name, one in (("patch_size", _checks.patch_sizes), ("patch_distance", _checks.patch_distances)):
        if name in options:
            one(options[name], count(options[name]))
    if "patch_weights" in options:
        _checks.patch_weights(options["patch_weights"])


def _check_bm3d(options: dict[str, Any]) -> None:
    from imrestore._checks import bm3d as checks

    if "sigma" in options:
        given = options["sigma"]
        checks.channel_sigmas(given, len(given) if isinstance(given, tuple) else 1, 0)
    if "profile" in options:
        checks.profile(options["profile"])
    if "stages" in options:
        checks.stages(options["stages"])
    checks.one_spectrum(options.get("psd"), options.get("kernel"))


def check(args: argparse.Namespace) -> dict[str, Any]:
    """The filter's keyword arguments, checked by the functions the filters use: a bad one ends here, not per file."""
    from imrestore import _checks

    options = {name: value for name, value in vars(args).items() if name in FILTER_OPTIONS}
    axes = options.get("axes", (0, 1))
    axes = axes if isinstance(axes, tuple) else (axes,)

    def count(*values: Any) -> int:  # of filtered axes: as many as the longest list speaks of
        return max(len(value) for value in (*values, axes) if isinstance(value, tuple))

    if "size" in options:
        _checks.window_size(options["size"], count(options["size"]))
    if args.command == "gaussian":
        sigma, truncate, radius = options.get("sigma", 1.0), options.get("truncate", 4.0), options.get("radius")
        _checks.gaussian_radii(sigma, truncate, radius, count(sigma, radius))
    if args.command == "bilateral":
        _checks.strength("sigma_color", args.sigma_color)
        space, truncate, radius = args.sigma_space, options.get("truncate", 2.0), options.get("radius")
        _checks.bilateral_radii(space, truncate, radius, count(space, radius))
    if args.command == "nl_means":
        _check_nl_means(options, count)
    if args.command == "bm3d":
        _check_bm3d(options)
    if args.command == "guided":
        _checks.guided_radii(options.get("radius", 4), count(options.get("radius")))
        _checks.guided_eps(options["eps"])
    if "mode" in options:
        _checks.border_mode(options["mode"])
    if "nan_policy" in options:
        _checks.nan_policy(options["nan_policy"])
    if "percentile" in options:
        _checks.rank_and_percentile(options.get("rank"), options["percentile"], 1, False)
    check_running(args)
    return options


def check_running(args: argparse.Namespace) -> None:
    """What all commands that write files are told of threads and reports."""
    from imrestore import _checks, get_num_threads

    if args.threads is not None:
        _checks.thread_count(args.threads, "threads")
    if args.report is not None and args.report.suffix.lower() != ".json":
        raise ValueError(f"report is {str(args.report)!r}; its name must end in .json")
    get_num_threads()  # refuses a senseless IMRESTORE_NUM_THREADS
