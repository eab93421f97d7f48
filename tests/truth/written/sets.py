"""Networks on tables, graphs, points and sets."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from tests.truth.row import Row
from torch import nn

__all__ = ["ROWS", "CrossNet", "GraphNet", "Perceiver", "PointNet", "WideDeep"]


class CrossNet(nn.Module):
    """Wang 2021: feature crosses beside a deep part."""

    size = ((24,),)

    def __init__(self):
        super().__init__()
        self.kernels = nn.ModuleList(nn.Linear(24, 24) for _ in range(3))
        self.deep = nn.Sequential(
            nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 8)
        )
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        x_0 = x
        x_l = x
        for kernel in self.kernels:
            x_l = x_0 * kernel(x_l) + x_l
        return torch.sigmoid(self.out(torch.cat((x_l, self.deep(x)), dim=-1)))


class WideDeep(nn.Module):
    """Cheng 2016."""

    size = ((24,),)

    def __init__(self):
        super().__init__()
        self.wide = nn.Linear(24, 1)
        self.deep = nn.Sequential(nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x):
        return torch.sigmoid(self.wide(x) + self.deep(x))


class GraphNet(nn.Module):
    """Residual graph convolutions with jumping knowledge (Xu 2018)."""

    size = ((6, 10), (6, 6))

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(10, 16)
        self.convs = nn.ModuleList(nn.Linear(16, 16) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(16) for _ in range(2))
        self.out = nn.Linear(48, 4)

    def forward(self, x, adj):
        adj = adj / adj.sum(-1, keepdim=True).clamp(min=1)
        h = self.embed(x)
        hs = [h]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            h = h + F.relu(adj @ conv(norm(h)))
            hs.append(h)
        return self.out(torch.cat(hs, dim=-1))


class PointNet(nn.Module):
    """Qi 2017, segmentation: every point beside the cloud's feature."""

    size = ((3, 50),)

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(3, 8, 1), nn.Conv1d(8, 32, 1)
        self.conv3, self.conv4 = nn.Conv1d(40, 16, 1), nn.Conv1d(16, 4, 1)

    def forward(self, x):
        n_pts = x.size(2)
        pointfeat = F.relu(self.conv1(x))
        x = self.conv2(pointfeat)
        x = torch.max(x, 2, keepdim=True)[0]
        x = x.view(-1, 32, 1).repeat(1, 1, n_pts)
        x = torch.cat([x, pointfeat], 1)
        return self.conv4(F.relu(self.conv3(x)))


class _FeedForward(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.net = nn.Sequential(
            nn.LayerNorm(n), nn.Linear(n, 2 * n), nn.GELU(), nn.Linear(2 * n, n)
        )

    def forward(self, x):
        return self.net(x)


class Perceiver(nn.Module):
    """Jaegle 2021: learned latents read the input, then one another."""

    size = ((40, 12),)

    def __init__(self):
        super().__init__()
        self.latents = nn.Parameter(torch.randn(6, 16))
        self.cross_attn = nn.MultiheadAttention(16, 2, kdim=12, vdim=12, batch_first=True)
        self.cross_ff = _FeedForward(16)
        self.self_attn = nn.ModuleList(
            nn.MultiheadAttention(16, 2, batch_first=True) for _ in range(2)
        )
        self.self_ff = nn.ModuleList(_FeedForward(16) for _ in range(2))

    def forward(self, data):
        x = self.latents.unsqueeze(0).repeat(data.shape[0], 1, 1)
        x = self.cross_attn(x, data, data)[0] + x
        x = self.cross_ff(x) + x
        for attn, ff in zip(self.self_attn, self.self_ff, strict=True):
            x = attn(x, x, x, need_weights=False)[0] + x
            x = ff(x) + x
        return x.mean(1)


ROWS: tuple[Row, ...] = (
    Row(
        "written/CrossNet",
        {"identity": 3},
        "three crosses; three linear layers deep on both sides of the concatenation",
        ((3, "identity", "", "x_l = x_0 * kernel(x_l) + x_l", "*"),),
    ),
    Row(
        "written/WideDeep",
        {"projection": 1},
        "one linear layer beside two",
        ((1, "projection", "", "return torch.sigmoid(self.wide(x) + self.deep(x))", "input"),),
    ),
    Row(
        "written/GraphNet",
        {"identity": 2, "concat": 1},
        "two convolutions; all three states in one concatenation; the adjacency comes from "
        "another input",
        (
            (2, "identity", "", "h = h + F.relu(adj @ conv(norm(h)))", "*"),
            (1, "concat", "", "return self.out(torch.cat(hs, dim=-1))", "embed"),
        ),
    ),
    Row(
        "written/PointNet",
        {"concat": 1},
        "the point's feature beside the pooled one; a pooling of everything has no stride",
        ((1, "concat", "", "x = torch.cat([[]x, pointfeat], 1)", ""),),
    ),
    Row(
        "written/Perceiver",
        {"identity": 5},
        "the latents of the first sum do not come from the input; its feed-forward and two layers "
        "of two sums",
        (
            (1, "identity", "", "x = self.cross_ff(x) + x", ""),
            (2, "identity", "", "x = attn(*", ""),
            (2, "identity", "", "x = ff(x) + x", ""),
        ),
    ),
)
