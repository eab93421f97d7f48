"""Gates that are added, scales that run along the wrong axis, and what comes near them."""

import pytest
import torch
from net import Net, c1, c2, seq
from torch import nn

from torchskip.lint.check import check

IMAGE = (2, 4, 16, 16)


def squeezed(s, x):
    """Squeeze-and-excitation's numbers, one a channel."""
    return torch.sigmoid(s.b(torch.relu(s.a(x.mean((2, 3), keepdim=True)))))


def found(forward, shape=IMAGE, **layers):
    layers = layers or {"a": c2(4, 4, 1), "b": c2(4, 4, 1), "c": c2(), "d": c2(4, 1)}
    stem = c2() if len(shape) == 4 else nn.Identity()
    return check(seq(stem, Net(forward, **layers)), torch.zeros(shape), select=["TS103"]).findings


@pytest.mark.parametrize(
    "forward",
    [
        lambda s, x: x + squeezed(s, x),
        lambda s, x: squeezed(s, x).flatten(1)[:, :, None, None].expand_as(x) + x,
        lambda s, x: x + ((y := s.c(x)) + squeezed(s, y)),
        lambda s, x: x + torch.sigmoid(s.d(x)),  # one a pixel
        lambda s, x: x + nn.functional.hardsigmoid(s.b(x.amax((2, 3), keepdim=True))),
    ],
)
def test_an_added_gate_is_told(forward):
    (finding,) = found(forward)
    assert finding.severity == "warning"
    assert "ends with a sigmoid and is added to the map" in finding.message


@pytest.mark.parametrize(
    "forward",
    [
        lambda s, x: x * squeezed(s, x),
        lambda s, x: x + s.c(x) * squeezed(s, x),
        lambda s, x: x + s.b(x.mean((2, 3), keepdim=True)),  # a context vector: GCNet
        lambda s, x: s.c(x) * (squeezed(s, x) + torch.sigmoid(s.d(x))),  # two gates: BAM
        lambda s, x: x + torch.sigmoid(s.c(x)),  # a branch of the map's own size
        lambda s, x: x * (1 + squeezed(s, x)),
        lambda s, x: s.c(x) + squeezed(s, x),  # of another map: a condition
    ],
)
def test_gates_that_scale_and_vectors_that_shift_are_left_alone(forward):
    assert not found(forward)


class Scaled(nn.Module):
    """A branch times a scale of the width, viewed as it says."""

    def __init__(self, layer, view, width=16):
        super().__init__()
        self.layer, self.view = layer, view
        self.gamma = nn.Parameter(1e-5 * torch.ones(width))

    def forward(self, x):
        return x + self.gamma.view(self.view) * self.layer(x)


MAP, SERIES, TOKENS = (2, 16, 16, 16), (2, 16, 16), (2, 16, 16)


@pytest.mark.parametrize(
    ("layer", "view", "shape", "axes"),
    [
        (lambda: c2(16, 16), (16,), MAP, "axis 3 of (2, 16, 16, 16), which is as long as axis 1"),
        (lambda: c2(16, 16), (1, 16, 1), MAP, "axis 2 of"),
        (lambda: seq(c2(16, 16), nn.BatchNorm2d(16), nn.ReLU()), (16,), MAP, "axis 3 of"),
        (lambda: c1(16, 16), (16,), SERIES, "axis 2 of (2, 16, 16), which is as long as axis 1"),
        (lambda: nn.Linear(16, 16), (16, 1), TOKENS, "axis 1 of (2, 16, 16), which is as long"),
    ],
)
def test_a_scale_along_an_axis_of_the_channels_length_is_told(layer, view, shape, axes):
    model = Scaled(layer(), view)
    (finding,) = check(model, torch.zeros(shape), select=["TS103"]).findings
    assert finding.severity == "warning"
    assert f"'gamma' (16,) scales {axes}" in finding.message


@pytest.mark.parametrize(
    ("layer", "view", "shape"),
    [
        (lambda: c2(16, 16), (16, 1, 1), MAP),
        (lambda: c1(16, 16), (16, 1), SERIES),
        (lambda: nn.Linear(16, 16), (16,), TOKENS),
        (lambda: seq(nn.Linear(16, 16), nn.LayerNorm(16)), (16,), TOKENS),
        (lambda: Net(lambda s, x: s.a(x).transpose(1, 2), a=c1(16, 16)), (16,), SERIES),
        (
            lambda: c2(8, 8),
            (16,),
            (2, 8, 16, 16),
        ),  # a scale for each column, and no channels' length
    ],
)
def test_scales_of_the_channels_are_left_alone(layer, view, shape):
    assert not check(Scaled(layer(), view), torch.zeros(shape), select=["TS103"]).findings
