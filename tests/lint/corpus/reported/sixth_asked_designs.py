"""The sixth set. Asked about and right: image networks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Clean

IMAGE = ((2, 3, 16, 16),)


# --- Visual-Attention-Network/VAN-Classification#4
class LKA(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.conv0 = nn.Conv2d(d, d, 5, padding=2, groups=d)
        self.conv_spatial = nn.Conv2d(d, d, 7, padding=9, groups=d, dilation=3)
        self.conv1 = nn.Conv2d(d, d, 1)

    def forward(self, x):
        u = x.clone()
        return u * self.conv1(self.conv_spatial(self.conv0(x)))


class VANAttention(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.proj_1, self.proj_2 = nn.Conv2d(d, d, 1), nn.Conv2d(d, d, 1)
        self.activation, self.spatial_gating_unit = nn.GELU(), LKA(d)

    def forward(self, x):
        shorcut = x.clone()
        x = self.activation(self.proj_1(x))
        x = self.proj_2(self.spatial_gating_unit(x))
        return x + shorcut


class VANBlock(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(d), nn.BatchNorm2d(d)
        self.attn = VANAttention(d)
        self.mlp = nn.Sequential(
            nn.Conv2d(d, 2 * d, 1),
            nn.Conv2d(2 * d, 2 * d, 3, padding=1, groups=2 * d),
            nn.GELU(),
            nn.Conv2d(2 * d, d, 1),
        )
        self.layer_scale_1 = nn.Parameter(1e-2 * torch.ones(d))
        self.layer_scale_2 = nn.Parameter(1e-2 * torch.ones(d))

    def forward(self, x):
        x = x + self.layer_scale_1[:, None, None] * self.attn(self.norm1(x))
        return x + self.layer_scale_2[:, None, None] * self.mlp(self.norm2(x))


def van():
    return nn.Sequential(
        nn.Conv2d(3, 8, 7, 4, 3),
        nn.BatchNorm2d(8),
        VANBlock(8),
        VANBlock(8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


# --- jfzhang95/pytorch-deeplab-xception#26
class Separable(nn.Module):
    def __init__(self, a, b, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(a, a, 3, stride, 1, groups=a, bias=False)
        self.bn, self.pointwise = nn.BatchNorm2d(a), nn.Conv2d(a, b, 1, bias=False)

    def forward(self, x):
        return self.pointwise(self.bn(self.conv1(x)))


class XceptionBlock(nn.Module):
    def __init__(self, inplanes, planes, reps, stride=1, start_with_relu=True):
        super().__init__()
        if planes != inplanes or stride != 1:
            self.skip = nn.Conv2d(inplanes, planes, 1, stride=stride, bias=False)
            self.skipbn = nn.BatchNorm2d(planes)
        else:
            self.skip = None
        self.relu = nn.ReLU(inplace=True)
        rep, filters = [], inplanes
        for _i in range(reps):
            rep += [self.relu, Separable(filters, planes), nn.BatchNorm2d(planes)]
            filters = planes
        if stride != 1:
            rep += [self.relu, Separable(planes, planes, 2), nn.BatchNorm2d(planes)]
        rep[0] = nn.ReLU(inplace=False)
        if not start_with_relu:
            rep = rep[1:]
        self.rep = nn.Sequential(*rep)

    def forward(self, inp):
        x = self.rep(inp)
        if self.skip is not None:
            skip = self.skip(inp)
            skip = self.skipbn(skip)
        else:
            skip = inp
        return x + skip


class AlignedXception(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.block1 = XceptionBlock(6, 8, 2, 2, start_with_relu=False)
        self.middle = nn.Sequential(*(XceptionBlock(8, 8, 3) for _ in range(2)))
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.block1(x)
        x = self.relu(x)
        return self.out(self.middle(x))


# --- ckczzj/PDAE#3, facebookresearch/flow_matching#87
def zero_module(module):
    for p in module.parameters():
        p.detach().zero_()
    return module


class ResBlockShift(nn.Module):
    def __init__(self, a, b, emb):
        super().__init__()
        self.in_layers = nn.Sequential(nn.GroupNorm(2, a), nn.SiLU(), nn.Conv2d(a, b, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(emb, 2 * b))
        self.emb_z_layers = nn.Sequential(nn.SiLU(), nn.Linear(emb, 2 * b))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(2, b),
            nn.SiLU(),
            nn.Dropout(0.1),
            zero_module(nn.Conv2d(b, b, 3, padding=1)),
        )
        self.skip_connection = nn.Identity() if a == b else nn.Conv2d(a, b, 1)

    def forward(self, x, emb, emb_z):
        h = self.in_layers(x)
        scale, shift = torch.chunk(self.emb_layers(emb)[..., None, None], 2, dim=1)
        z_scale, z_shift = torch.chunk(self.emb_z_layers(emb_z)[..., None, None], 2, dim=1)
        out_norm, out_rest = self.out_layers[0], self.out_layers[1:]
        h = (1.0 + z_scale) * (out_norm(h) * (1.0 + scale) + shift) + z_shift
        h = out_rest(h)
        return self.skip_connection(x) + h


class PDAENet(nn.Module):
    def __init__(self):
        super().__init__()
        self.input = nn.Conv2d(3, 6, 3, padding=1)
        self.blocks = nn.ModuleList([ResBlockShift(6, 8, 5), ResBlockShift(8, 8, 5)])
        self.out = nn.Sequential(nn.GroupNorm(2, 8), nn.SiLU(), nn.Conv2d(8, 3, 3, padding=1))

    def forward(self, x, emb, emb_z):
        h = self.input(x)
        for block in self.blocks:
            h = block(h, emb, emb_z)
        return self.out(h)


# --- pkuCactus/BDCN#8
class BDCN(nn.Module):
    def __init__(self):
        super().__init__()
        widths = (6, 8, 8)
        self.stages = nn.ModuleList()
        for i, w in enumerate(widths):
            self.stages.append(nn.Conv2d(3 if i == 0 else widths[i - 1], w, 3, padding=1))
        self.pool = nn.MaxPool2d(2, 2)
        self.dsn = nn.ModuleList(nn.Conv2d(w, 1, 1) for w in widths)
        self.dsn_1 = nn.ModuleList(nn.Conv2d(w, 1, 1) for w in widths)
        self.fuse = nn.Conv2d(6, 1, 1)

    def forward(self, x):
        size, s, s1, h = x.shape[2:], [], [], x
        for i, stage in enumerate(self.stages):
            h = F.relu(stage(h if i == 0 else self.pool(h)))
            s.append(F.interpolate(self.dsn[i](h), size, mode="bilinear"))
            s1.append(F.interpolate(self.dsn_1[i](h), size, mode="bilinear"))
        o = [t.detach() for t in s]
        o1 = [t.detach() for t in s1]
        p1 = s[0]
        p2 = s[1] + o[0]
        p3 = s[2] + o[1] + o[0]
        p1_1 = s1[0] + o1[1] + o1[2]
        p2_1 = s1[1] + o1[2]
        p3_1 = s1[2]
        fuse = self.fuse(torch.cat([p1, p2, p3, p1_1, p2_1, p3_1], 1))
        return [p1, p2, p3, p1_1, p2_1, p3_1, fuse]


# --- phlippe/uvadlc_notebooks#75
class PreActResNetBlock(nn.Module):
    def __init__(self, c_in, c_out, subsample=False):
        super().__init__()
        stride = 2 if subsample else 1
        self.net = nn.Sequential(
            nn.BatchNorm2d(c_in),
            nn.ReLU(),
            nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(c_out),
            nn.ReLU(),
            nn.Conv2d(c_out, c_out, 3, padding=1, bias=False),
        )
        self.downsample = (
            nn.Sequential(
                nn.BatchNorm2d(c_in), nn.ReLU(), nn.Conv2d(c_in, c_out, 1, stride=2, bias=False)
            )
            if subsample
            else None
        )

    def forward(self, x):
        z = self.net(x)
        if self.downsample is not None:
            x = self.downsample(x)
        return z + x


def preact():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, bias=False),
        PreActResNetBlock(6, 6),
        PreActResNetBlock(6, 6),
        PreActResNetBlock(6, 8, True),
        PreActResNetBlock(8, 8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


CLEAN = (
    Clean(
        "large kernel attention",
        "VAN-Classification#4: a shortcut inside and one around it, written down in the paper",
        van,
        ((2, 3, 64, 64),),
    ),
    Clean(
        "aligned Xception",
        "jfzhang95/pytorch-deeplab-xception#26: no projection means identity",
        AlignedXception,
        ((2, 3, 32, 32),),
    ),
    Clean(
        "shifted residual block of a diffusion autoencoder",
        "ckczzj/PDAE#3: a zero last convolution learns",
        PDAENet,
        ((2, 3, 16, 16), (2, 5), (2, 5)),
    ),
    Clean(
        "bi-directional cascade",
        "pkuCactus/BDCN#8: each prediction has a loss of its own and is fed on detached",
        BDCN,
        IMAGE,
    ),
    Clean(
        "pre-activated downsampling",
        "phlippe/uvadlc_notebooks#75: normalisation and activation on the projection only",
        preact,
        IMAGE,
    ),
)
