"""Blocks without a shortcut among equal blocks of one parent, most of which have one."""

import torch
from net import Net, c2, seq
from torch import nn

from torchskip.lint.evidence import Evidence
from torchskip.lint.promises.siblings import outdone

X = torch.zeros(2, 4, 8, 8)


class Block(nn.Module):
    def __init__(self, skip=True, width=4):
        super().__init__()
        self.conv, self.skip = c2(width, width), skip

    def forward(self, x):
        return x + self.conv(x) if self.skip else self.conv(x)


def found(model):
    blocks = Evidence(model, (X,), {}).blocks
    return [(block.path, within, equals) for block, within, equals in outdone(blocks)]


def test_one_of_three_without_is_outdone():
    assert found(seq(Block(), Block(False), Block())) == [("1", 2, 3)]


def test_one_of_two_is_not_and_neither_is_the_greater_part():
    assert found(seq(Block(), Block(False))) == []
    assert found(seq(Block(), Block(False), Block(False))) == []


def test_blocks_of_another_size_or_parent_are_no_equals():
    assert found(seq(Block(), Block(), c2(4, 8), Block(False, 8))) == []
    assert found(seq(seq(Block(), Block()), seq(Block(False)))) == []


def test_a_caller_that_adds_need_not_around_its_first_or_its_last():
    def run(net, x, start, end):
        for i, conv in enumerate(net.convs):
            x = x + conv(x) if start <= i < end else conv(x)
        return x

    def stack(start, end):
        convs = nn.ModuleList(c2() for _ in range(4))
        return Net(lambda net, x: run(net, x, start, end), convs=convs)

    assert found(stack(1, 4)) == found(stack(0, 3)) == []
    assert found(stack(0, 4)) == []
