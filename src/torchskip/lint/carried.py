"""Whether a line makes what the next round of its loop reads, or keeps for a later call."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from functools import lru_cache

from torchskip.graph import Source

__all__ = ["carried", "kept"]


def carried(source: Source | None) -> bool:
    """Whether the line assigns a name that its innermost loop reads before it assigns it.

    Where the loop runs once, as a quantiser with one codebook does, no round is there to read it.
    False without source.
    """
    if source is None or (tree := _tree(source.file)) is None:
        return False
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.For | ast.While) and _within(node, source.line)
    ]
    if not around:
        return False
    loop = max(around, key=lambda node: node.lineno)
    assigned = {t.id for t in _targets(loop, source.line) if isinstance(t, ast.Name)}
    seen: set[str] = set()
    for name in (name for statement in loop.body for name in _names(statement)):
        if name.id in assigned - seen and isinstance(name.ctx, ast.Load):
            return True
        seen.add(name.id)
    return False


def kept(source: Source | None) -> bool:
    """Whether what the line makes is put into an attribute, a list or a dict, by it or later on.

    A memory of the frames before is read with the frames that follow. False without source.
    """
    if source is None or (tree := _tree(source.file)) is None:
        return False
    function = max(
        (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and _within(n, source.line)),
        key=lambda node: node.lineno,
        default=None,
    )
    if function is None:
        return False
    targets = list(_targets(function, source.line))
    names = {t.id for t in targets if isinstance(t, ast.Name)}
    stored = (
        target
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Name)
        and node.value.id in names
        and node.lineno > source.line
        for target in node.targets
    )
    return any(isinstance(t, ast.Subscript | ast.Attribute) for t in (*targets, *stored))


def _targets(tree: ast.AST, line: int) -> Iterator[ast.expr]:
    """What the assignment of a line assigns to."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AugAssign) and _within(node, line):
            yield from node.targets if isinstance(node, ast.Assign) else [node.target]


def _names(node: ast.AST) -> Iterator[ast.Name]:
    """The names of a statement in the order in which they are read and written."""
    if isinstance(node, ast.Name):
        yield node
    elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        yield ast.Name(node.target.id, ast.Load())
        yield from _names(node.value)
        yield node.target
    else:
        value = getattr(node, "value", None) if isinstance(node, ast.Assign) else None
        for child in sorted(ast.iter_child_nodes(node), key=lambda child: child is not value):
            yield from _names(child)


def _within(node: ast.stmt, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


@lru_cache(maxsize=8)
def _tree(file: str) -> ast.Module | None:
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return None
