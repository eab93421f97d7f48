"""Layers built for a shortcut: by their names, and by the joins whose channels they have."""

from __future__ import annotations

from collections import Counter

from torchskip.lint.evidence import Evidence
from torchskip.lint.ops import ADDS, CONCATS, name
from torchskip.lint.vocabulary import may_project

__all__ = ["keep_arms", "named_for_sums", "pointwise"]


def pointwise(weight: tuple[int, ...]) -> bool:
    """Whether a convolution's weight is of size 1 along every axis."""
    return len(weight) > 2 and all(size == 1 for size in weight[2:])


def named_for_sums(evidence: Evidence, path: str, weights: list[tuple[int, ...]]) -> bool:
    """Whether layers named for shortcuts take an arm's channels to a sum's, each in a sum."""
    flow = evidence.eval.flow
    block, _, word = path.rpartition(".")
    ends = {
        (flow.value(v).shape[1:2], flow.value(n.outputs[0]).shape[1:2])
        for n in flow.graph.nodes
        if n.module == block and name(n) in ADDS and len(n.inputs) == 2 and n.outputs
        for v in n.inputs
    }
    return may_project(word) and all(((w[1],), (w[0],)) in ends for w in weights)


def keep_arms(evidence: Evidence, block: str, weights: list[tuple[int, ...]]) -> bool:
    """Whether several layers keep their channels, and joins of the block have an arm for each."""
    flow = evidence.eval.flow
    arms = Counter(
        flow.value(v).shape[1]
        for n in flow.graph.nodes
        if n.module == block and name(n) in ADDS | CONCATS
        for v in n.inputs
        if len(flow.value(v).shape) > 2
    )
    kept = [w[0] for w in weights if w[0] == w[1]]
    return len(kept) == len(weights) > 1 and not Counter(kept) - arms
