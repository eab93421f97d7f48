"""Results that nothing reads, and layers that nothing calls."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, conv
from .sums import TOKENS, Attention, blocks, both

SERIES = ((2, 4, 24),)


class NovelView(nn.Module):
    """The second convolution reads the block's input again."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.res1, self.res2, self.mended = conv(4, 4), conv(4, 4), mended

    def forward(self, inputs: Tensor) -> Tensor:
        h = F.leaky_relu(self.res1(inputs))
        h = self.res2(h if self.mended else inputs)
        return F.leaky_relu(h + inputs)


class ResNeXtStage(nn.Module):
    """The stage returns its last branch instead of the last sum."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.splits = nn.ModuleList(conv(4, 4, groups=2) for _ in range(3))
        self.transition = nn.ModuleList(
            nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)) for _ in range(3)
        )
        self.mended = mended

    def forward(self, input_x: Tensor) -> Tensor:
        for split, transition in zip(self.splits, self.transition, strict=True):
            x = transition(F.relu(split(input_x)))
            input_x = F.relu(x + input_x)
        return input_x if self.mended else x


class PeleeLayer(nn.Module):
    """A two-way dense layer in which one of three convolutions is left out by a name."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.branch1a, self.branch1b = nn.Conv2d(4, 4, 1), conv(4, 2)
        self.branch2a, self.branch2b, self.branch2c = nn.Conv2d(4, 4, 1), conv(4, 4), conv(4, 2)
        self.squeeze, self.mended = nn.Conv2d(8, 4, 1), mended

    def forward(self, x: Tensor) -> Tensor:
        out1 = self.branch1b(self.branch1a(x))
        out2 = self.branch2a(x)
        out3 = self.branch2b(out2)
        out2 = self.branch2c(out3 if self.mended else out2)
        return self.squeeze(torch.cat([x, out1, out2], dim=1))


class WideDropout(nn.Module):
    """Dropout is given the block's input, so the first convolution is lost."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(4), conv(4, 4)
        self.bn2, self.conv2 = nn.BatchNorm2d(4), conv(4, 4)
        self.dropout, self.mended = nn.Dropout(0.3), mended

    def forward(self, x: Tensor) -> Tensor:
        x_res = self.conv1(F.relu(self.bn1(x)))
        x_res = self.dropout(x_res if self.mended else x)
        x_res = self.conv2(F.relu(self.bn2(x_res)))
        return x + x_res


class EnhanceTower(nn.Module):
    """Every block's sum goes to a dict; the next block reads the branch."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.names, self.mended = ("enc", "mid", "dec"), mended
        self.layers = nn.ModuleDict({n: nn.Sequential(conv(4, 4), nn.PReLU()) for n in self.names})

    def forward(self, x: Tensor) -> Tensor:
        network: dict[str, Tensor] = {}
        for name in self.names:
            branch = self.layers[name](x)
            network[name] = x + branch
            x = network[name] if self.mended else branch
        return x


class FuseReset(nn.Module):
    """The running sum of a fusion is set to zero in every round."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(4, 4, 3, 2**i, 1) for i in range(3))
        self.mix = nn.ModuleList(nn.Sequential(conv(4, 4, 1), nn.BatchNorm2d(4)) for _ in range(3))
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        maps = [branch(x) for branch in self.branches]
        fuse: Tensor | int = 0
        for mix, value in zip(self.mix, maps, strict=True):
            if not self.mended:
                fuse = 0
            fuse = fuse + F.interpolate(mix(value), size=size)
        return F.relu(fuse)  # type: ignore[arg-type]


class Hourglass(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up1, self.low = conv(4, 4), nn.Sequential(nn.MaxPool2d(2), conv(4, 4), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.up1(x) + F.interpolate(self.low(x), size=x.shape[2:])


class StackedHourglass(nn.Module):
    """Each stage adds the first stage's features again."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.stacks = nn.ModuleList(Hourglass() for _ in range(3))
        self.features = nn.ModuleList(conv(4, 4, 1) for _ in range(3))
        self.heads = nn.ModuleList(conv(4, 2, 1) for _ in range(3))
        self.back = nn.ModuleList(conv(2, 4, 1) for _ in range(2))
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        ll, outs = [], []
        for i, (stack, head) in enumerate(zip(self.stacks, self.heads, strict=True)):
            hidden = stack(x)
            ll.append(self.features[i](hidden))
            outs.append(head(ll[i]))
            if i < 2:
                x = x + self.back[i](outs[i]) + ll[i if self.mended else 0]
        return torch.stack(outs, 1)


class WaveTotal(nn.Module):
    """The skips are collected, and the sum is taken over the last layer's output."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.filters = nn.ModuleList(nn.Conv1d(4, 4, 2, dilation=2**i) for i in range(3))
        self.skips = nn.ModuleList(nn.Conv1d(4, 4, 1) for _ in range(3))
        self.post, self.mended = nn.Conv1d(4, 3, 1), mended

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for i, layer in enumerate(self.filters):
            out = torch.tanh(layer(F.pad(x, (2**i, 0))))
            outputs.append(self.skips[i](out))
            x = x + out
        total = sum(outputs) if self.mended else x
        return self.post(F.relu(total))  # type: ignore[arg-type]


class UniWave(nn.Module):
    """The loop over a list of layers starts at the second."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv1d(4, 4, 3, padding=1) for _ in range(4))
        self.start = 0 if mended else 1

    def forward(self, x: Tensor) -> Tensor:
        for i in range(self.start, len(self.layers)):
            x = x + torch.tanh(self.layers[i](x))
        return x


class Classifier(nn.Module):
    """A `return` stands in the loop over the dilated branches."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv2d_list = nn.ModuleList(
            nn.Conv2d(4, 4, 3, padding=d, dilation=d) for d in (1, 2, 3, 4)
        )
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2d_list[0](x)
        for i in range(len(self.conv2d_list) - 1):
            out = out + self.conv2d_list[i + 1](x)
            if not self.mended:
                return out
        return out


class ResNet18Block(nn.Module):
    """The basic block of a port in which the sum was forgotten."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(4, 4), nn.BatchNorm2d(4)
        self.conv2, self.bn2, self.mended = conv(4, 4), nn.BatchNorm2d(4), mended

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.mended:
            out = out + x
        return F.relu(out)


class AudioTransformer(nn.Module):
    """Of three sublayers, the cross-attention is the one without `+ x`."""

    def __init__(self, mended: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList([Attention(), Attention(), nn.Sequential(nn.Linear(8, 8), nn.GELU())])
            for _ in range(2)
        )
        self.mended = mended

    def forward(self, x: Tensor) -> Tensor:
        for attn, cross_attn, ff in self.layers:  # type: ignore[misc]
            x = attn(x) + x
            x = cross_attn(x) + x if self.mended else cross_attn(x)
            x = ff(x) + x
        return x


CASES = (
    Case("novel-view", "shaohua0116/Multiview2Novelview#11", "TS107", *blocks(NovelView)),
    Case("resnext-stage", "taki0112/ResNeXt-Tensorflow#4", "TS107", *blocks(ResNeXtStage)),
    Case("pelee-names", "yxlijun/Pelee.Pytorch pull request 13", "TS107", *blocks(PeleeLayer)),
    Case("wide-dropout", "hypnopump/keras-wrn pull request 2", "TS107", *blocks(WideDropout)),
    Case("enhance-dict", "alexjc/neural-enhance#103", "TS107", *blocks(EnhanceTower)),
    Case("fuse-reset", "AI-Chen/HRNet-V2#2", "TS107", *blocks(FuseReset)),
    Case("stacked-first", "wbenbihi/hourglasstensorflow#30", "TS106", *both(StackedHourglass)),
    Case("wave-total", "ibab/tensorflow-wavenet pull request 5", "TS107", *both(WaveTotal), SERIES),
    Case("uni-wave", "dhgrs/pytorch-UniWaveNet pull request 6", "TS108", *both(UniWave), SERIES),
    Case("loop-return", "wasidennis/AdaptSegNet#60", "TS108", *blocks(Classifier)),
    Case("delira", "delira-dev/delira#91", "TS201", *blocks(ResNet18Block)),
    Case("audio-cross", "lucidrains/audiolm-pytorch#150", "TS201", *both(AudioTransformer), TOKENS),
)
