"""The public face of damage and augmentation: docstrings that run, parameters as documented, everything exported."""

from __future__ import annotations

import doctest
import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc
from numpydoc.validate import validate

from imrestore.degrade import Step
from tests.test_docs import IGNORED

PACKAGES = ("degrade", "augment")
PUBLIC = [f"{package}.{name}" for package in PACKAGES for name in importlib.import_module(f"imrestore.{package}").__all__]
#: All but the class that all steps have in common: its methods are documented.
OWN = [name for name in PUBLIC if not name.endswith(".Step")]


def public(name: str) -> Any:
    package, _, attribute = name.partition(".")
    return getattr(importlib.import_module(f"imrestore.{package}"), attribute)


@pytest.mark.parametrize("name", OWN)
def test_examples_run(name: str) -> None:
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    failures: list[str] = []
    examples = 0
    for example in finder.find(public(name), name, module=False, globs={}):
        examples += len(example.examples)
        runner.run(example, out=failures.append)
    assert "".join(failures) == ""
    assert examples > 0


@pytest.mark.parametrize("name", OWN)
def test_docstrings_are_numpydoc(name: str) -> None:
    errors = [(code, text) for code, text in validate(f"imrestore.{name}")["errors"] if code not in IGNORED]
    assert errors == []


@pytest.mark.parametrize("name", OWN)
def test_documented_parameters_are_the_signature(name: str) -> None:
    documented = (ClassDoc if inspect.isclass(public(name)) else FunctionDoc)(public(name))["Parameters"]
    parameters = inspect.signature(public(name)).parameters
    listed = [one.strip() for parameter in documented for one in parameter.name.split(",")]
    assert listed == list(parameters)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_step_is_exported(package: str) -> None:
    module = importlib.import_module(f"imrestore.{package}")
    folder = Path(inspect.getfile(module)).parent
    for file in sorted(folder.glob("_*.py")):
        if file.stem == "__init__":
            continue
        own = importlib.import_module(f"imrestore.{package}.{file.stem}")
        for name, value in vars(own).items():
            mine = inspect.isclass(value) and issubclass(value, Step) and value.__module__ == own.__name__
            if mine and not name.startswith("_") and not value.__subclasses__():  # those have parameters in common
                assert name in module.__all__, f"{name} of {file.name}"


def test_calls_are_documented() -> None:
    for method in (Step.__call__, Step.draw):
        documented = FunctionDoc(method)["Parameters"]
        listed = [one.strip() for parameter in documented for one in parameter.name.split(",")]
        assert listed == [name for name in inspect.signature(method).parameters if name != "self"]
