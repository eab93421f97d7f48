"""The arc pictures of a pair: what is there to be compared."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from torchskip.inspection import inspect

__all__ = ["portraits"]

_LARGEST = 600_000  # bytes; three of the kind leave room for the plots in a page of two million


def portraits(
    pair: Mapping[str, nn.Module], shape: tuple[int, int, int]
) -> tuple[tuple[str, str], ...]:
    """Return each network's name and its arcs as SVG; none of one that cannot be followed.

    >>> from torchskip.models.cifar import plainnet, resnet
    >>> pair = {"plain": plainnet(8), "residual": resnet(8)}
    >>> [(name, svg[:4]) for name, svg in portraits(pair, (3, 8, 8))]
    [('plain', '<svg'), ('residual', '<svg')]
    """
    found = []
    for name, network in pair.items():
        seen = inspect(network, torch.zeros(2, *shape), training=False)
        if seen.graph.failure is not None:
            continue
        drawing = seen.to_svg()
        if len(drawing) <= _LARGEST:
            found.append((name, drawing))
    return tuple(found)
