"""Dense blocks without their concatenation: what the failing layer was built to read."""

import pytest
import torch
from net import c1, c2, seq
from torch import nn

from torchskip.lint.check import check


class Layer(nn.Module):
    def __init__(self, width, growth):
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(width), c2(width, growth)

    def forward(self, x):
        return self.conv(torch.relu(self.norm(x)))


class Dense(nn.Module):
    """`join` makes a layer's input of all that is before it."""

    def __init__(self, make, join, widths=(16, 24, 32)):
        super().__init__()
        self.layers, self.join = nn.ModuleList(make(w) for w in widths), join

    def forward(self, x):
        features = [x]
        for layer in self.layers:
            features.append(layer(self.join(features)))
        return features[-1]


MAKERS = {
    "a class": (lambda w: Layer(w, 8), torch.zeros(1, 16, 8, 8), "1"),
    "convolutions": (lambda w: seq(c1(w, 8), nn.ReLU()), torch.zeros(1, 16, 8), "1"),
    "linear": (lambda w: nn.Linear(w, 8), torch.zeros(2, 16), "-1"),
}


def mends(model, x):
    (finding,) = check(model, x, select=["TS100"]).findings
    return [mend.text for mend in finding.mends]


@pytest.mark.parametrize("kind", MAKERS)
def test_a_dense_block_that_reads_the_last_layer_alone_is_told_to_concatenate(kind):
    make, x, axis = MAKERS[kind]
    first, *others = mends(Dense(make, lambda features: features[-1]), x)
    assert first.startswith(
        f"concatenate, as a dense block does: `x = torch.cat([x, layer(x)], {axis})"
    )
    assert first.endswith("'layers.1' takes what 'layers.0' reads and gives, 16 + 8")
    assert others[0].startswith("build 'layers.1")


def test_one_that_reads_the_last_two_fails_a_layer_later():
    model = Dense(MAKERS["a class"][0], lambda features: torch.cat(features[-2:], 1))
    assert (
        "'layers.2' takes what 'layers.1' reads and gives, 24 + 8"
        in mends(model, MAKERS["a class"][1])[0]
    )


def test_one_that_concatenates_all_runs():
    model = Dense(MAKERS["a class"][0], lambda features: torch.cat(features, 1))
    assert check(model, MAKERS["a class"][1], select=["TS100"]).findings == ()


@pytest.mark.parametrize(
    "widths", [(16, 20, 24), (16, 20, 28), (16, 8, 24), (16, 24), (16, 24, 40)]
)
def test_other_widths_are_no_growth(widths):
    model = Dense(lambda w: Layer(w, 8), lambda features: features[-1], widths)
    (only,) = mends(model, MAKERS["a class"][1])
    assert only.startswith("build 'layers.")
