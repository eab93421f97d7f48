"""What a file itself writes out: how it makes its models, and what it calls them with.

Only read, never run: its test block may train, download or draw. Plain values are computed,
tensors are made by the calls of torch that make them, and everything else is unknown.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from operator import add, floordiv, mul, pow, sub, truediv
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from torchskip.spec.makers import returned

__all__ = ["Making", "Use", "Written", "read"]

_PLAIN = (int, float, str, bool, type(None))
_MAKES = frozenset({"rand", "randn", "ones", "zeros", "empty", "randint", "arange", "tensor"})
_SAME = frozenset({"cuda", "to", "cpu", "eval", "train", "detach", "contiguous", "requires_grad_"})
_WRAPS = frozenset({"Variable", "DataParallel"})
_METHODS = frozenset({"unsqueeze", "squeeze", "float", "long", "int", "size", "view", "reshape"})
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: add, ast.Sub: sub, ast.Mult: mul, ast.Div: truediv, ast.FloorDiv: floordiv,
    ast.Pow: pow,
}  # fmt: skip
_MOST = 2**24  # numbers of one input; a larger batch is cut to one


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


class _UnknownError(Exception):
    """An expression whose value is not written out."""


class _Scope:
    """The names that one body of statements has given values to."""

    def __init__(self, namespace: Mapping[str, Any], found: Written) -> None:
        self.namespace = namespace
        self.found = found
        self.names: dict[str, Any] = {}

    def statement(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            self._assign(statement.targets[0], statement.value)
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            self._assign(statement.target, statement.value)
        else:
            for expression in ast.iter_child_nodes(statement):
                if isinstance(expression, ast.expr):
                    self._look(expression)

    def _assign(self, target: ast.expr, expression: ast.expr) -> None:
        names = [n.id for n in ast.walk(target) if isinstance(n, ast.Name)]
        for name in names:
            self.names.pop(name, None)
        value = self._look(expression)
        if isinstance(target, ast.Name) and value is not _UnknownError:
            self.names[target.id] = value
        elif isinstance(target, ast.Tuple) and isinstance(value, (tuple, list)):
            pairs = zip(target.elts, value, strict=False)
            self.names |= {name.id: item for name, item in pairs if isinstance(name, ast.Name)}

    def _look(self, expression: ast.expr) -> Any:
        """The value of an expression; where it has none, what is written inside it is seen."""
        try:
            return self._value(expression)
        except Exception:  # whatever goes wrong with foreign arguments: it is not known
            for part in ast.iter_child_nodes(expression):
                inner = part.value if isinstance(part, ast.keyword) else part
                if isinstance(inner, ast.expr):
                    self._look(inner)
            return _UnknownError

    def _value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, (ast.Tuple, ast.List)):
            items = [self._value(item) for item in node.elts]
            return tuple(items) if isinstance(node, ast.Tuple) else items
        if isinstance(node, ast.Dict) and all(node.keys):
            keys = [self._value(key) for key in node.keys if key is not None]
            return dict(zip(keys, map(self._value, node.values), strict=True))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self._value(node.operand)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            sides = self._value(node.left), self._value(node.right)
            if all(isinstance(side, (int, float, list)) for side in sides):
                return _OPERATORS[type(node.op)](*sides)
        if isinstance(node, ast.Subscript):
            return self._value(node.value)[self._value(node.slice)]
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        raise _UnknownError

    def _name(self, name: str) -> Any:
        if name in self.names:
            return self.names[name]
        value = self.namespace.get(name)
        listed = isinstance(value, (list, tuple)) and all(isinstance(v, _PLAIN) for v in value)
        if name in self.namespace and (isinstance(value, _PLAIN) or listed or _makes(value)):
            return value
        raise _UnknownError

    def _attribute(self, node: ast.Attribute) -> Any:
        owner = self._module(node.value)
        if owner is not None:
            value = getattr(owner, node.attr)
            if isinstance(value, (*_PLAIN, torch.dtype)) or _makes(value):
                return value
        elif node.attr == "shape" and isinstance(tensor := self._value(node.value), Tensor):
            return tensor.shape
        raise _UnknownError

    def _module(self, node: ast.expr) -> ModuleType | None:
        """The imported module that a name or a dotted name means."""
        if isinstance(node, ast.Name) and node.id not in self.names:
            value = self.namespace.get(node.id)
        elif isinstance(node, ast.Attribute):
            value = getattr(self._module(node.value), node.attr, None)
        else:
            return None
        return value if isinstance(value, ModuleType) else None

    def _call(self, node: ast.Call) -> Any:
        function, method = node.func, getattr(node.func, "attr", "")
        name = function.id if isinstance(function, ast.Name) else method
        if isinstance(function, ast.Attribute):
            if method in _MAKES and self._module(function.value) is torch:
                return self._tensor(node, method)
            if method not in _WRAPS and (owner := self._look(function.value)) is not _UnknownError:
                return self._method(owner, method, node)
        if name in _WRAPS and node.args:
            return self._value(node.args[0])
        maker = self._look(function)
        if isinstance(maker, Making):
            if not node.keywords:
                self._use(maker, node.args)
        elif _makes(maker) and name:
            return self._making(name, node)
        elif node.args and isinstance(made := self._look(node.args[0]), Making):
            self._given(made, node, name)
            return _UnknownError
        raise _UnknownError

    def _making(self, name: str, node: ast.Call) -> Making:
        arguments = tuple(map(self._value, node.args))
        options = {k.arg: self._value(k.value) for k in node.keywords if k.arg}
        if len(options) != len(node.keywords) or not _plain([*arguments, *options.values()]):
            raise _UnknownError
        making = Making(name, arguments, options, node.lineno)
        self.found.makings.append(making)
        return making

    def _method(self, owner: Any, method: str, node: ast.Call) -> Any:
        if method in _SAME and isinstance(owner, (Tensor, Making)):
            return owner
        if method in _METHODS and isinstance(owner, Tensor):
            return getattr(owner, method)(*map(self._value, node.args))
        raise _UnknownError

    def _tensor(self, node: ast.Call, maker: str) -> Tensor:
        arguments = list(map(self._value, node.args))
        options = {k.arg: self._value(k.value) for k in node.keywords if k.arg != "device"}
        options.pop("requires_grad", None)
        made = _made(maker, arguments, options)
        self.found.tensors.append((made, node.lineno))
        return made

    def _use(self, making: Making, arguments: list[ast.expr]) -> None:
        inputs = tuple(map(self._value, arguments))
        if inputs and all(isinstance(item, Tensor) for item in inputs):
            self.found.uses.append(Use(making, inputs, arguments[0].lineno))

    def _given(self, made: Making, node: ast.Call, function: str) -> None:
        """A function is given the model and an input, or the input's shape, as by `summary`."""
        named = [k.value for k in node.keywords if k.arg in {"input_size", "inputs", "input_data"}]
        for expression in [*node.args[1:2], *named][:1]:
            value = self._look(expression)
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
        tensors = tuple(_made("rand", [shape], {}) for shape in shapes)
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
        _plain(list(v)) if isinstance(v, (list, tuple)) else isinstance(v, (*_PLAIN, dict, type))
        for v in values
    )


def _made(maker: str, arguments: list[Any], options: dict[Any, Any]) -> Tensor:
    """The tensor that a call of torch makes, with one batch alone where it is huge."""
    if maker in {"rand", "randn", "ones", "zeros", "empty"}:
        whole = arguments[0] if isinstance(arguments[0], (list, tuple)) else arguments
        shape = tuple(whole)
        if not all(type(n) is int and n > 0 for n in shape) or prod(shape[1:]) > 4 * _MOST:
            raise _UnknownError
        shape = (1, *shape[1:]) if prod(shape) > _MOST else shape
        return torch.rand(shape) if not options else getattr(torch, maker)(shape, **options)
    made: Tensor = getattr(torch, maker)(*arguments, **options)
    return made
