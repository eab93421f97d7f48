"""Which operands of which nodes one arm of a skip enters by."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from torchskip.errors import SurgeryError
from torchskip.graph import Graph, SkipPath
from torchskip.skips.flow import Flow
from torchskip.skips.ops import words

__all__ = ["Edge", "entries", "live_nodes"]

# What may stand between an arm's end and the join that it is an arm of: nested sums and
# concatenations, the products of a highway, and what only changes a value's form.
_BETWEEN = words(
    """
    add sub rsub mul div neg cat stack sum mean copy alias detach clone contiguous view
    _unsafe_view reshape _reshape_alias unsqueeze squeeze expand permute transpose t select
    slice _to_copy to dropout native_dropout flatten unflatten movedim lerp addcmul where
    constant_pad_nd
    """
)


@dataclass(frozen=True, slots=True)
class Edge:
    """A value on its way into a node, and the number that makes it count for nothing there."""

    node: int
    value: int
    neutral: float


def entries(flow: Flow, skip: SkipPath, role: Literal["branch", "shortcut"]) -> tuple[Edge, ...]:
    """Return the edges by which the arms of `role` enter the join of `skip`.

    An arm from which another one comes bypasses it and counts as a shortcut too: of a dense
    block's concatenation, only the newest features are the branch. The neutral number is 0 in
    sums and concatenations and 1 in products, the gates.

    Raises:
        SurgeryError: an arm cannot be followed to the join.

    """
    graph = flow.graph
    found: dict[tuple[int, int], Edge] = {}
    ends = [arm.values[-1] for arm in skip.arms]
    for arm in skip.arms:
        bypasses = skip.kind != "gate" and _bypasses(flow, arm.values[-1], ends)
        shortcut = arm.role == "shortcut" or bypasses
        if shortcut != (role == "shortcut"):
            continue
        node = _reader(flow, skip.join, arm.values[-1])
        if node is None:
            raise SurgeryError(
                f"the {role} of the {skip.kind} skip at node {skip.join} "
                f"('{graph.nodes[skip.join].module}') cannot be followed into its "
                f"{skip.merge}\n  mend: leave it out with which=..."
            )
        product = node == skip.join and flow.names[node] == "mul"
        found[node, arm.values[-1]] = Edge(node, arm.values[-1], 1.0 if product else 0.0)
    return tuple(found.values())


def _bypasses(flow: Flow, value: int, ends: list[int]) -> bool:
    """Whether a layer lies between `value` and one of `ends`."""
    later = [end for end in ends if end != value and flow.between(value, end)]
    return any(route.depth for route in flow.routes(value, later))


def _reader(flow: Flow, join: int, value: int) -> int | None:
    """Return the node next to the join that reads `value` on the way into it."""
    graph = flow.graph
    todo, seen = deque((join,)), {join}
    while todo:
        n = todo.popleft()
        inputs = graph.nodes[n].inputs
        if value in inputs:
            return n
        for v in inputs:
            before = graph.values[v].producer
            if before is None or before in seen:
                continue
            if flow.names[before] in _BETWEEN:
                seen.add(before)
                todo.append(before)
    return None


def live_nodes(graph: Graph) -> set[int]:
    """Return the nodes that the outputs depend on."""
    todo, live = list(graph.outputs), set[int]()
    while todo:
        n = graph.values[todo.pop()].producer
        if n is not None and n not in live:
            live.add(n)
            todo.extend(graph.nodes[n].inputs)
    return live
