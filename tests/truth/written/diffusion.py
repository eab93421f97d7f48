"""Diffusion models: a stack of skips, time embeddings, a controlling copy."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from tests.truth.row import Row
from torch import nn

__all__ = ["ROWS", "ControlNet", "DiffusionUNet"]


class _AttnBlock(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.norm = nn.GroupNorm(4, n)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(n, n, 1) for _ in range(4))

    def forward(self, x):
        h_ = self.norm(x)
        q, k, v = self.q(h_), self.k(h_), self.v(h_)
        b, c, h, w = q.shape
        w_ = torch.bmm(q.reshape(b, c, h * w).permute(0, 2, 1), k.reshape(b, c, h * w))
        w_ = F.softmax(w_ * (int(c) ** (-0.5)), dim=2).permute(0, 2, 1)
        h_ = torch.bmm(v.reshape(b, c, h * w), w_).reshape(b, c, h, w)
        h_ = self.proj_out(h_)
        return x + h_


class _TimeBlock(nn.Module):
    def __init__(self, inputs, outputs, time):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(4, inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.temb_proj = nn.Linear(time, outputs)
        self.norm2, self.conv2 = nn.GroupNorm(4, outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.in_channels, self.out_channels = inputs, outputs
        if inputs != outputs:
            self.nin_shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x, temb):
        h = x
        h = self.conv1(F.silu(self.norm1(h)))
        h = h + self.temb_proj(F.silu(temb))[:, :, None, None]
        h = self.conv2(F.dropout(F.silu(self.norm2(h)), 0.1, self.training))
        if self.in_channels != self.out_channels:
            x = self.nin_shortcut(x)
        return x + h


class DiffusionUNet(nn.Module):
    """Ho 2020: one block per level, a stack of skips, time embeddings."""

    size = ((3, 16, 16), ())

    def __init__(self):
        super().__init__()
        self.temb = nn.Sequential(nn.Linear(16, 32), nn.SiLU(), nn.Linear(32, 32))
        self.conv_in = nn.Conv2d(3, 16, 3, padding=1)
        self.down = nn.ModuleList([_TimeBlock(16, 16, 32), _TimeBlock(16, 32, 32)])
        self.downsample = nn.Conv2d(16, 16, 3, stride=2, padding=1)
        self.mid_block_1, self.mid_block_2 = _TimeBlock(32, 32, 32), _TimeBlock(32, 32, 32)
        self.mid_attn = _AttnBlock(32)
        self.up = nn.ModuleList(
            [
                nn.ModuleList([_TimeBlock(64, 32, 32), _TimeBlock(48, 32, 32)]),
                nn.ModuleList([_TimeBlock(48, 16, 32), _TimeBlock(32, 16, 32)]),
            ]
        )
        self.upsample = nn.Conv2d(32, 32, 3, padding=1)
        self.norm_out, self.conv_out = nn.GroupNorm(4, 16), nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, x, t):
        freqs = torch.exp(torch.arange(8, device=t.device) * -(math.log(10000) / 7))
        args = t.reshape(-1, 1) * freqs
        temb = self.temb(torch.cat([torch.sin(args), torch.cos(args)], dim=1))
        hs = [self.conv_in(x)]
        hs.append(self.down[0](hs[-1], temb))
        hs.append(self.downsample(hs[-1]))
        hs.append(self.down[1](hs[-1], temb))
        h = self.mid_block_1(hs[-1], temb)
        h = self.mid_attn(h)
        h = self.mid_block_2(h, temb)
        for i, level in enumerate(self.up):
            for block in level:
                h = block(torch.cat([h, hs.pop()], dim=1), temb)
            if i == 0:
                h = self.upsample(F.interpolate(h, scale_factor=2.0, mode="nearest"))
        return self.conv_out(F.silu(self.norm_out(h)))


def _cbr(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class _DoubleConv(nn.Module):
    def __init__(self, inputs, outputs, padding=1):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=padding),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=padding),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.double_conv(x)


class ControlNet(nn.Module):
    """Zhang 2023: a copy of the encoder, joined to the decoder by zero convolutions."""

    size = ((3, 32, 32), (3, 32, 32))

    def __init__(self):
        super().__init__()
        self.encoder, self.control = self._encoder(), self._encoder()
        self.input_hint_block = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.SiLU())
        self.stem, self.control_stem = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 8, 3, padding=1)
        self.zero_convs = nn.ModuleList(nn.Conv2d(n, n, 1) for n in (8, 16, 32))
        self.dec2, self.dec1 = _cbr(48, 16), _cbr(24, 8)
        self.out = nn.Conv2d(8, 3, 1)

    def _encoder(self):
        return nn.ModuleList(
            [
                _DoubleConv(8, 8),
                nn.Sequential(nn.MaxPool2d(2), _DoubleConv(8, 16)),
                nn.Sequential(nn.MaxPool2d(2), _DoubleConv(16, 32)),
            ]
        )

    def forward(self, x, hint):
        guided_hint = self.input_hint_block(hint)
        h = self.control_stem(x)
        h += guided_hint
        control = []
        for module, zero_conv in zip(self.control, self.zero_convs):
            h = module(h)
            control.append(zero_conv(h))
        hs = []
        h = self.stem(x)
        for module in self.encoder:
            h = module(h)
            hs.append(h)
        h = hs.pop()
        h = h + control.pop()
        h = torch.cat([F.interpolate(h, scale_factor=2), hs.pop() + control.pop()], dim=1)
        h = self.dec2(h)
        h = torch.cat([F.interpolate(h, scale_factor=2), hs.pop() + control.pop()], dim=1)
        return self.out(self.dec1(h))


ROWS: tuple[Row, ...] = (
    Row(
        "written/DiffusionUNet",
        {"identity": 4, "projection": 5, "long": 2, "concat": 2},
        "blocks: three keep their width, five change it; one attention; of the four features on "
        "the stack two are from below the only downsampling, and nothing goes down around them",
        (
            (1, "identity", "mid_attn", "return x + h_", "mid_block_1"),
            (4, "projection", "up.?.?", "return x + h", ""),
            (2, "concat", "", "h = block(torch.cat([[]h, hs.pop()], dim=1), temb)", "down*"),
            (2, "long", "", "h = block(torch.cat([[]h, hs.pop()], dim=1), temb)", "*"),
        ),
    ),
    Row(
        "written/ControlNet",
        {"long": 2},
        "two concatenations; the encoder and its copy are parallel",
        ((2, "long", "", "h = torch.cat([[]F.interpolate(h, scale_factor=2)*", "*"),),
    ),
)
