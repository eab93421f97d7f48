"""The fourth set, continued: audio, recurrence, and how blocks are kept."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv, pair
from .fourth_images import body, twins

SERIES = ((2, 4, 24),)
TOKENS = ((2, 8, 4),)
ROWS = ((6, 4),)
CROSS = ((2, 8, 4), (2, 8, 4))


class OuterSum(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.mlp, self.mended = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1)), mended

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(x) + x.mean(1, keepdim=self.mended)


class PooledSum(nn.Module):
    """The pooled branch keeps its two axes of one, the shortcut does not."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv, self.pool, self.mended = conv(4, 4), nn.AdaptiveAvgPool2d(1), mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.pool(F.relu(self.conv(x)))
        if self.mended:
            y = y.flatten(1)
        return y + x.mean((2, 3))


class DoubleStream(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.fc1, self.fc2, self.mended = nn.Linear(4, 8), nn.Linear(8, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.mended else x.to(torch.float64)
        return shortcut + self.fc2(F.gelu(self.fc1(x)))


class NoChomp(nn.Module):
    """A TCN's block without the cut behind its causal padding."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv, self.mended = nn.Conv1d(4, 4, 3, padding=4, dilation=2), mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if self.mended:
            y = y[..., :-4].contiguous()
        return F.relu(F.relu(y) + x)


class WaveSkips(nn.Module):
    """Each layer's skip replaces the one before."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.gates = nn.ModuleList(
            [nn.Conv1d(4, 8, 3, padding=2**i, dilation=2**i) for i in range(3)]
        )
        self.res = nn.ModuleList([nn.Conv1d(4, 4, 1), nn.Conv1d(4, 4, 1), nn.Identity()])
        self.skip = nn.ModuleList([nn.Conv1d(4, 6, 1) for _ in range(3)])
        self.head, self.mended = nn.Conv1d(6, 2, 1), mended

    def forward(self, x: Tensor) -> Tensor:
        total = torch.zeros(())
        for gate, res, skip in zip(self.gates, self.res, self.skip, strict=True):
            a, b = gate(x).chunk(2, 1)
            z = torch.tanh(a) * torch.sigmoid(b)
            total = total + skip(z) if self.mended else skip(z)
            if isinstance(res, nn.Conv1d):
                x = x + res(z)
        return self.head(F.relu(total))


class DemucsOrder(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.enc = nn.ModuleList([nn.Conv1d(4, 4, 4, 2, 1) for _ in range(3)])
        self.dec = nn.ModuleList([nn.ConvTranspose1d(4, 4, 4, 2, 1) for _ in range(3)])
        self.mid, self.mended = nn.Conv1d(4, 4, 3, padding=1), mended

    def forward(self, x: Tensor) -> Tensor:
        saved = []
        for enc in self.enc:
            x = F.relu(enc(x))
            saved.append(x)
        x = self.mid(x)
        for dec in self.dec:
            skip = saved.pop(-1) if self.mended else saved.pop(0)
            x = dec(x + skip[..., : x.shape[-1]])
        return x


class GruState(nn.Module):
    """The state (1, N, H) is added to the sequence (N, T, H)."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.gru, self.mended = nn.GRU(4, 4, batch_first=True), mended

    def forward(self, x: Tensor) -> Tensor:
        out, h = self.gru(x)
        return out + (h.transpose(0, 1) if self.mended else h)


class LstmResidual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.norm = nn.LSTM(4, 4, batch_first=True), nn.LayerNorm(4)

    def forward(self, x: Tensor) -> Tensor:
        residual = x  # noqa: F841
        x, _ = self.lstm(x)
        x = F.dropout(x, 0.1, self.training)
        return self.norm(x)


class LstmResidualMended(LstmResidual):
    def forward(self, x: Tensor) -> Tensor:
        residual = x
        x, _ = self.lstm(x)
        x = F.dropout(x, 0.1, self.training)
        return self.norm(x + residual)


class Basic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = body()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


class Copies(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        blocks = [Basic() for _ in range(3)] if mended else [Basic()] * 3
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)


class PlainList(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        blocks = [Basic(), Basic()]
        self.stem, self.blocks = conv(4, 4), nn.ModuleList(blocks) if mended else blocks

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return x


class MadeInForward(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv, self.proj = conv(4, 8), nn.Conv2d(4, 8, 1) if mended else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if x.shape[1] != y.shape[1]:
            x = (self.proj or nn.Conv2d(x.shape[1], y.shape[1], 1))(x)
        return F.relu(y + x)


class FlagIgnored(nn.Module):
    def __init__(self, mended: bool, use_residual: bool = True) -> None:
        super().__init__()
        self.use_residual, self.mended = use_residual, mended
        self.conv = nn.Sequential(conv(4, 4), nn.BatchNorm2d(4), nn.ReLU6())

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv(x)
        return x + out if self.use_residual and self.mended else out


class StageTwice(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.layer1, self.layer2, self.layer3, self.mended = Basic(), Basic(), Basic(), mended

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer1(x)
        x = self.layer2(x)
        return self.layer3(x) if self.mended else self.layer2(x)


CASES = (
    Case("outer-sum", "(N, 1) + (N,)", "TS103", *twins(OuterSum), ROWS),
    Case("pooled-sum", "(N, C, 1, 1) + (N, C)", "TS103", *twins(PooledSum)),
    Case("double-stream", "a shortcut in float64", "TS110", *twins(DoubleStream), TOKENS),
    Case("no-chomp", "TCN without Chomp1d", "TS101", *twins(NoChomp), SERIES),
    Case("wave-skips", "skip = instead of skip +=", "TS107", *twins(WaveSkips), SERIES),
    Case("demucs-order", "saved.pop(0) and a cut", "TS101", *twins(DemucsOrder), SERIES),
    Case("gru-state", "out + h", "TS101", *twins(GruState), TOKENS),
    Case("lstm-residual", "residual never read", "TS201", LstmResidual, LstmResidualMended, TOKENS),
    Case("copies", "[block] * 3", "TS203", *twins(Copies)),
    Case("plain-list", "a list of blocks", "TS207", *twins(PlainList)),
    Case("made-in-forward", "a projection in forward", "TS207", *twins(MadeInForward)),
    Case("flag-ignored", "use_residual", "TS201", *pair(FlagIgnored)),
    Case("stage-twice", "layer2 twice, layer3 never", "TS203", *twins(StageTwice)),
)
