"""What a pass computes and no output needs."""

from __future__ import annotations

from dataclasses import dataclass

from torchskip.graph import Node
from torchskip.lint.evidence import Pass
from torchskip.lint.ops import BACKSTAGE, is_layer, is_norm, name

__all__ = ["DeadEnd", "dead_ends"]


@dataclass(frozen=True, slots=True)
class DeadEnd:
    """An operation whose result nobody reads, and the operations that run only for it.

    `parameters` are those that it reads and no other operation does, `layers` what reads them.
    """

    sink: Node
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
        if any(_of_user(reader, dead) for v in node.outputs for reader in flow.readers[v]):
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
        ends.append(DeadEnd(node, nodes, names, layers))
    return tuple(ends)


def _names(node: Node) -> set[str]:
    return {name for constant in node.constants for name in constant.names}


def _of_user(reader: int, dead: dict[int, Node]) -> bool:
    return reader in dead and name(dead[reader]) not in BACKSTAGE
