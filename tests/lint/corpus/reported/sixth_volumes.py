"""Volumes and sequences: copies on the batch, rounds that forget, layers called twice."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Case, net


class LUConv(nn.Module):
    def __init__(self, c) -> None:
        super().__init__()
        self.prelu = nn.PReLU()
        self.conv = nn.Conv3d(c, c, 5, padding=2)
        self.bn1 = nn.BatchNorm3d(c)

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(self.bn1(self.conv(x)))


class InputTransition(nn.Module):
    def __init__(self, c, axis) -> None:
        super().__init__()
        self.c, self.axis = c, axis
        self.conv1, self.bn1 = nn.Conv3d(1, c, 5, padding=2), nn.BatchNorm3d(c)
        self.relu1 = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn1(self.conv1(x))
        copies = torch.cat([x] * self.c, self.axis)
        return self.relu1(torch.add(out, copies))


class DownTransition(nn.Module):
    def __init__(self, c, n) -> None:
        super().__init__()
        self.down_conv = nn.Conv3d(c, 2 * c, 2, stride=2)
        self.bn1, self.relu1, self.relu2 = nn.BatchNorm3d(2 * c), nn.PReLU(), nn.PReLU()
        self.ops = nn.Sequential(*(LUConv(2 * c) for _ in range(n)))

    def forward(self, x: Tensor) -> Tensor:
        down = self.relu1(self.bn1(self.down_conv(x)))
        return self.relu2(torch.add(self.ops(down), down))


class UpTransition(nn.Module):
    def __init__(self, a, b, n) -> None:
        super().__init__()
        self.up_conv = nn.ConvTranspose3d(a, b // 2, 2, stride=2)
        self.bn1, self.relu1, self.relu2 = nn.BatchNorm3d(b // 2), nn.PReLU(), nn.PReLU()
        self.ops = nn.Sequential(*(LUConv(b) for _ in range(n)))

    def forward(self, x: Tensor, skipx: Tensor) -> Tensor:
        out = self.relu1(self.bn1(self.up_conv(x)))
        xcat = torch.cat((out, skipx), 1)
        return self.relu2(torch.add(self.ops(xcat), xcat))


class VNet(nn.Module):
    def __init__(self, axis) -> None:
        super().__init__()
        self.in_tr = InputTransition(4, axis)
        self.down8, self.down16 = DownTransition(4, 1), DownTransition(8, 1)
        self.up16, self.up8 = UpTransition(16, 16, 1), UpTransition(16, 8, 1)
        self.out_tr = nn.Conv3d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        out4 = self.in_tr(x)
        out8 = self.down8(out4)
        out16 = self.down16(out8)
        out = self.up8(self.up16(out16, out8), out4)
        return self.out_tr(out)


class ResidualTCN(nn.Module):
    """Two dilated causal convolutions; a 1x1 convolution to match the widths."""

    def __init__(self, c, dilation, right, dropout=0.1) -> None:
        super().__init__()
        self.right, self.pad = right, 2 * dilation
        self.conv1 = nn.Conv1d(c, c, 3, dilation=dilation)
        self.conv2 = nn.Conv1d(c, c, 3, dilation=dilation)
        self.match = nn.Conv1d(c, c, 1)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        prev = x
        for layer in (self.conv1, self.conv2):
            x = self.drop(F.relu(layer(F.pad(x, (self.pad, 0)))))
        if self.right:
            prev = self.match(prev)
        else:
            x = self.match(x)
        return prev + x, x


class TCN(nn.Module):
    def __init__(self, right) -> None:
        super().__init__()
        self.first = nn.Conv1d(4, 8, 1)
        self.blocks = nn.ModuleList(ResidualTCN(8, 2**i, right) for i in range(3))
        self.last = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        skips = []
        for block in self.blocks:
            x, skip = block(x)
            skips.append(skip)
        x = F.relu(sum(skips))
        return self.last(x[:, :, -1])


class DilatedDense(nn.Module):
    def __init__(self, c, depth, right) -> None:
        super().__init__()
        self.depth, self.right = depth, right
        for i in range(depth):
            d = 2**i
            setattr(self, f"pad{i + 1}", nn.ConstantPad2d((1, 1, d, d), 0.0))
            setattr(self, f"conv{i + 1}", nn.Conv2d(c, c, 3, dilation=(d, 1)))
            setattr(self, f"norm{i + 1}", nn.InstanceNorm2d(c, affine=True))
            setattr(self, f"prelu{i + 1}", nn.PReLU(c))

    def forward(self, x: Tensor) -> Tensor:
        skip = x
        for i in range(self.depth):
            out = getattr(self, f"pad{i + 1}")(skip)
            out = getattr(self, f"conv{i + 1}")(out)
            out = getattr(self, f"norm{i + 1}")(out)
            out = getattr(self, f"prelu{i + 1}")(out)
            if self.right:
                skip = out
        return out


class CausalConv1d(nn.Module):
    def __init__(self, a, b, dilation) -> None:
        super().__init__()
        self.pad = dilation
        self.conv = nn.Conv1d(a, b, 2, dilation=dilation, padding=dilation)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)[:, :, : -self.pad]


class SnailDense(nn.Module):
    def __init__(self, a, filters, dilation, right) -> None:
        super().__init__()
        self.right = right
        self.casual_conv1 = CausalConv1d(a, filters, dilation)
        self.casual_conv2 = CausalConv1d(a, filters, dilation)

    def forward(self, x: Tensor) -> Tensor:
        tanh = torch.tanh(self.casual_conv1(x))
        gate = self.casual_conv2 if self.right else self.casual_conv1
        sigmoid = torch.sigmoid(gate(x))
        return torch.cat((x, tanh * sigmoid), dim=1)


def snail(right):
    return nn.Sequential(
        SnailDense(4, 6, 1, right),
        SnailDense(10, 6, 2, right),
        SnailDense(16, 6, 4, right),
        nn.Conv1d(22, 3, 1),
    )


class Res1d(nn.Module):
    def __init__(self, c) -> None:
        super().__init__()
        self.conv_in, self.conv_out = nn.Conv1d(c, c, 5, padding=2), nn.Conv1d(c, c, 5, padding=2)
        self.time_emb = nn.Linear(c, c)

    def forward(self, x: Tensor, temb: Tensor) -> Tensor:
        out = F.mish(self.conv_in(x)) + self.time_emb(F.mish(temb))[:, :, None]
        return F.mish(self.conv_out(out)) + x


class MidRes1d(nn.Module):
    def __init__(self, c, right) -> None:
        super().__init__()
        self.right = right
        self.resnets = nn.ModuleList(Res1d(c) for _ in range(2))
        self.upsample = None
        self.downsample = nn.Conv1d(c, c, 3, 2, 1)

    def forward(self, hidden: Tensor, temb: Tensor) -> Tensor:
        hidden = self.resnets[0](hidden, temb)
        for resnet in self.resnets[1:]:
            hidden = resnet(hidden, temb)
        if self.upsample:
            hidden = self.upsample(hidden)
        if self.downsample:
            if self.right:
                hidden = self.downsample(hidden)
            else:
                self.downsample = self.downsample(hidden)
        return hidden


CASES = (
    Case(
        "vnet_copies_stacked_on_the_batch",
        "mattmacy/vnet.pytorch#1",
        "TS103",
        lambda: VNet(0),
        lambda: VNet(1),
        ((1, 1, 8, 8, 8),),
    ),
    Case(
        "tcn_matching_conv_on_the_branch",
        "philipperemy/keras-tcn#45",
        "TS204",
        lambda: TCN(False),
        lambda: TCN(True),
        ((2, 4, 24),),
    ),
    Case(
        "every_round_reads_the_first",
        "dangf15/THLNet#1",
        "TS107",
        lambda: net(DilatedDense(4, 4, False)),
        lambda: net(DilatedDense(4, 4, True)),
        ((2, 4, 32, 16),),
    ),
    Case(
        "gate_computed_by_the_same_conv",
        "seujung/SNAIL-gluon#1",
        "TS203",
        lambda: snail(False),
        lambda: snail(True),
        ((2, 4, 16),),
    ),
    Case(
        "downsample_layer_overwritten",
        "huggingface/diffusers#10247",
        "TS100",
        lambda: MidRes1d(8, False),
        lambda: MidRes1d(8, True),
        ((2, 8, 16), (2, 8)),
    ),
)
