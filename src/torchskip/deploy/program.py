"""A captured graph in the form that the fusing passes work on, and its two first passes."""

from __future__ import annotations

import operator
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx
from torch._ops import OpOverload

__all__ = ["Event", "Program", "aten", "fold_constants", "is_op", "make_pure", "viewing", "writing"]

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Event:
    """What one pass did, or did not do, at one place, and why."""

    done: bool
    what: str
    where: str
    why: str = ""


@dataclass(slots=True, eq=False)
class Program:
    """An `fx.Graph` of operators, the tensors its ``get_attr`` nodes name, and what was done.

    Nodes with ``meta["literal"]`` share memory that is written through views: they run as they
    were recorded, in order, and no pass touches them.
    """

    graph: fx.Graph
    constants: dict[str, Tensor]
    events: list[Event] = field(default_factory=list)

    def constant(self, value: object) -> Tensor | None:
        """Return the tensor that a node stands for, None when it is computed from the input."""
        if isinstance(value, fx.Node) and value.op == "get_attr" and not literal(value):
            return self.constants[str(value.target)]
        return None

    def add_constant(self, tensor: Tensor, before: fx.Node) -> fx.Node:
        """Add a constant and return its node."""
        name = f"constant_{len(self.constants)}"
        while name in self.constants:  # tidying leaves gaps
            name += "_"
        self.constants[name] = tensor
        with self.graph.inserting_before(before):
            node = self.graph.create_node("get_attr", name, name=name)
        describe(node, tensor, before.meta.get("path", ""))
        return node

    def done(self, what: str, node: fx.Node, why: str = "") -> None:
        """Note that something was fused."""
        self.events.append(Event(True, what, node.meta.get("path", ""), why))

    def kept(self, what: str, node: fx.Node, why: str) -> None:
        """Note that something was not fused."""
        self.events.append(Event(False, what, node.meta.get("path", ""), why))

    def copy(self) -> Program:
        """Return another program of the same nodes, to be changed on its own."""
        graph = fx.Graph()
        twins: dict[fx.Node, fx.Node] = {}
        for node in self.graph.nodes:
            twins[node] = graph.node_copy(node, lambda n: twins[n])
        return Program(graph, dict(self.constants), list(self.events))

    def tidy(self) -> None:
        """Drop what nothing reads."""
        for node in reversed(self.graph.nodes):
            kept = node.op in ("placeholder", "output") or node.is_impure()
            if not node.users and not kept:
                self.graph.erase_node(node)
        used = {n.target for n in self.graph.nodes if n.op == "get_attr"}
        self.constants = {name: t for name, t in self.constants.items() if name in used}


def describe(node: fx.Node, tensor: Tensor, path: str) -> None:
    """Write down a tensor's facts as the capture does; its memory is its own."""
    node.meta.update(
        path=path,
        shape=tuple(tensor.shape),
        stride=tensor.stride(),
        dtype=tensor.dtype,
        memory=f"new {node.name}",
    )


def is_op(node: object, *packets: Any) -> bool:
    """Whether `node` calls one of these operators, whatever the overload."""
    return (
        isinstance(node, fx.Node)
        and isinstance(node.target, OpOverload)
        and node.target.overloadpacket in packets
    )


def literal(node: fx.Node) -> bool:
    """Whether `node` must stay as it was recorded."""
    return bool(node.meta.get("literal"))


def writing(node: fx.Node) -> list[fx.Node]:
    """Return the arguments that `node` writes to."""
    if not isinstance(node.target, OpOverload):
        return []
    written = []
    for position, argument in enumerate(node.target._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = (
                node.args[position] if position < len(node.args) else node.kwargs.get(argument.name)
            )
            written += [n for n in _flat(value) if "memory" in n.meta]
    return written


def viewing(node: fx.Node) -> bool:
    """Whether the result of `node` may share memory with an argument."""
    if node.target is operator.getitem:
        parent = node.args[0]
        return not isinstance(parent, fx.Node) or viewing(parent)
    if not isinstance(node.target, OpOverload):
        memory = node.meta.get("memory")
        return memory is not None and any(
            n.meta.get("memory") == memory for n in node.all_input_nodes
        )
    if node.target.overloadpacket in (aten.reshape, aten.contiguous, aten.to):
        return True
    return any(r.alias_info is not None for r in node.target._schema.returns)


def fold_constants(program: Program) -> None:
    """Compute once what does not depend on the input: normalised weights, position grids."""
    written = {w.meta["memory"] for n in program.graph.nodes for w in writing(n)}
    values: dict[fx.Node, Any] = {}
    for node in list(program.graph.nodes):
        if node.op == "get_attr":
            if node.meta["memory"] not in written:
                values[node] = program.constants[str(node.target)]
        elif node.op == "call_function":
            inputs = node.all_input_nodes
            whole = node.meta.get("memory") not in written and not writing(node)
            if whole and all(n in values for n in inputs) and not _parts_written(node, written):
                args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda n: values[n])
                values[node] = node.target(*args, **kwargs)
    for node, value in values.items():
        readers = [u for u in node.users if u not in values]
        if node.op != "get_attr" and readers and isinstance(value, Tensor):
            constant = program.add_constant(value, node)
            node.replace_all_uses_with(constant, delete_user_cb=lambda u: u not in values)
        elif node.op != "get_attr" and readers:
            for reader in readers:  # a number, such as the size of a constant
                reader.replace_input_with(node, value)
    program.tidy()


def _parts_written(node: fx.Node, written: set[Any]) -> bool:
    return any(u.target is operator.getitem and u.meta.get("memory") in written for u in node.users)


def make_pure(program: Program) -> None:
    """Turn in-place operators into plain ones where every version has one name.

    Where a value is read after another name of its memory was written, or the memory came from
    elsewhere, the values that share it are marked literal instead, and start from a copy when they
    are not the pass's own.
    """
    order = {node: index for index, node in enumerate(program.graph.nodes)}
    groups: dict[Any, list[fx.Node]] = defaultdict(list)
    for node in program.graph.nodes:
        if "memory" in node.meta:
            groups[node.meta["memory"]].append(node)
    written = {w.meta["memory"] for n in program.graph.nodes for w in writing(n)}
    for memory in written:
        group = groups[memory]
        if _nothing_stale(group, order) and not viewing_fresh(group[0]):
            version = memory
            for node in group[1:]:
                if writing(node):
                    node.target = _plain_form(node)  # type: ignore[assignment]
                    version = f"version {node.name}"
                node.meta["memory"] = version
            continue
        for node in group:
            node.meta["literal"] = True
        program.kept("operators", group[0], "their memory is written through views")
        for node in group:
            if node.op in ("placeholder", "get_attr"):
                _copy(program.graph, node)


def _nothing_stale(group: list[fx.Node], order: dict[fx.Node, int]) -> bool:
    """Whether each write of a memory has a plain form, and no name from before it is read later."""
    for index, node in enumerate(group[1:], 1):
        if not writing(node):
            continue
        readers = (u for before in group[:index] for u in before.users)
        if _plain_form(node) is None or any(order[u] > order[node] for u in readers):
            return False
    return True


def viewing_fresh(node: fx.Node) -> bool:
    """Whether the first value of a memory is itself a view: its base came from elsewhere."""
    return node.op == "call_function" and viewing(node) and not writing(node)


def _plain_form(node: fx.Node) -> OpOverload | None:
    """Return ``aten.relu`` for ``aten.relu_`` of the newest version, None when there is none."""
    if not writing(node) or not isinstance(node.target, OpOverload):
        return None
    name = node.target._schema.name.rpartition("::")[2]
    if not name.endswith("_") or name.endswith("__") or node.target.namespace != "aten":
        return None
    packet = getattr(aten, name[:-1], None)
    overload = getattr(packet, node.target._overloadname, None)
    if overload is None:
        return None
    ours, theirs = node.target._schema.arguments, overload._schema.arguments
    if [a.name for a in ours] != [a.name for a in theirs] or name in ("copy_", "fill_", "zero_"):
        return None
    target = node.args[0]
    same = isinstance(target, fx.Node) and (
        target.meta["shape"] == node.meta["shape"] and target.meta["dtype"] == node.meta["dtype"]
    )
    return overload if same else None


def _copy(graph: fx.Graph, node: fx.Node) -> None:
    with graph.inserting_after(node):
        copy = graph.call_function(aten.clone.default, (node,))
    copy.meta.update(node.meta)
    node.replace_all_uses_with(copy, delete_user_cb=lambda u: u is not copy)
    node.meta = {**node.meta, "literal": False, "memory": f"outside {node.name}"}


def _flat(value: Any) -> list[fx.Node]:
    found: list[fx.Node] = []
    fx.node.map_arg(value, found.append)
    return found
