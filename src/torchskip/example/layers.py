"""Shapes that a layer takes: what it says by its kind and its channels."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

__all__ = ["KNOWN", "fits", "shapes_for", "tensor_for"]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_RECURRENT = (nn.LSTM, nn.GRU, nn.RNN)
KNOWN = (
    *_CONVOLUTIONS, *_TRANSPOSED, *_NORMS, *_RECURRENT, nn.Linear, nn.Embedding, nn.GroupNorm,
    nn.MultiheadAttention,
)  # fmt: skip

_MOST = 2**25  # numbers: more would be gigabytes behind the first layer


def shapes_for(layer: nn.Module, model: nn.Module) -> list[tuple[int, ...]]:
    """Shapes to try where a model's first layer is this one, the likeliest first."""
    rank, channels = _rank(layer), _channels(layer)
    if isinstance(layer, nn.Embedding):
        return [(1, 16), (2, 8)]
    if isinstance(layer, (*_RECURRENT, nn.MultiheadAttention)):
        return [(1, 16, channels), (16, channels), (1, channels, 16)]
    if rank == 0:
        vectors = [(1, channels), (1, 16, channels), (1, 32, 32, channels)]
        return [*vectors, (1, channels, 1, 1), (1, channels, 32, 32), (1, 3, 32, 32)]
    shrink = prod(max(_strides(m), default=1) for m in model.modules())
    # Three-dimensional maps of 224 pixels would be gigabytes in a real forward pass.
    usual = {1: (128, 1024), 2: (32, 224), 3: (32, 64)}[rank]
    sizes = [*(usual if shrink <= 8 else usual[::-1]), 28, 64, 96, 128, 256, 299, 384, 512]
    sizes = [size for size in dict.fromkeys(sizes) if rank < 3 or size <= 128]
    shapes = [(1, channels, *(size,) * rank) for size in sizes]
    space = (sizes[0],) * rank
    # Axes in another order, a time axis before the channels, and no axis for a single channel.
    others = [(1, *space, channels), (1, 4, channels, *space)]
    shapes += [*others, *([(1, *space)] if channels == 1 else [])]
    return [shape for shape in shapes if prod(shape) <= _MOST] or shapes[:1]


def tensor_for(model: nn.Module, layer: nn.Module | None, shape: tuple[int, ...]) -> Tensor:
    """A tensor without data of the model's own type, or of indices for a layer of look-ups."""
    if isinstance(layer, nn.Embedding):
        return torch.empty(shape, dtype=torch.long, device="meta")
    first = next((p for p in model.parameters() if p.is_floating_point()), None)
    return torch.empty(shape, dtype=None if first is None else first.dtype, device="meta")


def fits(layer: nn.Module, shape: tuple[int, ...]) -> bool:
    """Whether a layer takes a tensor of that shape."""
    if isinstance(layer, (nn.Linear, *_RECURRENT, nn.MultiheadAttention)):
        return shape[-1] == _channels(layer) or len(shape) == 4
    return len(shape) == _rank(layer) + 2 and shape[1] == _channels(layer)


def _rank(layer: nn.Module) -> int:
    """Spatial axes of a layer's input."""
    for rank in (1, 2, 3):
        if isinstance(layer, (_CONVOLUTIONS[rank - 1], _TRANSPOSED[rank - 1], _NORMS[rank - 1])):
            return rank
    return 2 if isinstance(layer, nn.GroupNorm) else 0


def _channels(layer: nn.Module) -> int:
    for name in (
        "in_channels",
        "num_features",
        "in_features",
        "num_channels",
        "input_size",
        "embed_dim",
    ):
        channels = getattr(layer, name, 0)
        if isinstance(channels, int) and channels > 0:
            return channels
    return 3


def _strides(module: nn.Module) -> tuple[int, ...]:
    if isinstance(module, _TRANSPOSED):
        return ()
    stride = getattr(module, "stride", ())
    stride = (stride,) if isinstance(stride, int) else stride
    if isinstance(stride, tuple) and all(isinstance(s, int) and s > 0 for s in stride):
        return stride
    return ()
