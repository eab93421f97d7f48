"""The two networks of a pair: equal but for the skips."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from torchskip.compare.batches import derive

__all__ = ["TWINS", "Twins", "cifar_twins", "share"]

TWINS = ("plain", "residual")

Twins = Callable[[int, int], dict[str, nn.Module]]
"""From depth and seed to the networks by name; what they share begins with equal weights."""


def cifar_twins(channels: int, classes: int, width: int) -> Twins:
    """Return the maker of the networks of He et al. 2015, section 4.2, without and with skips."""
    from torchskip.models.cifar import CifarNet

    def make(depth: int, seed: int) -> dict[str, nn.Module]:
        pair: dict[str, nn.Module] = {}
        for name in TWINS:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(derive(seed))
                pair[name] = CifarNet(
                    depth,
                    skip=name == "residual",
                    in_channels=channels,
                    num_classes=classes,
                    widths=(width, 2 * width, 4 * width),
                )
        share(pair["residual"], pair["plain"])
        return pair

    return make


@torch.no_grad()
def share(source: nn.Module, target: nn.Module) -> tuple[str, ...]:
    """Copy every parameter and buffer that both have under one name and shape; return the names."""
    ours, theirs = source.state_dict(), target.state_dict()
    names = tuple(n for n in theirs if n in ours and ours[n].shape == theirs[n].shape)
    for name in names:
        theirs[name].copy_(ours[name])
    return names
