"""The other sizes that a model is run at cost little more than the example's."""

import math

import pytest
import torch
from torch import nn

from torchskip import fuse


@pytest.mark.parametrize(
    ("shape", "most"),
    [
        ((1, 1, 64, 64, 64), 3.5),  # two samples each
        ((1, 1, 96, 96, 96), 3.5),
        ((1, 1, 16, 224, 224), 1),
        ((1, 1, 8, 112, 112), 8),
        ((1, 1, 6, 20, 20), 8),
        ((1, 1, 8, 8, 12), 40),  # 17, 25 and 29: not 25 twice
        ((1, 1, 224, 224), 1),
        ((1, 1, 256, 512), 2),
    ],
)
def test_a_large_example_is_probed_at_about_its_size(shape, most):
    conv = nn.Conv3d if len(shape) == 5 else nn.Conv2d
    report = fuse(conv(1, 2, 3, stride=2).eval(), torch.randn(shape)).report
    assert "any batch size, any height and width" in " ".join(report.notes)
    (probed,) = report.checks[1].shapes
    assert probed[0] == 2
    assert all(a != b for a, b in zip(probed, shape, strict=True) if b > 1)
    assert len(set(probed[2:])) == len(probed[2:])
    assert math.prod(probed) <= most * math.prod(shape)
