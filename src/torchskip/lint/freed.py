"""Operations in place beside the same operations of a pass out of place."""

from __future__ import annotations

from torchskip.graph import Node
from torchskip.lint.evidence import Pass
from torchskip.lint.flow import Flow
from torchskip.lint.ops import ADDS, CONCATS, PRODUCTS, name

__all__ = ["JOINS", "former", "late_join", "twins_of"]

JOINS = ADDS | CONCATS | PRODUCTS


def twins_of(run: Pass, free: Pass) -> dict[int, Node]:
    """For each node of the pass, the same operation of the pass out of place."""
    found: dict[tuple[object, ...], list[Node]] = {}
    for node in free.graph.nodes:
        found.setdefault(_mark(node), []).append(node)
    twins: dict[int, Node] = {}
    taken: dict[tuple[object, ...], int] = {}
    for node in run.graph.nodes:
        mark = _mark(node)
        turn = taken.get(mark, 0)
        taken[mark] = turn + 1
        others = found.get(mark, [])
        if turn < len(others):
            twins[node.index] = others[turn]
    return twins


def _mark(node: Node) -> tuple[object, ...]:
    return (name(node), node.module, node.call)


def former(flow: Flow, twin: Node, apart: bool) -> int | None:
    """The value that the operation would have overwritten, were it not out of place.

    `apart` says that its module was given a copy: what was copied is the value.
    """
    if not twin.outputs or (twin.inplace and not apart):
        return None
    if not twin.inplace:
        return twin.inputs[0] if twin.inputs else None
    memory = flow.value(twin.outputs[0]).memory
    first = next(v for v in flow.graph.values if v.memory == memory)
    maker = flow.producer(first.index)
    return maker.inputs[0] if maker is not None and name(maker) == "clone" else None


def late_join(flow: Flow, twin: Node, old: int) -> Node | None:
    """The first join of the operation's result with what its former value still reaches."""
    graph = flow.graph
    memory = flow.value(old).memory
    made = set(twin.outputs)
    before: set[int] = set()
    aliases = {v.index for v in graph.values if v.memory == memory}
    for node in graph.nodes[twin.index + 1 :]:
        from_result = {v for v in node.inputs if v in made}
        from_former = {v for v in node.inputs if v in before or v in aliases} - from_result
        if from_result and from_former and name(node) in JOINS:
            return node
        if from_result:
            made.update(node.outputs)
        elif from_former:
            before.update(node.outputs)
    return None
