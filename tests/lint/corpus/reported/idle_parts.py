"""Parts that are built and never run, without a shortcut's name; and parts that others may run."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, Clean

IMAGE = ((2, 3, 16, 16),)


def double(a: int, b: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.Conv2d(b, b, 3, padding=1))


class TwoEncoders(nn.Module):
    """A U-Net whose levels were written out one by one, beside the list that they replaced."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.first, self.second, self.third = double(3, 8), double(8, 16), double(16, 32)
        if not mended:
            self.downs = nn.ModuleList()
            for a, b in ((3, 8), (8, 16)):
                self.downs.append(double(a, b))
            self.bottleneck = double(16, 32)
        self.ups = nn.ModuleList([double(32 + 16, 16), double(16 + 8, 8)])
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        one = self.first(x)
        two = self.second(F.max_pool2d(one, 2))
        x = self.third(F.max_pool2d(two, 2))
        # for down in self.downs: ...
        # x = self.bottleneck(x)
        for up, skip in zip(self.ups, (two, one), strict=True):
            x = up(torch.cat([F.interpolate(x, scale_factor=2.0), skip], 1))
        return self.out(x)


class PreNorm(nn.Module):
    """The second norm is forgotten in every block: no sibling tells."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.norm_in, self.mix = nn.LayerNorm(8), nn.Linear(8, 8)
        self.between, self.mlp, self.mended = nn.BatchNorm1d(5), nn.Linear(8, 8), mended
        if mended:
            self.norm_out = nn.LayerNorm(8)
        else:
            self.after = nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.between(x + self.mix(self.norm_in(x)))
        h = self.norm_out(x) if self.mended else x
        return x + F.gelu(self.mlp(h))


class Masked(nn.Module):
    """The decoder runs in another method, of pre-training, and the projector in the loop alone."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder, self.projector = double(3, 3), double(3, 3), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.encoder(x)

    def reconstruct(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


class Depth(nn.Module):
    """A flag chooses the encoder."""

    def __init__(self, deep: bool) -> None:
        super().__init__()
        self.deep, self.short, self.long = deep, double(3, 3), double(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x + (self.long(x) if self.deep else self.short(x))


def blocks(mended: bool) -> nn.Module:
    return nn.Sequential(PreNorm(mended), PreNorm(mended))


CASES = (
    Case(
        "two-encoders",
        "a U-Net with its levels twice",
        "TS108",
        lambda: TwoEncoders(False),
        lambda: TwoEncoders(True),
        IMAGE,
    ),
    Case(
        "norm-of-every-block",
        "a norm that no block calls",
        "TS108",
        lambda: blocks(False),
        lambda: blocks(True),
        ((2, 5, 8),),
    ),
)
CLEAN = (
    Clean("pretraining-decoder", "another method runs it, or a training loop", Masked, IMAGE),
    Clean("encoder-by-flag", "a flag chooses one of two", lambda: Depth(False), IMAGE),
)
