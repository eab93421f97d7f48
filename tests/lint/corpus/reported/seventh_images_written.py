"""Sums that are written so that somebody missed them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Clean

IMAGES = ((2, 3, 32, 32),)


# ---- ZQPei/deep_sort_pytorch#35: the sum is written with .add() inside the activation


class DeepBasicBlock(nn.Module):
    def __init__(self, c_in, c_out, is_downsample=False):
        super().__init__()
        self.is_downsample = is_downsample
        self.conv1 = nn.Conv2d(c_in, c_out, 3, 2 if is_downsample else 1, 1, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(c_out), nn.ReLU(True)
        self.conv2, self.bn2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False), nn.BatchNorm2d(c_out)
        if is_downsample:
            self.downsample = nn.Sequential(
                nn.Conv2d(c_in, c_out, 1, 2, bias=False), nn.BatchNorm2d(c_out)
            )
        elif c_in != c_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(c_in, c_out, 1, 1, bias=False), nn.BatchNorm2d(c_out)
            )
            self.is_downsample = True

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.is_downsample:
            x = self.downsample(x)
        return F.relu(x.add(y), True)


def deep_sort():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 1, 1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
        DeepBasicBlock(8, 8),
        DeepBasicBlock(8, 8),
        DeepBasicBlock(8, 16, True),
        DeepBasicBlock(16, 16),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 8),
    )


# ---- ajbrock/BoilerPlate#2: Fixup without an activation behind the sum


class FixupBlock(nn.Module):
    def __init__(self, a, b, stride=1, depth=3):
        super().__init__()
        self.bias1a, self.bias1b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
        self.bias2a, self.bias2b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
        self.gain = nn.Parameter(torch.ones(1))
        self.conv1, self.conv2 = (
            nn.Conv2d(a, b, 3, stride, 1, bias=False),
            nn.Conv2d(b, b, 3, 1, 1, bias=False),
        )
        nn.init.normal_(self.conv1.weight, std=(2 / (9 * b)) ** 0.5 * depth**-0.5)
        nn.init.zeros_(self.conv2.weight)
        self.activation = nn.ReLU()
        self.downsample = nn.Conv2d(a, b, 1, stride, bias=False) if stride != 1 or a != b else None

    def shortcut(self, x):
        return x if self.downsample is None else self.downsample(x + self.bias1a)

    def residual(self, x):
        x = self.activation(x)
        x = self.conv1(x + self.bias1a) + self.bias1b
        x = self.conv2(self.activation(x) + self.bias2a)
        return self.gain * x + self.bias2b

    def forward(self, x):
        return self.residual(x) + self.shortcut(x)


def fixup():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        FixupBlock(8, 8),
        FixupBlock(8, 16, 2),
        FixupBlock(16, 16),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 4),
    )


# ---- mattmacy/vnet.pytorch#28: the up transition adds the concatenation, not one of its halves


class UpTransition(nn.Module):
    def __init__(self, inChans, outChans):
        super().__init__()
        self.up_conv = nn.ConvTranspose3d(inChans, outChans // 2, 2, stride=2)
        self.bn1 = nn.BatchNorm3d(outChans // 2)
        self.do1, self.do2 = nn.Identity(), nn.Dropout3d()
        self.relu1, self.relu2 = nn.ELU(inplace=True), nn.ELU(inplace=True)
        self.ops = nn.Sequential(
            nn.Conv3d(outChans, outChans, 5, padding=2),
            nn.BatchNorm3d(outChans),
            nn.ELU(inplace=True),
        )

    def forward(self, x, skipx):
        out = self.do1(x)
        skipxdo = self.do2(skipx)
        out = self.relu1(self.bn1(self.up_conv(out)))
        xcat = torch.cat((out, skipxdo), 1)
        out = self.ops(xcat)
        return self.relu2(torch.add(out, xcat))


class SmallVNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.inp = nn.Sequential(nn.Conv3d(1, 8, 5, padding=2), nn.BatchNorm3d(8), nn.ELU())
        self.down = nn.Sequential(nn.Conv3d(8, 16, 2, 2), nn.BatchNorm3d(16), nn.ELU())
        self.up_tr = UpTransition(16, 16)
        self.out = nn.Conv3d(16, 2, 1)

    def forward(self, x):
        out8 = self.inp(x)
        out16 = self.down(out8)
        return F.log_softmax(self.out(self.up_tr(out16, out8)), 1)


# ---- RobotEdh/Yolov-4#6: the shortcut hides in a flag of the function that makes the layers


class ConvRun(nn.Module):
    def __init__(self, a, convs, skip=True):
        super().__init__()
        layers = []
        for conv in convs:
            block = [
                nn.Conv2d(
                    a,
                    conv["filter"],
                    conv["kernel"],
                    conv["stride"],
                    conv["kernel"] // 2,
                    bias=False,
                ),
                nn.BatchNorm2d(conv["filter"]),
                nn.Mish(),
            ]
            layers.append(nn.Sequential(*block))
            a = conv["filter"]
        self.layers, self.skip = nn.ModuleList(layers), skip

    def forward(self, x):
        for count, layer in enumerate(self.layers):
            if count == (len(self.layers) - 2) and self.skip:
                skip_connection = x
            x = layer(x)
        return skip_connection + x if self.skip else x


def run_of(filters, kernel=1, stride=1):
    return {"filter": filters, "kernel": kernel, "stride": stride}


class CSPStage(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = ConvRun(3, [run_of(8, 3), run_of(16, 3, 2)], skip=False)
        self.route = ConvRun(16, [run_of(16)], skip=False)
        self.main = ConvRun(16, [run_of(16), run_of(8), run_of(16, 3)])
        self.more = ConvRun(16, [run_of(8), run_of(16, 3)])
        self.close = ConvRun(16, [run_of(16)], skip=False)
        self.merge = ConvRun(32, [run_of(16), run_of(8)], skip=False)

    def forward(self, x):
        x = self.first(x)
        route = self.route(x)
        x = self.close(self.more(self.main(x)))
        return self.merge(torch.cat([x, route], 1))


CLEAN = (
    Clean("deep_sort_adds_by_method", "ZQPei/deep_sort_pytorch#35", deep_sort, IMAGES),
    Clean("fixup_without_activation", "ajbrock/BoilerPlate#2", fixup, IMAGES),
    Clean("vnet_adds_the_concatenation", "mattmacy/vnet.pytorch#28", SmallVNet, ((2, 1, 8, 8, 8),)),
    Clean("yolov4_shortcut_behind_a_flag", "RobotEdh/Yolov-4#6", CSPStage, IMAGES),
)
