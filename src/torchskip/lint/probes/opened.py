"""Lists of layers that a constructor takes out of a residual block: ``*Block().children()``."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from torchskip.lint.facts import Opened
from torchskip.lint.probes.bodies import body_of, written

__all__ = ["opened"]

_DEPTH = 4


def opened(model: nn.Module) -> tuple[Opened, ...]:
    """The attributes that hold the children of a block whose forward adds, without the block."""
    known: dict[type, tuple[Opened, ...]] = {}
    found: list[Opened] = []
    for path, module in model.named_modules():
        kind = type(module)
        if kind.__module__.startswith("torch."):
            continue
        if kind not in known:
            known[kind] = tuple(_of_class(kind))
        above = path + "." if path else ""
        found += [replace(o, path=above + o.path) for o in known[kind]]
    return tuple(found)


def _of_class(kind: type) -> Iterator[Opened]:
    found = written(kind, "__init__")
    if found is None:
        return
    make, tree = found
    pairs = [
        pair for node in ast.walk(tree) if isinstance(node, ast.Assign) for pair in _each(node)
    ]
    local = {target.id: value for target, value in pairs if isinstance(target, ast.Name)}
    for target, value in pairs:
        if not isinstance(target, ast.Attribute):
            continue
        block = next(_taken(value, local, make.__globals__), None)
        if block is not None:
            line = make.__code__.co_firstlineno + target.lineno - 1
            yield Opened(target.attr, block.__name__, make.__code__.co_filename, line)


def _each(node: ast.Assign) -> Iterator[tuple[ast.expr, ast.expr]]:
    """What is assigned to what: ``a, b = c, d`` are two."""
    for target in node.targets:
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from zip(target.elts, node.value.elts, strict=False)
        else:
            yield target, node.value


def _taken(
    value: ast.AST, local: Mapping[str, ast.expr], names: Mapping[str, Any], depth: int = _DEPTH
) -> Iterator[type]:
    """Classes whose forward adds, of which the children are taken somewhere in an expression."""
    for node in ast.walk(value):
        if isinstance(node, ast.Name) and node.id in local and depth:
            yield from _taken(local[node.id], local, names, depth - 1)
        elif isinstance(node, ast.Attribute) and node.attr == "children":
            base = node.value
            made = local.get(base.id, base) if isinstance(base, ast.Name) else base
            kind = _class(made.func, names) if isinstance(made, ast.Call) else None
            body = None if kind is None else body_of(kind)
            if kind is not None and body is not None and body.adds:
                yield kind


def _class(called: ast.expr, names: Mapping[str, Any]) -> type | None:
    """The module's class that a constructor calls by its name."""
    if isinstance(called, ast.Name):
        found = names.get(called.id)
    elif isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        found = getattr(names.get(called.value.id), called.attr, None)
    else:
        return None
    return found if isinstance(found, type) and issubclass(found, nn.Module) else None
