"""Dense blocks without their concatenation: layers as wide as all before them, that read less."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torchskip.graph import Module, Node
from torchskip.lint.passes import Pass
from torchskip.lint.regions import below, region_of

__all__ = ["Growth", "growth"]


@dataclass(frozen=True, slots=True)
class Growth:
    """A layer that takes what the one before it reads and gives, together."""

    layer: str
    before: str
    read: int
    made: int


def growth(
    run: Pass, node: Node, modules: Mapping[str, Module], taken: int, axis: int
) -> Growth | None:
    """The layer that fails for its input's width and the one of its kind before it, if it is so.

    In a dense block of growth rate `g`, layer `i` takes ``base + i * g`` channels: the `g` of the
    layer before, and all that this one read.
    """
    for layer in _above(node.module):
        before = _before(run, node, modules, layer)
        region = region_of(run, before) if before else None
        if region is None:
            continue
        read, made = (run.flow.value(v).shape for v in (region.entry, region.exit))
        if len(read) == len(made) > 1 and read[axis] + made[axis] == taken:
            return Growth(layer, before, read[axis], made[axis])
    return None


def _above(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition(".")[0]


def _before(run: Pass, node: Node, modules: Mapping[str, Module], layer: str) -> str:
    """The last module beside the layer, of its class, that ran before the node; empty if none."""
    beside = [
        path
        for path, module in modules.items()
        if path != layer
        and path.rpartition(".")[0] == layer.rpartition(".")[0]
        and module.type == modules[layer].type
    ]
    for earlier in reversed(run.graph.nodes[: node.index]):
        for path in beside:
            if below(earlier.module, path):
                return path
    return ""
