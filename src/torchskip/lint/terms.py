"""What sums add up: the operands of one, and of the sums that feed it."""

from __future__ import annotations

from collections import Counter, deque

from torchskip.graph import Node
from torchskip.lint.flow import Flow
from torchskip.lint.ops import name
from torchskip.lint.repeats import form
from torchskip.lint.scaled import stacked

__all__ = ["operands", "terms", "terms_of"]

_MOST = 64  # sums looked through: blocks of a stream that could hold one shortcut twice


def terms_of(flow: Flow, node: Node) -> tuple[int, ...]:
    """What a plain sum adds up: two values of one shape, or those of a stack summed over its axis.

    Empty for any other operation.
    """
    if not node.outputs:
        return ()
    if name(node) == "add" and len(node.inputs) == 2 and node.argument("alpha", 1) == 1:
        return node.inputs
    stack = stacked(flow, node) if name(node) == "sum" else None
    return stack.inputs if stack else ()


def operands(flow: Flow, value: int) -> tuple[int, ...]:
    """What the sum that made a value adds up, as `form` knows them; empty where none did."""
    maker = flow.producer(form(flow, value))
    return tuple(form(flow, v) for v in terms_of(flow, maker)) if maker else ()


def terms(flow: Flow, node: Node) -> tuple[Counter[int], set[int]]:
    """What a sum adds up, through the nearest sums that feed it, and the indices of those sums.

    A residual stream is one sum from the first block to the last: what lies `_MOST` sums back
    is a term as it is.
    """
    found: Counter[int] = Counter()
    sums: set[int] = {node.index}
    todo = deque(terms_of(flow, node))
    while todo:
        value = form(flow, todo.popleft())
        maker = flow.producer(value)
        parts = terms_of(flow, maker) if maker is not None and len(sums) <= _MOST else ()
        if maker is not None and parts:
            sums.add(maker.index)
            todo.extend(parts)
        else:
            found[value] += 1
    return found, sums
