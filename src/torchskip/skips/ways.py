"""The longest ways (in layers) from one value to those that come from it.

They are found in one sweep over the values after it, which are in the order of the run, and
kept: the dozens of arms that leave one value for the joins of a dense block share it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torchskip.skips.flow import Flow

__all__ = ["Route", "Ways"]


@dataclass(frozen=True, slots=True)
class Route:
    """The longest way from one value to another.

    `layers` is its number of layers, `products` that of products of two signals, `pools` of
    poolings, `resizes` of resizes, strided slices and channel paddings, `reductions` of means
    and the like. `bends` says that some way between the two goes down in resolution and up
    again, `climbs` that some way goes up, `detached` that no gradient comes back along this one.
    """

    values: tuple[int, ...]
    nodes: tuple[int, ...]
    layers: int
    products: int
    pools: int
    resizes: int
    reductions: int
    bends: bool
    climbs: bool
    detached: bool

    @property
    def depth(self) -> int:
        """Layers, a bare pooling or resize counting as one: 0 is an identity."""
        return (self.layers + self.products) or min(1, self.pools + self.resizes + self.reductions)


class _Step(NamedTuple):
    """The best way found to one value: its counts and the value before it."""

    layers: int = 0
    products: int = 0
    pools: int = 0
    resizes: int = 0
    reductions: int = 0
    length: int = 0
    before: int = -1
    down: bool = False
    bends: bool = False
    climbs: bool = False
    detached: bool = False

    @property
    def score(self) -> tuple[int, int, int, int]:
        """What the longest way has most of."""
        bare = self.pools + self.resizes + self.reductions
        return self.layers, self.products, bare, self.length


class Ways:
    """All ways out of `split`, along signal edges or (`full`) along control edges too."""

    def __init__(self, flow: Flow, split: int, full: bool) -> None:
        self._flow = flow
        self._split = split
        self._full = full
        self._steps = {split: _Step()}
        self._swept = split + 1  # values before it have their step, if they come from the split
        self._routes: dict[int, Route] = {}

    def to(self, arm: int) -> Route:
        """Return the longest way to `arm`, which comes from the split."""
        route = self._routes.get(arm)
        if route is None:
            self._sweep(arm + 1)
            route = self._routes[arm] = self._route(arm)
        return route

    def _sweep(self, end: int) -> None:
        steps = self._steps
        for value in range(self._swept, end):
            reached = [u for u in self._flow.sources(value, self._full) if u in steps]
            if reached:
                steps[value] = self._step(value, reached)
        self._swept = max(self._swept, end)

    def _step(self, value: int, sources: list[int]) -> _Step:
        """Go on to `value` from the deepest of its sources."""
        flow, steps = self._flow, self._steps
        n = flow.producer[value]
        assert n is not None  # noqa: S101 - a value after the split was made by a node
        kind, move = flow.roles[n], flow.moves[n]
        before = max(sources, key=lambda u: steps[u].score)
        best = steps[before]
        down = bends = climbs = False
        for source in sources:
            step = steps[source]
            down, bends, climbs = down or step.down, bends or step.bends, climbs or step.climbs
        return _Step(
            best.layers + (kind == "layer"),
            best.products + flow.products[n],
            best.pools + (kind == "pool"),
            best.resizes + (kind == "resize" or flow.resamples(n)),
            best.reductions + (kind == "reduce"),
            best.length + 1,
            before,
            down or move < 0,
            bends or (down and move > 0),
            climbs or move > 0,
            best.detached or self._stops(value, n),
        )

    def _stops(self, value: int, n: int) -> bool:
        graph = self._flow.graph
        start, end = graph.values[self._split], graph.values[value]
        lost = start.requires_grad is not False and end.requires_grad is False
        return lost or (graph.grad and not graph.nodes[n].grad)

    def _route(self, arm: int) -> Route:
        values, nodes = [arm], []
        while values[-1] != self._split:
            n = self._flow.producer[values[-1]]
            assert n is not None  # noqa: S101
            nodes.append(n)
            values.append(self._steps[values[-1]].before)
        last = self._steps[arm]
        return Route(
            tuple(reversed(values)),
            tuple(reversed(nodes)),
            last.layers,
            last.products,
            last.pools,
            last.resizes + self._widens(arm, nodes),
            last.reductions,
            last.bends,
            last.climbs,
            last.detached,
        )

    def _widens(self, arm: int, nodes: list[int]) -> bool:
        """Whether a way pads channels, maybe on an axis it moved them to: more are at its end."""
        before, after = (self._flow.graph.values[v].shape for v in (self._split, arm))
        padded = any(self._flow.names[n] == "constant_pad_nd" for n in nodes)
        return padded and 2 < len(before) == len(after) and before[1] < after[1]
