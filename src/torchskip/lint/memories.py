"""Attention whose result is added to what it reads from instead of what asks."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from torchskip.graph import Node
from torchskip.lint.attention import questions
from torchskip.lint.flow import Flow
from torchskip.lint.ops import ADDS, is_layer, name
from torchskip.lint.passes import Pass

__all__ = ["memory_sums"]


def memory_sums(run: Pass) -> Iterator[Node]:
    """Sums of an attention's result and what it reads from, where another value asks.

    None of a class of blocks where one question goes to all windows: it has no stream.
    """
    flow = run.flow
    found: list[Node] = []
    shared: set[str] = set()
    for skip in run.skips:
        if skip.kind != "identity" or skip.merge != "add" or not skip.live:
            continue
        join = run.graph.nodes[skip.join]
        between = flow.nodes_between(skip.split, join.outputs[0])
        for node, query, key in questions(flow, between):
            if flow.depends(query, skip.split) or not flow.depends(key, skip.split):
                continue
            if _spread(flow, query):
                shared.add(join.module_type)
            behind = flow.nodes_between(node.outputs[0], join.outputs[0])
            if any(name(n) in ADDS and len(set(n.inputs)) > 1 for n in behind if n is not join):
                continue  # the attention has a sum of its own
            found.append(join)
            break
    yield from (join for join in found if join.module_type not in shared)


def _spread(flow: Flow, value: int) -> bool:
    """Whether the value is repeated behind the last layer that made it."""
    while (maker := flow.producer(value)) and len(maker.inputs) == 1 and not is_layer(maker):
        before = flow.value(maker.inputs[0]).shape
        if prod(before) < prod(flow.value(value).shape):
            return True
        value = maker.inputs[0]
    return False
