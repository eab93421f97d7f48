"""One forward pass as rules see it."""

from __future__ import annotations

from functools import cached_property

from torchskip.graph import Graph, SkipPath
from torchskip.lint.flow import Flow
from torchskip.lint.regions import Region, regions
from torchskip.skips import find_skips

__all__ = ["Pass"]


class Pass:
    """One forward pass: its graph, the skips found in it, and its edges turned around."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    @cached_property
    def flow(self) -> Flow:
        """The graph with its edges turned around."""
        return Flow(self.graph)

    @cached_property
    def skips(self) -> tuple[SkipPath, ...]:
        """The skip connections of this pass."""
        return find_skips(self.graph)

    @cached_property
    def regions(self) -> dict[str, Region]:
        """What goes into every module called once, and what comes out."""
        return regions(self.graph, self.flow)

    @property
    def places(self) -> frozenset[tuple[object, ...]]:
        """Modules and lines of the operations."""
        return frozenset((node.module, node.source) for node in self.graph.nodes)
