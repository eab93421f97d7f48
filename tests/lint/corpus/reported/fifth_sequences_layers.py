"""The fifth set. Transformer layers: norms, encoders, decoders."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case
from .fifth_sequences import Attention, FeedForward, Tokens

TOKENS = ((2, 12, 4),)


class NaViTBlock(nn.Module):
    def __init__(self, d=8):
        super().__init__()
        self.attn = nn.Sequential(nn.LayerNorm(d), Attention(d))
        self.norm = nn.LayerNorm(d)
        self.mlp = FeedForward(d)

    def forward(self, x: Tensor) -> Tensor:
        x = self.attn(x) + x
        x = self.norm(x)
        return self.mlp(x) + x


class NaViTBlockMended(NaViTBlock):
    def forward(self, x: Tensor) -> Tensor:
        x = self.attn(x) + x
        return x + self.mlp(self.norm(x))


class Ssm(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.in_proj, self.conv, self.out_proj = (
            nn.Linear(d, 2 * d),
            nn.Conv1d(d, d, 4, padding=3, groups=d),
            nn.Linear(d, d),
        )

    def forward(self, x: Tensor) -> Tensor:
        u, z = self.in_proj(x).chunk(2, -1)
        u = F.silu(self.conv(u.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2))
        return self.out_proj(u * F.silu(z))


class MambaTransformerblock(nn.Module):
    def __init__(self, d=8, depth=2):
        super().__init__()
        self.mamba_blocks = nn.ModuleList(Ssm(d) for _ in range(depth))
        self.transformer_blocks = nn.ModuleList(Attention(d) for _ in range(depth))
        self.ffn_blocks = nn.ModuleList(FeedForward(d) for _ in range(depth))
        self.norm = nn.LayerNorm(d)

    def forward(self, x: Tensor) -> Tensor:
        for mamba, attn, ffn in zip(
            self.mamba_blocks, self.transformer_blocks, self.ffn_blocks, strict=True
        ):
            x = self.norm(x)
            x = mamba(x) + x
            x = self.norm(x)
            x = attn(x) + x
            x = self.norm(x)
            x = ffn(x) + x
        return x


class MambaMended(nn.Module):
    def __init__(self, d=8, depth=2):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                [
                    nn.LayerNorm(d),
                    Ssm(d),
                    nn.LayerNorm(d),
                    Attention(d),
                    nn.LayerNorm(d),
                    FeedForward(d),
                ]
            )
            for _ in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        for n1, mamba, n2, attn, n3, ffn in self.blocks:
            x = mamba(n1(x)) + x
            x = attn(n2(x)) + x
            x = ffn(n3(x)) + x
        return x


class OlmoBlock(nn.Module):
    def __init__(self, d=8):
        super().__init__()
        self.norm, self.dropout = nn.LayerNorm(d), nn.Dropout(0.1)
        self.att_proj, self.attn_out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.ff_proj, self.act, self.ff_out = nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d)

    def attention(self, q, k, v):
        return self.attn_out((q @ k.transpose(-2, -1) * 8**-0.5).softmax(-1) @ v)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.att_proj(self.norm(x)).split(8, dim=-1)
        x = x + self.dropout(self.attention(q, k, v))
        return x + self.dropout(self.ff_out(self.act(self.ff_proj(self.norm(x)))))


class OlmoBlockMended(OlmoBlock):
    def __init__(self, d=8):
        super().__init__(d)
        self.ff_norm = nn.LayerNorm(d)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.att_proj(self.norm(x)).split(8, dim=-1)
        x = x + self.dropout(self.attention(q, k, v))
        return x + self.dropout(self.ff_out(self.act(self.ff_proj(self.ff_norm(x)))))


class Decoder(nn.Module):
    def __init__(self, layer, d=8, depth=2):
        super().__init__()
        self.src, self.tgt = nn.Linear(4, d), nn.Linear(4, d)
        self.encoder = nn.ModuleList(NaViTBlockMended(d) for _ in range(depth))
        self.decoder = nn.ModuleList(layer(d) for _ in range(depth))
        self.out = nn.Linear(d, 5)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        memory, x = self.src(source), self.tgt(target)
        for layer in self.encoder:
            memory = layer(memory)
        for layer in self.decoder:
            x = layer(x, memory)
        return self.out(x)


class MlxDecoderLayer(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.self_attention, self.cross_attention = Attention(d), Attention(d)
        self.ln1, self.ln2, self.ln3 = nn.LayerNorm(d), nn.LayerNorm(d), nn.LayerNorm(d)
        self.linear1, self.linear2 = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        y = self.ln1(x)
        y = self.self_attention(y, y)
        x = x + y
        y = self.ln2(x)
        y = self.cross_attention(x, memory)
        x = x + y
        y = self.ln3(x)
        y = self.linear2(F.relu(self.linear1(y)))
        return x + y


class MlxDecoderLayerMended(MlxDecoderLayer):
    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        y = self.ln1(x)
        y = self.self_attention(y, y)
        x = x + y
        y = self.ln2(x)
        y = self.cross_attention(y, memory)
        x = x + y
        y = self.ln3(x)
        y = self.linear2(F.relu(self.linear1(y)))
        return x + y


class SlpAttention(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.k, self.q, self.v, self.output = (nn.Linear(d, d) for _ in range(4))

    def forward(self, x: Tensor, queries: Tensor | None = None) -> Tensor:
        queries = x if queries is None else queries
        k, v, q = self.k(x), self.v(x), self.q(queries)
        scores = torch.bmm(q, k.transpose(1, 2)) / k.shape[-1] ** 0.5
        return self.output(torch.bmm(torch.softmax(scores, -1), v))


class Sublayer1(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.sublayer, self.lnorm = SlpAttention(d), nn.LayerNorm(d)

    def forward(self, x: Tensor) -> Tensor:
        return self.sublayer(self.lnorm(x)) + x


class Sublayer2(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.sublayer, self.lnorm = FeedForward(d), nn.LayerNorm(d)

    def forward(self, x: Tensor) -> Tensor:
        return self.sublayer(self.lnorm(x)) + x


class Sublayer3(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.sublayer, self.lnorm, self.lnormy = SlpAttention(d), nn.LayerNorm(d), nn.LayerNorm(d)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        out = self.sublayer(self.lnorm(x), queries=self.lnormy(y))
        return out + x


class Sublayer3Mended(Sublayer3):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        out = self.sublayer(self.lnorm(x), queries=self.lnormy(y))
        return out + y


class SlpDecoderLayer(nn.Module):
    fuse = Sublayer3

    def __init__(self, d):
        super().__init__()
        self.in_layer, self.fuse_layer, self.out_layer = Sublayer1(d), self.fuse(d), Sublayer2(d)

    def forward(self, targets: Tensor, encoded: Tensor) -> Tensor:
        targets = self.in_layer(targets)
        out = self.fuse_layer(encoded, targets)
        return self.out_layer(out)


class SlpDecoderLayerMended(SlpDecoderLayer):
    fuse = Sublayer3Mended


CASES: tuple[Case, ...] = (
    Case(
        "navit_norm_on_stream",
        "Project-MONAI/MONAI PR 9011 (review)",
        "TS202",
        lambda: Tokens(NaViTBlock(), NaViTBlock()),
        lambda: Tokens(NaViTBlockMended(), NaViTBlockMended()),
        TOKENS,
    ),
    Case(
        "mamba_transformer_one_norm",
        "kyegomez/MambaTransformer#14",
        "TS203",
        lambda: Tokens(MambaTransformerblock()),
        lambda: Tokens(MambaMended()),
        TOKENS,
    ),
    Case(
        "olmo_shared_norm",
        "allenai/OLMo#222",
        "TS203",
        lambda: Tokens(OlmoBlock(), OlmoBlock()),
        lambda: Tokens(OlmoBlockMended(), OlmoBlockMended()),
        TOKENS,
    ),
    Case(
        "mlx_ln2_unused",
        "ml-explore/mlx PR 210",
        "TS107",
        lambda: Decoder(MlxDecoderLayer),
        lambda: Decoder(MlxDecoderLayerMended),
        ((2, 12, 4), (2, 6, 4)),
    ),
    Case(
        "slp_adds_the_memory",
        "georgepar/slp PR 26",
        "TS204",
        lambda: Decoder(SlpDecoderLayer),
        lambda: Decoder(SlpDecoderLayerMended),
        ((2, 12, 4), (2, 12, 4)),
    ),
)
