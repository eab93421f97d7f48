"""The sixth set. Asked in threads. Streams normalised on their way."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case


# --- shivanandmn/Knowledge-Tracing-SAINT#6: both residuals start after a normalisation
class FFN(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.layer1, self.layer2 = nn.Linear(d, d), nn.Linear(d, d)
        self.relu, self.drop = nn.ReLU(), nn.Dropout(0.2)

    def forward(self, x):
        return self.layer2(self.drop(self.relu(self.layer1(x))))


class MultiHeadWithFFN(nn.Module):
    def __init__(self, n_heads, n_dims, mended):
        super().__init__()
        self.mended = mended
        self.multihead_attention = nn.MultiheadAttention(n_dims, n_heads, dropout=0.2)
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(n_dims), nn.LayerNorm(n_dims)
        self.ffn = FFN(n_dims)

    def forward(self, q_input, kv_input):
        q_input, kv_input = q_input.permute(1, 0, 2), kv_input.permute(1, 0, 2)
        query_norm, kv_norm = self.layer_norm1(q_input), self.layer_norm1(kv_input)
        mask = torch.triu(torch.ones(len(q_input), len(q_input)), 1).bool().to(q_input.device)
        out_atten, _ = self.multihead_attention(query_norm, kv_norm, kv_norm, attn_mask=mask)
        out_atten = out_atten + (q_input if self.mended else query_norm)
        out_atten = out_atten.permute(1, 0, 2)
        output_norm = self.layer_norm2(out_atten)
        output = self.ffn(output_norm)
        return output + (out_atten if self.mended else output_norm)


class SAINT(nn.Module):
    def __init__(self, mended, d=8, n=2):
        super().__init__()
        self.exercise_embed = nn.Linear(5, d)
        self.encoder = nn.ModuleList(MultiHeadWithFFN(2, d, mended) for _ in range(n))
        self.fc = nn.Linear(d, 1)

    def forward(self, exercise):
        enc = self.exercise_embed(exercise)
        for layer in self.encoder:
            enc = layer(q_input=enc, kv_input=enc)
        return torch.sigmoid(self.fc(enc))


# --- dmlc/gluon-nlp pull request 1488: pre-normalisation overwrites what the residual adds
class PositionwiseFFN(nn.Module):
    def __init__(self, units, hidden, pre_norm, mended):
        super().__init__()
        self._pre_norm, self._mended = pre_norm, mended
        self.ffn_1, self.ffn_2 = nn.Linear(units, hidden), nn.Linear(hidden, units)
        self.activation_dropout_layer, self.dropout_layer = nn.Dropout(0.1), nn.Dropout(0.1)
        self.layer_norm = nn.LayerNorm(units)

    def forward(self, data):
        residual = data
        if self._pre_norm:
            data = self.layer_norm(data)
        out = self.activation_dropout_layer(F.relu(self.ffn_1(data)))
        out = self.dropout_layer(self.ffn_2(out))
        out = out + (residual if self._mended else data)
        if not self._pre_norm:
            out = self.layer_norm(out)
        return out


class GluonEncoderLayer(nn.Module):
    def __init__(self, units, heads, pre_norm, mended):
        super().__init__()
        self._pre_norm, self._mended, self._heads = pre_norm, mended, heads
        self.attn_qkv = nn.Linear(units, 3 * units, bias=False)
        self.attention_proj = nn.Linear(units, units)
        self.layer_norm, self.dropout_layer = nn.LayerNorm(units), nn.Dropout(0.1)
        self.ffn = PositionwiseFFN(units, 2 * units, pre_norm, mended)

    def forward(self, data):
        residual = data
        if self._pre_norm:
            data = self.layer_norm(data)
        b, n, c = data.shape
        query, key, value = self.attn_qkv(data).view(b, n, 3, self._heads, -1).unbind(2)
        scores = torch.einsum("bqhd,bkhd->bhqk", query, key) * (c // self._heads) ** -0.5
        out = torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), value).reshape(b, n, c)
        out = self.dropout_layer(self.attention_proj(out))
        out = out + (residual if self._mended else data)
        if not self._pre_norm:
            out = self.layer_norm(out)
        return self.ffn(out)


def gluon(mended):
    return nn.Sequential(
        nn.Linear(5, 8),
        *(GluonEncoderLayer(8, 2, True, mended) for _ in range(3)),
        nn.LayerNorm(8),
        nn.Linear(8, 4),
    )


# --- traveller59/spconv#30: identity = x names a container whose features are replaced
class SparseTensor:
    def __init__(self, features, neighbours):
        self.features, self.neighbours = features, neighbours


class SubMConv(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.linear = nn.Linear(2 * a, b, bias=False)

    def forward(self, x):
        around = x.neighbours @ x.features
        return SparseTensor(self.linear(torch.cat([x.features, around], 1)), x.neighbours)


class SparseSequential(nn.Sequential):
    def forward(self, x):
        for module in self:
            if isinstance(module, SubMConv):
                x = module(x)
            else:
                x.features = module(x.features)
        return x


class SparsePreActBlock(nn.Module):
    def __init__(self, c, mended):
        super().__init__()
        self.mended = mended
        self.branch = SparseSequential(
            nn.BatchNorm1d(c),
            nn.ReLU(),
            SubMConv(c, c),
            nn.BatchNorm1d(c),
            nn.ReLU(),
            SubMConv(c, c),
        )

    def forward(self, x):
        identity = SparseTensor(x.features, x.neighbours) if self.mended else x
        out = self.branch(x)
        out.features = out.features + identity.features
        return out


class SparseResNet(nn.Module):
    def __init__(self, mended, c=6):
        super().__init__()
        self.stem = SubMConv(4, c)
        self.blocks = nn.ModuleList(SparsePreActBlock(c, mended) for _ in range(3))
        self.head = nn.Linear(c, 2)

    def forward(self, features, neighbours):
        x = self.stem(SparseTensor(features, neighbours))
        for block in self.blocks:
            x = block(x)
        return self.head(x.features)


CASES = (
    Case(
        "residuals of a knowledge tracer",
        "shivanandmn/Knowledge-Tracing-SAINT#6",
        "TS202",
        lambda: SAINT(False),
        lambda: SAINT(True),
        ((2, 6, 5),),
    ),
    Case(
        "pre-normalisation before the residual",
        "dmlc/gluon-nlp PR 1488",
        "TS202",
        lambda: gluon(False),
        lambda: gluon(True),
        ((2, 6, 5),),
    ),
    Case(
        "features replaced in a shared container",
        "traveller59/spconv#30",
        "TS202",
        lambda: SparseResNet(False),
        lambda: SparseResNet(True),
        ((10, 4), (10, 10)),
    ),
)
