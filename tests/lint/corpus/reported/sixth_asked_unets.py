"""The sixth set. Asked about and right: U-Nets, for multiples of their stride."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Clean

IMAGE = ((2, 3, 16, 16),)


# --- LeeJunHyun/Image_Segmentation#1
class RecurrentBlock(nn.Module):
    def __init__(self, c, t=2):
        super().__init__()
        self.t = t
        self.conv = nn.Sequential(
            nn.Conv2d(c, c, 3, 1, 1), nn.BatchNorm2d(c), nn.ReLU(inplace=True)
        )

    def forward(self, x):
        for i in range(self.t):
            if i == 0:
                x1 = self.conv(x)
            x1 = self.conv(x + x1)
        return x1


class RRCNNBlock(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.RCNN = nn.Sequential(RecurrentBlock(b), RecurrentBlock(b))
        self.Conv_1x1 = nn.Conv2d(a, b, 1)

    def forward(self, x):
        x = self.Conv_1x1(x)
        x1 = self.RCNN(x)
        return x + x1


class R2UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.RRCNN1, self.RRCNN2 = RRCNNBlock(3, 6), RRCNNBlock(6, 8)
        self.Maxpool, self.Upsample = nn.MaxPool2d(2, 2), nn.Upsample(scale_factor=2)
        self.Up = nn.Sequential(nn.Conv2d(8, 6, 3, 1, 1), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.Up_RRCNN, self.out = RRCNNBlock(12, 6), nn.Conv2d(6, 1, 1)

    def forward(self, x):
        x1 = self.RRCNN1(x)
        x2 = self.RRCNN2(self.Maxpool(x1))
        d = torch.cat((x1, self.Up(self.Upsample(x2))), dim=1)
        return self.out(self.Up_RRCNN(d))


# --- SimJeg/FC-DenseNet#9
class BNReLUConv(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.bn, self.conv = nn.BatchNorm2d(a), nn.Conv2d(a, b, 3, padding=1)
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        return self.drop(self.conv(F.relu(self.bn(x))))


class FCDenseNet(nn.Module):
    def __init__(self, first=6, growth=4, n_pool=2, n_layers=2):
        super().__init__()
        self.first = nn.Conv2d(3, first, 3, padding=1)
        self.down, self.td, self.tu, self.up = (nn.ModuleList() for _ in range(4))
        width, skips = first, []
        for _ in range(n_pool):
            self.down.append(self.dense(width, growth, n_layers))
            width += growth * n_layers
            skips.append(width)
            self.td.append(BNReLUConv(width, width))
        self.bottleneck = self.dense(width, growth, n_layers)
        for i in range(n_pool):
            keep = growth * n_layers
            self.tu.append(nn.ConvTranspose2d(keep, keep, 2, 2))
            width = keep + skips[-1 - i]
            self.up.append(self.dense(width, growth, n_layers))
        self.out = nn.Conv2d(width + growth * n_layers, 5, 1)

    def dense(self, a, growth, n_layers):
        return nn.ModuleList(BNReLUConv(a + i * growth, growth) for i in range(n_layers))

    def forward(self, x):
        stack, skips = self.first(x), []
        for block, down in zip(self.down, self.td, strict=True):
            for layer in block:
                stack = torch.cat([stack, layer(stack)], 1)
            skips.append(stack)
            stack = F.max_pool2d(down(stack), 2)
        block_to_upsample = []
        for layer in self.bottleneck:
            new = layer(stack)
            block_to_upsample.append(new)
            stack = torch.cat([stack, new], 1)
        for i, (up, block) in enumerate(zip(self.tu, self.up, strict=True)):
            stack = torch.cat([up(torch.cat(block_to_upsample, 1)), skips[-1 - i]], 1)
            block_to_upsample = []
            for layer in block:
                new = layer(stack)
                block_to_upsample.append(new)
                stack = torch.cat([stack, new], 1)
        return self.out(stack)


CLEAN = (
    Clean(
        "recurrent residual U-Net",
        "LeeJunHyun/Image_Segmentation#1: the shortcut starts behind "
        "a 1x1 convolution, as in R2U-Net",
        R2UNet,
        IMAGE,
    ),
    Clean(
        "one hundred layers tiramisu",
        "SimJeg/FC-DenseNet#9: stacks of the upsampling path are dropped but the last",
        FCDenseNet,
        IMAGE,
    ),
)
