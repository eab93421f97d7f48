"""Attention in a graph: which value asks, which one answers."""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Node
from torchskip.lint.flow import Flow
from torchskip.lint.ops import ADDS, FORMS, PRODUCTS, name

__all__ = ["questions"]

_PRODUCTS = frozenset({"bmm", "matmul", "baddbmm"})
_WHOLE = ("_scaled_dot_product", "scaled_dot_product", "module.MultiheadAttention")
_SOFTMAX = frozenset({"_softmax", "softmax", "_safe_softmax"})


def questions(flow: Flow, nodes: tuple[Node, ...]) -> Iterator[tuple[Node, int, int]]:
    """Every attention among the operations, with its query and its key."""
    for node in nodes:
        if name(node).startswith(_WHOLE) and len(node.inputs) > 1:
            yield node, node.inputs[0], node.inputs[1]
        elif name(node) in _SOFTMAX:
            scores = _scores(flow, node)
            if scores is not None:
                yield node, scores.inputs[0], scores.inputs[1]


def _scores(flow: Flow, node: Node) -> Node | None:
    """The product of queries and keys behind scaling, mask and changes of form."""
    while (maker := flow.producer(node.inputs[0])) is not None and maker.inputs:
        if name(maker) in _PRODUCTS and len(maker.inputs) == 2:
            return maker
        if name(maker) not in FORMS | PRODUCTS | ADDS | {"masked_fill", "where"}:
            return None
        node = maker
    return None
