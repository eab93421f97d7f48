"""Residual blocks whose layers run in a row without the block, and lists that are meant so."""

import pytest
import torch
import torch.nn.functional as F
from net import Net, c2, seq
from torch import nn

from torchskip.lint.check import check

IMAGE = (2, 4, 8, 8)


class Block(nn.Module):
    def __init__(self, adds=True):
        super().__init__()
        self.a, self.norm, self.b, self.relu = c2(), nn.BatchNorm2d(4), c2(), nn.ReLU()

    def forward(self, x):
        return self.relu(x + self.b(self.relu(self.norm(self.a(x)))))


class Plain(Block):
    def forward(self, x):
        return self.relu(self.b(self.relu(self.norm(self.a(x)))))


class Opened(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.body, self.head = c2(), nn.Sequential(*Block().children()), c2()

    def forward(self, x):
        return self.head(self.body(self.stem(x)))


class OpenedByName(Opened):
    def __init__(self):
        super().__init__()
        block = Block()
        layers = list(block.children())[:-1]
        self.body = nn.Sequential(*layers)


class OpenedInAList(Opened):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(*[nn.Sequential(*Block().children()) for _ in range(2)])


class OpenedLoop(Opened):
    def __init__(self):
        super().__init__()
        self.body = nn.ModuleList(Block().children())

    def forward(self, x):
        x = self.stem(x)
        for layer in self.body:
            x = layer(x)
        return self.head(x)


class OpenedPlain(Opened):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(*Plain().children())


class OpenedBranch(Opened):
    """The children are a branch: the sum is written beside them."""

    def forward(self, x):
        x = self.stem(x)
        return self.head(x + self.body(x))


class OpenedOuter(Opened):
    """The parts of a list of blocks, each of which is whole."""

    def __init__(self):
        super().__init__()
        whole = seq(Block(), Block())
        self.body = nn.Sequential(*list(whole.children())[:1])


def found(model):
    return check(model, torch.zeros(IMAGE), select=["TS201"]).findings


@pytest.mark.parametrize("kind", [Opened, OpenedByName, OpenedInAList, OpenedLoop])
def test_the_children_of_a_residual_block_lack_its_sum(kind):
    (finding,) = found(kind())
    assert finding.module == "body"
    assert finding.message.startswith("'body' holds the layers of a Block")
    assert "Block" in finding.source.text or finding.source.line


@pytest.mark.parametrize("kind", [OpenedPlain, OpenedBranch, OpenedOuter])
def test_other_lists_of_children_are_left_alone(kind):
    assert not found(kind())


@pytest.mark.parametrize(
    "model",
    [
        seq(c2(), Block(), seq(*Block().children()), c2()),
        seq(c2(), seq(*list(Block().children())[:-1]), Block(), c2()),
        seq(c2(), seq(Block(), seq(*Block().children())), c2()),
    ],
)
def test_a_list_of_the_layers_of_a_whole_block_of_the_model_is_told(model):
    (finding,) = found(model)
    assert "holds the layers of a Block" in finding.message


@pytest.mark.parametrize(
    "model",
    [
        seq(c2(), Block(), seq(c2(), nn.BatchNorm2d(4), nn.ReLU(), c2()), c2()),
        seq(c2(), Block(), seq(c2(), nn.BatchNorm2d(4)), c2()),
        seq(c2(), Block(), Net(lambda s, x: x + s.f(x), f=seq(*Block().children())), c2()),
        seq(c2(), Plain(), seq(*Plain().children()), c2()),
    ],
)
def test_other_lists_beside_whole_blocks_are_left_alone(model):
    assert not found(model)


class Halved(nn.Module):
    def __init__(self, tail):
        super().__init__()
        self.stem, self.block, self.tail = c2(), Block(), tail

    def forward(self, x):
        block, x = self.block, self.stem(x)
        return self.tail(F.relu(block.norm(block.a(x))))


def test_half_of_a_block_that_the_network_goes_on_from_is_told():
    (finding,) = found(Halved(c2()))
    assert finding.module == "block"
    assert not found(Halved(nn.Identity()))  # features are taken out of the middle of a block
