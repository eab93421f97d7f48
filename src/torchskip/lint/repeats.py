"""One value under two names: in another form, or cut out of a concatenation that holds it."""

from __future__ import annotations

from collections import Counter

from torchskip.graph import Node
from torchskip.lint.evidence import Pass
from torchskip.lint.flow import Flow
from torchskip.lint.ops import CONCATS, FORMS, is_layer, name

__all__ = ["computed", "form", "former", "repeated"]

# `a + a.mT` symmetrises: a square transpose keeps the shape and moves the numbers.
_KEEP = FORMS - {"permute", "transpose", "t", "as_strided"}


def form(flow: Flow, value: int) -> int:
    """The value itself, behind what neither moves a number nor changes the shape."""
    while (before := former(flow, value)) is not None:
        value = before
    return value


def former(flow: Flow, value: int) -> int | None:
    """The value one step before, where that moves no number and keeps the shape."""
    node = flow.producer(value)
    if node is None or len(node.inputs) != 1 or not (name(node) in _KEEP or _nothing(node)):
        return None
    before = node.inputs[0]
    return before if flow.value(before).shape == flow.value(value).shape else None


def _nothing(node: Node) -> bool:
    """Whether a zero is added: the builtin ``sum`` begins with one."""
    return name(node) == "add" and node.argument("other") == 0 and not node.constants


def computed(run: Pass, value: int) -> bool:
    """Whether a layer made the value: an input is scaled as a preparation."""
    return any(is_layer(n) for v in run.graph.inputs for n in run.flow.nodes_between(v, value))


def repeated(run: Pass, node: Node) -> tuple[int, int] | None:
    """A value that a concatenation of features holds more than once beside others, and how often.

    A border that is repeated as a padding is a part of what it is put beside.
    """
    flow = run.flow
    axis = _axis(flow, node)
    if axis is None or axis not in {1, len(flow.value(node.outputs[0]).shape) - 1}:
        return None
    operands = [_uncut(flow, v) for v in node.inputs]
    value, count = Counter(operands).most_common(1)[0]
    others = set(operands) - {value}
    if count < 2 or not any(computed(run, v) for v in operands):
        return None
    maker = flow.producer(value)
    border = maker is not None and name(maker) in {"slice", "select", "narrow"}
    if not others or (border and maker is not None and form(flow, maker.inputs[0]) in others):
        return None
    return value, count


def _axis(flow: Flow, node: Node) -> int | None:
    """The axis along which a node concatenates; None where it does not."""
    axis = node.argument("dim", 0)
    if name(node) not in CONCATS - {"stack"} or not node.outputs or not isinstance(axis, int):
        return None
    return axis % len(flow.value(node.outputs[0]).shape)


def _uncut(flow: Flow, value: int) -> int:
    """The operand of a concatenation that a slice of it cuts out again, or the value itself."""
    value = form(flow, value)
    cut = flow.producer(value)
    at = None if cut is None else _start(flow, cut, value)
    if cut is None or at is None:
        return value
    whole = _whole(flow, cut.inputs[0])
    maker = flow.producer(whole)
    axis = None if maker is None else _axis(flow, maker)
    if maker is None or axis is None or maker.constants:
        return value
    rank = len(flow.value(whole).shape)
    dim = cut.argument("dim", 0)
    if not isinstance(dim, int) or dim % rank != axis:
        return value
    for part in maker.inputs:
        size = flow.value(part).shape[axis]
        if at == 0:
            return form(flow, part) if size == flow.value(value).shape[axis] else value
        at -= size
    return value


def _start(flow: Flow, cut: Node, value: int) -> int | None:
    """Where a part begins in what a slice or a split cuts; None for any other operation."""
    dim = cut.argument("dim", 0)
    if not isinstance(dim, int):
        return None
    if name(cut) in {"split", "split_with_sizes"}:
        before = cut.outputs[: cut.outputs.index(value)]
        return sum(flow.value(v).shape[dim] for v in before)
    start = cut.argument("start", 0)
    if name(cut) != "slice" or cut.argument("step", 1) != 1 or not isinstance(start, int):
        return None
    return max(start + flow.value(cut.inputs[0]).shape[dim], 0) if start < 0 else start


def _whole(flow: Flow, value: int) -> int:
    """The value behind slices that take all of it: ``x[:, :3]`` slices its first axis too."""
    value = form(flow, value)
    while (node := flow.producer(value)) and name(node) == "slice":
        if flow.value(node.inputs[0]).shape != flow.value(value).shape:
            break
        value = form(flow, node.inputs[0])
    return value
