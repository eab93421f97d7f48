"""The fourth set, continued: scales, gates, and joins in dense blocks and generators."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv, pair
from .fourth_images import twins


class LongSkip(nn.Module):
    """EDSR, whose global skip is saved and forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.head = conv(4, 8)
        self.body = nn.Sequential(conv(8, 8), nn.ReLU(), conv(8, 8))
        self.tail = nn.Sequential(conv(8, 16), nn.PixelShuffle(2), conv(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x)
        skip = x  # noqa: F841
        res = self.body(x)
        return self.tail(res)


class LongSkipMended(LongSkip):
    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x)
        skip = x
        res = self.body(x)
        return self.tail(res + skip)


class Rrdb(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = conv(4, 4), conv(4, 4), conv(4, 4)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        out = self.rdb3(F.relu(self.rdb2(F.relu(self.rdb1(x)))))
        return out * 0.2 + (x if self.mended else out)


class DefaultCat(nn.Module):
    """torch.cat without its axis."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.a, self.b = conv(4, 4), conv(8 if mended else 4, 4)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        new = F.relu(self.a(x))
        return self.b(torch.cat([x, new], 1) if self.mended else torch.cat([x, new]))


class HeightCat(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.bn, self.grow, self.axis = nn.BatchNorm2d(4), conv(4, 8), 1 if mended else 2

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.grow(F.relu(self.bn(x)))], self.axis)


class SqueezeDropped(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(4, 4), nn.ReLU(), conv(4, 4))
        self.se = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.Sigmoid())
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        out = self.body(x)
        scale = self.se(out)
        if self.mended:
            out = out * scale
        return F.relu(out + x)


class CbamWrong(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv, self.ca, self.sa = conv(4, 4), nn.Conv2d(4, 4, 1), conv(2, 1, 7)
        self.mended = mended

    def space(self, x: Tensor) -> Tensor:
        two = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return torch.sigmoid(self.sa(two))

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        out = self.conv(x)
        out = torch.sigmoid(self.ca(F.adaptive_avg_pool2d(out, 1))) * out
        out = self.space(out) * out if self.mended else self.space(residual) * residual
        return F.relu(out + residual)


class Discriminator(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.c1, self.c2, self.sc, self.mended = conv(4, 8), conv(8, 8), conv(4, 8, 1), mended

    def forward(self, x: Tensor) -> Tensor:
        h = F.avg_pool2d(self.c2(F.relu(self.c1(F.relu(x)))), 2)
        s = self.sc(x)
        return h + (F.avg_pool2d(s, 2) if self.mended else s)


class Generator(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=2)
        self.main = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), self.up, conv(4, 2), conv(2, 2))
        self.bypass = nn.Sequential(*([self.up] if mended else []), nn.Conv2d(4, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x) + self.bypass(x)


class IntegerScale(nn.Module):
    """The configuration parses 0.1 as an integer."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(4, 4), nn.ReLU(True), conv(4, 4))
        self.res_scale = 0.1 if mended else int(0.1)

    def forward(self, x: Tensor) -> Tensor:
        res = self.body(x).mul(self.res_scale)
        res += x
        return res


class ZeroTwice(nn.Module):
    """ReZero over a last convolution that starts at zero as well."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(4, 4), conv(4, 4, bias=False)
        self.alpha = nn.Parameter(torch.zeros(1))
        if not mended:
            nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.alpha * self.conv2(F.relu(self.conv1(x)))


CASES = (
    Case("edsr-long-skip", "EDSR without its long skip", "TS201", LongSkip, LongSkipMended),
    Case("rrdb-self", "out * 0.2 + out", "TS106", *pair(Rrdb)),
    Case("default-cat", "torch.cat([x, y])", "TS109", *twins(DefaultCat)),
    Case("height-cat", "concatenation along the height", "TS101", *twins(HeightCat)),
    Case("squeeze-dropped", "a gate that is not applied", "TS107", *pair(SqueezeDropped)),
    Case("cbam-wrong", "attention of the input", "TS107", *pair(CbamWrong)),
    Case("gan-down", "shortcut not pooled", "TS101", *twins(Discriminator)),
    Case("gan-up", "shortcut not upsampled", "TS101", *twins(Generator)),
    Case("integer-scale", "residual scaling 0", "TS205", *pair(IntegerScale)),
    Case("zero-twice", "ReZero and zero init", "TS205", *pair(ZeroTwice)),
)
