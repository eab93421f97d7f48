"""Attention in a graph: which value asks, which one answers, and where it lacks a sum."""

from __future__ import annotations

from collections.abc import Iterator

from torchskip.graph import Node
from torchskip.lint.evidence import Evidence
from torchskip.lint.flow import Flow
from torchskip.lint.ops import ADDS, FORMS, PRODUCTS, is_norm, name
from torchskip.lint.regions import Region, below, bridged, keeps_shape

__all__ = ["between_sums", "questions"]

_PRODUCTS = frozenset({"bmm", "matmul", "baddbmm"})
_WHOLE = ("_scaled_dot_product", "scaled_dot_product", "module.MultiheadAttention")
_SOFTMAX = frozenset({"_softmax", "softmax", "_safe_softmax"})


def questions(flow: Flow, nodes: tuple[Node, ...]) -> Iterator[tuple[Node, int, int]]:
    """Every attention among the operations, with its query and its key."""
    for node in nodes:
        if name(node).startswith(_WHOLE) and len(node.inputs) > 1:
            yield node, node.inputs[0], node.inputs[1]
        elif name(node) in _SOFTMAX:
            scores = _scores(flow, node)
            if scores is not None:
                yield node, scores.inputs[0], scores.inputs[1]


def _scores(flow: Flow, node: Node) -> Node | None:
    """The product of queries and keys behind scaling, mask and changes of form."""
    while (maker := flow.producer(node.inputs[0])) is not None and maker.inputs:
        if name(maker) in _PRODUCTS and len(maker.inputs) == 2:
            return maker
        if name(maker) not in FORMS | PRODUCTS | ADDS | {"masked_fill", "where"}:
            return None
        node = maker
    return None


def between_sums(evidence: Evidence, known: dict[str, Region]) -> Iterator[Region]:
    """Attention without a sum between two residual sums of one forward, one around its like."""
    run = evidence.eval
    sums = [s for s in run.skips if s.kind == "identity" and s.merge == "add" and s.live]
    ends = {run.graph.nodes[s.join].outputs[0]: run.graph.nodes[s.join] for s in sums}
    starts = {s.split: run.graph.nodes[s.join] for s in sums}
    for path, region in known.items():
        before = ends.get(_carried(run.flow, region.entry))
        after = starts.get(_carrying(run.flow, region.exit))
        if before is None or after is None or before.module != after.module:
            continue
        module = evidence.modules[path]
        alike = any(
            evidence.modules[r.path].type == module.type and bridged(r, run)
            for r in known.values()
            if r.path in evidence.modules and below(r.path, path.rpartition(".")[0])
        )
        attends = next(questions(run.flow, region.nodes), None) is not None
        if alike and attends and keeps_shape(region, run) and not bridged(region, run):
            yield region


def _carried(flow: Flow, value: int) -> int:
    """The value that a branch starts from, in front of its normalisation."""
    while (node := flow.producer(value)) is not None and (is_norm(node) or name(node) in FORMS):
        value = node.inputs[0]
    return value


def _carrying(flow: Flow, value: int) -> int:
    """The value that goes on behind a layer, through changes of its form."""
    while len(flow.readers[value]) == 1:
        node = next(flow.reads(value))
        if name(node) not in FORMS or not node.outputs:
            break
        value = node.outputs[0]
    return value
