"""Generators and discriminators, and two images in one network."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from tests.truth.row import Row
from torch import nn

__all__ = ["ROWS", "CycleGenerator", "SiameseFiLM", "SkipDiscriminator", "SkipGenerator"]


class _ResnetBlock(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(dim, dim, 3),
            nn.InstanceNorm2d(dim),
            nn.ReLU(True),
            nn.Dropout(0.5),
            nn.ReflectionPad2d(1),
            nn.Conv2d(dim, dim, 3),
            nn.InstanceNorm2d(dim),
        )

    def forward(self, x):
        out = x + self.conv_block(x)
        return out


class CycleGenerator(nn.Module):
    """Zhu 2017."""

    size = ((3, 32, 32),)

    def __init__(self, ngf=8):
        super().__init__()
        model = [nn.ReflectionPad2d(3), nn.Conv2d(3, ngf, 7), nn.InstanceNorm2d(ngf), nn.ReLU(True)]
        for mult in (1, 2):
            model += [nn.Conv2d(ngf * mult, ngf * mult * 2, 3, 2, 1), nn.ReLU(True)]
        model += [_ResnetBlock(4 * ngf) for _ in range(3)]
        for mult in (4, 2):
            model += [nn.ConvTranspose2d(ngf * mult, ngf * mult // 2, 3, 2, 1, 1), nn.ReLU(True)]
        model += [nn.ReflectionPad2d(3), nn.Conv2d(ngf, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*model)

    def forward(self, input):
        return self.model(input)


class _ToRGB(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv, self.bias = nn.Conv2d(n, 3, 1), nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, input, skip=None):
        out = self.conv(input)
        out = out + self.bias
        if skip is not None:
            skip = F.interpolate(skip, scale_factor=2, mode="bilinear")
            out = out + skip
        return out


class SkipGenerator(nn.Module):
    """Karras 2020: every resolution adds its image to the upsampled one before."""

    size = ((16,),)

    def __init__(self, n=16):
        super().__init__()
        self.const = nn.Parameter(torch.randn(1, n, 4, 4))
        self.style = nn.ModuleList(nn.Linear(16, n) for _ in range(3))
        self.conv1, self.to_rgb1 = nn.Conv2d(n, n, 3, padding=1), _ToRGB(n)
        self.ups = nn.ModuleList(nn.ConvTranspose2d(n, n, 4, 2, 1) for _ in range(2))
        self.convs = nn.ModuleList(nn.Conv2d(n, n, 3, padding=1) for _ in range(2))
        self.to_rgbs = nn.ModuleList(_ToRGB(n) for _ in range(2))

    def forward(self, z):
        out = self.const * (self.style[0](z)[:, :, None, None] + 1)
        out = F.leaky_relu(self.conv1(out), 0.2)
        skip = self.to_rgb1(out)
        for i in range(2):
            out = F.leaky_relu(self.ups[i](out), 0.2)
            out = F.leaky_relu(self.convs[i](out * self.style[i + 1](z)[:, :, None, None]), 0.2)
            skip = self.to_rgbs[i](out, skip)
        return skip


class _DownBlock(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv1, self.conv2 = (
            nn.Conv2d(inputs, inputs, 3, 1, 1),
            nn.Conv2d(inputs, outputs, 3, 2, 1),
        )
        self.skip = nn.Conv2d(inputs, outputs, 1, 2, bias=False)

    def forward(self, input):
        out = F.leaky_relu(self.conv1(input), 0.2)
        out = F.leaky_relu(self.conv2(out), 0.2)
        skip = self.skip(F.avg_pool2d(input, 3, 1, 1))
        return (out + skip) / math.sqrt(2)


class SkipDiscriminator(nn.Module):
    """Karras 2020: residual blocks, and the deviation over the batch as one more channel."""

    size = ((3, 32, 32),)

    def __init__(self):
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(3, 8, 1), nn.LeakyReLU(0.2), _DownBlock(8, 16), _DownBlock(16, 16)
        )
        self.final_conv, self.final_linear = nn.Conv2d(17, 16, 3, padding=1), nn.Linear(1024, 1)

    def forward(self, input):
        out = self.convs(input)
        batch, channel, height, width = out.shape
        stddev = out.view(batch, -1, 1, channel, height, width)
        stddev = torch.sqrt(stddev.var(0, unbiased=False) + 1e-8)
        stddev = stddev.mean([2, 3, 4], keepdim=True).squeeze(2)
        stddev = stddev.repeat(batch, 1, height, width)
        out = torch.cat([out, stddev], 1)
        out = F.leaky_relu(self.final_conv(out))
        return self.final_linear(out.view(batch, -1))


class SiameseFiLM(nn.Module):
    """Two images through one encoder; the second one modulates the first."""

    size = ((3, 32, 32), (3, 32, 32))

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), _ResnetBlock(8))
        self.gamma, self.beta = nn.Linear(8, 8), nn.Linear(8, 8)
        self.conv = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, left, right):
        a, b = self.encoder(left), self.encoder(right)
        code = b.mean((2, 3))
        film = self.gamma(code)[:, :, None, None] * a + self.beta(code)[:, :, None, None]
        out = self.conv(F.relu(film))
        return {"out": out + a, "features": (a, b)}


ROWS: tuple[Row, ...] = (
    Row(
        "written/CycleGenerator",
        {"identity": 3},
        "three blocks with reflection padding",
        ((3, "identity", "model.*", "out = x + self.conv_block(x)", "model.*"),),
    ),
    Row(
        "written/SkipGenerator",
        {"projection": 2},
        "output skips: an image goes up past two convolutions and the next to-RGB layer; styles "
        "modulate",
        ((2, "projection", "to_rgbs.?", "out = out + skip", ""),),
    ),
    Row(
        "written/SkipDiscriminator",
        {"projection": 2},
        "two residual blocks; the deviation over the batch is a statistic, no branch",
        ((2, "projection", "convs.[23]", "return (out + skip) / math.sqrt(2)", "convs.[12]"),),
    ),
    Row(
        "written/SiameseFiLM",
        {"identity": 3},
        "the shared block runs twice; the first image's features go past the modulated convolution",
        (
            (2, "identity", "encoder.2", "out = x + self.conv_block(x)", "encoder.1"),
            (1, "identity", "", "*out + a*", "encoder.2"),
        ),
    ),
)
