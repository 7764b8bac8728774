"""The public face: docstrings that run, parameters as documented, signatures as promised, one for CPU and CUDA."""

from __future__ import annotations

import ast
import doctest
import inspect
import operator
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from imrestore_kernels.cpu import _thread_count
from numpydoc.docscrape import FunctionDoc
from numpydoc.validate import validate

import imrestore

PUBLIC = [name for name in imrestore.__all__ if callable(getattr(imrestore, name))]
PUBLIC += [f"{module}.{name}" for module in ("metrics", "noise") for name in getattr(imrestore, module).__all__]
FILTERS = ["mean", "median", "gaussian", "nl_means", "bilateral", "guided"]
KERNELS = Path(__file__).resolve().parent.parent / "kernels" / "imrestore_kernels"

# What numpydoc asks for and we do without: text on the line below the quotes (GL01), a second paragraph where one
# sentence is enough (ES01), references everywhere (SA01; the filters' are checked below) that begin in capitals (SA03),
# a description of what a context manager yields (YD01).
IGNORED = {"GL01", "ES01", "SA01", "SA03", "YD01"}


def public(name: str) -> Callable[..., object]:
    return operator.attrgetter(name)(imrestore)


@pytest.fixture(autouse=True)
def restore_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_thread_count, "_configured", _thread_count._configured)


def test_nothing_public_is_left_out() -> None:
    names = {name for name in vars(imrestore) if not name.startswith("_")} - {"filters", "denoise", "cli"}
    assert names <= set(imrestore.__all__)
    assert imrestore.__all__ == sorted(imrestore.__all__)
    for name in imrestore.__all__:
        assert hasattr(imrestore, name)


@pytest.mark.parametrize("name", PUBLIC)
def test_examples_run(name: str) -> None:
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    failures: list[str] = []
    examples = 0
    for example in finder.find(inspect.unwrap(public(name)), name, module=False, globs={}):
        examples += len(example.examples)
        runner.run(example, out=failures.append)
    assert "".join(failures) == ""
    assert examples > 0


@pytest.mark.parametrize("name", PUBLIC)
def test_docstrings_are_numpydoc(name: str) -> None:
    errors = [(code, text) for code, text in validate(f"imrestore.{name}")["errors"] if code not in IGNORED]
    assert errors == []


@pytest.mark.parametrize("name", PUBLIC)
def test_documented_parameters_are_the_signature(name: str) -> None:
    function = inspect.unwrap(public(name))
    documented = FunctionDoc(function)["Parameters"]
    parameters = inspect.signature(function).parameters
    assert [parameter.name for parameter in documented] == list(parameters)
    for parameter in documented:
        default = parameters[parameter.name].default
        if default in (inspect.Parameter.empty, None):
            assert "default" not in parameter.type
            assert ("optional" in parameter.type) == (default is None)
        else:
            assert parameter.type.endswith(f"default: {default!r}")


@pytest.mark.parametrize("name", [*FILTERS, "bm3d"])
def test_every_section_a_filter_owes(name: str) -> None:
    doc = FunctionDoc(getattr(imrestore, name))
    for section in ("Summary", "Parameters", "Returns", "Raises", "See Also", "Notes", "Examples"):
        assert doc[section], section
    text = getattr(imrestore, name).__doc__
    for word in ("dtype", "NaN", "valid", "CPU", "GPU", *(["leaves the image", "scipy.ndimage"] if name in FILTERS else [])):
        assert word in text


COMMON = ["mode", "cval", "axes", "channel_axis", "out", "where", "nan_policy"]
SIGNATURES = {
    "mean": (["image", "size"], COMMON),
    "median": (["image", "size"], ["footprint", "rank", "percentile", *COMMON]),
    "gaussian": (["image", "sigma"], ["truncate", "radius", *COMMON]),
    "nl_means": (["image", "sigma"], ["h", "patch_size", "patch_distance", "patch_weights", *COMMON]),
    "guided": (["image", "guide", "radius"], ["eps", *COMMON]),
    "bilateral": (["image", "sigma_color", "sigma_space"], ["truncate", "radius", *COMMON]),
    "bm3d": (["image", "sigma"], ["profile", "stages", "psd", "kernel", *COMMON[2:], "return_basic", "callback"]),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_image_and_one_parameter_are_positional_and_the_rest_is_not(name: str) -> None:
    parameters = inspect.signature(getattr(imrestore, name)).parameters.values()
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    keyword = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    assert (positional, keyword) == SIGNATURES[name]
    with pytest.raises(TypeError, match="positional"):
        getattr(imrestore, name)(np.zeros((5, 5)), *[3] * (len(positional) - 1), "reflect")


def test_parameters_of_one_name_have_one_default_everywhere() -> None:
    signatures = [inspect.signature(getattr(imrestore, name)).parameters for name in SIGNATURES]
    for parameter in ("image", *COMMON):
        own = [s[parameter] for s in signatures if parameter in s]
        assert len({(str(p.default), str(p.annotation)) for p in own}) == 1
        assert len(own) >= len(FILTERS)


def function_of(path: Path, name: str) -> ast.FunctionDef:
    (function,) = [node for node in ast.parse(path.read_text()).body if getattr(node, "name", None) == name]
    return function


def argument_list(function: ast.FunctionDef) -> tuple[list[str], list[str]]:
    """Names in order and defaults: annotations differ, since the arrays do."""
    arguments = function.args
    assert [arguments.vararg, arguments.kwarg, arguments.kwonlyargs] == [None, None, []]
    return [a.arg for a in arguments.args], [ast.unparse(d) for d in arguments.defaults]


RINGS = [(name, name) for name in (*FILTERS, "bm3d")]
RINGS += [("metrics", "squared_error"), ("metrics", "ssim"), ("bm3d", "deconvolve")]


@pytest.mark.parametrize(("file", "name"), RINGS)
def test_both_rings_export_one_signature(file: str, name: str) -> None:
    cpu = argument_list(function_of(KERNELS / "cpu" / f"{file}.py", name))
    cuda = argument_list(function_of(KERNELS / "cuda" / f"{file}.py", name))
    assert cpu == cuda
    contract = re.search(rf"^{name}\((.*)\) -> None$", (KERNELS.parent / "README.md").read_text(), re.MULTILINE)
    written = argument_list(ast.parse(f"def {name}({contract.group(1)}): ...").body[0])
    assert cpu == written


def called(function: Callable[..., object]) -> set[str]:
    """Modules a public function names in its imports."""
    tree = ast.parse(inspect.getsource(function))
    return {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}


@pytest.mark.parametrize("name", [*FILTERS, "bm3d"])
def test_a_reader_gets_from_the_public_function_to_both_kernels(name: str) -> None:
    modules = called(getattr(imrestore, name))
    assert {f"imrestore_kernels.cpu.{name}", f"imrestore_kernels.cuda.{name}"} <= modules
