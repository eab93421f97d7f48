"""The sixth set. Asked about and right: attention, series and tokens."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Clean

TOKENS = ((2, 6, 5),)


# --- lucidrains/x-transformers#127
class AttentionLayers(nn.Module):
    def __init__(self, d=8, depth=3):
        super().__init__()
        self.layers = nn.ModuleList()
        for _ in range(depth):
            attn = nn.MultiheadAttention(d, 2, batch_first=True, bias=False)
            ff = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))
            self.layers.append(nn.ModuleList([nn.LayerNorm(d), attn]))
            self.layers.append(nn.ModuleList([nn.LayerNorm(d), ff]))
        self.embed, self.final = nn.Linear(5, d), nn.LayerNorm(d)

    def forward(self, x):
        x = self.embed(x)
        for index, (pre_branch_norm, block) in enumerate(self.layers):
            residual = x
            x = pre_branch_norm(x)
            out = block(x, x, x, need_weights=False)[0] if index % 2 == 0 else block(x)
            x = out + residual
        return self.final(x)


# --- nlpyang/hiersumm#28
class PositionwiseFeedForward(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.w_1, self.w_2 = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)
        self.layer_norm = nn.LayerNorm(d)
        self.dropout_1, self.dropout_2 = nn.Dropout(0.1), nn.Dropout(0.1)

    def forward(self, x):
        inter = self.dropout_1(F.relu(self.w_1(self.layer_norm(x))))
        output = self.dropout_2(self.w_2(inter))
        return output + x


class TransformerInterLayer(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.pooling = nn.Linear(d, d)
        self.inter_att = nn.MultiheadAttention(d, 2, batch_first=True)
        self.linear = nn.Linear(d, d, bias=False)
        self.dropout, self.feed_forward = nn.Dropout(0.1), PositionwiseFeedForward(d)

    def forward(self, inputs):
        vec = self.pooling(self.layer_norm1(inputs)).mean(2)
        vec = self.layer_norm2(vec)
        block_vec = self.linear(self.inter_att(vec, vec, vec, need_weights=False)[0])
        block_vec = self.dropout(torch.relu(block_vec)).unsqueeze(2)
        return self.feed_forward(inputs + block_vec)


class HierSumm(nn.Module):
    def __init__(self, d=8):
        super().__init__()
        self.embed = nn.Linear(5, d)
        self.inter = nn.ModuleList(TransformerInterLayer(d) for _ in range(2))
        self.layer_norm = nn.LayerNorm(d)

    def forward(self, src):
        x = self.embed(src)
        for layer in self.inter:
            x = layer(x)
        return self.layer_norm(x)


# --- lucidrains/performer-pytorch#28
class ReZeroWrap(nn.Module):
    def __init__(self, fn):
        super().__init__()
        self.g = nn.Parameter(torch.zeros(1))
        self.fn = fn

    def forward(self, x, **kwargs):
        return self.fn(x, **kwargs) * self.g


class FastSelfAttention(nn.Module):
    def __init__(self, d, heads=2):
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v = (nn.Linear(d, d, bias=False) for _ in range(3))
        self.to_out = nn.Linear(d, d)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = (
            t(x).view(b, n, self.heads, -1).transpose(1, 2)
            for t in (self.to_q, self.to_k, self.to_v)
        )
        q, k = F.relu(q) + 1e-3, F.relu(k) + 1e-3
        context = k.transpose(-1, -2) @ v
        norm = 1.0 / (q @ k.sum(2).unsqueeze(-1))
        return self.to_out(((q @ context) * norm).transpose(1, 2).reshape(b, n, d))


class Performer(nn.Module):
    def __init__(self, d=8, depth=2):
        super().__init__()
        self.embed = nn.Linear(5, d)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    ReZeroWrap(FastSelfAttention(d)),
                    ReZeroWrap(nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))),
                ]
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(d)

    def forward(self, x):
        x = self.embed(x)
        for f, g in self.layers:
            x = x + f(x)
            x = x + g(x)
        return self.norm(x)


# --- AnswerDotAI/ModernBERT#243
class ModernLayer(nn.Module):
    def __init__(self, d, layer_id):
        super().__init__()
        self.attn_norm = nn.Identity() if layer_id == 0 else nn.LayerNorm(d, bias=False)
        self.Wqkv, self.Wo = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
        self.mlp_norm = nn.LayerNorm(d, bias=False)
        self.Wi, self.mlp_out = nn.Linear(d, 4 * d, bias=False), nn.Linear(2 * d, d, bias=False)

    def attn(self, x):
        b, n, d = x.shape
        q, k, v = self.Wqkv(x).view(b, n, 3, 2, -1).permute(2, 0, 3, 1, 4)
        return self.Wo(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d))

    def mlp(self, x):
        value, gate = self.Wi(x).chunk(2, dim=-1)
        return self.mlp_out(F.gelu(value) * gate)

    def forward(self, x):
        x = x + self.attn(self.attn_norm(x))
        return x + self.mlp(self.mlp_norm(x))


class ModernBert(nn.Module):
    def __init__(self, d=8):
        super().__init__()
        self.embed, self.norm = nn.Linear(5, d), nn.LayerNorm(d, bias=False)
        self.layers = nn.ModuleList(ModernLayer(d, i) for i in range(3))
        self.final_norm = nn.LayerNorm(d, bias=False)

    def forward(self, x):
        x = self.norm(self.embed(x))
        for layer in self.layers:
            x = layer(x)
        return self.final_norm(x)


# --- JEddy92/TimeSeries_Seq2Seq#8
class SeriesWaveNet(nn.Module):
    def __init__(self, c=6, dilations=(1, 2, 4)):
        super().__init__()
        self.dilations = dilations
        self.preprocess = nn.Conv1d(1, c, 1)
        self.filters = nn.ModuleList(nn.Conv1d(c, c, 2, dilation=d) for d in dilations)
        self.gates = nn.ModuleList(nn.Conv1d(c, c, 2, dilation=d) for d in dilations)
        self.posts = nn.ModuleList(nn.Conv1d(c, c, 1) for _ in dilations)
        self.out1, self.out2 = nn.Conv1d(c, 8, 1), nn.Conv1d(8, 1, 1)

    def forward(self, x):
        x = F.relu(self.preprocess(x))
        skips = []
        for d, f, g, post in zip(self.dilations, self.filters, self.gates, self.posts, strict=True):
            padded = F.pad(x, (d, 0))
            z = torch.tanh(f(padded)) * torch.sigmoid(g(padded))
            z = F.relu(post(z))
            x = x + z
            skips.append(z)
        out = F.relu(torch.stack(skips).sum(0))
        return self.out2(F.dropout(F.relu(self.out1(out)), 0.2, self.training))


CLEAN = (
    Clean(
        "residual = x and x reassigned",
        "lucidrains/x-transformers#127: nothing is written in place",
        AttentionLayers,
        TOKENS,
    ),
    Clean(
        "feed-forward with its own residual",
        "nlpyang/hiersumm#28: two residuals, one each for two halves",
        HierSumm,
        ((2, 3, 6, 5),),
    ),
    Clean(
        "Performer with ReZero",
        "lucidrains/performer-pytorch#28: a zero scale learns",
        Performer,
        TOKENS,
    ),
    Clean(
        "ModernBERT's first layer",
        "AnswerDotAI/ModernBERT#243: the embedding is normalised and the first pre-norm left out",
        ModernBert,
        TOKENS,
    ),
    Clean(
        "WaveNet for series",
        "JEddy92/TimeSeries_Seq2Seq#8: the last residual sum is of no use",
        SeriesWaveNet,
        ((2, 1, 16),),
    ),
)
