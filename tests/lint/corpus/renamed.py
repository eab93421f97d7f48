"""Values that reach a join changed: by another name, behind a scale, outside torch, promoted."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, conv, pair


class PartialMixing(nn.Module):
    """A convolution of some channels, written into the tensor that it was given."""

    def __init__(self, copies: bool) -> None:
        super().__init__()
        self.conv, self.copies = conv(2, 2), copies

    def forward(self, x: Tensor) -> Tensor:
        x = x.clone() if self.copies else x
        x[:, :2] = self.conv(x[:, :2].clone())
        return x


class Partial(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.mixing, self.mlp = PartialMixing(mended), nn.Sequential(conv(4, 8, 1), conv(8, 4, 1))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        x = self.mixing(x)
        return shortcut + self.mlp(x)


class NamedView(nn.Module):
    """`tokens` is a view of `x`: clamping it clamps the shortcut."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.mix, self.mended = nn.Linear(256, 256), mended

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.view(x.shape[0], 4, -1)
        if self.mended:
            tokens = tokens.clamp(min=0)
        else:
            tokens.clamp_(min=0)
        return x + self.mix(tokens).view_as(x)


class Border(nn.Module):
    """The border of an attention map is set to zero, behind the rectifier that needs it."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.attend, self.mended = conv(4, 1, 1), mended

    def forward(self, x: Tensor) -> Tensor:
        weight = F.relu(self.attend(x))
        weight = weight.clone() if self.mended else weight
        weight[:, :, 0] = 0
        return x + x * weight


class WeightedFusion(nn.Module):
    """BiFPN's learned weights hide from the sum that its operand was detached."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body, self.mended = nn.Sequential(conv(4, 4), nn.ReLU(), conv(4, 4)), mended
        self.weight = nn.Parameter(torch.ones(2))

    def forward(self, x: Tensor) -> Tensor:
        short = x if self.mended else x.detach()
        return self.weight[0] * self.body(x) + self.weight[1] * short


class NumpyShortcut(nn.Module):
    """The shortcut goes through numpy: no operation of torch leads to it."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body, self.mended = conv(4, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        short = x if self.mended else torch.from_numpy(x.detach().numpy().copy())
        return self.body(x) + short


class Window(nn.Module):
    """NumPy's float64 in a branch that casts its own input back: the stream stays float64."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv = conv(4, 4)
        window = torch.from_numpy(np.hanning(16))
        self.window = window.float() if mended else window

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x.float()) * self.window


class StackedTwice(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv, self.mended = conv(4, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return torch.stack([x if self.mended else y, y]).sum(0)


CASES = (
    Case("partial_mixing", "JierunChen/FasterNet, forward_slicing without its clone", "TS104",
         *pair(Partial)),
    Case("named_view", "a view overwritten by its own name", "TS104", *pair(NamedView)),
    Case("zeroed_border", "AggMan96/RK-Net#9", "TS112", *pair(Border)),
    Case("weighted_fusion", "toandaominh1997/EfficientDet.Pytorch PR 26, weighted", "TS105",
         *pair(WeightedFusion)),
    Case("numpy_shortcut", "a shortcut through numpy", "TS105", *pair(NumpyShortcut)),
    Case("float64_window", "a float64 window over the branch", "TS110",
         lambda: nn.Sequential(Window(False), Window(False)),
         lambda: nn.Sequential(Window(True), Window(True))),
    Case("stacked_twice", "torch.stack([y, y]).sum(0)", "TS106", *pair(StackedTwice)),
)  # fmt: skip
