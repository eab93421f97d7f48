"""A sixth set: networks that were asked about in public and are meant."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..case import Clean, conv


class DRRN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.input = conv(1, 8, bias=False)
        self.conv1, self.conv2 = conv(8, 8, bias=False), conv(8, 8, bias=False)
        self.output = conv(8, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        inputs = self.input(F.relu(x))
        out = inputs
        for _ in range(4):
            out = self.conv2(F.relu(self.conv1(F.relu(out))))
            out = torch.add(out, inputs)
        out = self.output(F.relu(out))
        return torch.add(out, residual)


class SelfAttention(nn.Module):
    def __init__(self, c) -> None:
        super().__init__()
        self.query, self.key, self.value = (
            nn.Conv2d(c, c // 2, 1),
            nn.Conv2d(c, c // 2, 1),
            nn.Conv2d(c, c, 1),
        )
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        q = self.query(x).view(b, -1, h * w).permute(0, 2, 1)
        energy = torch.bmm(q, self.key(x).view(b, -1, h * w))
        attention = torch.softmax(energy, dim=-1)
        out = torch.bmm(self.value(x).view(b, -1, h * w), attention.permute(0, 2, 1)).view(
            b, c, h, w
        )
        return x + self.gamma * out


class IntroBlock(nn.Module):
    """The sum comes before the last normalisation."""

    def __init__(self, a, b) -> None:
        super().__init__()
        self.conv_expand = nn.Conv2d(a, b, 1, bias=False) if a != b else None
        self.conv1, self.bn1 = conv(a, b, bias=False), nn.BatchNorm2d(b)
        self.conv2, self.bn2 = conv(b, b, bias=False), nn.BatchNorm2d(b)
        self.relu1, self.relu2 = nn.LeakyReLU(0.2, inplace=True), nn.LeakyReLU(0.2, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        identity_data = x if self.conv_expand is None else self.conv_expand(x)
        output = self.relu1(self.bn1(self.conv1(x)))
        output = self.conv2(output)
        return self.relu2(self.bn2(torch.add(output, identity_data)))


class N2V2(nn.Module):
    """A U-Net that leaves out its finest skip on purpose."""

    def __init__(self) -> None:
        super().__init__()
        self.enc = nn.ModuleList([conv(4, 6), conv(6, 8), conv(8, 12)])
        self.dec = nn.ModuleList([conv(12 + 8, 8), conv(8, 6)])
        self.pool, self.up = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)
        self.final = nn.Conv2d(6, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for layer in self.enc[:2]:
            x = F.relu(layer(x))
            skips.append(x)
            x = self.pool(x)
        x = F.relu(self.enc[2](x))
        for i, layer in enumerate(self.dec):
            x = self.up(x)
            if i == 0:
                x = torch.cat([x, skips[-1]], 1)
            x = F.relu(layer(x))
        return self.final(x)


class SinGANGenerator(nn.Module):
    """Unpadded layers on the noisy image; the clean image is cropped and added outside."""

    def __init__(self, c) -> None:
        super().__init__()
        self.head = self.block(3, c)
        self.body = nn.Sequential(self.block(c, c), self.block(c, c))
        self.tail = nn.Sequential(nn.Conv2d(c, 3, 3), nn.Tanh())

    @staticmethod
    def block(a, b):
        return nn.Sequential(nn.Conv2d(a, b, 3), nn.BatchNorm2d(b), nn.LeakyReLU(0.2, inplace=True))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        x = self.tail(self.body(self.head(x)))
        ind = int((y.shape[2] - x.shape[2]) / 2)
        y = y[:, :, ind : (y.shape[2] - ind), ind : (y.shape[3] - ind)]
        return x + y


class RunningDense(nn.Module):
    def __init__(self, n, a, growth) -> None:
        super().__init__()
        self.net = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(a + i * growth), nn.ReLU(), conv(a + i * growth, growth))
            for i in range(n)
        )

    def forward(self, x: Tensor) -> Tensor:
        for blk in self.net:
            y = blk(x)
            x = torch.cat((x, y), dim=1)
        return x


CLEAN = (
    Clean(
        "drrn_recursion",
        "jt827859032/DRRN-pytorch#1: one pair of convolutions, 25 rounds",
        DRRN,
        ((2, 1, 16, 16),),
    ),
    Clean(
        "sagan_gamma_zero",
        "avalonstrel/GatedConvolution_pytorch#36: gamma starts at zero and learns",
        lambda: nn.Sequential(conv(4, 8), nn.ReLU(), SelfAttention(8), conv(8, 4)),
    ),
    Clean(
        "introvae_sum_before_norm",
        "hhb072/IntroVAE#1",
        lambda: nn.Sequential(IntroBlock(4, 8), IntroBlock(8, 8)),
    ),
    Clean("n2v2_no_top_skip", "CAREamics/careamics PR 503: the finest skip is left out", N2V2),
    Clean(
        "singan_cropped_sum",
        "tamarott/SinGAN#48",
        lambda: SinGANGenerator(8),
        ((2, 3, 24, 24), (2, 3, 24, 24)),
    ),
    Clean(
        "running_dense_block",
        "ShusenTang/Dive-into-DL-PyTorch#123: x grows by every result",
        lambda: nn.Sequential(RunningDense(3, 4, 4), nn.BatchNorm2d(16), nn.Conv2d(16, 4, 1)),
    ),
)
