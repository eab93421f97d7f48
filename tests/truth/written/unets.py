"""U-Nets: skips that are cropped, padded and gated."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from tests.truth.row import Row
from torch import nn

__all__ = ["ROWS", "AttUNet", "CropUNet", "PadUNet", "UNet3Plus", "UNet3d"]


class _DoubleConv(nn.Module):
    def __init__(self, inputs, outputs, padding=1):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=padding),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=padding),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.double_conv(x)


class _Up(nn.Module):
    def __init__(self, inputs, outputs, bilinear):
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        else:
            self.up = nn.ConvTranspose2d(inputs, inputs // 2, 2, stride=2)
        self.conv = _DoubleConv(inputs, outputs)

    def forward(self, x1, x2):
        x1 = self.up(x1)
        diffY = x2.size()[2] - x1.size()[2]
        diffX = x2.size()[3] - x1.size()[3]
        x1 = F.pad(x1, [diffX // 2, diffX - diffX // 2, diffY // 2, diffY - diffY // 2])
        x = torch.cat([x2, x1], dim=1)
        return self.conv(x)


class PadUNet(nn.Module):
    """The U-Net of milesial/Pytorch-UNet, on an odd image."""

    size = ((3, 45, 51),)

    def __init__(self, bilinear=True):
        super().__init__()
        factor = 2 if bilinear else 1
        self.inc = _DoubleConv(3, 8)
        self.down1 = nn.Sequential(nn.MaxPool2d(2), _DoubleConv(8, 16))
        self.down2 = nn.Sequential(nn.MaxPool2d(2), _DoubleConv(16, 32 // factor))
        self.up1 = _Up(32, 16 // factor, bilinear)
        self.up2 = _Up(16, 8, bilinear)
        self.outc = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x = self.up1(x3, x2)
        x = self.up2(x, x1)
        return self.outc(x)


class CropUNet(nn.Module):
    """Ronneberger 2015: unpadded convolutions, the encoder's features are cropped."""

    size = ((1, 92, 92),)

    def __init__(self):
        super().__init__()
        self.enc = nn.ModuleList(_DoubleConv(a, b, 0) for a, b in ((1, 8), (8, 16), (16, 32)))
        self.upconvs = nn.ModuleList(nn.ConvTranspose2d(a, a // 2, 2, 2) for a in (32, 16))
        self.dec = nn.ModuleList(_DoubleConv(a, a // 2, 0) for a in (32, 16))
        self.head = nn.Conv2d(8, 1, 1)

    def crop(self, feature, like):
        _, _, H, W = like.shape
        top, left = (feature.shape[2] - H) // 2, (feature.shape[3] - W) // 2
        return feature[:, :, top : top + H, left : left + W]

    def forward(self, x):
        ftrs = []
        for i, block in enumerate(self.enc):
            x = block(x)
            ftrs.append(x)
            if i < 2:
                x = F.max_pool2d(x, 2)
        for i, (up, dec) in enumerate(zip(self.upconvs, self.dec)):
            x = up(x)
            skip = self.crop(ftrs[1 - i], x)
            x = torch.cat([x, skip], dim=1)
            x = dec(x)
        return self.head(x)


class _AttentionBlock(nn.Module):
    def __init__(self, F_g, F_l, F_int):
        super().__init__()
        self.W_g = nn.Sequential(nn.Conv2d(F_g, F_int, 1), nn.BatchNorm2d(F_int))
        self.W_x = nn.Sequential(nn.Conv2d(F_l, F_int, 1), nn.BatchNorm2d(F_int))
        self.psi = nn.Sequential(nn.Conv2d(F_int, 1, 1), nn.BatchNorm2d(1), nn.Sigmoid())
        self.relu = nn.ReLU(inplace=True)

    def forward(self, g, x):
        g1 = self.W_g(g)
        x1 = self.W_x(x)
        psi = self.relu(g1 + x1)
        psi = self.psi(psi)
        return x * psi


class AttUNet(nn.Module):
    """Oktay 2018, in the way of LeeJunHyun/Image_Segmentation."""

    size = ((3, 32, 32),)

    def __init__(self):
        super().__init__()
        self.Maxpool = nn.MaxPool2d(2, 2)
        self.Conv1, self.Conv2, self.Conv3 = (
            _DoubleConv(3, 8),
            _DoubleConv(8, 16),
            _DoubleConv(16, 32),
        )
        self.Up3, self.Up2 = self._up(32, 16), self._up(16, 8)
        self.Att3, self.Att2 = _AttentionBlock(16, 16, 8), _AttentionBlock(8, 8, 4)
        self.Up_conv3, self.Up_conv2 = _DoubleConv(32, 16), _DoubleConv(16, 8)
        self.Conv_1x1 = nn.Conv2d(8, 1, 1)

    @staticmethod
    def _up(a, b):
        return nn.Sequential(
            nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()
        )

    def forward(self, x):
        x1 = self.Conv1(x)
        x2 = self.Conv2(self.Maxpool(x1))
        x3 = self.Conv3(self.Maxpool(x2))
        d3 = self.Up3(x3)
        x2 = self.Att3(g=d3, x=x2)
        d3 = torch.cat((x2, d3), dim=1)
        d3 = self.Up_conv3(d3)
        d2 = self.Up2(d3)
        x1 = self.Att2(g=d2, x=x1)
        d2 = torch.cat((x1, d2), dim=1)
        d2 = self.Up_conv2(d2)
        return self.Conv_1x1(d2)


def _cbr(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class UNet3Plus(nn.Module):
    """Huang 2020: every decoder level takes every level."""

    size = ((3, 32, 32),)

    def __init__(self):
        super().__init__()
        self.e1, self.e2, self.e3 = _DoubleConv(3, 8), _DoubleConv(8, 16), _DoubleConv(16, 32)
        self.h1_PT_hd2, self.h2_Cat_hd2, self.hd3_UT_hd2 = _cbr(8, 8), _cbr(16, 8), _cbr(32, 8)
        self.fuse2, self.fuse1 = _cbr(24, 24), _cbr(24, 24)
        self.h1_Cat_hd1, self.hd2_UT_hd1, self.hd3_UT_hd1 = _cbr(8, 8), _cbr(24, 8), _cbr(32, 8)
        self.up2 = nn.Upsample(scale_factor=2, mode="bilinear")
        self.up4 = nn.Upsample(scale_factor=4, mode="bilinear")
        self.out = nn.Conv2d(24, 1, 3, padding=1)

    def forward(self, inputs):
        h1 = self.e1(inputs)
        h2 = self.e2(F.max_pool2d(h1, 2))
        hd3 = self.e3(F.max_pool2d(h2, 2))
        hd2 = self.fuse2(
            torch.cat(
                (
                    self.h1_PT_hd2(F.max_pool2d(h1, 2)),
                    self.h2_Cat_hd2(h2),
                    self.hd3_UT_hd2(self.up2(hd3)),
                ),
                1,
            )
        )
        hd1 = torch.cat(
            (self.h1_Cat_hd1(h1), self.hd2_UT_hd1(self.up2(hd2)), self.hd3_UT_hd1(self.up4(hd3))), 1
        )
        return self.out(self.fuse1(hd1))


class UNet3d(nn.Module):
    """Cicek 2016 with residual blocks and summed skips (pytorch-3dunet's ResidualUNet3D)."""

    size = ((1, 16, 16, 16),)

    def __init__(self):
        super().__init__()
        self.encoders = nn.ModuleList([self._block(1, 8), self._block(8, 16), self._block(16, 32)])
        self.ups = nn.ModuleList(
            nn.ConvTranspose3d(a, b, 3, stride=2, padding=1) for a, b in ((32, 16), (16, 8))
        )
        self.decoders = nn.ModuleList([self._block(16, 16), self._block(8, 8)])

    class _Block(nn.Module):
        def __init__(self, a, b):
            super().__init__()
            self.conv1 = nn.Sequential(nn.Conv3d(a, b, 1), nn.GroupNorm(4, b), nn.ELU())
            self.conv2 = nn.Sequential(nn.Conv3d(b, b, 3, padding=1), nn.GroupNorm(4, b), nn.ELU())
            self.conv3 = nn.Sequential(nn.Conv3d(b, b, 3, padding=1), nn.GroupNorm(4, b))

        def forward(self, x):
            residual = self.conv1(x)
            out = self.conv2(residual)
            out = self.conv3(out)
            out += residual
            return F.elu(out)

    def _block(self, a, b):
        return self._Block(a, b)

    def forward(self, x):
        features = []
        for i, encoder in enumerate(self.encoders):
            x = encoder(F.max_pool3d(x, 2) if i else x)
            features.insert(0, x)
        for up, decoder, skip in zip(self.ups, self.decoders, features[1:]):
            x = up(x, output_size=skip.shape[2:])
            x = skip + x
            x = decoder(x)
        return {"logits": x}


ROWS: tuple[Row, ...] = (
    Row(
        "written/PadUNet",
        {"long": 2},
        "two decoder blocks pad what came up and concatenate",
        (
            (1, "long", "up1", "x = torch.cat([[]x2, x1], dim=1)", "down1.1.double_conv.5"),
            (1, "long", "up2", "x = torch.cat([[]x2, x1], dim=1)", "inc.double_conv.5"),
        ),
    ),
    Row(
        "written/CropUNet",
        {"long": 2},
        "two cropped features",
        ((2, "long", "", "x = torch.cat([[]x, skip], dim=1)", "enc.[01].double_conv.5"),),
    ),
    Row(
        "written/AttUNet",
        {"long": 2, "gate": 2},
        "two features are gated, then concatenated; the sum of the queries only makes the gate",
        (
            (2, "gate", "Att?", "return x * psi", "Conv[12].double_conv.5"),
            (1, "long", "", "d3 = torch.cat((x2, d3), dim=1)", "Conv2.double_conv.5"),
            (1, "long", "", "d2 = torch.cat((x1, d2), dim=1)", "Conv1.double_conv.5"),
        ),
    ),
    Row(
        "written/UNet3Plus",
        {"long": 2},
        "two concatenations of three levels",
        ((1, "long", "", "hd1 = torch.cat(*", "e1.double_conv.5"),),
    ),
    Row(
        "written/UNet3d",
        {"identity": 5, "long": 2},
        "five blocks add their first convolution's output; two features are added",
        (
            (5, "identity", "*", "out += residual", "*.conv1.2"),
            (2, "long", "", "x = skip + x", "encoders.[01]"),
        ),
    ),
)
