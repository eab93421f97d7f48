"""The seventh set. Streams, once more. Norms that several places share."""

from __future__ import annotations

import torch.nn.functional as F
from torch import nn

from ..case import Case


class Attn(nn.Module):
    def __init__(self, dim, heads=2):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(dim, dim)
        self.to_kv = nn.Linear(dim, dim * 2, bias=False)
        self.to_out = nn.Linear(dim, dim)

    def forward(self, x, context=None):
        context = x if context is None else context
        b, n, d = x.shape
        q = self.to_q(x).view(b, n, self.heads, -1).transpose(1, 2)
        k, v = (
            t.view(b, t.shape[1], self.heads, -1).transpose(1, 2)
            for t in self.to_kv(context).chunk(2, dim=-1)
        )
        sim = q @ k.transpose(-1, -2) * q.shape[-1] ** (-0.5)
        return self.to_out((sim.softmax(-1) @ v).transpose(1, 2).reshape(b, n, d))


class QANetEncoderBlock(nn.Module):
    """QANet-pytorch#7: one LayerNorm for the convolutions, the attention and the feed-forward."""

    def __init__(self, mended, dim, convs=2):
        super().__init__()
        self.mended = mended
        self.convs = nn.ModuleList([nn.Conv1d(dim, dim, 7, padding=3) for _ in range(convs)])
        self.att, self.fc = (Attn(dim), nn.Linear(dim, dim))
        self.normb = nn.LayerNorm(dim)
        if mended:
            self.norms = nn.ModuleList([nn.LayerNorm(dim) for _ in range(convs)])
            self.norme = nn.LayerNorm(dim)

    def forward(self, x):
        for i, conv in enumerate(self.convs):
            res = x
            out = (self.norms[i] if self.mended else self.normb)(x)
            x = F.relu(conv(out.transpose(1, 2))).transpose(1, 2) + res
        res = x
        x = self.att(self.normb(x)) + res
        res = x
        out = (self.norme if self.mended else self.normb)(x)
        return F.relu(self.fc(out)) + res


class QANet(nn.Module):
    def __init__(self, mended):
        super().__init__()
        self.emb = nn.Linear(6, 8)
        self.blocks = nn.ModuleList([QANetEncoderBlock(mended, 8) for _ in range(2)])
        self.out = nn.Linear(8, 2)

    def forward(self, x):
        x = self.emb(x)
        for b in self.blocks:
            x = b(x)
        return self.out(x)


class TimesBlock(nn.Module):
    def __init__(self, width=8, period=3):
        super().__init__()
        self.period = period
        self.conv = nn.Sequential(
            nn.Conv2d(width, 16, 3, padding=1), nn.GELU(), nn.Conv2d(16, width, 3, padding=1)
        )

    def forward(self, x):
        b, t, n = x.shape
        out = x.reshape(b, t // self.period, self.period, n).permute(0, 3, 1, 2)
        out = self.conv(out).permute(0, 2, 3, 1).reshape(b, -1, n)
        return out + x


class TimesNet(nn.Module):
    """One LayerNorm behind all blocks ("a kind of coding accident")."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(4, 8)
        self.model = nn.ModuleList(TimesBlock() for _ in range(3))
        self.layer_norm = nn.LayerNorm(8)
        self.projection = nn.Linear(8, 4)

    def forward(self, x):
        x = self.embed(x)
        for block in self.model:
            x = self.layer_norm(block(x))
        return self.projection(x)


class TimesNetMended(TimesNet):
    def __init__(self):
        super().__init__()
        del self.layer_norm
        self.layer_norms = nn.ModuleList(nn.LayerNorm(8) for _ in range(3))

    def forward(self, x):
        x = self.embed(x)
        for block, norm in zip(self.model, self.layer_norms, strict=True):
            x = norm(block(x))
        return self.projection(x)


CASES = (
    Case(
        "one norm for all sublayers of an encoder block",
        "hengruo/QANet-pytorch#7",
        "TS203",
        lambda: QANet(False),
        lambda: QANet(True),
        ((2, 9, 6),),
    ),
    Case(
        "one layer norm behind all blocks of a series model",
        "thuml/Time-Series-Library#520",
        "TS203",
        TimesNet,
        TimesNetMended,
        ((2, 6, 4),),
    ),
)
