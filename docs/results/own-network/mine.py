"""Two networks as anyone writes them, for `torchskip compare mine.py:Residual` and `:Plain`."""

from torch import Tensor, nn


class Block(nn.Module):
    """A residual block, written by hand: no torchskip in it."""

    def __init__(self, before: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or before != width:
            self.downsample = nn.Conv2d(before, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(x + f(x))."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.bn1(self.conv1(x)).relu()
        out = self.bn2(self.conv2(out))
        out += shortcut
        return out.relu()


class Residual(nn.Module):
    """41 weighted layers: a stem, three stages of six blocks, two projections, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        blocks, before = [], 8
        for width, stride in ((8, 1), (16, 2), (32, 2)):
            for number in range(6):
                blocks.append(Block(before, width, stride if number == 0 else 1))
                before = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return the class scores of images (N, 1, H, W)."""
        x = self.blocks(self.stem(x))
        return self.head(x.mean((2, 3)))


class Plain(nn.Sequential):
    """34 weighted layers, one after the other, without any skip."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        before = 1
        for width, stride in ((8, 1), (16, 2), (32, 2)):
            for number in range(11):
                down = stride if number == 0 else 1
                layers += [
                    nn.Conv2d(before, width, 3, down, padding=1, bias=False),
                    nn.BatchNorm2d(width),
                    nn.ReLU(),
                ]
                before = width
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
