"""Small networks that write their joins in every way, each with its plain form by hand."""

import random

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint


def conv(a=4, b=4, stride=1):
    return nn.Conv2d(a, b, 3, stride, padding=1)


class Block(nn.Module):
    """`shortcut(x)` and `f(x)` meet as `join` says; `plain` is what remains."""

    def __init__(self, join, plain):
        super().__init__()
        self.f = nn.Sequential(conv(), nn.BatchNorm2d(4), nn.ReLU(), conv())
        self.join, self.plain = join, plain

    def forward(self, x):
        return F.relu(self.join(x, self.f(x)))


def inplace_branch(x, y):
    y += x
    return y


def inplace_shortcut(x, y):
    z = x.clone()
    z += y
    return z


def into_slice(x, y):
    z = y.clone()
    z[:, :] += x
    return z


# name -> join, and what the join becomes
JOINS = {
    "operator": (lambda x, y: x + y, lambda y: y),
    "reversed": (lambda x, y: y + x, lambda y: y),
    "method": (lambda x, y: y.add(x), lambda y: y),
    "function": (lambda x, y: torch.add(x, y), lambda y: y),
    "keywords": (lambda x, y: torch.add(input=x, other=y), lambda y: y),
    "alpha": (lambda x, y: torch.add(x, y, alpha=0.5), lambda y: 0.5 * y),
    "scaled": (lambda x, y: x + 0.25 * y, lambda y: 0.25 * y),
    "minus": (lambda x, y: x - y, lambda y: -y),
    "inplace branch": (inplace_branch, lambda y: y),
    "inplace shortcut": (inplace_shortcut, lambda y: y),
    "slice": (into_slice, lambda y: y),
    "stack": (lambda x, y: torch.stack((x, y)).sum(0), lambda y: y),
    "stack mean": (lambda x, y: torch.stack([x, y], 1).mean(1), lambda y: 0.5 * y),
    "lerp": (lambda x, y: torch.lerp(x, y, 0.25), lambda y: 0.25 * y),
    "addcmul": (lambda x, y: torch.addcmul(x, y, torch.ones(1)), lambda y: y),
    "two": (lambda x, y: (x + y) + 2 * y, lambda y: 3 * y),
    "sum": (lambda x, y: sum((x, y)), lambda y: y),
    "normalised": (lambda x, y: (x + y) / 2, lambda y: 0.5 * y),
}


class Functional(nn.Module):
    """A whole network in one forward, weights as parameters, a projection among them."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Parameter(torch.randn(4, 3, 3, 3) / 5)
        self.weights = nn.ParameterList(nn.Parameter(torch.randn(4, 4, 3, 3) / 6) for _ in range(4))
        self.down = nn.Parameter(torch.randn(8, 4, 3, 3) / 6)
        self.up = nn.Parameter(torch.randn(8, 8, 3, 3) / 8)
        self.project = nn.Parameter(torch.randn(8, 4, 1, 1) / 2)

    def forward(self, x, skip=True):
        x = F.conv2d(x, self.stem, padding=1)
        for w in self.weights:
            y = F.conv2d(F.relu(x), w, padding=1)
            x = x + y if skip else y
        y = F.conv2d(F.relu(x), self.down, stride=2, padding=1)
        y = F.conv2d(F.relu(y), self.up, padding=1)
        x = F.conv2d(x, self.project, stride=2) + y if skip else y
        return x.mean((2, 3))


class Shared(nn.Module):
    """One block, called `times` times; its plain form differs by call."""

    def __init__(self, times=3):
        super().__init__()
        self.block, self.times = Residual(), times

    def forward(self, x):
        for _ in range(self.times):
            x = self.block(x)
        return x


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(conv(), nn.ReLU(), conv())

    def forward(self, x):
        return x + self.f(x)


class Checkpointed(nn.Module):
    def __init__(self, reentrant, bare=False):
        super().__init__()
        self.a, self.b = Residual(), Residual()
        self.reentrant, self.bare = reentrant, bare

    def forward(self, x):
        run = (lambda x: x + self.b.f(x)) if self.bare else self.b
        return checkpoint(run, self.a(x), use_reentrant=self.reentrant)


class Dynamic(nn.Module):
    """As many steps as the image has rows of eight."""

    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(conv(), nn.ReLU(), conv())

    def forward(self, x):
        for _ in range(x.shape[2] // 8):
            x = x + self.f(x)
        return x


class EarlyReturn(Residual):
    """Stochastic depth by return (Huang et al. 2016, as first written)."""

    def forward(self, x):
        if self.training and random.random() < 0.5:  # noqa: S311
            return x
        return super().forward(x)
