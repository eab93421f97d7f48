"""Blocks of classifiers whose sums take the wrong thing, or none."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case

IMAGES = ((2, 3, 32, 32),)


def conv_layer(ni, nf, ks=3, stride=1, act=True):
    layers = [nn.Conv2d(ni, nf, ks, stride=stride, padding=ks // 2, bias=False), nn.BatchNorm2d(nf)]
    if act:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def conv3x3(a, b, stride=1, groups=1):
    return nn.Conv2d(a, b, 3, stride, 1, bias=False, groups=groups)


# ---- nyoki-mtl/keras-facenet#3: the scaled branch is stored under the name of the input


class BasicConv(nn.Module):
    def __init__(self, a, b, kernel_size, padding=0, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(a, b, kernel_size, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(b)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.bn(self.conv(x)))


class Block35(nn.Module):
    def __init__(self, scale=0.17, mended=False):
        super().__init__()
        self.scale, self.mended = scale, mended
        self.branch0 = BasicConv(16, 4, 1)
        self.branch1 = nn.Sequential(BasicConv(16, 4, 1), BasicConv(4, 4, 3, padding=1))
        self.conv2d = nn.Conv2d(8, 16, 1)
        self.relu = nn.ReLU(inplace=False)

    def forward(self, x):
        mixed = torch.cat([self.branch0(x), self.branch1(x)], 1)
        up = self.conv2d(mixed)
        if self.mended:
            up = up * self.scale
        else:
            x = up * self.scale
        x = x + up
        return self.relu(x)


class InceptionResnet(nn.Module):
    def __init__(self, mended=False):
        super().__init__()
        self.stem = BasicConv(3, 16, 3, padding=1, stride=2)
        self.repeat_1 = nn.Sequential(*(Block35(mended=mended) for _ in range(3)))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.last_linear = nn.Linear(16, 8)

    def forward(self, x):
        x = self.repeat_1(self.stem(x))
        return self.last_linear(self.avgpool(x).flatten(1))


# ---- pangdatangtt/UniNet#15: bn5 serves both branches of the bottleneck, bn6 none


class AttnBottleneck(nn.Module):
    expansion = 2

    def __init__(self, inplanes, planes, mended=False):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inplanes, planes, 1, bias=False), nn.BatchNorm2d(planes)
        half = planes // 2
        self.conv3x3, self.bn2 = conv3x3(half, half), nn.BatchNorm2d(half)
        self.conv3x3_, self.bn6 = conv3x3(half, half), nn.BatchNorm2d(half)
        self.conv7x7, self.bn4 = (
            nn.Conv2d(half, half, 7, padding=3, bias=False),
            nn.BatchNorm2d(half),
        )
        self.conv7x7_, self.bn5 = (
            nn.Conv2d(half, half, 7, padding=3, bias=False),
            nn.BatchNorm2d(half),
        )
        self.conv3, self.bn3 = (
            nn.Conv2d(planes, planes * self.expansion, 1, bias=False),
            nn.BatchNorm2d(planes * self.expansion),
        )
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if inplanes != planes * self.expansion:
            self.downsample = nn.Sequential(
                nn.Conv2d(inplanes, planes * self.expansion, 1, bias=False),
                nn.BatchNorm2d(planes * self.expansion),
            )
        self.mended = mended

    def forward(self, x):
        def process_branch(inp, conv1, bn1, conv2, bn2, relu):
            out = relu(bn1(conv1(inp)))
            return relu(bn2(conv2(out)))

        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        x_ = out.chunk(2, dim=1)
        last = self.bn6 if self.mended else self.bn5
        out1 = process_branch(x_[0], self.conv3x3, self.bn2, self.conv3x3_, last, self.relu)
        out2 = process_branch(x_[-1], self.conv7x7, self.bn4, self.conv7x7_, self.bn5, self.relu)
        out = self.bn3(self.conv3(torch.cat((out1, out2), 1)))
        return self.relu(out + identity)


def uninet(mended):
    return nn.Sequential(
        conv_layer(3, 16, stride=2),
        AttnBottleneck(16, 8, mended),
        AttnBottleneck(16, 16, mended),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 4),
    )


# ---- neuleaf/MobileNetV2#4: res_block takes `shortcut` and adds nothing


class MobileResBlock(nn.Module):
    def __init__(self, in_dim, output_dim, expansion_ratio, stride, shortcut=True, mended=False):
        super().__init__()
        bottleneck_dim = expansion_ratio * in_dim
        self.pw = nn.Conv2d(in_dim, bottleneck_dim, 1, bias=False)
        self.pw_bn = nn.BatchNorm2d(bottleneck_dim)
        self.dw = nn.Conv2d(
            bottleneck_dim, bottleneck_dim, 3, stride, 1, groups=bottleneck_dim, bias=False
        )
        self.dw_bn = nn.BatchNorm2d(bottleneck_dim)
        self.pwl = nn.Conv2d(bottleneck_dim, output_dim, 1, bias=False)
        self.pwl_bn = nn.BatchNorm2d(output_dim)
        self.shortcut, self.stride, self.mended = shortcut, stride, mended
        self.same = in_dim == output_dim

    def forward(self, input):
        net = F.relu6(self.pw_bn(self.pw(input)))
        net = F.relu6(self.dw_bn(self.dw(net)))
        net = self.pwl_bn(self.pwl(net))
        if self.mended and self.shortcut and self.stride == 1 and self.same:
            net = input + net
        return net


class MobileNetV2(nn.Module):
    def __init__(self, mended=False):
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6()
        )
        self.res2_1 = MobileResBlock(8, 8, 1, 1, shortcut=False, mended=mended)
        self.res3_1 = MobileResBlock(8, 12, 6, 2, mended=mended)
        self.res3_2 = MobileResBlock(12, 12, 6, 1, mended=mended)
        self.res4_1 = MobileResBlock(12, 16, 6, 2, mended=mended)
        self.res4_2 = MobileResBlock(16, 16, 6, 1, mended=mended)
        self.res4_3 = MobileResBlock(16, 16, 6, 1, mended=mended)
        self.logits = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        net = self.res3_2(self.res3_1(self.res2_1(self.conv1(x))))
        net = self.res4_3(self.res4_2(self.res4_1(net)))
        return self.logits(F.adaptive_avg_pool2d(net, 1)).flatten(1)


# ---- eeric/channel_prune#11: the pruner walks through the layers of each block, without its sum


class PruneBlock(nn.Module):
    def __init__(self, inplanes, planes, stride=1, downsample=None):
        super().__init__()
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x):
        residual = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + residual)


class FilterPrunner(nn.Module):
    def __init__(self, mended=False):
        super().__init__()
        down = nn.Sequential(nn.Conv2d(8, 16, 1, 2, bias=False), nn.BatchNorm2d(16))
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 7, 2, 3, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.Sequential(PruneBlock(8, 8), PruneBlock(8, 8)),
            nn.Sequential(PruneBlock(8, 16, 2, down), PruneBlock(16, 16)),
            nn.AdaptiveAvgPool2d(1),
        )
        self.fc = nn.Sequential(
            nn.Dropout(), nn.Linear(16, 8), nn.ReLU(inplace=True), nn.Linear(8, 4)
        )
        self.mended = mended

    def forward(self, x):
        self.activations = []
        for layer, (_name, module) in enumerate(self.features._modules.items()):
            if layer < 3 or layer > 4 or self.mended:
                x = module(x)
            else:
                for kt in range(2):
                    x = module[kt].conv1(x)
                    self.activations.append(x)
                    x = module[kt].bn1(x)
                    x = module[kt].relu(x)
                    x = module[kt].conv2(x)
                    self.activations.append(x)
                    x = module[kt].bn2(x)
        return self.fc(x.view(x.size(0), -1))


CASES = (
    Case(
        "facenet_scaled_under_the_inputs_name",
        "nyoki-mtl/keras-facenet#3",
        "TS106",
        lambda: InceptionResnet(),
        lambda: InceptionResnet(True),
        IMAGES,
    ),
    Case(
        "uninet_norm_of_the_other_branch",
        "pangdatangtt/UniNet#15",
        "TS203",
        lambda: uninet(False),
        lambda: uninet(True),
        IMAGES,
    ),
    Case(
        "mobilenetv2_res_block_adds_nothing",
        "neuleaf/MobileNetV2#4",
        "TS201",
        lambda: MobileNetV2(),
        lambda: MobileNetV2(True),
        IMAGES,
    ),
    Case(
        "pruner_walks_without_the_sums",
        "eeric/channel_prune#11",
        "TS201",
        lambda: FilterPrunner(),
        lambda: FilterPrunner(True),
        IMAGES,
    ),
)
