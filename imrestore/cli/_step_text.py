"""Steps as the command line names them: ``GaussianNoise(Uniform(5, 25))`` is parsed, never evaluated."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable
from typing import Any

from imrestore.cli._parser import UsageError
from imrestore.cli.files import printable

EXAMPLE = "it must be a call of a name in imrestore.degrade or imrestore.augment, as GaussianNoise(25)"


def catalogue() -> dict[str, Callable[..., Any]]:
    """Everything that a step may be written with: steps, chains and distributions."""
    from imrestore import augment, degrade

    named = {name: getattr(module, name) for module in (degrade, augment) for name in module.__all__ if name != "Step"}
    return {name: value for name, value in named.items() if callable(value)}


def step_of(text: str) -> Any:
    """The step that a text describes."""
    from imrestore.degrade import Step

    try:
        tree = ast.parse(text.strip(), mode="eval").body
        found = _value(tree, catalogue()) if isinstance(tree, ast.Call) else None
    except (SyntaxError, RecursionError, MemoryError):
        raise _refused(text, EXAMPLE) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise _refused(text, " ".join(str(error).split())) from error
    if not isinstance(found, Step):
        raise _refused(text, EXAMPLE)
    return found


def _refused(text: str, why: str) -> UsageError:
    shown = text if len(text) <= 60 else f"{text[:57]}..."
    return UsageError(printable(f"--step {shown}: {why}"))


def _value(node: ast.AST, names: dict[str, Callable[..., Any]]) -> Any:
    """A literal, a list or tuple of values, or a call of a known name with values."""
    if isinstance(node, ast.List | ast.Tuple):
        values = [_value(one, names) for one in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    if not isinstance(node, ast.Call):
        return _literal(node)
    name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
    if name not in names:
        near = difflib.get_close_matches(name, names, 1)
        advice = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"{name} is in neither imrestore.degrade nor imrestore.augment{advice}")
    if any(keyword.arg is None for keyword in node.keywords):
        raise ValueError("** is not understood here")
    said = [str(keyword.arg) for keyword in node.keywords]
    if len(set(said)) < len(said):
        raise ValueError(f"{name} has {next(one for one in said if said.count(one) > 1)} twice")
    given = [_value(one, names) for one in node.args]
    return names[name](*given, **{str(one.arg): _value(one.value, names) for one in node.keywords})


def _literal(node: ast.AST) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ValueError(f"{ast.unparse(node)} is no number, text, list or call") from None
