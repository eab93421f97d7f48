"""Joins that crash, fit by luck, broadcast, concatenate along the batch, add twice or cast."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, conv, maker


class Tutorial(nn.Module):
    """The published tutorial: two padded strided convolutions, then `input + out`."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        if mended:
            self.conv_layer1 = nn.Conv2d(3, 6, 3, stride=1, padding=1)
            self.conv_layer2 = nn.Conv2d(6, 3, 3, stride=1, padding=1)
        else:
            self.conv_layer1 = nn.Conv2d(3, 6, 2, stride=2, padding=2)
            self.conv_layer2 = nn.Conv2d(6, 3, 2, stride=2, padding=2)
        self.relu = nn.ReLU(inplace=True)
        self.relu2 = nn.ReLU(inplace=True)

    def forward(self, input: Tensor) -> Tensor:
        x = self.conv_layer1(input)
        x = self.relu(x)
        x = self.conv_layer2(x)
        x = self.relu2(x)
        return input + x


class Registration(nn.Module):
    """Residual block that is right only for equal channels."""

    def __init__(self, a: int, b: int, mended: bool) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv3d(a, b, 3, padding=1), nn.Conv3d(b, b, 3, padding=1)
        self.project = nn.Conv3d(a, b, 1) if mended else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        skip = x
        x = F.relu(self.conv1(x))
        return F.relu(self.conv2(x) + self.project(skip))


class Up(nn.Module):
    """Decoder step of a U-Net: `pad` says how the upsampled map meets the encoder's."""

    def __init__(self, a: int, b: int, pad: str) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(a, a, 2, stride=2)
        self.conv = nn.Sequential(conv(a + b, b), nn.ReLU())
        self.pad = pad

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = self.up(x)
        if self.pad == "swapped":  # axes exchanged and halves rounded the same way
            rows, columns = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
            x = F.pad(x, (rows // 2, int(rows / 2), columns // 2, int(columns / 2)))
        elif self.pad == "crop":
            rows, columns = (skip.shape[2] - x.shape[2]) // 2, (skip.shape[3] - x.shape[2]) // 2
            skip = skip[:, :, rows : skip.shape[2] - rows, columns : skip.shape[3] - columns]
        elif self.pad == "right":
            rows, columns = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
            x = F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        return self.conv(torch.cat([skip, x], dim=1))


class UNet(nn.Module):
    """Two levels are enough for an odd size to break the join."""

    def __init__(self, pad: str) -> None:
        super().__init__()
        self.enc1, self.enc2 = conv(4, 4), conv(4, 8)
        self.mid = conv(8, 8)
        self.up2, self.up1 = Up(8, 8, pad), Up(8, 4, pad)
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        e1 = F.relu(self.enc1(x))
        e2 = F.relu(self.enc2(F.max_pool2d(e1, 2)))
        m = F.relu(self.mid(F.max_pool2d(e2, 2)))
        return self.head(self.up1(self.up2(m, e2), e1))


class Pyramid(nn.Module):
    """Top-down sum with a fixed factor of two, or to the lateral's own size."""

    def __init__(self, fixed: bool) -> None:
        super().__init__()
        self.c1, self.c2 = conv(4, 4, stride=2), conv(4, 4, stride=2)
        self.l1, self.l2 = conv(4, 4, 1), conv(4, 4, 1)
        self.fixed = fixed

    def forward(self, x: Tensor) -> Tensor:
        c1 = F.relu(self.c1(x))
        c2 = F.relu(self.c2(c1))
        top, lateral = self.l2(c2), self.l1(c1)
        if self.fixed:
            return lateral + F.interpolate(top, scale_factor=2)
        return lateral + F.interpolate(top, size=lateral.shape[-2:])


class Doubled(nn.Module):
    """The sum of the stage with itself instead of with its input."""

    def __init__(self, mended: bool, inplace: bool = False) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(4, 4), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = conv(4, 4), nn.BatchNorm2d(4)
        self.mended, self.inplace = mended, inplace

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        if self.mended:
            x = x + identity
        elif self.inplace:
            x += x
        else:
            x = x + x
        return F.relu(x)


class ShortcutTwice(nn.Module):
    """The shortcut added by the block and again by its caller."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(4, 2, 1), conv(2, 4)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        out = F.leaky_relu(self.conv2(F.leaky_relu(self.conv1(x), 0.1)), 0.1)
        out = out + residual
        return out if self.mended else out + residual


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.conv = nn.GroupNorm(2, 4), conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(self.norm(x))


class OuterResidual(nn.Module):
    """The caller adds a residual around blocks that already add it."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Inner() for _ in range(3))
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            residual = x
            x = block(x)
            if not self.mended:
                x = x + residual
        return x


class ChannelAttention(nn.Module):
    """CBAM's channel attention: average plus average instead of average plus maximum."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 4))
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.mlp(x.mean((2, 3)))
        x2 = self.mlp(x.amax((2, 3)))
        gate = torch.sigmoid(x1 + (x2 if self.mended else x1))
        return x * gate[:, :, None, None]


class BatchCat(nn.Module):
    """Skip features concatenated along the batch."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.enc, self.mid = conv(4, 4), conv(4, 4)
        self.dec = conv(8 if dim == 1 else 4, 4)
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        e = F.relu(self.enc(x))
        m = F.interpolate(F.relu(self.mid(F.max_pool2d(e, 2))), scale_factor=2)
        return self.dec(torch.cat((e, m), dim=self.dim))


class Regression(nn.Module):
    """A head of shape (N, 1) and a linear skip of shape (N,): the sum is (N, N)."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))
        self.linear = nn.Linear(6, 1)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        skip = self.linear(x)
        return self.body(x) + (skip if self.mended else skip.squeeze(1))


class PooledShortcut(nn.Module):
    """A shortcut pooled to one pixel is spread over the whole branch by broadcasting."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.branch = nn.Sequential(conv(4, 4, stride=2), nn.BatchNorm2d(4), nn.ReLU(), conv(4, 4))
        self.pool = nn.AvgPool2d(2) if mended else nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.pool(x))


class OneChannel(nn.Module):
    """A one-channel branch added to all channels of the identity."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.branch = nn.Sequential(conv(4, 8), nn.ReLU(), conv(8, 4 if mended else 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


class HalfBranch(nn.Module):
    """The branch computes in double precision: the join changes the dtype of the stream."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv, self.mended = conv(4, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x).double().softmax(1)
        return x + (h.to(x.dtype) if self.mended else h)


CASES = (
    Case("tutorial", "the tutorial's published code", "TS101",
         lambda: Tutorial(False), lambda: Tutorial(True), ((1, 3, 32, 32),)),
    Case("registration", "Project-MONAI/MONAI#7591", "TS101",
         lambda: Registration(2, 5, False), lambda: Registration(2, 5, True), ((1, 2, 8, 8, 8),)),
    Case("unet_swapped_pad", "milesial/Pytorch-UNet#32", "TS102",
         lambda: UNet("swapped"), lambda: UNet("right")),
    Case("unet_no_pad", "Nguyendat-bit/U-net#2", "TS102",
         lambda: UNet("none"), lambda: UNet("right")),
    Case("unet_crop", "hayashimasa/UNet-PyTorch#3", "TS102",
         lambda: UNet("crop"), lambda: UNet("right")),
    Case("pyramid", "open-mmlab/mmdetection PR 2157", "TS102",
         lambda: Pyramid(True), lambda: Pyramid(False)),
    Case("bitnet", "kyegomez/BitNet#32", "TS106", maker(Doubled, False), maker(Doubled, True)),
    Case("muzero", "werner-duvaud/muzero-general#89", "TS106",
         maker(Doubled, False, True), maker(Doubled, True)),
    Case("darknet", "yakhyo/darknet-pytorch#2", "TS106",
         maker(ShortcutTwice, False), maker(ShortcutTwice, True)),
    Case("outer_residual", "yunzeliu/MAP#3", "TS106",
         maker(OuterResidual, False), maker(OuterResidual, True)),
    Case("cbam", "nikhilroxtomar/Attention-Mechanism-Implementation#1", "TS106",
         maker(ChannelAttention, False), maker(ChannelAttention, True)),
    Case("batch_cat", "torch.cat along dim 0 in a U-Net", "TS109",
         lambda: BatchCat(0), lambda: BatchCat(1)),
    Case("regression", "the (N,) + (N, 1) trap", "TS103",
         lambda: Regression(False), lambda: Regression(True), ((8, 6),)),
    Case("pooled_shortcut", "a global pool used as the shortcut's downsampling", "TS103",
         maker(PooledShortcut, False, times=1), maker(PooledShortcut, True, times=1)),
    Case("one_channel", "a branch with one output channel", "TS103",
         maker(OneChannel, False), maker(OneChannel, True)),
    Case("half_branch", "a float64 branch", "TS110",
         maker(HalfBranch, False, times=1), maker(HalfBranch, True, times=1)),
)  # fmt: skip
