"""Speech and time series."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from tests.truth.row import Row
from torch import nn

__all__ = ["DPRNN", "ROWS", "ConvTasNet", "NBeats", "QuartzNet"]


class _SeparatorBlock(nn.Module):
    def __init__(self, n, hidden, dilation):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(n, hidden, 1),
            nn.PReLU(),
            nn.GroupNorm(1, hidden),
            nn.Conv1d(hidden, hidden, 3, padding=dilation, dilation=dilation, groups=hidden),
            nn.PReLU(),
            nn.GroupNorm(1, hidden),
        )
        self.res_out = nn.Conv1d(hidden, n, 1)
        self.skip_out = nn.Conv1d(hidden, n, 1)

    def forward(self, x):
        y = self.net(x)
        return self.res_out(y), self.skip_out(y)


class ConvTasNet(nn.Module):
    """Luo 2019."""

    size = ((1, 128),)

    def __init__(self):
        super().__init__()
        self.encoder = nn.Conv1d(1, 16, 8, stride=4, bias=False)
        self.bottleneck = nn.Sequential(nn.GroupNorm(1, 16), nn.Conv1d(16, 8, 1))
        self.TCN = nn.ModuleList(_SeparatorBlock(8, 16, 2**i) for i in range(4))
        self.mask_net = nn.Sequential(nn.PReLU(), nn.Conv1d(8, 2 * 16, 1))
        self.decoder = nn.ConvTranspose1d(16, 1, 8, stride=4, bias=False)

    def forward(self, mixture):
        w = F.relu(self.encoder(mixture))
        batch, n, frames = w.shape
        output = self.bottleneck(w)
        skip_connection = 0.0
        for block in self.TCN:
            residual, skip = block(output)
            output = output + residual
            skip_connection = skip_connection + skip
        masks = torch.sigmoid(self.mask_net(skip_connection)).view(batch, 2, n, frames)
        masked = w.unsqueeze(1) * masks
        return self.decoder(masked.view(batch * 2, n, frames)).view(batch, 2, -1)


def _separable(inputs, outputs, kernel):
    return nn.Sequential(
        nn.Conv1d(inputs, inputs, kernel, padding=kernel // 2, groups=inputs),
        nn.Conv1d(inputs, outputs, 1),
        nn.BatchNorm1d(outputs),
    )


class _QuartzBlock(nn.Module):
    def __init__(self, inputs, outputs, kernel, repeat=3):
        super().__init__()
        layers = []
        for i in range(repeat):
            layers.append(_separable(inputs if i == 0 else outputs, outputs, kernel))
            if i < repeat - 1:
                layers += [nn.ReLU(), nn.Dropout(0.1)]
        self.mconv = nn.Sequential(*layers)
        self.res = nn.Sequential(nn.Conv1d(inputs, outputs, 1), nn.BatchNorm1d(outputs))
        self.mout = nn.Sequential(nn.ReLU(), nn.Dropout(0.1))

    def forward(self, x):
        return self.mout(self.mconv(x) + self.res(x))


class QuartzNet(nn.Module):
    """Kriman 2020."""

    size = ((8, 64),)

    def __init__(self):
        super().__init__()
        self.prologue = nn.Sequential(nn.Conv1d(8, 16, 11, stride=2, padding=5), nn.ReLU())
        self.blocks = nn.Sequential(_QuartzBlock(16, 16, 11), _QuartzBlock(16, 24, 13))
        self.epilogue = nn.Sequential(_separable(24, 32, 15), nn.ReLU(), nn.Conv1d(32, 5, 1))

    def forward(self, x):
        return F.log_softmax(self.epilogue(self.blocks(self.prologue(x))), dim=1)


class _DualPath(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.intra_rnn = nn.LSTM(n, n, batch_first=True, bidirectional=True)
        self.intra_linear = nn.Linear(2 * n, n)
        self.intra_norm = nn.GroupNorm(1, n)
        self.inter_rnn = nn.LSTM(n, n, batch_first=True, bidirectional=True)
        self.inter_linear = nn.Linear(2 * n, n)
        self.inter_norm = nn.GroupNorm(1, n)

    def forward(self, x):
        b, n, k, s = x.shape
        intra, _ = self.intra_rnn(x.permute(0, 3, 2, 1).reshape(b * s, k, n))
        intra = self.intra_linear(intra).view(b, s, k, n).permute(0, 3, 2, 1)
        intra = self.intra_norm(intra) + x
        inter, _ = self.inter_rnn(intra.permute(0, 2, 3, 1).reshape(b * k, s, n))
        inter = self.inter_linear(inter).view(b, k, s, n).permute(0, 3, 1, 2)
        return self.inter_norm(inter) + intra


class DPRNN(nn.Module):
    """Luo 2020: recurrence within chunks, then across them."""

    size = ((1, 96),)

    def __init__(self):
        super().__init__()
        self.encoder = nn.Conv1d(1, 8, 2, stride=2)
        self.layers = nn.ModuleList(_DualPath(8) for _ in range(2))
        self.out = nn.Conv1d(8, 8, 1)

    def forward(self, x):
        w = F.relu(self.encoder(x))
        chunks = w.view(*w.shape[:2], 8, 6)
        for layer in self.layers:
            chunks = layer(chunks)
        return self.out(chunks.flatten(2))


class _NBeatsBlock(nn.Module):
    def __init__(self, backcast, forecast, n):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(backcast, n), nn.ReLU(), nn.Linear(n, n), nn.ReLU())
        self.theta_b, self.theta_f = nn.Linear(n, backcast), nn.Linear(n, forecast)

    def forward(self, x):
        h = self.fc(x)
        return self.theta_b(h), self.theta_f(h)


class NBeats(nn.Module):
    """Oreshkin 2020: what a block explains is subtracted, what it predicts is added."""

    size = ((24,),)

    def __init__(self):
        super().__init__()
        self.stacks = nn.ModuleList(_NBeatsBlock(24, 6, 16) for _ in range(3))

    def forward(self, x):
        forecast = torch.zeros(x.shape[0], 6, dtype=x.dtype, device=x.device)
        for block in self.stacks:
            b, f = block(x)
            x = x - b
            forecast = forecast + f
        return x, forecast


ROWS: tuple[Row, ...] = (
    Row(
        "written/ConvTasNet",
        {"identity": 4, "projection": 3, "gate": 1},
        "four residual blocks, the last sum unused; their skip outputs are summed as WaveNet's; "
        "the masks scale the encoder's output",
        (
            (4, "identity", "", "output = output + residual", "*"),
            (3, "projection", "", "skip_connection = skip_connection + skip", "TCN.[012].net.5"),
            (1, "gate", "", "masked = w.unsqueeze(1) * masks", ""),
        ),
    ),
    Row(
        "written/QuartzNet",
        {"projection": 2},
        "a pointwise convolution beside three separable ones",
        (
            (1, "projection", "blocks.0", "return self.mout(self.mconv(x) + self.res(x))", "pro*"),
            (1, "projection", "blocks.1", "return self.mout(*", "blocks.0.mout.[01]"),
        ),
    ),
    Row(
        "written/DPRNN",
        {"identity": 4},
        "two layers of two sums around recurrent nets",
        (
            (2, "identity", "layers.?", "intra = self.intra_norm(intra) + x", "*"),
            (2, "identity", "layers.?", "return self.inter_norm(inter) + intra", "layers.?"),
        ),
    ),
    Row(
        "written/NBeats",
        {"identity": 3, "projection": 2},
        "three differences; a forecast joins the next one's, which comes through the difference",
        (
            (3, "identity", "", "x = x - b", "*"),
            (2, "projection", "", "forecast = forecast + f", "stacks.[01].fc.3"),
        ),
    ),
)
