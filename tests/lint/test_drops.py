"""Stochastic depth that nothing goes around, and that evaluation draws, in several wirings."""

import pytest
import torch
from net import Net, c1, c2, nested, seq
from torch import nn

from torchskip.lint.check import check


def drop_path(x, training, rate=0.2):
    if not training:
        return x
    shape = (x.shape[0],) + (1,) * (x.ndim - 1)
    return x * torch.rand(shape).add(1 - rate).floor() / (1 - rate)


class StochasticDepth(nn.Module):
    def forward(self, x):
        return drop_path(x, self.training)


def coin(x):
    return x * (torch.tensor(1.0) if torch.rand(1) < 0.7 else torch.tensor(0.0))


def findings(model, *shape):
    torch.manual_seed(0)
    return check(model, torch.zeros(shape or (2, 4, 8, 8)), select=["TS111"]).findings


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (seq(c2(), Net(lambda s, x: drop_path(s.a(x), s.training), a=c2())), (2, 4, 8, 8)),
        (seq(c1(4, 8), StochasticDepth(), c1(8, 4)), (2, 4, 8)),
        (nested(seq(c2(4, 8, stride=2), nn.BatchNorm2d(8), StochasticDepth(), c2(8))), ()),
        (Net(lambda s, x: (y := s.d(s.a(x))) + s.b(y), a=c2(), b=c2(), d=StochasticDepth()), ()),
    ],
)
def test_a_value_that_nothing_goes_around_is_not_dropped(model, shape):
    (finding,) = findings(model, *shape)
    assert finding.message.endswith("which nothing goes around: a dropped sample goes on as zeros")


@pytest.mark.parametrize(
    "model",
    [
        Net(lambda s, x: x + drop_path(s.a(x), s.training), a=c2()),
        Net(lambda s, x: s.b(torch.cat([x, drop_path(s.a(x), s.training)], 1)), a=c2(), b=c2(8)),
        Net(lambda s, x: x + s.b(drop_path(s.a(x), s.training)), a=c2(), b=c2()),
        Net(lambda s, x: s.b(x) + drop_path(s.a(x), s.training), a=c2(), b=c2()),
        Net(lambda s, x: s.d(s.a(x).mean((2, 3))), a=c2(4, 1), d=nn.Dropout(0.5)),
    ],
)
def test_a_branch_is_dropped(model):
    assert findings(model) == ()


@pytest.mark.parametrize(
    "model",
    [
        Net(lambda s, x: x + coin(s.a(x)), a=c2()),
        nested(Net(lambda s, x: coin(s.a(x)) + x, a=c2())),
        Net(lambda s, x: x + s.a(x) * torch.bernoulli(torch.full((1,), 0.6)), a=c2()),
    ],
)
def test_evaluation_draws_no_coin_for_the_batch(model):
    (finding,) = findings(model)
    assert "drops in evaluation too: two passes on one input differ" in finding.message


@pytest.mark.parametrize(
    "model",
    [
        Net(lambda s, x: x + (coin(s.a(x)) if s.training else 0.7 * s.a(x)), a=c2()),
        Net(lambda s, x: x + s.a(x) * torch.tensor(0.7), a=c2()),
        Net(lambda s, x: x + s.a(x) * (1 + 0.1 * torch.rand(1)), a=c2()),
    ],
)
def test_a_coin_of_training_alone_and_other_factors_are_fine(model):
    assert findings(model) == ()
