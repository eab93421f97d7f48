"""Squeeze-excite gates of a pointwise convolution's mean are computed before it; others are not."""

import pytest
import torch
from torch import nn

from torchskip import fuse
from torchskip.deploy.proof import largest_difference

POOLS = {
    "mean": lambda y: y.mean((-1, -2), keepdim=True),
    "pool": nn.AdaptiveAvgPool2d(1),
}


class Gated(nn.Module):
    """A residual block whose branch ends in `layers`, then a gate of what `pool` says of them."""

    def __init__(self, layers, pool=POOLS["mean"], channels=16):
        super().__init__()
        self.layers, self.pool = layers, pool
        self.down, self.up = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1, bias=False)

    def forward(self, x):
        y = self.layers(x)
        gate = torch.sigmoid(self.up(torch.relu(self.down(self.pool(y)))))
        return torch.relu(y * gate + x)


def branch(*layers):
    torch.manual_seed(0)
    normal = nn.BatchNorm2d(16)
    normal.running_mean.normal_()
    normal.running_var.uniform_(0.5, 1.5)
    return nn.Sequential(*layers, normal)


def before(fast):
    return sum("mean" in event.why for event in fast.report.fused)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("groups", [1, 2])
@torch.no_grad()
def test_the_gate_of_a_pointwise_convolution_comes_before_it(groups, pool, dtype):
    layers = branch(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 1, groups=groups))
    net = Gated(layers, POOLS[pool]).eval()
    fast = fuse(net, torch.randn(1, 16, 14, 14), dtype=dtype)
    assert before(fast) == 1
    assert sum("one pixel" in event.why for event in fast.report.fused) == (groups == 1)
    for shape in [(1, 16, 14, 14), (4, 16, 9, 21), (4, 16, 9, 21), (4, 16, 9, 21)]:
        x = torch.randn(shape)
        bound = 1e-5 if dtype == torch.float32 else 2e-2
        assert largest_difference(fast(x), net(x)) < bound


@torch.no_grad()
def test_one_group_of_onednn_multiplies_adds_and_rectifies():
    fast = fuse(Gated(branch(nn.Conv2d(16, 16, 1))).eval(), torch.randn(2, 16, 14, 14))
    # The mean; two layers of the gate; the layer with its gate, its shortcut and its activation.
    assert any("with 4 parts" in note for note in fast.report.notes)


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Conv2d(16, 16, 3, padding=1),),
        (nn.Conv2d(16, 16, 1, padding=1), nn.Conv2d(16, 16, 3)),
        (nn.Conv2d(16, 16, 1), nn.BatchNorm2d(16), nn.ReLU()),
    ],
)
@torch.no_grad()
def test_not_where_pixels_are_mixed_or_bent(layers):
    bent = isinstance(layers[-1], nn.ReLU)
    net = Gated(nn.Sequential(*layers) if bent else branch(*layers)).eval()
    assert before(fuse(net, torch.randn(1, 16, 14, 14))) == 0


@pytest.mark.parametrize("axes", [(1, 2, 3), (2,), (3, 1)])
@torch.no_grad()
def test_not_the_mean_over_other_axes(axes):
    def pool(y):
        return y.mean(axes, keepdim=True).expand(-1, 16, -1, -1)[..., :1, :1]

    net = Gated(branch(nn.Conv2d(16, 16, 1)), pool).eval()
    assert before(fuse(net, torch.randn(1, 16, 14, 14))) == 0
