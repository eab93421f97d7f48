"""Where the signal of a graph flows: ancestors of every value, and longest paths.

An edge carries the signal unless its argument only controls what the operation does: masks
and indices, the denominator of a quotient, the sigmoid of a product (the gate). Two relations
follow: `signal` (without control edges) and `full` (with them). Ancestors are bitsets held in
Python integers, one bit per value, so that a latest common ancestor is one `&`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torchskip.graph import Graph, Node
from torchskip.skips.gating import Gate, gate_of
from torchskip.skips.ops import Role, base_name, role

__all__ = ["Flow", "Route"]

_SIZES_RATIO = 1.5  # a padding or an unpadded kernel changes a map by less


@dataclass(frozen=True, slots=True)
class Route:
    """The longest way from one value to another.

    `layers` is its number of layers, `products` that of products of two signals, `pools` of
    poolings, `resizes` of resizes, strided slices and channel paddings, `reductions` of means
    and the like. `bends` says that some way between the two goes down in resolution and up
    again, `climbs` that some way goes up.
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

    @property
    def depth(self) -> int:
        """Layers, a bare pooling or resize counting as one: 0 is an identity."""
        return (self.layers + self.products) or min(1, self.pools + self.resizes + self.reductions)


@dataclass(slots=True)
class _Step:
    """The best way found to one value: its score and the value before it."""

    layers: int
    products: int
    pools: int
    resizes: int
    reductions: int
    length: int
    before: int
    down: bool
    bends: bool
    climbs: bool


class Flow:
    """Reads a graph once; answers questions about ways between its values."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        buffers = frozenset(p.name for p in graph.parameters if p.buffer)
        values = graph.values
        self.names = [base_name(node.op) for node in graph.nodes]
        self.roles: list[Role] = [
            "resize" if self._gathers(node) else role(node, buffers) for node in graph.nodes
        ]
        self.producer = [v.producer for v in values]
        self.consumers: list[list[int]] = [[] for _ in values]
        for node in graph.nodes:
            for v in dict.fromkeys(node.inputs):
                self.consumers[v].append(node.index)
        self.gates: dict[int, Gate] = {}
        self.signals: list[tuple[int, ...]] = []
        for node in graph.nodes:
            self.signals.append(self._signals(node))
        self.signal, self.full = self._ancestors()
        self.moves = [self._move(node) for node in graph.nodes]
        self.products = [
            name == "mul" and len(self.signals[i]) > 1 for i, name in enumerate(self.names)
        ]

    # ---- edges

    def _signals(self, node: Node) -> tuple[int, ...]:
        """Return the inputs of `node` that carry its signal."""
        inputs = tuple(dict.fromkeys(node.inputs))
        if len(inputs) < 2:
            return inputs
        name = self.names[node.index]
        places = node.places or ("",) * len(node.inputs)
        first = [v for v, p in zip(node.inputs, places, strict=False) if p == "self"]
        if name in ("div", "floor_divide", "remainder") and first:
            return (first[0],)
        if name in ("lerp", "where"):
            arms = [
                v
                for v, p in zip(node.inputs, places, strict=False)
                if p not in ("weight", "condition")
            ]
            if len(arms) > 1:
                return tuple(dict.fromkeys(arms))
        if name == "mul":
            gate = gate_of(self, node)
            if gate is not None:
                self.gates[node.index] = gate
                return (gate.main,)
        kept = tuple(v for v in inputs if self._carries(v))
        return kept or inputs

    def _gathers(self, node: Node) -> bool:
        """Whether an index picks positions of a map: nearest interpolation, taken apart."""
        if self.names[node.index] not in ("index", "_unsafe_index") or not node.outputs:
            return False
        before = self.graph.values[node.inputs[0]].shape
        after = self.graph.values[node.outputs[0]].shape
        return 2 < len(before) == len(after) and before[:2] == after[:2] and before != after

    def _carries(self, value: int) -> bool:
        return not self.graph.values[value].dtype.startswith(("bool", "int", "uint"))

    def _ancestors(self) -> tuple[list[int], list[int]]:
        signal = [0] * len(self.graph.values)
        full = [0] * len(self.graph.values)
        for v in range(len(signal)):
            n = self.producer[v]
            bits = everything = 1 << v
            if n is not None:
                for u in self.signals[n]:
                    bits |= signal[u]
                for u in self.graph.nodes[n].inputs:
                    everything |= full[u]
            signal[v], full[v] = bits, everything
        return signal, full

    def _move(self, node: Node) -> int:
        """Return -1 where `node` lowers the resolution, 1 where it raises it, else 0."""
        if not node.inputs or not node.outputs:
            return 0
        name, index = self.names[node.index], node.index
        before = self.graph.values[node.inputs[0]].shape
        after = self.graph.values[node.outputs[0]].shape
        if name == "slice":
            return -1 if _number(node.argument("step", 1)) > 1 else 0
        if self.roles[index] not in ("layer", "pool", "resize") or len(before) != len(after):
            return 0
        if len(before) < 3 or name.startswith(("adaptive", "_adaptive")):
            return 0  # an adaptive pooling makes a fixed grid: it has no stride
        if name not in ("pixel_shuffle", "pixel_unshuffle", "repeat_interleave") and (
            self.roles[index] == "layer" and "conv" not in name
        ):
            return 0
        pairs = [(a, b) for a, b in zip(before[2:], after[2:], strict=True) if a and b]
        if any(a >= _SIZES_RATIO * b for a, b in pairs):
            return -1
        return 1 if any(b >= _SIZES_RATIO * a for a, b in pairs) else 0

    # ---- questions

    def split(self, arms: Iterable[int], full: Iterable[int] = ()) -> int | None:
        """Return the latest value that all arms come from (`full`: control edges count too)."""
        common = -1
        for v in arms:
            common &= self.signal[v]
        for v in full:
            common &= self.full[v]
        return common.bit_length() - 1 if common > 0 else None

    def between(self, split: int, value: int, full: bool = False) -> bool:
        """Whether `value` comes from `split`."""
        return bool((self.full if full else self.signal)[value] >> split & 1)

    def routes(self, split: int, arms: Iterable[int], full: bool = False) -> list[Route]:
        """Return the longest way (in layers) from `split` to each of `arms`."""
        steps: dict[int, _Step] = {split: _Step(0, 0, 0, 0, 0, 0, -1, False, False, False)}
        return [self._route(split, arm, steps, full) for arm in arms]

    def _sources(self, value: int, full: bool) -> tuple[int, ...]:
        n = self.producer[value]
        if n is None:
            return ()
        return self.graph.nodes[n].inputs if full else self.signals[n]

    def _route(self, split: int, arm: int, steps: dict[int, _Step], full: bool) -> Route:
        bits = self.full if full else self.signal
        stack = [arm]
        while stack:
            v = stack[-1]
            if v in steps:
                stack.pop()
                continue
            sources = [u for u in self._sources(v, full) if bits[u] >> split & 1]
            missing = [u for u in sources if u not in steps]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            steps[v] = self._step(v, sources, steps)
        return self._walk(split, arm, steps)

    def _step(self, value: int, sources: list[int], steps: dict[int, _Step]) -> _Step:
        n = self.producer[value]
        assert n is not None  # noqa: S101 - a value after the split was made by a node
        kind, move = self.roles[n], self.moves[n]
        best = max(
            (steps[u] for u in sources),
            key=lambda s: (s.layers, s.products, s.pools + s.resizes + s.reductions, s.length),
        )
        before = next(u for u in sources if steps[u] is best)
        down = any(steps[u].down for u in sources)
        return _Step(
            best.layers + (kind == "layer"),
            best.products + self.products[n],
            best.pools + (kind == "pool"),
            best.resizes + (kind == "resize" or self.resamples(n)),
            best.reductions + (kind == "reduce"),
            best.length + 1,
            before,
            down or move < 0,
            any(steps[u].bends for u in sources) or (down and move > 0),
            any(steps[u].climbs for u in sources) or move > 0,
        )

    def _walk(self, split: int, arm: int, steps: dict[int, _Step]) -> Route:
        values, nodes = [arm], []
        v = arm
        while v != split:
            n = self.producer[v]
            assert n is not None  # noqa: S101
            nodes.append(n)
            v = steps[v].before
            values.append(v)
        values.reverse()
        nodes.reverse()
        last = steps[arm]
        return Route(
            tuple(values),
            tuple(nodes),
            last.layers,
            last.products,
            last.pools,
            last.resizes,
            last.reductions,
            last.bends,
            last.climbs,
        )

    def resamples(self, n: int) -> bool:
        """Whether node `n` skips positions or invents channels: a strided slice, a padding."""
        node, name = self.graph.nodes[n], self.names[n]
        if name == "slice":
            return _number(node.argument("step", 1)) > 1
        if name == "constant_pad_nd" and node.outputs:
            before = self.graph.values[node.inputs[0]].shape
            after = self.graph.values[node.outputs[0]].shape
            return len(before) > 2 and before[1] != after[1]
        if name == "cat" and node.outputs:  # zeros beside the channels (He 2015, option A)
            wide = len(self.graph.values[node.outputs[0]].shape) > 3
            return wide and len(set(node.inputs)) == 1 and bool(node.constants)
        return False


def _number(value: object) -> int:
    return value if isinstance(value, int) else 1
