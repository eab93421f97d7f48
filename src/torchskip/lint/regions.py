"""What goes into a module and what comes out, as values of a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torchskip.graph import Graph, Node
from torchskip.lint.flow import Flow
from torchskip.lint.ops import is_layer

if TYPE_CHECKING:
    from torchskip.lint.passes import Pass

__all__ = [
    "Region",
    "below",
    "bridged",
    "keeps_shape",
    "region_of",
    "regions",
    "spanned",
]


@dataclass(frozen=True, slots=True)
class Region:
    """The operations of a module and of the modules in it."""

    path: str
    nodes: tuple[Node, ...]
    entry: int
    exit: int

    @property
    def layers(self) -> int:
        """How many operations of it hold weights."""
        return sum(map(is_layer, self.nodes))


def below(path: str, other: str) -> bool:
    """Whether a module path is the other, or lies in it."""
    return not other or path == other or path.startswith(other + ".")


def regions(graph: Graph, flow: Flow) -> dict[str, Region]:
    """The region of every module called once, with one value in and one out."""
    inside: dict[str, list[Node]] = {}
    for node in graph.nodes:
        path = node.module
        while True:
            inside.setdefault(path, []).append(node)
            if not path:
                break
            path = path.rpartition(".")[0]
    once = {m.path for m in graph.modules if m.calls == 1}
    found: dict[str, Region] = {}
    for path, nodes in inside.items():
        if path in once:
            # A layer shared with other blocks runs there too.
            region = _region(graph, flow, path, max(_runs(nodes), key=len))
            if region is not None:
                found[path] = region
    return found


def region_of(run: Pass, path: str) -> Region | None:
    """The region of the operations below a path, whether the module itself is called or not."""
    nodes = [n for n in run.graph.nodes if below(n.module, path)]
    return _region(run.graph, run.flow, path, nodes)


def _region(graph: Graph, flow: Flow, path: str, nodes: list[Node]) -> Region | None:
    outputs = set(graph.outputs)
    made = {v for n in nodes for v in n.outputs}
    own = {n.index for n in nodes}
    entering = list(dict.fromkeys(v for n in nodes for v in n.inputs if v not in made))
    leaving = [
        v for v in sorted(made) if v in outputs or any(r not in own for r in flow.readers[v])
    ]
    if not entering or not leaving or leaving[-1] not in flow.live:
        return None
    return Region(path, tuple(nodes), entering[0], leaving[-1])


def _runs(nodes: list[Node]) -> list[list[Node]]:
    """Operations that follow each other, cut where others ran between."""
    found: list[list[Node]] = []
    for node in nodes:
        if found and found[-1][-1].index + 1 == node.index:
            found[-1].append(node)
        else:
            found.append([node])
    return found


def keeps_shape(region: Region, run: Pass) -> bool:
    """Whether what leaves the region has the shape of what enters, and is another value."""
    sizes = run.flow.value(region.entry).shape
    same = sizes == run.flow.value(region.exit).shape
    return same and len(sizes) > 1 and region.entry != region.exit


def spanned(region: Region, run: Pass) -> bool:
    """Whether a sum spans exactly the region: its input is added to its result."""
    for skip in run.skips:
        if not skip.live or skip.merge != "add" or not _same(run, region.entry, skip.split):
            continue
        if below(run.graph.nodes[skip.join].module, region.path):
            return True
        if any(region.exit in arm.values for arm in skip.arms if arm.role == "branch"):
            return True
    return False


def bridged(region: Region, run: Pass) -> bool:
    """Whether any skip lies in the region, or leads around it from near or far."""
    for skip in run.skips:
        if not skip.live:
            continue
        if below(run.graph.nodes[skip.join].module, region.path):
            return True
        before = run.flow.depends(region.entry, skip.split)
        if not before and not _same(run, region.entry, skip.split):
            continue
        for arm in skip.arms:
            if arm.role == "branch" and run.flow.passes(skip.split, region.exit, arm.values[-1]):
                return True
    return False


def _same(run: Pass, one: int, other: int) -> bool:
    """Whether two values are one tensor, before and after a write in place."""
    return one == other or run.flow.value(one).memory == run.flow.value(other).memory
