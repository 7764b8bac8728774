"""TIFF through the command: every layout, page by page, with its tags; read back by tifffile and by Pillow."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

import imrestore
from imrestore.cli import main
from imrestore.cli.files import tiff

RNG = np.random.default_rng(4)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
Through = Callable[..., Path]


@pytest.fixture
def through(tmp_path: Path) -> Through:
    """Filter ``a.tif`` of the temporary folder and give the path of the result."""

    def run(*options: str, command: str = "median") -> Path:
        assert main([command, str(tmp_path / "a.tif"), "-o", f"{tmp_path}/out/", *options]) == 0
        return tmp_path / "out" / "a.tif"

    return run


def noise(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    return RNG.integers(0, 120, shape).astype(dtype)


def test_ome_metadata_stays(tmp_path: Path) -> None:
    """The name makes tifffile write a description of its own, unless it is told not to."""
    pixels = noise(4, 2, 30, 35, dtype=np.uint16)
    metadata = {"axes": "ZCYX", "PhysicalSizeX": 0.1, "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, metadata=metadata)
    assert main(["median", str(tmp_path / "a.ome.tif"), "-o", f"{tmp_path}/out/"]) == 0
    assert tifffile.imread(tmp_path / "out" / "a.ome.tif").shape == pixels.shape
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as before, tifffile.TiffFile(tmp_path / "out" / "a.ome.tif") as after:
        assert after.ome_metadata == before.ome_metadata


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f2", "f4", "f8"])
@pytest.mark.parametrize(
    "layout",
    [
        {"byteorder": "<"},
        {"byteorder": ">"},
        {"bigtiff": True, "compression": "zlib"},
        {"tile": (16, 32), "byteorder": ">", "compression": "zlib"},
    ],
    ids=["little", "big-endian", "bigtiff", "tiles"],
)
def test_sample_types_and_layouts_stay(tmp_path: Path, through: Through, dtype: str, layout: dict[str, Any]) -> None:
    pixels = noise(40, 52, dtype=dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, **layout)
    with tifffile.TiffFile(tmp_path / "a.tif") as before, tifffile.TiffFile(through()) as after:
        page = after.pages[0]
        np.testing.assert_array_equal(page.asarray(), imrestore.median(pixels, 3))
        assert page.dtype == pixels.dtype
        assert (after.is_bigtiff, after.byteorder) == (before.is_bigtiff, before.byteorder)
        for name in ("compression", "is_tiled", "tile", "photometric"):
            assert getattr(page, name) == getattr(before.pages[0], name)


@pytest.mark.parametrize("compression", ["zlib", "lzw", "packbits", "zstd", "lzma"])
@pytest.mark.parametrize(("dtype", "predictor"), [("u2", False), ("u2", True), ("f4", True)])
def test_lossless_compression_stays(
    tmp_path: Path, through: Through, compression: str, dtype: str, predictor: bool
) -> None:
    pytest.importorskip("imagecodecs")
    if compression == "packbits" and predictor:
        predictor = False  # TIFF has no predictor for it
    pixels = noise(30, 33, dtype=dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression=compression, predictor=predictor)
    with tifffile.TiffFile(tmp_path / "a.tif") as before, tifffile.TiffFile(through()) as after:
        np.testing.assert_array_equal(after.asarray(), imrestore.median(pixels, 3))
        assert after.pages[0].compression == before.pages[0].compression
        assert after.pages[0].predictor == before.pages[0].predictor


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize(
    ("photometric", "extra", "untouched"),
    [
        ("rgb", [], []),
        ("rgb", ["unassalpha"], [3]),
        ("rgb", ["assocalpha"], [3]),
        ("rgb", ["unspecified", "unassalpha"], [4]),
        ("minisblack", ["unassalpha"], [1]),
        ("minisblack", ["unspecified", "unspecified"], []),
        ("separated", [], []),
        ("separated", ["unassalpha"], [4]),
    ],
)
def test_channels_are_filtered_apart_and_alpha_not_at_all(
    tmp_path: Path, through: Through, planar: str, photometric: str, extra: list[str], untouched: list[int]
) -> None:
    channels = {"rgb": 3, "minisblack": 1, "separated": 4}[photometric] + len(extra)
    pixels = noise(*((channels, 22, 19) if planar == "separate" else (22, 19, channels)))
    options = {"extrasamples": extra} if extra else {}
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=photometric, planarconfig=planar, metadata=None, **options)
    with tifffile.TiffFile(tmp_path / "a.tif") as before, tifffile.TiffFile(through()) as after:
        assert len(after.pages) == 1
        for name in ("photometric", "planarconfig", "extrasamples", "shape", "axes"):
            assert getattr(after.pages[0], name) == getattr(before.pages[0], name)
        result = after.pages[0].asarray()
    axis = 0 if planar == "separate" else -1
    expected = np.moveaxis(imrestore.median(pixels, 3, channel_axis=axis), axis, 0)
    expected[untouched] = np.moveaxis(pixels, axis, 0)[untouched]
    np.testing.assert_array_equal(np.moveaxis(result, axis, 0), expected)


def test_pages_of_different_kinds_are_filtered_one_by_one(tmp_path: Path, through: Through) -> None:
    parts = [noise(20, 30), noise(11, 9, 3), noise(16, 16, dtype=np.float32), noise(20, 30, dtype=np.uint16)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for i, part in enumerate(parts):
            writer.write(
                part, photometric="rgb" if part.ndim == 3 else "minisblack", description=f"page {i}", metadata=None,
                resolution=(100 + i, 50), resolutionunit="CENTIMETER",
            )  # fmt: skip
    with tifffile.TiffFile(through("--size", "5")) as after:
        assert len(after.pages) == len(parts)
        for i, (page, part) in enumerate(zip(after.pages, parts, strict=True)):
            expected = imrestore.median(part, 5, channel_axis=-1 if part.ndim == 3 else None)
            np.testing.assert_array_equal(page.asarray(), expected)
            assert page.description == f"page {i}"
            assert page.resolution == (100 + i, 50)
            assert page.resolutionunit == 3


@pytest.mark.parametrize("colour", [False, True])
def test_a_volume_is_filtered_across_its_pages(tmp_path: Path, through: Through, colour: bool) -> None:
    stack = noise(6, 15, 17, 3) if colour else noise(6, 15, 17, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="rgb" if colour else "minisblack")
    result = tifffile.imread(through("--volume", "--size", "3,1,5"))
    expected = imrestore.median(stack, (3, 1, 5), channel_axis=-1 if colour else None)
    np.testing.assert_array_equal(result, expected)


def test_a_volume_of_unequal_pages_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(noise(8, 8))
        writer.write(noise(8, 9))
    assert main(["median", str(tmp_path / "a.tif"), "--volume", "-o", f"{tmp_path}/out/"]) == 1
    assert "the pages differ in shape or type" in capsys.readouterr().err


@pytest.mark.parametrize("how", [{"imagej": True}, {"truncate": True}], ids=["imagej", "tifffile"])
def test_frames_that_only_the_description_speaks_of_are_all_filtered(
    tmp_path: Path, through: Through, how: dict[str, Any]
) -> None:
    stack = noise(5, 14, 16, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stack, **how)
    if "imagej" in how:  # as ImageJ does beyond 4 GB: one directory, the frames lie behind its pixels
        with tifffile.TiffFile(tmp_path / "a.tif") as tif:
            following = tif.pages[0].offset + 2 + 12 * len(tif.pages[0].tags)
        with (tmp_path / "a.tif").open("r+b") as file:
            file.seek(following)
            file.write(bytes(4))
    with tifffile.TiffFile(tmp_path / "a.tif") as before:
        assert len(before.pages) == 1
    with tifffile.TiffFile(through()) as after:
        assert len(after.pages) == 5
        for page, frame in zip(after.pages, stack, strict=True):
            np.testing.assert_array_equal(page.asarray(), imrestore.median(frame, 3))
        assert after.is_imagej == ("imagej" in how)


def test_imagej_description_and_tags_stay(tmp_path: Path, through: Through) -> None:
    stack = noise(4, 12, 13, dtype=np.uint16)
    metadata = {"axes": "ZYX", "spacing": 0.5, "unit": "um", "Labels": ["a", "b", "c", "d"], "Info": "a leaf"}
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, resolution=(3.5, 3.5), metadata=metadata)
    with tifffile.TiffFile(tmp_path / "a.tif") as before, tifffile.TiffFile(through()) as after:
        assert after.imagej_metadata == before.imagej_metadata
        assert after.pages[0].resolution == before.pages[0].resolution
        assert after.series[0].shape == (4, 12, 13)


def test_descriptive_tags_stay_byte_for_byte(tmp_path: Path, through: Through) -> None:
    xmp = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    extra = [
        (274, 3, 1, 6, True), (315, 2, 0, "Jörg".encode("latin1"), True), (33432, 2, 0, "(c) nobody", True),
        (700, 1, len(xmp), xmp, True), (33550, 12, 3, (0.5, 0.5, 0.0), True), (42113, 2, 0, "-9999", True),
    ]  # fmt: skip
    tifffile.imwrite(
        tmp_path / "a.tif", noise(9, 9, 3), photometric="rgb", iccprofile=ICC, description="a leaf",
        software="a camera", datetime="2026:11:21 10:00:00", resolution=((72, 7), (300, 1)), resolutionunit="INCH",
        extratags=extra, byteorder=">",
    )  # fmt: skip
    with tifffile.TiffFile(tmp_path / "a.tif") as before, tifffile.TiffFile(through()) as after:
        old, new = before.pages[0].tags, after.pages[0].tags
        for code in (270, 274, 282, 283, 296, 305, 306, 315, 700, 33432, 33550, 34675, 42113):
            assert (new[code].value, new[code].dtype) == (old[code].value, old[code].dtype)


def test_tags_pillow_wrote_are_read_by_pillow_again(tmp_path: Path, through: Through) -> None:
    with Image.fromarray(noise(20, 20)) as image:
        image.save(tmp_path / "a.tif", dpi=(150, 75), icc_profile=ICC, tiffinfo={270: "a leaf", 33432: "nobody"})
    with Image.open(through()) as after:
        assert after.info["dpi"] == (150, 75)
        assert after.info["icc_profile"] == ICC
        assert (after.tag_v2[270], after.tag_v2[33432]) == ("a leaf", "nobody")


@pytest.mark.parametrize("command", ["median", "gaussian"])
@pytest.mark.parametrize("photometric", ["miniswhite", "minisblack"])
def test_black_and_white_stays_one_bit_under_the_median_only(
    tmp_path: Path, through: Through, command: str, photometric: str
) -> None:
    bits = noise(17, 21) > 60
    tifffile.imwrite(tmp_path / "a.tif", bits, photometric=photometric)
    with tifffile.TiffFile(through(command=command)) as after:
        page = after.pages[0]
        assert page.photometric.name.lower() == photometric
        assert page.bitspersample == (1 if command == "median" else 8)
        expected = imrestore.median(bits, 3) if command == "median" else imrestore.gaussian(bits * np.uint8(255), 1.0)
        np.testing.assert_array_equal(page.asarray(), expected)


def test_palette_becomes_colour(tmp_path: Path, through: Through) -> None:
    colormap = noise(3, 256, dtype=np.uint16) * 257
    indices = noise(15, 16)
    tifffile.imwrite(tmp_path / "a.tif", indices, photometric="palette", colormap=colormap)
    expected = imrestore.median(np.moveaxis((colormap >> 8).astype(np.uint8)[:, indices], 0, -1), 3, channel_axis=-1)
    np.testing.assert_array_equal(tifffile.imread(through()), expected)


def test_lossy_jpeg_inside_becomes_lossless_rgb(tmp_path: Path, through: Through) -> None:
    pytest.importorskip("imagecodecs")
    tifffile.imwrite(tmp_path / "a.tif", noise(32, 48, 3), photometric="rgb", compression="jpeg")
    expected = imrestore.median(tifffile.imread(tmp_path / "a.tif"), 3, channel_axis=-1)
    with tifffile.TiffFile(through()) as after:
        assert (after.pages[0].photometric.name, after.pages[0].compression.name) == ("RGB", "ADOBE_DEFLATE")
        np.testing.assert_array_equal(after.asarray(), expected)


def test_files_too_large_for_32_bit_offsets_become_bigtiff(
    tmp_path: Path, through: Through, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(3, 40, 50), photometric="minisblack")
    monkeypatch.setattr(tiff, "CLASSIC_LIMIT", 3 * 40 * 50 - 1)
    with tifffile.TiffFile(through()) as after:
        assert after.is_bigtiff
        assert len(after.pages) == 3


@pytest.mark.parametrize(("dtype", "compression"), [("u1", "tiff_lzw"), ("u2", "tiff_lzw"), ("u1", "jpeg")])
def test_without_imagecodecs_pillow_decodes(tmp_path: Path, dtype: str, compression: str) -> None:
    pixels = noise(24, 26, dtype=dtype)
    with Image.fromarray(pixels) as image:
        image.save(tmp_path / "a.tif", compression=compression)
    with Image.open(tmp_path / "a.tif") as image:
        expected = imrestore.median(np.asarray(image), 3)
    code = "import sys; sys.modules['imagecodecs'] = None; from imrestore.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "median", str(tmp_path / "a.tif"), "-o", f"{tmp_path}/out/"],
        capture_output=True, text=True, env=os.environ, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with tifffile.TiffFile(tmp_path / "out" / "a.tif") as after:
        assert after.pages[0].compression.name == "ADOBE_DEFLATE"
        np.testing.assert_array_equal(after.asarray(), expected)


def test_without_imagecodecs_what_pillow_cannot_decode_names_the_package(tmp_path: Path) -> None:
    pytest.importorskip("imagecodecs")
    tifffile.imwrite(tmp_path / "a.tif", noise(9, 9, 3, dtype=np.uint16), photometric="rgb", compression="lzw")
    code = "import sys; sys.modules['imagecodecs'] = None; from imrestore.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "median", str(tmp_path / "a.tif"), "-o", f"{tmp_path}/out/"],
        capture_output=True, text=True, env=os.environ, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "pip install 'imrestore[tiff]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("target", ["b.png", "b.jpg"])
def test_a_second_page_is_refused_where_it_cannot_be_kept(
    tmp_path: Path, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(5, 40, 40), photometric="minisblack")
    assert main(["median", str(tmp_path / "a.tif"), "-o", str(tmp_path / target), "--json"]) == 1
    said = capsys.readouterr()
    assert "holds one page; write TIFF instead" in said.err
    assert '"pages": 2' in said.out  # not all five


def test_pages_become_an_npy_stack_and_a_volume_has_a_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stack = noise(5, 40, 40)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    argv = ["median", str(tmp_path / "a.tif"), "-o", str(tmp_path / "b.npy"), "--volume", "--max-pixels"]
    assert main([*argv, "7999"]) == 1
    assert "the volume has more than --max-pixels 7,999" in capsys.readouterr().err
    assert main([*argv, "8k"]) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), imrestore.median(stack, 3))


def test_what_tiff_loses_is_said(tmp_path: Path, through: Through, capsys: pytest.CaptureFixture[str]) -> None:
    with Image.fromarray(noise(20, 20)) as image:
        image.save(tmp_path / "a.tif", tiffinfo={0x8769: {0x9003: "2026:11:21 10:00:00"}, 0x8825: {1: "N"}})
    through()
    said = capsys.readouterr().err
    assert "note: EXIF inside TIFF is not kept" in said
    assert "note: GPS data inside TIFF are not kept" in said
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(noise(64, 64), subifds=1)
        writer.write(noise(32, 32), subfiletype=1)
    result = through("--overwrite")
    assert "note: the reduced copies in SubIFDs are not kept" in capsys.readouterr().err
    assert tifffile.imread(result).shape == (64, 64)
