"""Values of expressions that are only read, never run: numbers, lists, shapes, tensors."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from math import prod
from operator import add, floordiv, mul, pow, sub, truediv
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

__all__ = ["PLAIN", "UnknownError", "Values", "tensor"]

PLAIN = (int, float, str, bool, type(None))
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: add, ast.Sub: sub, ast.Mult: mul, ast.Div: truediv, ast.FloorDiv: floordiv,
    ast.Pow: pow,
}  # fmt: skip
_MOST = 2**24  # numbers of one input; a larger batch is cut to one


class UnknownError(Exception):
    """An expression whose value is not written out."""


class Values(ABC):
    """The values of expressions, where they are plain; a call's value is for who reads the file.

    `namespace` holds what the file defines and imports, `names` what its statements gave values to.
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self.namespace = namespace
        self.names: dict[str, Any] = {}

    @abstractmethod
    def named(self, value: object) -> bool:
        """Whether a name may stand for this class or function."""

    @abstractmethod
    def call(self, node: ast.Call) -> Any:
        """The value of a call; raises `UnknownError` where it has none."""

    def look(self, expression: ast.expr) -> Any:
        """The value of an expression; where it has none, what is written inside it is seen."""
        try:
            return self.value(expression)
        except Exception:  # whatever goes wrong with foreign arguments: it is not known
            for part in ast.iter_child_nodes(expression):
                inner = part.value if isinstance(part, ast.keyword) else part
                if isinstance(inner, ast.expr):
                    self.look(inner)
            return UnknownError

    def value(self, node: ast.expr) -> Any:
        """The value of an expression; raises what its parts raise where it has none."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, (ast.Tuple, ast.List)):
            items = [self.value(item) for item in node.elts]
            return tuple(items) if isinstance(node, ast.Tuple) else items
        if isinstance(node, ast.Dict) and all(node.keys):
            keys = [self.value(key) for key in node.keys if key is not None]
            return dict(zip(keys, map(self.value, node.values), strict=True))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self.value(node.operand)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            sides = self.value(node.left), self.value(node.right)
            if all(isinstance(side, (int, float, list)) for side in sides):
                return _OPERATORS[type(node.op)](*sides)
        if isinstance(node, ast.Subscript):
            return self.value(node.value)[self.value(node.slice)]
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.Call):
            return self.call(node)
        raise UnknownError

    def _name(self, name: str) -> Any:
        if name in self.names:
            return self.names[name]
        value = self.namespace.get(name)
        listed = isinstance(value, (list, tuple)) and all(isinstance(v, PLAIN) for v in value)
        if name in self.namespace and (isinstance(value, PLAIN) or listed or self.named(value)):
            return value
        raise UnknownError

    def _attribute(self, node: ast.Attribute) -> Any:
        owner = self.module(node.value)
        if owner is not None:
            value = getattr(owner, node.attr)
            if isinstance(value, (*PLAIN, torch.dtype)) or self.named(value):
                return value
        elif node.attr == "shape" and isinstance(held := self.value(node.value), Tensor):
            return held.shape
        raise UnknownError

    def module(self, node: ast.expr) -> ModuleType | None:
        """The imported module that a name or a dotted name means."""
        if isinstance(node, ast.Name) and node.id not in self.names:
            value = self.namespace.get(node.id)
        elif isinstance(node, ast.Attribute):
            value = getattr(self.module(node.value), node.attr, None)
        else:
            return None
        return value if isinstance(value, ModuleType) else None


def tensor(maker: str, arguments: list[Any], options: dict[Any, Any]) -> Tensor:
    """The tensor that a call of torch makes, with one batch alone where it is huge."""
    if maker in {"rand", "randn", "ones", "zeros", "empty"}:
        whole = arguments[0] if isinstance(arguments[0], (list, tuple)) else arguments
        shape = tuple(whole)
        if not all(type(n) is int and n > 0 for n in shape) or prod(shape[1:]) > 4 * _MOST:
            raise UnknownError
        shape = (1, *shape[1:]) if prod(shape) > _MOST else shape
        return torch.rand(shape) if not options else getattr(torch, maker)(shape, **options)
    made: Tensor = getattr(torch, maker)(*arguments, **options)
    return made
