"""Normalisations, rectifiers and sums in place."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv


class InPlaceABNFunction(torch.autograd.Function):
    """Writes its result over its input and rebuilds the input in backward."""

    @staticmethod
    def forward(ctx, x, weight, bias, slope):
        mean = x.mean((0, 2, 3), keepdim=True)
        var = x.var((0, 2, 3), keepdim=True, unbiased=False)
        std = (var + 1e-5).sqrt()
        y = (x - mean) / std * weight.view(1, -1, 1, 1) + bias.view(1, -1, 1, 1)
        y = torch.where(y > 0, y, y * slope)
        x.copy_(y)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x, weight, bias, std)
        ctx.slope = slope
        return x

    @staticmethod
    def backward(ctx, grad):
        z, weight, bias, std = ctx.saved_tensors
        grad = torch.where(z > 0, grad, grad * ctx.slope)
        y = torch.where(z > 0, z, z / ctx.slope)
        hat = (y - bias.view(1, -1, 1, 1)) / weight.view(1, -1, 1, 1)
        g_w = (grad * hat).sum((0, 2, 3))
        g_b = grad.sum((0, 2, 3))
        n = grad.numel() / grad.shape[1]
        g_x = grad - g_b.view(1, -1, 1, 1) / n - hat * g_w.view(1, -1, 1, 1) / n
        return g_x * weight.view(1, -1, 1, 1) / std, g_w, g_b, None


class InPlaceABN(nn.Module):
    def __init__(self, channels, slope=0.01) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        return InPlaceABNFunction.apply(x, self.weight, self.bias, self.slope)


def abn(channels):
    return nn.Sequential(nn.BatchNorm2d(channels), nn.LeakyReLU(0.01))


class DenseLayer(nn.Sequential):
    def __init__(self, c_in, growth, right) -> None:
        super().__init__()
        norm = abn if right else InPlaceABN
        self.add_module("norm_relu1", norm(c_in))
        self.add_module("conv1", nn.Conv2d(c_in, 2 * growth, 1, bias=False))
        self.add_module("norm_relu2", norm(2 * growth))
        self.add_module("conv2", nn.Conv2d(2 * growth, growth, 3, padding=1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, super().forward(x)], 1)


def dense_net(right):
    layers = [DenseLayer(4 + 4 * i, 4, right) for i in range(3)]
    return nn.Sequential(
        conv(4, 4), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3)
    )


class Separable(nn.Module):
    def __init__(self, a, b) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(a, a, 3, 1, 1, groups=a, bias=False)
        self.pointwise = nn.Conv2d(a, b, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.conv1(x))


class XceptionBlock(nn.Module):
    def __init__(self, a, b, right) -> None:
        super().__init__()
        norm = nn.BatchNorm2d if right else InPlaceABN
        self.skip = nn.Conv2d(a, b, 1, bias=False) if a != b else None
        if self.skip is not None:
            self.skipbn = nn.BatchNorm2d(b)
        self.relu = nn.ReLU(inplace=not right)
        rep = [self.relu, Separable(a, b), norm(b), self.relu, Separable(b, b), norm(b)]
        self.rep = nn.Sequential(*rep)

    def forward(self, inp: Tensor) -> Tensor:
        x = self.rep(inp)
        skip = inp if self.skip is None else self.skipbn(self.skip(inp))
        return x + skip


def xception(right):
    return nn.Sequential(
        conv(4, 8),
        nn.BatchNorm2d(8),
        XceptionBlock(8, 12, right),
        XceptionBlock(12, 12, right),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 3),
    )


class ConvModule(nn.Module):
    def __init__(self, a, b, kernel) -> None:
        super().__init__()
        self.conv = nn.Conv2d(a, b, kernel, padding=kernel // 2)
        self.act = nn.LeakyReLU(0.1, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.conv(x))


class FPN(nn.Module):
    def __init__(self, in_channels, c, right) -> None:
        super().__init__()
        self.right = right
        self.lateral_convs = nn.ModuleList(ConvModule(a, c, 1) for a in in_channels)

    def forward(self, inputs: Tensor) -> Tensor:
        laterals = [m(x) for m, x in zip(self.lateral_convs, inputs, strict=False)]
        for i in range(len(laterals) - 1, 0, -1):
            up = F.interpolate(laterals[i], scale_factor=2, mode="bilinear")
            if self.right:
                laterals[i - 1] = laterals[i - 1] + up
            else:
                laterals[i - 1] += up
        return tuple(laterals)


class Nano(nn.Module):
    def __init__(self, right) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU())
                for a, b in ((4, 6), (6, 8), (8, 12))
            ]
        )
        self.neck = FPN((6, 8, 12), 6, right)
        self.head = nn.ModuleList(conv(6, 3) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return [head(p) for head, p in zip(self.head, self.neck(features), strict=False)]


CASES = (
    Case(
        "inplace_norm_in_dense_layer",
        "mapillary/inplace_abn#6",
        "TS104",
        lambda: dense_net(False),
        lambda: dense_net(True),
    ),
    Case(
        "xception_relu_over_inplace_abn",
        "mapillary/inplace_abn#40",
        "TS112",
        lambda: xception(False),
        lambda: xception(True),
    ),
    Case(
        "laterals_summed_in_place",
        "RangiLyu/nanodet PR 493",
        "TS112",
        lambda: Nano(False),
        lambda: Nano(True),
        ((2, 4, 32, 32),),
    ),
)
