"""Operations where two or more values that come from the input meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torchskip.graph import Node
from torchskip.skips.flow import Flow
from torchskip.skips.gating import squash
from torchskip.skips.ops import words

__all__ = ["Join", "glue_back", "joins", "only_use"]

Family = Literal["sum", "concat", "gate"]

_SUMS = {
    "add": "add",
    "sub": "sub",
    "rsub": "sub",
    "addcmul": "add",
    "addcdiv": "add",
    "lerp": "lerp",
    "where": "where",
}
_SHAPE_ONLY = words(
    """
    view _unsafe_view reshape _reshape_alias unsqueeze squeeze expand permute transpose t
    clone contiguous alias detach _to_copy to dropout native_dropout feature_dropout
    lift_fresh view_as as_strided movedim copy constant_pad_nd roll flatten unflatten
    """
)


@dataclass(frozen=True, slots=True)
class Join:
    """A node and the values that meet in it.

    `family` says what the meeting does to them; `merge` is its name for people. `inner` are
    the nodes of nested joins of the same family that this one contains; `axis` the axis of a
    concatenation. `kept` is an arm of which all survives but a part of that size, which an
    assignment overwrote.
    """

    node: int
    family: Family
    merge: str
    arms: tuple[int, ...]
    inner: tuple[int, ...] = ()
    axis: int | None = None
    highway: bool = False
    kept: int | None = None
    written: int = 0


def joins(flow: Flow) -> Iterator[Join]:
    """Yield every join of a graph in the order of its nodes."""
    for node in flow.graph.nodes:
        if len(set(node.inputs)) < 2:
            continue
        name = flow.names[node.index]
        if name in _SUMS:
            yield _sum(flow, node, _SUMS[name])
        elif name == "mul":
            gate = flow.gates.get(node.index)
            if gate is not None:
                yield Join(node.index, "gate", "mul", (gate.main, gate.control))
        elif name == "cat":
            yield _concat(flow, node)
        elif name == "stack":
            total = _summed(flow, node)
            if total is not None:
                yield Join(total, "sum", "add", tuple(dict.fromkeys(node.inputs)))
        elif node.op == "torchskip.alias":
            written = _assigned(flow, node)
            if written:
                yield written


def _sum(flow: Flow, node: Node, merge: str) -> Join:
    arms = flow.signals[node.index]
    pieces = [_scaled(flow, v) for v in arms]
    if len(arms) == 2 and all(pieces):
        (main_a, gates_a, flip_a), (main_b, gates_b, flip_b) = (p for p in pieces if p)
        if gates_a == gates_b and flip_a != flip_b:  # t*h + (1 - t)*x, He 2016b figure 2c
            return Join(node.index, "sum", "highway", (main_a, main_b), highway=True)
    gated = merge == "lerp" and len(set(node.inputs)) > len(arms)
    return Join(node.index, "sum", merge, arms, highway=gated)


def _scaled(flow: Flow, value: int) -> tuple[int, frozenset[int], bool] | None:
    """Return a gated product's main value, the gate's roots and whether it is the complement."""
    value = glue_back(flow, value)
    n = flow.producer[value]
    gate = flow.gates.get(n) if n is not None else None
    found = squash(flow, gate.control) if gate is not None else None
    return (gate.main, *found) if gate is not None and found is not None else None


def _concat(flow: Flow, node: Node) -> Join:
    """Return a concatenation; one that only feeds another along the same axis is part of it."""
    axis = _axis(flow, node)
    arms: list[int] = []
    inner: list[int] = []
    for v in node.inputs:
        n = flow.producer[v]
        nested = n is not None and flow.names[n] == "cat" and only_use(flow, v, node.index)
        if nested and n is not None and _axis(flow, flow.graph.nodes[n]) == axis:
            deeper = _concat(flow, flow.graph.nodes[n])
            inner += [n, *deeper.inner]
            arms += deeper.arms
        else:
            arms.append(v)
    arms = [v for v in dict.fromkeys(arms) if 0 not in flow.graph.values[v].shape]
    return Join(node.index, "concat", "cat", tuple(arms), tuple(inner), axis)


def _axis(flow: Flow, node: Node) -> int:
    axis = node.argument("dim", 0)
    rank = len(flow.graph.values[node.inputs[0]].shape)
    return axis % rank if isinstance(axis, int) and rank else 0


def _summed(flow: Flow, node: Node) -> int | None:
    """Return the node that sums or averages a stack over the axis it stacked."""
    if not node.outputs:
        return None
    value = node.outputs[0]
    rank = len(flow.graph.values[value].shape)
    axis = node.argument("dim", 0)
    for user in flow.consumers[value]:
        if flow.names[user] in ("sum", "mean"):
            dims = flow.graph.nodes[user].argument("dim")
            if not isinstance(dims, tuple) or not isinstance(axis, int):
                continue
            if [d % rank for d in dims if isinstance(d, int)] == [axis % rank]:
                return user
    return None


def _assigned(flow: Flow, node: Node) -> Join | None:
    """Return the concatenation that slice assignments write, if `node` reads one.

    ``y[:, :c] += x`` is a sum in place and no concatenation: its slice's new version is made
    from the old one.
    """
    if not node.outputs:
        return None
    whole = flow.graph.values[node.outputs[0]].shape
    arms: list[int] = []
    axes: set[int] = set()
    kept, written = None, 0
    for v in node.inputs:
        value = flow.graph.values[v]
        n = flow.producer[v]
        if v == node.inputs[0] and (n is None or not flow.graph.nodes[n].inplace):
            kept = v
            arms.append(v)
            continue
        source = _copied(flow, v)
        if source is None or len(value.shape) != len(whole):
            return None
        cut = [i for i, (a, b) in enumerate(zip(value.shape, whole, strict=True)) if a < b]
        if len(cut) != 1:
            return None
        axes.update(cut)
        written += value.shape[cut[0]]
        arms.append(source)
    arms = list(dict.fromkeys(arms))
    if len(axes) != 1 or len(arms) < 2:
        return None
    return Join(
        node.index,
        "concat",
        "slice-assign",
        tuple(arms),
        axis=axes.pop(),
        kept=kept,
        written=written,
    )


def _copied(flow: Flow, value: int) -> int | None:
    """Return what ``view.copy_(source)`` put into `value`, unless it came from there.

    A constant, as in ``y[:, 0] = 0``, is no value.
    """
    n = flow.producer[value]
    if n is None or flow.names[n] != "copy" or not flow.graph.nodes[n].inplace:
        return None
    if not flow.graph.nodes[n].inputs:
        return None
    source = flow.graph.nodes[n].inputs[0]
    inside = flow.graph.values[source].memory == flow.graph.values[value].memory
    return None if inside else source


def glue_back(flow: Flow, value: int, scaled: bool = True) -> int:
    """Walk back over operations that only change the form of a value (or scale it)."""
    while True:
        n = flow.producer[value]
        if n is None:
            return value
        name = flow.names[n]
        sources = flow.signals[n]
        if len(sources) != 1 or flow.resamples(n):
            return value
        constant = len(set(flow.graph.nodes[n].inputs)) == 1
        if name in _SHAPE_ONLY or (scaled and constant and name in ("mul", "div", "neg")):
            value = sources[0]
            continue
        return value


def only_use(flow: Flow, value: int, node: int) -> bool:
    """Whether nothing but `node` reads `value`."""
    users = flow.consumers[value]
    return users == [node] and value not in flow.graph.outputs
