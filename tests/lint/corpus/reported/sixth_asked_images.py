"""The sixth set. Asked in threads. Image networks in training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case


# --- discuss.pytorch.org/t/11976: a value is read by a second branch, then added to in place
class ForkedFlow(nn.Module):
    def __init__(self, inplace):
        super().__init__()
        self.inplace = inplace
        self.conv1, self.conv1_p = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.some_layer = nn.Sequential(nn.Conv2d(3, 6, 1), nn.BatchNorm2d(6))
        self.head, self.head_p = nn.Conv2d(6, 2, 1), nn.Conv2d(6, 4, 1)

    def forward(self, input):
        x = self.conv1(input)
        x_p = self.conv1_p(x)
        if self.inplace:
            x += self.some_layer(input)
        else:
            x = x + self.some_layer(input)
        return self.head(F.relu(x)), self.head_p(F.relu(x_p))


# --- j-sripad/mulitresunet-pytorch#3: several += behind rectifiers
class Conv2dBN(nn.Module):
    def __init__(self, a, b, kernel, activation="relu"):
        super().__init__()
        self.activation = activation
        self.conv1 = nn.Conv2d(a, b, kernel, padding=kernel // 2)
        self.batchnorm = nn.BatchNorm2d(b, affine=False)

    def forward(self, x):
        x = self.batchnorm(self.conv1(x))
        return F.relu(x) if self.activation == "relu" else x


class Multiresblock(nn.Module):
    def __init__(self, a, unet, inplace):
        super().__init__()
        w = (unet // 4, unet // 3, unet // 2)
        self.inplace, self.width = inplace, sum(w)
        self.conv2d_bn_1x1 = Conv2dBN(a, sum(w), 1, "None")
        self.conv2d_bn_3x3 = Conv2dBN(a, w[0], 3)
        self.conv2d_bn_5x5 = Conv2dBN(w[0], w[1], 3)
        self.conv2d_bn_7x7 = Conv2dBN(w[1], w[2], 3)
        self.batch_norm1 = nn.BatchNorm2d(sum(w), affine=False)

    def forward(self, x):
        temp = self.conv2d_bn_1x1(x)
        a = self.conv2d_bn_3x3(x)
        b = self.conv2d_bn_5x5(a)
        c = self.conv2d_bn_7x7(b)
        x = self.batch_norm1(torch.cat([a, b, c], axis=1))
        if self.inplace:
            x += temp
        else:
            x = x + temp
        return self.batch_norm1(x)


class Respath(nn.Module):
    def __init__(self, a, filters, length, inplace):
        super().__init__()
        self.length, self.inplace = length, inplace
        self.first = nn.ModuleList([Conv2dBN(a, filters, 1, "None"), Conv2dBN(a, filters, 3)])
        self.common = nn.ModuleList(
            [Conv2dBN(filters, filters, 1, "None"), Conv2dBN(filters, filters, 3)]
        )
        self.batch_norm1 = nn.BatchNorm2d(filters, affine=False)

    def forward(self, x):
        for i in range(self.length):
            one, three = self.first if i == 0 else self.common
            shortcut = one(x)
            x = three(x)
            if self.inplace:
                x += shortcut
            else:
                x = x + shortcut
            x = self.batch_norm1(F.relu(x))
        return x


class MultiResUnet(nn.Module):
    def __init__(self, inplace):
        super().__init__()
        self.multiresblock1 = Multiresblock(3, 12, inplace)
        self.pool1 = nn.MaxPool2d(2, stride=2)
        self.respath1 = Respath(self.multiresblock1.width, 6, 2, inplace)
        self.multiresblock2 = Multiresblock(self.multiresblock1.width, 12, inplace)
        self.upsample = nn.ConvTranspose2d(self.multiresblock2.width, 6, 2, 2)
        self.multiresblock3 = Multiresblock(12, 12, inplace)
        self.conv_final = Conv2dBN(self.multiresblock3.width, 2, 1, "None")

    def forward(self, x):
        x_multires1 = self.multiresblock1(x)
        x_pool1 = self.pool1(x_multires1)
        x_multires1 = self.respath1(x_multires1)
        up = torch.cat([self.upsample(self.multiresblock2(x_pool1)), x_multires1], axis=1)
        return self.conv_final(self.multiresblock3(up))


# --- open-mmlab/mmdetection pull request 9450: PAFPN with act_cfg=dict(type='ReLU')
class ConvModule(nn.Module):
    def __init__(self, a, b, kernel, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(a, b, kernel, stride, kernel // 2)
        self.activate = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.activate(self.conv(x))


class PAFPN(nn.Module):
    def __init__(self, inplace, channels=(6, 8, 10), out=6):
        super().__init__()
        self.inplace = inplace
        self.lateral_convs = nn.ModuleList(ConvModule(c, out, 1) for c in channels)
        self.fpn_convs = nn.ModuleList(ConvModule(out, out, 3) for _ in channels)
        self.downsample_convs = nn.ModuleList(ConvModule(out, out, 3, 2) for _ in channels[1:])
        self.pafpn_convs = nn.ModuleList(ConvModule(out, out, 3) for _ in channels[1:])

    def forward(self, inputs):
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, inputs, strict=True)]
        used = len(laterals)
        for i in range(used - 1, 0, -1):
            top = F.interpolate(laterals[i], size=laterals[i - 1].shape[2:], mode="nearest")
            if self.inplace:
                laterals[i - 1] += top
            else:
                laterals[i - 1] = laterals[i - 1] + top
        inter_outs = [self.fpn_convs[i](laterals[i]) for i in range(used)]
        for i in range(used - 1):
            if self.inplace:
                inter_outs[i + 1] += self.downsample_convs[i](inter_outs[i])
            else:
                inter_outs[i + 1] = inter_outs[i + 1] + self.downsample_convs[i](inter_outs[i])
        outs = [inter_outs[0]]
        outs.extend(self.pafpn_convs[i - 1](inter_outs[i]) for i in range(1, used))
        return tuple(outs)


class PAFPNDetector(nn.Module):
    def __init__(self, inplace):
        super().__init__()
        self.stages = nn.ModuleList(
            [ConvModule(3, 6, 3, 2), ConvModule(6, 8, 3, 2), ConvModule(8, 10, 3, 2)]
        )
        self.neck = PAFPN(inplace)
        self.head = nn.Conv2d(6, 5, 3, padding=1)

    def forward(self, x):
        feats = []
        for stage in self.stages:
            x = stage(x)
            feats.append(x)
        return [self.head(f) for f in self.neck(feats)]


# --- fastai/fastbook#1: the branch of the first ResBlock ends with its activation
def book_layer(ni, nf, act=True):
    layers = [nn.Conv2d(ni, nf, 3, padding=1, bias=False), nn.BatchNorm2d(nf)]
    if act:
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class BookResBlock(nn.Module):
    def __init__(self, ni, nf, mended):
        super().__init__()
        self.mended = mended
        self.convs = nn.Sequential(book_layer(ni, nf), book_layer(nf, nf, act=not mended))

    def forward(self, x):
        if self.mended:
            return F.relu(x + self.convs(x))
        return x + self.convs(x)


def fastbook(mended):
    return nn.Sequential(
        book_layer(3, 6),
        BookResBlock(6, 6, mended),
        nn.MaxPool2d(2),
        BookResBlock(6, 6, mended),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )


CASES = (
    Case(
        "forked value added to in place",
        "https://discuss.pytorch.org/t/when-would-the-error-one-"
        "of-the-variables-needed-for-gradient-computation-has-been-modified-occur/11976",
        "TS112",
        lambda: ForkedFlow(True),
        lambda: ForkedFlow(False),
        ((2, 3, 16, 16),),
    ),
    Case(
        "residual paths behind rectifiers",
        "j-sripad/mulitresunet-pytorch#3",
        "TS112",
        lambda: MultiResUnet(True),
        lambda: MultiResUnet(False),
        ((2, 3, 16, 16),),
    ),
    Case(
        "path aggregation with rectifiers",
        "open-mmlab/mmdetection PR 9450",
        "TS112",
        lambda: PAFPNDetector(True),
        lambda: PAFPNDetector(False),
        ((2, 3, 32, 32),),
    ),
    Case(
        "first block of a book",
        "fastai/fastbook#1",
        "TS301",
        lambda: fastbook(False),
        lambda: fastbook(True),
        ((2, 3, 16, 16),),
    ),
)
