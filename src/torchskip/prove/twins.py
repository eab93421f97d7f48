"""The two networks of a pair: equal but for the skips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from torchskip.prove.batches import derive

__all__ = ["TWINS", "CifarTwins", "Twins", "share"]

TWINS = ("plain", "residual")

Twins = Callable[[int, int], dict[str, nn.Module]]
"""From depth and seed to the networks by name; what they share begins with equal weights."""


@dataclass(frozen=True, slots=True)
class CifarTwins:
    """Makes the networks of He et al. 2015, section 4.2, without and with skips."""

    channels: int
    classes: int
    width: int

    def __call__(self, depth: int, seed: int) -> dict[str, nn.Module]:
        """Return `{"plain": ..., "residual": ...}` with equal weights, drawn from `seed`."""
        from torchskip.models.cifar import CifarNet

        pair: dict[str, nn.Module] = {}
        for name in TWINS:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(derive(seed))
                pair[name] = CifarNet(
                    depth,
                    skip=name == "residual",
                    in_channels=self.channels,
                    num_classes=self.classes,
                    widths=(self.width, 2 * self.width, 4 * self.width),
                )
        share(pair["residual"], pair["plain"])
        return pair


@torch.no_grad()
def share(source: nn.Module, target: nn.Module) -> tuple[str, ...]:
    """Copy every parameter and buffer that both have under one name and shape; return the names."""
    ours, theirs = source.state_dict(), target.state_dict()
    names = tuple(n for n in theirs if n in ours and ours[n].shape == theirs[n].shape)
    for name in names:
        theirs[name].copy_(ours[name])
    return names
