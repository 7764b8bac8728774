"""The mutation tool breaks what it says it breaks, and leaves code that still parses."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutations import cuda_mutants, python_mutants

ROOT = Path(__file__).resolve().parent.parent


def results(source: str) -> set[str]:
    return {source[:start] + text + source[stop:] for _, start, stop, text in python_mutants(source)}


@pytest.mark.parametrize(
    ("source", "mutants"),
    [
        ("a < b", {"a <= b"}),
        ("a <= b < c", {"a < b < c", "a <= b <= c"}),
        ("a is not b", {"a is b"}),
        ("a not in b", {"a in b"}),
        ("é + b", {"é - b"}),
        ("(a) * (b)", {"(a) + (b)"}),
        ("min(a, b)", {"max(a, b)", "pass"}),
        ("x = min(a, b)", {"x = max(a, b)"}),
        ("x = a if c else b", {"x = b if c else a"}),
        ("a and b or c", {"a and b and c", "a or b or c"}),
        ("x = not a", {"x = (a)"}),
        ("x += 2", {"x -= 2", "x += 3"}),
        ("x = True", {"x = False"}),
        ("if c: raise ValueError(f'{x} + 1')", {"if c: pass"}),
        ("def f(a: int = 1) -> int:\n    '''1.'''", {"def f(a: int = 2) -> int:\n    '''1.'''"}),
    ],
)
def test_python(source: str, mutants: set[str]) -> None:
    assert results(source) == mutants


def test_cuda() -> None:
    source = "// a < b\nfor (int i = 0; i < n; i++) x += min(a, b);\n__syncthreads();\n"
    found = {source[:start] + text + source[stop:] for _, start, stop, text in cuda_mutants(source)}
    assert source.replace("i < n", "i <= n") in found
    assert source.replace("min", "max") in found
    assert source.replace("__syncthreads();", ";") in found
    assert all(mutant.startswith("// a < b\n") for mutant in found)


@pytest.mark.parametrize("file", ["_checks/windows.py", "_dispatch.py"])
def test_every_mutant_of_our_files_parses_and_differs(file: str) -> None:
    source = (ROOT / "imrestore" / file).read_text()
    found = python_mutants(source)
    assert len(found) > 20
    for _, start, stop, text in found:
        mutant = source[:start] + text + source[stop:]
        assert mutant != source
        ast.parse(mutant)
