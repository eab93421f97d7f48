"""Functions in steps, whose derivative is zero: autograd follows them and brings nothing back."""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Node
from torchskip.lint.flow import Flow
from torchskip.lint.ops import STEPS, is_layer, name
from torchskip.lint.passes import Pass

__all__ = ["rounded", "step_between", "taught"]


def step_between(flow: Flow, start: int, end: int) -> Node | None:
    """The first step that stops the gradient of `end`; None where a way to `start` has none."""
    found: Node | None = None
    seen: set[int] = set()
    todo = [end]
    while todo:
        value = todo.pop()
        if value == start:
            return None
        node = flow.producer(value)
        if value in seen or node is None or not flow.depends(value, start):
            continue
        seen.add(value)
        if not node.grad or flow.value(value).requires_grad is False:
            continue
        if name(node) in STEPS:
            found = node if found is None or node.index < found.index else found
        else:
            todo.extend(node.inputs)
    return found


def taught(flow: Flow, value: int) -> bool:
    """Whether a layer that learns took part in a value."""
    return any(
        is_layer(node) and any(flow.depends(value, made) for made in node.outputs)
        for node in flow.graph.nodes
    )


def rounded(run: Pass, stuck: frozenset[str]) -> Iterator[tuple[Node, tuple[str, ...]]]:
    """Layers on the arms of skips, with their weights, where no gradient comes to any of these."""
    arms = {
        node.index: node
        for skip in run.skips
        if skip.live and skip.merge in {"add", "cat"}
        for arm in skip.arms
        for node in run.flow.nodes_between(skip.split, arm.values[-1])
        if is_layer(node)
        and node.grad
        and run.flow.carries(node.outputs[0], arm.values[-1])
        and step_between(run.flow, node.outputs[0], arm.values[-1]) is None
    }
    for _, node in sorted(arms.items()):
        weights = [c for c in node.constants if len(c.shape) > 1 and c.names]
        names = tuple(n for c in weights for n in c.names if n in stuck)
        if names and stuck.issuperset(n for c in weights for n in c.names):
            yield node, names
