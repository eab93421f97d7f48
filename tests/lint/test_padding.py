"""Cells that see nothing but what the forward itself padded."""

import pytest
import torch
import torch.nn.functional as F
from net import Net, c2, seq
from torch import nn

from torchskip.lint.check import check

IMAGE = torch.zeros(2, 4, 16, 16)


def found(forward, **layers):
    return check(seq(c2(), Net(forward, **layers)), IMAGE, select=["TS206"]).findings


def halved(**settings):
    return nn.Conv2d(4, 4, stride=2, **settings)


def test_a_pad_that_the_kernel_does_not_reach_over_leaves_cells_blind():
    (finding,) = found(
        lambda s, x: s.a(F.pad(x, (3, 3, 3, 3))) + s.b(F.pad(x, (2, 2, 2, 2))),
        a=halved(kernel_size=3),
        b=halved(kernel_size=1),
    )
    assert "cells of (2, 4, 10, 10) see only padding" in finding.message


def test_a_strided_window_after_a_shift_the_wrong_way_is_blind():
    def forward(net, x, pad):
        return net.a(x) + net.b(F.avg_pool2d(F.pad(x, pad), 1, 2))

    layers = {"a": halved(kernel_size=3, padding=1), "b": c2(4, 4, 1)}
    (finding,) = found(lambda s, x: forward(s, x, (1, -1, 1, -1)), **layers)
    assert finding.message.startswith("15 of the 64 cells of (2, 4, 8, 8)")
    assert "F.pad(x, (-1, 1, -1, 1))" in finding.mends[0].text
    assert not found(lambda s, x: forward(s, x, (-1, 1, -1, 1)), **layers)


def test_a_shift_back_leaves_the_last_cell_of_an_odd_map_as_published():
    model = Net(
        lambda s, x: s.a(x) + s.b(F.avg_pool2d(F.pad(x, (-1, 1, -1, 1)), 1, 2)),  # NASNet
        a=halved(kernel_size=3, padding=1),
        b=c2(4, 4, 1),
    )
    assert not check(model, torch.zeros(2, 4, 17, 17), select=["TS206"]).findings


def test_along_one_axis():
    model = Net(
        lambda s, x: s.a(x) + s.b(F.pad(x, (2, 2))),
        a=nn.Conv1d(4, 4, 3, padding=3),
        b=nn.Conv1d(4, 4, 1),
    )
    finding, *_ = check(model, torch.zeros(2, 4, 16), select=["TS206"]).findings
    assert "see only padding" in finding.message


@pytest.mark.parametrize(
    "forward",
    [
        lambda s, x: x + s.one(F.pad(x, (0, 0, 1, -1))),  # PixelCNN: moved down by a row
        lambda s, x: x + s.two(torch.cat([x, F.pad(x, (1, -1))], 1)),  # a token shift
        lambda s, x: x + s.three(F.pad(x, (1, 1, 1, 1))),
        lambda s, x: x + s.three(F.pad(x, (1, 1, 1, 1), mode="reflect")),
        lambda s, x: s.strided(F.pad(x, (0, 1, 0, 1))) + s.point(x),  # TensorFlow's
        lambda s, x: s.wide(x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2)),  # He 2015, option A
    ],
)
def test_pads_within_reach_and_shifts_that_are_meant_are_left_alone(forward):
    assert not found(
        forward,
        one=c2(4, 4, 1),
        two=c2(8, 4, 1),
        three=nn.Conv2d(4, 4, 3),
        strided=halved(kernel_size=3),
        point=halved(kernel_size=1),
        wide=nn.Conv2d(4, 8, 3, 2, 1),
    )
