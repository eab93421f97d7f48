"""Normalisations: torch's own operations, and modules that write one out by hand.

An RMSNorm or a LayerNorm of one's own is a handful of operations: statistics of the input over
some axes, and the input divided by them.
"""

from __future__ import annotations

from torchskip.graph import Node
from torchskip.lint.evidence import Pass
from torchskip.lint.ops import PRODUCTS, is_layer, is_norm, name
from torchskip.skips.ops import role

__all__ = ["Norms"]

_ROOTS = frozenset({"rsqrt", "sqrt", "pow", "norm", "linalg_vector_norm", "std", "std_mean"})


class Norms:
    """The normalisations of one pass, each known by the node that makes its result."""

    def __init__(self, run: Pass) -> None:
        self._entries: dict[int, int] = {}
        self._parts: dict[int, int] = {}
        calls: dict[tuple[str, int], list[Node]] = {}
        for node in run.graph.nodes:
            if is_norm(node) and node.inputs:
                self._entries[node.index] = node.inputs[0]
                self._parts[node.index] = node.index
            calls.setdefault((node.module, node.call), []).append(node)
        for nodes in calls.values():
            self._written(run, nodes)

    def _written(self, run: Pass, nodes: list[Node]) -> None:
        """Notes a module's call whose operations are a normalisation and nothing else."""
        flow = run.flow
        kinds = {name(n) for n in nodes}
        if not nodes[0].module or not kinds & _ROOTS or not kinds & PRODUCTS:
            return
        if not any(role(n) == "reduce" for n in nodes) or any(is_layer(n) for n in nodes):
            return
        own = {n.index for n in nodes}
        made = {v for n in nodes for v in n.outputs}
        entering = {v for n in nodes for v in n.inputs} - made
        leaving = {
            v for v in made if v in flow.graph.outputs or not own.issuperset(flow.readers[v])
        }
        if len(entering) != 1 or len(leaving) != 1:
            return
        entry, result = entering.pop(), leaving.pop()
        last = flow.producer(result)
        if last is not None and flow.value(entry).shape == flow.value(result).shape:
            self._entries[last.index] = entry
            self._parts.update((n.index, last.index) for n in nodes)

    def entry(self, node: Node | None) -> int | None:
        """The value that the node's normalisation reads; None where it is the end of none."""
        return None if node is None else self._entries.get(node.index)

    def end(self, node: Node) -> int | None:
        """Index of the node that ends the normalisation this one is part of."""
        return self._parts.get(node.index)
