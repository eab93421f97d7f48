"""Blocks whose arms do not meet: strides twice, widths of another block, a pool of two for four."""

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


def noop(x):
    return x


def conv3x3(a, b, stride=1, groups=1):
    return nn.Conv2d(a, b, 3, stride, 1, bias=False, groups=groups)


# ---- lessw2020/res2net-plus#4: conv1 strides, the split convolutions stride again


class Res2Block(nn.Module):
    def __init__(self, expansion, ni, nh, stride=1, scale=4, first_block=False, mended=False):
        super().__init__()
        self.first_block, self.scale = first_block, scale
        nf, ni = nh * expansion, ni * expansion
        width = nf // 4
        self.width = width
        self.conv1 = conv_layer(ni, width * scale, 1, stride=1 if mended else stride)
        self.conv3 = conv_layer(width * scale, nf, 1, act=False)
        if first_block:
            self.pool = nn.AvgPool2d(3, stride=stride, padding=1)
        self.convs = nn.ModuleList(
            [conv_layer(width, width, 3, stride=stride) for _ in range(scale - 1)]
        )
        self.idconv = noop if ni == nf else conv_layer(ni, nf, 1, act=False)
        self.idpool = noop if stride == 1 else nn.AvgPool2d(2, ceil_mode=True)
        self.act_fn = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.conv1(x)
        xs = torch.chunk(out, self.scale, 1)
        y = 0
        outs = []
        for conv, xi in zip(self.convs, xs[:-1], strict=True):
            y = conv(xi if self.first_block else xi + y)
            outs.append(y)
        outs.append(self.pool(xs[-1]) if self.first_block else xs[-1])
        out = self.conv3(torch.cat(outs, 1))
        return self.act_fn(out + self.idconv(self.idpool(x)))


class XRes2Net(nn.Module):
    def __init__(self, mended=False):
        super().__init__()
        self.stem = conv_layer(3, 16)
        self.body = nn.Sequential(
            Res2Block(4, 4, 4, first_block=True, mended=mended),
            Res2Block(4, 4, 4, mended=mended),
            Res2Block(4, 4, 8, stride=2, first_block=True, mended=mended),
            Res2Block(4, 8, 8, mended=mended),
        )
        self.fc = nn.Linear(32, 5)

    def forward(self, x):
        return self.fc(self.body(self.stem(x)).mean((2, 3)))


# ---- huggingface/pytorch-image-models#1699: ConvNeXt block with another width has no projection


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x):
        return F.layer_norm(
            x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps
        ).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    def __init__(
        self, in_chs, out_chs=None, kernel_size=7, mlp_ratio=4, ls_init_value=1e-6, mended=False
    ):
        super().__init__()
        out_chs = out_chs or in_chs
        self.conv_dw = nn.Conv2d(
            in_chs, out_chs, kernel_size, padding=kernel_size // 2, groups=in_chs
        )
        self.norm = nn.LayerNorm(out_chs, eps=1e-6)
        self.fc1 = nn.Linear(out_chs, int(mlp_ratio * out_chs))
        self.act = nn.GELU()
        self.fc2 = nn.Linear(int(mlp_ratio * out_chs), out_chs)
        self.gamma = nn.Parameter(ls_init_value * torch.ones(out_chs))
        self.drop_path = nn.Identity()
        self.shortcut = (
            nn.Conv2d(in_chs, out_chs, 1) if mended and in_chs != out_chs else nn.Identity()
        )

    def forward(self, x):
        shortcut = x
        x = self.conv_dw(x)
        x = x.permute(0, 2, 3, 1)
        x = self.fc2(self.act(self.fc1(self.norm(x))))
        x = x.permute(0, 3, 1, 2)
        x = x.mul(self.gamma.reshape(1, -1, 1, 1))
        return self.drop_path(x) + self.shortcut(shortcut)


class ConvNeXt(nn.Module):
    def __init__(self, mended=False):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), LayerNorm2d(8, eps=1e-6))
        self.blocks = nn.Sequential(
            ConvNeXtBlock(8, mended=mended), ConvNeXtBlock(8, 16, mended=mended)
        )
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean((-2, -1)))


# ---- fastai/fastai pull request 2546: the identity path pools by 2 whatever the stride is


class XResBlock(nn.Module):
    def __init__(self, expansion, ni, nh, stride=1, mended=False):
        super().__init__()
        nf, ni = nh * expansion, ni * expansion
        self.convs = nn.Sequential(
            conv_layer(ni, nh, 1),
            conv_layer(nh, nh, 3, stride=stride),
            conv_layer(nh, nf, 1, act=False),
        )
        self.idconv = noop if ni == nf else conv_layer(ni, nf, 1, act=False)
        self.pool = noop if stride == 1 else nn.AvgPool2d(stride if mended else 2, ceil_mode=True)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(self.convs(x) + self.idconv(self.pool(x)))


def xresnet(mended):
    return nn.Sequential(
        conv_layer(3, 16),
        XResBlock(4, 4, 4, mended=mended),
        XResBlock(4, 4, 8, stride=4, mended=mended),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


# ---- miraclewkf/ResNeXt-PyTorch#3: the basic block of a ResNeXt returns twice the planes


class ResNeXtBasicBlock(nn.Module):
    expansion = 1

    def __init__(self, inplanes, planes, stride=1, downsample=None, num_group=4, mended=False):
        super().__init__()
        self.conv1 = conv3x3(inplanes, planes * 2, stride)
        self.bn1 = nn.BatchNorm2d(planes * 2)
        self.relu = nn.ReLU(inplace=True)
        last = planes if mended else planes * 2
        self.conv2 = conv3x3(planes * 2, last, groups=num_group)
        self.bn2 = nn.BatchNorm2d(last)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x):
        residual = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            residual = self.downsample(x)
        out += residual
        return self.relu(out)


class ResNeXt(nn.Module):
    def __init__(self, mended=False):
        super().__init__()
        self.inplanes = 8
        self.conv1 = nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self._make_layer(8, 2, 1, mended)
        self.layer2 = self._make_layer(16, 2, 2, mended)
        self.fc = nn.Linear(16, 10)

    def _make_layer(self, planes, blocks, stride, mended):
        downsample = None
        if stride != 1 or self.inplanes != planes:
            downsample = nn.Sequential(
                nn.Conv2d(self.inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
            )
        layers = [ResNeXtBasicBlock(self.inplanes, planes, stride, downsample, mended=mended)]
        self.inplanes = planes
        layers += [ResNeXtBasicBlock(planes, planes, mended=mended) for _ in range(1, blocks)]
        return nn.Sequential(*layers)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer2(self.layer1(x))
        return self.fc(x.mean((2, 3)))


# ---- dog-qiuqiu/MobileNet-Yolo#16: a cfg whose [shortcut] reaches over a strided convolution


class Darknet(nn.Module):
    """Layers from a list of dicts, outputs cached by index, as the cfg parsers do."""

    def __init__(self, blocks):
        super().__init__()
        self.defs = blocks
        self.module_list = nn.ModuleList()
        filters = [3]
        for block in blocks:
            modules = nn.Sequential()
            out = filters[-1]
            if block["type"] == "convolutional":
                out = block["filters"]
                size, stride = block["size"], block["stride"]
                modules.add_module(
                    "conv",
                    nn.Conv2d(
                        filters[-1],
                        out,
                        size,
                        stride,
                        size // 2,
                        groups=block.get("groups", 1),
                        bias=False,
                    ),
                )
                modules.add_module("bn", nn.BatchNorm2d(out))
                if block["activation"] == "leaky":
                    modules.add_module("leaky", nn.LeakyReLU(0.1, inplace=True))
            self.module_list.append(modules)
            filters.append(out)
        self.out = nn.Conv2d(filters[-1], 6, 1)

    def forward(self, x):
        layer_outputs = []
        for block, module in zip(self.defs, self.module_list, strict=True):
            if block["type"] == "convolutional":
                x = module(x)
            elif block["type"] == "shortcut":
                x = layer_outputs[-1] + layer_outputs[block["from"]]
            layer_outputs.append(x)
        return self.out(x)


def cnv(filters, size, stride=1, groups=1, activation="leaky"):
    return {
        "type": "convolutional",
        "filters": filters,
        "size": size,
        "stride": stride,
        "groups": groups,
        "activation": activation,
    }


STEM = [cnv(8, 3, 2), cnv(16, 3, 2)]
BAD_CFG = [
    *STEM,
    cnv(8, 1),
    cnv(8, 3, groups=4),
    cnv(16, 1, activation="linear"),
    {"type": "shortcut", "from": -4},
    cnv(8, 1),
    cnv(8, 3, 2, groups=4),
    cnv(16, 1, activation="linear"),
    {"type": "shortcut", "from": -4},
]
GOOD_CFG = [
    *BAD_CFG[:6],
    cnv(16, 3, 2),
    cnv(8, 1),
    cnv(8, 3, groups=4),
    cnv(16, 1, activation="linear"),
    {"type": "shortcut", "from": -4},
]


CASES = (
    Case(
        "res2net_plus_strides_twice",
        "lessw2020/res2net-plus#4",
        "TS101",
        lambda: XRes2Net(),
        lambda: XRes2Net(True),
        IMAGES,
    ),
    Case(
        "convnext_block_of_other_width",
        "huggingface/pytorch-image-models#1699",
        "TS101",
        lambda: ConvNeXt(),
        lambda: ConvNeXt(True),
        IMAGES,
    ),
    Case(
        "xresnet_pools_by_two_at_stride_four",
        "fastai/fastai PR 2546",
        "TS101",
        lambda: xresnet(False),
        lambda: xresnet(True),
        IMAGES,
    ),
    Case(
        "resnext_basic_block_doubles_planes",
        "miraclewkf/ResNeXt-PyTorch#3",
        "TS101",
        lambda: ResNeXt(),
        lambda: ResNeXt(True),
        IMAGES,
    ),
    Case(
        "resnext_cfg_shortcut_over_a_stride",
        "dog-qiuqiu/MobileNet-Yolo#16",
        "TS101",
        lambda: Darknet(BAD_CFG),
        lambda: Darknet(GOOD_CFG),
        IMAGES,
    ),
)
