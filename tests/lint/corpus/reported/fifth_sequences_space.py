"""The fifth set. Video, point clouds and graphs."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case

CLIP = ((2, 3, 4, 16, 16),)


def downsample_basic_block(x, planes, stride):
    out = F.avg_pool3d(x, kernel_size=1, stride=stride)
    zero_pads = torch.zeros(out.size(0), planes - out.size(1), *out.shape[2:])
    return torch.cat([out.data, zero_pads], dim=1)


def downsample_with_gradient(x, planes, stride):
    out = F.avg_pool3d(x, kernel_size=1, stride=stride)
    zero_pads = out.new_zeros(out.size(0), planes - out.size(1), *out.shape[2:])
    return torch.cat([out, zero_pads], dim=1)


class BasicBlock3d(nn.Module):
    def __init__(self, inplanes, planes, stride=1, downsample=None):
        super().__init__()
        self.conv1, self.bn1 = (
            nn.Conv3d(inplanes, planes, 3, stride, 1, bias=False),
            nn.BatchNorm3d(planes),
        )
        self.relu = nn.ReLU(inplace=True)
        self.conv2, self.bn2 = (
            nn.Conv3d(planes, planes, 3, 1, 1, bias=False),
            nn.BatchNorm3d(planes),
        )
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            residual = self.downsample(x)
        out += residual
        return self.relu(out)


class ResNet3d(nn.Module):
    def __init__(self, shortcut):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(3, 8, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False),
            nn.BatchNorm3d(8),
            nn.ReLU(inplace=True),
        )
        self.layer1 = BasicBlock3d(8, 8)
        self.layer2 = BasicBlock3d(8, 16, 2, partial(shortcut, planes=16, stride=2))
        self.layer3 = BasicBlock3d(16, 32, 2, partial(shortcut, planes=32, stride=2))
        self.fc = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(self.stem(x))))
        return self.fc(x.mean((2, 3, 4)))


class FuseFastToSlow(nn.Module):
    def __init__(self, dim, alpha):
        super().__init__()
        self.conv_f2s = nn.Conv3d(dim, dim * 2, (5, 1, 1), (alpha, 1, 1), (2, 0, 0), bias=False)
        self.bn, self.relu = nn.BatchNorm3d(dim * 2), nn.ReLU(inplace=True)

    def forward(self, x_slow: Tensor, x_fast: Tensor) -> Tensor:
        fuse = self.relu(self.bn(self.conv_f2s(x_fast)))
        return torch.cat([x_slow, fuse], 1), x_fast


class SlowFast(nn.Module):
    def __init__(self, alpha):
        super().__init__()
        self.slow = nn.Sequential(
            nn.Conv3d(3, 16, (1, 3, 3), (1, 2, 2), (0, 1, 1)), nn.BatchNorm3d(16), nn.ReLU()
        )
        self.fast = nn.Sequential(
            nn.Conv3d(3, 4, (5, 3, 3), (1, 2, 2), (2, 1, 1)), nn.BatchNorm3d(4), nn.ReLU()
        )
        self.fuse1, self.fuse2 = FuseFastToSlow(4, alpha), FuseFastToSlow(4, alpha)
        self.slow2, self.fast2 = BasicBlock3d(24, 24), BasicBlock3d(4, 4)
        self.head = nn.Linear(36, 5)

    def forward(self, x_slow: Tensor, x_fast: Tensor) -> Tensor:
        x_slow, x_fast = self.fuse1(self.slow(x_slow), self.fast(x_fast))
        x_slow, x_fast = self.fuse2(self.slow2(x_slow), self.fast2(x_fast))
        return self.head(torch.cat([x_slow.mean((2, 3, 4)), x_fast.mean((2, 3, 4))], 1))


class SetAbstraction(nn.Module):
    def __init__(self, cin, cout, keep):
        super().__init__()
        self.keep = keep
        self.mlp = nn.Sequential(nn.Linear(cin + 3, cout), nn.ReLU(), nn.Linear(cout, cout))

    def forward(self, x: Tensor, pos: Tensor) -> Tensor:
        idx = torch.arange(0, pos.shape[1], pos.shape[1] // self.keep)
        dist = (pos[:, idx, None] - pos[:, None]).square().sum(-1)
        near = dist.topk(4, largest=False).indices
        batch = torch.arange(pos.shape[0])[:, None, None]
        rel = pos[batch, near] - pos[:, idx, None]
        h = rel if x is None else torch.cat([x[batch, near], rel], -1)
        return self.mlp(h).amax(2), pos[:, idx]


class FeaturePropagation(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.nn = nn.Sequential(nn.Linear(cin, cout), nn.ReLU(), nn.Linear(cout, cout))

    def forward(self, x: Tensor, x_skip: Tensor) -> Tensor:
        x = x.repeat_interleave(x_skip.shape[1] // x.shape[1], 1)
        return self.nn(torch.cat([x, x_skip], -1))


class PointNet2(nn.Module):
    def __init__(self, last):
        super().__init__()
        self.sa1, self.sa2 = SetAbstraction(0, 8, 8), SetAbstraction(8, 16, 4)
        self.fp2, self.fp1 = FeaturePropagation(16 + 8, 16), FeaturePropagation(last, 16)
        self.out = nn.Linear(16, 5)

    def forward(self, pos: Tensor) -> Tensor:
        x1, p1 = self.sa1(None, pos)
        x2, _ = self.sa2(x1, p1)
        x = self.fp2(x2, x1)
        x = self.fp1(x, pos)
        return self.out(x)


class GATConv(nn.Module):
    def __init__(self, in_feats, out_feats, heads, residual=True, counted=False):
        super().__init__()
        self.heads, self.out_feats = heads, out_feats
        self.fc = nn.Linear(in_feats, out_feats * heads, bias=False)
        self.attn_l, self.attn_r = (
            nn.Parameter(torch.randn(1, heads, out_feats) * 0.1) for _ in range(2)
        )
        self.res_fc = None
        if residual:
            same = in_feats == (out_feats * heads if counted else out_feats)
            self.res_fc = (
                nn.Identity() if same else nn.Linear(in_feats, heads * out_feats, bias=False)
            )

    def forward(self, adj: Tensor, h: Tensor) -> Tensor:
        ft = self.fc(h).view(h.shape[0], self.heads, self.out_feats)
        el, er = (ft * self.attn_l).sum(-1), (ft * self.attn_r).sum(-1)
        e = (
            F.leaky_relu(el[None] + er[:, None], 0.2)
            .masked_fill(adj[..., None] == 0, -1e9)
            .softmax(1)
        )
        rst = torch.einsum("ijh,jhd->ihd", e, ft)
        if self.res_fc is not None:
            resval = self.res_fc(h).view(h.shape[0], self.heads, self.out_feats)
            rst = rst + resval
        return rst


class GAT(nn.Module):
    def __init__(self, counted):
        super().__init__()
        self.embed = nn.Linear(4, 8)
        self.layers = nn.ModuleList(
            [GATConv(8, 8, 2, counted=counted), GATConv(16, 8, 2, counted=counted)]
        )
        self.out = nn.Linear(16, 3)
        self.register_buffer(
            "adj", ((torch.arange(10)[:, None] - torch.arange(10)).abs() <= 2).float()
        )

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x)
        for layer in self.layers:
            h = F.elu(layer(self.adj, h).flatten(1))
        return self.out(h)


class NConv(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.mlp = nn.Conv2d(3 * c, c, 1)

    def forward(self, x: Tensor, a: Tensor) -> Tensor:
        out, x1 = [x], x
        for _ in range(2):
            x1 = torch.einsum("ncvl,vw->ncwl", x1, a)
            out.append(x1)
        return self.mlp(torch.cat(out, dim=1))


class GraphWaveNet(nn.Module):
    def __init__(self, spare, c=8, layers=4, nodes=5):
        super().__init__()
        self.start_conv = nn.Conv2d(2, c, 1)
        self.filter_convs, self.gate_convs, self.skip_convs = (
            nn.ModuleList(),
            nn.ModuleList(),
            nn.ModuleList(),
        )
        self.gconv, self.bn, self.residual_convs = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for i in range(layers):
            self.filter_convs.append(nn.Conv2d(c, c, (1, 2), dilation=(1, 2 ** (i % 2))))
            self.gate_convs.append(nn.Conv2d(c, c, (1, 2), dilation=(1, 2 ** (i % 2))))
            self.skip_convs.append(nn.Conv2d(c, 2 * c, 1))
            if spare:
                self.residual_convs.append(nn.Conv2d(c, c, 1))
            if i < layers - 1:
                self.gconv.append(NConv(c))
                self.bn.append(nn.BatchNorm2d(c))
        self.end_conv_1, self.end_conv_2 = nn.Conv2d(2 * c, 16, 1), nn.Conv2d(16, 6, 1)
        self.register_buffer("support", torch.softmax(torch.randn(nodes, nodes), 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.start_conv(x)
        skip = 0
        for i in range(len(self.filter_convs)):
            residual = x
            x = torch.tanh(self.filter_convs[i](residual)) * torch.sigmoid(
                self.gate_convs[i](residual)
            )
            s = self.skip_convs[i](x)
            skip = s + (skip[:, :, :, -s.size(3) :] if i else 0)
            if i == len(self.filter_convs) - 1:
                break
            x = self.gconv[i](x, self.support)
            x = x + residual[:, :, :, -x.size(3) :]
            x = self.bn[i](x)
        x = F.relu(skip)
        return self.end_conv_2(F.relu(self.end_conv_1(x)))


CASES: tuple[Case, ...] = (
    Case(
        "resnet3d_shortcut_a",
        "kenshohara/3D-ResNets-PyTorch models/resnet.py, downsample_basic_block",
        "TS105",
        lambda: ResNet3d(downsample_basic_block),
        lambda: ResNet3d(downsample_with_gradient),
        CLIP,
    ),
    Case(
        "slowfast_alpha",
        "facebookresearch/pytorchvideo#230",
        "TS101",
        lambda: SlowFast(4),
        lambda: SlowFast(8),
        ((1, 3, 2, 16, 16), (1, 3, 16, 16, 16)),
    ),
    Case(
        "pointnet2_skip_width",
        "pyg-team/pytorch_geometric PR 1082",
        "TS100",
        lambda: PointNet2(16),
        lambda: PointNet2(16 + 3),
        ((2, 16, 3),),
    ),
    Case(
        "gat_residual_heads",
        "dmlc/dgl PR 2867",
        "TS100",
        lambda: GAT(False),
        lambda: GAT(True),
        ((10, 4),),
    ),
    Case(
        "graph_wavenet_residual_convs",
        "nnzhan/Graph-WaveNet model.py with gcn_bool",
        "TS108",
        lambda: GraphWaveNet(True),
        lambda: GraphWaveNet(False),
        ((2, 2, 5, 12),),
    ),
)
