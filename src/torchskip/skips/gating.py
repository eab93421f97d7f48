"""Gates: products with the output of a sigmoid or softmax, and highways' complements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torchskip.graph import Node
from torchskip.skips.ops import words

if TYPE_CHECKING:
    from torchskip.skips.flow import Flow

__all__ = ["Gate", "gate_of", "squash"]

_SQUASHES = ("sigmoid", "hardsigmoid", "_softmax", "softmax", "_safe_softmax")
_THROUGH = words(
    """
    view _unsafe_view reshape _reshape_alias unsqueeze squeeze expand expand_as permute
    transpose t clone contiguous alias detach slice select split split_with_sizes chunk unbind
    narrow add sub rsub mul div _to_copy to dropout native_dropout repeat flatten unflatten
    lift_fresh neg view_as as_strided movedim swapaxes constant_pad_nd
    """
)
_FAR = 16


@dataclass(frozen=True, slots=True)
class Gate:
    """A product's arms: the value that is scaled and the value that scales it."""

    main: int
    control: int


def squash(flow: Flow, value: int) -> tuple[frozenset[int], bool] | None:
    """Return the sigmoids or softmaxes that `value` is made of by glue alone, else None.

    The second part says that it is the complement: an odd number of ``1 - t``.
    """
    flipped = False
    for _ in range(_FAR):
        n = flow.producer[value]
        if n is None:
            return None
        node, name = flow.graph.nodes[n], flow.names[n]
        if name in _SQUASHES:
            return frozenset((n,)), flipped
        if name in ("hardtanh", "clamp", "relu6") and _unit(flow, node):
            return frozenset((n,)), flipped
        if name not in _THROUGH and flow.roles[n] != "resize":
            return None
        signals = tuple(dict.fromkeys(node.inputs))
        if len(signals) == 1:
            if name == "rsub" or (name == "sub" and node.places[:1] == ("other",)):
                flipped = not flipped
            value = signals[0]
            continue
        if name == "add":  # a sum of gates is a gate
            parts = [squash(flow, v) for v in signals]
            if all(parts):
                return frozenset().union(*(p[0] for p in parts if p)), flipped
        return None
    return None


def _unit(flow: Flow, node: Node) -> bool:
    """Whether a clamp is a hard sigmoid: to 0..1, or to 0..6 and then divided by 6."""
    low = node.argument("min_val", node.argument("min", 0))
    high = node.argument("max_val", node.argument("max", 6))
    if low not in (0, 0.0):
        return False
    if high in (1, 1.0):
        return True
    if high not in (6, 6.0) or not node.outputs:
        return False
    users = [flow.graph.nodes[u] for u in flow.consumers[node.outputs[0]]]
    return any(flow.names[u.index] in ("div", "mul") and len(set(u.inputs)) == 1 for u in users)


def gate_of(flow: Flow, node: Node) -> Gate | None:
    """Return which argument of a product is the gate; None when neither is.

    Of two, the one with more broadcast axes is it, else the second.
    """
    a, b = dict.fromkeys(node.inputs)
    gates = [v for v in (a, b) if squash(flow, v) is not None]
    if not gates:
        return None
    if len(gates) == 2:
        small = [_size(flow, v) for v in (a, b)]
        gates = [a] if small[0] < small[1] else [b]
    control = gates[0]
    return Gate(b if control == a else a, control)


def _size(flow: Flow, value: int) -> int:
    size = 1
    for n in flow.graph.values[value].shape:
        size *= n
    return size
