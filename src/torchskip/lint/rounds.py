"""Loops whose every round adds to the value before the loop."""

from __future__ import annotations

from itertools import pairwise

from torchskip.graph import Node
from torchskip.lint.evidence import Pass
from torchskip.lint.flow import Flow
from torchskip.lint.ops import is_norm

__all__ = ["anchored_rounds", "weights"]


def anchored_rounds(run: Pass) -> tuple[tuple[Node, ...], ...]:
    """The sums of each loop ``y = x + block(y)`` of at least three blocks with their own weights.

    One block whose every round adds to the input is a recurrence (DRRN), and meant.
    """
    loops: dict[tuple[object, ...], list[tuple[int, Node]]] = {}
    for skip in run.skips:
        join = run.graph.nodes[skip.join]
        plain = skip.kind == "identity" and skip.merge == "add" and len(skip.arms) == 2
        if plain and skip.live and join.source:
            key = (skip.split, join.module, join.call, join.source)
            loops.setdefault(key, []).append((skip.split, join))
    found: list[tuple[Node, ...]] = []
    for rounds in loops.values():
        split, sums = rounds[0][0], [join for _, join in rounds]
        totals = [join.outputs[0] for join in sums]
        blocks = [weights(run.flow, a, b) for a, b in pairwise((split, *totals))]
        own = all(blocks) and all(a.isdisjoint(b) for a, b in pairwise(blocks))
        if len(sums) > 2 and own and all(_feeds(run.flow, a, b) for a, b in pairwise(sums)):
            found.append(tuple(sums))
    return tuple(found)


def weights(flow: Flow, start: int, end: int) -> frozenset[str]:
    """Names of the parameters and buffers that the ways between two values read, norms' left out.

    Blocks with layers of their own may share a normalisation by mistake.
    """
    nodes = (node for node in flow.nodes_between(start, end) if not is_norm(node))
    return frozenset(n for node in nodes for c in node.constants for n in c.names)


def _feeds(flow: Flow, join: Node, after: Node) -> bool:
    """Whether the sum is read for the next one, and by nothing behind that."""
    value = join.outputs[0]
    late = any(n.index >= after.index for n in flow.reads(value)) or value in flow.graph.outputs
    return flow.depends(after.outputs[0], value) and not late
