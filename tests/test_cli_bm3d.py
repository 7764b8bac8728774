"""``imrestore bm3d``: its options, the noise it reports, files of correlated noise, the bar within a picture."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imrestore
from imrestore.cli import main
from imrestore.noise import estimate_sigma
from tests.bm3d_pictures import noisy
from tests.test_cli import MASK, names, picture
from tests.test_cli_process import COMMAND, on_terminal

SHAPE = (24, 31)
FLOAT = noisy(SHAPE, "float32")
COLOUR = noisy((*SHAPE, 3), "uint8")
KERNEL = np.array([[0.2, 0.9, 0.2]])
PSD = np.full((4, 6), 90.0)


def reported(capsys: pytest.CaptureFixture[str], *argv: object) -> dict[str, Any]:
    """The report of a run in which all went well."""
    capsys.readouterr()
    assert main(["bm3d", *map(str, argv), "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    return report


@pytest.mark.parametrize(
    ("options", "keywords"),
    [
        ("", {}),
        ("--sigma 12", {"sigma": 12.0}),
        ("--sigma 12 --stages 1", {"sigma": 12.0, "stages": 1}),
        ("--sigma 12 --profile fast", {"sigma": 12.0, "profile": "fast"}),
        ("--profile fast --where MASK", {"profile": "fast", "where": MASK}),
        ("--profile fast --nan-policy omit", {"profile": "fast", "nan_policy": "omit"}),
        ("--profile fast --nan-policy propagate", {"profile": "fast"}),
        ("--profile fast --kernel KERNEL", {"profile": "fast", "kernel": KERNEL}),
        ("--profile fast --kernel KERNEL --sigma 8", {"profile": "fast", "kernel": KERNEL, "sigma": 8.0}),
        ("--profile fast --psd PSD", {"profile": "fast", "psd": PSD}),
        ("--profile fast --axes 1,0", {"profile": "fast", "axes": (1, 0)}),
    ],
)
def test_options_are_the_keywords_of_the_function(tmp_path: Path, options: str, keywords: dict[str, Any]) -> None:
    image = FLOAT.copy()
    if "nan" in options:
        image[7, 9], image[20, 3] = np.nan, np.inf
    picture(tmp_path / "a.npy", image)
    picture(tmp_path / "MASK.png", MASK)
    np.save(tmp_path / "KERNEL.npy", KERNEL)
    np.save(tmp_path / "PSD.npy", PSD)
    for name in ("MASK.png", "KERNEL.npy", "PSD.npy"):
        options = options.replace(name.partition(".")[0], str(tmp_path / name))
    assert main(["bm3d", *options.split(), str(tmp_path / "a.npy"), "-o", str(tmp_path / "b.npy")]) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), imrestore.bm3d(image, **keywords))


def test_colours_are_filtered_together_and_alpha_is_not_looked_at(tmp_path: Path) -> None:
    pixels = np.dstack([COLOUR, np.arange(COLOUR[..., 0].size).reshape(SHAPE).astype(np.uint8)])
    picture(tmp_path / "a.png", pixels)
    argv = ["bm3d", str(tmp_path / "a.png"), "--sigma", "10,12,14", "--profile", "fast", "-o", str(tmp_path / "b.png")]
    assert main(argv) == 0
    result = np.asarray(Image.open(tmp_path / "b.png"))
    np.testing.assert_array_equal(result[..., :3], imrestore.bm3d(COLOUR, (10, 12, 14), profile="fast", channel_axis=-1))
    np.testing.assert_array_equal(result[..., 3], pixels[..., 3])


def test_the_estimate_is_what_the_function_takes_and_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(tmp_path / "a.png", COLOUR)
    out = tmp_path / "out"
    capsys.readouterr()
    assert main(["bm3d", str(tmp_path / "a.png"), "--profile", "fast", "-o", str(out)]) == 0
    result = np.asarray(Image.open(out / "a.png"))
    np.testing.assert_array_equal(result, imrestore.bm3d(COLOUR, profile="fast", channel_axis=-1))
    found = estimate_sigma(COLOUR, channel_axis=-1)
    said = f"imrestore: {tmp_path}/a.png: note: estimated sigma: {', '.join(f'{sigma:.4g}' for sigma in found)}\n"
    assert capsys.readouterr().err == said
    (file,) = reported(capsys, tmp_path / "a.png", "-o", out, "--overwrite", "--profile", "fast")["files"]
    assert file["sigma"] == [list(found)]
    (file,) = reported(capsys, tmp_path / "a.png", "-o", out, "--overwrite", "--profile", "fast", "--sigma", 9)["files"]
    assert (file["sigma"], file["notes"]) == (None, [])


def test_every_file_has_its_own_estimate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = [noisy(SHAPE, "float32", sigma=sigma) for sigma in (5.0, 20.0)]
    for name, image in zip("ab", images, strict=True):
        picture(tmp_path / "in" / f"{name}.npy", image)
    files = reported(capsys, tmp_path / "in", "-o", tmp_path / "out", "--profile", "fast")["files"]
    assert [file["sigma"] for file in files] == [[[estimate_sigma(image)]] for image in images]


def test_pages_are_estimated_one_by_one_and_may_differ_in_their_channels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = [COLOUR[..., 0], noisy(SHAPE, "uint8", sigma=3.0), COLOUR]
    first, *rest = map(Image.fromarray, pages)
    first.save(tmp_path / "a.tif", save_all=True, append_images=rest)
    (file,) = reported(capsys, tmp_path / "a.tif", "-o", tmp_path / "b.tif", "--profile", "fast")["files"]
    grey, colour = [estimate_sigma(page) for page in pages[:2]], estimate_sigma(COLOUR, channel_axis=-1)
    assert file["sigma"] == [[grey[0]], [grey[1]], list(colour)]
    assert grey[1] < min(grey[0], colour[0])
    highest = max(grey[0], colour[0])
    assert file["notes"] == [f"estimated sigma: {grey[1]:.4g} to {highest:.4g}, {colour[1]:.4g}, {colour[2]:.4g}"]


def test_a_batch_is_left_to_the_filter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = np.stack([FLOAT, FLOAT[::-1]])
    picture(tmp_path / "a.npy", image)
    argv = (tmp_path / "a.npy", "-o", tmp_path / "b.npy", "--profile", "fast", "--axes", "1,2")
    (file,) = reported(capsys, *argv)["files"]
    assert file["sigma"] is None
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), imrestore.bm3d(image, profile="fast", axes=(1, 2)))
    assert main(["bm3d", str(tmp_path / "a.npy"), "-o", str(tmp_path / "c.npy")]) == 1
    assert "a.npy: image has 3 axes to filter; there must be " in capsys.readouterr().err
    assert not (tmp_path / "c.npy").exists()


def test_an_unknown_estimate_is_no_noise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = np.full(SHAPE, np.nan, np.float32)
    picture(tmp_path / "a.npy", image)
    (file,) = reported(capsys, tmp_path / "a.npy", "-o", tmp_path / "b.npy", "--profile", "fast")["files"]
    assert file["sigma"] == [[0.0]]
    assert np.isnan(np.load(tmp_path / "b.npy")).all()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--sigma -1", "--sigma is -1"),
        ("--sigma 1,nan", "--sigma is nan"),
        ("--sigma inf", "--sigma is inf"),
        ("--sigma much", "sigma"),
        ("--profile best", "--profile is 'best'; it must be 'normal', 'fast', 'high' or 'very_noisy'"),
        ("--stages 3", "--stages is 3; it must be 1 or 2"),
        ("--stages 1.5", "stages"),
        ("--kernel k.npy --psd k.npy", "psd and kernel are both given"),
        ("--kernel gone.npy", "error: --kernel gone.npy: No such file"),
        ("--kernel a.png", "error: --kernel a.png: it must be an NPY array"),
        ("--kernel line.npy", "error: --kernel line.npy: has the shape (3,); it must have two axes"),
        ("--psd below.npy", "error: --psd below.npy: has a value of -1.0; all must be >= 0"),
        ("--mode wrap", "unrecognized arguments"),
        ("--cval 3", "unrecognized arguments"),
    ],
)
def test_wrong_usage_exits_2_and_writes_nothing(
    tmp_path: Path, options: str, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "a.png")
    np.save("k.npy", KERNEL)
    np.save("line.npy", KERNEL[0])
    np.save("below.npy", np.array([[1.0, -1.0]]))
    before = names(tmp_path)
    assert main(["bm3d", "a.png", "-o", "out", *options.split()]) == 2
    said = capsys.readouterr().err
    assert reason in said
    assert "None" not in said
    assert names(tmp_path) == before


def test_a_wrong_number_of_sigmas_fails_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture(tmp_path / "a.png", COLOUR)
    assert main(["bm3d", str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), "--sigma", "1,2"]) == 1
    said = capsys.readouterr().err
    assert "a.png: --sigma has 2 values, (1.0, 2.0); it must have one for each of the 3 channels" in said
    assert "estimated" not in said


def test_one_picture_has_a_bar_that_moves_within_it(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", noisy((300, 50), "uint8"))
    options = ["bm3d", str(tmp_path / "a.png"), "--sigma", "10", "--profile", "fast", "-o", str(tmp_path / "out"), "--overwrite"]
    code = """
import sys, rich.progress
from imrestore.cli import main
old, told = rich.progress.Progress.update, []
def update(self, *task, **values):
    told.append(values["completed"])
    old(self, *task, **values)
rich.progress.Progress.update = update
main(sys.argv[1:])
print(*told)
"""
    exit_code, said, shown = on_terminal([sys.executable, "-c", code, *options])
    assert exit_code == 0
    assert "0/1" in shown
    summary, numbers = said.splitlines()
    assert summary.startswith("1 of 1 files written")
    told = [float(number) for number in numbers.split()]
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, 1)
    assert len({number for number in told if 0 < number < 1}) > 3
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, check=True)
    assert done.stderr == ""
