"""The fifth set, continued: levels that are cropped, merged, weighted and left out."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case
from .fifth_dense_unets import cbr
from .fourth_images import twins


class PatchMerging3D(nn.Module):
    def __init__(self, mended: bool, dim: int) -> None:
        super().__init__()
        self.mended = mended
        self.norm = nn.LayerNorm(8 * dim)
        self.reduction = nn.Linear(8 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        _, d, h, w, _ = x.shape
        if d % 2 or h % 2 or w % 2:
            if self.mended:
                x = F.pad(x, (0, 0, 0, w % 2, 0, h % 2, 0, d % 2))
            else:
                x = F.pad(x, (0, 0, 0, d % 2, 0, w % 2, 0, h % 2))
        parts = [x[:, i::2, j::2, k::2] for i in (0, 1) for j in (0, 1) for k in (0, 1)]
        return self.reduction(self.norm(torch.cat(parts, -1)))


class SwinStage(nn.Module):
    def __init__(self, mended: bool, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.merge = PatchMerging3D(mended, dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 4, 1)
        x = x + self.mlp(self.norm(x))
        return self.merge(x).permute(0, 4, 1, 2, 3)


class SmallSwinUNETR(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.embed = nn.Conv3d(1, 8, 2, 2)
        self.stage = SwinStage(mended, 8)
        self.decoder = nn.Conv3d(16, 8, 3, padding=1)
        self.fuse = nn.Conv3d(16, 8, 3, padding=1)
        self.out = nn.Conv3d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        d, h, w = x.shape[2:]
        x = F.pad(x, (0, w % 2, 0, h % 2, 0, d % 2))
        x0 = self.embed(x)
        x1 = self.stage(x0)
        up = F.interpolate(self.decoder(x1), size=x0.shape[2:], mode="trilinear")
        return self.out(self.fuse(torch.cat([up, x0], 1)))


def glimpse(x, size):
    """A crop from the middle, as an operation that has no gradient."""
    top, left = (x.shape[2] - size[0]) // 2, (x.shape[3] - size[1]) // 2
    with torch.no_grad():
        return x[:, :, top : top + size[0], left : left + size[1]].clone()


def center_crop(x, size):
    top, left = (x.shape[2] - size[0]) // 2, (x.shape[3] - size[1]) // 2
    return x[:, :, top : top + size[0], left : left + size[1]]


class CropUNet(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.crop = center_crop if mended else glimpse
        self.down = nn.ModuleDict()
        self.up = nn.ModuleDict()
        a = 4
        for level in range(2):
            b = 8 * 2**level
            self.down[str(level)] = nn.Sequential(
                nn.Conv2d(a, b, 3), nn.ReLU(), nn.Conv2d(b, b, 3), nn.ReLU()
            )
            a = b
        self.deconv = nn.ConvTranspose2d(16, 8, 2, 2)
        self.up["0"] = nn.Sequential(nn.Conv2d(16, 8, 3), nn.ReLU())
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept = {}
        for level in range(2):
            x = self.down[str(level)](x)
            kept[level] = x
            if level < 1:
                x = F.max_pool2d(x, 2)
        up = F.relu(self.deconv(x))
        both = torch.cat([self.crop(kept[0], up.shape[2:]), up], dim=1)
        return self.out(self.up["0"](both))


class HighwayUNet(nn.Module):
    """The condition's features are brought to the width of the anchor by a 1x1 convolution."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.mended = mended
        self.context = nn.ModuleList([cbr(4, 8), cbr(8, 16, 2), cbr(16, 32, 2)])
        self.tu = nn.ModuleList([nn.ConvTranspose2d(32, 16, 2, 2), nn.ConvTranspose2d(16, 8, 2, 2)])
        self.local = nn.ModuleList([cbr(32, 16), cbr(16, 8)])
        self.seg = nn.Conv2d(8, 2, 1)
        if mended:
            self.anchor = nn.ModuleList([nn.Conv2d(4, 8, 1), nn.Conv2d(4, 16, 1)])

    def forward(self, x: Tensor) -> Tensor:
        image, skips = x, []
        for d, block in enumerate(self.context):
            x = block(x)
            if d < 2:
                small = F.adaptive_avg_pool2d(image, x.shape[2:])
                if self.mended:
                    a = self.anchor[d](small)
                else:
                    a = nn.Conv2d(small.shape[1], x.shape[1], 1).to(x.device)(small)
                x = x + a
                skips.append(x)
        for up, block in zip(self.tu, self.local, strict=False):
            x = block(torch.cat((up(x), skips.pop()), 1))
        return self.seg(x)


class DCAN(nn.Module):
    """The masks of all levels are summed with weights that ought to be learned."""

    def __init__(self, mended: bool, levels: int = 3) -> None:
        super().__init__()
        widths = (4, 8, 16, 32)
        self.blocks = nn.ModuleList(cbr(a, b) for a, b in itertools.pairwise(widths))
        self.heads = nn.ModuleList(nn.Conv2d(b, 1, 1) for b in widths[1:])
        weights = torch.rand(levels)
        self.mask_weights = (
            nn.Parameter(weights)
            if mended
            else torch.autograd.Variable(weights, requires_grad=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        size, masks = x.shape[2:], []
        for i, (block, head) in enumerate(zip(self.blocks, self.heads, strict=False)):
            x = block(F.max_pool2d(x, 2) if i else x)
            masks.append(F.interpolate(head(x), size=size, mode="bilinear"))
        out = 0
        for weight, mask in zip(self.mask_weights, masks, strict=False):
            out = out + weight * mask
        return torch.sigmoid(out)


class ResPath(nn.Module):
    def __init__(self, mended: bool, a: int, length: int) -> None:
        super().__init__()
        self.mended, self.length = mended, length
        self.module = nn.ModuleList()
        for _ in range(length):
            self.module.append(nn.Conv2d(a, a, 1))
            self.module.append(nn.Conv2d(a, a, 3, padding=1))
        self.bn = nn.BatchNorm2d(a)

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for i in range(self.length):
            first = i * 2 if self.mended else i
            shortcut = self.module[first](out)
            out = self.module[first + 1](out)
            out = torch.add(shortcut, out)
            out = self.bn(F.relu(out))
        return out


class MultiResUNet(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.enc1, self.enc2 = cbr(4, 8), cbr(8, 16)
        self.path = ResPath(mended, 8, 3)
        self.up = nn.ConvTranspose2d(16, 8, 2, 2)
        self.dec = cbr(16, 8)
        self.out = nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        e1 = self.enc1(x)
        e2 = self.enc2(F.max_pool2d(e1, 2))
        return self.out(self.dec(torch.cat([self.up(e2), self.path(e1)], 1)))


class FastSCNN(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.mended = mended
        self.learn = nn.Sequential(cbr(4, 8, 2), cbr(8, 8, 2))
        self.extract = nn.Sequential(cbr(8, 16, 2), cbr(16, 16, 2), cbr(16, 16))
        self.dw = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.BatchNorm2d(16))
        self.low = nn.Sequential(nn.Conv2d(16, 8, 1), nn.BatchNorm2d(8))
        self.high = nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8))
        self.classify = nn.Sequential(cbr(8, 8), nn.Conv2d(8, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        high = self.learn(x)
        low = self.extract(high)
        if self.mended:
            low = F.interpolate(low, size=high.shape[2:], mode="bilinear", align_corners=True)
        else:
            low = F.interpolate(low, scale_factor=4, mode="bilinear", align_corners=True)
        low = self.low(F.relu(self.dw(low)))
        out = F.relu(self.high(high) + low)
        return F.interpolate(self.classify(out), size=x.shape[2:], mode="bilinear")


CASES = (
    Case(
        "patch-merging-pads-wrong-axis",
        "Project-MONAI/research-contributions#166",
        "TS102",
        *twins(SmallSwinUNETR),
        ((2, 1, 16, 16, 16),),
    ),
    Case(
        "crop-without-gradient", "jakeret/tf_unet#7", "TS105", *twins(CropUNet), ((2, 4, 28, 28),)
    ),
    Case("anchor-conv-in-forward", "ImprintLab/MedSegDiff#18", "TS207", *twins(HighwayUNet)),
    Case(
        "mask-weights-variable",
        "minerva-ml/open-solution-data-science-bowl-2018 pull request 73",
        "TS207",
        *twins(DCAN),
    ),
    Case("respath-half-of-the-list", "Latterlig96/DCUnet#1", "TS108", *twins(MultiResUNet)),
    Case(
        "fusion-scales-by-four",
        "PaddlePaddle/PaddleSeg pull request 756",
        "TS102",
        *twins(FastSCNN),
        ((2, 4, 64, 64),),
    ),
)
