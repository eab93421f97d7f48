"""Arms that lie apart since the branch looks at the past alone, and arms that do not mean to."""

import pytest
import torch
import torch.nn.functional as F
from net import Net, c1, c2, seq
from torch import nn

from torchskip.lint.check import check

SERIES, IMAGE, VIDEO = (2, 4, 32), (2, 4, 16, 16), (1, 4, 8, 8, 8)


def found(forward, layer, shape):
    block = Net(forward, a=layer)
    return check(block, torch.zeros(shape), select=["TS303"]).findings


@pytest.mark.parametrize(
    ("forward", "layer", "shape"),
    [
        (lambda s, x: x + s.a(x)[:, :, :-4], nn.Conv1d(4, 4, 3, padding=4, dilation=2), SERIES),
        (lambda s, x: x + s.a(F.pad(x, (3, 0))), nn.Conv1d(4, 4, 2, dilation=3), SERIES),
        (lambda s, x: x[:, :, 2:] + torch.tanh(s.a(x)), nn.Conv1d(4, 4, 3), SERIES),
        (lambda s, x: x[:, :, -30:] + s.a(x), nn.Conv1d(4, 4, 3), SERIES),
        (lambda s, x: x + s.a(F.pad(x, (1, 1, 2, 0))), nn.Conv2d(4, 4, 3), IMAGE),
        (lambda s, x: x + s.a(F.pad(x, (0, 0, 0, 0, 2, 0))), nn.Conv3d(4, 4, (3, 1, 1)), VIDEO),
    ],
)
def test_a_causal_branch_is_meant(forward, layer, shape):
    assert not found(forward, layer, shape)


@pytest.mark.parametrize(
    ("forward", "layer", "shape"),
    [
        (lambda s, x: x + s.a(x)[:, :, 4:], nn.Conv1d(4, 4, 3, padding=4, dilation=2), SERIES),
        (lambda s, x: x + s.a(F.pad(x, (0, 1))), nn.Conv1d(4, 4, 2), SERIES),
        (lambda s, x: x + s.a(F.pad(x, (3, 1))), nn.Conv1d(4, 4, 5), SERIES),  # sees one ahead
        (lambda s, x: x[:, :, :-2] + s.a(x), nn.Conv1d(4, 4, 3), SERIES),
        (lambda s, x: x + s.a(F.pad(x, (1, 0, 1, 0))), nn.Conv2d(4, 4, 2), IMAGE),
        (lambda s, x: F.avg_pool1d(x, 2) + s.a(x), c1(stride=2), SERIES),
        (lambda s, x: F.avg_pool2d(x, (1, 2)) + s.a(x), c2(stride=(1, 2)), IMAGE),
    ],
)
def test_other_shifts_are_told(forward, layer, shape):
    assert len(found(forward, layer, shape)) == 1


def test_a_causal_network_is_silent_as_a_whole():
    def block(dilation):
        def forward(s, x):
            return F.relu(x + s.b(F.relu(s.a(x)[:, :, : -2 * dilation]))[:, :, : -2 * dilation])

        settings = {"padding": 2 * dilation, "dilation": dilation}
        return Net(forward, a=nn.Conv1d(4, 4, 3, **settings), b=nn.Conv1d(4, 4, 3, **settings))

    model = seq(c1(), *(block(2**i) for i in range(4)))
    assert not check(model, torch.zeros(2, 4, 64), select=["TS303"]).findings
