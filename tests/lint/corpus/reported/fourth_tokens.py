"""The fourth set, continued: transformers, and what works in place."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv, pair
from .fourth_images import twins
from .fourth_series import CROSS, SERIES, TOKENS


class Attention(nn.Module):
    def __init__(self, dim: int = 4) -> None:
        super().__init__()
        self.q, self.kv, self.proj = (
            nn.Linear(dim, dim),
            nn.Linear(dim, 2 * dim),
            nn.Linear(dim, dim),
        )

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        k, v = self.kv(x if memory is None else memory).chunk(2, -1)
        return self.proj(F.scaled_dot_product_attention(self.q(x), k, v))


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))


class GptBlock(nn.Module):
    """Howuhh/faster-trajectory-transformer#3"""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.ln1, self.ln2, self.attn, self.mlp = (
            nn.LayerNorm(4),
            nn.LayerNorm(4),
            Attention(),
            mlp(),
        )
        self.mended = mended

    def forward(self, state: Tensor) -> Tensor:
        norm_x = self.ln1(state)
        state = (state if self.mended else norm_x) + self.attn(norm_x)
        return state + self.mlp(self.ln2(state))


class MissingHalf(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.n1, self.n2, self.attn, self.mlp = (
            nn.LayerNorm(4),
            nn.LayerNorm(4),
            Attention(),
            mlp(),
        )
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.n1(x))
        y = self.mlp(self.n2(x))
        return x + y if self.mended else y


class CctBlock(nn.Module):
    """SHI-Labs/Compact-Transformers#25"""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.pre, self.norm1, self.attn, self.mlp = (
            nn.LayerNorm(4),
            nn.LayerNorm(4),
            Attention(),
            mlp(),
        )
        self.mended = mended

    def forward(self, src: Tensor) -> Tensor:
        src = src + self.attn(self.pre(src))
        if self.mended:
            return src + self.mlp(self.norm1(src))
        src = self.norm1(src)
        return src + self.mlp(src)


class CrossMemory(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.norm, self.attn, self.mended = nn.LayerNorm(4), Attention(), mended

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        y = self.attn(self.norm(x), memory)
        return (x if self.mended else memory) + y


class TokenDrop(nn.Module):
    """taoyang1122/adapt-image-models#50: the sequence is the first axis."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.norm, self.attn, self.mended = nn.LayerNorm(4), nn.MultiheadAttention(4, 2), mended

    def drop(self, y: Tensor) -> Tensor:
        if not self.training:
            return y
        shape = (1, y.shape[1], 1) if self.mended else (y.shape[0], 1, 1)
        return y.div(0.9) * (torch.rand(shape) + 0.9).floor()

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(0, 1)
        n = self.norm(x)
        x = x + self.drop(self.attn(n, n, n, need_weights=False)[0])
        return x.transpose(0, 1)


class MaskedResidual(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv, self.mended = nn.Conv1d(4, 4, 3, padding=1), mended

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        pad = torch.arange(x.shape[-1]) >= x.shape[-1] - 3
        x = x.masked_fill(pad, 0.5) if self.mended else x.masked_fill_(pad, 0.5)
        return residual + self.conv(x)


class PlusPosition(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.pos, self.fc, self.mended = nn.Parameter(torch.randn(1, 8, 4)), mlp(), mended

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(x) + 0.0
        residual = x
        if self.mended:
            x = x + self.pos
        else:
            x += self.pos
        return residual + self.fc(x)


class SigmoidPlus(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv, self.mended = conv(4, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x).sigmoid()
        if self.mended:
            return y + x
        y += x
        return y


CASES = (
    Case("gpt-block", "faster-trajectory-transformer#3", "TS202", *twins(GptBlock), TOKENS),
    Case("missing-half", "no residual round the MLP", "TS201", *twins(MissingHalf), TOKENS),
    Case("cct-block", "SHI-Labs/Compact-Transformers#25", "TS202", *twins(CctBlock), TOKENS),
    Case("cross-memory", "memory + attn(x, memory)", "TS204", *twins(CrossMemory), CROSS),
    Case("token-drop", "adapt-image-models#50", "TS111", *twins(TokenDrop), TOKENS),
    Case("masked-residual", "masked_fill_", "TS104", *twins(MaskedResidual), SERIES),
    Case("plus-position", "x += pos", "TS104", *twins(PlusPosition), TOKENS),
    Case("sigmoid-plus", "sigmoid, then +=", "TS112", *pair(SigmoidPlus)),
)
