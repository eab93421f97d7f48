"""Kin of the fifth set's faults in other wirings."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv
from .fifth_dense_generate import DropPath
from .fourth_images import twins


class FilmBlock(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.norm, self.emb, self.mended = nn.GroupNorm(2, 8), nn.Linear(4, 16), mended
        self.a, self.b = conv(8, 8), conv(8, 8)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        scale, shift = self.emb(t)[:, :, None, None].chunk(2, 1)
        y = self.norm(x) * (1 + scale) + shift
        if not self.mended:
            x = y
        return x + self.b(F.silu(self.a(y)))


class Conditioned(nn.Module):
    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.head, self.blocks = conv(3, 8), nn.ModuleList(blocks)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        x = self.head(x)
        for block in self.blocks:
            x = block(x, t)
        return x


class TokenBranch(nn.Module):
    """A branch with its stochastic depth; `add` says who adds the shortcut."""

    def __init__(self, add: bool) -> None:
        super().__init__()
        self.norm, self.mlp, self.drop_path = nn.LayerNorm(8), nn.Linear(8, 8), DropPath(0.2)
        self.add = add

    def forward(self, x: Tensor) -> Tensor:
        y = self.drop_path(self.mlp(self.norm(x)))
        return x + y if self.add else y


class Tokens(nn.Module):
    def __init__(self, blocks: Sequence[nn.Module], add: bool) -> None:
        super().__init__()
        self.embed, self.blocks, self.head = nn.Linear(4, 8), nn.ModuleList(blocks), nn.Linear(8, 2)
        self.add = add

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for block in self.blocks:
            x = x + block(x) if self.add else block(x)
        return self.head(x)


def tokens(mended: bool) -> nn.Module:
    return Tokens([TokenBranch(True), TokenBranch(mended), TokenBranch(True)], add=False)


class DownBlock(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(4, 4, 3, 2, 1), nn.BatchNorm2d(4))
        self.stochastic_depth, self.pool = DropPath(0.2), nn.AvgPool2d(3, 2, 1)
        self.head, self.mended = nn.Conv2d(4, 2, 1), mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.stochastic_depth(self.body(x))
        return self.head(F.relu(y + self.pool(x) if self.mended else y))


class NoisePerSample(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.a, self.b = conv(3, 4), conv(4, 4)
        self.noise = nn.Parameter(torch.zeros(1 if mended else 2, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        return x + self.b(F.relu(x + self.noise))


class LayerScalePerSample(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.mlp, self.ls = nn.Linear(8, 8), nn.Parameter(torch.ones(1 if mended else 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.ls * self.mlp(x)


class SplitAgain(nn.Module):
    """The image is split off the concatenation that holds it, and joined beside it."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.a, self.b, self.mended = conv(4, 4), conv(8 if mended else 11, 4), mended

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        both = torch.cat([image, mask], 1)
        again = both.split([3, 1], 1)[0]
        skips = [image, mask] if self.mended else [again, image, mask]
        return self.b(torch.cat([F.relu(self.a(both)), *skips], 1))


class NestedNode(nn.Module):
    """UNet++: a node that reads one neighbour twice."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.x00, self.x10, self.mended = conv(4, 4), conv(4, 4), mended
        self.x01, self.x02 = conv(8, 4), conv(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x00 = F.relu(self.x00(x))
        x10 = F.relu(self.x10(F.max_pool2d(x00, 2)))
        up = F.interpolate(x10, size=x00.shape[2:])
        x01 = F.relu(self.x01(torch.cat([x00, up], 1)))
        return self.x02(torch.cat([x00, x01 if self.mended else x00, up], 1))


class Laterals(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.Conv2d(a, 8, 3, 2, 1) for a in (4, 8, 8))
        self.lateral, self.mended = nn.ModuleList(conv(8, 8, 1) for _ in range(3)), mended
        self.aux = nn.ModuleList(conv(8, 2, 1) for _ in range(3))  # of a training loop elsewhere

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for stage in self.stages:
            x = F.relu(stage(x))
            maps.append(x)
        if self.mended:
            maps = [layer(m) for layer, m in zip(self.lateral, maps, strict=True)]
        for i in (1, 0):
            maps[i] = maps[i] + F.interpolate(maps[i + 1], size=maps[i].shape[2:])
        return maps


class WeightedFusion(nn.Module):
    """BiFPN, whose weights are a tensor that requires a gradient."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.a, self.b, self.out = conv(4, 4), nn.Conv2d(4, 4, 3, 2, 1), conv(4, 4)
        self.w = nn.Parameter(torch.ones(2)) if mended else torch.ones(2, requires_grad=True)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        b = F.interpolate(self.b(x), size=a.shape[2:])
        return self.out(self.w[0] * a + self.w[1] * b)


STYLED = ((2, 3, 8, 8), (2, 4))
CASES = (
    Case(
        "film-shortcut",
        "kin of Josh00-Lu/DiffusionVeteran#3",
        "TS202",
        lambda: Conditioned(FilmBlock(False), FilmBlock(False)),
        lambda: Conditioned(FilmBlock(True), FilmBlock(True)),
        STYLED,
    ),
    Case(
        "token-branch-drop", "kin of timm pull request 685", "TS111", *twins(tokens), ((2, 5, 4),)
    ),
    Case("down-drop", "kin of timm pull request 685", "TS111", *twins(DownBlock)),
    Case("noise-per-sample", "kin of SAGAN#1", "TS103", *twins(NoisePerSample), ((2, 3, 8, 8),)),
    Case("layer-scale-each", "kin of SAGAN#1", "TS103", *twins(LayerScalePerSample), ((3, 5, 8),)),
    Case(
        "split-again",
        "kin of MarcoForte/FBA_Matting#42",
        "TS106",
        *twins(SplitAgain),
        ((2, 3, 8, 8), (2, 1, 8, 8)),
    ),
    Case("nested-node-twice", "kin of RFDNet pull request 6", "TS106", *twins(NestedNode)),
    Case("laterals-unused", "kin of ir-lab/Diff-Control#1", "TS108", *twins(Laterals)),
    Case("fusion-weights-plain", "kin of DCAN pull request 73", "TS207", *twins(WeightedFusion)),
)
