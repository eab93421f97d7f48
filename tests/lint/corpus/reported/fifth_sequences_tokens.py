"""The fifth set. Tokens: transformers, mixers, hyper-connections."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case
from .fifth_sequences import Attention, FeedForward, Tokens

TOKENS = ((2, 12, 4),)


class WindowAttention(nn.Module):
    def __init__(self, d, size=4):
        super().__init__()
        self.size = size
        self.attention = Attention(d)

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[1] // self.size
        chunks = torch.stack([x[:, i * self.size : (i + 1) * self.size] for i in range(n)], 1)
        b, _, s, d = chunks.shape
        return self.attention(chunks.reshape(b * n, s, d)).reshape(b, n * s, d)


class PaddedWindowAttention(WindowAttention):
    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[1]
        x = F.pad(x, (0, 0, 0, -length % self.size))
        return super().forward(x)[:, :length]


class WindowEncoder(nn.Module):
    def __init__(self, attention, d=8):
        super().__init__()
        self.selfAttention, self.feedForward = attention(d), FeedForward(d)
        self.layerNorm1, self.layerNorm2, self.dropout = (
            nn.LayerNorm(d),
            nn.LayerNorm(d),
            nn.Dropout(0.2),
        )

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        x = self.selfAttention(x)
        x = self.dropout(x)
        x = self.layerNorm1(x + residual)
        residual = x
        x = self.feedForward(x)
        x = self.dropout(x)
        return self.layerNorm2(x + residual)


class DoubleMlp(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.fc1, self.fc2, self.gelu = (
            nn.Linear(dim, hidden).double(),
            nn.Linear(hidden, dim).double(),
            nn.GELU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.gelu(self.fc1(x.double())))


class FloatMlp(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.fc1, self.fc2, self.gelu = nn.Linear(dim, hidden), nn.Linear(hidden, dim), nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.gelu(self.fc1(x)))


class RecMixer(nn.Module):
    def __init__(self, mlp, tokens=12, channels=8):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.tokens_mlp_block, self.channels_mlp_block = mlp(tokens, 16), mlp(channels, 16)

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln1(x.to(self.ln1.weight.dtype))
        y = y.transpose(1, 2)
        y = self.tokens_mlp_block(y)
        y = y.transpose(1, 2)
        out = x + y
        y = self.ln2(out.to(self.ln2.weight.dtype))
        return out + self.channels_mlp_block(y)


class RecModel(nn.Module):
    def __init__(self, mlp):
        super().__init__()
        self.embed = nn.Linear(4, 8)
        self.blocks = nn.Sequential(RecMixer(mlp), RecMixer(mlp))
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.embed(x)).to(self.head.weight.dtype).mean(1))


class MixerBlock(nn.Module):
    def __init__(self, tokens=12, channels=8):
        super().__init__()
        self.ln = nn.LayerNorm(channels)
        self.tokens_mlp_block, self.channels_mlp_block = (
            FloatMlp(tokens, 16),
            FloatMlp(channels, 16),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln(x)
        y = y.transpose(1, 2)
        y = self.tokens_mlp_block(y)
        y = y.transpose(1, 2)
        out = x + y
        y = self.ln(out)
        return x + self.channels_mlp_block(y)


class MixerBlockMended(MixerBlock):
    def forward(self, x: Tensor) -> Tensor:
        y = self.ln(x)
        y = y.transpose(1, 2)
        y = self.tokens_mlp_block(y)
        y = y.transpose(1, 2)
        out = x + y
        y = self.ln(out)
        return out + self.channels_mlp_block(y)


def hidden_mlp(dim, hidden):
    return nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, hidden))


def right_mlp(dim, hidden):
    return nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))


class PatchMixer(nn.Module):
    def __init__(self, mlp, patches=4, channels=8):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.token, self.channel = mlp(patches, 6), mlp(channels, 8)

    def forward(self, x: Tensor) -> Tensor:
        token_mixing = self.token(self.norm1(x).permute(0, 2, 1)).permute(0, 2, 1)
        x = x + token_mixing
        return x + self.channel(self.norm2(x))


class HyperConnection(nn.Module):
    def __init__(self, branch, d=8, streams=2):
        super().__init__()
        self.branch, self.streams = branch, streams
        self.norm = nn.LayerNorm(d)
        self.H_res_logits = nn.Parameter(torch.eye(streams) * 8 - 8)
        self.H_pre_logits = nn.Parameter(torch.zeros(streams))
        self.H_post_logits = nn.Parameter(torch.zeros(streams))

    def width_connection(self, residuals):
        b = residuals.shape[0] // self.streams
        streams = residuals.view(b, self.streams, *residuals.shape[1:])
        mixed = torch.einsum("st,bsnd->btnd", self.H_res_logits.softmax(-1), streams)
        branch_input = torch.einsum("s,bsnd->bnd", self.H_pre_logits.softmax(-1), streams)
        mixed = mixed.reshape(residuals.shape)
        return branch_input, residuals

    def forward(self, residuals: Tensor) -> Tensor:
        branch_input, residuals = self.width_connection(residuals)
        out = self.branch(self.norm(branch_input))
        beta = self.H_post_logits.sigmoid() * 2
        out = torch.einsum("bnd,s->bsnd", out, beta).reshape(residuals.shape)
        return residuals + out


class HyperConnectionMended(HyperConnection):
    def width_connection(self, residuals):
        b = residuals.shape[0] // self.streams
        streams = residuals.view(b, self.streams, *residuals.shape[1:])
        mixed = torch.einsum("st,bsnd->btnd", self.H_res_logits.softmax(-1), streams)
        branch_input = torch.einsum("s,bsnd->bnd", self.H_pre_logits.softmax(-1), streams)
        return branch_input, mixed.reshape(residuals.shape)


class HyperTransformer(nn.Module):
    def __init__(self, connection, d=8, streams=2):
        super().__init__()
        self.streams = streams
        self.embed = nn.Linear(4, d)
        self.layers = nn.ModuleList(
            connection(branch, d, streams)
            for branch in (Attention(d), FeedForward(d), Attention(d), FeedForward(d))
        )
        self.head = nn.Linear(d, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).repeat_interleave(self.streams, 0)
        for layer in self.layers:
            x = layer(x)
        x = x.view(-1, self.streams, *x.shape[1:]).sum(1)
        return self.head(x.mean(1))


CASES: tuple[Case, ...] = (
    Case(
        "window_attention_truncates",
        "maxjcohen/transformer#15",
        "TS101",
        lambda: Tokens(WindowEncoder(WindowAttention)),
        lambda: Tokens(WindowEncoder(PaddedWindowAttention)),
        ((2, 14, 4),),
    ),
    Case(
        "mixer_in_double",
        "a public MLP-Mixer for recommendation, MixerBlock with x.double()",
        "TS110",
        lambda: RecModel(DoubleMlp),
        lambda: RecModel(FloatMlp),
        TOKENS,
    ),
    Case(
        "mixer_second_half",
        "xmu-xiaoma666/External-Attention-pytorch#23",
        "TS204",
        lambda: Tokens(MixerBlock(), MixerBlock()),
        lambda: Tokens(MixerBlockMended(), MixerBlockMended()),
        TOKENS,
    ),
    Case(
        "mixer_hidden_width",
        "sayakpaul/MLP-Mixer-CIFAR10#4",
        "TS101",
        lambda: Tokens(PatchMixer(hidden_mlp)),
        lambda: Tokens(PatchMixer(right_mlp)),
        ((2, 4, 4),),
    ),
    Case(
        "hyper_connection_mix_lost",
        "tokenbender/mHC-manifold-constrained-hyper-connections#3",
        "TS107",
        lambda: HyperTransformer(HyperConnection),
        lambda: HyperTransformer(HyperConnectionMended),
        TOKENS,
    ),
)
