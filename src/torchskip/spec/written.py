"""What a file itself writes out: how it makes its models, and what it calls them with.

Only read, never run: its test block may train, download or draw. Plain values are computed,
tensors are made by the calls of torch that make them, and everything else is unknown.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from torchskip.spec.makers import returned
from torchskip.spec.plain import PLAIN, UnknownError, Values, tensor

__all__ = ["Making", "Use", "Written", "read"]

_MAKES = frozenset({"rand", "randn", "ones", "zeros", "empty", "randint", "arange", "tensor"})
_SAME = frozenset({"cuda", "to", "cpu", "eval", "train", "detach", "contiguous", "requires_grad_"})
_WRAPS = frozenset({"Variable", "DataParallel"})
_METHODS = frozenset({"unsqueeze", "squeeze", "float", "long", "int", "size", "view", "reshape"})


@dataclass(frozen=True, slots=True)
class Making:
    """A call that makes a model: the class or function by name, with the plain arguments."""

    maker: str
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]
    line: int

    def __str__(self) -> str:
        words = [_word(a) for a in self.arguments]
        words += [f"{name}={_word(value)}" for name, value in self.options.items()]
        return f"{self.maker}({', '.join(words)})"


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """A call of a model with tensors."""

    making: Making
    inputs: tuple[Tensor, ...]
    line: int


@dataclass(slots=True, eq=False)
class Written:
    """Everything that one file writes out, in its order; `tensors` need belong to no model."""

    makings: list[Making] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    tensors: list[tuple[Tensor, int]] = field(default_factory=list)


def read(path: Path, namespace: Mapping[str, Any]) -> Written:
    """Read a file whose definitions are in the namespace: its top level, tests and main block."""
    found = Written()
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return found
    for body in _scopes(tree):
        scope = _Scope(namespace, found)
        for statement in _flat(body):
            scope.statement(statement)
    return found


def _scopes(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    """The top level with its main block, and every function that can be called without more."""
    yield [s for s in tree.body if not isinstance(s, (ast.FunctionDef, ast.ClassDef))]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            needed = len(node.args.posonlyargs) + len(node.args.args) - len(node.args.defaults)
            if needed <= 0:
                yield node.body


def _flat(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements in order, with those inside ``if``, ``with``, ``for`` and ``try``."""
    for statement in body:
        yield statement
        for name in ("body", "orelse", "finalbody"):
            inner = getattr(statement, name, [])
            if not isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
                yield from _flat(inner)


class _Scope(Values):
    """What one body of statements makes and calls, with the names it has given values to."""

    def __init__(self, namespace: Mapping[str, Any], found: Written) -> None:
        super().__init__(namespace)
        self.found = found

    def named(self, value: object) -> bool:
        return _makes(value)

    def statement(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            self._assign(statement.targets[0], statement.value)
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            self._assign(statement.target, statement.value)
        else:
            for expression in ast.iter_child_nodes(statement):
                if isinstance(expression, ast.expr):
                    self.look(expression)

    def _assign(self, target: ast.expr, expression: ast.expr) -> None:
        names = [n.id for n in ast.walk(target) if isinstance(n, ast.Name)]
        for name in names:
            self.names.pop(name, None)
        value = self.look(expression)
        if isinstance(target, ast.Name) and value is not UnknownError:
            self.names[target.id] = value
        elif isinstance(target, ast.Tuple) and isinstance(value, (tuple, list)):
            pairs = zip(target.elts, value, strict=False)
            self.names |= {name.id: item for name, item in pairs if isinstance(name, ast.Name)}

    def call(self, node: ast.Call) -> Any:
        function, method = node.func, getattr(node.func, "attr", "")
        name = function.id if isinstance(function, ast.Name) else method
        if isinstance(function, ast.Attribute):
            if method in _MAKES and self.module(function.value) is torch:
                return self._tensor(node, method)
            if method not in _WRAPS and (owner := self.look(function.value)) is not UnknownError:
                return self._method(owner, method, node)
        if name in _WRAPS and node.args:
            return self.value(node.args[0])
        maker = self.look(function)
        if isinstance(maker, Making):
            if not node.keywords:
                self._use(maker, node.args)
        elif _makes(maker) and name:
            return self._making(name, node)
        elif node.args and isinstance(made := self.look(node.args[0]), Making):
            self._given(made, node, name)
            return UnknownError
        raise UnknownError

    def _making(self, name: str, node: ast.Call) -> Making:
        arguments = tuple(map(self.value, node.args))
        options = {k.arg: self.value(k.value) for k in node.keywords if k.arg}
        if len(options) != len(node.keywords) or not _plain([*arguments, *options.values()]):
            raise UnknownError
        making = Making(name, arguments, options, node.lineno)
        self.found.makings.append(making)
        return making

    def _method(self, owner: Any, method: str, node: ast.Call) -> Any:
        if method in _SAME and isinstance(owner, (Tensor, Making)):
            return owner
        if method in _METHODS and isinstance(owner, Tensor):
            return getattr(owner, method)(*map(self.value, node.args))
        raise UnknownError

    def _tensor(self, node: ast.Call, maker: str) -> Tensor:
        arguments = list(map(self.value, node.args))
        options = {k.arg: self.value(k.value) for k in node.keywords if k.arg != "device"}
        options.pop("requires_grad", None)
        made = tensor(maker, arguments, options)
        self.found.tensors.append((made, node.lineno))
        return made

    def _use(self, making: Making, arguments: list[ast.expr]) -> None:
        inputs = tuple(map(self.value, arguments))
        if inputs and all(isinstance(item, Tensor) for item in inputs):
            self.found.uses.append(Use(making, inputs, arguments[0].lineno))

    def _given(self, made: Making, node: ast.Call, function: str) -> None:
        """A function is given the model and an input, or the input's shape, as by `summary`."""
        named = [k.value for k in node.keywords if k.arg in {"input_size", "inputs", "input_data"}]
        for expression in [*node.args[1:2], *named][:1]:
            value = self.look(expression)
            items = value if isinstance(value, (list, tuple)) else (value,)
            if items and all(type(item) is int and item > 0 for item in items):
                items = (items,)
            if items and all(isinstance(item, (list, tuple)) for item in items):
                # torchsummary and ptflops leave the batch out, torchinfo does not.
                shapes = [tuple(item) for item in items]
                self._shaped(made, [(1, *shape) for shape in shapes], node.lineno)
                self._shaped(made, shapes, node.lineno)
            elif items and all(isinstance(item, Tensor) for item in items):
                self.found.uses.append(Use(made, tuple(items), node.lineno))

    def _shaped(self, made: Making, shapes: list[tuple[int, ...]], line: int) -> None:
        tensors = tuple(tensor("rand", [shape], {}) for shape in shapes)
        self.found.uses.append(Use(made, tensors, line))


def _makes(value: object) -> bool:
    """Whether a call of it may make a model: a module class, or a function of the user's."""
    if isinstance(value, type):
        return issubclass(value, nn.Module)
    return isinstance(value, FunctionType) and returned(value) is not None


def _word(value: object) -> str:
    return value.__name__ if isinstance(value, type) else repr(value)


def _plain(values: list[Any]) -> bool:
    """Whether values are plain, all through their lists; classes may be given too."""
    return all(
        _plain(list(v)) if isinstance(v, (list, tuple)) else isinstance(v, (*PLAIN, dict, type))
        for v in values
    )
