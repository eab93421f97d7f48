"""Dense and split designs that somebody took for wrong, and that are right."""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Clean

IMAGES = ((2, 3, 32, 32),)


def cbr(a, b, k=3, s=1):
    return nn.Sequential(
        nn.Conv2d(a, b, k, s, k // 2, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)
    )


# ---- yjn870/RDN-pytorch#2: the dense layers hand on a concatenation; nothing is lost


class DenseLayer(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return torch.cat([x, self.relu(self.conv(x))], 1)


class RDB(nn.Module):
    def __init__(self, channels, growth, n):
        super().__init__()
        self.layers = nn.Sequential(*[DenseLayer(channels + growth * i, growth) for i in range(n)])
        self.lff = nn.Conv2d(channels + growth * n, channels, 1)

    def forward(self, x):
        return x + self.lff(self.layers(x))


class RDN(nn.Module):
    def __init__(self):
        super().__init__()
        self.sfe1, self.sfe2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.rdbs = nn.ModuleList([RDB(8, 4, 3) for _ in range(3)])
        self.gff = nn.Sequential(nn.Conv2d(24, 8, 1), nn.Conv2d(8, 8, 3, padding=1))
        self.upscale = nn.Sequential(nn.Conv2d(8, 32, 3, padding=1), nn.PixelShuffle(2))
        self.output = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, x):
        sfe1 = self.sfe1(x)
        x = self.sfe2(sfe1)
        local_features = []
        for rdb in self.rdbs:
            x = rdb(x)
            local_features.append(x)
        x = self.gff(torch.cat(local_features, 1)) + sfe1
        return self.output(self.upscale(x))


# ---- Res2Net/Res2Net-PretrainedModels#76: each split is added to the one before


class Bottle2neck(nn.Module):
    def __init__(self, inplanes, planes, stride=1, downsample=None, scale=4, stype="normal"):
        super().__init__()
        width = planes // 4
        self.conv1, self.bn1 = (
            nn.Conv2d(inplanes, width * scale, 1, bias=False),
            nn.BatchNorm2d(width * scale),
        )
        self.nums = scale - 1
        if stype == "stage":
            self.pool = nn.AvgPool2d(3, stride=stride, padding=1)
        self.convs = nn.ModuleList(
            [nn.Conv2d(width, width, 3, stride, 1, bias=False) for _ in range(self.nums)]
        )
        self.bns = nn.ModuleList([nn.BatchNorm2d(width) for _ in range(self.nums)])
        self.conv3, self.bn3 = (
            nn.Conv2d(width * scale, planes, 1, bias=False),
            nn.BatchNorm2d(planes),
        )
        self.relu = nn.ReLU(inplace=True)
        self.downsample, self.stype, self.width = downsample, stype, width

    def forward(self, x):
        residual = x
        out = self.relu(self.bn1(self.conv1(x)))
        spx = torch.split(out, self.width, 1)
        sp = spx[0]
        for i in range(self.nums):
            alone = i == 0 or self.stype == "stage"
            sp = spx[i] if alone else sp + spx[i]
            sp = self.convs[i](sp)
            sp = self.relu(self.bns[i](sp))
            out = sp if i == 0 else torch.cat((out, sp), 1)
        if self.stype == "normal":
            out = torch.cat((out, spx[self.nums]), 1)
        else:
            out = torch.cat((out, self.pool(spx[self.nums])), 1)
        out = self.bn3(self.conv3(out))
        if self.downsample is not None:
            residual = self.downsample(x)
        out += residual
        return self.relu(out)


def res2net():
    down = nn.Sequential(
        nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False),
        nn.Conv2d(16, 32, 1, bias=False),
        nn.BatchNorm2d(32),
    )
    return nn.Sequential(
        cbr(3, 16),
        Bottle2neck(16, 16),
        Bottle2neck(16, 32, 2, down, stype="stage"),
        Bottle2neck(32, 32),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 4),
    )


# ---- fepegar/unet#26: layers are attributes and members of a Sequential at once


class ConvolutionalBlock(nn.Module):
    def __init__(self, a, b, preactivation=False):
        super().__init__()
        block = nn.ModuleList()
        self.conv_layer = nn.Conv2d(a, b, 3, padding=1)
        self.norm_layer = nn.BatchNorm2d(b)
        self.activation_layer = nn.ReLU()
        for layer in (self.conv_layer, self.norm_layer, self.activation_layer):
            block.append(layer)
        self.block = nn.Sequential(*block)

    def forward(self, x):
        return self.block(x)


class EncodingBlock(nn.Module):
    def __init__(self, a, b, pool=True):
        super().__init__()
        self.conv1, self.conv2 = ConvolutionalBlock(a, b), ConvolutionalBlock(b, b)
        self.conv_residual = nn.Conv2d(a, b, 1)
        self.downsample = nn.MaxPool2d(2) if pool else None

    def forward(self, x):
        connection = self.conv_residual(x)
        x = self.conv2(self.conv1(x))
        x = x + connection
        if self.downsample is None:
            return x
        return self.downsample(x), x


class FepegarUnet(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc1, self.enc2 = EncodingBlock(3, 8), EncodingBlock(8, 16)
        self.bottom = EncodingBlock(16, 16, pool=False)
        self.dec2, self.dec1 = EncodingBlock(32, 8, pool=False), EncodingBlock(16, 8, pool=False)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.classifier = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        x, s1 = self.enc1(x)
        x, s2 = self.enc2(x)
        x = self.bottom(x)
        for skip, decode in ((s2, self.dec2), (s1, self.dec1)):
            x = torch.cat((skip, self.up(x)), 1)
            x = decode(x)
        return self.classifier(x)


# ---- nianticlabs/monodepth2#51: `x += [feature]` is a list, and the layers sit in two containers


class DepthDecoder(nn.Module):
    def __init__(self, num_ch_enc):
        super().__init__()
        num_ch_dec = [4, 8, 8]
        self.convs = OrderedDict()
        for i in range(2, -1, -1):
            num_ch_in = num_ch_enc[-1] if i == 2 else num_ch_dec[i + 1]
            self.convs[("upconv", i, 0)] = nn.Sequential(
                nn.ReflectionPad2d(1), nn.Conv2d(num_ch_in, num_ch_dec[i], 3), nn.ELU(inplace=True)
            )
            num_ch_in = num_ch_dec[i] + (num_ch_enc[i - 1] if i > 0 else 0)
            self.convs[("upconv", i, 1)] = nn.Sequential(
                nn.ReflectionPad2d(1), nn.Conv2d(num_ch_in, num_ch_dec[i], 3), nn.ELU(inplace=True)
            )
        for s in range(2):
            self.convs[("dispconv", s)] = nn.Conv2d(num_ch_dec[s], 1, 3, padding=1)
        self.decoder = nn.ModuleList(list(self.convs.values()))
        self.sigmoid = nn.Sigmoid()

    def forward(self, input_features):
        self.outputs = {}
        x = input_features[-1]
        for i in range(2, -1, -1):
            x = self.convs[("upconv", i, 0)](x)
            x = [F.interpolate(x, scale_factor=2, mode="nearest")]
            if i > 0:
                x += [input_features[i - 1]]
            x = torch.cat(x, 1)
            x = self.convs[("upconv", i, 1)](x)
            if i < 2:
                self.outputs[("disp", i)] = self.sigmoid(self.convs[("dispconv", i)](x))
        return self.outputs


class Monodepth(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.ModuleList([cbr(3, 8, s=2), cbr(8, 12, s=2), cbr(12, 16, s=2)])
        self.depth = DepthDecoder([8, 12, 16])

    def forward(self, input_image):
        features, x = [], (input_image - 0.45) / 0.225
        for stage in self.encoder:
            x = stage(x)
            features.append(x)
        return self.depth(features)


CLEAN = (
    Clean("rdn_layers_concatenate_themselves", "yjn870/RDN-pytorch#2", RDN, ((2, 3, 12, 12),)),
    Clean("res2net_splits_accumulate", "Res2Net/Res2Net-PretrainedModels#76", res2net, IMAGES),
    Clean("unet_layers_under_two_names", "fepegar/unet#26", FepegarUnet, IMAGES),
    Clean("monodepth2_lists_of_features", "nianticlabs/monodepth2#51", Monodepth, IMAGES),
)
