"""Lines that call functions in steps where autograd records them."""

import torch
from torch import nn

from torchskip.lint.probes.stepped import stepped


class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.sign()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class Steps(nn.Module):
    def forward(self, x):
        y = torch.sign(x)
        y = y + x.round_()
        y = y + Sign.apply(x)
        with torch.no_grad():
            y = y + x.floor()
        return y + x.detach().ceil() + x.sigmoid()


def test_the_lines_that_stop_a_gradient():
    first = Steps.forward.__code__.co_firstlineno
    found = stepped(Steps(), (torch.zeros(2, 3),), {})
    assert sorted(line - first for _, line in found) == [1, 2]


def test_a_model_that_fails_has_shown_what_ran():
    class Broken(nn.Module):
        def forward(self, x):
            x = x.sign()
            raise ValueError

    assert len(stepped(Broken(), (torch.zeros(2, 3),), {})) == 1
