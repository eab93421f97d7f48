"""A fifth set, by reports alone: classifiers, whose arms have other shapes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case


class Neck(nn.Module):
    expansion = 4

    def __init__(self, inplanes, planes, stride=1, downsample=None, mended=False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * 4, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes * 4)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x))
        if self.downsample is not None:
            residual = self.downsample(residual if self.mended else x)
        x += residual
        return self.relu(x)


class NeckNet(nn.Module):
    """soapisnotfat/pytorch-cifar10#7"""

    def __init__(self, mended) -> None:
        super().__init__()
        self.inplanes = 8
        self.mended = mended
        self.conv1 = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = self._make(4, 2)
        self.layer2 = self._make(8, 2, 2)
        self.avgpool = nn.AvgPool2d(4)
        self.fc = nn.Linear(32 * 4, 10)

    def _make(self, planes, blocks, stride=1):
        down = None
        if stride != 1 or self.inplanes != planes * 4:
            down = nn.Sequential(
                nn.Conv2d(self.inplanes, planes * 4, 1, stride, bias=False),
                nn.BatchNorm2d(planes * 4),
            )
        layers = [Neck(self.inplanes, planes, stride, down, self.mended)]
        self.inplanes = planes * 4
        layers += [Neck(self.inplanes, planes, mended=self.mended) for _ in range(1, blocks)]
        return nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer2(self.layer1(x))
        x = self.avgpool(x)
        return self.fc(x.view(x.size(0), -1))


class Conv(nn.Sequential):
    def __init__(self, i, o, k, s=1, act=True) -> None:
        layers = [nn.Conv2d(i, o, k, s, k // 2, bias=False), nn.BatchNorm2d(o)]
        if act:
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class Squeeze(nn.Module):
    def __init__(self, c) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(c, c // 2, 1)
        self.fc2 = nn.Conv2d(c // 2, c, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(self.pool(x)))))


class SePruned(nn.Module):
    """marcoancona/TorchPruner#5: the third convolution was pruned by itself."""

    def __init__(self, c, mid, kept, downsample=None) -> None:
        super().__init__()
        self.downsample = downsample
        self.conv1 = Conv(c, mid, 1)
        self.conv2 = Conv(mid, mid, 3)
        self.se = Squeeze(mid)
        self.conv3 = Conv(mid, kept, 1, act=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        residual = self.downsample(x) if self.downsample is not None else x
        out = self.conv2(self.conv1(x))
        if self.se is not None:
            out = self.se(out)
        out = self.conv3(out)
        out = out + residual
        return self.relu(out)


def pruned(kept):
    body = nn.Sequential(
        SePruned(8, 6, 24, downsample=Conv(8, 24, 1, act=False)), SePruned(24, 6, kept)
    )
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 5)
    )


def noop(x):
    return x


class XBlock(nn.Module):
    """fastai/fastai_dev#109: XResNet on pictures of 28 pixels."""

    def __init__(self, expansion, ni, nh, stride=1, ceil=False) -> None:
        super().__init__()
        nf, ni = nh * expansion, ni * expansion
        layers = [Conv(ni, nh, 1), Conv(nh, nh, 3, stride), Conv(nh, nf, 1, act=False)]
        self.convs = nn.Sequential(*layers)
        self.idconv = noop if ni == nf else Conv(ni, nf, 1, act=False)
        self.pool = noop if stride == 1 else nn.AvgPool2d(2, ceil_mode=ceil)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.convs(x) + self.idconv(self.pool(x)))


def xresnet(ceil):
    def stem(i, o, s=1):
        return Conv(i, o, 3, s)

    return nn.Sequential(
        stem(1, 8, 2),
        stem(8, 8),
        stem(8, 16),
        XBlock(2, 8, 8),
        XBlock(2, 8, 8, 2, ceil),
        XBlock(2, 8, 16, 2, ceil),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


class GhostConv(nn.Module):
    def __init__(self, c1, c2, act=True) -> None:
        super().__init__()
        half = c2 // 2
        self.cv1 = Conv(c1, half, 1, act=act)
        self.cv2 = nn.Sequential(
            nn.Conv2d(half, half, 5, 1, 2, groups=half, bias=False), nn.BatchNorm2d(half)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.cv1(x)
        return torch.cat([y, self.cv2(y)], 1)


def dw(c, k, s):
    return nn.Sequential(nn.Conv2d(c, c, k, s, k // 2, groups=c, bias=False), nn.BatchNorm2d(c))


class GhostBottleneck(nn.Module):
    """ultralytics/yolov5#7991"""

    def __init__(self, c1, c2, k=3, s=1, mended=False) -> None:
        super().__init__()
        c_ = c2 // 2
        self.conv = nn.Sequential(
            GhostConv(c1, c_),
            dw(c_, k, s) if s == 2 else nn.Identity(),
            GhostConv(c_, c2, act=False),
        )
        self.shortcut = (
            nn.Sequential(dw(c1, k, s), Conv(c1, c2, 1, act=False))
            if s == 2
            else (Conv(c1, c2, 1, act=False) if mended and c1 != c2 else nn.Identity())
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.shortcut(x)


def ghost(mended):
    return nn.Sequential(
        Conv(3, 8, 3, 2),
        GhostBottleneck(8, 16, 3, 2),
        GhostBottleneck(16, 16),
        GhostBottleneck(16, 24, mended=mended),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, 10),
    )


CASES: tuple[Case, ...] = (
    Case(
        "bottleneck_downsamples_its_result",
        "soapisnotfat/pytorch-cifar10#7",
        "TS100",
        lambda: NeckNet(False),
        lambda: NeckNet(True),
        ((2, 3, 16, 16),),
    ),
    Case(
        "pruned_third_convolution",
        "marcoancona/TorchPruner#5",
        "TS101",
        lambda: pruned(22),
        lambda: pruned(24),
        ((2, 3, 16, 16),),
    ),
    Case(
        "xresnet_on_mnist",
        "fastai/fastai_dev#109",
        "TS101",
        lambda: xresnet(False),
        lambda: xresnet(True),
        ((2, 1, 28, 28),),
    ),
    Case(
        "ghost_bottleneck_widens",
        "ultralytics/yolov5#7991",
        "TS101",
        lambda: ghost(False),
        lambda: ghost(True),
        ((2, 3, 32, 32),),
    ),
)
