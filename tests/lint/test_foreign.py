"""Modules that write into their caller's tensor by index, by mask, or over all of it."""

import pytest
import torch
from net import Net, c2, seq
from torch import nn

from torchskip.lint.check import check

IMAGE = torch.zeros(2, 4, 8, 8)


def part(x):
    x[:, :2] = torch.roll(x[:, :2], 1, -1)
    return x


def mask(x):
    x[x < 0] = 0
    return x


def fill(x):
    return x.masked_fill_(x < 0, 0.0)


def whole(x):
    x.copy_(torch.tanh(x))
    return x


class Over(torch.autograd.Function):
    """As in-place normalisations do: the result takes the place of the input."""

    @staticmethod
    def forward(ctx, x):
        x.copy_(x - x.mean())
        ctx.mark_dirty(x)
        return x

    @staticmethod
    def backward(ctx, grad):
        return grad - grad.mean()


WRITES = [part, mask, fill, whole, Over.apply]


def found(write, forward):
    writer = Net(lambda s, x: write(x))
    return check(seq(c2(), Net(forward, act=writer, a=c2())), IMAGE, select=["TS104"]).findings


@pytest.mark.parametrize("write", WRITES)
def test_the_caller_joins_what_was_written_over(write):
    (finding,) = found(write, lambda s, x: x + s.a(s.act(x)))
    assert "'1.act' overwrites the shortcut (2, 4, 8, 8)" in finding.message
    assert "the add gets what was written over it" in finding.message
    assert finding.mends[0].text.startswith("copy before writing in '1.act'")


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(
    "forward",
    [
        lambda s, x: (x := s.act(x)) + s.a(x),  # the shortcut is the result
        lambda s, x: x + s.a(s.act(x.clone())),
        lambda s, x: x.clone() + s.a(s.act(x)),
    ],
)
def test_a_result_or_a_copy_is_meant(write, forward):
    assert not found(write, forward)


def test_a_module_that_copies_first_writes_to_its_own():
    assert not found(lambda x: part(x.clone()), lambda s, x: x + s.a(s.act(x)))


def test_the_model_comes_back_without_hooks():
    model = seq(c2(), Net(lambda s, x: x + s.a(s.act(x)), act=Net(lambda s, x: part(x)), a=c2()))
    check(model, IMAGE, select=["TS104"])
    assert all(not m._forward_pre_hooks for m in model.modules())
    assert isinstance(model[1].act, nn.Module)
