"""Rectifiers at the sum, sums in place, and a coin that evaluation does not know."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case

IMAGES = ((2, 3, 32, 32),)


# ---- weiaicunzai/pytorch-cifar100#75: a ReLU ends the residual of the SE basic block


class BasicResidualSEBlock(nn.Module):
    expansion = 1

    def __init__(self, in_channels, out_channels, stride, r=4, last=True):
        super().__init__()
        layers = [
            nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels * self.expansion, 3, padding=1),
            nn.BatchNorm2d(out_channels * self.expansion),
        ]
        if last:
            layers.append(nn.ReLU(inplace=True))
        self.residual = nn.Sequential(*layers)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != out_channels * self.expansion:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels * self.expansion, 1, stride=stride),
                nn.BatchNorm2d(out_channels * self.expansion),
            )
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.excitation = nn.Sequential(
            nn.Linear(out_channels * self.expansion, out_channels * self.expansion // r),
            nn.ReLU(inplace=True),
            nn.Linear(out_channels * self.expansion // r, out_channels * self.expansion),
            nn.Sigmoid(),
        )

    def forward(self, x):
        shortcut = self.shortcut(x)
        residual = self.residual(x)
        squeeze = self.squeeze(residual)
        squeeze = squeeze.view(squeeze.size(0), -1)
        excitation = self.excitation(squeeze)
        excitation = excitation.view(residual.size(0), residual.size(1), 1, 1)
        x = residual * excitation.expand_as(residual) + shortcut
        return F.relu(x)


class SEResNet(nn.Module):
    def __init__(self, last=True):
        super().__init__()
        self.in_channels = 8
        self.pre = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        )
        self.stage1 = self._make_stage(2, 8, 1, last)
        self.stage2 = self._make_stage(2, 16, 2, last)
        self.linear = nn.Linear(16, 10)

    def _make_stage(self, num, out_channels, stride, last):
        layers = [BasicResidualSEBlock(self.in_channels, out_channels, stride, last=last)]
        self.in_channels = out_channels
        for _ in range(num - 1):
            layers.append(BasicResidualSEBlock(self.in_channels, out_channels, 1, last=last))
        return nn.Sequential(*layers)

    def forward(self, x):
        x = self.stage2(self.stage1(self.pre(x)))
        x = F.adaptive_avg_pool2d(x, 1)
        return self.linear(x.view(x.size(0), -1))


# ---- arunpatala/residual.mnist#8: every conv unit ends in a ReLU, also the last of the branch


def convunit(fin, fout, relu=True):
    layers = [nn.Conv2d(fin, fout, 3, padding=1), nn.BatchNorm2d(fout)]
    return nn.Sequential(*layers, nn.ReLU(True)) if relu else nn.Sequential(*layers)


class ConcatTable(nn.Module):
    def __init__(self, *modules):
        super().__init__()
        self.tables = nn.ModuleList(modules)

    def forward(self, x):
        return [m(x) for m in self.tables]


class CAddTable(nn.Module):
    def forward(self, xs):
        total = xs[0]
        for x in xs[1:]:
            total = total + x
        return total


def res_unit(fin, mended=False):
    branch = nn.Sequential(convunit(fin, fin), convunit(fin, fin, relu=not mended))
    return nn.Sequential(ConcatTable(branch, nn.Identity()), CAddTable(), nn.ReLU(True))


def mnist_resnet(mended):
    return nn.Sequential(
        convunit(1, 8),
        res_unit(8, mended),
        res_unit(8, mended),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * 49, 10),
    )


# ---- discuss.pytorch.org "In-place operation and ResNet" (10724): x += residual, x fed the conv


class ResidualUnitA(nn.Module):
    def __init__(self, mended=False):
        super().__init__()
        self.conv_0 = nn.Conv2d(3, 12, 3, padding=1, bias=False)
        self.bn_0 = nn.BatchNorm2d(12)
        self.conv_1 = nn.Conv2d(12, 12, 3, padding=1, bias=False)
        self.bn_1 = nn.BatchNorm2d(12)
        self.mended = mended

    def forward(self, x):
        x = self.conv_0(x)
        x = self.bn_0(x)
        x = F.relu(x, inplace=True)
        residual = self.conv_1(x)
        residual = self.bn_1(residual)
        if self.mended:
            residual += x
            x = residual
        else:
            x += residual
        return F.relu(x, inplace=True)


# ---- mapillary/inplace_abn#40: the Xception block whose first layer is the in-place ReLU


class SeparableConv2d(nn.Module):
    def __init__(self, inplanes, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, inplanes, 3, stride, 1, groups=inplanes, bias=False)
        self.pointwise = nn.Conv2d(inplanes, planes, 1, bias=False)

    def forward(self, x):
        return self.pointwise(self.conv1(x))


class XceptionBlock(nn.Module):
    def __init__(
        self, inplanes, planes, reps, stride=1, start_with_relu=True, grow_first=True, mended=False
    ):
        super().__init__()
        if planes != inplanes or stride != 1:
            self.skip = nn.Conv2d(inplanes, planes, 1, stride=stride, bias=False)
            self.skipbn = nn.BatchNorm2d(planes)
        else:
            self.skip = None
        self.relu = nn.ReLU(inplace=True)
        rep = []
        filters = inplanes
        if grow_first:
            rep += [self.relu, SeparableConv2d(inplanes, planes), nn.BatchNorm2d(planes)]
            filters = planes
        for _ in range(reps - 1):
            rep += [self.relu, SeparableConv2d(filters, filters), nn.BatchNorm2d(filters)]
        if not grow_first:
            rep += [self.relu, SeparableConv2d(inplanes, planes), nn.BatchNorm2d(planes)]
        if not start_with_relu:
            rep = rep[1:]
        elif mended:
            rep[0] = nn.ReLU(inplace=False)
        if stride != 1:
            rep.append(nn.MaxPool2d(3, stride, 1))
        self.rep = nn.Sequential(*rep)

    def forward(self, inp):
        x = self.rep(inp)
        if self.skip is not None:
            skip = self.skip(inp)
            skip = self.skipbn(skip)
        else:
            skip = inp
        x += skip
        return x


class Xception(nn.Module):
    def __init__(self, mended=False):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.block1 = XceptionBlock(8, 16, 2, 2, start_with_relu=False, mended=mended)
        self.block2 = XceptionBlock(16, 24, 2, 2, mended=mended)
        self.block3 = XceptionBlock(24, 24, 3, 1, mended=mended)
        self.block4 = XceptionBlock(24, 32, 2, 1, grow_first=False, mended=mended)
        self.fc = nn.Linear(32, 5)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.block4(self.block3(self.block2(self.block1(x))))
        x = self.relu(x)
        return self.fc(F.adaptive_avg_pool2d(x, 1).view(x.size(0), -1))


# ---- katsura-jp/efficientnet-pytorch, model/efficientnet.py: a coin returns x, evaluation adds all


class SqeezeExcitation(nn.Module):
    def __init__(self, inplanes, se_ratio):
        super().__init__()
        hidden_dim = max(1, int(inplanes * se_ratio))
        self.fc1 = nn.Linear(inplanes, hidden_dim, bias=False)
        self.fc2 = nn.Linear(hidden_dim, inplanes, bias=False)

    def forward(self, x):
        out = F.adaptive_avg_pool2d(x, 1).view(x.size(0), -1)
        out = torch.sigmoid(self.fc2(F.silu(self.fc1(out))))
        return x * out.unsqueeze(2).unsqueeze(3).expand_as(x)


class CoinBottleneck(nn.Module):
    def __init__(
        self, inplanes, planes, kernel_size, stride, expand, se_ratio=0.25, prob=1.0, mended=False
    ):
        super().__init__()
        wide = inplanes * expand
        self.conv1 = nn.Conv2d(inplanes, wide, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(
            wide, wide, kernel_size, stride, kernel_size // 2, groups=wide, bias=False
        )
        self.bn2 = nn.BatchNorm2d(wide)
        self.se = SqeezeExcitation(wide, se_ratio)
        self.conv3 = nn.Conv2d(wide, planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes)
        self.correct_dim = stride == 1 and inplanes == planes
        self.prob = torch.Tensor([prob])
        self.mended = mended

    def forward(self, x):
        if self.training and not torch.bernoulli(self.prob):
            return x
        out = F.silu(self.bn1(self.conv1(x)))
        out = F.silu(self.bn2(self.conv2(out)))
        out = self.se(out)
        out = self.bn3(self.conv3(out))
        if self.correct_dim:
            if self.mended and not self.training:
                out = out * self.prob.item()
            out += x
        return out


class CoinEfficientNet(nn.Module):
    def __init__(self, mended=False):
        super().__init__()
        self.stage1 = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8))
        self.stage2 = nn.Sequential(
            CoinBottleneck(8, 8, 3, 1, 2, mended=mended),
            CoinBottleneck(8, 8, 3, 1, 2, prob=0.8, mended=mended),
            CoinBottleneck(8, 8, 3, 1, 2, prob=0.6, mended=mended),
        )
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = F.silu(self.stage1(x))
        x = F.silu(self.stage2(x))
        return self.fc(x.mean((2, 3)))


CASES = (
    Case(
        "cifar100_se_residual_ends_in_relu",
        "weiaicunzai/pytorch-cifar100#75",
        "TS301",
        lambda: SEResNet(),
        lambda: SEResNet(False),
        IMAGES,
    ),
    Case(
        "mnist_convunit_ends_in_relu",
        "arunpatala/residual.mnist#8",
        "TS301",
        lambda: mnist_resnet(False),
        lambda: mnist_resnet(True),
        ((2, 1, 14, 14),),
    ),
    Case(
        "forum_unit_adds_into_convs_input",
        "https://discuss.pytorch.org/t/in-place-operation-and-resnet/10724",
        "TS112",
        lambda: ResidualUnitA(),
        lambda: ResidualUnitA(True),
        IMAGES,
    ),
    Case(
        "xception_relu_in_place_first",
        "mapillary/inplace_abn#40",
        "TS104",
        lambda: Xception(),
        lambda: Xception(True),
        IMAGES,
    ),
    Case(
        "efficientnet_coin_without_scale",
        "katsura-jp/efficientnet-pytorch model/efficientnet.py",
        "TS111",
        lambda: CoinEfficientNet(),
        lambda: CoinEfficientNet(True),
        IMAGES,
    ),
)
