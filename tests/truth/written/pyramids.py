"""Feature pyramids: several resolutions at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from tests.truth.row import Row
from torch import nn

__all__ = ["ROWS", "BiFPN", "DeepLab", "HRNet", "Hourglass"]


class _Bottleneck(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, outputs // 2, 1),
            nn.ReLU(),
            nn.Conv2d(outputs // 2, outputs // 2, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(outputs // 2, outputs, 1),
        )
        self.skip_layer = nn.Conv2d(inputs, outputs, 1)
        self.need_skip = inputs != outputs

    def forward(self, x):
        residual = self.skip_layer(x) if self.need_skip else x
        out = self.conv(x)
        out += residual
        return out


class _Hourglass(nn.Module):
    def __init__(self, n, f):
        super().__init__()
        self.up1, self.low1, self.low3 = _Bottleneck(f, f), _Bottleneck(f, f), _Bottleneck(f, f)
        self.pool1 = nn.MaxPool2d(2, 2)
        self.low2 = _Hourglass(n - 1, f) if n > 1 else _Bottleneck(f, f)
        self.up2 = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, x):
        up1 = self.up1(x)
        low1 = self.low1(self.pool1(x))
        low2 = self.low2(low1)
        low3 = self.low3(low2)
        up2 = self.up2(low3)
        return up1 + up2


class Hourglass(nn.Module):
    """Newell 2016: one residual unit on the skip, a recursion below."""

    size = ((3, 64, 64),)

    def __init__(self):
        super().__init__()
        self.pre = nn.Sequential(
            nn.Conv2d(3, 8, 7, 2, 3), _Bottleneck(8, 16), nn.MaxPool2d(2, 2), _Bottleneck(16, 16)
        )
        self.hg = _Hourglass(3, 16)
        self.outs = nn.Conv2d(16, 4, 1)

    def forward(self, x):
        return self.outs(self.hg(self.pre(x)))


def _cbr(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class BiFPN(nn.Module):
    """Tan 2020: fast normalised fusion, top down and bottom up."""

    size = ((3, 64, 64),)

    def __init__(self, n=8):
        super().__init__()
        self.c3, self.c4 = nn.Sequential(_cbr(3, 8), nn.MaxPool2d(2)), nn.Conv2d(8, 16, 3, 2, 1)
        self.c5 = nn.Conv2d(16, 32, 3, 2, 1)
        self.lateral = nn.ModuleDict(
            {f"p{i + 3}": nn.Conv2d(c, n, 1) for i, c in enumerate((8, 16, 32))}
        )
        self.convs = nn.ModuleDict({k: _cbr(n, n) for k in ("p4_td", "p3_out", "p4_out", "p5_out")})
        self.weights = nn.ParameterDict(
            {k: nn.Parameter(torch.ones(3 if k == "p4_out" else 2)) for k in self.convs}
        )

    def _fuse(self, name, *inputs):
        weight = F.relu(self.weights[name])
        weight = weight / (torch.sum(weight, dim=0) + 1e-4)
        return self.convs[name](sum(weight[i] * x for i, x in enumerate(inputs)))

    def forward(self, image):
        c3 = self.c3(image)
        c4 = self.c4(c3)
        features = (c3, c4, self.c5(c4))
        p3, p4, p5 = (layer(x) for layer, x in zip(self.lateral.values(), features))
        p4_td = self._fuse("p4_td", p4, F.interpolate(p5, scale_factor=2, mode="nearest"))
        p3_out = self._fuse("p3_out", p3, F.interpolate(p4_td, scale_factor=2, mode="nearest"))
        p4_out = self._fuse("p4_out", p4, p4_td, F.max_pool2d(p3_out, 2))
        p5_out = self._fuse("p5_out", p5, F.max_pool2d(p4_out, 2))
        return p3_out, p4_out, p5_out


def cbr(a, b, k=3, s=1, d=1, g=1):
    conv = nn.Conv2d(a, b, k, s, d * (k // 2), dilation=d, groups=g, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(b), nn.ReLU(inplace=True))


def conv3(a, b, stride=1):
    return nn.Conv2d(a, b, 3, stride, 1)


class _Basic(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv1, self.conv2 = cbr(n, n), nn.Sequential(conv3(n, n), nn.BatchNorm2d(n))

    def forward(self, x):
        residual = x
        out = self.conv2(self.conv1(x))
        out = out + residual
        return F.relu(out)


class HRNet(nn.Module):
    """Sun 2019: two resolutions, two blocks each, fused twice."""

    size = ((3, 32, 32),)

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(cbr(3, 8, 3, 2), _Basic(8))
        self.transition = nn.ModuleList([cbr(8, 8), cbr(8, 16, 3, 2)])
        self.branches = nn.ModuleList(
            nn.ModuleList(nn.Sequential(_Basic(n), _Basic(n)) for n in (8, 16)) for _ in range(2)
        )
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Conv2d(16, 8, 1), nn.BatchNorm2d(8)) for _ in range(2)
        )
        self.downs = nn.ModuleList(
            nn.Sequential(conv3(8, 16, 2), nn.BatchNorm2d(16)) for _ in range(2)
        )
        self.last = nn.Conv2d(24, 4, 1)

    def forward(self, x):
        x = self.stem(x)
        xs = [t(x) for t in self.transition]
        for branches, up, down in zip(self.branches, self.ups, self.downs):
            high, low = (branch(x) for branch, x in zip(branches, xs))
            y = F.interpolate(up(low), size=high.shape[2:], mode="nearest")
            xs = [F.relu(high + y), F.relu(low + down(high))]
        low = F.interpolate(xs[1], size=xs[0].shape[2:], mode="bilinear")
        return self.last(torch.cat([xs[0], low], 1))


class DeepLab(nn.Module):
    """Chen 2018, version 3+, on a small residual backbone."""

    size = ((3, 64, 64),)

    def __init__(self):
        super().__init__()
        self.low, self.high = (
            nn.Sequential(cbr(3, 8, 3, 2), _Basic(8)),
            nn.Sequential(cbr(8, 16, 3, 2), cbr(16, 32, 3, 2)),
        )
        self.aspp = nn.ModuleList([cbr(32, 8, 1)] + [cbr(32, 8, 3, d=d) for d in (2, 4, 6)])
        self.global_avg_pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(32, 8, 1), nn.ReLU()
        )
        self.project, self.reduce = cbr(40, 16, 1), cbr(8, 6, 1)
        self.last_conv = nn.Sequential(cbr(22, 16), cbr(16, 16), nn.Conv2d(16, 3, 1))

    def forward(self, input):
        low_level_feat = self.low(input)
        x = self.high(low_level_feat)
        xs = [branch(x) for branch in self.aspp]
        xs.append(F.interpolate(self.global_avg_pool(x), size=x.size()[2:], mode="bilinear"))
        x = self.project(torch.cat(xs, dim=1))
        low_level_feat = self.reduce(low_level_feat)
        x = F.interpolate(x, size=low_level_feat.size()[2:], mode="bilinear", align_corners=True)
        x = torch.cat((x, low_level_feat), dim=1)
        x = self.last_conv(x)
        return F.interpolate(x, size=input.size()[2:], mode="bilinear", align_corners=True)


ROWS: tuple[Row, ...] = (
    Row(
        "written/Hourglass",
        {"identity": 11, "projection": 1, "long": 3},
        "two units before, of which one widens; three levels of three and the innermost one",
        (
            (1, "projection", "pre.1", "out += residual", "pre.0"),
            (1, "long", "hg", "return up1 + up2", "pre.3"),
            (2, "long", "hg.low2*", "return up1 + up2", "hg*.low1"),
        ),
    ),
    Row(
        "written/BiFPN",
        {"identity": 2, "long": 2},
        "top down two laterals are added; bottom up a lateral goes past its own refinement, once "
        "in a sum of three",
        (
            (2, "long", "", "*sum(weight[[]i] * x*", "c[34]*"),
            (2, "identity", "", "*sum(weight[[]i] * x*", "lateral.p[45]"),
        ),
    ),
    Row(
        "written/HRNet",
        {"identity": 9},
        "one block in the stem and eight in two stages; the fusion of resolutions is parallel",
        ((8, "identity", "branches.?.?.?", "out = out + residual", "*"),),
    ),
    Row(
        "written/DeepLab",
        {"identity": 1, "long": 1},
        "one block; ASPP and its pooled branch are parallel; the reduced low-level features",
        ((1, "long", "", "x = torch.cat((x, low_level_feat), dim=1)", "low.1"),),
    ),
)
