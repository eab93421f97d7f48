"""Writing a plan as a TorchScript graph, operator by operator, for given sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from torchskip.deploy.forms import OTHER_FORMS, gelu
from torchskip.deploy.kernels import Convolution, Linear
from torchskip.deploy.onednn import conv_layout
from torchskip.deploy.plan import Plan, Ref, Step, overload
from torchskip.deploy.program import aten
from torchskip.deploy.reuse import IN_PLACE
from torchskip.deploy.unary import Unary

__all__ = ["Emitter"]

_FORMATS = {
    torch.contiguous_format: 0,
    torch.preserve_format: 1,
    torch.channels_last: 2,
    torch.channels_last_3d: 3,
}
# What oneDNN's graph interface takes; it does not see through in-place forms.
_GRAPHED = (
    *(aten.relu, aten.add, aten.mul, aten.sigmoid, aten.tanh, aten.hardtanh, aten.clamp),
    *(aten.hardswish, aten.leaky_relu, aten.elu),
)
_UNARY = {
    **{n: f"aten::{n}" for n in ("relu", "sigmoid", "tanh", "hardsigmoid", "hardswish")},
    **{n: f"aten::{n}" for n in ("leaky_relu", "hardtanh")},
    "swish": "aten::silu",
}


class Emitter:
    """One graph in the making.

    Args:
        shapes: the shape of every tensor of the plan, by the name of its step.
        numbers: the numbers that follow from the sizes.
        lone_arithmetic: whether oneDNN may see sums and products that are not a layer's; else
            they are written in forms that it does not know.

    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        numbers: Mapping[str, int],
        *,
        lone_arithmetic: bool = True,
    ) -> None:
        self.shapes, self.numbers = shapes, numbers
        self.lone_arithmetic = lone_arithmetic
        self.graph: Any = torch._C.Graph()
        # Of every step: a value of the graph, a number, or the results of an operator by index.
        self.values: dict[str, Any] = {}
        self.read: dict[str, set[int]] = {}  # which of several results

    def emit(self, plan: Plan) -> Any:
        """Write every step; return the graph of ``run(stop, *inputs)``, which returns a tuple.

        With `stop` it raises before its first operator: so it is compiled and not run.
        """
        self._stop()
        self.read = _results_read(plan)
        for step in plan.steps:
            if step.kind == "placeholder":
                x = self.graph.addInput(step.name)
                self.values[step.name] = self._channels_last(x, self.shapes[step.name])
            elif step.kind == "get_attr":
                self.values[step.name] = self.constant(plan.constants[step.target])
            elif step.kind == "call_module":
                self.values[step.name] = self._layer(plan.modules[step.target], step)
            elif step.kind == "output":
                results = [self.values[r.name] for r in step.args[0]]
                made = self.node("prim::TupleConstruct", results)
                made.setType(torch._C.TupleType([r.type() for r in results]))
                self.graph.registerOutput(made)
            else:
                self.values[step.name] = self._function(step)
        return self.graph

    # -- values ---------------------------------------------------------------------------------

    def constant(self, value: Any) -> Any:
        """Put a literal into the graph."""
        if isinstance(value, torch.memory_format):
            value = _FORMATS[value]
        return self.graph.insertConstant(value)

    def call(self, name: str, *args: Any) -> Any:
        """Call an operator whose overload follows from its arguments; defaults are filled in."""
        given = [a if isinstance(a, torch._C.Value) else self.constant(a) for a in args]
        return self.graph.insert(name, given)

    def node(self, name: str, inputs: list[Any], outputs: int = 1) -> Any:
        """Add a node, all its arguments given; return its output, or the list of them."""
        given = [v if isinstance(v, torch._C.Value) else self.constant(v) for v in inputs]
        made = self.graph.insertNode(self.graph.create(name, given, outputs))
        return made.output() if outputs == 1 else list(made.outputs())

    def resolve(self, tree: Any) -> Any:
        """Return arguments with values in the place of references."""
        if isinstance(tree, Ref):
            return self.values[tree.name]
        if isinstance(tree, (list, tuple)):
            return [self.resolve(item) for item in tree]
        return tree

    def _channels_last(self, x: Any, shape: tuple[int, ...]) -> Any:
        layout = conv_layout(len(shape))
        if layout is torch.contiguous_format:
            return x
        made = self.node("aten::contiguous", [x, layout])
        made.setType(x.type())
        return made

    def _stop(self) -> None:
        stop = self.graph.addInput("stop")
        stop.setType(torch._C.BoolType.get())
        branch = self.graph.insertNode(self.graph.create("prim::If", [stop], 0))
        self.graph.setInsertPoint(branch.addBlock())
        self.graph.insertNode(
            self.graph.create(
                "prim::RaiseException", [self.constant("stop"), self.constant(None)], 0
            )
        )
        branch.addBlock()
        self.graph.setInsertPoint(self.graph.block())

    # -- steps ----------------------------------------------------------------------------------

    def _layer(self, layer: Any, step: Step) -> Any:
        assert isinstance(layer, (Convolution, Linear))  # noqa: S101 - what plans hold
        kernel, (x, *other) = layer.kernel, self.resolve(step.args)
        if kernel.spatial == 0:
            y = self.call("aten::linear", x, kernel.weight, kernel.bias)
        else:
            graphed = kernel.spatial > 1 and not kernel.transposed
            name = "aten::_convolution" if graphed else "aten::convolution"
            tail = [False] * 4 if graphed else []
            weight = kernel.weight if graphed else layer.packed  # oneDNN packs its own
            y = self.call(
                name, x, weight, kernel.bias, list(kernel.stride), list(kernel.padding),
                list(kernel.dilation), kernel.transposed, list(kernel.output_padding),
                kernel.groups, *tail,
            )  # fmt: skip
        for addend in other:
            y = self.call("aten::add", y, addend)
        return y if layer.unary is None else self._unary(layer.unary, y)

    def _unary(self, unary: Unary, y: Any) -> Any:
        if unary.name == "gelu":
            return gelu(self, y, unary.algorithm)
        return self.call(_UNARY[unary.name], y, *unary.scalars)

    def _function(self, step: Step) -> Any:
        if step.target == "extent":
            return self.numbers[step.name]
        if step.target == "getitem":
            parent, index = self.values[step.args[0].name], step.args[1]
            if isinstance(parent, list):
                return parent[index]
            return self.call("aten::__getitem__", parent, index)
        if step.target == "room":
            return self._room(step)
        if step.target == "put":
            into, x, start = self.resolve(step.args)
            stop = start + self.shapes[step.args[1].name][1]
            self.call("aten::copy_", self.call("aten::slice", into, 1, start, stop, 1), x)
            return into
        if step.target == "scale_shift":
            x, scale, shift = self.resolve(step.args)
            return self.call("aten::addcmul", shift, x, scale)
        other_form = OTHER_FORMS.get(step.target)
        made = None if other_form is None else other_form(self, step)
        return self._operator(step) if made is None else made

    def _room(self, step: Step) -> Any:
        like = self.resolve(step.args[0])
        kind = self.node("prim::dtype", [like])
        kind.setType(torch._C.IntType.get())
        size = list(self.shapes[step.name])
        made = self.node("aten::empty", [size, kind, None, None, None, torch.channels_last])
        made.setType(torch._C.TensorType.get())
        return made

    def _operator(self, step: Step) -> Any:
        """Write an operator as it was recorded, every argument of its schema in order."""
        operator = overload(step.target)
        schema, packet = operator._schema, operator.overloadpacket
        inplace = step.overwrite and packet not in _GRAPHED
        name = IN_PLACE[packet]._qualified_op_name if inplace else packet._qualified_op_name
        given = dict(zip((a.name for a in schema.arguments), step.args, strict=False))
        given.update(step.kwargs)
        inputs = [
            self._argument(self.resolve(given.get(a.name, a.default_value)), a.type)
            for a in schema.arguments
        ]
        made = self.node(name, inputs, len(schema.returns))
        results = made if isinstance(made, list) else [made]
        for result, kind in zip(results, schema.returns, strict=True):
            result.setType(kind.type)
        return made

    def _argument(self, value: Any, kind: Any) -> Any:
        """Return a value of the graph for an argument of type `kind`."""
        if isinstance(value, torch._C.Value):
            return value
        if isinstance(value, list) and (not value or any(map(_is_value, value))):
            items = [self._argument(v, kind.getElementType()) for v in value]
            made = self.node("prim::ListConstruct", items)
            made.setType(kind)
            return made
        return self.constant(float(value) if str(kind) == "float" else value)


def _is_value(value: Any) -> bool:
    return isinstance(value, torch._C.Value)


def _results_read(plan: Plan) -> dict[str, set[int]]:
    """Return which results are read of every step."""
    read: dict[str, set[int]] = {step.name: set() for step in plan.steps}
    for step in plan.steps:
        if step.target == "getitem":
            read[step.args[0].name].add(step.args[1])
    return read
