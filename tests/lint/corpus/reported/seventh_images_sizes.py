"""Arms of another size: pools that round, upsampling by a factor, a grid of another image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ..case import Case

IMAGES = ((2, 3, 32, 32),)


def cbr(a, b, k=3, s=1):
    return nn.Sequential(
        nn.Conv2d(a, b, k, s, k // 2, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)
    )


# ---- Res2Net/Res2Net-PretrainedModels#10: DLA tree whose pooled residual rounds the other way


class BottleneckX(nn.Module):
    def __init__(self, inplanes, planes, stride=1):
        super().__init__()
        mid = planes // 2
        self.conv1 = nn.Conv2d(inplanes, mid, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(mid)
        self.conv2 = nn.Conv2d(mid, mid, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(mid)
        self.conv3 = nn.Conv2d(mid, planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x, residual=None):
        if residual is None:
            residual = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += residual
        return self.relu(out)


class Root(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, *x):
        return self.relu(self.bn(self.conv(torch.cat(x, 1))))


class Tree(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1, ceil_mode=False):
        super().__init__()
        self.tree1 = BottleneckX(in_channels, out_channels, stride)
        self.tree2 = BottleneckX(out_channels, out_channels, 1)
        self.root = Root(2 * out_channels, out_channels)
        self.downsample = (
            nn.MaxPool2d(stride, stride=stride, ceil_mode=ceil_mode) if stride > 1 else None
        )
        self.project = None
        if in_channels != out_channels:
            self.project = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x):
        bottom = self.downsample(x) if self.downsample else x
        residual = self.project(bottom) if self.project else bottom
        x1 = self.tree1(x, residual)
        x2 = self.tree2(x1)
        return self.root(x2, x1)


class DLA(nn.Module):
    def __init__(self, ceil_mode=False):
        super().__init__()
        self.base_layer = nn.Sequential(
            nn.Conv2d(3, 8, 7, padding=3, bias=False), nn.BatchNorm2d(8), nn.ReLU(True)
        )
        self.level2 = Tree(8, 16, 2, ceil_mode)
        self.level3 = Tree(16, 32, 2, ceil_mode)
        self.fc = nn.Conv2d(32, 10, 1)

    def forward(self, x):
        x = self.level3(self.level2(self.base_layer(x)))
        return self.fc(F.adaptive_avg_pool2d(x, 1)).flatten(1)


# ---- bearpaw/pytorch-pose#39: the hourglass on a side that is no multiple of its stride


class HgBottleneck(nn.Module):
    def __init__(self, inplanes, planes, downsample=None):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inplanes)
        self.conv1 = nn.Conv2d(inplanes, planes, 1)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1)
        self.bn3 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, planes * 2, 1)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x):
        residual = x
        out = self.conv1(self.relu(self.bn1(x)))
        out = self.conv2(self.relu(self.bn2(out)))
        out = self.conv3(self.relu(self.bn3(out)))
        if self.downsample is not None:
            residual = self.downsample(x)
        out += residual
        return out


class Hourglass(nn.Module):
    def __init__(self, planes, depth, mended=False):
        super().__init__()
        self.depth, self.mended = depth, mended
        self.upsample = nn.Upsample(scale_factor=2)
        hg = []
        for i in range(depth):
            res = [nn.Sequential(HgBottleneck(planes * 2, planes)) for _ in range(3 + (i == 0))]
            hg.append(nn.ModuleList(res))
        self.hg = nn.ModuleList(hg)

    def _hour_glass_forward(self, n, x):
        up1 = self.hg[n - 1][0](x)
        low1 = F.max_pool2d(x, 2, stride=2)
        low1 = self.hg[n - 1][1](low1)
        low2 = self._hour_glass_forward(n - 1, low1) if n > 1 else self.hg[n - 1][3](low1)
        low3 = self.hg[n - 1][2](low2)
        up2 = F.interpolate(low3, size=up1.shape[2:]) if self.mended else self.upsample(low3)
        return up1 + up2

    def forward(self, x):
        return self._hour_glass_forward(self.depth, x)


class HourglassNet(nn.Module):
    def __init__(self, mended=False):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3)
        self.hg = Hourglass(4, 3, mended)
        self.score = nn.Conv2d(8, 5, 1)

    def forward(self, x):
        return self.score(self.hg(self.conv1(x)))


# ---- qubvel-org/segmentation_models.pytorch#93: Unet on 350 x 525 pixels


class Conv2dReLU(nn.Sequential):
    def __init__(self, a, b):
        super().__init__(
            nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)
        )


class DecoderBlock(nn.Module):
    def __init__(self, in_channels, out_channels, mended):
        super().__init__()
        self.block = nn.Sequential(
            Conv2dReLU(in_channels, out_channels), Conv2dReLU(out_channels, out_channels)
        )
        self.mended = mended

    def forward(self, x):
        x, skip = x
        if skip is not None and self.mended:
            x = F.interpolate(x, size=skip.shape[-2:], mode="nearest")
        else:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        if skip is not None:
            x = torch.cat([x, skip], dim=1)
        return self.block(x)


class SmpUnet(nn.Module):
    def __init__(self, mended=False):
        super().__init__()
        self.enc = nn.ModuleList([cbr(3, 8, s=2), cbr(8, 12, s=2), cbr(12, 16, s=2)])
        self.layer1 = DecoderBlock(16 + 12, 12, mended)
        self.layer2 = DecoderBlock(12 + 8, 8, mended)
        self.layer3 = DecoderBlock(8, 4, mended)
        self.final_conv = nn.Conv2d(4, 1, 1)

    def forward(self, x):
        features = []
        for stage in self.enc:
            x = stage(x)
            features.append(x)
        head, *skips = features[::-1]
        x = self.layer1([head, skips[0]])
        x = self.layer2([x, skips[1]])
        x = self.layer3([x, None])
        return self.final_conv(x)


# ---- Beckschen/TransUNet#74: the hybrid's patch grid belongs to another image size


class DecoderCup(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv_more = cbr(24, 16)
        self.block1 = cbr(16 + 16, 8)
        self.block2 = cbr(8 + 8, 8)
        self.up = nn.UpsamplingBilinear2d(scale_factor=2)

    def forward(self, hidden_states, features):
        B, n_patch, hidden = hidden_states.size()
        h = w = int(n_patch**0.5)
        x = hidden_states.permute(0, 2, 1).contiguous().view(B, hidden, h, w)
        x = self.conv_more(x)
        for i, block in enumerate((self.block1, self.block2)):
            x = self.up(x)
            x = torch.cat([x, features[i]], dim=1)
            x = block(x)
        return x


class TransUNet(nn.Module):
    def __init__(self, img_size=64, grid=4, mended=False):
        super().__init__()
        self.root, self.body1, self.body2 = cbr(3, 8, s=2), cbr(8, 16, s=2), cbr(16, 24, s=2)
        patch = 1 if mended else img_size // 8 // grid
        self.patch_embeddings = nn.Conv2d(24, 24, patch, stride=patch)
        side = img_size // 8 // patch
        self.position_embeddings = nn.Parameter(torch.zeros(1, side * side, 24))
        self.norm1, self.norm2 = nn.LayerNorm(24), nn.LayerNorm(24)
        self.attn = nn.MultiheadAttention(24, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(24, 48), nn.GELU(), nn.Linear(48, 24))
        self.decoder = DecoderCup()
        self.head = nn.Conv2d(8, 2, 3, padding=1)

    def forward(self, x):
        f1 = self.root(x)
        f2 = self.body1(f1)
        x = self.patch_embeddings(self.body2(f2))
        x = x.flatten(2).transpose(-1, -2) + self.position_embeddings
        h = self.norm1(x)
        x = x + self.attn(h, h, h, need_weights=False)[0]
        x = x + self.mlp(self.norm2(x))
        return self.head(self.decoder(x, [f2, f1]))


CASES = (
    Case(
        "res2net_dla_pool_floors",
        "Res2Net/Res2Net-PretrainedModels#10",
        "TS102",
        lambda: DLA(),
        lambda: DLA(True),
        IMAGES,
    ),
    Case(
        "hourglass_on_odd_side",
        "bearpaw/pytorch-pose#39",
        "TS102",
        lambda: HourglassNet(),
        lambda: HourglassNet(True),
        IMAGES,
    ),
    Case(
        "smp_unet_on_odd_sides",
        "qubvel-org/segmentation_models.pytorch#93",
        "TS102",
        lambda: SmpUnet(),
        lambda: SmpUnet(True),
        IMAGES,
    ),
    Case(
        "transunet_grid_of_other_size",
        "Beckschen/TransUNet#74",
        "TS101",
        lambda: TransUNet(),
        lambda: TransUNet(mended=True),
        ((2, 3, 64, 64),),
    ),
)
