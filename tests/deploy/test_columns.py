"""Normalisation of large maps is as exact channels last as it is channels first."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from torchskip import fuse
from torchskip.deploy.columns import ScaleShift
from torchskip.deploy.proof import largest_difference

LAYERS = {
    1: (nn.Conv1d, nn.InstanceNorm1d),
    2: (nn.Conv2d, nn.InstanceNorm2d),
    3: (nn.Conv3d, nn.InstanceNorm3d),
}


class Block(nn.Module):
    """A residual block with normalisation over groups; `dims` axes of space."""

    def __init__(self, dims, groups=2, affine=True):
        super().__init__()
        conv, instance = LAYERS[dims]
        self.stem, self.conv = conv(1, 8, 3, padding=1), conv(8, 8, 3, padding=1)
        each = groups == "instance"
        self.norm = instance(8, affine=affine) if each else nn.GroupNorm(groups, 8, affine=affine)
        for parameter in self.norm.parameters():
            nn.init.normal_(parameter)

    def forward(self, x):
        x = self.stem(x)
        return torch.relu(x + self.norm(self.conv(x)))


def columns(fast):
    return sum("by columns" in event.why for event in fast.report.fused)


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("shape", [(2, 8, 40, 30), (1, 8, 6, 20, 11), (3, 8, 50)])
@pytest.mark.parametrize("affine", [False, True])
def test_the_sums_by_columns_are_those_of_float64(groups, shape, affine):
    torch.manual_seed(0)
    x, w, b = torch.randn(shape) * 2 + 3, torch.randn(8), torch.randn(8)
    scale, shift = ScaleShift(groups, 1e-3)(x, w if affine else None, b if affine else None)
    given = (w.double(), b.double()) if affine else (None, None)
    truth = F.group_norm(x.double(), groups, *given, 1e-3)
    assert (scale * x + shift - truth).abs().max() < 1e-5


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("groups", [2, 8, "instance"])
@pytest.mark.parametrize("shape", [(2, 1, 200, 170), (1, 1, 32, 64, 40)])
@torch.no_grad()
def test_large_maps_are_normalised_exactly_at_every_size(shape, groups, affine):
    torch.manual_seed(0)
    net = Block(len(shape) - 2, groups, affine).eval()
    fast = fuse(net, torch.randn(shape) + 1)
    assert columns(fast) == 1
    for factor in (1, 1, 2):
        x = torch.randn(shape[0] + 1, 1, *(n * factor for n in shape[2:])) + 1
        truth = net.double()(x.double()).float()
        net.float()
        assert largest_difference(fast(x), truth) < 2e-6


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((2, 1, 20, 17), None),  # small: PyTorch's own is exact enough
        ((2, 1, 70000), None),  # one axis: there is no channels last
        ((2, 1, 200, 170), torch.bfloat16),  # rounds more than the sum loses
    ],
)
@pytest.mark.parametrize("groups", [2, "instance"])
def test_other_maps_keep_the_operator(groups, shape, dtype):
    net = Block(len(shape) - 2, groups).eval()
    assert columns(fuse(net, torch.randn(shape), dtype=dtype, tolerance=5e-2)) == 0


class Means(nn.Module):
    def forward(self, x):
        y, mean, _ = torch.native_group_norm(x, None, None, x.shape[0], 8, 40000, 2, 1e-5)
        return y, mean


def test_means_that_are_read_keep_the_operator():
    fast = fuse(Means(), torch.randn(2, 8, 200, 200))
    assert columns(fast) == 0
