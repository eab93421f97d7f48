"""Values that a plain number scales, sums of them, and gates to which one was added."""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Node
from torchskip.lint.flow import Flow
from torchskip.lint.ops import FORMS, name
from torchskip.lint.repeats import form, former

__all__ = ["factor", "offset", "parts", "shares", "stacked"]


def parts(flow: Flow, node: Node) -> Iterator[tuple[int, int, float]]:
    """A sum as a value, and another that a plain number scales."""
    if name(node) != "add" or len(node.inputs) != 2 or not node.outputs:
        return
    one, other = node.inputs
    alpha = node.argument("alpha", 1)
    if isinstance(alpha, (int, float)) and alpha != 1:
        yield one, other, float(alpha)
        return
    for whole, scaled in ((one, other), (other, one)):
        maker = flow.producer(form(flow, scaled))
        share = factor(maker)
        if maker is not None and share is not None:
            yield whole, maker.inputs[0], share


def shares(flow: Flow, node: Node) -> tuple[tuple[int, float], ...]:
    """A sum, or the mean of a stack, as the values that it adds and the number that scales each.

    Empty for anything else, and where an operand is cut from autograd: the scaled gradient of
    ``a * x + b * x.detach()``.
    """
    if name(node) == "add" and len(node.inputs) == 2 and node.outputs:
        alpha = node.argument("alpha", 1)
        number = float(alpha) if isinstance(alpha, (int, float)) else 1.0
        found = [_share(flow, v, n) for v, n in zip(node.inputs, (1.0, number), strict=True)]
    elif (stack := stacked(flow, node)) is not None and name(node) == "mean":
        found = [_share(flow, v, 1 / len(stack.inputs)) for v in stack.inputs]
    else:
        return ()
    return tuple(pair for pair in found if pair) if all(found) else ()


def _share(flow: Flow, value: int, number: float) -> tuple[int, float] | None:
    """The value behind products with plain numbers; None where it was detached."""
    while (node := flow.producer(value)) is not None:
        share = factor(node)
        if name(node) == "detach" or (flow.graph.grad and not node.grad):
            return None
        before = node.inputs[0] if share is not None else former(flow, value)
        if before is None:
            break
        value, number = before, number * (share or 1.0)
    return value, number


def stacked(flow: Flow, node: Node) -> Node | None:
    """The stack whose own axis a reduction takes away."""
    maker = flow.producer(node.inputs[0]) if len(node.inputs) == 1 else None
    if maker is None or name(maker) != "stack" or not node.outputs:
        return None
    rank = len(flow.value(maker.outputs[0]).shape)
    axes, axis = node.argument("dim"), maker.argument("dim", 0)
    summed = [a % rank for a in axes] if isinstance(axes, (list, tuple)) else []
    return maker if isinstance(axis, int) and summed == [axis % rank] else None


def factor(node: Node | None) -> float | None:
    """The constant by which a product with a plain number scales its one operand."""
    if node is None or len(node.inputs) != 1 or node.constants or name(node) not in {"mul", "div"}:
        return None
    number = node.argument("other")
    if not isinstance(number, (int, float)) or not number:
        return None
    return float(number) if name(node) == "mul" else 1 / number


def offset(flow: Flow, value: int) -> float:
    """The number that was added to a value, behind what broadcasts it; 0 where there is none."""
    while (node := flow.producer(value)) and name(node) in FORMS and len(node.inputs) == 1:
        value = node.inputs[0]
    number = node.argument("other") if node is not None and name(node) == "add" else None
    alone = node is not None and len(node.inputs) == 1 and not node.constants
    return float(number) if alone and isinstance(number, (int, float)) else 0.0
