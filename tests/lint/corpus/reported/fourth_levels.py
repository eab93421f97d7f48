"""The fourth set, continued: the levels of encoders and decoders."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv, pair
from .fourth_images import CLIP, VOLUME, twins

ODD = ((2, 4, 32, 32),)


class ZeroCrop(nn.Module):
    """A crop by nothing: [0:-0]."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.down, self.up, self.out = conv(4, 4), nn.ConvTranspose2d(4, 4, 2, 2), conv(8, 4)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.up(F.relu(self.down(F.max_pool2d(x, 2))))
        d = (x.shape[-1] - y.shape[-1]) // 2
        crop = x if self.mended else x[:, :, d:-d, d:-d]
        return self.out(torch.cat([crop, y], 1))


class LoopSource(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.layers, self.mended = nn.ModuleList([conv(4, 4) for _ in range(3)]), mended

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for layer in self.layers:
            out = F.relu(layer(out if self.mended else x))
        return x + out


class PopFirst(nn.Module):
    """A UNet that takes its skips from the wrong end; a resize hides it."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.downs = nn.ModuleList([conv(4, 4) for _ in range(3)])
        self.mid, self.ups = conv(4, 4), nn.ModuleList([conv(8, 4) for _ in range(3)])
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for down in self.downs:
            x = F.relu(down(x))
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.mid(x)
        for up in self.ups:
            x = F.interpolate(x, scale_factor=2)
            skip = skips.pop() if self.mended else skips.pop(0)
            if skip.shape != x.shape:
                skip = F.interpolate(skip, size=x.shape[2:])
            x = F.relu(up(torch.cat([skip, x], 1)))
        return x


class ReversedWhole(nn.Module):
    """The deepest skip is the bottleneck itself."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.downs = nn.ModuleList([conv(4, 4) for _ in range(3)])
        self.ups, self.mended = nn.ModuleList([conv(8, 4) for _ in range(3)]), mended

    def forward(self, x: Tensor) -> Tensor:
        hs = [x] if self.mended else []
        for down in self.downs:
            x = F.silu(down(x))
            hs.append(x)
        if self.mended:
            hs.pop()
        for up, h in zip(self.ups, hs[::-1], strict=True):
            x = F.silu(up(torch.cat([x, h], dim=1)))
        return x


class ScaleFactor(nn.Module):
    """Pooled with ceil_mode on one arm, doubled back: meets at even sizes alone."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.down, self.out, self.mended = conv(4, 4), conv(8, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.down(F.max_pool2d(x, 2, ceil_mode=True))
        y = F.interpolate(y, size=x.shape[2:]) if self.mended else F.interpolate(y, scale_factor=2)
        return self.out(torch.cat([x, y], 1))


class CornerCrop(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.c1, self.c2, self.mended = nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3), mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.c2(F.relu(self.c1(x)))
        h, w = y.shape[2:]
        top, left = ((x.shape[2] - h) // 2, (x.shape[3] - w) // 2) if self.mended else (0, 0)
        return y + x[:, :, top : top + h, left : left + w]


class CatDropped(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.enc, self.mid, self.up = conv(4, 4), conv(4, 4), nn.ConvTranspose2d(4, 4, 2, 2)
        self.dec, self.mended = conv(8 if mended else 4, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        e1 = F.relu(self.enc(x))
        d1 = self.up(F.relu(self.mid(F.max_pool2d(e1, 2))))
        both = torch.cat((e1, d1), dim=1)
        return self.dec(both if self.mended else d1)


class SwappedPad(nn.Module):
    """milesial/Pytorch-UNet's padding with its axes swapped."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.mid, self.up = conv(4, 4), nn.ConvTranspose2d(4, 4, 2, 2)
        self.dec, self.mended = conv(8, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.up(self.mid(F.max_pool2d(x, 2)))
        dy, dx = x.shape[2] - y.shape[2], x.shape[3] - y.shape[3]
        if not self.mended:
            dy, dx = dx, dy
        y = F.pad(y, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.dec(torch.cat([x, y], 1))


class GateDropped(nn.Module):
    """An attention UNet that concatenates the feature instead of the gated one."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.enc, self.mid, self.up = conv(4, 4), conv(4, 4), nn.ConvTranspose2d(4, 4, 2, 2)
        self.wg, self.wx, self.psi = nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, 1), nn.Conv2d(2, 1, 1)
        self.dec, self.mended = conv(8, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        e = F.relu(self.enc(x))
        d = self.up(F.relu(self.mid(F.max_pool2d(e, 2))))
        s = e * torch.sigmoid(self.psi(F.relu(self.wg(d) + self.wx(e))))
        return self.dec(torch.cat((s if self.mended else e, d), 1))


class VNetInput(nn.Module):
    """V-Net's first level: one channel is stretched over sixteen."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv, self.bn, self.mended = nn.Conv3d(1, 4, 5, padding=2), nn.BatchNorm3d(4), mended

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn(self.conv(x))
        return F.elu(out + (x.repeat(1, 4, 1, 1, 1) if self.mended else x))


class ClipStride(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.space = nn.Conv3d(4, 8, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        self.time = nn.Conv3d(8, 8, (3, 1, 1), 1, (1, 0, 0))
        self.down = nn.Conv3d(4, 8, 1, (1, 2, 2) if mended else 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.time(F.relu(self.space(x))) + self.down(x))


class PaddedPoint(nn.Module):
    """1x1 convolutions with padding 1 on both arms."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        pad = 0 if mended else 1
        self.c1, self.c2 = nn.Conv2d(4, 8, 1, 2, pad), conv(8, 8)
        self.sc = nn.Conv2d(4, 8, 1, 2, pad)

    def forward(self, x: Tensor) -> Tensor:
        return self.c2(F.relu(self.c1(x))) + self.sc(x)


CASES = (
    Case("zero-crop", "x[d:-d] with d = 0", "TS101", *twins(ZeroCrop)),
    Case("loop-source", "for layer: out = layer(x)", "TS107", *pair(LoopSource)),
    Case("pop-first", "skips.pop(0)", "TS204", *twins(PopFirst), ODD),
    Case("reversed-whole", "skips[::-1] with the bottleneck", "TS106", *twins(ReversedWhole)),
    Case("scale-factor", "scale_factor=2 of an odd size", "TS102", *twins(ScaleFactor)),
    Case("corner-crop", "crop at the corner", "TS303", *twins(CornerCrop)),
    Case("cat-dropped", "a concatenation that is not read", "TS107", *twins(CatDropped)),
    Case("swapped-pad", "F.pad with swapped axes", "TS102", *twins(SwappedPad)),
    Case("gate-dropped", "attention UNet, ungated", "TS107", *twins(GateDropped)),
    Case("vnet-input", "one channel over many", "TS103", *twins(VNetInput), VOLUME),
    Case("clip-stride", "stride of time", "TS101", *twins(ClipStride), CLIP),
    Case("padded-point", "1x1 with padding", "TS206", *twins(PaddedPoint)),
)
