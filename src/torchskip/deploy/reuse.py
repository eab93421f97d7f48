"""Which buffers may take a result, and how many samples go through at once."""

from __future__ import annotations

import math
import operator
from collections import defaultdict
from typing import Any

import torch
from torch import fx
from torch._ops import OpOverload

from torchskip.deploy.find import affine, kernel
from torchskip.deploy.grow import put, room
from torchskip.deploy.program import Program, aten, literal, viewing
from torchskip.deploy.sizes import extent

__all__ = ["IN_PLACE", "overwrite", "peak_bytes", "samples_alone"]

# Their in-place forms read each element once, before writing it.
IN_PLACE = {
    aten.relu: aten.relu_,
    aten.add: aten.add_,
    aten.sub: aten.sub_,
    aten.mul: aten.mul_,
    aten.div: aten.div_,
    aten.sigmoid: aten.sigmoid_,
    aten.tanh: aten.tanh_,
    aten.silu: aten.silu_,
    aten.hardswish: aten.hardswish_,
    aten.hardsigmoid: aten.hardsigmoid_,
    aten.hardtanh: aten.hardtanh_,
    aten.leaky_relu: aten.leaky_relu_,
    aten.clamp: aten.clamp_,
    aten.elu: aten.elu_,
    aten.addcmul: aten.addcmul_,
}
_COMMUTE = (aten.add, aten.mul)


def overwrite(program: Program) -> None:
    """Mark operators that may write over their first argument: nothing reads it afterwards.

    A convolution with an addend writes over the addend.
    """
    order = {node: index for index, node in enumerate(program.graph.nodes)}
    for node in list(program.graph.nodes):
        if node.op != "call_function" or literal(node):
            continue
        if node.target is kernel and len(node.args) == 2:
            apart = node.args[0] is not node.args[1]
            node.meta["overwrite"] = apart and _dead(node.args[1], node, order)
            continue
        packet = getattr(node.target, "overloadpacket", None)
        if node.target is not affine and not _has_twin(node):
            continue
        first, *rest = node.args
        swaps = packet in _COMMUTE and rest and not node.kwargs and not _takes(first, node, order)
        if swaps and _takes(rest[0], node, order):
            first, rest = rest[0], [first, *rest[1:]]
        if _takes(first, node, order) and not any(n is first for n in rest):
            node.meta["overwrite"] = True
            node.args = (first, *rest)


def _has_twin(node: fx.Node) -> bool:
    if not isinstance(node.target, OpOverload) or node.target.overloadpacket not in IN_PLACE:
        return False
    return hasattr(IN_PLACE[node.target.overloadpacket], node.target._overloadname)


def _takes(value: object, node: fx.Node, order: dict[fx.Node, int]) -> bool:
    return (
        isinstance(value, fx.Node)
        and value.meta.get("shape") == node.meta["shape"]
        and value.meta.get("dtype") == node.meta["dtype"]
        and _dead(value, node, order)
    )


def _dead(value: object, node: fx.Node, order: dict[fx.Node, int]) -> bool:
    """Whether `value` owns its memory and nothing reads it after `node`."""
    if not isinstance(value, fx.Node) or value.op != "call_function" or literal(value):
        return False
    return not viewing(value) and value.target is not extent and _last(value, node, order)


def _last(value: fx.Node, node: fx.Node, order: dict[fx.Node, int]) -> bool:
    return all(
        order.get(user, math.inf) <= order[node] and not (viewing(user) and user is not node)
        for user in value.users
    )


# -- how many samples at once ---------------------------------------------------------------

_PER_SAMPLE = {
    *IN_PLACE,
    *(aten.maximum, aten.minimum, aten.gelu, aten.exp, aten.sqrt, aten.pow, aten.abs, aten.mish),
    *(aten.max_pool2d_with_indices, aten.avg_pool2d, aten._adaptive_avg_pool2d, aten.convolution),
    *(aten.upsample_nearest2d, aten.upsample_bilinear2d, aten.pixel_shuffle, aten.clone),
    *(aten.constant_pad_nd, aten.native_layer_norm, aten.native_group_norm, aten._to_copy),
    *(aten.softplus, aten.log, aten.reflection_pad2d, aten.replication_pad2d),
}
_AXIS = (aten.cat, aten.mean, aten.sum, aten.amax, aten._softmax, aten.slice, aten.select)


def samples_alone(program: Program) -> bool:
    """Whether every value keeps the samples of axis 0 apart, operator by operator."""
    for node in program.graph.nodes:
        if literal(node):
            return False
        if node.op != "call_function" or node.target in (
            *(kernel, affine, extent, operator.getitem, room, put),
        ):
            continue
        if not _keeps_samples(node):
            return False
    outputs = next(n for n in program.graph.nodes if n.op == "output").args[0]
    inputs = [n for n in program.graph.nodes if n.op == "placeholder"]
    return all("shape" in n.meta and len(n.meta["shape"]) > 0 for n in (*inputs, *outputs))


def _keeps_samples(node: Any) -> bool:
    packet = getattr(node.target, "overloadpacket", None)
    if packet in (aten.native_layer_norm,):
        return len(node.args[1]) < len(node.all_input_nodes[0].meta["shape"])
    if packet in _PER_SAMPLE:
        return _constants_broadcast(node)
    if packet in _AXIS:
        axes = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
        rank = len(node.meta["shape"]) if packet is aten.cat else len(node.args[0].meta["shape"])
        if axes is None:
            return False
        listed = [axes] if isinstance(axes, int) else list(axes)
        return bool(listed) and all(isinstance(a, int) and a % rank != 0 for a in listed)
    if packet in (aten.view, aten.reshape, aten._unsafe_view, aten.expand):
        size = node.args[1]
        lead = size[0] if isinstance(size, (list, tuple)) and size else None
        source = node.args[0]
        # The batch, or the batch and the axes right after it: rows stay in the order of samples.
        return (
            isinstance(lead, fx.Node)
            and lead.target is extent
            and (lead.args[1], *lead.args[3:]) == (0, 1, 1)
            and isinstance(source, fx.Node)
        )
    if packet is aten.permute:
        return next(iter(node.args[1]), 1) == 0
    if packet is aten.transpose:
        return 0 not in [a % len(node.meta["shape"]) for a in node.args[1:]]
    if packet in (aten.unsqueeze, aten.squeeze, aten.split, aten.split_with_sizes, aten.chunk):
        axis = node.args[-1] if len(node.args) > 1 else 0
        axes = [axis] if isinstance(axis, int) else list(axis)
        positional = packet in (aten.unsqueeze, aten.squeeze) or len(node.args) > 2
        rank = len(node.args[0].meta["shape"]) + (packet is aten.unsqueeze)
        return positional and all(a % rank != 0 for a in axes)
    return False


def _constants_broadcast(node: fx.Node) -> bool:
    """No constant has an entry per sample."""
    rank = len(node.meta.get("shape", ()))
    return all(
        len(n.meta["shape"]) < max(rank, 1) or n.meta["shape"][0] == 1
        for n in node.all_input_nodes
        if n.op == "get_attr" and "shape" in n.meta
    )


def peak_bytes(program: Program) -> int:
    """Return the most bytes of values alive at once, for one pass of the captured size."""
    nodes = list(program.graph.nodes)
    order = {node: index for index, node in enumerate(nodes)}
    frees: dict[int, int] = defaultdict(int)
    alive = peak = 0
    for index, node in enumerate(nodes):
        if node.op == "call_function" and "shape" in node.meta and not viewing(node):
            taken = node.meta.get("overwrite") or str(node.target).rpartition(".")[0].endswith("_")
            if not taken:
                size = math.prod(node.meta["shape"]) * _width(node.meta["dtype"])
                alive += size
                frees[_last_reader(node, order)] += size
        peak = max(peak, alive)
        alive -= frees.pop(index, 0)
    return peak


def _last_reader(node: fx.Node, order: dict[fx.Node, int]) -> int:
    """Return when `node`, or a view of it, is read for the last time."""
    last = [order[node]]
    for user in node.users:
        last.append(_last_reader(user, order) if viewing(user) else order.get(user, order[node]))
    return max(last)


def _width(dtype: torch.dtype) -> int:
    return torch.empty(0, dtype=dtype).element_size()
