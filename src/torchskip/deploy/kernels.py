"""What a fused model runs: convolutions with their epilogue, prepacked for oneDNN.

``torch.ops.mkldnn`` is no public interface. Each operator is tried once on a small example
against eager PyTorch; one that is missing, or answers otherwise, is not used, and the same
module then runs eager operators, in place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchskip.deploy.fold import Kernel

__all__ = ["Convolution", "Linear", "Unary", "available", "conv_layout"]

_EAGER: dict[str, Callable[..., Tensor]] = {
    "relu": torch.relu_,
    "sigmoid": torch.sigmoid_,
    "tanh": torch.tanh_,
    "swish": lambda x: F.silu(x, inplace=True),
    "hardswish": lambda x: F.hardswish(x, inplace=True),
    "hardsigmoid": lambda x: F.hardsigmoid(x, inplace=True),
    "leaky_relu": lambda x, slope: F.leaky_relu(x, slope, inplace=True),
    "hardtanh": lambda x, low, high: x.clamp_(low, high),
    "gelu": lambda x, approximate: F.gelu(x, approximate=approximate),
}


@dataclass(frozen=True, slots=True)
class Unary:
    """An activation by oneDNN's name, its numbers and its variant."""

    name: str
    scalars: tuple[float, ...] = ()
    algorithm: str = ""

    def eager(self, x: Tensor) -> Tensor:
        """Apply it to `x`, in place where there is such a form."""
        more = (self.algorithm,) if self.algorithm else self.scalars
        return _EAGER[self.name](x, *more)


_RELU = Unary("relu")
_NONE: tuple[str, list[float], str] = ("none", [], "")


def conv_layout(rank: int) -> torch.memory_format:
    """Return the memory format with the channels last."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return formats.get(rank, torch.contiguous_format)


def _agrees(make: Callable[[], tuple[Tensor, Tensor]]) -> bool:
    try:
        with torch.no_grad():
            result, truth = make()
        return torch.allclose(result, truth, rtol=1e-4, atol=1e-5)
    except Exception:
        return False


def _example(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    # No random numbers: the caller's generator is not ours.
    x = torch.linspace(-1, 1, 2 * 16 * 25).sin().view(2, 16, 5, 5).to(dtype)
    weight = torch.linspace(-2, 2, 16 * 16 * 9).cos().view(16, 16, 3, 3).to(dtype) / 8
    return x.contiguous(memory_format=torch.channels_last), weight, x.mean((0, 2, 3))


@cache
def available(unary: Unary | None, binary: bool, dtype: torch.dtype) -> bool:
    """Say whether oneDNN does ``unary(conv(x) [+ other])`` here, as eager PyTorch does it."""
    if not torch.backends.mkldnn.is_available() or dtype not in (torch.float32, torch.bfloat16):  # type: ignore[no-untyped-call]
        return False
    if binary and unary is not None and unary.name != "relu":
        return False
    # In bfloat16 the two round differently: what is asked there is whether it runs.
    tolerance = 1.0 if dtype == torch.float32 else 0.0

    def make() -> tuple[Tensor, Tensor]:
        x, weight, bias = _example(dtype)
        kernel = Kernel(weight, bias, (1, 1), (1, 1), (1, 1))
        truth = F.conv2d(x.float(), weight.float(), bias.float(), 1, 1)
        packed = _pack(kernel, tuple(x.shape))
        arguments = ([1, 1], [1, 1], [1, 1], 1)
        name, scalars, algorithm = _words(unary)
        if binary:
            other = x.clone(memory_format=torch.preserve_format)
            truth = truth + other.float()
            op = torch.ops.mkldnn._convolution_pointwise_.binary
            result = op(
                other, x, packed, bias, *arguments, "add", 1.0, name if unary else None, [], ""
            )
        else:
            op = torch.ops.mkldnn._convolution_pointwise.default
            result = op(x, packed, bias, *arguments, name, scalars, algorithm)
        truth = truth if unary is None else unary.eager(truth)
        return result.float() * tolerance, truth * tolerance

    return _agrees(make)


@cache
def _linear_available(unary: Unary | None, dtype: torch.dtype) -> bool:
    if not torch.backends.mkldnn.is_available() or dtype not in (torch.float32, torch.bfloat16):  # type: ignore[no-untyped-call]
        return False

    def make() -> tuple[Tensor, Tensor]:
        x, weight, bias = _example(dtype)
        x, weight = x.permute(0, 2, 3, 1), weight[..., 0, 0].contiguous()
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, 50)
        result = torch.ops.mkldnn._linear_pointwise(x, packed, bias, *_words(unary))
        truth = F.linear(x.float(), weight.float(), bias.float())
        truth = truth if unary is None else unary.eager(truth)
        return (result.float(), truth) if dtype == torch.float32 else (truth, truth)

    return _agrees(make)


def _words(unary: Unary | None) -> tuple[str, list[float], str]:
    return ("none", [], "") if unary is None else (unary.name, [*unary.scalars], unary.algorithm)


def _pack(kernel: Kernel, shape: tuple[int, ...]) -> Tensor:
    packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
        kernel.weight.contiguous(),
        list(kernel.padding),
        list(kernel.stride),
        list(kernel.dilation),
        kernel.groups,
        list(shape),
    )
    return packed


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
            on_cpu and kernel.spatial == 2 and not kernel.transposed and math.prod(self.shape) > 0
        )
        first = None if self.binary else self.unary
        self.native = plain and available(first, self.binary, dtype)
        # With groups the operator convolves and adds apart, and lacks bfloat16 at that.
        self.joins = self.native and self.binary and kernel.groups == 1
        joins = self.joins or not self.binary
        self.chained = self.native and joins and available(self.unary, self.binary, dtype)
        self.flat = (
            plain
            and kernel.pointwise
            and kernel.groups == 1
            and not self.binary
            and _linear_available(self.unary, dtype)
        )
        if self.flat:
            rows = self.shape[0] * math.prod(self.shape[2:])
            weight = kernel.weight.flatten(1).contiguous()
            self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        elif self.native:
            self.packed = _pack(kernel, self.shape)
        else:
            self.packed = kernel.weight.contiguous(memory_format=self.layout)
        self.arguments = (
            [list(kernel.padding), list(kernel.stride), list(kernel.dilation)],
            kernel.groups,
        )
        self.words = _words(self.unary if self.chained or self.flat else None)

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
        self.native = weight.device.type == "cpu" and _linear_available(self.unary, weight.dtype)
        if self.native:
            self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, self.rows)
        else:
            self.packed = weight
        self.words = _words(self.unary)

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
