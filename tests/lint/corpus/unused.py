"""Results thrown away and layers that never run."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, conv, maker


class IgnoredConv(nn.Module):
    """`self.conv(x)` without an assignment."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv1, self.conv2, self.mended = conv(4, 4), conv(4, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.conv1(x))
        if self.mended:
            h = self.conv2(h)
        else:
            self.conv2(h)
        return x + h


class Subspace(nn.Module):
    """The first stage is overwritten: the pooling reads the block's input."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.dws, self.bn = conv(4, 4, 1, groups=4), nn.BatchNorm2d(4)
        self.pool, self.point = nn.MaxPool2d(3, 1, 1), conv(4, 4, 1)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn(self.dws(x)))
        out = self.pool(out if self.mended else x)
        out = torch.sigmoid(self.point(out))
        return x * out + x


class WrongName(nn.Module):
    """The sum goes to a name nobody reads."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.att, self.res, self.mended = conv(4, 4), conv(4, 4, 1), mended

    def forward(self, x: Tensor) -> Tensor:
        ret = F.elu(self.att(x))
        seq = self.res(x)
        if self.mended:
            ret = ret + seq
        else:
            seq = ret + seq
        return ret


class DenseReturn(nn.Module):
    """A dense block that returns its last layer instead of the concatenation."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(conv(4 + 4 * i, 4) for i in range(3))
        self.close, self.mended = conv(16 if mended else 4, 4, 1), mended

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.layers:
            features.append(F.relu(layer(torch.cat(features, 1))))
        merged = torch.cat(features, 1)
        return self.close(merged if self.mended else features[-1])


class UnetRes(nn.Module):
    """Residual unit that builds its projection although nothing is projected."""

    def __init__(self, a: int, b: int, mended: bool) -> None:
        super().__init__()
        self.conv1, self.norm1 = conv(a, b), nn.InstanceNorm2d(b, affine=True)
        self.conv2, self.norm2 = conv(b, b), nn.InstanceNorm2d(b, affine=True)
        self.downsample = a != b
        if self.downsample or not mended:
            self.conv3, self.norm3 = conv(a, b, 1), nn.InstanceNorm2d(b, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        out = F.leaky_relu(self.norm1(self.conv1(x)), 0.01)
        out = self.norm2(self.conv2(out))
        if self.downsample:
            residual = self.norm3(self.conv3(x))
        return F.leaky_relu(out + residual, 0.01)


class UnusedShortcut(nn.Module):
    """The projection is built, and forgotten in forward."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(4, 4), nn.BatchNorm2d(4), nn.ReLU(), conv(4, 4))
        self.shortcut = nn.Sequential(conv(4, 4, 1), nn.BatchNorm2d(4))
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        out = self.body(x)
        if self.mended:
            out = out + self.shortcut(x)
        return F.relu(out)


class ComputedShortcut(nn.Module):
    """The projection is computed and not added."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(4, 4), nn.BatchNorm2d(4), nn.ReLU(), conv(4, 4))
        self.downsample = nn.Sequential(conv(4, 4, 1), nn.BatchNorm2d(4))
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        residual = self.downsample(x)
        out = self.body(x)
        if self.mended:
            out = out + residual
        return F.relu(out)


class DecoderWithoutSkips(nn.Module):
    """The decoder is handed the encoder's features and reads none of them."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.enc1, self.enc2, self.mid = conv(4, 4), conv(4, 4), conv(4, 4)
        self.lat1, self.lat2 = conv(4, 4, 1), conv(4, 4, 1)
        self.dec2, self.dec1, self.mended = conv(4, 4), conv(4, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        e1 = F.relu(self.enc1(x))
        e2 = F.relu(self.enc2(F.max_pool2d(e1, 2)))
        m = self.mid(F.max_pool2d(e2, 2))
        skips = [self.lat2(e2), self.lat1(e1)]
        for skip, dec in zip(skips, (self.dec2, self.dec1), strict=True):
            m = F.interpolate(m, scale_factor=2)
            m = F.relu(dec(m + skip if self.mended else m))
        return m


CASES = (
    Case("ignored_conv", "state-spaces/s4 PR 30", "TS107",
         maker(IgnoredConv, False), maker(IgnoredConv, True)),
    Case("subspace", "Nandan91/ULSAM#8", "TS107", maker(Subspace, False), maker(Subspace, True)),
    Case("wrong_name", "PetarV-/GAT#11", "TS107", maker(WrongName, False), maker(WrongName, True)),
    Case("dense_return", "taki0112/Densenet-Tensorflow#6", "TS107",
         maker(DenseReturn, False), maker(DenseReturn, True)),
    Case("computed_shortcut", "a downsample computed and not added", "TS107",
         maker(ComputedShortcut, False), maker(ComputedShortcut, True)),
    Case("decoder_without_skips", "a decoder that ignores its skips", "TS107",
         lambda: DecoderWithoutSkips(False), lambda: DecoderWithoutSkips(True)),
    Case("unet_res", "Project-MONAI/MONAI#4314", "TS108",
         maker(UnetRes, 4, 4, False), maker(UnetRes, 4, 4, True)),
    Case("unused_shortcut", "a shortcut constructed and not used", "TS108",
         maker(UnusedShortcut, False), maker(UnusedShortcut, True)),
)  # fmt: skip
