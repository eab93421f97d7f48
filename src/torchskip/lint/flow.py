"""Questions that rules ask of a graph: who reads a value, what reaches an output, which way.

Everything is computed once per graph and linear in its size; sets of values are bit masks.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from math import prod

from torchskip.graph import Graph, Node, Value

__all__ = ["Flow", "products"]


class Flow:
    """A graph with its edges turned around."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    @cached_property
    def readers(self) -> tuple[tuple[int, ...], ...]:
        """Nodes that read each value, in order."""
        found: list[list[int]] = [[] for _ in self.graph.values]
        for node in self.graph.nodes:
            for value in dict.fromkeys(node.inputs):
                found[value].append(node.index)
        return tuple(tuple(nodes) for nodes in found)

    @cached_property
    def live(self) -> frozenset[int]:
        """Values from which an output can be reached.

        A failed forward has no outputs: then whatever the last operation reads is live.
        """
        graph = self.graph
        ends = graph.outputs or (graph.nodes[-1].inputs if graph.nodes else ())
        seen: set[int] = set()
        todo = list(ends)
        while todo:
            value = todo.pop()
            if value in seen:
                continue
            seen.add(value)
            producer = graph.values[value].producer
            if producer is not None:
                todo.extend(graph.nodes[producer].inputs)
        return frozenset(seen)

    @cached_property
    def ancestors(self) -> tuple[int, ...]:
        """For each value, the bit mask of the values it was computed from, itself included."""
        masks: list[int] = []
        for value in self.graph.values:
            mask = 1 << value.index
            if value.producer is not None:
                for source in self.graph.nodes[value.producer].inputs:
                    mask |= masks[source]
            masks.append(mask)
        return tuple(masks)

    @cached_property
    def cut(self) -> int:
        """Bit mask of the values that autograd does not follow to what they were made of."""
        mask = 0
        for value in self.graph.values:
            made = self.producer(value.index)
            if made is not None and (value.requires_grad is False or not made.grad):
                mask |= 1 << value.index
        return mask

    def producer(self, value: int) -> Node | None:
        """The node that made a value."""
        index = self.graph.values[value].producer
        return None if index is None else self.graph.nodes[index]

    def value(self, index: int) -> Value:
        """The value of an index."""
        return self.graph.values[index]

    def reads(self, value: int) -> Iterator[Node]:
        """Nodes that read a value, in order."""
        for index in self.readers[value]:
            yield self.graph.nodes[index]

    def depends(self, value: int, on: int) -> bool:
        """Whether a value was computed from another."""
        return bool(self.ancestors[value] >> on & 1)

    def downstream(self, start: int) -> frozenset[int]:
        """Values computed from a value, itself included."""
        seen = {start}
        for node in self.graph.nodes:
            if not seen.isdisjoint(node.inputs):
                seen.update(node.outputs)
        return frozenset(seen)

    def passes(self, start: int, value: int, end: int) -> bool:
        """Whether a value is `between` two others, found without the others there."""
        return all(a == b or self.depends(b, a) for a, b in ((start, value), (value, end)))

    def between(self, start: int, end: int) -> frozenset[int]:
        """Values on any way from a value to another, both included; empty when there is none."""
        on_way: dict[int, bool] = {start: True}
        todo = [end]
        while todo:
            value = todo[-1]
            if value in on_way:
                todo.pop()
                continue
            node = self.producer(value)
            sources = [] if node is None else [s for s in node.inputs if self.depends(s, start)]
            waiting = [s for s in sources if s not in on_way]
            if waiting:
                todo.extend(waiting)
                continue
            on_way[value] = any(on_way[s] for s in sources)
            todo.pop()
        return frozenset(v for v, on in on_way.items() if on) if on_way[end] else frozenset()

    def carries(self, start: int, end: int) -> bool:
        """Whether autograd brings a gradient back from a value to another it was computed from."""
        if self.value(start).requires_grad is False:
            return False
        seen: set[int] = set()
        todo = [end]
        while todo:
            value = todo.pop()
            if value == start:
                return True
            node = self.producer(value)
            if value in seen or node is None or not self.depends(value, start):
                continue
            seen.add(value)
            if node.grad and self.value(value).requires_grad is not False:
                todo.extend(node.inputs)
        return False

    def nodes_between(self, start: int, end: int) -> tuple[Node, ...]:
        """Operations on any way from a value to another, in order."""
        values = self.between(start, end) - {start}
        found = {self.graph.values[v].producer for v in values}
        return tuple(self.graph.nodes[i] for i in sorted(i for i in found if i is not None))

    def longest(self, start: int, end: int) -> tuple[tuple[Node, int], ...]:
        """Operations of one longest way from a value to another, each with its result."""
        if start == end:
            return ()
        values = self.between(start, end)
        best: dict[int, tuple[int, int]] = {start: (0, start)}
        for value in sorted(values - {start}):
            node = self.producer(value)
            if node is not None:
                known = [(best[s][0] + 1, s) for s in node.inputs if s in best]
                if known:
                    best[value] = max(known)
        steps: list[tuple[Node, int]] = []
        value = end
        while value != start and value in best:
            node = self.producer(value)
            assert node is not None  # noqa: S101 - only `start` may lack a producer here
            steps.append((node, value))
            value = best[value][1]
        return tuple(reversed(steps))


def products(graph: Graph) -> int:
    """How many multiplications the convolutions and linear layers of a pass take."""
    count = 0
    for node in graph.nodes:
        weight = next((c.shape for c in node.constants if len(c.shape) > 1 and c.names), None)
        if weight is None or not node.outputs:
            continue
        out = graph.values[node.outputs[0]].shape
        channels = out[1] if len(weight) > 2 else out[-1]
        count += prod(out) // max(channels, 1) * prod(weight)
    return count
