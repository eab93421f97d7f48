"""What the recorder writes down, turned into the frozen graph at the end."""

from __future__ import annotations

from typing import Any

import torch

from torchskip.graph import Constant, Node, Value
from torchskip.trace.locate import Call, Spot, source

__all__ = ["Draft", "Tape"]


class Draft:
    """One operation before the graph is frozen."""

    __slots__ = (
        *("arguments", "call", "constants", "grad", "index"),
        *("inplace", "inputs", "op", "outputs", "spot"),
    )

    def __init__(
        self, op: str, inputs: list[tuple[str, int]], call: Call, spot: Spot | None
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.call = call
        self.spot = spot
        self.index = -1
        self.outputs: list[int] = []
        self.arguments: tuple[tuple[str, object], ...] = ()
        self.constants: list[tuple[str, tuple[int, ...], torch.dtype, tuple[str, ...]]] = []
        self.inplace = False
        self.grad = True


class _Entry:
    """One value before the graph is frozen."""

    __slots__ = (
        "base",
        "dtype",
        "memory",
        "name",
        "previous",
        "producer",
        "requires_grad",
        "shape",
    )

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, memory: int) -> None:
        self.shape = shape
        self.dtype = dtype
        self.memory = memory
        self.producer: int | None = None
        self.base: int | None = None
        self.previous: int | None = None
        self.name = ""
        self.requires_grad: bool | None = None


class Tape:
    """Nodes and values in the order of the run."""

    def __init__(self) -> None:
        self.nodes: list[Draft] = []
        self.entries: list[_Entry] = []
        self.inputs: list[int] = []
        self.outputs: list[int] = []
        self.output_names: list[str] = []

    def node(self, draft: Draft) -> int:
        """Append `draft` and return its index."""
        draft.index = len(self.nodes)
        self.nodes.append(draft)
        return draft.index

    def value(
        self,
        tensor: torch.Tensor,
        producer: int | None,
        memory: int,
        *,
        base: int | None = None,
        previous: int | None = None,
        name: str = "",
    ) -> int:
        """Append a value with the shape and type of `tensor` and return its index."""
        entry = _Entry(tuple(tensor.shape), tensor.dtype, memory)
        entry.producer, entry.base, entry.previous, entry.name = producer, base, previous, name
        index = len(self.entries)
        self.entries.append(entry)
        if producer is not None:
            self.nodes[producer].outputs.append(index)
        return index

    def read(self, value: int, tensor: torch.Tensor) -> None:
        """Note whether `value`, now read as `tensor`, carries a gradient."""
        entry = self.entries[value]
        if entry.requires_grad is None:
            entry.requires_grad = tensor.requires_grad

    def producer(self, value: int) -> Draft | None:
        """Return the operation that made `value`."""
        index = self.entries[value].producer
        return None if index is None else self.nodes[index]

    def base(self, value: int | None) -> int | None:
        """Return what `value` is a view of."""
        return None if value is None else self.entries[value].base

    def prune(self) -> None:
        """Drop the detached copies that nobody reads: autograd makes them to save a result."""
        used = set(self.outputs)
        for draft in self.nodes:
            used.update(value for _, value in draft.inputs)
        used.update(e.base for e in self.entries if e.base is not None)
        used.update(e.previous for e in self.entries if e.previous is not None)
        kept = [
            draft
            for draft in self.nodes
            if draft.op != "aten.detach.default" or not used.isdisjoint(draft.outputs)
        ]
        if len(kept) == len(self.nodes):
            return
        lost = {v for d in self.nodes if d.op == "aten.detach.default" for v in d.outputs} - used
        number: dict[int | None, int | None] = {None: None}
        entries = []
        for index, entry in enumerate(self.entries):
            if index not in lost:
                number[index] = len(entries)
                entries.append(entry)
        places: dict[int | None, int | None] = {None: None}
        for new, draft in enumerate(kept):
            places[draft.index] = draft.index = new
            draft.inputs = [(place, number[v]) for place, v in draft.inputs]  # type: ignore[misc]
            draft.outputs = [number[v] for v in draft.outputs]  # type: ignore[misc]
        for entry in entries:
            entry.producer = places[entry.producer]
            entry.base, entry.previous = number[entry.base], number[entry.previous]
        self.nodes, self.entries = kept, entries
        self.inputs = [number[v] for v in self.inputs]  # type: ignore[misc]
        self.outputs = [number[v] for v in self.outputs]  # type: ignore[misc]

    def frozen_nodes(self) -> tuple[Node, ...]:
        """Return the nodes of the graph."""
        return tuple(_node(draft) for draft in self.nodes)

    def frozen_values(self) -> tuple[Value, ...]:
        """Return the values of the graph."""
        return tuple(
            Value(
                index,
                entry.shape,
                dtype_name(entry.dtype),
                entry.producer,
                entry.memory,
                entry.base,
                entry.previous,
                entry.name,
                entry.requires_grad,
            )
            for index, entry in enumerate(self.entries)
        )


def _node(draft: Draft) -> Node:
    return Node(
        index=draft.index,
        op=draft.op,
        inputs=tuple(value for _, value in draft.inputs),
        outputs=tuple(draft.outputs),
        module=draft.call.path,
        module_type=draft.call.type,
        call=draft.call.number,
        arguments=draft.arguments,
        constants=tuple(
            Constant(place, shape, dtype_name(dtype), names[0] if len(names) == 1 else "", names)
            for place, shape, dtype, names in draft.constants
        ),
        source=source(draft.spot),
        inplace=draft.inplace,
        grad=draft.grad,
        places=tuple(place for place, _ in draft.inputs),
    )


_dtype_names: dict[Any, str] = {}


def dtype_name(dtype: torch.dtype) -> str:
    """Return ``float32`` for ``torch.float32``."""
    name = _dtype_names.get(dtype)
    if name is None:
        name = _dtype_names[dtype] = str(dtype).removeprefix("torch.")
    return name
