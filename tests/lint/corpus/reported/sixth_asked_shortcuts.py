"""The sixth set. Asked in threads. Shortcuts detached, overwritten, repeated."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case


# --- mattmacy/vnet.pytorch#1: the input, sixteen times, along the batch
class LUConv(nn.Module):
    def __init__(self, nchan):
        super().__init__()
        self.relu1 = nn.PReLU(nchan)
        self.conv1 = nn.Conv3d(nchan, nchan, 5, padding=2)
        self.bn1 = nn.BatchNorm3d(nchan)

    def forward(self, x):
        return self.relu1(self.bn1(self.conv1(x)))


class InputTransition(nn.Module):
    def __init__(self, c, dim):
        super().__init__()
        self.c, self.dim = c, dim
        self.conv1 = nn.Conv3d(1, c, 5, padding=2)
        self.bn1 = nn.BatchNorm3d(c)
        self.relu1 = nn.PReLU(c)

    def forward(self, x):
        out = self.bn1(self.conv1(x))
        x16 = torch.cat((x,) * self.c, self.dim)
        return self.relu1(torch.add(out, x16))


class DownTransition(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.down_conv = nn.Conv3d(c, 2 * c, 2, stride=2)
        self.bn1 = nn.BatchNorm3d(2 * c)
        self.relu1, self.relu2 = nn.PReLU(2 * c), nn.PReLU(2 * c)
        self.ops = nn.Sequential(LUConv(2 * c))

    def forward(self, x):
        down = self.relu1(self.bn1(self.down_conv(x)))
        return self.relu2(torch.add(self.ops(down), down))


class UpTransition(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.up_conv = nn.ConvTranspose3d(a, b // 2, 2, stride=2)
        self.bn1 = nn.BatchNorm3d(b // 2)
        self.relu1, self.relu2 = nn.PReLU(b // 2), nn.PReLU(b)
        self.ops = nn.Sequential(LUConv(b))

    def forward(self, x, skipx):
        out = self.relu1(self.bn1(self.up_conv(x)))
        xcat = torch.cat((out, skipx), 1)
        return self.relu2(torch.add(self.ops(xcat), xcat))


class VNet(nn.Module):
    def __init__(self, dim, c=4):
        super().__init__()
        self.in_tr = InputTransition(c, dim)
        self.down_tr = DownTransition(c)
        self.up_tr = UpTransition(2 * c, 2 * c)
        self.out = nn.Conv3d(2 * c, 2, 1)

    def forward(self, x):
        out16 = self.in_tr(x)
        out = self.up_tr(self.down_tr(out16), out16)
        return F.softmax(self.out(out), dim=1)


# --- NVlabs/FUNIT#23: activation first, in place, on what the shortcut carries
class Conv2dBlock(nn.Module):
    def __init__(
        self,
        a,
        b,
        ks,
        st,
        padding=0,
        activation="lrelu",
        pad="zero",
        bias=True,
        activation_first=False,
        inplace=True,
    ):
        super().__init__()
        self.activation_first = activation_first
        self.pad = nn.ReflectionPad2d(padding) if pad == "reflect" else nn.ZeroPad2d(padding)
        self.activation = nn.LeakyReLU(0.2, inplace=inplace) if activation == "lrelu" else None
        self.conv = nn.Conv2d(a, b, ks, st, bias=bias)

    def forward(self, x):
        if self.activation_first:
            if self.activation:
                x = self.activation(x)
            return self.conv(self.pad(x))
        x = self.conv(self.pad(x))
        return self.activation(x) if self.activation else x


class ActFirstResBlock(nn.Module):
    def __init__(self, fin, fout, inplace):
        super().__init__()
        self.learned_shortcut = fin != fout
        fhid = min(fin, fout)
        common = {"padding": 1, "pad": "reflect", "activation_first": True, "inplace": inplace}
        self.conv_0 = Conv2dBlock(fin, fhid, 3, 1, **common)
        self.conv_1 = Conv2dBlock(fhid, fout, 3, 1, **common)
        if self.learned_shortcut:
            self.conv_s = Conv2dBlock(fin, fout, 1, 1, activation="none", bias=False)

    def forward(self, x):
        x_s = self.conv_s(x) if self.learned_shortcut else x
        dx = self.conv_0(x)
        dx = self.conv_1(dx)
        return x_s + dx


class FewShotDiscriminator(nn.Module):
    def __init__(self, inplace, nf=6):
        super().__init__()
        self.cnn_f = nn.Sequential(
            Conv2dBlock(3, nf, 7, 1, 3, "none", "reflect"),
            ActFirstResBlock(nf, nf, inplace),
            ActFirstResBlock(nf, 8, inplace),
            nn.ReflectionPad2d(1),
            nn.AvgPool2d(3, stride=2),
        )
        self.cnn_c = Conv2dBlock(8, 5, 1, 1, activation_first=True, inplace=False)

    def forward(self, x):
        return self.cnn_c(self.cnn_f(x))


# --- pytorch/executorch#11700: x + relu_(x)
class InplaceSum(nn.Module):
    def __init__(self, inplace):
        super().__init__()
        self.inplace = inplace
        self.stem = nn.Linear(5, 6)
        self.out = nn.Linear(6, 2)

    def gate(self, x):
        y = F.relu(x, inplace=self.inplace)
        return x + y

    def forward(self, x):
        return self.out(self.gate(self.stem(x)))


# --- PRBonn/bonnetal#35: skips are stored detached
class InvertedResidual(nn.Module):
    def __init__(self, a, b, stride, t=2):
        super().__init__()
        self.use_res_connect = stride == 1 and a == b
        self.conv = nn.Sequential(
            nn.Conv2d(a, a * t, 1, bias=False),
            nn.BatchNorm2d(a * t),
            nn.ReLU6(),
            nn.Conv2d(a * t, a * t, 3, stride, 1, groups=a * t, bias=False),
            nn.BatchNorm2d(a * t),
            nn.ReLU6(),
            nn.Conv2d(a * t, b, 1, bias=False),
            nn.BatchNorm2d(b),
        )

    def forward(self, x):
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileBackbone(nn.Module):
    def __init__(self, cut):
        super().__init__()
        self.cut = cut
        self.features = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6()),
                InvertedResidual(8, 8, 1),
                InvertedResidual(8, 12, 2),
                InvertedResidual(12, 12, 1),
            ]
        )

    def forward(self, x):
        skips, current_os = {}, 1
        for layer in self.features:
            y = layer(x)
            if y.shape[2] < x.shape[2] or y.shape[3] < x.shape[3]:
                skips[current_os] = x.detach() if self.cut else x
                current_os *= 2
            x = y
        return x, skips


class BonnetalSegmentator(nn.Module):
    def __init__(self, cut):
        super().__init__()
        self.backbone = MobileBackbone(cut)
        self.up2 = nn.ConvTranspose2d(12, 8, 2, 2)
        self.mix2 = InvertedResidual(8, 8, 1)
        self.up1 = nn.ConvTranspose2d(8, 8, 2, 2)
        self.head = nn.Conv2d(8, 4, 1)

    def forward(self, x):
        feats, skips = self.backbone(x)
        feats = self.mix2(self.up2(feats) + skips[2])
        return self.head(self.up1(feats))


CASES = (
    Case(
        "input repeated along the batch",
        "mattmacy/vnet.pytorch#1",
        "TS103",
        lambda: VNet(0),
        lambda: VNet(1),
        ((1, 1, 8, 8, 8),),
    ),
    Case(
        "activation first, in place",
        "NVlabs/FUNIT#23",
        "TS104",
        lambda: FewShotDiscriminator(True),
        lambda: FewShotDiscriminator(False),
        ((2, 3, 16, 16),),
    ),
    Case(
        "a value and its rectifier in place",
        "pytorch/executorch#11700",
        "TS104",
        lambda: InplaceSum(True),
        lambda: InplaceSum(False),
        ((3, 4, 5),),
    ),
    Case(
        "skips by output stride, detached",
        "PRBonn/bonnetal#35",
        "TS105",
        lambda: BonnetalSegmentator(True),
        lambda: BonnetalSegmentator(False),
        ((2, 3, 16, 16),),
    ),
)
