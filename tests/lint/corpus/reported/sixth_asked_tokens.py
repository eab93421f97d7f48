"""The sixth set. Asked in threads. Language models and graphs in training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case


# --- vllm-project/vllm pull request 43242: the residual of a norm comes back in float32
class GemmaRMSNorm(nn.Module):
    def __init__(self, hidden, mended):
        super().__init__()
        self.mended = mended
        self.weight = nn.Parameter(torch.zeros(hidden))
        self.variance_epsilon = 1e-6

    def forward(self, x, residual=None):
        orig_dtype = x.dtype
        if residual is not None:
            x = x.float() + residual.float()
            residual = x.to(orig_dtype) if self.mended else x
        x = x.float()
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
        x = (x * (1.0 + self.weight.float())).to(orig_dtype)
        return x if residual is None else (x, residual)


class GemmaLayer(nn.Module):
    def __init__(self, d, mended):
        super().__init__()
        self.input_layernorm = GemmaRMSNorm(d, mended)
        self.post_attention_layernorm = GemmaRMSNorm(d, mended)
        self.qkv, self.o_proj = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
        self.up, self.down = nn.Linear(d, 2 * d, bias=False), nn.Linear(2 * d, d, bias=False)

    def forward(self, hidden_states, residual):
        if residual is None:
            residual = hidden_states
            hidden_states = self.input_layernorm(hidden_states)
        else:
            hidden_states, residual = self.input_layernorm(hidden_states, residual)
        q, k, v = self.qkv(hidden_states).chunk(3, -1)
        hidden_states = self.o_proj(F.scaled_dot_product_attention(q, k, v))
        hidden_states, residual = self.post_attention_layernorm(hidden_states, residual)
        return self.down(F.gelu(self.up(hidden_states))), residual


class GemmaWithDraft(nn.Module):
    def __init__(self, mended, d=8):
        super().__init__()
        self.embed = nn.Linear(5, d)
        self.layers = nn.ModuleList(GemmaLayer(d, mended) for _ in range(2))
        self.norm = GemmaRMSNorm(d, mended)
        self.draft = nn.Linear(2 * d, d, bias=False)

    def forward(self, x):
        hidden_states, residual, aux = self.embed(x), None, []
        for layer in self.layers:
            hidden_states, residual = layer(hidden_states, residual)
            aux.append(hidden_states + residual)
        hidden_states, _ = self.norm(hidden_states, residual)
        return hidden_states, self.draft(torch.cat(aux, -1))


# --- datamol-io/graphium pull request 238: the drop path after the residual connection
class DropPath(nn.Module):
    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, x):
        if not self.training:
            return x
        keep = 1 - self.rate
        mask = torch.rand(x.shape[0], 1, 1, device=x.device).add(keep).floor()
        return x / keep * mask


class GPSLayer(nn.Module):
    def __init__(self, d, mended):
        super().__init__()
        self.mended = mended
        self.mpnn = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, d))
        self.attn_layer = nn.MultiheadAttention(d, 2, batch_first=True)
        self.norm_local, self.norm_attn, self.norm_out = (nn.LayerNorm(d) for _ in range(3))
        self.dropout_local, self.dropout_attn = nn.Dropout(0.1), nn.Dropout(0.1)
        self.ff_linear1, self.ff_linear2 = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)
        self.ff_dropout = nn.Dropout(0.1)
        self.droppath_ffn = DropPath(0.2)

    def _ff_block(self, x):
        x = self.ff_dropout(F.relu(self.ff_linear1(x)))
        return self.ff_linear2(x)

    def forward(self, h, adj):
        h_in = h
        h_local = self.norm_local(h_in + self.dropout_local(self.mpnn(h + adj @ h)))
        h_attn = self.dropout_attn(self.attn_layer(h, h, h, need_weights=False)[0])
        h = h_local + self.norm_attn(h_in + h_attn)
        if self.mended:
            h = h + self.droppath_ffn(self._ff_block(h))
        else:
            h = self.droppath_ffn(h + self._ff_block(h))
        return self.norm_out(h)


class GPSModel(nn.Module):
    def __init__(self, mended, d=8):
        super().__init__()
        self.encoder = nn.Linear(5, d)
        self.layers = nn.ModuleList(GPSLayer(d, mended) for _ in range(2))
        self.head = nn.Linear(d, 1)

    def forward(self, x, adj):
        h = self.encoder(x)
        for layer in self.layers:
            h = layer(h, adj)
        return self.head(h.mean(1))


# --- thuanz123/enhancing-transformers#11: two decoders add their positions to one tensor
class ViTBlock(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attn = nn.MultiheadAttention(d, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.Tanh(), nn.Linear(2 * d, d))

    def forward(self, x):
        h = self.norm1(x)
        x = self.attn(h, h, h, need_weights=False)[0] + x
        return self.mlp(self.norm2(x)) + x


class ViTDecoder(nn.Module):
    def __init__(self, d, tokens, out, inplace):
        super().__init__()
        self.inplace = inplace
        self.de_pos_embedding = nn.Parameter(torch.randn(1, tokens, d) * 0.02)
        self.transformer = nn.Sequential(ViTBlock(d), ViTBlock(d), nn.LayerNorm(d))
        self.to_pixel = nn.Linear(d, out)

    def forward(self, token):
        if self.inplace:
            token += self.de_pos_embedding
        else:
            token = token + self.de_pos_embedding
        return self.to_pixel(self.transformer(token))


class TwoDecoders(nn.Module):
    def __init__(self, inplace, d=8):
        super().__init__()
        self.post_quant = nn.Linear(5, d)
        self.decoder_a = ViTDecoder(d, 6, 3, inplace)
        self.decoder_b = ViTDecoder(d, 6, 4, inplace)

    def forward(self, code):
        quant = self.post_quant(code)
        return self.decoder_a(quant), self.decoder_b(quant)


# --- vllm-project/vllm pull request 24500: x += in a pre-norm block
class LayerScale(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((d,), 0.1))

    def forward(self, x):
        return x * self.gamma


class DashengBlock(nn.Module):
    def __init__(self, d, inplace):
        super().__init__()
        self.inplace = inplace
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))
        self.ls1, self.ls2 = LayerScale(d), LayerScale(d)

    def attn(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.proj(F.scaled_dot_product_attention(q, k, v))

    def forward(self, x):
        if self.inplace:
            x += self.ls1(self.attn(self.norm1(x)))
            x += self.ls2(self.mlp(self.norm2(x)))
        else:
            x = x + self.ls1(self.attn(self.norm1(x)))
            x = x + self.ls2(self.mlp(self.norm2(x)))
        return x


def dasheng(inplace):
    return nn.Sequential(
        nn.Linear(5, 8),
        *(DashengBlock(8, inplace) for _ in range(2)),
        nn.LayerNorm(8),
        nn.Linear(8, 3),
    )


CASES = (
    Case(
        "norm that returns the residual in float32",
        "vllm-project/vllm PR 43242",
        "TS110",
        lambda: GemmaWithDraft(False),
        lambda: GemmaWithDraft(True),
        ((2, 6, 5),),
    ),
    Case(
        "drop path after the residual",
        "datamol-io/graphium PR 238",
        "TS111",
        lambda: GPSModel(False),
        lambda: GPSModel(True),
        ((4, 6, 5), (4, 6, 6)),
    ),
    Case(
        "positions added to a shared code",
        "thuanz123/enhancing-transformers#11",
        "TS112",
        lambda: TwoDecoders(True),
        lambda: TwoDecoders(False),
        ((2, 6, 5),),
    ),
    Case(
        "pre-norm block written with +=",
        "vllm-project/vllm PR 24500",
        "TS112",
        lambda: dasheng(True),
        lambda: dasheng(False),
        ((2, 6, 5),),
    ),
)
