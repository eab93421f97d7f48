"""How far apart the centres of two arms are: where their axes' maps agree, they are aligned."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from torchskip.skips.axes import Affine, State, fresh, through
from torchskip.skips.classify import Found
from torchskip.skips.flow import Flow
from torchskip.skips.ways import Route

__all__ = ["Alignments", "Apart"]


@dataclass(frozen=True, slots=True)
class Apart:
    """How far two arms are apart, in the split's pixels: `distance` per axis, the same everywhere.

    Where the arms' scales differ it changes from pixel to pixel: then it is None, `drift` is the
    farthest it gets, and `note` tells. Where a map is missing, nothing is claimed.
    """

    distance: tuple[float, ...] | None = None
    drift: float | None = None
    note: str = ""


class Alignments:
    """The distances between arms.

    The ways out of one value share the maps along them. Those of the last value asked for are
    kept: the joins of a dense block follow one another.
    """

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._split = -1
        self._known: dict[int, State] = {}

    def of(self, skip: Found) -> Apart:
        """Return the distance of the arms' centres; of several branches the farthest counts."""
        rank = len(self._flow.graph.values[skip.split].shape)
        if skip.join.family == "gate" or rank < 3:
            return Apart()
        maps = [self._maps(route, rank) for route in skip.routes]
        short = maps[min(skip.shortcuts)]
        farthest = [Fraction(0)] * (rank - 2)
        for other in (m for i, m in enumerate(maps) if i not in skip.shortcuts):
            for place, (a, b) in enumerate(zip(short, other, strict=True)):
                if a is None or b is None:
                    return Apart()
                if a is b:
                    continue
                if a.scale != b.scale and len({self._size(v, place + 2) for v in skip.arms}) > 1:
                    return Apart()  # the arms do not meet
                if a.scale != b.scale:
                    last = self._flow.graph.values[skip.arms[0]].shape[place + 2] - 1
                    first = a.start - b.start
                    most = float(max(abs(first), abs(first + (a.scale - b.scale) * last)))
                    scales = f"the arms sample at different scales: {a.scale} and {b.scale}"
                    return Apart(drift=most, note=f"{scales}, up to {most:.3g} pixels apart")
                farthest[place] = max(farthest[place], abs(a.start - b.start))
        return Apart(tuple(float(x) for x in farthest))

    def _size(self, value: int, axis: int) -> int:
        shape = self._flow.graph.values[value].shape
        return shape[axis] if axis < len(shape) else 0

    def _maps(self, route: Route, rank: int) -> list[Affine | None]:
        """Return the map of every spatial axis of the split value at the end of a route."""
        values, flow = route.values, self._flow
        split = flow.graph.values[values[0]]
        if split.index != self._split:
            self._split, self._known = split.index, {split.index: fresh(split.shape)}
        known = self._known
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
