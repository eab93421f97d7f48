"""Linear maps of the graph in one form: layers as kernels, normalisation as affine maps."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, fx

from torchskip.deploy.fold import Affine, Kernel, compose
from torchskip.deploy.program import Program, aten, is_op, literal

__all__ = ["affine", "bare", "find_affines", "find_kernels", "kernel", "replace_node"]


def kernel(x: Tensor, other: Tensor | None = None) -> Tensor:
    """Stands for a convolution or linear layer whose numbers are in the node's ``meta``."""
    raise NotImplementedError("lowered to a module before anything runs")


def affine(x: Tensor) -> Tensor:
    """Stands for ``scale x + shift`` per channel, whose numbers are in the node's ``meta``."""
    raise NotImplementedError("lowered to an operator before anything runs")


def find_kernels(program: Program) -> None:
    """Rewrite convolutions and linear layers with constant weights."""
    for node in list(program.graph.nodes):
        if node.op != "call_function" or literal(node):
            continue
        found = _kernel_of(program, node)
        if found is not None:
            x, value = found
            replace_node(program, node, kernel, (x,), kernel=value)


def _kernel_of(program: Program, node: fx.Node) -> tuple[Any, Kernel] | None:
    args = node.args
    if is_op(node, aten.convolution):
        x, weight, bias, stride, padding, dilation, transposed, out_padding, groups = args
        w, b = program.constant(weight), program.constant(bias)
        if w is None or (bias is not None and b is None) or program.constant(x) is not None:
            return None
        sizes = (stride, padding, dilation, out_padding)
        s, p, d, o = (_ints(v, w.dim() - 2) for v in sizes)
        unbatched = isinstance(x, fx.Node) and len(x.meta["shape"]) != w.dim()
        if None in (s, p, d, o) or unbatched or not isinstance(groups, int):
            return None
        return x, Kernel(w, b, s, p, d, groups, bool(transposed), o)  # type: ignore[arg-type]
    if is_op(node, aten.addmm, aten.mm, aten.linear):
        if is_op(node, aten.addmm):
            bias, x, weight = args[:3]
            if node.kwargs.get("beta", 1) != 1 or node.kwargs.get("alpha", 1) != 1:
                return None
        elif is_op(node, aten.linear):
            x, weight, bias = (*args, None)[:3]
        else:
            (x, weight), bias = args, None
        w, b = program.constant(weight), program.constant(bias)
        if w is None or (bias is not None and b is None) or program.constant(x) is not None:
            return None
        if b is not None and b.dim() != 1:
            return None
        w = w if is_op(node, aten.linear) else w.t()
        return x, Kernel(w, None if b is None else b.expand(w.shape[0]))
    return None


def _ints(value: Any, count: int) -> tuple[int, ...] | None:
    items = tuple(value)
    if any(type(i) is not int for i in items):
        return None
    return items * count if len(items) == 1 else items


def find_affines(program: Program) -> None:
    """Rewrite batch normalisation in eval mode, and per-channel products and sums of constants."""
    for node in list(program.graph.nodes):
        if node.op != "call_function" or literal(node):
            continue
        if node.target is operator.getitem and node.args[1] == 0:
            found = _normalisation(program, node.args[0])
            if found is not None:
                replace_node(program, node, affine, (found[0],), affine=found[1])
        else:
            found = _arithmetic(program, node)
            if found is not None and _beside_linear(found[0], node):
                replace_node(program, node, affine, (found[0],), affine=found[1])
    program.tidy()


def _normalisation(program: Program, node: Any) -> tuple[Any, Affine] | None:
    if is_op(node, aten.native_batch_norm, aten.cudnn_batch_norm):
        x, weight, bias, mean, var, training, _, eps = node.args
    elif is_op(node, aten._native_batch_norm_legit_no_training):
        x, weight, bias, mean, var, _, eps = node.args
        training = False
    else:
        return None
    m, v = program.constant(mean), program.constant(var)
    w, b = program.constant(weight), program.constant(bias)
    if training or m is None or v is None or literal(x):
        return None
    if (weight is not None and w is None) or (bias is not None and b is None):
        return None
    scale = (v.double() + eps).rsqrt()
    if w is not None:
        scale = scale * w.double()
    shift = -m.double() * scale
    return x, Affine(scale, shift if b is None else shift + b.double())


def _arithmetic(program: Program, node: fx.Node) -> tuple[Any, Affine] | None:
    """Read ``x * c``, ``x + c``, ``x - c``, ``c - x``, ``x / c`` with one number per channel."""
    if not is_op(node, aten.mul, aten.add, aten.sub, aten.div, aten.rsub, aten.neg):
        return None
    shape, dtype = node.meta["shape"], node.meta["dtype"]
    if is_op(node, aten.neg):
        operands: tuple[Any, Any] = (node.args[0], -1)
    else:
        if len(node.args) != 2 or set(node.kwargs) - {"alpha"}:
            return None
        operands = (node.args[0], node.args[1])
    flipped = program.constant(operands[0]) is not None
    x, c = operands[::-1] if flipped else operands
    if not isinstance(x, fx.Node) or x.meta.get("shape") != shape or x.meta.get("dtype") != dtype:
        return None
    if len(shape) < 2 or not dtype.is_floating_point or literal(x) or x.op == "get_attr":
        return None
    value = program.constant(c)
    if value is None and isinstance(c, (int, float)) and not isinstance(c, bool):
        value = torch.tensor(float(c), dtype=torch.float64)
    number = None if value is None or value.is_complex() else compose(shape, value.double())
    if number is None:
        return None
    alpha: Any = node.kwargs.get("alpha", 1)
    one, zero = torch.ones_like(number), torch.zeros_like(number)
    if is_op(node, aten.mul, aten.neg):
        return x, Affine(number, zero)
    if is_op(node, aten.div):
        return None if flipped else (x, Affine(1 / number, zero))
    if is_op(node, aten.rsub):
        return x, Affine(-alpha * one, number)
    if is_op(node, aten.add):
        return x, Affine(one * (alpha if flipped else 1), number * (1 if flipped else alpha))
    if flipped:  # c - alpha x
        return x, Affine(-alpha * one, number)
    return x, Affine(one, -alpha * number)


def _beside_linear(x: fx.Node, node: fx.Node) -> bool:
    """Whether a product or sum has a linear neighbour to fold into; alone it stays as it is."""
    return x.target in (kernel, affine) or any(u.target is kernel for u in node.users)


def bare(node: fx.Node) -> bool:
    """Whether a kernel has no epilogue yet."""
    return len(node.args) == 1 and node.meta.get("unary") is None


def replace_node(
    program: Program, node: fx.Node, target: Any, args: tuple[Any, ...], **meta: Any
) -> fx.Node:
    """Put a call of `target` in the place of `node`, with its facts and `meta`."""
    with program.graph.inserting_before(node):
        made = program.graph.call_function(target, args)
    made.meta.update({**node.meta, **meta, "memory": f"new {made.name}"})
    node.replace_all_uses_with(made)
    program.graph.erase_node(node)
    return made
