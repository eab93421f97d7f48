"""The sixth set. Asked in threads. Sums that take the wrong value."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case


# --- philipperemy/keras-tcn#45: the matching convolution is applied to the branch
class KerasTCNBlock(nn.Module):
    def __init__(self, a, b, dilation, mended):
        super().__init__()
        self.mended = mended
        self.convs = nn.ModuleList(
            nn.Conv1d(a if k == 0 else b, b, 2, dilation=dilation) for k in range(2)
        )
        self.pad = dilation
        self.drop = nn.Dropout1d(0.1)
        self.matching = nn.Conv1d(a if mended else b, b, 1)

    def forward(self, x):
        prev_x = x
        for conv in self.convs:
            x = self.drop(F.relu(conv(F.pad(x, (self.pad, 0)))))
        if self.mended:
            prev_x = self.matching(prev_x)
        else:
            x = self.matching(x)
        return prev_x + x, x


class KerasTCN(nn.Module):
    def __init__(self, mended, c=6):
        super().__init__()
        self.first = nn.Conv1d(2, c, 1)
        self.blocks = nn.ModuleList(KerasTCNBlock(c, c, d, mended) for d in (1, 2, 4))
        self.out = nn.Linear(c, 3)

    def forward(self, x):
        x = self.first(x)
        skip_connections = []
        for block in self.blocks:
            x, skip_out = block(x)
            skip_connections.append(skip_out)
        x = F.relu(sum(skip_connections[1:], skip_connections[0]) + x)
        return self.out(x[:, :, -1])


# --- JanSchm/CapMarket#8: the second residual adds the block's input
class SingleAttention(nn.Module):
    def __init__(self, d, d_k):
        super().__init__()
        self.query, self.key, self.value = nn.Linear(d, d_k), nn.Linear(d, d_k), nn.Linear(d, d_k)

    def forward(self, inputs):
        q, k, v = self.query(inputs[0]), self.key(inputs[1]), self.value(inputs[2])
        return (q @ k.transpose(1, 2) * q.shape[-1] ** -0.5).softmax(-1) @ v


class MultiAttention(nn.Module):
    def __init__(self, d, d_k, n_heads):
        super().__init__()
        self.attn_heads = nn.ModuleList(SingleAttention(d, d_k) for _ in range(n_heads))
        self.linear = nn.Linear(d_k * n_heads, d)

    def forward(self, inputs):
        return self.linear(torch.cat([head(inputs) for head in self.attn_heads], -1))


class MarketEncoder(nn.Module):
    def __init__(self, d, mended):
        super().__init__()
        self.mended = mended
        self.attn_multi = MultiAttention(d, 4, 2)
        self.attn_dropout, self.ff_dropout = nn.Dropout(0.1), nn.Dropout(0.1)
        self.attn_normalize, self.ff_normalize = nn.LayerNorm(d), nn.LayerNorm(d)
        self.ff_conv1D_1, self.ff_conv1D_2 = nn.Conv1d(d, 8, 1), nn.Conv1d(8, d, 1)

    def forward(self, inputs):
        attn_layer = self.attn_dropout(self.attn_multi(inputs))
        attn_layer = self.attn_normalize(inputs[0] + attn_layer)
        ff_layer = self.ff_conv1D_1(attn_layer.transpose(1, 2)).relu()
        ff_layer = self.ff_dropout(self.ff_conv1D_2(ff_layer).transpose(1, 2))
        return self.ff_normalize((attn_layer if self.mended else inputs[0]) + ff_layer)


class CapMarket(nn.Module):
    def __init__(self, mended, d=7):
        super().__init__()
        self.time = nn.Linear(5, 2)
        self.layers = nn.ModuleList(MarketEncoder(d, mended) for _ in range(3))
        self.out = nn.Linear(d, 1)

    def forward(self, seq):
        x = torch.cat([seq, torch.sin(self.time(seq))], -1)
        for layer in self.layers:
            x = layer((x, x, x))
        return self.out(x.mean(1))


CASES = (
    Case(
        "matching convolution on the branch",
        "philipperemy/keras-tcn#45",
        "TS204",
        lambda: KerasTCN(False),
        lambda: KerasTCN(True),
        ((2, 2, 16),),
    ),
    Case(
        "second half adds the first input",
        "JanSchm/CapMarket#8",
        "TS204",
        lambda: CapMarket(False),
        lambda: CapMarket(True),
        ((2, 8, 5),),
    ),
)
