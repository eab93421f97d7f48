"""The algebra of linear maps: batch normalisation, identities and parallel branches as one kernel.

Scales and shifts in float64. Ding et al. 2021, *RepVGG: Making VGG-style ConvNets Great
Again*, section 3.3, for kernels of any size, stride, dilation and grouping where it is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "Affine",
    "Kernel",
    "Unfoldable",
    "after",
    "apply",
    "before",
    "compose",
    "diagonal",
    "following",
    "parallel",
    "retype",
]


class Unfoldable(Exception):  # noqa: N818 - an answer, not a fault
    """Two maps are no single kernel; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """A convolution ``y = weight * x + bias``; without spatial axes it is a linear layer.

    `weight` is ``(C_out, C_in / groups, *k)``, or ``(C_in, C_out / groups, *k)`` transposed.
    """

    weight: Tensor
    bias: Tensor | None
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1
    transposed: bool = False
    output_padding: tuple[int, ...] = ()

    @property
    def spatial(self) -> int:
        """The number of spatial axes."""
        return self.weight.dim() - 2

    @property
    def out_channels(self) -> int:
        """C_out."""
        return self.weight.shape[1] * self.groups if self.transposed else self.weight.shape[0]

    @property
    def in_channels(self) -> int:
        """C_in."""
        return self.weight.shape[0] if self.transposed else self.weight.shape[1] * self.groups

    @property
    def pointwise(self) -> bool:
        """Whether every output pixel reads its own input pixel alone."""
        return (
            not self.transposed
            and all(k == 1 for k in self.weight.shape[2:])
            and all(s == 1 for s in self.stride)
            and not any(self.padding)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """``y = scale x + shift`` per channel, both ``(C,)``; batch normalisation in eval mode."""

    scale: Tensor
    shift: Tensor

    def then(self, other: Affine) -> Affine:
        """Return ``other(self(x))``.

        >>> one = torch.ones(2)
        >>> Affine(2 * one, one).then(Affine(3 * one, one)).shift
        tensor([4., 4.], dtype=torch.float64)
        """
        scale, shift = self.scale.double(), self.shift.double()
        return Affine(other.scale * scale, other.scale * shift + other.shift)


def apply(kernel: Kernel, x: Tensor) -> Tensor:
    """Return ``kernel(x)``.

    >>> apply(Kernel(torch.ones(1, 2), torch.ones(1)), torch.tensor([[3.0, 4.0]]))
    tensor([[8.]])
    """
    if kernel.spatial == 0:
        return F.linear(x, kernel.weight, kernel.bias)
    y: Tensor = torch.ops.aten.convolution.default(
        x, kernel.weight, kernel.bias, kernel.stride, kernel.padding, kernel.dilation,
        kernel.transposed, kernel.output_padding, kernel.groups,
    )  # fmt: skip
    return y


def after(kernel: Kernel, affine: Affine) -> Kernel:
    """Return the kernel of ``affine(kernel(x))``."""
    dtype = kernel.weight.dtype
    scale, shift = affine.scale.double(), affine.shift.double()
    # Weights are many: their product is rounded in float32 at least, not made in float64.
    weight = kernel.weight.to(torch.promote_types(dtype, torch.float32))
    rows = scale.to(weight.dtype)
    if kernel.transposed:
        rows = rows.view(kernel.groups, 1, -1, *(1,) * kernel.spatial)
        weight = (weight.unflatten(0, (kernel.groups, -1)) * rows).flatten(0, 1)  # type: ignore[no-untyped-call]
    else:
        weight = weight * rows.view(-1, 1, *(1,) * kernel.spatial)
    bias = shift if kernel.bias is None else kernel.bias.double() * scale + shift
    return replace(kernel, weight=weight.to(dtype), bias=bias.to(dtype))


def before(kernel: Kernel, affine: Affine) -> Kernel:
    """Return the kernel of ``kernel(affine(x))``; exact only where no padding meets the shift."""
    shift = affine.shift.double()
    if kernel.transposed:
        raise Unfoldable("an affine map before a transposed convolution")
    if any(kernel.padding) and bool(shift.any()):
        raise Unfoldable("the convolution pads with zeros, which the shift would have moved")
    weight, groups, dtype = kernel.weight.double(), kernel.groups, kernel.weight.dtype
    columns = affine.scale.double().view(groups, 1, -1, *(1,) * kernel.spatial)
    taps = weight.flatten(2).sum(2) if kernel.spatial else weight
    moved = torch.einsum(
        "goi,gi->go",
        taps.unflatten(0, (groups, -1)),  # type: ignore[no-untyped-call]
        shift.view(groups, -1),
    ).flatten()
    bias = moved if kernel.bias is None else kernel.bias.double() + moved
    weight = (weight.unflatten(0, (groups, -1)) * columns).flatten(0, 1)  # type: ignore[no-untyped-call]
    return replace(kernel, weight=weight.to(dtype), bias=bias.to(dtype))


def following(outer: Kernel, inner: Kernel) -> Kernel:
    """Return the kernel of ``outer(inner(x))``, both pointwise and without groups.

    >>> twice, thrice = (Kernel(torch.full((1, 1), n), torch.ones(1)) for n in (2.0, 3.0))
    >>> apply(following(thrice, twice), torch.ones(1, 1))
    tensor([[10.]])
    """
    a, b = outer.weight.double().flatten(1), inner.weight.double().flatten(1)
    biases = [k.double() for k in (outer.bias,) if k is not None]
    if inner.bias is not None:
        biases.append(a @ inner.bias.double())
    dtype = outer.weight.dtype
    bias = sum(biases[1:], biases[0]).to(dtype) if biases else None
    weight = (a @ b).to(dtype).view(-1, b.shape[1], *outer.weight.shape[2:])
    return replace(outer, weight=weight, bias=bias)


def diagonal(like: Kernel, affine: Affine) -> Kernel:
    """Return ``affine(x)`` as a 1x1 kernel with the groups of `like`; the identity is one."""
    channels = affine.scale.numel()
    if like.transposed or like.in_channels != channels or like.out_channels != channels:
        raise Unfoldable("an identity beside a convolution that changes the channels")
    if any(s != 1 for s in like.stride):
        raise Unfoldable("an identity beside a strided convolution")
    each = channels // like.groups
    eye = torch.eye(each, dtype=torch.float64).repeat(like.groups, 1)
    weight = (eye * affine.scale.double()[:, None]).view(channels, each, *(1,) * like.spatial)
    zero = (0,) * like.spatial
    return Kernel(
        weight.to(like.weight.dtype),
        affine.shift.to(like.weight.dtype),
        like.stride,
        zero,
        (1,) * like.spatial,
        like.groups,
        False,
        zero,
    )


def parallel(a: Kernel, b: Kernel) -> Kernel:
    """Return the kernel of ``a(x) + b(x)``: the larger one's taps take in the smaller one's.

    Tap ``t`` of a kernel reads the pixel at ``t d - p`` from ``i s``; both must read one grid.
    """
    if a.transposed or b.transposed:
        raise Unfoldable("a transposed convolution beside another")
    if a.spatial != b.spatial or a.stride != b.stride:
        raise Unfoldable(f"strides {a.stride} and {b.stride}")
    if a.groups != b.groups:
        raise Unfoldable(f"{a.groups} and {b.groups} groups: one kernel would do more work")
    if b.weight[0, 0].numel() > a.weight[0, 0].numel():
        a, b = b, a
    pads: list[int] = []
    for axis in reversed(range(a.spatial)):
        grid = a.dilation[axis]
        k, small = a.weight.shape[2 + axis], b.weight.shape[2 + axis]
        start, rest = divmod(a.padding[axis] - b.padding[axis], grid)
        if rest or start < 0 or start + small > k or (small > 1 and b.dilation[axis] != grid):
            raise Unfoldable("the smaller kernel's taps are not among the larger one's")
        if 2 * start + small != k:
            raise Unfoldable("the kernels are not centred on the same pixel")
        pads += [start, k - small - start]
    weight = a.weight.double() + F.pad(b.weight.double(), pads)
    biases = [k.bias.double() for k in (a, b) if k.bias is not None]
    bias = sum(biases[1:], biases[0]).to(a.weight.dtype) if biases else None
    return replace(a, weight=weight.to(a.weight.dtype), bias=bias)


def compose(shapes: Sequence[int], tensor: Tensor) -> Tensor | None:
    """Return a constant that broadcasts per channel onto `shapes` as ``(C,)``, else None."""
    rank, channels = len(shapes), shapes[1] if len(shapes) > 1 else 0
    full = (1,) * (rank - tensor.dim()) + tuple(tensor.shape)
    if len(full) != rank or rank < 2:
        return None
    if any(n != 1 for axis, n in enumerate(full) if axis != 1) or full[1] not in (1, channels):
        return None
    return tensor.reshape(-1).expand(channels)


def retype(value: Kernel, dtype: torch.dtype) -> Kernel:
    """Return a kernel in another floating type."""
    bias = None if value.bias is None else value.bias.to(dtype)
    return replace(value, weight=value.weight.to(dtype), bias=bias)
