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


@pytest.mark.parametrize(
    ("forward", "times"),
    [
        (lambda s, x: 0.5 * (y := s.a(x)) + 0.5 * y, "1x"),
        (lambda s, x: (y := s.a(x)) / 4 + (y * 0.5).clone(), "0.75x"),
        (lambda s, x: torch.add(y := s.a(x), y, alpha=0.5), "1.5x"),
        (lambda s, x: torch.stack([y := s.a(x), y, y], 1).mean(1), "1x"),
    ],
)
def test_parts_of_one_value_are_no_branch_and_no_shortcut(forward, times):
    (finding,) = found(forward)
    assert finding.severity == "warning"
    assert f"the result is {times} it and no branch takes part" in finding.message


@pytest.mark.parametrize(
    "forward",
    [
        lambda s, x: 0.5 * s.a(x) + 0.5 * x,
        lambda s, x: 0.1 * (y := s.a(x)) + 0.9 * y.detach(),  # a scaled gradient
        lambda s, x: (y := s.a(x)) - 0.5 * y,
        lambda s, x: torch.stack([s.a(x), x]).mean(0),
        lambda s, x: torch.stack([y := s.a(x), y]).mean(1) + x.mean(0),  # over the batch
        lambda s, x: s.a(0.5 * x + x.flip(3) * 0.5),
    ],
)
def test_parts_of_two_values_and_scaled_gradients_are_left_alone(forward):
    assert not found(forward)


def test_the_builtin_sum_begins_with_a_zero():
    (finding,) = found(lambda s, x: sum([y := s.a(x), y]))
    assert "a value is added to itself" in finding.message
    assert not found(lambda s, x: sum([s.a(x), x]))
