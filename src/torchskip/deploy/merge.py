"""The passes that make fewer linear maps of many, where that is exact."""

from __future__ import annotations

import torch
from torch import fx

from torchskip.deploy.find import affine, bare, kernel, replace_node
from torchskip.deploy.fold import Affine, Kernel, Unfoldable, after, before, diagonal, parallel
from torchskip.deploy.program import Program, aten, is_op, literal

__all__ = ["fold_after", "fold_before", "fold_rectified", "merge_parallel", "times"]


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
        elif x.target is kernel and len(x.users) == 1 and bare(x):
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
        if not readers or any(u.target is not kernel or not bare(u) for u in readers):
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
            u.target is kernel and bare(u) and not any(u.meta["kernel"].padding)
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
        replace_node(program, node, target, (inner.args[0], *extra))
        program.graph.erase_node(inner)


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
                right = after(right, times(channels, sign))
            merged = parallel(left, right)
        except Unfoldable as reason:
            program.kept("sum of branches", node, str(reason))
            continue
        program.done("merged", node, "parallel linear branches into one kernel")
        replace_node(program, node, kernel, (xa,), kernel=merged)
    program.tidy()


def _linear_side(node: fx.Node) -> tuple[fx.Node, Kernel | None, Affine | None]:
    """Read a summand as a kernel of a value, an affine map of it, or the value itself."""
    if node.target is kernel and bare(node) and node.meta["kernel"].spatial > 0:
        return node.args[0], node.meta["kernel"], None  # type: ignore[return-value]
    if node.target is affine:
        return node.args[0], None, node.meta["affine"]  # type: ignore[return-value]
    return node, None, None


def _unit(channels: int) -> Affine:
    return times(channels, 1)


def times(channels: int, factor: float) -> Affine:
    """Return ``factor x``."""
    one = torch.ones(channels, dtype=torch.float64)
    return Affine(one * factor, one * 0)
