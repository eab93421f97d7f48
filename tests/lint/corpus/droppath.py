"""Stochastic depth on the wrong axis, the wrong value, or thrown away."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, Maker, conv, maker


class DropPath(nn.Module):
    """Drops along the axes given: 0 is right, per sample; `always` also in evaluation."""

    def __init__(
        self, p: float, axes: tuple[int, ...] = (0,), rescale: bool = True, always: bool = False
    ) -> None:
        super().__init__()
        self.p, self.axes, self.rescale, self.always = p, axes, rescale, always

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training or self.always) or self.p == 0:
            return x
        shape = [n if i in self.axes else 1 for i, n in enumerate(x.shape)]
        mask = torch.rand(shape, device=x.device, dtype=x.dtype).add_(1 - self.p).floor_()
        return x * mask / (1 - self.p) if self.rescale else x * mask


def drop_path(x: Tensor, p: float, training: bool, how: str) -> Tensor:
    """A function, not a module: divided, undivided, or with the two probabilities exchanged."""
    if not training:
        return x
    keep = p if how == "exchanged" else 1 - p
    mask = (torch.rand(x.shape[0], 1, 1, 1, device=x.device) < keep).to(x.dtype)
    return x * mask if how == "undivided" else x.div(1 - p) * mask


class Functional(nn.Module):
    def __init__(self, how: str, p: float = 0.2) -> None:
        super().__init__()
        self.conv, self.bn, self.how, self.p = conv(4, 4), nn.BatchNorm2d(4), how, p

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + drop_path(self.bn(self.conv(x)), self.p, self.training, self.how))


class FeedForward(nn.Module):
    """Dropout of the shortcut instead of the branch; or a stochastic depth that is never called."""

    def __init__(self, dropped: bool = True, on_the_shortcut: bool = False) -> None:
        super().__init__()
        self.norm, self.mlp = nn.LayerNorm(8), nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 8))
        self.path, self.dropout = DropPath(0.2), nn.Dropout(0.1)
        self.dropped, self.on_the_shortcut = dropped, on_the_shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.mlp(self.norm(x))
        if self.dropped:
            y = self.path(y)
        return self.dropout(x) + y if self.on_the_shortcut else x + self.dropout(y)


def two(block: Callable[[], nn.Module]) -> Maker:
    return lambda: nn.Sequential(block(), block())


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
    Case("called_drop_path", "an elementwise dropout called drop_path", "TS111",
         maker(Block, "branch", nn.Dropout(0.2)), maker(Block, "branch")),
    Case("dropped_channels", "WZMIAOMIAO/deep-learning-for-image-processing PR 267", "TS111",
         maker(Block, "branch", nn.Dropout2d(0.2, inplace=True)), maker(Block, "branch")),
    Case("dropped_in_evaluation", "no `if self.training`", "TS111",
         maker(Block, "branch", DropPath(0.2, always=True)), maker(Block, "branch")),
    Case("undivided_function", "mosaicml/composer#372", "TS111",
         maker(Functional, "undivided"), maker(Functional, "right")),
    Case("keep_for_drop", "a drop probability taken for the keep probability", "TS111",
         maker(Functional, "exchanged"), maker(Functional, "right")),
    Case("dinov2", "huggingface/transformers#29140", "TS111",
         two(lambda: FeedForward(dropped=False)), two(FeedForward), ((2, 5, 8),)),
    Case("dropout_of_the_shortcut", "dropout(x) + f(x)", "TS111",
         two(lambda: FeedForward(on_the_shortcut=True)), two(FeedForward), ((2, 5, 8),)),
)  # fmt: skip
