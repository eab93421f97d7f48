"""Shortcuts overwritten in place, and in-place operations that break backward."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, conv, maker


class ReluFirst(nn.Module):
    """Residual stack that begins with an activation."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.ReLU(inplace=inplace), conv(4, 6), nn.ReLU(inplace=True), conv(6, 4, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv(x)
        out += x
        return out


class PreactBottleneck(nn.Module):
    """Pre-activation block whose first activation has no normalisation before it."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=inplace)
        self.conv1, self.bn1 = conv(4, 4), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = conv(4, 4), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(x)
        out = F.relu(self.bn1(self.conv1(out)))
        out = self.bn2(self.conv2(out))
        return out + identity


class ActivatedBranch(nn.Module):
    """Branch that ends with an in-place activation, then an addition in place."""

    def __init__(self, inplace_add: bool) -> None:
        super().__init__()
        self.left = nn.Sequential(
            conv(4, 6), nn.ReLU(inplace=True), conv(6, 4), nn.ReLU(inplace=True)
        )
        self.inplace_add = inplace_add

    def forward(self, x: Tensor) -> Tensor:
        out = self.left(x)
        if self.inplace_add:
            out += x
        else:
            out = out + x
        return F.relu(out)


class ShortcutAfterResidual(nn.Module):
    """The projection is computed after the branch has overwritten the input."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.residual = nn.Sequential(nn.ReLU(inplace=inplace), conv(4, 4), nn.BatchNorm2d(4))
        self.shortcut = conv(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        residual = self.residual(x)
        return residual + self.shortcut(x)


class SeparableUnit(nn.Module):
    """Depthwise separable unit with a shared in-place activation before its first layer."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.activ = nn.ReLU(inplace=inplace)
        self.dw, self.pw = conv(4, 4, groups=4), conv(4, 4, 1)
        self.identity_conv = conv(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.activ(x)
        y = self.pw(self.dw(y))
        return self.identity_conv(x) + y


class LeafInplace(nn.Module):
    """The in-place operation hides inside a custom leaf, on a view of the input."""

    def __init__(self, safe: bool) -> None:
        super().__init__()
        self.safe, self.conv = safe, conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        flat = flat.clamp(min=0) if self.safe else flat.clamp_(min=0)
        return self.conv(flat.view_as(x)) + x


class PyramidSum(nn.Module):
    """Top-down pyramid that adds in place to a lateral that backward needs."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.down1 = nn.Sequential(conv(4, 4, stride=1), nn.ReLU())
        self.down2 = nn.Sequential(conv(4, 4, stride=2), nn.ReLU())
        self.lateral1 = nn.Sequential(conv(4, 4, 1), nn.ReLU())
        self.lateral2 = nn.Sequential(conv(4, 4, 1), nn.ReLU())
        self.inplace = inplace

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        c1 = self.down1(x)
        c2 = self.down2(c1)
        laterals = [self.lateral1(c1), self.lateral2(c2)]
        up = F.interpolate(laterals[1], size=laterals[0].shape[2:])
        if self.inplace:
            laterals[0] += up
        else:
            laterals[0] = laterals[0] + up
        return laterals[0], laterals[1]


class Volume(nn.Module):
    """Three-dimensional residual block with `out += residual` after the activation."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv3d(2, 2, 3, padding=1), nn.Conv3d(2, 2, 3, padding=1)
        self.right = nn.Conv3d(2, 2, 1)
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        out = torch.relu(self.conv2(torch.relu(self.conv1(x))))
        residual = self.right(x)
        if self.inplace:
            out += residual
            return out
        return out + residual


class NormStream(nn.Module):
    """The branch writes its scaling into the residual stream itself."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.conv, self.inplace = nn.Conv1d(4, 4, 3, padding=1), inplace

    def forward(self, x: Tensor) -> Tensor:
        skip = x
        h = x.mul_(0.5) if self.inplace else x * 0.5
        return skip + self.conv(h)


def _line(block: type[nn.Module], flag: bool) -> nn.Module:
    return nn.Sequential(nn.Conv1d(4, 4, 3, padding=1), block(flag), block(flag))


CASES = (
    Case("relu_first", "rosinality/vq-vae-2-pytorch#60", "TS104",
         maker(ReluFirst, True), maker(ReluFirst, False)),
    Case("preact_bottleneck", "iduta/iresnet PR 2", "TS104",
         maker(PreactBottleneck, True), maker(PreactBottleneck, False)),
    Case("activated_branch", "pytorch/pytorch#5687", "TS112",
         maker(ActivatedBranch, True), maker(ActivatedBranch, False)),
    Case("shortcut_after_residual", "pytorch/pytorch#15428", "TS104",
         maker(ShortcutAfterResidual, True), maker(ShortcutAfterResidual, False)),
    Case("separable_unit", "osmr/imgclsmob#13", "TS104",
         maker(SeparableUnit, True), maker(SeparableUnit, False)),
    Case("leaf_inplace", "the alias of rosinality/vq-vae-2-pytorch#60", "TS104",
         maker(LeafInplace, False), maker(LeafInplace, True)),
    Case("pyramid_sum", "lyongo/NWPU-MOC#4", "TS112",
         lambda: PyramidSum(True), lambda: PyramidSum(False)),
    Case("volume", "iMED-Lab/ER-Net PR 3", "TS112",
         lambda: Volume(True), lambda: Volume(False), ((1, 2, 8, 8, 8),)),
    Case("norm_stream", "allenai/OLMo PR 680, in place", "TS104",
         lambda: _line(NormStream, True), lambda: _line(NormStream, False), ((2, 4, 16),)),
)  # fmt: skip
