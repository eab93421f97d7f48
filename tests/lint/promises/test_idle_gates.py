"""Gates that a block builds for its branch, and never calls."""

import pytest
import torch
import torch.nn.functional as F
from net import Net, c2, seq
from torch import nn

from torchskip.lint.check import check

IMAGE = torch.zeros(2, 4, 8, 8)


class SE(nn.Module):
    """Its sigmoid is a module."""

    def __init__(self, width):
        super().__init__()
        self.fc = seq(nn.Linear(width, 2), nn.ReLU(), nn.Linear(2, width), nn.Sigmoid())

    def forward(self, x):
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


class SqueezeExcite(nn.Module):
    """Its sigmoid is a function: the class is named for what it is."""

    def __init__(self, width):
        super().__init__()
        self.down, self.up = nn.Conv2d(width, 2, 1), nn.Conv2d(2, width, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))))


class Spatial(nn.Module):
    """One channel from the mean and the greatest of all."""

    def __init__(self):
        super().__init__()
        self.conv, self.squash = nn.Conv2d(2, 1, 3, padding=1), nn.Sigmoid()

    def forward(self, x):
        y = torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), 1)
        return x * self.squash(self.conv(y))


class SpatialAttention(Spatial):
    pass


class ECALayer(nn.Module):
    """A convolution along the channels."""

    def __init__(self):
        super().__init__()
        self.conv, self.squash = nn.Conv1d(1, 1, 3, padding=1, bias=False), nn.Sigmoid()

    def forward(self, x):
        y = self.conv(x.mean((2, 3))[:, None])
        return x * self.squash(y)[:, 0, :, None, None]


class CBAM(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.channels, self.places = SE(width), Spatial()

    def forward(self, x):
        return self.places(self.channels(x))


class Mix(SqueezeExcite):
    """The same parts under a name that says nothing."""


def bottleneck(gate, called):
    def forward(net, x):
        y = F.relu(net.b(F.relu(net.a(x))))
        return x + net.c(net.gated(y) if called else y)

    return Net(forward, a=c2(4, 6, 1), b=c2(6, 6), gated=gate, c=c2(6, 4, 1))


def codes(model):
    return [(f.code, f.severity) for f in check(model, IMAGE, select=["TS108"]).findings]


@pytest.mark.parametrize("gate", [SE, SqueezeExcite])
def test_a_gate_that_never_runs_is_named(gate):
    (finding,) = check(bottleneck(gate(6), called=False), IMAGE, select=["TS108"]).findings
    assert "'gated'" in finding.message
    assert "6 channels" in finding.message
    assert finding.severity == "warning"
    assert codes(bottleneck(gate(6), called=True)) == []


@pytest.mark.parametrize("gate", [SpatialAttention, ECALayer, lambda: CBAM(6)])
def test_a_gate_of_no_channels_is_known_by_its_sigmoid_and_its_name(gate):
    (finding,) = check(bottleneck(gate(), called=False), IMAGE, select=["TS108"]).findings
    assert finding.message.endswith("makes maps, and nothing scales them")
    assert codes(bottleneck(gate(), called=True)) == []


def test_a_sigmoid_of_one_channel_without_a_name_is_no_gate():
    assert codes(bottleneck(Spatial(), called=False)) == []
    assert codes(bottleneck(CBAM(5), called=False)) == []


def test_a_gate_of_other_channels_belongs_elsewhere():
    assert codes(bottleneck(SE(5), called=False)) == []


def test_layers_without_a_sign_of_a_gate_are_none():
    assert codes(bottleneck(Mix(6), called=False)) == []
