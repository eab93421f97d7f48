"""How large the signal is in every layer, for instance at initialisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from torchskip.measure.layers import undisturbed

__all__ = ["Signal", "signals"]


@dataclass(frozen=True, slots=True)
class Signal:
    """Mean and variance of all values in one module's output.

    `path` is the module's place in the model, `kind` its class.
    """

    path: str
    kind: str
    mean: float
    variance: float


def signals(model: nn.Module, *inputs: Any, training: bool = True) -> tuple[Signal, ...]:
    """Return mean and variance of what every layer and every skip puts out, in order of the run.

    In training mode batch normalisation uses the batch's statistics, as it will in the first
    step; in eval mode its running ones. A plain ReLU network with the weights of He et al. 2015
    (arXiv 1502.01852, eq. 10) keeps the variance; a sum of two arms adds theirs, so that without
    normalisation it grows from block to block (De & Smith 2020). The model comes back as it was.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    >>> _ = nn.init.ones_(net[1].weight), nn.init.zeros_(net[1].bias)
    >>> signals(net, torch.tensor([[1.0, 2.0], [3.0, 4.0]])[None])[-1]
    Signal(path='1', kind='Linear', mean=10.0, variance=0.0)
    """
    from torchskip.nn import Skip

    found: list[Signal] = []

    def note(path: str, module: nn.Module, output: Any) -> None:
        if isinstance(output, Tensor) and output.is_floating_point():
            variance, mean = torch.var_mean(output.float(), correction=0)
            found.append(Signal(path, type(module).__name__, mean.item(), variance.item()))

    with undisturbed(model) as hooks, torch.no_grad():
        model.train(training)
        for path, module in model.named_modules():
            if isinstance(module, Skip) or not any(module.children()):
                hook = module.register_forward_hook(
                    lambda module, _inputs, output, path=path: note(path, module, output)
                )
                hooks.append(hook)
        model(*inputs)
    return tuple(found)
