"""Small networks written as one function, for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from torchskip.graph import Graph, SkipPath
from torchskip.skips import find_skips
from torchskip.trace import trace

__all__ = ["IMAGE", "Net", "conv", "kinds", "net", "skips_of"]

IMAGE = (1, 8, 16, 16)


class Net(nn.Module):
    """A module whose forward is a function of itself and its inputs."""

    def __init__(self, forward: Callable[..., Any], **layers: nn.Module | nn.Parameter) -> None:
        super().__init__()
        self._function = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self._function(self, *inputs)


def conv(inputs: int = 8, outputs: int = 8, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    """Return a convolution that keeps the size when its stride is 1."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)


def net(forward: Callable[..., Any], **layers: nn.Module | nn.Parameter) -> Net:
    """Return a network with the layers `f`, `g` and `h` (convolutions) unless given."""
    given = {"f": conv(), "g": conv(), "h": conv(), **layers}
    return Net(forward, **given)


def skips_of(
    model: nn.Module, *inputs: torch.Tensor, **options: Any
) -> tuple[Graph, tuple[SkipPath, ...]]:
    """Return the graph and the skips of a model on one image unless inputs are given."""
    graph = trace(model, *(inputs or (torch.randn(*IMAGE),)), **options)
    return graph, find_skips(graph)


def kinds(model: nn.Module, *inputs: torch.Tensor) -> list[str]:
    """Return the kinds of a model's skips in the order of their joins."""
    graph, skips = skips_of(model.eval(), *inputs)
    assert graph.failure is None, graph.failure
    return [skip.kind for skip in skips]
