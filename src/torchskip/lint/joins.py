"""Where values meet: every merge of two values with a common origin, and the ways to it.

`find_skips` names the joins that are skip connections; rules about faults need the others
too: a join that crashed, a sum of a value with itself, a concatenation that nobody reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from torchskip.graph import Node
from torchskip.lint.evidence import Pass
from torchskip.lint.finding import Step, Way
from torchskip.lint.flow import Flow
from torchskip.lint.ops import ADDS, CONCATS, FORMS, PRODUCTS, describe, name

__all__ = ["Join", "join_of", "joins", "steps_of", "way"]


@dataclass(frozen=True, slots=True)
class Join:
    """A node at which values meet that part at `split`, the latest common ancestor."""

    node: Node
    values: tuple[int, ...]
    split: int


def joins(run: Pass, *kinds: frozenset[str]) -> Iterator[Join]:
    """Every join of these kinds (sums, concatenations, products), in order."""
    wanted = frozenset().union(*(kinds or (ADDS, CONCATS, PRODUCTS)))
    for node in run.graph.nodes:
        if name(node) in wanted and (join := join_of(run.flow, node)):
            yield join


def join_of(flow: Flow, node: Node) -> Join | None:
    """The node as a join; None when fewer than two values with a common origin meet."""
    values = tuple(dict.fromkeys(node.inputs))
    if len(values) < 2:
        return None
    common = flow.ancestors[values[0]]
    for value in values[1:]:
        common &= flow.ancestors[value]
    return Join(node, values, common.bit_length() - 1) if common else None


def way(flow: Flow, role: str, start: int, end: int, parts: int | None = None) -> Way:
    """The longest way between two values as steps, without what only looks at a tensor."""
    graph = flow.graph
    steps: list[Step] = []
    for node, value in flow.longest(start, end):
        sizes = graph.values[value].shape
        if node.module_type == "Linear" and name(node) in FORMS and parts is None:
            # Torch flattens what a linear layer reads and unflattens its result: one step.
            if steps and steps[-1].module == node.module:
                steps[-1] = replace(steps[-1], shape=sizes)
            continue
        steps.append(Step(describe(node), node.module, sizes, node.source))
    return Way(role, graph.values[start].shape, tuple(steps), parts)


def steps_of(flow: Flow, start: int, end: int) -> tuple[Node, ...]:
    """The operations that are the steps of `way`."""
    return tuple(
        node
        for node, _ in flow.longest(start, end)
        if node.module_type != "Linear" or name(node) not in FORMS
    )
