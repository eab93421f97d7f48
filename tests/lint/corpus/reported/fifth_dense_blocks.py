"""The fifth set, continued: the residual blocks of translation, matching and optical flow."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv
from .fourth_images import twins


class ResConv(nn.Module):
    def __init__(self, mended: bool, a: int, mid: int, b: int) -> None:
        super().__init__()
        self.mended = mended

        def block(*widths):
            layers = []
            for i, o in itertools.pairwise(widths):
                layers += [conv(i, o), nn.BatchNorm2d(o), nn.ReLU(inplace=True)]
            return nn.Sequential(*layers)

        self.double_conv1 = block(a, b)
        self.double_conv = block(a, mid, mid, b)

    def forward(self, x: Tensor) -> Tensor:
        x_in = self.double_conv1(x)
        x1 = self.double_conv(x)
        if self.mended:
            return x1 + x_in
        return self.double_conv(x) + x_in


class CasUNet(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.inc, self.down = ResConv(mended, 4, 8, 8), ResConv(mended, 8, 16, 16)
        self.up = ResConv(mended, 24, 12, 8)
        self.outc = nn.Conv2d(8, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.inc(x)
        x2 = self.down(F.max_pool2d(x1, 2))
        x2 = F.interpolate(x2, scale_factor=2, mode="bilinear", align_corners=True)
        return self.outc(self.up(torch.cat([x1, x2], dim=1)))


class ResidualUnitA(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.mended = mended
        self.conv_0, self.bn_0 = conv(4, 8, bias=False), nn.BatchNorm2d(8)
        self.conv_1, self.bn_1 = conv(8, 8, bias=False), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn_0(self.conv_0(x)), inplace=True)
        residual = self.bn_1(self.conv_1(x))
        if self.mended:
            residual += x
            return F.relu(residual, inplace=True)
        x += residual
        return F.relu(x, inplace=True)


class RAFTResidual(nn.Module):
    def __init__(self, mended: bool, a: int, b: int, stride: int = 1) -> None:
        super().__init__()
        self.mended = mended
        self.conv1, self.conv2 = nn.Conv2d(a, b, 3, stride, 1), conv(b, b)
        self.norm1, self.norm2 = nn.InstanceNorm2d(b), nn.InstanceNorm2d(b)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(a, b, 1, stride), nn.InstanceNorm2d(b))

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        if not self.mended:
            y = self.relu(y)
        if self.downsample is not None:
            x = self.downsample(x)
        return self.relu(x + y)


class RAFTEncoder(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 7, 2, 3), nn.InstanceNorm2d(8), nn.ReLU(True))
        self.layer1 = nn.Sequential(RAFTResidual(mended, 8, 8), RAFTResidual(mended, 8, 8))
        self.layer2 = nn.Sequential(RAFTResidual(mended, 8, 16, 2), RAFTResidual(mended, 16, 16))
        self.out = nn.Conv2d(16, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.layer2(self.layer1(self.stem(x))))


CASES = (
    Case("resconv-called-twice", "ExplainableML/UncerGuidedI2I#5", "TS203", *twins(CasUNet)),
    Case("residual-unit-a", "discuss.pytorch.org/t/10724", "TS112", *twins(ResidualUnitA)),
    Case(
        "raft-relu-before-add",
        "princeton-vl/RAFT#192",
        "TS301",
        *twins(RAFTEncoder),
        ((2, 3, 32, 32),),
    ),
)
