"""Plain tensors that are rectified or made shares: weights that somebody meant to train."""

import pytest
import torch
from net import c1, c2, seq
from torch import nn
from torch.nn import functional as F

from torchskip.lint.check import check

IMAGE = torch.zeros(2, 4, 8, 8)


class Fused(nn.Module):
    def __init__(self, weights, conv=c2):
        super().__init__()
        self.a, self.b, self.act = conv(), conv(), nn.ReLU()
        self.w = weights


class Shares(Fused):
    def forward(self, x):
        w = F.softmax(self.w, dim=0)
        return w[0] * self.a(x) + w[1] * self.b(x)


class Rectified(Fused):
    def forward(self, x):
        w = self.act(self.w)
        w = w / (w.sum() + 1e-4)
        return self.b(w[0] * x + w[1] * self.a(x))


class Rows(Fused):
    """One row of a table for each fusion."""

    def forward(self, x):
        y = x
        for row, layer in enumerate((self.a, self.b)):
            w = self.w[row].sigmoid()
            y = w[0] * layer(y) + w[1] * y
        return y


class Fixed(Fused):
    def forward(self, x):
        return self.w[0] * self.a(x) + self.w[1] * self.b(x)


class Activated(Fused):
    """A value of that name is squashed, not the tensor."""

    def forward(self, x):
        w = F.relu(self.a(x))
        return self.w[0] * w + self.w[1] * F.softmax(self.b(x), 1)


def findings(model, image=IMAGE):
    return check(model, image, select=["TS207"]).findings


@pytest.mark.parametrize(
    ("block", "image"),
    [
        (Shares(torch.ones(2)), IMAGE),
        (Rectified(torch.full((2,), 0.5)), IMAGE),
        (Rows(torch.zeros(2, 2)), IMAGE),
        (Shares(torch.ones(2), c1), torch.zeros(2, 4, 9)),
    ],
)
def test_squashed_numbers_that_weigh_in_a_sum_are_weights(block, image):
    conv = c1 if image.dim() == 3 else c2
    (finding,) = findings(seq(conv(), block, conv()), image)
    assert finding.message.startswith(f"'w' {tuple(block.w.shape)} scales the arms of a sum")
    assert "self.w = nn.Parameter" in finding.mends[0].text


@pytest.mark.parametrize(
    "block",
    [
        Shares(nn.Parameter(torch.ones(2))),
        Rectified(nn.Parameter(torch.ones(2))),
        Fixed(torch.ones(2)),
        Activated(torch.ones(2)),
    ],
)
def test_parameters_and_fixed_numbers_are_left_alone(block):
    assert not findings(seq(c2(), block, c2()))
