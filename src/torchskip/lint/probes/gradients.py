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
    before = [(tensor, tensor.grad) for tensor in wanted]
    found: Sequence[Tensor | None] = [None] * len(wanted)
    try:
        _clear(wanted)
        try:
            # Whether there is a checkpoint is not looked up in the graph: a node that was seen
            # from Python is freed recursively, and thousands of them overflow the stack.
            found = torch.autograd.grad(total, list(wanted), allow_unused=True, retain_graph=True)
        except RuntimeError as error:
            if ".grad()" not in str(error):
                raise
            leaves = [node.variable for node in _nodes(total.grad_fn) if hasattr(node, "variable")]
            before += [(tensor, tensor.grad) for tensor in leaves]
            _clear((*wanted, *leaves))
            torch.autograd.backward(total)
        return [_sum(a, t.grad) for a, t in zip(found, wanted, strict=True)]
    finally:
        for tensor, gradient in reversed(before):
            tensor.grad = gradient


def _clear(tensors: Sequence[Tensor]) -> None:
    for tensor in tensors:
        tensor.grad = None


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    return other if one is None else one if other is None else one + other


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
