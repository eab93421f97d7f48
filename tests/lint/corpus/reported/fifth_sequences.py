"""The fifth set. Sequences: networks to find faults in, and audio."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case

WAVE = ((2, 4, 32),)
TOKENS = ((2, 12, 4),)


def seq(*blocks: nn.Module, inputs: int = 4, width: int = 8, out: int = 3) -> nn.Sequential:
    """(N, inputs, T) -> stem -> blocks -> head."""
    stem = nn.Sequential(nn.Conv1d(inputs, width, 3, padding=1), nn.BatchNorm1d(width))
    head = nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(width, out))
    return nn.Sequential(stem, *blocks, head)


class Tokens(nn.Module):
    """(N, T, inputs) -> embed -> blocks -> norm, mean, linear."""

    def __init__(self, *blocks: nn.Module, inputs: int = 4, width: int = 8, out: int = 3):
        super().__init__()
        self.embed = nn.Linear(inputs, width)
        self.layers = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x).mean(1))


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int = 2):
        super().__init__()
        self.heads, self.scale = heads, (dim // heads) ** -0.5
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_kv = nn.Linear(dim, 2 * dim, bias=False)
        self.to_out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        context = x if context is None else context
        b, n, d = x.shape
        q = self.to_q(x).view(b, n, self.heads, -1).transpose(1, 2)
        k, v = (
            t.view(b, context.shape[1], self.heads, -1).transpose(1, 2)
            for t in self.to_kv(context).chunk(2, -1)
        )
        attn = (q @ k.transpose(-2, -1) * self.scale).softmax(-1)
        return self.to_out((attn @ v).transpose(1, 2).reshape(b, n, d))


class FeedForward(nn.Module):
    def __init__(self, dim: int, mult: int = 2):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(dim, dim * mult), nn.GELU(), nn.Linear(dim * mult, dim))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class FrontEndBlock(nn.Module):
    def __init__(self, cin, cout, dropout=0.15):
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv1d(cin, cout, 3, padding=1),
            nn.BatchNorm1d(cout),
            nn.LeakyReLU(),
            nn.Dropout(dropout),
            nn.Conv1d(cout, cout, 3, padding=1),
            nn.BatchNorm1d(cout),
            nn.LeakyReLU(),
            nn.Dropout(dropout),
        )
        self.reduce_conv = nn.Sequential(nn.Conv1d(cin, cout, 1), nn.BatchNorm1d(cout))
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        out = self.convs(x)
        if self.reduce_conv:
            out = out + self.reduce_conv(x)
            out = self.drop(x)
        return out


class FrontEndBlockMended(FrontEndBlock):
    def forward(self, x: Tensor) -> Tensor:
        out = self.convs(x)
        if self.reduce_conv:
            out = out + self.reduce_conv(x)
            out = self.drop(out)
        return out


class DepthwiseConv1d(nn.Module):
    def __init__(self, chan, kernel_size, padding):
        super().__init__()
        self.padding = padding
        self.conv = nn.Conv1d(chan, chan, kernel_size, groups=chan)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, self.padding))


class Swish(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x.sigmoid()


class Rearrange(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)


class ConformerConvModule(nn.Module):
    def __init__(self, dim, padding, kernel_size=32):
        super().__init__()
        self.net = nn.Sequential(
            nn.LayerNorm(dim),
            Rearrange(),
            nn.Conv1d(dim, dim * 4, 1),
            nn.GLU(1),
            DepthwiseConv1d(dim * 2, kernel_size, padding),
            nn.BatchNorm1d(dim * 2),
            Swish(),
            nn.Conv1d(dim * 2, dim, 1),
            Rearrange(),
            nn.Dropout(0.0),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class ResidualOf(nn.Module):
    def __init__(self, fn):
        super().__init__()
        self.fn = fn

    def forward(self, x: Tensor) -> Tensor:
        return self.fn(x) + x


def conformer_conv(mended):
    k = 8
    pad = k // 2
    padding = (pad, pad - (k + 1) % 2) if mended else (pad, pad)
    return lambda: Tokens(*(ResidualOf(ConformerConvModule(8, padding, k)) for _ in range(2)))


class NonCausalTemporalLayer(nn.Module):
    def __init__(self, inputs, outputs, dilation, k=3, dropout=0.1):
        super().__init__()
        pad = (k - 1) * dilation // 2
        self.conv1 = nn.utils.parametrizations.weight_norm(
            nn.Conv1d(inputs, outputs, k, padding=pad, dilation=dilation)
        )
        self.elu1, self.dropout1 = nn.ELU(), nn.Dropout(dropout)
        self.conv2 = nn.utils.parametrizations.weight_norm(
            nn.Conv1d(outputs, outputs, k, padding=pad, dilation=dilation)
        )
        self.elu2, self.dropout2 = nn.ELU(), nn.Dropout(dropout)
        self.downsample = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else None
        self.elu3 = nn.ELU()


class FirstConvLost(NonCausalTemporalLayer):
    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(x)
        y = self.elu1(y)
        y = self.dropout1(y)
        y = self.conv2(x)
        y = self.elu2(y)
        y = self.dropout2(y)
        res = x if self.downsample is None else self.downsample(x)
        return self.elu3(y + res)


class NoIdentity(NonCausalTemporalLayer):
    def forward(self, x: Tensor) -> Tensor:
        y = self.dropout1(self.elu1(self.conv1(x)))
        y = self.dropout2(self.elu2(self.conv2(y)))
        if self.downsample is not None:
            y = y + self.downsample(x)
        return self.elu3(y)


class TemporalMended(NonCausalTemporalLayer):
    def forward(self, x: Tensor) -> Tensor:
        y = self.dropout1(self.elu1(self.conv1(x)))
        y = self.dropout2(self.elu2(self.conv2(y)))
        y = y + (x if self.downsample is None else self.downsample(x))
        return self.elu3(y)


class TCN(nn.Module):
    def __init__(self, layer, inputs, channels):
        super().__init__()
        layers = []
        for i, out in enumerate(channels):
            layers.append(layer(channels[i - 1] if i else inputs, out, 2**i))
        self.net = nn.Sequential(*layers)
        self.out = nn.Conv1d(channels[-1], 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.out(self.net(x)))


class SamePad(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, :-1]


class WavEncoder(nn.Module):
    def __init__(self, d=8):
        super().__init__()
        self.feature = nn.Conv1d(1, d, 4, stride=2)
        self.post = nn.Linear(d, d)
        self.pos_conv = nn.Sequential(nn.Conv1d(d, d, 4, padding=2, groups=2), SamePad(), nn.GELU())
        self.layer_norm = nn.LayerNorm(d)
        self.attn, self.ff, self.n1, self.n2 = (
            Attention(d),
            FeedForward(d),
            nn.LayerNorm(d),
            nn.LayerNorm(d),
        )

    def rest(self, x):
        x = F.dropout(self.layer_norm(x), 0.1, self.training)
        x = self.n1(x + self.attn(x))
        return self.n2(x + self.ff(x))

    def forward(self, wav: Tensor) -> Tensor:
        x = self.post(self.feature(wav).transpose(1, 2))
        x_conv = self.pos_conv(x.transpose(1, 2))
        x_conv = x_conv.transpose(1, 2)
        x += x_conv
        return self.rest(x)


class WavEncoderMended(WavEncoder):
    def forward(self, wav: Tensor) -> Tensor:
        x = self.post(self.feature(wav).transpose(1, 2))
        x_conv = self.pos_conv(x.transpose(1, 2))
        x_conv = x_conv.transpose(1, 2)
        x = x + x_conv
        return self.rest(x)


CASES: tuple[Case, ...] = (
    Case(
        "frontend_drops_the_input",
        "speechbrain/speechbrain#1124",
        "TS107",
        lambda: seq(FrontEndBlock(8, 8), FrontEndBlock(8, 8)),
        lambda: seq(FrontEndBlockMended(8, 8), FrontEndBlockMended(8, 8)),
        WAVE,
    ),
    Case(
        "conformer_even_kernel",
        "lucidrains/conformer#1",
        "TS101",
        conformer_conv(False),
        conformer_conv(True),
        TOKENS,
    ),
    Case(
        "beat_tcn_conv1_lost",
        "ben-hayes/beat-tracking-tcn#1",
        "TS107",
        lambda: TCN(FirstConvLost, 8, (8, 8, 8)),
        lambda: TCN(TemporalMended, 8, (8, 8, 8)),
        ((2, 8, 32),),
    ),
    Case(
        "tcn_identity_left_out",
        "YuanTingHsieh/TF_TCN#5; ben-hayes/beat-tracking-tcn models/tcn.py",
        "TS201",
        lambda: TCN(NoIdentity, 4, (8, 8, 8)),
        lambda: TCN(TemporalMended, 4, (8, 8, 8)),
        WAVE,
    ),
    Case(
        "wavlm_pos_conv_inplace",
        "microsoft/unilm PR 999",
        "TS112",
        WavEncoder,
        WavEncoderMended,
        ((2, 1, 40),),
    ),
)
