"""Gates that read the mean of a layer's result: computed before the layer, which then scales it.

Squeeze-excite (Hu et al. 2018) multiplies ``y = W x + b``, a 1x1 convolution, with a gate that
reads the mean of `y` over all pixels. ``mean(W x + b) = W mean(x) + b``: so the gate can be had
from `x`, and the convolution multiplies, adds the shortcut and rectifies while it writes its
result, which else is read and written again for the gate.
"""

from __future__ import annotations

from typing import Any

from torch import fx

from torchskip.deploy.find import bare, kernel, replace_node
from torchskip.deploy.fold import following
from torchskip.deploy.program import Program, aten, is_op, literal

__all__ = ["gate_first"]


def gate_first(program: Program) -> None:
    """Take means before pointwise convolutions, which come after what reads the means."""
    for node in list(program.graph.nodes):
        layer: Any = node.args[0] if node.op == "call_function" and node.args else None
        if not _mean_of_pixels(node) or not _pointwise(layer) or literal(node):
            continue
        value, x = layer.meta["kernel"], layer.args[0]
        with program.graph.inserting_before(node):
            mean = program.graph.call_function(node.target, (x, *node.args[1:]))
        shape = (*x.meta["shape"][:2], 1, 1)
        mean.meta.update({**node.meta, "shape": shape, "memory": f"new {mean.name}"})
        moved = replace_node(program, node, kernel, (mean,), kernel=value)
        program.done("moved", moved, "the mean of a layer's result to before the layer")
        _compose(program, moved)
        _late(program, layer)
    program.tidy()


def _mean_of_pixels(node: fx.Node) -> bool:
    if node.kwargs or len(node.meta.get("shape", ())) != 4 or node.meta["shape"][2:] != (1, 1):
        return False
    if is_op(node, aten._adaptive_avg_pool2d):
        return list(node.args[1]) == [1, 1]  # type: ignore[arg-type]
    axes: Any = node.args[1] if is_op(node, aten.mean) and len(node.args) > 1 else None
    return axes is not None and sorted(a % 4 for a in axes) == [2, 3]


def _pointwise(layer: Any) -> bool:
    return (
        isinstance(layer, fx.Node)
        and layer.target is kernel
        and bare(layer)
        and layer.meta["kernel"].pointwise
        and _plain_image(layer.args[0])
    )


def _plain_image(x: Any) -> bool:
    return len(x.meta["shape"]) == 4 and not literal(x)


def _compose(program: Program, first: fx.Node) -> None:
    """Let the layer that alone reads `first` compute both, where that is less work."""
    users = list(first.users)
    if len(users) != 1 or users[0].target is not kernel:
        return
    a, b = first.meta["kernel"], users[0].meta["kernel"]
    if b.pointwise and a.groups == b.groups == 1 and users[0].args == (first,):
        both = b.out_channels * a.in_channels
        if both <= a.weight.numel() + b.weight.numel():
            users[0].args = first.args
            users[0].meta["kernel"] = following(b, a)
            program.done("merged", users[0], "two layers of one pixel")


def _late(program: Program, layer: fx.Node) -> None:
    """Move `layer` to before the first node that reads it."""
    for node in program.graph.nodes:
        if node in layer.users:
            node.prepend(layer)
            return
