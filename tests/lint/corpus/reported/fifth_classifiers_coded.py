"""A fifth set: signs, spikes, coins and masks that are mended."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Clean, conv
from .fifth_classifiers_parts import cb, cbr, head


class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.sign(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (2 - 2 * x.abs()).clamp(min=0)


class HardConv(nn.Module):
    def __init__(self, i, o, stride) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.rand(o, i, 3, 3) * 0.002 - 0.001)

    def forward(self, x: Tensor) -> Tensor:
        real = self.weight
        scale = real.abs().mean((1, 2, 3), keepdim=True).detach()
        no_grad = scale * torch.sign(real)
        cut = torch.clamp(real, -1.0, 1.0)
        w = no_grad.detach() - cut.detach() + cut
        return F.conv2d(x, w, stride=self.stride, padding=1)


class BiReal(nn.Module):
    def __init__(self, i, o, stride=1) -> None:
        super().__init__()
        self.conv, self.bn = HardConv(i, o, stride), nn.BatchNorm2d(o)
        self.downsample = (
            nn.Sequential(nn.AvgPool2d(2, stride), nn.Conv2d(i, o, 1), nn.BatchNorm2d(o))
            if stride == 2
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        residual = x if self.downsample is None else self.downsample(x)
        out = self.bn(self.conv(Sign.apply(x)))
        out += residual
        return out


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, v):
        ctx.save_for_backward(v)
        return (v >= 0).to(v.dtype)

    @staticmethod
    def backward(ctx, g):
        (v,) = ctx.saved_tensors
        return g / (1 + (torch.pi * v) ** 2)


class Lif(nn.Module):
    def __init__(self, tau=2.0) -> None:
        super().__init__()
        self.tau = tau

    def forward(self, seq: Tensor) -> Tensor:
        v = torch.zeros_like(seq[0])
        out = []
        for x in seq:
            v = v + (x - v) / self.tau
            s = Spike.apply(v - 1.0)
            v = (1.0 - s.detach()) * v
            out.append(s)
        return torch.stack(out)


class Folded(nn.Module):
    def __init__(self, *layers) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x.flatten(0, 1))
        return y.view(x.shape[0], x.shape[1], *y.shape[1:])


class SewBlock(nn.Module):
    def __init__(self, c, connect) -> None:
        super().__init__()
        self.conv = nn.Sequential(Folded(*cb(c, c)), Lif(), Folded(*cb(c, c)), Lif())
        self.connect = connect

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv(x)
        if self.connect == "ADD":
            return out + x
        if self.connect == "AND":
            return out * x
        return x * (1.0 - out)


class Sew(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(Folded(*cb(3, 8)), Lif())
        self.blocks = nn.Sequential(SewBlock(8, "ADD"), SewBlock(8, "IAND"), SewBlock(8, "ADD"))
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        seq = x.unsqueeze(0).repeat(4, 1, 1, 1, 1)
        y = self.blocks(self.stem(seq))
        return self.fc(y.flatten(3).mean(3)).mean(0)


class CoinBlock(nn.Module):
    def __init__(self, c, p) -> None:
        super().__init__()
        self.body = nn.Sequential(cbr(c, c), cb(c, c))
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            if torch.rand(1).item() < self.p:
                return F.relu(x + self.body(x))
            return F.relu(x)
        return F.relu(x + self.p * self.body(x))


class AttentionModule(nn.Module):
    def __init__(self, c) -> None:
        super().__init__()
        self.first, self.trunk = cbr(c, c), nn.Sequential(cbr(c, c), cbr(c, c))
        self.down, self.mid = nn.MaxPool2d(3, 2, 1), cbr(c, c)
        self.skip, self.last = cbr(c, c), cbr(c, c)
        self.mask = nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, c, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        trunk = self.trunk(x)
        soft = self.mid(self.down(x))
        soft = F.interpolate(
            soft, size=trunk.shape[2:], mode="bilinear", align_corners=False
        ) + self.skip(x)
        return self.last((1 + self.mask(soft)) * trunk)


class PreactFirst(nn.Module):
    def __init__(self, i, o, stride=1) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(i), nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(o), nn.Conv2d(o, o, 3, 1, 1, bias=False)
        if stride != 1 or i != o:
            self.shortcut = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(x))
        shortcut = self.shortcut(out) if hasattr(self, "shortcut") else x
        out = self.conv1(out)
        out = self.conv2(F.relu(self.bn2(out)))
        out += shortcut
        return out


RGB = ((2, 3, 16, 16),)


CLEAN: tuple[Clean, ...] = (
    Clean(
        "bi_real_signs",
        "Liu et al. 2018: a shortcut around every binary convolution",
        lambda: nn.Sequential(cb(3, 8), BiReal(8, 8), BiReal(8, 16, 2), BiReal(16, 16), *head(16)),
        RGB,
    ),
    Clean(
        "spike_element_wise",
        "Fang et al. 2021: ADD and IAND over time, the reset detached",
        Sew,
        RGB,
    ),
    Clean(
        "coin_for_the_batch",
        "Huang et al. 2016: one coin for a batch, scaled in evaluation",
        lambda: nn.Sequential(cbr(3, 8), CoinBlock(8, 0.8), CoinBlock(8, 0.6), *head(8)),
        ((4, 3, 16, 16),),
    ),
    Clean(
        "residual_attention",
        "Wang et al. 2017: (1 + mask) * trunk",
        lambda: nn.Sequential(cbr(3, 8), AttentionModule(8), AttentionModule(8), *head(8)),
        RGB,
    ),
    Clean(
        "pre_activation_at_width_changes",
        "He et al. 2016: the projection reads the activated value, the identity the raw one",
        lambda: nn.Sequential(
            conv(3, 8),
            PreactFirst(8, 8),
            PreactFirst(8, 16, 2),
            PreactFirst(16, 16),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            *head(16),
        ),
        RGB,
    ),
)
