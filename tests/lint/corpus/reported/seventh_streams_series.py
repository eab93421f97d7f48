"""The seventh set. Streams. Designs of sound, graphs and series that are meant so."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Clean


class TemporalBlock(nn.Module):
    """locuslab/TCN."""

    def __init__(self, a, b, dilation):
        super().__init__()
        weight_norm = nn.utils.parametrizations.weight_norm
        self.chomp = 2 * dilation
        self.conv1 = weight_norm(nn.Conv1d(a, b, 3, padding=self.chomp, dilation=dilation))
        self.conv2 = weight_norm(nn.Conv1d(b, b, 3, padding=self.chomp, dilation=dilation))
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(0.2)
        self.downsample = nn.Conv1d(a, b, 1) if a != b else None

    def forward(self, x):
        out = self.dropout(self.relu(self.conv1(x)[:, :, : -self.chomp].contiguous()))
        out = self.dropout(self.relu(self.conv2(out)[:, :, : -self.chomp].contiguous()))
        res = x if self.downsample is None else self.downsample(x)
        return self.relu(out + res)


class TCNLast(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(
            TemporalBlock(3, 8, 1), TemporalBlock(8, 8, 2), TemporalBlock(8, 12, 4)
        )
        self.linear = nn.Linear(12, 3)

    def forward(self, x):
        return self.linear(self.network(x)[:, :, -1])


class ConvFeatureExtractor(nn.Module):
    """fairseq's wav2vec with skip_connections_feat: the shortcut is every r-th frame."""

    def __init__(self):
        super().__init__()
        self.residual_scale = math.sqrt(0.5)
        widths = [(1, 8, 5, 3), (8, 8, 3, 2), (8, 8, 2, 2), (8, 8, 2, 1)]
        self.conv_layers = nn.ModuleList(
            (
                nn.Sequential(
                    nn.Conv1d(a, b, kernel, stride=stride, bias=False),
                    nn.Dropout(0.0),
                    nn.GroupNorm(1, b),
                    nn.ReLU(),
                )
                for a, b, kernel, stride in widths
            )
        )

    def forward(self, x):
        for conv in self.conv_layers:
            residual = x
            x = conv(x)
            if x.size(1) == residual.size(1):
                tsz = x.size(2)
                r_tsz = residual.size(2)
                residual = residual[..., :: r_tsz // tsz][..., :tsz]
                x = (x + residual) * self.residual_scale
        return torch.log(torch.abs(x) + 1)


class WN(nn.Module):
    """The gated stack of WaveGlow and VITS: the last layer has a skip and no residual."""

    def __init__(self, width, layers=3):
        super().__init__()
        self.width, self.n_layers = (width, layers)
        self.in_layers = nn.ModuleList(
            nn.Conv1d(width, 2 * width, 3, dilation=2**i, padding=2**i) for i in range(layers)
        )
        self.res_skip_layers = nn.ModuleList(
            nn.Conv1d(width, 2 * width if i < layers - 1 else width, 1) for i in range(layers)
        )

    def forward(self, x):
        output = torch.zeros_like(x)
        for i in range(self.n_layers):
            a, b = self.in_layers[i](x).chunk(2, 1)
            res_skip = self.res_skip_layers[i](torch.tanh(a) * torch.sigmoid(b))
            if i < self.n_layers - 1:
                x = x + res_skip[:, : self.width]
                output = output + res_skip[:, self.width :]
            else:
                output = output + res_skip
        return output


class ResidualCoupling(nn.Module):
    def __init__(self, channels=4, hidden=8):
        super().__init__()
        self.half = channels // 2
        self.pre = nn.Conv1d(self.half, hidden, 1)
        self.enc = WN(hidden)
        self.post = nn.Conv1d(hidden, self.half, 1)
        nn.init.zeros_(self.post.weight)
        nn.init.zeros_(self.post.bias)

    def forward(self, x):
        x0, x1 = torch.split(x, [self.half] * 2, 1)
        m = self.post(self.enc(self.pre(x0)))
        logs = torch.zeros_like(m)
        x1 = m + x1 * torch.exp(logs)
        return torch.flip(torch.cat([x0, x1], 1), [1])


class Flow(nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = nn.Conv1d(3, 4, 1)
        self.flows = nn.ModuleList(ResidualCoupling() for _ in range(2))

    def forward(self, x):
        x = self.proj(x)
        for flow in self.flows:
            x = flow(x)
        return x


class GCNII(nn.Module):
    """Every layer adds the same initial residual x0, and an identity beside its weights."""

    def __init__(self, nodes=6, width=8, layers=4):
        super().__init__()
        eye = torch.eye(nodes)
        self.register_buffer("adj", (eye + eye.roll(1, 0) + eye.roll(-1, 0)) / 3)
        self.lin_in = nn.Linear(4, width)
        self.convs = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(layers))
        self.lin_out = nn.Linear(width, 3)
        self.alpha, self.theta = (0.1, 0.5)

    def forward(self, x):
        x = x0 = F.dropout(self.lin_in(x), 0.1, self.training).relu()
        for i, conv in enumerate(self.convs):
            beta = math.log(self.theta / (i + 1) + 1)
            h = (1 - self.alpha) * (self.adj @ x) + self.alpha * x0
            h = (1 - beta) * h + beta * conv(h)
            x = F.dropout(h, 0.1, self.training).relu()
        return self.lin_out(x)


class NBeatsBlock(nn.Module):
    def __init__(self, backcast, forecast, width=8):
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(backcast, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.theta_b = nn.Linear(width, 4, bias=False)
        self.theta_f = nn.Linear(width, 4, bias=False)
        self.backcast = nn.Linear(4, backcast)
        self.forecast = nn.Linear(4, forecast)

    def forward(self, x):
        h = self.fc(x)
        return (self.backcast(self.theta_b(h)), self.forecast(self.theta_f(h)))


class NBeats(nn.Module):
    """Doubly residual: what a block explains is taken off; the last backcast serves nobody."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(NBeatsBlock(10, 5) for _ in range(3))

    def forward(self, x):
        residuals = x.flip(dims=(1,))
        forecast = x[:, -1:]
        for block in self.blocks:
            backcast, block_forecast = block(residuals)
            residuals = residuals - backcast
            forecast = forecast + block_forecast
        return forecast


CLEAN = (
    Clean("rectifier and dropout before the sum", "locuslab/TCN", TCNLast, ((2, 3, 16),)),
    Clean("every r-th frame as shortcut", "fairseq wav2vec", ConvFeatureExtractor, ((2, 1, 100),)),
    Clean("residual coupling with a zero start", "VITS", Flow, ((2, 3, 12),)),
    Clean("initial residual in every layer", "GCNII", GCNII, ((2, 6, 4),)),
    Clean("doubly residual stacks", "N-BEATS", NBeats, ((3, 10),)),
)
