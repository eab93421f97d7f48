"""Four blocks that run, train and are wrong: `torchskip check examples/silent.py`."""

import torch
from torch import nn
from torch.nn import functional as F


class OverwrittenShortcut(nn.Module):
    """The first ReLU works in place, so the shortcut is relu(x) and no longer x."""

    def __init__(self):
        super().__init__()
        self.branch = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(16, 16, 3, padding=1))

    def forward(self, x):
        """Return x + f(x), or so it seems."""
        return x + self.branch(x)


class AddedToItself(nn.Module):
    """The saved name was overwritten: this is 2 f(x)."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, padding=1)

    def forward(self, x):
        """Return x + f(x), or so it seems."""
        x = F.relu(self.conv(x))
        return x + x


class UnusedShortcut(nn.Module):
    """The projection is built and computed, and nothing reads it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(16, 32, 3, padding=1)
        self.downsample = nn.Conv2d(16, 32, 1)

    def forward(self, x):
        """Return proj(x) + f(x), or so it seems."""
        identity = self.downsample(x)  # noqa: F841 - the fault that is shown
        return F.relu(self.conv(x))


class WrongAxis(nn.Module):
    """Concatenated along the batch: twice the images, none the wiser."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(16, 16, 3, padding=1)

    def forward(self, x):
        """Return [x, f(x)], or so it seems."""
        return torch.cat([x, self.conv(x)])
