"""What a pass computes and no output needs."""

from __future__ import annotations

from dataclasses import dataclass

from torchskip.graph import Node
from torchskip.lint.evidence import Pass
from torchskip.lint.flow import Flow
from torchskip.lint.ops import BACKSTAGE, FORMS, is_layer, is_norm, name

__all__ = ["DeadEnd", "dead_ends"]


@dataclass(frozen=True, slots=True)
class DeadEnd:
    """An operation whose result nobody reads, and the operations that run only for it.

    `sizes` is the result's shape as the user's code has it, `parameters` are those that it reads
    and no other operation does, `layers` what reads them.
    """

    sink: Node
    sizes: tuple[int, ...]
    nodes: tuple[Node, ...]
    parameters: tuple[str, ...]
    layers: int


def dead_ends(run: Pass) -> tuple[DeadEnd, ...]:
    """Every dead end of a finished pass, in order; none for a pass that failed."""
    graph, flow = run.graph, run.flow
    if graph.failure is not None or not graph.outputs:
        return ()
    dead = {
        node.index: node
        for node in graph.nodes
        if node.outputs and not any(value in flow.live for value in node.outputs)
    }
    alive = {n for node in graph.nodes if node.index not in dead for n in _names(node)}
    alive |= {p.name for p in graph.parameters if p.buffer}
    ends: list[DeadEnd] = []
    for node in dead.values():
        if name(node) in BACKSTAGE or node.op == "torchskip.alias":
            continue
        if _read_on(flow, node, dead):
            continue
        found, todo = {node.index: node}, [node]
        while todo:
            for value in todo.pop().inputs:
                maker = graph.values[value].producer
                if maker in dead and maker not in found:
                    found[maker] = dead[maker]
                    todo.append(dead[maker])
        nodes = tuple(found[i] for i in sorted(found))
        names = tuple(sorted({n for other in nodes for n in _names(other)} - alive))
        layers = sum(is_layer(n) or is_norm(n) or bool(_names(n) - alive) for n in nodes)
        ends.append(DeadEnd(node, _sizes(flow, node), nodes, names, layers))
    return tuple(ends)


def _sizes(flow: Flow, node: Node) -> tuple[int, ...]:
    """The result's shape; a linear layer flattens what it reads, and its last view is unread."""
    sizes = flow.value(node.outputs[0]).shape
    flat = flow.producer(node.inputs[0]) if node.inputs else None
    if flat is None or flat.module != node.module or name(flat) not in FORMS or not is_layer(node):
        return sizes
    whole = flow.value(flat.inputs[0]).shape
    return (*whole[:-1], sizes[-1]) if len(whole) > len(sizes) else sizes


def _names(node: Node) -> set[str]:
    return {name for constant in node.constants for name in constant.names}


def _read_on(flow: Flow, node: Node, dead: dict[int, Node]) -> bool:
    """Whether an operation of the user's reads the result, also behind what torch put between."""
    todo = list(node.outputs)
    for value in todo:
        for reader in (dead[r] for r in flow.readers[value] if r in dead):
            if name(reader) not in BACKSTAGE:
                return True
            todo += reader.outputs
    return False
