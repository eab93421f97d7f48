"""Arms that meet for the example alone: odd sizes, crops, a batch of one."""

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


CASES = (
    Case("octave-odd", "lxtGH/OctaveConv_pytorch#23", "TS102", *blocks(Octave)),
    Case("mprnet-odd", "megvii-research/TLC#22", "TS102", *blocks(SkipUpSample)),
    Case("crop-axis", "hayashimasa/UNet-PyTorch#3", "TS102", *both(CropAxis)),
    Case(
        "crop-by-one", "constantinpape/torch-em pull request 43", "TS102", *both(VolumeCrop), VOLUME
    ),
    Case("sleap-odd", "talmolab/sleap-nn pull request 525", "TS102", *both(SleapBlock)),
    Case("squeeze-all", "omertov/encoder4editing pull request 100", "TS102", *blocks(SqueezeAll)),
)
