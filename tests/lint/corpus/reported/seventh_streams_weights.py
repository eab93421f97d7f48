"""The seventh set. Streams. Weights shared and kept outside, and a stream of another dtype."""

from __future__ import annotations

import torch
from torch import nn

from ..case import Case
from .seventh_streams_parts import TOKENS, Attention, Stack


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


class MedusaResBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)
        nn.init.zeros_(self.linear.weight)
        self.act = nn.SiLU()

    def forward(self, x):
        return x + self.act(self.linear(x))


class MedusaModel(nn.Module):
    """Medusa's heads on a language model: `[ResBlock(h)] * n` is one block."""

    def __init__(self, heads=2, layers=2, width=8):
        super().__init__()
        self.base = Stack(ViTBlockMended(width), width=width)
        self.lift = nn.Linear(3, width)
        self.medusa_head = nn.ModuleList(self.head(width, layers) for _ in range(heads))

    @staticmethod
    def head(width, layers):
        return nn.Sequential(*[MedusaResBlock(width)] * layers, nn.Linear(width, 10, bias=False))

    def forward(self, x):
        hidden = self.lift(self.base(x))
        return torch.stack([head(hidden) for head in self.medusa_head])


class MedusaModelMended(MedusaModel):
    @staticmethod
    def head(width, layers):
        return nn.Sequential(
            *[MedusaResBlock(width) for _ in range(layers)], nn.Linear(width, 10, bias=False)
        )


class RobotLayer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layernorm1 = nn.LayerNorm(width)
        self.mha1 = nn.MultiheadAttention(width, 2, dropout=0.1, batch_first=True)
        self.ff = nn.Linear(width, width)
        self.layernorm2 = nn.LayerNorm(width)
        self.dropout_ff = nn.Dropout(0.1)

    def forward(self, x):
        x1 = self.layernorm1(x)
        attn, _ = self.mha1(x1, x1, x1)
        x = x + attn
        y = self.layernorm2(x)
        ff_y = self.dropout_ff(self.ff(y))
        return x + ff_y


class RobotTransformer(nn.Module):
    """pytorch_robotics_transformer: the layers are in a plain list."""

    def __init__(self, layers=2, width=8):
        super().__init__()
        self.layers = [RobotLayer(width) for _ in range(layers)]
        self.token_emb = nn.Linear(4, width)
        self.position_emb = nn.Parameter(torch.randn(6, width) * 0.02)
        self.output_tokens = nn.Linear(width, 5)

    def forward(self, x):
        x = self.token_emb(x) + self.position_emb
        for layer in self.layers:
            x = layer(x)
        return self.output_tokens(x)


class RobotTransformerMended(RobotTransformer):
    def __init__(self, layers=2, width=8):
        super().__init__(layers, width)
        self.layers = nn.ModuleList(self.layers)


class GemmaRMSNorm(nn.Module):
    """vLLM's native GemmaRMSNorm: the residual is handed on in float32."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def scale(self, x):
        x = x.float()
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-06)
        return x * (1.0 + self.weight.float())

    def forward(self, x, residual=None):
        orig_dtype = x.dtype
        if residual is None:
            return (self.scale(x).to(orig_dtype), x)
        x = x.float() + residual.float()
        residual = x
        return (self.scale(x).to(orig_dtype), residual)


class GemmaRMSNormMended(GemmaRMSNorm):
    def forward(self, x, residual=None):
        orig_dtype = x.dtype
        if residual is None:
            return (self.scale(x).to(orig_dtype), x)
        x = x.float() + residual.float()
        residual = x.to(orig_dtype)
        return (self.scale(x).to(orig_dtype), residual)


class GemmaLayer(nn.Module):
    def __init__(self, norm, width):
        super().__init__()
        self.input_layernorm = norm(width)
        self.self_attn = Attention(width)
        self.post_attention_layernorm = norm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Linear(16, width))

    def forward(self, hidden, residual):
        hidden, residual = self.input_layernorm(hidden, residual)
        hidden = self.self_attn(hidden, hidden, hidden)
        hidden, residual = self.post_attention_layernorm(hidden, residual)
        return (self.mlp(hidden), residual)


class GemmaWithDraft(nn.Module):
    """The target model, and the draft's projection that reads its middle layers."""

    def __init__(self, norm, width=8):
        super().__init__()
        self.embed = nn.Linear(4, width)
        self.layers = nn.ModuleList(GemmaLayer(norm, width) for _ in range(3))
        self.norm = norm(width)
        self.lm_head = nn.Linear(width, 5)
        self.fc = nn.Linear(2 * width, width)

    def forward(self, x):
        hidden, residual = (self.embed(x), None)
        aux = []
        for layer in self.layers:
            if residual is not None:
                aux.append(hidden + residual)
            hidden, residual = layer(hidden, residual)
        hidden, _ = self.norm(hidden, residual)
        return (self.lm_head(hidden), self.fc(torch.cat(aux, -1)))


CASES = (
    Case(
        "one residual block times n in each head",
        "FasterDecoding/Medusa PR 133",
        "TS203",
        MedusaModel,
        MedusaModelMended,
        TOKENS,
    ),
    Case(
        "transformer layers in a plain list",
        "maruya24/pytorch_robotics_transformer#3",
        "TS207",
        RobotTransformer,
        RobotTransformerMended,
        TOKENS,
    ),
    Case(
        "residual stream left in float32",
        "vllm-project/vllm PR 43242",
        "TS110",
        lambda: GemmaWithDraft(GemmaRMSNorm),
        lambda: GemmaWithDraft(GemmaRMSNormMended),
        TOKENS,
    ),
)
