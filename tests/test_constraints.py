"""The pinned development environment: complete, within the declared ranges, and what is really installed."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DECLARED = [
    Requirement(text)
    for group in (
        PROJECT["build-system"]["requires"],
        PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"].values(),
    )
    for text in group
]


def pins() -> dict[str, Version]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in lines)
    named = [line.split("==") for line in lines]
    assert len({canonicalize_name(name) for name, _ in named}) == len(named)
    return {canonicalize_name(name): Version(version) for name, version in named}


@pytest.mark.parametrize("requirement", DECLARED, ids=str)
def test_every_dependency_is_pinned_within_its_range(requirement: Requirement) -> None:
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


def test_torch_is_the_agreed_version_and_installed_first() -> None:
    assert pins()["torch"] == Version("2.13.0")
    installs = [line for line in (ROOT / "Makefile").read_text().splitlines() if "pip install" in line]
    assert installs[0].endswith("torch==2.13.0")


@pytest.mark.skipif(Path(sys.prefix).resolve() != ROOT / ".venv", reason="not the environment that make sets up")
def test_nothing_is_installed_that_is_not_pinned() -> None:
    installed = {canonicalize_name(d.name): Version(Version(d.version).public) for d in distributions()}
    unpinned = installed.items() - pins().items()
    assert {name for name, _ in unpinned} <= {"imrestore", "pip"}
