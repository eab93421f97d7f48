"""The seventh set. Streams. Audio, language and genomes by convolution."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case
from .seventh_streams_parts import Attention


class TemporalConvBlock(nn.Module):
    """keras-tcn's residual_block: the matching 1x1 convolution ends the branch."""

    def __init__(self, width, kernel, dilation):
        super().__init__()
        self.pad = (kernel - 1) * dilation
        self.convs = nn.ModuleList(
            nn.Conv1d(width, width, kernel, dilation=dilation) for _ in range(2)
        )
        self.drop = nn.Dropout1d(0.1)
        self.shape_match_conv = nn.Conv1d(width, width, 1)

    def body(self, x):
        for conv in self.convs:
            x = self.drop(F.relu(conv(F.pad(x, (self.pad, 0)))))
        return x

    def forward(self, x):
        prev_x = x
        x = self.body(x)
        x = self.shape_match_conv(x)
        return (prev_x + x, x)


class TemporalConvBlockMended(TemporalConvBlock):
    def forward(self, x):
        prev_x = x
        x = self.body(x)
        prev_x = self.shape_match_conv(prev_x)
        return (prev_x + x, x)


class TCN(nn.Module):
    def __init__(self, block, skips=False):
        super().__init__()
        self.first = nn.Conv1d(3, 8, 1)
        self.blocks = nn.ModuleList(block(8, 3, 2**i) for i in range(3))
        self.skips = skips
        self.last = nn.Linear(8, 2)

    def forward(self, x):
        x = self.first(x)
        skips = []
        for block in self.blocks:
            x, skip = block(x)
            skips.append(skip)
        if self.skips:
            x = F.relu(sum(skips))
        return self.last(x[:, :, -1])


class DiffusionBlock(nn.Module):
    """A block of DiffWave: a residual and a skip; the last one has the skip alone."""

    def __init__(self, width, skip, cond, dilation, last):
        super().__init__()
        self.width = width
        self.fc_t = nn.Linear(8, width)
        self.dilated = nn.Conv1d(width, 2 * width, 3, dilation=dilation, padding=dilation)
        self.cond_conv = nn.Conv1d(cond, 2 * width, 1)
        self.res_conv = None if last else nn.Conv1d(width, width, 1)
        self.skip_conv = nn.Conv1d(width, skip, 1)

    def forward(self, data):
        x, cond, step = data
        h = x + self.fc_t(step).unsqueeze(-1)
        h = self.dilated(h)
        h = h + self.cond_conv(cond)
        out = torch.tanh(h[:, : self.width]) * torch.sigmoid(h[:, self.width :])
        if self.res_conv is not None:
            x = (x + self.res_conv(out)) * math.sqrt(0.5)
        return x, self.skip_conv(out)


class DiffusionGroup(nn.Module):
    """SSSD's Residual_group: every block is given the noise, not what the last one made."""

    def __init__(self, layers=4):
        super().__init__()
        self.fc_t1 = nn.Linear(8, 8)
        self.fc_t2 = nn.Linear(8, 8)
        self.residual_blocks = nn.ModuleList(
            DiffusionBlock(8, 8, 8, 2 ** (n % 3), n == layers - 1) for n in range(layers)
        )

    def embed(self, steps):
        rates = torch.exp(-torch.arange(4.0, device=steps.device))
        angles = steps * rates
        emb = torch.cat([angles.sin(), angles.cos()], 1)
        return F.silu(self.fc_t2(F.silu(self.fc_t1(emb))))

    def forward(self, noise, cond, steps):
        emb = self.embed(steps)
        h = noise
        skip = 0
        for n in range(len(self.residual_blocks)):
            h, skip_n = self.residual_blocks[n]((noise, cond, emb))  # noqa: RUF059
            skip = skip + skip_n
        return skip * math.sqrt(1.0 / len(self.residual_blocks))


class DiffusionGroupMended(DiffusionGroup):
    def forward(self, noise, cond, steps):
        emb = self.embed(steps)
        h = noise
        skip = 0
        for n in range(len(self.residual_blocks)):
            h, skip_n = self.residual_blocks[n]((h, cond, emb))
            skip = skip + skip_n
        return skip * math.sqrt(1.0 / len(self.residual_blocks))


class Imputer(nn.Module):
    def __init__(self, group):
        super().__init__()
        self.init_conv = nn.Sequential(nn.Conv1d(4, 8, 1), nn.ReLU())
        self.residual_layer = group()
        self.final_conv = nn.Sequential(nn.Conv1d(8, 8, 1), nn.ReLU(), nn.Conv1d(8, 4, 1))

    def forward(self, noise, cond, mask, steps):
        cond = torch.cat([cond * mask, mask], 1)
        x = self.init_conv(noise)
        x = self.residual_layer(x, cond, steps)
        return self.final_conv(x)


class ConvSeqEncoder(nn.Module):
    """conv_seq2seq's encoder layers: `+=` where `=` was meant."""

    def __init__(self, layers=3, width=8):
        super().__init__()
        self.embed = nn.Linear(4, width)
        self.convs = nn.ModuleList(nn.Conv1d(width, 2 * width, 3, padding=1) for _ in range(layers))
        self.out = nn.Linear(width, 4)

    def forward(self, x):
        next_layer = self.embed(x).transpose(1, 2)
        for conv in self.convs:
            res_inputs = next_layer
            next_layer = F.dropout(next_layer, 0.1, self.training)
            next_layer = F.glu(conv(next_layer), 1)
            next_layer = next_layer + (next_layer + res_inputs) * math.sqrt(0.5)
        return self.out(next_layer.transpose(1, 2))


class ConvSeqEncoderMended(ConvSeqEncoder):
    def forward(self, x):
        next_layer = self.embed(x).transpose(1, 2)
        for conv in self.convs:
            res_inputs = next_layer
            next_layer = F.dropout(next_layer, 0.1, self.training)
            next_layer = F.glu(conv(next_layer), 1)
            next_layer = (next_layer + res_inputs) * math.sqrt(0.5)
        return self.out(next_layer.transpose(1, 2))


class StreamingEncoderLayer(nn.Module):
    """wenet's TransformerEncoderLayer with `concat_after` and a cache of its outputs."""

    def __init__(self, width=8):
        super().__init__()
        self.self_attn = Attention(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(0.1)
        self.concat_linear = nn.Linear(2 * width, width)

    def forward(self, x, output_cache):
        residual = x
        x = self.norm1(x)
        chunk = x.size(1) - output_cache.size(1)
        x_q = x[:, -chunk:, :]
        residual = residual[:, -chunk:, :]
        x_concat = torch.cat((x, self.self_attn(x_q, x, x)), dim=-1)
        x = residual + self.concat_linear(x_concat)
        residual = x
        x = self.norm2(x)
        x = residual + self.dropout(self.feed_forward(x))
        return torch.cat([output_cache, x], dim=1)


class StreamingEncoderLayerMended(StreamingEncoderLayer):
    def forward(self, x, output_cache):
        residual = x
        x = self.norm1(x)
        chunk = x.size(1) - output_cache.size(1)
        x_q = x[:, -chunk:, :]
        residual = residual[:, -chunk:, :]
        x_concat = torch.cat((x_q, self.self_attn(x_q, x, x)), dim=-1)
        x = residual + self.concat_linear(x_concat)
        residual = x
        x = self.norm2(x)
        x = residual + self.dropout(self.feed_forward(x))
        return torch.cat([output_cache, x], dim=1)


class StreamingEncoder(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.embed = nn.Linear(4, 8)
        self.layer = layer()
        self.after_norm = nn.LayerNorm(8)
        self.ctc = nn.Linear(8, 5)

    def forward(self, xs, cache):
        return self.ctc(self.after_norm(self.layer(self.embed(xs), cache)))


class Residual(nn.Module):
    def __init__(self, fn):
        super().__init__()
        self.fn = fn

    def forward(self, x):
        return self.fn(x) + x


class ConvNextBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ds_conv = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.net = nn.Sequential(
            nn.GroupNorm(1, width),
            nn.Conv1d(width, 2 * width, 3, padding=1),
            nn.GELU(),
            nn.GroupNorm(1, 2 * width),
            nn.Conv1d(2 * width, width, 3, padding=1),
        )
        self.res_conv = nn.Identity()

    def forward(self, x):
        h = self.ds_conv(x)
        h = self.net(h)
        return h + self.res_conv(x)


def conv_block(a, b, kernel):
    return nn.Sequential(nn.BatchNorm1d(a), nn.GELU(), nn.Conv1d(a, b, kernel, padding=kernel // 2))


def enformer(wrap):
    """lucidrains/enformer-pytorch's tower, with ConvNeXt blocks that add already."""
    tower = [nn.Conv1d(4, 8, 15, padding=7)]
    width = 8
    for out in (8, 12, 16):
        block = ConvNextBlock(out)
        tower += [conv_block(width, out, 5), Residual(block) if wrap else block, nn.MaxPool1d(2)]
        width = out
    tower += [nn.Conv1d(width, width, 1), nn.GELU()]
    return nn.Sequential(*tower)


CASES = (
    Case(
        "matching convolution at the end of the branch",
        "philipperemy/keras-tcn#45",
        "TS204",
        lambda: TCN(TemporalConvBlock),
        lambda: TCN(TemporalConvBlockMended),
        ((2, 3, 16),),
    ),
    Case(
        "every diffusion block reads the noise",
        "AI4HealthUOL/SSSD#29",
        "TS107",
        lambda: Imputer(DiffusionGroup),
        lambda: Imputer(DiffusionGroupMended),
        ((2, 4, 16), (2, 4, 16), (2, 4, 16), (2, 1)),
    ),
    Case(
        "plus-equals before the scaled sum",
        "tobyyouup/conv_seq2seq#17",
        "TS106",
        ConvSeqEncoder,
        ConvSeqEncoderMended,
        ((2, 10, 4),),
    ),
    Case(
        "whole sequence beside the attention of a chunk",
        "wenet-e2e/wenet#303",
        "TS101",
        lambda: StreamingEncoder(StreamingEncoderLayer),
        lambda: StreamingEncoder(StreamingEncoderLayerMended),
        ((2, 8, 4), (2, 5, 8)),
    ),
    Case(
        "residual wrapper around a block that adds",
        "lucidrains/enformer-pytorch#6",
        "TS106",
        lambda: enformer(True),
        lambda: enformer(False),
        ((2, 4, 64),),
    ),
)
