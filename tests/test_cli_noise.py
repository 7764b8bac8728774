"""``imrestore noise``: what it prints for pictures of every kind, and what it says of files it cannot measure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imrestore.cli import main
from imrestore.noise import estimate_poisson_gaussian, estimate_sigma

RNG = np.random.default_rng(5)
GREY = RNG.normal(100, 6, (70, 81)).round().astype(np.uint8)
COLOUR = np.stack([RNG.normal(100, sigma, (70, 81)) for sigma in (3, 6, 12)], -1).round().astype(np.uint8)


def report(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, dict[str, Any], str]:
    code = main(["noise", *map(str, argv), "--json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out, parse_constant=pytest.fail), printed.err


def found(pixels: np.ndarray, **keywords: Any) -> dict[str, Any]:
    model = estimate_poisson_gaussian(pixels, **keywords)
    sigma = {method: estimate_sigma(pixels, method=method) for method in ("pca", "wavelet")}
    return {"sigma": sigma, "gain": model.gain, "read_noise": model.read_noise}


def test_text_names_every_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "grey.png"
    Image.fromarray(GREY).save(file)
    assert main(["noise", str(file)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    first, second = printed.out.splitlines()
    assert first == f"{file}  70 x 81 uint8"
    expected = found(GREY)
    sigma = f"sigma        {expected['sigma']['pca']:.4g} (wavelet {expected['sigma']['wavelet']:.4g})"
    assert second == f"{sigma}   variance = {expected['gain']:.4g} * signal + {expected['read_noise']:.4g}**2"


def test_the_offset_is_used_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ramp = np.linspace(0, 4000, 40000).reshape(200, 200)
    np.save(tmp_path / "raw.npy", (ramp + RNG.normal(0, np.sqrt(2 * ramp + 100)) + 600).round().astype(np.uint16))
    assert main(["noise", str(tmp_path / "raw.npy"), "--offset", "600"]) == 0
    assert "* (signal - 600) +" in capsys.readouterr().out
    _, body, _ = report(capsys, tmp_path / "raw.npy", "--offset", 600)
    (channel,) = body["files"][0]["pages"][0]["channels"]
    assert channel == found(np.load(tmp_path / "raw.npy"), offset=600.0)
    assert channel["gain"] == pytest.approx(2, rel=0.1)
    assert body["parameters"] == {"offset": 600.0, "nan_policy": "propagate"}


def test_json_of_colours_and_alpha(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alpha = np.dstack([COLOUR, np.full((70, 81), 255, np.uint8)])
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    np.save(tmp_path / "first.npy", np.moveaxis(COLOUR, -1, 0).astype(np.float32))
    code, body, err = report(capsys, tmp_path / "alpha.png")
    assert (code, err, body["schema"]) == (0, "", "imrestore.noise/1")
    (page,) = body["files"][0]["pages"]
    assert page == {"shape": [70, 81, 4], "dtype": "uint8", "channels": [found(COLOUR[..., c]) for c in range(3)]}
    code, body, _ = report(capsys, tmp_path / "first.npy", "--channel-axis", 0)
    assert body["files"][0]["pages"][0]["channels"] == [found(COLOUR[..., c].astype(np.float32)) for c in range(3)]
    code, body, _ = report(capsys, tmp_path / "first.npy")
    assert len(body["files"][0]["pages"][0]["channels"]) == 1  # a volume
    assert main(["noise", str(tmp_path / "alpha.png")]) == 0
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:]] == [["sigma", str(c)] for c in range(3)]


def test_pages_are_measured_one_by_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = [Image.fromarray(COLOUR[..., c]) for c in range(3)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    code, body, _ = report(capsys, tmp_path / "pages.tif")
    assert code == 0
    assert [page["channels"] for page in body["files"][0]["pages"]] == [[found(COLOUR[..., c])] for c in range(3)]
    assert main(["noise", str(tmp_path / "pages.tif")]) == 0
    assert f"{tmp_path}/pages.tif page 2  70 x 81 uint8" in capsys.readouterr().out


def test_folders_patterns_and_files_named_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("a.png", "b.png", "deep/c.png"):
        Image.fromarray(GREY).save(tmp_path / name)
    for argv, count in (((tmp_path,), 2), ((tmp_path, "-r"), 3), ((tmp_path / "*.png", tmp_path / "a.png"), 2)):
        code, body, _ = report(capsys, *argv)
        assert (code, len(body["files"])) == (0, count)


def test_nan_is_null_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = GREY.astype(np.float32)
    image[30, 30] = np.nan
    np.save(tmp_path / "nan.npy", image)
    code, body, _ = report(capsys, tmp_path / "nan.npy")
    (channel,) = body["files"][0]["pages"][0]["channels"]
    assert (code, channel) == (0, {"sigma": {"pca": None, "wavelet": None}, "gain": None, "read_noise": None})
    code, body, _ = report(capsys, tmp_path / "nan.npy", "--nan-policy", "omit")
    (channel,) = body["files"][0]["pages"][0]["channels"]
    assert channel["sigma"]["pca"] == pytest.approx(6, rel=0.1)
    code, body, err = report(capsys, tmp_path / "nan.npy", "--nan-policy", "raise")
    assert (code, body["files"][0]["pages"]) == (1, [])
    assert "image contains NaN" in err


def test_bad_files_are_named_and_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(GREY).save(tmp_path / "good.png")
    Image.fromarray(GREY > 100).save(tmp_path / "bits.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (tmp_path / "empty.tif").write_bytes(b"")
    np.save(tmp_path / "deep.npy", np.zeros((2, 2, 2, 2, 2)))
    names = ("bits.png", "broken.png", "empty.tif", "deep.npy", "missing.png", "good.png")
    code, body, err = report(capsys, *(tmp_path / name for name in names))
    assert code == 1
    errors = {Path(file["input"]).name: file["error"] for file in body["files"]}
    assert errors.pop("good.png") is None
    assert all(errors.values())
    assert "image has dtype bool" in errors["bits.png"]
    assert "image has 5 axes" in errors["deep.npy"]
    assert errors["missing.png"] == "no such file or folder"
    for name, error in errors.items():
        assert f"imrestore: {tmp_path / name}: {error}" in err
    code, _, err = report(capsys, tmp_path / "good.png", "--max-pixels", 100)
    assert (code, "--max-pixels" in err) == (1, True)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("", "required"),
        ("a.png --offset much", "offset"),
        ("a.png --offset nan", "--offset is nan"),
        ("a.png --nan-policy ignore", "--nan-policy is 'ignore'"),
        ("a.png --channel-axis red", "channel-axis"),
        ("a.png --max-pixels 0", "max-pixels"),
        ("a.png -o out", "unrecognized arguments"),
    ],
)
def test_wrong_usage_exits_2(options: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["noise", *options.split()]) == 2
    assert reason in capsys.readouterr().err


def test_help_names_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "noise" in capsys.readouterr().out
    assert main(["noise", "--help"]) == 0
    assert "read noise" in capsys.readouterr().out
