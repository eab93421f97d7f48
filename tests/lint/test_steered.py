"""Attention gates between a decoder's map and an encoder's feature, and which of them passes."""

import pytest
import torch
import torch.nn.functional as F
from net import Net, c2, seq
from torch import nn

from torchskip.lint.check import check

IMAGE = (2, 4, 16, 16)


class Gate(nn.Module):
    """Oktay et al., 2018: `kept` is weighed by what `asked` and itself say together."""

    def __init__(self, width):
        super().__init__()
        self.asked, self.kept = nn.Conv2d(width, 4, 1), nn.Conv2d(width, 4, 1)
        self.psi = seq(nn.Conv2d(4, 1, 1), nn.BatchNorm2d(1), nn.Sigmoid())

    def forward(self, asked, kept):
        return kept * self.psi(F.relu(self.asked(asked) + self.kept(kept)))


class Attended(nn.Module):
    """Two levels; `join` says what is gated and what it is joined with."""

    def __init__(self, join):
        super().__init__()
        self.a, self.b, self.m = c2(4, 8), c2(8, 8), c2(8, 8)
        self.gates = nn.ModuleList(Gate(8) for _ in range(2))
        self.ups = nn.ModuleList(seq(c2(16, 8), nn.ReLU()) for _ in range(2))
        self.head, self.join = nn.Conv2d(8, 2, 1), join

    def forward(self, x):
        a = F.relu(self.a(x))
        b = F.relu(self.b(F.max_pool2d(a, 2)))
        y = F.relu(self.m(F.max_pool2d(b, 2)))
        for skip, gate, up in zip((b, a), self.gates, self.ups, strict=True):
            y = F.interpolate(y, size=skip.shape[2:])
            y = up(torch.cat(self.join(gate, y, skip), 1))
        return self.head(y)


def found(join):
    return check(Attended(join), torch.zeros(IMAGE), select=["TS204"]).findings


@pytest.mark.parametrize(
    "join",
    [
        lambda gate, y, skip: (gate(skip, y), y),
        lambda gate, y, skip: (y, gate(asked=skip, kept=y)),
        lambda gate, y, skip: (skip, gate(y, skip)),  # the decoder's map is lost
    ],
)
def test_a_map_that_only_steers_its_gate_is_told(join):
    assert "the two inputs of the gate are swapped" in found(join)[0].message


@pytest.mark.parametrize(
    "join",
    [
        lambda gate, y, skip: (gate(y, skip), y),
        lambda gate, y, skip: (gate(skip, y), skip),
        lambda gate, y, skip: (gate(y, skip), gate(skip, y)),
        lambda gate, y, skip: (gate(y, y), skip),
    ],
)
def test_gates_through_which_both_maps_pass_are_left_alone(join):
    assert not found(join)


def test_a_map_beside_its_own_attention_is_left_alone():
    def forward(s, x):
        y = s.a(x)
        return s.b(torch.cat([y, y * torch.sigmoid(s.c(y) + s.d(x))], 1))

    model = Net(forward, a=c2(), b=c2(8), c=c2(), d=c2())
    assert not check(model, torch.zeros(IMAGE), select=["TS204"]).findings
