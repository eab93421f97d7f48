"""Tensors inside nested arguments and results: dictionaries, tuples, dataclasses, objects."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

__all__ = ["leaves", "rebuild"]

_DEPTH = 8


def leaves(tree: Any, name: str = "", depth: int = _DEPTH) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every tensor of `tree` with its place, such as ``out``, ``[0]`` or ``a.b[1]``."""
    if isinstance(tree, torch.Tensor):
        yield name, tree
        return
    if depth:
        for key, child, _ in _children(tree):
            yield from leaves(child, name + key if name else key.removeprefix("."), depth - 1)


def rebuild(tree: Any, swap: Callable[[torch.Tensor], torch.Tensor], depth: int = _DEPTH) -> Any:
    """Return `tree` with every tensor swapped; containers are copied, never changed."""
    if isinstance(tree, torch.Tensor):
        return swap(tree)
    if not depth:
        return tree
    new = [(key, rebuild(child, swap, depth - 1), child) for _, child, key in _children(tree)]
    if all(after is before for _, after, before in new):
        return tree
    if isinstance(tree, tuple):
        items = [after for _, after, _ in new]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    other = copy.copy(tree)
    for key, after, before in new:
        if after is before:
            continue
        if isinstance(tree, (list, Mapping)):
            other[key] = after
        else:
            object.__setattr__(other, key, after)
    return other


def _children(tree: Any) -> list[tuple[str, Any, Any]]:
    """Return the children of a container: the text of their place, themselves, their key."""
    if isinstance(tree, (str, bytes, int, float, type(None), torch.nn.Module, type)):
        return []
    if isinstance(tree, Mapping):
        return [(f".{key}", tree[key], key) for key in tree]
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return [(f".{key}", getattr(tree, key), key) for key in tree._fields]
    if isinstance(tree, (list, tuple)):
        return [(f"[{i}]", child, i) for i, child in enumerate(tree)]
    if isinstance(tree, (set, frozenset)):
        return []
    if dataclasses.is_dataclass(tree):
        names = [f.name for f in dataclasses.fields(tree)]
        return [(f".{key}", getattr(tree, key), key) for key in names if hasattr(tree, key)]
    if type(tree).__module__ == "builtins" or callable(tree):
        return []
    return [(f".{key}", child, key) for key, child in getattr(tree, "__dict__", {}).items()]
