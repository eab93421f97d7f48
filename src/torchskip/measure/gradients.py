"""How much gradient reaches each layer."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["gradient_norms"]


def gradient_norms(model: nn.Module, layers: Iterable[str]) -> Tensor:
    """Return `||dL/dW_l||_2` of every layer in `layers` after a backward, `(len(layers),)`.

    The norm is over all weights of rank 2 or more that the module owns (a convolution's kernel,
    not its bias); a layer that no gradient reached has norm 0.

    >>> net = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Linear(1, 1, bias=False))
    >>> _ = [nn.init.ones_(parameter) for parameter in net.parameters()]
    >>> net(torch.tensor([[3.0, 4.0]])).sum().backward()
    >>> gradient_norms(net, ["0", "1"])
    tensor([5., 7.])
    """
    norms = []
    for path in layers:
        weights = model.get_submodule(path).parameters(recurse=False)
        gradients = [w.grad for w in weights if w.ndim >= 2 and w.grad is not None]
        parts = [torch.linalg.vector_norm(gradient.float()) for gradient in gradients]
        norms.append(torch.stack(parts).norm() if parts else torch.zeros(()))
    return torch.stack([norm.cpu() for norm in norms]) if norms else torch.zeros(0)
