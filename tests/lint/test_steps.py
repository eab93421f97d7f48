"""Functions in steps on an arm of a skip, with and without an estimator of the gradient."""

import pytest
import torch
from net import Net, c1, c2, nested, seq
from torch import nn

from torchskip.lint.check import check


class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.sign(x)

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def rounded(x):
    return (x * 8).round() / 8


def findings(model, *shape):
    torch.manual_seed(0)
    return check(model, torch.zeros(shape or (2, 4, 8, 8)), select=["TS105"]).findings


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nested(Net(lambda s, x: s.b(s.a(torch.sign(x))) + x, a=c2(), b=nn.BatchNorm2d(4))), ()),
        (seq(c1(), Net(lambda s, x: x + s.a(rounded(x)), a=c1())), (2, 4, 8)),
        (Net(lambda s, x: x + s.b(torch.sign(s.a(x))), a=c2(), b=c2()), ()),
        (Net(lambda s, x: torch.cat([x, s.b(s.a(x).floor())], 1), a=c2(), b=c2()), ()),
    ],
)
def test_a_step_on_an_arm_is_named(model, shape):
    (finding,) = findings(model, *shape)
    assert finding.severity == "warning"
    assert finding.message.endswith("what stands before it learns through the other arm alone")


@pytest.mark.parametrize(
    "model",
    [
        nested(Net(lambda s, x: s.a(Sign.apply(x)) + x, a=c2())),
        nested(Net(lambda s, x: s.a(x + (torch.sign(x) - x).detach()) + x, a=c2())),
        nested(Net(lambda s, x: s.a(x.sign() * x.abs().add(1e-3).sqrt()) + x, a=c2())),
        nested(Net(lambda s, x: s.a(x - x.floor()) + x, a=c2())),
        nested(Net(lambda s, x: (x - x.floor()) * 2)),
        Net(lambda s, x: x + s.a(torch.sign(x)), a=c2()),
        seq(c2(), Net(lambda s, x: s.a(torch.sign(x)), a=c2())),
    ],
)
def test_a_step_with_an_estimator_or_beside_no_skip_is_fine(model):
    assert findings(model) == ()


class Binary(nn.Conv2d):
    """A convolution with weights of one bit: straight through, or without a gradient."""

    def __init__(self, how, bias=True):
        super().__init__(4, 4, 3, padding=1, bias=bias)
        self.how = how

    def forward(self, x):
        weight = {
            "sign": lambda w: w.sign(),
            "round": lambda w: (w * 127).round() / 127,
            "scaled": lambda w: w.abs().mean().detach() * torch.sign(w),
            "through": lambda w: w + (w.sign() - w).detach(),
            "function": Sign.apply,
            "learnt scale": lambda w: w.sign() * w.abs().mean((1, 2, 3), keepdim=True),
        }[self.how](self.weight)
        return nn.functional.conv2d(x, weight, self.bias, padding=1)


@pytest.mark.parametrize("how", ["sign", "round", "scaled"])
def test_weights_that_go_through_a_step_are_named(how):
    def forward(s, x):
        return x + s.a(s.n(x))

    blocks = [Net(forward, n=nn.BatchNorm2d(4), a=Binary(how, bias=b)) for b in (True, False)]
    named = findings(seq(c2(), *blocks, c2()))
    assert [f.severity for f in named] == ["warning"]
    assert named[0].message.startswith("'1.a.weight' of convolution in '1.a' goes through a")


@pytest.mark.parametrize("how", ["through", "function", "learnt scale"])
def test_weights_with_an_estimator_are_left_alone(how):
    assert not findings(seq(c2(), Net(lambda s, x: x + s.a(x), a=Binary(how)), c2()))


def test_frozen_and_silent_weights_are_left_alone():
    still = Binary("sign")
    still.weight.requires_grad_(False)
    silent = Net(lambda s, x: x + s.g * s.a(torch.sign(x)).relu(), a=c2())
    silent.g = nn.Parameter(torch.zeros(1))
    assert not findings(seq(c2(), Net(lambda s, x: x + s.a(x), a=still), c2()))
    assert not [f for f in findings(seq(c2(), silent, c2())) if "weight" in f.message]
