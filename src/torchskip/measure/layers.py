"""The layers of a network in the order in which a forward pass meets them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

__all__ = ["undisturbed", "weighted_layers"]


def weighted_layers(model: nn.Module, *inputs: Any) -> tuple[str, ...]:
    """Return the paths of the modules with a weight matrix or kernel, first called first.

    `inputs` are what `model` takes, such as images `(N, C, H, W)`; one forward pass in eval mode
    tells the order. The model comes back as it was.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    >>> weighted_layers(net, torch.ones(1, 1, 5, 5))
    ('0',)
    """
    met: dict[str, None] = {}
    with undisturbed(model) as hooks, torch.no_grad():
        model.eval()
        for path, module in model.named_modules():
            if any(parameter.ndim >= 2 for parameter in module.parameters(recurse=False)):
                hook = module.register_forward_pre_hook(
                    lambda _module, _inputs, path=path: met.setdefault(path)
                )
                hooks.append(hook)
        model(*inputs)
    return tuple(met)


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[list[torch.utils.hooks.RemovableHandle]]:
    """Give `model` back as it came: modes, buffers and hooks (those put into the list)."""
    modes = {module: module.training for module in model.modules()}
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    hooks: list[torch.utils.hooks.RemovableHandle] = []
    try:
        with torch.random.fork_rng(devices=[]):
            yield hooks
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():
            module.training = training
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
