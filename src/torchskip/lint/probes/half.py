"""The evaluation pass with parameters and inputs in bfloat16."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from torchskip.graph import Graph
from torchskip.trace.restore import Snapshot
from torchskip.trace.standin import Rung
from torchskip.trace.tracer import witnessed

__all__ = ["half"]


def half(
    model: nn.Module, example: tuple[Any, ...], kwargs: dict[str, Any], start: Rung = "meta"
) -> Graph:
    """Trace ``model.bfloat16()``, first on `start`, without converting the user's model."""
    snapshot = Snapshot(model.modules())
    try:
        snapshot.swap(_parameter, _cast)
        given = tuple(_cast(item) if isinstance(item, Tensor) else item for item in example)
        return witnessed(model, given, kwargs, training=False, start=start)
    finally:
        snapshot.restore()


def _cast(tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    return torch.empty_like(tensor, dtype=torch.bfloat16)  # its numbers are never read


def _parameter(tensor: Tensor) -> Tensor:
    return nn.Parameter(
        _cast(tensor), requires_grad=tensor.requires_grad and tensor.is_floating_point()
    )
