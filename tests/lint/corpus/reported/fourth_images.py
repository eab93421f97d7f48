"""A fourth set, written by its reports alone: residual blocks over images and volumes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, Maker, conv, maker, pair

VOLUME = ((2, 1, 8, 8, 8),)
CLIP = ((2, 4, 4, 8, 8),)


def twins(block: type[nn.Module]) -> tuple[Maker, Maker]:
    return lambda: block(False), lambda: block(True)  # type: ignore[call-arg]


def body(width: int = 4) -> nn.Sequential:
    return nn.Sequential(
        conv(width, width),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        conv(width, width),
        nn.BatchNorm2d(width),
    )


class ResnetBlock(nn.Module):
    """znxlwm/UGATIT-pytorch#32"""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(4, 4, 3),
            nn.InstanceNorm2d(4),
            nn.ReLU(True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(4, 4, 3),
            nn.InstanceNorm2d(4),
        )
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv_block(x)
        return x + out if self.mended else out


class CondBlock(nn.Module):
    """yilundu/improved_contrastive_divergence#7"""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.gain = conv(4, 4), conv(4, 4), nn.Linear(4, 4)

    def branch(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.conv1(x), 0.2)
        x = x * self.gain(x.mean((2, 3)))[:, :, None, None]
        return F.leaky_relu(self.conv2(x), 0.2)

    def forward(self, x: Tensor) -> Tensor:
        x_orig = x  # noqa: F841
        return self.branch(x)


class CondBlockMended(CondBlock):
    def forward(self, x: Tensor) -> Tensor:
        x_orig = x
        x = self.branch(x)
        return x_orig + x


class UnusedShortcut(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(4, 4, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = conv(4, 4, bias=False), nn.BatchNorm2d(4)
        self.shortcut = nn.Sequential(nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4))
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x) if self.mended else x
        return F.relu(out)


class LateResBlock(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(4, 4), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = conv(4, 4), nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        if not self.mended:
            identity = out
        out = self.bn2(self.conv2(out))
        return self.relu(out + identity)


class DownsampleOfOut(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv1, self.bn1, self.conv2, self.bn2 = (
            conv(4, 4),
            nn.BatchNorm2d(4),
            conv(4, 4),
            nn.BatchNorm2d(4),
        )
        self.downsample = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        identity = self.downsample(x if self.mended else out)
        return F.relu(out + identity)


class LeakyFirst(nn.Module):
    """A discriminator's block whose activation comes first and works in place."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.LeakyReLU(0.2, inplace=not mended),
            conv(4, 4),
            nn.LeakyReLU(0.2, inplace=True),
            conv(4, 4),
            nn.AvgPool2d(2),
        )
        self.skip = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(4, 4, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.main(x) + self.skip(x)


class DoubleRelu(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        tail: list[nn.Module] = [] if mended else [nn.ReLU(inplace=True)]
        self.twice = nn.Sequential(*body(), *tail)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.twice(x))


def drop_connect(inputs: Tensor, p: float, training: bool) -> Tensor:
    if not training:
        return inputs
    keep = 1 - p
    noise = keep + torch.rand([inputs.shape[0], 1, 1, 1], device=inputs.device)
    return inputs / keep * torch.floor(noise)


class DropAfterAdd(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body, self.mended = body(), mended

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.body(inputs)
        if self.mended:
            return inputs + drop_connect(x, 0.2, self.training)
        x = x + inputs
        return drop_connect(x, 0.2, self.training)


class DropIdentity(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body, self.mended = body(), mended

    def forward(self, x: Tensor) -> Tensor:
        if self.mended:
            return x + drop_connect(self.body(x), 0.2, self.training)
        return drop_connect(x, 0.2, self.training) + self.body(x)


class UnstridedShortcut(nn.Module):
    """A volume's block: the projection forgets the stride."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv3d(1, 4, 3, 2, 1), nn.Conv3d(4, 4, 3, 1, 1)
        self.shortcut = nn.Sequential(
            nn.Conv3d(1, 4, 1, stride=2 if mended else 1, bias=False), nn.InstanceNorm3d(4)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv2(F.relu(self.conv1(x))) + self.shortcut(x))


class SharedNorm(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv1, self.conv2, self.proj = conv(4, 4), conv(4, 4), nn.Conv2d(4, 4, 1)
        self.bn, self.other = nn.BatchNorm2d(4), nn.BatchNorm2d(4) if mended else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn(self.conv2(F.relu(self.conv1(x))))
        return F.relu(out + (self.other or self.bn)(self.proj(x)))


class TensorScale(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        gamma = 1e-2 * torch.ones(4)
        self.gamma = nn.Parameter(gamma) if mended else gamma
        self.dw, self.norm = conv(4, 4, 7, groups=4), nn.LayerNorm(4)
        self.pw1, self.pw2 = nn.Linear(4, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dw(x).permute(0, 2, 3, 1))
        y = self.gamma * self.pw2(F.gelu(self.pw1(y)))
        return x + y.permute(0, 3, 1, 2)


class FrozenProjection(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body, self.down, self.mended = body(), nn.Conv2d(4, 4, 1), mended

    def forward(self, x: Tensor) -> Tensor:
        with torch.set_grad_enabled(self.mended):
            identity = self.down(x)
        return F.relu(self.body(x) + identity)


class DataShortcut(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body, self.mended = body(), mended

    def forward(self, x: Tensor) -> Tensor:
        residual = x if self.mended else x.data
        return F.relu(self.body(x) + residual)


class NumpyShortcut(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body, self.mended = body(), mended

    def forward(self, x: Tensor) -> Tensor:
        if self.mended:
            return self.body(x) + x
        return self.body(x) + torch.from_numpy(x.detach().cpu().numpy()).to(x.device)


CASES = (
    Case("ugatit-block", "znxlwm/UGATIT-pytorch#32", "TS201", *pair(ResnetBlock)),
    Case(
        "cond-block",
        "improved_contrastive_divergence#7",
        "TS201",
        maker(CondBlock),
        maker(CondBlockMended),
    ),
    Case("unused-projection", "a shortcut that forward forgot", "TS108", *pair(UnusedShortcut)),
    Case("late-identity", "identity = out", "TS204", *pair(LateResBlock)),
    Case("downsample-of-out", "downsample(out)", "TS204", *pair(DownsampleOfOut)),
    Case("leaky-first", "LeakyReLU in place, first", "TS104", *pair(LeakyFirst)),
    Case("double-relu", "relu before and behind the sum", "TS301", *pair(DoubleRelu)),
    Case("drop-after-add", "drop_connect of the sum", "TS111", *pair(DropAfterAdd)),
    Case("drop-identity", "drop_connect of the input", "TS111", *pair(DropIdentity)),
    Case("volume-stride", "1x1 without stride", "TS101", *twins(UnstridedShortcut), VOLUME),
    Case("shared-norm", "one norm in both arms", "TS203", *pair(SharedNorm)),
    Case("tensor-scale", "LayerScale as a tensor", "TS207", *pair(TensorScale)),
    Case("frozen-projection", "projection under no_grad", "TS105", *pair(FrozenProjection)),
    Case("data-shortcut", "x.data", "TS105", *pair(DataShortcut)),
    Case("numpy-shortcut", "through numpy", "TS105", *pair(NumpyShortcut)),
)
