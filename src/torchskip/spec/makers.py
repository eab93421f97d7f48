"""Functions of a file that make its models: ``resnet18()``, ``build_model(3)``."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

from torch import nn

__all__ = ["makers", "needed", "returned"]

_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
# Loading weights would fetch them, and says nothing about the wiring.
_WEIGHTS = frozenset({"pretrained", "weights", "pretrain", "weight"})


def makers(module: ModuleType) -> Iterator[tuple[FunctionType, type, dict[str, Any]]]:
    """The module's own functions that need no argument and return one of its classes' models.

    With each come the class and the options that keep it from loading weights.
    """
    for value in list(vars(module).values()):
        if isinstance(value, FunctionType) and value.__module__ == module.__name__:
            made = returned(value)
            if made is not None and not needed(value):
                yield value, made, _without_weights(value)


def returned(function: FunctionType, seen: frozenset[object] = frozenset()) -> type | None:
    """The module class whose call a function returns, itself or through another function."""
    function = inspect.unwrap(function)
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    calls: dict[str, ast.expr] = {}
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            calls.setdefault(node.targets[0].id, node.value)
        elif isinstance(node, ast.Return) and node.value is not None:
            found.append(node.value)
    for expression in found:
        value = calls.get(expression.id) if isinstance(expression, ast.Name) else expression
        if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name):
            continue
        made = function.__globals__.get(value.func.id)
        if isinstance(made, type) and issubclass(made, nn.Module):
            return made
        if isinstance(made, FunctionType) and made not in seen:
            return returned(made, seen | {function, made})
    return None


def needed(candidate: Any) -> tuple[str, ...]:
    """Names of the arguments that a call cannot leave out."""
    try:
        parameters = inspect.signature(candidate).parameters.values()
    except (TypeError, ValueError):
        return ()
    return tuple(p.name for p in parameters if p.default is p.empty and p.kind not in _REST)


def _without_weights(function: FunctionType) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {
        p.name: False if p.default is True else None
        for p in parameters
        if p.name in _WEIGHTS and p.default not in (False, None, p.empty)
    }
