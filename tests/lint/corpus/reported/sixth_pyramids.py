"""Pyramids, hourglasses and backbones of several resolutions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv, net


class FPTTransform(nn.Module):
    """Stands for the attention between two levels: the second is brought to the first's size."""

    def __init__(self, c) -> None:
        super().__init__()
        self.q, self.k = nn.Conv2d(c, c, 1), nn.Conv2d(c, c, 1)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        high = F.interpolate(high, size=low.shape[2:])
        return torch.sigmoid(self.q(low)) * self.k(high)


class FPT(nn.Module):
    def __init__(self, c, right) -> None:
        super().__init__()
        self.right = right
        self.c3, self.c4, self.c5 = conv(4, c), nn.Conv2d(c, c, 3, 2, 1), nn.Conv2d(c, c, 3, 2, 1)
        self.st, self.rt4, self.rt3 = FPTTransform(c), FPTTransform(c), FPTTransform(c)
        self.out = conv(4 * c, c)

    def forward(self, x: Tensor) -> Tensor:
        p3 = self.c3(x)
        p4 = self.c4(p3)
        p5 = self.c5(p4)
        if self.right:
            merged = torch.cat((self.st(p5, p5), self.rt4(p5, p4), self.rt3(p5, p3), p5), 1)
        else:
            merged = torch.cat(self.st(p5, p5), self.rt4(p5, p4), self.rt3(p5, p3), p5, 1)
        return self.out(merged)


class HgBottleneck(nn.Module):
    def __init__(self, c) -> None:
        super().__init__()
        m = c // 2
        self.bn1, self.conv1 = nn.BatchNorm2d(c), nn.Conv2d(c, m, 1)
        self.bn2, self.conv2 = nn.BatchNorm2d(m), nn.Conv2d(m, m, 3, padding=1)
        self.bn3, self.conv3 = nn.BatchNorm2d(m), nn.Conv2d(m, c, 1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(F.relu(self.bn1(x)))
        out = self.conv2(F.relu(self.bn2(out)))
        out = self.conv3(F.relu(self.bn3(out)))
        out += x
        return out


class Hourglass(nn.Module):
    def __init__(self, c, depth, right) -> None:
        super().__init__()
        self.depth, self.right = depth, right
        self.upsample = nn.Upsample(scale_factor=2)
        self.hg = nn.ModuleList(
            nn.ModuleList(HgBottleneck(c) for _ in range(4 if i == 0 else 3)) for i in range(depth)
        )

    def level(self, n, x):
        up1 = self.hg[n - 1][0](x)
        low1 = self.hg[n - 1][1](F.max_pool2d(x, 2, stride=2))
        low2 = self.level(n - 1, low1) if n > 1 else self.hg[n - 1][3](low1)
        low3 = self.hg[n - 1][2](low2)
        up2 = F.interpolate(low3, size=up1.shape[2:]) if self.right else self.upsample(low3)
        return up1 + up2

    def forward(self, x: Tensor) -> Tensor:
        return self.level(self.depth, x)


def hourglass(right):
    return nn.Sequential(conv(4, 8), Hourglass(8, 3, right), nn.Conv2d(8, 2, 1))


class FuseModule(nn.Module):
    """Two resolutions, each the sum of both."""

    def __init__(self, wide, narrow, right) -> None:
        super().__init__()
        self.right, self.relu = right, nn.ReLU()
        self.branches = nn.ModuleList([HgBottleneck(wide), HgBottleneck(narrow)])
        upward = [nn.Conv2d(narrow, wide, 1, bias=False), nn.BatchNorm2d(wide)]
        if not right:
            upward.append(nn.Upsample(scale_factor=2, mode="nearest"))
        downward = nn.Sequential(
            nn.Conv2d(wide, narrow, 3, 2, 1, bias=False), nn.BatchNorm2d(narrow)
        )
        self.fuse_layers = nn.ModuleList(
            [
                nn.ModuleList([None, nn.Sequential(*upward)]),
                nn.ModuleList([downward, None]),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        x = [branch(v) for branch, v in zip(self.branches, x, strict=False)]
        fused = []
        for i in range(2):
            y = x[0] if i == 0 else self.fuse_layers[i][0](x[0])
            for j in range(1, 2):
                if i == j:
                    y = y + x[j]
                elif j > i and self.right:
                    y = y + F.interpolate(self.fuse_layers[i][j](x[j]), size=x[i].shape[2:])
                else:
                    y = y + self.fuse_layers[i][j](x[j])
            fused.append(self.relu(y))
        return fused


class HRNet(nn.Module):
    def __init__(self, right) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(4, 8), nn.BatchNorm2d(8), nn.ReLU())
        self.transition = nn.Sequential(
            nn.Conv2d(8, 12, 3, 2, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU()
        )
        self.stage2 = nn.ModuleList([FuseModule(8, 12, right), FuseModule(8, 12, right)])
        self.heads = nn.ModuleList([nn.Conv2d(8, 2, 1), nn.Conv2d(12, 2, 1)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        xs = [x, self.transition(x)]
        for module in self.stage2:
            xs = module(xs)
        return [head(v) for head, v in zip(self.heads, xs, strict=False)]


class RCU(nn.Module):
    """Residual convolution unit of RefineNet."""

    def __init__(self, c, right) -> None:
        super().__init__()
        self.right = right
        self.conv1, self.conv2 = conv(c, c), conv(c, c)

    def forward(self, tensor: Tensor) -> Tensor:
        x = F.relu(tensor)
        x = self.conv1(x)
        x = F.relu(x if self.right else tensor)
        x = self.conv2(x)
        return x + tensor


class InvertedResidual(nn.Module):
    def __init__(self, a, b, stride, expand) -> None:
        super().__init__()
        m = a * expand
        self.use_res_connect = stride == 1 and a == b
        self.conv = nn.Sequential(
            nn.Conv2d(a, m, 1, bias=False),
            nn.BatchNorm2d(m),
            nn.ReLU6(),
            nn.Conv2d(m, m, 3, stride, 1, groups=m, bias=False),
            nn.BatchNorm2d(m),
            nn.ReLU6(),
            nn.Conv2d(m, b, 1, bias=False),
            nn.BatchNorm2d(b),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class Backbone(nn.Module):
    def __init__(self, detach) -> None:
        super().__init__()
        self.detach = detach
        table = [[1, 6, 1, 1], [2, 8, 2, 2], [2, 12, 2, 2]]
        features, last = [nn.Sequential(conv(4, 6), nn.BatchNorm2d(6), nn.ReLU())], 6
        for t, c, n, s in table:
            for i in range(n):
                features.append(InvertedResidual(last, c, s if i == 0 else 1, t))
                last = c
        self.features = nn.ModuleList(features)

    def forward(self, x: Tensor) -> Tensor:
        skips, current_os = {}, 1
        for layer in self.features:
            y = layer(x)
            if y.shape[2] < x.shape[2] or y.shape[3] < x.shape[3]:
                skips[current_os] = x.detach() if self.detach else x
                current_os *= 2
            x = y
        return x, skips


class BonnetDecoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ModuleList([nn.ConvTranspose2d(12, 8, 2, 2), nn.ConvTranspose2d(8, 6, 2, 2)])
        self.mix = nn.ModuleList([conv(8, 8), conv(6, 6)])

    def forward(self, x: Tensor, skips: Tensor) -> Tensor:
        current_os = 4
        for up, mix in zip(self.up, self.mix, strict=False):
            x = up(x)
            current_os //= 2
            x = x + skips[current_os]
            x = F.relu(mix(x))
        return x


class Segmentator(nn.Module):
    def __init__(self, detach) -> None:
        super().__init__()
        self.backbone, self.decoder, self.head = (
            Backbone(detach),
            BonnetDecoder(),
            nn.Conv2d(6, 2, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y, skips = self.backbone(x)
        return self.head(self.decoder(y, skips))


CASES = (
    Case(
        "cat_without_a_tuple",
        "ZHANGDONG-NJUST/FPT#1",
        "TS100",
        lambda: FPT(4, False),
        lambda: FPT(4, True),
    ),
    Case(
        "hourglass_odd_level",
        "bearpaw/pytorch-pose#39",
        "TS102",
        lambda: hourglass(False),
        lambda: hourglass(True),
    ),
    Case(
        "hrnet_fuse_upsamples_by_two",
        "HRNet/HRNet-Object-Detection#4",
        "TS102",
        lambda: HRNet(False),
        lambda: HRNet(True),
    ),
    Case(
        "second_relu_reads_the_input",
        "Machine-Learning-Tokyo/DL-workshop-series#6",
        "TS107",
        lambda: net(RCU(4, False), RCU(4, False)),
        lambda: net(RCU(4, True), RCU(4, True)),
    ),
    Case(
        "backbone_detaches_its_skips",
        "PRBonn/bonnetal#35",
        "TS105",
        lambda: Segmentator(True),
        lambda: Segmentator(False),
    ),
)
