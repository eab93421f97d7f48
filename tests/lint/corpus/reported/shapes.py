"""Arms that do not meet: at once, for other sizes, or at another place of the image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv
from .sums import blocks, both

VOLUME = ((1, 4, 8, 8, 8),)


class Octave(nn.Module):
    """Low frequencies are pooled by two and brought back by a factor of two."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.h2h, self.h2l, self.l2h = conv(4, 4), conv(4, 4), conv(4, 4)
        self.upsample, self.mended = nn.Upsample(scale_factor=2, mode="nearest"), mended

    def forward(self, x_h: Tensor) -> Tensor:
        x_l = F.relu(self.h2l(F.avg_pool2d(x_h, 2)))
        low = self.l2h(x_l)
        up = F.interpolate(low, size=x_h.shape[2:]) if self.mended else self.upsample(low)
        return self.h2h(x_h) + up


class SkipUpSample(nn.Module):
    """MPRNet's encoder-decoder: bilinear halves, bilinear doubles, added."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.enc, self.mid, self.up, self.mended = (
            conv(4, 4),
            conv(4, 8),
            nn.Conv2d(8, 4, 1),
            mended,
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.enc(x)
        down = F.interpolate(y, scale_factor=0.5, mode="bilinear", align_corners=False)
        z = F.leaky_relu(self.mid(down), 0.2)
        size = y.shape[2:] if self.mended else None
        scale = None if self.mended else 2.0
        z = F.interpolate(z, size=size, scale_factor=scale, mode="bilinear", align_corners=False)
        return self.up(z) + y


class CropAxis(nn.Module):
    """The crop of one axis is computed from the size of the other, and halves are lost."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.enc, self.low = conv(4, 4), nn.Sequential(nn.MaxPool2d(2), conv(4, 8), nn.ReLU())
        self.up, self.dec, self.mended = nn.ConvTranspose2d(8, 4, 2, 2), conv(8, 4), mended

    def concat(self, x: Tensor, y: Tensor) -> Tensor:
        if self.mended:
            x = x[:, :, : y.size(2), : y.size(3)]
        else:
            dw = (x.size()[2] - y.size()[2]) // 2
            dh = (x.size()[3] - y.size()[2]) // 2
            x = x[:, :, dw : x.size()[2] - dw, dh : x.size()[3] - dh]
        return torch.cat((x, y), 1)

    def forward(self, x: Tensor) -> Tensor:
        skip = F.relu(self.enc(x))
        return self.dec(self.concat(skip, self.up(self.low(skip))))


class VolumeCrop(nn.Module):
    """A symmetric crop cuts nothing when the difference is one."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.enc, self.base = nn.Conv3d(4, 4, 3, padding=1), nn.Conv3d(4, 4, 3, padding=1)
        self.pool, self.up = nn.MaxPool3d(2), nn.ConvTranspose3d(4, 4, 2, 2)
        self.dec, self.mended = nn.Conv3d(8, 4, 3, padding=1), mended

    def _crop(self, x: Tensor, shape: torch.Size) -> Tensor:
        diff = [(a - b) // 2 for a, b in zip(x.shape, shape, strict=True)]
        if self.mended:
            return x[tuple(slice(d, d + s) for d, s in zip(diff, shape, strict=True))]
        return x[tuple(slice(d, a - d) for d, a in zip(diff, x.shape, strict=True))]

    def forward(self, x: Tensor) -> Tensor:
        skip = F.relu(self.enc(x))
        y = self.up(F.relu(self.base(self.pool(skip))))
        return self.dec(torch.cat([self._crop(skip, y.shape), y], dim=1))


class SleapBlock(nn.Module):
    """A stride-two stem and an upsampling by two, joined by a concatenation."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.stem, self.down = conv(4, 4), nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.refine, self.mended = nn.Sequential(conv(12, 4), nn.ReLU()), mended

    def forward(self, x: Tensor) -> Tensor:
        feature = F.gelu(self.stem(x))
        y = F.interpolate(self.down(feature), scale_factor=2, mode="bilinear")
        if self.mended and y.shape[-2:] != feature.shape[-2:]:
            y = F.interpolate(y, size=feature.shape[-2:], mode="bilinear")
        return self.refine(torch.cat((y, feature), dim=1))


class SqueezeAll(nn.Module):
    """`squeeze()` without an axis takes the batch away when it is one."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body, self.fc, self.mended = conv(4, 4), nn.Linear(4, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        pooled = F.adaptive_avg_pool2d(y, 1)
        pooled = pooled.flatten(1) if self.mended else pooled.squeeze()
        gate = torch.sigmoid(self.fc(pooled))
        return x + y * gate[:, :, None, None]


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
    Case("octave-odd", "lxtGH/OctaveConv_pytorch#23", "TS102", *blocks(Octave)),
    Case("mprnet-odd", "megvii-research/TLC#22", "TS102", *blocks(SkipUpSample)),
    Case("crop-axis", "hayashimasa/UNet-PyTorch#3", "TS102", *both(CropAxis)),
    Case(
        "crop-by-one", "constantinpape/torch-em pull request 43", "TS102", *both(VolumeCrop), VOLUME
    ),
    Case("sleap-odd", "talmolab/sleap-nn pull request 525", "TS102", *both(SleapBlock)),
    Case("squeeze-all", "omertov/encoder4editing pull request 100", "TS102", *blocks(SqueezeAll)),
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
