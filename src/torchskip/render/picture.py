"""What the arc pictures draw, independent of SVG and HTML: one axis, the chain of steps.

Everything has a position on the chain (a float number of steps). A picture chooses only the
width of every step, so folding a stage moves no data: it compresses a part of the axis.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torchskip.graph import Graph, Kind, SkipPath
from torchskip.render.outline import Group, Outline, outline
from torchskip.render.palette import FINE, FINEST
from torchskip.render.terrain import Ground, terrain

__all__ = ["CELL", "LETTER", "PAGE", "Arc", "Picture", "picture", "shades", "widths"]

CELL = 13.0  # pixels of the narrowest cell: two digits of its label fit
LETTER = 6.3  # pixels of a mean letter at 11 px
_CONTAINERS = frozenset(("", "Sequential", "ModuleList", "ModuleDict"))
PAGE = 1160.0  # pixels of the chain, as wide as a page gets


@dataclass(frozen=True, slots=True)
class Arc:
    """One skip on the chain: strands from split positions to the join's position."""

    skip: int
    kind: Kind
    starts: tuple[float, ...]
    end: float
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """The chain, its ground, its arcs, and which groups are unfolded at first."""

    outline: Outline
    ground: tuple[Ground, ...]
    arcs: tuple[Arc, ...]
    unfolded: frozenset[Group]

    def texture(self, arc: Arc) -> str:
        """Return how fine the arc's lines are: dense nets have a great many strands."""
        strands = sum(len(other.starts) for other in self.arcs if other.kind == "dense")
        if arc.kind != "dense" or strands <= FINE:
            return ""
        return "fine" if strands <= FINEST else "finest"


def picture(graph: Graph, skips: Sequence[SkipPath]) -> Picture:
    """Lay the graph and its skips out on one axis."""
    chain = outline(graph, skips)
    arcs = tuple(_arc(graph, chain, number, skip) for number, skip in enumerate(skips))
    ground = terrain(graph, chain, skips)
    return Picture(chain, ground, arcs, _unfolded(chain.root, arcs))


def _arc(graph: Graph, chain: Outline, number: int, skip: SkipPath) -> Arc:
    failed = graph.failure is not None and graph.failure.node == skip.join
    end = chain.step_of[skip.join] + 0.5
    starts = {float(chain.after(graph, skip.split))}
    if skip.kind == "dense":
        # Every earlier layer feeds the concatenation; the last one is the chain itself.
        feeds = {float(chain.after(graph, arm.values[-1])) for arm in skip.arms if arm.values}
        starts |= feeds - {max(feeds, default=0.0)}
    return Arc(number, skip.kind, tuple(sorted(min(s, end) for s in starts)), end, failed)


def _unfolded(root: Group, arcs: Sequence[Arc]) -> frozenset[Group]:
    """Choose the groups that are open at first, level by level, while they fit on the page.

    Blocks of one type are opened all or none, so that like is treated alike.
    """
    opened = {root}
    room = PAGE - sum(map(_need, root.children))
    level = _holding(root.children, arcs) if root.children else {}
    while level:
        batches: dict[object, list[Group]] = {}
        for group in level:
            batches.setdefault(group if group.type in _CONTAINERS else group.type, []).append(group)
        chosen: list[Group] = []
        for batch in batches.values():
            if _cost(batch) <= room:
                room -= _cost(batch)
                chosen += batch
        opened.update(chosen)
        level = {
            child: held
            for group in chosen
            for child, held in _holding(group.children, level[group]).items()
        }
    return frozenset(opened)


def _cost(groups: Iterable[Group]) -> float:
    return sum(sum(map(_need, group.children)) - _need(group) for group in groups)


def _need(group: Group) -> float:
    """Return the pixels that a cell needs to be read: room for its label, up to a word."""
    return max(CELL, min(len(group.short), 6) * LETTER + 2)


def _holding(siblings: Sequence[Group], arcs: Sequence[Arc]) -> dict[Group, list[Arc]]:
    """Return the siblings worth opening, with the arcs that touch them.

    Worth opening is a stage, a list of like blocks in which arcs meet at two places, and any
    group in which they meet at four, its own edges apart: folded, it would hide which is which.
    A block of one or two skips reads better whole. Gates are parts of blocks and do not count.
    """
    firsts = [group.first for group in siblings]
    touched: dict[Group, tuple[list[Arc], set[float]]] = {}
    for arc in arcs:
        for place in {*arc.starts, arc.end} if arc.kind != "gate" else ():
            group = siblings[max(bisect_left(firsts, place) - 1, 0)]
            if group.children and group.first < place < group.last + 1:
                held, places = touched.setdefault(group, ([], set()))
                places.add(place)
                if not held or held[-1] is not arc:
                    held.append(arc)
    return {
        group: held
        for group, (held, places) in touched.items()
        if len(places) >= (2 if _is_stage(group, places) else 4)
    }


def _is_stage(group: Group, places: set[float]) -> bool:
    """Say whether two like children of the group hold a place each."""
    inside = sorted(places)
    types = [
        child.type
        for child in group.children
        if child.children
        and bisect_left(inside, child.first + 0.1) < len(inside)
        and inside[bisect_left(inside, child.first + 0.1)] <= child.last + 1
    ]
    return len(types) > len(set(types))


def widths(chain: Outline, unfolded: frozenset[Group], total: float = PAGE) -> tuple[float, ...]:
    """Return the width of every step when the chain is `total` pixels wide.

    A visible cell has room for its label plus the square root of its steps, shared by them.
    """
    weights = [0.0] * len(chain.steps)
    for cell in cells(chain.root, unfolded):
        for step in range(cell.first, cell.last + 1):
            weights[step] = (_need(cell) + 4 * cell.size**0.5) / cell.size
    scale = total / sum(weights) if weights else 0.0
    return tuple(weight * scale for weight in weights)


def cells(group: Group, unfolded: frozenset[Group]) -> list[Group]:
    """Return the groups that are visible as cells, left to right."""
    if group not in unfolded or not group.children:
        return [group]
    return [cell for child in group.children for cell in cells(child, unfolded)]


def shades(scene: Picture) -> tuple[int, ...]:
    """Return the shade of every step: the deepest of its visible cell, so that cells are calm."""
    return tuple(
        shade
        for cell in cells(scene.outline.root, scene.unfolded)
        for shade in [max(g.shade for g in scene.ground[cell.first : cell.last + 1])] * cell.size
    )
