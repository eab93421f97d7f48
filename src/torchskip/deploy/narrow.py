"""Computing in a narrower floating type, all of it or the branches alone."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from torchskip.deploy.find import kernel
from torchskip.deploy.fold import retype
from torchskip.deploy.program import Program, aten, literal, viewing
from torchskip.deploy.sizes import extent

__all__ = ["narrow", "trunk"]


_Cast = Callable[[fx.Node, torch.dtype, fx.Node], fx.Node]


def trunk(program: Program) -> set[fx.Node]:
    """Return the values that every path from the inputs to the outputs goes through.

    In a residual network these are the stem, the sums, what lies between two blocks, the head. A
    convolution that adds its shortcut is none: it computes its branch's end too.
    """
    # Sizes are no values: a path may read the size of what is long gone.
    nodes = [n for n in program.graph.nodes if n.op != "get_attr" and n.target is not extent]
    order = {node: index for index, node in enumerate(nodes)}
    found: set[fx.Node] = set()
    furthest = -1  # how far the values before a node are read
    for index, node in enumerate(nodes):
        kept = literal(node) or (node.target is kernel and len(node.args) > 1)
        if furthest <= index and node.op == "call_function" and not kept:
            found.add(node)
        furthest = max([furthest, *(order[user] for user in node.users if user in order)])
    return found


def narrow(program: Program, dtype: torch.dtype, wide: set[fx.Node]) -> None:
    """Compute in `dtype`, but for the values in `wide`; inputs and results keep their types."""
    graph = program.graph
    kinds: dict[fx.Node, torch.dtype] = {}
    casts: dict[tuple[fx.Node, torch.dtype], fx.Node] = {}

    def cast(value: fx.Node, kind: torch.dtype, before: fx.Node) -> fx.Node:
        if not _floating(value) or kinds[value] == kind:
            return value
        if (value, kind) not in casts:
            with graph.inserting_before(before):
                made = graph.call_function(aten._to_copy.default, (value,), {"dtype": kind})
            made.meta.update({**value.meta, "dtype": kind, "memory": f"new {made.name}"})
            kinds[made] = kind
            casts[value, kind] = made
        return casts[value, kind]

    for node in list(graph.nodes):
        if node.op == "output":
            outputs = [cast(v, v.meta["was"], node) if _floating(v) else v for v in node.args[0]]
            node.args = (tuple(outputs),)
            continue
        if node.op == "get_attr" and _floating(node):
            kinds[node] = node.meta["dtype"]
            continue
        if not _floating(node) and not _many(node):
            continue
        node.meta["was"] = node.meta.get("dtype")
        fixed = node.op == "placeholder" or node.target is aten._to_copy.default
        if viewing(node) or node.target is operator.getitem:
            kind = kinds.get(node.args[0], dtype)
        elif fixed:
            kind = node.meta["dtype"]
        else:
            parts = {node, *(u for u in node.users if u.target is operator.getitem)}
            kind = node.meta.get("dtype", torch.float32) if parts & wide else dtype
        kinds[node] = kind
        if not fixed:
            _retype(program, node, kind, cast)
            if _floating(node):
                node.meta["dtype"] = kind
        if node.target is kernel:
            node.meta["kernel"] = retype(node.meta["kernel"], kind)
    program.tidy()


def _retype(program: Program, node: fx.Node, kind: torch.dtype, cast: _Cast) -> None:
    """Let `node` read type `kind`: constants cast now, anything else whenever it runs."""

    def typed(value: fx.Node) -> fx.Node:
        if value.op != "get_attr":
            return value if _many(value) else cast(value, kind, node)
        tensor = program.constants[str(value.target)]
        if not tensor.is_floating_point() or tensor.dtype == kind:
            return value
        return program.add_constant(tensor.to(kind), node)

    node.args, node.kwargs = fx.node.map_arg((node.args, node.kwargs), typed)


def _floating(node: Any) -> bool:
    return isinstance(node, fx.Node) and (
        "dtype" in node.meta and bool(node.meta["dtype"].is_floating_point)
    )


def _many(node: fx.Node) -> bool:
    """Whether a node has several results, whose types are those of its parts."""
    return any(u.target is operator.getitem and _floating(u) for u in node.users)
