"""The channels of a branch whose first layers hold none are those that its layers ask for."""

import pytest
import torch
from torch import nn

from torchskip.errors import GeometryError
from torchskip.nn import Skip


@pytest.mark.parametrize(
    ("branch", "channels", "size"),
    [
        (lambda: (nn.PixelUnshuffle(2), nn.Conv2d(64, 32, 3, padding=1)), 16, 8),
        (lambda: (nn.PixelUnshuffle(4), nn.BatchNorm2d(48), nn.Conv2d(48, 7, 1)), 3, 8),
        (lambda: (nn.PixelShuffle(4), nn.Conv2d(2, 7, 3, padding=1)), 32, 8),
        (lambda: (nn.PixelShuffle(2), nn.PixelShuffle(2), nn.Conv2d(3, 5, 1)), 48, 8),
        (lambda: (nn.Upsample(scale_factor=2), nn.Conv2d(6, 5, 1)), 6, 8),
    ],
)
def test_channels_behind_layers_without_a_number(branch, channels, size):
    skip = Skip(*branch())
    assert skip.probe.in_channels == channels
    x = torch.rand(2, channels, size, size)
    assert skip(x).shape == skip.branch(x).shape


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_scripted_layers_take_no_hooks():
    skip = Skip(torch.jit.script(nn.Conv2d(3, 4, 3, stride=2, padding=1)))
    assert skip(torch.rand(1, 3, 9, 9)).shape == (1, 4, 5, 5)


def test_layers_that_disagree_are_named():
    with pytest.raises(GeometryError) as caught:
        Skip(nn.Conv2d(3, 4, 1), nn.Conv2d(5, 6, 1))
    assert str(caught.value) == (
        "branch (Sequential) refused every input it was probed with on the meta device\n"
        "  probed    (2, 3, 352, 416): 1 (Conv2d) takes 5 channels and is given 4\n"
        "            (2, 5, 352, 416): 0 (Conv2d) takes 3 channels and is given 5\n"
        "            (2, 4, 352, 416): 0 (Conv2d) takes 3 channels and is given 4\n"
        "            (2, 6, 352, 416): 0 (Conv2d) takes 3 channels and is given 6\n"
        "            and 48 more\n"
        "  mend: pass in_channels=... if the number of input channels is the reason, or "
        'shortcut="identity" or a module of your own: then no geometry is needed'
    )
