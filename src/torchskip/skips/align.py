"""How far apart the centres of two arms are: where their axes' maps agree, they are aligned."""

from __future__ import annotations

from fractions import Fraction

from torchskip.skips.axes import Affine, State, fresh, through
from torchskip.skips.classify import Found
from torchskip.skips.flow import Flow
from torchskip.skips.ways import Route

__all__ = ["Alignments"]


class Alignments:
    """The distances between arms; the ways out of one value share the maps along them."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._known: dict[int, dict[int, State]] = {}

    def of(self, skip: Found) -> tuple[tuple[float, ...] | None, str]:
        """Return the distance of the arms' centres per axis in the split's pixels, and a note.

        Of several branches the farthest counts. The note tells when the arms' scales differ,
        where no distance exists. Where a map is missing, nothing is claimed.
        """
        rank = len(self._flow.graph.values[skip.split].shape)
        if skip.join.family == "gate" or rank < 3:
            return None, ""
        maps = [self._maps(route, rank) for route in skip.routes]
        short = maps[min(skip.shortcuts)]
        farthest = [Fraction(0)] * (rank - 2)
        for other in (m for i, m in enumerate(maps) if i not in skip.shortcuts):
            for place, (a, b) in enumerate(zip(short, other, strict=True)):
                if a is None or b is None:
                    return None, ""
                if a is b:
                    continue
                if a.scale != b.scale:
                    return None, f"the arms sample at different scales: {a.scale} and {b.scale}"
                farthest[place] = max(farthest[place], abs(a.start - b.start))
        return tuple(float(x) for x in farthest), ""

    def _maps(self, route: Route, rank: int) -> list[Affine | None]:
        """Return the map of every spatial axis of the split value at the end of a route."""
        values, flow = route.values, self._flow
        split = flow.graph.values[values[0]]
        known = self._known.get(split.index)
        if known is None:
            known = self._known[split.index] = {split.index: fresh(split.shape)}
        place = len(values) - 1
        while values[place] not in known:
            place -= 1
        state = known[values[place]]
        for i in range(place, len(route.nodes)):
            node = flow.graph.nodes[route.nodes[i]]
            state = known[values[i + 1]] = through(flow, node, values[i], values[i + 1], state)
        found = {
            run[0][1].axis: run[0][1] for run in state if len(run) == 1 and run[0][1] is not None
        }
        return [found.get(axis) for axis in range(2, rank)]
