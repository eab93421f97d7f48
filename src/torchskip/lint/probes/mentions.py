"""Parts of modules that nothing names in the files of the model but the constructors.

No flag, and no other input, makes such a part run: the code that would is not there.
"""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from torch import nn

__all__ = ["unnamed"]

# Ways to reach parts without their names.
_REACHES = frozenset({"_modules", "__dict__", "children", "named_children", "get_submodule"})
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_CALLS = frozenset({"getattr", "vars", "eval", "exec"})


@dataclass(slots=True)
class _Names:
    """What one file names: anywhere, and of `self` in the methods of each class."""

    anywhere: set[str] = field(default_factory=set)
    own: dict[str, set[str]] = field(default_factory=dict)
    reaching: set[str] = field(default_factory=set)  # classes whose methods reach parts otherwise


def unnamed(model: nn.Module, paths: Iterable[str]) -> frozenset[str]:
    """Those of the paths whose names stand in no code of the classes above them.

    A class without source, or one that goes through its parts otherwise, may name any of them.
    """
    read = cache(_read)
    found: set[str] = set()
    for path in paths:
        above, _, word = path.rpartition(".")
        owners = [model, *_owners(model, above)]
        if isinstance(owners[-1], _CONTAINERS):
            continue  # its parts have numbers, or the keys that others ask for
        mine = {kind.__name__ for kind in _kinds(type(owners[-1]))}
        kinds = {kind for owner in owners for kind in _kinds(type(owner))}
        names = [read(file) for file in set(map(_file, kinds)) if file]
        if mine and not any(n is None or _named(n, mine, word) for n in names):
            found.add(path)
    return frozenset(found)


def _owners(model: nn.Module, path: str) -> Iterator[nn.Module]:
    """The modules on the way to a path, as far as it is one."""
    for name in path.split(".") if path else ():
        part = model._modules.get(name)
        if part is None:
            return
        model = part
        yield model


def _kinds(kind: type) -> list[type]:
    """The class and its bases, those of torch left out: containers have no names of their own."""
    return [k for k in kind.__mro__ if k is not object and not k.__module__.startswith("torch.")]


def _file(kind: type) -> str:
    """Where the methods of a class stand; empty for one without any."""
    methods = (inspect.unwrap(m) for m in vars(kind).values() if callable(m))
    codes = (getattr(method, "__code__", None) for method in methods)
    return next((code.co_filename for code in codes if code is not None), "")


def _named(names: _Names, kinds: set[str], word: str) -> bool:
    own = any(word in names.own.get(kind, ()) for kind in kinds)
    return own or word in names.anywhere or not kinds.isdisjoint(names.reaching)


def _read(file: str) -> _Names | None:
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return None
    if not tree.body:
        return None
    names = _Names()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            _class(node, names)
        elif isinstance(node, ast.Attribute) and not _is_self(node.value):
            names.anywhere.add(node.attr)
    return names


def _class(node: ast.ClassDef, names: _Names) -> None:
    """Names of `self` that the methods of a class read, and those that its constructor hands on."""
    own = names.own.setdefault(node.name, set())
    for method in node.body:
        if not isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        inside = list(ast.walk(method))
        read = [n for n in inside if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load)]
        # What an attribute is taken of is not handed on: `self.downs.append(...)`.
        taken = {id(n.value) for n in inside if isinstance(n, ast.Attribute)}
        taken |= {id(a) for n in inside if _called(n) == "super" for a in ast.iter_child_nodes(n)}
        if any(_is_self(n) and id(n) not in taken for n in inside):
            names.reaching.add(node.name)  # other code gets the module itself
        if method.name == "__init__":
            own.update(n.attr for n in read if _is_self(n.value) and id(n) not in taken)
            continue
        own.update(n.attr for n in read if _is_self(n.value))
        if _CALLS & set(map(_called, inside)) or _REACHES & {n.attr for n in read}:
            names.reaching.add(node.name)


def _called(node: ast.AST) -> str:
    function = node.func if isinstance(node, ast.Call) else None
    return function.id if isinstance(function, ast.Name) else ""


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"
