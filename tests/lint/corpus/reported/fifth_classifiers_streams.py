"""A fifth set, by reports alone: classifiers, streams, and layers outside the tree."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case
from .fifth_classifiers_parts import cb, cbr, head


class InceptionModule(nn.Module):
    """dl4sits/BreizhCrops, breizhcrops/models/InceptionTime.py"""

    def __init__(self, kernel_size=16, num_filters=16, residual=True, mended=False) -> None:
        super().__init__()
        self.residual = residual
        self.bottleneck = nn.Linear(num_filters, 1, bias=False)
        sizes = [kernel_size // (2**i) for i in range(3)]
        convolutions = [
            nn.Conv1d(1, num_filters // 4, k + 1, padding=k // 2, bias=False) for k in sizes
        ]
        self.convolutions = nn.ModuleList(convolutions) if mended else convolutions
        self.pool_conv = nn.Sequential(
            nn.MaxPool1d(3, 1, 1), nn.Conv1d(num_filters, num_filters // 4, 1, bias=False)
        )
        self.bn_relu = nn.Sequential(nn.BatchNorm1d(num_filters), nn.ReLU())
        if residual:
            self.residual_relu = nn.ReLU()

    def forward(self, input_tensor: Tensor) -> Tensor:
        inner = self.bottleneck(input_tensor.transpose(1, 2)).transpose(1, 2)
        features = [c(inner) for c in self.convolutions]
        features.append(self.pool_conv(input_tensor))
        features = self.bn_relu(torch.cat(features, dim=1))
        if self.residual:
            features = self.residual_relu(features + input_tensor)
        return features


class InceptionTime(nn.Module):
    def __init__(self, mended) -> None:
        super().__init__()
        self.inlinear = nn.Linear(5, 16)
        self.inception_modules_list = [InceptionModule(mended=mended) for _ in range(2)]
        self.inception_modules = nn.Sequential(*self.inception_modules_list)
        self.avgpool = nn.AdaptiveAvgPool1d(1)
        self.outlinear = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inlinear(x).transpose(1, 2)
        for module in self.inception_modules_list:
            x = module(x)
        return F.log_softmax(self.outlinear(self.avgpool(x).squeeze(2)), dim=-1)


class Shift(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        c = x.shape[1] // 4
        parts = [
            torch.roll(x[:, :c], 1, 2),
            torch.roll(x[:, c : 2 * c], -1, 2),
            torch.roll(x[:, 2 * c : 3 * c], 1, 3),
            x[:, 3 * c :],
        ]
        return torch.cat(parts, 1)


class ShiftBlock(nn.Module):
    """alvinwan/shiftresnet-cifar pull request 3"""

    def __init__(self, i, o, stride=1, mended=False) -> None:
        super().__init__()
        mid = 2 * i
        self.conv1, self.bn1 = nn.Conv2d(i, mid, 1, bias=False), nn.BatchNorm2d(mid)
        self.shift2 = Shift()
        self.conv2, self.bn2 = nn.Conv2d(mid, o, 1, stride, bias=False), nn.BatchNorm2d(o)
        self.shortcut = nn.Sequential()
        if stride != 1 or i != o:
            self.shortcut = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.shortcut(x)
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.shift2(x)
        x = self.bn2(self.conv2(x))
        if self.mended:
            return F.relu(x + shortcut)
        x = F.relu(x)
        return x + shortcut


def shiftnet(mended):
    return nn.Sequential(
        cbr(3, 8),
        ShiftBlock(8, 8, mended=mended),
        ShiftBlock(8, 16, 2, mended),
        ShiftBlock(16, 16, mended=mended),
        *head(16),
    )


class PackedAttention(nn.Module):
    def __init__(self, dim, heads) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)
        self.heads = heads

    def forward(self, x, attn_mask=None):
        b, n, c = x.shape
        q, k, v = (
            self.qkv(self.norm(x))
            .reshape(b, n, 3, self.heads, c // self.heads)
            .permute(2, 0, 3, 1, 4)
        )
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask)
        return self.out(y.transpose(1, 2).reshape(b, n, c))


class NavitBlock(nn.Module):
    """Project-MONAI/MONAI pull request 9011"""

    def __init__(self, dim, heads, mended) -> None:
        super().__init__()
        self.attn = PackedAttention(dim, heads)
        self.norm = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.mended = mended

    def forward(self, x, attn_mask=None):
        x = self.attn(x, attn_mask=attn_mask) + x
        if self.mended:
            return self.mlp(self.norm(x)) + x
        x = self.norm(x)
        return self.mlp(x) + x


class Navit(nn.Module):
    def __init__(self, mended) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.pos = nn.Parameter(torch.randn(1, 16, 16) * 0.02)
        self.blocks = nn.ModuleList(NavitBlock(16, 2, mended) for _ in range(3))
        self.norm, self.fc = nn.LayerNorm(16), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2) + self.pos
        for block in self.blocks:
            x = block(x)
        return self.fc(self.norm(x).mean(1))


class PooledShortcut(nn.Module):
    """Written from memory: a CIFAR network of a student."""

    def __init__(self, i, o, stride, mended) -> None:
        super().__init__()
        self.branch = nn.Sequential(cbr(i, o, 3, stride), cb(o, o))
        size = nn.AvgPool2d(3, stride, 1) if mended else nn.AdaptiveAvgPool2d(1)
        self.shortcut = (
            nn.Sequential(size) if i == o else nn.Sequential(size, nn.Conv2d(i, o, 1, bias=False))
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.shortcut(x))


def pooled(mended):
    return nn.Sequential(
        cbr(3, 8), PooledShortcut(8, 8, 2, mended), PooledShortcut(8, 8, 2, mended), *head(8)
    )


CASES: tuple[Case, ...] = (
    Case(
        "convolutions_in_a_plain_list",
        "dl4sits/BreizhCrops, breizhcrops/models/InceptionTime.py",
        "TS207",
        lambda: InceptionTime(False),
        lambda: InceptionTime(True),
        ((2, 24, 5),),
    ),
    Case(
        "rectifier_before_the_sum_of_a_shift_block",
        "alvinwan/shiftresnet-cifar PR 3",
        "TS301",
        lambda: shiftnet(False),
        lambda: shiftnet(True),
        ((2, 3, 16, 16),),
    ),
    Case(
        "stream_overwritten_by_its_norm",
        "Project-MONAI/MONAI PR 9011",
        "TS202",
        lambda: Navit(False),
        lambda: Navit(True),
        ((2, 3, 16, 16),),
    ),
    Case(
        "shortcut_pooled_to_one_number",
        "written from memory: a student's CIFAR network",
        "TS103",
        lambda: pooled(False),
        lambda: pooled(True),
        ((2, 3, 16, 16),),
    ),
)
