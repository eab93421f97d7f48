"""Find the skip connections of a graph."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from torchskip.graph import Arm, Graph, SkipPath
from torchskip.skips.align import Alignments
from torchskip.skips.classify import Found, judge
from torchskip.skips.flow import Flow
from torchskip.skips.joins import glue_back, joins
from torchskip.skips.nested import contained, wholes

__all__ = ["find_skips"]


def find_skips(graph: Graph) -> tuple[SkipPath, ...]:
    """Return every skip connection of `graph`, in the order of their joins.

    A skip is two arms that part at a value (the latest that both come from) and meet in a sum,
    a concatenation or a gated product, one of them with fewer layers than the other. What
    counts as which kind is defined in docs/kinds.md.
    """
    flow = Flow(graph)
    found: dict[int, Found] = {}
    for join in joins(flow):
        readings = (judge(flow, whole) for whole in wholes(flow, join, found))
        skip = next((reading for reading in readings if reading is not None), None)
        if skip is None:
            continue
        for node in contained(flow, skip, found):
            del found[node]
        found[join.node] = skip
    dense = _dense(flow, found)
    for node, skip in list(found.items()):
        if skip.tentative and node not in dense:
            blocks = any(n in found for route in skip.routes for n in route.nodes)
            halves = _halves(flow, skip)
            if blocks or halves:
                kind = "split-concat" if halves and skip.kind == "concat" else skip.kind
                found[node] = replace(skip, kind=kind, tentative=False)
            else:
                del found[node]
    live, alignments = _live(graph), Alignments(flow)
    return tuple(
        _path(graph, found[node], node in dense, node in live, alignments) for node in sorted(found)
    )


def _halves(flow: Flow, skip: Found) -> bool:
    """Whether both arms of a concatenation begin with pointwise convolutions of equal width.

    Two pointwise convolutions of one value are one convolution whose channels are then split:
    the cross-stage partial network as YOLOv5 writes it, whose branch keeps its half's width.
    """
    firsts = [next((n for n in r.nodes if flow.roles[n] == "layer"), None) for r in skip.routes]
    widths: set[int] = set()
    for n, arm in zip(firsts, skip.arms, strict=True):
        weight = _weight(flow, n) if n is not None else ()
        if not weight or any(size != 1 for size in weight[2:]):
            return False
        shape = flow.graph.values[arm].shape
        widths |= {weight[0], shape[1] if len(shape) > 1 else 0}
    return len(widths) == 1


def _weight(flow: Flow, n: int) -> tuple[int, ...]:
    weights = [c.shape for c in flow.graph.nodes[n].constants if c.argument == "weight"]
    return weights[0] if weights else ()


def _dense(flow: Flow, found: dict[int, Found]) -> set[int]:
    """Return the concatenations that share a bare value with another: DenseNet."""
    bare: dict[int, set[int]] = {}
    for node, skip in found.items():
        if skip.kind == "concat":
            arms = [skip.arms[i] for i in skip.shortcuts]
            bare[node] = {v for arm in arms for v in _pieces(flow, arm)}
    seen = Counter(v for pieces in bare.values() for v in pieces)
    return {node for node, pieces in bare.items() if any(seen[v] > 1 for v in pieces)}


def _pieces(flow: Flow, arm: int) -> set[int]:
    """Return the values that an arm is made of without a layer: concatenated, normalised ..."""
    todo, pieces, seen = [arm], set(), set()
    while todo:
        value = glue_back(flow, todo.pop(), scaled=False)
        if value in seen:
            continue
        seen.add(value)
        n = flow.producer[value]
        if n is not None and flow.names[n] == "cat":
            todo.extend(flow.graph.nodes[n].inputs)
        elif n is not None and flow.roles[n] in ("glue", "norm") and len(flow.signals[n]) == 1:
            todo.extend(flow.signals[n])
        else:
            pieces.add(value)
    return pieces


def _live(graph: Graph) -> set[int]:
    """Return the nodes that the model's output depends on."""
    if graph.failure is not None or not graph.outputs:
        return set(range(len(graph.nodes)))
    todo = list(graph.outputs)
    values, nodes = set(todo), set()
    while todo:
        n = graph.values[todo.pop()].producer
        if n is None or n in nodes:
            continue
        nodes.add(n)
        for v in graph.nodes[n].inputs:
            if v not in values:
                values.add(v)
                todo.append(v)
    return nodes


def _path(graph: Graph, skip: Found, dense: bool, live: bool, alignments: Alignments) -> SkipPath:
    arms = tuple(
        Arm(
            role="shortcut" if i in skip.shortcuts else "branch",
            values=route.values,
            nodes=route.nodes,
            layers=route.layers + route.pools,
            detached=route.detached,
        )
        for i, route in enumerate(skip.routes)
    )
    apart = alignments.of(skip)
    notes = skip.notes + ((apart.note,) if apart.note else ())
    failure = graph.failure
    if failure is not None and failure.node == skip.join.node:
        notes += ("failed",)
    return SkipPath(
        kind="dense" if dense else skip.kind,
        merge=skip.join.merge,
        split=skip.split,
        join=skip.join.node,
        arms=tuple(sorted(arms, key=lambda a: a.role != "branch")),
        alignment=apart.distance,
        drift=apart.drift,
        live=live,
        notes=notes,
    )
