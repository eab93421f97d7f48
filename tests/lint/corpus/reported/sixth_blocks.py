"""Residual blocks: where the shortcut starts, what it pads, and what is missing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv, net


class PreAct(nn.Module):
    def __init__(self, c_in, c_out, stride, right) -> None:
        super().__init__()
        self.right = right
        self.bn1 = nn.BatchNorm2d(c_in)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.shortcut = nn.Sequential()
        if stride != 1 or c_in != c_out:
            self.shortcut = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        if self.right:
            shortcut = self.shortcut(x)
            out = F.relu(self.bn1(x))
        else:
            out = F.relu(self.bn1(x))
            shortcut = self.shortcut(out)
        out = self.conv1(out)
        out = self.conv2(F.relu(self.bn2(out)))
        out += shortcut
        return out


class PreActNet(nn.Module):
    def __init__(self, right) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(4, 8, 3, padding=1, bias=False)
        self.layer1 = self.stage(8, 8, 1, right)
        self.layer2 = self.stage(8, 16, 2, right)
        self.linear = nn.Linear(16, 3)

    @staticmethod
    def stage(a, b, stride, right):
        return nn.Sequential(
            PreAct(a, b, stride, right), PreAct(b, b, 1, right), PreAct(b, b, 1, right)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer2(self.layer1(self.conv1(x)))
        x = F.avg_pool2d(x, x.shape[-1])
        return self.linear(x.view(x.size(0), -1))


class CpnBottleneck(nn.Module):
    expansion = 2

    def __init__(self, inplanes, planes, stride=1, downsample=None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * 2, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * 2)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.downsample is not None:
            residual = self.downsample(x)
        out += residual
        return self.relu(out)


class RefineHead(nn.Module):
    """The refine stage of a cascaded pyramid, with a bottleneck between two widths."""

    def __init__(self, right) -> None:
        super().__init__()
        down = nn.Sequential(nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16)) if right else None
        self.stem = nn.Sequential(conv(4, 8), nn.BatchNorm2d(8), nn.ReLU())
        self.final = nn.Sequential(
            CpnBottleneck(8, 4), CpnBottleneck(8, 8, downsample=down), conv(16, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.final(self.stem(x))


def conv3x3(a, b, stride=1, groups=1):
    return nn.Conv2d(a, b, 3, stride, 1, groups=groups, bias=False)


class BlurPool(nn.Module):
    def __init__(self, channels, stride=2) -> None:
        super().__init__()
        self.stride, self.channels = stride, channels
        row = torch.tensor([1.0, 2.0, 1.0])
        kernel = row[:, None] * row[None]
        self.register_buffer("filt", (kernel / kernel.sum())[None, None].repeat(channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (1, 1, 1, 1), mode="reflect")
        return F.conv2d(x, self.filt, stride=self.stride, groups=self.channels)


class AntialiasedBottleneck(nn.Module):
    def __init__(self, inplanes, planes, stride, groups, right) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inplanes, planes, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv2 = (
            conv3x3(planes, planes, groups=groups) if right else conv3x3(planes, planes, groups)
        )
        self.bn2 = nn.BatchNorm2d(planes)
        last = nn.Conv2d(planes, 2 * planes, 1, bias=False)
        self.conv3 = last if stride == 1 else nn.Sequential(BlurPool(planes, stride), last)
        self.bn3 = nn.BatchNorm2d(2 * planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inplanes != 2 * planes:
            layers = [BlurPool(inplanes, stride)] if stride != 1 else []
            layers += [nn.Conv2d(inplanes, 2 * planes, 1, bias=False), nn.BatchNorm2d(2 * planes)]
            self.downsample = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


def antialiased(right):
    return nn.Sequential(
        conv(4, 8),
        AntialiasedBottleneck(8, 4, 1, 2, right),
        AntialiasedBottleneck(8, 8, 2, 2, right),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


class SkipPaths(nn.Module):
    """The shortcut of a stride: two halves that look at different pixels."""

    def __init__(self, a, b, stride, right) -> None:
        super().__init__()
        self.stride, self.right = stride, right
        self.path1 = nn.Conv2d(a, b // 2, 1)
        self.path2 = nn.Conv2d(a, b // 2, 1)
        self.bn = nn.BatchNorm2d(b)

    def forward(self, x: Tensor) -> Tensor:
        s1 = self.path1(F.avg_pool2d(x, 1, self.stride))
        pad = (-1, 1, -1, 1) if self.right else (1, -1, 1, -1)
        s2 = self.path2(F.avg_pool2d(F.pad(x, pad), 1, self.stride))
        return self.bn(torch.cat([s1, s2], 1))


class ShakeBlock(nn.Module):
    def __init__(self, a, b, stride, right) -> None:
        super().__init__()
        self.branch1, self.branch2 = self.branch(a, b, stride), self.branch(a, b, stride)
        self.skip = SkipPaths(a, b, stride, right) if stride != 1 or a != b else None

    @staticmethod
    def branch(a, b, stride):
        return nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(a, b, 3, stride, 1, bias=False),
            nn.BatchNorm2d(b),
            nn.ReLU(),
            nn.Conv2d(b, b, 3, 1, 1, bias=False),
            nn.BatchNorm2d(b),
        )

    def forward(self, x: Tensor) -> Tensor:
        out = 0.5 * self.branch1(x) + 0.5 * self.branch2(x)
        return out + (x if self.skip is None else self.skip(x))


def shake_net(right):
    return nn.Sequential(
        conv(4, 8),
        nn.BatchNorm2d(8),
        ShakeBlock(8, 8, 1, right),
        ShakeBlock(8, 16, 2, right),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


def conv_unit(a, b, last=False):
    layers = [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b)]
    return layers if last else [*layers, nn.ReLU()]


class ResUnit(nn.Module):
    """ReLU(body(x) + x); every unit of the body ends with its own rectifier."""

    def __init__(self, c, right) -> None:
        super().__init__()
        self.body = nn.Sequential(*conv_unit(c, c), *conv_unit(c, c, last=right))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(torch.add(self.body(x), x))


CASES = (
    Case(
        "preact_shortcut_after_relu",
        "kuangliu/pytorch-cifar#9",
        "TS202",
        lambda: PreActNet(False),
        lambda: PreActNet(True),
    ),
    Case(
        "bottleneck_without_downsample",
        "GengDavid/pytorch-cpn#45",
        "TS101",
        lambda: RefineHead(False),
        lambda: RefineHead(True),
    ),
    Case(
        "groups_given_as_stride",
        "adobe/antialiased-cnns PR 40",
        "TS101",
        lambda: antialiased(False),
        lambda: antialiased(True),
    ),
    Case(
        "shake_shake_second_path_padded",
        "xgastaldi/shake-shake#3",
        "TS206",
        lambda: shake_net(False),
        lambda: shake_net(True),
    ),
    Case(
        "unit_ends_with_relu",
        "arunpatala/residual.mnist#8",
        "TS301",
        lambda: net(ResUnit(4, False), ResUnit(4, False)),
        lambda: net(ResUnit(4, True), ResUnit(4, True)),
    ),
)
