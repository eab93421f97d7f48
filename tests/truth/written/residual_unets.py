"""U-Nets of residual, recurrent and dense blocks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from tests.truth.row import Row
from torch import nn

__all__ = ["ROWS", "MultiResUNet", "R2UNet", "ResUNet", "Tiramisu", "U2Net"]


class _ResidualConv(nn.Module):
    def __init__(self, inputs, outputs, stride, padding):
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=padding),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        self.conv_skip = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1), nn.BatchNorm2d(outputs)
        )

    def forward(self, x):
        return self.conv_block(x) + self.conv_skip(x)


class ResUNet(nn.Module):
    """Zhang 2018, in the way of rishikksh20/ResUnet: a 3x3 convolution on every shortcut."""

    size = ((3, 32, 32),)

    def __init__(self):
        super().__init__()
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1),
        )
        self.input_skip = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1))
        self.residual_conv_1, self.bridge = _ResidualConv(8, 16, 2, 1), _ResidualConv(16, 32, 2, 1)
        self.upsample_1 = nn.ConvTranspose2d(32, 32, 2, 2)
        self.up_residual_conv1 = _ResidualConv(48, 16, 1, 1)
        self.upsample_2 = nn.ConvTranspose2d(16, 16, 2, 2)
        self.up_residual_conv2 = _ResidualConv(24, 8, 1, 1)
        self.output_layer = nn.Sequential(nn.Conv2d(8, 1, 1), nn.Sigmoid())

    def forward(self, x):
        x1 = self.input_layer(x) + self.input_skip(x)
        x2 = self.residual_conv_1(x1)
        x3 = self.bridge(x2)
        x4 = self.upsample_1(x3)
        x5 = torch.cat([x4, x2], dim=1)
        x6 = self.up_residual_conv1(x5)
        x7 = self.upsample_2(x6)
        x8 = torch.cat([x7, x1], dim=1)
        return self.output_layer(self.up_residual_conv2(x8))


class _Recurrent(nn.Module):
    def __init__(self, ch_out, t=2):
        super().__init__()
        self.t = t
        self.conv = nn.Sequential(
            nn.Conv2d(ch_out, ch_out, 3, padding=1), nn.BatchNorm2d(ch_out), nn.ReLU(inplace=True)
        )

    def forward(self, x):
        for i in range(self.t):
            if i == 0:
                x1 = self.conv(x)
            x1 = self.conv(x + x1)
        return x1


class _RRCNN(nn.Module):
    def __init__(self, ch_in, ch_out):
        super().__init__()
        self.RCNN = nn.Sequential(_Recurrent(ch_out), _Recurrent(ch_out))
        self.Conv_1x1 = nn.Conv2d(ch_in, ch_out, 1)

    def forward(self, x):
        x = self.Conv_1x1(x)
        x1 = self.RCNN(x)
        return x + x1


def _up(a, b):
    return nn.Sequential(
        nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()
    )


class R2UNet(nn.Module):
    """Alom 2018: recurrent residual units; weights are shared inside a unit."""

    size = ((3, 32, 32),)

    def __init__(self):
        super().__init__()
        self.RRCNN1, self.RRCNN2 = _RRCNN(3, 8), _RRCNN(8, 16)
        self.Up2, self.Up_RRCNN2 = _up(16, 8), _RRCNN(16, 8)
        self.Conv_1x1 = nn.Conv2d(8, 1, 1)

    def forward(self, x):
        x1 = self.RRCNN1(x)
        x2 = F.max_pool2d(x1, 2, 2)
        x2 = self.RRCNN2(x2)
        d2 = self.Up2(x2)
        d2 = torch.cat((x1, d2), dim=1)
        d2 = self.Up_RRCNN2(d2)
        return self.Conv_1x1(d2)


def cbr(a, b, k=3, s=1, d=1, g=1):
    conv = nn.Conv2d(a, b, k, s, d * (k // 2), dilation=d, groups=g, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(b), nn.ReLU(inplace=True))


class _RSU4(nn.Module):
    def __init__(self, a, m, b):
        super().__init__()
        self.rebnconvin, self.rebnconv1 = cbr(a, b), cbr(b, m)
        self.rebnconv2, self.rebnconv3, self.rebnconv4 = cbr(m, m), cbr(m, m), cbr(m, m, d=2)
        self.rebnconv3d, self.rebnconv2d = cbr(2 * m, m), cbr(2 * m, m)
        self.rebnconv1d = cbr(2 * m, b)
        self.pool = nn.MaxPool2d(2, stride=2, ceil_mode=True)

    def forward(self, x):
        hxin = self.rebnconvin(x)
        hx1 = self.rebnconv1(hxin)
        hx2 = self.rebnconv2(self.pool(hx1))
        hx3 = self.rebnconv3(self.pool(hx2))
        hx4 = self.rebnconv4(hx3)
        hx3d = self.rebnconv3d(torch.cat((hx4, hx3), 1))
        hx3dup = F.interpolate(hx3d, size=hx2.shape[2:], mode="bilinear")
        hx2d = self.rebnconv2d(torch.cat((hx3dup, hx2), 1))
        hx2dup = F.interpolate(hx2d, size=hx1.shape[2:], mode="bilinear")
        hx1d = self.rebnconv1d(torch.cat((hx2dup, hx1), 1))
        return hx1d + hxin


def conv3(a, b, stride=1):
    return nn.Conv2d(a, b, 3, stride, 1)


class U2Net(nn.Module):
    """Qin 2020: small U-Nets in a U-Net; the side outputs are fused."""

    size = ((3, 32, 32),)

    def __init__(self):
        super().__init__()
        self.stage1, self.stage2, self.stage1d = _RSU4(3, 4, 8), _RSU4(8, 4, 8), _RSU4(16, 4, 8)
        self.pool12 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.side1, self.side2 = conv3(8, 1), conv3(8, 1)
        self.outconv = nn.Conv2d(2, 1, 1)

    def forward(self, x):
        hx1 = self.stage1(x)
        hx2 = self.stage2(self.pool12(hx1))
        hx2up = F.interpolate(hx2, size=hx1.shape[2:], mode="bilinear")
        hx1d = self.stage1d(torch.cat((hx2up, hx1), 1))
        d1 = self.side1(hx1d)
        d2 = F.interpolate(self.side2(hx2), size=d1.shape[2:], mode="bilinear")
        d0 = self.outconv(torch.cat((d1, d2), 1))
        return torch.sigmoid(d0), torch.sigmoid(d1), torch.sigmoid(d2)


class _MultiRes(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        w = b // 4
        self.shortcut = nn.Sequential(nn.Conv2d(a, 4 * w, 1), nn.BatchNorm2d(4 * w))
        self.conv3x3, self.conv5x5, self.conv7x7 = cbr(a, w), cbr(w, w), cbr(w, 2 * w)
        self.bn = nn.BatchNorm2d(4 * w)

    def forward(self, x):
        shortcut = self.shortcut(x)
        a = self.conv3x3(x)
        b = self.conv5x5(a)
        c = self.conv7x7(b)
        out = self.bn(torch.cat([a, b, c], dim=1))
        return F.relu(out + shortcut)


class MultiResUNet(nn.Module):
    """Ibtehaz 2020: the skip is a path of two residual convolutions."""

    size = ((3, 32, 32),)

    def __init__(self):
        super().__init__()
        self.mres1, self.mres2, self.mres3 = _MultiRes(3, 8), _MultiRes(8, 16), _MultiRes(16, 8)
        self.res3 = nn.ModuleList(conv3(8, 8) for _ in range(2))
        self.res1 = nn.ModuleList(nn.Conv2d(8, 8, 1) for _ in range(2))
        self.up, self.out = nn.ConvTranspose2d(16, 8, 2, 2), nn.Conv2d(8, 1, 1)

    def forward(self, x):
        skip = x = self.mres1(x)
        for conv, short in zip(self.res3, self.res1):
            skip = F.relu(conv(skip) + short(skip))
        x = self.up(self.mres2(F.max_pool2d(x, 2)))
        return self.out(self.mres3(torch.cat([x, skip], dim=1)))


class _DenseLayer(nn.Sequential):
    def __init__(self, n, growth):
        super().__init__(nn.BatchNorm2d(n), nn.ReLU(True), conv3(n, growth), nn.Dropout2d(0.2))


class _DenseBlock(nn.Module):
    def __init__(self, n, growth, layers, upsample=False):
        super().__init__()
        self.upsample = upsample
        self.layers = nn.ModuleList(_DenseLayer(n + i * growth, growth) for i in range(layers))

    def forward(self, x):
        if self.upsample:
            new_features = []
            for layer in self.layers:
                out = layer(x)
                x = torch.cat([x, out], 1)
                new_features.append(out)
            return torch.cat(new_features, 1)
        for layer in self.layers:
            out = layer(x)
            x = torch.cat([x, out], 1)
        return x


class Tiramisu(nn.Module):
    """Jegou 2017: dense blocks, the upsampling ones return their new features only."""

    size = ((3, 32, 32),)

    def __init__(self):
        super().__init__()
        self.first, self.down = conv3(3, 8), _DenseBlock(8, 4, 2)
        self.transition = nn.Sequential(
            nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 1), nn.MaxPool2d(2)
        )
        self.bottleneck = _DenseBlock(16, 4, 3, upsample=True)
        self.up, self.dense_up = (
            nn.ConvTranspose2d(12, 12, 3, 2),
            _DenseBlock(28, 4, 2, upsample=False),
        )
        self.final = nn.Conv2d(36, 2, 1)

    def forward(self, x):
        skip = self.down(self.first(x))
        out = self.bottleneck(self.transition(skip))
        out = self.up(out)[:, :, : skip.size(2), : skip.size(3)]
        out = torch.cat([out, skip], 1)
        return self.final(self.dense_up(out)).log_softmax(1)


ROWS: tuple[Row, ...] = (
    Row(
        "written/ResUNet",
        {"projection": 5, "long": 2},
        "the stem and four units project, two features are concatenated",
        (
            (4, "projection", "*", "return self.conv_block(x) + self.conv_skip(x)", "*"),
            (1, "projection", "", "x1 = self.input_layer(x) + self.input_skip(x)", "input"),
            (1, "long", "", "x5 = torch.cat([[]x4, x2], dim=1)", "residual_conv_1"),
            (1, "long", "", "x8 = torch.cat([[]x7, x1], dim=1)", ""),
        ),
    ),
    Row(
        "written/R2UNet",
        {"identity": 15, "long": 1},
        "three units: two recurrent blocks that add their input twice each, and the unit's sum",
        (
            (12, "identity", "*RCNN.?", "x1 = self.conv(x + x1)", "*"),
            (3, "identity", "*RRCNN?", "return x + x1", "*RRCNN?.Conv_1x1"),
            (1, "long", "", "d2 = torch.cat((x1, d2), dim=1)", "RRCNN1"),
        ),
    ),
    Row(
        "written/U2Net",
        {"long": 10, "concat": 3},
        "three small U-Nets: two levels are concatenated, one sum goes around all of it, and one "
        "concatenation goes around a dilated convolution; the outer level; side outputs are heads",
        (
            (3, "long", "stage*", "return hx1d + hxin", "stage*.rebnconvin.2"),
            (3, "concat", "stage*", "hx3d = *", "stage*.rebnconv3.2"),
            (1, "long", "", "hx1d = *", "stage1"),
        ),
    ),
    Row(
        "written/MultiResUNet",
        {"concat": 3, "projection": 3, "long": 1},
        "three blocks concatenate a chain and add a projection; the sums of the skip's path are "
        "of one convolution each",
        (
            (3, "projection", "mres?", "return F.relu(out + shortcut)", "*"),
            (3, "concat", "mres?", "out = *", "mres?.conv3x3.2"),
            (1, "long", "", "return self.out(*", "mres1"),
        ),
    ),
    Row(
        "written/Tiramisu",
        {"dense": 8, "long": 1},
        "2+3+2 layers; the new features of the bottom, made one from the other, are put together "
        "after they were passed on inside its concatenations",
        (
            (4, "dense", "d*", "x = torch.cat([[]x, out], 1)", "*"),
            (1, "long", "", "out = torch.cat([[]out, skip], 1)", "down"),
        ),
    ),
)
