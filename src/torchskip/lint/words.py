"""Words of messages: shapes, places, lists."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from torchskip.graph import Node, Source
from torchskip.lint.ops import describe

__all__ = ["are", "axes", "called", "listed", "plural", "shape", "times", "unfolded"]


def shape(sizes: tuple[int, ...]) -> str:
    """A shape as Python writes it: ``(2, 3, 8, 8)``."""
    return str(tuple(sizes))


def called(node: Node) -> str:
    """An operation and its module: ``relu in 'layer1.0.act'``."""
    return f"{describe(node)} in {node.module!r}" if node.module else describe(node)


def listed(words: Iterable[str], last: str = "and") -> str:
    """Words as a list: ``a, b and c``."""
    items = list(words)
    return f" {last} ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def plural(count: int, word: str) -> str:
    """A number and its noun: ``1 value``, ``2 values``."""
    return f"{count} {word}" + ("" if count == 1 else "s")


def are(count: int, word: str) -> str:
    """A number, its noun and its verb: ``1 value is``, ``2 values are``."""
    return plural(count, word) + (" is" if count == 1 else " are")


def times(count: int) -> str:
    """``once``, ``twice``, ``3 times``."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def axes(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    """Axes in which two shapes of one rank differ; empty for different ranks."""
    if len(first) != len(second):
        return ()
    return tuple(i for i, (a, b) in enumerate(zip(first, second, strict=True)) if a != b)


def unfolded(source: Source | None) -> str:
    """An augmented assignment written out; empty for anything else.

    >>> unfolded(Source("net.py", 1, "forward", "out *= a + b"))
    'out = out * (a + b)'
    """
    try:
        (line,) = ast.parse(source.text if source else "").body
    except (SyntaxError, ValueError):
        return ""
    if not isinstance(line, ast.AugAssign):
        return ""
    target = ast.unparse(line.target)
    before = ast.parse(target, mode="eval").body
    return f"{target} = {ast.unparse(ast.BinOp(before, line.op, line.value))}"
