"""A fifth set, by reports alone: classifiers, gradients, dtypes and writes in place."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..case import Case, conv
from .fifth_classifiers_parts import head


class MemoryLayer(nn.Module):
    """pytorch/vision#2221"""

    def __init__(self, c, growth, mended) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(c), nn.Conv2d(c, 2 * growth, 1, bias=False)
        self.norm2, self.conv2 = (
            nn.BatchNorm2d(2 * growth),
            nn.Conv2d(2 * growth, growth, 3, 1, 1, bias=False),
        )
        self.mended = mended

    def bn_function(self, inputs):
        return self.conv1(F.relu(self.norm1(torch.cat(inputs, 1))))

    def forward(self, input: Tensor) -> Tensor:
        prev = [input] if isinstance(input, torch.Tensor) else input
        if any(t.requires_grad for t in prev):
            if self.mended:

                def closure(*inputs):
                    return self.bn_function(inputs)

                out = checkpoint(closure, *prev, use_reentrant=True)
            else:

                def closure(*inputs):
                    return self.bn_function(*inputs)

                out = checkpoint(closure, prev, use_reentrant=True)
        else:
            out = self.bn_function(prev)
        return self.conv2(F.relu(self.norm2(out)))


class MemoryBlock(nn.ModuleDict):
    def __init__(self, n, c, growth, mended) -> None:
        super().__init__()
        for i in range(n):
            self.add_module(f"denselayer{i + 1}", MemoryLayer(c + i * growth, growth, mended))

    def forward(self, init_features: Tensor) -> Tensor:
        features = [init_features]
        for _, layer in self.items():
            features.append(layer(features))
        return torch.cat(features, 1)


def memory_dense(mended):
    return nn.Sequential(
        conv(3, 8), MemoryBlock(3, 8, 4, mended), nn.BatchNorm2d(20), nn.ReLU(), *head(20)
    )


class UnitA(nn.Module):
    """https://discuss.pytorch.org/t/in-place-operation-and-resnet/10724"""

    def __init__(self, c, mended) -> None:
        super().__init__()
        self.conv_0, self.bn_0 = nn.Conv2d(c, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12)
        self.conv_1, self.bn_1 = nn.Conv2d(12, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn_0(self.conv_0(x)), inplace=True)
        residual = self.bn_1(self.conv_1(x))
        if self.mended:
            x = x + residual
        else:
            x += residual
        return F.relu(x, inplace=True)


class PyramidBlock(nn.Module):
    """NVIDIA/apex#389"""

    def __init__(self, i, o, stride=1, mended=False) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(i), nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(o), nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(o)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.AvgPool2d(2, 2, ceil_mode=True) if stride == 2 else None
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(self.bn1(x))
        out = self.relu(self.bn2(out))
        out = self.bn3(self.conv2(out))
        shortcut = x if self.downsample is None else self.downsample(x)
        n, c, h, w = out.shape
        if c != shortcut.shape[1]:
            kind = shortcut.dtype if self.mended else torch.float32
            padding = torch.zeros(n, c - shortcut.shape[1], h, w, dtype=kind, device=x.device)
            shortcut = torch.cat((shortcut, padding), 1)
        return out + shortcut


def pyramid(mended):
    return nn.Sequential(
        conv(3, 8),
        nn.BatchNorm2d(8),
        PyramidBlock(8, 10, mended=mended),
        PyramidBlock(10, 12, 2, mended),
        nn.BatchNorm2d(12),
        nn.ReLU(inplace=True),
        *head(12),
    )


class ScaledConv(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        w = self.weight
        mean, std = w.mean((1, 2, 3), keepdim=True), w.std((1, 2, 3), keepdim=True)
        fan = w[0].numel() ** -0.5
        return F.conv2d(
            x,
            (w - mean) / (std + 1e-5) * fan,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )


class NormFreeBlock(nn.Module):
    """Written from memory: timm's NormFreeBlock, its first activation in place."""

    def __init__(self, i, o, stride=1, alpha=0.2, beta=1.0, mended=False) -> None:
        super().__init__()
        self.alpha, self.beta = alpha, beta
        mid = o // 2
        self.downsample = ScaledConv(i, o, 1, stride) if i != o or stride != 1 else None
        self.act1 = nn.SiLU(inplace=not mended)
        self.conv1 = ScaledConv(i, mid, 1)
        self.act2 = nn.SiLU(inplace=True)
        self.conv2 = ScaledConv(mid, mid, 3, stride, 1)
        self.act3 = nn.SiLU()
        self.conv3 = ScaledConv(mid, o, 1)
        self.skipinit_gain = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: Tensor) -> Tensor:
        out = self.act1(x) * self.beta
        shortcut = x
        if self.downsample is not None:
            shortcut = self.downsample(out)
        out = self.conv1(out)
        out = self.conv2(self.act2(out))
        out = self.conv3(self.act3(out))
        out = out * self.skipinit_gain
        return out * self.alpha + shortcut


def nfnet(mended):
    return nn.Sequential(
        ScaledConv(3, 8, 3, 2, 1),
        NormFreeBlock(8, 16, 1, mended=mended),
        NormFreeBlock(16, 16, mended=mended),
        NormFreeBlock(16, 16, beta=0.9, mended=mended),
        nn.SiLU(),
        *head(16),
    )


class SkipInit(nn.Module):
    """Written from memory: SkipInit with a tensor that requires a gradient."""

    def __init__(self, c, mended) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(c, c), conv(c, c)
        zero = torch.zeros(1, requires_grad=True)
        self.alpha = nn.Parameter(torch.zeros(1)) if mended else zero

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(F.relu(self.conv1(F.relu(x))))
        return x + self.alpha * out


def skipinit(mended):
    return nn.Sequential(conv(3, 8), *(SkipInit(8, mended) for _ in range(3)), nn.ReLU(), *head(8))


class BinaryUnit(nn.Module):
    """Written from memory: a binary convolution whose sign has no estimator."""

    def __init__(self, i, o, stride, mended) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)
        self.short = nn.Conv2d(i, o, 1, stride) if i != o or stride != 1 else nn.Identity()
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        binary = torch.sign(x)
        if self.mended:
            soft = torch.clamp(x, -1, 1)
            binary = binary.detach() - soft.detach() + soft
        return self.bn(self.conv(binary)) + self.short(x)


def binary(mended):
    return nn.Sequential(
        conv(3, 8), BinaryUnit(8, 8, 1, mended), BinaryUnit(8, 16, 2, mended), *head(16)
    )


CASES: tuple[Case, ...] = (
    Case(
        "checkpoint_of_a_list",
        "pytorch/vision#2221",
        "TS105",
        lambda: memory_dense(False),
        lambda: memory_dense(True),
        ((2, 3, 16, 16),),
    ),
    Case(
        "sum_written_into_a_rectified_value",
        "https://discuss.pytorch.org/t/in-place-operation-and-resnet/10724",
        "TS112",
        lambda: nn.Sequential(UnitA(3, False), UnitA(12, False), *head(12)),
        lambda: nn.Sequential(UnitA(3, True), UnitA(12, True), *head(12)),
        ((2, 3, 16, 16),),
    ),
    Case(
        "shortcut_padded_with_float_zeros",
        "NVIDIA/apex#389",
        "TS110",
        lambda: pyramid(False),
        lambda: pyramid(True),
        ((2, 3, 16, 16),),
    ),
    Case(
        "normaliser_free_activation_in_place",
        "written from memory: timm's NormFreeBlock with an in-place first activation",
        "TS104",
        lambda: nfnet(False),
        lambda: nfnet(True),
        ((2, 3, 16, 16),),
    ),
    Case(
        "scale_kept_as_a_tensor",
        "written from memory: SkipInit with a tensor that requires a gradient",
        "TS207",
        lambda: skipinit(False),
        lambda: skipinit(True),
        ((2, 3, 16, 16),),
    ),
    Case(
        "sign_without_an_estimator",
        "written from memory: a binary convolution whose sign has no estimator",
        "TS105",
        lambda: binary(False),
        lambda: binary(True),
        ((2, 3, 16, 16),),
    ),
)
