"""docs/degrade.md: its code runs, its command lines too, and no step is missing from its table."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imrestore import augment, degrade
from imrestore.cli import main
from imrestore.degrade import Step

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "degrade.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the page's Python leaves behind, run from top to bottom."""
    found: dict[str, Any] = {"__name__": "docs"}
    for block in blocks("python"):
        exec(compile(block, "docs/degrade.md", "exec"), found)
    return found


def test_the_code_makes_what_its_comments_say(names: dict[str, Any]) -> None:
    assert len(blocks("python")) == 7
    assert (names["damaged"].shape, names["damaged"].dtype) == ((24, 32, 3), np.uint8)
    assert names["drawn"][0][0] == "GaussianBlur"
    # One rounding at the end, and JPEG's levels in between.
    assert np.abs(names["floats"] * 255 - names["again"]).mean() < 1
    assert (names["small"].shape, names["clean"].shape) == ((4, 3, 24, 32), (4, 3, 96, 128))
    assert (names["low"].shape, names["high"].shape) == ((16, 16, 3), (64, 64, 3))
    assert names["image"].shape == names["target"].shape == (*names["mask"].shape, 3)
    assert (names["image"] != names["target"]).any()
    assert names["x"].grad.abs().min() > 0
    assert (names["holes"][names["hidden"] == 1] == 0).all()
    assert (names["holes"] == names["photo"])[names["hidden"] == 0].all()
    assert 0 < names["hidden"].mean() < 0.5


def test_a_batch_is_what_the_workers_made(names: dict[str, Any]) -> None:
    np.testing.assert_array_equal(names["batch"].cpu(), names["small"])


def test_the_command_lines_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Image.fromarray(np.arange(48 * 64, dtype=np.uint8).reshape(48, 64)).save("photos/a.png")
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) == 3
    for line in lines[:2]:  # the third is tests/test_cli_degrade.py's
        command, *argv = shlex.split(line)
        assert (command, main(argv)) == ("imrestore", 0)
    assert lines[2] == "imrestore degrade --gallery -o gallery/"


def test_every_step_is_in_the_table_and_the_pictures_are_there() -> None:
    table = PAGE.partition("\n## Steps\n")[2].partition("\n## ")[0]
    listed = set(re.findall(r"`(\w+)`", table))
    for package in (degrade, augment):
        public = {getattr(package, name) for name in package.__all__}
        steps = {one.__name__ for one in public if isinstance(one, type) and issubclass(one, Step)}
        assert steps - listed == {"Step", "Chain", "Maybe", "OneOf", "Shuffled"}
    for picture in re.findall(r"\]\((\w+\.png)\)", PAGE):
        assert (DOCS / picture).stat().st_size < 600_000
