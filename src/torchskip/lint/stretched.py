"""Gates that are added, and scales that broadcast along another axis than the channels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from torchskip.graph import Node
from torchskip.lint.evidence import Pass
from torchskip.lint.flow import Flow
from torchskip.lint.ops import FORMS, is_layer, name

__all__ = ["AddedGate", "Sideways", "added_gates", "sideways"]

_GATES = frozenset({"sigmoid", "hardsigmoid"})


@dataclass(frozen=True, slots=True)
class AddedGate:
    """A sum of a map and what a squashing function made of it: a number a channel, or a pixel."""

    join: Node
    gate: int
    map: int


def added_gates(run: Pass) -> Iterator[AddedGate]:
    """Sums that stretch a gate over the very map from which it was computed."""
    flow = run.flow
    for node in run.graph.nodes:
        if name(node) != "add" or len(set(node.inputs)) != 2 or not node.outputs:
            continue
        for one, other in (node.inputs, node.inputs[::-1]):
            gate = _squashed(flow, one)
            sizes = flow.value(other).shape
            if gate is None or len(sizes) < 3 or not flow.depends(gate, other):
                continue
            stretched = prod(flow.value(gate).shape) < prod(sizes)
            if stretched and any(map(is_layer, flow.nodes_between(other, gate))):
                yield AddedGate(node, gate, other)


def _squashed(flow: Flow, value: int) -> int | None:
    """The result of a sigmoid behind changes of form; None where there is none."""
    while (maker := flow.producer(value)) and name(maker) in FORMS and len(maker.inputs) == 1:
        value = maker.inputs[0]
    return value if maker is not None and name(maker) in _GATES else None


@dataclass(frozen=True, slots=True)
class Sideways:
    """A product with a vector of parameters, the axis along which that runs, and the channels'."""

    node: Node
    scale: str
    size: int
    axis: int
    channels: int


def sideways(run: Pass) -> Iterator[Sideways]:
    """Scales of a branch that fit the channels and run along an axis that happens to be as long."""
    flow = run.flow
    arms = {
        node.index: node
        for skip in run.skips
        if skip.live and skip.merge == "add"
        for arm in skip.arms
        for node in flow.nodes_between(skip.split, arm.values[-1])
        if name(node) == "mul" and len(node.inputs) == len(node.constants) == 1
    }
    for node in arms.values():
        scale, sizes = node.constants[0], flow.value(node.inputs[0]).shape
        long = [i for i, size in enumerate(scale.shape) if size > 1]
        if len(long) != 1 or len(sizes) < 3 or not scale.name or len(scale.shape) > len(sizes):
            continue
        axis, size = long[0] + len(sizes) - len(scale.shape), scale.shape[long[0]]
        channels = _channels(flow, node.inputs[0])
        if channels and axis not in {0, channels} and sizes[channels] == size == sizes[axis]:
            yield Sideways(node, scale.name, size, axis, channels)


def _channels(flow: Flow, value: int) -> int | None:
    """The axis of the features of the layer that made the value: a linear layer's is the last.

    None where something between may have moved it.
    """
    last = len(flow.value(value).shape) - 1
    viewed = False
    while (maker := flow.producer(value)) is not None and not is_layer(maker):
        before, after = (flow.value(v).shape for v in (*maker.inputs[:1], value))
        moves = name(maker) not in {"view", "_unsafe_view"} or before[-1] != after[-1]
        if len(maker.inputs) != 1 or (name(maker) in FORMS and moves):
            return None
        viewed, value = viewed or name(maker) in FORMS, maker.inputs[0]
    if maker is not None and name(maker) in {"convolution", "_convolution"} and not viewed:
        return 1
    linear = maker is not None and name(maker) in {"addmm", "mm", "linear"}
    return last if linear else None
