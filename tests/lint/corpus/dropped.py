"""Results dropped by loops, blocks and gates, and layers that others stand in for."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, conv, pair


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(F.relu(x))


class RefinedInLoop(nn.Module):
    """The loop's variable is refined, and the list is not."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.down, self.mended = conv(4, 4, stride=2), mended
        self.units = nn.ModuleList([Residual(), Residual()])

    def forward(self, x: Tensor) -> Tensor:
        levels = [x, self.down(x)]
        for i, level in enumerate(levels):
            level = self.units[i](level)
            if self.mended:
                levels[i] = level
        return levels[0] + F.interpolate(levels[1], scale_factor=2)


class LayersOfInput(nn.Module):
    """Every layer of the loop reads the block's input: the last one alone counts."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList([conv(4, 4), nn.ReLU(), conv(4, 4), nn.InstanceNorm2d(4)])
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for layer in self.layers:
            out = layer(out if self.mended else x)
        return x + out


class BlockOfBlock(nn.Module):
    """The second block's activation reads the first block's sum."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.a, self.b, self.mended = conv(4, 4), conv(4, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        add_a = x + self.a(x)
        relu_a = F.relu(add_a)
        add_b = relu_a + self.b(relu_a)
        return F.relu(add_b if self.mended else add_a)


class Attention(nn.Module):
    """An attention that returns what it was given."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.value, self.out, self.mended = conv(4, 4, 1), conv(4, 4, 1), mended

    def forward(self, x: Tensor) -> Tensor:
        z = self.out(self.value(x).flatten(2).softmax(-1).view_as(x))
        return x + z if self.mended else x


class Excite(nn.Module):
    """The weights of a squeeze-and-excitation, computed and not multiplied by."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv, self.mended = conv(4, 4), mended
        self.fc = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(4, 4, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        weight = self.fc(y)
        return x + (y * weight if self.mended else y)


class DenseLast(nn.Module):
    """The last layer is returned in place of the concatenation that was just made."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.layers, self.mended = nn.ModuleList([conv(4, 4), conv(8, 4)]), mended
        self.out = conv(12 if mended else 4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = x
        for layer in self.layers:
            y = F.relu(layer(features))
            features = torch.cat([features, y], 1)
        return self.out(features if self.mended else y)


class Fused(nn.Module):
    """A convolution for the concatenation of two arms that are added."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.body, self.fuse, self.mended = conv(4, 4), conv(8, 4, 1), mended

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.body(x))
        return self.fuse(torch.cat([x, y], 1)) if self.mended else x + y


class StandsIn(nn.Module):
    """One decoder block runs on two levels and its twin on none."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.down1, self.down2 = conv(4, 4, stride=2), conv(4, 4, stride=2)
        self.up1, self.up2, self.mended = conv(8, 4), conv(8, 4), mended

    def forward(self, x: Tensor) -> Tensor:
        a = self.down1(x)
        y = self._join(self.up2, self.down2(a), a)
        return self._join(self.up1 if self.mended else self.up2, y, x)

    def _join(self, block: nn.Module, x: Tensor, skip: Tensor) -> Tensor:
        return block(torch.cat([F.interpolate(x, scale_factor=2), skip], 1))


CASES = (
    Case("refined_in_loop", "thomasjpfan/pytorch_refinenet#2", "TS107",
         *pair(RefinedInLoop, times=1)),
    Case("layers_of_input", "cyclomon/UNSB#29", "TS107", *pair(LayersOfInput)),
    Case("block_of_block", "XinArkh/VNect#13", "TS107", *pair(BlockOfBlock)),
    Case("returned_input", "gjylt/DoubleAttentionNet#5", "TS107", *pair(Attention)),
    Case("unused_gate", "a squeeze without its product", "TS107", *pair(Excite)),
    Case("dense_last", "taki0112/Densenet-Tensorflow#6, in a loop", "TS107", *pair(DenseLast)),
    Case("unused_fusion", "YishuLiu/TransAttUnet#3", "TS108", *pair(Fused)),
    Case("stands_in", "simonpf/quantnn PR 2", "TS108",
         lambda: StandsIn(False), lambda: StandsIn(True)),
)  # fmt: skip
