"""What a forward's source says that it does: coins tossed, loops left, weights squashed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

__all__ = ["coins", "cuts", "scales", "squashed"]

_DRAWS = re.compile(r"rand|random|random_sample|randint|uniform_?|bernoulli_?|binomial")
_SQUASHES = re.compile(r"(relu|softmax|sigmoid|softplus|act|activation)\d*_?$", re.I)
_SCALES = re.compile(r"(mul|div|multiply|divide|true_divide)_?")


def scales(tree: ast.FunctionDef) -> bool:
    """Whether anything is multiplied or divided."""
    return any(
        (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div))
        or _SCALES.fullmatch(_called(node))
        for node in ast.walk(tree)
    )


def cuts(tree: ast.FunctionDef, first: int) -> Iterator[int]:
    """Lines that end a loop's first round with a return, where no round is passed over."""
    for loop in ast.walk(tree):
        if isinstance(loop, ast.For) and not any(
            isinstance(node, ast.Continue | ast.Break) for node in ast.walk(loop)
        ):
            yield from (first + s.lineno - 1 for s in loop.body if isinstance(s, ast.Return))


def squashed(tree: ast.FunctionDef) -> Iterator[str]:
    """Attributes of the module, whole or by index, that are rectified or made shares as they are.

    ``F.relu(self.w)``, ``self.act(self.w[0])`` by the name of `act`, ``self.w.softmax(0)``.
    """
    own = tree.args.args[0].arg if tree.args.args else ""
    for node in ast.walk(tree):
        if not _SQUASHES.search(_called(node)) or not isinstance(node, ast.Call):
            continue
        held = [
            *node.args[:1],
            *([node.func.value] if isinstance(node.func, ast.Attribute) else []),
        ]
        for item in held:
            while isinstance(item, ast.Subscript):
                item = item.value
            owner = item.value if isinstance(item, ast.Attribute) else None
            if isinstance(item, ast.Attribute) and isinstance(owner, ast.Name) and owner.id == own:
                yield item.attr


def coins(tree: ast.FunctionDef, first: int) -> Iterator[int]:
    """Lines that return an argument as it is, where a number drawn in training says so."""
    nodes = list(ast.walk(tree))
    given = {argument.arg for argument in tree.args.args[1:]}
    drawn: set[str] = set()
    for node in sorted((n for n in nodes if isinstance(n, ast.Assign)), key=lambda n: n.lineno):
        if _draws(node.value, drawn):
            drawn.update(target.id for target in node.targets if isinstance(target, ast.Name))
    changed = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for line, word, tests in _returns(tree.body, ()):
        asked = any("training" in ast.unparse(test) for test in tests)
        if word in given - changed and asked and any(_draws(test, drawn) for test in tests):
            yield first + line - 1


def _returns(
    body: list[ast.stmt], tests: tuple[ast.expr, ...]
) -> Iterator[tuple[int, str, tuple[ast.expr, ...]]]:
    """Every ``return name``, with the conditions around it and those that ended before it."""
    for statement in body:
        if isinstance(statement, ast.Return) and isinstance(statement.value, ast.Name):
            yield statement.lineno, statement.value.id, tests
        elif isinstance(statement, ast.If):
            inner = (*tests, statement.test)
            yield from _returns(statement.body, inner)
            yield from _returns(statement.orelse, inner)
            if isinstance(statement.body[-1], ast.Return):
                tests = inner


def _draws(test: ast.AST, drawn: set[str]) -> bool:
    """Whether an expression draws a number, or reads a name that holds one."""
    return any(
        _DRAWS.fullmatch(_called(node)) or (isinstance(node, ast.Name) and node.id in drawn)
        for node in ast.walk(test)
    )


def _called(node: ast.AST) -> str:
    """The last word of what a call calls."""
    if not isinstance(node, ast.Call):
        return ""
    return ast.unparse(node.func).rpartition(".")[2]
