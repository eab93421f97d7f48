"""What the source of each forward says that a graph cannot: names saved and never read."""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
import tokenize
from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from torchskip.lint.facts import Body

__all__ = ["bodies"]


def bodies(model: nn.Module) -> tuple[Body, ...]:
    """The facts of every module's forward that is the user's, once per module."""
    known: dict[type, Body | None] = {}
    found: list[Body] = []
    for path, module in model.named_modules():
        kind = type(module)
        if kind.__module__.startswith("torch."):
            continue
        if kind not in known:
            known[kind] = _body(kind)
        body = known[kind]
        if body is not None:
            found.append(replace(body, module=path))
    return tuple(found)


def _body(kind: type) -> Body | None:
    """The facts of a class; None without source: TorchScript, generated code, a lost notebook."""
    try:
        code = inspect.unwrap(kind.forward).__code__  # type: ignore[attr-defined]
        # `inspect.getsource` would look through every imported module first.
        lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]
        tree = ast.parse(textwrap.dedent("".join(inspect.getblock(lines)))).body[0]
    except (AttributeError, SyntaxError, IndexError, ValueError, tokenize.TokenError):
        return None
    if not isinstance(tree, ast.FunctionDef):
        return None
    first = code.co_firstlineno
    return Body("", kind.__name__, code.co_filename, first, tuple(_unread(tree, first)))


def _unread(tree: ast.FunctionDef, first: int) -> Iterator[tuple[str, int]]:
    """Plain local names that are assigned and never read in the whole function."""
    nodes = list(ast.walk(tree))
    read = {
        node.id
        for node in nodes
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load | ast.Del)
    }
    shared = {
        name for node in nodes if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names
    }
    seen: set[str] = set()
    for node in nodes:
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id not in read | shared | seen:
                seen.add(target.id)
                yield target.id, first + node.lineno - 1
