"""The seventh set. Streams. Designs of images that are meant so."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Clean


class PoolAttention(nn.Module):
    """MViT's attention: queries pooled with a stride, and their pool added to the output."""

    def __init__(self, a, b, stride):
        super().__init__()
        self.qkv = nn.Linear(a, 3 * b)
        self.pool_q = nn.Conv2d(b, b, 3, stride, 1, groups=b, bias=False)
        self.pool_k = nn.Conv2d(b, b, 3, 2, 1, groups=b, bias=False)
        self.pool_v = nn.Conv2d(b, b, 3, 2, 1, groups=b, bias=False)
        self.proj = nn.Linear(b, b)

    def forward(self, x, size):
        b = len(x)
        q, k, v = self.qkv(x).transpose(1, 2).view(b, 3, -1, *size).unbind(1)
        q, k, v = (self.pool_q(q), self.pool_k(k), self.pool_v(v))
        out_size = (q.shape[2], q.shape[3])
        q, k, v = (t.flatten(2).transpose(1, 2) for t in (q, k, v))
        attn = (q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])).softmax(-1)
        return (self.proj(attn @ v + q), out_size)


class MultiScaleBlock(nn.Module):
    """MViTv2: where the width changes the shortcut is projected from the *normalised* input."""

    def __init__(self, a, b, stride):
        super().__init__()
        self.norm1 = nn.LayerNorm(a)
        self.attn = PoolAttention(a, b, stride)
        self.norm2 = nn.LayerNorm(b)
        self.mlp = nn.Sequential(nn.Linear(b, 2 * b), nn.GELU(), nn.Linear(2 * b, b))
        self.proj = nn.Linear(a, b) if a != b else None
        self.pool_skip = nn.MaxPool2d(3, stride, 1) if stride > 1 else None

    def forward(self, x, size):
        x_norm = self.norm1(x)
        x_block, out_size = self.attn(x_norm, size)
        if self.proj is not None:
            x = self.proj(x_norm)
        if self.pool_skip is not None:
            x = x.transpose(1, 2).unflatten(2, size)
            x = self.pool_skip(x).flatten(2).transpose(1, 2)
        x = x + x_block
        return (x + self.mlp(self.norm2(x)), out_size)


class MViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 3, 2, 1)
        self.blocks = nn.ModuleList(
            [MultiScaleBlock(8, 8, 1), MultiScaleBlock(8, 16, 2), MultiScaleBlock(16, 16, 1)]
        )
        self.norm = nn.LayerNorm(16)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = self.patch(x)
        size = (x.shape[2], x.shape[3])
        x = x.flatten(2).transpose(1, 2)
        for block in self.blocks:
            x, size = block(x, size)
        return self.head(self.norm(x).mean(1))


class DBlock(nn.Module):
    """ajbrock/BigGAN-PyTorch's discriminator block."""

    def __init__(self, a, b, preactivation, downsample):
        super().__init__()
        spectral_norm = nn.utils.parametrizations.spectral_norm
        self.preactivation = preactivation
        self.activation = nn.ReLU(inplace=True)
        self.downsample = nn.AvgPool2d(2) if downsample else None
        self.learnable_sc = a != b or downsample
        self.conv1 = spectral_norm(nn.Conv2d(a, b, 3, padding=1))
        self.conv2 = spectral_norm(nn.Conv2d(b, b, 3, padding=1))
        if self.learnable_sc:
            self.conv_sc = spectral_norm(nn.Conv2d(a, b, 1))

    def shortcut(self, x):
        if self.preactivation:
            if self.learnable_sc:
                x = self.conv_sc(x)
            if self.downsample:
                x = self.downsample(x)
        else:
            if self.downsample:
                x = self.downsample(x)
            if self.learnable_sc:
                x = self.conv_sc(x)
        return x

    def forward(self, x):
        h = F.relu(x) if self.preactivation else x
        h = self.conv1(h)
        h = self.conv2(self.activation(h))
        if self.downsample:
            h = self.downsample(h)
        return h + self.shortcut(x)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(
            DBlock(3, 8, False, True), DBlock(8, 16, True, True), DBlock(16, 16, True, False)
        )
        self.activation = nn.ReLU(inplace=True)
        self.linear = nn.Linear(16, 1)
        self.embed = nn.Linear(5, 16, bias=False)

    def forward(self, x, y):
        h = self.activation(self.blocks(x)).sum((2, 3))
        return self.linear(h) + (self.embed(y) * h).sum(1, keepdim=True)


class Impala(nn.Module):
    """facebookresearch/torchbeast: two residual branches a stage, additions in place."""

    def __init__(self):
        super().__init__()
        self.feat_convs = nn.ModuleList()
        self.resnet1 = nn.ModuleList()
        self.resnet2 = nn.ModuleList()
        width = 3
        for out in (4, 8):
            self.feat_convs.append(
                nn.Sequential(nn.Conv2d(width, out, 3, 1, 1), nn.MaxPool2d(3, 2, 1))
            )
            for stack in (self.resnet1, self.resnet2):
                stack.append(
                    nn.Sequential(
                        nn.ReLU(),
                        nn.Conv2d(out, out, 3, 1, 1),
                        nn.ReLU(),
                        nn.Conv2d(out, out, 3, 1, 1),
                    )
                )
            width = out
        self.fc = nn.Linear(8 * 4 * 4, 8)
        self.policy = nn.Linear(8 + 1, 3)
        self.baseline = nn.Linear(8 + 1, 1)

    def forward(self, frame, reward):
        x = frame
        for i, fconv in enumerate(self.feat_convs):
            x = fconv(x)
            res_input = x
            x = self.resnet1[i](x)
            x += res_input
            res_input = x
            x = self.resnet2[i](x)
            x += res_input
        x = F.relu(x)
        x = F.relu(self.fc(x.view(len(x), -1)))
        core = torch.cat([x, reward.clamp(-1, 1)], dim=-1)
        return (self.policy(core), self.baseline(core))


CLEAN = (
    Clean("projection of the normalised input", "MViT", MViT, ((2, 3, 16, 16),)),
    Clean("preactivated discriminator", "BigGAN", Discriminator, ((2, 3, 16, 16), (2, 5))),
    Clean("in-place sums behind convolutions", "torchbeast", Impala, ((2, 3, 16, 16), (2, 1))),
)
