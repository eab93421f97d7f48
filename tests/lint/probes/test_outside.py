"""Lines that read a tensor made of the input, without a way back to it."""

import pytest
import torch
from torch import nn

from torchskip.lint.probes.outside import outside


class Sum(nn.Module):
    def __init__(self, arm):
        super().__init__()
        self.conv, self.arm = nn.Conv1d(2, 2, 3, padding=1), arm

    def forward(self, x):
        other = self.arm(x)
        return self.conv(x) + other  # the line


def lines(arm):
    found = outside(Sum(arm), (torch.zeros(1, 2, 6),), {})
    sum_at = Sum.forward.__code__.co_firstlineno + 2
    return {line for file, line in found if file == __file__} & {sum_at}


@pytest.mark.parametrize(
    "arm",
    [
        lambda x: torch.from_numpy(x.detach().numpy()),
        lambda x: torch.tensor(x.tolist()),
        lambda x: x.detach(),
    ],
)
def test_an_arm_that_follows_the_input_is_found(arm):
    assert lines(arm)


@pytest.mark.parametrize(
    "arm",
    [
        lambda x: x,
        lambda x: torch.ones(1, 2, 6),
        lambda x: torch.rand(1, 2, 6),
        lambda x: torch.tensor(float(x.shape[-1])),
    ],
)
def test_its_neighbours_are_not(arm):
    assert not lines(arm)


def test_a_model_that_fails_shows_nothing():
    assert outside(Sum(lambda x: x[:, :, :3]), (torch.zeros(1, 2, 6),), {}) == frozenset()
