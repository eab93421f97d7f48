"""A fifth set, by reports alone: classifiers, sums that are missing or of one value."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv, net
from .fifth_classifiers_parts import DropPath, cb, cbr, head


class FusedBottleneck(nn.Module):
    """imedslab/pytorch_bn_fusion#2"""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = conv(16, 4, 1), conv(4, 4), conv(4, 16, 1)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        self.se_module: nn.Module | None = None

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        out = self.relu(self.conv1(x))
        out = self.relu(self.conv2(out))
        out = self.conv3(out)
        if self.downsample is not None:
            residual = self.downsample(x)
        if self.se_module is not None:
            out = self.se_module(out) + residual
        return self.relu(out)


class FusedAdded(FusedBottleneck):
    def forward(self, x: Tensor) -> Tensor:
        residual = x
        out = self.relu(self.conv1(x))
        out = self.relu(self.conv2(out))
        out = self.conv3(out)
        if self.downsample is not None:
            residual = self.downsample(x)
        if self.se_module is not None:
            out = self.se_module(out)
        out += residual
        return self.relu(out)


def fused(block: type[nn.Module]) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), block(), block(), *head(16))


class ResidualLayer(nn.Module):
    """qiaofengsheng/yolo-v3-DarkNet53-MobileNet-V2#2"""

    def __init__(self, c, mended) -> None:
        super().__init__()
        self.sub_module = nn.Sequential(
            nn.Sequential(
                nn.Conv2d(c, c // 2, 1, bias=False), nn.BatchNorm2d(c // 2), nn.LeakyReLU(0.1)
            ),
            nn.Sequential(
                nn.Conv2d(c // 2, c, 3, 1, 1, bias=False), nn.BatchNorm2d(c), nn.LeakyReLU(0.1)
            ),
        )
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        return x + self.sub_module(x) if self.mended else self.sub_module(x)


def darknet(mended):
    return nn.Sequential(
        cbr(3, 8),
        cbr(8, 16, 3, 2),
        ResidualLayer(16, mended),
        cbr(16, 32, 3, 2),
        ResidualLayer(32, mended),
        ResidualLayer(32, mended),
        *head(32),
    )


def residual_bottleneck(nb, i, mid, o, stride, mended):
    class ResidualBottleneck(nn.Module):
        def __init__(self, i, o, stride) -> None:
            super().__init__()
            self.conv1 = cbr(i, mid, 1)
            self.conv2 = cbr(mid, mid, 3, stride)
            self.conv3 = cb(mid, o, 1)
            self.project = cb(i, o, 1) if i != o else None
            self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()

        def forward(self, incoming: Tensor) -> Tensor:
            identity = incoming
            resnet = self.conv3(self.conv2(self.conv1(incoming)))
            identity = self.pool(identity)
            if self.project is not None:
                identity = self.project(identity)
                if not mended:
                    resnet = resnet + identity
                    resnet = F.relu(resnet)
            if mended:
                resnet = F.relu(resnet + identity)
            return resnet

    return [ResidualBottleneck(i if k == 0 else o, o, stride if k == 0 else 1) for k in range(nb)]


def tflearn(mended):
    return nn.Sequential(
        cbr(1, 8),
        *residual_bottleneck(3, 8, 4, 16, 1, mended),
        *residual_bottleneck(3, 16, 8, 32, 2, mended),
        *head(32),
    )


class ChannelGate(nn.Module):
    """MenghaoGuo/Awesome-Vision-Attentions#32"""

    def __init__(self, c, mended) -> None:
        super().__init__()
        self.avg_pool, self.max_pool = nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)
        self.mlp = nn.Sequential(
            nn.Conv2d(c, c // 2, 1, bias=False), nn.ReLU(), nn.Conv2d(c // 2, c, 1, bias=False)
        )
        self.sigmoid = nn.Sigmoid()
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        y_avg = self.mlp(self.avg_pool(x))
        y_max = self.mlp(self.max_pool(x))
        return x * self.sigmoid(y_avg + (y_max if self.mended else y_avg))


class SpatialGate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.conv(y))


class CbamBlock(nn.Module):
    def __init__(self, c, mended) -> None:
        super().__init__()
        self.conv1, self.conv2 = cbr(c, c), cb(c, c)
        self.ca, self.sa = ChannelGate(c, mended), SpatialGate()

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(self.conv1(x))
        out = self.sa(self.ca(out))
        out += x
        return F.relu(out)


class TowerBlock(nn.Module):
    """Public code of a board game: `out += self.shortcut(out)`."""

    def __init__(self, i=8, o=8, mended=False) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(i, o, 3, padding="same", bias=False),
            nn.BatchNorm2d(o),
            nn.ReLU(),
            nn.Conv2d(o, o, 3, padding="same", bias=False),
            nn.BatchNorm2d(o),
        )
        self.shortcut = nn.Sequential()
        self.mended = mended

    def forward(self, input: Tensor) -> Tensor:
        out = self.features(input)
        out += self.shortcut(input if self.mended else out)
        return nn.functional.relu(out)


def tower(mended):
    return nn.Sequential(
        cbr(3, 8),
        nn.Sequential(*(TowerBlock(mended=mended) for _ in range(4))),
        cbr(8, 2, 1),
        nn.Flatten(),
        nn.Linear(2 * 64, 64),
        nn.ReLU(),
        nn.Linear(64, 1),
        nn.Tanh(),
    )


class NextBlock(nn.Module):
    def __init__(self, dim, drop_path, init=1e-6) -> None:
        super().__init__()
        self.dw_conv = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pw_conv1 = nn.Linear(dim, 4 * dim)
        self.act = nn.GELU()
        self.pw_conv2 = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(init * torch.ones(dim)) if init > 0 else None
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        x = self.dw_conv(x)
        x = x.permute(0, 2, 3, 1)
        x = self.pw_conv2(self.act(self.pw_conv1(self.norm(x))))
        if self.gamma is not None:
            x = self.gamma * x
        x = x.permute(0, 3, 1, 2)
        return shortcut + self.drop_path(x)


class LostInputBlock(NextBlock):
    """Public code of a ConvNeXt: `x = x + self.drop_path(x)` behind the layers."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.dw_conv(x)
        x = x.permute(0, 2, 3, 1)
        x = self.pw_conv2(self.act(self.pw_conv1(self.norm(x))))
        x = self.gamma * x
        x = x.permute(0, 3, 1, 2)
        return x + self.drop_path(x)


def convnext(mended):
    kind = NextBlock if mended else LostInputBlock
    rates = [0.0, 0.05, 0.1]
    return nn.Sequential(
        nn.Conv2d(3, 16, 4, 4),
        *(kind(16, rate) for rate in rates),
        nn.BatchNorm2d(16),
        *head(16),
    )


CASES: tuple[Case, ...] = (
    Case(
        "fused_bottleneck_without_a_sum",
        "imedslab/pytorch_bn_fusion#2",
        "TS201",
        lambda: fused(FusedBottleneck),
        lambda: fused(FusedAdded),
        ((2, 3, 16, 16),),
    ),
    Case(
        "residual_layer_returns_its_branch",
        "qiaofengsheng/yolo-v3-DarkNet53-MobileNet-V2#2",
        "TS201",
        lambda: darknet(False),
        lambda: darknet(True),
        ((2, 3, 32, 32),),
    ),
    Case(
        "sum_only_where_channels_differ",
        "tflearn/tflearn PR 889",
        "TS201",
        lambda: tflearn(False),
        lambda: tflearn(True),
        ((2, 1, 16, 16),),
    ),
    Case(
        "channel_attention_adds_the_average_twice",
        "MenghaoGuo/Awesome-Vision-Attentions#32",
        "TS106",
        lambda: net(CbamBlock(8, False), CbamBlock(8, False), width=8),
        lambda: net(CbamBlock(8, True), CbamBlock(8, True), width=8),
    ),
    Case(
        "shortcut_of_the_branchs_own_result",
        "public code: `out += self.shortcut(out)` in a 19-block board-game tower",
        "TS106",
        lambda: tower(False),
        lambda: tower(True),
        ((2, 3, 8, 8),),
    ),
    Case(
        "convnext_block_loses_its_input",
        "public code: `x = x + self.drop_path(x)` after x was overwritten, a ConvNeXt of 2022",
        "TS106",
        lambda: convnext(False),
        lambda: convnext(True),
        ((2, 3, 32, 32),),
    ),
)
