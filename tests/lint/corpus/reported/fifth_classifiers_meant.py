"""A fifth set: classifiers' designs that look suspicious and are mended."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Clean, conv
from .fifth_classifiers_parts import cb, cbr, head


class NoiseShapeDrop(nn.Module):
    def __init__(self, rate) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        ones = x.new_ones((x.shape[0], 1, 1, 1))
        return x * F.dropout(ones, self.rate, self.training)


class NoiseShapeBlock(nn.Module):
    def __init__(self, c) -> None:
        super().__init__()
        self.expand, self.dw, self.project = (
            cbr(c, 2 * c, 1),
            cbr(2 * c, 2 * c, 3, 1, 2 * c),
            cb(2 * c, c, 1),
        )
        self.drop = NoiseShapeDrop(0.2)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.project(self.dw(self.expand(inputs)))
        x = self.drop(x)
        return inputs + x


class BnInception(nn.Module):
    def __init__(self, c) -> None:
        super().__init__()
        q = c // 4
        self.one, self.one_bn, self.relu_one = nn.Conv2d(c, q, 1), nn.BatchNorm2d(q), nn.ReLU(True)
        self.three_reduce, self.three_reduce_bn, self.relu_three_reduce = (
            nn.Conv2d(c, q, 1),
            nn.BatchNorm2d(q),
            nn.ReLU(True),
        )
        self.three, self.three_bn, self.relu_three = (
            conv(q, 2 * q),
            nn.BatchNorm2d(2 * q),
            nn.ReLU(True),
        )
        self.pool, self.proj, self.proj_bn, self.relu_proj = (
            nn.AvgPool2d(3, 1, 1),
            nn.Conv2d(c, q, 1),
            nn.BatchNorm2d(q),
            nn.ReLU(True),
        )

    def forward(self, x: Tensor) -> Tensor:
        one_bn_out = self.one_bn(self.one(x))
        self.relu_one(one_bn_out)
        reduce_bn_out = self.three_reduce_bn(self.three_reduce(x))
        self.relu_three_reduce(reduce_bn_out)
        three_bn_out = self.three_bn(self.three(reduce_bn_out))
        self.relu_three(three_bn_out)
        proj_bn_out = self.proj_bn(self.proj(self.pool(x)))
        self.relu_proj(proj_bn_out)
        return torch.cat([one_bn_out, three_bn_out, proj_bn_out], 1)


class Res2Block(nn.Module):
    def __init__(self, i, width, o, scale=4, stride=1, stype="normal") -> None:
        super().__init__()
        self.conv1 = cbr(i, width * scale, 1)
        self.nums, self.stype, self.width = scale - 1, stype, width
        self.pool = nn.AvgPool2d(3, stride, 1) if stype == "stage" else None
        self.convs = nn.ModuleList(
            nn.Conv2d(width, width, 3, stride, 1, bias=False) for _ in range(self.nums)
        )
        self.bns = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(self.nums))
        self.conv3 = cb(width * scale, o, 1)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = (
            nn.Sequential(
                nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False),
                nn.Conv2d(i, o, 1, bias=False),
                nn.BatchNorm2d(o),
            )
            if stype == "stage"
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        out = self.conv1(x)
        spx = torch.split(out, self.width, 1)
        sp = spx[0]
        for i in range(self.nums):
            sp = spx[i] if i == 0 or self.stype == "stage" else sp + spx[i]
            sp = self.convs[i](sp)
            sp = self.relu(self.bns[i](sp))
            out = sp if i == 0 else torch.cat((out, sp), 1)
        last = spx[self.nums] if self.stype == "normal" else self.pool(spx[self.nums])
        out = self.conv3(torch.cat((out, last), 1))
        if self.downsample is not None:
            residual = self.downsample(x)
        out += residual
        return self.relu(out)


class RexUnit(nn.Module):
    def __init__(self, i, o) -> None:
        super().__init__()
        self.in_channels = i
        self.out = nn.Sequential(
            cbr(i, 2 * i, 1), cb(2 * i, 2 * i, 3, 1, 2 * i), nn.ReLU6(), cb(2 * i, o, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        out = self.out(x)
        out[:, 0 : self.in_channels] += x
        return out


class DualPath(nn.Module):
    def __init__(self, last, i, o, dense, stride, first) -> None:
        super().__init__()
        self.o, self.dense = o, dense
        self.conv1, self.conv2, self.conv3 = (
            cbr(last, i, 1),
            cbr(i, i, 3, stride, 2),
            cb(i, o + dense, 1),
        )
        self.shortcut = nn.Sequential()
        if first:
            self.shortcut = nn.Sequential(
                nn.Conv2d(last, o + dense, 1, stride, bias=False), nn.BatchNorm2d(o + dense)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv3(self.conv2(self.conv1(x)))
        x = self.shortcut(x)
        d = self.o
        out = torch.cat([x[:, :d] + out[:, :d], x[:, d:], out[:, d:]], 1)
        return F.relu(out)


class ShuffleUnit(nn.Module):
    def __init__(self, i, o, stride) -> None:
        super().__init__()
        self.stride, half = stride, o // 2
        if stride == 1:
            self.residual = nn.Sequential(
                cbr(i // 2, half, 1), cb(half, half, 3, 1, half), cbr(half, half, 1)
            )
            self.shortcut = nn.Sequential()
        else:
            self.residual = nn.Sequential(cbr(i, i, 1), cb(i, i, 3, 2, i), cbr(i, half, 1))
            self.shortcut = nn.Sequential(cb(i, i, 3, 2, i), cbr(i, half, 1))

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            c = x.shape[1] // 2
            shortcut, residual = x[:, :c], x[:, c:]
        else:
            shortcut, residual = x, x
        x = torch.cat([self.shortcut(shortcut), self.residual(residual)], 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, -1, h, w)


class RepVgg(nn.Module):
    def __init__(self, i, o, stride=1) -> None:
        super().__init__()
        self.rbr_identity = nn.BatchNorm2d(i) if i == o and stride == 1 else None
        self.rbr_dense, self.rbr_1x1 = cb(i, o, 3, stride), cb(i, o, 1, stride)
        self.se, self.nonlinearity = nn.Identity(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        id_out = 0 if self.rbr_identity is None else self.rbr_identity(x)
        return self.nonlinearity(self.se(self.rbr_dense(x) + self.rbr_1x1(x) + id_out))


class Grow(nn.Module):
    def __init__(self, layer) -> None:
        super().__init__()
        self.net = layer

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, self.net(x)))


RGB = ((2, 3, 16, 16),)


CLEAN: tuple[Clean, ...] = (
    Clean(
        "stochastic_depth_as_dropout_of_ones",
        "Keras' EfficientNet: noise_shape (n, 1, 1, 1)",
        lambda: nn.Sequential(cbr(3, 8), NoiseShapeBlock(8), NoiseShapeBlock(8), *head(8)),
        ((4, 3, 16, 16),),
    ),
    Clean(
        "in_place_rectifiers_not_read",
        "Cadene's BN-Inception: the rectifier writes into the value that is read",
        lambda: nn.Sequential(cbr(3, 8), BnInception(8), BnInception(8), *head(8)),
        RGB,
    ),
    Clean(
        "res2net_hierarchy",
        "Gao et al. 2019: group by group, the last goes by",
        lambda: nn.Sequential(
            cbr(3, 8), Res2Block(8, 4, 16, stride=2, stype="stage"), Res2Block(16, 4, 16), *head(16)
        ),
        RGB,
    ),
    Clean(
        "rexnet_partial_sum",
        "Han et al. 2021: the shortcut covers the first channels",
        lambda: nn.Sequential(cbr(3, 8), RexUnit(8, 12), RexUnit(12, 16), *head(16)),
        RGB,
    ),
    Clean(
        "dual_path",
        "Chen et al. 2017: a sum beside a concatenation",
        lambda: nn.Sequential(
            cbr(3, 8), DualPath(8, 8, 8, 2, 1, True), DualPath(12, 8, 8, 2, 1, False), *head(14)
        ),
        RGB,
    ),
    Clean(
        "shufflenet_halves",
        "Ma et al. 2018: one half is carried on",
        lambda: nn.Sequential(
            cbr(3, 8),
            ShuffleUnit(8, 16, 2),
            ShuffleUnit(16, 16, 1),
            ShuffleUnit(16, 16, 1),
            *head(16),
        ),
        RGB,
    ),
    Clean(
        "repvgg_branches",
        "Ding et al. 2021: identity, 1x1 and 3x3, each normalised",
        lambda: nn.Sequential(RepVgg(3, 8, 2), RepVgg(8, 8), RepVgg(8, 8), *head(8)),
        RGB,
    ),
    Clean(
        "features_without_a_batch",
        "one flat sample: axis 0 is the features",
        lambda: nn.Sequential(
            Grow(nn.Sequential(nn.Linear(6, 4), nn.Tanh())),
            Grow(nn.Sequential(nn.Linear(10, 4), nn.Tanh())),
            nn.Linear(14, 2),
        ),
        ((6,),),
    ),
)
