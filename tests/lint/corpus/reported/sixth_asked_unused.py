"""The sixth set. Asked in threads. Shortcuts and branches that never run."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case


# --- lucidrains/denoising-diffusion-pytorch#1: ReZero never calls what it wraps
class Residual(nn.Module):
    def __init__(self, fn):
        super().__init__()
        self.fn = fn

    def forward(self, x, *args):
        return self.fn(x, *args) + x


class Rezero(nn.Module):
    def __init__(self, fn, mended):
        super().__init__()
        self.fn, self.mended = fn, mended
        self.g = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        if self.mended:
            return self.fn(x) * self.g
        return x * self.g


class LinearAttention(nn.Module):
    def __init__(self, dim, heads=2, dim_head=4):
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Conv2d(dim, heads * dim_head * 3, 1, bias=False)
        self.to_out = nn.Conv2d(heads * dim_head, dim, 1)

    def forward(self, x):
        b, _, h, w = x.shape
        q, k, v = self.to_qkv(x).view(b, 3, self.heads, -1, h * w).unbind(1)
        context = torch.einsum("bhdn,bhen->bhde", k.softmax(dim=-1), v)
        out = torch.einsum("bhde,bhdn->bhen", context, q)
        return self.to_out(out.reshape(b, -1, h, w))


class DDPMBlock(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.GroupNorm(2, b), nn.SiLU())
        self.block2 = nn.Sequential(nn.Conv2d(b, b, 3, padding=1), nn.GroupNorm(2, b), nn.SiLU())
        self.res_conv = nn.Conv2d(a, b, 1) if a != b else nn.Identity()

    def forward(self, x):
        return self.block2(self.block1(x)) + self.res_conv(x)


class DDPMUnet(nn.Module):
    def __init__(self, mended):
        super().__init__()
        self.down = nn.ModuleList(
            [
                DDPMBlock(3, 8),
                Residual(Rezero(LinearAttention(8), mended)),
                nn.Conv2d(8, 8, 3, 2, 1),
            ]
        )
        self.mid_block1, self.mid_block2 = DDPMBlock(8, 8), DDPMBlock(8, 8)
        self.mid_attn = Residual(Rezero(LinearAttention(8), mended))
        self.up = nn.ConvTranspose2d(8, 8, 4, 2, 1)
        self.up_block = DDPMBlock(16, 8)
        self.final_conv = nn.Conv2d(8, 3, 1)

    def forward(self, x):
        resnet, attn, downsample = self.down
        h = attn(resnet(x))
        x = self.mid_block2(self.mid_attn(self.mid_block1(downsample(h))))
        return self.final_conv(self.up_block(torch.cat((self.up(x), h), 1)))


# --- eeric/channel_prune#11: the pruner runs the layers of each block, and no shortcut
class BasicBlock(nn.Module):
    def __init__(self, a, b, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(a, b, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(b)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(b, b, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(b)
        self.downsample = None
        if stride != 1 or a != b:
            self.downsample = nn.Sequential(
                nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b)
            )

    def forward(self, x):
        residual = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out + residual)


class FilterPruner(nn.Module):
    def __init__(self, mended):
        super().__init__()
        self.mended = mended
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, 1, 1, bias=False),
            nn.BatchNorm2d(6),
            nn.ReLU(inplace=True),
            nn.Sequential(BasicBlock(6, 6, 1), BasicBlock(6, 6, 1)),
            nn.Sequential(BasicBlock(6, 8, 2), BasicBlock(8, 8, 1)),
            nn.AdaptiveAvgPool2d(1),
        )
        self.fc = nn.Sequential(nn.Dropout(), nn.Linear(8, 5))

    def forward(self, x):
        for index, module in enumerate(self.features):
            if index in (3, 4):
                for block in module:
                    if self.mended:
                        x = block(x)
                    else:
                        x = block.conv1(x)
                        x = block.relu(block.bn1(x))
                        x = block.bn2(block.conv2(x))
            else:
                x = module(x)
        return self.fc(x.view(x.size(0), -1))


# --- Lee-zix/RE-GCN#8: skip_connect=True, and the previous state is never handed over
class UnionRGCNLayer(nn.Module):
    def __init__(self, feat, skip_connect):
        super().__init__()
        self.skip_connect = skip_connect
        self.weight_neighbor = nn.Parameter(torch.randn(feat, feat) * feat**-0.5)
        self.loop_weight = nn.Parameter(torch.randn(feat, feat) * feat**-0.5)
        if skip_connect:
            self.skip_connect_weight = nn.Parameter(torch.randn(feat, feat) * feat**-0.5)
            self.skip_connect_bias = nn.Parameter(torch.zeros(feat))

    def forward(self, adj, h, prev_h):
        loop_message = torch.mm(h, self.loop_weight)
        if len(prev_h) != 0 and self.skip_connect:
            skip_weight = torch.sigmoid(
                torch.mm(prev_h, self.skip_connect_weight) + self.skip_connect_bias
            )
        node_repr = torch.mm(adj, torch.mm(h, self.weight_neighbor)) + loop_message
        if len(prev_h) != 0 and self.skip_connect:
            node_repr = skip_weight * node_repr + (1 - skip_weight) * prev_h
        return F.rrelu(node_repr, training=self.training)


class RGCNCell(nn.Module):
    def __init__(self, mended, feat=8, layers=3):
        super().__init__()
        self.mended = mended
        self.layers = nn.ModuleList(UnionRGCNLayer(feat, mended or True) for _ in range(layers))
        if mended:
            self.layers[0].skip_connect = False
            del self.layers[0].skip_connect_weight, self.layers[0].skip_connect_bias
        self.out = nn.Linear(feat, 3)

    def forward(self, h, adj):
        prev_h = []
        for layer in self.layers:
            new = layer(adj, h, prev_h)
            if self.mended:
                prev_h = new
            h = new
        return self.out(h)


CASES = (
    Case(
        "wrapper that ignores what it wraps",
        "lucidrains/denoising-diffusion-pytorch#1",
        "TS108",
        lambda: DDPMUnet(False),
        lambda: DDPMUnet(True),
        ((2, 3, 16, 16),),
    ),
    Case(
        "pruner's forward without shortcuts",
        "eeric/channel_prune#11",
        "TS108",
        lambda: FilterPruner(False),
        lambda: FilterPruner(True),
        ((2, 3, 16, 16),),
    ),
    Case(
        "previous state never handed over",
        "Lee-zix/RE-GCN#8",
        "TS108",
        lambda: RGCNCell(False),
        lambda: RGCNCell(True),
        ((6, 8), (6, 6)),
    ),
)
