"""Faults that show in training, in backward, in half precision, or for another batch or size."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import IMAGE, Case, Clean, Maker, conv, maker


def both(kind: Callable[[bool], nn.Module]) -> tuple[Maker, Maker]:
    return lambda: kind(False), lambda: kind(True)


def stack(kind: Callable[[bool], nn.Module]) -> tuple[Maker, Maker]:
    return tuple(maker(kind, mended) for mended in (False, True))  # type: ignore[return-value]


class Adapter(nn.Module):
    """Both layers of a bottleneck start at zero: neither ever moves, but a bias."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(8, 2), nn.Linear(2, 8)
        for layer in (self.up,) if mended else (self.down, self.up):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.up(F.relu(self.down(x)))


class Control(nn.Module):
    """Zero convolutions on both ends of a copy: the last moves first, then the first."""

    def __init__(self) -> None:
        super().__init__()
        self.base, self.copy = conv(4, 4), nn.Sequential(conv(4, 4), nn.SiLU())
        self.first, self.last = conv(4, 4, 1), conv(4, 4, 1)
        for layer in (self.first, self.last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.last(self.copy(x + self.first(x)))


class OneSoftmax(nn.Module):
    """A softmax over the one channel of a spatial gate is 1."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv, self.gate, self.mended = conv(4, 4), conv(4, 1, 7), mended

    def forward(self, x: Tensor) -> Tensor:
        y, g = self.conv(x), self.gate(x)
        return x + y * (torch.sigmoid(g) if self.mended else torch.softmax(g, 1))


class DeadSqueeze(nn.Module):
    """Squeeze-and-excitation whose one hidden unit starts dead: the gate is no constant."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.a, self.b = conv(4, 4), nn.Linear(4, 1), nn.Linear(1, 4)
        nn.init.constant_(self.a.bias, -9.0)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        w = torch.sigmoid(self.b(F.relu(self.a(y.mean((2, 3))))))
        return x + y * w[:, :, None, None]


class PlainScale(nn.Module):
    """A layer scale that is a tensor: `.float()` made it one, or nobody made it a parameter."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv = conv(4, 4)
        gamma = nn.Parameter(torch.full((1, 4, 1, 1), 0.1))
        self.gamma = gamma if mended else gamma.double().float()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.gamma * self.conv(x)


class PlainScales(nn.Module):
    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv(4, 4) for _ in range(2))
        scales = [nn.Parameter(torch.full((4, 1, 1), 0.1)) for _ in range(2)]
        self.scales = nn.ParameterList(scales) if mended else scales

    def forward(self, x: Tensor) -> Tensor:
        for layer, scale in zip(self.convs, self.scales, strict=True):
            x = x + scale * layer(x)
        return x


class Multiplier(nn.Module):
    """A plain number as a tensor on a branch: a published constant, no weight."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.factor = conv(4, 4), torch.tensor(0.1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.factor * self.conv(x)


class Norm32(nn.Module):
    """A normalisation in float32 that does not cast back, behind the branch."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.linear, self.mended = nn.Linear(8, 8), mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x).float()
        y = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + 1e-6)
        return x + (y.to(x.dtype) if self.mended else y)


class Squeezed(nn.Module):
    """A squeeze without an axis drops the batch of one sample too."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv, self.fc, self.mended = conv(4, 4), nn.Linear(4, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        w = F.adaptive_avg_pool2d(y, 1)
        w = self.fc(w.flatten(1) if self.mended else w.squeeze())
        return x + y * torch.sigmoid(w).unsqueeze(2).unsqueeze(3)


class RowGate(nn.Module):
    """A gate of one number per channel that lies on the rows, for a batch of one."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv, self.fc, self.mended = conv(4, 4), nn.Linear(4, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        w = torch.sigmoid(self.fc(y.mean((2, 3))))
        return x + y * (w[:, :, None, None] if self.mended else w[:, :, None])


class Cropped(nn.Module):
    """A crop by the numbers of the example: one size larger still fits, twice the size does not."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(4, 8, 3), nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        u = self.up(F.relu(self.down(F.max_pool2d(x, 2))))
        h, w = (u.shape[2], u.shape[3]) if self.mended else (12, 12)
        return torch.cat([x[:, :, 2 : 2 + h, 2 : 2 + w], u], 1)


class Levels(nn.Module):
    """Encoder features taken from the front of the list; `shared` runs one level for both."""

    def __init__(self, mended: bool, shared: bool = False) -> None:
        super().__init__()
        self.down1, self.down2, self.middle = conv(4, 4), conv(4, 4), conv(4, 4)
        self.up1, self.up2 = conv(8, 4), conv(8, 4)
        self.mended, self.shared = mended, shared

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.down1(x))
        b = F.relu(self.down2(F.max_pool2d(a, 2)))
        x = F.relu(self.middle(F.max_pool2d(b, 2)))
        skips = [b, a] if self.mended else [a, b]
        for layer in (self.up1, self.up1 if self.shared else self.up2):
            skip = skips.pop(0)
            x = F.relu(layer(torch.cat([skip, F.interpolate(x, size=skip.shape[2:])], 1)))
        return x


class Anchored(nn.Module):
    """Every round adds to the value before the loop; `recursive` shares one block, as DRRN does."""

    def __init__(self, mended: bool, recursive: bool = False) -> None:
        super().__init__()
        block = [nn.Sequential(conv(4, 4), nn.ReLU(), conv(4, 4)) for _ in range(3)]
        self.blocks = nn.ModuleList(block[:1] if recursive else block)
        self.stem, self.mended, self.recursive = conv(4, 4), mended, recursive

    def forward(self, x: Tensor) -> Tensor:
        x = y = self.stem(x)
        for block in [self.blocks[0]] * 3 if self.recursive else self.blocks:
            y = (y if self.mended else x) + block(y)
        return y


class Bypassed(nn.Module):
    """The second layer reads what the activation should have read: its weight is lost."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.one, self.act, self.two, self.mended = conv(4, 4), nn.PReLU(), conv(4, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.one(x)
        z = self.act(y)
        return x + self.two(z if self.mended else y)


class Rewired(nn.Module):
    """The second half of the branch reads the block's input."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.one = nn.Sequential(conv(4, 4), nn.BatchNorm2d(4), nn.LeakyReLU())
        self.two, self.mended = nn.Sequential(conv(4, 4), nn.BatchNorm2d(4)), mended

    def forward(self, x: Tensor) -> Tensor:
        y = self.one(x)
        return F.leaky_relu(x + self.two(y if self.mended else x))


class Corners(nn.Module):
    """A lateral sum with a map resized corner to corner."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.lateral, self.corners = conv(4, 4, 1), not mended
        self.top = nn.Sequential(conv(4, 4), nn.ReLU(), conv(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        top = self.top(F.avg_pool2d(x, 2))
        up = F.interpolate(top, x.shape[2:], mode="bilinear", align_corners=self.corners)
        return self.lateral(x) + up


class Survival(nn.Module):
    """Huang et al. 2016, eq. 5: training drops, evaluation multiplies by the keep probability."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.keep = conv(4, 4), 0.5

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if self.training:
            return x + y * (torch.rand(x.shape[0], 1, 1, 1) < self.keep).to(x.dtype)
        return x + y * self.keep


class DenseSum(nn.Module):
    """Each block reads the sum of all results before it: no sum needs a short way on."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.BatchNorm2d(4), conv(4, 4)) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        results = [self.blocks[0](x)]
        for block in list(self.blocks)[1:]:
            results.append(block(sum(results)))
        return sum(results)  # type: ignore[return-value]


ONE = ((1, 4, 4, 4),)
TOKENS = ((2, 5, 8),)

CASES = (
    Case("adapter", "yz93/LAVT-RIS#25", "TS205",
         lambda: nn.Sequential(nn.Linear(8, 8), Adapter(False)),
         lambda: nn.Sequential(nn.Linear(8, 8), Adapter(True)), TOKENS),
    Case("one_softmax", "a softmax over one channel", "TS205", *stack(OneSoftmax)),
    Case("plain_scale",
         "Jungjaewon/Single_Image_SuperResolution_via_Holistic_Attention_Network#2", "TS207",
         *stack(PlainScale)),
    Case("plain_scales", "parameters in a Python list", "TS207", *stack(PlainScales)),
    Case("norm32", "a float32 normalisation of a half branch", "TS110", *both(Norm32), TOKENS),
    Case("squeezed", "squeeze() on a batch of one", "TS102", *stack(Squeezed)),
    Case("row_gate", "w[:, :, None] where two axes are missing", "TS103", *both(RowGate), ONE),
    Case("cropped", "a crop by the training size", "TS102", *both(Cropped), IMAGE),
    Case("queue", "skips.pop(0)", "TS204", *both(Levels), IMAGE),
    Case("one_level_twice", "up1 called for up2", "TS203",
         lambda: Levels(True, shared=True), lambda: Levels(True), IMAGE),
    Case("anchored", "out = x + block(out)", "TS204", *both(Anchored), IMAGE),
    Case("bypassed", "zoharli/SRGAN-tensorflow#1", "TS107", *stack(Bypassed)),
    Case("rewired", "shaohua0116/Multiview2Novelview#11", "TS107", *stack(Rewired)),
    Case("corners", "align_corners=True in a pyramid", "TS303", *both(Corners), IMAGE),
)  # fmt: skip

CLEAN = (
    Clean("zero_convolutions", "ControlNet: the gradient comes in the second step", Control),
    Clean("recursion", "DRRN: one block whose every round adds to the input",
          lambda: Anchored(False, recursive=True)),
    Clean("dense_sum", "every block reads the sum of all results before it", DenseSum),
    Clean("dead_squeeze", "a hidden unit of a gate that starts dead", maker(DeadSqueeze)),
    Clean("constant_factor", "a constant as a tensor", maker(Multiplier)),
    Clean("survival", "rescaled in evaluation instead of training", maker(Survival)),
)  # fmt: skip
