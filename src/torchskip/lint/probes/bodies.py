"""What the source of each forward says that a graph cannot: names saved and never read."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator

from torch import nn

from torchskip.lint.evidence import Body

__all__ = ["bodies"]


def bodies(model: nn.Module) -> tuple[Body, ...]:
    """The facts of every module's forward that is the user's, once per module."""
    known: dict[type, tuple[str, int, ast.FunctionDef] | None] = {}
    found: list[Body] = []
    for path, module in model.named_modules():
        kind = type(module)
        if kind.__module__.startswith("torch."):
            continue
        if kind not in known:
            known[kind] = _parse(kind)
        parsed = known[kind]
        if parsed is not None:
            file, line, tree = parsed
            found.append(Body(path, kind.__name__, file, line, tuple(_unread(tree, line))))
    return tuple(found)


def _parse(kind: type) -> tuple[str, int, ast.FunctionDef] | None:
    try:
        forward = inspect.unwrap(kind.forward)  # type: ignore[attr-defined]
        lines, first = inspect.getsourcelines(forward)
        file = inspect.getsourcefile(forward)
        tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError, ValueError):
        return None  # no source: TorchScript, generated code, a notebook that is gone
    if not isinstance(tree, ast.FunctionDef) or file is None:
        return None
    return file, first, tree


def _unread(tree: ast.FunctionDef, first: int) -> Iterator[tuple[str, int]]:
    """Plain local names that are assigned and never read in the whole function."""
    read = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load | ast.Del)
    }
    shared = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Global | ast.Nonlocal)
        for name in node.names
    }
    seen: set[str] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id not in read | shared | seen:
                seen.add(target.id)
                yield target.id, first + node.lineno - 1
