"""The seventh set. Streams. Sums in place, of the wrong values, never read, and dropped."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case
from .seventh_streams_parts import TOKENS, Attention, Stack


class GPTBlock(nn.Module):
    """nanoGPT with the additions in place, to save memory."""

    def __init__(self, width=8):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 32), nn.GELU(), nn.Linear(32, width))

    def attend(self, x):
        return self.attn(x, x, x)

    def forward(self, x):
        x += self.attend(self.ln_1(x))
        x += self.mlp(self.ln_2(x))
        return x


class GPTBlockMended(GPTBlock):
    def forward(self, x):
        x = x + self.attend(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class StockEncoder(nn.Module):
    """CapMarket's TransformerEncoder: the feed-forward is added to the layer's input."""

    def __init__(self, width=8):
        super().__init__()
        self.attn_multi = Attention(width)
        self.attn_dropout = nn.Dropout(0.1)
        self.attn_normalize = nn.LayerNorm(width)
        self.ff_conv1 = nn.Conv1d(width, 16, 1)
        self.ff_conv2 = nn.Conv1d(16, width, 1)
        self.ff_dropout = nn.Dropout(0.1)
        self.ff_normalize = nn.LayerNorm(width)

    def feed(self, x):
        h = self.ff_conv2(F.relu(self.ff_conv1(x.transpose(1, 2)))).transpose(1, 2)
        return self.ff_dropout(h)

    def forward(self, inputs):
        attn_layer = self.attn_dropout(self.attn_multi(*inputs))
        attn_layer = self.attn_normalize(inputs[0] + attn_layer)
        ff_layer = self.feed(attn_layer)
        return self.ff_normalize(inputs[0] + ff_layer)


class StockEncoderMended(StockEncoder):
    def forward(self, inputs):
        attn_layer = self.attn_dropout(self.attn_multi(*inputs))
        attn_layer = self.attn_normalize(inputs[0] + attn_layer)
        ff_layer = self.feed(attn_layer)
        return self.ff_normalize(attn_layer + ff_layer)


class StockModel(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.time_embedding = nn.Linear(4, 4)
        self.layers = nn.ModuleList(layer() for _ in range(3))
        self.out = nn.Linear(8, 1)

    def forward(self, seq):
        x = torch.cat([seq, torch.sin(self.time_embedding(seq))], -1)
        for layer in self.layers:
            x = layer((x, x, x))
        return self.out(x.mean(1))


class ResiDualTransformer(nn.Module):
    """vit-pytorch, the proposed ResiDual: the second residual is summed up for nobody."""

    def __init__(self, depth=3, width=8):
        super().__init__()
        self.embed = nn.Linear(4, width)
        self.enc_res_input_norm_scale = 0.1
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    Attention(width),
                    nn.LayerNorm(width),
                    nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Linear(16, width)),
                    nn.LayerNorm(width),
                ]
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        x = self.embed(x)
        for attn, norm1, ff, norm2 in self.layers:
            res = x * self.enc_res_input_norm_scale
            xr = x
            x = attn(x, x, x)
            res = res + x * self.enc_res_input_norm_scale
            x = norm1(x + xr)
            xr = x
            x = ff(x)
            res = res + x * self.enc_res_input_norm_scale
            x = norm2(x + xr)
        return self.head(self.norm(x).mean(1))


class ResiDualTransformerMended(ResiDualTransformer):
    def forward(self, x):
        x = self.embed(x)
        res = x * self.enc_res_input_norm_scale
        for attn, norm1, ff, norm2 in self.layers:
            xr = x
            x = attn(x, x, x)
            res = res + x * self.enc_res_input_norm_scale
            x = norm1(x + xr)
            xr = x
            x = ff(x)
            res = res + x * self.enc_res_input_norm_scale
            x = norm2(x + xr)
        return self.head((x + self.norm(res)).mean(1))


class DropPath(nn.Module):
    """keras-hub's Swin DropPath: a mask of four axes for tokens of three."""

    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, x):
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        mask = torch.floor(keep + torch.rand(x.shape[0], 1, 1, 1, device=x.device))
        return x / keep * mask


class DropPathMended(DropPath):
    def forward(self, x):
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        mask = torch.floor(keep + torch.rand(shape, device=x.device))
        return x / keep * mask


class SwinBlock(nn.Module):
    def __init__(self, width, drop):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width)
        self.drop_path = drop
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Linear(16, width))

    def forward(self, x):
        shortcut = x
        h = self.norm1(x)
        x = shortcut + self.drop_path(self.attn(h, h, h))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class SwinStage(nn.Module):
    def __init__(self, drop):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 2, 2)
        self.blocks = nn.ModuleList(SwinBlock(8, drop(0.2)) for _ in range(2))
        self.norm = nn.LayerNorm(32)
        self.reduction = nn.Linear(32, 16, bias=False)
        self.head = nn.Linear(16, 3)

    def forward(self, image):
        x = self.patch(image)
        height, width = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        b, length, c = x.shape
        x = x.view(b, height, width, c)
        x = torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], -1)
        x = self.reduction(self.norm(x.view(b, length // 4, 4 * c)))
        return self.head(x.mean(1))


CASES = (
    Case(
        "residual additions in place",
        "karpathy/nanoGPT PR 72",
        "TS112",
        lambda: Stack(*(GPTBlock() for _ in range(2))),
        lambda: Stack(*(GPTBlockMended() for _ in range(2))),
        TOKENS,
    ),
    Case(
        "feed-forward added to the layer's input",
        "JanSchm/CapMarket#8",
        "TS204",
        lambda: StockModel(StockEncoder),
        lambda: StockModel(StockEncoderMended),
        TOKENS,
    ),
    Case(
        "second residual never used",
        "lucidrains/vit-pytorch PR 265",
        "TS107",
        ResiDualTransformer,
        ResiDualTransformerMended,
        TOKENS,
    ),
    Case(
        "drop path mask of four axes on tokens",
        "keras-team/keras-hub PR 3040",
        "TS111",
        lambda: SwinStage(DropPath),
        lambda: SwinStage(DropPathMended),
        ((2, 3, 8, 8),),
    ),
)
