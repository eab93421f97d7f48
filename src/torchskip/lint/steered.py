"""Attention gates whose two inputs changed places: what should pass them only steers them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from torchskip.graph import Node
from torchskip.lint.evidence import Pass
from torchskip.lint.flow import Flow
from torchskip.lint.ops import ADDS, CONCATS, FORMS, SQUASHES, name
from torchskip.lint.repeats import form

__all__ = ["Steered", "steered"]


@dataclass(frozen=True, slots=True)
class Steered:
    """A join of a value, `twice`, and its gated self; `lost` has no other way in than the gate."""

    join: Node
    twice: int
    lost: int


def steered(run: Pass) -> Iterator[Steered]:
    """Concatenations of a map and its product with a gate that another level steers.

    An attention gate weighs the encoder's feature by what the decoder asks, and the two are
    joined: with the inputs swapped, the decoder's map is there twice and the feature never.
    """
    flow = run.flow
    for node in run.graph.nodes:
        if name(node) not in CONCATS or len(node.inputs) != 2 or not node.outputs:
            continue
        for plain, gated in (node.inputs, node.inputs[::-1]):
            value = form(flow, plain)
            gate = _gate(flow, form(flow, gated), value)
            others = () if gate is None else _asked(flow, gate)
            asked = [v for v in others if not _made_of(flow, v, value)]
            if len(asked) == 1 and len(others) == 2 and _levels(flow, asked[0], value):
                yield Steered(node, value, asked[0])


def _gate(flow: Flow, product: int, value: int) -> int | None:
    """The factor that squashes, of a product whose other factor is the value."""
    maker = flow.producer(product)
    if maker is None or name(maker) != "mul" or len(maker.inputs) != 2:
        return None
    others = [v for v in maker.inputs if form(flow, v) != value]
    gate = others[0] if len(others) == 1 else None
    while gate is not None and (made := flow.producer(gate)) and name(made) in FORMS:
        gate = made.inputs[0]
    squash = flow.producer(gate) if gate is not None else None
    return gate if squash is not None and name(squash) in SQUASHES else None


def _asked(flow: Flow, gate: int) -> tuple[int, ...]:
    """The two maps that an additive gate adds up, in front of its last layers."""
    while (maker := flow.producer(gate)) is not None and len(set(maker.inputs)) == 1:
        gate = maker.inputs[0]
    return maker.inputs if maker is not None and name(maker) in ADDS else ()


def _made_of(flow: Flow, arm: int, value: int) -> bool:
    """Whether layers alone stand between a value and the arm of a gate."""
    while arm != value and (maker := flow.producer(arm)) and len(set(maker.inputs)) == 1:
        arm = maker.inputs[0]
    return arm == value


def _levels(flow: Flow, one: int, other: int) -> bool:
    """Whether a way down and up again lies between the origins of two maps of one size."""
    size = prod(flow.value(other).shape[2:])
    if prod(flow.value(one).shape[2:]) != size:
        return False
    start = (flow.ancestors[one] & flow.ancestors[other]).bit_length() - 1
    return start >= 0 and _turns(flow, start, one, size) != _turns(flow, start, other, size)


def _turns(flow: Flow, start: int, end: int, size: int) -> bool:
    """Whether a smaller map lies on the way."""
    return any(0 < prod(flow.value(v).shape[2:]) < size for v in flow.between(start, end))
