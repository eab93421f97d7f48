"""The fifth set: designs of dense prediction that were reported as faults and are meant."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Clean, conv


class ResUNetBlock(nn.Module):
    """ResUNet: pre-activated branch, and a 3x3 convolution with normalisation as shortcut."""

    def __init__(self, a: int, b: int, stride: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.BatchNorm2d(a),
            nn.ReLU(),
            nn.Conv2d(a, b, 3, stride, 1),
            nn.BatchNorm2d(b),
            nn.ReLU(),
            nn.Conv2d(b, b, 3, padding=1),
        )
        self.conv_skip = nn.Sequential(nn.Conv2d(a, b, 3, stride, 1), nn.BatchNorm2d(b))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_block(x) + self.conv_skip(x)


class ResUNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(conv(4, 8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 8))
        self.input_skip = nn.Sequential(conv(4, 8))
        self.down1, self.bridge = ResUNetBlock(8, 16, 2), ResUNetBlock(16, 32, 2)
        self.up1, self.res1 = nn.ConvTranspose2d(32, 32, 2, 2), ResUNetBlock(48, 16, 1)
        self.up2, self.res2 = nn.ConvTranspose2d(16, 16, 2, 2), ResUNetBlock(24, 8, 1)
        self.out = nn.Sequential(nn.Conv2d(8, 1, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.input_layer(x) + self.input_skip(x)
        x2 = self.down1(x1)
        x3 = self.bridge(x2)
        x4 = self.res1(torch.cat([self.up1(x3), x2], dim=1))
        return self.out(self.res2(torch.cat([self.up2(x4), x1], dim=1)))


class SloMoUp(nn.Module):
    """The skip joins behind the first convolution of the level."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(a, b), conv(2 * b, b)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2, mode="bilinear")
        x = F.leaky_relu(self.conv1(x), negative_slope=0.1)
        return F.leaky_relu(self.conv2(torch.cat((x, skip), 1)), negative_slope=0.1)


class SloMo(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(4, 8, 7), conv(8, 8, 7)
        self.down1, self.down2 = conv(8, 16, 5), conv(16, 32)
        self.up1, self.up2 = SloMoUp(32, 16), SloMoUp(16, 8)
        self.conv3 = conv(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.conv1(x), 0.1)
        s1 = F.leaky_relu(self.conv2(x), 0.1)
        s2 = F.leaky_relu(self.down1(F.avg_pool2d(s1, 2)), 0.1)
        x = F.leaky_relu(self.down2(F.avg_pool2d(s2, 2)), 0.1)
        x = self.up2(self.up1(x, s2), s1)
        return F.leaky_relu(self.conv3(x), 0.1)


class UnetrBlock(nn.Module):
    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(a, b, 3, padding=1, bias=False)
        self.conv2 = nn.Conv3d(b, b, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.InstanceNorm3d(b), nn.InstanceNorm3d(b)
        self.downsample = a != b
        if self.downsample:
            self.conv3, self.norm3 = nn.Conv3d(a, b, 1, bias=False), nn.InstanceNorm3d(b)

    def forward(self, inp: Tensor) -> Tensor:
        residual = inp
        out = F.leaky_relu(self.norm1(self.conv1(inp)), 0.01, inplace=True)
        out = self.norm2(self.conv2(out))
        if self.downsample:
            residual = self.norm3(self.conv3(residual))
        out += residual
        return F.leaky_relu(out, 0.01, inplace=True)


class SwinUnetrDecoder(nn.Module):
    """SwinUNETR: one hidden state goes to the decoder raw, the others through a block."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv3d(1, 8, 2, 2)
        self.merge = nn.ModuleList([nn.Conv3d(8, 16, 2, 2), nn.Conv3d(16, 32, 2, 2)])
        self.encoder1, self.encoder2 = UnetrBlock(1, 8), UnetrBlock(8, 8)
        self.encoder10 = UnetrBlock(32, 32)
        self.up3 = nn.ConvTranspose3d(32, 16, 2, 2, bias=False)
        self.up2 = nn.ConvTranspose3d(16, 8, 2, 2, bias=False)
        self.up1 = nn.ConvTranspose3d(8, 8, 2, 2, bias=False)
        self.block3, self.block2, self.block1 = (
            UnetrBlock(32, 16),
            UnetrBlock(16, 8),
            UnetrBlock(16, 8),
        )
        self.out = nn.Conv3d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        h0 = self.patch(x)
        h1 = self.merge[0](h0)
        h2 = self.merge[1](h1)
        enc0, enc1 = self.encoder1(x), self.encoder2(h0)
        dec3 = self.encoder10(h2)
        dec2 = self.block3(torch.cat((self.up3(dec3), h1), 1))
        dec1 = self.block2(torch.cat((self.up2(dec2), enc1), 1))
        return self.out(self.block1(torch.cat((self.up1(dec1), enc0), 1)))


class NoNormBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(width, width), conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = F.relu(self.conv1(x), inplace=True)
        return identity + self.conv2(out)


class MSRResNet(nn.Module):
    """No skip around the trunk: the resized image is added at the end instead."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_first = conv(3, 8)
        self.trunk = nn.Sequential(*[NoNormBlock(8) for _ in range(3)])
        self.upconv1, self.shuffle = conv(8, 32), nn.PixelShuffle(2)
        self.hr, self.last = conv(8, 8), conv(8, 3)
        self.lrelu = nn.LeakyReLU(0.1, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        fea = self.lrelu(self.conv_first(x))
        out = self.trunk(fea)
        out = self.lrelu(self.shuffle(self.upconv1(out)))
        out = self.last(self.lrelu(self.hr(out)))
        base = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        out += base
        return out


class DepthCompletion(nn.Module):
    """CompletionFormer: the sparse depth is added to the prediction."""

    def __init__(self) -> None:
        super().__init__()
        self.rgb, self.dep = conv(3, 12), conv(1, 4)
        self.down, self.up = nn.Conv2d(16, 32, 3, 2, 1), nn.ConvTranspose2d(32, 16, 4, 2, 1)
        self.out = nn.Sequential(conv(32, 8), nn.ReLU(), conv(8, 1))

    def forward(self, rgb: Tensor, dep: Tensor) -> Tensor:
        fe1 = torch.cat((F.relu(self.rgb(rgb)), F.relu(self.dep(dep))), dim=1)
        fd1 = F.relu(self.up(F.relu(self.down(fe1))))
        pred = self.out(torch.cat((fd1, fe1), dim=1)) + dep
        return torch.clamp(pred, min=0)


class PWCDecoder(nn.Module):
    """PWC-Net: dense concatenations; the first pyramid level only leads to the second."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (
            nn.Conv2d(3, 8, 3, 2, 1),
            nn.Conv2d(8, 16, 3, 2, 1),
            nn.Conv2d(16, 32, 3, 2, 1),
        )
        self.deep = nn.ModuleList([conv(64, 16), conv(80, 8)])
        self.flow3, self.deconv3 = conv(88, 2), nn.ConvTranspose2d(2, 2, 4, 2, 1)
        self.upfeat3 = nn.ConvTranspose2d(88, 2, 4, 2, 1)
        self.fine = nn.ModuleList([conv(36, 16), conv(52, 8)])
        self.flow2 = conv(60, 2)
        self.context = nn.Sequential(
            nn.Conv2d(60, 8, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(8, 2, 3, padding=2, dilation=2),
        )

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        a1, b1 = self.conv1(a), self.conv1(b)
        a2, b2 = self.conv2(F.leaky_relu(a1, 0.1)), self.conv2(F.leaky_relu(b1, 0.1))
        a3, b3 = self.conv3(F.leaky_relu(a2, 0.1)), self.conv3(F.leaky_relu(b2, 0.1))
        x = torch.cat((a3, b3), 1)
        for layer in self.deep:
            x = torch.cat((F.leaky_relu(layer(x), 0.1), x), 1)
        flow3 = self.flow3(x)
        x = torch.cat((a2, b2, self.deconv3(flow3), self.upfeat3(x)), 1)
        for layer in self.fine:
            x = torch.cat((F.leaky_relu(layer(x), 0.1), x), 1)
        flow2 = self.flow2(x)
        flow2 = flow2 + self.context(x)
        return flow2, flow3


RGB = (2, 3, 16, 16)
CLEAN = (
    Clean("resunet-conv-skip", "rishikksh20/ResUnet#11: a 3x3 convolution as shortcut", ResUNet),
    Clean("slomo-late-skip", "avinashpaliwal/Super-SloMo#50: joined at the second layer", SloMo),
    Clean(
        "swin-unetr-raw-hidden",
        "Project-MONAI/MONAI#4487: one hidden state goes without a block",
        SwinUnetrDecoder,
        ((2, 1, 16, 16, 16),),
    ),
    Clean("msr-resnet", "XPixelGroup/BasicSR#181: no skip around the trunk", MSRResNet, (RGB,)),
    Clean(
        "completion-adds-depth",
        "youmi-zym/CompletionFormer#13: the input is added to the prediction",
        DepthCompletion,
        (RGB, (2, 1, 16, 16)),
    ),
    Clean(
        "pwc-first-level-unread",
        "NVlabs/PWC-Net#137: the first level only leads to the second",
        PWCDecoder,
        ((2, 3, 32, 32),) * 2,
    ),
)
