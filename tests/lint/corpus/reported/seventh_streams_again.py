"""The seventh set. Streams, once more. Branches that read the input."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case

IMG = ((2, 3, 16, 16),)


class ResnetAdaINBlock(nn.Module):
    def __init__(self, mended, dim):
        super().__init__()
        self.mended = mended
        self.conv1 = nn.Conv2d(dim, dim, 3, 1, 1)
        self.norm1 = AdaIN()
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(dim, dim, 3, 1, 1)
        self.norm2 = AdaIN()

    def forward(self, x, gamma, beta):
        out = self.conv1(x)
        out = self.norm1(out if self.mended else x, gamma, beta)
        out = self.relu1(out if self.mended else x)
        out = self.conv2(out if self.mended else x)
        out = self.norm2(out if self.mended else x, gamma, beta)
        return x + out


class AdaIN(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.InstanceNorm2d(8, affine=False)

    def forward(self, x, gamma, beta):
        return (1 + gamma)[:, :, None, None] * self.norm(x) + beta[:, :, None, None]


class SSAN(nn.Module):
    def __init__(self, mended):
        super().__init__()
        self.content = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.style = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.gamma, self.beta = (nn.Linear(8, 8), nn.Linear(8, 8))
        self.blocks = nn.ModuleList([ResnetAdaINBlock(mended, 8) for _ in range(2)])
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, img):
        x, s = (self.content(img), self.style(img))
        gamma, beta = (self.gamma(s), self.beta(s))
        for block in self.blocks:
            x = block(x, gamma, beta)
        return self.head(x)


class GraphConv(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.lin = nn.Linear(a, b)

    def forward(self, x, adj):
        return torch.bmm(adj, self.lin(x))


class DeepGCNLayer(nn.Module):
    def __init__(self, mended, dim, block="res"):
        super().__init__()
        self.mended, self.block = (mended, block)
        self.conv, self.norm, self.act = (
            GraphConv(dim, dim),
            nn.LayerNorm(dim),
            nn.ReLU(inplace=True),
        )

    def forward(self, *args):
        args = list(args)
        x = args.pop(0)
        h = self.conv(x, *args)
        h = self.norm(h if self.mended else x)
        h = self.act(h)
        if self.block == "res":
            h = x + h
        elif self.block == "dense":
            h = torch.cat((x, h), dim=-1)
        return F.dropout(h, 0.1, self.training)


class DeeperGCN(nn.Module):
    def __init__(self, mended):
        super().__init__()
        self.encoder = nn.Linear(4, 8)
        self.layers = nn.ModuleList([DeepGCNLayer(mended, 8) for _ in range(3)])
        self.lin = nn.Linear(8, 3)

    def forward(self, x, adj):
        adj = torch.softmax(adj, dim=-1)
        x = self.encoder(x)
        for layer in self.layers:
            x = layer(x, adj)
        return self.lin(x)


class GATConv(nn.Module):
    """dgl#2921: the residual is an identity wherever in_feats == out_feats, heads forgotten."""

    def __init__(self, mended, in_feats, out_feats, num_heads, residual=True):
        super().__init__()
        self.h, self.o = (num_heads, out_feats)
        self.fc = nn.Linear(in_feats, out_feats * num_heads, bias=False)
        self.attn_l = nn.Parameter(torch.randn(1, 1, num_heads, out_feats))
        self.attn_r = nn.Parameter(torch.randn(1, 1, num_heads, out_feats))
        if residual:
            if in_feats != (out_feats * num_heads if mended else out_feats):
                self.res_fc = nn.Linear(in_feats, num_heads * out_feats, bias=False)
            else:
                self.res_fc = nn.Identity()
        else:
            self.register_buffer("res_fc", None)

    def forward(self, adj, feat):
        b, n, _ = feat.shape
        ft = self.fc(feat).view(b, n, self.h, self.o)
        el, er = ((ft * self.attn_l).sum(-1), (ft * self.attn_r).sum(-1))
        e = F.leaky_relu(el.unsqueeze(1) + er.unsqueeze(2), 0.2) + adj.unsqueeze(-1)
        a = e.softmax(dim=2)
        rst = torch.einsum("bijh,bjho->biho", a, ft)
        if self.res_fc is not None:
            rst = rst + self.res_fc(feat).view(b, n, self.h, self.o)
        return rst


class GAT(nn.Module):
    def __init__(self, mended):
        super().__init__()
        self.l1 = GATConv(mended, 8, 8, 2)
        self.l2 = GATConv(mended, 16, 3, 2)

    def forward(self, adj, x):
        h = F.elu(self.l1(adj, x).flatten(2))
        return self.l2(adj, h).mean(2)


CASES = (
    Case(
        "every layer of the branch reads the input",
        "wangzhuo2019/SSAN#17",
        "TS107",
        lambda: SSAN(False),
        lambda: SSAN(True),
        IMG,
    ),
    Case(
        "graph convolution whose norm reads the input",
        "pyg-team/pytorch_geometric#1561",
        "TS107",
        lambda: DeeperGCN(False),
        lambda: DeeperGCN(True),
        ((2, 5, 4), (2, 5, 5)),
    ),
    Case(
        "identity residual viewed as heads",
        "dmlc/dgl#2921",
        "TS100",
        lambda: GAT(False),
        lambda: GAT(True),
        ((2, 5, 5), (2, 5, 8)),
    ),
)
