"""Stochastic depths built for a block that has no sum."""

import pytest
import torch
from net import c2, seq
from torch import nn

from torchskip.lint.check import check

IMAGE = torch.zeros(2, 4, 8, 8)


class DropConnect(nn.Module):
    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, x):
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        return x * torch.bernoulli(torch.full((x.shape[0], 1, 1, 1), keep)) / keep


class MBConv(nn.Module):
    """`skip` asks for the sum, which a gate inside does not replace."""

    def __init__(self, width, out, skip, rate=0.2):
        super().__init__()
        self.a, self.gate, self.b = c2(width, out), c2(out, out, 1), c2(out, out, 1)
        self.skip = skip and width == out
        self.drop = DropConnect(rate)

    def forward(self, x):
        y = self.a(x)
        y = self.b(y * torch.sigmoid(self.gate(y.mean((2, 3), keepdim=True))))
        return x + self.drop(y) if self.skip else y


class Around(nn.Module):
    """The caller adds, and drops with a stochastic depth of its own."""

    def __init__(self):
        super().__init__()
        self.body, self.drop = MBConv(4, 4, skip=False), DropConnect(0.2)

    def forward(self, x):
        return x + self.drop(self.body(x))


def found(*blocks):
    report = check(seq(c2(), *blocks, c2()), IMAGE, select=["TS201"])
    return [(f.code, f.module) for f in report.findings]


def test_a_block_that_drops_nothing_lacks_its_sum():
    assert found(MBConv(4, 4, skip=False)) == [("TS201", "1")]


@pytest.mark.parametrize(
    "block",
    [
        lambda: MBConv(4, 4, skip=True),
        lambda: seq(MBConv(4, 6, skip=True), c2(6, 4)),  # changes the width: no sum is possible
        lambda: MBConv(4, 4, skip=False, rate=0.0),  # was built to drop nothing
        Around,
    ],
)
def test_a_block_that_adds_or_was_not_meant_to_is_left_alone(block):
    assert found(block()) == []
