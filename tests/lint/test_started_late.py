"""Shortcuts that start behind a block's first layer, where its like start at the input."""

import pytest
import torch
from net import c1, c2, seq
from torch import nn
from torch.nn import functional as F

from torchskip.lint.check import check


class Unit(nn.Module):
    """Projects its input where the width changes, and else adds what its first layer made."""

    def __init__(self, a, b, conv=c2):
        super().__init__()
        self.first, self.second = conv(a, b), conv(b, b)
        self.project = conv(a, b, 1) if a != b else None

    def forward(self, x):
        y = F.relu(self.first(x))
        identity = y if self.project is None else self.project(x)
        return F.relu(self.second(y) + identity)


class Whole(Unit):
    def forward(self, x):
        y = F.relu(self.first(x))
        identity = x if self.project is None else self.project(x)
        return F.relu(self.second(y) + identity)


class Stem(nn.Module):
    """Every one of its kind begins with a layer of its own."""

    def __init__(self, a, b):
        super().__init__()
        self.enter, self.body = c2(a, b), c2(b, b)

    def forward(self, x):
        x = self.enter(x)
        return x + self.body(x)


class Run(nn.Module):
    """Bypasses its last two layers, however many it has."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            if i == len(self.layers) - 2:
                start = x
            x = layer(x)
        return start + x


def findings(model, shape=(2, 4, 8, 8)):
    return check(model, torch.zeros(shape), select=["TS204"]).findings


@pytest.mark.parametrize(
    ("model", "shape", "path"),
    [
        (seq(Unit(4, 6), Unit(6, 6)), (2, 4, 8, 8), "1"),
        (seq(c1(), Unit(4, 4, c1), Unit(4, 6, c1)), (2, 4, 9), "1"),
    ],
)
def test_a_block_whose_like_starts_at_the_input_starts_late(model, shape, path):
    (finding,) = findings(model, shape)
    assert finding.module == path
    assert finding.message.startswith("the shortcut of Unit starts behind convolution")


@pytest.mark.parametrize(
    "model",
    [
        seq(Whole(4, 6), Whole(6, 6)),
        seq(Unit(4, 4), Unit(4, 4)),  # nothing says that another start was meant
        seq(Stem(4, 6), Stem(6, 6)),
        seq(Run(c2(4, 4), c2(4, 6), c2(6, 4)), Run(c2(4, 6), c2(6, 4))),  # both bypass two
    ],
)
def test_blocks_that_start_where_their_like_do_are_left_alone(model):
    assert not findings(model)
