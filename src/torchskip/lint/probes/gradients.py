"""What comes back to tensors from a number, also through functions with a backward of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.autograd.graph import Node

__all__ = ["gradients"]


def gradients(total: Tensor, wanted: Sequence[Tensor]) -> list[Tensor | None]:
    """The gradient of each leaf, None where none comes back; no tensor's ``.grad`` stays changed.

    A reentrant checkpoint, and a reversible block that recomputes, call backward inside of
    backward: what they find lies in ``.grad`` alone. The checkpoint refuses ``autograd.grad``.
    """
    leaves = [node for node in _nodes(total.grad_fn) if hasattr(node, "variable")]
    touched = {id(t): t for t in (*wanted, *(node.variable for node in leaves))}
    before = {key: tensor.grad for key, tensor in touched.items()}
    try:
        for tensor in touched.values():
            tensor.grad = None
        found: Sequence[Tensor | None] = [None] * len(wanted)
        if _reentrant(total):
            torch.autograd.backward(total)
        else:
            found = torch.autograd.grad(total, list(wanted), allow_unused=True)
        return [_sum(a, t.grad) for a, t in zip(found, wanted, strict=True)]
    finally:
        for key, tensor in touched.items():
            tensor.grad = before[key]


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return other if one is None else one if other is None else one + other


def _reentrant(total: Tensor) -> bool:
    return any(type(n).__name__ == "CheckpointFunctionBackward" for n in _nodes(total.grad_fn))


def _nodes(start: Node | None) -> Iterator[Node]:
    seen = {start}
    todo = [start]
    while todo:
        node = todo.pop()
        if node is None:
            continue
        yield node
        new = {n for n, _ in node.next_functions} - seen
        seen |= new
        todo += new
