"""Encoder-decoders: sizes that do not meet, skips taken too late, a decoder that starts anew."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv


class Double(nn.Module):
    def __init__(self, a, b) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            conv(a, b),
            nn.BatchNorm2d(b),
            nn.ReLU(inplace=True),
            conv(b, b),
            nn.BatchNorm2d(b),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class AttentionGate(nn.Module):
    def __init__(self, g, x, mid) -> None:
        super().__init__()
        self.W_gate = nn.Sequential(nn.Conv2d(g, mid, 1), nn.BatchNorm2d(mid))
        self.W_x = nn.Sequential(nn.Conv2d(x, mid, 1), nn.BatchNorm2d(mid))
        self.psi = nn.Sequential(nn.Conv2d(mid, 1, 1), nn.BatchNorm2d(1), nn.Sigmoid())
        self.relu = nn.ReLU(inplace=True)

    def forward(self, gate: Tensor, skip: Tensor) -> Tensor:
        g1, x1 = self.W_gate(gate), self.W_x(skip)
        psi = self.psi(self.relu(g1 + x1))
        return skip * psi


class UpConv(nn.Module):
    def __init__(self, a, b) -> None:
        super().__init__()
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2), conv(a, b), nn.BatchNorm2d(b), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.up(x)


class AttentionUNet(nn.Module):
    def __init__(self, right) -> None:
        super().__init__()
        self.right = right
        self.MaxPool = nn.MaxPool2d(2, 2)
        self.Conv1, self.Conv2, self.Conv3 = Double(4, 6), Double(6, 8), Double(8, 12)
        self.Up3, self.Att3, self.UpConv3 = UpConv(12, 8), AttentionGate(8, 8, 4), Double(16, 8)
        self.Up2, self.Att2, self.UpConv2 = UpConv(8, 6), AttentionGate(6, 6, 3), Double(12, 6)
        self.Conv = nn.Conv2d(6, 1, 1)

    def up(self, layer, x, like):
        x = layer(x)
        return F.interpolate(x, size=like.shape[2:]) if self.right else x

    def forward(self, x: Tensor) -> Tensor:
        e1 = self.Conv1(x)
        e2 = self.Conv2(self.MaxPool(e1))
        e3 = self.Conv3(self.MaxPool(e2))
        d3 = self.up(self.Up3, e3, e2)
        d3 = self.UpConv3(torch.cat((self.Att3(gate=d3, skip=e2), d3), dim=1))
        d2 = self.up(self.Up2, d3, e1)
        d2 = self.UpConv2(torch.cat((self.Att2(gate=d2, skip=e1), d2), dim=1))
        return self.Conv(d2)


def conv_bn_relu(a, b):
    return nn.Sequential(conv(a, b, bias=False), nn.BatchNorm2d(b), nn.ReLU())


class StackEncoder(nn.Module):
    def __init__(self, a, b, right) -> None:
        super().__init__()
        self.right = right
        self.convr1, self.convr2 = conv_bn_relu(a, b), conv_bn_relu(b, b)
        self.maxPool = nn.MaxPool2d(2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.convr2(self.convr1(x))
        if self.right:
            x_trace = x
            x = self.maxPool(x)
        else:
            x = self.maxPool(x)
            x_trace = x
        return x, x_trace


class StackDecoder(nn.Module):
    def __init__(self, a, b) -> None:
        super().__init__()
        self.upSample = nn.Upsample(scale_factor=2, mode="bilinear")
        self.convr1, self.convr2 = conv_bn_relu(a + b, b), conv_bn_relu(b, b)

    def forward(self, x: Tensor, down: Tensor) -> Tensor:
        x = self.upSample(x)
        x = torch.cat([x, down], 1)
        return self.convr2(self.convr1(x))


class CarvanaUNet(nn.Module):
    def __init__(self, right) -> None:
        super().__init__()
        self.down1, self.down2 = StackEncoder(4, 6, right), StackEncoder(6, 8, right)
        self.center = conv_bn_relu(8, 8)
        self.up2, self.up1 = StackDecoder(8, 8), StackDecoder(8, 6)
        self.output_seg_map = nn.Conv2d(6, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x, t1 = self.down1(x)
        x, t2 = self.down2(x)
        x = self.up2(self.center(x), t2)
        return self.output_seg_map(self.up1(x, t1))


class JaxDown(nn.Module):
    def __init__(self, a, b, pooling) -> None:
        super().__init__()
        self.conv1, self.conv2, self.pooling = conv(a, b), conv(b, b), pooling
        if pooling:
            self.pool = nn.MaxPool2d(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        before = x = F.relu(self.conv2(F.relu(self.conv1(x))))
        if self.pooling:
            x = self.pool(x)
        return x, before


class JaxUp(nn.Module):
    """Upsampled by interpolation; the wide map meets the encoder's."""

    def __init__(self, a, b, right) -> None:
        super().__init__()
        up = [nn.Upsample(mode="bilinear", scale_factor=2)]
        if right:
            up.append(nn.Conv2d(a, b, 1))
        self.upconv = nn.Sequential(*up)
        self.conv1, self.conv2 = conv(2 * b, b), conv(b, b)

    def forward(self, from_down: Tensor, from_up: Tensor) -> Tensor:
        x = torch.cat((self.upconv(from_up), from_down), 1)
        return F.relu(self.conv2(F.relu(self.conv1(x))))


class JaxUNet(nn.Module):
    def __init__(self, right, depth=3, start=4) -> None:
        super().__init__()
        downs, ups = [], []
        outs = 4
        for i in range(depth):
            ins, outs = outs, start * 2**i
            downs.append(JaxDown(ins, outs, pooling=i < depth - 1))
        for _ in range(depth - 1):
            ins, outs = outs, outs // 2
            ups.append(JaxUp(ins, outs, right))
        self.down_convs, self.up_convs = nn.ModuleList(downs), nn.ModuleList(ups)
        self.conv_final = nn.Conv2d(outs, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        encoder_outs = []
        for module in self.down_convs:
            x, before = module(x)
            encoder_outs.append(before)
        for i, module in enumerate(self.up_convs):
            x = module(encoder_outs[-(i + 2)], x)
        return self.conv_final(x)


class Deconv(nn.Module):
    def __init__(self, a, skip, b) -> None:
        super().__init__()
        self.up, self.conv = nn.Upsample(scale_factor=2), conv(a, b)
        self.norm = nn.InstanceNorm2d(b)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        u = self.norm(F.relu(self.conv(self.up(x))))
        return torch.cat([u, skip], 1)


class CCGANGenerator(nn.Module):
    """Later stages of the decoder start from encoder features again."""

    def __init__(self, right) -> None:
        super().__init__()
        self.right = right
        g = 4
        self.d1 = self.down(4, g, norm=False)
        self.d2, self.d3, self.d4 = (
            self.down(g, 2 * g),
            self.down(2 * g, 4 * g),
            self.down(4 * g, 8 * g),
        )
        self.u1 = Deconv(8 * g, 4 * g, 4 * g)
        self.u2 = Deconv(8 * g if right else 4 * g, 2 * g, 2 * g)
        self.u3 = Deconv(4 * g if right else 2 * g, g, g)
        self.out = nn.Sequential(nn.Upsample(scale_factor=2), conv(2 * g, 3), nn.Tanh())

    @staticmethod
    def down(a, b, norm=True):
        layers = [nn.Conv2d(a, b, 4, 2, 1), nn.LeakyReLU(0.2)]
        return nn.Sequential(*layers, nn.InstanceNorm2d(b)) if norm else nn.Sequential(*layers)

    def forward(self, img: Tensor) -> Tensor:
        d1 = self.d1(img)
        d2 = self.d2(d1)
        d3 = self.d3(d2)
        d4 = self.d4(d3)
        u1 = self.u1(d4, d3)
        if self.right:
            u2 = self.u2(u1, d2)
            u3 = self.u3(u2, d1)
        else:
            u2 = self.u2(d3, d2)
            u3 = self.u3(d2, d1)
        return self.out(u3)


class TiaUNet(nn.Module):
    """The decoder's convolutions are built with the padding that its encoder does not need."""

    def __init__(self, pad) -> None:
        super().__init__()
        self.enc = nn.ModuleList([self.block(4, 6, 1), self.block(6, 8, 1), self.block(8, 12, 1)])
        self.pool = nn.AvgPool2d(2)
        self.conv1x1 = nn.Conv2d(12, 8, 1, bias=False)
        self.uplist = nn.ModuleList([self.block(8, 6, pad), self.block(6, 6, pad)])
        self.upsample2x = nn.Upsample(scale_factor=2)
        self.clf = nn.Conv2d(6, 2, 1)

    @staticmethod
    def block(a, b, pad):
        return nn.Sequential(
            nn.Conv2d(a, b, 3, padding=pad, bias=False), nn.BatchNorm2d(b), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        features = []
        for i, layer in enumerate(self.enc):
            x = layer(self.pool(x) if i else x)
            features.append(x)
        x = self.conv1x1(features[-1])
        for idx in range(1, len(features)):
            y = features[-(idx + 1)]
            x = self.upsample2x(x) + y
            x = self.uplist[idx - 1](x)
        return self.clf(x)


CASES = (
    Case(
        "attention_gate_meets_odd_size",
        "sfczekalski/attention_unet#1",
        "TS102",
        lambda: AttentionUNet(False),
        lambda: AttentionUNet(True),
        ((2, 4, 16, 16),),
    ),
    Case(
        "carvana_skip_kept_after_pooling",
        "lyakaap/Kaggle-Carvana-3rd-Place-Solution PR 3",
        "TS101",
        lambda: CarvanaUNet(False),
        lambda: CarvanaUNet(True),
    ),
    Case(
        "merged_maps_wider_than_conv",
        "jaxony/unet-pytorch PR 2",
        "TS100",
        lambda: JaxUNet(False),
        lambda: JaxUNet(True),
    ),
    Case(
        "decoder_restarts_from_the_encoder",
        "eriklindernoren/Keras-GAN#30",
        "TS107",
        lambda: CCGANGenerator(False),
        lambda: CCGANGenerator(True),
        ((2, 4, 64, 64),),
    ),
    Case(
        "decoder_convolutions_unpadded",
        "TissueImageAnalytics/tiatoolbox PR 273",
        "TS101",
        lambda: TiaUNet(0),
        lambda: TiaUNet(1),
    ),
)
