"""Where the signal of a graph flows: ancestors of every value, and latest common ones.

An edge carries the signal unless its argument only controls what the operation does: masks
and indices, the denominator of a quotient, the sigmoid of a product (the gate). Nor does an
index or a mask carry the signal of the floats it was taken from (the code of a quantised
vector). Two relations follow: `signal` (without control edges) and `full` (with them).
Ancestors are bitsets held in Python integers, one bit per value, so that a latest common
ancestor is one `&`.
"""

from __future__ import annotations

from collections.abc import Iterable

from torchskip.graph import Graph, Node
from torchskip.skips.gating import Gate, gate_of
from torchskip.skips.ops import SPLITS, Role, base_name, role
from torchskip.skips.ways import Route, Ways

__all__ = ["Flow"]

_SIZES_RATIO = 1.5  # a padding or an unpadded kernel changes a map by less


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
        self.parting = [i for i, name in enumerate(self.names) if name in SPLITS or name == "slice"]
        self.producer = [v.producer for v in values]
        self.consumers: list[list[int]] = [[] for _ in values]
        for node in graph.nodes:
            for v in dict.fromkeys(node.inputs):
                self.consumers[v].append(node.index)
        self.gates: dict[int, Gate] = {}
        self.signals: list[tuple[int, ...]] = []
        for node in graph.nodes:
            self.signals.append(self._signals(node))
        self.signal, self.full = self._ancestors(full=False), self._ancestors(full=True)
        self.moves = [self._move(node) for node in graph.nodes]
        self._ways: dict[tuple[int, bool], Ways] = {}
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

    def sources(self, value: int, full: bool = False) -> tuple[int, ...]:
        """Return the values that `value` is made from (`full`: by control edges too)."""
        n = self.producer[value]
        if n is None:
            return ()
        if full:
            return self.graph.nodes[n].inputs
        if self._carries(value):
            return self.signals[n]
        return tuple(u for u in self.signals[n] if not self._carries(u))

    def _ancestors(self, full: bool) -> list[int]:
        found: list[int] = []
        for value in range(len(self.producer)):
            bits = 1 << value
            for source in self.sources(value, full):
                bits |= found[source]
            found.append(bits)
        return found

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
        ways = self._ways.get((split, full))
        if ways is None:
            ways = self._ways[split, full] = Ways(self, split, full)
        return [ways.to(arm) for arm in arms]

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
