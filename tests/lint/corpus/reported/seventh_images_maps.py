"""From map to map: results thrown away, an overwritten input, layers that are one or none."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case

IMAGES = ((2, 3, 32, 32),)


def cbr(a, b, k=3, s=1):
    return nn.Sequential(
        nn.Conv2d(a, b, k, s, k // 2, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)
    )


# ---- hieubkset/keras-image-super-resolution#12: the channel attention's result is thrown away


class CA(nn.Module):
    def __init__(self, filters, reduction=4):
        super().__init__()
        self.conv1 = nn.Conv2d(filters, filters // reduction, 1)
        self.conv2 = nn.Conv2d(filters // reduction, filters, 1)

    def forward(self, input_tensor):
        x = input_tensor.mean((2, 3), keepdim=True)
        x = F.relu(self.conv1(x))
        x = torch.sigmoid(self.conv2(x))
        return input_tensor * x


class RCAB(nn.Module):
    def __init__(self, filters, mended=False):
        super().__init__()
        self.conv1 = nn.Conv2d(filters, filters, 3, padding=1)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1)
        self.ca = CA(filters)
        self.mended = mended

    def forward(self, input_tensor):
        x = F.relu(self.conv1(input_tensor))
        x = self.conv2(x)
        if self.mended:
            x = self.ca(x)
        else:
            self.ca(x)
        return x + input_tensor


class RG(nn.Module):
    def __init__(self, filters, n_rcab, mended):
        super().__init__()
        self.blocks = nn.ModuleList([RCAB(filters, mended) for _ in range(n_rcab)])
        self.conv = nn.Conv2d(filters, filters, 3, padding=1)

    def forward(self, input_tensor):
        x = input_tensor
        for block in self.blocks:
            x = block(x)
        return self.conv(x) + input_tensor


class RCAN(nn.Module):
    def __init__(self, mended=False):
        super().__init__()
        self.head = nn.Conv2d(3, 8, 3, padding=1)
        self.groups = nn.ModuleList([RG(8, 2, mended) for _ in range(2)])
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.up = nn.Sequential(nn.Conv2d(8, 32, 3, padding=1), nn.PixelShuffle(2))
        self.tail = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, inputs):
        x = x_1 = self.head(inputs)
        for group in self.groups:
            x = group(x)
        x = self.conv(x)
        return self.tail(self.up(x + x_1))


# ---- pytorch/pytorch#44194: MiDaS' ResidualConvUnit with its ReLU set in place


class ResidualConvUnit(nn.Module):
    def __init__(self, features, inplace):
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)
        self.relu = nn.ReLU(inplace=inplace)

    def forward(self, x):
        out = self.relu(x)
        out = self.conv1(out)
        out = self.relu(out)
        out = self.conv2(out)
        return out + x


class FeatureFusionBlock(nn.Module):
    def __init__(self, features, inplace):
        super().__init__()
        self.resConfUnit1 = ResidualConvUnit(features, inplace)
        self.resConfUnit2 = ResidualConvUnit(features, inplace)

    def forward(self, *xs):
        output = xs[0]
        if len(xs) == 2:
            output = output + self.resConfUnit1(xs[1])
        output = self.resConfUnit2(output)
        return F.interpolate(output, scale_factor=2, mode="bilinear", align_corners=True)


class Midas(nn.Module):
    def __init__(self, inplace=True):
        super().__init__()
        self.layer1, self.layer2, self.layer3 = cbr(3, 8, s=2), cbr(8, 16, s=2), cbr(16, 32, s=2)
        self.layer1_rn = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.layer2_rn = nn.Conv2d(16, 8, 3, padding=1, bias=False)
        self.layer3_rn = nn.Conv2d(32, 8, 3, padding=1, bias=False)
        self.refinenet3 = FeatureFusionBlock(8, inplace)
        self.refinenet2 = FeatureFusionBlock(8, inplace)
        self.refinenet1 = FeatureFusionBlock(8, inplace)
        self.output_conv = nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, x):
        layer_1 = self.layer1(x)
        layer_2 = self.layer2(layer_1)
        layer_3 = self.layer3(layer_2)
        path_3 = self.refinenet3(self.layer3_rn(layer_3))
        path_2 = self.refinenet2(path_3, self.layer2_rn(layer_2))
        path_1 = self.refinenet1(path_2, self.layer1_rn(layer_1))
        return self.output_conv(path_1).squeeze(1)


# ---- kanezaki/pytorch-unsupervised-segmentation PR 6: the middle layers sit in plain lists


class MyNet(nn.Module):
    def __init__(self, input_dim, nChannel=12, nConv=3, mended=False):
        super().__init__()
        self.conv1 = nn.Conv2d(input_dim, nChannel, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(nChannel)
        self.conv2 = nn.ModuleList() if mended else []
        self.bn2 = nn.ModuleList() if mended else []
        for _ in range(nConv - 1):
            self.conv2.append(nn.Conv2d(nChannel, nChannel, 3, padding=1))
            self.bn2.append(nn.BatchNorm2d(nChannel))
        self.conv3 = nn.Conv2d(nChannel, nChannel, 1)
        self.bn3 = nn.BatchNorm2d(nChannel)
        self.nConv = nConv

    def forward(self, x):
        x = self.bn1(F.relu(self.conv1(x)))
        for i in range(self.nConv - 1):
            x = self.conv2[i](x)
            x = F.relu(x)
            x = self.bn2[i](x)
        return self.bn3(self.conv3(x))


# ---- kanezaki/pytorch-unsupervised-segmentation#1: one normalisation behind two convolutions


class FirstNet(nn.Module):
    def __init__(self, input_dim, nChannel=12, mended=False):
        super().__init__()
        self.conv0 = nn.Conv2d(input_dim, nChannel, 3, padding=1)
        self.bn0 = nn.BatchNorm2d(nChannel)
        self.conv1 = nn.Conv2d(nChannel, nChannel, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(nChannel) if mended else None
        self.conv2 = nn.Conv2d(nChannel, nChannel, 1)
        self.bn1 = nn.BatchNorm2d(nChannel)

    def forward(self, x):
        x = self.conv0(x)
        x = F.relu(x)
        x = self.bn0(x)
        x = self.conv1(x)
        x = F.relu(x)
        x = self.bn0(x) if self.bn2 is None else self.bn2(x)
        x = self.conv2(x)
        return self.bn1(x)


# ---- mehtanihar/pspnet#6: SegNet's decoders read the pools, and their results are dropped


def vgg(a, b, n):
    return nn.Sequential(*[cbr(a if i == 0 else b, b) for i in range(n)])


class SegNet(nn.Module):
    def __init__(self, num_classes=4, mended=False):
        super().__init__()
        self.enc1, self.enc2, self.enc3 = vgg(3, 8, 2), vgg(8, 16, 2), vgg(16, 16, 2)
        self.pool = nn.MaxPool2d(2, stride=2, return_indices=True)
        self.unpool = nn.MaxUnpool2d(2, stride=2)
        self.dec3 = vgg(16, 16, 2)
        self.dec2 = nn.Sequential(cbr(16, 16), cbr(16, 8))
        self.dec1 = nn.Sequential(cbr(8, 8), cbr(8, num_classes))
        self.mended = mended

    def forward(self, x):
        enc1 = self.enc1(x)
        pool1, pool1_indices = self.pool(enc1)
        enc2 = self.enc2(pool1)
        pool2, pool2_indices = self.pool(enc2)
        enc3 = self.enc3(pool2)
        pool3, pool3_indices = self.pool(enc3)
        unpool3 = self.unpool(pool3, pool3_indices)
        dec3 = self.dec3(unpool3)
        unpool2 = self.unpool(dec3 if self.mended else pool2, pool2_indices)
        dec2 = self.dec2(unpool2)
        unpool1 = self.unpool(dec2 if self.mended else pool1, pool1_indices)
        return self.dec1(unpool1)


# ---- hellochick/ICNet-tensorflow#41: the sum takes the convolution, its normalisation is left over


class ICBottleneck(nn.Module):
    def __init__(self, a, b, stride=1, slip=False, project=False):
        super().__init__()
        self.reduce = nn.Conv2d(a, b // 2, 1, stride, bias=False)
        self.reduce_bn = nn.BatchNorm2d(b // 2)
        self.conv3 = nn.Conv2d(b // 2, b // 2, 3, padding=1, bias=False)
        self.conv3_bn = nn.BatchNorm2d(b // 2)
        self.increase = nn.Conv2d(b // 2, b, 1, bias=False)
        self.increase_bn = nn.BatchNorm2d(b)
        self.proj = nn.Conv2d(a, b, 1, stride, bias=False) if project else None
        self.proj_bn = nn.BatchNorm2d(b) if project else None
        self.slip = slip

    def forward(self, x):
        layers = {"in": x}
        layers["reduce"] = F.relu(self.reduce_bn(self.reduce(layers["in"])))
        layers["3x3"] = F.relu(self.conv3_bn(self.conv3(layers["reduce"])))
        layers["increase"] = self.increase(layers["3x3"])
        layers["increase_bn"] = self.increase_bn(layers["increase"])
        layers["proj"] = x if self.proj is None else self.proj_bn(self.proj(x))
        return F.relu(layers["proj"] + layers["increase" if self.slip else "increase_bn"])


class ICNet(nn.Module):
    def __init__(self, mended=False):
        super().__init__()
        self.conv1 = cbr(3, 16, s=2)
        self.conv3_1 = ICBottleneck(16, 16, 2, project=True)
        self.conv3_2 = ICBottleneck(16, 16, slip=not mended)
        self.conv3_3 = ICBottleneck(16, 16)
        self.cls = nn.Conv2d(16, 4, 1)

    def forward(self, x):
        x = self.conv3_3(self.conv3_2(self.conv3_1(self.conv1(x))))
        return F.interpolate(self.cls(x), scale_factor=4, mode="bilinear")


CASES = (
    Case(
        "rcan_attention_thrown_away",
        "hieubkset/keras-image-super-resolution#12",
        "TS107",
        lambda: RCAN(),
        lambda: RCAN(True),
        ((2, 3, 12, 12),),
    ),
    Case(
        "midas_unit_with_relu_in_place",
        "pytorch/pytorch#44194",
        "TS104",
        lambda: Midas(),
        lambda: Midas(False),
        IMAGES,
    ),
    Case(
        "layers_in_plain_lists",
        "kanezaki/pytorch-unsupervised-segmentation PR 6",
        "TS207",
        lambda: MyNet(3),
        lambda: MyNet(3, mended=True),
        ((1, 3, 16, 16),),
    ),
    Case(
        "one_norm_behind_two_convs",
        "kanezaki/pytorch-unsupervised-segmentation#1",
        "TS203",
        lambda: FirstNet(3),
        lambda: FirstNet(3, mended=True),
        ((1, 3, 16, 16),),
    ),
    Case(
        "segnet_decoders_read_the_pools",
        "mehtanihar/pspnet#6",
        "TS107",
        lambda: SegNet(),
        lambda: SegNet(mended=True),
        IMAGES,
    ),
    Case(
        "icnet_sum_takes_the_convolution",
        "hellochick/ICNet-tensorflow#41",
        "TS107",
        lambda: ICNet(),
        lambda: ICNet(True),
        IMAGES,
    ),
)
