"""Normalisation over groups of large maps, channels last, from sums that lose no digits.

PyTorch adds up a channels-last map value by value in float32: some 3,000 units in the last place
are lost over 500,000 values. Here every column is summed first, then the columns in float64. Eager
PyTorch without channels-last is as exact.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from torchskip.deploy.capture import Inputs
from torchskip.deploy.find import affine
from torchskip.deploy.onednn import conv_layout
from torchskip.deploy.program import Program, aten, is_op, literal
from torchskip.deploy.rehearse import rehearse
from torchskip.deploy.sizes import extent, generalise

__all__ = ["ScaleShift", "norms_by_columns"]

# So many values in a group are summed with an error of about 1e-6 by PyTorch.
_LARGE = 2**14
_RESHAPES = (aten.view, aten.reshape, aten._unsafe_view)


class ScaleShift(nn.Module):
    """The map ``x -> s x + t`` that group normalisation of `x` is.

    ``s = w / sqrt(E[x^2] - E[x]^2 + eps)`` and ``t = b - s E[x]``, where ``E`` is the mean over a
    group of channels (Wu & He 2018, *Group Normalization*, equations 1 to 3).

    >>> x, w, b = torch.randn(2, 6, 4, 5) + 3, torch.rand(6), torch.rand(6)
    >>> s, t = ScaleShift(3, 1e-5)(x, w, b)
    >>> torch.allclose(s * x + t, torch.group_norm(x, 3, w, b), atol=1e-5)
    True

    """

    def __init__(self, groups: int, eps: float) -> None:
        super().__init__()
        self.groups, self.eps = groups, eps

    def forward(self, x: Tensor, w: Tensor | None, b: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return `s` and `t`, one value for each sample and channel."""
        mean, square = self._mean(x), self._mean(x.square())
        scale = (
            (square - mean * mean).clamp(min=0).add(self.eps).rsqrt().expand(-1, -1, self._each(x))
        )
        if w is not None:
            scale = scale * w.double().view(self.groups, -1)
        shift = -scale * mean
        if b is not None:
            shift = shift + b.double().view(self.groups, -1)
        size = (-1, x.shape[1], *(1,) * (x.dim() - 2))  # `view` keeps the -1, `reshape` does not
        scale, shift = (v.to(x.dtype).contiguous().view(size) for v in (scale, shift))
        return scale, shift

    def _mean(self, x: Tensor) -> Tensor:
        count, channels, *outer, width = x.shape
        rows = math.prod(outer)
        # A product with ones adds up twenty times as fast as `sum` along an axis that is not last.
        lines = x.movedim(1, -1).reshape(count, rows, width * channels)
        sums = torch.bmm(x.new_ones(count, 1, rows), lines).double().div(rows)
        by_group = sums.view(count, width, self.groups, self._each(x))
        return by_group.mean((1, 3)).unsqueeze(-1)

    def _each(self, x: Tensor) -> int:
        return x.shape[1] // self.groups


@dataclass(frozen=True, slots=True, eq=False)
class _Norm:
    """Group normalisation of `x`, and the nodes that are its result."""

    x: fx.Node
    weight: fx.Node | None
    bias: fx.Node | None
    groups: int
    eps: float
    results: tuple[fx.Node, ...]


def norms_by_columns(program: Program) -> None:
    """Rewrite the normalisations over groups, or each channel, of large float32 maps."""
    for node in list(program.graph.nodes):
        if literal(node):
            continue
        norm = _group_norm(node) or _instance_norm(program, node)
        if norm is not None and _concerns(norm):
            _rewrite(program, node, norm)
    program.tidy()


def _group_norm(node: fx.Node) -> _Norm | None:
    alone = all(u.target is operator.getitem and u.args[1] == 0 for u in node.users)
    if not is_op(node, aten.native_group_norm) or not alone:
        return None
    x, weight, bias, *_, groups, eps = cast("Any", node.args)
    return _Norm(x, weight, bias, groups, eps, tuple(node.users))


def _instance_norm(program: Program, node: fx.Node) -> _Norm | None:
    """Read batch normalisation of all samples' channels as one sample's: groups of one channel."""
    if not is_op(node, aten.native_batch_norm) or not node.args[5] or node.args[3] is not None:
        return None
    flat, weight, bias, *_, eps = cast("Any", node.args)
    parts = tuple(node.users)
    if not is_op(flat, *_RESHAPES) or any(u.args[1] != 0 for u in parts):
        return None
    x = flat.args[0]
    count, channels, *sides = x.meta["shape"]
    results = tuple(u for part in parts for u in part.users if u.target is not extent)
    back = all(is_op(r, *_RESHAPES) and r.meta["shape"] == x.meta["shape"] for r in results)
    weight, bias = (_once(v) for v in (weight, bias))
    each = all(
        v is None or (program.constant(v) is not None and v.meta["shape"] == (channels,))
        for v in (weight, bias)
    )
    if not back or not each or flat.meta["shape"] != (1, count * channels, *sides):
        return None
    return _Norm(x, weight, bias, channels, eps, results)


def _once(value: Any) -> Any:
    """Return what `value` repeats for every sample."""
    return value.args[0] if is_op(value, aten.repeat) and len(value.args[1]) == 1 else value


def _concerns(norm: _Norm) -> bool:
    shape = norm.x.meta["shape"]
    # A map of one axis has no channels-last form.
    large = math.prod(shape[1:]) >= _LARGE * norm.groups
    return norm.x.meta["dtype"] == torch.float32 and len(shape) > 3 and large


def _rewrite(program: Program, node: fx.Node, norm: _Norm) -> None:
    given = (norm.x, norm.weight, norm.bias)
    module = ScaleShift(norm.groups, norm.eps)
    seen, other = (rehearse(module, Inputs(_like(given, more), {})) for more in (0, 1))
    generalise([seen, other])
    inputs = (n for n in seen.graph.nodes if n.op == "placeholder")
    twins = dict(zip(inputs, (v for v in given if v is not None), strict=True))
    path = node.meta.get("path", "")
    with program.graph.inserting_before(node):
        scale, shift = program.graph.graph_copy(seen.graph, twins)  # type: ignore[misc]
        made = program.graph.call_function(affine, (norm.x, scale, shift))
    for original, twin in twins.items():
        if "memory" in original.meta and original.op != "placeholder":
            twin.meta.update(path=path, memory=f"{node.name} {original.meta['memory']}")
        if is_op(twin, aten.view):
            twin.target = aten.reshape.default  # whatever the strides
    made.meta.update({**norm.x.meta, "path": path, "memory": f"new {made.name}"})
    for result in norm.results:
        result.replace_all_uses_with(made)
    program.done("written out", node, "normalisation over groups, by columns")


def _like(given: Sequence[Any], more: int) -> tuple[Tensor | None, ...]:
    """Return tensors without values like the given ones, or of a larger map where `more` is 1.

    Every axis grows by another step: two equal sides are then told apart.
    """
    shape = given[0].meta["shape"]
    sides = (n + more * (axis + 1) for axis, n in enumerate(shape[2:]))
    shapes = [(shape[0] + more, shape[1], *sides), *((shape[1],) * 2)]
    tensors = [
        None if v is None else torch.empty(size, dtype=v.meta["dtype"], device="meta")
        for v, size in zip(given, shapes, strict=True)
    ]
    layout = conv_layout(len(shape))  # in which lines lie side by side
    return tuple(
        t.contiguous(memory_format=layout) if t is not None and t.dim() > 1 else t for t in tensors
    )
