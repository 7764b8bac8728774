"""``imrestore compare``: what it prints, what it leaves out, how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from imrestore.cli import main
from imrestore.metrics import ms_ssim, psnr, ssim

RNG = np.random.default_rng(12)
CLEAN = RNG.integers(0, 256, (170, 180, 3), np.uint8)
NOISY = np.clip(CLEAN + RNG.normal(0, 15, CLEAN.shape), 0, 255).astype(np.uint8)
SMALL = (CLEAN[:24, :31, 0], NOISY[:24, :31, 0])


def saved(path: Path, pixels: np.ndarray) -> str:
    if path.suffix == ".npy":
        np.save(path, pixels)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, pixels)
    else:
        Image.fromarray(pixels).save(path)
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return [saved(tmp_path / "noisy.png", NOISY), saved(tmp_path / "clean.png", CLEAN)]


def facts(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    assert main(["compare", *argv, "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    return json.loads(said.out, parse_constant=refuse)


@pytest.mark.parametrize(
    ("argv", "options"),
    [
        ("", {}),
        ("--crop 3", {"crop": 3}),
        ("--data-range 1000", {"data_range": 1000}),
        ("--protocol rgb", {"protocol": "rgb"}),
        ("--protocol y-sr --crop 2", {"protocol": "y-sr", "crop": 2}),
    ],
)
def test_the_numbers_are_the_functions(
    files: list[str], argv: str, options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    told = facts(capsys, *files, *argv.split())
    for metric in (psnr, ssim, ms_ssim):
        assert told[metric.__name__] == metric(NOISY, CLEAN, channel_axis=-1, **options)
    assert (told["schema"], told["image"], told["reference"]) == ("imrestore.compare/1", *files)
    assert (told["shape"], told["dtype"], told["identical"], told["missing"]) == ([170, 180, 3], "uint8", False, {})
    assert (told["protocol"], told["crop"]) == (options.get("protocol"), options.get("crop", 0))


def test_text(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *files]) == 0
    said = capsys.readouterr()
    values = [metric(NOISY, CLEAN, channel_axis=-1) for metric in (psnr, ssim, ms_ssim)]
    assert said.out == f"psnr     {values[0]:.4f} dB\nssim     {values[1]:.6f}\nms_ssim  {values[2]:.6f}\n"
    assert said.err == ""


def test_small_pictures_have_no_ms_ssim(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = [saved(tmp_path / f"{i}.png", array) for i, array in enumerate(SMALL)]
    told = facts(capsys, *argv)
    assert (told["ssim"], told["ms_ssim"]) == (ssim(*SMALL), None)
    assert "at least 161" in told["missing"]["ms_ssim"]
    assert main(["compare", *argv, "--crop", "8"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"psnr     {psnr(*SMALL, crop=8):.4f} dB"
    assert lines[1].startswith("ssim     none: image has 8 x 15 pixels to compare; for a window of 11 pixels")
    assert lines[2].startswith("ms_ssim  none: image has 8 x 15 pixels")


def test_identical_pictures(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    told = facts(capsys, files[0], files[0])
    assert (told["identical"], told["psnr"], told["ssim"], told["ms_ssim"]) == (True, None, 1.0, 1.0)
    assert main(["compare", files[0], files[0]]) == 0
    assert capsys.readouterr().out.startswith("psnr     inf dB\n")


def test_floats_volumes_and_nan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = RNG.random((2, 13, 14, 15))
    argv = [saved(tmp_path / f"{i}.npy", array) for i, array in enumerate((a, b))]
    told = facts(capsys, *argv, "--data-range", "1")
    assert (told["psnr"], told["ssim"]) == (psnr(a, b, data_range=1), ssim(a, b, data_range=1))
    a[5, 5, 5] = np.nan
    saved(tmp_path / "0.npy", a)
    told = facts(capsys, *argv, "--data-range", "1")
    assert (told["psnr"], told["ssim"], told["identical"]) == (None, None, False)
    line = [saved(tmp_path / f"line{i}.npy", array[0, 0]) for i, array in enumerate((a, b))]
    told = facts(capsys, *line, "--data-range", "1")
    assert told["psnr"] == psnr(a[0, 0], b[0, 0], data_range=1)
    assert told["missing"]["ssim"].startswith("image has 1 axes")


def test_alpha_and_the_place_of_the_colours_do_not_matter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alpha = RNG.integers(0, 256, (170, 180, 1), np.uint8)
    first = saved(tmp_path / "a.png", np.concatenate([NOISY, alpha], -1))
    path = tmp_path / "b.tif"
    tifffile.imwrite(path, np.moveaxis(CLEAN, -1, 0), photometric="rgb", planarconfig="separate")
    assert main(["compare", first, str(path), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["psnr"] == psnr(NOISY, CLEAN)
    assert said.err == f"imrestore: {first}: note: alpha is left out\n"
    grey = np.dstack([NOISY[..., 0], alpha])
    Image.fromarray(grey, "LA").save(tmp_path / "c.png")
    assert main(["compare", str(tmp_path / "c.png"), saved(tmp_path / "d.png", CLEAN[..., 0]), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["psnr"] == psnr(NOISY[..., 0], CLEAN[..., 0])


def test_black_and_white(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = (array > 127 for array in SMALL)
    told = facts(capsys, saved(tmp_path / "a.png", a), saved(tmp_path / "b.png", b))
    assert told["psnr"] == psnr(a.astype(np.uint8) * 255, b.astype(np.uint8) * 255)


def test_files_that_cannot_be_compared(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = saved(tmp_path / "small.png", SMALL[0])
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    pages = tmp_path / "pages.tif"
    tifffile.imwrite(pages, np.zeros((3, 20, 20), np.uint8), photometric="minisblack")
    mask = saved(tmp_path / "mask.npy", np.zeros((20, 20), bool))
    complex_pixels = saved(tmp_path / "complex.npy", np.zeros((20, 20), complex))
    for first, second, text in (
        (files[0], small, f"{files[0]} (170 x 180, 3 channels) and {small} (24 x 31) cannot be compared; they must have the same"),
        (small, files[0], "the same shape and channels"),
        (str(tmp_path / "none.png"), small, "none.png"),
        (small, str(broken), f"{broken}: "),
        (str(pages), str(pages), f"{pages}: the file has several pages"),
        (mask, mask, "image has dtype bool"),
        (complex_pixels, complex_pixels, "complex128"),
        (small, str(tmp_path / "a.gif"), "a.gif: unknown kind of file"),
    ):
        assert main(["compare", first, second]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("imrestore: ")
        assert said.err.count("\n") == 1
        assert text in said.err


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        ("A", "required"),
        ("A B C", "unrecognized arguments"),
        ("A B --protocol grey", "--protocol is 'grey'"),
        ("A B --protocol gray", "--protocol is 'gray' and the pictures have colours"),
        ("G G --protocol rgb", "--protocol is 'rgb' and the pictures have no colours"),
        ("G G --protocol gray --data-range 7", "for images of dtype uint8 it must be left out or 255"),
        ("A B --protocol y-sr", "--crop is 0"),
        ("A B --crop -1", "--crop is -1"),
        ("A B --crop 85", "--crop is 85"),
        ("A B --crop 1.5", "invalid int"),
        ("A B --data-range 0", "--data-range is 0"),
        ("A B --data-range nan", "--data-range is nan"),
        ("A B --data-range white", "invalid number"),
        ("A B --proto rgb", "unrecognized arguments"),
        ("F F", "--data-range is not given; for images of dtype float32"),
    ],
)
def test_wrong_usage(files: list[str], tmp_path: Path, argv: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"A": files[0], "B": files[1], "F": saved(tmp_path / "f.npy", SMALL[0].astype(np.float32))}
    names["G"] = saved(tmp_path / "g.png", SMALL[0])
    assert main(["compare", *(names.get(word, word) for word in argv.split())]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert text in said.err


def test_help_names_the_protocols(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--help"]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("gray", "rgb", "y-sr", "exit codes", "--data-range", "--crop"))
