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
    layer before, and all that this one read. Two layers may be so by accident, three are not.
    """
    for layer in _above(node.module):
        beside = [
            path
            for path, module in modules.items()
            if path != layer
            and path.rpartition(".")[0] == layer.rpartition(".")[0]
            and module.type == modules[layer].type
        ]
        before = _last(run.graph.nodes[: node.index], beside)
        region = region_of(run, before) if before else None
        if region is None:
            continue
        read, made = (run.flow.value(v).shape for v in (region.entry, region.exit))
        if len(read) != len(made) or len(read) < 2 or read[axis] + made[axis] != taken:
            continue
        series = {taken + made[axis], read[axis] - made[axis]}
        if any(_width(run, path) in series for path in beside if path != before):
            return Growth(layer, before, read[axis], made[axis])
    return None


def _above(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition(".")[0]


def _last(nodes: tuple[Node, ...], paths: list[str]) -> str:
    """The path of which an operation ran last; empty where none did."""
    runs = (path for node in reversed(nodes) for path in paths if below(node.module, path))
    return next(runs, "")


def _width(run: Pass, path: str) -> int:
    """The channels that a module's first layer takes; 0 without one."""
    shapes = (p.shape for p in run.graph.parameters if below(p.name, path) and p.shape)
    first = next(shapes, (0,))
    return first[min(1, len(first) - 1)]
