"""The seventh set. Streams. Video."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case


class DTUM(nn.Module):
    """A temporal U-Net over frames: the decoder's middle is detached."""

    def __init__(self, width=4, frames=5, classes=2):
        super().__init__()
        self.pool = nn.MaxPool3d((1, 2, 2), (1, 2, 2))
        self.up = nn.Upsample(scale_factor=(1, 2, 2), mode="nearest")
        self.relu = nn.ReLU(inplace=True)
        pad = (frames - 1) // 2
        self.bn0 = nn.BatchNorm3d(width)
        self.convs = nn.ModuleList(
            nn.Conv3d(width, width, (frames, 1, 1), padding=(pad, 0, 0)) for _ in range(3)
        )
        self.bns = nn.ModuleList(nn.BatchNorm3d(width) for _ in range(3))
        self.conv2_2 = nn.Conv3d(2 * width, width, (frames, 1, 1), padding=(pad, 0, 0))
        self.bn2_2 = nn.BatchNorm3d(width)
        self.conv1_2 = nn.Conv3d(2 * width, width, (frames, 1, 1))
        self.bn1_2 = nn.BatchNorm3d(width)
        self.final = nn.Sequential(
            nn.Conv3d(2 * width, 8, (1, 3, 3), padding=(0, 1, 1)),
            nn.BatchNorm3d(8),
            nn.ReLU(),
            nn.Dropout3d(0.5),
            nn.Conv3d(8, classes, 1),
        )

    def cut(self, x):
        return x.detach()

    def forward(self, x):
        x = self.relu(self.bn0(x))
        x_1 = self.relu(self.bns[0](self.convs[0](x)))
        x_2 = self.relu(self.bns[1](torch.abs(self.convs[1](self.pool(x_1)))))
        x_3 = self.relu(self.bns[2](torch.abs(self.convs[2](self.pool(x_2)))))
        o_2 = self.cut(self.relu(self.bn2_2(self.conv2_2(torch.cat([self.up(x_3), x_2], dim=1)))))
        o_1 = self.relu(self.bn1_2(self.conv1_2(torch.cat([self.up(o_2), x_1], dim=1))))
        return self.final(torch.cat([o_1, x[:, :, -1].unsqueeze(2)], dim=1))


class DTUMMended(DTUM):
    def cut(self, x):
        return x


class FrameNet(nn.Module):
    """The frames' features of one network, looked at over time by another."""

    def __init__(self, head):
        super().__init__()
        self.features = nn.Conv2d(1, 4, 3, padding=1)
        self.head = head()

    def forward(self, x):
        b, c, t, h, w = x.shape
        frames = self.features(x.transpose(1, 2).reshape(b * t, c, h, w))
        return self.head(frames.view(b, t, -1, h, w).transpose(1, 2))


class SpatioTemporalResBlock(nn.Module):
    """A spatial and a temporal residual block, mixed by one learned number."""

    def __init__(self, a, b):
        super().__init__()
        self.spatial = nn.Sequential(nn.GroupNorm(2, a), nn.SiLU(), nn.Conv2d(a, b, 3, padding=1))
        self.conv_shortcut = nn.Conv2d(a, b, 1)
        self.temporal = nn.Sequential(
            nn.GroupNorm(2, b), nn.SiLU(), nn.Conv3d(b, b, (3, 1, 1), padding=(1, 0, 0))
        )
        self.mix_factor = nn.Parameter(torch.tensor([0.5]))

    def forward(self, x, frames):
        x = self.conv_shortcut(x) + self.spatial(x)
        n, c, h, w = x.shape
        video = x.view(n // frames, frames, c, h, w).transpose(1, 2)
        moved = video + self.temporal(video)
        alpha = torch.sigmoid(self.mix_factor)
        video = alpha * video + (1.0 - alpha) * moved
        return video.transpose(1, 2).reshape(n, c, h, w)


class UpBlockSpatioTemporal(nn.Module):
    def __init__(self, a, skip, b):
        super().__init__()
        self.resnet = SpatioTemporalResBlock(a + skip, b)
        self.conv = nn.Conv2d(a, a, 3, padding=1)

    def upsample(self, x, skip):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))

    def forward(self, x, skip, frames):
        x = self.upsample(x, skip)
        x = torch.cat([x, skip], dim=1)
        return self.resnet(x, frames)


class UpBlockSpatioTemporalMended(UpBlockSpatioTemporal):
    def upsample(self, x, skip):
        return self.conv(F.interpolate(x, size=skip.shape[-2:], mode="nearest"))


class UNetSpatioTemporal(nn.Module):
    """StableAnimator's video U-Net: 19 columns come back from the stride as 20."""

    def __init__(self, up):
        super().__init__()
        self.conv_in = nn.Conv2d(4, 8, 3, padding=1)
        self.down1 = SpatioTemporalResBlock(8, 8)
        self.pool1 = nn.Conv2d(8, 8, 3, 2, 1)
        self.down2 = SpatioTemporalResBlock(8, 12)
        self.pool2 = nn.Conv2d(12, 12, 3, 2, 1)
        self.mid = SpatioTemporalResBlock(12, 12)
        self.up2 = up(12, 12, 8)
        self.up1 = up(8, 8, 8)
        self.conv_out = nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, sample):
        batch, frames = sample.shape[:2]
        x = self.conv_in(sample.flatten(0, 1))
        skip1 = self.down1(x, frames)
        skip2 = self.down2(self.pool1(skip1), frames)
        x = self.mid(self.pool2(skip2), frames)
        x = self.up2(x, skip2, frames)
        x = self.up1(x, skip1, frames)
        return self.conv_out(x).unflatten(0, (batch, frames))


class TemporalShift(nn.Module):
    """A temporal shift that writes into what it is given."""

    def __init__(self, net, segments, div=4):
        super().__init__()
        self.net, self.segments, self.div = (net, segments, div)

    def shift(self, x):
        nt, c, h, w = x.shape
        x = x.view(nt // self.segments, self.segments, c, h, w)
        fold = c // self.div
        x[:, :-1, :fold] = x[:, 1:, :fold].clone()
        x[:, 1:, fold : 2 * fold] = x[:, :-1, fold : 2 * fold].clone()
        return x.view(nt, c, h, w)

    def forward(self, x):
        return self.net(self.shift(x))


class TemporalShiftMended(TemporalShift):
    def shift(self, x):
        nt, c, h, w = x.shape
        x = x.view(nt // self.segments, self.segments, c, h, w)
        fold = c // self.div
        out = torch.zeros_like(x)
        out[:, :-1, :fold] = x[:, 1:, :fold]
        out[:, 1:, fold : 2 * fold] = x[:, :-1, fold : 2 * fold]
        out[:, :, 2 * fold :] = x[:, :, 2 * fold :]
        return out.view(nt, c, h, w)


class InvertedResidual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(width, 2 * width, 1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU6(inplace=True),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU6(inplace=True),
            nn.Conv2d(2 * width, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x):
        return x + self.conv(x)


class TSN(nn.Module):
    def __init__(self, shift, segments=4, width=8):
        super().__init__()
        self.segments = segments
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width))
        self.blocks = nn.Sequential(*(InvertedResidual(width) for _ in range(2)))
        for block in self.blocks:
            block.conv[0] = shift(block.conv[0], segments)
        self.new_fc = nn.Linear(width, 3)

    def forward(self, x):
        x = self.stem(x.view(-1, *x.shape[-3:]))
        x = self.blocks(x).mean((2, 3))
        return self.new_fc(x).view(-1, self.segments, 3).mean(1)


CASES = (
    Case(
        "temporal decoder detached in the middle",
        "TinaLRJ/Multi-frame-infrared-small-target-detection-DTUM#8",
        "TS105",
        lambda: FrameNet(DTUM),
        lambda: FrameNet(DTUMMended),
        ((2, 1, 5, 8, 8),),
    ),
    Case(
        "odd width in a video U-Net",
        "Francis-Rings/StableAnimator#121",
        "TS101",
        lambda: UNetSpatioTemporal(UpBlockSpatioTemporal),
        lambda: UNetSpatioTemporal(UpBlockSpatioTemporalMended),
        ((1, 3, 4, 8, 10),),
    ),
    Case(
        "temporal shift written into the stream",
        "mit-han-lab/temporal-shift-module, the in-place shift, written from memory",
        "TS104",
        lambda: TSN(TemporalShift),
        lambda: TSN(TemporalShiftMended),
        ((2, 4, 3, 8, 8),),
    ),
)
