"""What oneDNN's operators do on this machine: each is tried once against eager PyTorch.

``torch.ops.mkldnn`` is no public interface. An operator that is missing, or answers otherwise than
eager PyTorch on a small example, is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from torchskip.deploy.fold import Kernel, apply
from torchskip.deploy.unary import Unary

__all__ = ["Words", "conv_layout", "convolves", "multiplies", "pack", "words"]

Words = tuple[str, list[float], str]


def conv_layout(rank: int) -> torch.memory_format:
    """Return the memory format with the channels last."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return formats.get(rank, torch.contiguous_format)


def words(unary: Unary | None) -> Words:
    """Return an activation, or none, as the operators take it."""
    return ("none", [], "") if unary is None else (unary.name, [*unary.scalars], unary.algorithm)


def pack(kernel: Kernel, shape: Sequence[int]) -> Tensor:
    """Return the weight in the layout that oneDNN chooses for inputs of `shape`."""
    packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
        kernel.weight.contiguous(),
        list(kernel.padding),
        list(kernel.stride),
        list(kernel.dilation),
        kernel.groups,
        list(shape),
    )
    return packed


@cache
def convolves(unary: Unary | None, binary: bool, dtype: torch.dtype, spatial: int) -> bool:
    """Say whether oneDNN does ``unary(conv(x) [+ other])`` here, as eager PyTorch does it."""
    if not _usable(dtype) or spatial not in (2, 3):
        return False
    if binary and unary is not None and unary.name != "relu":
        return False
    # In bfloat16 the two round differently: what is asked there is whether it runs.
    tolerance = 1.0 if dtype == torch.float32 else 0.0

    def make() -> tuple[Tensor, Tensor]:
        x, weight, bias = _example(dtype, spatial)
        one = (1,) * spatial
        numbers = (one, one, one, 1, False, (0,) * spatial)
        kernel = Kernel(weight, bias, *numbers)
        truth = apply(Kernel(weight.float(), bias.float(), *numbers), x.float())
        arguments = (pack(kernel, tuple(x.shape)), bias, [*one], [*one], [*one], 1)
        name, scalars, algorithm = words(unary)
        if binary:
            other = x.clone(memory_format=torch.preserve_format)
            truth = truth + other.float()
            op = torch.ops.mkldnn._convolution_pointwise_.binary
            result = op(other, x, *arguments, "add", 1.0, name if unary else None, [], "")
        else:
            op = torch.ops.mkldnn._convolution_pointwise.default
            result = op(x, *arguments, name, scalars, algorithm)
        truth = truth if unary is None else unary.eager(truth)
        return result.float() * tolerance, truth * tolerance

    return _agrees(make)


@cache
def multiplies(unary: Unary | None, dtype: torch.dtype) -> bool:
    """Say whether oneDNN does ``unary(x W^T + b)`` here, as eager PyTorch does it."""
    if not _usable(dtype):
        return False

    def make() -> tuple[Tensor, Tensor]:
        x, weight, bias = _example(dtype, 2)
        x, weight = x.permute(0, 2, 3, 1), weight[..., 0, 0].contiguous()
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, 50)
        result = torch.ops.mkldnn._linear_pointwise(x, packed, bias, *words(unary))
        truth = F.linear(x.float(), weight.float(), bias.float())
        truth = truth if unary is None else unary.eager(truth)
        return (result.float(), truth) if dtype == torch.float32 else (truth, truth)

    return _agrees(make)


def _usable(dtype: torch.dtype) -> bool:
    kinds = (torch.float32, torch.bfloat16)
    return dtype in kinds and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def _agrees(make: Callable[[], tuple[Tensor, Tensor]]) -> bool:
    try:
        with torch.no_grad():
            result, truth = make()
        return torch.allclose(result, truth, rtol=1e-4, atol=1e-5)
    except Exception:
        return False


def _example(dtype: torch.dtype, spatial: int) -> tuple[Tensor, Tensor, Tensor]:
    # No random numbers: the caller's generator is not ours.
    shape, window = (2, 16, *(5,) * spatial), (16, 16, *(3,) * spatial)
    x = torch.linspace(-1, 1, 32 * 5**spatial).sin().view(shape).to(dtype)
    weight = torch.linspace(-2, 2, 256 * 3**spatial).cos().view(window).to(dtype) / 8
    return x.contiguous(memory_format=conv_layout(x.dim())), weight, x.mean((0, *range(2, x.dim())))
