"""Residual classifiers: what their shortcuts do where the shape changes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from tests.truth.row import Row
from torch import nn
from torch.utils.checkpoint import checkpoint

__all__ = [
    "ROWS",
    "ConvNeXt",
    "InceptionResNet",
    "OptionA",
    "PreActResNet",
    "PyramidNet",
    "SqueezeNetBypass",
    "WideResNet",
]


def conv3(inputs, outputs, stride=1):
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)


class _PreActBlock(nn.Module):
    def __init__(self, in_planes, planes, stride=1):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(in_planes), conv3(in_planes, planes, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(planes), conv3(planes, planes)
        if stride != 1 or in_planes != planes:
            self.shortcut = nn.Sequential(nn.Conv2d(in_planes, planes, 1, stride, bias=False))

    def forward(self, x):
        out = F.relu(self.bn1(x))
        shortcut = self.shortcut(out) if hasattr(self, "shortcut") else x
        out = self.conv1(out)
        out = self.conv2(F.relu(self.bn2(out)))
        out += shortcut
        return out


class PreActResNet(nn.Module):
    """He 2016b, in the way of kuangliu/pytorch-cifar."""

    size = ((3, 32, 32),)

    def __init__(self):
        super().__init__()
        self.in_planes = 16
        self.conv1 = conv3(3, 16)
        self.layer1 = self._make_layer(16, 2, stride=1)
        self.layer2 = self._make_layer(32, 2, stride=2)
        self.linear = nn.Linear(32, 10)

    def _make_layer(self, planes, num_blocks, stride):
        layers = []
        for s in [stride] + [1] * (num_blocks - 1):
            layers.append(_PreActBlock(self.in_planes, planes, s))
            self.in_planes = planes
        return nn.Sequential(*layers)

    def forward(self, x):
        out = self.layer2(self.layer1(self.conv1(x)))
        out = F.avg_pool2d(out, 4)
        return self.linear(out.view(out.size(0), -1).reshape(-1, 32))


class _PyramidBlock(nn.Module):
    outchannel_ratio = 1

    def __init__(self, inplanes, planes, stride=1, downsample=None):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inplanes), conv3(inplanes, planes, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(planes), conv3(planes, planes)
        self.bn3 = nn.BatchNorm2d(planes)
        self.relu, self.downsample = nn.ReLU(inplace=True), downsample

    def forward(self, x):
        out = self.bn1(x)
        out = self.conv1(out)
        out = self.relu(self.bn2(out))
        out = self.conv2(out)
        out = self.bn3(out)
        if self.downsample is not None:
            shortcut = self.downsample(x)
            featuremap_size = shortcut.size()[2:4]
        else:
            shortcut = x
            featuremap_size = out.size()[2:4]
        batch_size = out.size()[0]
        residual_channel = out.size()[1]
        shortcut_channel = shortcut.size()[1]
        if residual_channel != shortcut_channel:
            padding = torch.zeros(
                batch_size, residual_channel - shortcut_channel, *featuremap_size
            ).to(x.device)
            out += torch.cat((shortcut, padding), 1)
        else:
            out += shortcut
        return out


class PyramidNet(nn.Module):
    """Han 2017: every block widens, every shortcut is padded with zero channels."""

    size = ((3, 32, 32),)

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = conv3(3, 16), nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(_PyramidBlock(16, 20), _PyramidBlock(20, 24))
        pool = nn.AvgPool2d((2, 2), stride=(2, 2), ceil_mode=True)
        self.layer2 = nn.Sequential(_PyramidBlock(24, 28, 2, pool), _PyramidBlock(28, 28))
        self.fc = nn.Linear(28, 10)

    def forward(self, x):
        x = self.layer2(self.layer1(self.bn1(self.conv1(x))))
        return self.fc(F.relu(x).mean((2, 3)))


class _WideBlock(nn.Module):
    def __init__(self, in_planes, out_planes, stride, drop_rate=0.3):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(in_planes), conv3(in_planes, out_planes, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(out_planes), conv3(out_planes, out_planes)
        self.droprate = drop_rate
        self.equalInOut = in_planes == out_planes
        self.convShortcut = (
            not self.equalInOut and nn.Conv2d(in_planes, out_planes, 1, stride, bias=False)
        ) or None

    def forward(self, x):
        if not self.equalInOut:
            x = F.relu(self.bn1(x))
        else:
            out = F.relu(self.bn1(x))
        out = F.relu(self.bn2(self.conv1(out if self.equalInOut else x)))
        if self.droprate > 0:
            out = F.dropout(out, p=self.droprate, training=self.training)
        out = self.conv2(out)
        return torch.add(x if self.equalInOut else self.convShortcut(x), out)


class WideResNet(nn.Module):
    """Zagoruyko 2016, in the way of xternalz/WideResNet-pytorch."""

    size = ((3, 32, 32),)

    def __init__(self):
        super().__init__()
        self.conv1 = conv3(3, 16)
        widths = [16, 32, 64, 128]
        self.blocks = nn.ModuleList()
        for i, (a, b) in enumerate(zip(widths, widths[1:])):
            self.blocks.append(_WideBlock(a, b, 1 if i == 0 else 2))
            self.blocks.append(_WideBlock(b, b, 1))
        self.bn1, self.fc = nn.BatchNorm2d(128), nn.Linear(128, 10)

    def forward(self, x):
        out = self.conv1(x)
        for block in self.blocks:
            out = block(out)
        out = F.relu(self.bn1(out))
        out = F.avg_pool2d(out, 8)
        return self.fc(out.view(-1, 128))


class _Lambda(nn.Module):
    def __init__(self, lambd):
        super().__init__()
        self.lambd = lambd

    def forward(self, x):
        return self.lambd(x)


class _OptionABlock(nn.Module):
    def __init__(self, in_planes, planes, stride=1):
        super().__init__()
        self.conv1, self.bn1 = conv3(in_planes, planes, stride), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = conv3(planes, planes), nn.BatchNorm2d(planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_planes != planes:
            self.shortcut = _Lambda(
                lambda x: F.pad(
                    x[:, :, ::2, ::2], (0, 0, 0, 0, planes // 4, planes // 4), "constant", 0
                )
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class OptionA(nn.Module):
    """He 2015 on CIFAR, in the way of akamaster/pytorch_resnet_cifar10."""

    size = ((3, 32, 32),)

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = conv3(3, 16), nn.BatchNorm2d(16)
        self.layers = nn.ModuleDict(
            {
                "one": nn.Sequential(_OptionABlock(16, 16), _OptionABlock(16, 16)),
                "two": nn.Sequential(_OptionABlock(16, 32, 2), _OptionABlock(32, 32)),
                "three": nn.Sequential(_OptionABlock(32, 64, 2), _OptionABlock(64, 64)),
            }
        )
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        for layer in self.layers.values():
            out = checkpoint(layer, out, use_reentrant=False)
        out = F.avg_pool2d(out, out.size()[3])
        return self.linear(out.view(out.size(0), -1))


class _LayerNorm(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(n)), nn.Parameter(torch.zeros(n))

    def forward(self, x):
        u = x.mean(1, keepdim=True)
        s = (x - u).pow(2).mean(1, keepdim=True)
        x = (x - u) / torch.sqrt(s + 1e-6)
        return self.weight[:, None, None] * x + self.bias[:, None, None]


class _Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.pwconv1, self.pwconv2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.act, self.gamma = nn.GELU(), nn.Parameter(1e-6 * torch.ones(dim))

    def forward(self, x):
        input = x
        x = self.dwconv(x)
        x = x.permute(0, 2, 3, 1)
        x = self.pwconv2(self.act(self.pwconv1(self.norm(x))))
        x = self.gamma * x
        x = x.permute(0, 3, 1, 2)
        x = input + x
        return x


class ConvNeXt(nn.Module):
    """Liu 2022, with its layer norm written by hand."""

    size = ((3, 64, 64),)

    def __init__(self):
        super().__init__()
        self.downsample_layers = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(3, 16, 4, 4), _LayerNorm(16)),
                nn.Sequential(_LayerNorm(16), nn.Conv2d(16, 32, 2, 2)),
            ]
        )
        self.stages = nn.ModuleList(
            [nn.Sequential(_Block(16), _Block(16)), nn.Sequential(_Block(32))]
        )

    def forward(self, x):
        for downsample, stage in zip(self.downsample_layers, self.stages):
            x = stage(downsample(x))
        return x.mean([-2, -1])


class _Fire(nn.Module):
    def __init__(self, inplanes, squeeze, expand):
        super().__init__()
        self.squeeze = nn.Conv2d(inplanes, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x):
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], 1)


class SqueezeNetBypass(nn.Module):
    """Iandola 2016 with simple bypass."""

    size = ((3, 64, 64),)

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, 2)
        self.fire2, self.fire3 = _Fire(32, 8, 16), _Fire(32, 8, 16)
        self.fire4, self.fire5 = _Fire(32, 16, 32), _Fire(64, 16, 32)
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv10 = nn.Conv2d(64, 10, 1)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.fire2(x)
        x = x + self.fire3(x)
        x = self.pool(self.fire4(x))
        x = self.fire5(x) + x
        return self.conv10(x).mean((2, 3))


def conv_bn(inputs, outputs, kernel=1, stride=1, groups=1, act=True):
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if act else nn.Sequential(*layers)


class _InceptionResA(nn.Module):
    def __init__(self, n, scale=0.17):
        super().__init__()
        self.scale = scale
        self.branch0 = conv_bn(n, 8)
        self.branch1 = nn.Sequential(conv_bn(n, 8), conv_bn(8, 8, 3))
        self.branch2 = nn.Sequential(conv_bn(n, 8), conv_bn(8, 12, 3), conv_bn(12, 16, 3))
        self.conv2d = nn.Conv2d(32, n, 1)

    def forward(self, x):
        out = torch.cat((self.branch0(x), self.branch1(x), self.branch2(x)), 1)
        out = self.conv2d(out)
        out = out * self.scale + x
        return F.relu(out)


class InceptionResNet(nn.Module):
    """Szegedy 2017 with one reduction."""

    size = ((3, 48, 48),)

    def __init__(self):
        super().__init__()
        self.stem = conv_bn(3, 16, 3, 2)
        self.block35 = nn.Sequential(_InceptionResA(16), _InceptionResA(16))
        self.branch0 = conv_bn(16, 16, 3, 2)
        self.branch1 = nn.Sequential(conv_bn(16, 16), conv_bn(16, 16, 3), conv_bn(16, 16, 3, 2))
        self.branch2 = nn.MaxPool2d(3, stride=2, padding=1)
        self.last = _InceptionResA(48)

    def forward(self, x):
        x = self.block35(self.stem(x))
        x = torch.cat((self.branch0(x), self.branch1(x), self.branch2(x)), 1)
        return self.last(x)


ROWS: tuple[Row, ...] = (
    Row(
        "written/PreActResNet",
        {"identity": 3, "projection": 1},
        "2+2 blocks; the projection starts after norm and ReLU, the identities before",
        (
            (3, "identity", "layer?.?", "out += shortcut", "*"),
            (1, "projection", "layer2.0", "out += shortcut", "layer2.0"),
        ),
    ),
    Row(
        "written/PyramidNet",
        {"identity": 1, "projection": 3},
        "three blocks pad their shortcut with zero channels, one of them pools it; one keeps",
        (
            (3, "projection", "layer?.?", "out += torch.cat((shortcut, padding), 1)", "*"),
            (1, "identity", "layer2.1", "out += shortcut", "layer2.0"),
        ),
    ),
    Row(
        "written/WideResNet",
        {"identity": 3, "projection": 3},
        "the first of each group of two projects its activated input",
        (
            (3, "projection", "blocks.[024]", "return torch.add(*", "blocks.[024]"),
            (3, "identity", "blocks.[135]", "return torch.add(*", "blocks.[024]"),
        ),
    ),
    Row(
        "written/OptionA",
        {"identity": 4, "projection": 2},
        "two of six blocks stride and pad; each stage is checkpointed",
        (
            (2, "projection", "layers.t*.0", "out += self.shortcut(x)", "layers.*.1"),
            (4, "identity", "layers.*", "out += self.shortcut(x)", "*"),
        ),
    ),
    Row(
        "written/ConvNeXt",
        {"identity": 3},
        "three blocks; a layer norm by hand subtracts a mean, no skip",
        ((3, "identity", "stages.?.?", "x = input + x", "*"),),
    ),
    Row(
        "written/SqueezeNetBypass",
        {"identity": 2},
        "two fires of four are bypassed; a fire is parallel branches",
        (
            (1, "identity", "", "x = x + self.fire3(x)", "fire2"),
            (1, "identity", "", "x = self.fire5(x) + x", "pool"),
        ),
    ),
    Row(
        "written/InceptionResNet",
        {"identity": 3},
        "three scaled sums; inside them and in the reduction are parallel branches",
        (
            (2, "identity", "block35.?", "out = out * self.scale + x", "*"),
            (1, "identity", "last", "out = out * self.scale + x", ""),
        ),
    ),
)
