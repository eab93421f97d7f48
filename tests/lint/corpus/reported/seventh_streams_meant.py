"""The seventh set. Streams. Language models that are meant so."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Clean
from .seventh_streams_parts import TOKENS, Attention


class TimeMix(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.time_shift = nn.ZeroPad2d((0, 0, 1, -1))
        self.mix_k = nn.Parameter(torch.rand(1, 1, width))
        self.mix_r = nn.Parameter(torch.rand(1, 1, width))
        self.decay = nn.Parameter(torch.zeros(width))
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.receptance = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, x):
        xx = self.time_shift(x)
        xk = x * self.mix_k + xx * (1 - self.mix_k)
        xr = x * self.mix_r + xx * (1 - self.mix_r)
        k, v = (self.key(xk), self.value(xk))
        n = x.shape[1]
        steps = torch.arange(n, device=x.device)
        ages = (steps[:, None] - steps).clamp(min=0)[..., None]
        causal = (steps[:, None] >= steps).to(x.dtype)[..., None]
        weight = torch.exp(k[:, None] - ages * torch.exp(self.decay)) * causal
        wkv = (weight * v[:, None]).sum(2) / weight.sum(2)
        return self.output(torch.sigmoid(self.receptance(xr)) * wkv)


class ChannelMix(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.time_shift = nn.ZeroPad2d((0, 0, 1, -1))
        self.mix = nn.Parameter(torch.rand(1, 1, width))
        self.key = nn.Linear(width, 2 * width, bias=False)
        self.receptance = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(2 * width, width, bias=False)

    def forward(self, x):
        mixed = x * self.mix + self.time_shift(x) * (1 - self.mix)
        k = torch.square(torch.relu(self.key(mixed)))
        return torch.sigmoid(self.receptance(mixed)) * self.value(k)


class RWKVBlock(nn.Module):
    """BlinkDL/RWKV-LM: the first block alone normalises the stream."""

    def __init__(self, width, layer):
        super().__init__()
        self.layer_id = layer
        self.ln1 = nn.LayerNorm(width)
        self.ln2 = nn.LayerNorm(width)
        if layer == 0:
            self.ln0 = nn.LayerNorm(width)
        self.att = TimeMix(width)
        self.ffn = ChannelMix(width)

    def forward(self, x):
        if self.layer_id == 0:
            x = self.ln0(x)
        x = x + self.att(self.ln1(x))
        return x + self.ffn(self.ln2(x))


class RWKV(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.emb = nn.Linear(4, width)
        self.blocks = nn.ModuleList(RWKVBlock(width, i) for i in range(3))
        self.ln_out = nn.LayerNorm(width)
        self.head = nn.Linear(width, 5, bias=False)

    def forward(self, x):
        x = self.emb(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.ln_out(x))


class ParallelLayer(nn.Module):
    """GPT-NeoX with use_parallel_residual."""

    def __init__(self, width=8):
        super().__init__()
        self.input_layernorm = nn.LayerNorm(width)
        self.post_attention_layernorm = nn.LayerNorm(width)
        self.attention = Attention(width)
        self.mlp = nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Linear(16, width))

    def forward(self, x):
        h = self.input_layernorm(x)
        attn_output = self.attention(h, h, h)
        mlp_output = self.mlp(self.post_attention_layernorm(x))
        return mlp_output + attn_output + x


class NeoX(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.embed_in = nn.Linear(4, width)
        self.layers = nn.ModuleList(ParallelLayer(width) for _ in range(3))
        self.final_layer_norm = nn.LayerNorm(width)
        self.embed_out = nn.Linear(width, 5)

    def forward(self, x):
        x = self.embed_in(x)
        for layer in self.layers:
            x = layer(x)
        return self.embed_out(self.final_layer_norm(x))


def norm(x):
    return F.rms_norm(x, (x.size(-1),))


class SpeedBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.attn = Attention(width)
        self.c_fc = nn.Linear(width, 2 * width, bias=False)
        self.c_proj = nn.Linear(2 * width, width, bias=False)
        nn.init.zeros_(self.c_proj.weight)
        self.lambdas = nn.Parameter(torch.tensor([1.0, 0.0]))

    def forward(self, x, x0):
        x = self.lambdas[0] * x + self.lambdas[1] * x0
        h = norm(x)
        x = x + self.attn(h, h, h)
        return x + self.c_proj(F.relu(self.c_fc(norm(x))).square())


class SpeedGPT(nn.Module):
    """KellerJordan/modded-nanogpt: x0 into every block, and a U-Net over the depth."""

    def __init__(self, width=8, layers=4):
        super().__init__()
        self.embed = nn.Linear(4, width)
        self.blocks = nn.ModuleList(SpeedBlock(width) for _ in range(layers))
        self.encoder = layers // 2
        self.skip_weights = nn.Parameter(torch.ones(layers // 2))
        self.lm_head = nn.Linear(width, 5)

    def forward(self, x):
        x = x0 = norm(self.embed(x))
        skips = []
        for i in range(self.encoder):
            x = self.blocks[i](x, x0)
            skips.append(x)
        for i in range(len(self.blocks) - self.encoder):
            x = x + self.skip_weights[i] * skips.pop()
            x = self.blocks[self.encoder + i](x, x0)
        return self.lm_head(norm(x))


class FusedBlock(nn.Module):
    """state-spaces/mamba: hidden states and residual go separate ways, add first, norm then."""

    def __init__(self, width=8):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.in_proj = nn.Linear(width, 2 * width)
        self.conv1d = nn.Conv1d(width, width, 4, padding=3, groups=width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, hidden, residual):
        residual = hidden + residual if residual is not None else hidden
        hidden = self.norm(residual)
        u, gate = self.in_proj(hidden).chunk(2, -1)
        u = F.silu(self.conv1d(u.transpose(1, 2))[..., : u.shape[1]].transpose(1, 2))
        return (self.out_proj(u * F.silu(gate)), residual)


class MixerModel(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.embedding = nn.Linear(4, width)
        self.layers = nn.ModuleList(FusedBlock(width) for _ in range(3))
        self.norm_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, 5)

    def forward(self, x):
        hidden, residual = (self.embedding(x), None)
        for layer in self.layers:
            hidden, residual = layer(hidden, residual)
        residual = hidden + residual
        return self.lm_head(self.norm_f(residual))


class EncoderLayer(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.attention = Attention(width)
        self.layer_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 16), nn.GELU(), nn.Dropout(0.1), nn.Linear(16, width)
        )
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x):
        x = self.layer_norm(x + self.attention(x, x, x))
        return self.final_layer_norm(x + self.feed_forward(x))


class LayerDropEncoder(nn.Module):
    """wav2vec 2.0: whole layers are left out in training (Fan et al., 2019), unscaled."""

    def __init__(self, width=8):
        super().__init__()
        self.embed = nn.Linear(4, width)
        self.pos_conv = nn.Conv1d(width, width, 5, padding=2, groups=4)
        self.layer_norm = nn.LayerNorm(width)
        self.layers = nn.ModuleList(EncoderLayer(width) for _ in range(3))
        self.layerdrop = 0.2

    def forward(self, x):
        x = self.embed(x)
        x = x + F.gelu(self.pos_conv(x.transpose(1, 2)).transpose(1, 2))
        x = self.layer_norm(x)
        for layer in self.layers:
            if self.training and torch.rand([]) < self.layerdrop:
                continue
            x = layer(x)
        return x


CLEAN = (
    Clean("first block normalises the stream", "BlinkDL/RWKV-LM, ln0", RWKV, TOKENS),
    Clean("parallel residual", "GPT-NeoX, GPT-J", NeoX, TOKENS),
    Clean("x0 in every block and a U-Net of blocks", "modded-nanogpt", SpeedGPT, TOKENS),
    Clean("add first, norm then, two streams handed on", "Mamba", MixerModel, TOKENS),
    Clean("layers left out in training", "wav2vec 2.0, LayerDrop", LayerDropEncoder, TOKENS),
)
