"""The sixth set. Asked in threads. Arms of a sum that do not meet."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case


# --- fastai/fastai2 pull request 315: the pool on the identity is 2 whatever the stride
def conv_layer(ni, nf, ks=3, stride=1, act=True):
    parts = [nn.Conv2d(ni, nf, ks, stride, ks // 2, bias=False), nn.BatchNorm2d(nf)]
    if act:
        parts.append(nn.ReLU(inplace=True))
    return nn.Sequential(*parts)


class ResBlockFastai(nn.Module):
    def __init__(self, ni, nf, stride, pool):
        super().__init__()
        self.convs = nn.Sequential(conv_layer(ni, nf, 3, stride), conv_layer(nf, nf, act=False))
        path = []
        if ni != nf:
            path.append(conv_layer(ni, nf, 1, act=False))
        if stride != 1:
            path.insert(0, nn.AvgPool2d(pool, ceil_mode=True))
        self.idpath = nn.Sequential(*path)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(self.convs(x) + self.idpath(x))


def fastai(pool):
    return nn.Sequential(
        conv_layer(4, 8),
        ResBlockFastai(8, 8, 1, 1),
        ResBlockFastai(8, 16, 4, pool),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


# --- he-y/filter-pruning-geometric-median#54: zero padding that doubles the channels, pruned net
class DownsampleA(nn.Module):
    def __init__(self, nin, nout, stride):
        super().__init__()
        self.avg = nn.AvgPool2d(kernel_size=1, stride=stride)

    def forward(self, x):
        x = self.avg(x)
        return torch.cat((x, x.mul(0)), 1)


class DownsampleC(nn.Module):
    def __init__(self, nin, nout, stride):
        super().__init__()
        self.conv = nn.Conv2d(nin, nout, 1, stride, bias=False)

    def forward(self, x):
        return self.conv(x)


class PrunedBlock(nn.Module):
    def __init__(self, inplanes, mid, planes, stride=1, downsample=None):
        super().__init__()
        self.conv_a = nn.Conv2d(inplanes, mid, 3, stride, 1, bias=False)
        self.bn_a = nn.BatchNorm2d(mid)
        self.conv_b = nn.Conv2d(mid, planes, 3, 1, 1, bias=False)
        self.bn_b = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x):
        residual = x
        basicblock = F.relu(self.bn_a(self.conv_a(x)), inplace=True)
        basicblock = self.bn_b(self.conv_b(basicblock))
        if self.downsample is not None:
            residual = self.downsample(x)
        return F.relu(residual + basicblock, inplace=True)


class PrunedCifar(nn.Module):
    def __init__(self, down, widths=(5, 9)):
        super().__init__()
        a, b = widths
        self.conv_1_3x3 = nn.Conv2d(3, a, 3, 1, 1, bias=False)
        self.bn_1 = nn.BatchNorm2d(a)
        self.stage_1 = nn.Sequential(PrunedBlock(a, 4, a), PrunedBlock(a, 3, a))
        self.stage_2 = nn.Sequential(PrunedBlock(a, 7, b, 2, down(a, b, 2)), PrunedBlock(b, 8, b))
        self.avgpool = nn.AvgPool2d(8)
        self.classifier = nn.Linear(b, 10)

    def forward(self, x):
        x = F.relu(self.bn_1(self.conv_1_3x3(x)), inplace=True)
        x = self.avgpool(self.stage_2(self.stage_1(x)))
        return self.classifier(x.view(x.size(0), -1))


# --- yang-song/score_sde_pytorch pull request 62: the first dilated convolution pads by one
def ncsn_conv3x3(a, b, dilation=1, padding=1):
    return nn.Conv2d(a, b, 3, stride=1, padding=padding, dilation=dilation)


class NCSNBlock(nn.Module):
    def __init__(self, dim, out, resample=None, dilation=1, first_padding=1):
        super().__init__()
        self.resample, self.act = resample, nn.ELU()
        self.dim, self.out = dim, out
        self.normalize1 = nn.InstanceNorm2d(dim, affine=True)
        self.normalize2 = nn.InstanceNorm2d(dim, affine=True)
        if dilation > 1:
            self.conv1 = ncsn_conv3x3(dim, dim, dilation, first_padding)
            self.conv2 = ncsn_conv3x3(dim, out, dilation)
            self.shortcut = ncsn_conv3x3(dim, out, dilation)
        else:
            self.conv1, self.conv2 = ncsn_conv3x3(dim, dim), ncsn_conv3x3(dim, out)
            if dim != out:
                self.shortcut = nn.Conv2d(dim, out, 1)

    def forward(self, x):
        output = self.conv1(self.act(self.normalize1(x)))
        output = self.conv2(self.act(self.normalize2(output)))
        shortcut = x if self.out == self.dim and self.resample is None else self.shortcut(x)
        return shortcut + output


def ncsn(first_padding):
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        NCSNBlock(6, 6),
        NCSNBlock(6, 8, "down", 2, first_padding),
        nn.ELU(),
        nn.Conv2d(8, 3, 3, padding=1),
    )


# --- google-research/google-research pull request 2954: projected where channels differ only
class GatedBasicBlock(nn.Module):
    def __init__(self, in_channels, channels, stride, mended):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if in_channels != channels or (mended and stride != 1):
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x, gate):
        out = F.relu(self.bn1(self.conv1(x))) * gate[:, :, None, None]
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class GaterResNet(nn.Module):
    def __init__(self, mended, width=6):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            GatedBasicBlock(width, width, stride, mended) for stride in (1, 2, 2)
        )
        self.gater = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, width), nn.Sigmoid())
        self.head = nn.Linear(width, 5)

    def forward(self, x):
        gate = self.gater(x)
        h = self.stem(x)
        for block in self.blocks:
            h = block(h, gate)
        return self.head(h.mean((2, 3)))


# --- tkipf/pygcn#36: the residual of a graph convolution that changes the width
class GraphConvolution(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(a, b) * a**-0.5)
        self.bias = nn.Parameter(torch.zeros(b))

    def forward(self, x, adj):
        return torch.mm(adj, torch.mm(x, self.weight)) + self.bias


class ResidualGCN(nn.Module):
    def __init__(self, mended, nfeat=20, nhid=8, nclass=3):
        super().__init__()
        self.gc1, self.gc2 = GraphConvolution(nfeat, nhid), GraphConvolution(nhid, nclass)
        self.res = nn.Linear(nfeat, nhid, bias=False) if mended else None

    def forward(self, x, adj):
        h = F.relu(self.gc1(x, adj)) + (x if self.res is None else self.res(x))
        h = F.dropout(h, 0.5, self.training)
        return F.log_softmax(self.gc2(h, adj), dim=1)


CASES = (
    Case(
        "pool of two at a stride of four",
        "fastai/fastai2 PR 315",
        "TS101",
        lambda: fastai(2),
        lambda: fastai(4),
    ),
    Case(
        "zeros that double pruned channels",
        "he-y/filter-pruning-geometric-median#54",
        "TS101",
        lambda: PrunedCifar(DownsampleA),
        lambda: PrunedCifar(DownsampleC),
        ((2, 3, 16, 16),),
    ),
    Case(
        "dilated twice, shortcut once",
        "yang-song/score_sde_pytorch PR 62",
        "TS101",
        lambda: ncsn(1),
        lambda: ncsn(2),
        ((2, 3, 16, 16),),
    ),
    Case(
        "projected for channels and not for strides",
        "google-research/google-research PR 2954",
        "TS101",
        lambda: GaterResNet(False),
        lambda: GaterResNet(True),
        ((2, 3, 16, 16),),
    ),
    Case(
        "residual of a graph convolution",
        "tkipf/pygcn#36",
        "TS101",
        lambda: ResidualGCN(False),
        lambda: ResidualGCN(True),
        ((6, 20), (6, 6)),
    ),
)
