"""From the fused graph to what runs: modules for kernels, code that frees values early."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._ops import OpOverload

from torchskip.deploy.find import affine, kernel
from torchskip.deploy.grow import put, room
from torchskip.deploy.kernels import Convolution, Linear
from torchskip.deploy.program import Program, aten
from torchskip.deploy.reuse import IN_PLACE
from torchskip.deploy.sizes import extent

__all__ = ["Plan", "Step", "executable", "lower", "record", "scale_shift", "scale_shift_"]


def scale_shift(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Return ``scale x + shift``."""
    return torch.addcmul(shift, x, scale)


def scale_shift_(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Overwrite ``x`` with ``scale x + shift``."""
    return torch.addcmul(shift, x, scale, out=x)


_VIEWS = (aten.view.default, aten._unsafe_view.default)
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "extent": extent,
    "getitem": operator.getitem,
    "scale_shift": scale_shift,
    "scale_shift_": scale_shift_,
    "room": room,
    "put": put,
}


@dataclass(frozen=True, slots=True)
class Ref:
    """A node inside another's arguments."""

    name: str


def _ref(node: fx.Node) -> Any:
    return Ref(node.name)


@dataclass(frozen=True, slots=True)
class Step:
    """One node of the graph, in words that a pickle can keep.

    `overwrite`: whether nothing reads the first argument later, so that it may take the result.
    """

    kind: str
    name: str
    target: str
    args: Any
    kwargs: Any
    overwrite: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A program ready to run, and to be written to a file: steps, modules, constants."""

    steps: tuple[Step, ...]
    modules: dict[str, nn.Module]
    constants: dict[str, Tensor]


def lower(program: Program) -> None:
    """Turn affine maps and layout-bound operators into ones that run."""
    for node in list(program.graph.nodes):
        if node.target is affine:
            value, rank = node.meta["affine"], len(node.meta["shape"])
            kind = node.meta["dtype"]
            size = (-1, *(1,) * (rank - 2))
            pair = [
                program.add_constant(t.to(kind).reshape(size), node)
                for t in (value.scale, value.shift)
            ]
            node.args = (node.args[0], *pair)
        elif node.target in _VIEWS and not node.meta.get("literal"):
            node.target = aten.reshape.default  # a view of one layout, a copy of another


def record(program: Program) -> Plan:
    """Freeze a lowered program whose buffers are assigned."""
    modules: dict[str, nn.Module] = {}
    steps = []
    for node in program.graph.nodes:
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), _ref)
        kind, target = node.op, str(node.target)
        if node.target is kernel:
            kind, target = "call_module", f"{_label(node)}_{len(modules)}"
            modules[target] = _module(node)
        elif node.target is affine:
            target = "scale_shift"
        elif node.target in (extent, operator.getitem, room, put):
            target = node.target.__name__
        dead = bool(node.meta.get("overwrite"))
        steps.append(Step(kind, node.name, target, _plain(args), _plain(kwargs), dead))
    return Plan(tuple(steps), modules, dict(program.constants))


def _label(node: fx.Node) -> str:
    path = "".join(c if c.isalnum() else "_" for c in str(node.meta.get("path", "")))
    return f"at_{path}" if path else "at_root"


def _module(node: fx.Node) -> nn.Module:
    value, shape = node.meta["kernel"], node.args[0].meta["shape"]  # type: ignore[union-attr]
    if value.weight.dim() == 2:
        return Linear(value, max(1, shape[0]), node.meta.get("unary"))
    return Convolution(
        value,
        tuple(shape),
        node.meta.get("unary"),
        binary=len(node.args) == 2,
        overwrite=bool(node.meta.get("overwrite")),
    )


def _plain(tree: Any) -> Any:
    """Return arguments in plain containers: fx's own refuse to be changed, and to be pickled."""
    if isinstance(tree, dict):
        return {key: _plain(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)) and not isinstance(tree, torch.Size):
        items = [_plain(value) for value in tree]
        return tuple(items) if isinstance(tree, tuple) else items
    return tree


def executable(plan: Plan) -> fx.GraphModule:
    """Return code that runs `plan`; torch.fx generates it, and drops values after their use."""
    graph = fx.Graph()
    nodes: dict[str, fx.Node] = {}

    def resolve(tree: Any) -> Any:
        if isinstance(tree, Ref):
            return nodes[tree.name]
        if isinstance(tree, dict):
            return {key: resolve(value) for key, value in tree.items()}
        if isinstance(tree, (list, tuple)):
            items = [resolve(value) for value in tree]
            return tuple(items) if isinstance(tree, tuple) else items
        return tree

    for step in plan.steps:
        args, kwargs = resolve(step.args), resolve(step.kwargs)
        if step.kind == "output":
            graph.output(args[0])
        else:
            called = step.kind == "call_function"
            target = _function(step) if called else step.target
            nodes[step.name] = graph.create_node(step.kind, target, args, kwargs, step.name)
    root: dict[str, Any] = {**plan.modules, **plan.constants}
    return fx.GraphModule(root, graph, "Fused")


def _function(step: Step) -> Callable[..., Any]:
    """Return what a step calls: the in-place form where its first argument is dead."""
    if step.target in _FUNCTIONS:
        return _FUNCTIONS[f"{step.target}_" if step.overwrite else step.target]
    operator_ = overload(step.target)
    if not step.overwrite:
        return operator_
    twin: OpOverload = getattr(IN_PLACE[operator_.overloadpacket], operator_._overloadname)
    return twin


def overload(name: str) -> OpOverload:
    """Return the operator that ``str`` calls `name`, as in ``"aten.relu.default"``."""
    namespace, packet, kind = name.split(".")
    found = getattr(getattr(getattr(torch.ops, namespace), packet), kind)
    assert isinstance(found, OpOverload)  # noqa: S101 - recorded from one
    return found
