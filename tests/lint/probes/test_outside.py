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


def filled(made, x):
    for i, number in enumerate(x[0, 0].tolist()):
        made[0, 0, i] = number
    return made


def assigned(made, x):
    made[:, 1] = x[:, 0]
    return made


def lines(arm):
    found = outside(Sum(arm), (torch.zeros(1, 2, 6),), {})
    sum_at = Sum.forward.__code__.co_firstlineno + 2
    return {line for file, line in found if file == __file__} & {sum_at}


@pytest.mark.parametrize(
    "arm",
    [
        lambda x: torch.from_numpy(x.detach().numpy()),
        lambda x: torch.tensor(x.tolist()),
        lambda x: torch.from_numpy(x.detach().numpy()).to(x),
        lambda x: torch.from_numpy(x.detach().numpy()).view_as(x) * 2,
        lambda x: x.new_tensor(x.tolist()),
        lambda x: filled(x.new_zeros(1, 2, 6), x),
        lambda x: filled(torch.zeros_like(x), x),
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
        lambda x: x.detach(),  # the graph shows these
        lambda x: x.detach().to(torch.float64).float() * 2 - 1,
        lambda x: assigned(torch.zeros(1, 2, 6), x.detach()),
        lambda x: torch.zeros(1, 2, 6).copy_(x.data),
    ],
)
def test_its_neighbours_are_not(arm):
    assert not lines(arm)


def test_a_number_of_rows_that_follows_the_input_is_not():
    class Boxes(nn.Module):
        def forward(self, x):
            found = x[0, 0][x[0, 0] > 0][:, None]
            return torch.cat([torch.full((len(found), 1), 3.0), found], 1)

    assert outside(Boxes(), (torch.zeros(1, 2, 96),), {}) == frozenset()


def test_a_model_that_fails_shows_nothing():
    assert outside(Sum(lambda x: x[:, :, :3]), (torch.zeros(1, 2, 6),), {}) == frozenset()
