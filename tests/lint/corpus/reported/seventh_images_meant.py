"""Classifiers that somebody took for wrong, and that are right."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Clean

IMAGES = ((2, 3, 32, 32),)


def cbr(a, b, k=3, s=1):
    return nn.Sequential(
        nn.Conv2d(a, b, k, s, k // 2, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)
    )


# ---- mit-han-lab/efficientvit#50: ResBlock has no sum, a wrapper around it has


class ConvLayer(nn.Module):
    def __init__(self, a, b, k=3, stride=1, act=True):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(a, b, k, stride, k // 2, bias=False), nn.BatchNorm2d(b)
        self.act = nn.ReLU6() if act else None

    def forward(self, x):
        x = self.norm(self.conv(x))
        return self.act(x) if self.act else x


class ResBlock(nn.Module):
    def __init__(self, a, b, stride=1):
        super().__init__()
        self.conv1, self.conv2 = ConvLayer(a, a, stride=stride), ConvLayer(a, b, act=False)

    def forward(self, x):
        return self.conv2(self.conv1(x))


class ResidualBlock(nn.Module):
    def __init__(self, main, shortcut, post_act=None):
        super().__init__()
        self.main, self.shortcut, self.post_act = main, shortcut, post_act

    def forward(self, x):
        if self.shortcut is None:
            return self.main(x)
        res = self.main(x) + self.shortcut(x)
        return self.post_act(res) if self.post_act else res


def efficientvit():
    return nn.Sequential(
        ConvLayer(3, 8, stride=2),
        ResidualBlock(ResBlock(8, 8), nn.Identity()),
        ResidualBlock(ResBlock(8, 16, 2), None),
        ResidualBlock(ResBlock(16, 16), nn.Identity()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 4),
    )


# ---- weiaicunzai/pytorch-cifar100 models/stochasticdepth.py: a coin for the batch, p in evaluation


class StochasticDepthBasicBlock(nn.Module):
    def __init__(self, p, in_channels, out_channels, stride=1):
        super().__init__()
        self.p = p
        self.residual = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, stride, 1),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride), nn.BatchNorm2d(out_channels)
            )

    def survival(self):
        var = torch.bernoulli(torch.tensor(self.p).float())
        return torch.equal(var, torch.tensor(1).float())

    def forward(self, x):
        if self.training:
            kept = self.survival()
            x = F.relu(self.residual(x) + self.shortcut(x)) if kept else self.shortcut(x)
        else:
            x = self.residual(x) * self.p + self.shortcut(x)
            x = F.relu(x)
        return x


def stochastic_depth():
    return nn.Sequential(
        cbr(3, 8),
        StochasticDepthBasicBlock(1.0, 8, 8),
        StochasticDepthBasicBlock(0.8, 8, 8),
        StochasticDepthBasicBlock(0.6, 8, 16, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 4),
    )


# ---- mk-minchul/AdaFace#69: the IR block's shortcut is a max pooling of kernel one


class BasicBlockIR(nn.Module):
    def __init__(self, in_channel, depth, stride):
        super().__init__()
        if in_channel == depth:
            self.shortcut_layer = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(in_channel, depth, 1, stride, bias=False), nn.BatchNorm2d(depth)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(in_channel),
            nn.Conv2d(in_channel, depth, 3, 1, 1, bias=False),
            nn.BatchNorm2d(depth),
            nn.PReLU(depth),
            nn.Conv2d(depth, depth, 3, stride, 1, bias=False),
            nn.BatchNorm2d(depth),
        )

    def forward(self, x):
        shortcut = self.shortcut_layer(x)
        return self.res_layer(x) + shortcut


def ir_net():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.PReLU(8),
        BasicBlockIR(8, 8, 2),
        BasicBlockIR(8, 8, 1),
        BasicBlockIR(8, 16, 2),
        BasicBlockIR(16, 16, 1),
        nn.BatchNorm2d(16),
        nn.Dropout(0.4),
        nn.Flatten(),
        nn.Linear(16 * 64, 8),
        nn.BatchNorm1d(8, affine=False),
    )


# ---- kuangliu/pytorch-cifar#133: MobileNetV2 with a projection wherever the stride is one


class InvertedBlock(nn.Module):
    def __init__(self, in_planes, out_planes, expansion, stride):
        super().__init__()
        self.stride = stride
        planes = expansion * in_planes
        self.conv1, self.bn1 = nn.Conv2d(in_planes, planes, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = (
            nn.Conv2d(planes, planes, 3, stride, 1, groups=planes, bias=False),
            nn.BatchNorm2d(planes),
        )
        self.conv3, self.bn3 = (
            nn.Conv2d(planes, out_planes, 1, bias=False),
            nn.BatchNorm2d(out_planes),
        )
        self.shortcut = nn.Sequential()
        if stride == 1 and in_planes != out_planes:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_planes, out_planes, 1, bias=False), nn.BatchNorm2d(out_planes)
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return out + self.shortcut(x) if self.stride == 1 else out


def mobilenet_kuangliu():
    return nn.Sequential(
        cbr(3, 8),
        InvertedBlock(8, 6, 1, 1),
        InvertedBlock(6, 8, 6, 1),
        InvertedBlock(8, 8, 6, 1),
        InvertedBlock(8, 12, 6, 2),
        InvertedBlock(12, 12, 6, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 4),
    )


CLEAN = (
    Clean("efficientvit_wraps_its_res_block", "mit-han-lab/efficientvit#50", efficientvit, IMAGES),
    Clean(
        "cifar100_coin_for_the_batch",
        "weiaicunzai/pytorch-cifar100 models/stochasticdepth.py",
        stochastic_depth,
        IMAGES,
    ),
    Clean("ir_shortcut_by_max_pooling", "mk-minchul/AdaFace#69", ir_net, IMAGES),
    Clean(
        "mobilenetv2_projects_at_stride_one",
        "kuangliu/pytorch-cifar#133",
        mobilenet_kuangliu,
        IMAGES,
    ),
)
