"""What the recorder writes down, turned into the frozen graph at the end."""

from __future__ import annotations

from typing import Any

import torch

from torchskip.graph import Constant, Node, Value
from torchskip.trace.locate import Call, Spot, source

__all__ = ["Draft", "Tape", "constant", "dtype_name"]


class Draft:
    """One operation before the graph is frozen."""

    __slots__ = (
        *("arguments", "call", "constants", "grad", "index", "learns"),
        *("inplace", "inputs", "op", "outputs", "spot", "view"),
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
        self.constants: list[Constant] = []
        self.inplace = False
        self.view = False  # makes no new memory
        self.grad = True
        self.learns = False  # a constant argument, such as a weight, carries a gradient


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
        """Note whether `value`, now read as `tensor`, carries a gradient.

        Where autograd is off, that says nothing: see `reveal`.
        """
        entry = self.entries[value]
        if entry.requires_grad is None and torch.is_grad_enabled():
            entry.requires_grad = tensor.requires_grad

    def reveal(self) -> None:
        """Tell the operations that autograd was only kept from seeing from those it cannot follow.

        A custom autograd function, a reentrant checkpoint and compiled TorchScript turn it off
        or work on detached tensors, and tie their results to their inputs themselves: these
        carry a gradient though nothing that made them does.
        """
        inside: set[int] = set()
        for draft in reversed(self.nodes):
            results = [self.entries[v] for v in draft.outputs]
            inputs = [self.entries[v] for _, v in draft.inputs]
            followed = draft.grad and (draft.learns or any(e.requires_grad for e in inputs))
            tied = not followed and any(e.requires_grad for e in results)
            if not tied and inside.isdisjoint(draft.outputs):
                continue
            draft.grad = True
            for (_, value), entry in zip(draft.inputs, inputs, strict=True):
                if not entry.requires_grad:
                    entry.requires_grad = None
                    inside.add(value)

    def producer(self, value: int) -> Draft | None:
        """Return the operation that made `value`."""
        index = self.entries[value].producer
        return None if index is None else self.nodes[index]

    def base(self, value: int | None) -> int | None:
        """Return what `value` is a view of."""
        return None if value is None else self.entries[value].base

    def prune(self) -> None:
        """Drop the views that nothing reads.

        Autograd makes detached ones to save results, and slice assignment leaves some behind.
        """
        used: set[int | None] = set(self.outputs)
        lost: set[int | None] = set()
        for draft in reversed(self.nodes):
            if draft.view and draft.outputs and used.isdisjoint(draft.outputs):
                lost.update(draft.outputs)
                draft.index = -1
            else:
                used.update([value for _, value in draft.inputs])
                used.update([self.entries[v].base for v in draft.outputs])
        if not lost:
            return
        values: dict[Any, Any] = {None: None}
        nodes: dict[Any, Any] = {None: None}
        values.update(
            (old, new)
            for new, old in enumerate(v for v in range(len(self.entries)) if v not in lost)
        )
        self.entries = [e for v, e in enumerate(self.entries) if v not in lost]
        self.nodes = [draft for draft in self.nodes if draft.index >= 0]
        for new, draft in enumerate(self.nodes):
            nodes[draft.index] = draft.index = new
            draft.inputs = [(place, values[v]) for place, v in draft.inputs]
            draft.outputs = [values[v] for v in draft.outputs]
        for entry in self.entries:
            entry.producer = nodes[entry.producer]
            entry.base, entry.previous = values[entry.base], values.get(entry.previous)
        self.inputs = [values[v] for v in self.inputs]
        self.outputs = [values[v] for v in self.outputs]

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
        inputs=tuple([value for _, value in draft.inputs]),
        outputs=tuple(draft.outputs),
        module=draft.call.path,
        module_type=draft.call.type,
        call=draft.call.number,
        arguments=draft.arguments,
        constants=tuple(draft.constants),
        source=source(draft.spot),
        inplace=draft.inplace,
        grad=draft.grad,
        places=tuple([place for place, _ in draft.inputs]),
    )


_dtype_names: dict[Any, str] = {}


def constant(place: str, tensor: torch.Tensor, names: tuple[str, ...]) -> Constant:
    """Describe a tensor argument that derives from the parameters `names` alone."""
    only = names[0] if len(names) == 1 else ""
    return Constant(place, tuple(tensor.shape), dtype_name(tensor.dtype), only, names)


def dtype_name(dtype: torch.dtype) -> str:
    """Return ``float32`` for ``torch.float32``."""
    name = _dtype_names.get(dtype)
    if name is None:
        name = _dtype_names[dtype] = str(dtype).removeprefix("torch.")
    return name
