"""Wrong sources, missing shortcuts, shared modules, normalised shortcuts: the warnings."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, conv, maker, net


class BasicBlock(nn.Module):
    """ResNet's block with an activation before the addition, or after."""

    def __init__(self, early: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(4, 4), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = conv(4, 4), nn.BatchNorm2d(4)
        self.early = early

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out = F.relu(out) if self.early else out
        return F.relu(out + x)


class PreNorm(nn.Module):
    """`x = norm(x)` overwrites what the shortcut should carry."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(1, 4), nn.GroupNorm(1, 4)
        self.mix = conv(4, 4)
        self.mlp = nn.Sequential(conv(4, 8, 1), nn.GELU(), conv(8, 4, 1))
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        if self.mended:
            x = x + self.mix(self.norm1(x))
            return x + self.mlp(self.norm2(x))
        x = self.norm1(x)
        x = x + self.mix(x)
        x = self.norm2(x)
        return x + self.mlp(x)


class SavedAndUsed(nn.Module):
    """The block as it was meant."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(4, 4), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = conv(4, 4), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        x_orig = x
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        x = x + x_orig
        return F.relu(x)


class SavedNeverUsed(SavedAndUsed):
    """`x_orig = x`, and the line that adds it was lost."""

    def forward(self, x: Tensor) -> Tensor:
        x_orig = x  # noqa: F841
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        return F.relu(x)


class AdaptiveBlock(nn.Module):
    """A residual block, by its name, that returns the branch alone."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv1, self.norm1 = conv(4, 4), nn.InstanceNorm2d(4)
        self.conv2, self.norm2 = conv(4, 4), nn.InstanceNorm2d(4)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        return out + x if self.mended else out


class ResnetAdaptiveBlock(AdaptiveBlock):
    """The same under a name that promises a residual."""


class FlaggedBlock(nn.Module):
    """The configuration asks for residuals, and the flag does not reach the block."""

    def __init__(self, use_residual: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(4, 4), nn.BatchNorm2d(4), nn.ReLU())
        self.use_residual = use_residual

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.use_residual else self.body(x)


class Flagged(nn.Module):
    def __init__(self, passed_on: bool, residual: bool = True) -> None:
        super().__init__()
        self.use_residual = residual
        flags = {"use_residual": residual} if passed_on else {}
        self.blocks = nn.Sequential(*(FlaggedBlock(**flags) for _ in range(3)))
        self.stem, self.head = conv(4, 4), conv(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)))


class OneWithout(nn.Module):
    """Three equal blocks, and the shortcut of the second is missing."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.stem = conv(4, 4)
        self.a, self.b, self.c = (
            nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), conv(4, 4)) for _ in range(3)
        )
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.a(x)
        x = x + self.b(x) if self.mended else self.b(x)
        return x + self.c(x)


class WrongTensor(nn.Module):
    """The projection reads the branch's result instead of the block's input."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(2, 4), conv(4, 4)
        self.norm2, self.conv2 = nn.GroupNorm(2, 4), conv(4, 4)
        self.nin_shortcut = conv(4, 4, 1, bias=False)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        residual = self.nin_shortcut(residual if self.mended else h)
        return h + residual


class WrongLevel(nn.Module):
    """Two decoder levels read the same encoder feature."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.e1, self.e2, self.e3 = conv(4, 4), conv(4, 4), conv(4, 4)
        self.mid = conv(4, 4)
        self.d3, self.d2, self.d1 = conv(8, 4), conv(8, 4), conv(8, 4)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        e1 = F.relu(self.e1(x))
        e2 = F.relu(self.e2(F.max_pool2d(e1, 2)))
        e3 = F.relu(self.e3(F.max_pool2d(e2, 2)))
        m = F.relu(self.mid(F.max_pool2d(e3, 2)))
        m = F.relu(self.d3(torch.cat([F.interpolate(m, scale_factor=2), e3], 1)))
        second = e2 if self.mended else F.interpolate(e3, scale_factor=2)
        m = F.relu(self.d2(torch.cat([F.interpolate(m, scale_factor=2), second], 1)))
        return self.d1(torch.cat([F.interpolate(m, scale_factor=2), e1], 1))


class ResBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = conv(4, 4), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.relu(self.bn(self.conv(x)))


def _stack(shared: bool) -> nn.Module:
    blocks = [ResBlock()] * 4 if shared else [ResBlock() for _ in range(4)]
    return net(nn.Sequential(*blocks))


class RedCNN(nn.Module):
    """One convolution stands in for every level of the encoder."""

    def __init__(self, shared: bool) -> None:
        super().__init__()
        first = conv(4, 4)
        encoder = [first] * 3 if shared else [conv(4, 4) for _ in range(3)]
        self.encoder = nn.ModuleList(encoder)
        self.decoder = nn.ModuleList(nn.ConvTranspose2d(4, 4, 3, padding=1) for _ in range(3))
        self.stem = conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        kept = []
        for layer in self.encoder:
            kept.append(x)
            x = F.relu(layer(x))
        for layer in self.decoder:
            x = F.relu(layer(x)) + kept.pop()
        return x


class Noise2Noise(nn.Module):
    """A U-Net whose lower levels all run the second block."""

    def __init__(self, shared: bool) -> None:
        super().__init__()
        self.block1 = nn.Sequential(conv(4, 4), nn.ReLU(), nn.MaxPool2d(2))
        self.block2 = nn.Sequential(conv(4, 4), nn.ReLU(), nn.MaxPool2d(2))
        self.block3 = nn.Sequential(conv(4, 4), nn.ReLU(), nn.MaxPool2d(2))
        self.up3, self.up2, self.up1 = conv(8, 4), conv(8, 4), conv(8, 4)
        self.shared = shared

    def forward(self, x: Tensor) -> Tensor:
        p1 = self.block1(x)
        p2 = self.block2(p1)
        p3 = self.block2(p2) if self.shared else self.block3(p2)
        u = self.up3(torch.cat([F.interpolate(p3, scale_factor=2), p2], 1))
        u = self.up2(torch.cat([F.interpolate(u, scale_factor=2), p1], 1))
        return self.up1(torch.cat([F.interpolate(u, scale_factor=2), x], 1))


class SharedNorm(nn.Module):
    """One normalisation serves two places of the block."""

    def __init__(self, shared: bool) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv(4, 4), conv(4, 4)
        self.bn1 = nn.BatchNorm2d(4)
        self.bn2 = self.bn1 if shared else nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class BothArms(nn.Module):
    """The same convolution in the branch and on the shortcut."""

    def __init__(self, shared: bool) -> None:
        super().__init__()
        self.conv, self.out = conv(4, 4), conv(4, 4)
        self.proj = self.conv if shared else conv(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x) + self.out(F.relu(self.conv(x)))


class LayerInForward(nn.Module):
    """The projection is made anew at each call: it is random and never trained."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(4, 4), nn.ReLU(), conv(4, 6))
        self.project = conv(4, 6, 1) if mended else None

    def forward(self, x: Tensor) -> Tensor:
        if self.project is None:
            project = nn.Conv2d(4, 6, 1).to(x.device)
            return self.body(x) + project(x)
        return self.body(x) + self.project(x)


class IdleBranch(nn.Module):
    """The branch's scale is zero and cannot learn."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(4, 4), nn.ReLU(), conv(4, 4))
        scale = torch.zeros(4, 1, 1)
        if mended:
            self.scale = nn.Parameter(scale)
        else:
            self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.body(x)


class Projection(nn.Module):
    """A strided 1x1 convolution, or ResNet-D's pooled one."""

    def __init__(self, pooled: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(4, 4, stride=2), nn.BatchNorm2d(4), nn.ReLU(), conv(4, 4))
        self.down = (
            nn.Sequential(nn.AvgPool2d(2), conv(4, 4, 1)) if pooled else conv(4, 4, 1, stride=2)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.down(x))


CASES = (
    Case("kuangliu", "kuangliu/pytorch-cifar#4", "TS301",
         maker(BasicBlock, True), maker(BasicBlock, False)),
    Case("pre_norm", "Howuhh/faster-trajectory-transformer#3", "TS202",
         maker(PreNorm, False), maker(PreNorm, True)),
    Case("saved_never_used", "yilundu/improved_contrastive_divergence#7", "TS201",
         maker(SavedNeverUsed), maker(SavedAndUsed)),
    Case("adaptive_block", "znxlwm/UGATIT-pytorch#29", "TS201",
         lambda: net(AdaptiveBlock(True), ResnetAdaptiveBlock(False), AdaptiveBlock(True)),
         lambda: net(AdaptiveBlock(True), ResnetAdaptiveBlock(True), AdaptiveBlock(True))),
    Case("resnet_block_without", "znxlwm/UGATIT-pytorch#32", "TS201",
         maker(ResnetAdaptiveBlock, False), maker(ResnetAdaptiveBlock, True)),
    Case("flagged", "mlcommons/GaNDLF#142", "TS201", lambda: Flagged(False), lambda: Flagged(True)),
    Case("one_without", "one block of three without its shortcut", "TS201",
         lambda: OneWithout(False), lambda: OneWithout(True)),
    Case("wrong_tensor", "bytedance/1d-tokenizer PR 119", "TS204",
         maker(WrongTensor, False), maker(WrongTensor, True)),
    Case("wrong_level", "an encoder feature used on two levels", "TS204",
         lambda: WrongLevel(False), lambda: WrongLevel(True)),
    Case("list_times_n", "deep-learning-with-pytorch/dlwpt-code#89", "TS203",
         lambda: _stack(True), lambda: _stack(False)),
    Case("red_cnn", "SSinyu/RED-CNN#8", "TS203", lambda: RedCNN(True), lambda: RedCNN(False)),
    Case("noise2noise", "joeylitalien/noise2noise-pytorch#7", "TS203",
         lambda: Noise2Noise(True), lambda: Noise2Noise(False)),
    Case("shared_norm", "Project-MONAI/MONAI#7802", "TS203",
         maker(SharedNorm, True), maker(SharedNorm, False)),
    Case("both_arms", "one module in both arms", "TS203",
         maker(BothArms, True, times=1), maker(BothArms, False, times=1)),
    Case("layer_in_forward", "lafith/Mobile-UNet#1", "TS207",
         lambda: LayerInForward(False), lambda: LayerInForward(True)),
    Case("idle_branch", "a frozen zero scale", "TS205",
         maker(IdleBranch, False), maker(IdleBranch, True)),
    Case("strided_projection", "He et al. 2019 (ResNet-D)", "TS302",
         maker(Projection, False, times=1), maker(Projection, True, times=1)),
)  # fmt: skip
