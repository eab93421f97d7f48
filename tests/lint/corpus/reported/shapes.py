"""Arms that do not meet: at once, for other sizes, or at another place of the image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv
from .sums import blocks, both

VOLUME = ((1, 4, 8, 8, 8),)


class DiscriminatorBlock(nn.Module):
    """The 1x1 convolution of the shortcut has the padding of the 3x3 ones."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.c1, self.c2 = conv(4, 4), conv(4, 4)
        self.c_sc = nn.Conv2d(4, 4, 1, 1, 0 if mended else 1)

    def residual(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.c2(F.relu(self.c1(F.relu(x)))), 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.c_sc(x), 2) + self.residual(x)


class WrongWidth(nn.Module):
    """The learnt shortcut is built for the block's output channels."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.c1, self.c2 = conv(4, 8), conv(8, 8)
        self.c_sc, self.out = nn.Conv2d(4 if mended else 8, 8, 1), nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = F.avg_pool2d(self.c2(F.relu(self.c1(x))), 2)
        return self.out(h + self.c_sc(F.avg_pool2d(x, 2)))


class Cartoon(nn.Module):
    """Without the residual's last convolution the hourglass gives other channels."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.narrow, self.skip = nn.Sequential(conv(4, 2), nn.ReLU()), conv(4, 4)
        self.low = nn.Sequential(nn.MaxPool2d(2), conv(2, 2), nn.Upsample(scale_factor=2))
        self.conv3 = nn.Conv2d(2, 4, 1) if mended else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.conv3(self.low(self.narrow(x)))


class RoundedStride(nn.Module):
    """The shortcut's stride is the rounded ratio of the sizes: 34 / 10 is 3, and gives 12."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(4, 4, 5, 2, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 6)
        )
        self.shortcut = nn.Conv2d(4, 4, 1, stride=3)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        s = self.shortcut(x)
        return y + (F.adaptive_avg_pool2d(s, y.shape[2:]) if self.mended else s)


class DilatedDown(nn.Module):
    """A dilated first convolution keeps the padding of an undilated one."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(4, 4, 3, padding=2 if mended else 1, dilation=2)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=2, dilation=2)
        self.norm, self.shortcut = nn.InstanceNorm2d(4), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(F.elu(self.norm(x)))
        out = self.conv2(F.elu(self.norm(out)))
        return self.shortcut(x) + out


class Carvana(nn.Module):
    """The skips are kept after the pooling, one level below where they are read."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.down = nn.ModuleList([conv(4, 4), conv(4, 8)])
        self.center = conv(8, 8)
        self.up = nn.ModuleList([conv(16, 4), conv(8, 4)])
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for layer in self.down:
            x = F.relu(layer(x))
            if self.mended:
                skips.append(x)
            x = F.max_pool2d(x, 2)
            if not self.mended:
                skips.append(x)
        x = F.relu(self.center(x))
        for layer in self.up:
            x = F.interpolate(x, scale_factor=2)
            x = F.relu(layer(torch.cat([x, skips.pop()], dim=1)))
        return x


class PaddedPointwise(nn.Module):
    """A pointwise convolution with padding one feeds an unpadded 3x3 convolution."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        pad = 0 if mended else 2
        self.f2 = nn.Sequential(
            nn.Conv2d(4, 4, 1, padding=pad),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Conv2d(4, 4, 5, padding=2 - pad),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.f2(x)


class StridedPoint(nn.Module):
    """The downsampling path of a stage in 3-D: one voxel of eight is read."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv3d(4, 4, 3, 2, 1, bias=False), nn.BatchNorm3d(4)
        self.conv2, self.bn2 = nn.Conv3d(4, 4, 3, 1, 1, bias=False), nn.BatchNorm3d(4)
        self.downsample = nn.Sequential(
            *([nn.AvgPool3d(2, ceil_mode=True)] if mended else []),
            nn.Conv3d(4, 4, 1, 1 if mended else 2, bias=False),
            nn.BatchNorm3d(4),
        )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.downsample(x))


class CornerAligned(nn.Module):
    """Strided layers, and a decoder that aligns the corners."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.low = nn.Sequential(
            nn.MaxPool2d(2), conv(4, 4), nn.ReLU(), nn.MaxPool2d(2), conv(4, 4)
        )
        self.up = nn.Upsample(scale_factor=4, mode="bilinear", align_corners=not mended)
        self.head = conv(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.cat([x, self.up(self.low(x))], 1))


CASES = (
    Case(
        "padded-shortcut",
        "crcrpar/pytorch.sngan_projection#17",
        "TS101",
        *blocks(DiscriminatorBlock, 1),
    ),
    Case("wrong-width", "crcrpar/pytorch.sngan_projection#4", "TS100", *blocks(WrongWidth, 1)),
    Case(
        "cartoon-channels", "minivision-ai/photo2cartoon pull request 10", "TS101", *blocks(Cartoon)
    ),
    Case(
        "rounded-stride",
        "raghakot/keras-resnet#59",
        "TS101",
        *both(RoundedStride),
        ((1, 4, 34, 34),),
    ),
    Case(
        "dilated-down", "yang-song/score_sde_pytorch pull request 62", "TS101", *both(DilatedDown)
    ),
    Case(
        "carvana-pooled",
        "lyakaap/Kaggle-Carvana-3rd-Place-Solution pull request 3",
        "TS101",
        *both(Carvana),
    ),
    Case(
        "padded-pointwise",
        "DataSenseiAryan/GoogleSpeechCommandLowFootprint#1",
        "TS206",
        *blocks(PaddedPointwise),
    ),
    Case("strided-point", "pytorch/vision#706", "TS302", *both(StridedPoint), VOLUME),
    Case("corner-aligned", "pytorch/pytorch pull request 5927", "TS303", *both(CornerAligned)),
)
