"""The seventh set. Streams, once more. Sums dropped, doubled, and of the wrong value."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case, Clean

SEQ = ((2, 6, 3), (2, 6, 5))


class Adaptive(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.gamma = nn.Linear(dim, dim)
        self.beta = nn.Linear(dim, dim, bias=False)

    def forward(self, x, cond):
        return self.norm(x) * self.gamma(cond).sigmoid() + self.beta(cond)


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


class Transition(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.w1, self.w2, self.w3 = (
            nn.Linear(dim, 2 * dim),
            nn.Linear(dim, 2 * dim),
            nn.Linear(2 * dim, dim),
        )

    def forward(self, x):
        return self.w3(F.silu(self.w1(x)) * self.w2(x))


class Conditioned(nn.Module):
    def __init__(self, fn, dim):
        super().__init__()
        self.fn = fn
        self.adaptive_norm = Adaptive(dim)
        self.gate = nn.Linear(dim, dim)

    def forward(self, x, *, cond):
        return self.fn(self.adaptive_norm(x, cond)) * self.gate(cond).sigmoid()


class DiffusionTransformer(nn.Module):
    """alphafold3-pytorch: with serial off the sum is bound to ff_out and the loop's state stays."""

    def __init__(self, mended, serial=False, add_residual=True, dim=8, depth=2):
        super().__init__()
        self.mended, self.serial, self.add_residual = (mended, serial, add_residual)
        self.layers = nn.ModuleList(
            [
                nn.ModuleList([Conditioned(Attn(dim), dim), Conditioned(Transition(dim), dim)])
                for _ in range(depth)
            ]
        )

    def forward(self, noised_repr, single_repr):
        for attn, transition in self.layers:
            attn_out = attn(noised_repr, cond=single_repr)
            if self.serial:
                noised_repr = attn_out + noised_repr
            ff_out = transition(noised_repr, cond=single_repr)
            if self.serial:
                noised_repr = ff_out + noised_repr
            residual = noised_repr if self.add_residual else 0.0
            if not self.serial:
                if self.mended:
                    noised_repr = ff_out + attn_out + residual
                else:
                    ff_out = ff_out + attn_out + residual
        return noised_repr


class DiffusionModule(nn.Module):
    def __init__(self, mended, **kw):
        super().__init__()
        self.embed, self.cond = (nn.Linear(3, 8), nn.Linear(5, 8))
        self.transformer = DiffusionTransformer(mended, **kw)
        self.out = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 3, bias=False))

    def forward(self, pos, single):
        return self.out(self.transformer(self.embed(pos), self.cond(single)))


class AxialAttention(nn.Module):
    """Attention over rows and columns whose block adds its input itself."""

    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.rows, self.cols = (Attn(dim), Attn(dim))

    def forward(self, x):
        b, h, w, d = x.shape
        y = self.norm(x)
        r = self.rows(y.reshape(b * h, w, d)).view(b, h, w, d)
        c = self.cols(y.transpose(1, 2).reshape(b * w, h, d)).view(b, w, h, d).transpose(1, 2)
        return r + c


class AttentionBlock(nn.Module):
    def __init__(self, dim, cross=True):
        super().__init__()
        self.attn = AxialAttention(dim)
        self.cross = nn.Linear(dim, dim) if cross else None

    def forward(self, x, other=None):
        x = self.attn(x) + x
        if other is not None:
            x = x + self.cross(other).mean(dim=1, keepdim=True).expand_as(x)
        return x


class Feed(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.net = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim)
        )

    def forward(self, x):
        return self.net(x)


class EvoformerBlock(nn.Module):
    def __init__(self, mended, dim):
        super().__init__()
        self.mended = mended
        self.layer = nn.ModuleList(
            [AttentionBlock(dim), Feed(dim), AttentionBlock(dim, cross=False), Feed(dim)]
        )

    def forward(self, inputs):
        x, m = inputs
        attn, ff, msa_attn, msa_ff = self.layer
        if self.mended:
            m = msa_attn(m)
            m = msa_ff(m) + m
            x = attn(x, m)
            x = ff(x) + x
        else:
            m = msa_attn(m) + m
            m = msa_ff(m) + m
            x = attn(x, m) + x
            x = ff(x) + x
        return (x, m)


class Alphafold2(nn.Module):
    def __init__(self, mended, dim=8):
        super().__init__()
        self.pair, self.msa = (nn.Linear(4, dim), nn.Linear(4, dim))
        self.net = nn.Sequential(*(EvoformerBlock(mended, dim) for _ in range(2)))
        self.head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 5))

    def forward(self, pairs, msa):
        x, m = self.net((self.pair(pairs), self.msa(msa)))
        return (self.head(x), m.mean(dim=1))


class Residual(nn.Module):
    """hepattn: the wrapper norms, scales and adds."""

    def __init__(self, fn, dim):
        super().__init__()
        self.fn, self.norm = (fn, nn.LayerNorm(dim))
        self.ls = nn.Parameter(torch.full((dim,), 0.1))

    def forward(self, x, **kwargs):
        return x + self.ls * self.fn(self.norm(x), **kwargs)


class MaskFormerDecoderLayer(nn.Module):
    def __init__(self, mended, dim):
        super().__init__()
        self.mended = mended
        self.q_ca = Residual(Attn(dim), dim)
        self.q_sa = Residual(Attn(dim), dim)
        self.q_dense = Residual(Transition(dim), dim)

    def forward(self, q, kv):
        if self.mended:
            q = self.q_ca(q, context=kv)
            q = self.q_sa(q)
            return self.q_dense(q)
        q = q + self.q_ca(q, context=kv)
        q = q + self.q_sa(q)
        return q + self.q_dense(q)


class MaskFormer(nn.Module):
    def __init__(self, mended, dim=8):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(4, dim))
        self.embed = nn.Linear(3, dim)
        self.layers = nn.ModuleList([MaskFormerDecoderLayer(mended, dim) for _ in range(2)])
        self.cls = nn.Linear(dim, 2)

    def forward(self, hits):
        kv = self.embed(hits)
        q = self.queries.expand(hits.shape[0], -1, -1)
        for layer in self.layers:
            q = layer(q, kv)
        return (self.cls(q), q @ kv.transpose(1, 2))


class Sublayer(nn.Module):
    def __init__(self, fn, dim):
        super().__init__()
        self.fn, self.lnorm, self.drop = (fn, nn.LayerNorm(dim), nn.Dropout(0.1))

    def forward(self, x, *args, residual=None):
        residual = x if residual is None else residual
        return self.lnorm(residual + self.drop(self.fn(x, *args)))


class SlpDecoderLayer(nn.Module):
    """slp: the cross attention's residual is the encoder's output."""

    def __init__(self, mended, dim):
        super().__init__()
        self.mended = mended
        self.in_sa, self.ca = (Attn(dim), Attn(dim))
        self.norm1, self.norm2 = (nn.LayerNorm(dim), nn.LayerNorm(dim))
        self.ff = Sublayer(Feed(dim), dim)

    def forward(self, targets, encoded):
        out1 = self.norm1(targets + self.in_sa(targets))
        attended = self.ca(out1, encoded)
        out2 = self.norm2((out1 if self.mended else encoded) + attended)
        return self.ff(out2)


class SlpTransformer(nn.Module):
    def __init__(self, mended):
        super().__init__()
        self.src, self.tgt = (nn.Embedding(11, 8), nn.Embedding(11, 8))
        self.enc = nn.ModuleList([Sublayer(Attn(8), 8), Sublayer(Feed(8), 8)])
        self.dec = nn.ModuleList([SlpDecoderLayer(mended, 8) for _ in range(2)])
        self.predict = nn.Linear(8, 11)

    def forward(self, src, tgt):
        e = self.src(src.long().clamp(0, 10))
        for layer in self.enc:
            e = layer(e)
        d = self.tgt(tgt.long().clamp(0, 10))
        for layer in self.dec:
            d = layer(d, e)
        return self.predict(d)


class BloomMLP(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.up, self.down = (nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim))

    def forward(self, hidden, residual):
        return F.dropout(self.down(F.gelu(self.up(hidden))), 0.1, self.training) + residual


class BloomBlock(nn.Module):
    def __init__(self, dim, post):
        super().__init__()
        self.apply_residual_connection_post_layernorm = post
        self.input_layernorm, self.attn = (nn.LayerNorm(dim), Attn(dim))
        self.post_attention_layernorm, self.mlp = (nn.LayerNorm(dim), BloomMLP(dim))

    def forward(self, hidden_states):
        layernorm_output = self.input_layernorm(hidden_states)
        residual = (
            layernorm_output if self.apply_residual_connection_post_layernorm else hidden_states
        )
        attention_output = self.attn(layernorm_output) + residual
        layernorm_output = self.post_attention_layernorm(attention_output)
        residual = (
            layernorm_output if self.apply_residual_connection_post_layernorm else attention_output
        )
        return self.mlp(layernorm_output, residual)


class Bloom(nn.Module):
    def __init__(self, post):
        super().__init__()
        self.wte = nn.Embedding(11, 8)
        self.word_embeddings_layernorm = nn.LayerNorm(8)
        self.h = nn.ModuleList([BloomBlock(8, post) for _ in range(2)])
        self.ln_f = nn.LayerNorm(8)

    def forward(self, ids):
        x = self.word_embeddings_layernorm(self.wte(ids.long().clamp(0, 10)))
        for block in self.h:
            x = block(x)
        return self.ln_f(x)


CASES = (
    Case(
        "parallel sum bound to the feed-forward's name",
        "lucidrains/alphafold3-pytorch (DiffusionTransformer, serial off; issue 113)",
        "TS107",
        lambda: DiffusionModule(False),
        lambda: DiffusionModule(True),
        SEQ,
    ),
    Case(
        "blocks that add, added to again in a pair of streams",
        "lucidrains/alphafold2#91",
        "TS106",
        lambda: Alphafold2(False),
        lambda: Alphafold2(True),
        ((2, 5, 5, 4), (2, 3, 5, 4)),
    ),
    Case(
        "residual wrappers added to again in a mask decoder",
        "samvanstroud/hepattn pull request 224",
        "TS106",
        lambda: MaskFormer(False),
        lambda: MaskFormer(True),
        ((2, 6, 3),),
    ),
    Case(
        "cross attention added to the memory of a translator",
        "georgepar/slp pull request 26",
        "TS204",
        lambda: SlpTransformer(False),
        lambda: SlpTransformer(True),
        ((2, 6), (2, 6)),
    ),
)

CLEAN = (
    Clean(
        "attention and transition summed without the input",
        "AlphaFold 3's algorithm 23 sums attention and transition without the input",
        lambda: DiffusionModule(True, add_residual=False),
        SEQ,
    ),
    Clean(
        "feed-forward that is handed the residual",
        "BLOOM's MLP is handed the residual and adds it itself",
        lambda: Bloom(False),
        ((2, 6),),
    ),
)
