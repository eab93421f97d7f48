"""Dropouts of a whole sum in blocks whose other dropouts stand on the branch."""

import pytest
import torch
import torch.nn.functional as F
from net import Net, c2, seq
from torch import nn

from torchskip.lint.check import check

TOKENS, IMAGE = (2, 6, 8), (2, 4, 8, 8)


class Block(nn.Module):
    """Two pre-normalised halves; `first` and `second` say how each is dropped and added."""

    def __init__(self, first, second):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(8) for _ in range(2))
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))
        self.drops = nn.ModuleList(nn.Dropout(0.1) for _ in range(2))
        self.joins = first, second

    def forward(self, x):
        for norm, layer, drop, join in zip(
            self.norms, self.layers, self.drops, self.joins, strict=True
        ):
            x = join(drop, x, layer(norm(x)))
        return x


def branch(drop, x, y):
    return x + drop(y)


def whole(drop, x, y):
    return drop(x + y)


def after(drop, x, y):
    return x + F.relu(drop(y))


def image(first, second):
    def forward(s, x):
        x = first(s.d, x, s.a(x))
        return second(s.d, x, s.b(x))

    return Net(forward, a=c2(), b=c2(), d=nn.Dropout2d(0.1))


def found(model, shape):
    torch.manual_seed(0)
    return check(model, torch.zeros(shape), select=["TS111"]).findings


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (seq(nn.Linear(8, 8), Block(branch, whole), Block(branch, whole)), TOKENS),
        (seq(nn.Linear(8, 8), Block(branch, branch), Block(whole, branch)), TOKENS),
        (seq(c2(), image(whole, branch), c2()), IMAGE),
    ],
)
def test_one_dropout_of_the_sum_beside_those_of_branches_is_told(model, shape):
    (finding,) = found(model, shape)
    assert finding.severity == "warning"
    assert finding.message.startswith("the dropout zeroes numbers of the whole sum")


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (seq(nn.Linear(8, 8), Block(branch, branch), Block(branch, branch)), TOKENS),
        (seq(nn.Linear(8, 8), Block(whole, whole), Block(whole, whole)), TOKENS),  # one design
        (seq(nn.Linear(8, 8), Block(after, branch)), TOKENS),
        (seq(Net(lambda s, x: s.d(x + s.p(x)), d=nn.Dropout(0.1), p=nn.Linear(8, 8)),
             Block(branch, branch)), TOKENS),  # an embedding's, of another class
        (seq(c2(), Net(lambda s, x: x + s.d(s.i(x)), d=nn.Dropout(0.1),
                       i=Net(lambda s, x: x + s.a(x), a=c2()))), IMAGE),  # a branch with a sum
    ],
)  # fmt: skip
def test_designs_of_one_kind_are_left_alone(model, shape):
    assert not found(model, shape)
