"""Necks of detectors: layers and weights outside the tree, levels lost or in reverse."""

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


# ---- toandaominh1997/EfficientDet.Pytorch#5: BiFPN makes its convolutions in forward


class FreshBiFPN(nn.Module):
    def __init__(self, num_channels):
        super().__init__()
        self.num_channels = num_channels

    def Conv(self, in_channels, out_channels):
        return nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1, groups=in_channels),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )

    def forward(self, inputs):
        c = self.num_channels
        P3_in, P4_in, P5_in = inputs
        P5_up = self.Conv(c, c)(P5_in)
        P4_up = self.Conv(c, c)(P4_in + F.interpolate(P5_up, scale_factor=2))
        P3_out = self.Conv(c, c)(P3_in + F.interpolate(P4_up, scale_factor=2))
        P4_out = self.Conv(c, c)(P4_in + P4_up + F.interpolate(P3_out, size=P4_up.shape[2:]))
        P5_out = self.Conv(c, c)(P5_in + P5_up + F.interpolate(P4_out, size=P5_up.shape[2:]))
        return P3_out, P4_out, P5_out


class KeptBiFPN(nn.Module):
    def __init__(self, num_channels):
        super().__init__()
        c = num_channels
        for name in ("p5_up", "p4_up", "p3_out", "p4_out", "p5_out"):
            setattr(
                self,
                name,
                nn.Sequential(nn.Conv2d(c, c, 1, groups=c), nn.BatchNorm2d(c), nn.ReLU()),
            )

    def forward(self, inputs):
        P3_in, P4_in, P5_in = inputs
        P5_up = self.p5_up(P5_in)
        P4_up = self.p4_up(P4_in + F.interpolate(P5_up, scale_factor=2))
        P3_out = self.p3_out(P3_in + F.interpolate(P4_up, scale_factor=2))
        P4_out = self.p4_out(P4_in + P4_up + F.interpolate(P3_out, size=P4_up.shape[2:]))
        P5_out = self.p5_out(P5_in + P5_up + F.interpolate(P4_out, size=P5_up.shape[2:]))
        return P3_out, P4_out, P5_out


class Detector(nn.Module):
    def __init__(self, neck):
        super().__init__()
        self.stem = cbr(3, 8, s=2)
        self.c3 = cbr(8, 16, s=2)
        self.c4 = cbr(16, 16, s=2)
        self.c5 = cbr(16, 16, s=2)
        self.neck = neck
        self.head = nn.Conv2d(16, 6, 3, padding=1)

    def forward(self, x):
        c3 = self.c3(self.stem(x))
        c4 = self.c4(c3)
        c5 = self.c5(c4)
        return [self.head(p) for p in self.neck((c3, c4, c5))]


# ---- SweetyTian/efficientdet#4: the fusion weights are plain tensors


class WeightedBiFPN(nn.Module):
    def __init__(self, c, mended=False):
        super().__init__()
        if mended:
            self.w1 = nn.Parameter(torch.full((2, 2), 0.5))
            self.w2 = nn.Parameter(torch.full((3, 2), 0.5))
        else:
            self.w1 = torch.Tensor(2, 2).fill_(0.5)
            self.w2 = torch.Tensor(3, 2).fill_(0.5)
        self.eps = 1e-4
        self.bifpn_convs = nn.ModuleList([cbr(c, c) for _ in range(4)])

    def forward(self, inputs):
        w1 = F.relu(self.w1)
        w1 = w1 / (w1.sum(0) + self.eps)
        w2 = F.relu(self.w2)
        w2 = w2 / (w2.sum(0) + self.eps)
        pathtd = list(inputs)
        clone = [x.clone() for x in inputs]
        kk = 0
        for i in range(2, 0, -1):
            pathtd[i - 1] = w1[0, kk] * pathtd[i - 1] + w1[1, kk] * F.interpolate(
                pathtd[i], scale_factor=2, mode="nearest"
            )
            pathtd[i - 1] = self.bifpn_convs[kk](pathtd[i - 1])
            kk += 1
        jj = kk
        for i in range(2):
            pathtd[i + 1] = (
                w2[0, i] * pathtd[i + 1]
                + w2[1, i] * F.max_pool2d(pathtd[i], kernel_size=2)
                + w2[2, i] * clone[i + 1]
            )
            pathtd[i + 1] = self.bifpn_convs[jj](pathtd[i + 1])
            jj += 1
        return pathtd


# ---- xuannianz/EfficientDet#147: the intermediate maps are returned, not the outputs


class TdBiFPN(nn.Module):
    def __init__(self, c, mended=False):
        super().__init__()
        self.p4_td, self.p3_out = cbr(c, c), cbr(c, c)
        self.p4_out, self.p5_out = cbr(c, c), cbr(c, c)
        self.down = nn.MaxPool2d(3, 2, 1)
        self.mended = mended

    def forward(self, features):
        P3_in, P4_in, P5_in = features
        P5_U = F.interpolate(P5_in, scale_factor=2)
        P4_td = self.p4_td(P4_in + P5_U)
        P4_U = F.interpolate(P4_td, scale_factor=2)
        P3_out = self.p3_out(P3_in + P4_U)
        P3_D = self.down(P3_out)
        P4_out = self.p4_out(P4_in + P4_td + P3_D)
        P4_D = self.down(P4_out if self.mended else P4_td)
        P5_out = self.p5_out(P5_in + P4_D)
        if self.mended:
            return P3_out, P4_out, P5_out
        return P3_out, P4_td, P5_out


# ---- open-mmlab/mmdetection PR 9450: PAFPN adds in place to what a ReLU has made


class ConvModule(nn.Module):
    def __init__(self, a, b, k, stride=1, padding=0, act=True, inplace=False):
        super().__init__()
        self.conv = nn.Conv2d(a, b, k, stride, padding)
        self.activate = nn.ReLU(inplace=inplace) if act else None

    def forward(self, x):
        x = self.conv(x)
        return x if self.activate is None else self.activate(x)


class PAFPN(nn.Module):
    def __init__(self, in_channels, out_channels, mended=False):
        super().__init__()
        n = len(in_channels)
        self.lateral_convs = nn.ModuleList(
            [ConvModule(c, out_channels, 1, inplace=False) for c in in_channels]
        )
        self.fpn_convs = nn.ModuleList(
            [ConvModule(out_channels, out_channels, 3, padding=1) for _ in range(n)]
        )
        self.downsample_convs = nn.ModuleList(
            [ConvModule(out_channels, out_channels, 3, 2, 1) for _ in range(n - 1)]
        )
        self.pafpn_convs = nn.ModuleList(
            [ConvModule(out_channels, out_channels, 3, padding=1) for _ in range(n - 1)]
        )
        self.mended = mended

    def forward(self, inputs):
        laterals = [conv(inputs[i]) for i, conv in enumerate(self.lateral_convs)]
        n = len(laterals)
        for i in range(n - 1, 0, -1):
            prev_shape = laterals[i - 1].shape[2:]
            laterals[i - 1] = laterals[i - 1] + F.interpolate(
                laterals[i], size=prev_shape, mode="nearest"
            )
        inter_outs = [self.fpn_convs[i](laterals[i]) for i in range(n)]
        for i in range(n - 1):
            if self.mended:
                inter_outs[i + 1] = inter_outs[i + 1] + self.downsample_convs[i](inter_outs[i])
            else:
                inter_outs[i + 1] += self.downsample_convs[i](inter_outs[i])
        outs = [inter_outs[0]]
        outs.extend([self.pafpn_convs[i - 1](inter_outs[i]) for i in range(1, n)])
        return tuple(outs)


# ---- gakkiri/simple-centernet-pytorch#2: the laterals are built for the levels in reverse


class CenterFPN(nn.Module):
    def __init__(self, inplanes=32, outplanes=8, mended=False):
        super().__init__()
        order = reversed(range(4)) if mended else range(4)
        self.laterals = nn.Sequential(*[nn.Conv2d(inplanes // (2**c), outplanes, 1) for c in order])
        self.smooths = nn.Sequential(*[cbr(outplanes * c, outplanes * c, 3) for c in range(1, 5)])
        self.pooling = nn.MaxPool2d(2)

    def forward(self, features):
        laterals = [layer(features[f]) for f, layer in enumerate(self.laterals)]
        map4 = laterals[3]
        map3 = laterals[2] + F.interpolate(map4, scale_factor=2, mode="nearest")
        map2 = laterals[1] + F.interpolate(map3, scale_factor=2, mode="nearest")
        map1 = laterals[0] + F.interpolate(map2, scale_factor=2, mode="nearest")
        map1 = self.smooths[0](map1)
        map2 = self.smooths[1](torch.cat([map2, self.pooling(map1)], dim=1))
        map3 = self.smooths[2](torch.cat([map3, self.pooling(map2)], dim=1))
        return self.smooths[3](torch.cat([map4, self.pooling(map3)], dim=1))


class CenterNet(nn.Module):
    def __init__(self, mended=False):
        super().__init__()
        self.conv1 = cbr(3, 4)
        self.layers = nn.ModuleList([cbr(4, 4), cbr(4, 8, s=2), cbr(8, 16, s=2), cbr(16, 32, s=2)])
        self.fpn = CenterFPN(mended=mended)
        self.head = nn.Conv2d(32, 4, 1)

    def forward(self, x):
        x = self.conv1(x)
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return self.head(self.fpn(features))


CASES = (
    Case(
        "bifpn_convs_made_in_forward",
        "toandaominh1997/EfficientDet.Pytorch#5",
        "TS207",
        lambda: Detector(FreshBiFPN(16)),
        lambda: Detector(KeptBiFPN(16)),
        ((2, 3, 64, 64),),
    ),
    Case(
        "bifpn_weights_are_plain_tensors",
        "fast normalised fusion on plain tensors, asked in SweetyTian/efficientdet#4",
        "TS207",
        lambda: Detector(WeightedBiFPN(16)),
        lambda: Detector(WeightedBiFPN(16, True)),
        ((2, 3, 64, 64),),
    ),
    Case(
        "bifpn_returns_intermediate_map",
        "xuannianz/EfficientDet#147",
        "TS107",
        lambda: Detector(TdBiFPN(16)),
        lambda: Detector(TdBiFPN(16, True)),
        ((2, 3, 64, 64),),
    ),
    Case(
        "pafpn_adds_into_relus_result",
        "open-mmlab/mmdetection PR 9450",
        "TS112",
        lambda: Detector(PAFPN((16, 16, 16), 16)),
        lambda: Detector(PAFPN((16, 16, 16), 16, True)),
        ((2, 3, 64, 64),),
    ),
    Case(
        "centernet_laterals_reversed",
        "gakkiri/simple-centernet-pytorch#2",
        "TS100",
        lambda: CenterNet(),
        lambda: CenterNet(True),
        IMAGES,
    ),
)
