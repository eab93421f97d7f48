"""Stochastic depth on the wrong axis, the wrong value, or thrown away."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, conv, maker


class DropPath(nn.Module):
    """Drops along the axes given: 0 is right, per sample."""

    def __init__(self, p: float, axes: tuple[int, ...] = (0,), rescale: bool = True) -> None:
        super().__init__()
        self.p, self.axes, self.rescale = p, axes, rescale

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        shape = [n if i in self.axes else 1 for i, n in enumerate(x.shape)]
        mask = torch.rand(shape, device=x.device, dtype=x.dtype).add_(1 - self.p).floor_()
        return x * mask / (1 - self.p) if self.rescale else x * mask


class Tokens(nn.Module):
    """A transformer block in (L, N, C) order: axis 0 is the token axis, not the batch."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.drop_path = DropPath(0.2, (axis,))

    def attend(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).transpose(0, 1).chunk(3, -1)
        return self.proj((q @ k.mT / 8**0.5).softmax(-1) @ v).transpose(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.attend(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class TokenModel(nn.Module):
    def __init__(self, axis: int) -> None:
        super().__init__()
        self.embed = nn.Conv2d(4, 8, 4, stride=4)
        self.blocks = nn.Sequential(Tokens(axis), Tokens(axis))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).flatten(2).permute(2, 0, 1)
        return self.head(self.blocks(x).mean(0))


class Block(nn.Module):
    """Where the stochastic depth is applied: branch, sum, identity, or nowhere."""

    def __init__(self, where: str, drop: nn.Module | None = None) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(4, 4), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = conv(4, 4), nn.BatchNorm2d(4)
        self.drop_path = drop or DropPath(0.2)
        self.where = where

    def forward(self, x: Tensor) -> Tensor:
        h = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.where == "branch":
            return F.relu(x + self.drop_path(h))
        if self.where == "sum":
            return F.relu(self.drop_path(x + h))
        if self.where == "identity":
            return F.relu(self.drop_path(x) + h)
        self.drop_path(h)
        return F.relu(x + h)


CASES = (
    Case("videox", "microsoft/VideoX#85", "TS111", lambda: TokenModel(0), lambda: TokenModel(1)),
    Case("on_the_sum", "stochastic depth of the whole block", "TS111",
         maker(Block, "sum"), maker(Block, "branch")),
    Case("on_the_identity", "stochastic depth of the shortcut", "TS111",
         maker(Block, "identity"), maker(Block, "branch")),
    Case("thrown_away", "drop_path's result is not used", "TS111",
         maker(Block, "nowhere"), maker(Block, "branch")),
    Case("per_channel", "stochastic depth with a mask per channel", "TS111",
         maker(Block, "branch", DropPath(0.2, (1,))), maker(Block, "branch")),
    Case("not_rescaled", "felixgwu/img_classification_pk_pytorch#3", "TS111",
         maker(Block, "branch", DropPath(0.2, (0,), rescale=False)), maker(Block, "branch")),
)  # fmt: skip
