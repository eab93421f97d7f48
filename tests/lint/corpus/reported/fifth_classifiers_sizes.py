"""A fifth set, by reports alone: classifiers, strides and odd sizes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv


class Conv(nn.Sequential):
    def __init__(self, i, o, k, s=1, act=True) -> None:
        layers = [nn.Conv2d(i, o, k, s, k // 2, bias=False), nn.BatchNorm2d(o)]
        if act:
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class MmBasic(nn.Module):
    """open-mmlab/mmdetection pull request 576"""

    expansion = 1

    def __init__(
        self, inplanes, planes, stride=1, dilation=1, downsample=None, mended=False
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(
            inplanes, planes, 3, stride=stride, padding=dilation, dilation=dilation, bias=False
        )
        self.add_module("bn1", nn.BatchNorm2d(planes))
        second = 1 if mended else stride
        self.conv2 = nn.Conv2d(
            planes, planes, 3, stride=second, padding=dilation, dilation=dilation, bias=False
        )
        self.add_module("bn2", nn.BatchNorm2d(planes))
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    @property
    def norm1(self):
        return self.get_submodule("bn1")

    @property
    def norm2(self):
        return self.get_submodule("bn2")

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class MmResNet(nn.Module):
    def __init__(self, mended) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 7, 2, 3, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
        )
        self.res_layers = []
        width = 8
        for i, (planes, stride) in enumerate(((8, 1), (16, 2))):
            down = None
            if stride != 1 or width != planes:
                down = nn.Sequential(
                    nn.Conv2d(width, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
                )
            layer = nn.Sequential(
                MmBasic(width, planes, stride, downsample=down, mended=mended),
                MmBasic(planes, planes),
            )
            name = f"layer{i + 1}"
            self.add_module(name, layer)
            self.res_layers.append(name)
            width = planes
        self.fc = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        outs = []
        for name in self.res_layers:
            x = getattr(self, name)(x)
            outs.append(x)
        return self.fc(outs[-1].mean((2, 3)))


class DlaBlock(nn.Module):
    def __init__(self, i, o, stride=1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        self.shortcut = nn.Sequential()
        if stride != 1 or i != o:
            self.shortcut = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class Root(nn.Module):
    def __init__(self, i, o) -> None:
        super().__init__()
        self.conv = nn.Conv2d(i, o, 1, bias=False)
        self.bn = nn.BatchNorm2d(o)

    def forward(self, xs: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(torch.cat(xs, 1))))


class DlaTree(nn.Module):
    """kuangliu/pytorch-cifar#140"""

    def __init__(self, block, i, o, level=1, stride=1, mended=False) -> None:
        super().__init__()
        self.level = level
        self.root = Root((level + 1) * o, o)
        if level == 1:
            self.left_node = block(i, o, stride)
        else:
            for j in reversed(range(1, level)):
                first = not mended or j == level - 1
                tree = DlaTree(block, i if first else o, o, j, stride if first else 1, mended)
                self.__setattr__(f"level_{j}", tree)
            self.left_node = block(o, o)
        self.right_node = block(o, o)

    def forward(self, x: Tensor) -> Tensor:
        xs = []
        for j in reversed(range(1, self.level)):
            x = self.__getattr__(f"level_{j}")(x)
            xs.append(x)
        x = self.left_node(x)
        xs.append(x)
        x = self.right_node(x)
        xs.append(x)
        return self.root(xs)


def dla(mended):
    return nn.Sequential(
        Conv(3, 8, 3),
        DlaTree(DlaBlock, 8, 12, level=1),
        DlaTree(DlaBlock, 12, 16, level=3, stride=2, mended=mended),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),
    )


class ResNetDShortcut(nn.Sequential):
    def __init__(self, i, o, stride, ceil) -> None:
        super().__init__()
        if stride == 2:
            self.add_module("pool", nn.AvgPool2d(2, ceil_mode=ceil))
        self.add_module("conv", nn.Conv2d(i, o, 1, bias=False))
        self.add_module("bn", nn.BatchNorm2d(o))


class ResidualAdd(nn.Module):
    """FrancescoSaverioZuppichini/glasses#236"""

    def __init__(self, block, shortcut=None) -> None:
        super().__init__()
        self.block = block
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        res = x
        x = self.block(x)
        if self.shortcut is not None:
            res = self.shortcut(res)
        x += res
        return x


def glasses(ceil):
    def block(i, o, s):
        short = ResNetDShortcut(i, o, s, ceil) if s != 1 or i != o else None
        return nn.Sequential(
            ResidualAdd(nn.Sequential(Conv(i, o, 3, s), Conv(o, o, 3, act=False)), short),
            nn.ReLU(inplace=True),
        )

    return nn.Sequential(
        Conv(3, 8, 3, 2),
        nn.MaxPool2d(3, 2, 1),
        block(8, 8, 1),
        block(8, 16, 2),
        block(16, 32, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 7),
    )


class FactorizedReduce(nn.Module):
    """quark0/darts#84"""

    def __init__(self, i, o, mended) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=False)
        self.conv_1 = nn.Conv2d(i, o // 2, 1, stride=2, padding=0, bias=False)
        self.conv_2 = nn.Conv2d(i, o // 2, 1, stride=2, padding=0, bias=False)
        self.bn = nn.BatchNorm2d(o, affine=True)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(x)
        y = F.pad(x, (0, 1, 0, 1)) if self.mended else x
        out = torch.cat([self.conv_1(x), self.conv_2(y[:, :, 1:, 1:])], dim=1)
        return self.bn(out)


class SepConv(nn.Sequential):
    def __init__(self, i, o, s) -> None:
        super().__init__(
            nn.ReLU(inplace=False),
            nn.Conv2d(i, i, 3, s, 1, groups=i, bias=False),
            nn.Conv2d(i, o, 1, bias=False),
            nn.BatchNorm2d(o),
        )


class ReductionCell(nn.Module):
    def __init__(self, c, mended) -> None:
        super().__init__()
        self.preprocess = SepConv(c, c, 1)
        self._ops = nn.ModuleList(
            [FactorizedReduce(c, c, mended), SepConv(c, c, 2), nn.Identity(), SepConv(c, c, 1)]
        )

    def forward(self, x: Tensor) -> Tensor:
        s = self.preprocess(x)
        a = self._ops[0](s) + self._ops[1](s)
        b = self._ops[2](a) + self._ops[3](a)
        return torch.cat([a, b], 1)


def darts(mended):
    return nn.Sequential(
        conv(3, 8),
        nn.BatchNorm2d(8),
        ReductionCell(8, mended),
        ReductionCell(16, mended),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


CASES: tuple[Case, ...] = (
    Case(
        "basic_block_strides_twice",
        "open-mmlab/mmdetection PR 576",
        "TS101",
        lambda: MmResNet(False),
        lambda: MmResNet(True),
        ((2, 3, 64, 64),),
    ),
    Case(
        "aggregation_tree_of_three_levels",
        "kuangliu/pytorch-cifar#140",
        "TS100",
        lambda: dla(False),
        lambda: dla(True),
        ((2, 3, 16, 16),),
    ),
    Case(
        "pooled_shortcut_on_odd_maps",
        "FrancescoSaverioZuppichini/glasses#236",
        "TS102",
        lambda: glasses(False),
        lambda: glasses(True),
        ((2, 3, 64, 64),),
    ),
    Case(
        "factorized_reduce_on_odd_maps",
        "quark0/darts#84",
        "TS102",
        lambda: darts(False),
        lambda: darts(True),
        ((2, 3, 16, 16),),
    ),
)
