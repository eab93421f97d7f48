"""Stochastic depth that nothing goes around, and that evaluation draws, in several wirings."""

import pytest
import torch
from net import Net, c1, c2, nested, seq
from torch import nn
from torch.nn import functional as F

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


class DropPath(nn.Module):
    def __init__(self, function, rate=0.2):
        super().__init__()
        self.function, self.rate = function, rate

    def forward(self, x):
        return self.function(x, self)


def forgets(x, path, training=False):
    return drop_path(x, training, path.rate)


def per_batch(x, path):
    return x / (1 - path.rate) if torch.rand(()) < 1 - path.rate else 0 * x


def rarely(x, path):
    return x if torch.rand(()) < 0.9 else 0 * x


def test_a_stochastic_depth_that_hands_its_input_on_is_named():
    (finding,) = findings(Net(lambda s, x: x + s.d(s.a(x)), a=c2(), d=DropPath(forgets)))
    assert finding.message == (
        "'d' (DropPath of 0.2) hands its input on in training too: the branch is never dropped"
    )


@pytest.mark.parametrize(
    "path",
    [
        DropPath(lambda x, p: drop_path(x, p.training, p.rate)),
        DropPath(forgets, rate=0.0),
        DropPath(lambda x, p: per_batch(x, p) if p.training else x),
        DropPath(lambda x, p: rarely(x, p) if p.training else x),
    ],
)
def test_a_stochastic_depth_that_drops_now_and_then_is_fine(path):
    told = "hands its input on"
    model = Net(lambda s, x: x + s.d(s.a(x)), a=c2(), d=path)
    assert not any(told in finding.message for finding in findings(model))


@pytest.mark.parametrize(
    "model",
    [
        Net(lambda s, x: x + s.b(F.dropout(s.a(x), 0.3)), a=c2(), b=c2()),
        Net(lambda s, x: x + F.dropout(s.a(x), 0.3), a=c2()),
        Net(lambda s, x: x + nn.Dropout(0.3)(s.a(x)), a=c2()),
        nested(Net(lambda s, x: F.dropout2d(s.a(x).relu(), 0.3) + x, a=c2())),
    ],
)
def test_a_dropout_that_evaluation_draws_is_named(model):
    (finding,) = findings(model)
    assert finding.message.startswith("the dropout (2, 4, ")
    assert "drops in evaluation too" in finding.message


@pytest.mark.parametrize(
    "model",
    [
        Net(lambda s, x: x + s.b(F.dropout(s.a(x), 0.3, s.training)), a=c2(), b=c2()),
        Net(lambda s, x: x + s.d(s.a(x)), a=c2(), d=nn.Dropout(0.3)),
        Net(lambda s, x: F.dropout(x + s.a(x), 0.3), a=c2()),
        Net(lambda s, x: x + s.a(x) * (1 + 0.1 * torch.rand_like(x)), a=c2()),
    ],
)
def test_a_dropout_of_training_and_one_outside_the_branch_are_fine(model):
    assert findings(model) == ()


def test_one_of_two_is_called_for_both():
    def path():
        return DropPath(lambda x, p: drop_path(x, p.training, p.rate), rate=0.1)

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = c2(), c2()
            self.drop_path1, self.drop_path2 = path(), path()

        def forward(self, x):
            x = x + self.drop_path1(self.a(x))
            return x + self.drop_path1(self.b(x))

    (finding,) = findings(Twice())
    assert finding.message == (
        "'drop_path2' (DropPath of 0.1) never runs: 'drop_path1' runs in its place"
    )
    (mend,) = finding.mends
    assert mend.text == "call it on its branch, before the join: `self.drop_path2(branch)`"


class AxesDropPath(nn.Module):
    """A mask of so many axes, whatever it is given."""

    def __init__(self, axes):
        super().__init__()
        self.axes = axes

    def forward(self, x):
        if not self.training:
            return x
        shape = (x.shape[0],) + (1,) * (self.axes - 1)
        return x * torch.rand(shape).add(0.8).floor() / 0.8


@pytest.mark.parametrize(
    ("axes", "shape", "end"),
    [
        (4, (2, 6, 4), "holds every sample under the number of each"),
        (5, (2, 4, 8, 8), "holds every sample under the number of each"),
        (3, (2, 4, 8, 8), "its numbers stand on another axis than the samples"),
        (2, (2, 6, 4), "its numbers stand on another axis than the samples"),
    ],
)
def test_a_mask_has_the_axes_of_what_it_masks(axes, shape, end):
    layer = nn.Linear(4, 4) if len(shape) == 3 else c2()
    (finding,) = findings(Net(lambda s, x: x + s.d(s.a(x)), a=layer, d=AxesDropPath(axes)), *shape)
    assert finding.severity == "error"
    assert finding.message.endswith(end)
    assert finding.mends[0].text.startswith("give the mask as many axes")


@pytest.mark.parametrize(("axes", "shape"), [(3, (2, 6, 4)), (4, (2, 4, 8, 8))])
def test_a_mask_of_the_same_axes_is_meant(axes, shape):
    layer = nn.Linear(4, 4) if len(shape) == 3 else c2()
    assert findings(Net(lambda s, x: x + s.d(s.a(x)), a=layer, d=AxesDropPath(axes)), *shape) == ()


def test_a_tensor_of_too_many_axes_is_no_refusal_of_the_example():
    model = Net(lambda s, x: s.b(x + s.d(s.a(x))), a=c2(), d=AxesDropPath(5), b=Unpacking())
    found = check(model, torch.zeros(2, 4, 8, 8), select=["TS100"]).findings
    assert [f.severity for f in found] == ["warning"]


class Unpacking(nn.Module):
    def forward(self, x):
        n, c, h, w = x.shape
        return x.view(n, c, h * w)
