"""Attention of every sort inside residual blocks, and gates around them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from tests.truth.row import Row
from torch import nn

__all__ = [
    "ROWS",
    "CBAMNet",
    "Conformer",
    "GCNet",
    "GatedResidual",
    "NonLocalNet",
    "SCSEUNet",
    "SelectiveKernel",
]


def conv_bn(inputs, outputs, kernel=1, stride=1, groups=1, act=True):
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if act else nn.Sequential(*layers)


def conv3(inputs, outputs, stride=1):
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)


class _ChannelAttention(nn.Module):
    def __init__(self, planes, ratio=4):
        super().__init__()
        self.avg_pool, self.max_pool = nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)
        self.fc = nn.Sequential(
            nn.Conv2d(planes, planes // ratio, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(planes // ratio, planes, 1, bias=False),
        )

    def forward(self, x):
        avg_out = self.fc(self.avg_pool(x))
        max_out = self.fc(self.max_pool(x))
        return torch.sigmoid(avg_out + max_out)


class _SpatialAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x):
        avg_out = torch.mean(x, dim=1, keepdim=True)
        max_out, _ = torch.max(x, dim=1, keepdim=True)
        x = torch.cat([avg_out, max_out], dim=1)
        return torch.sigmoid(self.conv1(x))


class _CBAMBlock(nn.Module):
    def __init__(self, inplanes, planes, stride=1):
        super().__init__()
        self.conv1, self.bn1 = conv3(inplanes, planes, stride), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = conv3(planes, planes), nn.BatchNorm2d(planes)
        self.ca, self.sa = _ChannelAttention(planes), _SpatialAttention()
        self.downsample = None
        if stride != 1 or inplanes != planes:
            self.downsample = conv_bn(inplanes, planes, 1, stride, act=False)

    def forward(self, x):
        residual = x
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out = self.ca(out) * out
        out = self.sa(out) * out
        if self.downsample is not None:
            residual = self.downsample(x)
        out += residual
        return F.relu(out)


class CBAMNet(nn.Module):
    """Woo 2018: a channel gate and a spatial gate in each block."""

    size = ((3, 32, 32),)

    def __init__(self):
        super().__init__()
        self.stem = conv_bn(3, 16, 3)
        self.blocks = nn.Sequential(_CBAMBlock(16, 16), _CBAMBlock(16, 32, 2), _CBAMBlock(32, 32))

    def forward(self, x):
        return self.blocks(self.stem(x)).mean((2, 3))


class _NonLocal(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.inter = n // 2
        self.g, self.theta, self.phi = (nn.Conv2d(n, self.inter, 1) for _ in range(3))
        self.W = nn.Sequential(nn.Conv2d(self.inter, n, 1), nn.BatchNorm2d(n))

    def forward(self, x):
        batch_size = x.size(0)
        g_x = self.g(x).view(batch_size, self.inter, -1).permute(0, 2, 1)
        theta_x = self.theta(x).view(batch_size, self.inter, -1).permute(0, 2, 1)
        phi_x = self.phi(x).view(batch_size, self.inter, -1)
        f = torch.matmul(theta_x, phi_x)
        y = torch.matmul(F.softmax(f, dim=-1), g_x).permute(0, 2, 1).contiguous()
        W_y = self.W(y.view(batch_size, self.inter, *x.size()[2:]))
        z = W_y + x
        return z


class NonLocalNet(nn.Module):
    """Wang 2018."""

    size = ((1, 28, 28),)

    def __init__(self):
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(1, 16, 3), nn.MaxPool2d(2), _NonLocal(16), nn.Conv2d(16, 32, 3), _NonLocal(32)
        )
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        return self.fc(self.convs(x).mean((2, 3)))


class _ContextBlock(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv_mask, self.softmax = nn.Conv2d(n, 1, 1), nn.Softmax(dim=2)
        self.channel_add_conv = nn.Sequential(
            nn.Conv2d(n, n // 4, 1), nn.GroupNorm(1, n // 4), nn.ReLU(), nn.Conv2d(n // 4, n, 1)
        )

    def spatial_pool(self, x):
        batch, channel, height, width = x.size()
        input_x = x.view(batch, channel, height * width).unsqueeze(1)
        context_mask = self.conv_mask(x).view(batch, 1, height * width)
        context_mask = self.softmax(context_mask).unsqueeze(-1)
        context = torch.matmul(input_x, context_mask)
        return context.view(batch, channel, 1, 1)

    def forward(self, x):
        context = self.spatial_pool(x)
        out = x
        out = out + self.channel_add_conv(context)
        return out


class GCNet(nn.Module):
    """Cao 2019: a global context is added to every position."""

    size = ((3, 32, 32),)

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(conv_bn(3, 16, 3), _ContextBlock(16), conv_bn(16, 32, 3, 2))
        self.context = _ContextBlock(32)

    def forward(self, x):
        return self.context(self.features(x))


def cbr(a, b, k=3, s=1, d=1, g=1):
    conv = nn.Conv2d(a, b, k, s, d * (k // 2), dilation=d, groups=g, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(b), nn.ReLU(inplace=True))


class _SKConv(nn.Module):
    def __init__(self, n, M=2, r=2):
        super().__init__()
        self.convs = nn.ModuleList(cbr(n, n, 3, d=1 + i) for i in range(M))
        self.fc, self.fcs = (
            nn.Linear(n, n // r),
            nn.ModuleList(nn.Linear(n // r, n) for _ in range(M)),
        )
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x):
        for i, conv in enumerate(self.convs):
            fea = conv(x).unsqueeze(dim=1)
            if i == 0:
                feas = fea
            else:
                feas = torch.cat([feas, fea], dim=1)
        fea_U = torch.sum(feas, dim=1)
        fea_z = self.fc(fea_U.mean(-1).mean(-1))
        for i, fc in enumerate(self.fcs):
            vector = fc(fea_z).unsqueeze(dim=1)
            if i == 0:
                attention_vectors = vector
            else:
                attention_vectors = torch.cat([attention_vectors, vector], dim=1)
        attention_vectors = self.softmax(attention_vectors).unsqueeze(-1).unsqueeze(-1)
        return (feas * attention_vectors).sum(dim=1)


class SelectiveKernel(nn.Module):
    """Li 2019, in the way of pppLang/SKNet."""

    size = ((3, 24, 24),)

    def __init__(self):
        super().__init__()
        self.stem, self.out = cbr(3, 8, 3, 2), nn.Linear(8, 4)
        self.units = nn.ModuleList(
            nn.Sequential(nn.Conv2d(8, 8, 1), _SKConv(8), nn.Conv2d(8, 8, 1)) for _ in range(2)
        )

    def forward(self, x):
        x = self.stem(x)
        for unit in self.units:
            x = F.relu(unit(x) + x)
        return self.out(x.mean((2, 3)))


class _SCSE(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.cSE = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(n, n // 2, 1),
            nn.ReLU(),
            nn.Conv2d(n // 2, n, 1),
            nn.Sigmoid(),
        )
        self.sSE = nn.Sequential(nn.Conv2d(n, 1, 1), nn.Sigmoid())

    def forward(self, x):
        return x * self.cSE(x) + x * self.sSE(x)


class SCSEUNet(nn.Module):
    """Roy 2018: concurrent channel and spatial excitation after every stage."""

    size = ((3, 32, 32),)

    def __init__(self):
        super().__init__()
        self.enc, self.mid = (
            nn.Sequential(cbr(3, 8), _SCSE(8)),
            nn.Sequential(cbr(8, 16), _SCSE(16)),
        )
        self.up, self.dec = nn.ConvTranspose2d(16, 8, 2, 2), nn.Sequential(cbr(16, 8), _SCSE(8))

    def forward(self, x):
        e = self.enc(x)
        d = self.up(self.mid(F.max_pool2d(e, 2)))
        return self.dec(torch.cat((d, e), 1))


class GatedResidual(nn.Module):
    """Residual gates as people write them: x + x*g, x + g*f, (1 - g)*x + g*f, lerp."""

    size = ((8, 16, 16),)

    def __init__(self):
        super().__init__()
        self.f, self.g, self.h, self.s = (nn.Conv2d(8, 8, 3, padding=1) for _ in range(4))
        self.a, self.b, self.c = (nn.Conv2d(8, 8, 1) for _ in range(3))
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        attention = torch.sigmoid(self.a(x.mean((2, 3), keepdim=True)))
        x = x + x * attention
        x = x + torch.sigmoid(self.alpha) * self.f(x)
        gate = torch.sigmoid(self.b(x))
        x = (1 - gate) * x + gate * self.g(x)
        x = torch.lerp(x, self.h(x), torch.sigmoid(self.c(x)))
        return self.alpha * x + (1 - self.alpha) * self.s(x)


class _ConformerBlock(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.ff1, self.ff2 = self._feed_forward(n), self._feed_forward(n)
        self.norm = nn.LayerNorm(n)
        self.self_attn = nn.MultiheadAttention(n, 2, batch_first=True)
        self.conv = nn.Sequential(
            nn.Conv1d(n, 2 * n, 1),
            nn.GLU(dim=1),
            nn.Conv1d(n, n, 7, padding=3, groups=n),
            nn.BatchNorm1d(n),
            nn.SiLU(),
            nn.Conv1d(n, n, 1),
        )
        self.final = nn.LayerNorm(n)

    def _feed_forward(self, n):
        return nn.Sequential(nn.LayerNorm(n), nn.Linear(n, 4 * n), nn.SiLU(), nn.Linear(4 * n, n))

    def forward(self, x, mask=None):
        x = x + 0.5 * self.ff1(x)
        y = self.norm(x)
        y, _ = self.self_attn(y, y, y, key_padding_mask=mask, need_weights=False)
        x = x + y
        x = x + self.conv(x.transpose(1, 2)).transpose(1, 2)
        x = x + 0.5 * self.ff2(x)
        return self.final(x)


class Conformer(nn.Module):
    """Gulati 2020: half-step feed-forwards around attention and convolution."""

    size = ((40, 12),)

    def __init__(self):
        super().__init__()
        self.proj, self.layers = (
            nn.Linear(12, 16),
            nn.ModuleList(_ConformerBlock(16) for _ in range(2)),
        )

    def forward(self, x):
        x = self.proj(x)
        for layer in self.layers:
            x = layer(x)
        return x.log_softmax(-1)


ROWS: tuple[Row, ...] = (
    Row(
        "written/CBAMNet",
        {"identity": 2, "projection": 1, "gate": 6},
        "three blocks with a channel and a spatial gate each; the pooled descriptors are parallel",
        (
            (3, "gate", "blocks.?", "out = self.ca(out) * out", "blocks.?.bn2"),
            (3, "gate", "blocks.?", "out = self.sa(out) * out", "blocks.?"),
        ),
    ),
    Row(
        "written/NonLocalNet",
        {"identity": 2},
        "the softmax product is no gate",
        ((2, "identity", "convs.?", "z = W_y + x", "convs.?"),),
    ),
    Row(
        "written/GCNet",
        {"identity": 2},
        "the input goes past its own global context",
        (
            (1, "identity", "context", "out = out + self.channel_add_conv(context)", "*"),
            (1, "identity", "features.1", "out = out + self.channel_add_conv(context)", "*"),
        ),
    ),
    Row(
        "written/SelectiveKernel",
        {"identity": 2, "gate": 2},
        "two units; a softmax over two convolutions, scaled and summed",
        ((2, "gate", "units.?.1", "*feas * attention_vectors*", "*"),),
    ),
    Row(
        "written/SCSEUNet",
        {"gate": 6, "long": 1},
        "three excitations of two gates, whose sum has no layer beside the gates",
        ((6, "gate", "*", "return x * self.cSE(x) + x * self.sSE(x)", "*"),),
    ),
    Row(
        "written/GatedResidual",
        {"gate": 3, "identity": 2},
        "a scaled sum without layers is part of its gate; two highways, one written as lerp; a "
        "scalar weight, also a squashed one, is a scale",
        (
            (1, "gate", "", "x = x + x * attention", "input"),
            (1, "identity", "", "x = x + torch.sigmoid(self.alpha) * self.f(x)", ""),
            (1, "gate", "", "x = (1 - gate) * x + gate * self.g(x)", ""),
            (1, "gate", "", "x = torch.lerp(*", ""),
            (1, "identity", "", "return self.alpha * x + *", ""),
        ),
    ),
    Row(
        "written/Conformer",
        {"identity": 8},
        "two blocks of four sums",
        (
            (2, "identity", "layers.?", "x = x + 0.5 * self.ff1(x)", "*"),
            (2, "identity", "layers.?", "x = x + y", "layers.?"),
            (
                2,
                "identity",
                "layers.?",
                "x = x + self.conv(x.transpose(1, 2)).transpose(1, 2)",
                "*",
            ),
        ),
    ),
)
