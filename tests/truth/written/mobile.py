"""Cheap blocks: shuffled, split, reparametrised and squeezed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from tests.truth.row import Row
from torch import nn

__all__ = ["ROWS", "DBBNet", "MobileNetV3", "MobileViT", "Res2Net", "ShuffleNet"]


def conv_bn(inputs, outputs, kernel=1, stride=1, groups=1, act=True):
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if act else nn.Sequential(*layers)


class _ShuffleUnit(nn.Module):
    def __init__(self, inputs, outputs, groups, stride):
        super().__init__()
        self.stride, self.groups = stride, groups
        outputs = outputs - inputs if stride == 2 else outputs
        middle = outputs // 4
        self.conv1 = conv_bn(inputs, middle, groups=groups)
        self.conv2 = conv_bn(middle, middle, 3, stride, groups=middle, act=False)
        self.conv3 = conv_bn(middle, outputs, groups=groups, act=False)

    def channel_shuffle(self, x):
        b, c, h, w = x.size()
        x = x.view(b, self.groups, c // self.groups, h, w)
        return torch.transpose(x, 1, 2).contiguous().view(b, -1, h, w)

    def forward(self, x):
        residual = x
        if self.stride == 2:
            residual = F.avg_pool2d(residual, kernel_size=3, stride=2, padding=1)
        out = self.conv3(self.conv2(self.channel_shuffle(self.conv1(x))))
        out = torch.cat((residual, out), 1) if self.stride == 2 else residual + out
        return F.relu(out)


class ShuffleNet(nn.Module):
    """Zhang 2018, version 1."""

    size = ((3, 64, 64),)

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, 16, 3, 2), nn.MaxPool2d(3, 2, 1))
        self.stage2 = nn.Sequential(
            _ShuffleUnit(16, 48, 2, 2), _ShuffleUnit(48, 48, 2, 1), _ShuffleUnit(48, 48, 2, 1)
        )
        self.stage3 = nn.Sequential(_ShuffleUnit(48, 96, 2, 2), _ShuffleUnit(96, 96, 2, 1))

    def forward(self, x):
        return self.stage3(self.stage2(self.stem(x))).mean((2, 3))


def cbr(a, b, k=3, s=1, d=1, g=1):
    conv = nn.Conv2d(a, b, k, s, d * (k // 2), dilation=d, groups=g, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(b), nn.ReLU(inplace=True))


class _HSwish(nn.Module):
    def forward(self, x):
        return x * F.relu6(x + 3) / 6


class _HSigmoid(nn.Module):
    def forward(self, x):
        return F.relu6(x + 3) / 6


class _SELayer(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(
            nn.Linear(n, n // 4), nn.ReLU(True), nn.Linear(n // 4, n), _HSigmoid()
        )

    def forward(self, x):
        b, c, _, _ = x.size()
        y = self.avg_pool(x).view(b, c)
        y = self.fc(y).view(b, c, 1, 1)
        return x * y


class _V3Block(nn.Module):
    def __init__(self, inp, hidden, oup, k, stride, use_se, use_hs):
        super().__init__()
        self.identity = stride == 1 and inp == oup
        act = _HSwish if use_hs else nn.ReLU
        self.conv = nn.Sequential(
            nn.Conv2d(inp, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            act(),
            nn.Conv2d(hidden, hidden, k, stride, k // 2, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            _SELayer(hidden) if use_se else nn.Identity(),
            act(),
            nn.Conv2d(hidden, oup, 1, bias=False),
            nn.BatchNorm2d(oup),
        )

    def forward(self, x):
        if self.identity:
            return x + self.conv(x)
        return self.conv(x)


class MobileNetV3(nn.Module):
    """Howard 2019, in the way of d-li14/mobilenetv3.pytorch."""

    size = ((3, 64, 64),)

    def __init__(self):
        super().__init__()
        table = [
            (8, 8, 8, 3, 1, True, False),
            (8, 24, 16, 3, 2, False, False),
            (16, 32, 16, 3, 1, False, False),
            (16, 48, 24, 5, 2, True, True),
            (24, 64, 24, 5, 1, True, True),
        ]
        self.features = nn.Sequential(cbr(3, 8, 3, 2), *(_V3Block(*row) for row in table))
        self.classifier = nn.Sequential(
            nn.Linear(24, 32), _HSwish(), nn.Dropout(0.2), nn.Linear(32, 10)
        )

    def forward(self, x):
        x = self.features(x)
        x = F.adaptive_avg_pool2d(x, 1)
        return self.classifier(x.view(x.size(0), -1))


class _Bottle2neck(nn.Module):
    def __init__(self, inplanes, planes, scale=4, stype="normal"):
        super().__init__()
        self.width = planes // scale
        self.conv1, self.conv3 = (
            cbr(inplanes, planes, 1),
            nn.Sequential(nn.Conv2d(planes, inplanes, 1)),
        )
        self.convs = nn.ModuleList(cbr(self.width, self.width) for _ in range(scale - 1))
        self.nums, self.stype = scale - 1, stype

    def forward(self, x):
        residual = x
        out = self.conv1(x)
        spx = torch.split(out, self.width, 1)
        for i in range(self.nums):
            if i == 0 or self.stype == "stage":
                sp = spx[i]
            else:
                sp = sp + spx[i]
            sp = self.convs[i](sp)
            if i == 0:
                out = sp
            else:
                out = torch.cat((out, sp), 1)
        out = torch.cat((out, spx[self.nums]), 1)
        out = self.conv3(out)
        out += residual
        return F.relu(out)


class Res2Net(nn.Module):
    """Gao 2019, in its authors' words: the groups are concatenated one by one."""

    size = ((3, 24, 24),)

    def __init__(self):
        super().__init__()
        self.stem, self.layers = (
            cbr(3, 16, 3, 2),
            nn.Sequential(*(_Bottle2neck(16, 16) for _ in range(3))),
        )

    def forward(self, x):
        return self.layers(self.stem(x))


def conv3(a, b, stride=1):
    return nn.Conv2d(a, b, 3, stride, 1)


class _DBB(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.dbb_origin = nn.Sequential(conv3(n, n), nn.BatchNorm2d(n))
        self.dbb_1x1 = nn.Sequential(nn.Conv2d(n, n, 1), nn.BatchNorm2d(n))
        self.dbb_avg = nn.Sequential(nn.Conv2d(n, n, 1), nn.BatchNorm2d(n), nn.AvgPool2d(3, 1, 1))
        self.dbb_1x1_kxk = nn.Sequential(nn.Conv2d(n, n, 1), nn.BatchNorm2d(n), conv3(n, n))

    def forward(self, inputs):
        out = self.dbb_origin(inputs)
        out += self.dbb_1x1(inputs)
        out += self.dbb_avg(inputs)
        out += self.dbb_1x1_kxk(inputs)
        return F.relu(out)


class DBBNet(nn.Module):
    """Ding 2021: diverse branches, every one of them with a convolution."""

    size = ((3, 24, 24),)

    def __init__(self):
        super().__init__()
        self.stem, self.blocks = cbr(3, 8, 3, 2), nn.Sequential(_DBB(8), _DBB(8), _DBB(8))

    def forward(self, x):
        return self.blocks(self.stem(x))


class _MV2(nn.Module):
    def __init__(self, a, b, stride=1):
        super().__init__()
        self.use_res_connect = stride == 1 and a == b
        self.conv = nn.Sequential(
            cbr(a, 2 * a, 1), cbr(2 * a, 2 * a, 3, stride, g=2 * a), nn.Conv2d(2 * a, b, 1)
        )

    def forward(self, x):
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class _MobileViTBlock(nn.Module):
    def __init__(self, n, d):
        super().__init__()
        self.conv1, self.conv2 = cbr(n, n), nn.Conv2d(n, d, 1, bias=False)
        layer = nn.TransformerEncoderLayer(d, 2, 2 * d, batch_first=True, norm_first=True)
        self.transformer = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.conv3, self.conv4 = cbr(d, n, 1), cbr(2 * n, n)

    def forward(self, x):
        y = x.clone()
        x = self.conv2(self.conv1(x))
        b, d, h, w = x.shape
        x = x.reshape(b, d, h // 2, 2, w // 2, 2).permute(0, 3, 5, 2, 4, 1).reshape(b * 4, -1, d)
        x = self.transformer(x)
        x = x.reshape(b, 2, 2, h // 2, w // 2, d).permute(0, 5, 3, 1, 4, 2).reshape(b, d, h, w)
        x = self.conv3(x)
        x = torch.cat((x, y), 1)
        return self.conv4(x)


class MobileViT(nn.Module):
    """Mehta 2022: the block's input is concatenated with its tokens."""

    size = ((3, 32, 32),)

    def __init__(self):
        super().__init__()
        self.conv1 = cbr(3, 8, 3, 2)
        self.mv2 = nn.ModuleList([_MV2(8, 16), _MV2(16, 16), _MV2(16, 24, 2), _MV2(24, 24)])
        self.mvit = nn.ModuleList([_MobileViTBlock(24, 16)])
        self.pool = nn.AvgPool2d(8, 1)

    def forward(self, x):
        x = self.conv1(x)
        for layer in self.mv2:
            x = layer(x)
        return self.pool(self.mvit[0](x)).view(-1, 24)


ROWS: tuple[Row, ...] = (
    Row(
        "written/ShuffleNet",
        {"identity": 3, "pool-concat": 2},
        "3+2 units, the first of each stage strides",
        (
            (2, "pool-concat", "stage?.0", "out = torch.cat(*", "*"),
            (3, "identity", "stage?.[12]", "out = torch.cat(*", "stage?.?"),
        ),
    ),
    Row(
        "written/MobileNetV3",
        {"identity": 3, "gate": 3},
        "blocks 1, 3 and 5 keep; 1, 4 and 5 squeeze; h-swish is an activation",
        ((3, "gate", "features.*", "return x * y", "*"),),
    ),
    Row(
        "written/Res2Net",
        {"identity": 3, "split-concat": 3},
        "three blocks; the last group goes past the convolutions",
        ((3, "split-concat", "layers.?", "out = torch.cat((out, spx[[]self.nums]), 1)", "*"),),
    ),
    Row("written/DBBNet", {}, "four branches, summed one after the other, each with a convolution"),
    Row(
        "written/MobileViT",
        {"identity": 6, "concat": 1},
        "two of four inverted bottlenecks keep; two transformer layers of two sums; the block's "
        "input beside its output",
        (
            (2, "identity", "mv2.[13]", "return x + self.conv(x) *", "mv2.[02]*"),
            (4, "identity", "mvit.0.transformer.layers.?", "*", "*"),
            (1, "concat", "mvit.0", "x = torch.cat((x, y), 1)", "mv2.3"),
        ),
    ),
)
