"""One slice through the loss surface around the weights, filter by filter (Li et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["Surface", "loss_surface"]


@dataclass(frozen=True, slots=True)
class Surface:
    """`losses[i][j]` is the loss at `weights + a[i] * d1 + b[j] * d2`."""

    a: tuple[float, ...]
    b: tuple[float, ...]
    losses: tuple[tuple[float, ...], ...]


@torch.no_grad()
def loss_surface(
    model: nn.Module,
    evaluate: Callable[[nn.Module], float],
    a: Sequence[float],
    b: Sequence[float] = (0.0,),
    *,
    seed: int = 0,
) -> Surface:
    """Return `evaluate(model)`, a loss, on a grid of weights around the model's own.

    Both directions are random (from `seed`) and filter-normalised: every filter `d` of a
    direction gets the norm of the model's filter, `d <- d ||w|| / ||d||`; biases and
    normalisation stay (Li et al. 2018, arXiv 1712.09913, section 4). `b = (0.0,)` gives a line
    instead of a plane. The weights come back bit for bit, also when `evaluate` raises.

    >>> net = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.constant_(net.weight, 2.0)
    >>> surface = loss_surface(net, lambda net: net.weight.item() ** 2, a=(-1.0, 0.0, 1.0))
    >>> sorted(loss for (loss,) in surface.losses)
    [0.0, 4.0, 16.0]
    """
    weights = [p for p in model.parameters() if p.ndim >= 2]
    before = [w.detach().clone() for w in weights]
    generator = torch.Generator().manual_seed(seed)
    first, second = (_direction(before, generator) for _ in range(2))
    losses = []
    try:
        for x in a:
            row = []
            for y in b:
                for w, w0, d1, d2 in zip(weights, before, first, second, strict=True):
                    w.copy_(w0 + x * d1 + y * d2)
                row.append(float(evaluate(model)))
            losses.append(tuple(row))
    finally:
        for w, w0 in zip(weights, before, strict=True):
            w.copy_(w0)
    return Surface(tuple(map(float, a)), tuple(map(float, b)), tuple(losses))


def _direction(weights: Sequence[Tensor], generator: torch.Generator) -> list[Tensor]:
    """Return Gaussian directions whose filters (first axis) are as long as the weights' own."""
    found = []
    for w in weights:
        d = torch.randn(w.shape, generator=generator).to(w)
        axes = tuple(range(1, w.ndim))
        length = torch.linalg.vector_norm(d, dim=axes, keepdim=True).clamp_min(1e-12)
        found.append(d * (torch.linalg.vector_norm(w, dim=axes, keepdim=True) / length))
    return found
