"""The fifth set, continued: super-resolution, restoration, matting and optical flow."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv
from .fourth_images import twins


class RFDB(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.left = nn.ModuleList(nn.Conv2d(width, half, 1) for _ in range(3))
        self.right = nn.ModuleList(conv(width, width) for _ in range(3))
        self.last = conv(width, half)
        self.fuse = nn.Conv2d(4 * half, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts, right = [], x
        for distil, refine in zip(self.left, self.right, strict=False):
            parts.append(distil(right))
            right = right + F.relu(refine(right))
        parts.append(self.last(right))
        return self.fuse(torch.cat(parts, 1)) + x


class RFDN(nn.Module):
    def __init__(self, mended: bool, width: int = 8, scale: int = 2) -> None:
        super().__init__()
        self.mended = mended
        self.head = conv(3, width)
        self.b1, self.b2, self.b3, self.b4 = (RFDB(width) for _ in range(4))
        self.c, self.lr = nn.Conv2d(4 * width, width, 1), conv(width, width)
        self.up = nn.Sequential(conv(width, 3 * scale**2), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.head(x)
        out1 = self.b1(x1)
        out2 = self.b2(out1)
        out3 = self.b3(out2)
        out4 = self.b4(out3)
        second = out2 if self.mended else out3
        both = F.relu(self.c(torch.cat([out1, second, out3, out4], dim=1)))
        return self.up(self.lr(both) + x1)


class FBADecoder(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.mended = mended
        self.unfold = nn.Sequential(conv(16, 8), nn.GroupNorm(2, 8), nn.LeakyReLU())
        extra = 3 if mended else 6
        self.last = nn.Sequential(conv(8 + extra + 2, 8), nn.LeakyReLU(), nn.Conv2d(8, 7, 1))

    def forward(self, conv_out: Tensor, img: Tensor, two_chan_trimap: Tensor) -> Tensor:
        x = F.interpolate(conv_out[-1], scale_factor=2, mode="bilinear", align_corners=False)
        x = self.unfold(x)
        if self.mended:
            x = torch.cat((x, img, two_chan_trimap), 1)
        else:
            x = torch.cat((x, conv_out[-2][:, :3], img, two_chan_trimap), 1)
        return self.last(x)


class FBAMatting(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(5, 16, 3, 2, 1), nn.GroupNorm(4, 16), nn.ReLU())
        self.decoder = FBADecoder(mended)

    def forward(self, image: Tensor, trimap: Tensor) -> Tensor:
        resnet_input = torch.cat((image, trimap), 1)
        conv_out = [resnet_input, self.encoder(resnet_input)]
        return self.decoder(conv_out, image, trimap)


class DenseLayer(nn.Module):
    def __init__(self, a: int, growth: int) -> None:
        super().__init__()
        self.conv, self.relu = conv(a, growth), nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.relu(self.conv(x))], 1)


class RDB(nn.Module):
    def __init__(self, mended: bool, channels: int, growth: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *[DenseLayer(channels + growth * i, growth) for i in range(layers)]
        )
        self.lff = nn.Conv2d(channels + growth * layers, channels if mended else growth, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.lff(self.layers(x))


class RDN(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.sfe1, self.sfe2 = conv(3, 8), conv(8, 8)
        self.rdbs = nn.ModuleList(RDB(mended, 8, 4, 3) for _ in range(2))
        self.gff = nn.Sequential(nn.Conv2d(16, 8, 1), conv(8, 8))
        self.upscale = nn.Sequential(conv(8, 32), nn.PixelShuffle(2), conv(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        sfe1 = self.sfe1(x)
        x = self.sfe2(sfe1)
        local = []
        for rdb in self.rdbs:
            x = rdb(x)
            local.append(x)
        return self.upscale(self.gff(torch.cat(local, 1)) + sfe1)


class GridRow(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.PReLU(), conv(width, width), nn.PReLU(), conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + x


class GridNet(nn.Module):
    """Three scales: columns that go down, columns that come up."""

    def __init__(self, mended: bool, columns: int = 2) -> None:
        super().__init__()
        self.mended = mended
        widths = (8, 16, 32)
        self.head = conv(4, 8)
        self.down = nn.ModuleList(
            nn.Sequential(nn.PReLU(), nn.Conv2d(a, b, 3, 2, 1))
            for a, b in itertools.pairwise(widths)
        )
        self.rows = nn.ModuleList(nn.ModuleList(GridRow(w) for w in widths) for _ in range(columns))
        self.ups = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(b, a, 3, padding=1) for a, b in itertools.pairwise(widths))
            for _ in range(columns)
        )
        self.out = conv(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        latent = [self.head(x)]
        for layer in self.down:
            latent.append(layer(latent[-1]))
        forward = latent
        for row, up in zip(self.rows, self.ups, strict=False):
            source = forward if self.mended else latent
            column = [None] * 3
            for i in (2, 1, 0):
                here = row[i](source[i])
                if i < 2:
                    here = here + up[i](F.interpolate(column[i + 1], scale_factor=2))
                column[i] = here
            forward = column
        return self.out(forward[0])


class FAM(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.merge = conv(width, width)

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return x1 + self.merge(x1 * x2)


class MIMOUNet(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.mended = mended
        self.feat0, self.feat1 = conv(3, 8), nn.Conv2d(8, 16, 3, 2, 1)
        self.scm = nn.Sequential(conv(3, 8), nn.ReLU(), nn.Conv2d(8, 16, 1))
        self.fam = FAM(16)
        self.deep = nn.Sequential(conv(16, 16), nn.ReLU(), conv(16, 16))
        self.up = nn.ConvTranspose2d(16, 8, 4, 2, 1)
        self.out1, self.out0 = conv(16, 3), conv(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[2:]
        if self.mended:
            x = F.pad(x, (0, -w % 4, 0, -h % 4), mode="reflect")
        x_2 = F.interpolate(x, scale_factor=0.5)
        z2 = self.scm(x_2)
        x_ = self.feat0(x)
        z = self.fam(self.feat1(x_), z2)
        z = self.deep(z)
        small = self.out1(z) + x_2
        z = self.up(z) + x_
        out = self.out0(z) + x
        return small, out[:, :, :h, :w]


RGB = ((2, 3, 16, 16),)
CASES = (
    Case(
        "third-block-twice",
        "tuvovan/RFDNet-ImageSuperResolution pull request 6",
        "TS106",
        *twins(RFDN),
        RGB,
    ),
    Case(
        "image-concatenated-twice",
        "MarcoForte/FBA_Matting#42",
        "TS106",
        *twins(FBAMatting),
        (*RGB, (2, 2, 16, 16)),
    ),
    Case("local-fusion-to-growth", "open-mmlab/mmagic#1136", "TS101", *twins(RDN), RGB),
    Case("gridnet-one-column", "mahmoudnafifi/mixedillWB#4", "TS107", *twins(GridNet)),
    Case("half-size-input", "chosj95/MIMO-UNet#12", "TS102", *twins(MIMOUNet), RGB),
)
