"""The order of the passes, and the last ones: convolution + add + activation in one call."""

from __future__ import annotations

from typing import Any

from torch import fx

from torchskip.deploy.find import bare, find_affines, find_kernels, kernel, replace_node
from torchskip.deploy.fold import after
from torchskip.deploy.gates import gate_first
from torchskip.deploy.merge import fold_after, fold_before, fold_rectified, merge_parallel, times
from torchskip.deploy.program import Program, aten, is_op, literal
from torchskip.deploy.unary import Unary

__all__ = ["fuse_passes"]


def fuse_passes(program: Program, *, exact_ones: bool) -> None:
    """Run every pass. `exact_ones`: whether ``1 + w`` keeps w's digits in the kernels' type."""
    find_kernels(program)
    find_affines(program)
    fold_after(program)
    fold_rectified(program)
    fold_before(program)
    merge_parallel(program, exact_ones)
    fold_after(program)
    gate_first(program)
    chain_adds(program)
    chain_activations(program)
    program.tidy()


def chain_adds(program: Program) -> None:
    """Let a convolution add the shortcut while it writes its result."""
    order = {node: index for index, node in enumerate(program.graph.nodes)}
    for node in list(program.graph.nodes):
        if not is_op(node, aten.add, aten.sub) or literal(node) or len(node.args) != 2:
            continue
        a, b = node.args
        hosts = [n for n in (a, b) if _can_host(n, node)]
        if not hosts:
            continue
        sign = node.kwargs.get("alpha", 1) * (-1 if is_op(node, aten.sub) else 1)
        # The later one is the host: the other's buffer then takes the result.
        host = max(hosts, key=lambda n: order[n])
        if sign != 1 and host is a:
            host = b if b in hosts else None
        other = a if host is b else b
        same = isinstance(other, fx.Node) and (
            other.meta.get("shape") == node.meta["shape"]
            and other.meta.get("dtype") == node.meta["dtype"]
            and not literal(other)
        )
        if host is None or not same or a is b:
            program.kept(
                "add", node, "its arms' shapes or types differ, or its factor is on the shortcut"
            )
            continue
        value = host.meta["kernel"]
        if sign != 1:
            value = after(value, times(value.out_channels, sign))
        program.done("chained", node, "convolution + add")
        fused = replace_node(program, node, kernel, (host.args[0], other), kernel=value)
        order[fused] = order[node]
    program.tidy()


def _can_host(node: Any, add: fx.Node) -> bool:
    return (
        isinstance(node, fx.Node)
        and node.target is kernel
        and bare(node)
        and len(node.users) == 1
        and node.meta["kernel"].spatial > 0
        and node.meta["shape"] == add.meta["shape"]
        and not literal(node.args[0])  # type: ignore[arg-type]
    )


def chain_activations(program: Program) -> None:
    """Let a convolution or linear layer apply the activation that alone reads it."""
    for node in list(program.graph.nodes):
        if node.op != "call_function" or literal(node):
            continue
        found = _unary_of(node)
        x = node.args[0] if node.args else None
        if found is None or not isinstance(x, fx.Node) or x.target is not kernel:
            continue
        if len(x.users) != 1 or x.meta.get("unary") is not None:
            program.kept(found.name, node, "the value before it is read elsewhere too")
            continue
        x.meta["unary"] = found
        program.done("chained", node, f"layer + {found.name}")
        node.replace_all_uses_with(x)
        program.graph.erase_node(node)


def _unary_of(node: fx.Node) -> Unary | None:
    args, kwargs = node.args, node.kwargs
    plain = {
        aten.relu: "relu",
        aten.sigmoid: "sigmoid",
        aten.tanh: "tanh",
        aten.silu: "swish",
        aten.hardswish: "hardswish",
        aten.hardsigmoid: "hardsigmoid",
    }
    for packet, name in plain.items():
        if is_op(node, packet):
            return Unary(name)
    if is_op(node, aten.leaky_relu):
        return Unary("leaky_relu", (float(args[1]) if len(args) > 1 else 0.01,))  # type: ignore[arg-type]
    if is_op(node, aten.gelu):
        return Unary("gelu", (), str(kwargs.get("approximate", "none")))
    if is_op(node, aten.hardtanh, aten.clamp) and node.target is not aten.clamp.Tensor:
        low, high = (*args[1:], *(None, None))[:2] if len(args) > 1 else (-1.0, 1.0)
        if isinstance(low, (int, float)) and isinstance(high, (int, float)):
            return Unary("hardtanh", (float(low), float(high)))
    return None
