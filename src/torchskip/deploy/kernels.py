"""What a fused model runs: convolutions with their epilogue, prepacked for oneDNN.

Where oneDNN's operators are not to be had, the same modules run eager ones, in place.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchskip.deploy.fold import Kernel
from torchskip.deploy.onednn import Words, conv_layout, convolves, multiplies, pack, words
from torchskip.deploy.unary import Unary

__all__ = ["Convolution", "Linear"]

_RELU = Unary("relu")
_NONE: Words = words(None)


def _laid_out(weight: Tensor, layout: torch.memory_format) -> Tensor:
    """Return `weight` in a layout that PyTorch recognises.

    With one input channel `contiguous` returns what was given, whose strides PyTorch takes for
    channels first; the operator then writes its result so.
    """
    return torch.empty_like(weight, memory_format=layout).copy_(weight)


class _Prepacked(nn.Module):
    """A module whose state is a kernel; what is packed from it is made again where it arrives."""

    kernel: Kernel

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "packed": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.prepare()

    def prepare(self) -> None:
        raise NotImplementedError


class Convolution(_Prepacked):
    """``unary(kernel(x))``, or ``unary(kernel(x) + other)``, which may be written over `other`.

    Args:
        kernel: the convolution, folded.
        shape: an input shape; oneDNN picks the weight's blocked layout by it.
        unary: the activation at the end.
        binary: whether an `other` is added first.
        overwrite: whether `other` is dead after this and takes the result.

    """

    def __init__(
        self,
        kernel: Kernel,
        shape: tuple[int, ...],
        unary: Unary | None = None,
        *,
        binary: bool = False,
        overwrite: bool = False,
    ) -> None:
        super().__init__()
        self.kernel, self.shape, self.unary = kernel, shape, unary
        self.binary, self.overwrite = binary, overwrite
        self.prepare()

    def prepare(self) -> None:
        """Pack the weight and choose the operators."""
        kernel, dtype = self.kernel, self.kernel.weight.dtype
        self.layout = conv_layout(kernel.weight.dim())
        on_cpu = kernel.weight.device.type == "cpu"
        plain = (
            on_cpu and kernel.spatial > 1 and not kernel.transposed and math.prod(self.shape) > 0
        )
        first = None if self.binary else self.unary
        self.native = plain and convolves(first, self.binary, dtype, kernel.spatial)
        # With groups the operator convolves and adds apart, and lacks bfloat16 at that.
        self.joins = self.native and self.binary and kernel.groups == 1
        joins = self.joins or not self.binary
        self.chained = (
            self.native and joins and convolves(self.unary, self.binary, dtype, kernel.spatial)
        )
        self.flat = (
            plain
            and kernel.spatial == 2
            and kernel.pointwise
            and kernel.groups == 1
            and not self.binary
            and multiplies(self.unary, dtype)
        )
        if self.flat:
            rows = self.shape[0] * math.prod(self.shape[2:])
            weight = kernel.weight.flatten(1).contiguous()
            self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        elif self.native:
            self.packed = pack(kernel, self.shape)
        else:
            self.packed = _laid_out(kernel.weight, self.layout)
        self.arguments = (
            [list(kernel.padding), list(kernel.stride), list(kernel.dilation)],
            kernel.groups,
        )
        self.words = words(self.unary if self.chained or self.flat else None)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """Run it."""
        kernel = self.kernel
        if self.flat:
            if not x.is_contiguous(memory_format=self.layout):
                x = x.contiguous(memory_format=self.layout)
            y: Tensor = torch.ops.mkldnn._linear_pointwise.default(
                x.permute(0, 2, 3, 1), self.packed, kernel.bias, *self.words
            )
            return y.permute(0, 3, 1, 2)
        (padding, stride, dilation), groups = self.arguments
        if other is not None and self.joins:
            if not other.is_contiguous(memory_format=self.layout):
                other = other.contiguous(memory_format=self.layout)
            name = self.words[0] if self.chained and self.unary is not None else None
            if self.overwrite:
                y = torch.ops.mkldnn._convolution_pointwise_.binary(
                    other, x, self.packed, kernel.bias, padding, stride, dilation, groups,
                    "add", 1.0, name, [], "",
                )  # fmt: skip
            else:
                y = torch.ops.mkldnn._convolution_pointwise.binary(
                    x, other, self.packed, kernel.bias, padding, stride, dilation, groups,
                    "add", 1.0, name, [], "",
                )  # fmt: skip
        elif self.native:
            words = _NONE if other is not None else self.words
            y = torch.ops.mkldnn._convolution_pointwise.default(
                x, self.packed, kernel.bias, padding, stride, dilation, groups, *words
            )
        else:
            y = torch.ops.aten.convolution.default(
                x, self.packed, kernel.bias, stride, padding, dilation,
                kernel.transposed, kernel.output_padding, groups,
            )  # fmt: skip
        if other is not None and not self.joins:
            if self.unary == _RELU and y.dtype == torch.float32:
                return torch.ops.aten._add_relu_.Tensor(y, other)  # type: ignore[no-any-return]
            y.add_(other)
        return y if self.unary is None or self.chained else self.unary.eager(y)

    def extra_repr(self) -> str:
        """Show the kernel."""
        k = self.kernel
        size = "x".join(map(str, k.weight.shape[2:]))
        words = [f"{k.in_channels}, {k.out_channels}, {size}", f"stride={k.stride}"]
        words += [f"groups={k.groups}"] * (k.groups > 1) + ["transposed"] * k.transposed
        words += ["+ other"] * self.binary + ([self.unary.name] if self.unary else [])
        return ", ".join([*words, "oneDNN" if self.native or self.flat else "eager"])


class Linear(_Prepacked):
    """``unary(x W^T + b)`` over the last axis."""

    def __init__(self, kernel: Kernel, rows: int, unary: Unary | None = None) -> None:
        super().__init__()
        self.kernel, self.rows, self.unary = kernel, rows, unary
        self.prepare()

    def prepare(self) -> None:
        """Pack the weight."""
        weight = self.kernel.weight.contiguous()
        self.native = weight.device.type == "cpu" and multiplies(self.unary, weight.dtype)
        if self.native:
            self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, self.rows)
        else:
            self.packed = weight
        self.words = words(self.unary)

    def forward(self, x: Tensor) -> Tensor:
        """Run it."""
        if self.native:
            y: Tensor = torch.ops.mkldnn._linear_pointwise.default(
                x, self.packed, self.kernel.bias, *self.words
            )
            return y
        y = F.linear(x, self.packed, self.kernel.bias)
        return y if self.unary is None else self.unary.eager(y)

    def extra_repr(self) -> str:
        """Show the kernel."""
        out, into = self.kernel.weight.shape
        end = [self.unary.name] if self.unary else []
        return ", ".join([f"{into}, {out}", *end, "oneDNN" if self.native else "eager"])
