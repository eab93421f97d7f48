"""The seventh set. Streams. Norms on the stream, called twice and forgotten."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case
from .seventh_streams_parts import TOKENS, Attention, Stack


class TransformerEncoderLayer(nn.Module):
    """torch.nn's own layer as `norm_first` was first written."""

    def __init__(self, width=8, norm_first=True):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, 2, dropout=0.1)
        self.linear1 = nn.Linear(width, 16)
        self.dropout = nn.Dropout(0.1)
        self.linear2 = nn.Linear(16, width)
        self.norm_first = norm_first
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.dropout1 = nn.Dropout(0.1)
        self.dropout2 = nn.Dropout(0.1)

    def feed(self, x):
        return self.linear2(self.dropout(F.relu(self.linear1(x))))

    def forward(self, src):
        if self.norm_first:
            src = self.norm1(src)
        src2 = self.self_attn(src, src, src)[0]
        src = src + self.dropout1(src2)
        if not self.norm_first:
            src = self.norm1(src)
        if self.norm_first:
            src = self.norm2(src)
        src2 = self.feed(src)
        src = src + self.dropout2(src2)
        if not self.norm_first:
            src = self.norm2(src)
        return src


class TransformerEncoderLayerMended(TransformerEncoderLayer):
    def forward(self, src):

        def mha(x):
            return self.dropout1(self.self_attn(x, x, x)[0])

        def ff(x):
            return self.dropout2(self.feed(x))

        x = src
        if self.norm_first:
            x = x + mha(self.norm1(x))
            return x + ff(self.norm2(x))
        x = self.norm1(x + mha(x))
        return self.norm2(x + ff(x))


class ViTBlock(nn.Module):
    """d2l's ViTBlock: both sums start from the normalised input."""

    def __init__(self, width=8):
        super().__init__()
        self.ln1 = nn.LayerNorm(width)
        self.attention = Attention(width)
        self.ln2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 16), nn.GELU(), nn.Dropout(0.1), nn.Linear(16, width), nn.Dropout(0.1)
        )

    def forward(self, X):
        X = self.ln1(X)
        return X + self.mlp(self.ln2(X + self.attention(X, X, X)))


class ViTBlockMended(ViTBlock):
    def forward(self, X):
        X = X + self.attention(*[self.ln1(X)] * 3)
        return X + self.mlp(self.ln2(X))


class MMDiTBlock(nn.Module):
    """lucidrains/mmdit: two streams, joint attention; the attention's norms serve twice."""

    def __init__(self, width=8):
        super().__init__()
        self.text_attn_layernorm = nn.LayerNorm(width)
        self.image_attn_layernorm = nn.LayerNorm(width)
        self.text_ff_layernorm = nn.LayerNorm(width)
        self.image_ff_layernorm = nn.LayerNorm(width)
        self.joint_attn = Attention(width)
        self.text_ff = self.feed(width)
        self.image_ff = self.feed(width)

    @staticmethod
    def feed(width):
        return nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Linear(16, width))

    def attend(self, text, image):
        both = torch.cat((text, image), dim=1)
        out = self.joint_attn(both, both, both)
        return (out[:, : text.shape[1]], out[:, text.shape[1] :])

    def forward(self, text, image):
        text_residual, image_residual = (text, image)
        text = self.text_attn_layernorm(text)
        image = self.image_attn_layernorm(image)
        text, image = self.attend(text, image)
        text = text + text_residual
        image = image + image_residual
        text_residual, image_residual = (text, image)
        text = self.text_attn_layernorm(text)
        image = self.image_attn_layernorm(image)
        return (self.text_ff(text) + text_residual, self.image_ff(image) + image_residual)


class MMDiTBlockMended(MMDiTBlock):
    def forward(self, text, image):
        text_residual, image_residual = (text, image)
        text = self.text_attn_layernorm(text)
        image = self.image_attn_layernorm(image)
        text, image = self.attend(text, image)
        text = text + text_residual
        image = image + image_residual
        text_residual, image_residual = (text, image)
        text = self.text_ff_layernorm(text)
        image = self.image_ff_layernorm(image)
        return (self.text_ff(text) + text_residual, self.image_ff(image) + image_residual)


class MMDiT(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.text_in = nn.Linear(4, 8)
        self.image_in = nn.Linear(4, 8)
        self.blocks = nn.ModuleList(block() for _ in range(2))
        self.text_norm = nn.LayerNorm(8)
        self.norm = nn.LayerNorm(8)
        self.out = nn.Linear(8, 4)

    def forward(self, text, image):
        text, image = (self.text_in(text), self.image_in(image))
        for block in self.blocks:
            text, image = block(text, image)
        return (self.text_norm(text), self.out(self.norm(image)))


class MegaLayer(nn.Module):
    """lucidrains/Mega-pytorch: the highway carries x, `residual` is never read."""

    def __init__(self, width=8, values=12):
        super().__init__()
        self.to_ema = nn.Linear(width, width, bias=False)
        self.alphas = nn.Parameter(torch.randn(width))
        self.to_qk = nn.Sequential(nn.Linear(width, 6), nn.SiLU())
        self.to_v = nn.Sequential(nn.Linear(width, values), nn.SiLU())
        self.to_reset_gate = nn.Sequential(nn.Linear(width, values), nn.SiLU())
        self.to_update_gate = nn.Sequential(nn.Linear(width, width), nn.Sigmoid())
        self.Wh = nn.Parameter(torch.randn(width, width))
        self.Uh = nn.Parameter(torch.randn(values, width))
        self.bh = nn.Parameter(torch.randn(width))

    def ema(self, x):
        n = x.shape[1]
        alpha = self.alphas.sigmoid()
        ages = torch.arange(n - 1, -1, -1, device=x.device)
        kernel = alpha * (1 - alpha) ** ages[:, None]
        inner = self.to_ema(x)
        rows = [(inner[:, : i + 1] * kernel[n - 1 - i :]).sum(1, keepdim=True) for i in range(n)]
        return torch.cat(rows, 1)

    def mix(self, x):
        ema_output = self.ema(x)
        qk = self.to_qk(ema_output)
        attn = (qk @ qk.transpose(1, 2) / math.sqrt(6)).softmax(-1) @ self.to_v(x)
        gated = attn * self.to_reset_gate(ema_output)
        hidden = F.silu(ema_output @ self.Wh + gated @ self.Uh + self.bh)
        return (self.to_update_gate(ema_output), hidden)

    def forward(self, x, residual=None):
        residual = x if residual is None else residual
        update_gate, hidden = self.mix(x)
        return update_gate * hidden + (1 - update_gate) * x


class MegaLayerMended(MegaLayer):
    def forward(self, x, residual=None):
        residual = x if residual is None else residual
        update_gate, hidden = self.mix(x)
        return update_gate * hidden + (1 - update_gate) * residual


class Mega(nn.Module):
    def __init__(self, layer, depth=2, width=8):
        super().__init__()
        self.embed = nn.Linear(4, width)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    layer(width),
                    nn.LayerNorm(width),
                    nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Linear(16, width)),
                    nn.LayerNorm(width),
                ]
            )
            for _ in range(depth)
        )
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4))

    def forward(self, x):
        x = self.embed(x)
        for mega, mega_norm, ff, ff_norm in self.layers:
            x = mega(mega_norm(x), x)
            x = ff(ff_norm(x)) + x
        return self.out(x)


class ExcelFormerConv(nn.Module):
    """pytorch-frame's ExcelFormer layer: norm_2 is built and forgotten."""

    def __init__(self, channels=8):
        super().__init__()
        self.norm_1 = nn.LayerNorm(channels)
        self.DiaM = Attention(channels)
        self.norm_2 = nn.LayerNorm(channels)
        self.lin_1 = nn.Linear(channels, channels)
        self.lin_2 = nn.Linear(channels, channels)

    def AiuM(self, x):
        return torch.tanh(self.lin_1(x)) * self.lin_2(x)

    def forward(self, x):
        x = self.norm_1(x)
        x_residual = self.DiaM(x, x, x)
        x = x + F.dropout(x_residual, 0.1, self.training)
        x_residual = self.AiuM(x)
        return x + F.dropout(x_residual, 0.1, self.training)


class ExcelFormerConvMended(ExcelFormerConv):
    def forward(self, x):
        x = self.norm_1(x)
        x_residual = self.DiaM(x, x, x)
        x = x + F.dropout(x_residual, 0.1, self.training)
        x = self.norm_2(x)
        x_residual = self.AiuM(x)
        return x + F.dropout(x_residual, 0.1, self.training)


CASES = (
    Case(
        "norm first overwrites the source",
        "pytorch/pytorch#61165",
        "TS202",
        lambda: Stack(*(TransformerEncoderLayer() for _ in range(2))),
        lambda: Stack(*(TransformerEncoderLayerMended() for _ in range(2))),
        TOKENS,
    ),
    Case(
        "both halves from the normalised input",
        "d2l-ai/d2l-en PR 2283",
        "TS202",
        lambda: Stack(*(ViTBlock() for _ in range(3))),
        lambda: Stack(*(ViTBlockMended() for _ in range(3))),
        TOKENS,
    ),
    Case(
        "attention norms before the feed-forwards",
        "lucidrains/mmdit#4",
        "TS203",
        lambda: MMDiT(MMDiTBlock),
        lambda: MMDiT(MMDiTBlockMended),
        ((2, 3, 4), (2, 6, 4)),
    ),
    Case(
        "highway of the normalised value",
        "lucidrains/Mega-pytorch#2",
        "TS201",
        lambda: Mega(MegaLayer),
        lambda: Mega(MegaLayerMended),
        TOKENS,
    ),
    Case(
        "second norm forgotten",
        "pyg-team/pytorch-frame PR 318",
        "TS108",
        lambda: Stack(*(ExcelFormerConv() for _ in range(2))),
        lambda: Stack(*(ExcelFormerConvMended() for _ in range(2))),
        TOKENS,
    ),
)
