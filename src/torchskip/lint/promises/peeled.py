"""Streams from which every block takes its part off, but for the first block's part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torchskip.graph import Node
from torchskip.lint.evidence import Evidence
from torchskip.lint.regions import below

__all__ = ["Peel", "unpeeled"]


@dataclass(frozen=True, slots=True)
class Peel:
    """The block whose result became the stream, what it read, and the first subtraction."""

    block: str
    entry: int
    result: int
    first: Node


def unpeeled(evidence: Evidence) -> Iterator[Peel]:
    """First blocks whose result is the stream itself, where their equals' results are taken off it.

    ``r = f(x)`` and then ``r = r - g(r)`` of doubly residual stacks and residual quantisers.
    """
    run = evidence.eval
    flow, graph = run.flow, run.graph
    taken = [s for s in run.skips if s.merge == "sub" and s.kind == "identity"]
    known = run.regions
    blocks = {
        path: region
        for path, region in known.items()
        if path and region.layers and evidence.modules[path].source is not None
    }
    for first in taken:
        join = graph.nodes[first.join]
        going = any(s.split in join.outputs for s in taken)
        shape = flow.value(first.split).shape
        maker = flow.producer(first.split)
        if not going or maker is None or join.inputs[:1] != (first.split,):
            continue
        inner = {n.module for n in flow.nodes_between(first.split, join.inputs[-1])}
        for path, region in blocks.items():
            kind = evidence.modules[path].type
            same = any(
                evidence.modules[other].type == kind and all(below(m, other) for m in inner)
                for other in blocks
                if other != path
            )
            made = below(maker.module, path) and flow.value(region.entry).shape == shape
            if same and made and flow.depends(first.split, region.entry):
                yield Peel(path, region.entry, first.split, join)
                break
