"""Values that a plain number scales, and gates to which one was added."""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Node
from torchskip.lint.flow import Flow
from torchskip.lint.ops import FORMS, name
from torchskip.lint.repeats import form

__all__ = ["factor", "offset", "parts"]


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
