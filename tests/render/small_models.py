"""Small models whose pictures can be checked by eye and by hand."""

import torch
from torch import Tensor, nn

HOSTILE = '</script><img src=x onerror=alert(1)>"&[red]\x1b[31m\u202e'


class Block(nn.Module):
    def __init__(self, channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1)
        self.down = nn.Conv2d(channels, width, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv2(self.relu(self.conv1(x))) + self.down(x))


class Residual(nn.Module):
    """Two stages of two blocks each."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.layer1 = nn.Sequential(Block(8, 8), Block(8, 8))
        self.layer2 = nn.Sequential(Block(8, 16, 2), Block(16, 16))
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer2(self.layer1(self.stem(x))).mean((2, 3)))


class Broken(nn.Module):
    """The second block's join fails: its branch has half the resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.good = Block(8, 8)
        self.bad = Block(8, 16, 2)
        self.bad.down = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.bad(self.good(self.stem(x)))


class Hostile(nn.Module):
    """A module name that attacks terminal and page; one join detached, one dead."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.conv = nn.Conv2d(8, 8, 3, padding=1)
        self.add_module(HOSTILE, nn.Conv2d(8, 8, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        kept = x.detach() + self.conv(x)
        _ = x + getattr(self, HOSTILE)(x)
        return kept * 2


class Loop(nn.Module):
    """One block called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Block(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = self.block(x)
        return x


class Hourglass(nn.Module):
    """Down twice and up twice, with a concatenation at both resolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.top = nn.Conv2d(3, 8, 3, padding=1)
        self.down1 = nn.Conv2d(8, 16, 3, 2, 1)
        self.down2 = nn.Conv2d(16, 32, 3, 2, 1)
        self.up1 = nn.ConvTranspose2d(32, 16, 2, 2)
        self.fuse1 = nn.Conv2d(32, 16, 3, padding=1)
        self.up2 = nn.ConvTranspose2d(16, 8, 2, 2)
        self.fuse2 = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        high = self.top(x)
        middle = self.down1(high)
        up = self.fuse1(torch.cat([self.up1(self.down2(middle)), middle], 1))
        return self.fuse2(torch.cat([self.up2(up), high], 1))
