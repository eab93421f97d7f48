"""Networks on sequences."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from tests.truth.row import Row
from torch import nn

__all__ = ["CBHG", "ROWS", "TCN", "Demucs", "ECGNet", "WaveNet", "WaveUNet"]


class _WaveBlock(nn.Module):
    def __init__(self, n, dilation):
        super().__init__()
        self.filter_conv = nn.Conv1d(n, n, 2, dilation=dilation)
        self.gate_conv = nn.Conv1d(n, n, 2, dilation=dilation)
        self.residual_conv, self.skip_conv = nn.Conv1d(n, n, 1), nn.Conv1d(n, 2 * n, 1)
        self.dilation = dilation

    def forward(self, x):
        padded = F.pad(x, (self.dilation, 0))
        z = torch.tanh(self.filter_conv(padded)) * torch.sigmoid(self.gate_conv(padded))
        return self.residual_conv(z) + x, self.skip_conv(z)


class WaveNet(nn.Module):
    """Van den Oord 2016."""

    size = ((1, 64),)

    def __init__(self):
        super().__init__()
        self.start_conv = nn.Conv1d(1, 8, 1)
        self.blocks = nn.ModuleList(_WaveBlock(8, 2**i) for i in range(4))
        self.end_conv_1, self.end_conv_2 = nn.Conv1d(16, 16, 1), nn.Conv1d(16, 4, 1)

    def forward(self, x):
        x = self.start_conv(x)
        skip = 0
        for block in self.blocks:
            x, s = block(x)
            skip = skip + s
        x = F.relu(skip)
        x = F.relu(self.end_conv_1(x))
        return self.end_conv_2(x)


class _Chomp1d(nn.Module):
    def __init__(self, chomp_size):
        super().__init__()
        self.chomp_size = chomp_size

    def forward(self, x):
        return x[:, :, : -self.chomp_size].contiguous()


class _TemporalBlock(nn.Module):
    def __init__(self, inputs, outputs, kernel, dilation):
        super().__init__()
        padding = (kernel - 1) * dilation
        norm = torch.nn.utils.parametrizations.weight_norm
        self.net = nn.Sequential(
            norm(nn.Conv1d(inputs, outputs, kernel, padding=padding, dilation=dilation)),
            _Chomp1d(padding),
            nn.ReLU(),
            nn.Dropout(0.2),
            norm(nn.Conv1d(outputs, outputs, kernel, padding=padding, dilation=dilation)),
            _Chomp1d(padding),
            nn.ReLU(),
            nn.Dropout(0.2),
        )
        self.downsample = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else None
        self.relu = nn.ReLU()

    def forward(self, x):
        out = self.net(x)
        res = x if self.downsample is None else self.downsample(x)
        return self.relu(out + res)


class TCN(nn.Module):
    """Bai 2018."""

    size = ((4, 50),)

    def __init__(self):
        super().__init__()
        widths = [4, 8, 8, 8]
        self.network = nn.Sequential(
            *(_TemporalBlock(a, b, 3, 2**i) for i, (a, b) in enumerate(zip(widths, widths[1:])))
        )
        self.linear = nn.Linear(8, 5)

    def forward(self, x):
        return self.linear(self.network(x)[:, :, -1])


class _Highway(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.H, self.T = nn.Linear(n, n), nn.Linear(n, n)
        self.T.bias.data.fill_(-1)

    def forward(self, inputs):
        H = F.relu(self.H(inputs))
        T = torch.sigmoid(self.T(inputs))
        return H * T + inputs * (1.0 - T)


class CBHG(nn.Module):
    """Wang 2017 (Tacotron): convolution bank, highway network, recurrent layer."""

    size = ((30, 16),)

    def __init__(self, n=16, K=3):
        super().__init__()
        self.conv1d_banks = nn.ModuleList(
            nn.Sequential(nn.Conv1d(n, n, k, padding=k // 2), nn.ReLU(), nn.BatchNorm1d(n))
            for k in range(1, K + 1)
        )
        self.max_pool1d = nn.MaxPool1d(2, stride=1, padding=1)
        self.conv1d_projections = nn.ModuleList(
            [nn.Conv1d(K * n, n, 3, padding=1), nn.Conv1d(n, n, 3, padding=1)]
        )
        self.highways = nn.ModuleList(_Highway(n) for _ in range(4))
        self.gru = nn.GRU(n, n, 1, batch_first=True, bidirectional=True)

    def forward(self, inputs):
        x = inputs.transpose(1, 2)
        T = x.size(-1)
        x = torch.cat([conv1d(x)[:, :, :T] for conv1d in self.conv1d_banks], dim=1)
        x = self.max_pool1d(x)[:, :, :T]
        for conv1d in self.conv1d_projections:
            x = conv1d(x)
        x = x.transpose(1, 2)
        x += inputs
        for highway in self.highways:
            x = highway(x)
        outputs, _ = self.gru(x)
        return outputs


def _center_trim(tensor, reference):
    delta = tensor.size(-1) - reference.size(-1)
    if delta:
        tensor = tensor[..., delta // 2 : -(delta - delta // 2)]
    return tensor


class Demucs(nn.Module):
    """Defossez 2019: summed skips, gated linear units, a recurrent bottom."""

    size = ((2, 341),)

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        inputs, channels = 2, 8
        for index in range(2):
            self.encoder.append(
                nn.Sequential(
                    nn.Conv1d(inputs, channels, 8, 4),
                    nn.ReLU(),
                    nn.Conv1d(channels, 2 * channels, 1),
                    nn.GLU(1),
                )
            )
            outputs = inputs if index else 4
            self.decoder.insert(
                0,
                nn.Sequential(
                    nn.Conv1d(channels, 2 * channels, 3),
                    nn.GLU(1),
                    nn.ConvTranspose1d(channels, outputs, 8, 4),
                ),
            )
            inputs, channels = channels, 2 * channels
        self.lstm = nn.LSTM(16, 16, bidirectional=True)
        self.linear = nn.Linear(32, 16)

    def forward(self, mix):
        x = mix
        saved = []
        for encode in self.encoder:
            x = encode(x)
            saved.append(x)
        x = x.permute(2, 0, 1)
        x = self.linear(self.lstm(x)[0])
        x = x.permute(1, 2, 0)
        for decode in self.decoder:
            skip = _center_trim(saved.pop(-1), x)
            x = x + skip
            x = decode(x)
        return x


class WaveUNet(nn.Module):
    """Stoller 2018: decimation and linear interpolation, no strides."""

    size = ((1, 128),)

    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList(nn.Conv1d(a, b, 15, padding=7) for a, b in ((1, 8), (8, 16)))
        self.middle = nn.Conv1d(16, 24, 15, padding=7)
        self.up = nn.ModuleList(nn.Conv1d(a, b, 5, padding=2) for a, b in ((40, 16), (24, 8)))
        self.out = nn.Conv1d(9, 1, 1)

    def forward(self, input):
        o = input
        tmp = []
        for layer in self.down:
            o = F.leaky_relu(layer(o))
            tmp.append(o)
            o = o[:, :, ::2]
        o = F.leaky_relu(self.middle(o))
        for layer in self.up:
            o = F.interpolate(o, scale_factor=2, mode="linear", align_corners=True)
            o = torch.cat([o, tmp.pop()], dim=1)
            o = F.leaky_relu(layer(o))
        o = torch.cat([o, input], dim=1)
        return torch.tanh(self.out(o))


class _ECGBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm1d(inputs), nn.Conv1d(inputs, outputs, 9, stride, 4)
        self.bn2, self.conv2 = nn.BatchNorm1d(outputs), nn.Conv1d(outputs, outputs, 9, 1, 4)
        self.max_pool = nn.MaxPool1d(stride) if stride > 1 else None
        self.extra = outputs - inputs

    def forward(self, x):
        identity = x
        out = self.conv1(F.relu(self.bn1(x)))
        out = self.conv2(F.relu(self.bn2(out)))
        if self.max_pool is not None:
            identity = self.max_pool(identity)
        if self.extra:
            identity = identity.transpose(-1, -2)
            identity = F.pad(identity, (0, self.extra), "constant", 0)
            identity = identity.transpose(-1, -2)
        out += identity
        return out


class ECGNet(nn.Module):
    """Rajpurkar 2017 on one lead, in the way of hsd1503/resnet1d."""

    size = ((1, 256),)

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv1d(1, 8, 9, padding=4), nn.BatchNorm1d(8), nn.ReLU())
        self.blocks = nn.ModuleList(
            [_ECGBlock(8, 8, 1), _ECGBlock(8, 8, 2), _ECGBlock(8, 16, 1), _ECGBlock(16, 16, 2)]
        )
        self.dense = nn.Linear(16, 4)

    def forward(self, x):
        out = self.first(x)
        for block in self.blocks:
            out = block(out)
        return self.dense(out.mean(-1))


ROWS: tuple[Row, ...] = (
    Row(
        "written/WaveNet",
        {"identity": 4, "projection": 3},
        "four residual sums, the last of which nothing reads; the parametrised skips are summed "
        "three times; tanh times sigmoid is a gated linear unit",
        (
            (4, "identity", "blocks.?", "return self.residual_conv(z) + x, *", "*"),
            (3, "projection", "", "skip = skip + s", "blocks.[012]"),
        ),
    ),
    Row(
        "written/TCN",
        {"identity": 2, "projection": 1},
        "three blocks, the first one widens",
        (
            (1, "projection", "network.0", "return self.relu(out + res)", "input"),
            (2, "identity", "network.[12]", "return self.relu(out + res)", "network.[01].relu"),
        ),
    ),
    Row(
        "written/CBHG",
        {"identity": 1, "gate": 4},
        "one sum around the bank and its projections, four highways",
        (
            (1, "identity", "", "x += inputs", "input"),
            (4, "gate", "highways.?", "return H * T + inputs * (1.0 - T)", "*"),
        ),
    ),
    Row(
        "written/Demucs",
        {"identity": 1, "long": 1},
        "two sums; around the recurrent bottom nothing goes down",
        (
            (1, "identity", "", "x = x + skip", "encoder.1.3"),
            (1, "long", "", "x = x + skip", "encoder.0.3"),
        ),
    ),
    Row(
        "written/WaveUNet",
        {"long": 3},
        "two features and the input are concatenated",
        (
            (2, "long", "", "o = torch.cat([[]o, tmp.pop()], dim=1)", ""),
            (1, "long", "", "o = torch.cat([[]o, input], dim=1)", "input"),
        ),
    ),
    Row(
        "written/ECGNet",
        {"identity": 1, "projection": 3},
        "two shortcuts are pooled, one is padded with channels along the last axis",
        (
            (3, "projection", "blocks.[123]", "out += identity", "*"),
            (1, "identity", "blocks.0", "out += identity", "first.2"),
        ),
    ),
)
