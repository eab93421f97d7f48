"""Small scales on the shortcut, on sums in a row, and where they belong."""

import pytest
import torch
from net import Net, c2, seq
from torch import nn

from torchskip.lint.check import check

IMAGE, TOKENS = (2, 4, 8, 8), (2, 6, 8)


def number(join):
    """Four blocks without a normalisation, which scale by a number."""
    return seq(c2(), *(Net(lambda s, x: join(x, s.a(x)), a=c2()) for _ in range(4)), c2())


class Half(nn.Module):
    """A pre-normalised branch with a learnt scale, put where `join` says."""

    def __init__(self, join, start=1e-5):
        super().__init__()
        self.norm, self.layer, self.join = nn.LayerNorm(8), nn.Linear(8, 8), join
        self.gamma = nn.Parameter(start * torch.ones(8))

    def forward(self, x):
        return self.join(x, self.layer(self.norm(x)), self.gamma)


def learnt(join, start=1e-5):
    return seq(nn.Linear(8, 8), *(Half(join, start) for _ in range(3)))


def found(model, shape):
    return check(model, torch.zeros(shape), select=["TS202"]).findings


@pytest.mark.parametrize(
    ("model", "shape", "told"),
    [
        (number(lambda x, y: x * 0.1 + y), IMAGE, "0.1 scales the shortcut (2, 4, 8, 8)"),
        (number(lambda x, y: y + x / 5), IMAGE, "0.2 scales the shortcut"),
        (number(lambda x, y: torch.add(y, x, alpha=0.1)), IMAGE, "0.1 scales the shortcut"),
        (number(lambda x, y: (x + y) * 0.1), IMAGE, "0.1 scales the whole sum (2, 4, 8, 8)"),
        (learnt(lambda x, y, g: x * g + y), TOKENS, "'1.gamma' scales the shortcut (2, 6, 8)"),
        (learnt(lambda x, y, g: y + x * g, 0.0), TOKENS, "'1.gamma' scales the shortcut"),
        (learnt(lambda x, y, g: g * (x + y)), TOKENS, "'1.gamma' scales the whole sum (2, 6, 8)"),
    ],
)
def test_a_branch_s_scale_elsewhere_is_told(model, shape, told):
    (finding, *_) = found(model, shape)
    assert finding.severity == "warning"
    assert finding.message.startswith(told)


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (number(lambda x, y: x + 0.1 * y), IMAGE),
        (number(lambda x, y: torch.add(x, y, alpha=0.1)), IMAGE),
        (number(lambda x, y: 0.1 * x + 0.9 * y), IMAGE),  # a step between the two
        (number(lambda x, y: (x + y) * 0.7), IMAGE),
        (number(lambda x, y: (x + y + y.relu() + x.relu()) / 4), IMAGE),  # a mean
        (learnt(lambda x, y, g: x + g * y), TOKENS),
        (learnt(lambda x, y, g: x * g + y, 1.0), TOKENS),
        (learnt(lambda x, y, g: g * x + (1 - g) * y), TOKENS),
        (learnt(lambda x, y, g: x + g * (y + x.relu())), TOKENS),
        (learnt(lambda x, y, g: x + g * (y + y.relu().add(y))), TOKENS),
    ],
)
def test_scales_of_the_branch_and_of_both_arms_are_left_alone(model, shape):
    assert not found(model, shape)


def test_the_sum_of_a_branch_s_own_block_may_be_scaled():
    """A residual block inside a branch: its scale is the outer branch's."""

    def forward(s, x):
        y = s.a(x)
        return x + s.gamma * (y + s.b(y))

    blocks = [Net(forward, a=c2(), b=c2()) for _ in range(3)]
    for block in blocks:
        block.gamma = nn.Parameter(torch.zeros(1))
    assert not found(seq(c2(), *blocks), IMAGE)
