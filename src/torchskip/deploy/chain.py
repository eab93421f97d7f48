"""The fusing passes: fold, merge, and chain convolution + add + activation."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx

from torchskip.deploy.fold import (
    Affine,
    Kernel,
    Unfoldable,
    after,
    before,
    compose,
    diagonal,
    parallel,
)
from torchskip.deploy.kernels import Unary
from torchskip.deploy.program import Program, aten, is_op, literal

__all__ = ["affine", "fuse_passes", "kernel"]


def kernel(x: Tensor, other: Tensor | None = None) -> Tensor:
    """Stands for a convolution or linear layer whose numbers are in the node's ``meta``."""
    raise NotImplementedError("lowered to a module before anything runs")


def affine(x: Tensor) -> Tensor:
    """Stands for ``scale x + shift`` per channel, whose numbers are in the node's ``meta``."""
    raise NotImplementedError("lowered to an operator before anything runs")


def fuse_passes(program: Program, *, exact_ones: bool) -> None:
    """Run every pass. `exact_ones`: whether ``1 + w`` keeps w's digits in the kernels' type."""
    find_kernels(program)
    find_affines(program)
    fold_after(program)
    fold_rectified(program)
    fold_before(program)
    merge_parallel(program, exact_ones)
    fold_after(program)
    chain_adds(program)
    chain_activations(program)
    program.tidy()


# -- find ---------------------------------------------------------------------------------


def find_kernels(program: Program) -> None:
    """Rewrite convolutions and linear layers with constant weights."""
    for node in list(program.graph.nodes):
        if node.op != "call_function" or literal(node):
            continue
        found = _kernel_of(program, node)
        if found is not None:
            x, value = found
            _replace(program, node, kernel, (x,), kernel=value)


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
                _replace(program, node, affine, (found[0],), affine=found[1])
        else:
            found = _arithmetic(program, node)
            if found is not None and _beside_linear(found[0], node):
                _replace(program, node, affine, (found[0],), affine=found[1])
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
    alpha = node.kwargs.get("alpha", 1)
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


# -- fold ---------------------------------------------------------------------------------


def fold_after(program: Program) -> None:
    """Fold an affine map into the convolution, or the affine map, that feeds it alone."""
    for node in list(program.graph.nodes):
        if node.target is not affine or literal(node):
            continue
        x, value = node.args[0], node.meta["affine"]
        if x.target is affine and len(x.users) == 1:
            node.meta["affine"] = x.meta["affine"].then(value)
            node.args = x.args
            program.graph.erase_node(x)
        elif x.target is kernel and len(x.users) == 1 and _bare(x):
            inner = x.meta["kernel"]
            if (
                inner.out_channels != value.scale.numel()
                or len(x.meta["shape"]) != inner.weight.dim()
            ):
                program.kept("affine", node, "its channels are not the layer's outputs")
                continue
            x.meta["kernel"] = after(inner, value)
            program.done("folded", node, "affine map into the layer before it")
            node.replace_all_uses_with(x)
            x.meta["stride"] = node.meta["stride"]
            program.graph.erase_node(node)
        elif x.target is kernel:
            program.kept("affine", node, "the layer before it is read elsewhere too")


def fold_before(program: Program) -> None:
    """Fold an affine map into the convolutions that read it, where no padding is in the way."""
    for node in list(program.graph.nodes):
        if node.target is not affine or literal(node):
            continue
        readers = list(node.users)
        if not readers or any(u.target is not kernel or not _bare(u) for u in readers):
            continue
        try:
            folded = [before(u.meta["kernel"], node.meta["affine"]) for u in readers]
        except Unfoldable as reason:
            program.kept("affine", node, str(reason))
            continue
        for reader, value in zip(readers, folded, strict=True):
            reader.meta["kernel"] = value
        program.done("folded", node, "affine map into the layer after it")
        node.replace_all_uses_with(node.args[0])
        program.graph.erase_node(node)


def fold_rectified(program: Program) -> None:
    """Fold batch normalisation + relu before unpadded convolutions into one clamp.

    ``relu(s x + b) = s max(x, -b/s) + b`` for ``s > 0`` (``min`` for ``s < 0``): a clamp per
    channel, and an affine map that an unpadded convolution takes in exactly. This is what
    remains of the pre-activation of He et al. 2016 and of DenseNet, where no convolution comes
    right before the normalisation.
    """
    for node in list(program.graph.nodes):
        if not is_op(node, aten.relu) or literal(node):
            continue
        inner = node.args[0]
        if inner.target is not affine or len(inner.users) != 1:
            continue
        readers = list(node.users)
        unpadded = readers and all(
            u.target is kernel and _bare(u) and not any(u.meta["kernel"].padding)
            and not u.meta["kernel"].transposed
            for u in readers
        )  # fmt: skip
        if not unpadded or len(inner.meta["shape"]) < 3:
            continue
        scale, shift = inner.meta["affine"].scale.double(), inner.meta["affine"].shift.double()
        # A scale near zero puts the threshold far out, where its rounding shows.
        if not bool((scale.abs() * 64 > shift.abs()).all()):
            program.kept("normalisation + relu", node, "a channel's scale is close to zero")
            continue
        threshold = -shift / scale
        infinite = torch.full_like(threshold, torch.inf)
        low, high = (
            torch.where(scale > 0, threshold, -infinite),
            torch.where(scale > 0, infinite, threshold),
        )
        size = (-1, *(1,) * (len(inner.meta["shape"]) - 2))
        dtype = inner.meta["dtype"]
        bounds = [program.add_constant(t.to(dtype).view(size), node) for t in (low, high)]
        if bool((scale > 0).all()):
            target, extra = aten.maximum.default, bounds[:1]
        else:
            target, extra = aten.clamp.Tensor, bounds
        rest = Affine(scale, shift)
        for reader in readers:
            reader.meta["kernel"] = before(reader.meta["kernel"], rest)
        program.done("folded", node, "normalisation + relu into one clamp and the next layers")
        _replace(program, node, target, (inner.args[0], *extra))
        program.graph.erase_node(inner)


# -- merge --------------------------------------------------------------------------------


def merge_parallel(program: Program, exact_ones: bool) -> None:
    """Merge sums of convolutions, normalised identities and identities of one value."""
    for node in list(program.graph.nodes):
        if not is_op(node, aten.add, aten.sub) or literal(node) or len(node.args) != 2:
            continue
        a, b = node.args
        if not isinstance(a, fx.Node) or not isinstance(b, fx.Node) or a is b:
            continue
        sign = node.kwargs.get("alpha", 1) * (-1 if is_op(node, aten.sub) else 1)
        sides = [_linear_side(a), _linear_side(b)]
        if a.target is kernel and sides[1][0] is not a.args[0]:
            sides[1] = (b, None, None)
        elif b.target is kernel and a.target is not kernel and sides[0][0] is not b.args[0]:
            sides[0] = (a, None, None)
        (xa, ka, fa), (xb, kb, fb) = sides
        if xa is not xb or (ka is None and kb is None) or literal(xa):
            continue
        if any(n.target in (kernel, affine) and len(n.users) != 1 for n in (a, b)):
            program.kept("sum of branches", node, "a branch is read elsewhere too")
            continue
        if (ka is None or kb is None) and not exact_ones:
            program.kept(
                "identity into the kernel", node, "1 + w loses the digits of w in bfloat16"
            )
            continue
        try:
            like = ka if ka is not None else kb
            assert like is not None  # noqa: S101 - narrowed above
            channels = like.out_channels
            left = ka if ka is not None else diagonal(like, fa or _unit(channels))
            right = kb if kb is not None else diagonal(like, fb or _unit(channels))
            if sign != 1:
                right = after(right, _times(channels, sign))
            merged = parallel(left, right)
        except Unfoldable as reason:
            program.kept("sum of branches", node, str(reason))
            continue
        program.done("merged", node, "parallel linear branches into one kernel")
        _replace(program, node, kernel, (xa,), kernel=merged)
    program.tidy()


def _linear_side(node: fx.Node) -> tuple[fx.Node, Kernel | None, Affine | None]:
    """Read a summand as a kernel of a value, an affine map of it, or the value itself."""
    if node.target is kernel and _bare(node) and node.meta["kernel"].spatial > 0:
        return node.args[0], node.meta["kernel"], None  # type: ignore[return-value]
    if node.target is affine:
        return node.args[0], None, node.meta["affine"]  # type: ignore[return-value]
    return node, None, None


def _unit(channels: int) -> Affine:
    return _times(channels, 1)


def _times(channels: int, factor: float) -> Affine:
    one = torch.ones(channels, dtype=torch.float64)
    return Affine(one * factor, one * 0)


# -- chain --------------------------------------------------------------------------------


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
            value = after(value, _times(value.out_channels, sign))
        program.done("chained", node, "convolution + add")
        fused = _replace(program, node, kernel, (host.args[0], other), kernel=value)
        order[fused] = order[node]
    program.tidy()


def _can_host(node: Any, add: fx.Node) -> bool:
    return (
        isinstance(node, fx.Node)
        and node.target is kernel
        and _bare(node)
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


# -- both ---------------------------------------------------------------------------------


def _bare(node: fx.Node) -> bool:
    """Whether a kernel has no epilogue yet."""
    return len(node.args) == 1 and node.meta.get("unary") is None


def _replace(
    program: Program, node: fx.Node, target: Any, args: tuple[Any, ...], **meta: Any
) -> fx.Node:
    with program.graph.inserting_before(node):
        made = program.graph.call_function(target, args)
    made.meta.update({**node.meta, **meta, "memory": f"new {made.name}"})
    node.replace_all_uses_with(made)
    program.graph.erase_node(node)
    return made


def retype(value: Kernel, dtype: torch.dtype) -> Kernel:
    """Return a kernel in another floating type."""
    bias = None if value.bias is None else value.bias.to(dtype)
    return replace(value, weight=value.weight.to(dtype), bias=bias)


def kernels(program: Program) -> Iterator[tuple[fx.Node, Kernel]]:
    """Yield every kernel's node and value."""
    for node in program.graph.nodes:
        if node.target is kernel:
            yield node, node.meta["kernel"]
