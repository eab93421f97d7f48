"""What the source of each forward says that a graph cannot: names, coins, squashed weights."""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from types import FunctionType

from torch import nn

from torchskip.lint.facts import Body, Optional
from torchskip.lint.probes.forwards import coins, cuts, scales, squashed
from torchskip.lint.vocabulary import operand

__all__ = ["bodies", "body_of", "written"]

_COLLECTS = frozenset({"append", "insert", "extend", "appendleft"})


def bodies(model: nn.Module) -> tuple[Body, ...]:
    """The facts of every module's forward that is the user's, once per module."""
    known: dict[type, Body | None] = {}
    found: list[Body] = []
    for path, module in model.named_modules():
        kind = type(module)
        if kind.__module__.startswith("torch."):
            continue
        if kind not in known:
            known[kind] = body_of(kind)
        body = known[kind]
        if body is not None:
            found.append(replace(body, module=path))
    return tuple(found)


def body_of(kind: type) -> Body | None:
    """The facts of a class; None without source: TorchScript, generated code, a lost notebook."""
    found = written(kind, "forward")
    if found is None:
        return None
    code, tree = found[0].__code__, found[1]
    first = code.co_firstlineno
    return Body(
        "",
        kind.__name__,
        code.co_filename,
        first,
        tuple(_unread(tree, first)),
        tuple(_optional(tree, first)),
        _adds(tree),
        tuple(coins(tree, first)),
        scales(tree),
        frozenset(squashed(tree)),
        next(cuts(tree, first), 0),
        tuple(_collected(tree, first)),
    )


def written(kind: type, method: str) -> tuple[FunctionType, ast.FunctionDef] | None:
    """A method as it runs and as it is written; None without source."""
    try:
        function = inspect.unwrap(getattr(kind, method))
        code = function.__code__
        # `inspect.getsource` would look through every imported module first.
        lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]
        tree = ast.parse(textwrap.dedent("".join(inspect.getblock(lines)))).body[0]
    except (AttributeError, SyntaxError, IndexError, ValueError, tokenize.TokenError):
        return None
    if not isinstance(tree, ast.FunctionDef) or not isinstance(function, FunctionType):
        return None
    return function, tree


def _adds(tree: ast.FunctionDef) -> bool:
    """Whether a plain sum has the forward's input, or what is named a shortcut, as an operand."""
    given = {argument.arg for argument in tree.args.args[1:2]}
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            operands = [node.left, node.right]
        elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
            operands = [node.target, node.value]
        else:
            continue
        words = {n.id for n in operands if isinstance(n, ast.Name)}
        calls = (n.func for n in operands if isinstance(n, ast.Call))
        layers = {f.attr for f in calls if isinstance(f, ast.Attribute)}
        if words & given or any(map(operand, words | layers)):
            return True
    return False


def _unread(tree: ast.FunctionDef, first: int) -> Iterator[tuple[str, int]]:
    """Plain local names that are assigned and never read, but for making themselves anew."""
    nodes = list(ast.walk(tree))
    made = {id(n) for node in nodes if isinstance(node, ast.Assign) for n in _own_reads(node)}
    read = {
        node.id
        for node in nodes
        if isinstance(node, ast.Name)
        and isinstance(node.ctx, ast.Load | ast.Del)
        and id(node) not in made
    }
    # What is written in place may be a tensor that has another name too.
    read |= {
        node.target.id
        for node in nodes
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)
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


def _own_reads(statement: ast.Assign) -> Iterator[ast.Name]:
    """The names that an assignment to one name reads of that name: ``h = f(h)``."""
    targets = statement.targets
    if len(targets) == 1 and isinstance(targets[0], ast.Name):
        word = targets[0].id
        yield from (
            n for n in ast.walk(statement.value) if isinstance(n, ast.Name) and n.id == word
        )


def _collected(tree: ast.FunctionDef, first: int) -> Iterator[tuple[str, int]]:
    """Names of empty lists and dicts that are filled, and never read for what they hold.

    And names of what a call returns beside something else, where nobody reads them.
    """
    fills = [
        node.value
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in _COLLECTS)
        or (isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store))
    ]
    filled = Counter(node.id for node in fills if isinstance(node, ast.Name))
    loads = Counter(
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    )
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign):
            continue
        value, targets = node.value, node.targets
        if isinstance(value, ast.Call) and isinstance(targets[0], ast.Tuple):
            names = [t.id for t in targets[0].elts if isinstance(t, ast.Name) and not loads[t.id]]
        elif isinstance(value, ast.List | ast.Dict) and not ast.dump(value).count("Name("):
            names = [t.id for t in targets if isinstance(t, ast.Name)]
            names = [word for word in names if 0 < loads[word] == filled[word]]
        else:
            continue
        yield from ((word, first + node.lineno - 1) for word in names)


def _optional(tree: ast.FunctionDef, first: int) -> Iterator[Optional]:
    """Names that are read only under ``if ... is not None``, but for making themselves."""
    made: dict[str, int] = {}
    read: dict[str, list[tuple[str, int]]] = {}
    for statement, needs in _statements(tree.body, ""):
        names = [n for n in _walk(statement) if isinstance(n, ast.Name)]
        own = {n.id for n in names if isinstance(n.ctx, ast.Store)}
        for node in names:
            if isinstance(node.ctx, ast.Load) and node.id not in own:
                read.setdefault(node.id, []).append((needs, first + node.lineno - 1))
        if isinstance(statement, ast.Assign) and not needs:
            for word in own:
                made.setdefault(word, first + statement.lineno - 1)
    for word, line in made.items():
        places = read.get(word, [])
        if places and all(needs for needs, _ in places):
            yield Optional(word, line, places[0][0], tuple(line for _, line in places))


def _statements(body: list[ast.stmt], needs: str) -> Iterator[tuple[ast.stmt, str]]:
    """Every statement, with what must be there for it to run."""
    for statement in body:
        yield statement, needs
        for field in ("body", "orelse", "handlers", "finalbody"):
            inner = getattr(statement, field, [])
            there = _there(statement) if field == "body" else ""
            for part in inner if isinstance(inner, list) else []:
                nested = part.body if isinstance(part, ast.ExceptHandler) else [part]
                yield from _statements(nested, there or needs)


def _there(statement: ast.stmt) -> str:
    """``self.se`` of ``if self.se is not None``; empty for other statements."""
    test = statement.test if isinstance(statement, ast.If) else None
    if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], ast.IsNot):
        return ""
    nothing = test.comparators[0]
    found = isinstance(nothing, ast.Constant) and nothing.value is None and len(test.ops) == 1
    return ast.unparse(test.left) if found else ""


def _walk(statement: ast.stmt) -> Iterator[ast.AST]:
    """The nodes of a statement without the statements in it."""
    todo: list[ast.AST] = [statement]
    while todo:
        node = todo.pop()
        yield node
        todo += [n for n in ast.iter_child_nodes(node) if not isinstance(n, ast.stmt)]
