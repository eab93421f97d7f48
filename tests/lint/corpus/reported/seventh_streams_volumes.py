"""The seventh set. Streams. Volumes and graphs."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case


class PatchMerging(nn.Module):
    """MONAI's SwinUNETR: the padding of the first and the last axis are swapped."""

    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(8 * width)
        self.reduction = nn.Linear(8 * width, 2 * width, bias=False)

    @staticmethod
    def pads(d, h, w):
        return (0, 0, 0, d % 2, 0, w % 2, 0, h % 2)

    def forward(self, x):
        _, d, h, w, _ = x.shape
        if d % 2 == 1 or h % 2 == 1 or w % 2 == 1:
            x = F.pad(x, self.pads(d, h, w))
        x0 = x[:, 0::2, 0::2, 0::2, :]
        x1 = x[:, 1::2, 0::2, 0::2, :]
        x2 = x[:, 0::2, 1::2, 0::2, :]
        x3 = x[:, 0::2, 0::2, 1::2, :]
        x4 = x[:, 1::2, 0::2, 1::2, :]
        x5 = x[:, 1::2, 1::2, 0::2, :]
        x6 = x[:, 0::2, 1::2, 1::2, :]
        x7 = x[:, 1::2, 1::2, 1::2, :]
        x = torch.cat([x0, x1, x2, x3, x4, x5, x6, x7], -1)
        return self.reduction(self.norm(x))


class PatchMergingMended(PatchMerging):
    @staticmethod
    def pads(d, h, w):
        return (0, 0, 0, w % 2, 0, h % 2, 0, d % 2)


class SwinStage3D(nn.Module):
    def __init__(self, merging, width=6):
        super().__init__()
        self.patch_embed = nn.Conv3d(1, width, 1)
        self.norm1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, 2, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 12), nn.GELU(), nn.Linear(12, width))
        self.downsample = merging(width)

    def forward(self, x):
        x = self.patch_embed(x).movedim(1, -1)
        shortcut = x
        h = self.norm1(x).flatten(1, 3)
        x = shortcut + self.attn(h, h, h)[0].view_as(x)
        x = x + self.mlp(self.norm2(x))
        return self.downsample(x).movedim(-1, 1)


class Mamba(nn.Module):
    """A state space layer with one decay a channel."""

    def __init__(self, width):
        super().__init__()
        self.in_proj = nn.Linear(width, 2 * width)
        self.conv1d = nn.Conv1d(width, width, 3, padding=2, groups=width)
        self.decay = nn.Parameter(torch.zeros(width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x):
        n = x.shape[1]
        u, gate = self.in_proj(x).chunk(2, -1)
        u = F.silu(self.conv1d(u.transpose(1, 2))[..., :n]).transpose(1, 2)
        steps = torch.arange(n, device=x.device)
        ages = (steps[:, None] - steps).clamp(min=0)
        causal = (steps[:, None] >= steps).to(u.dtype)
        kernel = torch.exp(-F.softplus(self.decay) * ages[..., None]) * causal[..., None]
        y = torch.einsum("ijc,bjc->bic", kernel, u)
        return self.out_proj(y * F.silu(gate))


class MambaLayer(nn.Module):
    """SegMamba: the input is kept as x_skip and never added."""

    def __init__(self, dim):
        super().__init__()
        self.dim = dim
        self.norm = nn.LayerNorm(dim)
        self.mamba = Mamba(dim)

    def scan(self, x):
        flat = x.flatten(2).transpose(1, 2)
        return self.mamba(self.norm(flat)).transpose(1, 2).reshape(x.shape)

    def forward(self, x):
        x_skip = x  # noqa: F841
        return self.scan(x)


class MambaLayerMended(MambaLayer):
    def forward(self, x):
        x_skip = x
        out = self.scan(x)
        return out + x_skip


class MambaEncoder(nn.Module):
    def __init__(self, layer, dims=(4, 8)):
        super().__init__()
        self.stem = nn.Conv3d(1, dims[0], 3, padding=1)
        self.stages = nn.ModuleList(nn.Sequential(layer(dim), layer(dim)) for dim in dims)
        self.downs = nn.ModuleList(
            [nn.Identity(), nn.Sequential(nn.InstanceNorm3d(dims[0]), nn.Conv3d(*dims, 2, 2))]
        )
        self.norms = nn.ModuleList(nn.InstanceNorm3d(dim) for dim in dims)
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Conv3d(dim, 2 * dim, 1), nn.GELU(), nn.Conv3d(2 * dim, dim, 1))
            for dim in dims
        )

    def forward(self, x):
        x = self.stem(x)
        outs = []
        for down, stage, norm, mlp in zip(
            self.downs, self.stages, self.norms, self.mlps, strict=True
        ):
            x = stage(down(x))
            outs.append(mlp(norm(x)))
        return tuple(outs)


class BasicBlock3D(nn.Module):
    def __init__(self, a, b, stride, downsample=None):
        super().__init__()
        self.conv1 = nn.Conv3d(a, b, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(b)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv3d(b, b, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm3d(b)
        self.downsample = downsample

    def forward(self, x):
        residual = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            residual = self.downsample(x)
        out += residual
        return self.relu(out)


class ResNet3D(nn.Module):
    """3D-ResNets, MedicalNet, MONAI: shortcut type A pads `out.data`."""

    def __init__(self):
        super().__init__()
        self.in_planes = 4
        self.conv1 = nn.Conv3d(1, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm3d(4)
        self.layer1 = self._make_layer(4, 1)
        self.layer2 = self._make_layer(8, 2)
        self.layer3 = self._make_layer(16, 2)
        self.fc = nn.Linear(16, 3)

    def _downsample_basic_block(self, x, planes, stride):
        out = F.avg_pool3d(x, kernel_size=1, stride=stride)
        zero_pads = torch.zeros(
            out.size(0), planes - out.size(1), *out.shape[2:], device=out.device
        )
        return torch.cat([out.data, zero_pads], dim=1)

    def _make_layer(self, planes, stride):
        downsample = None
        if stride != 1 or self.in_planes != planes:
            downsample = partial(self._downsample_basic_block, planes=planes, stride=stride)
        first = BasicBlock3D(self.in_planes, planes, stride, downsample)
        self.in_planes = planes
        return nn.Sequential(first, BasicBlock3D(planes, planes, 1))

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(F.adaptive_avg_pool3d(x, 1).flatten(1))


class ResNet3DMended(ResNet3D):
    def _downsample_basic_block(self, x, planes, stride):
        out = F.avg_pool3d(x, kernel_size=1, stride=stride)
        zero_pads = torch.zeros(
            out.size(0), planes - out.size(1), *out.shape[2:], device=out.device
        )
        return torch.cat([out, zero_pads], dim=1)


class GraphConv(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.lin = nn.Linear(width, width)

    def forward(self, x, adj):
        return adj @ self.lin(x)


class DeepGCNLayer(nn.Module):
    """PyG's DeepGCNLayer, block 'res': the norm reads x, the convolution's result is lost."""

    def __init__(self, conv, norm, act):
        super().__init__()
        self.conv, self.norm, self.act = (conv, norm, act)

    def forward(self, x, adj):
        h = self.conv(x, adj)
        h = self.norm(x)
        h = self.act(h)
        h = x + h
        return F.dropout(h, 0.1, self.training)


class DeepGCNLayerMended(DeepGCNLayer):
    def forward(self, x, adj):
        h = self.conv(x, adj)
        h = self.norm(h)
        h = self.act(h)
        h = x + h
        return F.dropout(h, 0.1, self.training)


class DeepGCN(nn.Module):
    def __init__(self, layer, nodes=6, width=8):
        super().__init__()
        eye = torch.eye(nodes)
        self.register_buffer("adj", (eye + eye.roll(1, 0) + eye.roll(-1, 0)) / 3)
        self.node_encoder = nn.Linear(4, width)
        self.layers = nn.ModuleList(
            layer(GraphConv(width), nn.LayerNorm(width), nn.ReLU()) for _ in range(3)
        )
        self.lin = nn.Linear(width, 3)

    def forward(self, x):
        x = self.node_encoder(x)
        for layer in self.layers:
            x = layer(x, self.adj)
        return self.lin(x)


CASES = (
    Case(
        "padding of depth and width swapped",
        "Project-MONAI/MONAI PR 4695",
        "TS102",
        lambda: SwinStage3D(PatchMerging),
        lambda: SwinStage3D(PatchMergingMended),
        ((1, 1, 4, 4, 6),),
    ),
    Case(
        "skip of a Mamba layer kept and not added",
        "ge-xing/SegMamba#5 (the name of the kept value from memory)",
        "TS201",
        lambda: MambaEncoder(MambaLayer),
        lambda: MambaEncoder(MambaLayerMended),
        ((2, 1, 4, 4, 4),),
    ),
    Case(
        "zero-padded shortcut of .data",
        "kenshohara/3D-ResNets-PyTorch, models/resnet.py (and MONAI's resnet)",
        "TS105",
        ResNet3D,
        ResNet3DMended,
        ((2, 1, 8, 8, 8),),
    ),
    Case(
        "graph convolution's result overwritten",
        "pyg-team/pytorch_geometric#1561",
        "TS107",
        lambda: DeepGCN(DeepGCNLayer),
        lambda: DeepGCN(DeepGCNLayerMended),
        ((2, 6, 4),),
    ),
)
