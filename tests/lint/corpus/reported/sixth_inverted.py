"""EfficientNets: a flag for shortcuts that is never set, a coin that evaluation forgets."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, net


class DropConnect(nn.Module):
    def __init__(self, ratio) -> None:
        super().__init__()
        self.keep = 1.0 - ratio

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        mask = torch.floor(self.keep + torch.rand(x.shape[0], 1, 1, 1, device=x.device))
        return x / self.keep * mask


def conv_bn_act(a, b, kernel, stride=1, groups=1):
    return nn.Sequential(
        nn.Conv2d(a, b, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(b),
        nn.SiLU(),
    )


class SEModule(nn.Module):
    def __init__(self, c, squeeze) -> None:
        super().__init__()
        self.se = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(c, squeeze, 1),
            nn.SiLU(),
            nn.Conv2d(squeeze, c, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.se(x)


class MBConv(nn.Module):
    def __init__(self, a, b, expand, kernel, stride, skip, se_ratio, dc_ratio) -> None:
        super().__init__()
        mid = a * expand
        self.expand_conv = conv_bn_act(a, mid, 1) if expand != 1 else nn.Identity()
        self.depth_wise_conv = conv_bn_act(mid, mid, kernel, stride, groups=mid)
        self.se = SEModule(mid, max(1, int(a * se_ratio)))
        self.project_conv = nn.Sequential(nn.Conv2d(mid, b, 1, bias=False), nn.BatchNorm2d(b))
        self.skip = skip and (stride == 1) and (a == b)
        self.dropconnect = DropConnect(dc_ratio) if dc_ratio > 0 else nn.Identity()

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.expand_conv(inputs)
        x = self.se(self.depth_wise_conv(x))
        x = self.project_conv(x)
        if self.skip:
            x = self.dropconnect(x)
            x = x + inputs
        return x


class MBBlock(nn.Module):
    def __init__(self, a, b, expand, kernel, stride, repeat, skip) -> None:
        super().__init__()
        layers = [MBConv(a, b, expand, kernel, stride, skip, 0.25, 0.2)]
        layers += [MBConv(b, b, expand, kernel, 1, skip, 0.25, 0.2) for _ in range(1, repeat)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def efficientnet(skip):
    return nn.Sequential(
        conv_bn_act(4, 8, 3, 2),
        MBBlock(8, 8, 1, 3, 1, 1, skip),
        MBBlock(8, 12, 2, 3, 2, 3, skip),
        MBBlock(12, 16, 2, 5, 1, 3, skip),
        conv_bn_act(16, 32, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 3),
    )


class CoinBottleneck(nn.Module):
    """Leaves its layers out for the whole batch when a coin says so."""

    def __init__(self, c, prob) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(c, 2 * c, 1, bias=False), nn.BatchNorm2d(2 * c)
        self.conv2 = nn.Conv2d(2 * c, 2 * c, 3, padding=1, groups=2 * c, bias=False)
        self.bn2 = nn.BatchNorm2d(2 * c)
        self.conv3, self.bn3 = nn.Conv2d(2 * c, c, 1, bias=False), nn.BatchNorm2d(c)
        self.prob = torch.Tensor([prob])

    def branch(self, x: Tensor) -> Tensor:
        out = F.silu(self.bn1(self.conv1(x)))
        out = F.silu(self.bn2(self.conv2(out)))
        return self.bn3(self.conv3(out))

    def forward(self, x: Tensor) -> Tensor:
        if self.training and not torch.bernoulli(self.prob):
            return x
        out = self.branch(x)
        return out + x


class SampleBottleneck(CoinBottleneck):
    """One number per sample, scaled in training."""

    def forward(self, x: Tensor) -> Tensor:
        out = self.branch(x)
        if self.training:
            keep = float(self.prob)
            mask = torch.bernoulli(torch.full((x.shape[0], 1, 1, 1), keep, device=x.device))
            out = out * mask / keep
        return out + x


CASES = (
    Case(
        "efficientnet_skip_flag_false",
        "zsef123/EfficientNets-PyTorch#2",
        "TS201",
        lambda: efficientnet(False),
        lambda: efficientnet(True),
        ((2, 4, 32, 32),),
    ),
    Case(
        "whole_batch_coin_without_scale",
        "katsura-jp/efficientnet-pytorch, model/efficientnet.py",
        "TS111",
        lambda: net(*(CoinBottleneck(4, 1.0 - 0.125 * i) for i in range(1, 5))),
        lambda: net(*(SampleBottleneck(4, 1.0 - 0.125 * i) for i in range(1, 5))),
    ),
)
