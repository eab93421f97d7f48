"""A sixth set: blocks of classifiers that were asked about in public and are meant."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Clean, conv, net


class ShelfBlock(nn.Module):
    """One convolution, called twice with two normalisations: weights shared inside the block."""

    def __init__(self, c) -> None:
        super().__init__()
        self.conv1 = conv(c, c)
        self.bn1, self.bn2 = nn.BatchNorm2d(c), nn.BatchNorm2d(c)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout2d(0.25)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.drop(out)
        out = self.bn2(self.conv1(out))
        return self.relu(out + x)


class ShuffleV1(nn.Module):
    def __init__(self, a, b, stride, groups=2) -> None:
        super().__init__()
        self.stride, self.group = stride, groups
        m = b // 2
        outputs = b - a if stride == 2 else b
        self.main_1 = nn.Sequential(
            nn.Conv2d(a, m, 1, groups=groups, bias=False),
            nn.BatchNorm2d(m),
            nn.ReLU(inplace=True),
            nn.Conv2d(m, m, 3, stride, 1, groups=m, bias=False),
            nn.BatchNorm2d(m),
        )
        self.main_2 = nn.Sequential(
            nn.Conv2d(m, outputs, 1, groups=groups, bias=False), nn.BatchNorm2d(outputs)
        )
        if stride == 2:
            self.branch_proj = nn.AvgPool2d(3, 2, 1)

    def shuffle(self, x):
        b, c, h, w = x.shape
        return (
            x.reshape(b, c // self.group, self.group, h, w)
            .permute(0, 2, 1, 3, 4)
            .reshape(b, c, h, w)
        )

    def forward(self, old: Tensor) -> Tensor:
        x = self.main_2(self.shuffle(self.main_1(old)))
        if self.stride == 1:
            return F.relu(x + old)
        return torch.cat((self.branch_proj(old), F.relu(x)), 1)


class Inverted(nn.Module):
    def __init__(self, a, b, stride, t) -> None:
        super().__init__()
        m = a * t
        self.use_res_connect = stride == 1 and a == b
        self.conv = nn.Sequential(
            nn.Conv2d(a, m, 1, bias=False),
            nn.BatchNorm2d(m),
            nn.ReLU6(inplace=True),
            nn.Conv2d(m, m, 3, stride, 1, groups=m, bias=False),
            nn.BatchNorm2d(m),
            nn.ReLU6(inplace=True),
            nn.Conv2d(m, b, 1, bias=False),
            nn.BatchNorm2d(b),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class ResBlock(nn.Module):
    """The main path alone: who uses it wraps it."""

    def __init__(self, c) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(conv(c, c, bias=False), nn.BatchNorm2d(c), nn.ReLU6())
        self.conv2 = nn.Sequential(conv(c, c, bias=False), nn.BatchNorm2d(c))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))


class ResidualBlock(nn.Module):
    def __init__(self, main, shortcut) -> None:
        super().__init__()
        self.main, self.shortcut = main, shortcut

    def forward(self, x: Tensor) -> Tensor:
        if self.main is None:
            return x
        if self.shortcut is None:
            return self.main(x)
        return self.main(x) + self.shortcut(x)


class WideBlock(nn.Module):
    def __init__(self, a, b, stride) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(a), nn.Conv2d(a, b, 3, stride, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(b), nn.Conv2d(b, b, 3, 1, 1, bias=False)
        self.relu1, self.relu2 = nn.ReLU(inplace=True), nn.ReLU(inplace=True)
        self.is_in_equal_out = a == b
        self.conv_shortcut = None if a == b else nn.Conv2d(a, b, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if not self.is_in_equal_out:
            x = self.relu1(self.bn1(x))
            out = self.relu2(self.bn2(self.conv1(x)))
        else:
            out = self.relu1(self.bn1(x))
            out = self.relu2(self.bn2(self.conv1(out)))
        out = self.conv2(out)
        return torch.add(x if self.is_in_equal_out else self.conv_shortcut(x), out)


class BasicBlockIR(nn.Module):
    def __init__(self, a, b, stride) -> None:
        super().__init__()
        if a == b:
            self.shortcut_layer = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(a),
            nn.Conv2d(a, b, 3, 1, 1, bias=False),
            nn.BatchNorm2d(b),
            nn.PReLU(b),
            nn.Conv2d(b, b, 3, stride, 1, bias=False),
            nn.BatchNorm2d(b),
        )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.shortcut_layer(x)
        return self.res_layer(x) + shortcut


class DropPath(nn.Module):
    def __init__(self, p) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if self.p == 0.0 or not self.training:
            return x
        keep = 1 - self.p
        mask = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(keep)
        if keep > 0.0:
            mask.div_(keep)
        return x * mask


class ConvNextBlock(nn.Module):
    def __init__(self, c, p) -> None:
        super().__init__()
        self.conv_dw, self.norm = nn.Conv2d(c, c, 7, padding=3, groups=c), nn.LayerNorm(c)
        self.fc1, self.fc2 = nn.Linear(c, 2 * c), nn.Linear(2 * c, c)
        self.gamma = nn.Parameter(1e-6 * torch.ones(c))
        self.drop_path = DropPath(p)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        x = self.norm(self.conv_dw(x).permute(0, 2, 3, 1))
        x = self.fc2(F.gelu(self.fc1(x))) * self.gamma
        return shortcut + self.drop_path(x.permute(0, 3, 1, 2))


class InceptionRes(nn.Module):
    def __init__(self, c, scale) -> None:
        super().__init__()
        self.scale = scale
        self.b0 = nn.Conv2d(c, c, 1)
        self.b1 = nn.Sequential(nn.Conv2d(c, c, 1), nn.ReLU(), conv(c, c), nn.ReLU())
        self.up = nn.Conv2d(2 * c, c, 1)

    def forward(self, x: Tensor) -> Tensor:
        mixed = torch.cat([F.relu(self.b0(x)), self.b1(x)], 1)
        return F.relu(x + self.up(mixed) * self.scale)


CLEAN = (
    Clean(
        "shelfnet_block",
        "juntang-zhuang/ShelfNet#3: conv1 twice, shared on purpose",
        lambda: net(ShelfBlock(4), ShelfBlock(4)),
    ),
    Clean(
        "shufflenet_v1",
        "megvii-model/ShuffleNet-Series#56: relu before the concatenation, after the sum",
        lambda: nn.Sequential(conv(4, 8), ShuffleV1(8, 16, 2), ShuffleV1(16, 16, 1)),
    ),
    Clean(
        "mobilenet_v2",
        "tonylins/pytorch-mobilenet-v2#3: no shortcut where the width changes",
        lambda: nn.Sequential(
            conv(4, 8),
            Inverted(8, 8, 1, 1),
            Inverted(8, 12, 2, 2),
            Inverted(12, 12, 1, 2),
            Inverted(12, 16, 1, 2),
        ),
    ),
    Clean(
        "efficientvit_wrapped_resblock",
        "mit-han-lab/efficientvit#50: the wrapper adds",
        lambda: nn.Sequential(
            conv(4, 8),
            ResidualBlock(ResBlock(8), nn.Identity()),
            ResidualBlock(ResBlock(8), nn.Identity()),
        ),
    ),
    Clean(
        "wrn_equal_in_out",
        "google-research/augmix#12",
        lambda: nn.Sequential(
            conv(4, 8),
            WideBlock(8, 16, 1),
            WideBlock(16, 16, 1),
            WideBlock(16, 32, 2),
            WideBlock(32, 32, 1),
        ),
    ),
    Clean(
        "ir_maxpool_shortcut",
        "mk-minchul/AdaFace#69: MaxPool2d(1, stride) as shortcut",
        lambda: nn.Sequential(
            conv(4, 8), BasicBlockIR(8, 8, 2), BasicBlockIR(8, 8, 1), BasicBlockIR(8, 16, 2)
        ),
    ),
    Clean(
        "convnext_drop_path",
        "huggingface/pytorch-image-models#2118: per sample and rescaled",
        lambda: nn.Sequential(conv(4, 8), ConvNextBlock(8, 0.1), ConvNextBlock(8, 0.2)),
    ),
    Clean(
        "inception_resnet_scale",
        "fchollet/deep-learning-models#99: the branch is scaled, not the input",
        lambda: nn.Sequential(conv(4, 8), InceptionRes(8, 0.17), InceptionRes(8, 0.17)),
    ),
)
