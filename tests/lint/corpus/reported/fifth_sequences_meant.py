"""The fifth set. Designs of sequences that look like faults and are meant."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..case import Clean
from .fifth_sequences import Attention, FeedForward

WAVE = ((2, 4, 32),)
TOKENS = ((2, 12, 4),)


class ClassAttention(nn.Module):
    def __init__(self, d, heads=2):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        attn = ((q[:, :, 0:1] * k).sum(-1) * (c // self.heads) ** -0.5).softmax(-1)
        cls = (attn.unsqueeze(2) @ v).transpose(1, 2).reshape(b, 1, c)
        return torch.cat([self.proj(cls), x[:, 1:]], dim=1)


class XcitClassBlock(nn.Module):
    """XCiT: the patch tokens pass the norm; only the class token is processed."""

    def __init__(self, d=8, eta=1.0):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attn, self.mlp = ClassAttention(d), FeedForward(d)
        self.gamma1, self.gamma2 = (
            nn.Parameter(eta * torch.ones(d)),
            nn.Parameter(eta * torch.ones(d)),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.gamma1 * self.attn(self.norm1(x))
        x = self.norm2(x)
        x_res = x
        cls_token = x[:, 0:1]
        cls_token = self.gamma2 * self.mlp(cls_token)
        x = torch.cat([cls_token, x[:, 1:]], dim=1)
        return x_res + x


class XcitHead(nn.Module):
    def __init__(self, d=8):
        super().__init__()
        self.embed, self.cls = nn.Linear(4, d), nn.Parameter(torch.zeros(1, 1, d))
        self.blocks = nn.ModuleList(XcitClassBlock(d) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


def drop_path(x, p, training):
    if p == 0.0 or not training:
        return x
    keep = 1 - p
    mask = keep + torch.rand((x.shape[0],) + (1,) * (x.ndim - 1), dtype=x.dtype, device=x.device)
    return x.div(keep) * mask.floor_()


class DropPath(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return drop_path(x, self.p, self.training)


class DividedBlock(nn.Module):
    """TimeSformer: stochastic depth on (b h w) and (b t), class token averaged over frames."""

    def __init__(self, d=8, t=3):
        super().__init__()
        self.t, self.drop_path = t, DropPath(0.1)
        self.norm1, self.norm2, self.temporal_norm1 = (
            nn.LayerNorm(d),
            nn.LayerNorm(d),
            nn.LayerNorm(d),
        )
        self.attn, self.temporal_attn, self.temporal_fc = (
            Attention(d),
            Attention(d),
            nn.Linear(d, d),
        )
        self.mlp = FeedForward(d)

    def forward(self, x: Tensor) -> Tensor:
        b, n, d = x.shape
        t, s = self.t, (n - 1) // self.t
        xt = x[:, 1:].reshape(b * s, t, d)
        res_temporal = self.drop_path(self.temporal_attn(self.temporal_norm1(xt)))
        res_temporal = self.temporal_fc(res_temporal.reshape(b, s * t, d))
        xt = x[:, 1:] + res_temporal
        init_cls = x[:, 0:1]
        cls_token = init_cls.repeat(1, t, 1).reshape(b * t, 1, d)
        xs = xt.reshape(b, s, t, d).transpose(1, 2).reshape(b * t, s, d)
        xs = torch.cat((cls_token, xs), 1)
        res_spatial = self.drop_path(self.attn(self.norm1(xs)))
        cls_token = res_spatial[:, 0].reshape(b, t, d).mean(1, keepdim=True)
        res_spatial = res_spatial[:, 1:].reshape(b, t, s, d).transpose(1, 2).reshape(b, s * t, d)
        x = torch.cat((init_cls, xt), 1) + torch.cat((cls_token, res_spatial), 1)
        return x + self.drop_path(self.mlp(self.norm2(x)))


class TimeSformer(nn.Module):
    def __init__(self, d=8):
        super().__init__()
        self.embed, self.cls = nn.Linear(4, d), nn.Parameter(torch.zeros(1, 1, d))
        self.blocks = nn.ModuleList(DividedBlock(d) for _ in range(2))
        self.head = nn.Linear(d, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1)
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0])


class TasBlock(nn.Module):
    def __init__(self, c, h, dilation, last):
        super().__init__()
        self.conv_layers = nn.Sequential(
            nn.Conv1d(c, h, 1),
            nn.PReLU(),
            nn.GroupNorm(1, h, eps=1e-8),
            nn.Conv1d(h, h, 3, padding=dilation, dilation=dilation, groups=h),
            nn.PReLU(),
            nn.GroupNorm(1, h, eps=1e-8),
        )
        self.res_out = None if last else nn.Conv1d(h, c, 1)
        self.skip_out = nn.Conv1d(h, c, 1)

    def forward(self, x: Tensor) -> Tensor:
        feature = self.conv_layers(x)
        residual = None if self.res_out is None else self.res_out(feature)
        return residual, self.skip_out(feature)


class ConvTasNet(nn.Module):
    """torchaudio's: residual added into the input, skips summed, mask times encoding."""

    def __init__(self, enc=8, c=8):
        super().__init__()
        self.encoder = nn.Conv1d(1, enc, 4, 2, 2, bias=False)
        self.input_norm, self.input_conv = nn.GroupNorm(1, enc, eps=1e-8), nn.Conv1d(enc, c, 1)
        self.conv_layers = nn.ModuleList(TasBlock(c, 16, 2**i, i == 3) for i in range(4))
        self.output_prelu, self.output_conv = nn.PReLU(), nn.Conv1d(c, enc * 2, 1)
        self.decoder = nn.ConvTranspose1d(enc, 1, 4, 2, 2, bias=False)

    def forward(self, wav: Tensor) -> Tensor:
        feats = self.encoder(wav)
        x = self.input_conv(self.input_norm(feats))
        output = 0.0
        for layer in self.conv_layers:
            residual, skip = layer(x)
            if residual is not None:
                x = x + residual
            output = output + skip
        mask = torch.sigmoid(self.output_conv(self.output_prelu(output)))
        masked = mask.view(wav.shape[0], 2, feats.shape[1], -1) * feats.unsqueeze(1)
        masked = masked.view(wav.shape[0] * 2, feats.shape[1], -1)
        return self.decoder(masked).view(wav.shape[0], 2, -1)


class Bottle2neck(nn.Module):
    def __init__(self, c=8, dilation=2, scale=4):
        super().__init__()
        self.width, self.nums = c // scale, scale - 1
        self.conv1, self.bn1 = nn.Conv1d(c, c, 1), nn.BatchNorm1d(c)
        self.convs = nn.ModuleList(
            nn.Conv1d(self.width, self.width, 3, padding=dilation, dilation=dilation)
            for _ in range(self.nums)
        )
        self.bns = nn.ModuleList(nn.BatchNorm1d(self.width) for _ in range(self.nums))
        self.conv3, self.bn3, self.relu = nn.Conv1d(c, c, 1), nn.BatchNorm1d(c), nn.ReLU()
        self.se = nn.Sequential(
            nn.AdaptiveAvgPool1d(1), nn.Conv1d(c, 4, 1), nn.ReLU(), nn.Conv1d(4, c, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        out = self.bn1(self.relu(self.conv1(x)))
        spx = torch.split(out, self.width, 1)
        sp = torch.zeros(())
        for i in range(self.nums):
            sp = spx[i] if i == 0 else sp + spx[i]
            sp = self.bns[i](self.relu(self.convs[i](sp)))
            out = sp if i == 0 else torch.cat((out, sp), 1)
        out = torch.cat((out, spx[self.nums]), 1)
        out = self.bn3(self.relu(self.conv3(out)))
        out = out * self.se(out)
        out += residual
        return out


class ECAPA(nn.Module):
    """ECAPA-TDNN: each block reads the sum of all before it; statistics as context."""

    def __init__(self, c=8):
        super().__init__()
        self.conv1, self.relu, self.bn1 = (
            nn.Conv1d(4, c, 5, padding=2),
            nn.ReLU(),
            nn.BatchNorm1d(c),
        )
        self.layer1, self.layer2, self.layer3 = (
            Bottle2neck(c, 2),
            Bottle2neck(c, 3),
            Bottle2neck(c, 4),
        )
        self.layer4 = nn.Conv1d(3 * c, 16, 1)
        self.attention = nn.Sequential(
            nn.Conv1d(48, 8, 1),
            nn.ReLU(),
            nn.BatchNorm1d(8),
            nn.Tanh(),
            nn.Conv1d(8, 16, 1),
            nn.Softmax(2),
        )
        self.fc = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.relu(self.conv1(x)))
        x1 = self.layer1(x)
        x2 = self.layer2(x + x1)
        x3 = self.layer3(x + x1 + x2)
        x = self.relu(self.layer4(torch.cat((x1, x2, x3), dim=1)))
        t = x.size(-1)
        stats = (
            x.mean(2, keepdim=True).repeat(1, 1, t),
            torch.sqrt(x.var(2, keepdim=True).clamp(min=1e-4)).repeat(1, 1, t),
        )
        w = self.attention(torch.cat((x, *stats), dim=1))
        mu = (x * w).sum(2)
        sg = torch.sqrt(((x**2) * w).sum(2).sub(mu**2).clamp(min=1e-4))
        return self.fc(torch.cat((mu, sg), 1))


CLEAN: tuple[Clean, ...] = (
    Clean(
        "xcit_class_attention",
        "XCiT: patch tokens added to themselves behind the norm",
        XcitHead,
        TOKENS,
    ),
    Clean(
        "timesformer_folded_drop_path",
        "TimeSformer: stochastic depth per frame and per place",
        TimeSformer,
        TOKENS,
    ),
    Clean(
        "conv_tasnet",
        "torchaudio's Conv-TasNet: last block without residual",
        ConvTasNet,
        ((2, 1, 32),),
    ),
    Clean("ecapa", "ECAPA-TDNN: sums of all blocks before, hierarchical split", ECAPA, WAVE),
)
