"""Ways down and up again whose convolutions shrink the map."""

import torch
import torch.nn.functional as F
from net import Net, c2
from torch import nn

from torchskip.lint.check import check

IMAGE = torch.zeros(2, 4, 16, 16)


def unet(padding, join):
    def forward(net, x):
        fine = net.fine(x)
        deep = net.deep(F.max_pool2d(fine, 2))
        return join(F.interpolate(net.up(deep), scale_factor=2), fine)

    return Net(forward, fine=c2(), deep=c2(), up=nn.Conv2d(4, 4, 3, padding=padding))


def mends(model):
    (finding,) = check(model, IMAGE, select=["TS101"]).findings
    return [mend.text for mend in finding.mends]


def test_a_convolution_without_padding_is_named():
    for join in (torch.add, lambda a, b: torch.cat([a, b], 1)):
        first, second = mends(unet(0, join))
        assert first == "let the convolutions keep the map's size: 'up': padding=1"
        assert second.startswith("resize the branch to its skip")
        assert check(unet(1, join), IMAGE, select=["TS101"]).findings == ()


def test_padding_that_does_not_bring_it_there_is_not_offered():
    def forward(net, x):
        fine = net.fine(x)
        deep = net.deep(F.max_pool2d(fine, 4))
        return fine + F.interpolate(deep, scale_factor=2)  # two levels down, one up

    found = mends(Net(forward, fine=c2(), deep=nn.Conv2d(4, 4, 3)))
    assert not any("keep the map's size" in text for text in found)
