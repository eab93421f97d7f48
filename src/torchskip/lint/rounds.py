"""Loops whose every round adds to the value before the loop, or to the first part of a split."""

from __future__ import annotations

from itertools import pairwise

from torchskip.graph import Node
from torchskip.lint.evidence import Pass
from torchskip.lint.flow import Flow
from torchskip.lint.ops import CONCATS, is_norm, name
from torchskip.skips.ops import SPLITS

__all__ = ["anchored_parts", "anchored_rounds", "weights"]


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


def anchored_parts(run: Pass) -> tuple[tuple[Node, ...], ...]:
    """The sums of parts of a split with one and the same part, or with what came of that.

    A hierarchical block (Res2Net) adds the result of the round before to the next part.
    """
    flow = run.flow
    groups: dict[tuple[object, ...], list[Node]] = {}
    for node in run.graph.nodes:
        for held, part in (node.inputs, node.inputs[::-1]) if _plain(node) else ():
            whole = _cut_from(flow, part)
            if whole is not None and _of_a_part(flow, held, whole):
                groups.setdefault((held, whole, node.module, node.call), []).append(node)
    found: list[tuple[Node, ...]] = []
    for sums in groups.values():
        ways = [list(flow.reads(n.outputs[0])) for n in sums]
        own = [frozenset(c.name for n in way for c in n.constants if c.names) for way in ways]
        apart = all(own) and all(a.isdisjoint(b) for a, b in pairwise(own))
        if len(sums) > 1 and apart and _together(flow, sums):
            found.append(tuple(sums))
    return tuple(found)


def _plain(node: Node) -> bool:
    return name(node) == "add" and len(set(node.inputs)) == 2 and bool(node.outputs)


def _cut_from(flow: Flow, value: int) -> int | None:
    """What a part of the channels was cut out of; None for any other value."""
    maker = flow.producer(value)
    if maker is None or not (name(maker) in SPLITS or name(maker) == "slice"):
        return None
    whole = maker.inputs[0]
    return whole if flow.value(value).shape[1:2] < flow.value(whole).shape[1:2] else None


def _of_a_part(flow: Flow, value: int, whole: int) -> bool:
    """Whether a value is a part of the whole, or was computed from one part alone."""
    if not flow.depends(value, whole) or value == whole:
        return False
    between = flow.between(whole, value)
    parts = {v for n in flow.reads(whole) for v in n.outputs if v in between}
    return len(parts) == 1 and all(_cut_from(flow, v) == whole for v in parts)


def _together(flow: Flow, sums: list[Node]) -> bool:
    """Whether one concatenation reads what comes of each sum."""
    return any(
        name(n) in CONCATS
        and all(any(flow.depends(v, s.outputs[0]) for v in n.inputs) for s in sums)
        for n in flow.graph.nodes[sums[-1].index :]
    )
