"""Residual networks with more than one branch, and without modules."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from tests.truth.row import Row
from torch import nn

__all__ = ["ROWS", "FractalNet", "FunctionalWRN", "HighwayNet", "RevNet", "ShakeShake"]


def _conv_bn_relu(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class _Fractal(nn.Module):
    def __init__(self, columns, n):
        super().__init__()
        self.conv = _conv_bn_relu(n, n)
        if columns > 2:
            self.deep = nn.Sequential(_Fractal(columns - 1, n), _Fractal(columns - 1, n))
        else:
            self.deep = nn.Sequential(_conv_bn_relu(n, n), _conv_bn_relu(n, n))

    def forward(self, x):
        return torch.stack([self.conv(x), self.deep(x)]).mean(dim=0)


class FractalNet(nn.Module):
    """Larsson 2017: a block joins a convolution with two blocks of one column less."""

    size = ((3, 16, 16),)

    def __init__(self):
        super().__init__()
        self.stem = _conv_bn_relu(3, 8)
        self.block = _Fractal(3, 8)
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        x = F.max_pool2d(self.block(self.stem(x)), 2)
        return self.head(x.mean((2, 3)))


class _ShakeBranch(nn.Sequential):
    def __init__(self, inputs, outputs, stride):
        super().__init__(
            nn.ReLU(inplace=False),
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=False),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )


class _ShakeShortcut(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(inputs, outputs // 2, 1, bias=False)
        self.conv2 = nn.Conv2d(inputs, outputs // 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x):
        h = F.relu(x)
        h1 = self.conv1(F.avg_pool2d(h, 1, self.stride))
        h2 = self.conv2(F.avg_pool2d(F.pad(h, (-1, 1, -1, 1)), 1, self.stride))
        return self.bn(torch.cat((h1, h2), 1))


class _ShakeBlock(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.branch1 = _ShakeBranch(inputs, outputs, stride)
        self.branch2 = _ShakeBranch(inputs, outputs, stride)
        self.shortcut = None if inputs == outputs else _ShakeShortcut(inputs, outputs, stride)

    def forward(self, x):
        alpha = torch.rand(x.shape[0], 1, 1, 1, device=x.device) if self.training else 0.5
        h = alpha * self.branch1(x) + (1 - alpha) * self.branch2(x)
        h0 = x if self.shortcut is None else self.shortcut(x)
        return h + h0


class ShakeShake(nn.Module):
    """Gastaldi 2017."""

    size = ((3, 16, 16),)

    def __init__(self):
        super().__init__()
        self.c_in = nn.Conv2d(3, 8, 3, padding=1)
        self.layer1 = nn.Sequential(_ShakeBlock(8, 8), _ShakeBlock(8, 8))
        self.layer2 = nn.Sequential(_ShakeBlock(8, 16, 2), _ShakeBlock(16, 16))
        self.fc_out = nn.Linear(16, 10)

    def forward(self, x):
        h = F.relu(self.layer2(self.layer1(self.c_in(x))))
        return self.fc_out(F.adaptive_avg_pool2d(h, 1).flatten(1))


class HighwayNet(nn.Module):
    """Srivastava 2015."""

    size = ((20,),)

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(20, 16)
        self.nonlinear = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))
        self.gate = nn.ModuleList(nn.Linear(16, 16) for _ in range(3))

    def forward(self, x):
        x = F.relu(self.first(x))
        for layer in range(3):
            gate = torch.sigmoid(self.gate[layer](x))
            nonlinear = F.relu(self.nonlinear[layer](x))
            x = gate * nonlinear + (1 - gate) * x
        return x


class _RevBlock(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.F = nn.Sequential(_conv_bn_relu(n, n), _conv_bn_relu(n, n))
        self.G = nn.Sequential(_conv_bn_relu(n, n), _conv_bn_relu(n, n))

    def forward(self, x):
        x1, x2 = x
        y1 = x1 + self.F(x2)
        y2 = x2 + self.G(y1)
        return y1, y2


class RevNet(nn.Module):
    """Gomez 2017."""

    size = ((3, 16, 16),)

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.blocks = nn.Sequential(*(_RevBlock(8) for _ in range(3)))
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        y1, y2 = self.blocks(torch.chunk(self.stem(x), 2, dim=1))
        return self.head((y1 * y2).mean((2, 3)))


class FunctionalWRN(nn.Module):
    """A wide residual network as a function of a dictionary of tensors."""

    size = ((3, 16, 16),)

    def __init__(self):
        super().__init__()
        shapes = {"conv0": (8, 3, 3, 3), "fc": (10, 16)}
        for g, (inputs, outputs) in enumerate(((8, 8), (8, 16))):
            for b in range(2):
                i = inputs if b == 0 else outputs
                shapes[f"g{g}b{b}conv0"] = (outputs, i, 3, 3)
                shapes[f"g{g}b{b}conv1"] = (outputs, outputs, 3, 3)
                if i != outputs:
                    shapes[f"g{g}b{b}convdim"] = (outputs, i, 1, 1)
        self.params = nn.ParameterDict({k: torch.randn(s) * 0.1 for k, s in shapes.items()})

    def block(self, x, base, stride):
        o1 = F.relu(F.layer_norm(x, x.shape[1:]), inplace=True)
        y = F.conv2d(o1, self.params[f"{base}conv0"], stride=stride, padding=1)
        o2 = F.relu(F.layer_norm(y, y.shape[1:]), inplace=True)
        z = F.conv2d(o2, self.params[f"{base}conv1"], padding=1)
        if f"{base}convdim" in self.params:
            return z + F.conv2d(o1, self.params[f"{base}convdim"], stride=stride)
        return z + x

    def forward(self, x):
        x = F.conv2d(x, self.params["conv0"], padding=1)
        for g in range(2):
            for b in range(2):
                x = self.block(x, f"g{g}b{b}", 2 if g == 1 and b == 0 else 1)
        x = F.avg_pool2d(F.relu(x), x.shape[-1]).flatten(1)
        return F.linear(x, self.params["fc"])


ROWS: tuple[Row, ...] = (
    Row(
        "written/FractalNet",
        {"projection": 3},
        "one convolution beside two, twice, and one beside all of those",
        (
            (1, "projection", "block", "return torch.stack(*", "stem.2"),
            (2, "projection", "block.deep.?", "return torch.stack(*", "*"),
        ),
    ),
    Row(
        "written/ShakeShake",
        {"identity": 3, "projection": 1},
        "four blocks of two scaled branches; one projects",
        (
            (3, "identity", "layer?.?", "return h + h0", "*"),
            (1, "projection", "layer2.0", "return h + h0", "layer1.1"),
        ),
    ),
    Row(
        "written/HighwayNet",
        {"gate": 3},
        "three highways",
        ((3, "gate", "", "x = gate * nonlinear + (1 - gate) * x", ""),),
    ),
    Row(
        "written/RevNet",
        {"identity": 5},
        "three blocks of two sums; the first sum joins one half of the channels with the other",
        (
            (2, "identity", "blocks.[12]", "y1 = x1 + self.F(x2)", "blocks.?"),
            (3, "identity", "blocks.?", "y2 = x2 + self.G(y1)", "*"),
        ),
    ),
    Row(
        "written/FunctionalWRN",
        {"identity": 3, "projection": 1},
        "two groups of two blocks; the second group's first projects its activated input",
        (
            (3, "identity", "", "return z + x", ""),
            (1, "projection", "", "return z + F.conv2d(*", ""),
        ),
    ),
)
