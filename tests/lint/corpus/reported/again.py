"""A second set, written after the first was mended and before it was run: other wirings."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, Clean, conv
from .sums import blocks

SERIES = ((2, 4, 24),)
PAIR = ((2, 6, 8), (2, 5, 8))


class ChannelNorm(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.g, self.b = (
            nn.Parameter(torch.ones(1, dim, 1, 1)),
            nn.Parameter(torch.zeros(1, dim, 1, 1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True)
        std = torch.sqrt((x - mean).pow(2).mean(1, keepdim=True) + 1e-5)
        return (x - mean) / std * self.g + self.b


class ConvBlock(nn.Module):
    """A channel normalisation by hand, on the stream."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.norm, self.dw, self.pw = ChannelNorm(4), conv(4, 4, 7, groups=4), nn.Conv2d(4, 4, 1)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        if self.mended:
            return x + self.pw(F.gelu(self.dw(self.norm(x))))
        x = self.norm(x)
        return x + self.pw(F.gelu(self.dw(x)))


class GrowthStage(nn.Module):
    """The stage concatenates, activates, and returns what it had before."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.a, self.b, self.mix = conv(4, 2), conv(6, 2), nn.Conv2d(8 if mended else 2, 4, 1)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        one = F.relu(self.a(x))
        two = F.relu(self.b(torch.cat([x, one], 1)))
        out = F.relu(torch.cat([x, one, two], 1))
        return self.mix(out if self.mended else two)


class LateProjection(nn.Module):
    """The projection of the shortcut is computed after the alias was written to."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.stem, self.body, self.proj = conv(4, 4), conv(4, 4), nn.Conv2d(4, 4, 1)
        self.bias, self.mended = nn.Parameter(torch.randn(4, 1, 1)), mended

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        out = x.clone() if self.mended else x
        out.add_(self.bias)
        out = self.body(out)
        identity = self.proj(x)
        return out + identity


class AlphaAdd(nn.Module):
    """`torch.add(x, block(x), alpha=...)` around a block that is residual itself."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv, self.mended = conv(4, 4), mended

    def block(self, x: Tensor) -> Tensor:
        y = F.elu(self.conv(x))
        return y if self.mended else x + y

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, self.block(x), alpha=0.2)


class OneAxisPad(nn.Module):
    """A (1, 3) kernel is padded on both axes, and a (3, 1) one on neither."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.row = nn.Conv2d(4, 4, (1, 3), padding=(0 if mended else 1, 1))
        self.column = nn.Conv2d(4, 4, (3, 1), padding=(1 if mended else 0, 0))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.column(F.relu(self.row(x)))


class ListedScales(nn.Module):
    """Plain tensors in a list scale the branches, each through a view."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv(4, 4) for _ in range(2))
        scales = [torch.full((4,), 0.1) for _ in range(2)]
        self.scales = nn.ParameterList(map(nn.Parameter, scales)) if mended else scales

    def forward(self, x: Tensor) -> Tensor:
        for c, scale in zip(self.convs, self.scales, strict=True):
            x = x + scale.view(1, -1, 1, 1) * c(F.relu(x))
        return x


class Selective(nn.Module):
    """Two kernels are chosen between by a softmax over an axis that was just made."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.a, self.b, self.fc = conv(4, 4), conv(4, 4, 5), nn.Linear(4, 8)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.a(x), self.b(x)
        z = self.fc((a + b).mean((2, 3)))
        z = z.view(-1, 2, 4)[..., None, None]
        w = torch.softmax(z, 1 if self.mended else 3)
        return x + w[:, 0] * a + w[:, 1] * b


class OwnGate(nn.Module):
    """The gate multiplies the signal in place, into the sigmoid's own result."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.gate, self.mended = conv(4, 4, 1), mended

    def forward(self, x: Tensor) -> Tensor:
        y = torch.sigmoid(self.gate(x))
        if self.mended:
            return x + y * x
        y *= x
        return x + y


class Renormalised(nn.Module):
    """A buffer of statistics is updated in place while a shortcut is held."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.mean = conv(4, 4), nn.Buffer(torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        h = x
        y = self.conv(x)
        self.mean.mul_(0.9).add_(0.1 * y.detach().mean((0, 2, 3)))
        return h + F.relu(y - self.mean[:, None, None])


CASES = (
    Case("hand-norm", "norm on the stream, by hand", "TS202", *blocks(ConvBlock)),
    Case(
        "growth-stage", "a dense stage that returns its last layer", "TS107", *blocks(GrowthStage)
    ),
    Case(
        "late-projection", "a projection of an overwritten alias", "TS104", *blocks(LateProjection)
    ),
    Case("alpha-add", "a residual in a residual, by alpha", "TS106", *blocks(AlphaAdd)),
    Case("one-axis-pad", "padding on the wrong axis", "TS206", *blocks(OneAxisPad)),
    Case("listed-scales", "scales in a list", "TS207", *blocks(ListedScales)),
    Case("selective", "softmax over a new axis", "TS205", *blocks(Selective)),
    Case("own-gate", "a gate overwritten by its product", "TS112", *blocks(OwnGate)),
)
CLEAN = (Clean("renormalised", "running statistics by hand", Renormalised, ((2, 4, 8, 8),)),)
