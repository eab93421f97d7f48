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
