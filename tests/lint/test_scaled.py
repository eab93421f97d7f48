"""Sums of a value with a product of it, whose gate holds a one already."""

import pytest
import torch
from net import Net, c2, seq

from torchskip.lint.check import check

IMAGE = torch.zeros(2, 4, 8, 8)


def found(forward):
    block = Net(forward, a=c2())
    return check(seq(c2(), block), IMAGE, select=["TS106"]).findings


@pytest.mark.parametrize(
    "forward",
    [
        lambda s, x: x + x * (1 + torch.sigmoid(s.a(x))),
        lambda s, x: (torch.tanh(s.a(x.mean((2, 3), keepdim=True))) + 1).expand_as(x) * x + x,
        lambda s, x: x + (1 + s.a(x)).mul(x),
    ],
)
def test_the_product_holds_the_shortcut_already(forward):
    (finding,) = found(forward)
    assert finding.severity == "warning"
    assert "the result is 2x the shortcut" in finding.message


@pytest.mark.parametrize(
    "forward",
    [
        lambda s, x: x * (1 + torch.sigmoid(s.a(x))),
        lambda s, x: x + x * torch.sigmoid(s.a(x)),
        lambda s, x: x + s.a(x) * (1 + torch.sigmoid(s.a(x))),  # the branch is gated
        lambda s, x: x + x * (torch.sigmoid(s.a(x)) - 1),
    ],
)
def test_gates_of_the_branch_or_without_a_one_are_left_alone(forward):
    assert not found(forward)
