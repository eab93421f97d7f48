"""Super-resolution: residual blocks inside a global residual."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from tests.truth.row import Row
from torch import nn

__all__ = ["EDSR", "RCAN", "RDN", "ROWS", "SRVGG", "LapSRN", "RRDBNet", "SRResNet"]


def conv3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class _SRBlock(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv1, self.bn1 = conv3(n, n), nn.BatchNorm2d(n)
        self.prelu = nn.PReLU()
        self.conv2, self.bn2 = conv3(n, n), nn.BatchNorm2d(n)

    def forward(self, x):
        residual = self.conv1(x)
        residual = self.bn1(residual)
        residual = self.prelu(residual)
        residual = self.conv2(residual)
        residual = self.bn2(residual)
        return x + residual


class SRResNet(nn.Module):
    """Ledig 2017."""

    size = ((3, 24, 24),)

    def __init__(self):
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(3, 16, 9, padding=4), nn.PReLU())
        self.block2, self.block3, self.block4 = _SRBlock(16), _SRBlock(16), _SRBlock(16)
        self.block5 = nn.Sequential(conv3(16, 16), nn.BatchNorm2d(16))
        self.up = nn.Sequential(conv3(16, 64), nn.PixelShuffle(2), nn.PReLU())
        self.out = nn.Conv2d(16, 3, 9, padding=4)

    def forward(self, x):
        block1 = self.block1(x)
        block4 = self.block4(self.block3(self.block2(block1)))
        block5 = self.block5(block4)
        return (torch.tanh(self.out(self.up(block1 + block5))) + 1) / 2


class _EDSRBlock(nn.Module):
    def __init__(self, n, res_scale):
        super().__init__()
        self.body = nn.Sequential(conv3(n, n), nn.ReLU(True), conv3(n, n))
        self.res_scale = res_scale

    def forward(self, x):
        res = self.body(x).mul(self.res_scale)
        res += x
        return res


class EDSR(nn.Module):
    """Lim 2017, as written by its authors."""

    size = ((3, 24, 24),)

    def __init__(self):
        super().__init__()
        self.head = nn.Sequential(conv3(3, 16))
        self.body = nn.Sequential(*(_EDSRBlock(16, 0.1) for _ in range(4)), conv3(16, 16))
        self.tail = nn.Sequential(conv3(16, 64), nn.PixelShuffle(2), conv3(16, 3))

    def forward(self, x):
        x = x - 0.5
        x = self.head(x)
        res = self.body(x)
        res += x
        return self.tail(res) + 0.5


class _Residual(nn.Module):
    def __init__(self, *body):
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, x):
        res = self.body(x)
        res += x
        return res


class _CALayer(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.conv_du = nn.Sequential(
            nn.Conv2d(n, n // 4, 1), nn.ReLU(True), nn.Conv2d(n // 4, n, 1), nn.Sigmoid()
        )

    def forward(self, x):
        y = self.avg_pool(x)
        y = self.conv_du(y)
        return x * y


def _rcab(n):
    return _Residual(conv3(n, n), nn.ReLU(True), conv3(n, n), _CALayer(n))


class RCAN(nn.Module):
    """Zhang 2018: channel attention in residual blocks, in residual groups, in a residual."""

    size = ((3, 16, 16),)

    def __init__(self):
        super().__init__()
        self.head = conv3(3, 16)
        groups = [_Residual(_rcab(16), _rcab(16), conv3(16, 16)) for _ in range(2)]
        self.body = nn.Sequential(*groups, conv3(16, 16))
        self.tail = nn.Sequential(conv3(16, 64), nn.PixelShuffle(2), conv3(16, 3))

    def forward(self, x):
        x = self.head(x)
        res = self.body(x)
        res += x
        return self.tail(res)


class _DenseConv(nn.Module):
    def __init__(self, inputs, growth):
        super().__init__()
        self.conv = nn.Sequential(conv3(inputs, growth), nn.ReLU())

    def forward(self, x):
        out = self.conv(x)
        return torch.cat((x, out), 1)


class _RDB(nn.Module):
    def __init__(self, n, growth, layers):
        super().__init__()
        self.convs = nn.Sequential(*(_DenseConv(n + i * growth, growth) for i in range(layers)))
        self.LFF = nn.Conv2d(n + layers * growth, n, 1)

    def forward(self, x):
        return self.LFF(self.convs(x)) + x


class RDN(nn.Module):
    """Zhang 2018: residual dense blocks, all of them fused."""

    size = ((3, 16, 16),)

    def __init__(self):
        super().__init__()
        self.SFENet1, self.SFENet2 = conv3(3, 16), conv3(16, 16)
        self.RDBs = nn.ModuleList(_RDB(16, 8, 3) for _ in range(3))
        self.GFF = nn.Sequential(nn.Conv2d(48, 16, 1), conv3(16, 16))
        self.UPNet = nn.Sequential(conv3(16, 64), nn.PixelShuffle(2), conv3(16, 3))

    def forward(self, x):
        f__1 = self.SFENet1(x)
        x = self.SFENet2(f__1)
        RDBs_out = []
        for block in self.RDBs:
            x = block(x)
            RDBs_out.append(x)
        x = self.GFF(torch.cat(RDBs_out, 1))
        x += f__1
        return self.UPNet(x)


class _RDB5(nn.Module):
    def __init__(self, nf=16, gc=8):
        super().__init__()
        self.conv1 = conv3(nf, gc)
        self.conv2 = conv3(nf + gc, gc)
        self.conv3 = conv3(nf + 2 * gc, gc)
        self.conv4 = conv3(nf + 3 * gc, gc)
        self.conv5 = conv3(nf + 4 * gc, nf)
        self.lrelu = nn.LeakyReLU(0.2, inplace=True)

    def forward(self, x):
        x1 = self.lrelu(self.conv1(x))
        x2 = self.lrelu(self.conv2(torch.cat((x, x1), 1)))
        x3 = self.lrelu(self.conv3(torch.cat((x, x1, x2), 1)))
        x4 = self.lrelu(self.conv4(torch.cat((x, x1, x2, x3), 1)))
        x5 = self.conv5(torch.cat((x, x1, x2, x3, x4), 1))
        return x5 * 0.2 + x


class _RRDB(nn.Module):
    def __init__(self):
        super().__init__()
        self.RDB1, self.RDB2, self.RDB3 = _RDB5(), _RDB5(), _RDB5()

    def forward(self, x):
        out = self.RDB1(x)
        out = self.RDB2(out)
        out = self.RDB3(out)
        return out * 0.2 + x


class RRDBNet(nn.Module):
    """ESRGAN, Wang 2018."""

    size = ((3, 16, 16),)

    def __init__(self):
        super().__init__()
        self.conv_first = conv3(3, 16)
        self.RRDB_trunk = nn.Sequential(_RRDB(), _RRDB())
        self.trunk_conv, self.upconv1, self.HRconv = conv3(16, 16), conv3(16, 16), conv3(16, 16)
        self.conv_last = conv3(16, 3)
        self.lrelu = nn.LeakyReLU(0.2, inplace=True)

    def forward(self, x):
        fea = self.conv_first(x)
        trunk = self.trunk_conv(self.RRDB_trunk(fea))
        fea = fea + trunk
        fea = self.lrelu(self.upconv1(F.interpolate(fea, scale_factor=2, mode="nearest")))
        return self.conv_last(self.lrelu(self.HRconv(fea)))


class LapSRN(nn.Module):
    """Lai 2017: every level adds the upsampled image to the predicted residual."""

    size = ((1, 16, 16),)

    def __init__(self):
        super().__init__()
        self.conv_input = nn.Sequential(conv3(1, 8), nn.LeakyReLU(0.2))
        self.convt_I = nn.ModuleList(nn.ConvTranspose2d(1, 1, 4, 2, 1) for _ in range(2))
        self.convt_R = nn.ModuleList(conv3(8, 1) for _ in range(2))
        self.convt_F = nn.ModuleList(
            nn.Sequential(
                conv3(8, 8), nn.LeakyReLU(0.2), conv3(8, 8), nn.ConvTranspose2d(8, 8, 4, 2, 1)
            )
            for _ in range(2)
        )

    def forward(self, x):
        out = self.conv_input(x)
        image, images = x, []
        for feature, up, residual in zip(self.convt_F, self.convt_I, self.convt_R):
            out = feature(out)
            image = up(image) + residual(out)
            images.append(image)
        return images


class SRVGG(nn.Module):
    """Real-ESRGAN's compact network: a chain, and the resized image on top."""

    size = ((3, 16, 16),)

    def __init__(self):
        super().__init__()
        self.body = nn.ModuleList([conv3(3, 8), nn.PReLU(8)])
        for _ in range(6):
            self.body += [conv3(8, 8), nn.PReLU(8)]
        self.body.append(conv3(8, 12))
        self.upsampler = nn.PixelShuffle(2)

    def forward(self, x):
        out = x
        for layer in self.body:
            out = layer(out)
        out = self.upsampler(out)
        base = F.interpolate(x, scale_factor=2, mode="nearest")
        out += base
        return out


ROWS: tuple[Row, ...] = (
    Row(
        "written/SRResNet",
        {"identity": 4},
        "three blocks and the global sum before the upsampling",
        (
            (3, "identity", "block[234]", "return x + residual", "block*"),
            (1, "identity", "", "*self.up(block1 + block5)*", "block1.1"),
        ),
    ),
    Row(
        "written/EDSR",
        {"identity": 5},
        "four blocks scaled by 0.1 and the global sum, in place; the means are constants",
        (
            (4, "identity", "body.[0123]", "res += x", "*"),
            (1, "identity", "", "res += x", "head.0"),
        ),
    ),
    Row(
        "written/RCAN",
        {"identity": 7, "gate": 4},
        "four blocks in two groups in the global sum; channel attention in each block",
        (
            (4, "gate", "body.?.body.?.body.3", "return x * y", "body.?.body.?.body.2"),
            (6, "identity", "body.*", "res += x", "*"),
            (1, "identity", "", "res += x", "head"),
        ),
    ),
    Row(
        "written/RDN",
        {"identity": 4, "dense": 10},
        "three blocks of three dense layers and a sum; the blocks' outputs, each of which the next "
        "block's dense layers pass on as well, are concatenated once more; the global sum",
        (
            (9, "dense", "RDBs.?.convs.?", "return torch.cat((x, out), 1)", "*"),
            (1, "dense", "", "x = self.GFF(torch.cat(RDBs_out, 1))", "RDBs.0"),
            (3, "identity", "RDBs.?", "return self.LFF(self.convs(x)) + x", "*"),
            (1, "identity", "", "x += f__1", "SFENet1"),
        ),
    ),
    Row(
        "written/RRDBNet",
        {"identity": 9, "dense": 24},
        "2 * 3 dense blocks of four concatenations and a scaled sum, a scaled sum around each "
        "three, and the global one",
        (
            (6, "identity", "RRDB_trunk.?.RDB?", "return x5 * 0.2 + x", "*"),
            (2, "identity", "RRDB_trunk.?", "return out * 0.2 + x", "*"),
            (1, "identity", "", "fea = fea + trunk", "conv_first"),
            (6, "dense", "RRDB_trunk.?.RDB?", "x5 = *", "*"),
        ),
    ),
    Row(
        "written/LapSRN",
        {"projection": 2},
        "the image goes up through one transposed convolution, past the features",
        ((2, "projection", "", "image = up(image) + residual(out)", "*"),),
    ),
    Row(
        "written/SRVGG",
        {"projection": 1},
        "the resized image is added",
        ((1, "projection", "", "out += base", "input"),),
    ),
)
